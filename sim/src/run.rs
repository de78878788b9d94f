//! Runs worlds: one, or many on several threads. Each world is single-threaded; threads only share the seeds among them.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use quorate_harness::{invariants::Violation, subject::Shared};

use crate::{
    caught::caught,
    fault::Faults,
    report::{Report, Summary},
    world::{SimOptions, World},
};

/// Committee sizes that successive seeds use in turn.
pub const SIZES: [u16; 5] = [1, 4, 5, 7, 10];

/// Default committee size for a seed.
#[must_use]
pub fn size_of(seed: u64) -> u16 {
    let index = usize::try_from(seed.checked_rem(SIZES.len() as u64).unwrap_or_default()).unwrap_or_default();
    SIZES.get(index).copied().unwrap_or(1)
}

/// Runs one world to its end or to the first broken rule.
#[must_use]
pub fn run(options: SimOptions) -> Report {
    run_counted(&Shared::default(), options).0
}

/// Like [`run`], with chosen faults.
#[must_use]
pub fn run_with(options: SimOptions, faults: Faults) -> Report {
    run_any(&Shared::default(), options, faults).0
}

/// Like [`run`], and returns each validator's number of effects.
pub(crate) fn run_counted(subject: &Shared, options: SimOptions) -> (Report, Vec<u64>) {
    run_any(subject, options, Faults::Drawn)
}

pub(crate) fn run_any(subject: &Shared, options: SimOptions, faults: Faults) -> (Report, Vec<u64>) {
    let (seed, validators) = (options.seed, options.validators);
    let broken = |violation| (Report { seed, validators, violation: Some(violation), faults, ..Report::default() }, Vec::new());
    match caught(format_args!("seed {seed}, {validators} validators"), || World::new(subject, options, faults).map(World::run)) {
        Ok(Ok(done)) => done,
        Ok(Err(what)) => broken(Violation { invariant: "SETTING".into(), what, at_us: 0 }),
        Err(panic) => broken(panic),
    }
}

/// Worlds to run, one per seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeds {
    /// The first seed.
    pub first: u64,
    /// Number of seeds.
    pub count: u64,
    /// Size of every committee; `None` to use [`size_of`].
    pub validators: Option<u16>,
    /// Faults of every world.
    pub faults: Faults,
}

/// The smallest committee that tolerates a faulty validator.
const BEARS_ONE: u16 = 4;

impl Seeds {
    /// The smallest committee in which these faults are possible.
    #[must_use]
    pub fn smallest(&self) -> u16 {
        if self.faults == Faults::Drawn { 1 } else { BEARS_ONE }
    }

    /// Committee size for a seed.
    #[must_use]
    pub fn size_of(&self, seed: u64) -> u16 {
        self.validators.unwrap_or_else(|| size_of(seed).max(self.smallest()))
    }

    fn run(&self, number: u64) -> Report {
        let seed = self.first.saturating_add(number);
        run_with(SimOptions { seed, validators: self.size_of(seed), trace: false, directed: None }, self.faults)
    }
}

/// Runs the seeds on `threads` threads. `progress` is called after each run.
pub fn run_seeds(seeds: &Seeds, threads: usize, progress: &(dyn Fn(&Report) + Sync)) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds.count {
                        return;
                    }
                    let report = seeds.run(number);
                    progress(&report);
                    summary.lock().unwrap_or_else(PoisonError::into_inner).add(report);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Like [`run_seeds`], but runs the seeds in order until one breaks a rule.
#[must_use]
pub fn run_until_first(seeds: &Seeds, progress: &dyn Fn(&Report)) -> Summary {
    let mut summary = Summary::default();
    for number in 0..seeds.count {
        let report = seeds.run(number);
        progress(&report);
        summary.add(report);
        if summary.failed > 0 {
            break;
        }
    }
    summary
}
