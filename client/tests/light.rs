//! The light client trusts a quorum's signatures and nothing else.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use fake::{Fake, address, hexadecimal};
use quorate_builtin::{Account, GenesisAccount, KvSpace, keys::kv_key};
use quorate_client::{LightClient, LightError};
use quorate_types::{
    codec::Bounded,
    crypto::{Hash, Signature},
    failure::Code,
    header::Header,
    ids::{BlockId, GenesisHash, StateId, TxId, ValidatorId},
    proof::{ProofError, TransactionProof},
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    rpc::{AccountView, StateView},
    state_key::{AccountRecord, account_key},
    vote::QuorumCert,
};

fn receipts() -> Vec<Receipt> {
    (0..5).map(|number| Receipt { tx_id: tx(number), outcome: Outcome::Applied(vec![number]) }).collect()
}

fn tx(number: u8) -> TxId {
    TxId(Hash([number; 32]))
}

fn set_up() -> (Fake, LightClient) {
    let fake = Fake::new(vec![GenesisAccount { address: address(1), balance: 500 }]);
    let light = LightClient::new(fake.genesis.clone()).unwrap();
    (fake, light)
}

#[test]
fn a_committed_receipt_is_believed_with_its_height_round_and_signers() {
    let (fake, light) = set_up();
    let receipts = receipts();
    for (index, receipt) in receipts.iter().enumerate() {
        let proof = fake.transaction_proof(6, &receipts, index);
        let proven = light.transaction(receipt.tx_id, &hexadecimal(&proof)).unwrap();
        assert_eq!((&proven.value().receipt, proven.value().index as usize), (receipt, index));
        let certificate = proven.certificate();
        assert_eq!((certificate.header.height, certificate.header.round, certificate.round), (Height(6), Round(9), Round(10)));
        assert_eq!(certificate.signers, ["v0", "v1", "v3"]);
        assert_eq!((certificate.power, certificate.power_total), (3, 4));
    }
}

#[test]
fn a_receipt_is_believed_through_the_headers_between_it_and_the_certificate() {
    let (fake, light) = set_up();
    let mut proof = fake.transaction_proof(6, &receipts(), 2);
    let first = proof.commit.headers[0].clone();
    let last = Header { parent: first.state_id(), ..fake.header(7, &[], Hash::default()) };
    proof.commit.qc = fake.certify(&last, &[0, 1, 2]);
    proof.commit.headers = Bounded::try_from(vec![first.clone(), last.clone()]).unwrap();
    assert_eq!(light.transaction(tx(2), &hexadecimal(&proof)).unwrap().certificate().header.height, Height(6));
    let loose = Header { parent: StateId::default(), ..last };
    proof.commit.qc = fake.certify(&loose, &[0, 1, 2]);
    proof.commit.headers = Bounded::try_from(vec![first, loose]).unwrap();
    assert_eq!(light.transaction(tx(2), &hexadecimal(&proof)), Err(LightError::Proof(ProofError::Headers)));
}

