//! Wrong wall clocks in real processes, faked by libfaketime. The monotonic clock is left alone, as when a person or NTP sets the wall clock.
#![cfg(target_os = "linux")]

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_tests::{Cluster, DEADLINE, eventually, quorate};
use quorate_types::round::{Height, UnixMillis};

const ALL: [usize; 4] = [0, 1, 2, 3];
/// First timer of a local network, in milliseconds.
const TIMEOUT_BASE_MS: u64 = 1_000;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Status code and body of `path` at a validator.
async fn get(cluster: &Cluster, index: usize, path: &str) -> Option<(u16, String)> {
    let http = quorate_client::http::without_tls().timeout(std::time::Duration::from_secs(5)).build().unwrap();
    let answer = http.get(format!("{}{path}", cluster.metrics_url(index))).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// Waits for the first commit; before it nothing can be proved to a wallet.
async fn first_commit(cluster: &Cluster) {
    for index in ALL {
        eventually("the first block is committed", || async { (cluster.status(index).await.height > Height(0)).then_some(()) }).await;
    }
}

/// Height and time of the newest block on any validator.
async fn newest_block(cluster: &Cluster) -> (Height, UnixMillis) {
    let mut newest = (Height(0), UnixMillis(0));
    for index in ALL {
        let status = cluster.status(index).await;
        newest = newest.max((status.height, status.timestamp));
    }
    newest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_clock_290_seconds_ahead_stops_no_default_transfer_and_is_named_everywhere() {
    let mut cluster = Cluster::create(4, &["--accounts", "2", "--heartbeat-ms", "1000"]);
    for index in 0..3 {
        cluster.spawn(index);
    }
    cluster.spawn_with_clock(3, "+290s");
    for index in 0..3 {
        cluster.ready(index).await;
    }
    let wrong = cluster.name(3).to_owned();
    // The request takes a few milliseconds, so the offset may show as 289 s.
    let named = |index: usize, code: u16, whose: String| {
        let cluster = &cluster;
        let says = move |text: &str| ["289", "290"].iter().any(|seconds| text.contains(&format!("{whose} is {seconds}.")));
        async move { get(cluster, index, "/readyz").await.filter(|(status, text)| *status == code && says(text)) }
    };
    eventually("it says that its clock is ahead", || named(3, 503, "this machine's clock".into())).await;
    eventually("the others name it", || named(0, 200, format!("the clock of {wrong}"))).await;
    assert_eq!(get(&cluster, 3, "/livez").await.unwrap().0, 200, "a restart would not help");
    let (_, metrics) = get(&cluster, 0, "/metrics").await.unwrap();
    let metric = format!("quorate_clock_ahead_seconds{{validator=\"{wrong}\"}} ");
    let ahead = metrics.lines().find_map(|line| line.strip_prefix(&metric)).and_then(|number| number.parse::<f64>().ok());
    assert!(ahead.is_some_and(|ahead| (280.0..300.0).contains(&ahead)), "{metrics}");

    first_commit(&cluster).await;
    for _round in 0..3 {
        for index in ALL {
            transfer(&cluster, index);
        }
    }
    let (_, time) = newest_block(&cluster).await;
    assert!(time.0 <= now_ms() + TIMEOUT_BASE_MS, "the chain is {} ms ahead", time.0 - now_ms());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_ran_an_hour_ahead_goes_on_when_the_clocks_are_set() {
    let mut cluster = Cluster::create(4, &["--accounts", "2", "--heartbeat-ms", "1000"]);
    for index in ALL {
        cluster.spawn_with_clock(index, "+3600s");
    }
    for index in ALL {
        cluster.ready(index).await;
    }
    first_commit(&cluster).await;
    transfer(&cluster, 0);
    let (_, ahead) = newest_block(&cluster).await;
    assert!(ahead.0 > now_ms() + 3_000_000, "{ahead}");

    for index in ALL {
        let ended = cluster.terminate(index, DEADLINE).await;
        assert_eq!(ended.and_then(|status| status.code()), Some(0));
    }
    for index in ALL {
        cluster.spawn(index);
    }
    for index in ALL {
        cluster.ready(index).await;
    }
    // This also commits the blocks that were pending when the clocks were set.
    transfer(&cluster, 0);
    let (height, ahead) = newest_block(&cluster).await;
    for index in ALL {
        transfer(&cluster, index);
    }
    let (reached, time) = newest_block(&cluster).await;
    // No validator waited for the hour to pass: each block is a millisecond after its parent.
    assert_eq!(time.0 - ahead.0, reached.0 - height.0, "{height} {ahead} -> {reached} {time}");
    let (code, said) = get(&cluster, 0, "/readyz?max_block_age_ms=60000").await.unwrap();
    assert!(code == 200 && said.contains("ahead of this machine's clock") && !said.contains("last block is 0 ms old"), "{said}");
}

/// Sends a transfer with the wallet's default expiry, as a user would.
fn transfer(cluster: &Cluster, by: usize) {
    let (home, url) = (cluster.home(), cluster.url(by));
    let arguments = ["wallet", "transfer", "--from", "alice", "--to", "bob", "--amount", "1"];
    let sent = quorate(&[&arguments[..], &["--home", home.to_str().unwrap(), "--node", url, "-o", "json"]].concat());
    assert_eq!(sent.code, Some(0), "by {}: {sent:?}", cluster.name(by));
}
