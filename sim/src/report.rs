//! Reports of runs.

use std::collections::BTreeMap;

use quorate_harness::invariants::Violation;
use serde::Serialize;

use crate::{fault::Faults, forensics::Culprit};

/// The report of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Seed that decided everything.
    pub seed: u64,
    /// Number of validators.
    pub validators: u16,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// Hash of every event and every output, in hexadecimal (DET-1).
    pub event_hash: String,
    /// Number of events and outputs.
    pub events: u64,
    /// Duration in virtual milliseconds.
    pub virtual_ms: u64,
    /// Height of the committed chain at the end.
    pub height: u64,
    /// Highest round at the end.
    pub round: u64,
    /// Number of committed transactions.
    pub transactions: u64,
    /// Messages sent, counted once per receiver.
    pub messages: u64,
    /// Number of power losses of single validators.
    pub crashes: u64,
    /// Number of batches lost because they were not synced.
    pub lost_writes: u64,
    /// Rounds from the end of the faults to the first commit.
    pub rounds_to_commit: Option<u64>,
    /// Virtual milliseconds from the end of the faults to the first commit.
    pub ms_to_commit: Option<u64>,
    /// Virtual milliseconds from the end of the faults until everything was settled.
    pub ms_to_settle: Option<u64>,
    /// Occurrences by name: messages by kind, answers to clients, reasons for ignoring a message. What occurs in no world is not tested.
    pub seen: BTreeMap<String, u64>,
    /// Validators convicted by evidence, in a world where more collude than the committee tolerates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub culprits: Vec<Culprit>,
    /// Validators that counted as Byzantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub byzantine: Vec<u16>,
    /// Faults of the world.
    #[serde(skip)]
    pub faults: Faults,
    /// The trace, line by line, if enabled.
    #[serde(skip)]
    pub trace: Vec<String>,
}

impl Report {
    /// The command that replays this run with a trace.
    #[must_use]
    pub fn replay(&self) -> String {
        let faults = if self.faults == Faults::Drawn { String::new() } else { format!(" --faults {}", self.faults.word()) };
        format!("quorate sim run --seed {} --validators {}{faults} --trace", self.seed, self.validators)
    }
}

/// The summary of many runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Number of seeds run.
    pub seeds: u64,
    /// Number of seeds that broke a rule.
    pub failed: u64,
    /// Sum of all rounds.
    pub rounds: u64,
    /// Sum of all heights.
    pub blocks: u64,
    /// Sum of all committed transactions.
    pub transactions: u64,
    /// Sum of all messages.
    pub messages: u64,
    /// Sum of all power losses.
    pub crashes: u64,
    /// Sum of all lost writes.
    pub lost_writes: u64,
    /// Sum of all virtual milliseconds.
    pub virtual_ms: u64,
    /// Most rounds from the end of the faults to the first commit in any run.
    pub rounds_to_commit_max: u64,
    /// Most virtual milliseconds from the end of the faults to the first commit in any run.
    pub ms_to_commit_max: u64,
    /// Most virtual milliseconds from the end of the faults until everything was settled in any run.
    pub ms_to_settle_max: u64,
    /// Sum of all occurrences.
    pub seen: BTreeMap<String, u64>,
    /// Failed runs with the lowest seeds, at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
}

/// A run that broke a rule.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The report of the run.
    pub report: Report,
    /// The command that replays it.
    pub replay: String,
}

/// Most failures that a summary keeps.
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
            // Threads finish in any order; the summary must not depend on it.
            self.failures.sort_by_key(|failure| failure.report.seed);
            self.failures.truncate(FAILURES_MAX);
        }
    }
}
