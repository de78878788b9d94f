//! `quorate sim crash-points`: runs the matrix of crash points. The only file of this module that prints or reads a clock.

use std::{
    fs,
    io::IsTerminal,
    path::PathBuf,
    time::{Duration, Instant as Clock},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use super::{Course, Instant, Matrix, Outcome, POINTS, Point, PointHits, Site, pairs, run, singles};
use crate::command::cpu_time;

/// Cut a validator's power at each of the 64 points around its writes, and check that it recovers.
#[derive(Clone, Debug, Args)]
pub struct CrashPointsCommand {
    /// Run all 4,096 pairs of points: power fails at one, then at the other, during the recovery or later.
    #[arg(long, conflicts_with_all = ["point", "then"])]
    pairs: bool,
    /// Run only this point, such as vote/after-write.
    #[arg(long, value_name = "SITE/INSTANT")]
    point: Option<Point>,
    /// A second point, after the first one.
    #[arg(long, value_name = "SITE/INSTANT", requires = "point")]
    then: Option<Point>,
    /// The seed, or the first one of --seeds.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of seeds for each point or pair.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Number of validators, for --point [default: 4; 7 if the second point is in a validator's first start].
    #[arg(long, value_name = "COUNT", requires = "point", value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: Option<u16>,
    /// Print every event, line by line.
    #[arg(long, requires = "point", conflicts_with = "seeds")]
    trace: bool,
    /// Number of threads that share the runs [default: one per core].
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Commit of the running code, recorded in the report.
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
}

/// Content of the report file.
#[derive(Serialize)]
struct File<'a> {
    what: &'static str,
    version: &'static str,
    commit: Option<&'a str>,
    seeds: [u64; 2],
    threads: usize,
    wall_ms: u64,
    /// CPU time of this process over all threads; 0 if the system does not tell.
    cpu_ms: u128,
    #[serde(flatten)]
    matrix: &'a Matrix,
}

