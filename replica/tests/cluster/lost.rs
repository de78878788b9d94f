//! A validator that has lost its memory and signs again, and one that takes its memory to another machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use quorate_ledger::MemoryStore;
use quorate_replica::{Input, MemoryWitness, RecoverError, SafetyState, TransferError, forget, moved};
use quorate_types::{
    crypto::{Hash, PublicKey},
    ids::ValidatorId,
    message::{Message, RecoveryAnswer},
    round::Round,
};

use super::{
    Cluster,
    epochs::{epochs, governed, set_power, transfer},
};

/// The one that loses its memory.
const LOST: u16 = 3;
const NONCE: Hash = Hash([7; 32]);

fn key(cluster: &Cluster, id: u16) -> PublicKey {
    cluster.verifier.committee().get(ValidatorId(id)).unwrap().consensus_key
}

/// Wipes a validator's data, and begins its way back.
fn wipe(cluster: &mut Cluster, id: u16, nonce: Hash) {
    cluster.replicas.remove(&id);
    cluster.stores[usize::from(id)] = MemoryStore::new();
    begin(cluster, id, nonce);
}

fn begin(cluster: &mut Cluster, id: u16, nonce: Hash) {
    let (store, witness) = (&cluster.stores[usize::from(id)], &cluster.witnesses[&id]);
    let content = forget(store, Some(&witness.bytes()), key(cluster, id), cluster.verifier.genesis_hash(), nonce).unwrap();
    witness.set_bytes(content);
}

/// Every statement with a validator's signature, by epoch, kind and round.
fn signed(cluster: &Cluster, of: u16) -> BTreeMap<(u64, &'static str, u64), BTreeSet<String>> {
    let mut signed = BTreeMap::<_, BTreeSet<_>>::new();
    for (_, bytes) in cluster.recorded.iter().filter(|(from, _)| *from == of) {
        let message = Message::decode(bytes).unwrap();
        let statement = match &message {
            Message::Proposal(proposal) => proposal.block.id().to_string(),
            Message::Vote(vote) => format!("{:?}", vote.commit_info),
            Message::Timeout(timeout) => timeout.timeout.high_qc.round().to_string(),
            _ => continue,
        };
        let (epoch, round) = (message.epoch().unwrap().0, message.round().unwrap().0);
        signed.entry((epoch, message.kind(), round)).or_default().insert(statement);
    }
    signed
}

fn contradictions(cluster: &Cluster, of: u16) -> usize {
    signed(cluster, of).values().filter(|statements| statements.len() > 1).count()
}

fn last_signed(cluster: &Cluster, of: u16) -> Option<(u64, u64)> {
    signed(cluster, of).keys().map(|(epoch, _, round)| (*epoch, *round)).max()
}

fn abstains(cluster: &Cluster, id: u16) -> bool {
    cluster.replicas[&id].abstaining().is_some()
}

/// A cluster under way, with everything recorded.
fn under_way() -> Cluster {
    let mut cluster = governed(4);
    cluster.record = true;
    for sequence in 0..6 {
        transfer(&mut cluster, u16::try_from(sequence % 4).unwrap(), sequence);
    }
    cluster
}

/// Transfers at a validator that has lost nothing, until the other one signs again.
fn until_it_signs(cluster: &mut Cluster, id: u16, mut sequence: u64) -> u64 {
    while abstains(cluster, id) {
        transfer(cluster, 0, sequence);
        sequence += 1;
        assert!(sequence < 60, "{:?}", cluster.replicas[&id].abstaining());
    }
    sequence
}

#[test]
fn a_wiped_validator_signs_again_above_all_that_it_may_have_signed_and_contradicts_nothing() {
    let mut cluster = under_way();
    let before = last_signed(&cluster, LOST).unwrap();
    wipe(&mut cluster, LOST, NONCE);
    cluster.start(LOST);
    cluster.run();
    assert!(abstains(&cluster, LOST));
    let sequence = until_it_signs(&mut cluster, LOST, 6);
    for sequence in sequence..sequence + 12 {
        transfer(&mut cluster, 0, sequence);
    }
    let after = signed(&cluster, LOST).keys().map(|(epoch, _, round)| (*epoch, *round)).filter(|at| *at > before).min().unwrap();
    assert!(after > (before.0, before.1 + 1), "{before:?} {after:?}");
    assert_eq!(contradictions(&cluster, LOST), 0);
    // It is needed for the quorum, and restarts as any other, shown its forgotten signatures or not.
    cluster.replicas.remove(&0);
    cluster.replicas.remove(&LOST);
    cluster.start(LOST);
    cluster.run();
    assert!(!abstains(&cluster, LOST) && cluster.stopped.is_empty(), "{:?}", cluster.stopped);
    transfer(&mut cluster, 1, sequence + 12);
    assert_eq!(contradictions(&cluster, LOST), 0);
}

