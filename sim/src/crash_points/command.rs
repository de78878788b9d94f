//! `quorate sim crash-points`: the matrix of crash points from the command line. The only file of this module that prints or looks at a
//! clock.

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

/// Cut the power of a validator at each of the 52 points around what it writes, and see it come back.
#[derive(Clone, Debug, Args)]
pub struct CrashPointsCommand {
    /// All 2,704 pairs of points: the power fails at one, and in the recovery from it or later at the other.
    #[arg(long, conflicts_with_all = ["point", "then"])]
    pairs: bool,
    /// Only this point, such as vote/after-write.
    #[arg(long, value_name = "SITE/INSTANT")]
    point: Option<Point>,
    /// After the first point this one.
    #[arg(long, value_name = "SITE/INSTANT", requires = "point")]
    then: Option<Point>,
    /// The seed, or the first one of --seeds.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// With how many seeds each point or pair is run.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// How many validators there are, for --point [default: 4; 7 where the second point is in a validator's first start].
    #[arg(long, value_name = "COUNT", requires = "point", value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: Option<u16>,
    /// Print everything that happens, line by line.
    #[arg(long, requires = "point", conflicts_with = "seeds")]
    trace: bool,
    /// How many threads share the runs [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Write the report there as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The commit of the code that runs, for the report.
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
}

/// What the report file holds.
#[derive(Serialize)]
struct File<'a> {
    what: &'static str,
    version: &'static str,
    commit: Option<&'a str>,
    seeds: [u64; 2],
    threads: usize,
    wall_ms: u64,
    /// Of this process, all threads together; where the system tells.
    cpu_ms: Option<u64>,
    #[serde(flatten)]
    matrix: &'a Matrix,
}

impl CrashPointsCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`CommandError`]: `crash-point-failed` where a point is not hit or a rule is broken; `io` where the report cannot be written.
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
            // The other points were not asked for.
            matrix.never_hit.retain(|name| courses.iter().any(|course| course.point.to_string() == *name));
        }
        let report = File {
            what: if self.pairs { "pairs of crash points" } else { "crash points" },
            version: env!("CARGO_PKG_VERSION"),
            commit: self.commit.as_deref(),
            seeds: [self.seed, self.seed.saturating_add(self.seeds.saturating_sub(1))],
            threads,
            wall_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            cpu_ms: cpu_ms(),
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
    let seen = replay.map_or_else(String::new, |replay| format!("; see it happen with `{replay}`"));
    Err(CommandError::failure("crash-point-failed", format_args!("a crash point was not hit, or an invariant is broken{seen}")))
}

/// The processor time of this process from `/proc`, in hundredths of a second there.
fn cpu_ms() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let number = |index: usize| fields.split_whitespace().nth(index)?.parse::<u64>().ok();
    Some(number(11)?.saturating_add(number(12)?).saturating_mul(10))
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
        "{text}\n{} of {POINTS} points were hit; {} runs, {} hit all of their points, {} failed\n\
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
