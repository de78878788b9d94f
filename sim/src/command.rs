//! `quorate sim`: runs worlds from the command line. The only file of this crate that prints, apart from the playground's.

use std::{io::IsTerminal, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_playground::PlaygroundCommand;
use quorate_scenario::{ReadArgs, ScenarioCommand, command::run_file};
use quorate_terminal::{CommandError, Output};

use crate::{
    crash_points::command::CrashPointsCommand,
    fault::Faults,
    forensics::Culprit,
    report::{Failure, Report, Summary},
    run::{Seeds, run_seeds, run_until_first, run_with},
    searches::{Kind, SearchCommand},
    speed::command::SpeedCommand,
    twins::TwinsCommand,
    world::SimOptions,
};

/// Run many validators in one process on a virtual clock, with faults drawn from a seed.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run one seed, many seeds or a scenario file.
    Run(RunCommand),
    /// Cut one validator's power between any two effects of a round.
    Sweep(SearchCommand),
    /// Try every forgery of every message against verification.
    Forge(SearchCommand),
    /// Run one validator among puppets that may do anything.
    Puppets(SearchCommand),
    /// Run random `twins` scenarios, one per seed.
    TwinsDrawn(SearchCommand),
    /// Run `crash-points` one at a time, one point per seed.
    CrashesInTurn(SearchCommand),
    /// Measure how many rounds of an honest network the simulator runs per second.
    Speed(SpeedCommand),
    /// Explore all small worlds in which validators have a twin.
    Twins(TwinsCommand),
    /// Cut the power at every point around a validator's writes.
    CrashPoints(CrashPointsCommand),
    /// Make, check and convert scenario files.
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Step, vote and lie by hand in an interactive network of four validators.
    Playground(PlaygroundCommand),
}

/// `quorate sim run`.
#[derive(Clone, Debug, Args)]
pub struct RunCommand {
    /// A scenario file: TOML, a BCR text file or a `FailureConfig`. Without it, random worlds are run.
    #[arg(value_name = "FILE", conflicts_with_all = ["seeds", "validators", "threads", "faults", "trace"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    /// Directory for the scenario's ledgers and logs, which must not exist [default: a new one named after the scenario].
    #[arg(long, value_name = "DIR", requires = "file")]
    out: Option<PathBuf>,
    /// Number of seeds to run, from 0 or from --seed on.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The seed to run, or the first one of --seeds.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of validators in every world [default: 1, 4, 5, 7, 10 in turn].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: Option<u16>,
    /// Number of threads that share the seeds [default: one per core].
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Stop at the first seed that breaks a rule, running the seeds in order on one thread.
    #[arg(long, requires = "seeds", conflicts_with = "threads")]
    until_first: bool,
    /// Faults of the worlds: drawn from the seed; one lie (such as b2-two-votes), told by as many validators as the committee tolerates; one
    /// clock fault (such as clock-ahead); or beyond, where more validators collude than the committee tolerates.
    #[arg(long, value_name = "FAULTS", default_value = "drawn", value_parser = Faults::from_str)]
    faults: Faults,
    /// Print every event in the world of --seed, line by line; with -o json, to standard error.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    trace: bool,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`]: `invariant-broken` if a world breaks a rule.
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Run(command) => command.run(out),
            Self::Sweep(command) => command.run(Kind::Sweep, out),
            Self::Forge(command) => command.run(Kind::Forge, out),
            Self::Puppets(command) => command.run(Kind::Puppets, out),
            Self::TwinsDrawn(command) => command.run(Kind::TwinsDrawn, out),
            Self::CrashesInTurn(command) => command.run(Kind::CrashesInTurn, out),
            Self::Speed(command) => command.run(out),
            Self::Twins(command) => command.run(out),
            Self::CrashPoints(command) => command.run(out),
            Self::Scenario(command) => command.run(out),
            Self::Playground(command) => command.run(out),
        }
    }
}

impl RunCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        if let Some(file) = &self.file {
            return run_file(file, &self.read, self.seed, self.out.as_deref(), out);
        }
        let (first, count) = (self.seed.unwrap_or_default(), self.seeds.unwrap_or(100));
        let seeds = Seeds { first, count, validators: self.validators, faults: self.faults };
        let smallest = seeds.smallest();
        if self.validators.is_some_and(|validators| validators < smallest) {
            let error = CommandError::usage(format_args!("--faults {} needs at least {smallest} validators", self.faults.word()));
            return Err(error.with_hint(format_args!("--validators {smallest}, or leave it out")));
        }
        if self.seed.is_some() && self.seeds.is_none() { self.one(&seeds, out) } else { self.many(&seeds, out) }
    }

    fn one(&self, seeds: &Seeds, out: &Output) -> Result<(), CommandError> {
        let (seed, validators) = (seeds.first, seeds.size_of(seeds.first));
        let report = run_with(SimOptions { seed, validators, trace: self.trace, directed: None }, self.faults);
        if out.is_json() {
            for line in &report.trace {
                out.always(format_args!("{line}"));
            }
        }
        out.print(&report, || [report.trace.clone(), vec![one_text(&report)]].concat().join("\n"))?;
        verdict(report.violation.is_some().then(|| report.replay()).as_deref())
    }

    fn many(&self, seeds: &Seeds, out: &Output) -> Result<(), CommandError> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let bar = progress_bar(seeds.count, out);
        let progress = |report: &Report| {
            bar.inc(1);
            if let Some(violation) = &report.violation {
                bar.suspend(|| out.note(format_args!("seed {} breaks {}: {}", report.seed, violation.invariant, violation.what)));
            }
        };
        let summary = if self.until_first { run_until_first(seeds, &progress) } else { run_seeds(seeds, threads, &progress) };
        bar.finish_and_clear();
        out.print(&summary, || many_text(&summary))?;
        verdict(summary.failures.first().map(|failure| failure.replay.as_str()))
    }
}

