//! `quorate localnet`: a network of real validator processes on this machine, for trying, testing and measuring.
//!
//! The processes outlive the command that starts them; `localnet.json` says which they are. Nothing here knows the protocol: a network is made
//! by the genesis ceremony and watched through the HTTP API, like any other.

mod compare;
mod consensus;
pub(crate) mod create;
pub(crate) mod directory;
mod logs;
mod ports;
pub(crate) mod process;
mod ready;
mod run;
mod scenario;
mod show;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_terminal::{CommandError, Output};

pub(crate) use self::{
    create::{Shape, create, now},
    directory::{FAUCET, Localnet, Member, file_error},
    ready::{faucet, session},
    run::{kill_all, start_all, stop_all},
};

/// Where the network is.
#[derive(Clone, Debug, Args)]
pub(crate) struct DirectoryArgs {
    /// Directory of the network.
    #[arg(long, env = "QUORATE_LOCALNET", default_value = "./localnet", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// How long readiness may take.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TimeoutArgs {
    /// How long to wait for the validators to be ready, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

impl TimeoutArgs {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Run a whole network of real validator processes on this machine.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a network if there is none, start its validators, and wait until it has committed a transaction.
    Start {
        #[command(flatten)]
        directory: DirectoryArgs,
        /// Remove what is there and make a new network.
        #[arg(long)]
        reset: bool,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        timeout: TimeoutArgs,
        /// A scenario file whose lost and late messages the validators inject. Needs a program that was built
        /// with the feature `faults`.
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
    },
    /// Make a network without starting it, to run its validators by hand.
    Create {
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        shape: Shape,
    },
    /// Show the validators: processes, addresses, heights.
    Status {
        #[command(flatten)]
        directory: DirectoryArgs,
        /// Show where consensus stands instead: rounds, certificates, commits, and who is missing while nothing is committed.
        #[arg(long)]
        consensus: bool,
    },
    /// Print what a shell has to know to use the network: eval "$(quorate localnet env)".
    Env {
        #[command(flatten)]
        directory: DirectoryArgs,
    },
    /// Compare the ledgers of all running validators, block by block.
    Compare {
        #[command(flatten)]
        directory: DirectoryArgs,
    },
    /// Stop all validators in an orderly way; `start` starts them again.
    Stop {
        #[command(flatten)]
        directory: DirectoryArgs,
    },
    /// Kill a validator at once (SIGKILL).
    Kill {
        /// Which one, from 1.
        number: usize,
        #[command(flatten)]
        directory: DirectoryArgs,
    },
    /// Start a validator again, after stopping it if it runs, and wait until it is ready.
    Restart {
        /// Which one, from 1.
        number: usize,
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        timeout: TimeoutArgs,
    },
    /// Show the logs of the validators.
    Logs {
        /// Which one, from 1 [default: all].
        number: Option<usize>,
        /// Go on as the logs grow.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        directory: DirectoryArgs,
    },
    /// Stop all validators and remove the network with all its data.
    Destroy {
        #[command(flatten)]
        directory: DirectoryArgs,
    },
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        crate::block_on(self.execute(app, out))
    }

    async fn execute(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Start { directory, reset, shape, timeout, scenario } => {
                let existing = run::existing(app, &directory.dir, reset, &shape)?;
                let validators = existing.as_ref().map_or(usize::from(shape.validators()), |localnet| localnet.validators.len());
                let plan = scenario::plan(scenario.as_deref(), validators, out)?;
                run::start(app, &directory.dir, (reset, existing), &shape, &plan, timeout.duration(), out).await
            }
            Self::Create { directory, shape } => {
                run::refuse_existing(&directory.dir)?;
                show::show(&create(app, &directory.dir, &shape)?, out).await
            }
            Self::Status { directory, consensus: true } => consensus::show(&Localnet::load(&directory.dir)?, out).await,
            Self::Status { directory, consensus: false } => show::show(&Localnet::load(&directory.dir)?, out).await,
            Self::Env { directory } => show::environment(&Localnet::load(&directory.dir)?, out),
            Self::Compare { directory } => compare::compare(&Localnet::load(&directory.dir)?, out).await,
            Self::Stop { directory } => run::stop(&directory.dir, out).await,
            Self::Kill { number, directory } => run::kill(&directory.dir, number, out).await,
            Self::Restart { number, directory, timeout } => run::restart(&directory.dir, number, timeout.duration(), out).await,
            Self::Logs { number, follow, directory } => logs::show(&Localnet::load(&directory.dir)?, number, follow).await,
            Self::Destroy { directory } => run::destroy(&directory.dir, out).await,
        }
    }
}
