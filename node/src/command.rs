//! `quorate node init | check | run | safety | recover`.

use std::{
    path::PathBuf,
    thread::{self, ScopedJoinHandle},
};

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_keygen::{HomeArgs, NodeKeys, PassphraseSource, load_node_keys};
use quorate_ledger::{RocksOptions, RocksStore};
use quorate_terminal::{CommandError, Exit, Output, shell_word};
use quorate_types::{genesis::Genesis, ids::GenesisHash};
use serde::Serialize;

use crate::{
    config::{Config, ConfigError, LogFormat, Override, from_environment},
    failure,
    files::Files,
    home::Home,
    lock::{DataLock, LockError},
    logging,
    machine::{self, Circumstances, Place},
    run::{Ending, Membership, Node, NodeError, Setup, check_genesis_hash, check_signer},
    safety::{RecoverCommand, SafetyCommand},
    signals::Signals,
    supervisor, template,
    witness_file::WitnessOnDisk,
};

/// Run a validator.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write a validator's configuration file, with every setting explained.
    Init(InitCommand),
    /// Check configuration, key and genesis without starting the validator.
    Check(CheckCommand),
    /// Run the validator until SIGTERM or SIGINT.
    Run(RunCommand),
    /// Move the record of what this validator has signed to another machine.
    #[command(subcommand)]
    Safety(SafetyCommand),
    /// Let a validator that has lost its memory sign again: from its next start on it follows and signs nothing until it knows that nothing
    /// it may have signed can matter.
    Recover(RecoverCommand),
}

/// Settings on the command line.
#[expect(clippy::doc_markdown, reason = "the words are help on a terminal")]
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// Set any configuration key, as in api.listen=127.0.0.1:8081. Repeatable.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = Override::from_set)]
    set: Vec<Override>,
    /// Listen address of the HTTP API; the same as --set api.listen.
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// Listen address for other validators, a multiaddress; the same as --set network.listen.
    #[arg(long, value_name = "MULTIADDRESS")]
    network_listen: Option<String>,
    /// Log filter; the same as --set log.level.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// Log format; the same as --set log.format.
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Expected hash of the genesis; the same as --set node.genesis_hash.
    #[arg(long, value_name = "HASH")]
    genesis_hash: Option<GenesisHash>,
    /// Stop at this height, for an upgrade of all validators at once; the same as --set node.halt_at_height.
    #[arg(long, value_name = "HEIGHT")]
    halt_at_height: Option<u64>,
    /// File whose first line is the key's passphrase; the same as --set node.passphrase_file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl SettingArgs {
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let mut all = self.set.clone();
        let mut flag = |name: &str, key: &str, value: Option<String>| all.extend(value.map(|value| Override::flag(name, key, value)));
        flag("--api-listen", "api.listen", self.api_listen.clone());
        flag("--network-listen", "network.listen", self.network_listen.clone());
        flag("--log-level", "log.level", self.log_level.clone());
        let format = self.log_format.map(|format| match format {
            LogFormat::Pretty => "pretty".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        flag("--log-format", "log.format", format);
        flag("--genesis-hash", "node.genesis_hash", self.genesis_hash.map(|hash| hash.to_string()));
        flag("--halt-at-height", "node.halt_at_height", self.halt_at_height.map(|height| height.to_string()));
        // In the file the path is relative to the home directory, on the command line to the working directory.
        let path = self.passphrase_file.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        flag("--passphrase-file", "node.passphrase_file", path.map(|path| path.display().to_string()));
        all
    }
}

/// `quorate node init`.
#[derive(Clone, Debug, Args)]
pub struct InitCommand {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
    /// Genesis file to copy into the home directory.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

/// Joining a network that runs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JoinArgs {
    /// The validator need not be in the genesis: the committee has added it since, or is about to. With the URL of a running node's API, that node is
    /// asked how the committee has changed since the genesis, and need not be trusted; repeatable, adds to network.join.
    #[arg(long, value_name = "URL", num_args = 0..=1)]
    join: Option<Vec<String>>,
}

