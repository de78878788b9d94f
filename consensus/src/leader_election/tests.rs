//! Elections against a second derivation of the rule, which walks the chain from the top and does not use the code's memory.

use super::*;
use crate::members::{EPOCH, Members, NETWORK};

fn election(n: usize, window_size: u32, exclude_size: u32) -> LeaderElection {
    let members = Members::equal(n);
    LeaderElection::new(
        NETWORK,
        &members.committee,
        &Parameters { window_size, exclude_size: Some(exclude_size), ..members.parameters },
        Arc::default(),
    )
}

fn summary(round: u64, author: u16, signers: &[u16]) -> Summary {
    Summary { round: Round(round), author: ValidatorId(author), signers: signers.iter().map(|id| ValidatorId(*id)).collect() }
}

/// A chain with gaps and changing signers.
fn chain(n: u16, blocks: u64) -> Vec<Summary> {
    let mut round = 0;
    (0..blocks)
        .map(|i| {
            round += 1 + u64::from(i % 5 == 4);
            let missing = u16::try_from(i * 7 % u64::from(n)).unwrap();
            let signers: Vec<u16> = if i == 0 { vec![] } else { (0..n).filter(|id| *id != missing).collect() };
            summary(round, u16::try_from(round / 2 % u64::from(n)).unwrap(), &signers)
        })
        .collect()
}

/// Paper §3.7 with erratum E1 repaired: `i` walks over every block.
fn elected_by_the_text(chain: &[Summary], window_size: usize, exclude_size: usize) -> Option<u16> {
    let mut active = BTreeSet::new();
    let mut last_authors = BTreeSet::new();
    let mut i = 0;
    while i < chain.len() && (i < window_size || last_authors.len() < exclude_size) {
        let block = chain[chain.len() - 1 - i];
        if i < window_size {
            active.extend(block.signers.iter().map(|id| id.0));
        }
        if last_authors.len() < exclude_size {
            last_authors.insert(block.author.0);
        }
        i += 1;
    }
    let candidates: Vec<u16> = active.difference(&last_authors).copied().collect();
    let numbers = [EPOCH.0, chain.last()?.round.0].map(u64::to_le_bytes).concat();
    let data = [NETWORK.0.0.as_slice(), &numbers].concat();
    let digest = Hash::of(&LEADER, &data);
    let number = u64::from_le_bytes(digest.0[..8].try_into().unwrap());
    candidates.get(usize::try_from(number % (candidates.len() as u64).max(1)).unwrap()).copied()
}

#[test]
fn e1_every_block_of_the_window_is_looked_at() {
    for (n, window, exclude) in [(4, 5, 1), (4, 5, 2), (7, 10, 2), (7, 3, 4), (10, 10, 3), (1, 10, 0)] {
        let chain = chain(n, 60);
        let mut election = election(usize::from(n), window, exclude);
        for height in 1..=chain.len() {
            election.on_committed(chain[height - 1]);
            let expected = elected_by_the_text(&chain[..height], window as usize, exclude as usize);
            assert_eq!(election.elect(chain[height - 1].round).map(|id| id.0), expected, "n = {n}, height {height}");
        }
    }
}

#[test]
fn e1_a_signer_seen_only_in_a_block_that_the_papers_text_skips_is_active() {
    // Validator 3 signed only the certificate in the second block from the top.
    let mut election = election(4, 3, 0);
    for block in [summary(1, 0, &[]), summary(2, 1, &[3]), summary(3, 1, &[0])] {
        election.on_committed(block);
    }
    let active: BTreeSet<u16> = (0..200).filter_map(|seed| election.elect(Round(seed))).map(|id| id.0).collect();
    assert_eq!(active, BTreeSet::from([0, 3]));
}

#[test]
fn a_signer_is_active_for_as_many_blocks_as_the_window_has() {
    // Validator 2 signed only the certificate in the second block.
    let blocks = [summary(1, 0, &[]), summary(2, 1, &[2]), summary(3, 1, &[0]), summary(4, 1, &[1]), summary(5, 1, &[0])];
    for (height, active) in [(2, &[2][..]), (3, &[0, 2]), (4, &[0, 1, 2]), (5, &[0, 1])] {
        let mut election = election(4, 3, 0);
        for block in &blocks[..height] {
            election.on_committed(*block);
        }
        let elected: BTreeSet<u16> = (0..200).filter_map(|seed| election.elect(Round(seed))).map(|id| id.0).collect();
        assert_eq!(elected, active.iter().copied().collect(), "height {height}");
    }
}

