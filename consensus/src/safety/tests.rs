//! The safety rules as tables, and against a second derivation of them from the history of signatures.

use quorate_types::{ids::BlockId, vote::genesis_block_id};

use super::*;
use crate::members::{EPOCH, Members, NETWORK, state_of};

const ME: ValidatorId = ValidatorId(0);

/// Certificates of rounds 0 to `rounds`, one chain without gaps, in a committee of one: whatever it signs is certified.
struct Fixture {
    members: Members,
    qcs: Vec<Verified<QuorumCert>>,
}

impl Fixture {
    fn new(rounds: u64) -> Self {
        let members = Members::equal(1);
        let mut qcs = vec![members.genesis_qc()];
        for round in 1..=rounds {
            let block = Members::block(ME, Round(round), 0, qcs.last().unwrap());
            qcs.push(members.qc(&block));
        }
        Self { members, qcs }
    }

    fn qc(&self, round: u64) -> &Verified<QuorumCert> {
        &self.qcs[usize::try_from(round).unwrap()]
    }

    /// Blocks of the same round and parent differ in their transactions.
    fn block(&self, round: u64, parent: u64, transactions: u64) -> Verified<Block> {
        Members::block(ME, Round(round), transactions, self.qc(parent))
    }

    fn tc(&self, round: u64, high_qc: u64) -> Verified<TimeoutCert> {
        self.members.tc(Round(round), &[(ME, self.qc(high_qc))])
    }

    fn safety(&self, record: SafetyRecord) -> Safety {
        Safety::new(Arc::new(self.members.key(ME)), ME, &self.members.committee, record)
    }

    fn fresh(&self) -> Safety {
        self.safety(SafetyRecord::new(NETWORK, EPOCH))
    }
}

#[derive(Default)]
struct Disk {
    writes: Vec<Vec<u8>>,
    blocks: Vec<BlockId>,
    attested: Vec<Round>,
    broken: bool,
    unattested: bool,
}

impl SafetyStore for Disk {
    type Error = &'static str;

    fn write_sync(&mut self, write: &SafetyWrite<'_>) -> Result<(), Self::Error> {
        if self.broken {
            return Err("disk");
        }
        self.writes.push(write.record.clone());
        self.blocks.extend(write.block.map(|block| block.id()));
        Ok(())
    }

    fn attest(&mut self, write: &SafetyWrite<'_>) -> Result<(), Self::Error> {
        assert_eq!(self.writes.last(), Some(&write.record), "after the record itself");
        if self.unattested {
            return Err("witness");
        }
        self.attested.push(write.round);
        Ok(())
    }
}

fn vote(safety: &mut Safety, block: &Verified<Block>, tc: Option<&Verified<TimeoutCert>>) -> Result<(), Unsafe> {
    safety.approve_vote(block, tc, state_of(block.id())).map(|unsaved| drop(persist(&mut Disk::default(), unsaved).unwrap()))
}

fn timeout(safety: &mut Safety, round: u64, qc: &Verified<QuorumCert>, tc: Option<&Verified<TimeoutCert>>) -> Result<(), Unsafe> {
    safety.approve_timeout(Round(round), qc, tc).map(|unsaved| drop(persist(&mut Disk::default(), unsaved).unwrap()))
}

#[test]
fn votes_by_the_two_clauses_of_safe_to_vote() {
    let f = Fixture::new(6);
    // (round, parent's certificate, timeout certificate: round and highest certificate in it) on a fresh record.
    let table = [
        ((1, 0, None), Ok(())),
        ((2, 1, None), Ok(())),
        ((3, 1, None), Err(Unsafe::DoesNotExtend)),
        ((3, 1, Some((2, 1))), Ok(())),
        ((3, 1, Some((2, 0))), Ok(())),
        // B7: the leader hides a certificate that a signer of the timeout certificate has reported.
        ((4, 1, Some((3, 2))), Err(Unsafe::DoesNotExtend)),
        // A timeout certificate of another round leads elsewhere.
        ((4, 1, Some((2, 1))), Err(Unsafe::DoesNotExtend)),
        ((4, 1, Some((4, 1))), Err(Unsafe::DoesNotExtend)),
        // A certificate of the round before needs no timeout certificate.
        ((3, 2, Some((2, 1))), Ok(())),
        // Not later than its parent.
        ((2, 2, None), Err(Unsafe::Voted(Round(0)))),
        ((2, 3, Some((1, 0))), Err(Unsafe::Voted(Round(0)))),
    ];
    for ((round, parent, tc), expected) in table {
        let tc = tc.map(|(round, high)| f.tc(round, high));
        assert_eq!(vote(&mut f.fresh(), &f.block(round, parent, 0), tc.as_ref()), expected, "round {round} on {parent} with {tc:?}");
    }
}

