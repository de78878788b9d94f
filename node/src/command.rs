//! `quorate node init | check | run`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_client::{CommandError, Exit, Output};
use quorate_keygen::{HomeArgs, PassphraseSource, ValidatorKeys, load_validator_key};
use quorate_ledger::{RocksOptions, RocksStore};
use quorate_types::{genesis::Genesis, ids::GenesisHash};
use serde::Serialize;

use crate::{
    config::{Config, ConfigError, LogFormat, Override, from_environment},
    home::Home,
    lock::{DataLock, LockError},
    logging,
    run::{Ending, Membership, Node, NodeError, Setup, check_genesis_hash},
    template,
};

/// Run a validator.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write the configuration of a validator, every setting with its meaning.
    Init(InitCommand),
    /// Check configuration, key and genesis without starting anything.
    Check(CheckCommand),
    /// Run the validator until SIGTERM or SIGINT.
    Run(RunCommand),
}

/// Settings on the command line.
#[expect(clippy::doc_markdown, reason = "the words are help on a terminal")]
#[derive(Clone, Debug, Default, Args)]
pub struct SettingArgs {
    /// Any setting of the configuration, such as api.listen=127.0.0.1:8081. Repeatable.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = Override::from_set)]
    set: Vec<Override>,
    /// Where the HTTP API listens; the same as --set api.listen.
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// Where to listen for other validators, a multiaddress; the same as --set network.listen.
    #[arg(long, value_name = "MULTIADDRESS")]
    network_listen: Option<String>,
    /// What is logged; the same as --set log.level.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// The form of the log; the same as --set log.format.
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// The hash that the genesis must have; the same as --set node.genesis_hash.
    #[arg(long, value_name = "HASH")]
    genesis_hash: Option<GenesisHash>,
    /// File whose first line is the passphrase of the key; the same as --set node.passphrase_file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl SettingArgs {
    fn overrides(&self) -> Vec<Override> {
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
        // In the file it is relative to the home directory, on the command line to where the operator stands.
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

/// `quorate node check`.
#[derive(Clone, Debug, Args)]
pub struct CheckCommand {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

/// `quorate node run`.
#[derive(Clone, Debug, Args)]
pub struct RunCommand {
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

impl Command {
    /// Does it. Not to be called from within a runtime of tokio.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Init(command) => command.run(out),
            Self::Check(command) => command.run(out),
            Self::Run(command) => command.run(),
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
        home.create().map_err(|(path, error)| CommandError::failure("io", format!("{}: {error}", path.display())))?;
        let config = home.config_file();
        write_new(&config, &text)?;
        if let Some(source) = &self.genesis {
            let genesis = quorate_genesis::load(source)?;
            quorate_genesis::file::write(&home.genesis_file(), &genesis)?;
        }
        out.note(format_args!("wrote {}", config.display()));
        for (file, advice) in [
            (home.key_file(), "quorate keygen validator --home"),
            (home.genesis_file(), "when the network has its genesis, put it there; the home is"),
        ] {
            if !file.exists() {
                out.note(format_args!("{} is missing: {advice} {}", file.display(), home.path().display()));
            }
        }
        let made = Made { home: home.path().into(), config };
        out.print(&made, || made.config.display().to_string())
    }
}

fn write_new(path: &std::path::Path, text: &str) -> Result<(), CommandError> {
    use std::io::Write;
    let result = std::fs::OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    result.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => CommandError::failure("exists", format!("{} exists and is not overwritten", path.display()))
            .with_hint("edit it, or move it away first"),
        _ => CommandError::failure("io", format!("{}: {error}", path.display())),
    })
}

/// Everything that a node is started with, read and checked.
struct Loaded {
    home: Home,
    config: Config,
    keys: ValidatorKeys,
    genesis: Genesis,
}

fn load_config(home: &Home, settings: &SettingArgs) -> Result<Config, CommandError> {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut overrides = from_environment(variables);
    overrides.extend(settings.overrides());
    Config::load(&home.config_file(), &overrides).map_err(config_error)
}

fn load(home: Home, config: Config) -> Result<Loaded, CommandError> {
    let genesis = quorate_genesis::load(&home.genesis_file())?;
    let passphrase_file = &config.node.passphrase_file;
    let file = (!passphrase_file.as_os_str().is_empty()).then(|| home.path().join(passphrase_file));
    let keys = load_validator_key(&home.key_file(), &PassphraseSource::Usual { file })?;
    Ok(Loaded { home, config, keys, genesis })
}

impl CheckCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Checked {
            validator: String,
            network: String,
            chain_id: u64,
            genesis_hash: GenesisHash,
            network_listen: String,
            api_listen: String,
            settings: std::collections::BTreeMap<String, toml::Value>,
        }
        let home = Home::new(self.home.path()?);
        let config = load_config(&home, &self.settings)?;
        let Loaded { config, keys, genesis, .. } = load(home, config)?;
        let genesis_hash = check_genesis_hash(&genesis, &config)?;
        let membership = Membership::find(&genesis, &keys)?;
        let checked = Checked {
            network_listen: membership.listen(&config),
            validator: membership.validator.name,
            network: genesis.name.clone(),
            chain_id: genesis.chain_id.0,
            genesis_hash,
            api_listen: config.api.listen.to_string(),
            settings: config.settings(),
        };
        out.print(&checked, || {
            let mut text = format!(
                "validator  {}\nnetwork    {} (chain id {})\ngenesis    {}\nlistens    {} for validators, {} for clients\n\n",
                checked.validator, checked.network, checked.chain_id, checked.genesis_hash, checked.network_listen, checked.api_listen
            );
            text.extend(checked.settings.iter().map(|(key, value)| format!("{key} = {value}\n")));
            text
        })?;
        out.good("configuration, key and genesis fit together");
        Ok(())
    }
}

