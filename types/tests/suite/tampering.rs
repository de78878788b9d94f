//! Every field and every bit of a valid value is covered: whatever changes, the value is refused.
//!
//! "Refused" means a decode error or a verify error. The verifier is warm (it has accepted the untouched value), so these tests also show that
//! a remembered certificate does not vouch for a changed one. Exceptions are stated, with the reason, in the tests that have them.

use quorate_types::{
    block::Proposal,
    codec,
    committee::{PerSigner, VotingPower},
    crypto::{PublicKey, Signature},
    genesis::GenesisValidator,
    ids::{DraftHash, GenesisHash, ValidatorId},
    message::{CatchupResponse, FetchResponse, MESSAGE_BYTES_MAX, Message, SyncInfo},
    round::{Epoch, Round, UnixMillis},
    sighting::Sightings,
    timeout::{TimeoutCert, TimeoutMessage},
    transaction::Transaction,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::fixture::{Fixture, block_id, changed, set, state};

type Change<T> = (&'static str, Box<dyn Fn(&mut T)>);

/// Flips each bit of the encoding. Returns the bits whose flip was accepted.
fn accepted_bits<T: Serialize + DeserializeOwned + PartialEq>(value: &T, accepts: impl Fn(T) -> bool) -> Vec<usize> {
    let bytes = codec::encode(value);
    assert!(accepts(codec::decode(&bytes, MESSAGE_BYTES_MAX).unwrap()), "the untouched value is valid");
    (0..bytes.len() * 8)
        .filter(|bit| {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            codec::decode::<T>(&flipped, MESSAGE_BYTES_MAX).is_ok_and(|decoded| {
                assert!(decoded != *value, "two encodings of one value, bit {bit}");
                accepts(decoded)
            })
        })
        .collect()
}

pub(crate) fn assert_covers_every_bit<T: Serialize + DeserializeOwned + PartialEq>(value: &T, accepts: impl Fn(T) -> bool) {
    let accepted = accepted_bits(value, accepts);
    assert!(accepted.is_empty(), "accepted with these bits flipped: {accepted:?}");
}

/// Applies each change and shows the result to a fresh and to a warm verifier.
fn refuses_all<T: Clone + PartialEq>(valid: &T, changes: Vec<Change<T>>, accepts: impl Fn(&quorate_types::verify::Verifier, T) -> bool) {
    let fixture = Fixture::new();
    let warm = fixture.verifier();
    assert!(accepts(&warm, valid.clone()), "the untouched value is valid");
    for (field, change) in changes {
        let mut forged = valid.clone();
        change(&mut forged);
        assert!(forged != *valid, "{field} was not changed");
        assert!(!accepts(&warm, forged.clone()), "{field}, seen before");
        assert!(!accepts(&fixture.verifier(), forged), "{field}");
    }
}

fn change<T>(field: &'static str, apply: impl Fn(&mut T) + 'static) -> Change<T> {
    (field, Box::new(apply))
}

fn flip(signature: &mut Signature) {
    signature.0[0] ^= 1;
}

fn with_entry<T: Clone>(entries: &PerSigner<T>, at: usize, apply: impl Fn(&mut T)) -> PerSigner<T> {
    let mut entries = entries.to_vec();
    apply(&mut entries[at]);
    entries.try_into().unwrap()
}

fn vote_info_changes<T: 'static>(at: fn(&mut T) -> &mut VoteInfo) -> Vec<Change<T>> {
    vec![
        change("vote_info.id", move |x| at(x).id = block_id(0xff)),
        change("vote_info.round", move |x| at(x).round = at(x).round.next()),
        change("vote_info.parent_id", move |x| at(x).parent_id = block_id(0xff)),
        change("vote_info.parent_round", move |x| at(x).parent_round = at(x).parent_round.previous().unwrap()),
        change("vote_info.exec_state_id", move |x| at(x).exec_state_id = state(0xff)),
        // Both rounds, so that the commit rule holds and only the hash can reveal it (E13).
        change("vote_info rounds", move |x| {
            at(x).round = at(x).round.next();
            at(x).parent_round = at(x).parent_round.next();
        }),
    ]
}

fn commit_info_changes<T: 'static>(at: fn(&mut T) -> (&mut LedgerCommitInfo, &mut VoteInfo)) -> Vec<Change<T>> {
    vec![
        change("commit_info.genesis_hash", move |x| at(x).0.genesis_hash = GenesisHash(crate::fixture::hash(8))),
        change("commit_info.epoch", move |x| at(x).0.epoch = Epoch(1)),
        change("commit_info.commit_state_id", move |x| at(x).0.commit_state_id = Some(state(0xff))),
        change("commit_info.commit_state_id gone", move |x| at(x).0.commit_state_id = None),
        change("commit_info.vote_info_hash", move |x| at(x).0.vote_info_hash.0[0] ^= 1),
        // A consistent pair: only the signature can reveal it.
        change("vote_info.id with its hash", move |x| {
            let (commit, vote) = at(x);
            vote.id = block_id(0xff);
            commit.vote_info_hash = vote.digest();
        }),
    ]
}

