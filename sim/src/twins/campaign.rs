//! Campaigns: many scenarios, run on all cores, in parts, and resumable.
//!
//! A space's numbers are cut into pieces, which are dealt to the parts of a campaign in turn: canonical numbers are not spread evenly, and
//! this way the parts take about equally long. Results are added in the order of the pieces, whichever thread finishes first, so a [`Tally`]
//! depends only on the options and the number of pieces it holds.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use quorate_harness::{
    lab::{Lab, LabChange},
    subject::Shared,
};
use serde::{Deserialize, Serialize};

use super::{
    counters::Counters,
    scenario::Scenario,
    space::{Space, Symmetries},
    stage::{Outcome, play, play_at_signers},
};
use crate::caught::caught;

/// Most violations kept in a tally.
pub const VIOLATIONS_MAX: usize = 20;
/// Numbers in a piece of a full search.
const PIECE: u64 = 4_096;
/// Samples in a piece of a sampled search; these are all run, so there are fewer.
const PIECE_SAMPLED: u64 = 16;

/// Which scenarios to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The space they are from.
    pub space: Space,
    /// Count and seed of a random sample, instead of all scenarios.
    pub sample: Option<(u64, u64)>,
    /// Only part k of n, 1..=n.
    pub part: (u64, u64),
    /// The committee changes: the number of the transaction that does it, from 1, of which a block holds one.
    pub change: Option<u32>,
    /// All copies of a validator have their key at one signer ([`play_at_signers`]).
    pub signers: bool,
}

/// The results of the finished pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Finished pieces of this part.
    pub pieces: u64,
    /// Number of the first scenario run.
    pub first: Option<u64>,
    /// Number of the last scenario run.
    pub last: Option<u64>,
    /// What happened in the scenarios.
    pub counters: Counters,
    /// Scenarios that violated an invariant.
    pub violated: u64,
    /// The first [`VIOLATIONS_MAX`] of them.
    pub violations: Vec<Broken>,
    /// Sum of all history hashes: equal for the same scenarios on the same code.
    pub history: u64,
}

/// A scenario that violated an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Its number.
    pub scenario: u64,
    /// Rounds, leaders and sides in readable form.
    pub steps: String,
    /// The violated invariant.
    pub invariant: String,
    /// How it was violated.
    pub what: String,
    /// The command that replays the scenario with a trace.
    pub replay: String,
}

impl Tally {
    fn play(&mut self, plan: &Plan, number: u64, scenario: &Scenario, outcome: &Outcome) {
        self.first = self.first.or(Some(number));
        self.last = Some(number);
        self.counters.add(&outcome.counters);
        self.history = self.history.wrapping_add(outcome.history);
        if let Some(violation) = &outcome.violation {
            self.violated = self.violated.saturating_add(1);
            if self.violations.len() < VIOLATIONS_MAX {
                self.violations.push(Broken {
                    scenario: number,
                    steps: scenario.to_string(),
                    invariant: violation.invariant.clone(),
                    what: violation.what.clone(),
                    replay: plan.replay(number),
                });
            }
        }
    }

    fn add(&mut self, more: Self) {
        self.pieces = self.pieces.saturating_add(1);
        self.first = self.first.or(more.first);
        self.last = more.last.or(self.last);
        self.counters.add(&more.counters);
        self.violated = self.violated.saturating_add(more.violated);
        self.violations.extend(more.violations);
        self.violations.truncate(VIOLATIONS_MAX);
        self.history = self.history.wrapping_add(more.history);
    }
}

impl Plan {
    /// The options of `sim twins` that select these scenarios.
    #[must_use]
    pub fn options(&self) -> String {
        let mut text = format!("--validators {} --rounds {}", self.space.validators(), self.space.rounds());
        if self.space.is_two_phase() {
            text.push_str(" --two-phase");
        }
        if let Some(change) = self.change {
            text = format!("{text} --change {change}");
        }
        if self.signers {
            text.push_str(" --signers");
        }
        if let Some((count, seed)) = self.sample {
            text = format!("{text} --sample {count} --seed {seed}");
        }
        if self.part.1 > 1 {
            text = format!("{text} --part {}/{}", self.part.0, self.part.1);
        }
        text
    }

    /// Plays a scenario.
    #[must_use]
    pub fn play(&self, lab: &Lab, scenario: &Scenario, trace: bool) -> Outcome {
        if self.signers { play_at_signers(lab, scenario, trace) } else { play(lab, scenario, trace) }
    }

    /// The command that replays a scenario with a trace.
    #[must_use]
    pub fn replay(&self, number: u64) -> String {
        format!("quorate sim twins {} --scenario {number} --trace", Self { part: (1, 1), ..*self }.options())
    }

    /// The network for its scenarios.
    ///
    /// # Errors
    /// The network cannot be set up.
    pub fn lab(&self, subject: &Shared) -> Result<Lab, String> {
        let of_second = self.space.twins();
        let change = self.change.map(|transaction| LabChange { transaction, of_second });
        Lab::of_rounds_with(subject, self.space.validators(), self.space.rounds(), change)
    }

    /// The scenario with a number.
    #[must_use]
    pub fn scenario(&self, number: u64) -> Scenario {
        match self.sample {
            Some((_, seed)) => self.space.draw(seed, number),
            None => self.space.scenario(number),
        }
    }

