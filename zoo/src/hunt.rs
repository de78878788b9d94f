//! The hunt: all searches on one simulator, in turns, until one finds a violation or the CPU time is used up.
//!
//! The next turn always goes to the search that has used the least CPU time. So no search has to be chosen for a bug, and n searches find a
//! bug in about n * t seconds if one of them alone finds it in t.

use crate::{
    search::{Finding, Outcome, SEARCHES, Search},
    workshop::Simulator,
};

/// Turns get longer until they take this long, so that the cost of starting a process does not matter.
const TURN_SECONDS: f64 = 2.0;

/// The result of a hunt on one simulator.
#[derive(Clone, Debug, Default)]
pub struct Hunt {
    /// The search that found a violation, and the finding.
    pub found: Option<(&'static Search, Finding)>,
    /// For each search, the scenarios run and their CPU-seconds.
    pub spent: Vec<(&'static Search, u64, f64)>,
}

impl Hunt {
    /// CPU-seconds of all searches.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        self.spent.iter().map(|(.., seconds)| seconds).sum()
    }
}

#[derive(Debug)]
struct Turns {
    search: &'static Search,
    next: u64,
    stretch: u64,
    seconds: f64,
    over: bool,
}

/// Runs the searches with at most `budget` CPU-seconds in total.
///
/// # Errors
/// A search cannot be run.
pub fn hunt(simulator: &Simulator, budget: u32) -> Result<Hunt, String> {
    let start = |search: &'static Search| Turns { search, next: 0, stretch: search.first_stretch, seconds: 0.0, over: false };
    let mut searches: Vec<Turns> = SEARCHES.iter().map(start).collect();
    let mut found = None;
    loop {
        let left = f64::from(budget) - searches.iter().map(|turns| turns.seconds).sum::<f64>();
        let open = searches.iter_mut().filter(|turns| !turns.over);
        let Some(turns) = open.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).filter(|_| left >= 1.0) else { break };
        let rest = turns.search.scenarios.map_or(u64::MAX, |all| all.saturating_sub(turns.next));
        let count = turns.stretch.min(rest);
        if count == 0 {
            turns.over = true;
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the budget")]
        let (outcome, seconds) = turns.search.run(&simulator.program, turns.next, count, left as u32)?;
        turns.seconds += seconds;
        match outcome {
            Outcome::Clean => {
                turns.next += count;
                if seconds < TURN_SECONDS / 2.0 {
                    turns.stretch *= 2;
                }
            }
            Outcome::OutOfTime => turns.over = true,
            Outcome::Found(finding) => {
                turns.next = finding.scenario + 1;
                found = Some((turns.search, finding));
                break;
            }
        }
    }
    let spent = searches.into_iter().map(|turns| (turns.search, turns.next, turns.seconds)).collect();
    Ok(Hunt { found, spent })
}
