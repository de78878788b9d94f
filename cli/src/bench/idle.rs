//! `quorate bench idle`: what validators take when there is nothing to do.

use std::time::{Duration, Instant};

use clap::Args;
use quorate_app::App;
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use super::{
    Where,
    arena::{Arena, statuses},
    machine::Machine,
    metrics::{self, Counters},
    report,
    statistics::{microseconds, ratio},
};

/// How long the network is left alone before the measurement begins.
const SETTLE: Duration = Duration::from_secs(5);

/// `quorate bench idle`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
}

#[derive(Serialize)]
struct Figures {
    seconds: f64,
    /// Of one core, for each validator.
    cpu_percent_by_validator: Vec<f64>,
    resident_bytes_by_validator: Vec<u64>,
    /// Growth of each data directory.
    disk_growth_bytes_by_validator: Vec<i64>,
    /// Blocks committed meanwhile: heartbeats.
    blocks: u64,
    rounds: u64,
    counters_all_validators: Counters,
}

/// Measures and prints.
pub(crate) async fn run(arguments: Arguments, app: &App, out: &Output) -> Result<(), CommandError> {
    let machine = Machine::look();
    let arena = Arena::open(&arguments.place, app, out).await?;
    let clients = arena.clients()?;
    let progress = out.progress("leaving the network alone");
    tokio::time::sleep(SETTLE).await;
    let counters = metrics::read(&arena.localnet).await?;
    let before = statuses(&clients).await?;
    let disk = arena.disk_bytes();
    let (start, usage) = (Instant::now(), arena.usage()?);
    tokio::time::sleep(Duration::from_secs(arguments.duration)).await;
    let (elapsed, usage_after) = (start.elapsed(), arena.usage()?);
    drop(progress);
    let disk_after = arena.disk_bytes();
    let after = statuses(&clients).await?;

    let highest = |statuses: &[quorate_types::rpc::NodeStatus]| {
        (statuses.iter().map(|status| status.height.0).max().unwrap_or(0), statuses.iter().map(|status| status.round.0).max().unwrap_or(0))
    };
    let ((height, round), (height_after, round_after)) = (highest(&before), highest(&after));
    let percent =
        |before: Duration, after: Duration| ratio(microseconds(after.saturating_sub(before)).saturating_mul(100), microseconds(elapsed));
    let growth = |(after, before): (&u64, &u64)| i64::try_from(*after).unwrap_or(i64::MAX).saturating_sub_unsigned(*before);
    let figures = Figures {
        seconds: elapsed.as_secs_f64(),
        cpu_percent_by_validator: usage_after.iter().zip(&usage).map(|(after, before)| percent(before.cpu, after.cpu)).collect(),
        resident_bytes_by_validator: usage_after.iter().map(|usage| usage.resident_bytes).collect(),
        disk_growth_bytes_by_validator: disk_after.iter().zip(&disk).map(growth).collect(),
        blocks: height_after.saturating_sub(height),
        rounds: round_after.saturating_sub(round),
        counters_all_validators: metrics::difference(&counters, &metrics::read(&arena.localnet).await?),
    };
    report::print("idle", machine, &arena, figures, out)?;
    arena.close(out).await
}