impl JoinArgs {
    pub(crate) const fn is_set(&self) -> bool {
        self.join.is_some()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.join.clone().unwrap_or_default()
    }

    fn add_to(&self, config: Config) -> Result<Config, CommandError> {
        let urls: Vec<_> = config.network.join.iter().chain(self.join.iter().flatten()).cloned().map(toml::Value::String).collect();
        let all = Override::flag("--join", "network.join", toml::Value::Array(urls).to_string());
        config.with(&[all]).map_err(config_error)
    }
}

/// `quorate node check`.
#[derive(Clone, Debug, Args)]
pub struct CheckCommand {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    join: JoinArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

/// `quorate node run`.
#[derive(Clone, Debug, Args)]
pub struct RunCommand {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    join: JoinArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

impl Command {
    /// Runs the command for a node of this application. Must not be called from within a tokio runtime.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Init(command) => command.run(out),
            Self::Check(command) => command.run(app, out),
            Self::Run(command) => command.run(app),
            Self::Safety(command) => command.run(app, out),
            Self::Recover(command) => command.run(app, out),
        }
    }
}

impl InitCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Made {
            home: PathBuf,
            config: PathBuf,
        }
        let home = Home::new(self.home.path()?);
        let text = template::render(&self.settings.overrides()).map_err(config_error)?;
        // The environment is not written to the file, but it will apply when the node runs.
        let config = Config::default().with(&overrides(&self.settings)?).map_err(config_error)?;
        let genesis = self.genesis.as_deref().map(quorate_genesis::load).transpose()?;
        check_before_there_is_a_key(&home, &config, genesis.as_ref())?;
        home.create().map_err(|(path, error)| CommandError::failure("io", format!("{}: {error}", path.display())))?;
        let config = home.config_file();
        write_new(&config, &text)?;
        if let Some(genesis) = &genesis {
            quorate_genesis::file::write(&home.genesis_file(), genesis)?;
        }
        out.note(format_args!("wrote {}", config.display()));
        for (file, advice) in [
            (home.key_file(), "quorate keygen validator --home"),
            (home.genesis_file(), "put the network's genesis there once it exists; the home is"),
        ] {
            if !file.exists() {
                out.note(format_args!("{} is missing: {advice} {}", file.display(), shell_word(home.path())));
            }
        }
        let made = Made { home: home.path().into(), config };
        out.print(&made, || made.config.display().to_string())
    }
}

/// The checks that are possible before the home has a key.
fn check_before_there_is_a_key(home: &Home, config: &Config, genesis: Option<&Genesis>) -> Result<(), CommandError> {
    let committee = match genesis {
        Some(genesis) => {
            check_genesis_hash(genesis, config)?;
            Some(genesis.committee().map_err(NodeError::from)?)
        }
        None => None,
    };
    let listen = config.network.listen.trim();
    let circumstances = Circumstances {
        place: committee.as_deref().map(|committee| Place { committee, me: None }),
        network_listen: Some(listen).filter(|listen| !listen.is_empty()),
        is_running: DataLock::is_held(&home.data()),
    };
    machine::check(config, home, circumstances)?;
    Ok(())
}

fn write_new(path: &std::path::Path, text: &str) -> Result<(), CommandError> {
    use std::io::Write;
    let result = std::fs::OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CommandError::failure("exists", format!("{} already exists and is not overwritten", path.display()))
                .with_hint("edit it, or move it away first")
        }
        _ => CommandError::failure("io", format!("{}: {error}", path.display())),
    })
}

/// A running node, and what must live as long as it.
struct Started {
    node: Node,
    signals: Signals,
    lock: DataLock,
}

/// The files a node starts from, read and decoded.
pub(crate) struct Loaded {
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) keys: NodeKeys,
    pub(crate) genesis: Genesis,
    join: bool,
}

/// The settings from the environment, then those from the command line, which win.
fn overrides(settings: &SettingArgs) -> Result<Vec<Override>, CommandError> {
    let mut overrides = from_environment(std::env::vars_os()).map_err(config_error)?;
    overrides.extend(settings.overrides());
    Ok(overrides)
}

