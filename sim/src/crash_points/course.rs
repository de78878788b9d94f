//! One run: whose power fails where, drawn from the seed, and what came of it.

use std::collections::BTreeMap;

use quorate_harness::{invariants::Violation, subject::Shared};
use serde::Serialize;

use super::{Point, world::World};
use crate::caught::caught;

/// What a run is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Decides everything that the rest leaves open.
    pub seed: u64,
    /// How many validators there are; at least 4, unless the points are ones that a smaller committee comes to.
    pub validators: u16,
    /// The first point.
    pub point: Point,
    /// The second one, armed when the first victim comes back.
    pub second: Option<Point>,
    /// Keep a readable log of what happens.
    pub trace: bool,
}

impl Course {
    /// A run with one power cut.
    #[must_use]
    pub const fn single(seed: u64, validators: u16, point: Point) -> Self {
        Self { seed, validators, point, second: None, trace: false }
    }

    /// A run with two. What a validator writes once in its life, the first victim has mostly written before: then the second victim may be
    /// one that starts for the first time, in a committee of seven, which goes on without both.
    #[must_use]
    pub const fn pair(seed: u64, point: Point, second: Point) -> Self {
        let validators = if second.site.is_once() { 7 } else { 4 };
        Self { seed, validators, point, second: Some(second), trace: false }
    }

    /// The one command that runs this again, with everything that happens.
    #[must_use]
    pub fn replay(&self) -> String {
        let second = self.second.map_or_else(String::new, |second| format!(" --then {second}"));
        format!("quorate sim crash-points --point {}{second} --seed {} --validators {} --trace", self.point, self.seed, self.validators)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The points at which the power has failed, in order.
    pub hit: Vec<String>,
    /// A point that was armed and not reached.
    pub missed: Option<String>,
    /// The first rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// How often each site was written, by all validators.
    pub writes: BTreeMap<String, u64>,
    /// The hash of every event and every output, hexadecimal (DET-1).
    pub event_hash: String,
    /// How long it lasted, in virtual milliseconds.
    pub virtual_ms: u64,
    /// The height of the chain at the end.
    pub height: u64,
    /// How often a validator lost power.
    pub crashes: u64,
    /// How many batches were lost.
    pub lost_writes: u64,
    /// What happened, line by line, if asked for.
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

/// Runs to the end, or to the first rule that is broken.
#[must_use]
pub fn run(course: &Course) -> Outcome {
    run_of(&Shared::default(), course)
}

/// The same for any application.
pub(crate) fn run_of(subject: &Shared, course: &Course) -> Outcome {
    let broken = |violation| Outcome { violation: Some(violation), ..Outcome::default() };
    let whose = format_args!("seed {}, point {}", course.seed, course.point);
    match caught(whose, || World::new(subject, course.clone()).map(World::run)) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(what)) => broken(Violation { invariant: "SETTING".into(), what, at_us: 0 }),
        Err(panic) => broken(panic),
    }
}