impl RunCommand {
    fn run(self) -> Result<(), CommandError> {
        let home = Home::new(self.home.path()?);
        let config = load_config(&home, &self.settings)?;
        logging::start(&config.log).map_err(|error| CommandError::failure("log", error))?;
        let Loaded { home, config, keys, genesis } = load(home, config)?;
        home.create().map_err(|(path, error)| CommandError::failure("io", format!("{}: {error}", path.display())))?;
        let _lock = DataLock::take(&home.data())?;
        let store = RocksStore::open(home.database(), RocksOptions::default()).map_err(NodeError::from)?;
        let setup = Setup {
            config,
            keys,
            genesis,
            api_address_file: Some(home.api_address_file()),
            data_directory: Some(home.data()),
            #[cfg(feature = "faults")]
            faults_file: Some(home.faults_file()),
            on_failure: exit_at_once,
        };
        let node = Node::start(setup, store)?;
        match node.wait()? {
            Ending::Signal(name) => {
                tracing::info!("{name}: stopping");
                node.stop();
                Ok(())
            }
            Ending::Failure(what) => Err(CommandError::failure("failure", what)),
        }
    }
}

/// The log has the reason. No destructor runs: nothing more is to reach the disk.
fn exit_at_once(_what: &str) {
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
            NodeError::Recover(_) => "recover",
            NodeError::Store(_) | NodeError::Ledger(_) | NodeError::Disk(_) => "data",
            NodeError::Network(_) => "network",
            NodeError::Listen { .. } => "listen",
            NodeError::Config(_) => "config",
            NodeError::Threads(_) => "system",
            #[cfg(feature = "faults")]
            NodeError::Faults(_) => "faults",
        };
        Self::failure(code, error)
    }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        let hint = match &error {
            LockError::InUse { .. } => "stop that process, or give this one another --home; never run one validator's key twice",
            LockError::Io { .. } => "is the directory there, and may this user write to it?",
        };
        Self::failure("data-in-use", error).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use quorate_client::terminal::Format;
    use quorate_keygen::{Sealing, save_validator_key};

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
        Program::try_parse_from(arguments).unwrap().command.run(&Output::new(Format::Json, true))
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
        let init = ["init", "--home", path, "--genesis", given, "--api-listen", "127.0.0.1:0"];
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
        assert_eq!(check(&["--passphrase-file", "/nowhere"]).err(), None, "a plain key needs none");
    }

    fn path_of_keys(home: &Home) -> PathBuf {
        home.key_file().parent().unwrap().into()
    }
}