#[test]
fn times_out_by_safe_to_timeout() {
    let f = Fixture::new(6);
    // After a vote for round 4 on the certificate of round 3: (round, high certificate, timeout certificate) on that record.
    let table = [
        ((4, 3, None), Ok(())),
        ((5, 4, None), Ok(())),
        ((5, 3, Some((4, 3))), Ok(())),
        ((5, 3, Some((4, 2))), Ok(())),
        // SAFE-3: the certificate of the voted block is not hidden.
        ((5, 2, Some((4, 2))), Err(Unsafe::HidesQc)),
        ((3, 2, None), Err(Unsafe::HidesQc)),
        // E9: no certificate leads into the round; the paper would read a missing timeout certificate here.
        ((5, 3, None), Err(Unsafe::NoCertificate(Round(5)))),
        ((6, 3, Some((4, 3))), Err(Unsafe::NoCertificate(Round(6)))),
        // Rounds that are over, or not later than the certificate.
        ((3, 3, None), Err(Unsafe::Voted(Round(4)))),
        ((4, 4, None), Err(Unsafe::Voted(Round(4)))),
        ((5, 6, None), Err(Unsafe::Voted(Round(4)))),
    ];
    for ((round, high, tc), expected) in table {
        let mut safety = f.fresh();
        vote(&mut safety, &f.block(4, 3, 0), None).unwrap();
        let tc = tc.map(|(round, high)| f.tc(round, high));
        assert_eq!(timeout(&mut safety, round, f.qc(high), tc.as_ref()), expected, "round {round}, certificate {high}, {tc:?}");
    }
}

#[test]
fn safe_1_refuses_a_second_vote_in_a_round_and_any_vote_below() {
    let f = Fixture::new(4);
    let mut safety = f.fresh();
    vote(&mut safety, &f.block(3, 2, 0), None).unwrap();
    assert_eq!(vote(&mut safety, &f.block(3, 2, 1), None), Err(Unsafe::Voted(Round(3))));
    assert_eq!(vote(&mut safety, &f.block(2, 1, 0), None), Err(Unsafe::Voted(Round(3))));
    vote(&mut safety, &f.block(4, 3, 0), None).unwrap();
}

#[test]
fn s9_gives_the_same_vote_again_and_never_another_state_for_the_same_block() {
    let f = Fixture::new(2);
    let mut safety = f.fresh();
    let block = f.block(2, 1, 0);
    vote(&mut safety, &block, None).unwrap();
    let record = safety.record().clone();
    vote(&mut safety, &block, None).unwrap();
    assert_eq!(*safety.record(), record);
    assert!(matches!(safety.approve_vote(&block, None, StateId::default()), Err(Unsafe::Voted(Round(2)))));
    // And after a crash.
    let mut safety = f.safety(SafetyRecord::decode(&codec::encode(&record)).unwrap());
    vote(&mut safety, &block, None).unwrap();
    assert_eq!(vote(&mut safety, &f.block(2, 1, 1), None), Err(Unsafe::Voted(Round(2))));
}

#[test]
fn never_votes_in_a_round_that_it_gave_up() {
    let f = Fixture::new(4);
    let mut safety = f.fresh();
    timeout(&mut safety, 3, f.qc(2), None).unwrap();
    assert_eq!(vote(&mut safety, &f.block(3, 2, 0), None), Err(Unsafe::Voted(Round(3))));
    assert_eq!(vote(&mut safety, &f.block(2, 1, 0), None), Err(Unsafe::Voted(Round(3))));
    vote(&mut safety, &f.block(4, 3, 0), None).unwrap();
}

#[test]
fn s9_does_not_give_a_vote_again_once_its_round_was_given_up() {
    let f = Fixture::new(2);
    let mut safety = f.fresh();
    let block = f.block(2, 1, 0);
    vote(&mut safety, &block, None).unwrap();
    timeout(&mut safety, 2, f.qc(1), None).unwrap();
    assert_eq!(vote(&mut safety, &block, None), Err(Unsafe::Voted(Round(2))));
}

