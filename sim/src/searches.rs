//! The searches other than random worlds, as commands. Each runs one scenario per seed.

use clap::Args;
use quorate_harness::{invariants::Violation, subject::Shared};
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use crate::{
    caught::caught,
    command::{progress_bar, verdict},
    crash_points::{self, Course, POINTS, Point},
    forge::forge,
    puppets::puppets,
    report::{FAILURES_MAX, Failure, Report},
    run::size_of,
    sweep::sweep,
    twins::{Lab, Space, campaign::Plan},
};

/// Number of validators where the seed does not decide it.
const VALIDATORS: u16 = 4;
/// Number of rounds with leaders and partitions of their own in a drawn twins scenario.
const TWINS_ROUNDS: u32 = 4;

/// A search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// See [`crate::sweep()`].
    Sweep,
    /// See [`crate::forge()`].
    Forge,
    /// See [`crate::puppets()`].
    Puppets,
    /// See [`crate::twins`]: a scenario is drawn for each seed.
    TwinsDrawn,
    /// See [`crate::crash_points`]: the 64 points in turn; each turn uses the next seed.
    CrashesInTurn,
}

/// The scenarios of a search.
#[derive(Clone, Debug, Args)]
pub struct SearchCommand {
    /// The seed to run, or the first one of --seeds.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of seeds to run.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Stop at the first seed that breaks a rule.
    #[arg(long)]
    until_first: bool,
}

/// The report of a search.
#[derive(Clone, Debug, Default, Serialize)]
struct Searched {
    /// Number of seeds run.
    seeds: u64,
    /// Number of seeds that broke a rule.
    failed: u64,
    /// Sum of the scenarios' steps: power cuts, messages or rounds.
    steps: u64,
    /// The first failures.
    failures: Vec<Failure>,
}

/// Runs the scenario of a seed. Returns its number of steps, and the report if a rule was broken.
type Scenario = Box<dyn Fn(u64) -> (u64, Option<Report>)>;

impl Kind {
    fn scenarios(self) -> Result<Scenario, String> {
        Ok(match self {
            Self::Sweep => Box::new(|seed| {
                let done = sweep(seed, VALIDATORS);
                (done.cuts, done.failure)
            }),
            Self::Forge => Box::new(|seed| {
                let done = forge(seed, size_of(seed));
                (done.messages, done.failure)
            }),
            Self::Puppets => Box::new(|seed| {
                let done = puppets(seed);
                (done.rounds, done.failure)
            }),
            Self::TwinsDrawn => {
                let plans = (0..u64::from(TWINS_ROUNDS).saturating_mul(2)).map(twins_plan).collect::<Result<Vec<Plan>, _>>()?;
                let labs = plans.iter().map(|plan| plan.lab(&Shared::default())).collect::<Result<Vec<Lab>, _>>()?;
                let plans: Vec<(Plan, Lab)> = plans.into_iter().zip(labs).collect();
                Box::new(move |seed| {
                    let turn = seed.checked_rem(plans.len() as u64).and_then(|turn| usize::try_from(turn).ok());
                    let Some((plan, lab)) = turn.and_then(|turn| plans.get(turn)) else { return (0, None) };
                    let outcome = plan.play(lab, &plan.scenario(seed), false);
                    (u64::from(TWINS_ROUNDS), outcome.violation.map(|violation| failed(seed, violation)))
                })
            }
            Self::CrashesInTurn => Box::new(|seed| {
                // `crash-points` itself reports points that are not reached; only rules count here.
                let violation = course(seed).and_then(|course| crash_points::run(&course).violation);
                (1, violation.map(|violation| failed(seed, violation)))
            }),
        })
    }

    /// The command that replays a scenario.
    fn replay(self, seed: u64) -> String {
        match self {
            Self::Sweep => format!("quorate sim sweep --seed {seed}"),
            Self::Forge => format!("quorate sim forge --seed {seed}"),
            Self::Puppets => format!("quorate sim puppets --seed {seed}"),
            Self::TwinsDrawn => twins_plan(seed).map_or_else(|what| what, |plan| plan.replay(seed)),
            Self::CrashesInTurn => course(seed).map_or_else(String::new, |course| course.replay()),
        }
    }
}

/// In every second scenario the committee changes, in the first block, or the second, and so on. In every fourth the copies have one signer.
fn twins_plan(seed: u64) -> Result<Plan, String> {
    let position = (seed / 2).checked_rem(u64::from(TWINS_ROUNDS)).and_then(|position| u32::try_from(position.saturating_add(1)).ok());
    let change = position.filter(|_| !seed.is_multiple_of(2));
    Ok(Plan {
        space: Space::new(VALIDATORS, TWINS_ROUNDS, false)?,
        sample: Some((u64::MAX, 0)),
        part: (1, 1),
        change,
        signers: seed % 4 == 2,
    })
}

/// The points in turn; after the last one it starts over with the next seed.
fn course(seed: u64) -> Option<Course> {
    let position = usize::try_from(seed.checked_rem(POINTS as u64)?).ok()?;
    Some(Course::single(seed.checked_div(POINTS as u64)?, VALIDATORS, Point::all().get(position).copied()?))
}

fn failed(seed: u64, violation: Violation) -> Report {
    Report { seed, validators: VALIDATORS, violation: Some(violation), ..Report::default() }
}

impl SearchCommand {
    pub(crate) fn run(self, kind: Kind, out: &Output) -> Result<(), CommandError> {
        let scenarios = kind.scenarios().map_err(|what| CommandError::failure("no-network", what))?;
        let bar = progress_bar(self.seeds, out);
        let mut searched = Searched::default();
        for seed in (self.seed..=u64::MAX).zip(0..self.seeds).map(|(seed, _)| seed) {
            let scenario = caught(format_args!("seed {seed}"), || scenarios(seed));
            let (steps, failure) = scenario.unwrap_or_else(|panic| (0, Some(failed(seed, panic))));
            searched.seeds = searched.seeds.saturating_add(1);
            searched.steps = searched.steps.saturating_add(steps);
            bar.inc(1);
            if let Some(report) = failure {
                searched.failed = searched.failed.saturating_add(1);
                if searched.failures.len() < FAILURES_MAX {
                    searched.failures.push(Failure { replay: kind.replay(seed), report });
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
        let mut text = format!("{} seeds with {} steps in all, {} broke an invariant", self.seeds, self.steps, self.failed);
        for Failure { report, replay } in &self.failures {
            if let Some(violation) = &report.violation {
                text = format!("{text}\n{} is broken: {}\n    {replay}", violation.invariant, violation.what);
            }
        }
        text
    }
}
