//! The first net alone: every combination of store and witness at a start.

use quorate_types::{crypto::SigningKey, sighting::StatementKind};

use super::*;

const HERE: GenesisHash = GenesisHash(Hash([1; 32]));

fn key() -> PublicKey {
    SigningKey::from_seed(&[1; 32]).public()
}

fn open(file: &MemoryWitness) -> Result<Attestation, RecoverError> {
    Attestation::open(Box::new(file.clone()), key(), HERE)
}

/// A witness of this many records; the nth has the bytes `[n]` and signs in round n.
fn after(count: u8) -> MemoryWitness {
    let file = MemoryWitness::of_new_key(key());
    let mut attestation = open(&file).unwrap();
    for number in 1..=count {
        assert_eq!(attestation.next_count(), u64::from(number));
        attestation.note(&[number], Round(number.into())).unwrap();
    }
    file
}

fn check(file: &MemoryWitness, count: u8) -> Result<(), RecoverError> {
    let record = [count];
    // The first record of a store is written before any ballot.
    open(file)?.check(count.into(), Some((&record, Round(count.into()))))
}

#[test]
fn the_store_is_as_new_as_the_witness_or_one_write_ahead_and_otherwise_refused() {
    for witnessed in 0..4u8 {
        for stored in 0..6u8 {
            let file = after(witnessed);
            match check(&file, stored) {
                Ok(()) => assert!(stored == witnessed || stored == witnessed + 1, "store {stored}, witness {witnessed}"),
                Err(RecoverError::DataBehind { stored: round, signed }) => {
                    assert!(stored < witnessed);
                    assert_eq!((round, signed), ((stored > 0).then_some(Round(stored.into())), Round(witnessed.into())));
                }
                Err(RecoverError::WitnessBehind { .. }) => assert!(stored > witnessed + 1, "store {stored}, witness {witnessed}"),
                Err(other) => panic!("{other}"),
            }
        }
        let wiped = open(&after(witnessed)).unwrap().check(0, None);
        assert_eq!(wiped.is_ok(), witnessed == 0, "an empty store is good for a key that has signed nothing");
    }
}

#[test]
fn a_crash_between_the_two_writes_is_no_false_alarm_however_often_it_happens() {
    let file = after(3);
    for _ in 0..3 {
        check(&file, 4).unwrap();
    }
    assert_eq!(open(&file).unwrap().next_count(), 5, "brought up to date");
    // The next ballot reaches the store, and the power fails again.
    check(&file, 5).unwrap();
    assert!(matches!(check(&file, 4), Err(RecoverError::DataBehind { .. })));
}

#[test]
fn another_record_of_the_same_number_is_refused() {
    let mut attestation = open(&after(3)).unwrap();
    let differs = attestation.check(3, Some((&[99], Round(3))));
    assert!(matches!(differs, Err(RecoverError::RecordsDiffer(Round(3)))), "{differs:?}");
}

#[test]
fn a_write_that_is_torn_leaves_a_witness_one_behind() {
    for bytes in [0, 1, 60, 169] {
        let file = after(3);
        file.fail_after(0, bytes);
        assert!(open(&file).unwrap().note(&[4], Round(4)).is_err());
        file.repair();
        check(&file, 4).unwrap();
    }
}

#[test]
fn a_stop_outlives_restarts_torn_writes_and_a_rotten_slot() {
    let stop = Stop { kind: StatementKind::Vote, round: Round(9) };
    let file = after(3);
    open(&file).unwrap().stop(stop).unwrap();
    for slot in [0, 4_096] {
        let rotten = file.snapshot();
        let mut bytes = rotten.bytes();
        bytes[slot + 100] ^= 1;
        rotten.set_bytes(bytes);
        let refused = open(&rotten).unwrap_err();
        assert!(matches!(refused, RecoverError::Stopped(found) if found == stop), "{refused}");
        assert!(refused.to_string().contains("a vote of round 9") && refused.to_string().contains("quorate keygen validator"), "{refused}");
    }
    // The power fails while the stop is written: it is remembered from the moment its first slot is whole.
    for (writes, remembered) in [(0, false), (1, true)] {
        let file = after(3);
        file.fail_after(writes, 80);
        assert!(open(&file).unwrap().stop(stop).is_err());
        file.repair();
        assert_eq!(matches!(open(&file), Err(RecoverError::Stopped(_))), remembered);
    }
}

#[test]
fn a_witness_of_another_key_or_network_or_none_at_all_is_refused() {
    let other = SigningKey::from_seed(&[2; 32]).public();
    let refused = Attestation::open(Box::new(after(1)), other, HERE).unwrap_err();
    assert!(matches!(refused, RecoverError::WitnessOfOtherKey { found, ours } if (found, ours) == (key(), other)), "{refused}");
    let there = GenesisHash(Hash([2; 32]));
    let refused = Attestation::open(Box::new(after(1)), key(), there).unwrap_err();
    assert!(matches!(refused, RecoverError::WitnessOfOtherNetwork { found: HERE, given } if given == there), "{refused}");
    assert!(Attestation::open(Box::new(after(0)), key(), there).is_ok(), "a key that has signed nothing may start on any network");
    let damaged = after(2);
    damaged.set_bytes(vec![0; 8_192]);
    assert!(matches!(open(&damaged), Err(RecoverError::WitnessDamaged)));
}