pub(crate) fn load_config(home: &Home, settings: &SettingArgs) -> Result<Config, CommandError> {
    Config::load(&home.config_file(), &overrides(settings)?).map_err(config_error)
}

impl Loaded {
    /// Everything that the start of a node checks, except its data.
    fn check(&self, is_running: bool) -> Result<(Membership, GenesisHash, Files), CommandError> {
        let genesis_hash = check_genesis_hash(&self.genesis, &self.config)?;
        check_signer(&self.keys.consensus, &self.config.node.signer)?;
        // A ledger may know a later committee; the start looks there.
        let may_join = self.join || self.home.database().exists();
        let membership = Membership::at_genesis(&self.genesis, &self.keys.public(), may_join)?;
        let listen = membership.listen(&self.config);
        let circumstances = Circumstances {
            place: Some(Place { committee: &membership.committee, me: membership.me() }),
            network_listen: Some(&listen),
            is_running,
        };
        let files = machine::check(&self.config, &self.home, circumstances)?;
        Ok((membership, genesis_hash, files))
    }
}

pub(crate) fn load(app: &App, home: Home, mut config: Config, join: bool) -> Result<Loaded, CommandError> {
    let genesis = quorate_genesis::load(&home.genesis_file())?;
    quorate_genesis::check_application(app, &genesis)?;
    let passphrase = passphrase_source(&home, &config);
    let keys = load_node_keys(&home.key_file(), &passphrase)?;
    if !config.node.signer.as_os_str().is_empty() {
        config.node.signer = home.path().join(&config.node.signer);
    }
    Ok(Loaded { home, config, keys, genesis, join })
}

pub(crate) fn passphrase_source(home: &Home, config: &Config) -> PassphraseSource {
    let file = &config.node.passphrase_file;
    PassphraseSource::Usual { file: (!file.as_os_str().is_empty()).then(|| home.path().join(file)) }
}

impl CheckCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Checked {
            validator: String,
            network: String,
            chain_id: u64,
            genesis_hash: GenesisHash,
            network_listen: String,
            api_listen: String,
            metrics_listen: String,
            is_running: bool,
            settings: std::collections::BTreeMap<String, toml::Value>,
        }
        let home = Home::new(self.home.path()?);
        let config = self.join.add_to(load_config(&home, &self.settings)?)?;
        let is_running = DataLock::is_held(&home.data());
        let loaded = load(app, home, config, self.join.is_set())?;
        let (membership, genesis_hash, _) = loaded.check(is_running)?;
        let Loaded { config, genesis, .. } = loaded;
        let checked = Checked {
            network_listen: membership.listen(&config),
            validator: membership.seat.map_or_else(|| "not in the genesis".into(), |(_, validator)| validator.name),
            network: genesis.name.clone(),
            chain_id: genesis.chain_id.0,
            genesis_hash,
            api_listen: config.api.listen.to_string(),
            metrics_listen: config.metrics.listen.to_string(),
            is_running,
            settings: config.settings(),
        };
        out.print(&checked, || {
            let mut text = format!(
                "validator  {}\nnetwork    {} (chain id {})\ngenesis    {}\nlistens    {} for validators, {} for clients, {} for health and metrics\n\n",
                checked.validator,
                checked.network,
                checked.chain_id,
                checked.genesis_hash,
                checked.network_listen,
                checked.api_listen,
                checked.metrics_listen
            );
            text.extend(checked.settings.iter().map(|(key, value)| format!("{key} = {value}\n")));
            text
        })?;
        if is_running {
            out.note("the validator is running; its listen addresses were not tried");
        }
        out.good("configuration, key and genesis agree, and this machine can run the validator");
        Ok(())
    }
}

impl RunCommand {
    fn run(self, app: &App) -> Result<(), CommandError> {
        let home = Home::new(self.home.path()?);
        let config = self.join.add_to(load_config(&home, &self.settings)?)?;
        logging::start(&config.log).map_err(|error| CommandError::failure("log", error))?;
        failure::end_process_on_panic(exit_at_once);
        machine::forbid_core_dumps();
        let result = Self::run_logged(app, home, config, self.join.is_set());
        logging::finish();
        result
    }