impl CrashPointsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`]: `crash-point-failed` if a point is not hit or a rule is broken; `io` if the report cannot be written.
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        if let (Some(point), true) = (self.point, self.trace || self.seeds == 1 && self.report.is_none()) {
            return self.one(point, out);
        }
        let courses = match self.point {
            Some(point) => (0..self.seeds).map(|number| self.course(point, self.seed.saturating_add(number))).collect(),
            None if self.pairs => pairs(self.seed, self.seeds),
            None => singles(self.seed, self.seeds),
        };
        self.many(&courses, out)
    }

    fn course(&self, point: Point, seed: u64) -> Course {
        let course = self.then.map_or_else(|| Course::single(seed, 4, point), |second| Course::pair(seed, point, second));
        Course { validators: self.validators.unwrap_or(course.validators), trace: self.trace, ..course }
    }

    fn one(&self, point: Point, out: &Output) -> Result<(), CommandError> {
        let course = self.course(point, self.seed);
        let outcome = run(&course);
        for line in &outcome.trace {
            out.always(format_args!("{line}"));
        }
        out.print(&outcome, || one_text(&outcome))?;
        verdict(outcome.is_good(), Some(&course.replay()))
    }

    fn many(&self, courses: &[Course], out: &Output) -> Result<(), CommandError> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let (start, bar) = (Clock::now(), progress_bar(courses.len(), out));
        let mut matrix = Matrix::of(courses, threads, &|course, outcome| {
            bar.inc(1);
            if !outcome.is_good() {
                bar.suspend(|| out.note(format_args!("{}\n    {}", one_text(outcome), course.replay())));
            }
        });
        bar.finish_and_clear();
        if self.point.is_some() {
            // Other points were not requested.
            matrix.never_hit.retain(|name| courses.iter().any(|course| course.point.to_string() == *name));
        }
        let report = File {
            what: if self.pairs { "pairs of crash points" } else { "crash points" },
            version: env!("CARGO_PKG_VERSION"),
            commit: self.commit.as_deref(),
            seeds: [self.seed, self.seed.saturating_add(self.seeds.saturating_sub(1))],
            threads,
            wall_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            cpu_ms: cpu_time().as_millis(),
            matrix: &matrix,
        };
        if let Some(path) = &self.report {
            let failed = |error: &dyn std::fmt::Display| CommandError::failure("io", format_args!("{}: {error}", path.display()));
            let mut text = serde_json::to_string_pretty(&report).map_err(|error| failed(&error))?;
            text.push('\n');
            fs::write(path, text).map_err(|error| failed(&error))?;
        }
        out.print(&report, || many_text(&matrix))?;
        verdict(matrix.is_good(), matrix.failures.first().map(|failure| failure.replay.as_str()))
    }
}

fn verdict(is_good: bool, replay: Option<&str>) -> Result<(), CommandError> {
    if is_good {
        return Ok(());
    }
    let seen = replay.map_or_else(String::new, |replay| format!("; replay it with `{replay}`"));
    Err(CommandError::failure("crash-point-failed", format_args!("a crash point was not hit, or an invariant is broken{seen}")))
}

fn progress_bar(count: usize, out: &Output) -> ProgressBar {
    if out.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn one_text(outcome: &Outcome) -> String {
    let verdict = match (&outcome.missed, &outcome.violation) {
        (_, Some(violation)) => format!("{} is broken after {} us: {}", violation.invariant, violation.at_us, violation.what),
        (Some(point), None) => format!("{point} was not hit"),
        (None, None) => "every point was hit and every invariant holds".into(),
    };
    format!(
        "{verdict}\npower cuts at {}; {} in all, {} lost writes, {} virtual ms, height {}\nevent hash {}",
        if outcome.hit.is_empty() { "no point".into() } else { outcome.hit.join(", then ") },
        outcome.crashes,
        outcome.lost_writes,
        outcome.virtual_ms,
        outcome.height,
        outcome.event_hash,
    )
}

fn many_text(matrix: &Matrix) -> String {
    let mut text = format!("{:22}", "hits");
    for instant in Instant::ALL {
        text = format!("{text}{:>14}", instant.name());
    }
    for site in Site::ALL {
        text = format!("{text}\n{:22}", site.name());
        for instant in Instant::ALL {
            let name = Point { site, instant }.to_string();
            let of = |hits: &PointHits| hits.first.saturating_add(hits.second);
            let hits = matrix.points.iter().find(|hits| hits.point == name).map_or(0, of);
            text = format!("{text}{hits:>14}");
        }
    }
    text = format!(
        "{text}\n{} of {POINTS} points were hit; {} runs, {} hit all their points, {} failed\n\
         {} power cuts, {} lost writes, {} blocks, {} virtual seconds",
        matrix.points_hit(),
        matrix.runs,
        matrix.hit,
        matrix.failed,
        matrix.crashes,
        matrix.lost_writes,
        matrix.blocks,
        matrix.virtual_ms / 1_000,
    );
    for failure in &matrix.failures {
        text = format!("{text}\n{}\n    {}", one_text(&failure.outcome), failure.replay);
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use quorate_terminal::Format;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        command: CrashPointsCommand,
    }

    #[test]
    fn the_command_that_a_failure_prints_is_one() {
        let course = Course { validators: 4, ..Course::pair(7, "vote/after-write".parse().unwrap(), "vote/after-sync".parse().unwrap()) };
        let replay = course.replay();
        let Program { command } = Program::parse_from(replay.split(' ').skip(2));
        assert_eq!(command.course(command.point.unwrap(), command.seed), Course { trace: true, ..course });
        CrashPointsCommand { trace: false, ..command }.run(&Output::new(Format::Json, true)).unwrap();
    }

    #[test]
    fn an_unknown_point_is_refused_with_the_known_ones() {
        let error = Program::try_parse_from(["crash-points", "--point", "vote/never"]).unwrap_err().to_string();
        assert!(error.contains("own-proposal") && error.contains("after-sync"), "{error}");
    }
}
