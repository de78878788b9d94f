//! Opening a new directory, one of ours, and those that must be refused.

use quorate_builtin::app;
use quorate_types::{block::Block, codec, round::Height, transaction::Transaction};

use super::network::{Network, put, transfer};
use crate::{Batch, Column, Ledger, LedgerError, MemoryStore, Store, schema::SCHEMA_VERSION};

fn payload(round: u64) -> Vec<Transaction> {
    vec![transfer(1, 2 * round - 2, 2, 1), put(1, 2 * round - 1, &round.to_le_bytes(), b"value")]
}

/// A ledger on a store with a chain of 20 blocks, and the blocks.
fn grown<S: Store>(network: &Network, store: S) -> (Ledger<S>, Vec<Block>) {
    let mut ledger = network.open(store);
    let (_, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), 1..=20, payload);
    (ledger, blocks)
}

fn opens_again_with_the_same_root_and_goes_on<S: Store>(store: S, reopen: impl FnOnce(S) -> S) {
    let network = Network::new();
    let (ledger, blocks) = grown(&network, store.clone());
    let (root, commit_qc, dump) = (ledger.root().clone(), ledger.commit_qc().clone(), super::commit::dump(&store));
    assert_eq!(root.height, Height(19));
    drop(ledger);

    let mut ledger = network.open(reopen(store));
    assert_eq!((ledger.root(), ledger.commit_qc()), (&root, &commit_qc));
    assert_eq!(super::commit::dump(ledger.store()), dump, "opening changes nothing");
    assert_eq!(ledger.state(&root.block_id).unwrap().root_hash(), root.state_root);

    // The last block was only speculated: it is executed again, and the chain continues.
    let last = blocks.last().unwrap();
    let state_id = ledger.speculate(last).unwrap();
    network.grow(&mut ledger, (&network.certify(last, state_id), Some(last)), 21..=30, payload);
    assert_eq!(ledger.root().height, Height(29));
}

#[test]
fn memory_opens_again_with_the_same_root_and_goes_on() {
    opens_again_with_the_same_root_and_goes_on(MemoryStore::new(), |store| {
        store.crash(usize::MAX);
        store
    });
}

#[cfg(feature = "rocks")]
#[test]
fn rocksdb_opens_again_with_the_same_root_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let open = || crate::RocksStore::open(home.path(), crate::RocksOptions::default()).unwrap();
    opens_again_with_the_same_root_and_goes_on(open(), |store| {
        drop(store);
        open()
    });
}

#[cfg(feature = "rocks")]
#[test]
fn both_stores_hold_the_same_bytes() {
    let network = Network::new();
    let home = tempfile::tempdir().unwrap();
    let disk = crate::RocksStore::open(home.path(), crate::RocksOptions::default()).unwrap();
    let (on_disk, _) = grown(&network, disk);
    let (in_memory, _) = grown(&network, MemoryStore::new());
    assert_eq!(super::commit::dump(on_disk.store()), super::commit::dump(in_memory.store()));
}

#[test]
fn a_crash_while_the_genesis_is_written_leaves_a_new_directory() {
    let network = Network::new();
    let store = MemoryStore::new();
    store.fail_writes_after(0);
    assert!(Ledger::open(store.clone(), &app(), &network.genesis).is_err());
    store.crash(0);
    assert_eq!(super::commit::dump(&store), []);
    assert_eq!(network.open(store.clone()).root().height, Height(0));
    assert_eq!(store.unsynced(), 0, "the genesis is durable");
}

fn error(store: &MemoryStore, network: &Network) -> LedgerError {
    Ledger::open(store.clone(), &app(), &network.genesis).unwrap_err()
}

#[test]
fn another_genesis_is_refused_and_both_are_named() {
    let store = grown(&Network::new(), MemoryStore::new()).0.store().clone();
    let other = Network::named("other");
    let (found, given) = (Network::new().genesis.hash(), other.genesis.hash());
    let error = error(&store, &other);
    assert_eq!(error, LedgerError::OtherGenesis { found, given });
    assert!(error.to_string().contains(&found.to_string()) && error.to_string().contains(&given.to_string()), "{error}");
}

fn overwrite(store: &MemoryStore, column: Column, key: &[u8], value: Option<&[u8]>) {
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(column, key, value),
        None => batch.delete(column, key),
    }
    store.write_sync(batch).unwrap();
}

#[test]
fn an_unknown_schema_is_refused() {
    let network = Network::new();
    let store = grown(&network, MemoryStore::new()).0.store().clone();
    overwrite(&store, Column::Meta, b"schema", Some(&(SCHEMA_VERSION + 1).to_le_bytes()));
    let refused = error(&store, &network);
    assert_eq!(refused, LedgerError::Schema { found: SCHEMA_VERSION + 1 });
    let both = [SCHEMA_VERSION, SCHEMA_VERSION + 1].map(|version| format!("version {version}"));
    assert!(both.iter().all(|version| refused.to_string().contains(version)), "{refused}");

    for broken in [None, Some(b"".as_slice()), Some(b"12345".as_slice())] {
        overwrite(&store, Column::Meta, b"schema", broken);
        assert_eq!(error(&store, &network), LedgerError::NoSchema);
    }
}

