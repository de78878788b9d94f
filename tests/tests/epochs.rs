//! A committee that changes while its processes run, by the commands of its operators.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    time::Instant,
};

use quorate_tests::{Cluster, Traffic, eventually, quorate};
use quorate_types::{
    diagnosis::{LinkState, ValidatorStanding},
    governance::OWN_CHANGE_BLOCKS,
    round::{Epoch, Height},
};
use serde_json::Value;

/// The accounts that operate the four validators; the others are the traffic's.
const OPERATORS: [&str; 4] = ["faucet", "alice", "bob", "carol"];

/// Runs `quorate validator` for an operator, against one node.
fn validator(cluster: &Cluster, node: usize, words: &[&str]) -> Value {
    let home = cluster.home();
    let arguments = [&["validator"], words, &["--home", home.to_str().unwrap(), "--node", cluster.url(node), "-o", "json"]].concat();
    quorate(&arguments).ok().json()
}

fn as_operator(cluster: &Cluster, node: usize, operator: &str, words: &[&str]) -> Value {
    validator(cluster, node, &[words, &["--from", operator]].concat())
}

/// Proposes a change and has three of four operators approve it.
fn decide(cluster: &Cluster, proposal: u64, words: &[&str]) {
    as_operator(cluster, 0, OPERATORS[1], words);
    let id = proposal.to_string();
    for (node, operator) in [(1, OPERATORS[2]), (2, OPERATORS[3])] {
        as_operator(cluster, node, operator, &["approve", &id]);
    }
}

async fn reaches(cluster: &Cluster, index: usize, epoch: u64) {
    let what = format!("{} is in epoch {epoch}", cluster.name(index));
    eventually(&what, || async { (cluster.client(&[index]).status().await.ok()?.epoch == Epoch(epoch)).then_some(()) }).await;
}

async fn agree(cluster: &Cluster, indexes: &[usize]) {
    let height = cluster.height().await;
    cluster.equal_roots(indexes, height).await;
}

