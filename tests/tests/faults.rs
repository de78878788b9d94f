//! Real processes that follow a scenario file: they lose and delay messages as it says, and still agree.

use std::{fs, path::Path};

use quorate_tests::{Cluster, DEADLINE, program_with_faults, quorate, run};
use quorate_types::round::Height;

/// One validator is silent; nearly all votes of the others are delayed.
const SCENARIO: &str = r#"
validators = 4
seed = 7

[[failures]]
src = 3
msg_type = "Wildcard"
fail_type = "MsgLoss"

[[failures]]
msg_type = "Vote"
prob = 0.9
fail_type = "Delay"
val = 0.02
"#;

/// A network started by `localnet start` in the background. Stopped when the test ends, even if it fails.
struct Started<'a>(&'a str);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        quorate(&["localnet", "stop", "--dir", self.0]);
    }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let file = directory.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_lose_and_delay_what_a_scenario_says_and_agree_all_the_same() {
    let cluster = Cluster::create(4, &["--accounts", "2"]);
    let (home, faults) = (cluster.home(), program_with_faults());
    let dir = home.to_str().unwrap();
    let start = |text: &str| run(&faults, &["localnet", "start", "--dir", dir, "--scenario", &write(&home, "scenario.toml", text)]);

    // Faults that processes cannot inject are refused before any process starts.
    let refused = start(&SCENARIO.replace("MsgLoss", "Crash"));
    assert!(refused.code == Some(1) && refused.stderr.contains("real processes cannot obey"), "{refused:?}");
    let refused = start(&SCENARIO.replace("validators = 4", "validators = 7"));
    assert!(refused.code == Some(1) && refused.stderr.contains("it has 7 validators, the network 4"), "{refused:?}");

    let _started = Started(dir);
    start(SCENARIO).ok();
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let mut last = Height(0);
    for sequence in 1..=6 {
        let tx = cluster.transfer(&alice, sequence - 1, bob.public().address, 1);
        let proven = cluster.session(&[0, 1, 2]).submit_and_verify(&tx, DEADLINE).await.unwrap();
        last = last.max(proven.certificate().header.height);
    }
    let injected = |index: usize, what: &str| {
        let log = fs::read_to_string(cluster.validator_home(index).join("node.log")).unwrap();
        log.lines().any(|line| line.contains("injected") && line.contains(what))
    };
    let (silent, late): (Vec<usize>, Vec<usize>) = (0..4).partition(|index| injected(*index, "MsgLoss"));
    assert!(silent.len() == 1 && late.iter().all(|index| injected(*index, "Delay")), "{silent:?} {late:?}");
    // The silent validator hears the others, but cannot ask for what it has missed.
    cluster.equal_roots(&late, last).await;
    run(&faults, &["localnet", "compare", "--dir", dir]).ok();
}

#[test]
fn a_release_says_how_to_get_a_program_that_injects_failures() {
    let directory = tempfile::tempdir().unwrap();
    let (file, dir) = (write(directory.path(), "scenario.toml", SCENARIO), directory.path().join("net").display().to_string());
    let refused = quorate(&["localnet", "start", "--dir", &dir, "--scenario", &file]);
    assert!(refused.code == Some(1) && refused.stderr.contains("make faults"), "{refused:?}");
    assert!(!directory.path().join("net").exists(), "nothing was made");
}
