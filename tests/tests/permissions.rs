//! Who may write, and what else those who govern a chain decide, by the commands of the guide on four processes.

use quorate_tests::{Cluster, eventually, program, quorate, run};
use quorate_types::round::{Epoch, Height};
use serde_json::Value;

/// Those who may grant alone, and those who decide together: each operates a validator.
const OPERATORS: [&str; 4] = ["faucet", "alice", "bob", "carol"];

struct Network(Cluster);

impl Network {
    fn ask(&self, words: &[&str]) -> quorate_tests::Ran {
        let home = self.0.home();
        let network = ["--home", home.to_str().unwrap(), "--node", self.0.url(1), "-o", "json"];
        run(&program(), &[words, &network].concat())
    }

    fn done(&self, words: &[&str]) -> Value {
        self.ask(words).ok().json()
    }

    /// The code with which a command is refused before anything is in the chain.
    fn refused(&self, words: &[&str]) -> String {
        let ran = self.ask(words);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        let error: Value = serde_json::from_str(ran.stderr.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{ran:?}"));
        error["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn send(&self, from: &str) -> Value {
        self.done(&["wallet", "transfer", "--from", from, "--to", "alice", "--amount", "1"])
    }

    /// Proposes and has it approved by three of four.
    fn decide(&self, id: u64, words: &[&str]) {
        self.done(&[words, &["--from", OPERATORS[1]]].concat());
        for operator in &OPERATORS[2..] {
            self.done(&["validator", "approve", &id.to_string(), "--from", operator]);
        }
    }

    async fn is_in(&self, epoch: u64) {
        eventually("the epoch begins", || async { (self.0.status(1).await.epoch == Epoch(epoch)).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permissioned_chain_takes_transactions_only_of_those_whom_it_lets_send() {
    let network = Network(Cluster::start(4, &["--permissioned", "--heartbeat-ms", "1000"]).await);
    // Before the first commit no state can be proved, and a wallet sends nothing.
    eventually("a first commit", || async { (network.0.height().await > Height(0)).then_some(()) }).await;
    let home = network.0.home();
    let eve = quorate(&["wallet", "create", "eve", "--insecure-plaintext", "--home", home.to_str().unwrap(), "-o", "json"]).ok().json();
    let eve = eve["address"].as_str().unwrap().to_owned();
    network.done(&["wallet", "transfer", "--from", "faucet", "--to", &eve, "--amount", "100"]);
    let transfer = ["wallet", "transfer", "--from", "eve", "--to", "alice", "--amount", "1"];
    assert_eq!(network.refused(&transfer), "not-permitted");

    // Granted, usable within two blocks of the one that shows the commit, which is the second after that of the grant.
    let granted = network.done(&["permission", "grant", &eve, "--from", "faucet"])["height"].as_u64().unwrap();
    let sent = network.send("eve")["height"].as_u64().unwrap();
    assert!(sent <= granted + 4, "granted in block {granted}, used in block {sent}");
    assert_eq!(network.refused(&["permission", "grant", &eve, "--from", "alice"]), "may-not-grant");
    assert_eq!(network.refused(&["permission", "grant", &eve, "--role", "grant", "--from", "faucet"]), "needs-authority");

    network.done(&["permission", "freeze", &eve, "--from", "faucet"]);
    assert_eq!(network.refused(&transfer), "account-frozen");
    network.done(&["permission", "unfreeze", &eve, "--from", "faucet"]);
    network.send("eve");
    network.done(&["permission", "limit", &eve, "--transactions", "5", "--from", "faucet"]);
    network.done(&["permission", "limit", &eve, "--state-bytes", "400", "--from", "faucet"]);
    let put = network.ask(&["wallet", "put", "key", "a value that is too long for what is left of 400 bytes", "--from", "eve"]);
    assert!(put.stderr.contains("account-state-full"), "{put:?}");
    let shown = network.done(&["permission", "show", &eve]);
    assert_eq!((&shown["send"], &shown["frozen"], &shown["transactions_max"]), (&true.into(), &false.into(), &5.into()), "{shown}");
    let listed = network.done(&["permission", "list"]);
    assert!(listed["accounts"].as_array().unwrap().iter().any(|account| account["account"] == eve.as_str()), "{listed}");

    // The role to grant comes by a proposal, and then eve grants it to others.
    network.decide(0, &["permission", "grant", &eve, "--role", "grant", "--propose"]);
    network.done(&["permission", "freeze", &network.0.key("carol").public().address.to_string(), "--from", "eve"]);
    network.send("carol");
    assert_eq!(network.0.status(1).await.epoch, Epoch(0), "no permission begins an epoch");

    assert_eq!(network.ask(&["validator", "propose-parameters", "--from", "alice"]).code, Some(2));
    // Parameters and authority begin epochs.
    network.decide(1, &["validator", "propose-parameters", "--access", "open", "--block-transactions-max", "100"]);
    network.is_in(1).await;
    let frank = quorate(&["wallet", "create", "frank", "--insecure-plaintext", "--home", home.to_str().unwrap(), "-o", "json"]).ok().json();
    network.done(&["wallet", "transfer", "--from", "faucet", "--to", frank["address"].as_str().unwrap(), "--amount", "100"]);
    network.send("frank");
    network.decide(2, &["validator", "propose-authority", "--board", &eve, "--board-needs", "1"]);
    network.is_in(2).await;
    assert_eq!(network.refused(&["validator", "propose-parameters", "--window-size", "9", "--from", "alice"]), "not-an-operator");
    network.done(&["validator", "propose-parameters", "--window-size", "9", "--from", "eve"]);
    network.is_in(3).await;
    network.send("frank");

    // A version needs those who speak it, besides the approvals.
    network.done(&["validator", "propose-version", "2", "--from", "eve"]);
    network.done(&["validator", "speak", "2", "--from", "bob"]);
    let members = network.done(&["validator", "list"]);
    assert_eq!((&members["epoch"], &members["protocol_version"]), (&3.into(), &1.into()), "{members}");
    assert!(members["members"].as_array().unwrap().iter().any(|member| member["speaks"] == 2), "{members}");
}
