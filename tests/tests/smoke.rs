//! Four processes agree on transfers and on keys and values, and prove it.

use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation, keys::kv_key};
use quorate_tests::{Cluster, DEADLINE};
use quorate_types::{receipt::Outcome, round::Height};
use quorate_wallet::account;

fn kv(key: &str, action: KvAction) -> Operation {
    Operation::Kv(KvOperation { space: KvSpace::Own, key: key.into(), action })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_validators_commit_transfers_and_values_and_prove_them_from_any_of_them() {
    let cluster = Cluster::start(4, &["--accounts", "2", "--balance", "1000"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let (from, to) = (alice.public().address, bob.public().address);

    // Each transaction goes to a different validator, so each must pass transactions on.
    let operations = [
        (kv("k", KvAction::Put(b"hello".to_vec())), true),
        (kv("k", KvAction::Append(b" world".to_vec())), true),
        (kv("k", KvAction::Slice { start: 6, end: 11 }), true),
        (kv("missing", KvAction::Append(b"x".to_vec())), false),
        (kv("k", KvAction::Slice { start: 3, end: 99 }), false),
        (kv("gone", KvAction::Put(b"x".to_vec())), true),
        (kv("gone", KvAction::Delete), true),
    ];
    let mut sequence = 0;
    let mut last = Height(0);
    for (operation, applies) in &operations {
        let tx = cluster.sign(&alice, sequence, operation);
        let session = cluster.session_from(usize::try_from(sequence).unwrap() % 4);
        let proven = session.submit_and_verify(&tx, DEADLINE).await.unwrap();
        assert_eq!(proven.value().receipt.outcome.is_applied(), *applies, "{operation:?}: {:?}", proven.value().receipt);
        last = last.max(proven.certificate().header.height);
        sequence += 1;
    }
    for amount in [1, 10, 100] {
        let tx = cluster.transfer(&alice, sequence, to, amount);
        let proven = cluster.session_from(usize::try_from(sequence).unwrap() % 4).submit_and_verify(&tx, DEADLINE).await.unwrap();
        assert!(proven.value().receipt.outcome.is_applied());
        last = last.max(proven.certificate().header.height);
        sequence += 1;
    }
    let too_much = cluster.transfer(&alice, sequence, to, 889);
    let tx = cluster.session_from(0).submit_and_verify(&too_much, DEADLINE).await.unwrap();
    assert!(matches!(&tx.value().receipt.outcome, Outcome::Applied(_)), "the whole balance may be sent");
    last = last.max(tx.certificate().header.height);

    let everybody = [0, 1, 2, 3];
    cluster.equal_roots(&everybody, last).await;
    for index in everybody {
        let session = cluster.session(&[index]);
        let (poor, rich) = (account(&session, from).await.unwrap(), account(&session, to).await.unwrap());
        assert_eq!(
            (poor.value().balance, poor.value().sequence.0, rich.value().balance),
            (0, sequence + 1, 2_000),
            "{}",
            cluster.name(index)
        );
        let value = session.state_verified(&kv_key(KvSpace::Own, &from, b"k")).await.unwrap();
        assert_eq!(value.value().as_deref(), Some(b"world".as_slice()));
        assert_eq!(session.state_verified(&kv_key(KvSpace::Own, &from, b"gone")).await.unwrap().value(), &None, "absence is proved too");
        assert!(session.transaction(too_much.id()).await.unwrap().value().receipt.outcome.is_applied());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_validator_is_a_network_too() {
    let cluster = Cluster::start(1, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    for sequence in 0..3 {
        let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
        cluster.session(&[0]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    }
    assert_eq!(account(&cluster.session(&[0]), bob.public().address).await.unwrap().value().balance, 1_000_003);
}
