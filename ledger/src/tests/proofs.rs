//! Proofs for clients, and blocks for validators that catch up.

use quorate_builtin::{Account, KvAction, KvOperation, KvSpace, Operation};
use quorate_types::{
    proof::{CommitProof, ProofError},
    receipt::Outcome,
    round::Height,
    state_key::{AccountRecord, account_key},
};

use super::network::{Network, address, put, transfer, tx};
use crate::{Batch, Column, LedgerReader, Store};

/// Rounds with gaps: a block is committed directly only if the next round has a block too.
const ROUNDS: [u64; 12] = [1, 2, 4, 6, 8, 9, 10, 12, 14, 16, 17, 18];
// heights                   1  2  3  4  5  6  7   8   9  10  11  12
// committed directly by the certificate of the next: 1, 5, 6, 10, 11
const DIRECT: [u64; 5] = [1, 5, 6, 10, 11];

fn payload(round: u64) -> Vec<quorate_types::transaction::Transaction> {
    vec![transfer(1, 2 * round, 2, 1), transfer(1, 2 * round + 1, 9, 5_000)]
}

/// Payloads with sequence numbers by position in the chain rather than by round.
fn numbered() -> impl FnMut(u64) -> Vec<quorate_types::transaction::Transaction> {
    let mut position = 0;
    move |_| {
        position += 1;
        payload(position - 1)
    }
}

#[test]
fn every_committed_transaction_is_proved_with_its_receipt() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (_, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), ROUNDS, numbered());
    let (reader, verifier) = (ledger.reader(), network.verifier());
    assert_eq!(reader.height().unwrap(), Height(11));
    for (height, block) in (1..=11).zip(&blocks) {
        for (index, tx) in (0..).zip(block.payload()) {
            assert_eq!(reader.find_transaction(&tx.id()).unwrap(), Some((Height(height), index)));
            let proof = reader.transaction_proof(&tx.id()).unwrap().unwrap();
            let header = proof.verify(&verifier, tx.id()).unwrap();
            assert_eq!((header.height, header.block_id), (Height(height), block.id()));
            assert_eq!(proof.receipt.outcome.is_applied(), index == 0);
            // The proof of one transaction proves neither another one nor another outcome.
            let other = block.payload()[usize::from(index == 0)].id();
            assert_eq!(proof.verify(&verifier, other), Err(ProofError::OtherTransaction(tx.id())));
            let mut forged = proof;
            forged.receipt.outcome = Outcome::Applied(b"forged".to_vec());
            assert_eq!(forged.verify(&verifier, tx.id()), Err(ProofError::Receipt));
        }
    }
    // The last block is certified but not committed.
    assert_eq!(reader.transaction_proof(&blocks[11].payload()[0].id()).unwrap(), None);
}

#[test]
fn one_receipt_and_its_proof_are_read_without_the_others() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let get = |sequence| tx(1, sequence, &Operation::Kv(KvOperation { space: KvSpace::Shared, key: b"k".to_vec(), action: KvAction::Get }));
    let payload = vec![put(1, 0, b"k", &[7; 10_000]), get(1), get(2), get(3), get(4), transfer(1, 5, 2, 1)];
    network.grow(&mut ledger, (&network.genesis_qc, None), 1..=2, |round| if round == 1 { payload.clone() } else { Vec::new() });
    let (reader, verifier) = (ledger.reader(), network.verifier());
    let key = |row: Option<u32>| [&1u64.to_be_bytes()[..], &row.map_or(Vec::new(), |row| row.to_be_bytes().to_vec())].concat();
    let keys: Vec<_> = ledger.store().iter(Column::Receipts, &[]).map(|entry| entry.unwrap().0.to_vec()).collect();
    assert_eq!(keys, [None, Some(0), Some(2), Some(3), Some(4)].map(key));
    let whole = reader.receipts_at(Height(1)).unwrap().unwrap();
    let since: Vec<_> = reader.receipts_from(&payload[3].id()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(since, whole[3..].iter().map(|receipt| (receipt.leaf(), receipt.clone())).collect::<Vec<_>>());

    // All rows but the requested one are gone.
    for (index, tx) in (0u32..).zip(&payload) {
        let store = ledger.store().snapshot();
        let row = [4, 3, 2, 0].into_iter().find(|row| *row <= index).unwrap();
        let mut batch = Batch::new();
        for other in [0, 2, 3, 4].into_iter().filter(|other| *other != row) {
            batch.delete(Column::Receipts, key(Some(other)));
        }
        store.write(batch).unwrap();
        let reader = LedgerReader::new(store.clone());
        assert_eq!(reader.receipt(&tx.id()).unwrap().unwrap(), (Height(1), index, whole[index as usize].clone()));
        assert!(reader.transaction_proof(&tx.id()).unwrap().unwrap().verify(&verifier, tx.id()).is_ok());
        assert!(reader.receipts_at(Height(1)).unwrap_err().is_damage());
        let mut batch = Batch::new();
        batch.delete(Column::Receipts, key(Some(row)));
        store.write(batch).unwrap();
        assert!(reader.receipt(&tx.id()).unwrap_err().is_damage());
    }
}

#[test]
fn blocks_for_a_catch_up_end_before_one_that_is_damaged() {
    for column in [Column::Block, Column::Header] {
        let network = Network::new();
        let mut ledger = network.ledger();
        let (_, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), ROUNDS, numbered());
        let mut batch = Batch::new();
        batch.put(column, 8u64.to_be_bytes(), [0xff; 40]);
        ledger.store().write(batch).unwrap();
        let (got, proof) = ledger.reader().blocks_from(Height(2), 100, usize::MAX).unwrap().unwrap();
        // Up to the last block before it that a certificate commits directly.
        assert_eq!(got, blocks[1..6], "{column:?}");
        assert!(proof.verify(&network.verifier()).is_ok());
        assert!(ledger.reader().blocks_from(Height(8), 100, usize::MAX).unwrap_err().is_damage());
        assert!(ledger.reader().blocks_from(Height(9), 100, usize::MAX).unwrap().is_some());
    }
}