#[test]
fn b3_gives_the_same_timeout_again_and_never_one_with_another_certificate() {
    let f = Fixture::new(4);
    let mut safety = f.fresh();
    let (tc, other) = (f.tc(3, 1), f.tc(3, 2));
    assert_eq!(safety.record().last_timeout(), None);
    timeout(&mut safety, 4, f.qc(1), Some(&tc)).unwrap();
    for mut safety in [f.safety(safety.record().clone()), f.safety(SafetyRecord::decode(&codec::encode(safety.record())).unwrap())] {
        // D10: after a restart, the record is all a validator has for repeating its timeout.
        assert_eq!(safety.record().last_timeout(), Some((Round(4), &**f.qc(1), Some(&*tc))));
        timeout(&mut safety, 4, f.qc(1), Some(&tc)).unwrap();
        assert_eq!(timeout(&mut safety, 4, f.qc(2), Some(&tc)), Err(Unsafe::Voted(Round(4))));
        assert_eq!(timeout(&mut safety, 4, f.qc(1), Some(&other)), Err(Unsafe::Voted(Round(4))));
        assert_eq!(timeout(&mut safety, 4, f.qc(3), None), Err(Unsafe::Voted(Round(4))));
        timeout(&mut safety, 5, f.qc(4), None).unwrap();
    }
}

#[test]
fn e6_a_timeout_carries_no_timeout_certificate_beside_the_certificate_of_the_round_before() {
    let f = Fixture::new(3);
    let mut safety = f.fresh();
    let ballot = persist(&mut Disk::default(), safety.approve_timeout(Round(3), f.qc(2), Some(&f.tc(2, 1))).unwrap()).unwrap();
    let Some(Signed::Timeout(message)) = safety.sign(ballot, f.qc(2)) else { panic!("a timeout") };
    assert_eq!(message.last_round_tc(), None);
}

#[test]
fn safe_5_proposes_once_in_a_round_restarts_included() {
    let f = Fixture::new(3);
    let mut safety = f.fresh();
    let propose = |safety: &mut Safety, block| safety.approve_proposal(block, None).map(drop);
    propose(&mut safety, f.block(2, 1, 0)).unwrap();
    for mut safety in [f.safety(safety.record().clone()), f.safety(SafetyRecord::decode(&codec::encode(safety.record())).unwrap())] {
        assert_eq!(propose(&mut safety, f.block(2, 1, 1)), Err(Unsafe::Proposed(Round(2))));
        assert_eq!(propose(&mut safety, f.block(2, 1, 0)), Err(Unsafe::Proposed(Round(2))));
        assert_eq!(propose(&mut safety, f.block(1, 0, 0)), Err(Unsafe::Proposed(Round(2))));
        propose(&mut safety, f.block(3, 2, 0)).unwrap();
    }
}

#[test]
fn commits_the_parent_in_consecutive_rounds_only() {
    let f = Fixture::new(3);
    for (round, parent, tc, commits) in [(3, 2, None, true), (3, 1, Some(f.tc(2, 1)), false), (1, 0, None, true)] {
        let mut safety = f.fresh();
        let block = f.block(round, parent, 0);
        let saved = persist(&mut Disk::default(), safety.approve_vote(&block, tc.as_ref(), state_of(block.id())).unwrap()).unwrap();
        let Some(Signed::Vote(vote)) = safety.sign(saved, f.qc(0)) else { panic!("a vote") };
        assert_eq!(vote.commit_info.commit_state_id, commits.then_some(f.qc(parent).vote_info.exec_state_id), "round {round} on {parent}");
        // E13, E14: what is signed binds the vote info, the network and the epoch.
        assert_eq!(vote.commit_info.vote_info_hash, vote.vote_info.digest());
        assert_eq!((vote.commit_info.genesis_hash, vote.commit_info.epoch), (NETWORK, EPOCH));
        f.members.verifier.vote((*vote).clone()).unwrap();
    }
}

#[test]
fn s3_the_first_vote_commits_genesis_again() {
    let f = Fixture::new(0);
    let mut safety = f.fresh();
    let block = f.block(1, 0, 0);
    let unsaved = safety.approve_vote(&block, None, state_of(block.id())).unwrap();
    let saved = persist(&mut Disk::default(), unsaved).unwrap();
    let Ballot::Vote(info, commit) = saved.ballot() else { panic!("a vote") };
    assert_eq!(info.parent_id, f.qc(0).block_id());
    assert_ne!(info.parent_id, genesis_block_id(quorate_types::ids::GenesisHash::default()));
    assert_eq!(commit.commit_state_id, Some(f.qc(0).vote_info.exec_state_id));
}