#[test]
fn a_home_that_was_put_back_or_was_stopped_comes_back_the_same_way() {
    for stopped in [false, true] {
        let mut cluster = governed(4);
        cluster.record = true;
        transfer(&mut cluster, 0, 0);
        let (store, witness) = (cluster.stores[3].snapshot(), cluster.witnesses[&3].snapshot());
        for sequence in 1..6 {
            transfer(&mut cluster, 0, sequence);
        }
        cluster.replicas.remove(&LOST);
        cluster.stores[3] = store;
        cluster.witnesses.insert(LOST, witness);
        if stopped {
            cluster.start(LOST);
            cluster.run();
            cluster.pass(Duration::from_secs(30));
            assert!(cluster.stopped.remove(&LOST).is_some() && cluster.open(LOST).is_err());
        }
        begin(&mut cluster, LOST, NONCE);
        cluster.start(LOST);
        cluster.run();
        let sequence = until_it_signs(&mut cluster, LOST, 6);
        let before = last_signed(&cluster, LOST);
        for sequence in sequence..sequence + 8 {
            transfer(&mut cluster, 0, sequence);
        }
        assert!(last_signed(&cluster, LOST) > before && cluster.stopped.is_empty(), "{:?}", cluster.stopped);
        assert_eq!(contradictions(&cluster, LOST), 0);
    }
}

/// Its own power does not count, so with four validators all three others must answer, and a chain that needs it stands still.
#[test]
fn without_a_quorum_of_others_it_signs_nothing_for_ever() {
    let mut cluster = under_way();
    cluster.replicas.remove(&2);
    wipe(&mut cluster, LOST, NONCE);
    cluster.record = true;
    let before = signed(&cluster, LOST);
    cluster.start(LOST);
    cluster.submit(0, 6, 6);
    cluster.pass(Duration::from_secs(600));
    assert_eq!(signed(&cluster, LOST), before);
    let abstaining = cluster.replicas[&LOST].abstaining().unwrap();
    assert!(abstaining.can_end && abstaining.answered == 2 && abstaining.floor.is_none(), "{abstaining:?}");
    // The third one is back: the two that abstained from nothing carry on.
    cluster.start(2);
    cluster.run();
    cluster.pass(Duration::from_secs(60));
    until_it_signs(&mut cluster, LOST, 7);
    assert_eq!(contradictions(&cluster, LOST), 0);
}

#[test]
fn two_that_have_lost_their_memory_give_each_other_no_answer() {
    let mut cluster = under_way();
    let before = (signed(&cluster, 2), signed(&cluster, LOST));
    wipe(&mut cluster, 2, Hash([8; 32]));
    wipe(&mut cluster, LOST, NONCE);
    for id in [2, LOST] {
        cluster.start(id);
    }
    cluster.submit(0, 6, 6);
    cluster.pass(Duration::from_secs(600));
    assert!(abstains(&cluster, 2) && abstains(&cluster, LOST));
    assert_eq!((signed(&cluster, 2), signed(&cluster, LOST)), before);
}

#[test]
fn a_crash_on_the_way_comes_back_to_signing_nothing() {
    let mut cluster = under_way();
    wipe(&mut cluster, LOST, NONCE);
    let before = signed(&cluster, LOST);
    cluster.start(LOST);
    cluster.run();
    for _ in 0..3 {
        assert!(abstains(&cluster, LOST));
        cluster.replicas.remove(&LOST);
        cluster.stores[3].crash(0);
        cluster.start(LOST);
        cluster.run();
    }
    assert_eq!(signed(&cluster, LOST), before);
    until_it_signs(&mut cluster, LOST, 6);
    // The end of the abstention is durable before anything is signed.
    let floor = cluster.replicas[&LOST].safety_record().last_proposed_round();
    cluster.replicas.remove(&LOST);
    cluster.stores[3].crash(0);
    cluster.start(LOST);
    cluster.run();
    assert!(!abstains(&cluster, LOST));
    assert!(cluster.replicas[&LOST].safety_record().last_proposed_round() >= floor);
    assert_eq!(contradictions(&cluster, LOST), 0);
}

