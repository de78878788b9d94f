//! What the running node says of itself.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use quorate_client::{Client, ClientError};
use quorate_terminal::{escape_untrusted, shell_word};
use quorate_types::{
    diagnosis::{ConsensusView, Readiness},
    ids::GenesisHash,
    round::{Height, UnixMillis},
    rpc::NodeStatus,
};
use tokio::time::timeout;

use super::finding::Finding;
use crate::{home::Home, lock::Holder};

/// Longest wait for each answer of a node.
pub(super) const NODE_PATIENCE: Duration = Duration::from_secs(5);

/// A node's answers.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) status: NodeStatus,
    /// Time until the status had come.
    took: Duration,
    consensus: Result<ConsensusView, String>,
    pub(super) readiness: Result<Readiness, String>,
    /// The time of the first block.
    pub(super) first_block: Option<UnixMillis>,
}

impl Answers {
    /// Asks a node. The error says why it does not answer.
    pub(super) async fn of(url: &str) -> Result<Self, String> {
        let client = Client::new(&[url]).map_err(|error| error.to_string())?;
        let start = Instant::now();
        let status = answer(client.status()).await?;
        let took = start.elapsed();
        let (consensus, readiness, first) =
            tokio::join!(answer(client.consensus()), answer(client.readiness()), answer(client.block(Some(Height(1)))));
        Ok(Self { status, took, consensus, readiness, first_block: first.ok().map(|block| block.timestamp) })
    }
}

pub(super) async fn answer<T>(question: impl Future<Output = Result<T, ClientError>>) -> Result<T, String> {
    match timeout(NODE_PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", NODE_PATIENCE.as_secs())),
    }
}

/// Whether the node answers, and is this home's validator, whose name is `me` as far as known. What else it says is examined by [`examine`].
pub(super) fn node(home: &Home, me: Option<&str>, process: Option<Holder>, answers: Option<&Result<Answers, String>>) -> Finding {
    let run = format!("quorate node run --home {}", shell_word(home.path()));
    match (answers, process) {
        (Some(Ok(answers)), _) => {
            let NodeStatus { name, network, epoch, height, round, .. } = &answers.status;
            let ms = answers.took.as_millis();
            let (shown, network) = (escape_untrusted(name), escape_untrusted(network));
            let seen = format!("{shown} of {network} answers in {ms} ms: height {height}, round {round}, epoch {epoch}");
            match me.filter(|me| me != name) {
                Some(me) => {
                    Finding::warning("node", format!("{seen}; this is the home of {me}"), "correct --url: it is another validator's")
                }
                None => Finding::ok("node", seen),
            }
        }
        (Some(Err(error)), Some(process)) => Finding::fault(
            "node",
            format!("{process} runs, and its API does not answer: {error}"),
            "look at its log; restart it if it hangs",
        ),
        (Some(Err(error)), None) => Finding::fault("node", error, format!("start it ({run}), or correct --url")),
        (None, Some(process)) => Finding::fault(
            "node",
            format!("{process} has the data directory, and has not said where its API listens"),
            "wait until it has started, or name its API with --url; its log says what it is doing",
        ),
        (None, None) => Finding::not_checked("node", "no process has this home's data directory", run),
    }
}

/// What the answers show.
pub(super) fn examine(answers: &Answers, genesis: Option<GenesisHash>) -> Vec<Finding> {
    let Answers { status, consensus, readiness, .. } = answers;
    let mut found = Vec::new();
    if let Some(ours) = genesis.filter(|ours| *ours != status.genesis_hash) {
        found.push(Finding::fault(
            "network",
            format!("the node is of the network with genesis {}, this home of {ours}", status.genesis_hash),
            "correct --url, or restart the node with this home's genesis",
        ));
    }
    found.push(version(&escape_untrusted(&status.version)));
    found.push(match &status.signs_nothing {
        None => Finding::ok("signs", "the validator signs, or has no vote"),
        Some(reason) => Finding::warning(
            "signs",
            escape_untrusted(reason),
            "it signs again by itself once the reason is gone; after a halt, start it without node.halt_at_height",
        ),
    });
    found.push(match consensus {
        Ok(ConsensusView { stall: Some(stall), .. }) => Finding::fault(
            "progress",
            escape_untrusted(&stall.summary),
            "start the validators that are missing, and see the findings on peers",
        ),
        Ok(view) => Finding::ok(
            "progress",
            format!("the last block was committed {} ms ago; {} ms are normal on an idle chain", view.since_commit_ms, view.patience_ms),
        ),
        Err(error) => Finding::warning("progress", format!("GET /v1/consensus: {error}"), "look at the node's log; restart it if it hangs"),
    });
    found.extend(ready(readiness));
    found
}

