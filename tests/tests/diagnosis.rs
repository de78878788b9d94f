//! A validator explains itself: who is missing while nothing is committed, and what was dropped before a restart.

use std::{collections::BTreeSet, fs, time::Duration};

use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation};
use quorate_tests::{Cluster, DEADLINE, eventually, quorate};
use quorate_types::{
    diagnosis::{DropsView, LinkState},
    round::{Sequence, UnixMillis},
    rpc::{TransactionStatus, Wait},
    transaction::Transaction,
};

/// Short rounds, so that two stall periods take two seconds.
const QUICK: [&str; 6] = ["--accounts", "2", "--timeout-ms", "300", "--heartbeat-ms", "700"];

async fn commit(cluster: &Cluster, indexes: &[usize], sequence: u64) {
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
    cluster.session(indexes).submit_and_verify(&tx, DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_is_committed_the_log_and_the_api_say_who_is_missing_until_they_are_back() {
    let mut cluster = Cluster::start(4, &QUICK).await;
    commit(&cluster, &[0], 0).await;
    eventually("all stand in rounds that were seen", || async {
        let view = cluster.client(&[0]).consensus().await.ok()?;
        let is_well = view.validators.iter().all(|validator| {
            validator.last_round.is_some()
                && validator.link.as_ref().is_none_or(|link| link.state == LinkState::Up && link.reason.is_none())
        });
        (is_well && view.stall.is_none() && view.validators.len() == 4).then_some(())
    })
    .await;

    let gone: BTreeSet<String> = [1, 2].map(|index| cluster.name(index).to_owned()).into();
    cluster.kill(1);
    cluster.kill(2);
    for index in [0, 3] {
        let view = eventually("the two that were killed are missing, and nobody else", || async {
            let view = cluster.client(&[index]).consensus().await.ok()?;
            let missing: BTreeSet<String> = view.stall.as_ref()?.missing.iter().cloned().collect();
            let are_refused = view.stall.as_ref()?.summary.matches("refused").count() == 2;
            (missing == gone && are_refused).then_some(view)
        })
        .await;
        let stall = view.stall.as_ref().unwrap();
        assert_eq!((stall.answering_power, view.quorum_power, view.total_power), (2, 3, 4));
        assert!(stall.summary.contains("2 of 4 validators answer, 3 are needed"), "{stall:?}");
        assert!(view.since_commit_ms >= 2 * view.patience_ms && view.patience_ms == 1_000);
        for validator in view.validators.iter().filter(|validator| gone.contains(&validator.name)) {
            let last_round = validator.last_round.unwrap();
            assert!(stall.summary.contains(&format!("{} (last seen in round {last_round}, link down for", validator.name)), "{stall:?}");
            assert!(last_round <= view.round, "{validator:?}");
            assert_eq!(validator.link.as_ref().unwrap().state, LinkState::Down);
        }
        eventually("the log warns", || async {
            let log = cluster.log(index);
            let is_warning = |line: &&str| line.contains("WARN") && line.contains("2 of 4 validators answer, 3 are needed; missing: ");
            log.lines().filter(is_warning).find(|line| gone.iter().all(|name| line.contains(name.as_str()))).map(|_| ())
        })
        .await;
    }

    eventually("the monitor shows the stall, and the node that is gone", || async {
        let nodes = ["--node", cluster.url(0), "--node", cluster.url(1)];
        let lines = quorate(&[["monitor", "-o", "json", "--count", "1"].as_slice(), &nodes].concat()).stdout;
        let [stalled, gone] = lines.lines().collect::<Vec<_>>()[..] else { return None };
        let [stalled, gone] = [stalled, gone].map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let shows =
            stalled["consensus"]["stall"]["summary"].as_str()?.contains("3 are needed") && stalled["status"]["name"] == cluster.name(0);
        (shows && gone["error"].as_str()?.contains("refused")).then_some(())
    })
    .await;

    cluster.spawn(1);
    cluster.spawn(2);
    for index in [1, 2] {
        cluster.ready(index).await;
    }
    commit(&cluster, &[3], 1).await;
    for index in 0..4 {
        eventually("it is over", || async { cluster.client(&[index]).consensus().await.ok()?.stall.is_none().then_some(()) }).await;
    }
    for index in [0, 3] {
        eventually("the log says that it is over", || async { cluster.log(index).contains("blocks are committed again").then_some(()) })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_messages_and_transactions_were_dropped_is_known_after_a_restart() {
    let mut cluster = Cluster::start(1, &QUICK).await;
    let alice = cluster.key("alice");
    let operation = Operation::Kv(KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Delete });
    let network = cluster.genesis().hash();
    // Its sequence number has a gap before it, so it waits in the pool until it expires.
    let time = cluster.status(0).await.timestamp;
    let expires_at = UnixMillis(time.0 + 2_000);
    let late = Transaction::sign(network, &alice.signing, Sequence(5), expires_at, operation.encode());
    let client = cluster.client(&[0]);
    client.submit(&late, Wait::Accepted, DEADLINE).await.unwrap();
    let mut forged = cluster.transfer(&alice, 0, alice.public().address, 1).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Transaction::decode(forged.into()).unwrap();
    client.submit(&forged, Wait::Accepted, DEADLINE).await.unwrap_err();
    let dropped = eventually("the pool drops it", || async {
        let status = client.transaction(late.id()).await.ok()?;
        matches!(status, TransactionStatus::Dropped { .. }).then_some(status)
    })
    .await;

    assert_eq!(cluster.terminate(0, Duration::from_secs(5)).await.and_then(|ended| ended.code()), Some(0));
    cluster.spawn(0);
    cluster.ready(0).await;
    assert_eq!(client.transaction(late.id()).await.unwrap(), dropped, "for the same reason");
    let view = client.drops().await.unwrap();
    let refused = view.drops.iter().find(|drop| drop.what == "submission-refused" && drop.reason == "signature");
    assert_eq!(refused.map(|drop| drop.count), Some(1), "{view:?}");
    assert_eq!(view.transactions.iter().map(|dropped| dropped.tx_id).collect::<Vec<_>>(), [late.id()]);

    // Whatever the file contains, the validator starts, and reports what it has ignored.
    let file = cluster.validator_home(0).join("data/drops.json");
    cluster.kill(0);
    let whole: DropsView = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(whole.transactions, view.transactions);
    fs::write(&file, "{\"drops\": [").unwrap();
    cluster.spawn(0);
    cluster.ready(0).await;
    let log = cluster.log(0);
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("drops.json")), "{log}");
    assert_eq!(client.transaction(late.id()).await.unwrap(), TransactionStatus::Unknown);
}