async fn votes(cluster: &Cluster, index: usize) -> u64 {
    cluster.counter(index, "quorate_consensus_votes_total").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_lose_their_vote_get_it_back_join_change_their_keys_and_leave_under_load() {
    let mut cluster = Cluster::start(4, &["--accounts", "6"]).await;
    let sink = cluster.key("alice").public().address;
    let clients = ["dave", "erin", "frank"].map(|name| cluster.key(name)).into();
    let traffic = Traffic::start_at(&cluster, &[0, 1, 2], clients, sink);

    traffic.goes_on(1).await;
    let members = validator(&cluster, 3, &["list"]);
    assert_eq!(members["epoch"], 0, "{members}");

    // An observer follows, signs nothing, and survives a restart as one.
    let last = cluster.name(3).to_owned();
    decide(&cluster, 0, &["propose-power", &last, "0"]);
    for index in 0..4 {
        reaches(&cluster, index, 1).await;
    }
    let before = votes(&cluster, 3).await;
    traffic.goes_on(50).await;
    assert_eq!(votes(&cluster, 3).await, before);
    cluster.kill(3);
    cluster.spawn(3);
    cluster.ready(3).await;
    agree(&cluster, &[0, 1, 2, 3]).await;
    assert_eq!(votes(&cluster, 3).await, 0);
    // Three voters: all are needed for the quorum, and one approval less than before is not enough.
    as_operator(&cluster, 0, OPERATORS[1], &["propose-power", &last, "1"]);
    let open = validator(&cluster, 3, &["proposals"]);
    assert!(open.to_string().contains(&last), "{open}");
    as_operator(&cluster, 1, OPERATORS[2], &["approve", "1"]);
    for operator in [OPERATORS[0], OPERATORS[3]] {
        approve_until(&cluster, operator, 1, 2).await;
    }
    for index in 0..4 {
        reaches(&cluster, index, 2).await;
    }
    eventually("it votes again", || async { (votes(&cluster, 3).await > 0).then_some(()) }).await;

    // A fifth validator joins, first of all by getting the chain.
    let operator = cluster.key("faucet").public().address;
    let (fifth, entry) = cluster.newcomer("fifth", operator);
    decide(&cluster, 2, &["propose-add", entry.to_str().unwrap()]);
    cluster.spawn_to_join(fifth);
    reaches(&cluster, fifth, 3).await;
    cluster.ready(fifth).await;
    eventually("the newcomer votes", || async { (votes(&cluster, fifth).await > 0).then_some(()) }).await;

    // Its operator alone gives it other keys, on another machine, once the last change is old enough.
    cluster.kill(fifth);
    let (moved, entry) = cluster.newcomer("fifth-again", operator);
    let early = as_operator(&cluster, 0, "faucet", &["replace", "fifth", entry.to_str().unwrap()]);
    assert!(early.to_string().contains("votes_needed"), "{early}");
    let due = cluster.height().await.0 + OWN_CHANGE_BLOCKS;
    eventually("the replacement is due", || async { (cluster.height().await.0 >= due).then_some(()) }).await;
    as_operator(&cluster, 0, "faucet", &["approve", "3"]);
    cluster.spawn_to_join(moved);
    reaches(&cluster, moved, 4).await;
    eventually("the new key votes", || async { (votes(&cluster, moved).await > 0).then_some(()) }).await;
    // The old key follows, but signs nothing.
    cluster.spawn_to_join(fifth);
    let said = |cluster: &Cluster| {
        cluster.log(fifth).contains("the committee does not have this validator's key") || cluster.log(fifth).contains("is_voter=false")
    };
    eventually("the old key is told", || async { said(&cluster).then_some(()) }).await;
    cluster.kill(fifth);

    // The member leaves, and the four go on.
    decide(&cluster, 4, &["propose-remove", "fifth-again"]);
    approve_until(&cluster, "faucet", 4, 5).await;
    for index in 0..4 {
        reaches(&cluster, index, 5).await;
    }
    traffic.goes_on(50).await;
    agree(&cluster, &[0, 1, 2, 3]).await;

    assert!(traffic.stop().await.iter().all(|acknowledged| !acknowledged.is_empty()));
    // A wallet that knows the genesis alone follows the chain of committees.
    let fresh = tempfile::tempdir().unwrap();
    follows(&cluster, fresh.path());
}

/// Lets another operator approve, unless the proposal has taken effect already.
async fn approve_until(cluster: &Cluster, operator: &str, proposal: u64, epoch: u64) {
    if cluster.status(0).await.epoch < Epoch(epoch) {
        let home = cluster.home();
        let words =
            ["validator", "approve", &proposal.to_string(), "--from", operator, "--home", home.to_str().unwrap(), "--node", cluster.url(0)];
        // The operator may have no vote.
        drop(quorate(&words));
    }
}

fn follows(cluster: &Cluster, home: &Path) {
    let genesis = cluster.home().join("config/genesis.json");
    let home = home.to_str().unwrap();
    let arguments = ["validator", "list", "--home", home, "--genesis", genesis.to_str().unwrap(), "--node", cluster.url(1), "-o", "json"];
    let members = quorate(&arguments).ok().json();
    assert_eq!(members["epoch"], 5, "{members}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_was_down_for_several_epochs_comes_back_with_its_data() {
    let mut cluster = Cluster::start(4, &["--accounts", "4"]).await;
    let sink = cluster.key("alice").public().address;
    let traffic = Traffic::start_at(&cluster, &[0, 1, 2], [cluster.key("dave")].into(), sink);
    traffic.goes_on(1).await;
    cluster.kill(3);
    let (first, last) = (cluster.name(0).to_owned(), cluster.name(3).to_owned());
    let is_up = |standing: &ValidatorStanding| standing.link.as_ref().is_none_or(|link| link.state == LinkState::Up);
    eventually("its link is down", || async {
        let view = cluster.client(&[0]).consensus().await.ok()?;
        (view.validators.iter().filter(|standing| is_up(standing)).count() == 3).then_some(())
    })
    .await;
    // More power for whoever is away stops the chain just as less power for the others does.
    let home = cluster.home();
    let arguments = ["--from", OPERATORS[1], "--home", home.to_str().unwrap(), "--node", cluster.url(0), "-o", "json"];
    let refused = quorate(&[&["validator", "propose-power", &last, "2"][..], &arguments].concat());
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("no-quorum") && refused.stderr.contains("4 of 5 votes"), "{refused:?}");
    for (proposal, power) in [(0, "2"), (1, "1"), (2, "2"), (3, "1")] {
        decide(&cluster, proposal, &["propose-power", &first, power]);
        approve_until(&cluster, OPERATORS[0], proposal, proposal + 1).await;
        reaches(&cluster, 0, proposal + 1).await;
    }
    cluster.spawn(3);
    reaches(&cluster, 3, 4).await;
    cluster.ready(3).await;
    eventually("it votes in the new epoch", || async { (votes(&cluster, 3).await > 0).then_some(()) }).await;
    assert!(traffic.stop().await.iter().all(|acknowledged| !acknowledged.is_empty()));
    agree(&cluster, &[0, 1, 2, 3]).await;
}

/// Proposes a change by one of the four operators, and has the others approve it until it takes effect.
async fn pass(cluster: &Cluster, node: usize, epoch: u64, words: &[&str]) {
    let made = as_operator(cluster, node, OPERATORS[0], words);
    let home = cluster.home();
    for operator in &OPERATORS[1..] {
        let id = (epoch - 1).to_string();
        let words = ["validator", "approve", &id, "--from", operator, "--home", home.to_str().unwrap(), "--node", cluster.url(node)];
        // The last ones come too late.
        drop(quorate(&words));
    }
    eventually(&format!("epoch {epoch}: {made}"), || async { (cluster.status(node).await.epoch >= Epoch(epoch)).then_some(()) }).await;
}

/// A server that answers each request for changes of the committee with one that nobody has signed. Returns its URL.
fn liar() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let body = format!(r#"{{"epoch":1000,"changes":["{}"]}}"#, "00".repeat(5_000));
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            // Whoever asks may hang up.
            drop(stream.read(&mut [0; 4096]));
            drop(write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeper_and_a_newcomer_find_a_committee_of_which_they_know_nobody() {
    let mut cluster = Cluster::start(5, &["--accounts", "5", "--heartbeat-ms", "500"]).await;
    eventually("the first block", || async { (cluster.status(0).await.height > Height(0)).then_some(()) }).await;
    let (sleeper, old) = (4, [0, 1, 2, 3].map(|index| cluster.name(index).to_owned()));
    cluster.kill(sleeper);
    pass(&cluster, 0, 1, &["propose-power", cluster.name(sleeper), "0"]).await;

    // Member by member: on another seat, or on the same one with other keys. The next one finds fewer of those in the genesis.
    let mut epoch = 1;
    let mut members = Vec::new();
    for (index, name) in old.iter().enumerate() {
        let operator = cluster.key(OPERATORS[index]).public().address;
        let (new, entry) = cluster.newcomer(&format!("new-{index}"), operator);
        let (entry, node) = (entry.to_str().unwrap(), members.first().copied().unwrap_or(index));
        let changes = if index % 2 == 0 {
            vec![vec!["propose-add", entry], vec!["propose-remove", name]]
        } else {
            vec![vec!["replace", name, entry]]
        };
        for (step, change) in changes.iter().enumerate() {
            epoch += 1;
            pass(&cluster, node, epoch, change).await;
            if step == 0 {
                let url = cluster.url(node).to_owned();
                cluster.spawn_to_join_by(new, &[&url]);
                reaches(&cluster, new, epoch).await;
                cluster.ready(new).await;
            }
        }
        cluster.kill(index);
        members.push(new);
    }
    let (late, entry) = cluster.newcomer("late", cluster.key(OPERATORS[0]).public().address);
    epoch += 1;
    pass(&cluster, members[0], epoch, &["propose-add", entry.to_str().unwrap()]).await;

    // A node that is off, and one that lies, cost a turn each.
    let (off, liar, url) = ("http://127.0.0.1:1", liar(), cluster.url(members[1]).to_owned());
    cluster.spawn_to_join_by(sleeper, &[off, &liar, &url]);
    cluster.spawn_to_join_by(late, &[&liar, &url]);
    let started = Instant::now();
    for index in [sleeper, late] {
        reaches(&cluster, index, epoch).await;
        cluster.ready(index).await;
        println!("{} is ready {} ms after the start of both", cluster.name(index), started.elapsed().as_millis());
        assert!(cluster.log(index).contains("a later committee is proved"), "{}", cluster.name(index));
    }
    agree(&cluster, &[&members[..], &[sleeper, late]].concat()).await;
    eventually("the newcomer votes", || async { (votes(&cluster, late).await > 0).then_some(()) }).await;
    assert_eq!(votes(&cluster, sleeper).await, 0);
}
