//! A validator of a scenario: the production replica, and what its process and its faults keep around it.

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

/// Most lines that a log keeps: the first ones, and a last line that says how many more there were.
const LOG_LINES_MAX: usize = 100_000;

/// The log of a process.
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

/// What a validator will do wrong, set by triggers: how many more times, or from now on.
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

/// Takes one of the times that are left.
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
    /// It may lie: nothing is asked of it.
    pub(crate) faulty: bool,
    /// It has crashed and will not come back.
    pub(crate) gone: bool,
    /// The deadline for which a wake-up is planned.
    pub(crate) wake: Option<Micros>,
    /// Until then it does nothing.
    pub(crate) asleep_until: Micros,
    pub(crate) lies: Lies,
    /// How often each event has happened in this life.
    pub(crate) counts: BTreeMap<(Event, Option<u16>), u64>,
    /// The clients' transactions in its ledger, as far as it can still know them: those of lost commits are taken out when it restarts.
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

    /// Whether it must have the whole ledger in the end.
    pub(crate) const fn is_judged(&self) -> bool {
        !self.faulty && !self.gone
    }
}
