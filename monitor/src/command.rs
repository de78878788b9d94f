//! The command line, and the output for programs.

use std::{
    io::{self, IsTerminal},
    num::NonZeroU64,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use futures::future::join_all;
use quorate_client::{Client, NodeArgs};
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    diagnosis::ConsensusView,
    round::UnixMillis,
    rpc::{EvidenceView, NodeStatus},
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    ask::{self, Asked, INTERVAL},
    screen,
};

/// `monitor`.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("nodes", |nodes| nodes.help("URL of a node, http or https; repeatable, all of them are shown")))]
pub struct MonitorCommand {
    #[command(flatten)]
    nodes: NodeArgs,
    /// With `-o json`: ask this many times, then stop. Exit code 3 if the last time no node answered.
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
}

/// What a program reads about a node, once a second.
#[derive(Serialize)]
struct Line<'a> {
    /// The node's URL.
    node: &'a str,
    /// When it was asked, by this machine's clock.
    at: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a NodeStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consensus: Option<&'a ConsensusView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a [EvidenceView]>,
    /// Why some of it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(node: &'a str, at: UnixMillis, Asked { status, consensus, evidence }: &'a Asked) -> Self {
        let errors = [status.as_ref().err(), consensus.as_ref().err(), evidence.as_ref().err()];
        Self {
            node,
            at,
            status: status.as_ref().ok(),
            consensus: consensus.as_ref().ok(),
            evidence: evidence.as_ref().ok().map(|list| list.evidence.as_slice()),
            error: errors.into_iter().flatten().next().map(String::as_str),
        }
    }
}

impl MonitorCommand {
    /// Runs the command until the user or `--count` ends it. The terminal is restored if the future is dropped.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn run(self, out: &Output) -> Result<(), CommandError> {
        let nodes = self.nodes.client()?.apart();
        if out.is_json() {
            return lines(&nodes, self.count, INTERVAL, out).await;
        }
        if self.count.is_some() {
            return Err(CommandError::usage("--count counts lines of JSON").with_hint("add -o json, or leave --count out"));
        }
        if !io::stdout().is_terminal() {
            return Err(CommandError::usage("the dashboard needs a terminal, and standard output is none")
                .with_hint("run it at a terminal, or add -o json: a line for each node, once a second"));
        }
        screen::show(&nodes).await
    }
}

/// Prints a line for each node and period, until `count` or the reader ends it.
async fn lines(nodes: &[(String, Client)], count: Option<NonZeroU64>, period: Duration, out: &Output) -> Result<(), CommandError> {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked_times = 0u64;
    loop {
        ticks.tick().await;
        let at = unix_now();
        let answers = join_all(nodes.iter().map(|(_, client)| ask::ask(client))).await;
        for ((url, _), asked) in nodes.iter().zip(&answers) {
            if !out.print_on(&Line::new(url, at, asked), String::new)? {
                return Ok(());
            }
        }
        asked_times = asked_times.saturating_add(1);
        if count.is_some_and(|count| asked_times >= count.get()) {
            return if answers.iter().any(|asked| asked.status.is_ok()) { Ok(()) } else { Err(nobody()) };
        }
    }
}

fn nobody() -> CommandError {
    CommandError::new(Exit::Unreachable, "unreachable", "the last time, no node answered")
        .with_hint("the lines say why; start a node, or name other nodes with --node URL (repeatable) or QUORATE_NODE")
}

fn unix_now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use quorate_terminal::Format;
    use serde_json::Value;

    use super::*;
    use crate::testing::{self, REFUSED};

    #[derive(Debug, clap::Parser)]
    struct CommandLine {
        #[command(flatten)]
        monitor: MonitorCommand,
    }

    #[test]
    fn the_command_line_says_that_all_nodes_are_shown() {
        let command = CommandLine::command();
        let help = command.get_arguments().find(|argument| argument.get_id() == "nodes").and_then(clap::Arg::get_help).unwrap();
        assert!(help.to_string().contains("all of them are shown"), "{help}");
        command.debug_assert();
    }

    async fn asked_twice(nodes: &[String]) -> (Result<(), CommandError>, Vec<Value>) {
        let out = Output::kept(Format::Json);
        let nodes = Client::new(nodes).unwrap().apart();
        let ended = lines(&nodes, NonZeroU64::new(2), Duration::from_millis(1), &out).await;
        (ended, out.written().stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    #[tokio::test]
    async fn programs_get_a_line_for_each_node_whether_it_answers_or_not() {
        let alive = testing::serve().await;
        let (ended, lines) = asked_twice(&[alive.clone(), REFUSED.into()]).await;
        ended.unwrap();
        assert_eq!(lines.len(), 4);
        for pair in lines.chunks(2) {
            let [first, second] = pair else { panic!("{pair:?}") };
            assert_eq!((first["node"].as_str(), first["status"]["name"].as_str()), (Some(alive.as_str()), Some("alice")), "{first}");
            assert_eq!(first["consensus"]["leader"], "bob");
            assert_eq!(first["evidence"], serde_json::json!([]));
            assert_eq!(first.get("error"), None);
            assert_eq!((second["node"].as_str(), second.get("status")), (Some(REFUSED), None), "{second}");
            assert!(second["error"].as_str().unwrap().contains("refused"), "{second}");
        }
    }

    #[tokio::test]
    async fn a_count_that_ends_without_an_answer_is_an_error() {
        let (ended, lines) = asked_twice(&[REFUSED.into()]).await;
        let error = ended.unwrap_err();
        assert_eq!((lines.len(), error.exit, error.hint.is_some()), (2, Exit::Unreachable, true));
    }

    #[tokio::test]
    async fn the_dashboard_refuses_to_draw_where_nobody_sees_it() {
        let nodes = NodeArgs { nodes: vec![REFUSED.into()], ca_file: None };
        for (count, word) in [(NonZeroU64::new(1), "--count"), (None, "terminal")] {
            // Tests have standard output captured by a pipe, or none; at a terminal, the second case would draw.
            if count.is_none() && io::stdout().is_terminal() {
                continue;
            }
            let error = MonitorCommand { nodes: nodes.clone(), count }.run(&Output::default()).await.unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(word) && error.hint.unwrap().contains("-o json"), "{}", error.message);
        }
    }
}