    /// How many numbers there are to run through.
    ///
    /// # Errors
    /// There are too many scenarios to number.
    pub fn numbers(&self) -> Result<u64, String> {
        self.sample.map_or_else(|| self.space.size(), |(count, _)| Ok(count))
    }

    const fn piece(&self) -> u64 {
        if self.sample.is_some() { PIECE_SAMPLED } else { PIECE }
    }

    /// How many pieces this part has.
    ///
    /// # Errors
    /// There are too many scenarios to number.
    pub fn pieces(&self) -> Result<u64, String> {
        let all = self.numbers()?.div_ceil(self.piece());
        let (part, parts) = self.part;
        Ok(all.saturating_add(parts).saturating_sub(part).checked_div(parts).unwrap_or(0))
    }

    /// The numbers of a piece of this part.
    fn range(&self, piece: u64, numbers: u64) -> (u64, u64) {
        let (part, parts) = self.part;
        let first = piece.saturating_mul(parts).saturating_add(part).saturating_sub(1).saturating_mul(self.piece());
        (first, first.saturating_add(self.piece()).min(numbers))
    }

    /// How many scenarios this part has.
    ///
    /// # Errors
    /// There are too many scenarios to number.
    pub fn scenarios(&self) -> Result<u64, String> {
        let numbers = self.numbers()?;
        let symmetries = self.sample.is_none().then(|| self.space.symmetries());
        let in_piece = |piece: u64| {
            let (mut next, end) = self.range(piece, numbers);
            let mut count = 0u64;
            while let Some(number) = next_number(symmetries.as_ref(), next, end) {
                (count, next) = (count.saturating_add(1), number.saturating_add(1));
            }
            count
        };
        Ok((0..self.pieces()?).map(in_piece).sum())
    }

    /// Runs the pieces that `tally` lacks, on `threads` threads. After each piece, in order, `on_piece` gets the tally and the number of
    /// scenarios in the piece, and returns whether to go on.
    ///
    /// # Errors
    /// The space is too large, or the network cannot be set up.
    pub fn run(&self, tally: Tally, threads: usize, on_piece: &(dyn Fn(&Tally, u64) -> bool + Sync)) -> Result<Tally, String> {
        self.run_by(&Shared::default(), tally, threads, on_piece, &|lab, _, scenario| self.play(lab, scenario, false))
    }

    /// Like [`Self::run`], from the beginning and for any application.
    pub(crate) fn run_for(&self, subject: &Shared, threads: usize) -> Result<Tally, String> {
        self.run_by(subject, Tally::default(), threads, &|_, _| true, &|lab, _, scenario| self.play(lab, scenario, false))
    }

    fn run_by(
        &self,
        subject: &Shared,
        tally: Tally,
        threads: usize,
        on_piece: &(dyn Fn(&Tally, u64) -> bool + Sync),
        play: &(dyn Fn(&Lab, u64, &Scenario) -> Outcome + Sync),
    ) -> Result<Tally, String> {
        let numbers = self.numbers()?;
        let pieces = self.pieces()?;
        let symmetries = self.sample.is_none().then(|| self.space.symmetries());
        let next = AtomicU64::new(tally.pieces);
        let stopped = AtomicBool::new(false);
        let merged = Mutex::new((tally, BTreeMap::<u64, Tally>::new()));
        let work = || -> Result<(), String> {
            let lab = self.lab(subject)?;
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces || stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let (mut number, end) = self.range(piece, numbers);
                let mut done = Tally::default();
                while let Some(found) = next_number(symmetries.as_ref(), number, end) {
                    let scenario = self.scenario(found);
                    let outcome = caught(format_args!("scenario {found}"), || play(&lab, found, &scenario));
                    done.play(self, found, &scenario, &outcome.unwrap_or_else(Outcome::broken));
                    number = found.saturating_add(1);
                }
                let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
                let (tally, waiting) = &mut *merged;
                waiting.insert(piece, done);
                while let Some(done) = waiting.remove(&tally.pieces) {
                    let scenarios = done.counters.scenarios;
                    tally.add(done);
                    if !on_piece(tally, scenarios) {
                        stopped.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into())))
        })?;
        Ok(merged.into_inner().unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn next_number(symmetries: Option<&Symmetries>, from: u64, end: u64) -> Option<u64> {
    match symmetries {
        Some(symmetries) => symmetries.next_canonical(from, end),
        None => (from < end).then_some(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_violation_of_its_scenario_and_stops_no_other() {
        let plan = Plan { space: Space::new(4, 3, false).unwrap(), sample: Some((40, 1)), part: (1, 1), change: None, signers: false };
        let tally = plan.run_by(&Shared::default(), Tally::default(), 2, &|_, _| true, &|_, number, _| {
            assert_ne!(number, 21, "of all numbers");
            Outcome { counters: Counters { scenarios: 1, ..Counters::default() }, ..Outcome::default() }
        });
        let tally = tally.unwrap();
        assert_eq!((tally.violated, tally.counters.scenarios), (1, 40));
        let broken = &tally.violations[0];
        assert_eq!((broken.scenario, broken.invariant.as_str()), (21, "PANIC"));
        assert!(broken.what.contains("scenario 21") && broken.what.contains("of all numbers"), "{}", broken.what);
        assert!(broken.replay.contains("--scenario 21"));
    }
}
