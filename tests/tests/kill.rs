//! Processes killed without warning, under load: acknowledged transactions stay, take effect once, and the other validators continue.

use std::collections::{BTreeMap, BTreeSet};

use quorate_tests::{Acknowledged, Cluster, Traffic, eventually};
use quorate_types::{ids::Address, round::Height, rpc::ListedOutcome};
use quorate_wallet::account;

/// Number of clients, which send continuously.
const CLIENTS: usize = 24;
/// Number of kills of a single validator.
const KILLS: usize = 20;
/// Number of kills of all validators at once.
const BLACKOUTS: usize = 3;
/// Transactions that must be acknowledged while a validator is down, and after it is back.
const MORE: u64 = 40;

async fn network() -> (Cluster, Traffic, Address) {
    let cluster = Cluster::start(4, &["--accounts", &(CLIENTS + 1).to_string()]).await;
    let mut keys = cluster.keys();
    let sink = keys.pop().unwrap().public().address;
    let traffic = Traffic::start(&cluster, keys, sink);
    (cluster, traffic, sink)
}

/// Reads the whole chain from one validator, and compares it with what the clients were told and with the other validators.
async fn audit(cluster: &Cluster, promised: &[Vec<Acknowledged>], sink: Address) {
    let everybody = [0, 1, 2, 3];
    let height = cluster.height().await;
    cluster.equal_roots(&everybody, height).await;

    let client = cluster.client(&[0]);
    let mut places = BTreeMap::new();
    let mut sequences: BTreeMap<Address, BTreeSet<u64>> = BTreeMap::new();
    let mut applied = 0;
    for number in 1..=height.0 {
        let block = client.block(Some(Height(number))).await.unwrap();
        for (index, tx) in (0..).zip(&block.transactions) {
            assert!(matches!(tx.outcome, ListedOutcome::Applied { .. }), "{tx:?}");
            assert_eq!(places.insert(tx.tx_id, (block.height, index)), None, "{} is in the chain twice", tx.tx_id);
            assert!(sequences.entry(tx.sender).or_default().insert(tx.sequence.0), "{tx:?} reuses a sequence number");
            applied += 1;
        }
    }
    let mut acknowledged = 0;
    for promise in promised.iter().flatten() {
        assert_eq!(
            places.get(&promise.tx_id),
            Some(&(promise.height, promise.index)),
            "{} must be where it was acknowledged",
            promise.tx_id
        );
        acknowledged += 1;
    }
    // Each client may have one transaction that was committed but not acknowledged when it was stopped.
    assert!(
        (acknowledged..=acknowledged + promised.len() as u64).contains(&applied),
        "{acknowledged} acknowledged, {applied} in the chain"
    );
    for index in everybody {
        let session = cluster.session(&[index]);
        let (account, _) = account(&session, sink).await.unwrap().into_parts();
        assert_eq!(account.balance, 1_000_000 + applied, "{}: every transfer must arrive once", cluster.name(index));
        for promise in promised.iter().filter_map(|promises| promises.last()) {
            let proven = session.transaction(promise.tx_id).await.unwrap();
            assert_eq!((proven.certificate().header.height, proven.value().index), (promise.height, promise.index));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_validator_may_be_killed_twenty_times_in_a_row_under_load() {
    let (mut cluster, traffic, sink) = network().await;
    traffic.goes_on(MORE).await;
    for kill in 0..KILLS {
        // 0 3 2 1 0 ...: each five times, never the same one twice in a row.
        let victim = (kill * 3) % 4;
        cluster.kill(victim);
        traffic.goes_on(MORE).await;
        let height = cluster.height().await;
        cluster.spawn(victim);
        cluster.ready(victim).await;
        cluster.equal_roots(&[0, 1, 2, 3], height).await;
    }
    traffic.goes_on(MORE).await;
    let promised = traffic.stop().await;
    audit(&cluster, &promised, sink).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_validators_may_be_killed_at_once_and_keep_what_they_acknowledged() {
    let (mut cluster, traffic, sink) = network().await;
    for _ in 0..BLACKOUTS {
        traffic.goes_on(MORE * 5).await;
        cluster.kill_all();
        for index in 0..4 {
            cluster.spawn(index);
        }
        for index in 0..4 {
            cluster.ready(index).await;
        }
    }
    traffic.goes_on(MORE).await;
    let promised = traffic.stop().await;
    audit(&cluster, &promised, sink).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_acknowledged_and_with_one_again_it_goes_on() {
    let (mut cluster, traffic, sink) = network().await;
    traffic.goes_on(MORE).await;
    cluster.kill(1);
    cluster.kill(2);
    // Two of four are left: anything in flight settles within this time, then the heights stand still.
    let (first, second) = (cluster.client(&[0]), cluster.client(&[3]));
    let stood = eventually("the heights stand still", || async {
        let before = (first.status().await.ok()?.height, second.status().await.ok()?.height);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let after = (first.status().await.ok()?.height, second.status().await.ok()?.height);
        (before == after).then_some(traffic.count())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(traffic.count(), stood, "nothing is acknowledged without a quorum");
    cluster.spawn(1);
    cluster.spawn(2);
    for index in [1, 2] {
        cluster.ready(index).await;
    }
    traffic.goes_on(MORE).await;
    let promised = traffic.stop().await;
    audit(&cluster, &promised, sink).await;
}
