//! A validator whose consensus key is in a process of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use quorate_tests::{Cluster, Traffic, eventually, program, quorate};
use quorate_types::round::{Height, Round};

/// The validator whose key moves.
const HOST: usize = 3;

struct SignerProcess(Child);

impl SignerProcess {
    fn start(home: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.with_extension("log")).unwrap();
        let child = Command::new(program())
            .args(["signer", "run", "--signer"])
            .arg(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for SignerProcess {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn votes(cluster: &Cluster, index: usize) -> u64 {
    cluster.counter(index, "quorate_consensus_votes_total").await
}

async fn votes_again(cluster: &Cluster) {
    let before = votes(cluster, HOST).await;
    eventually("it votes again", || async { (votes(cluster, HOST).await > before).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signer_dies_again_and_again_and_the_validator_votes_whenever_it_is_there() {
    let mut cluster = Cluster::start(4, &["--accounts", "2", "--heartbeat-ms", "500"]).await;
    let sink = cluster.key("alice").public().address;
    let traffic = Traffic::start_at(&cluster, &[0, 1, 2], [cluster.key("faucet")].into(), sink);
    traffic.goes_on(20).await;
    let home: PathBuf = cluster.home().join("signer");
    let node = cluster.validator_home(HOST).to_owned();
    let [signer_text, node_text] = [&home, &node].map(|path| path.to_str().unwrap().to_owned());
    let init = || quorate(&["signer", "init", "--signer", &signer_text, "--home", &node_text, "--insecure-plaintext", "-o", "json"]);

    let running = init();
    assert_ne!(running.code, Some(0), "its validator runs: {running:?}");
    cluster.kill(HOST);
    let shown = init().ok().json();
    let [consensus, network] = ["consensus.key", "consensus.signed"].map(|name| std::fs::metadata(home.join(name)).unwrap().len());
    assert!(consensus > 0 && network > 0);
    let key_file = std::fs::read_to_string(node.join("keys/validator.key")).unwrap();
    assert!(key_file.contains("consensus_key") && !key_file.contains("consensus_seed"), "only the signer has it");
    assert!(init().stderr.contains("signer"), "the key is there already");

    // Without a socket it says what is missing; with one it starts, and signs once the signer is there.
    let (status, log) = cluster.run_to_end(HOST);
    assert!(!status.success() && log.contains("node.signer"), "{log}");
    let socket = shown["socket"].as_str().unwrap();
    cluster.spawn_set(HOST, &[format!("node.signer={socket}")]);
    cluster.ready(HOST).await;
    let waits = || async { cluster.status(HOST).await.signs_nothing.filter(|why| why.contains("quorate signer run")) };
    eventually("it says what it waits for", waits).await;
    assert_eq!(votes(&cluster, HOST).await, 0);

    let mut signer = SignerProcess::start(&home);
    votes_again(&cluster).await;
    assert_eq!(cluster.status(HOST).await.signs_nothing, None);
    for _ in 0..3 {
        drop(signer);
        let count = traffic.count();
        traffic.goes_on(count + 20).await;
        signer = SignerProcess::start(&home);
        votes_again(&cluster).await;
    }
    let second = quorate(&["signer", "run", "--signer", &signer_text]);
    assert_ne!(second.code, Some(0));
    assert!(second.stderr.contains("in use") || second.stdout.contains("in use"), "{second:?}");

    // The validator dies too, and goes on.
    cluster.kill(HOST);
    cluster.spawn_set(HOST, &[format!("node.signer={socket}")]);
    cluster.ready(HOST).await;
    votes_again(&cluster).await;
    let shown = quorate(&["signer", "show", "--signer", &signer_text, "-o", "json"]).ok().json();
    assert!(Round(shown["highest_round"].as_u64().unwrap()) > Round(0), "{shown}");

    assert!(traffic.stop().await.iter().all(|acknowledged| !acknowledged.is_empty()));
    let height = cluster.height().await;
    assert!(height > Height(0));
    cluster.equal_roots(&[0, 1, 2, HOST], height).await;
    for index in 0..3 {
        let held = cluster.client(&[index]).evidence_list().await.unwrap();
        assert!(held.evidence.is_empty(), "{held:?}");
    }
}