#[test]
fn a_crash_of_the_command_leaves_what_does_not_start_or_signs_nothing() {
    for state in ["signed", "stopped", "missing"] {
        let mut cluster = under_way();
        cluster.replicas.remove(&LOST);
        let witness = cluster.witnesses[&LOST].snapshot();
        let fresh = MemoryWitness::of_new_key(key(&cluster, LOST)).bytes();
        cluster.stores[3] = MemoryStore::new();
        if state == "stopped" {
            witness.set_bytes(fresh.iter().map(|_| 0).collect());
        }
        let held = (state != "missing").then(|| witness.bytes());
        let content = forget(&cluster.stores[3], held.as_deref(), key(&cluster, LOST), cluster.verifier.genesis_hash(), NONCE).unwrap();
        // The power fails before the new witness is in its place.
        if state != "missing" {
            cluster.witnesses.insert(LOST, witness.clone());
            match cluster.open(LOST) {
                Ok(replica) => assert!(replica.abstaining().is_some(), "{state}"),
                Err(refused) => assert!(refused.to_string().contains("SAFE-6"), "{state}: {refused}"),
            }
        }
        witness.set_bytes(content);
        cluster.witnesses.insert(LOST, witness);
        assert!(cluster.open(LOST).unwrap().abstaining().is_some(), "{state}");
        // The data is lost once more: refused, until the command is repeated.
        cluster.stores[3] = MemoryStore::new();
        assert!(cluster.open(LOST).is_err(), "{state}");
    }
}

#[test]
fn an_answer_from_before_the_loss_or_from_itself_counts_nothing() {
    let mut cluster = under_way();
    wipe(&mut cluster, LOST, NONCE);
    cluster.withholds = Some("recovery-request");
    cluster.start(LOST);
    cluster.run();
    cluster.pass(Duration::from_secs(5));
    let certificates = cluster.replicas[&0].engine().certificates();
    let answer = |cluster: &mut Cluster, from: u16, nonce: Hash| {
        let answer = RecoveryAnswer { nonce, certificates: certificates.clone() };
        let message = cluster.verifier.message(ValidatorId(from), Message::RecoveryAnswer(Box::new(answer))).unwrap();
        cluster.push(LOST, Input::Message { from: ValidatorId(from), message });
        let abstaining = cluster.replicas[&LOST].abstaining().unwrap();
        (abstaining.answered, abstaining.floor)
    };
    for from in 0..3 {
        assert_eq!(answer(&mut cluster, from, Hash([9; 32])), (0, None));
    }
    assert_eq!(answer(&mut cluster, LOST, NONCE), (0, None));
    for (from, answered) in [(0, 1), (0, 1), (1, 2), (1, 2)] {
        assert_eq!(answer(&mut cluster, from, NONCE), (answered, None));
    }
    let shown = certificates.high_qc.round().max(certificates.last_round_tc.as_ref().map_or(Round(0), |tc| tc.round));
    let (answered, floor) = answer(&mut cluster, 2, NONCE);
    assert_eq!(answered, 3);
    assert!(floor.unwrap() >= Round(shown.0 + 2), "{floor:?} {shown}");
}

#[test]
fn an_epoch_that_ends_on_the_way_begins_it_anew() {
    let mut cluster = under_way();
    wipe(&mut cluster, LOST, NONCE);
    // Its first requests are lost, so that it knows nothing when the epoch ends.
    cluster.withholds = Some("recovery-request");
    cluster.start(LOST);
    cluster.run();
    set_power(&mut cluster, 6, 1, 2);
    assert_eq!(epochs(&cluster), [1; 4]);
    assert!(abstains(&cluster, LOST));
    let before = signed(&cluster, LOST);
    cluster.withholds = None;
    cluster.pass(Duration::from_secs(5));
    assert_eq!(signed(&cluster, LOST), before, "nor does it sign at once in the next epoch");
    until_it_signs(&mut cluster, LOST, 7);
    for sequence in 70..78 {
        cluster.submit(0, sequence, sequence);
    }
    assert_eq!(contradictions(&cluster, LOST), 0);
}

