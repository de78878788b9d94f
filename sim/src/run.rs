//! Runs worlds: one, or many on several threads. Each world is single-threaded; threads only share out the seeds.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    caught::caught,
    fault::Faults,
    invariants::Violation,
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
    run_counted(options).0
}

/// As [`run`], with chosen faults.
#[must_use]
pub fn run_with(options: SimOptions, faults: Faults) -> Report {
    run_any(options, faults).0
}

/// As [`run`], with the number of effects that each validator has gone through.
pub(crate) fn run_counted(options: SimOptions) -> (Report, Vec<u64>) {
    run_any(options, Faults::Drawn)
}

fn run_any(options: SimOptions, faults: Faults) -> (Report, Vec<u64>) {
    let (seed, validators) = (options.seed, options.validators);
    let broken = |violation| (Report { seed, validators, violation: Some(violation), faults, ..Report::default() }, Vec::new());
    match caught(format_args!("seed {seed}, {validators} validators"), || World::new(options, faults).map(World::run)) {
        Ok(Ok(done)) => done,
        Ok(Err(what)) => broken(Violation { invariant: "SETTING".into(), what, at_us: 0 }),
        Err(panic) => broken(panic),
    }
}

/// Runs the seeds from `first` on, `count` of them, on `threads` threads. `validators` is the size of every committee, or else
/// [`size_of`] decides. `progress` is told of each run that is over.
pub fn run_seeds(first: u64, count: u64, validators: Option<u16>, threads: usize, progress: &(dyn Fn(&Report) + Sync)) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let seed = first.saturating_add(number);
                    let validators = validators.unwrap_or_else(|| size_of(seed));
                    let report = run(SimOptions { seed, validators, trace: false, directed: None });
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
pub fn run_until_first(first: u64, count: u64, validators: Option<u16>, progress: &dyn Fn(&Report)) -> Summary {
    let mut summary = Summary::default();
    for seed in (first..=u64::MAX).zip(0..count).map(|(seed, _)| seed) {
        let report = run(SimOptions { seed, validators: validators.unwrap_or_else(|| size_of(seed)), trace: false, directed: None });
        progress(&report);
        summary.add(report);
        if summary.failed > 0 {
            break;
        }
    }
    summary
}
