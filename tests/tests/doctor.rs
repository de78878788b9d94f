//! `quorate doctor` on validators of a real network: one that works, and one that is broken in one way after another.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use quorate_tests::{Cluster, Ran, eventually, quorate};
use serde_json::Value;

fn doctor(cluster: &Cluster, index: usize, more: &[&str]) -> Ran {
    let home = cluster.validator_home(index).to_str().unwrap();
    quorate(&[&["doctor", "--home", home, "-o", "json"], more].concat())
}

/// The state of a finding.
fn state<'a>(ran: &Value, name: &'a str) -> (&'a str, String) {
    let found = ran["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == name);
    (name, found.unwrap_or_else(|| panic!("no finding {name}: {ran:#}"))["state"].as_str().unwrap().to_owned())
}

/// Checks that the command ends with 1, because of this finding.
fn assert_fault(ran: &Ran, name: &str, seen: &str, fix: &str) {
    let json = ran.json();
    let found = json["findings"].as_array().unwrap().iter().find(|finding| finding["name"] == name && finding["state"] == "fault");
    let found = found.unwrap_or_else(|| panic!("no fault {name}: {json:#}"));
    let says = |field: &str, word: &str| found[field].as_str().is_some_and(|text| text.contains(word));
    assert!(says("seen", seen) && says("fix", fix), "{found:#}");
    assert_eq!(ran.code, Some(1), "{json:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_in_order_has_no_fault_and_each_thing_that_is_broken_is_found() {
    let mut cluster = Cluster::start(4, &[]).await;
    let peers: Vec<_> = (1..4).map(|index| format!("peer {}", cluster.name(index))).collect();
    let names =
        ["settings", "genesis", "keys", "membership", "record", "api.listen", "metrics.listen", "node", "version", "signs", "progress"];
    let in_order = async || {
        let ran = doctor(&cluster, 0, &[]);
        let json = ran.json();
        let all = names.iter().copied().chain(["ready", "clock", "address"]).chain(peers.iter().map(String::as_str));
        let wrong: Vec<_> = all.map(|name| state(&json, name)).filter(|(_, state)| state != "ok").collect();
        (wrong.is_empty() && ran.code == Some(0)).then_some(())
    };
    // Links come up, and clocks are compared, a moment after a quorum is linked.
    eventually("nothing is wrong", in_order).await;
    let text = quorate(&["doctor", "--home", cluster.validator_home(0).to_str().unwrap()]).ok().stdout;
    assert!(text.lines().any(|line| line.trim_start().starts_with("node ") && line.contains(" ok ") && line.contains("height")), "{text}");

    // A stopped peer is one line, and no fault of this validator.
    cluster.kill(3);
    let ran = doctor(&cluster, 0, &[]);
    assert_eq!((state(&ran.json(), &peers[2]).1.as_str(), ran.code), ("warning", Some(0)), "{ran:?}");
    // Another validator's home does not take this one's node for its own.
    let other = cluster.url(1).to_owned();
    assert_eq!(state(&doctor(&cluster, 0, &["--url", &other]).json(), "node").1, "warning");

    // What is broken while it is stopped.
    let status = cluster.terminate(0, Duration::from_secs(60)).await;
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    let ran = doctor(&cluster, 0, &[]);
    let json = ran.json();
    for name in ["settings", "genesis", "keys", "database", "membership", "record", "api.listen", "network.listen", "quorum"] {
        assert_eq!(state(&json, name), (name, "ok".to_owned()), "{json:#}");
    }
    assert_eq!((state(&json, "node").1.as_str(), ran.code), ("not-checked", Some(0)));
    assert_fault(&doctor(&cluster, 0, &["--genesis-hash", &"11".repeat(32)]), "genesis", "expected 0x1111", "genesis verify");
    assert_fault(&doctor(&cluster, 0, &["--set", "store.free_bytes_min=1125899906842624"]), "disk", "are refused", "store.free_bytes_min");
    let taken = TcpListener::bind(cluster.url(0).trim_start_matches("http://")).unwrap();
    assert_fault(&doctor(&cluster, 0, &[]), "api.listen", "cannot listen", "ss -ltnp");
    drop(taken);
    let witness = cluster.validator_home(0).join("keys/validator.signed");
    fs::set_permissions(&witness, fs::Permissions::from_mode(0o666)).unwrap();
    assert_fault(&doctor(&cluster, 0, &[]), "permissions", "mode 666", "chmod go=");
    fs::set_permissions(&witness, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&witness, witness.with_extension("away")).unwrap();
    assert_fault(&doctor(&cluster, 0, &[]), "record", "validator.signed", "node recover");
    fs::rename(witness.with_extension("away"), &witness).unwrap();
    cluster.kill(2);
    assert_fault(&doctor(&cluster, 0, &[]), "quorum", "2 of 4", "peers");

    // Nothing of this has changed the home: the validator starts, and signs.
    cluster.spawn(0);
    cluster.spawn(2);
    for index in [0, 1, 2] {
        cluster.ready(index).await;
    }
}
