//! Golden bytes: data on disk stays readable, or the schema version changes.

use quorate_types::{
    crypto::{Hash, Tag},
    ids::{BlockId, GenesisHash, StateId},
    round::{Epoch, Height, Round, UnixMillis},
};

use super::network::{Network, put, transfer};
use crate::{Batch, Column, Store, schema};

const GOLDEN: Tag = Tag::new("test/golden");

fn sample_header() -> quorate_types::header::Header {
    let hash = |byte| Hash([byte; 32]);
    quorate_types::header::Header {
        genesis_hash: GenesisHash(Hash([1; 32])),
        epoch: Epoch(2),
        height: Height(3),
        round: Round(4),
        block_id: BlockId(hash(5)),
        parent: StateId(hash(6)),
        timestamp: UnixMillis(7),
        transactions_root: hash(8),
        receipts_root: hash(9),
        state_root: hash(10),
        epoch_state: hash(11),
    }
}

#[test]
fn a_header_record_has_golden_bytes() {
    let mut batch = Batch::new();
    schema::put_header(&mut batch, &sample_header(), None);
    let [record, index] = batch.entries() else { panic!("two entries") };
    let number = |n: u8| format!("{n:02x}{}", "00".repeat(7));
    let hash = |n: u8| format!("{n:02x}").repeat(32);
    let header = [hash(1), number(2), number(3), number(4), hash(5), hash(6), number(7), hash(8), hash(9), hash(10), hash(11)].concat();
    assert_eq!(header.len(), 2 * 256);
    assert_eq!((record.column, hex::encode(&record.key)), (Column::Header, "0000000000000003".into()));
    assert_eq!(hex::encode(record.value.as_ref().unwrap()), format!("{header}00"));
    assert_eq!((index.column, hex::encode(&index.key)), (Column::Height, hash(5)));
    assert_eq!(hex::encode(index.value.as_ref().unwrap()), number(3));
}

#[test]
fn every_column_of_a_small_chain_has_golden_bytes() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (_, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), 1..=2, |round| {
        if round == 1 { vec![transfer(1, 0, 2, 10), put(1, 1, b"key", b"value"), transfer(3, 0, 2, 5_000)] } else { vec![] }
    });
    let mut batch = Batch::new();
    schema::put_pending(&mut batch, &blocks[1]);
    ledger.store().write(batch).unwrap();

    // The small columns in full.
    let entries = |column| -> Vec<(String, String)> {
        ledger.store().iter(column, &[]).map(|entry| entry.unwrap()).map(|(key, value)| (hex::encode(key), hex::encode(value))).collect()
    };
    let text = |text: &str| hex::encode(text);
    assert_eq!(
        entries(Column::Meta),
        [
            (text("committed"), "0100000000000000".into()),
            (text("genesis"), network.genesis.hash().0.to_string()),
            (text("schema"), "05000000".into()),
        ]
    );
    let mut positions: Vec<_> = blocks[0].payload().iter().map(|tx| tx.id().0.to_string()).zip(["00", "01", "02"]).collect();
    positions.sort();
    let positions: Vec<_> = positions.into_iter().map(|(id, index)| (id, format!("0100000000000000{index}00000000000000"))).collect();
    assert_eq!(entries(Column::Transaction), positions);
    assert_eq!(entries(Column::Safety), []);
    let pending = &entries(Column::Pending)[0];
    assert_eq!(pending.0, format!("0000000000000002{}", blocks[1].id().0));
    assert_eq!(pending.1, hex::encode(quorate_types::block::encode_block(&blocks[1])));
    assert_eq!(entries(Column::State).len(), 6);

    // All columns by their digests: a change here changes the schema or the meaning of blocks.
    let digest = |column| {
        let mut bytes = Vec::new();
        for entry in ledger.store().iter(column, &[]) {
            let (key, value) = entry.unwrap();
            for part in [key, value] {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(&part);
            }
        }
        Hash::of(&GOLDEN, &bytes).short()
    };
    let digests = Column::ALL.map(|column| (column.name(), digest(column)));
    let golden = [
        ("meta", "597fbdb9"),
        ("safety", "5e9a6878"),
        ("pending", "4ed7de61"),
        ("block", "e0c65e12"),
        ("header", "ecc9d24e"),
        ("height", "85e291bb"),
        ("receipts", "657b157a"),
        ("transaction", "50ec88d2"),
        ("epoch", "309db339"),
        ("state", "4c771b5c"),
    ];
    assert_eq!(digests.each_ref().map(|(name, digest)| (*name, digest.as_str())), golden);
}
