//! Programs of two versions in one network: mixed until the chain goes over to the newer version, which stops the older one.

use std::fs;

use quorate_tests::{Cluster, DEADLINE, Traffic, eventually, program_with_faults, quorate};
use quorate_types::round::Epoch;

const OPERATORS: [&str; 4] = ["faucet", "alice", "bob", "carol"];

/// Runs `quorate validator` for an operator, against its own node.
fn validator(cluster: &Cluster, operator: usize, words: &[&str]) -> serde_json::Value {
    let home = cluster.home();
    let options = ["--from", OPERATORS[operator], "--home", home.to_str().unwrap(), "--node", cluster.url(operator.min(2)), "-o", "json"];
    quorate(&[&["validator"], words, &options].concat()).ok().json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_runs_with_newer_ones_until_the_chain_goes_over_and_not_after() {
    let mut cluster = Cluster::create(4, &["--accounts", "5", "--heartbeat-ms", "1000"]);
    // A program that is built otherwise, and speaks only the first version.
    fs::write(cluster.validator_home(3).join("config").join("faults.json"), r#"{"seed":1,"rules":[],"speaks":1}"#).unwrap();
    let older = program_with_faults();
    cluster.spawn_with(3, &older, &[], |_| {});
    for index in 0..3 {
        cluster.spawn(index);
    }
    for index in 0..4 {
        cluster.ready(index).await;
    }
    let sink = cluster.key("alice").public().address;
    let traffic = Traffic::start_at(&cluster, &[0, 1, 2], [cluster.key("dave")].into(), sink);
    traffic.goes_on(20).await;
    assert!(cluster.counter(3, "quorate_consensus_votes_total").await > 0, "the older program votes");

    // Approved by a quorum, but spoken by too few: nothing changes until a third newer program is announced.
    validator(&cluster, 0, &["propose-version", "2"]);
    for operator in [1, 2] {
        validator(&cluster, operator, &["approve", "0"]);
    }
    for operator in [0, 1] {
        validator(&cluster, operator, &["speak", "2"]);
    }
    traffic.goes_on(20).await;
    assert_eq!(cluster.status(0).await.epoch, Epoch(0));
    validator(&cluster, 2, &["speak", "2"]);
    for index in 0..3 {
        let what = format!("{} goes over", cluster.name(index));
        eventually(&what, || async { (cluster.client(&[index]).status().await.ok()?.epoch == Epoch(1)).then_some(()) }).await;
    }

    // The older program stops before it signs anything of the newer version, and says what to do.
    let ended = cluster.ended(3, DEADLINE).await.expect("the older program ends");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let says = |cluster: &Cluster| cluster.log(3).matches("install a release that speaks 2").count();
    assert!(says(&cluster) > 0, "{}", cluster.log(3));
    traffic.goes_on(20).await;

    // So it does at each start. The newer program goes on with the same data.
    let before = says(&cluster);
    cluster.spawn_with(3, &older, &[], |_| {});
    let ended = cluster.ended(3, DEADLINE).await.expect("the older program ends again");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(says(&cluster) > before, "{}", cluster.log(3));
    cluster.spawn(3);
    cluster.ready(3).await;
    eventually("it votes again", || async { (cluster.counter(3, "quorate_consensus_votes_total").await > 0).then_some(()) }).await;
    assert!(traffic.stop().await.iter().all(|acknowledged| !acknowledged.is_empty()));
    let height = cluster.height().await;
    cluster.equal_roots(&[0, 1, 2, 3], height).await;
}