#[test]
fn e2_e3_a_commit_elects_the_same_leaders_however_late_it_is_learnt() {
    let chain = chain(4, 40);
    let (mut prompt, mut late) = (election(4, 10, 1), election(4, 10, 1));
    for (height, block) in chain.iter().enumerate() {
        prompt.on_committed(*block);
        prompt.enter_round(Round(block.round.0 + 1));
        // Eight commits at once, long after their rounds.
        if height % 8 == 7 {
            for block in &chain[height - 7..=height] {
                late.on_committed(*block);
            }
            late.enter_round(Round(block.round.0 + 1));
            for ahead in 1..8 {
                let round = Round(block.round.0 + ahead);
                assert_eq!(prompt.leader(round), late.leader(round), "height {height}, round {round}");
            }
        }
    }
}

#[test]
fn a_restart_with_the_remembered_history_elects_as_if_it_had_not_stopped() {
    let chain = chain(4, 3 * HISTORY_BLOCKS as u64);
    // A window and an exclusion that ask for more than any history has.
    let (mut old, mut new) = (election(4, 10_000, 9), election(4, 10_000, 9));
    for block in &chain {
        old.on_committed(*block);
    }
    for block in &chain[chain.len() - HISTORY_BLOCKS..] {
        new.on_committed(*block);
    }
    let last = chain.last().unwrap().round.0;
    for round in last..last + 6 {
        assert_eq!(old.leader(Round(round)), new.leader(Round(round)), "round {round}");
    }
    assert!(old.committed.len() == HISTORY_BLOCKS && new.committed.len() == HISTORY_BLOCKS);
}

#[test]
fn without_commits_each_validator_leads_two_rounds_in_a_row() {
    let election = election(4, 10, 1);
    let leaders: Vec<u16> = (1..=9).map(|round| election.leader(Round(round)).0).collect();
    assert_eq!(leaders, [0, 1, 1, 2, 2, 3, 3, 0, 0]);
}

#[test]
fn an_elected_leader_has_an_even_round_and_the_odd_one_after_it_and_the_first_election_stays() {
    let mut election = election(4, 10, 0);
    for round in 1..=9u64 {
        election.on_committed(summary(round, 0, &[0, 1, 2, 3]));
    }
    for round in [4u64, 6, 8, 10] {
        assert_eq!(election.leader(Round(round)), election.leader(Round(round + 1)), "rounds {round} and {}", round + 1);
        assert_eq!(Some(election.leader(Round(round))), election.reputation.get(&Round(round)).copied());
    }
}

#[test]
fn when_everybody_active_is_excluded_the_fallback_leads() {
    let mut election = election(4, 10, 1);
    election.on_committed(summary(1, 0, &[0]));
    assert_eq!(election.elect(Round(1)), None);
    assert_eq!(election.leader(Round(4)), ValidatorId(2));
}

#[test]
fn s14_another_epoch_draws_another_lot() {
    let members = Members::equal(100);
    let draw = |epoch| {
        let mut election = LeaderElection::new(NETWORK, &members.committee, &members.parameters, Arc::default());
        election.epoch = Epoch(epoch);
        election.exclude_size = 0;
        election.on_committed(summary(1, 0, &(0..100).collect::<Vec<_>>()));
        election.leader(Round(4))
    };
    assert_ne!(draw(0), draw(1));
}

#[test]
fn memory_is_bounded_by_the_rounds_to_come() {
    let mut election = election(4, 10, 1);
    for round in 1..2_000 {
        election.on_committed(summary(round, 0, &[0, 1, 2, 3]));
        election.enter_round(Round(round + 1));
        assert!(election.reputation.len() <= 4);
    }
}

#[test]
fn every_epoch_begins_with_another_leader() {
    let mut members = Members::equal(4);
    let firsts: Vec<u16> = (0..8)
        .map(|epoch| {
            members.committee = Committee::of_seats(Epoch(epoch), &members.committee.members().map(seat).collect::<Vec<_>>()).unwrap();
            LeaderElection::new(NETWORK, &members.committee, &members.parameters, Arc::default()).leader(Round(1)).0
        })
        .collect();
    assert_eq!(firsts, [0, 1, 2, 3, 0, 1, 2, 3]);
}

fn seat((id, validator): (ValidatorId, &quorate_types::committee::Validator)) -> quorate_types::committee::Seat {
    quorate_types::committee::Seat { id, validator: validator.clone() }
}
