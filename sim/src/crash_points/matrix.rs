//! All points, alone or in pairs: which ones were hit, and which runs failed.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde::Serialize;

use super::{Course, Outcome, Point, run};

/// Number of points.
pub const POINTS: usize = 64;
/// Number of pairs of points.
pub const PAIRS: usize = POINTS * POINTS;
/// Most failures that are kept in full.
const FAILURES_MAX: usize = 50;

/// Every point, with each of `seeds` seeds from `first` on.
#[must_use]
pub fn singles(first: u64, seeds: u64) -> Vec<Course> {
    (0..seeds)
        .flat_map(|number| Point::all().into_iter().map(move |point| Course::single(first.saturating_add(number), 4, point)))
        .collect()
}

/// Every pair of points, with each of `seeds` seeds from `first` on.
#[must_use]
pub fn pairs(first: u64, seeds: u64) -> Vec<Course> {
    let pairs = |seed: u64| {
        let seconds = move |point: Point| Point::all().into_iter().map(move |second| Course::pair(seed, point, second));
        Point::all().into_iter().flat_map(seconds)
    };
    (0..seeds).flat_map(|number| pairs(first.saturating_add(number))).collect()
}

/// Number of hits of a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PointHits {
    /// `SITE/INSTANT`.
    pub point: String,
    /// Hits as the first point of a run.
    pub first: u64,
    /// Hits as the second point of a run.
    pub second: u64,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixFailure {
    /// The command that replays it.
    pub replay: String,
    /// The outcome of the run.
    pub outcome: Outcome,
}

/// The summary of many runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Matrix {
    /// Number of runs.
    pub runs: u64,
    /// Number of runs that hit all their points.
    pub hit: u64,
    /// Number of runs that missed a point or broke a rule.
    pub failed: u64,
    /// Hits of each of the 64 points.
    pub points: Vec<PointHits>,
    /// Points that no run hit, and which are therefore not tested.
    pub never_hit: Vec<String>,
    /// Number of writes to each site, by all validators of all runs.
    pub writes: BTreeMap<String, u64>,
    /// Sum of all power losses.
    pub crashes: u64,
    /// Sum of all batches lost in them.
    pub lost_writes: u64,
    /// Sum of all heights.
    pub blocks: u64,
    /// Sum of all virtual milliseconds.
    pub virtual_ms: u64,
    /// The first failures.
    pub failures: Vec<MatrixFailure>,
}

impl Matrix {
    /// Runs all courses on `threads` threads. `progress` is called after each run.
    #[must_use]
    pub fn of(courses: &[Course], threads: usize, progress: &(dyn Fn(&Course, &Outcome) + Sync)) -> Self {
        let next = AtomicUsize::new(0);
        let done: Mutex<BTreeMap<usize, Outcome>> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(course) = courses.get(number) else { return };
                        let outcome = run(course);
                        progress(course, &outcome);
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(number, outcome);
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut matrix = Self::default();
        // Threads finish in any order; the summary must not depend on it.
        for (course, outcome) in courses.iter().zip(done.into_values()) {
            matrix.add(course, outcome);
        }
        matrix.close();
        matrix
    }

    /// Whether every run hit its points and broke no rule, and no point was left out.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.failed == 0 && self.never_hit.is_empty()
    }

    /// Number of points hit.
    #[must_use]
    pub const fn points_hit(&self) -> usize {
        POINTS.saturating_sub(self.never_hit.len())
    }

    fn add(&mut self, course: &Course, outcome: Outcome) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        if self.points.is_empty() {
            let name = |point: Point| PointHits { point: point.to_string(), ..PointHits::default() };
            self.points = Point::all().into_iter().map(name).collect();
        }
        for (number, name) in outcome.hit.iter().enumerate() {
            for hits in self.points.iter_mut().filter(|hits| hits.point == *name) {
                add(if number == 0 { &mut hits.first } else { &mut hits.second }, 1);
            }
        }
        for (site, count) in &outcome.writes {
            add(self.writes.entry(site.clone()).or_default(), *count);
        }
        add(&mut self.runs, 1);
        let wanted = if course.second.is_some() { 2 } else { 1 };
        add(&mut self.hit, u64::from(outcome.hit.len() == wanted));
        add(&mut self.crashes, outcome.crashes);
        add(&mut self.lost_writes, outcome.lost_writes);
        add(&mut self.blocks, outcome.height);
        add(&mut self.virtual_ms, outcome.virtual_ms);
        if !outcome.is_good() {
            add(&mut self.failed, 1);
            if self.failures.len() < FAILURES_MAX {
                self.failures.push(MatrixFailure { replay: course.replay(), outcome });
            }
        }
    }

    fn close(&mut self) {
        let never = |point: &Point| self.points.iter().all(|hits| hits.point != point.to_string() || hits.first == 0 && hits.second == 0);
        self.never_hit = Point::all().iter().filter(|point| never(point)).map(ToString::to_string).collect();
    }
}
