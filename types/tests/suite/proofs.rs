//! Proofs for clients, honest and forged.

use quorate_types::{
    crypto::Hash,
    failure::Code,
    header::Header,
    ids::{StateId, TxId},
    merkle::{self, MerkleProof},
    proof::{CommitProof, ProofError, TransactionProof, ValueProof},
    receipt::{Outcome, Receipt},
    round::{Height, Round, UnixMillis},
    state_proof::{StateProof, StateTerminal, state_key_hash, state_leaf_hash, state_value_hash},
    vote::{QuorumCert, VoteInfo},
};

use crate::{
    fixture::{EPOCH, Fixture, block_id, hash, network, state},
    golden::receipts,
};

const KEY: &[u8] = b"colour";
const VALUE: &[u8] = b"green";

pub(crate) fn header(round: u8) -> Header {
    let leaves: Vec<Hash> = receipts().iter().map(Receipt::leaf).collect();
    Header {
        genesis_hash: network(),
        epoch: EPOCH,
        height: Height(u64::from(round)),
        round: Round(u64::from(round)),
        block_id: block_id(round),
        parent: state(round - 1),
        timestamp: UnixMillis(1_700_000_000_000),
        transactions_root: hash(0xa1),
        receipts_root: merkle::root(&leaves),
        state_root: state_leaf_hash(&state_key_hash(KEY), &state_value_hash(VALUE)),
        epoch_state: hash(0xa2),
    }
}

/// Headers of rounds 3, 5 and 6; the certificate of round 7 commits the last of them.
fn headers() -> Vec<Header> {
    let first = header(3);
    let second = Header { parent: first.state_id(), ..header(5) };
    let third = Header { parent: second.state_id(), ..header(6) };
    vec![first, second, third]
}

fn commit_qc(fixture: &Fixture, last: &Header) -> QuorumCert {
    let vote_info = VoteInfo {
        id: block_id(0xc0),
        round: last.round.next(),
        parent_id: last.block_id,
        parent_round: last.round,
        exec_state_id: state(0xc1),
    };
    let mut commit_info = fixture.commit_info(&vote_info);
    commit_info.commit_state_id = Some(last.state_id());
    fixture.certify(vote_info, commit_info, &[0, 2, 3])
}

pub(crate) fn commit_proof(fixture: &Fixture) -> CommitProof {
    let headers = headers();
    CommitProof { qc: commit_qc(fixture, headers.last().unwrap()), headers: headers.try_into().unwrap() }
}

pub(crate) fn transaction_proof(fixture: &Fixture) -> TransactionProof {
    let receipts = receipts();
    let leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
    let [_, receipt] = receipts;
    TransactionProof { receipt, path: MerkleProof::of(&leaves, 1).unwrap(), commit: commit_proof(fixture) }
}

pub(crate) fn value_proof(fixture: &Fixture) -> ValueProof {
    let terminal = StateTerminal::Leaf { key_hash: state_key_hash(KEY), value_hash: state_value_hash(VALUE) };
    ValueProof { path: StateProof { siblings: vec![], terminal }, commit: commit_proof(fixture) }
}

#[test]
fn honest_proofs_prove_the_header_of_the_block() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    assert_eq!(commit_proof(&fixture).verify(&verifier), Ok(&header(3)));
    let proof = transaction_proof(&fixture);
    assert_eq!(proof.verify(&verifier, proof.receipt.tx_id), Ok(&header(3)));
    assert_eq!(value_proof(&fixture).verify(&verifier, KEY, Some(VALUE)), Ok(&header(3)));
    assert!(value_proof(&fixture).verify(&verifier, KEY, Some(b"red")).is_err());
    assert!(value_proof(&fixture).verify(&verifier, KEY, None).is_err());
}

#[test]
fn a_proof_about_another_transaction_is_refused() {
    let fixture = Fixture::new();
    let proof = transaction_proof(&fixture);
    let asked = fixture.transfer(0).id();
    assert_eq!(proof.verify(&fixture.verifier(), asked), Err(ProofError::OtherTransaction(proof.receipt.tx_id)));
    // The block does not contain the relabelled receipt.
    let relabelled = TransactionProof { receipt: Receipt { tx_id: TxId(hash(5)), ..proof.receipt.clone() }, ..proof };
    assert_eq!(relabelled.verify(&fixture.verifier(), TxId(hash(5))), Err(ProofError::Receipt));
}

