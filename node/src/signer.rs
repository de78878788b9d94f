//! `quorate signer`: gives a validator's consensus key to a process of its own, and runs that process.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_keygen::{HomeArgs, PassphraseArgs, Sealing, keep_network_key, load_validator_key};
use quorate_replica::{SafetyState, TransferError};
use quorate_signer::{HomeError, Server, SignerHome, keeper::Record};
use quorate_terminal::{CommandError, Output, shell_word};
use quorate_types::{
    crypto::PublicKey,
    ids::GenesisHash,
    round::{Epoch, Round},
};
use serde::Serialize;
use tokio::runtime::Builder;

use crate::{
    command::{SettingArgs, load_config, on_a_stack_of_its_own, passphrase_source},
    config::{LogConfig, LogFormat},
    failure, logging, machine,
    run::NodeError,
    safety::{Stopped, refused},
    signals::Signals,
    witness_file::WitnessOnDisk,
};

/// Keep a validator's consensus key in a process of its own.
#[derive(Clone, Debug, Subcommand)]
pub enum SignerCommand {
    /// Move the consensus key of a stopped validator, with the record of what it has signed, to a new home of a signer.
    Init(InitCommand),
    /// Sign for the validator until SIGTERM or SIGINT. It may be started, stopped and started again while the validator runs.
    Run(RunCommand),
    /// Show what the key may no longer sign.
    Show(ShowCommand),
}

/// The signer's home.
#[derive(Clone, Debug, Args)]
pub struct SignerArgs {
    /// Directory of the signer; nobody else should be able to enter it.
    #[arg(long, value_name = "DIR")]
    signer: PathBuf,
}

/// `quorate signer init`.
#[derive(Clone, Debug, Args)]
pub struct InitCommand {
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
    /// Do not encrypt the two key files; only for local networks, whose keys are worthless.
    #[arg(long)]
    insecure_plaintext: bool,
}

/// `quorate signer run`.
#[derive(Clone, Debug, Args)]
pub struct RunCommand {
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// The socket [default: signer.sock in the signer's directory].
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Let the group of this process use the socket as well: for a node that runs as another user.
    #[arg(long)]
    group: bool,
    /// Log filter.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
    /// Log format.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
}

/// `quorate signer show`.
#[derive(Clone, Debug, Args)]
pub struct ShowCommand {
    #[command(flatten)]
    signer: SignerArgs,
}

/// What a signer's home holds.
#[derive(Serialize)]
struct Shown {
    signer: PathBuf,
    socket: PathBuf,
    consensus_key: PublicKey,
    genesis_hash: GenesisHash,
    epoch: Epoch,
    highest_round: Round,
}

impl Shown {
    fn new(home: &SignerHome) -> Result<Self, CommandError> {
        let (consensus_key, record) = home.show().map_err(unusable)?;
        let (genesis_hash, epoch) = record.scope();
        // The socket is named in a configuration, which may be read from anywhere.
        let socket = std::path::absolute(home.socket()).unwrap_or_else(|_| home.socket());
        Ok(Self { signer: home.path().into(), socket, consensus_key, genesis_hash, epoch, highest_round: record.highest_round() })
    }

    fn text(&self) -> String {
        format!(
            "consensus key  {}\nnetwork        {}\nsigned up to   round {} of epoch {}\nsocket         {}",
            self.consensus_key,
            self.genesis_hash,
            self.highest_round,
            self.epoch,
            self.socket.display()
        )
    }
}

impl SignerCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Init(command) => {
                machine::forbid_core_dumps();
                on_a_stack_of_its_own(|| command.run(app, out))
            }
            Self::Run(command) => command.run(),
            Self::Show(command) => {
                let shown = Shown::new(&SignerHome::new(command.signer.signer))?;
                out.print(&shown, || shown.text())
            }
        }
    }
}

impl InitCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let signer = SignerHome::new(self.signer.signer);
        let stopped = Stopped::open(app, &self.home, &self.settings)?;
        let home = &stopped.home;
        let source = passphrase_source(home, &load_config(home, &self.settings)?);
        let keys = load_validator_key(&home.key_file(), &source)?;
        let witness = WitnessOnDisk::open(&home.witness_file()).map_err(NodeError::from)?;
        let record = match SafetyState::export(&stopped.store, Box::new(witness), stopped.key, stopped.genesis_hash) {
            Ok(state) => Record::from(&state.record),
            Err(TransferError::Unused) => Record::new(stopped.genesis_hash, Epoch(0)),
            Err(error) => return Err(refused(error)),
        };
        let sealing = if self.insecure_plaintext { Sealing::InsecurePlaintext } else { Sealing::Encrypted(source) };
        // The signer's files are durable before the node's key is gone. Whatever interrupts this, the command can be repeated.
        signer.create(&keys, &record, &sealing).map_err(unusable)?;
        keep_network_key(&home.key_file(), &keys, &sealing)?;
        let shown = Shown::new(&signer)?;
        out.print(&shown, || shown.text())?;
        out.note(format_args!("start the signer: `quorate signer run --signer {}`", shell_word(signer.path())));
        out.note(format_args!(
            "then the validator, with `signer = \"{}\"` under [node] in {}",
            shown.socket.display(),
            home.config_file().display()
        ));
        out.note(
            "copies of the old keys/validator.key still hold the consensus key: destroy them, or keep them where no process can use them",
        );
        Ok(())
    }
}

impl RunCommand {
    fn run(self) -> Result<(), CommandError> {
        let log = LogConfig { level: self.log_level, format: self.log_format };
        logging::start(&log).map_err(|error| CommandError::failure("log", error))?;
        failure::end_process_on_panic(|_| end_at_once());
        machine::forbid_core_dumps();
        let home = SignerHome::new(self.signer.signer);
        let socket = self.socket.unwrap_or_else(|| home.socket());
        let source = self.passphrase.source();
        let keeper = on_a_stack_of_its_own(|| home.open(&source).map_err(unusable))?;
        let signals = Signals::listen().map_err(NodeError::System)?;
        signals.on_started();
        let ((_, epoch), round) = (keeper.record().scope(), keeper.record().highest_round());
        let failed = |error| CommandError::failure("socket", format!("{}: {error}", socket.display()));
        let server = Server::listen(&socket, if self.group { 0o660 } else { 0o600 }, keeper, end_at_once).map_err(|error| {
            failed(error).with_hint("choose another path with --socket: it may have some 100 bytes, and its directory must exist")
        })?;
        tracing::info!(socket = %socket.display(), %epoch, %round, version = env!("CARGO_PKG_VERSION"), "the signer is ready");
        std::thread::Builder::new().name("listener".into()).spawn(move || server.run()).map_err(NodeError::System)?;
        let runtime = Builder::new_current_thread().build().map_err(NodeError::System)?;
        // A signature is either made or not, at whatever moment the process ends.
        tracing::info!("{}: stopping", runtime.block_on(signals.stop()));
        logging::finish();
        Ok(())
    }
}

/// The reason is in the log. A service manager starts the signer again.
fn end_at_once() {
    logging::finish();
    std::process::exit(1);
}

fn unusable(error: HomeError) -> CommandError {
    match error {
        HomeError::Key(error) => error.into(),
        HomeError::InUse(_) => CommandError::failure("data-in-use", error),
        HomeError::Missing(_) | HomeError::Io { .. } | HomeError::Damaged { .. } => CommandError::failure("signer-record", error),
        HomeError::Taken(_) => CommandError::failure("exists", error),
    }
}
