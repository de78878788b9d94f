//! `quorate bench`: measures a network on this machine, and reports the results with everything needed to judge them.
//!
//! Measurements are made from outside, through the HTTP API and the system's data about the processes. Receipts are verified as the wallet
//! does. Nothing is asserted: other work on the machine changes the results, so the report includes the machine's load.

mod arena;
mod idle;
mod latency;
mod load;
mod machine;
mod metrics;
mod report;
mod statistics;

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_terminal::{CommandError, Output};
use std::path::PathBuf;

use crate::localnet::Shape;

/// Measure a network on this machine.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure the time from submitting a transfer to its verified receipt, one transfer at a time.
    Latency(latency::Arguments),
    /// Measure the throughput under a sustained load of transfers.
    Load(load::Arguments),
    /// Measure the CPU, memory and disk that idle validators use.
    Idle(idle::Arguments),
}

/// The network to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Where {
    /// Directory of a running local network to measure [default: a new network, removed afterwards].
    #[arg(long, env = "QUORATE_LOCALNET", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Parent directory for the new network, on the disk to measure [default: the directory for temporary files].
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    shape: Shape,
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        crate::block_on(async {
            match self {
                Self::Latency(arguments) => latency::run(arguments, app, out).await,
                Self::Load(arguments) => load::run(arguments, app, out).await,
                Self::Idle(arguments) => idle::run(arguments, app, out).await,
            }
        })
    }
}
