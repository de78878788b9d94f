//! The bytes of every type that is sent, stored or signed, and every hash, fixed for good. A change of any golden file changes the protocol:
//! other programs, old ledgers and signatures depend on it.

use std::{fmt::Write as _, path::Path};

use quorate_types::{
    codec::{self, Bounded},
    crypto::Hash,
    failure::Code,
    genesis::GenesisValidator,
    ids::Address,
    merkle::MerkleProof,
    message::{CatchupRequest, FetchRequest, Message, RecoveryAnswer, RecoveryRequest, TransactionBatch},
    receipt::{Outcome, Receipt},
    round::{Height, Round},
    timeout::timeout_digest,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    evidence,
    fixture::{EPOCH, Fixture, block_id, hash, key, network},
    proofs,
};

const REGENERATE: &str = "QUORATE_REGENERATE_GOLDEN";
const COMMAND: &str = "QUORATE_REGENERATE_GOLDEN=1 cargo test --release -p quorate-types --test suite";

/// Compares a text with its golden file, or writes the file if [`REGENERATE`] is set to 1.
pub(crate) fn check(file: &str, actual: &str) {
    let path = Path::new("tests/golden").join(file);
    if std::env::var_os(REGENERATE).is_some_and(|value| value == "1") {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    if golden == actual {
        return;
    }
    let mut diff = String::new();
    let (old, new): (Vec<_>, Vec<_>) = (golden.lines().collect(), actual.lines().collect());
    for line in 0..old.len().max(new.len()) {
        let (old, new) = (old.get(line), new.get(line));
        if old != new {
            writeln!(diff, "line {}:\n  golden {}\n  now    {}", line + 1, old.unwrap_or(&"-"), new.unwrap_or(&"-")).unwrap();
        }
    }
    panic!(
        "types/tests/golden/{file} has changed.\n{diff}If that is intended, this is a new version of the protocol. Regenerate with\n\n    {COMMAND}\n"
    );
}

/// Hexadecimal, 32 bytes per line.
pub(crate) fn hex_lines(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |text, line| text + &hex::encode(line) + "\n")
}

/// Checks the golden bytes of a value: it encodes to them, they decode to it, and cut or extended bytes are refused.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let bytes = codec::encode(value);
    check(&format!("{name}.hex"), &hex_lines(&bytes));
    let max = bytes.len() + 1;
    assert_eq!(codec::decode::<T>(&bytes, max).as_ref(), Ok(value), "{name}");
    for cut in 0..bytes.len() {
        assert!(codec::decode::<T>(&bytes[..cut], max).is_err(), "{name} cut at {cut} of {}", bytes.len());
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(codec::decode::<T>(&longer, max).is_err(), "{name} with a byte appended");
}

#[test]
fn certificates_have_golden_bytes() {
    let fixture = Fixture::new();
    golden("quorum-cert", &fixture.qc(4, 3));
    golden("quorum-cert-without-commit", &fixture.qc(9, 3));
    golden("quorum-cert-of-genesis", &fixture.genesis_qc);
    golden("timeout-cert", &fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]));
}

#[test]
fn messages_have_golden_bytes() {
    let fixture = Fixture::new();
    golden("message-0-proposal", &Message::Proposal(Box::new(fixture.proposal())));
    golden("message-1-vote", &Message::Vote(Box::new(fixture.vote())));
    golden("message-2-timeout", &Message::Timeout(Box::new(fixture.timeout())));
    golden("message-3-sync-info", &Message::SyncInfo(Box::new(fixture.sync_info())));
    golden("message-4-fetch-request", &Message::FetchRequest(FetchRequest { block_id: block_id(1), above: Round(3) }));
    golden("message-5-fetch-response", &Message::FetchResponse(Box::new(fixture.fetch_response())));
    golden("message-6-catchup-request", &Message::CatchupRequest(CatchupRequest { from: Height(3) }));
    golden("message-7-catchup-response", &Message::CatchupResponse(Box::new(fixture.catchup_response())));
    golden("message-7-catchup-response-of-a-part", &Message::CatchupResponse(Box::new(fixture.part_of_a_stretch())));
    golden("message-8-sightings-request", &Message::SightingsRequest);
    golden("message-9-sightings", &Message::Sightings(Box::new(fixture.sightings())));
    let nonce = Hash([7; 32]);
    golden("message-10-recovery-request", &Message::RecoveryRequest(RecoveryRequest { nonce }));
    let answer = RecoveryAnswer { nonce, certificates: fixture.sync_info() };
    golden("message-11-recovery-answer", &Message::RecoveryAnswer(Box::new(answer)));
    golden("transaction-batch", &TransactionBatch(Bounded::truncated(vec![fixture.transfer(0), fixture.put(1)])));
}