#[test]
fn safe_4_a_failed_write_leaves_no_ballot_to_sign_and_a_good_one_holds_record_and_own_block() {
    let f = Fixture::new(2);
    let mut safety = f.fresh();
    let block = f.block(2, 1, 0);
    let mut disk = Disk { broken: true, ..Disk::default() };
    assert_eq!(persist(&mut disk, safety.approve_vote(&block, None, state_of(block.id())).unwrap()).map(drop), Err("disk"));
    disk.broken = false;
    drop(persist(&mut disk, safety.approve_vote(&block, None, state_of(block.id())).unwrap()).unwrap());
    assert_eq!(disk.blocks, []);
    drop(persist(&mut disk, safety.approve_proposal(block.clone(), None).unwrap()).unwrap());
    assert_eq!(disk.blocks, [block.id()]);
    assert_eq!(SafetyRecord::decode(disk.writes.last().unwrap()).unwrap(), *safety.record());
}

#[test]
fn s12_the_record_of_a_vote_holds_the_lock_that_the_vote_takes() {
    let f = Fixture::new(4);
    let mut safety = f.fresh();
    let unsaved = safety.approve_vote(&f.block(4, 3, 0), None, StateId::default()).unwrap();
    assert_eq!((unsaved.record().highest_vote_round(), unsaved.record().highest_qc_round()), (Round(4), Round(3)));
}

