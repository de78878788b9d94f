//! The program as people and scripts use it: its output and its exit codes.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use quorate_tests::{Cluster, Ran, program, quorate};
use rustix::process::{Pid, Signal, kill_process};

struct Wallet {
    home: String,
    nodes: String,
}

impl Wallet {
    fn of(cluster: &Cluster) -> Self {
        let nodes: Vec<_> = (0..cluster.len()).map(|index| cluster.url(index)).collect();
        Self { home: cluster.home().display().to_string(), nodes: nodes.join(",") }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let network = ["--home", &self.home, "--node", &self.nodes, "-o", "json"];
        quorate(&[&["wallet"], arguments, &network].concat())
    }

    fn code(&self, arguments: &[&str]) -> i32 {
        let ran = self.run(arguments);
        if ran.code != Some(0) {
            // For scripts: one JSON object, in the last line of standard error.
            let last = ran.stderr.lines().last().unwrap_or_default();
            let error: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
            assert!(error["error"]["code"].is_string() && error["error"]["message"].is_string(), "{ran:?}");
        }
        ran.code.expect("it was not killed by a signal")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wallet_ends_with_the_documented_codes() {
    let mut cluster = Cluster::start(4, &["--accounts", "2", "--heartbeat-ms", "1000"]).await;
    // Before the first commit no state can be proved, and a wallet sends nothing.
    quorate_tests::eventually("a first commit", async || (cluster.height().await > quorate_types::round::Height(0)).then_some(())).await;
    let wallet = Wallet::of(&cluster);

    // 0: success.
    let sent = wallet.run(&["transfer", "--from", "alice", "--to", "bob", "--amount", "5"]).ok().json();
    let tx_id = sent["tx_id"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned();
    let balance = wallet.run(&["balance", "bob"]).ok().json();
    assert_eq!(balance["balance"].as_str(), Some("1000005"), "{balance}");
    assert_eq!(wallet.code(&["put", "--from", "alice", "k", "v"]), 0);
    assert_eq!(wallet.code(&["tx", &tx_id]), 0);
    // A node that refuses everything decides nothing while another one commits.
    let honest = Wallet::of(&cluster);
    let lied_to = Wallet { nodes: format!("{},{}", refuses_everything(), honest.nodes), ..honest };
    lied_to.run(&["transfer", "--from", "alice", "--to", "bob", "--amount", "1"]).ok();
    // Concurrent processes choose different sequence numbers.
    thread::scope(|scope| {
        let transfer = || wallet.run(&["transfer", "--from", "alice", "--to", "bob", "--amount", "1"]).ok();
        let sends: Vec<_> = (0..12).map(|_| scope.spawn(transfer)).collect();
        for send in sends {
            send.join().expect("it is committed");
        }
    });
    let balance = wallet.run(&["balance", "bob"]).ok().json();
    assert_eq!(balance["balance"].as_str(), Some("1000018"), "{balance}");
    assert_eq!(wallet.run(&["pending"]).ok().json(), serde_json::json!([]));
    // 1: failure. 2: wrong usage.
    assert_eq!(wallet.code(&["balance", "nobody"]), 1);
    assert_eq!(quorate(&["wallet", "transfer", "--to", "bob"]).code, Some(2));
    // 4: the transaction is not in the chain, and never will be.
    assert_eq!(wallet.code(&["transfer", "--from", "alice", "--to", "bob", "--amount", "1000000000"]), 4);
    // 5: the transaction is in the chain, but failed.
    assert_eq!(wallet.code(&["slice", "--from", "alice", "missing", "0", "1"]), 5);
    // 7: the proof does not verify, because the wallet trusts another committee.
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("net").display().to_string();
    quorate(&["localnet", "create", "-n", "4", "--dir", &path]).ok();
    let genesis = format!("{path}/config/genesis.json");
    assert_eq!(wallet.code(&["balance", "alice", "--genesis", &genesis]), 7);
    // One validator is down: the wallet finds another one.
    cluster.kill(0);
    assert_eq!(wallet.code(&["transfer", "--from", "alice", "--to", "bob", "--amount", "1"]), 0);
    // 6: without a quorum the command times out, and the outcome is unknown.
    cluster.kill(1);
    assert_eq!(wallet.code(&["transfer", "--from", "alice", "--to", "bob", "--amount", "1", "--timeout", "2"]), 6);
    // 130: interrupted; the error names the transaction that was sent.
    interrupted_transfers_name_their_transaction(&wallet);
    // 3: no node answers.
    cluster.kill_all();
    assert_eq!(wallet.code(&["balance", "bob"]), 3);
}

/// URL of a node that refuses every request.
fn refuses_everything() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut request = [0; 4_096];
            let _read = socket.read(&mut request);
            let body = r#"{"error":{"code":"insufficient-funds","message":"you have less"}}"#;
            let head = format!("HTTP/1.1 422 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _written = socket.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

fn interrupted_transfers_name_their_transaction(wallet: &Wallet) {
    let transfer = ["transfer", "--from", "alice", "--to", "bob", "--amount", "1", "--home", &wallet.home, "--node", &wallet.nodes];
    let mut child = Command::new(program())
        .args(["wallet", "-o", "json"])
        .args(transfer)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let submitting = lines.find(|line| line.starts_with("submitting ")).expect("it prints the transaction it submits");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let last = lines.last().expect("it prints an error");
    let error: serde_json::Value = serde_json::from_str(&last).unwrap_or_else(|error| panic!("{error}: {last}"));
    assert_eq!(error["error"]["code"].as_str(), Some("interrupted"), "{error}");
    assert_eq!(error["error"]["tx_id"].as_str(), submitting.strip_prefix("submitting "), "{error}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_network_is_started_killed_restarted_compared_and_destroyed() {
    // Held only as a lock: the commands below make the network.
    let _turn = Cluster::create(1, &[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net").display().to_string();
    let localnet = |arguments: &[&str]| quorate(&[&["localnet"], arguments, &["--dir", &path, "-o", "json"]].concat());
    let _destroy = Destroy(path.clone());

    let started = localnet(&["start", "-n", "4"]).ok().json();
    let state = |view: &serde_json::Value, index: usize| view["validators"][index]["state"].as_str().unwrap().to_owned();
    assert!((0..4).all(|index| state(&started, index) == "running"), "{started}");
    assert!(started["validators"][0]["height"].as_u64().unwrap() > 0, "it has committed: {started}");
    assert_eq!(started["validators"][4], serde_json::Value::Null);

    let killed = localnet(&["kill", "2"]).ok().json();
    assert_eq!(state(&killed, 1), "stopped");
    assert_eq!(localnet(&["kill", "2"]).code, Some(1), "it is already dead");
    assert_eq!(localnet(&["kill", "5"]).code, Some(2), "there is no such validator");
    let view = localnet(&["status", "--consensus"]).ok().json();
    assert_eq!((state(&view, 1), &view["validators"][1]["consensus"]), ("stopped".into(), &serde_json::Value::Null));
    let of_first = view["validators"][0]["consensus"]["validators"].as_array().unwrap().clone();
    let link = |name: &str| of_first.iter().find(|validator| validator["name"] == name).unwrap()["link"]["state"].clone();
    assert_eq!((link("validator-2"), link("validator-3")), ("down".into(), "up".into()), "{view}");
    let table = quorate(&["localnet", "status", "--consensus", "--dir", &path]).ok().stdout;
    let first = table.lines().find(|line| line.contains("validator-1")).unwrap();
    assert!(table.contains("NO LINK TO") && first.ends_with("validator-2"), "{table}");
    // With one validator stopped, the others are measured.
    let measured = localnet_bench(&path);
    assert_eq!(
        (&measured["network"]["validators"], &measured["network"]["stopped"]),
        (&3.into(), &vec!["validator-2"].into()),
        "{measured}"
    );
    let restarted = localnet(&["restart", "2"]).ok().json();
    assert_eq!(state(&restarted, 1), "running");
    assert_ne!(restarted["validators"][1]["pid"], started["validators"][1]["pid"]);

    let compared = localnet(&["compare"]).ok().json();
    assert_eq!(compared["validators"].as_array().unwrap().len(), 4, "{compared}");
    assert!(!quorate(&["localnet", "logs", "1", "--dir", &path]).ok().stdout.is_empty());

    let stopped = localnet(&["stop"]).ok().json();
    assert!((0..4).all(|index| state(&stopped, index) == "stopped"), "{stopped}");
    assert_eq!(localnet(&["start", "-n", "5"]).code, Some(2), "options for a new network are refused");
    let again = localnet(&["start"]).ok().json();
    assert_eq!(again["genesis_hash"], started["genesis_hash"], "it is the same network");
    localnet(&["destroy"]).ok();
    assert!(!std::path::Path::new(&path).exists());
    assert_eq!(localnet(&["status"]).code, Some(1));
}

fn localnet_bench(path: &str) -> serde_json::Value {
    quorate(&["bench", "latency", "--count", "2", "--warm-up", "0", "--dir", path, "-o", "json"]).ok().json()
}

/// Removes a network even if the test fails.
struct Destroy(String);

impl Drop for Destroy {
    fn drop(&mut self) {
        quorate(&["localnet", "destroy", "--dir", &self.0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_cannot_start_says_why_and_leaves_nothing_running() {
    let cluster = Cluster::create(4, &[]);
    let path = cluster.home().display().to_string();
    // Another program has the third validator's port.
    let taken = std::net::TcpListener::bind(cluster.url(2).trim_start_matches("http://")).unwrap();
    let failed = quorate(&["localnet", "start", "--dir", &path, "--timeout", "20"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("validator-3"), "{}", failed.stderr);
    drop(taken);
    let status = quorate(&["localnet", "status", "--dir", &path, "-o", "json"]).ok().json();
    let rows = status["validators"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["state"] == "stopped"), "{status}");
}

#[test]
fn words_that_cannot_be_shown_make_no_account() {
    let home = tempfile::tempdir().unwrap();
    let home_text = home.path().to_str().unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let create = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(program());
        command.args(["wallet", "create", name, "--insecure-plaintext", "--home", home_text]).args(arguments).stdin(Stdio::null());
        command
    };
    let no_key = |code: Option<i32>| {
        assert_eq!(code, Some(1));
        assert!(!home.path().join("wallet/alice.key").exists());
    };
    no_key(create("alice", &["-o", "json"]).stdout(full()).stderr(Stdio::null()).status().unwrap().code());
    no_key(create("alice", &[]).stderr(full()).stdout(Stdio::null()).status().unwrap().code());
    no_key(create("alice", &["-o", "json"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code());
    // Closed from the start, which only a shell can arrange.
    let shell = format!("exec '{}' wallet create alice --insecure-plaintext --home '{home_text}' -o json >&- 2>&-", program().display());
    no_key(Command::new("sh").args(["-c", &shell]).status().unwrap().code());
    // The printed words restore the account through a pipe.
    let made = quorate(&["wallet", "create", "alice", "--insecure-plaintext", "--home", home_text, "-o", "json"]).ok().json();
    let mut import = Command::new(program())
        .args(["wallet", "import", "bob", "--insecure-plaintext", "--home", home_text, "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(made["mnemonic"].as_str().unwrap().as_bytes()).unwrap();
    let imported = import.wait_with_output().unwrap();
    let imported: serde_json::Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!(imported["address"], made["address"]);
    assert!(fs::exists(home.path().join("wallet/bob.key")).unwrap());
}

#[test]
fn usage_errors_version_and_completions() {
    assert_eq!(quorate(&["nonsense"]).code, Some(2));
    let wrong = quorate(&["wallet", "transfer", "--to", "bob", "--amount", "five", "-o", "json"]);
    let error: serde_json::Value = serde_json::from_str(&wrong.stderr).unwrap_or_else(|error| panic!("{error}: {wrong:?}"));
    assert_eq!((wrong.code, error["error"]["code"].as_str()), (Some(2), Some("usage")), "{error}");
    let version = quorate(&["version", "-o", "json"]).ok().json();
    assert_eq!(version["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        assert!(quorate(&["completions", shell]).ok().stdout.contains("localnet"));
    }
}

#[test]
fn the_reference_in_the_book_is_the_help_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/reference/cli.md")).unwrap();
    // What the help would show, were the variables not taken away.
    let mut script = Command::new(root.join("scripts/cli-reference.sh"));
    script.env("QUORATE", program()).env("QUORATE_HOME", "/somewhere").env("COLUMNS", "40");
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let anew = String::from_utf8(output.stdout).unwrap();
    let differs = page.lines().zip(anew.lines()).position(|(page, anew)| page != anew);
    assert!(
        page == anew,
        "`make cli-reference` writes docs/reference/cli.md anew; the first line that differs is {differs:?}, counted from 0"
    );
}
