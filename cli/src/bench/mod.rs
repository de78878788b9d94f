//! `quorate bench`: figures of a network on this machine, as JSON with everything that is needed to judge them.
//!
//! The figures are measured from outside, through the HTTP API and what the system says of the processes. Whoever waits for a receipt here
//! checks its proof as the wallet does. Nothing is asserted: a machine that does other work at the same time gives other figures, which is
//! why the load of the machine is part of the report.

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
    /// From submitting a transfer to its verified committed receipt, one after the other.
    Latency(latency::Arguments),
    /// As many transfers as come in, for as long as told.
    Load(load::Arguments),
    /// What validators take when there is nothing to do.
    Idle(idle::Arguments),
}

/// On which network to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Where {
    /// Directory of a running local network to measure [default: a new one that is removed afterwards].
    #[arg(long, env = "QUORATE_LOCALNET", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the new network is put; a directory on the disk whose speed counts [default: the one for temporary files].
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    shape: Shape,
}

impl Command {
    /// Does it.
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
