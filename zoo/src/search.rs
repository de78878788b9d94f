//! The simulator's searches, and running a stretch of one with a CPU time limit.
//!
//! A search is a numbered list of scenarios, usually endless. `quorate-sim` runs any stretch of it and stops at the first scenario that
//! violates an invariant.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::cpu::CpuTime;

/// A search of the simulator.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Its name in bugs and reports.
    pub name: &'static str,
    /// What it searches, in a few words.
    pub what: &'static str,
    /// The subcommand of `quorate-sim` and its fixed arguments.
    pub arguments: &'static [&'static str],
    /// Number of scenarios; `None` if endless.
    pub scenarios: Option<u64>,
    /// Scenarios in the first stretch; later stretches are longer.
    pub first_stretch: u64,
}

/// All searches, in the order of their first turns.
pub const SEARCHES: &[Search] = &[
    Search {
        name: "worlds",
        what: "random worlds with crashes, partitions and losses",
        arguments: &["run"],
        scenarios: None,
        first_stretch: 5,
    },
    Search {
        name: "sweep",
        what: "a power cut between any two effects of a round",
        arguments: &["sweep"],
        scenarios: None,
        first_stretch: 1,
    },
    Search {
        name: "forge",
        what: "every forgery of every message, against verification",
        arguments: &["forge"],
        scenarios: None,
        first_stretch: 2,
    },
    Search {
        name: "puppets",
        what: "one validator among puppets that may do anything",
        arguments: &["puppets"],
        scenarios: None,
        first_stretch: 10,
    },
    Search {
        name: "twins",
        what: "scenarios in which one of four validators has a twin",
        arguments: &["twins-drawn"],
        scenarios: None,
        first_stretch: 50,
    },
    Search {
        name: "crashes",
        what: "a power cut at every named point around writes",
        arguments: &["crashes-in-turn"],
        scenarios: None,
        first_stretch: 4,
    },
];

/// How a stretch of a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No scenario violated an invariant.
    Clean,
    /// A scenario violated an invariant.
    Found(Finding),
    /// The CPU time ran out first.
    OutOfTime,
}

/// A scenario that violated an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its number in the search, from 0.
    pub scenario: u64,
    /// The invariant, and how it was violated.
    pub violation: String,
    /// The command that replays it, for `quorate-sim` with the bug.
    pub replay: String,
}

impl Search {
    /// The search with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SEARCHES.iter().find(|search| search.name == name)
    }

    /// Runs `count` scenarios from `first` on, with at most `seconds_max` of CPU time. Also returns the CPU-seconds used.
    ///
    /// # Errors
    /// The simulator cannot be started, or ends without a valid answer.
    pub fn run(&self, program: &Path, first: u64, count: u64, seconds_max: u32) -> Result<(Outcome, f64), String> {
        let before = CpuTime::of_children();
        // The shell sets the limit, the simulator inherits it, and the kernel enforces it.
        let output = Command::new("sh")
            .args(["-c", "ulimit -t \"$0\" && exec \"$@\"", &seconds_max.max(1).to_string()])
            .arg(program)
            .args(self.arguments)
            .args(["--seed", &first.to_string(), "--seeds", &count.to_string(), "--until-first", "--quiet", "--output", "json"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let used = before.seconds_since();
        let outcome = match (output.status.code(), answer(&output.stdout)) {
            (Some(0), Some(answer)) if answer.violation.is_none() => Outcome::Clean,
            (Some(_), Some(Answer { scenarios, violation: Some(violation), replay })) => {
                Outcome::Found(Finding { scenario: first.saturating_add(scenarios.saturating_sub(1)), violation, replay })
            }
            // 128 + SIGXCPU or SIGKILL if an intermediate shell reports it.
            (None | Some(137 | 152), None) if used + 1.0 >= f64::from(seconds_max) => Outcome::OutOfTime,
            (code, _) => {
                return Err(format!(
                    "search {} from {first} on, {count} scenarios, ended with {code:?} and without a valid answer:\n{}",
                    self.name,
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
        };
        Ok((outcome, used))
    }
}

struct Answer {
    /// Number of scenarios run, including the one with the violation.
    scenarios: u64,
    violation: Option<String>,
    replay: String,
}

/// Parses the output of `quorate-sim ... --output json`, a `quorate_sim::Summary`.
fn answer(stdout: &[u8]) -> Option<Answer> {
    let value: Value = serde_json::from_slice(stdout).ok()?;
    let scenarios = value.get("seeds")?.as_u64()?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let invariant = text("/failures/0/report/violation/invariant");
    let what = text("/failures/0/report/violation/what").unwrap_or_default();
    Some(Answer {
        scenarios,
        violation: invariant.map(|invariant| format!("{invariant}: {what}")),
        replay: text("/failures/0/replay").unwrap_or_default(),
    })
}
