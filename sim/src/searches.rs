//! The searches beside random worlds, as commands: `quorate sim sweep`. Each is a list of scenarios, one for every seed.

use clap::Args;
use quorate_client::{CommandError, Output};
use serde::Serialize;

use crate::{
    command::{progress_bar, verdict},
    forge::forge,
    report::{FAILURES_MAX, Failure, Report},
    run::size_of,
    sweep::sweep,
};

/// How many validators there are in every scenario.
const VALIDATORS: u16 = 4;

/// Which search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// See [`crate::sweep()`].
    Sweep,
    /// See [`crate::forge()`].
    Forge,
}

/// Which scenarios of a search.
#[derive(Clone, Debug, Args)]
pub struct SearchCommand {
    /// The seed to run, or the first one of --seeds.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds to run.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Stop at the first seed that breaks a rule.
    #[arg(long)]
    until_first: bool,
}

/// What a search says at its end.
#[derive(Clone, Debug, Default, Serialize)]
struct Searched {
    /// How many seeds were run.
    seeds: u64,
    /// How many of them broke a rule.
    failed: u64,
    /// The smaller steps that they were made of: power cuts, forged messages.
    steps: u64,
    /// The first ones that broke a rule.
    failures: Vec<Failure>,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Forge => "forge",
        }
    }

    /// One scenario: of how many steps, and the run that broke a rule.
    fn scenario(self, seed: u64) -> (u64, Option<Report>) {
        match self {
            Self::Sweep => {
                let done = sweep(seed, VALIDATORS);
                (done.cuts, done.failure)
            }
            Self::Forge => {
                let done = forge(seed, size_of(seed));
                (done.messages, done.failure)
            }
        }
    }
}

impl SearchCommand {
    pub(crate) fn run(self, kind: Kind, out: &Output) -> Result<(), CommandError> {
        let bar = progress_bar(self.seeds, out);
        let mut searched = Searched::default();
        for seed in (self.seed..=u64::MAX).zip(0..self.seeds).map(|(seed, _)| seed) {
            let (steps, failure) = kind.scenario(seed);
            searched.seeds = searched.seeds.saturating_add(1);
            searched.steps = searched.steps.saturating_add(steps);
            bar.inc(1);
            if let Some(report) = failure {
                searched.failed = searched.failed.saturating_add(1);
                if searched.failures.len() < FAILURES_MAX {
                    searched.failures.push(Failure { replay: format!("quorate sim {} --seed {seed}", kind.word()), report });
                }
                if self.until_first {
                    break;
                }
            }
        }
        bar.finish_and_clear();
        out.print(&searched, || searched.text())?;
        verdict(searched.failures.first().map(|failure| failure.replay.as_str()))
    }
}

impl Searched {
    fn text(&self) -> String {
        let mut text = format!("{} seeds of {} steps together, {} broke an invariant", self.seeds, self.steps, self.failed);
        for Failure { report, replay } in &self.failures {
            if let Some(violation) = &report.violation {
                text = format!("{text}\n{} is broken: {}\n    {replay}", violation.invariant, violation.what);
            }
        }
        text
    }
}
