//! When its log is truncated or a bit flips in it, `RocksDB` silently forgets writes. The witness detects that (SAFE-6).

use std::{
    fs,
    path::{Path, PathBuf},
};

use quorate_keygen::VALIDATOR_WITNESS_FILE;
use quorate_ledger::{RocksOptions, RocksStore};
use quorate_types::{round::Sequence, rpc::AccountView, witness::Witness};

use crate::{
    Node, NodeError, Setup,
    testing::{Running, address_of, alice, keys, setup, transfer},
    witness_file::WitnessOnDisk,
};

/// `RocksDB`'s log consists of blocks of this length, which hold records: checksum u32, length u16, type u8, payload.
const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;

fn start(home: &Path) -> Result<Node, NodeError> {
    let witness = Box::new(WitnessOnDisk::open(&home.join(VALIDATOR_WITNESS_FILE)).unwrap());
    let store = RocksStore::open(home.join("db"), RocksOptions::default()).unwrap();
    Node::start(Setup { witness, ..setup(&[]) }, store)
}

fn log(home: &Path) -> PathBuf {
    let entries = fs::read_dir(home.join("db")).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log") && fs::metadata(path).unwrap().len() > 0;
    entries.filter(holds).max().unwrap()
}

/// The offsets of the records in the last block.
fn last_records(log: &[u8]) -> Vec<usize> {
    let mut at = (log.len() - 1) / BLOCK * BLOCK;
    let mut records = Vec::new();
    while at + HEADER <= log.len() && log[at + 6] != 0 {
        records.push(at);
        at += HEADER + usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
    }
    records
}

/// The home of a single validator that has committed a few blocks and was stopped.
fn stopped() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(VALIDATOR_WITNESS_FILE), Witness::of_new_key(keys(1).public().consensus_key)).unwrap();
    let running = Running { node: start(home.path()).unwrap(), verifier: Running::verifier(&setup(&[])) };
    for sequence in 0..6 {
        running.commit(&transfer(sequence));
    }
    running.node.stop();
    home
}

fn refused(home: &Path) -> String {
    // A second attempt fails the same way.
    let errors = [start(home), start(home)].map(|started| started.unwrap_err().to_string());
    assert_eq!(errors[0], errors[1]);
    assert!(errors[0].contains("SAFE-6") && errors[0].contains("quorate keygen validator"), "{}", errors[0]);
    errors[0].clone()
}

#[test]
fn a_log_that_was_cut_in_half_is_noticed() {
    let home = stopped();
    let log = log(home.path());
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    let said = refused(home.path());
    assert!(said.contains("cut short") || said.contains("is empty"), "{said}");
}

#[test]
fn a_flipped_top_bit_of_the_length_of_any_record_in_the_last_block_is_noticed_or_harmless() {
    let home = stopped();
    let log = log(home.path());
    let whole = fs::read(&log).unwrap();
    let records = last_records(&whole);
    assert!(records.len() > 4, "{records:?}");
    let everything = tempfile::tempdir().unwrap();
    for record in [records[records.len() / 4], records[records.len() / 2]] {
        // RocksDB writes a new log when it opens, so each flip gets a home of its own.
        let copy = everything.path().join(record.to_string());
        fs::create_dir_all(copy.join("db")).unwrap();
        for entry in fs::read_dir(home.path().join("db")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join("db").join(entry.file_name())).unwrap();
        }
        fs::copy(home.path().join(VALIDATOR_WITNESS_FILE), copy.join(VALIDATOR_WITNESS_FILE)).unwrap();
        let mut flipped = whole.clone();
        flipped[record + 5] ^= 0x80;
        fs::write(copy.join("db").join(log.file_name().unwrap()), flipped).unwrap();
        refused(&copy);
    }

    // With its log intact, the validator resumes where it was.
    let running = Running { node: start(home.path()).unwrap(), verifier: Running::verifier(&setup(&[])) };
    assert_eq!(running.get::<AccountView>(&format!("/v1/accounts/{}", address_of(&alice()))).sequence, Sequence(6));
    running.commit(&transfer(6));
    running.node.stop();
}
