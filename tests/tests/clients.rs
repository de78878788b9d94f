//! Programs that share no code with the nodes read the chain of four real validators: clients in Python and TypeScript, and the explorer in a
//! browser. They prove everything from the genesis hash, through two changes of the committee.
//!
//! They need Python, Node and Chromium, so they run by `make clients` and not with the other tests.

use std::{path::PathBuf, process::Command};

use quorate_tests::{Cluster, DEADLINE, eventually, quorate};
use quorate_types::round::{Epoch, Height};

/// Operators of the first three validators: a quorum.
const OPERATORS: [&str; 3] = ["faucet", "alice", "bob"];
/// The account that the clients send from. It operates nothing.
const SENDER: &str = "dave";

/// Four validators whose committee has changed twice.
async fn changed_network() -> Cluster {
    let cluster = Cluster::start(4, &["--accounts", "5", "--heartbeat-ms", "1000"]).await;
    // Nothing can be proved before the first block.
    eventually("the first block", || async { (cluster.status(0).await.height > Height(0)).then_some(()) }).await;
    let name = cluster.name(0).to_owned();
    for (proposal, power) in [(0, "2"), (1, "1")] {
        let number = proposal.to_string();
        let [first, others @ ..] = OPERATORS;
        decide(&cluster, first, &["propose-power", &name, power]);
        for operator in others {
            decide(&cluster, operator, &["approve", &number]);
        }
        eventually("the committee changes", || async { (cluster.status(0).await.epoch == Epoch(proposal + 1)).then_some(()) }).await;
    }
    cluster
}

/// Runs `quorate validator` for an operator.
fn decide(cluster: &Cluster, operator: &str, words: &[&str]) {
    let home = cluster.home();
    let options = ["--from", operator, "--home", home.to_str().unwrap(), "--node", cluster.url(0)];
    quorate(&[&["validator"], words, &options].concat()).ok();
}

/// Runs a program in a directory of the repository against the network, and expects it to succeed.
fn run(cluster: &Cluster, directory: &str, program: &str, arguments: &[&str]) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(directory);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&directory)
        .env("QUORATE_API", cluster.url(1))
        .env("QUORATE_GENESIS_HASH", cluster.genesis().hash().to_string())
        .env("QUORATE_SEED_KEY", cluster.home().join(format!("wallet/{SENDER}.key")))
        .env("QUORATE_EPOCHS", "2")
        .env("QUORATE_SKIP", "nothing");
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}; run `make clients`, which installs what it needs"));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program} in {}:\n{text}\nIf a package is missing, run `make clients`.", directory.display());
    println!("{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with `cryptography`: make clients"]
async fn the_client_in_python_proves_everything_from_the_genesis_hash() {
    let cluster = changed_network().await;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    run(&cluster, "examples/python", &python, &["-B", "test_quorate.py"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node with packages: make clients"]
async fn the_client_in_typescript_proves_everything_from_the_genesis_hash() {
    let cluster = changed_network().await;
    run(&cluster, "examples/typescript", "npm", &["test"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node with packages, and Chromium: make clients"]
async fn the_explorer_proves_everything_in_a_browser_and_refutes_every_changed_answer() {
    let cluster = changed_network().await;
    // An open proposal, a block with several transactions, and one that has failed.
    decide(&cluster, OPERATORS[0], &["propose-power", cluster.name(1), "2"]);
    let (sender, sink) = (cluster.key(SENDER), cluster.key("alice").public().address);
    let mut transfers: Vec<_> = (0..6).map(|sequence| cluster.transfer(&sender, sequence, sink, 1)).collect();
    let last = transfers.pop().unwrap();
    cluster.session(&[1]).submit_after(&transfers, &last, DEADLINE).await.unwrap();
    let home = cluster.home();
    let options = ["--from", SENDER, "--home", home.to_str().unwrap(), "--node", cluster.url(1)];
    let failed = quorate(&[&["wallet", "slice", "nothing-here", "0", "1"][..], &options].concat());
    assert_eq!(failed.code, Some(5), "{failed:?}");
    run(&cluster, "tests/explorer", "node", &["explorer.mjs"]);
}
