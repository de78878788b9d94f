//! What a run says at its end.

use std::collections::BTreeMap;

use quorate_harness::invariants::Violation;
use serde::Serialize;

use crate::{fault::Faults, forensics::Culprit};

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The seed that decided everything.
    pub seed: u64,
    /// How many validators there were.
    pub validators: u16,
    /// The first rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The hash of every event and every output, hexadecimal (DET-1).
    pub event_hash: String,
    /// How many events and outputs there were.
    pub events: u64,
    /// How long the world lasted, in virtual milliseconds.
    pub virtual_ms: u64,
    /// The height of the committed chain at the end.
    pub height: u64,
    /// The highest round at the end.
    pub round: u64,
    /// How many transactions were committed.
    pub transactions: u64,
    /// How many messages were sent, one for each receiver.
    pub messages: u64,
    /// How often a validator lost power.
    pub crashes: u64,
    /// How many batches were lost because they were not synced.
    pub lost_writes: u64,
    /// How many rounds passed between the end of the faults and the first commit.
    pub rounds_to_commit: Option<u64>,
    /// How much virtual time passed between the end of the faults and the first commit, in milliseconds.
    pub ms_to_commit: Option<u64>,
    /// How much virtual time passed between the end of the faults and everything being settled, in milliseconds.
    pub ms_to_settle: Option<u64>,
    /// How often what happened: messages by kind, answers to clients, reasons for ignoring a message. What never happens in any world is
    /// not tested by any.
    pub seen: BTreeMap<String, u64>,
    /// Whom the evidence convicts, in a world of which more than the bearable minority collude.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub culprits: Vec<Culprit>,
    /// Who counted as Byzantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub byzantine: Vec<u16>,
    /// Which faults the world had.
    #[serde(skip)]
    pub faults: Faults,
    /// What happened, line by line, if a trace was asked for.
    #[serde(skip)]
    pub trace: Vec<String>,
}

impl Report {
    /// The one command that runs this again, with everything that happened.
    #[must_use]
    pub fn replay(&self) -> String {
        let faults = if self.faults == Faults::Drawn { String::new() } else { format!(" --faults {}", self.faults.word()) };
        format!("quorate sim run --seed {} --validators {}{faults} --trace", self.seed, self.validators)
    }
}

/// Many runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many of them broke a rule.
    pub failed: u64,
    /// The sum of all rounds.
    pub rounds: u64,
    /// The sum of all heights.
    pub blocks: u64,
    /// The sum of all committed transactions.
    pub transactions: u64,
    /// The sum of all messages.
    pub messages: u64,
    /// The sum of all crashes.
    pub crashes: u64,
    /// The sum of all lost writes.
    pub lost_writes: u64,
    /// The sum of all virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// The most rounds that any run needed for its first commit after the faults stopped.
    pub rounds_to_commit_max: u64,
    /// The longest virtual time that any run needed for it, in milliseconds.
    pub ms_to_commit_max: u64,
    /// The longest virtual time that any run needed to settle, in milliseconds.
    pub ms_to_settle_max: u64,
    /// The sum of what was seen.
    pub seen: BTreeMap<String, u64>,
    /// The first runs that broke a rule, at most [`FAILURES_MAX`], each with the command that replays it.
    pub failures: Vec<Failure>,
}

/// A run that broke a rule.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The run.
    pub report: Report,
    /// The command that replays it.
    pub replay: String,
}

/// How many failures a summary keeps.
pub const FAILURES_MAX: usize = 20;

impl Summary {
    /// Adds a run.
    pub fn add(&mut self, report: Report) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.seeds, 1);
        add(&mut self.rounds, report.round);
        add(&mut self.blocks, report.height);
        add(&mut self.transactions, report.transactions);
        add(&mut self.messages, report.messages);
        add(&mut self.crashes, report.crashes);
        add(&mut self.lost_writes, report.lost_writes);
        add(&mut self.virtual_ms, report.virtual_ms);
        for (what, count) in &report.seen {
            add(self.seen.entry(what.clone()).or_default(), *count);
        }
        self.rounds_to_commit_max = self.rounds_to_commit_max.max(report.rounds_to_commit.unwrap_or_default());
        self.ms_to_commit_max = self.ms_to_commit_max.max(report.ms_to_commit.unwrap_or_default());
        self.ms_to_settle_max = self.ms_to_settle_max.max(report.ms_to_settle.unwrap_or_default());
        if report.violation.is_some() {
            add(&mut self.failed, 1);
            self.failures.push(Failure { replay: report.replay(), report });
            // The threads finish in any order; the summary does not depend on it.
            self.failures.sort_by_key(|failure| failure.report.seed);
            self.failures.truncate(FAILURES_MAX);
        }
    }
}