#[test]
fn any_flipped_bit_of_the_state_is_found_at_the_next_start() {
    let network = Network::new();
    let store = grown(&network, MemoryStore::new()).0.store().clone();
    let entries = store.scan(Column::State, &[], usize::MAX).unwrap();
    assert!(entries.len() > 20);
    for (at, (key, value)) in entries.iter().enumerate() {
        let damaged = store.snapshot();
        if at % 2 == 0 {
            let mut value = value.clone();
            let byte = at % value.len();
            value[byte] ^= 1 << (at % 8);
            overwrite(&damaged, Column::State, key, Some(&value));
        } else {
            let mut moved = key.clone();
            let byte = at % moved.len();
            moved[byte] ^= 1 << (at % 8);
            overwrite(&damaged, Column::State, key, None);
            overwrite(&damaged, Column::State, &moved, Some(value));
        }
        assert!(matches!(error(&damaged, &network), LedgerError::StateAltered { height: Height(19), .. }));
    }
    let lost = store.snapshot();
    overwrite(&lost, Column::State, &entries[0].0, None);
    assert!(matches!(error(&lost, &network), LedgerError::StateAltered { .. }));
    let more = store.snapshot();
    overwrite(&more, Column::State, b"more", Some(b"value"));
    assert!(matches!(error(&more, &network), LedgerError::StateAltered { .. }));
}

#[test]
fn lost_and_malformed_records_are_errors_and_never_panics() {
    let network = Network::new();
    let store = grown(&network, MemoryStore::new()).0.store().clone();
    let key = 19u64.to_be_bytes();
    for (column, key, expected) in [
        (Column::Meta, b"committed".as_slice(), LedgerError::Missing { column: Column::Meta }),
        (Column::Header, key.as_slice(), LedgerError::Missing { column: Column::Header }),
    ] {
        let damaged = store.snapshot();
        overwrite(&damaged, column, key, None);
        assert_eq!(error(&damaged, &network), expected);
    }
    let damaged = store.snapshot();
    overwrite(&damaged, Column::Header, &key, Some(b"nonsense"));
    assert!(matches!(error(&damaged, &network), LedgerError::Malformed { column: Column::Header, .. }));
    let damaged = store.snapshot();
    overwrite(&damaged, Column::Meta, b"committed", Some(b"7 bytes"));
    assert!(matches!(error(&damaged, &network), LedgerError::Malformed { column: Column::Meta, .. }));

    let ledger = network.open(store.clone());
    let reader = ledger.reader();
    for column in [Column::Block, Column::Receipts] {
        overwrite(&store, column, &key, Some(&[0xff; 40]));
    }
    assert!(reader.block_at(Height(19)).is_err());
    assert!(reader.receipts_at(Height(19)).is_err());
    assert!(reader.blocks_from(Height(19), 1, 1).is_err());
    overwrite(&store, Column::Block, &key, None);
    assert_eq!(reader.block_at(Height(19)).unwrap_err(), LedgerError::Missing { column: Column::Block });
}

#[test]
fn any_flipped_bit_of_the_last_header_is_found_at_the_next_start() {
    let network = Network::new();
    let ledger = grown(&network, MemoryStore::new()).0;
    let (store, header) = (ledger.store().clone(), codec::encode(ledger.root()));
    let key = 19u64.to_be_bytes();
    let record = store.get(Column::Header, &key).unwrap().unwrap();
    assert!(record.starts_with(&header));
    for at in 0..header.len() {
        let mut altered = record.clone();
        altered[at] ^= 1 << (at % 8);
        let damaged = store.snapshot();
        overwrite(&damaged, Column::Header, &key, Some(&altered));
        let error = error(&damaged, &network);
        assert!(matches!(error, LedgerError::HeaderAltered { .. } | LedgerError::Malformed { .. }), "byte {at}: {error}");
    }
}

#[test]
fn opening_tells_its_progress() {
    let network = Network::new();
    let store = network.ledger().store().clone();
    let mut batch = Batch::new();
    for i in 0..200_000u32 {
        batch.put(Column::State, i.to_be_bytes(), *b"v");
    }
    store.write(batch).unwrap();
    let mut told = Vec::new();
    let opened = Ledger::open_with(store, &app(), &network.genesis, |loading| told.push(loading.keys));
    assert!(matches!(opened, Err(LedgerError::StateAltered { .. })));
    assert_eq!(told, [65_536, 131_072, 196_608]);
}

#[test]
fn a_panic_is_remembered_by_its_transaction_in_any_block_and_by_its_block() {
    let network = Network::new();
    let store = MemoryStore::new();
    let mut ledger = network.open(store.clone());
    let (poison, other) = (put(1, 0, b"k", b"v"), put(2, 0, b"k", b"v"));
    let block = network.block(&network.genesis_qc, 1, vec![other.clone(), poison.clone()]);
    let elsewhere = network.block(&network.genesis_qc, 2, vec![poison.clone()]);
    let without = network.block(&network.genesis_qc, 3, vec![other.clone()]);
    assert!(!ledger.is_poison(&poison.id()) && ledger.poison_in(&block).is_none() && ledger.panicked_in(&block.id()).is_none());
    ledger.remember_poison(poison.id(), block.id()).unwrap();
    store.crash(0);
    for ledger in [ledger, network.open(store)] {
        assert!(ledger.is_poison(&poison.id()) && !ledger.is_poison(&other.id()));
        assert_eq!([&block, &elsewhere, &without].map(|block| ledger.poison_in(block)), [Some(poison.id()), Some(poison.id()), None]);
        assert_eq!([&block, &elsewhere].map(|block| ledger.panicked_in(&block.id())), [Some(poison.id()), None]);
    }
}
