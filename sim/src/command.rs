//! `quorate sim`: runs worlds from the command line. The only file of this crate that prints, beside the playground's.

use std::{io::IsTerminal, time::Duration};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use quorate_client::{CommandError, Output};

use crate::{
    playground::PlaygroundCommand,
    report::{Failure, Report, Summary},
    run::{run, run_seeds, size_of},
    world::SimOptions,
};

/// Run many validators in one process on a virtual clock, with faults that a seed decides.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run one seed, or many.
    Run(RunCommand),
    /// Step, vote and lie by hand in a network of four validators that waits for you.
    Playground(PlaygroundCommand),
}

/// `quorate sim run`.
#[derive(Clone, Debug, Args)]
pub struct RunCommand {
    /// How many seeds to run, from 0 on or from --seed on.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The seed to run, or the first one of --seeds.
    #[arg(long)]
    seed: Option<u64>,
    /// How many validators every world has [default: 1, 4, 5, 7, 10 in turn].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: Option<u16>,
    /// How many threads share the seeds [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Print everything that happens in the world of --seed, line by line.
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`CommandError`]: `invariant-broken` where a world breaks a rule.
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Run(command) => command.run(out),
            Self::Playground(command) => command.run(out),
        }
    }
}

impl RunCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        match (self.seed, self.seeds) {
            (Some(seed), None) => self.one(seed, out),
            (first, count) => self.many(first.unwrap_or_default(), count.unwrap_or(100), out),
        }
    }

    fn one(&self, seed: u64, out: &Output) -> Result<(), CommandError> {
        let validators = self.validators.unwrap_or_else(|| size_of(seed));
        let report = run(SimOptions { seed, validators, trace: self.trace, directed: None });
        for line in &report.trace {
            out.always(format_args!("{line}"));
        }
        out.print(&report, || one_text(&report))?;
        verdict(report.violation.is_some().then(|| report.replay()).as_deref())
    }

    fn many(&self, first: u64, count: u64, out: &Output) -> Result<(), CommandError> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let bar = progress_bar(count, out);
        let summary = run_seeds(first, count, self.validators, threads, &|report: &Report| {
            bar.inc(1);
            if let Some(violation) = &report.violation {
                bar.suspend(|| out.note(format_args!("seed {} breaks {}: {}", report.seed, violation.invariant, violation.what)));
            }
        });
        bar.finish_and_clear();
        out.print(&summary, || many_text(&summary))?;
        verdict(summary.failures.first().map(|failure| failure.replay.as_str()))
    }
}

fn verdict(replay: Option<&str>) -> Result<(), CommandError> {
    match replay {
        None => Ok(()),
        Some(replay) => {
            Err(CommandError::failure("invariant-broken", format_args!("an invariant is broken; see it happen with `{replay}`")))
        }
    }
}

fn progress_bar(count: u64, out: &Output) -> ProgressBar {
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
        None => "every invariant holds".into(),
        Some(violation) => format!("{} is broken after {} us: {}", violation.invariant, violation.at_us, violation.what),
    };
    let after = match (report.rounds_to_commit, report.ms_to_commit, report.ms_to_settle) {
        (Some(rounds), Some(commit), Some(settle)) => {
            format!(
                "after the faults stopped: first commit within {rounds} rounds and {commit} ms, everything settled within {settle} ms\n"
            )
        }
        _ => String::new(),
    };
    format!(
        "seed {}, {} validators: {verdict}\n{} virtual ms, height {}, round {}, {} transactions, {} messages, {} crashes, {} lost writes\n{after}event hash {}",
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
    use quorate_client::terminal::Format;

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
        let Program { command: Command::Run(run) } = Program::parse_from(arguments) else { panic!("not a run") };
        assert_eq!((run.seed, run.validators, run.trace), (Some(7), Some(4), true));
        Command::Run(RunCommand { trace: false, ..run }).run(&Output::new(Format::Json, true)).unwrap();
    }
}