#[test]
fn a_record_of_another_version_or_with_a_byte_too_many_is_refused() {
    let f = Fixture::new(3);
    let mut safety = f.fresh();
    vote(&mut safety, &f.block(2, 1, 0), None).unwrap();
    timeout(&mut safety, 3, f.qc(2), None).unwrap();
    let bytes = codec::encode(safety.record());
    assert_eq!(SafetyRecord::decode(&bytes).unwrap(), *safety.record());
    let mut other = bytes.clone();
    other[0] = 2;
    assert!(SafetyRecord::decode(&other).unwrap_err().to_string().contains("version 2"));
    let mut long = bytes.clone();
    long.push(0);
    assert!(SafetyRecord::decode(&long).is_err());
    for len in 0..bytes.len() {
        assert!(SafetyRecord::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn the_record_stays_small_with_the_largest_committee() {
    let members = Members::equal(128);
    let block = Members::block(ME, Round(1), 0, &members.genesis_qc());
    let qc = members.qc_of(&block, state_of(block.id()), &members.ids());
    let signers: Vec<_> = members.ids().into_iter().map(|id| (id, &qc)).collect();
    let tc = members.tc(Round(2), &signers);
    let mut safety = Safety::new(Arc::new(members.key(ME)), ME, &members.committee, SafetyRecord::new(NETWORK, EPOCH));
    let unsaved = safety.approve_timeout(Round(3), &qc, Some(&tc)).unwrap();
    assert!(codec::encode(unsaved.record()).len() < SAFETY_RECORD_BYTES_MAX / 16);
}

// ---- exhaustive, small scope ------------------------------------------------------------------------------------------------------------

/// A request to the rules, in plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// Vote for the block `variant` of a round on a parent's certificate, with a timeout certificate (round, highest certificate).
    Vote { round: u64, parent: u64, variant: u64, tc: Option<(u64, u64)> },
    /// Give a round up.
    Timeout { round: u64, high: u64, tc: Option<(u64, u64)> },
}

/// Whether the rules of paper §3.4 allow a signature, derived from the paper's text and the list of earlier signatures alone.
fn may(signed: &[Ask], ask: Ask) -> bool {
    let led_into = |round: u64, parent: u64, tc: Option<(u64, u64)>, by_any: bool| {
        parent + 1 == round || tc.is_some_and(|(tc, highest)| tc + 1 == round && (by_any || parent >= highest))
    };
    let round_of = |ask: &Ask| match *ask {
        Ask::Vote { round, .. } | Ask::Timeout { round, .. } => round,
    };
    match ask {
        Ask::Vote { round, parent, variant, tc } => {
            let last_vote = signed.iter().rev().find(|ask| matches!(ask, Ask::Vote { .. }));
            if let Some(Ask::Vote { round: r, parent: p, variant: v, .. }) = last_vote
                && (*r, *p, *v) == (round, parent, variant)
            {
                return !signed.iter().any(|ask| matches!(ask, Ask::Timeout { round: given_up, .. } if *given_up >= round));
            }
            signed.iter().all(|before| round_of(before) < round) && parent < round && led_into(round, parent, tc, false)
        }
        Ask::Timeout { round, high, tc } => {
            let tc = if high + 1 == round { None } else { tc };
            let last_timeout = signed.iter().rev().find(|ask| matches!(ask, Ask::Timeout { .. }));
            if let Some(Ask::Timeout { round: r, high: h, tc: t }) = last_timeout
                && *r == round
            {
                return (*h, if *h + 1 == round { None } else { *t }) == (high, tc);
            }
            let locked = signed.iter().filter_map(|ask| match ask {
                Ask::Vote { parent, .. } => Some(*parent),
                Ask::Timeout { .. } => None,
            });
            signed.iter().all(|before| round_of(before) <= round)
                && locked.max().is_none_or(|lock| high >= lock)
                && high < round
                && led_into(round, high, tc, true)
        }
    }
}

/// What must hold for everything one validator ever signs, whatever the rules are (the proofs of paper §4.1 use nothing else).
#[expect(clippy::many_single_char_names, reason = "pairs of rounds, parents and variants")]
fn check_history(signed: &[Ask]) {
    for (later, ask) in signed.iter().enumerate() {
        for before in &signed[..later] {
            match (*before, *ask) {
                (Ask::Vote { round: a, parent: p, variant: v, .. }, Ask::Vote { round: b, parent: q, variant: w, .. }) => {
                    assert!(a != b || (p, v) == (q, w), "two votes in a round: {signed:?}");
                    assert!(a <= b, "vote rounds go down: {signed:?}");
                }
                (Ask::Vote { parent, .. }, Ask::Timeout { round, high, .. }) => {
                    // A repeated timeout was first signed before the vote.
                    let repeated = signed[..later].iter().any(|b| matches!(b, Ask::Timeout { round: r, .. } if *r == round));
                    assert!(repeated || high >= parent, "a timeout hides a certificate: {signed:?}");
                }
                (Ask::Timeout { round: a, .. }, Ask::Vote { round: b, .. }) => assert!(b > a, "a vote in a round given up: {signed:?}"),
                (Ask::Timeout { round: a, high: p, .. }, Ask::Timeout { round: b, high: q, .. }) => {
                    assert!(a != b || p == q, "two different timeouts of a round: {signed:?}");
                }
            }
        }
    }
}

/// A request with its block and its timeout certificate.
type Question = (Ask, Option<Verified<Block>>, Option<Verified<TimeoutCert>>);

struct Exhaustive<'a> {
    f: &'a Fixture,
    asks: Vec<Question>,
    sequences: u64,
    approved: u64,
}

impl Exhaustive<'_> {
    /// Makes every request after every history. Each request goes to a validator that has just restarted from the durable record of that
    /// history, so the search covers every crash between a write and the next request; a crash before a write is the shorter history.
    fn search(&mut self, safety: &mut Safety, signed: &mut Vec<Ask>, depth: u32) {
        if depth == 0 {
            return;
        }
        let durable = safety.record.clone();
        for index in 0..self.asks.len() {
            let (ask, block, tc) = &self.asks[index];
            let ask = *ask;
            safety.record = durable.clone();
            let verdict = match (ask, block) {
                (Ask::Vote { .. }, Some(block)) => safety.approve_vote(block, tc.as_ref(), StateId::default()),
                (Ask::Timeout { round, high, .. }, _) => safety.approve_timeout(Round(round), self.f.qc(high), tc.as_ref()),
                (Ask::Vote { .. }, None) => panic!("a vote needs a block"),
            };
            self.sequences += 1;
            assert_eq!(verdict.is_ok(), may(signed, ask), "{ask:?} after {signed:?}: {verdict:?}");
            let Ok(unsaved) = verdict else {
                assert_eq!(safety.record, durable, "a refusal changes nothing");
                continue;
            };
            self.approved += 1;
            assert_eq!(*unsaved.record(), safety.record);
            assert!(
                safety.record.highest_vote_round >= durable.highest_vote_round
                    && safety.record.highest_qc_round >= durable.highest_qc_round
            );
            signed.push(ask);
            check_history(signed);
            self.search(safety, signed, depth - 1);
            signed.pop();
        }
        safety.record = durable;
    }
}

