//! Validators that move to other addresses while the network runs.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Instant,
};

use quorate_tests::{Cluster, NameAnswer, NameServer, eventually, quorate};
use quorate_types::round::{Epoch, Height};
use serde_json::Value;

/// The validator that moves.
const MOVER: usize = 3;
/// Its host name.
const HOST: &str = "mover.quorate.test";

/// Settings of the validator that moves: it listens at this address, and can dial nobody, so the others must find it.
fn hidden(cluster: &Cluster, listen: &str) -> Vec<String> {
    let nowhere =
        (0..cluster.len()).filter(|index| *index != MOVER).map(|index| format!("{} = \"/ip4/127.0.0.1/tcp/1\"", cluster.name(index)));
    let peers = format!("network.peers={{ {} }}", nowhere.collect::<Vec<_>>().join(", "));
    vec![peers, format!("network.listen={listen}")]
}

/// Whether each of these has a link to the one that moves.
async fn linked(cluster: &Cluster, indexes: &[usize]) -> Vec<bool> {
    let mut linked = Vec::new();
    for index in indexes {
        let peers = cluster.status(*index).await.peers;
        linked.push(peers.iter().any(|peer| peer.name == cluster.name(MOVER) && peer.connected));
    }
    linked
}

async fn all_linked(cluster: &Cluster) {
    eventually("all are linked to it", || async { linked(cluster, &[0, 1, 2]).await.iter().all(|is| *is).then_some(()) }).await;
}

async fn commits_on(cluster: &Cluster) {
    let height = cluster.height().await;
    eventually("blocks are committed", || async { (cluster.height().await > Height(height.0 + 1)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_is_found_again_when_its_name_means_another_address_whatever_was_answered_before() {
    let mut cluster = Cluster::create(4, &["--accounts", "4", "--heartbeat-ms", "500"]);
    let names = NameServer::start();
    let port = cluster.p2p(MOVER).rsplit(':').next().unwrap().to_owned();
    let homes = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
    let listen = |home: Ipv4Addr| format!("/ip4/{home}/tcp/{port}");
    let resolver = format!("network.resolver={}", names.address());
    let found_by_name = format!("network.peers={{ {} = \"/dns4/{HOST}/tcp/{port}\" }}", cluster.name(MOVER));
    names.set(HOST, NameAnswer::Addresses(vec![homes[0]]));
    for index in 0..MOVER {
        cluster.spawn_set(index, &[found_by_name.clone(), resolver.clone()]);
    }
    let settings = hidden(&cluster, &listen(homes[0]));
    cluster.spawn_set(MOVER, &settings);
    for index in 0..4 {
        cluster.ready(index).await;
    }

    let nobody = Ipv4Addr::new(127, 0, 0, 9);
    let before = [
        NameAnswer::Addresses(vec![homes[0]]),
        NameAnswer::Silence,
        NameAnswer::Rubbish,
        NameAnswer::Error(3),
        NameAnswer::Addresses(vec![nobody; 1_000]),
    ];
    for (turn, answer) in before.into_iter().enumerate() {
        let home = homes[(turn + 1) % 2];
        cluster.kill(MOVER);
        names.set(HOST, answer.clone());
        let settings = hidden(&cluster, &listen(home));
        cluster.spawn_set(MOVER, &settings);
        eventually("it runs", || async { cluster.client(&[MOVER]).status().await.ok() }).await;
        let asked = names.asked();
        eventually("the others ask for its name", || async { (names.asked() >= asked + 6).then_some(()) }).await;
        commits_on(&cluster).await;
        assert_eq!(linked(&cluster, &[0, 1, 2]).await, [false; 3], "{turn}");
        names.set(HOST, NameAnswer::Addresses(vec![home]));
        let changed = Instant::now();
        all_linked(&cluster).await;
        println!(
            "linked {} ms after the right answer, before which the name server answered otherwise ({turn})",
            changed.elapsed().as_millis()
        );
    }
    cluster.ready(MOVER).await;

    // While the name server does not answer, it is dialled where it was last.
    names.set(HOST, NameAnswer::Silence);
    cluster.kill(MOVER);
    cluster.spawn_set(MOVER, &hidden(&cluster, &listen(homes[1])));
    cluster.ready(MOVER).await;
    all_linked(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_its_operator_has_moved_is_linked_again_in_the_same_epoch() {
    let mut cluster = Cluster::create(4, &["--accounts", "4", "--heartbeat-ms", "500"]);
    let names = NameServer::start();
    let home = Ipv4Addr::new(127, 0, 0, 3);
    names.set(HOST, NameAnswer::Addresses(vec![home]));
    let resolver = [format!("network.resolver={}", names.address())];
    for index in 0..MOVER {
        cluster.spawn_set(index, &resolver);
    }
    let old = format!("/ip4/127.0.0.1/tcp/{}", cluster.p2p(MOVER).rsplit(':').next().unwrap());
    cluster.spawn_set(MOVER, &hidden(&cluster, &old));
    for index in 0..4 {
        cluster.ready(index).await;
    }

    // It listens at one address, and its operator announces another.
    cluster.kill(MOVER);
    let port = TcpListener::bind((home, 0)).unwrap().local_addr().unwrap().port();
    cluster.spawn_set(MOVER, &hidden(&cluster, &format!("/ip4/{home}/tcp/{port}")));
    eventually("it runs", || async { cluster.client(&[MOVER]).status().await.ok() }).await;
    commits_on(&cluster).await;
    assert_eq!(linked(&cluster, &[0, 1, 2]).await, [false; 3]);
    let (name, announced) = (cluster.name(MOVER).to_owned(), format!("/dns4/{HOST}/tcp/{port}"));
    validator(&cluster, &["move", &name, &announced, "--from", "carol"]);
    let committed = Instant::now();
    all_linked(&cluster).await;
    println!("linked {} ms after the wallet has seen the commit", committed.elapsed().as_millis());
    cluster.ready(MOVER).await;

    let status = cluster.status(0).await;
    assert_eq!(status.epoch, Epoch(0));
    assert!(status.peers.iter().any(|peer| peer.name == name && peer.address == announced), "{status:?}");
    let members = validator(&cluster, &["list"]);
    let is_shown = |member: &Value| member["name"] == name.as_str() && member["address"] == announced.as_str();
    assert!(members["members"].as_array().unwrap().iter().any(is_shown), "{members}");
    // Who starts later finds it as well.
    cluster.kill(0);
    cluster.spawn_set(0, &resolver);
    cluster.ready(0).await;
    all_linked(&cluster).await;
}

/// Runs `quorate validator` against the first node.
fn validator(cluster: &Cluster, words: &[&str]) -> Value {
    let home = cluster.home();
    let arguments = [&["validator"], words, &["--home", home.to_str().unwrap(), "--node", cluster.url(0), "-o", "json"]].concat();
    quorate(&arguments).ok().json()
}
