//! `quorate bench latency`: transfers one after the other, each from the moment before it is sent to the moment after its proof is checked.

use std::time::{Duration, Instant};

use clap::Args;
use quorate_app::App;
use quorate_client::Session;
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Output};
use quorate_types::{receipt::Outcome, round::Sequence};
use serde::Serialize;

use super::{
    Where,
    arena::Arena,
    machine::Machine,
    metrics::{self, Counters},
    report,
    statistics::{Quantiles, microseconds, ratio},
};
use crate::localnet::session;

/// How long one transfer may take before the measurement is given up.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `quorate bench latency`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Number of transfers that are measured.
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    count: u64,
    /// Number of transfers before that, which are not.
    #[arg(long, default_value_t = 50, value_name = "N")]
    warm_up: u64,
    /// Repeat the measurement, and give the median of the medians.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

#[derive(Serialize)]
struct Figures {
    /// Submit to verified committed receipt, all runs together.
    latency_ms: Quantiles,
    runs: Vec<Run>,
    /// Of each validator that transfers were sent to.
    by_validator_ms: Vec<Quantiles>,
    /// Checking the proof, which is part of the latency: decoding, the quorum's signatures, header, Merkle path.
    cpu_us_per_transaction_all_validators: f64,
    cpu_us_per_transaction_client: f64,
    counters_all_validators: Counters,
}

#[derive(Serialize)]
struct Run {
    median_ms: f64,
    p99_ms: f64,
}

/// Measures and prints.
pub(crate) async fn run(arguments: Arguments, app: &App, out: &Output) -> Result<(), CommandError> {
    let machine = Machine::look();
    let arena = Arena::open(&arguments.place, app, out).await?;
    let sessions = arena.localnet.urls().into_iter().map(|url| session(&arena.localnet, &[url])).collect::<Result<Vec<_>, _>>()?;
    let keys = arena.accounts(2).await?;
    let [from, to] = keys.as_slice() else { return Err(CommandError::failure("accounts", "two accounts are needed")) };
    let mut runner = Runner { arena: &arena, sessions: &sessions, from, to, sequence: Sequence(0) };
    for index in 0..arguments.warm_up {
        runner.transfer(index).await?;
    }

    let (counters, usage, own) = (metrics::read(&arena.localnet).await?, arena.usage()?, own_cpu());
    let total = arguments.count.saturating_mul(u64::from(arguments.runs));
    let progress = out.progress(format!("{total} transfers"));
    let mut all = Vec::new();
    let mut by_validator = vec![Vec::new(); sessions.len()];
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        let mut latencies = Vec::new();
        for index in 0..arguments.count {
            let (validator, latency) = runner.transfer(index).await?;
            latencies.push(latency);
            if let Some(latencies) = by_validator.get_mut(validator) {
                latencies.push(latency);
            }
        }
        all.extend_from_slice(&latencies);
        let quantiles = Quantiles::of(latencies);
        runs.push(Run { median_ms: quantiles.median, p99_ms: quantiles.p99 });
    }
    drop(progress);

    let spent: Duration = arena.usage()?.iter().zip(&usage).map(|(after, before)| after.cpu.saturating_sub(before.cpu)).sum();
    let figures = Figures {
        latency_ms: Quantiles::of(all),
        runs,
        by_validator_ms: by_validator.into_iter().map(Quantiles::of).collect(),
        cpu_us_per_transaction_all_validators: ratio(microseconds(spent), total),
        cpu_us_per_transaction_client: ratio(microseconds(own_cpu().saturating_sub(own)), total),
        counters_all_validators: metrics::difference(&counters, &metrics::read(&arena.localnet).await?),
    };
    report::print("latency", machine, &arena, figures, out)?;
    arena.close(out).await
}

/// Processor time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    crate::localnet::process::usage(std::process::id()).map(|usage| usage.cpu).unwrap_or_default()
}

struct Runner<'a> {
    arena: &'a Arena,
    sessions: &'a [Session],
    from: &'a AccountKey,
    to: &'a AccountKey,
    sequence: Sequence,
}

impl Runner<'_> {
    /// Sends one transfer to the next validator in turn, and waits for its verified receipt. Signing is not part of the latency.
    async fn transfer(&mut self, index: u64) -> Result<(usize, Duration), CommandError> {
        let tx = self.arena.sample(self.from, self.sequence, self.to.public().address);
        let validator = usize::try_from(index).unwrap_or_default() % self.sessions.len();
        let session = self.sessions.get(validator).ok_or_else(|| CommandError::failure("validator", "there is no validator"))?;
        let start = Instant::now();
        let proven = session.submit_and_verify(&tx, TIMEOUT).await?;
        let latency = start.elapsed();
        self.sequence = self.sequence.next();
        match &proven.value().receipt.outcome {
            Outcome::Applied(_) => Ok((validator, latency)),
            Outcome::Failed(failure) => Err(CommandError::failure("transfer", format!("a transfer failed: {failure}"))),
        }
    }
}
