//! `quorate sim speed`.

use std::time::Instant;

use clap::Args;
use quorate_terminal::{CommandError, Output};
use quorate_types::round::Round;
use serde::Serialize;

use crate::{
    command::cpu_time,
    speed::{SpeedRun, honest},
};

/// Options of `quorate sim speed`.
#[derive(Clone, Copy, Debug, Args)]
pub struct SpeedCommand {
    /// Number of rounds.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rounds: u64,
    /// Number of validators.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=128))]
    validators: u16,
    /// Number of transactions, one per block from the first block on; later blocks are empty.
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=5_000))]
    transactions: u64,
}

#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    run: SpeedRun,
    cpu_seconds: f64,
    wall_seconds: f64,
    /// Per second of CPU time, so on one core.
    rounds_per_second: u64,
}

impl SpeedCommand {
    pub(crate) fn run(self, out: &Output) -> Result<(), CommandError> {
        let (wall, cpu) = (Instant::now(), cpu_time());
        let run = honest(self.validators, Round(self.rounds), self.transactions)
            .map_err(|error| CommandError::failure("invariant-broken", error))?;
        let cpu = cpu_time().saturating_sub(cpu);
        let (wall_seconds, cpu_seconds) = (wall.elapsed().as_secs_f64(), cpu.as_secs_f64());
        let cpu_ms = u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX);
        let rounds_per_second = run.rounds.saturating_mul(1_000).checked_div(cpu_ms).unwrap_or(0);
        let measured = Measured { run, cpu_seconds, wall_seconds, rounds_per_second };
        out.print(&measured, || {
            format!(
                "{} validators, {} rounds, height {}, {} transactions, {} messages in {cpu_seconds:.2} CPU seconds ({wall_seconds:.2} seconds): \
                 {rounds_per_second} rounds per second on one core",
                run.validators, run.rounds, run.height, run.transactions, run.messages
            )
        })
    }
}
