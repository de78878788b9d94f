//! Validators that move to other addresses while the network runs.

use std::{net::Ipv4Addr, time::Instant};

use quorate_tests::{Cluster, NameAnswer, NameServer, eventually};
use quorate_types::round::Height;

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
    let named = format!("network.peers={{ {} = \"/dns4/{HOST}/tcp/{port}\" }}", cluster.name(MOVER));
    names.set(HOST, NameAnswer::Addresses(vec![homes[0]]));
    for index in 0..MOVER {
        cluster.spawn_set(index, &[named.clone(), resolver.clone()]);
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