    fn run_logged(app: &App, home: Home, config: Config, join: bool) -> Result<(), CommandError> {
        let Started { node, signals, lock } = on_a_stack_of_its_own(|| Self::start(app, home, config, join))?;
        signals.on_started();
        supervisor::started();
        match node.wait(signals.stop()) {
            Ending::Signal(name) => {
                tracing::info!("{name}: stopping");
                supervisor::stopping();
                node.stop();
                drop(lock);
                Ok(())
            }
            Ending::Failure(what) => Err(CommandError::failure("failure", what)),
        }
    }

    fn start(app: &App, home: Home, config: Config, join: bool) -> Result<Started, CommandError> {
        // Until the keys are read, Ctrl-C belongs to the passphrase prompt.
        let mut loaded = load(app, home, config, join)?;
        let signals = Signals::listen().map_err(NodeError::System)?;
        loaded.home.create().map_err(|(path, error)| CommandError::failure("io", format!("{}: {error}", path.display())))?;
        // Before the addresses: a second process should hear that the first exists, not that its addresses are taken.
        let lock = DataLock::take(&loaded.home.data())?;
        let (_, _, files) = loaded.check(false)?;
        tracing::info!(files = files.total, store = files.store, clients = files.clients, "the limit of open files and its division");
        if files.clients < loaded.config.api.connections_max {
            tracing::warn!(
                "api.connections_max is {}, but the limit of open files leaves room for only {}; raise the limit (ulimit -n)",
                loaded.config.api.connections_max,
                files.clients
            );
            loaded.config.api.connections_max = files.clients;
        }
        let Loaded { home, config, keys, genesis, join } = loaded;
        let open_files = i32::try_from(files.store).unwrap_or(i32::MAX);
        let store = RocksStore::open(home.database(), RocksOptions { open_files, ..RocksOptions::default() }).map_err(NodeError::from)?;
        let witness = Box::new(WitnessOnDisk::open(&home.witness_file()).map_err(NodeError::from)?);
        let setup = Setup {
            app: app.clone(),
            config,
            keys,
            witness,
            genesis,
            join,
            address_files: Some((home.api_address_file(), home.metrics_address_file())),
            data_directory: Some(home.data()),
            #[cfg(feature = "faults")]
            faults_file: Some(home.faults_file()),
            on_failure: exit_at_once,
        };
        Ok(Started { node: Node::start(setup, store)?, signals, lock })
    }
}

/// Runs `work` on a thread whose stack is returned to the system afterwards. Reading, decoding and moving keys leaves copies on the stack,
/// which could not be wiped from a stack that stays.
pub(crate) fn on_a_stack_of_its_own<T: Send>(work: impl FnOnce() -> Result<T, CommandError> + Send) -> Result<T, CommandError> {
    /// Larger than the stacks that libc caches for reuse by the next thread. Only touched pages take memory.
    const STACK_BYTES: usize = 64 << 20;
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new().name("start".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.map(ScopedJoinHandle::join)
    });
    match done.map_err(NodeError::System)? {
        Ok(result) => result,
        Err(_) => Err(CommandError::failure("panic", "startup panicked, which is a bug in this program; the log says where")),
    }
}

/// The reason is in the log. No destructor runs: nothing more may reach the disk.
fn exit_at_once(_what: &str) {
    logging::finish();
    std::process::exit(i32::from(Exit::Failure.code()));
}

fn config_error(error: ConfigError) -> CommandError {
    CommandError::failure("config", error)
}