fn quorum_cert_changes() -> Vec<Change<QuorumCert>> {
    let mut changes = vote_info_changes::<QuorumCert>(|qc| &mut qc.vote_info);
    changes.extend(commit_info_changes::<QuorumCert>(|qc| (&mut qc.commit_info, &mut qc.vote_info)));
    changes.extend([
        change("signers: another", |qc: &mut QuorumCert| qc.signers = set(&[0, 1, 3])),
        change("signers: one more", |qc: &mut QuorumCert| qc.signers = set(&[0, 1, 2, 3])),
        change("signers: one less", |qc: &mut QuorumCert| qc.signers = set(&[0, 1])),
        change("signatures: order", |qc: &mut QuorumCert| {
            let mut signatures = qc.signatures.to_vec();
            signatures.swap(0, 1);
            qc.signatures = signatures.try_into().unwrap();
        }),
        change("signatures: none", |qc: &mut QuorumCert| qc.signatures = PerSigner::default()),
    ]);
    changes.extend((0..3).map(|at| change("a signature", move |qc: &mut QuorumCert| qc.signatures = with_entry(&qc.signatures, at, flip))));
    changes
}

fn accepts_vote(verifier: &quorate_types::verify::Verifier, vote: Vote) -> bool {
    verifier.message(ValidatorId(2), Message::Vote(Box::new(vote.clone()))).is_ok() | verifier.vote(vote).is_ok()
}

fn accepts_timeout(verifier: &quorate_types::verify::Verifier, timeout: TimeoutMessage) -> bool {
    verifier.message(ValidatorId(3), Message::Timeout(Box::new(timeout.clone()))).is_ok() | verifier.timeout(timeout).is_ok()
}

fn accepts_proposal(verifier: &quorate_types::verify::Verifier, proposal: Proposal) -> bool {
    verifier.message(ValidatorId(1), Message::Proposal(Box::new(proposal.clone()))).is_ok() | verifier.proposal(proposal).is_ok()
}

fn accepts_transaction(verifier: &quorate_types::verify::Verifier, transaction: Transaction) -> bool {
    verifier.transactions(vec![transaction]).remove(0).is_ok()
}

/// A change of a certificate inside a message.
fn within<T: 'static>(prefix: &'static str, at: fn(&mut T) -> &mut QuorumCert) -> Vec<Change<T>> {
    quorum_cert_changes()
        .into_iter()
        .map(|(field, apply)| {
            let name: &'static str = Box::leak(format!("{prefix}.{field}").into_boxed_str());
            change(name, move |x: &mut T| apply(at(x)))
        })
        .collect()
}

#[test]
fn every_field_of_a_quorum_certificate_is_covered() {
    refuses_all(&Fixture::new().qc(4, 3), quorum_cert_changes(), |verifier, qc| verifier.quorum_cert(&qc).is_ok());
}

#[test]
fn every_bit_of_a_quorum_certificate_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    for qc in [fixture.qc(4, 3), fixture.qc(9, 3), fixture.genesis_qc.clone()] {
        assert_covers_every_bit(&qc, |qc: QuorumCert| verifier.quorum_cert(&qc).is_ok());
    }
}

