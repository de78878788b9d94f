//! Collecting votes.

use quorate_types::block::Block;

use super::*;
use crate::members::{Members, state_of, wrong_state_of};

fn block(members: &Members, round: u64, transactions: u64) -> Verified<Block> {
    Members::block(ValidatorId(0), Round(round), transactions, &members.genesis_qc())
}

fn vote(members: &Members, id: u16, block: &Block) -> Verified<Vote> {
    members.vote(ValidatorId(id), block, state_of(block.id()), &members.genesis_qc())
}

#[test]
fn a_quorum_is_reached_by_power_for_every_number_of_validators_and_told_once() {
    for n in 1..=10u16 {
        let members = Members::equal(usize::from(n));
        let (mut votes, block) = (PendingVotes::default(), block(&members, 1, 0));
        let certified: Vec<u16> = (0..n)
            .filter(|id| matches!(votes.add(&members.committee, Round(1), vote(&members, *id, &block)), VoteOutcome::Certified(_)))
            .collect();
        // n - f votes, where f is the largest minority below a third: not 2f + 1 (deviation D1).
        assert_eq!(certified, [n - (n - 1) / 3 - 1], "n = {n}");
    }
    let members = Members::new(&[5, 1, 1, 1, 1]);
    let (mut votes, block) = (PendingVotes::default(), block(&members, 1, 0));
    // Total 9, quorum 7: the four small validators are not enough, 5 + 1 + 1 is.
    for id in 1..5 {
        assert!(matches!(votes.add(&members.committee, Round(1), vote(&members, id, &block)), VoteOutcome::Counted));
    }
    assert!(matches!(votes.add(&members.committee, Round(1), vote(&members, 0, &block)), VoteOutcome::Certified(_)));
}

#[test]
fn s4_a_validator_counts_once_and_its_second_vote_is_evidence() {
    let members = Members::equal(4);
    let (mut votes, one, other) = (PendingVotes::default(), block(&members, 1, 1), block(&members, 1, 2));
    let add = |votes: &mut PendingVotes, id, block| votes.add(&members.committee, Round(1), vote(&members, id, block));
    assert!(matches!(add(&mut votes, 0, &one), VoteOutcome::Counted));
    assert!(matches!(add(&mut votes, 0, &one), VoteOutcome::Ignored(Ignored::Duplicate)));
    let both = Evidence::votes(&vote(&members, 0, &one), &vote(&members, 0, &other));
    assert!(matches!(add(&mut votes, 0, &other), VoteOutcome::Equivocation(evidence) if *evidence == both));
    // The first vote stands: 0, 1 and 2 are a quorum for `one`, and 0's second vote does not count for `other`.
    assert!(matches!(add(&mut votes, 1, &one), VoteOutcome::Counted));
    assert!(matches!(add(&mut votes, 2, &one), VoteOutcome::Certified(qc) if qc.block_id() == one.id()));
    assert!(matches!(add(&mut votes, 3, &other), VoteOutcome::Counted));
}

#[test]
fn s8_votes_that_name_different_results_are_not_added_up() {
    let members = Members::equal(4);
    let (mut votes, block) = (PendingVotes::default(), block(&members, 1, 0));
    let wrong = |id| members.vote(ValidatorId(id), &block, wrong_state_of(block.id()), &members.genesis_qc());
    for vote in [vote(&members, 0, &block), vote(&members, 1, &block), wrong(2), wrong(3)] {
        assert!(matches!(votes.add(&members.committee, Round(1), vote), VoteOutcome::Counted));
    }
    assert_eq!(votes.results(Round(1)), 2);
}

#[test]
fn e15_b13_votes_are_kept_for_a_window_of_rounds_only() {
    let members = Members::equal(4);
    let mut votes = PendingVotes::default();
    let current = Round(10);
    for (round, accepted) in [(1, false), (8, false), (9, true), (10, true), (13, true), (14, false), (u64::MAX - 9, false)] {
        let block = block(&members, round, 0);
        let added = votes.add(&members.committee, current, vote(&members, 0, &block));
        assert_eq!(matches!(added, VoteOutcome::Counted), accepted, "round {round}: {added:?}");
    }
    assert_eq!(votes.rounds.len(), 3);
    // Everyone votes for everything: at most one vote per validator in each of five rounds.
    for round in 0..40 {
        for id in 0..4 {
            for transactions in 0..2 {
                votes.add(&members.committee, current, vote(&members, id, &block(&members, round, transactions)));
            }
        }
    }
    assert!(votes.rounds.len() <= 5 && votes.rounds.values().all(|votes| votes.by_sender.len() <= 4));
    votes.enter_round(Round(12));
    assert_eq!(votes.rounds.keys().copied().collect::<Vec<_>>(), [Round(11), Round(12), Round(13)]);
}