impl From<NodeError> for CommandError {
    fn from(error: NodeError) -> Self {
        let code = match &error {
            NodeError::GenesisHash { .. } => "genesis-hash",
            NodeError::Committee(_) | NodeError::Json(_) => "genesis",
            NodeError::NotInCommittee { .. } => "not-in-committee",
            NodeError::NetworkKey { .. } => "network-key",
            NodeError::NoSigner | NodeError::UnusedSigner | NodeError::Signer(_) => "signer",
            NodeError::Recover(_) | NodeError::Witness(_) => "recover",
            NodeError::Store(_) | NodeError::Ledger(_) | NodeError::Disk(_) | NodeError::AddressFile { .. } => "data",
            NodeError::Network(_) => "network",
            NodeError::Listen { .. } => "listen",
            NodeError::Config(_) | NodeError::Join(_) => "config",
            NodeError::Machine(_) => "machine",
            NodeError::System(_) | NodeError::Files(_) => "system",
            #[cfg(feature = "faults")]
            NodeError::Faults(_) => "faults",
        };
        Self::failure(code, error)
    }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        let hint = match &error {
            LockError::InUse { .. } => {
                "stop that process, or give this one another --home; never run two processes with one validator's key"
            }
            LockError::Io { .. } => "does the directory exist, and may this user write to it?",
        };
        Self::failure("data-in-use", error).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use quorate_keygen::{Sealing, save_validator_key};
    use quorate_terminal::Format;

    use super::*;
    use crate::testing::{genesis_of, keys};

    fn genesis() -> Genesis {
        genesis_of(&[("one", keys(1), "/ip4/127.0.0.1/tcp/6180".into())])
    }

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    fn run(arguments: &[&str]) -> Result<(), CommandError> {
        let arguments = std::iter::once("node").chain(arguments.iter().copied());
        Program::try_parse_from(arguments).unwrap().command.run(&quorate_builtin::app(), &Output::new(Format::Json, true))
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        assert!(Program::try_parse_from(["node", "run", "--set", "api.listen"]).is_err());
        assert!(Program::try_parse_from(["node", "run", "--genesis-hash", "0x12"]).is_err());
    }

    #[test]
    fn a_home_is_made_once_and_checked_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home");
        let home = Home::new(&path);
        let given = directory.path().join("genesis.json");
        quorate_genesis::file::write(&given, &genesis()).unwrap();
        let (path, given) = (path.to_str().unwrap(), given.to_str().unwrap());
        let free = ["--network-listen", "/ip4/127.0.0.1/tcp/0", "--set", "metrics.listen=127.0.0.1:0"];
        let init = [&["init", "--home", path, "--genesis", given, "--api-listen", "127.0.0.1:0"][..], &free].concat();
        for impossible in [["--genesis-hash", &"11".repeat(32)], ["--api-listen", "192.0.2.1:80"], ["--log-level", "inf"]] {
            let rest = ["init", "--home", path, "--genesis", given];
            assert!(run(&[&rest[..], &free, &impossible].concat()).is_err(), "{impossible:?}");
            assert!(!home.path().exists(), "nothing is written before everything is checked: {impossible:?}");
        }
        run(&init).unwrap();
        assert!(std::fs::read_to_string(home.config_file()).unwrap().contains("\nlisten = \"127.0.0.1:0\"\n"));
        assert_eq!(quorate_genesis::load(&home.genesis_file()).unwrap(), genesis());
        assert_eq!(run(&init).unwrap_err().code, "exists");

        let check = |more: &[&str]| run(&[&["check", "--home", path], more].concat());
        assert!(check(&[]).is_err(), "no key yet");
        save_validator_key(&path_of_keys(&home), &keys(1), &Sealing::InsecurePlaintext).unwrap();
        check(&[]).unwrap();
        check(&["--genesis-hash", &genesis().hash().to_string()]).unwrap();
        assert_eq!(check(&["--genesis-hash", &"11".repeat(32)]).unwrap_err().code, "genesis-hash");
        let unknown = check(&["--set", "api.lisen=1"]).unwrap_err();
        assert!(unknown.code == "config" && unknown.message.contains("did you mean `api.listen`"), "{unknown}");
        assert_eq!(check(&["--passphrase-file", "/nowhere"]).unwrap_err().code, "machine");
        let lock = DataLock::take(&home.data()).unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        check(&["--api-listen", &taken]).unwrap();
        drop(lock);
    }

    fn path_of_keys(home: &Home) -> PathBuf {
        home.key_file().parent().unwrap().into()
    }
}