fn timeout_cert_changes<T: 'static>(at: fn(&mut T) -> &mut TimeoutCert) -> Vec<Change<T>> {
    let mut changes = vec![
        change("tc.epoch", move |x| at(x).epoch = Epoch(1)),
        change("tc.round", move |x| at(x).round = Round(6)),
        change("tc.signers: another", move |x| at(x).signers = set(&[1, 2, 3])),
        change("tc.signers: one more", move |x| at(x).signers = set(&[0, 1, 2, 3])),
        change("tc.signatures: none", move |x| at(x).signatures = PerSigner::default()),
        change("tc.high_qc_rounds: none", move |x| at(x).high_qc_rounds = PerSigner::default()),
        change("tc.high_qc_rounds: order", move |x| {
            let mut rounds = at(x).high_qc_rounds.to_vec();
            rounds.swap(0, 2);
            at(x).high_qc_rounds = rounds.try_into().unwrap();
        }),
        // A genuine certificate, but not the one that the signers claim: a higher and a lower one.
        change("tc.high_qc: a lower one", move |x| at(x).high_qc = Fixture::new().qc(3, 2)),
        change("tc.high_qc: genesis", move |x| at(x).high_qc = Fixture::new().genesis_qc),
    ];
    for entry in 0..3 {
        changes.push(change("tc: a claimed round", move |x| {
            at(x).high_qc_rounds = with_entry(&at(x).high_qc_rounds, entry, |round| *round = round.previous().unwrap());
        }));
        changes.push(change("tc: a signature", move |x| at(x).signatures = with_entry(&at(x).signatures, entry, flip)));
    }
    for (field, apply) in quorum_cert_changes() {
        changes.push(change(field, move |x: &mut T| apply(&mut at(x).high_qc)));
    }
    changes
}

#[test]
fn every_field_of_a_timeout_certificate_is_covered() {
    let tc = Fixture::new().tc(5, &[(0, 3), (2, 4), (3, 2)]);
    refuses_all(&tc, timeout_cert_changes::<TimeoutCert>(|tc| tc), |verifier, tc| verifier.timeout_cert(&tc).is_ok());
}

#[test]
fn every_bit_of_a_timeout_certificate_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    for tc in [fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]), fixture.tc(1, &[(0, 0), (1, 0), (3, 0)])] {
        assert_covers_every_bit(&tc, |tc: TimeoutCert| verifier.timeout_cert(&tc).is_ok());
    }
}

#[test]
fn every_field_of_a_vote_is_covered() {
    let mut changes = vote_info_changes::<Vote>(|vote| &mut vote.vote_info);
    changes.extend(commit_info_changes::<Vote>(|vote| (&mut vote.commit_info, &mut vote.vote_info)));
    changes.extend(within::<Vote>("high_commit_qc", |vote| &mut vote.high_commit_qc));
    changes.extend([
        change("high_commit_qc: one without a commit", |vote: &mut Vote| vote.high_commit_qc = Fixture::new().qc(4, 2)),
        change("sender", |vote: &mut Vote| vote.sender = ValidatorId(1)),
        change("sender: a stranger", |vote: &mut Vote| vote.sender = ValidatorId(4)),
        change("signature", |vote: &mut Vote| flip(&mut vote.signature)),
    ]);
    refuses_all(&Fixture::new().vote(), changes, accepts_vote);
}

#[test]
fn every_bit_of_a_vote_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    assert_covers_every_bit(&fixture.vote(), |vote| accepts_vote(&verifier, vote));
}

/// A vote's signature does not cover the certificate that it carries, which proves itself. Another valid one is legal and tells the receiver
/// nothing that its signers did not sign.
#[test]
fn another_valid_commit_certificate_in_a_vote_is_legal() {
    let fixture = Fixture::new();
    let vote = Vote { high_commit_qc: fixture.genesis_qc.clone(), ..fixture.vote() };
    assert!(accepts_vote(&fixture.verifier(), vote));
}