fn version(theirs: &str) -> Finding {
    const OURS: &str = env!("CARGO_PKG_VERSION");
    if theirs == OURS {
        Finding::ok("version", format!("node and program have version {OURS}"))
    } else {
        Finding::warning(
            "version",
            format!("the node has version {theirs}, this program {OURS}"),
            "restart the node with the installed program, or examine it with the program that it runs",
        )
    }
}

/// The node's own checks: each that is not passed, or that all are. Clock and signing have findings of their own.
fn ready(readiness: &Result<Readiness, String>) -> Vec<Finding> {
    let readiness = match readiness {
        Ok(readiness) => readiness,
        Err(error) => {
            return vec![Finding::warning("ready", format!("GET /readyz: {error}"), "look at the node's log; restart it if it hangs")];
        }
    };
    let failed: Vec<_> = readiness
        .checks
        .iter()
        .filter(|check| !check.ok && check.name != "clock")
        .map(|check| {
            Finding::fault(format!("ready {}", escape_untrusted(&check.name)), escape_untrusted(&check.detail), fix_of(&check.name))
        })
        .collect();
    if failed.is_empty() {
        return vec![Finding::ok(
            "ready",
            format!("{} checks of /readyz are passed", readiness.checks.iter().filter(|check| check.ok).count()),
        )];
    }
    failed
}

fn fix_of(check: &str) -> &'static str {
    match check {
        "replica" => "look at the node's log; restart it if it hangs",
        "quorum" => "start the validators that are missing, and see the findings on peers",
        "disk" => "free or add space on the disk that holds data/, or lower store.free_bytes_min",
        "caught-up" => "wait while its height grows; if it does not, name nodes in network.join",
        "signs" => "upgrade, then start it without node.halt_at_height",
        _ => "see \"Monitoring\" in docs/operate.md",
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::diagnosis::ReadinessCheck;

    use super::*;
    use crate::doctor::finding::State;

    fn readiness(checks: &[(&str, bool)]) -> Readiness {
        let checks = checks.iter().map(|(name, ok)| ReadinessCheck { name: (*name).into(), ok: *ok, detail: format!("{name} says") });
        Readiness { ready: false, checks: checks.collect() }
    }

    #[test]
    fn each_check_that_the_node_does_not_pass_is_passed_on() {
        let found = ready(&Ok(readiness(&[("replica", true), ("quorum", false), ("disk", false), ("clock", false), ("new-one", false)])));
        let names: Vec<_> = found.iter().map(|finding| (finding.name.as_str(), finding.state, finding.seen.as_str())).collect();
        assert_eq!(
            names,
            [
                ("ready quorum", State::Fault, "quorum says"),
                ("ready disk", State::Fault, "disk says"),
                ("ready new-one", State::Fault, "new-one says")
            ],
            "the clock has a finding of its own"
        );
        assert_eq!(ready(&Ok(readiness(&[("replica", true), ("clock", false)])))[0].state, State::Ok);
        assert_eq!(ready(&Err("no answer".into()))[0].state, State::Warning);
    }

    #[test]
    fn another_version_is_a_warning_with_both() {
        assert_eq!(version(env!("CARGO_PKG_VERSION")).state, State::Ok);
        let other = version("9.9.9");
        assert!(
            other.state == State::Warning && other.seen.contains("9.9.9") && other.seen.contains(env!("CARGO_PKG_VERSION")),
            "{other:?}"
        );
    }
}