#[test]
fn every_height_is_proved_committed_genesis_included() {
    let network = Network::new();
    let mut ledger = network.ledger();
    network.grow(&mut ledger, (&network.genesis_qc, None), ROUNDS, numbered());
    let (reader, verifier) = (ledger.reader(), network.verifier());
    for height in 0..=11 {
        let proof = reader.commit_proof(Height(height)).unwrap().unwrap();
        assert_eq!(proof.verify(&verifier).unwrap().height, Height(height));
        let direct = if height == 0 { 0 } else { DIRECT.into_iter().find(|direct| *direct >= height).unwrap() };
        assert_eq!(proof.headers.len() as u64, direct - height + 1);
    }
    assert_eq!(reader.commit_proof(Height(12)).unwrap(), None);
}

#[test]
fn values_and_their_absence_are_proved_from_a_view_that_stays_as_it_is() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (qc, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), 1..=3, |round| if round == 1 { payload(0) } else { vec![] });
    let (view, verifier) = (ledger.view(), network.verifier());
    network.grow(&mut ledger, (&qc, blocks.last()), 4..=6, |round| if round == 4 { payload(1) } else { vec![] });

    for (view, transfers) in [(view, 1), (ledger.view(), 2)] {
        let key = account_key(&address(2));
        let (value, proof) = view.prove(&key);
        let value = value.unwrap();
        assert_eq!(Account::of(&AccountRecord::decode(value.clone()).unwrap()).balance, 1_000 + transfers);
        assert_eq!(Account::of(&view.account(&address(2))).balance, 1_000 + transfers);
        assert_eq!(proof.verify(&verifier, &key, Some(&value)).unwrap(), view.header());
        assert!(proof.verify(&verifier, &key, Some(b"other")).is_err());
        assert!(proof.verify(&verifier, &key, None).is_err());

        let absent = account_key(&address(9));
        let (value, proof) = view.prove(&absent);
        assert_eq!(value, None);
        assert!(proof.verify(&verifier, &absent, None).is_ok());
        assert_eq!(view.account(&address(9)), AccountRecord::default());
        let CommitProof { headers, .. } = view.commit_proof();
        assert_eq!(&headers[..], std::slice::from_ref(view.header()));
    }
}

#[test]
fn blocks_for_a_catch_up_end_where_a_certificate_commits_directly_or_with_headers_up_to_there() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (_, blocks) = network.grow(&mut ledger, (&network.genesis_qc, None), ROUNDS, numbered());
    let (reader, verifier) = (ledger.reader(), network.verifier());
    let size = quorate_types::block::encode_block(&blocks[5]).len();
    // from, most blocks, most bytes -> height of the last block
    let table = [
        (0, 100, usize::MAX, Some(11)),
        (1, 100, usize::MAX, Some(11)),
        (1, 1, usize::MAX, Some(1)),
        (1, 3, usize::MAX, Some(1)),
        (1, 5, usize::MAX, Some(5)),
        (1, 9, usize::MAX, Some(6)),
        (6, 1, usize::MAX, Some(6)),
        (6, 100, size + 9, Some(6)),
        (11, 100, usize::MAX, Some(11)),
        (12, 100, usize::MAX, None),
        // No direct commit within the limits.
        (2, 1, usize::MAX, Some(2)),
        (2, 3, usize::MAX, Some(4)),
        (7, 100, 1, Some(7)),
        (7, 100, 3 * size - 9, Some(8)),
        // At least one block.
        (6, 100, 1, Some(6)),
    ];
    for (from, blocks_max, bytes_max, last) in table {
        let answer = reader.blocks_from(Height(from), blocks_max, bytes_max).unwrap();
        assert_eq!(answer.is_some(), last.is_some(), "{from} {blocks_max} {bytes_max}");
        let (Some((got, proof)), Some(last)) = (answer, last) else { continue };
        let first = usize::try_from(from.max(1) - 1).unwrap();
        assert_eq!(got, blocks[first..usize::try_from(last).unwrap()], "{from} {blocks_max} {bytes_max}");
        assert_eq!(proof.verify(&verifier).unwrap().block_id, got.last().unwrap().id());
        assert_eq!(proof.headers.len() == 1, DIRECT.contains(&last), "{from} {blocks_max} {bytes_max}");
    }
}

#[test]
fn another_validator_reaches_the_same_state_from_the_blocks_of_a_catch_up() {
    let network = Network::new();
    let mut ledger = network.ledger();
    network.grow(&mut ledger, (&network.genesis_qc, None), ROUNDS, numbered());
    let mut other = network.ledger();
    let mut part = Vec::new();
    loop {
        let next = Height(other.root().height.0 + 1 + part.len() as u64);
        let Some((blocks, CommitProof { headers, qc })) = ledger.reader().blocks_from(next, 2, usize::MAX).unwrap() else { break };
        for block in &blocks {
            other.speculate(block).unwrap();
        }
        part.extend(blocks);
        if headers.len() == 1 {
            other.commit(&part.iter().collect::<Vec<_>>(), &qc).unwrap();
            part.clear();
        }
    }
    assert_eq!(other.root(), ledger.root());
    assert_eq!(super::commit::dump(other.store()), super::commit::dump(ledger.store()));
}