// ---- moving -----------------------------------------------------------------------------------------------------------------------------

/// What a stopped validator takes along.
fn export(cluster: &Cluster, id: u16) -> Result<SafetyState, TransferError> {
    let witness = Box::new(cluster.witnesses[&id].clone());
    SafetyState::export(&cluster.stores[usize::from(id)], witness, key(cluster, id), cluster.verifier.genesis_hash())
}

fn import(cluster: &Cluster, id: u16, state: &SafetyState, witness: Option<&MemoryWitness>) -> Result<Vec<u8>, TransferError> {
    let content = witness.map(MemoryWitness::bytes);
    state.import(&cluster.stores[usize::from(id)], content.as_deref(), key(cluster, id), cluster.verifier.genesis_hash())
}

#[test]
fn a_validator_that_moves_with_its_record_signs_at_once_and_contradicts_nothing() {
    let mut cluster = under_way();
    cluster.replicas.remove(&LOST);
    let state = export(&cluster, LOST).unwrap();
    // The old home does not start any more; the record brings it back.
    let witness = cluster.witnesses[&LOST].clone();
    let unmoved = witness.bytes();
    witness.set_bytes(moved(&unmoved, key(&cluster, LOST), cluster.verifier.genesis_hash()).unwrap());
    assert!(matches!(cluster.open(LOST), Err(RecoverError::Moved)));
    assert!(matches!(export(&cluster, LOST), Err(TransferError::Home(RecoverError::Moved))));
    let content = import(&cluster, LOST, &state, Some(&witness)).unwrap();
    witness.set_bytes(content);
    cluster.open(LOST).unwrap();
    // The new machine has the key alone.
    cluster.stores[3] = MemoryStore::new();
    let content = import(&cluster, LOST, &state, None).unwrap();
    cluster.witnesses[&LOST].set_bytes(content);
    cluster.start(LOST);
    cluster.run();
    assert_eq!(*cluster.replicas[&LOST].safety_record(), state.record);
    cluster.replicas.remove(&0);
    for sequence in 6..12 {
        transfer(&mut cluster, 1, sequence);
    }
    assert!(cluster.stopped.is_empty(), "{:?}", cluster.stopped);
    assert_eq!(contradictions(&cluster, LOST), 0);
    // Once more, from there.
    cluster.replicas.remove(&LOST);
    let later = export(&cluster, LOST).unwrap();
    assert!(later.count > state.count && state.record.check_raise(&later.record).is_ok());
}

#[test]
fn a_record_of_a_later_epoch_than_the_new_machine_knows_forbids_everything_until_then() {
    let mut cluster = under_way();
    for (sequence, power) in [(6, 2), (7, 1), (8, 2)] {
        set_power(&mut cluster, sequence, 1, power);
    }
    transfer(&mut cluster, 0, 9);
    cluster.replicas.remove(&LOST);
    let state = export(&cluster, LOST).unwrap();
    assert_eq!(state.record.scope().1.0, 3);
    let before = signed(&cluster, LOST);
    cluster.stores[3] = MemoryStore::new();
    let content = import(&cluster, LOST, &state, Some(&cluster.witnesses[&LOST])).unwrap();
    cluster.witnesses[&LOST].set_bytes(content);
    cluster.start(LOST);
    cluster.run();
    cluster.pass(Duration::from_secs(10));
    assert_eq!(epochs(&cluster), [3; 4]);
    let added: Vec<_> = signed(&cluster, LOST).into_keys().filter(|statement| !before.contains_key(statement)).collect();
    assert!(added.iter().all(|(epoch, ..)| *epoch == 3), "{added:?}");
    cluster.replicas.remove(&0);
    transfer(&mut cluster, 1, 10);
    assert!(cluster.stopped.is_empty(), "{:?}", cluster.stopped);
    assert_eq!(contradictions(&cluster, LOST), 0);
}

