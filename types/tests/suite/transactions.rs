//! Transactions of hostile clients: replayed, for another network, wrongly encoded, with invalid (B11) or altered signatures.

use std::sync::Arc;

use quorate_types::{
    codec,
    crypto::{Hash, KeyError, PublicKey, Signature},
    ids::{Address, ChainId},
    round::{Sequence, UnixMillis},
    transaction::{PAYLOAD_BYTES_MAX, TRANSACTION, TRANSACTION_BYTES_MAX, Target, Transaction, TransactionContent},
    verify::{SIGNATURES_BATCHED, VerifyError},
};

use crate::fixture::{Fixture, key, network};

fn verdict(fixture: &Fixture, transaction: Transaction) -> Result<(), VerifyError> {
    fixture.verifier().transactions(vec![transaction]).remove(0).map(|_| ())
}

fn raw(content: &TransactionContent, signature: &Signature) -> Arc<[u8]> {
    [codec::encode(content), signature.0.to_vec()].concat().into()
}

fn content(sender: PublicKey, payload: Vec<u8>) -> TransactionContent {
    TransactionContent {
        genesis_hash: network(),
        sender,
        sequence: Sequence(0),
        expires_at: UnixMillis(9),
        target: Target::Application,
        payload,
    }
}

#[test]
fn what_is_signed_is_what_is_read() {
    let fixture = Fixture::new();
    let signed = fixture.transfer(3);
    let read = Transaction::decode(signed.raw().clone()).unwrap();
    assert_eq!(
        (read.id(), read.sender(), read.content(), read.signature()),
        (signed.id(), signed.sender(), signed.content(), signed.signature())
    );
    assert_eq!(read.sender(), Address::of(&key(200).public()));
    assert_eq!(verdict(&fixture, read), Ok(()));
}

#[test]
fn the_id_does_not_cover_the_signature() {
    let signed = Fixture::new().transfer(3);
    let other = Transaction::decode(raw(signed.content(), &Signature([1; 64]))).unwrap();
    assert_eq!(other.id(), signed.id());
    assert_ne!(other, signed);
    assert_eq!(signed.id().0, Hash::of(&TRANSACTION, &codec::encode(signed.content())));
}

/// A verdict is remembered for a signature, not for an id: a bad signature does not change the id.
#[test]
fn a_remembered_transaction_does_not_vouch_for_another_signature() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let signed = fixture.transfer(3);
    let forged = Transaction::decode(raw(signed.content(), &Signature([1; 64]))).unwrap();
    for _ in 0..2 {
        let verdicts = verifier.transactions(vec![signed.clone(), forged.clone(), signed.clone()]);
        assert_eq!(verdicts.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }
}

#[test]
fn a_transaction_of_another_network_is_refused() {
    let (ours, theirs) = (Fixture::new(), Fixture::with(ChainId(8), &[1; 4]));
    let foreign = theirs.transfer(0);
    assert_eq!(verdict(&ours, foreign.clone()), Err(VerifyError::OtherNetwork(theirs.genesis_hash)));
    let relabelled = TransactionContent { genesis_hash: network(), ..foreign.content().clone() };
    let relabelled = Transaction::decode(raw(&relabelled, foreign.signature())).unwrap();
    assert!(matches!(verdict(&ours, relabelled), Err(VerifyError::Signature(_))));
}

#[test]
fn keys_that_bind_nobody_are_refused() {
    let fixture = Fixture::new();
    // The identity as a key: with R = identity and s = 0, every message would count as signed.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let anyone = Transaction::decode(raw(&content(PublicKey(identity), vec![]), &Signature(signature))).unwrap();
    assert_eq!(verdict(&fixture, anyone), Err(VerifyError::Key(KeyError::SmallOrder)));
    let no_point = Transaction::decode(raw(&content(PublicKey([2; 32]), vec![]), &Signature(signature))).unwrap();
    assert_eq!(verdict(&fixture, no_point), Err(VerifyError::Key(KeyError::NotAPoint)));
}

#[test]
fn signatures_of_other_domains_are_refused() {
    let fixture = Fixture::new();
    let content = content(key(200).public(), vec![1]);
    let bytes = codec::encode(&content);
    let others = [Hash::of(&quorate_types::vote::VOTE, &bytes), Hash::of(&quorate_types::block::PROPOSAL, &bytes), Hash([0; 32])];
    for digest in others {
        let transaction = Transaction::decode(raw(&content, &key(200).sign(&digest))).unwrap();
        assert!(matches!(verdict(&fixture, transaction), Err(VerifyError::Signature(_))));
    }
    let good = Transaction::decode(raw(&content, &key(200).sign(&Hash::of(&TRANSACTION, &bytes)))).unwrap();
    assert_eq!(verdict(&fixture, good), Ok(()));
}

#[test]
fn each_transaction_of_a_large_batch_has_its_own_verdict() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let foreign = Fixture::with(ChainId(8), &[1; 4]);
    let transactions: Vec<_> = (0..3 * SIGNATURES_BATCHED as u64 + 7)
        .map(|n| match n % 50 {
            17 => Transaction::decode(raw(fixture.transfer(n).content(), &Signature([1; 64]))).unwrap(),
            33 => foreign.transfer(n),
            _ => fixture.transfer(n),
        })
        .collect();
    // In the second pass, the valid ones are remembered.
    for _ in 0..2 {
        let verdicts = verifier.transactions(transactions.clone());
        assert_eq!(verdicts.len(), transactions.len());
        for (n, (verdict, transaction)) in verdicts.into_iter().zip(&transactions).enumerate() {
            match n % 50 {
                17 => assert!(matches!(verdict, Err(VerifyError::Signature(_))), "{n}"),
                33 => assert_eq!(verdict, Err(VerifyError::OtherNetwork(foreign.genesis_hash)), "{n}"),
                _ => assert_eq!(&*verdict.unwrap(), transaction, "{n}"),
            }
        }
    }
    assert!(verifier.transactions(vec![]).is_empty());
}

#[test]
fn lengths_are_bounded_and_exact() {
    let fixture = Fixture::new();
    let largest = fixture.transaction(0, vec![7; PAYLOAD_BYTES_MAX]);
    assert_eq!((largest.content().payload.len(), largest.raw().len()), (PAYLOAD_BYTES_MAX, TRANSACTION_BYTES_MAX));
    assert_eq!(Transaction::decode(largest.raw().clone()).unwrap(), largest);
    let larger = fixture.transaction(0, vec![7; PAYLOAD_BYTES_MAX + 1]);
    assert!(Transaction::decode(larger.raw().clone()).is_err());

    let bytes = fixture.transfer(0).raw().to_vec();
    for cut in 0..bytes.len() {
        assert!(Transaction::decode(bytes[..cut].into()).is_err(), "cut at {cut}");
    }
    assert!(Transaction::decode([&bytes[..], &[0]].concat().into()).is_err());
    // After the genesis, the sender, the sequence number, the expiry and the target.
    let length_at = 32 + 32 + 8 + 8 + 1;
    assert_eq!(usize::from(bytes[length_at]), Transaction::decode(bytes.clone().into()).unwrap().content().payload.len());
    let mut padded = bytes.clone();
    padded.splice(length_at..=length_at, [bytes[length_at] | 0x80, 0]);
    assert!(Transaction::decode(padded.into()).is_err(), "a length in more bytes than it needs");
    let mut huge = bytes;
    huge.splice(length_at..=length_at, [0xff, 0xff, 0xff, 0xff, 0x07]);
    assert!(Transaction::decode(huge.into()).is_err(), "a length of two billion");
}
