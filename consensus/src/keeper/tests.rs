use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use quorate_types::{
    block::BlockHead,
    crypto::Hash,
    ids::{StateId, ValidatorId},
    round::UnixMillis,
    sighting::{Statement, StatementKind},
};

use super::*;

const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));

/// A file in memory. The value is a handle: clones share one file.
#[derive(Clone, Debug)]
struct MemoryFile {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// How many more writes succeed, and how many bytes of the next one get written.
    fails: Arc<Mutex<Option<(usize, usize)>>>,
}

impl MemoryFile {
    fn new(content: Vec<u8>) -> Self {
        Self { bytes: Arc::new(Mutex::new(content)), fails: Arc::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl KeeperFile for MemoryFile {
    type Error = ();

    fn write_sync(&mut self, at: usize, bytes: &[u8]) -> Result<(), ()> {
        let mut fails = self.fails.lock().unwrap();
        let written = match &mut *fails {
            None => bytes.len(),
            Some((0, written)) => *written,
            Some((left, _)) => {
                *left -= 1;
                bytes.len()
            }
        };
        self.bytes.lock().unwrap()[at..at + written].copy_from_slice(&bytes[..written]);
        if written == bytes.len() { Ok(()) } else { Err(()) }
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

fn keeper() -> (Keeper<MemoryFile>, MemoryFile) {
    let file = MemoryFile::new(new_file(key().public(), &Record::new(NETWORK, Epoch(0))));
    (reopened(&file), file)
}

fn reopened(file: &MemoryFile) -> Keeper<MemoryFile> {
    Keeper::open(key(), file.clone(), &file.bytes()).unwrap()
}

fn vote(epoch: u64, round: u64, parent_round: u64, block: u8) -> Unsigned {
    let vote_info = VoteInfo {
        id: BlockId(Hash([block; 32])),
        round: Round(round),
        parent_id: BlockId(Hash([200; 32])),
        parent_round: Round(parent_round),
        exec_state_id: StateId(Hash([block; 32])),
    };
    let commit_info = LedgerCommitInfo {
        genesis_hash: NETWORK,
        epoch: Epoch(epoch),
        commit_state_id: vote_info.commits_parent().then_some(StateId(Hash([9; 32]))),
        vote_info_hash: vote_info.digest(),
    };
    Unsigned::Vote(vote_info, commit_info)
}

fn timeout(epoch: u64, round: u64, high_qc_round: u64) -> Unsigned {
    Unsigned::Timeout { genesis_hash: NETWORK, epoch: Epoch(epoch), round: Round(round), high_qc_round: Round(high_qc_round) }
}

fn proposal(epoch: u64, round: u64, payload: u8) -> Unsigned {
    let head = BlockHead {
        author: ValidatorId(0),
        round: Round(round),
        timestamp: UnixMillis(round),
        transactions: 0,
        payload: Hash([payload; 32]),
        qc: Hash([0; 32]),
    };
    Unsigned::Proposal { genesis_hash: NETWORK, epoch: Epoch(epoch), head }
}

#[test]
fn it_signs_what_a_validator_says_and_the_same_again() {
    let (mut keeper, file) = keeper();
    for unsigned in
        [proposal(0, 1, 1), vote(0, 1, 0, 1), vote(0, 2, 1, 2), timeout(0, 2, 1), timeout(0, 3, 1), proposal(0, 4, 1), vote(0, 4, 1, 3)]
    {
        let signature = keeper.sign(&unsigned).unwrap();
        assert!(key().public().decode().unwrap().verify(&unsigned.digest(), &signature).is_ok());
        assert_eq!(keeper.sign(&unsigned), Ok(signature), "{unsigned:?}");
        keeper = reopened(&file);
        assert_eq!(keeper.sign(&unsigned), Ok(signature), "{unsigned:?}");
    }
}

#[test]
fn each_rule_refuses_with_its_own_reason() {
    let (mut keeper, _file) = keeper();
    keeper.sign(&vote(0, 5, 4, 1)).unwrap();
    keeper.sign(&proposal(0, 5, 1)).unwrap();
    let refused = |keeper: &mut Keeper<MemoryFile>, unsigned: Unsigned| keeper.sign(&unsigned).unwrap_err();
    assert_eq!(refused(&mut keeper, vote(0, 5, 4, 2)), Refusal::Voted(Round(5)));
    assert_eq!(refused(&mut keeper, vote(0, 4, 3, 2)), Refusal::Voted(Round(5)));
    assert_eq!(refused(&mut keeper, proposal(0, 5, 2)), Refusal::Proposed(Round(5)));
    assert_eq!(refused(&mut keeper, proposal(0, 4, 1)), Refusal::Proposed(Round(5)));
    // The lock: the vote was for a block on the certificate of round 4.
    assert_eq!(refused(&mut keeper, timeout(0, 5, 3)), Refusal::HidesQc(Round(4)));
    assert_eq!(refused(&mut keeper, timeout(0, 4, 3)), Refusal::Voted(Round(5)));
    keeper.sign(&timeout(0, 5, 4)).unwrap();
    assert_eq!(refused(&mut keeper, vote(0, 5, 4, 1)), Refusal::Voted(Round(5)), "the round was given up");
    keeper.sign(&timeout(0, 6, 4)).unwrap();
    assert_eq!(refused(&mut keeper, timeout(0, 6, 5)), Refusal::Voted(Round(6)), "one timeout in a round");
    assert_eq!(refused(&mut keeper, vote(0, 6, 5, 1)), Refusal::Voted(Round(6)));

    // What no honest node says.
    let Unsigned::Vote(vote_info, commit_info) = vote(0, 9, 8, 1) else { unreachable!() };
    let other_block = LedgerCommitInfo { vote_info_hash: Hash([1; 32]), ..commit_info };
    let commits_nothing = LedgerCommitInfo { commit_state_id: None, ..commit_info };
    for unsigned in [Unsigned::Vote(vote_info, other_block), Unsigned::Vote(vote_info, commits_nothing), vote(0, 9, 9, 1)] {
        assert_eq!(refused(&mut keeper, unsigned), Refusal::Inconsistent, "{unsigned:?}");
    }
    let limit = Round::LIMIT.0;
    for unsigned in [timeout(0, 9, 9), timeout(0, limit, 8), vote(0, limit, 8, 1), proposal(0, 0, 1), proposal(0, limit, 1)] {
        assert_eq!(refused(&mut keeper, unsigned), Refusal::Inconsistent, "{unsigned:?}");
    }
    let foreign = Unsigned::Timeout { genesis_hash: GenesisHash(Hash([8; 32])), epoch: Epoch(0), round: Round(9), high_qc_round: Round(8) };
    assert_eq!(refused(&mut keeper, foreign), Refusal::Network(NETWORK));

    // Rounds begin again with an epoch, and no earlier one is served any more.
    keeper.sign(&vote(1, 1, 0, 1)).unwrap();
    assert_eq!(refused(&mut keeper, vote(0, 9, 8, 1)), Refusal::Epoch(Epoch(1)));
    assert_eq!(keeper.record().scope(), (NETWORK, Epoch(1)));
    assert_eq!(keeper.record().highest_round(), Round(1));
}

#[test]
fn a_write_that_fails_or_is_torn_signs_nothing_and_nothing_after_it_either() {
    for torn in [0, 10, 700, 1_040] {
        let (mut keeper, file) = keeper();
        keeper.sign(&vote(0, 1, 0, 1)).unwrap();
        *file.fails.lock().unwrap() = Some((0, torn));
        assert_eq!(keeper.sign(&vote(0, 2, 1, 1)), Err(Refusal::Broken));
        *file.fails.lock().unwrap() = None;
        assert_eq!(keeper.sign(&vote(0, 3, 2, 1)), Err(Refusal::Broken), "what the disk holds is not known");
        // The older slot is intact.
        let mut keeper = reopened(&file);
        assert_eq!(keeper.sign(&vote(0, 1, 0, 2)), Err(Refusal::Voted(Round(1))), "{torn}");
        keeper.sign(&vote(0, 2, 1, 2)).unwrap();
    }
}

/// After a sync that failed, the system may show what the disk does not hold.
#[test]
fn what_a_start_relies_on_is_written_again_in_its_place() {
    let (mut keeper, file) = keeper();
    keeper.sign(&vote(0, 1, 0, 1)).unwrap();
    let bytes = file.bytes();
    *file.fails.lock().unwrap() = Some((0, 0));
    assert_eq!(Keeper::open(key(), file.clone(), &bytes).unwrap_err(), KeeperDamaged::Unwritable);
    *file.fails.lock().unwrap() = None;
    // The disk has the slot before.
    let (_, older) = self::keeper();
    *file.bytes.lock().unwrap() = older.bytes();
    Keeper::open(key(), file.clone(), &bytes).unwrap();
    assert_eq!(file.bytes(), bytes);
}

#[test]
fn the_file_has_golden_bytes() {
    let (mut keeper, file) = keeper();
    for unsigned in [vote(0, 2, 1, 5), timeout(0, 3, 1), proposal(0, 4, 6)] {
        keeper.sign(&unsigned).unwrap();
    }
    let bytes = file.bytes();
    assert_eq!(bytes.len(), slots::FILE_BYTES);
    let digest = Hash::of(&KEEPER_SLOT, &bytes);
    assert_eq!(digest.to_string(), "68cc63fb7d95aad32d106c4560055baef3d452d462b6e1a7eafb53bf60fb733e", "a new format needs a new magic");
}

#[test]
fn a_file_of_another_key_or_without_an_intact_slot_is_refused() {
    let (_, file) = keeper();
    let other = SigningKey::from_seed(&[4; 32]);
    assert_eq!(Keeper::open(other, file.clone(), &file.bytes()).unwrap_err(), KeeperDamaged::OtherKey(key().public()));
    let mut bytes = file.bytes();
    for at in [5, 4_096 + 5] {
        bytes[at] ^= 1;
    }
    assert_eq!(read_file(&bytes), Err(KeeperDamaged::Slots));
    for length in [0, 100, 1_055] {
        assert_eq!(read_file(&file.bytes()[..length]), Err(KeeperDamaged::Slots), "{length}");
    }
}

/// What two signatures of one key may not be: evidence, or a timeout that hides the certificate of an earlier vote.
fn contradict(first: &Unsigned, second: &Unsigned) -> bool {
    if first.scope() != second.scope() {
        return false;
    }
    match (first.statement(), second.statement()) {
        (Statement::Vote(a, x), Statement::Vote(b, y)) => a.round == b.round && (a, x) != (b, y),
        (Statement::Proposal { round: a, id: x }, Statement::Proposal { round: b, id: y }) => a == b && x != y,
        (Statement::Timeout { round: a, high_qc_round: x }, Statement::Timeout { round: b, high_qc_round: y }) => a == b && x != y,
        (Statement::Vote(vote, _), Statement::Timeout { round, high_qc_round }) => round >= vote.round && high_qc_round < vote.parent_round,
        _ => false,
    }
}

fn any_statement() -> impl Strategy<Value = Unsigned> {
    let rounds = (0..2_u64, 1..6_u64, 0..6_u64, 0..3_u8);
    (rounds, 0..3).prop_map(|((epoch, round, below, content), kind)| match kind {
        0 => vote(epoch, round, below, content),
        1 => timeout(epoch, round, below),
        _ => proposal(epoch, round, content),
    })
}

proptest! {
    /// Whoever asks for whatever, with power cuts between: the rules are derived again from the signatures alone.
    #[test]
    fn no_two_signatures_contradict_each_other(asked in prop::collection::vec((any_statement(), any::<bool>()), 1..60)) {
        let (mut keeper, file) = keeper();
        let mut signed: Vec<Unsigned> = Vec::new();
        for (unsigned, restarts) in asked {
            if restarts {
                keeper = reopened(&file);
            }
            if keeper.sign(&unsigned).is_ok() {
                for earlier in &signed {
                    prop_assert!(!contradict(earlier, &unsigned), "{earlier:?} {unsigned:?}");
                    if earlier.scope() == unsigned.scope() {
                        // §3.4: no vote in a round that was given up, and votes only go forward.
                        if let (Statement::Timeout { round, .. }, Statement::Vote(vote, _)) = (earlier.statement(), unsigned.statement()) {
                            prop_assert!(vote.round > round, "{earlier:?} {unsigned:?}");
                        }
                    }
                    prop_assert!(earlier.scope().1 <= unsigned.scope().1, "{earlier:?} {unsigned:?}");
                }
                signed.push(unsigned);
            }
        }
    }

    /// It is no stricter than that: what contradicts nothing signed and goes forward is signed.
    #[test]
    fn what_goes_forward_is_signed(kinds in prop::collection::vec(0..3_u8, 1..60)) {
        let (mut keeper, _file) = keeper();
        let mut last = BTreeMap::from([(StatementKind::Vote, 0), (StatementKind::Proposal, 0)]);
        let mut lock = 0;
        for (kind, round) in kinds.into_iter().zip(1..) {
            let unsigned = match kind {
                0 => vote(0, round, round - 1, 1),
                1 => timeout(0, round, lock),
                _ => proposal(0, round, 1),
            };
            prop_assert!(keeper.sign(&unsigned).is_ok(), "{unsigned:?}");
            if kind == 0 {
                lock = round - 1;
            }
            last.insert(unsigned.statement().kind(), round);
        }
    }
}