#[test]
fn every_sequence_of_votes_and_timeouts_in_a_small_scope_is_as_the_paper_says() {
    const ROUNDS: u64 = 3;
    let f = Fixture::new(ROUNDS);
    let tcs = [None, Some((1, 0)), Some((2, 0)), Some((2, 1))];
    let mut asks = Vec::new();
    for round in 1..=ROUNDS {
        for parent in 0..=ROUNDS {
            for tc in tcs {
                let cert = tc.map(|(round, high)| f.tc(round, high));
                asks.push((Ask::Timeout { round, high: parent, tc }, None, cert.clone()));
                for variant in 0..2 {
                    let block = f.block(round, parent, variant);
                    asks.push((Ask::Vote { round, parent, variant, tc }, Some(block), cert.clone()));
                }
            }
        }
    }
    let mut search = Exhaustive { f: &f, asks, sequences: 0, approved: 0 };
    search.search(&mut f.fresh(), &mut Vec::new(), 4);
    // A search that approves nothing proves nothing.
    assert!(search.sequences > 100_000 && search.approved > 1_000, "{} sequences, {} approved", search.sequences, search.approved);
}

#[test]
fn the_records_bytes_are_what_the_diagram_says() {
    let f = Fixture::new(2);
    let mut safety = f.fresh();
    let block = f.block(2, 1, 0);
    vote(&mut safety, &block, None).unwrap();
    let bytes = codec::encode(safety.record());
    let mut expected = vec![1u8];
    expected.extend_from_slice(&NETWORK.0.0);
    for number in [0u64, 2, 1, 0] {
        expected.extend_from_slice(&number.to_le_bytes());
    }
    expected.push(1);
    assert_eq!(bytes[..expected.len()], expected);
    assert_eq!(bytes.last(), Some(&0), "no timeout yet");
}

/// SAFE-6, against a second derivation: the newest signed statement of every kind is remembered with its content. A newer statement, or a
/// different one of the same round, was signed by someone else; an older one cannot be judged.
#[test]
fn safe_6_a_record_covers_what_was_signed_and_nothing_newer() {
    let f = Fixture::new(6);
    let mut safety = f.fresh();
    let voted = |block: &Verified<Block>| {
        let parent = block.qc().vote_info;
        let vote_info = VoteInfo {
            id: block.id(),
            round: block.round(),
            parent_id: parent.id,
            parent_round: parent.round,
            exec_state_id: state_of(block.id()),
        };
        let commit_info = LedgerCommitInfo {
            genesis_hash: NETWORK,
            epoch: EPOCH,
            commit_state_id: vote_info.commits_parent().then_some(parent.exec_state_id),
            vote_info_hash: vote_info.digest(),
        };
        Statement::Vote(vote_info, commit_info)
    };
    let gave_up = |round, high_qc_round| Statement::Timeout { round: Round(round), high_qc_round: Round(high_qc_round) };
    let proposed = |block: &Verified<Block>| Statement::Proposal { round: block.round(), id: block.id() };
    let (third, other_third, fourth) = (f.block(3, 2, 0), f.block(3, 2, 1), f.block(4, 3, 0));

    for nothing in [voted(&third), gave_up(1, 0), proposed(&third)] {
        assert!(!safety.record().covers(&nothing), "a fresh record has signed nothing: {nothing:?}");
    }
    vote(&mut safety, &third, None).unwrap();
    timeout(&mut safety, 4, f.qc(3), None).unwrap();
    drop(persist(&mut Disk::default(), safety.approve_proposal(third.clone(), None).unwrap()).unwrap());
    let record = SafetyRecord::decode(&codec::encode(safety.record())).unwrap();
    for (statement, covered) in [
        (voted(&f.block(2, 1, 5)), true),
        (voted(&third), true),
        (voted(&other_third), false),
        // Not covered, although a timeout of round 4 has raised the counter of votes.
        (voted(&fourth), false),
        (gave_up(3, 2), true),
        (gave_up(4, 3), true),
        (gave_up(4, 2), false),
        (gave_up(5, 4), false),
        (proposed(&f.block(2, 1, 5)), true),
        (proposed(&third), true),
        (proposed(&other_third), false),
        (proposed(&fourth), false),
    ] {
        assert_eq!(record.covers(&statement), covered, "{statement:?}");
    }
    let Statement::Vote(vote_info, commit_info) = voted(&third) else { unreachable!() };
    let other_result = LedgerCommitInfo { commit_state_id: Some(StateId::default()), ..commit_info };
    assert!(!record.covers(&Statement::Vote(vote_info, other_result)), "the same block with another commit is another vote");
}

