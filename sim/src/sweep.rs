//! Durable before signed: cuts one validator's power between any two effects of a round, and restores it soon enough for it to vote, time out
//! and propose in the same round again.
//!
//! For each seed, a first run without a cut counts the effects of the chosen validator from the beginning of a round to the end of the next
//! one. Then one run per effect cuts the power right after it, with or without its output getting out. The invariants are those of every run:
//! never two votes, two timeouts with different content, or two proposals in one round.

use quorate_harness::{random::Random, subject::Shared, time::Micros};
use quorate_types::{ids::ValidatorId, round::Round};

use crate::{
    report::Report,
    run::run_counted,
    world::{Directed, SimOptions},
};

/// The outcome of a sweep over one seed.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Number of power cuts tried.
    pub cuts: u64,
    /// The first run that broke a rule.
    pub failure: Option<Report>,
}

/// Sweeps over the effects of one validator in two rounds, all chosen by the seed.
#[must_use]
pub fn sweep(seed: u64, validators: u16) -> Sweep {
    sweep_of(&Shared::default(), seed, validators)
}

/// Like [`sweep`], for any application.
pub(crate) fn sweep_of(subject: &Shared, seed: u64, validators: u16) -> Sweep {
    let mut random = Random::new(seed).fork("sweep");
    let node = ValidatorId(u16::try_from(random.below(u64::from(validators))).unwrap_or_default());
    let first = Round(random.between(1, 6));
    let run_to = |cut: Option<(u64, bool, Micros)>, last_round: Round| {
        let (cut, last_output_lost, down) = cut.map_or((None, false, Micros(0)), |(polls, lost, down)| (Some((node, polls)), lost, down));
        let directed = Directed { cut, down, last_output_lost, last_round };
        let (report, polls) = run_counted(subject, SimOptions { seed, validators, trace: false, directed: Some(directed) });
        (report, polls.get(node.index()).copied().unwrap_or_default())
    };
    let (begin, end) = (run_to(None, first), run_to(None, Round(first.0.saturating_add(2))));
    for report in [begin.0, end.0] {
        if report.violation.is_some() {
            return Sweep { cuts: 0, failure: Some(report) };
        }
    }
    let mut cuts = 0u64;
    for polls in begin.1.max(1)..=end.1 {
        // Usually back within the round, sometimes after its timer.
        let down = Micros(if random.chance(800) { random.between(100, 30_000) } else { random.between(30_000, 600_000) });
        let (report, _) = run_to(Some((polls, random.chance(500), down)), Round(first.0.saturating_add(6)));
        cuts = cuts.saturating_add(1);
        if report.violation.is_some() {
            return Sweep { cuts, failure: Some(report) };
        }
    }
    Sweep { cuts, failure: None }
}
