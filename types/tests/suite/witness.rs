//! The file beside a validator's key: golden bytes, and what remains of it when a write is torn or a bit flips.

use quorate_types::{
    crypto::Hash,
    ids::GenesisHash,
    round::Round,
    sighting::StatementKind,
    witness::{History, Mark, Stop, WITNESS_BYTES, Witness, WitnessDamaged},
};

use crate::{
    fixture::{hash, key},
    golden,
};

fn witness(history: History) -> Witness {
    Witness { key: key(1).public(), history }
}

fn signed(count: u64) -> Witness {
    witness(History::Signed(Mark { genesis: GenesisHash(hash(7)), count, round: Round(0x0102), record: Hash([9; 32]) }))
}

fn write(file: &mut [u8], counter: u64, witness: &Witness) {
    let slot = witness.slot(counter);
    file[slot.at..slot.at + slot.bytes.len()].copy_from_slice(&slot.bytes);
}

#[test]
fn slots_have_golden_bytes() {
    let mut text = golden::hex_lines(&witness(History::Unused).slot(1).bytes);
    text += &golden::hex_lines(&signed(3).slot(4).bytes);
    let History::Signed(mark) = signed(3).history else { unreachable!() };
    for kind in [StatementKind::Vote, StatementKind::Timeout, StatementKind::Proposal] {
        text += &golden::hex_lines(&witness(History::Stopped(mark, Stop { kind, round: Round(0x0304) })).slot(5).bytes);
    }
    text += &golden::hex_lines(&witness(History::Moved(mark)).slot(5).bytes);
    golden::check("witness-slots.hex", &text);
}

#[test]
fn a_new_key_is_unused_and_each_write_is_the_newest() {
    let mut file = Witness::of_new_key(key(1).public());
    assert_eq!(file.len(), WITNESS_BYTES);
    let (mut counter, found) = Witness::read(&file).unwrap();
    assert_eq!(found, witness(History::Unused));
    for count in 1..5 {
        counter += 1;
        write(&mut file, counter, &signed(count));
        assert_eq!(Witness::read(&file), Ok((counter, signed(count))));
    }
}

#[test]
fn a_write_that_is_torn_anywhere_leaves_the_one_before() {
    let mut file = Witness::of_new_key(key(1).public());
    write(&mut file, 2, &signed(1));
    write(&mut file, 3, &signed(2));
    let slot = signed(3).slot(4);
    for torn in 0..slot.bytes.len() {
        let mut file = file.clone();
        file[slot.at..slot.at + torn].copy_from_slice(&slot.bytes[..torn]);
        // As long as no differing byte is written, the slot is still whole, but it is the older one.
        let (counter, found) = Witness::read(&file).unwrap();
        assert_eq!((counter, found), (3, signed(2)), "torn after {torn} bytes");
    }
}

#[test]
fn every_bit_of_a_slot_is_covered() {
    let mut file = Witness::of_new_key(key(1).public());
    write(&mut file, 2, &signed(1));
    write(&mut file, 3, &signed(2));
    let slot = signed(2).slot(3);
    for bit in 0..slot.bytes.len() * 8 {
        let mut file = file.clone();
        file[slot.at + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Witness::read(&file), Ok((2, signed(1))), "bit {bit}");
    }
}

#[test]
fn a_file_without_a_whole_slot_is_damaged() {
    let file = Witness::of_new_key(key(1).public());
    let mut both = file.clone();
    both[20] ^= 1;
    both[4_096 + 20] ^= 1;
    let cut = &file[..100];
    for damaged in [&both[..], cut, &[], &vec![0; WITNESS_BYTES]] {
        assert_eq!(Witness::read(damaged), Err(WitnessDamaged));
    }
    assert!(Witness::read(&file[..4_096]).is_ok(), "one intact slot is enough");
}