#[test]
fn safe_6_without_its_second_place_nothing_is_saved() {
    let f = Fixture::new(1);
    let mut safety = f.fresh();
    let mut disk = Disk { unattested: true, ..Disk::default() };
    let unsaved = safety.approve_vote(&f.block(2, 1, 0), None, state_of(BlockId::default())).unwrap();
    assert_eq!(persist(&mut disk, unsaved).err(), Some("witness"));
    assert_eq!(disk.writes.len(), 1, "the record itself came first");

    let mut disk = Disk { broken: true, ..Disk::default() };
    let unsaved = safety.approve_timeout(Round(2), f.qc(1), None).unwrap();
    assert_eq!(persist(&mut disk, unsaved).err(), Some("disk"));
    assert!(disk.attested.is_empty(), "never ahead of the record");

    let mut disk = Disk::default();
    drop(persist(&mut disk, safety.approve_proposal(f.block(4, 1, 0), None).unwrap()).unwrap());
    assert_eq!(disk.attested, [Round(4)], "the highest round of all kinds");
}

// ---- replacing a record by another one --------------------------------------------------------------------------------------------------

/// Everything that may be asked in rounds 1..=3, each with certificates that lead into its round, so that only the record can forbid it.
struct Asks {
    f: Fixture,
    votes: Vec<(Verified<Block>, Option<Verified<TimeoutCert>>)>,
    timeouts: Vec<(u64, u64, Option<Verified<TimeoutCert>>)>,
}

impl Asks {
    const ROUNDS: u64 = 3;

    fn new() -> Self {
        let f = Fixture::new(Self::ROUNDS);
        let (mut votes, mut timeouts) = (Vec::new(), Vec::new());
        for round in 1..=Self::ROUNDS {
            for parent in 0..round {
                let tc = (parent + 1 < round).then(|| f.tc(round - 1, 0));
                votes.extend((0..2).map(|variant| (f.block(round, parent, variant), tc.clone())));
                timeouts.push((round, parent, tc));
            }
        }
        Self { f, votes, timeouts }
    }

    fn count(&self) -> usize {
        2 * self.votes.len() + self.timeouts.len()
    }

    fn round(&self, ask: usize) -> u64 {
        let votes = self.votes.len();
        match self.votes.get(ask % votes).filter(|_| ask < 2 * votes) {
            Some((block, _)) => block.round().0,
            None => self.timeouts[ask - 2 * votes].0,
        }
    }

    /// The record after the statement of this number, if the rules allow it on this record.
    fn allowed(&self, record: &SafetyRecord, ask: usize) -> Option<SafetyRecord> {
        let mut safety = self.f.safety(record.clone());
        let verdict = if let Some((block, tc)) = self.votes.get(ask) {
            safety.approve_vote(block, tc.as_ref(), state_of(block.id()))
        } else if let Some((block, tc)) = self.votes.get(ask - self.votes.len()) {
            safety.approve_proposal(block.clone(), tc.clone())
        } else {
            let (round, high, tc) = &self.timeouts[ask - 2 * self.votes.len()];
            safety.approve_timeout(Round(*round), self.f.qc(*high), tc.as_ref())
        };
        verdict.is_ok().then(|| safety.record().clone())
    }

    /// Any record, also one that no validator makes.
    fn record(&self, [vote, qc, proposed]: [u64; 3], [last_vote, last_timeout, last_proposal]: [usize; 3]) -> SafetyRecord {
        let mut record = SafetyRecord::new(NETWORK, EPOCH);
        (record.highest_vote_round, record.highest_qc_round, record.last_proposed_round) = (Round(vote), Round(qc), Round(proposed));
        record.last_vote = self.votes.get(last_vote).map(|(block, tc)| {
            let unsaved = self.f.fresh().approve_vote(block, tc.as_ref(), state_of(block.id())).unwrap();
            let Ballot::Vote(info, commit) = unsaved.ballot() else { panic!("a vote") };
            (*info, *commit)
        });
        record.last_timeout = self.timeouts.get(last_timeout).map(|(round, high, tc)| LastTimeout {
            round: Round(*round),
            high_qc: (**self.f.qc(*high)).clone(),
            last_round_tc: tc.as_ref().map(|tc| (**tc).clone()),
        });
        record.last_proposal = self.votes.get(last_proposal).map(|(block, _)| block.id());
        record
    }

    /// All records after at most `depth` statements.
    fn reachable(&self, from: SafetyRecord, depth: u32) -> Vec<SafetyRecord> {
        let mut found = vec![from];
        let mut new = 0;
        for _ in 0..depth {
            for index in std::mem::replace(&mut new, found.len())..found.len() {
                for ask in 0..self.count() {
                    let after = self.allowed(&found[index], ask);
                    if let Some(after) = after.filter(|after| !found.contains(after)) {
                        found.push(after);
                    }
                }
            }
        }
        found
    }
}

