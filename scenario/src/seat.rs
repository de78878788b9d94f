//! A validator of a scenario: the production replica with the state of its process and its faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_harness::{Machine, time::Micros};
use quorate_types::{
    ids::{TxId, ValidatorId},
    round::Round,
};

use super::triggers::Event;

/// Most lines a log keeps. It keeps the first ones, and ends with the number of those dropped.
const LOG_LINES_MAX: usize = 100_000;

/// The log of a process, or of the injected failures.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Vec<String>,
    more: u64,
}

impl Log {
    pub(crate) fn add(&mut self, at: Micros, text: &str) {
        if self.lines.len() < LOG_LINES_MAX {
            self.lines.push(format!("{:>8}.{:03} ms  {text}", at.ms(), at.0 % 1_000));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("... and {} more lines", self.more));
        }
        self.lines
    }
}

/// Planned lies, set by triggers: how many more times, or from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lies {
    pub(crate) other_block: u32,
    pub(crate) next_round: u32,
    pub(crate) spoil_proposal: u32,
    pub(crate) other_result: u32,
    pub(crate) other_state: bool,
    pub(crate) drop_vote: u32,
    pub(crate) spoil_vote: u32,
    pub(crate) false_answer: u32,
    pub(crate) withhold: u64,
    pub(crate) keep_certificates: bool,
}

/// Uses up one of the remaining times. Returns whether there was one.
pub(crate) fn take(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) id: ValidatorId,
    pub(crate) machine: Machine,
    /// May lie, so it is not judged.
    pub(crate) faulty: bool,
    /// Has crashed and will not restart.
    pub(crate) gone: bool,
    /// Time of the scheduled wake-up.
    pub(crate) wake: Option<Micros>,
    /// Does nothing before this time.
    pub(crate) asleep_until: Micros,
    pub(crate) lies: Lies,
    /// Number of each event since the last start.
    pub(crate) counts: BTreeMap<(Event, Option<u16>), u64>,
    /// The clients' transactions it has committed; recounted from its ledger at a restart, which may have lost some.
    pub(crate) committed: BTreeSet<TxId>,
    pub(crate) round: Round,
    pub(crate) log: Log,
}

impl Seat {
    pub(crate) fn new(id: ValidatorId, faulty: bool, leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        Self {
            id,
            machine: Machine::by_hand(id, leaders),
            faulty,
            gone: false,
            wake: None,
            asleep_until: Micros(0),
            lies: Lies::default(),
            counts: BTreeMap::new(),
            committed: BTreeSet::new(),
            round: Round(0),
            log: Log::default(),
        }
    }

    /// Whether it must have the whole ledger at the end of the run.
    pub(crate) const fn is_judged(&self) -> bool {
        !self.faulty && !self.gone
    }
}