#[test]
fn stored_values_have_golden_bytes() {
    let fixture = Fixture::new();
    golden("block", &fixture.proposal().block);
    golden("transaction", &fixture.transfer(0));
    check("transaction-raw.hex", &hex_lines(fixture.transfer(0).raw()));
    golden("header", &proofs::header(3));
    golden("receipt-applied", &receipts()[0]);
    golden("receipt-failed", &receipts()[1]);
    golden("genesis", &fixture.genesis);
    golden("genesis-validator", &fixture.genesis.validators[0]);
    let [votes, timeouts, proposals] = evidence::all(&fixture);
    golden("evidence-0-votes", &votes);
    golden("evidence-1-timeouts", &timeouts);
    golden("evidence-2-proposals", &proposals);
}

#[test]
fn proofs_have_golden_bytes() {
    let fixture = Fixture::new();
    golden("commit-proof", &proofs::commit_proof(&fixture));
    golden("transaction-proof", &proofs::transaction_proof(&fixture));
    golden("value-proof", &proofs::value_proof(&fixture));
    let leaves: Vec<_> = (0..7).map(hash).collect();
    golden("merkle-proof", &MerkleProof::of(&leaves, 4).unwrap());
}

#[test]
fn hashes_are_the_golden_ones() {
    let fixture = Fixture::new();
    let (vote, timeout, proposal) = (fixture.vote(), fixture.timeout(), fixture.proposal());
    let entry = &fixture.genesis.validators[0];
    let leaves: Vec<_> = receipts().iter().map(Receipt::leaf).collect();
    let hashes = [
        ("vote info", vote.vote_info.digest()),
        ("what a vote signs", vote.commit_info.digest()),
        ("what a timeout signs", timeout_digest(network(), EPOCH, timeout.timeout.round, timeout.timeout.high_qc.round())),
        ("block id", proposal.block.id().0),
        ("what a proposal signs", proposal.block.proposal_digest()),
        ("quorum certificate", fixture.qc(4, 3).digest()),
        ("timeout certificate", fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]).digest()),
        ("transaction id", fixture.transfer(0).id().0),
        ("address", Address::of(&key(200).public()).0),
        ("state id", proofs::header(3).state_id().0),
        ("receipt leaf", leaves[0]),
        ("receipts root", quorate_types::merkle::root(&leaves)),
        ("empty list's root", quorate_types::merkle::root(&[])),
        ("epoch state", fixture.genesis.epoch_state().hash()),
        ("epoch block id", quorate_types::epoch::epoch_block_id(quorate_types::round::Epoch(1), proofs::header(3).state_id()).0),
        ("genesis", fixture.genesis.hash().0),
        ("genesis block id", fixture.genesis_qc.block_id().0),
        ("genesis draft", fixture.genesis.draft_hash().0),
        ("evidence", evidence::all(&fixture)[0].id().0),
        ("what proves possession", GenesisValidator::possession_digest(fixture.genesis.draft_hash(), &entry.validator)),
    ];
    let mut text = String::new();
    for (name, hash) in hashes {
        writeln!(text, "{hash} {name}").unwrap();
    }
    writeln!(text, "{} signature of a vote", hex::encode(vote.signature.0)).unwrap();
    check("hashes.txt", &text);
}

pub(crate) fn receipts() -> [Receipt; 2] {
    let fixture = Fixture::new();
    [
        Receipt { tx_id: fixture.transfer(0).id(), outcome: Outcome::Applied(vec![1, 2, 3]) },
        Receipt { tx_id: fixture.put(1).id(), outcome: Outcome::failed(Code::new("insufficient-funds"), &[3, 5]) },
    ]
}