#[test]
fn every_field_of_a_timeout_is_covered() {
    let mut changes = timeout_cert_changes::<TimeoutMessage>(|message| message.last_round_tc.as_mut().unwrap());
    changes.extend(within::<TimeoutMessage>("high_qc", |message| &mut message.timeout.high_qc));
    changes.extend(within::<TimeoutMessage>("high_commit_qc", |message| &mut message.high_commit_qc));
    changes.extend([
        change("epoch", |message: &mut TimeoutMessage| message.timeout.epoch = Epoch(1)),
        change("round", |message: &mut TimeoutMessage| message.timeout.round = Round(7)),
        change("high_qc: another", |message: &mut TimeoutMessage| message.timeout.high_qc = Fixture::new().qc(3, 2)),
        change("sender", |message: &mut TimeoutMessage| message.timeout.sender = ValidatorId(1)),
        change("signature", |message: &mut TimeoutMessage| flip(&mut message.timeout.signature)),
        change("last_round_tc: none", |message: &mut TimeoutMessage| message.last_round_tc = None),
        change("high_commit_qc: one without a commit", |message: &mut TimeoutMessage| message.high_commit_qc = Fixture::new().qc(4, 2)),
    ]);
    refuses_all(&Fixture::new().timeout(), changes, accepts_timeout);
}

#[test]
fn every_bit_of_a_timeout_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    assert_covers_every_bit(&fixture.timeout(), |timeout| accepts_timeout(&verifier, timeout));
    let without_tc = fixture.timeout_of(0, 5, fixture.qc(4, 3), None);
    assert_covers_every_bit(&without_tc, |timeout: TimeoutMessage| verifier.timeout(timeout).is_ok());
}

#[test]
fn every_field_of_a_proposal_is_covered() {
    let mut changes = timeout_cert_changes::<Proposal>(|proposal| proposal.last_round_tc.as_mut().unwrap());
    changes.extend(within::<Proposal>("high_commit_qc", |proposal| &mut proposal.high_commit_qc));
    for (field, apply) in quorum_cert_changes() {
        changes.push(change(field, move |proposal: &mut Proposal| {
            proposal.block = changed(&proposal.block, |content| apply(&mut content.qc));
        }));
    }
    let content = |field, apply: fn(&mut quorate_types::block::BlockContent)| {
        change(field, move |proposal: &mut Proposal| proposal.block = changed(&proposal.block, apply))
    };
    changes.extend([
        content("genesis_hash", |content| content.genesis_hash = GenesisHash(crate::fixture::hash(8))),
        content("epoch", |content| content.epoch = Epoch(1)),
        content("author", |content| content.author = ValidatorId(2)),
        content("author: a stranger", |content| content.author = ValidatorId(99)),
        content("round", |content| content.round = Round(7)),
        content("timestamp", |content| content.timestamp = UnixMillis(1)),
        content("payload: none", |content| content.payload = crate::fixture::payload(vec![])),
        content("payload: another", |content| content.payload = crate::fixture::payload(vec![Fixture::new().transfer(9)])),
        content("payload: order", |content| {
            let mut transactions = content.payload.to_vec();
            transactions.reverse();
            content.payload = crate::fixture::payload(transactions);
        }),
        content("qc: another signer set", |content| {
            let fixture = Fixture::new();
            content.qc = fixture.certify(content.qc.vote_info, content.qc.commit_info, &[1, 2, 3]);
        }),
        change("signature", |proposal: &mut Proposal| flip(&mut proposal.signature)),
        change("last_round_tc: none", |proposal: &mut Proposal| proposal.last_round_tc = None),
        change("high_commit_qc: one without a commit", |proposal: &mut Proposal| proposal.high_commit_qc = Fixture::new().qc(4, 2)),
    ]);
    refuses_all(&Fixture::new().proposal(), changes, accepts_proposal);
}

#[test]
fn every_bit_of_a_proposal_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    assert_covers_every_bit(&fixture.proposal(), |proposal| accepts_proposal(&verifier, proposal));
}