/// CPU time of this process so far, over all threads; 0 if the system does not tell.
pub(crate) fn cpu_time() -> Duration {
    // proc(5): after the name, which ends at the last parenthesis, utime and stime are fields 12 and 13, in hundredths of a second.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let hundredths: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(hundredths.saturating_mul(10))
}

pub(crate) fn verdict(replay: Option<&str>) -> Result<(), CommandError> {
    match replay {
        None => Ok(()),
        Some(replay) => Err(CommandError::failure("invariant-broken", format_args!("an invariant is broken; replay it with `{replay}`"))),
    }
}

pub(crate) fn progress_bar(count: u64, out: &Output) -> ProgressBar {
    if out.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn one_text(report: &Report) -> String {
    let verdict = match &report.violation {
        None if report.faults == Faults::Beyond && report.culprits.is_empty() => {
            "more validators lied than the committee tolerates, but the chain did not fork".into()
        }
        None if report.faults == Faults::Beyond => {
            "the chain forked: more validators lied than the committee tolerates; the evidence names them".into()
        }
        None => "every invariant holds".into(),
        Some(violation) => format!("{} is broken after {} us: {}", violation.invariant, violation.at_us, violation.what),
    };
    let name = |culprit: &Culprit| format!("validator {} lied: {:?}\n", culprit.validator, culprit.contradiction);
    let culprits: String = report.culprits.iter().map(name).collect();
    let mut faults: Vec<String> =
        report.seen.iter().filter_map(|(name, count)| Some(format!("{} {count}", name.strip_prefix("fault: ")?))).collect();
    if !report.byzantine.is_empty() {
        let minority: Vec<String> = report.byzantine.iter().map(u16::to_string).collect();
        faults.push(format!("Byzantine: validator {}", minority.join(", ")));
    }
    let faults = if faults.is_empty() { String::new() } else { format!("faults: {}\n", faults.join(", ")) };
    let after = match (report.rounds_to_commit, report.ms_to_commit, report.ms_to_settle) {
        (Some(rounds), Some(commit), Some(settle)) => {
            format!(
                "after the faults stopped: first commit within {rounds} rounds and {commit} ms, everything settled within {settle} ms\n"
            )
        }
        _ => String::new(),
    };
    format!(
        "seed {}, {} validators: {verdict}\n{culprits}{faults}{} virtual ms, height {}, round {}, {} transactions, {} messages, {} crashes, {} lost writes\n{after}event hash {}",
        report.seed,
        report.validators,
        report.virtual_ms,
        report.height,
        report.round,
        report.transactions,
        report.messages,
        report.crashes,
        report.lost_writes,
        report.event_hash,
    )
}

fn many_text(summary: &Summary) -> String {
    let mut text = format!(
        "{} seeds, {} broke an invariant\n{} virtual seconds, {} blocks, {} rounds, {} transactions, {} messages, {} crashes, {} lost writes\n\
         after the faults stopped, at most: first commit within {} rounds and {} ms, everything settled within {} ms",
        summary.seeds,
        summary.failed,
        summary.virtual_ms / 1_000,
        summary.blocks,
        summary.rounds,
        summary.transactions,
        summary.messages,
        summary.crashes,
        summary.lost_writes,
        summary.rounds_to_commit_max,
        summary.ms_to_commit_max,
        summary.ms_to_settle_max,
    );
    for Failure { report, replay } in &summary.failures {
        if let Some(violation) = &report.violation {
            text = format!("{text}\nseed {}: {} is broken: {}\n    {replay}", report.seed, violation.invariant, violation.what);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use quorate_terminal::Format;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        assert!(Program::try_parse_from(["sim", "run", "--trace", "--seeds", "2"]).is_err());
        assert!(Program::try_parse_from(["sim", "run", "--validators", "0"]).is_err());
    }

    #[test]
    fn the_command_that_a_failure_prints_is_one() {
        let replay = Report { seed: 7, validators: 4, ..Report::default() }.replay();
        let arguments = replay.split(' ').skip(1);
        let Program { command: Command::Run(run) } = Program::parse_from(arguments) else { panic!("{replay}") };
        assert_eq!((run.seed, run.validators, run.trace), (Some(7), Some(4), true));
        Command::Run(RunCommand { trace: false, ..run }).run(&Output::new(Format::Json, true)).unwrap();
    }
}