#[test]
fn headers_that_do_not_end_in_the_committed_state_prove_nothing() {
    let fixture = Fixture::new();
    let valid = commit_proof(&fixture);
    let headers = valid.headers.to_vec();
    let verify = |headers: Vec<Header>| {
        CommitProof { headers: headers.try_into().unwrap(), qc: valid.qc.clone() }.verify(&fixture.verifier()).map(|_| ()).unwrap_err()
    };
    assert_eq!(verify(vec![]), ProofError::Headers);
    assert_eq!(verify(vec![headers[0].clone(), headers[2].clone()]), ProofError::Headers, "a gap");
    assert_eq!(verify(headers.iter().rev().cloned().collect()), ProofError::Headers, "reordered");
    assert_eq!(verify(headers[..2].to_vec()), ProofError::NotCommitted, "the end cut off");
    assert_eq!(verify(vec![header(9)]), ProofError::NotCommitted, "a forged header");
    let forged_first = [vec![Header { height: Height(1), ..headers[0].clone() }], headers[1..].to_vec()].concat();
    assert_eq!(verify(forged_first), ProofError::Headers);
    assert_eq!(
        CommitProof { headers: headers[2..].to_vec().try_into().unwrap(), qc: valid.qc.clone() }.verify(&fixture.verifier()),
        Ok(&headers[2])
    );
}

#[test]
fn a_certificate_that_commits_nothing_proves_nothing() {
    let fixture = Fixture::new();
    let valid = commit_proof(&fixture);
    // It certifies a child of the last header's block, but not in the next round.
    let vote_info = VoteInfo { round: Round(9), ..valid.qc.vote_info };
    let qc = fixture.certify(vote_info, fixture.commit_info(&vote_info), &[0, 1, 2]);
    let proof = CommitProof { qc, ..valid.clone() };
    assert_eq!(proof.verify(&fixture.verifier()), Err(ProofError::NotCommitted));
    let minority = fixture.certify(valid.qc.vote_info, valid.qc.commit_info, &[0, 1]);
    assert!(matches!(CommitProof { qc: minority, ..valid }.verify(&fixture.verifier()), Err(ProofError::Certificate(_))));
}

#[test]
fn genesis_is_proved_by_its_own_certificate() {
    let mut fixture = Fixture::new();
    let header =
        Header { parent: StateId::default(), block_id: fixture.genesis_qc.block_id(), round: Round(0), height: Height(0), ..header(3) };
    fixture.genesis_qc = QuorumCert::genesis(EPOCH, fixture.genesis.hash(), header.state_id());
    let proof = CommitProof { headers: vec![header.clone()].try_into().unwrap(), qc: fixture.genesis_qc.clone() };
    assert_eq!(proof.verify(&fixture.verifier()), Ok(&header));
    assert!(proof.verify(&Fixture::new().verifier()).is_err(), "of another genesis");
}

/// No bit of a proof can change.
#[test]
fn every_bit_of_a_proof_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let tx_id = transaction_proof(&fixture).receipt.tx_id;
    let bytes = quorate_types::codec::encode(&transaction_proof(&fixture));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let decoded = quorate_types::codec::decode::<TransactionProof>(&flipped, 1 << 16);
        assert!(!decoded.is_ok_and(|proof| proof.verify(&verifier, tx_id).is_ok()), "bit {bit}");
    }
    let bytes = quorate_types::codec::encode(&value_proof(&fixture));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let decoded = quorate_types::codec::decode::<ValueProof>(&flipped, 1 << 16);
        assert!(!decoded.is_ok_and(|proof| proof.verify(&verifier, KEY, Some(VALUE)).is_ok()), "bit {bit}");
    }
}

/// Certified data holds no sentences: rewording a message or changing a library version must not change a root.
#[test]
fn a_receipt_has_no_room_for_a_sentence() {
    use quorate_types::failure::{CODE_BYTES_MAX, FAILURE_NUMBERS_MAX};
    let failed = |code: &str, numbers: &[u64]| quorate_types::codec::encode(&(hash(1), 1u8, code, numbers));
    let read = |bytes: &[u8]| quorate_types::codec::decode::<Receipt>(bytes, 1 << 10);
    let receipt = read(&failed("insufficient-funds", &[3, 5])).unwrap();
    assert_eq!(receipt, Receipt { tx_id: TxId(hash(1)), outcome: Outcome::failed(Code::new("insufficient-funds"), &[3, 5]) });
    assert!(read(&failed(&"x".repeat(CODE_BYTES_MAX), &[0; FAILURE_NUMBERS_MAX])).is_ok());
    for code in ["", "has 3", "Failed", "x.", "needs\n", "weiß", &"x".repeat(CODE_BYTES_MAX + 1)] {
        assert!(read(&failed(code, &[])).is_err(), "{code:?}");
    }
    assert!(read(&failed("x", &[0; FAILURE_NUMBERS_MAX + 1])).is_err());
}