#[test]
fn a_record_may_be_replaced_by_every_later_one_of_the_same_validator_and_never_the_other_way_round() {
    let asks = Asks::new();
    let all = asks.reachable(SafetyRecord::new(NETWORK, EPOCH), 2);
    assert!(all.len() > 50, "{}", all.len());
    for record in &all {
        for later in asks.reachable(record.clone(), 2) {
            assert_eq!(record.check_raise(&later), Ok(()), "{record:?} -> {later:?}");
            assert!(*record == later || later.check_raise(record).is_err(), "{record:?} <- {later:?}");
        }
    }
}

/// Whatever the two records hold, made by the rules or by an attacker: what replaces a record forbids all that it forbids.
#[test]
fn what_may_replace_a_record_allows_nothing_that_it_forbids() {
    use proptest::{array, bool, prelude::ProptestConfig, test_runner::TestRunner};
    let asks = Asks::new();
    let replaced = std::cell::Cell::new(0);
    let records = (array::uniform2(array::uniform3(0..5u64)), array::uniform2(array::uniform3(0..14usize)), array::uniform3(bool::ANY));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30_000) };
    let outcome = TestRunner::new(config).run(&records, |(counters, contents, same)| {
        let held = asks.record(counters[0], contents[0]);
        let mut later = asks.record(counters[1], contents[1]);
        // Equal parts are where a mistake would hide.
        if same[0] {
            later.last_vote = held.last_vote;
        }
        if same[1] {
            later.last_timeout = held.last_timeout.clone();
        }
        if same[2] {
            later.last_proposal = held.last_proposal;
        }
        if held.check_raise(&later).is_ok() {
            replaced.set(replaced.get() + 1);
            for ask in 0..asks.count() {
                let is_kept = asks.allowed(&later, ask).is_none() || asks.allowed(&held, ask).is_some();
                proptest::prop_assert!(is_kept, "{ask} is forbidden by {held:?} and allowed by {later:?}");
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(replaced.get() > 300, "{}", replaced.get());
}

#[test]
fn safe_8_a_raised_record_forbids_every_round_up_to_the_floor_and_nothing_above_the_next() {
    let asks = Asks::new();
    for record in asks.reachable(SafetyRecord::new(NETWORK, EPOCH), 2) {
        for floor in 0..=Asks::ROUNDS {
            let raised = record.raised_above(Round(floor));
            assert_eq!(record.check_raise(&raised), Ok(()), "{record:?} -> {raised:?}");
            for ask in 0..asks.count() {
                assert!(asks.round(ask) > floor || asks.allowed(&raised, ask).is_none(), "{ask} in {raised:?}");
            }
        }
    }
    let f = Fixture::new(9);
    let mut safety = f.fresh().abstaining();
    let block = f.block(5, 4, 0);
    assert_eq!(vote(&mut safety, &block, None), Err(Unsafe::Abstains));
    assert_eq!(timeout(&mut safety, 5, f.qc(4), None), Err(Unsafe::Abstains));
    assert_eq!(safety.approve_proposal(block, None).map(drop), Err(Unsafe::Abstains));
    assert_eq!(*safety.record(), SafetyRecord::new(NETWORK, EPOCH));
    safety.resume(Round(3));
    assert_eq!(*safety.record(), SafetyRecord::new(NETWORK, EPOCH).raised_above(Round(3)));
    timeout(&mut safety, 4, f.qc(3), None).unwrap();
    vote(&mut safety, &f.block(5, 4, 0), None).unwrap();
}

#[test]
fn a_record_of_a_later_epoch_forbids_everything_in_the_one_before() {
    let asks = Asks::new();
    let (mut held, mut later) = (asks.record([3, 2, 3], [99, 99, 0]), SafetyRecord::new(NETWORK, EPOCH.next()));
    assert_eq!(held.check_raise(&later), Ok(()));
    assert_eq!(later.check_raise(&held), Err(Lowers::Epoch { held: EPOCH.next(), given: EPOCH }));
    for ask in 0..asks.count() {
        assert_eq!(asks.allowed(&later, ask), None);
    }
    later.genesis_hash = GenesisHash::default();
    assert_eq!(held.check_raise(&later), Err(Lowers::Network));
    held.highest_qc_round = Round(4);
    assert_eq!(SafetyRecord::new(NETWORK, EPOCH).check_raise(&held), Err(Lowers::Inconsistent));
}