/// Not even the leader can put a forged part under its own valid signature.
#[test]
fn a_leader_that_signs_a_forged_block_is_refused() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let valid = fixture.proposal();
    assert!(accepts_proposal(&verifier, valid.clone()));
    for (field, apply) in quorum_cert_changes() {
        let block = changed(&valid.block, |content| apply(&mut content.qc));
        let forged = fixture.propose(block, valid.last_round_tc.clone(), valid.high_commit_qc.clone());
        assert!(!accepts_proposal(&verifier, forged), "{field}");
    }
    let resigned = |change: fn(&mut quorate_types::block::BlockContent)| {
        let block = changed(&valid.block, change);
        fixture.propose(block, valid.last_round_tc.clone(), valid.high_commit_qc.clone())
    };
    assert!(!accepts_proposal(&verifier, resigned(|content| content.genesis_hash = GenesisHash(crate::fixture::hash(8)))));
    assert!(!accepts_proposal(&verifier, resigned(|content| content.epoch = Epoch(1))));
    assert!(!accepts_proposal(&verifier, resigned(|content| content.round = Round(7))));
    assert!(!accepts_proposal(&verifier, resigned(|content| content.round = Round(4))));
    assert!(accepts_proposal(&verifier, resigned(|content| content.timestamp = UnixMillis(1))), "the replica judges times");
}

#[test]
fn every_bit_of_a_transaction_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    for transaction in [fixture.transfer(3), fixture.put(4)] {
        assert_covers_every_bit(&transaction, |transaction| accepts_transaction(&verifier, transaction));
    }
}

#[test]
fn every_bit_of_a_genesis_entry_is_covered() {
    let fixture = Fixture::new();
    let draft = fixture.genesis.draft_hash();
    for entry in &fixture.genesis.validators {
        assert_covers_every_bit(entry, |entry: GenesisValidator| entry.check(draft).is_ok());
    }
}

#[test]
fn every_field_of_a_genesis_entry_is_covered() {
    let fixture = Fixture::new();
    let (valid, draft) = (&fixture.genesis.validators[0], fixture.genesis.draft_hash());
    let changes = vec![
        change("name", |entry: &mut GenesisValidator| entry.validator.name.push('x')),
        change("consensus_key", |entry: &mut GenesisValidator| entry.validator.consensus_key = crate::fixture::key(9).public()),
        change("network_key", |entry: &mut GenesisValidator| entry.validator.network_key = crate::fixture::key(9).public()),
        change("network_key: no key", |entry: &mut GenesisValidator| entry.validator.network_key = PublicKey([0; 32])),
        change("address", |entry: &mut GenesisValidator| entry.validator.address.push('1')),
        change("power", |entry: &mut GenesisValidator| entry.validator.power = VotingPower(2)),
        change("consensus_proof", |entry: &mut GenesisValidator| flip(&mut entry.consensus_proof)),
        change("network_proof", |entry: &mut GenesisValidator| flip(&mut entry.network_proof)),
        change("proofs swapped", |entry: &mut GenesisValidator| std::mem::swap(&mut entry.consensus_proof, &mut entry.network_proof)),
    ];
    refuses_all(valid, changes, |_, entry| entry.check(draft).is_ok());
    assert!(valid.check(DraftHash::default()).is_err(), "a proof of possession is for one draft");
}

#[test]
fn every_bit_of_a_sync_info_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let accepts = |info: SyncInfo| verifier.message(ValidatorId(0), Message::SyncInfo(Box::new(info))).is_ok();
    assert_covers_every_bit(&fixture.sync_info(), accepts);
}

/// Block ids cover every bit of a fetch response, the signatures of transactions included.
#[test]
fn every_bit_of_a_fetch_response_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let accepts = |response: FetchResponse| verifier.message(ValidatorId(0), Message::FetchResponse(Box::new(response))).is_ok();
    assert_covers_every_bit(&fixture.fetch_response(), accepts);
}

#[test]
fn every_bit_of_sightings_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let accepts = |seen: Sightings| verifier.message(ValidatorId(0), Message::Sightings(Box::new(seen))).is_ok();
    assert_covers_every_bit(&fixture.sightings(), accepts);
}

/// The exception: nothing covers `from`. Blocks carry no height; the replica accepts a response only at the height it asked for, and only if
/// the first block's parent is its own last block.
#[test]
fn every_bit_of_a_catchup_response_but_the_height_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let accepts = |response: CatchupResponse| verifier.message(ValidatorId(0), Message::CatchupResponse(Box::new(response))).is_ok();
    let height: Vec<usize> = (0..64).collect();
    assert_eq!(accepted_bits(&fixture.catchup_response(), accepts), height);
    assert_eq!(accepted_bits(&fixture.part_of_a_stretch(), accepts), height);
}
