//! Runs every search of the simulator on any application with one call: whether its execution is deterministic, and whether its chain
//! survives faults, liars, twins and power cuts.
//!
//! ```no_run
//! use quorate_app::Application;
//! use quorate_builtin::BuiltIn;
//!
//! quorate_sim::try_to_break(BuiltIn, |random, accounts| BuiltIn.sample(random.below(8), accounts)).unwrap();
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
};

use quorate_app::Application;
use quorate_harness::{
    invariants::Violation,
    random::Random,
    subject::{Any, Shared},
};
use quorate_types::ids::Address;

use crate::{
    caught::caught,
    crash_points::{Course, Point, run_of},
    determinism::{self, Different},
    fault::Faults,
    run::{run_any, size_of},
    sweep::sweep_of,
    twins::{Space, campaign::Plan},
    world::SimOptions,
};

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Number of transactions to execute repeatedly, in other threads and in another process.
    pub transactions: u64,
    /// Number of random worlds with faults and liars.
    pub worlds: u64,
    /// Number of sweeps of power cuts between any two effects of a round.
    pub sweeps: u64,
    /// Number of three-round scenarios in which one of four validators exists twice; `None` for all 25,740.
    pub twins: Option<u64>,
    /// Number of runs for each of the 64 crash points.
    pub crash_points: u64,
    /// Number of threads.
    pub threads: usize,
}

impl Default for Attempt {
    /// Takes less than a minute on two cores.
    fn default() -> Self {
        let threads = available_parallelism().map_or(2, usize::from);
        Self { transactions: 200, worlds: 200, sweeps: 1, twins: Some(500), crash_points: 1, threads }
    }
}

impl Attempt {
    /// Takes some minutes: 2,000 worlds, and all twins scenarios.
    #[must_use]
    pub fn thorough() -> Self {
        Self { transactions: 1_000, worlds: 2_000, sweeps: 5, twins: None, crash_points: 1, ..Self::default() }
    }

    /// [`Self::thorough`] if the environment has `QUORATE_TRY=thorough`, otherwise the default.
    #[must_use]
    pub fn of_environment() -> Self {
        if std::env::var_os("QUORATE_TRY").is_some_and(|how| how == "thorough") { Self::thorough() } else { Self::default() }
    }
}

/// What an application has survived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// Transactions with the same result in every execution.
    pub transactions: u64,
    /// Random worlds run.
    pub worlds: u64,
    /// Power cuts between two effects.
    pub cuts: u64,
    /// Twins scenarios run.
    pub twins: u64,
    /// Crash point runs.
    pub crash_points: u64,
}

/// How an application was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its execution is not deterministic.
    Different(Box<Different>),
    /// An invariant is violated.
    Rule {
        /// The search, and its seed or number.
        whose: String,
        /// The rule, and how it is broken.
        violation: Violation,
    },
    /// Nothing could be tried.
    Setting(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different(different) => different.fmt(f),
            Self::Rule { whose, violation } => write!(f, "{} is broken in {whose}: {}", violation.invariant, violation.what),
            Self::Setting(what) => write!(f, "nothing could be tried: {what}"),
        }
    }
}

impl std::error::Error for Broken {}

/// Tries to break an application, as hard as the environment asks ([`Attempt::of_environment`]). `workload` makes the clients' operations;
/// failing operations are as useful as successful ones.
///
/// Call it from a test: to check execution in another process, it runs the test's own program again with the name of the test.
///
/// # Errors
/// [`Broken`], which says how the application was broken and how to reproduce it.
pub fn try_to_break<A: Application>(
    application: A,
    workload: impl Fn(&mut Random, &[Address]) -> A::Operation + Send + Sync + 'static,
) -> Result<Survived, Broken> {
    Attempt::of_environment().run(application, workload)
}

impl Attempt {
    /// Tries to break an application.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn run<A: Application>(
        self,
        application: A,
        workload: impl Fn(&mut Random, &[Address]) -> A::Operation + Send + Sync + 'static,
    ) -> Result<Survived, Broken> {
        let subject = Shared(Arc::new(Any::new(application, workload)));
        let different = |different| Broken::Different(Box::new(different));
        let check = determinism::Check::new(&subject, self.transactions).map_err(Broken::Setting)?;
        check.in_threads().map_err(different)?;
        check.in_another_process().map_err(different)?;
        let survived = Survived { transactions: self.transactions, ..self.searches(&subject)? };
        // Seconds later, so that a clock with a resolution of seconds shows another time.
        check.in_threads().map_err(different)?;
        Ok(survived)
    }

    fn searches(&self, subject: &Shared) -> Result<Survived, Broken> {
        let worlds = self.each(self.worlds, &|seed| {
            let options = SimOptions { seed, validators: size_of(seed), trace: false, directed: None };
            (1, named(format!("world {seed}"), run_any(subject, options, Faults::Drawn).0.violation))
        })?;
        let cuts = self.each(self.sweeps, &|seed| {
            let swept = sweep_of(subject, seed, 4);
            (swept.cuts, named(format!("sweep {seed}"), swept.failure.and_then(|report| report.violation)))
        })?;
        let points = Point::all();
        let crash_points = self.each(self.crash_points.saturating_mul(points.len() as u64), &|number| {
            let count = points.len() as u64;
            let index = usize::try_from(number.checked_rem(count).unwrap_or_default()).unwrap_or_default();
            let Some(point) = points.get(index).copied() else { return (0, None) };
            let seed = number.checked_div(count).unwrap_or_default();
            (1, named(format!("crash point {point}, seed {seed}"), run_of(subject, &Course::single(seed, 4, point)).violation))
        })?;
        let plan = Space::new(4, 3, false).map(|space| Plan {
            space,
            sample: self.twins.map(|count| (count, 1)),
            part: (1, 1),
            change: None,
            signers: false,
        });
        let tally = plan.and_then(|plan| plan.run_for(subject, self.threads)).map_err(Broken::Setting)?;
        if let Some(broken) = tally.violations.first() {
            let violation = Violation { invariant: broken.invariant.clone(), what: broken.what.clone(), at_us: 0 };
            return Err(Broken::Rule { whose: format!("scenario {} of twins", broken.scenario), violation });
        }
        Ok(Survived { transactions: 0, worlds, cuts, twins: tally.counters.scenarios, crash_points })
    }

    /// Runs numbered pieces on all threads until one breaks a rule. Returns the sum of their steps.
    fn each(&self, count: u64, run: &(dyn Fn(u64) -> (u64, Option<Broken>) + Sync)) -> Result<u64, Broken> {
        let next = std::sync::atomic::AtomicU64::new(0);
        let merged = Mutex::new((0u64, None::<(u64, Broken)>));
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        let done = caught(format_args!("number {number}"), || run(number));
                        let (steps, broken) = done.unwrap_or_else(|violation| (0, named(format!("number {number}"), Some(violation))));
                        let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
                        merged.0 = merged.0.saturating_add(steps);
                        if let Some(broken) = broken {
                            // Keep the failure with the lowest number, whichever thread finished first.
                            if merged.1.as_ref().is_none_or(|(first, _)| number < *first) {
                                merged.1 = Some((number, broken));
                            }
                            next.fetch_max(count, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        match merged.into_inner().unwrap_or_else(PoisonError::into_inner) {
            (steps, None) => Ok(steps),
            (_, Some((_, broken))) => Err(broken),
        }
    }
}

fn named(whose: String, violation: Option<Violation>) -> Option<Broken> {
    violation.map(|violation| Broken::Rule { whose, violation })
}
