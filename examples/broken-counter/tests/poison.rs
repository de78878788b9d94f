//! A transaction on which every validator panics stops each of them once, with its id in the log; after a restart they go on without it.

use std::{path::Path, time::Duration};

use quorate_client::{ClientError, Service};
use quorate_example_broken_counter::Increment;
use quorate_tests::Cluster;
use quorate_types::{
    codec,
    round::{Sequence, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_transaction_stops_each_validator_once_and_nothing_committed_is_lost() {
    let mut cluster = Cluster::of(Path::new(env!("CARGO_BIN_EXE_broken-counter")), 4, &["--accounts", "2"]).await;
    let service = |name: &str| Service::new(cluster.session_from(0), cluster.key(name).signing);
    let (alice, bob) = (service("alice"), service("bob"));
    let increment = |name: &str| Increment { name: name.into(), by: 1 };
    assert_eq!(alice.invoke_ordered::<_, u64>(&increment("a"), TIMEOUT).await.unwrap().result, Ok(1));

    // Every validator that executes it stops.
    let payload = codec::encode(&increment("poison"));
    let poison = Transaction::sign(cluster.genesis().hash(), &cluster.key("bob").signing, Sequence(0), UnixMillis(u64::MAX), payload);
    drop(cluster.client(&[0]).submit(&poison, Wait::None, Duration::from_secs(5)).await);
    let mut ended = [false; 4];
    while ended.iter().filter(|ended| **ended).count() < 3 {
        for (index, ended) in ended.iter_mut().enumerate() {
            if let Some(status) = cluster.ended(index, Duration::from_millis(200)).await {
                let log = cluster.log(index);
                assert!(!status.success() && log.contains(&format!("the application panicked on transaction {}", poison.id())), "{log}");
                assert!(log.contains("this name was not expected"), "{log}");
                assert!(!*ended, "{} has ended a second time", cluster.name(index));
                *ended = true;
                cluster.spawn(index);
            }
        }
    }
    // The fourth may have executed it or not.
    for (index, ended) in ended.iter().enumerate() {
        if !ended && cluster.ended(index, Duration::from_secs(2)).await.is_some() {
            cluster.spawn(index);
        }
        cluster.ready(index).await;
    }
    assert_eq!(alice.invoke_ordered::<_, u64>(&increment("a"), TIMEOUT).await.unwrap().result, Ok(2));
    // Validators that know it refuse it, and its sender can use its number for another transaction.
    let knows = ended.iter().position(|ended| *ended).unwrap();
    let again = cluster.client(&[knows]).submit(&poison, Wait::Accepted, Duration::from_secs(5)).await;
    assert!(matches!(&again, Err(ClientError::Refused { code, .. }) if code == "panicked"), "{again:?}");
    assert_eq!(bob.invoke_ordered::<_, u64>(&increment("b"), TIMEOUT).await.unwrap().result, Ok(1));
    for index in 0..4 {
        assert!(cluster.ended(index, Duration::from_millis(200)).await.is_none(), "{} goes on", cluster.name(index));
    }
}