#[test]
fn every_changed_part_of_a_transaction_proof_is_refused() {
    fn header(proof: &mut TransactionProof, change: impl Fn(&mut Header)) {
        let mut header = proof.commit.headers[0].clone();
        change(&mut header);
        proof.commit.headers = Bounded::try_from(vec![header]).unwrap();
    }
    fn signatures(proof: &mut TransactionProof, change: impl Fn(&mut Vec<Signature>)) {
        let mut signatures = proof.commit.qc.signatures.to_vec();
        change(&mut signatures);
        proof.commit.qc.signatures = signatures.try_into().unwrap();
    }
    type Change = (&'static str, fn(&mut TransactionProof));
    let edits: [Change; 28] = [
        ("outcome", |p| p.receipt.outcome = Outcome::Applied(vec![99])),
        ("outcome kind", |p| p.receipt.outcome = Outcome::failed(Code::new("x"), &[])),
        ("tx id", |p| p.receipt.tx_id = tx(4)),
        ("index", |p| p.path.index = 3),
        ("count", |p| p.path.count = 6),
        ("siblings", |p| p.path.siblings = Bounded::default()),
        ("no headers", |p| p.commit.headers = Bounded::default()),
        ("network of header", |p| header(p, |h| h.genesis_hash = GenesisHash(Hash([1; 32])))),
        ("epoch of header", |p| header(p, |h| h.epoch = Epoch(1))),
        ("height", |p| header(p, |h| h.height = Height(7))),
        ("round", |p| header(p, |h| h.round = Round(8))),
        ("block", |p| header(p, |h| h.block_id = BlockId::default())),
        ("parent", |p| header(p, |h| h.parent = StateId::default())),
        ("timestamp", |p| header(p, |h| h.timestamp = UnixMillis(1))),
        ("transactions root", |p| header(p, |h| h.transactions_root = Hash::default())),
        ("receipts root", |p| header(p, |h| h.receipts_root = Hash::default())),
        ("state root", |p| header(p, |h| h.state_root = Hash([1; 32]))),
        ("epoch state", |p| header(p, |h| h.epoch_state = Hash::default())),
        ("voted block", |p| p.commit.qc.vote_info.id = BlockId::default()),
        ("voted round", |p| p.commit.qc.vote_info.round = Round(11)),
        ("voted parent", |p| p.commit.qc.vote_info.parent_id = BlockId::default()),
        ("voted result", |p| p.commit.qc.vote_info.exec_state_id = StateId::default()),
        ("committed state", |p| p.commit.qc.commit_info.commit_state_id = Some(StateId::default())),
        ("no commit", |p| p.commit.qc.commit_info.commit_state_id = None),
        ("network of certificate", |p| p.commit.qc.commit_info.genesis_hash = GenesisHash::default()),
        ("another signer", |p| p.commit.qc.signers = [0, 1, 2].map(ValidatorId).into_iter().collect()),
        ("a signature less", |p| signatures(p, |s| s.truncate(2))),
        ("a flipped bit", |p| signatures(p, |s| s[1].0[7] ^= 1)),
    ];
    let (fake, light) = set_up();
    let honest = fake.transaction_proof(6, &receipts(), 2);
    assert!(light.transaction(tx(2), &hexadecimal(&honest)).is_ok());
    for (name, change) in edits {
        let mut changed = honest.clone();
        change(&mut changed);
        let refused = light.transaction(tx(2), &hexadecimal(&changed)).unwrap_err();
        assert!(matches!(refused, LightError::Proof(_) | LightError::LaterEpoch(Epoch(1))), "{name}");
    }
}

#[test]
fn fewer_signers_than_a_quorum_prove_nothing() {
    let (fake, light) = set_up();
    let mut proof = fake.transaction_proof(6, &receipts(), 0);
    for signers in [&[][..], &[0], &[0, 1]] {
        proof.commit.qc = fake.certify(&proof.commit.headers[0].clone(), signers);
        assert!(matches!(light.transaction(tx(0), &hexadecimal(&proof)), Err(LightError::Proof(ProofError::Certificate(_)))));
    }
}

#[test]
fn a_certificate_without_a_commit_proves_nothing() {
    let (fake, light) = set_up();
    let mut proof = fake.transaction_proof(6, &receipts(), 0);
    // The rounds are not consecutive, so nothing is committed, whatever the signatures.
    let header = Header { round: Round(5), ..proof.commit.headers[0].clone() };
    let mut qc = fake.certify(&header, &[0, 1, 2]);
    qc.vote_info.round = Round(10);
    proof.commit.qc = qc;
    assert!(light.transaction(tx(0), &hexadecimal(&proof)).is_err());
}

#[test]
fn another_network_of_the_same_chain_id_proves_nothing() {
    let (fake, _) = set_up();
    let again = Fake::new(Vec::new()).genesis;
    assert_eq!(again.chain_id, fake.genesis.chain_id);
    let mut fewer = fake.genesis.clone();
    fewer.validators.truncate(1);
    // Refounded by the same keys with other accounts; founded by a part of the keys.
    for genesis in [again, fewer] {
        let light = LightClient::new(genesis).unwrap();
        let proof = fake.transaction_proof(6, &receipts(), 0);
        assert!(light.transaction(tx(0), &hexadecimal(&proof)).is_err());
    }
}

#[test]
fn a_genesis_that_does_not_check_makes_no_light_client() {
    let mut genesis = Fake::new(Vec::new()).genesis;
    genesis.validators[0].validator.power.0 = 9;
    assert!(LightClient::new(genesis).is_err());
}

#[test]
fn garbage_is_no_proof() {
    let (fake, light) = set_up();
    let good = hexadecimal(&fake.transaction_proof(6, &receipts(), 0));
    for bad in ["", "zz", "00", &good[..good.len() - 2], &format!("{good}00"), &"ff".repeat(2 << 20)] {
        assert!(matches!(light.transaction(tx(0), bad), Err(LightError::Form(_))));
    }
}

fn account_view(fake: &Fake, account: Account) -> AccountView {
    let value = account.record().into_value();
    AccountView {
        address: address(1),
        sequence: account.sequence,
        next_sequence: account.sequence.next(),
        permission: quorate_types::permission::Permission::default(),
        height: Height(6),
        proof: hexadecimal(&fake.value_proof(6, (&account_key(&address(1)), &value))),
        value: Some(hex::encode(value)),
        shown: None,
    }
}

#[test]
fn an_account_is_believed_only_as_the_state_has_it() {
    let (fake, light) = set_up();
    let account = Account { balance: 12, sequence: Sequence(3), stored: 326, ..Account::default() };
    let view = account_view(&fake, account);
    assert_eq!(*light.account(address(1), &view).unwrap().value(), account.record());
    let lies = [
        AccountView { sequence: Sequence(4), ..view.clone() },
        AccountView { height: Height(7), ..view.clone() },
        AccountView { address: address(2), ..view.clone() },
        AccountView { value: None, sequence: Sequence(0), ..view.clone() },
        AccountView { value: Some(hex::encode(Account { balance: 13, ..account }.record().into_value())), ..view.clone() },
    ];
    for lie in lies {
        assert!(light.account(address(1), &lie).is_err(), "{lie:?}");
    }
    assert!(light.account(address(2), &AccountView { address: address(2), ..view }).is_err(), "another's proof");
}

#[test]
fn an_account_that_is_proved_to_be_absent_has_nothing() {
    let (fake, light) = set_up();
    let view = AccountView {
        address: address(2),
        sequence: Sequence(0),
        value: None,
        ..account_view(&fake, Account { balance: 12, sequence: Sequence(3), stored: 326, ..Account::default() })
    };
    assert_eq!(*light.account(address(2), &view).unwrap().value(), AccountRecord::default());
    assert!(light.account(address(2), &AccountView { sequence: Sequence(1), ..view }).is_err());
}

#[test]
fn a_value_is_believed_for_its_own_key_only() {
    let (fake, light) = set_up();
    let key = kv_key(KvSpace::Own, &address(1), b"k");
    let proof = hexadecimal(&fake.value_proof(6, (&key, b"v")));
    let view = StateView { key: hex::encode(&key), value: Some(hex::encode("v")), height: Height(6), proof, shown: None };
    assert_eq!(light.state(&key, &view).unwrap().value().as_deref(), Some(&b"v"[..]));
    let absent = StateView { value: None, ..view.clone() };
    let shared = kv_key(KvSpace::Shared, &address(1), b"k");
    assert_eq!(*light.state(&shared, &absent).unwrap().value(), None);
    assert!(light.state(&key, &absent).is_err());
    for other in [shared, kv_key(KvSpace::Own, &address(2), b"k"), kv_key(KvSpace::Own, &address(1), b"l")] {
        assert!(light.state(&other, &view).is_err());
    }
    assert!(light.state(&key, &StateView { value: Some(hex::encode("w")), ..view }).is_err());
}

#[test]
fn the_certificate_that_nobody_signs_proves_nothing() {
    let (fake, light) = set_up();
    let view = StateView { key: String::new(), value: None, height: Height(0), proof: hexadecimal(&fake.genesis_proof()), shown: None };
    assert_eq!(light.state(b"k", &view).unwrap_err(), LightError::NothingCommitted);
    // The placeholder in the client's own verifier, which no header can match.
    let mut proof = fake.genesis_proof();
    proof.commit.qc = QuorumCert::genesis(Epoch(0), fake.genesis.hash(), StateId::default());
    assert!(light.state(b"k", &StateView { proof: hexadecimal(&proof), ..view }).is_err());
}

#[test]
fn a_genesis_state_that_the_first_block_certifies_is_proved() {
    let (fake, light) = set_up();
    let proof = hexadecimal(&fake.value_proof(0, (b"k", b"v")));
    let view = StateView { key: hex::encode("k"), value: Some(hex::encode("v")), height: Height(0), proof, shown: None };
    assert!(light.state(b"k", &view).is_ok());
}