#[test]
fn an_import_never_lowers_what_a_home_holds() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let exported = |cluster: &mut Cluster| {
        cluster.replicas.remove(&LOST);
        let state = export(cluster, LOST).unwrap();
        cluster.start(LOST);
        cluster.run();
        state
    };
    let old = exported(&mut cluster);
    transfer(&mut cluster, 0, 1);
    let new = exported(&mut cluster);
    cluster.replicas.remove(&LOST);
    let (store, witness) = (cluster.stores[3].snapshot(), cluster.witnesses[&LOST].snapshot());

    // An older record, into the home, and into one whose data is gone and whose witness is not.
    assert!(matches!(import(&cluster, LOST, &old, Some(&witness)), Err(TransferError::Behind { .. })));
    assert!(matches!(import(&cluster, LOST, &old, None), Err(TransferError::Behind { .. })));
    cluster.stores[3] = MemoryStore::new();
    assert!(matches!(import(&cluster, LOST, &old, Some(&witness)), Err(TransferError::Behind { .. })));
    // Another record with the same count.
    let other = SafetyState { record: old.record.clone(), ..new.clone() };
    assert!(matches!(import(&cluster, LOST, &other, Some(&witness)), Err(TransferError::Differs(_))));
    // A higher count hides no lower record.
    cluster.stores[3] = store;
    let inflated = SafetyState { count: u64::MAX - 1, ..old.clone() };
    assert!(matches!(import(&cluster, LOST, &inflated, Some(&witness)), Err(TransferError::Lowers(_))));
    assert_eq!(export(&cluster, LOST).unwrap(), new, "nothing was changed");
    // The same again is no error, and repairs a crash between the two writes.
    let content = import(&cluster, LOST, &new, Some(&witness)).unwrap();
    cluster.witnesses[&LOST].set_bytes(content);
    assert_eq!(export(&cluster, LOST).unwrap(), new);
    // Another key, another network.
    let foreign = MemoryWitness::of_new_key(key(&cluster, 0));
    assert!(import(&cluster, LOST, &new, Some(&foreign)).is_err());
    let elsewhere = quorate_types::ids::GenesisHash(Hash([1; 32]));
    assert!(new.import(&MemoryStore::new(), None, key(&cluster, LOST), elsewhere).is_err());
}

#[test]
fn a_crash_in_the_middle_of_an_import_leaves_the_old_or_what_is_refused_or_raised() {
    let mut cluster = under_way();
    cluster.replicas.remove(&LOST);
    let state = export(&cluster, LOST).unwrap();
    for held in [0, 1, 2] {
        // A home whose witness is behind by everything, by one, or not at all.
        let witness = MemoryWitness::of_new_key(key(&cluster, LOST));
        if held > 0 {
            let before = SafetyState { count: state.count - 2 + held, ..state.clone() };
            let content = import(cluster_with(&mut cluster, MemoryStore::new()), LOST, &before, None).unwrap();
            witness.set_bytes(content);
        }
        cluster.stores[3] = MemoryStore::new();
        import(&cluster, LOST, &state, Some(&witness)).unwrap();
        cluster.witnesses.insert(LOST, witness.clone());
        match cluster.open(LOST) {
            Ok(replica) => assert_eq!(*replica.safety_record(), state.record, "{held}"),
            Err(refused) => assert!(refused.to_string().contains("SAFE-6"), "{held}: {refused}"),
        }
        let content = import(&cluster, LOST, &state, Some(&witness)).unwrap();
        witness.set_bytes(content);
        assert_eq!(*cluster.open(LOST).unwrap().safety_record(), state.record, "{held}");
    }
}

/// The cluster, with another disk for the one that moves.
fn cluster_with(cluster: &mut Cluster, store: MemoryStore) -> &Cluster {
    cluster.stores[3] = store;
    cluster
}

#[test]
fn a_home_that_has_lost_its_memory_neither_exports_nor_imports() {
    let mut cluster = under_way();
    cluster.replicas.remove(&LOST);
    let state = export(&cluster, LOST).unwrap();
    cluster.stores[3] = MemoryStore::new();
    begin(&mut cluster, LOST, NONCE);
    assert!(matches!(export(&cluster, LOST), Err(TransferError::Abstains)));
    assert!(matches!(import(&cluster, LOST, &state, None), Err(TransferError::Abstains)));
    cluster.stores[3] = MemoryStore::new();
    cluster.witnesses.insert(LOST, MemoryWitness::of_new_key(key(&cluster, LOST)));
    assert!(matches!(export(&cluster, LOST), Err(TransferError::Unused)));
}
