//! Runs worlds: one, or many on several threads. Each world is single-threaded; threads only share out the seeds.

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

/// The sizes of committees that seeds go through, one after the other.
pub const SIZES: [u16; 5] = [1, 4, 5, 7, 10];

/// The size of the committee of a seed, where none is asked for.
#[must_use]
pub fn size_of(seed: u64) -> u16 {
    let index = usize::try_from(seed.checked_rem(SIZES.len() as u64).unwrap_or_default()).unwrap_or_default();
    SIZES.get(index).copied().unwrap_or(1)
}

/// Runs one world to its end or to the first rule that is broken.
#[must_use]
pub fn run(options: SimOptions) -> Report {
    run_counted(&Shared::default(), options).0
}

/// As [`run`], with chosen faults.
#[must_use]
pub fn run_with(options: SimOptions, faults: Faults) -> Report {
    run_any(&Shared::default(), options, faults).0
}

/// As [`run`], with the number of effects that each validator has gone through.
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

/// Worlds to be run, one for each seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeds {
    /// The first one.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The size of every committee; without it [`size_of`] decides.
    pub validators: Option<u16>,
    /// The faults of every world.
    pub faults: Faults,
}

/// The smallest committee that bears a faulty validator.
const BEARS_ONE: u16 = 4;

impl Seeds {
    /// The smallest committee that these faults are possible in.
    #[must_use]
    pub fn smallest(&self) -> u16 {
        if self.faults == Faults::Drawn { 1 } else { BEARS_ONE }
    }

    /// The size of the committee of a seed.
    #[must_use]
    pub fn size_of(&self, seed: u64) -> u16 {
        self.validators.unwrap_or_else(|| size_of(seed).max(self.smallest()))
    }

    fn run(&self, number: u64) -> Report {
        let seed = self.first.saturating_add(number);
        run_with(SimOptions { seed, validators: self.size_of(seed), trace: false, directed: None }, self.faults)
    }
}

/// Runs them on `threads` threads. `progress` is told of each run that is over.
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

/// As [`run_seeds`], one seed after the other, up to the first that breaks a rule.
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
