//! One run: its points and seed, and its outcome.

use std::collections::BTreeMap;

use quorate_harness::{invariants::Violation, subject::Shared};
use serde::Serialize;

use super::{Point, world::World};
use crate::caught::caught;

/// The parameters of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Decides everything that the other fields leave open.
    pub seed: u64,
    /// Number of validators. At least 4, unless a smaller committee can reach the points.
    pub validators: u16,
    /// The first point.
    pub point: Point,
    /// The second point, armed after the first cut.
    pub second: Option<Point>,
    /// Whether to keep a readable log of events.
    pub trace: bool,
}

impl Course {
    /// A run with one power cut.
    #[must_use]
    pub const fn single(seed: u64, validators: u16, point: Point) -> Self {
        Self { seed, validators, point, second: None, trace: false }
    }

    /// A run with two power cuts. If the second point is in a write that a validator makes only once, the first victim has usually made it
    /// before the first cut. Then the second victim may be one that starts for the first time, in a committee of seven, which stays a quorum
    /// without both.
    #[must_use]
    pub const fn pair(seed: u64, point: Point, second: Point) -> Self {
        let validators = if second.site.is_once() { 7 } else { 4 };
        Self { seed, validators, point, second: Some(second), trace: false }
    }

    /// The command that replays this run with a trace.
    #[must_use]
    pub fn replay(&self) -> String {
        let second = self.second.map_or_else(String::new, |second| format!(" --then {second}"));
        format!("quorate sim crash-points --point {}{second} --seed {} --validators {} --trace", self.point, self.seed, self.validators)
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Points where power was cut, in order.
    pub hit: Vec<String>,
    /// A point that was armed but not reached.
    pub missed: Option<String>,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// Number of writes to each site, by all validators.
    pub writes: BTreeMap<String, u64>,
    /// Hash of every event and every output, in hexadecimal (DET-1).
    pub event_hash: String,
    /// Duration in virtual milliseconds.
    pub virtual_ms: u64,
    /// Height of the chain at the end.
    pub height: u64,
    /// Number of power losses of single validators.
    pub crashes: u64,
    /// Number of batches lost in them.
    pub lost_writes: u64,
    /// The trace, line by line, if enabled.
    #[serde(skip)]
    pub trace: Vec<String>,
}

impl Outcome {
    /// Whether every point was hit and no rule was broken.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.missed.is_none() && self.violation.is_none()
    }
}

/// Runs to the end, or to the first broken rule.
#[must_use]
pub fn run(course: &Course) -> Outcome {
    run_of(&Shared::default(), course)
}

/// Like [`run`], for any application.
pub(crate) fn run_of(subject: &Shared, course: &Course) -> Outcome {
    let broken = |violation| Outcome { violation: Some(violation), ..Outcome::default() };
    let whose = format_args!("seed {}, point {}", course.seed, course.point);
    match caught(whose, || World::new(subject, course.clone()).map(World::run)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(what)) => broken(Violation { invariant: "SETTING".into(), what, at_us: 0 }),
        Err(panic) => broken(panic),
    }
}
