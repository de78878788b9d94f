//! The directory of a local network, and the one file that says what is in it.
//!
//! ```text
//! <dir>/localnet.json         validators, their addresses and processes
//! <dir>/localnet.lock         held by the command that is changing something
//! <dir>/config/genesis.json   the network
//! <dir>/wallet/NAME.key       accounts with money, in plain text: so <dir> is a home for `quorate wallet --home <dir>`
//! <dir>/validator-1/          a home for `quorate node run --home <dir>/validator-1`, with its log in node.log
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use quorate_terminal::{CommandError, program_word};
use quorate_types::{
    genesis::Genesis,
    ids::{Address, ChainId, GenesisHash},
};
use serde::{Deserialize, Serialize};

use super::process::Process;

const STATE_FILE: &str = "localnet.json";
const LOCK_FILE: &str = "localnet.lock";
const VERSION: u32 = 2;
/// The account that everything starts from: `localnet start` sends one transaction from it, and `bench` takes its money from it.
pub(crate) const FAUCET: &str = "faucet";

/// A network on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Localnet {
    version: u32,
    /// Where it is; not stored, so that the directory can be moved.
    #[serde(skip)]
    pub(crate) directory: PathBuf,
    pub(crate) network: String,
    pub(crate) chain_id: ChainId,
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) validators: Vec<Member>,
    pub(crate) accounts: Vec<Account>,
}

/// A validator of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Of its HTTP API.
    pub(crate) api: SocketAddr,
    /// Of its links to the others.
    pub(crate) p2p: String,
    /// Of its health and metrics.
    pub(crate) metrics: SocketAddr,
    /// The process that was started last and not known to have ended.
    pub(crate) process: Option<Process>,
}

/// An account that has money from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) address: Address,
}

/// Held while a network is changed.
pub(crate) struct Lock {
    _file: File,
}

/// An error about a file, with what was tried.
pub(crate) fn file_error(doing: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::failure("file", format!("cannot {doing} {}: {error}", path.display()))
}

impl Member {
    /// The URL of its HTTP API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The URL of its health and metrics.
    pub(crate) fn metrics_url(&self) -> String {
        format!("http://{}", self.metrics)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_running)
    }
}

impl Localnet {
    /// A network that has just been made.
    pub(crate) fn new(directory: &Path, genesis: &Genesis, validators: Vec<Member>, accounts: Vec<Account>) -> Self {
        Self {
            version: VERSION,
            directory: directory.into(),
            network: genesis.name.clone(),
            chain_id: genesis.chain_id,
            genesis_hash: genesis.hash(),
            validators,
            accounts,
        }
    }

    /// Whether there is a network in a directory.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(STATE_FILE).is_file()
    }

    /// Reads what is known of a network.
    pub(crate) fn load(directory: &Path) -> Result<Self, CommandError> {
        let directory = std::path::absolute(directory).map_err(|error| file_error("find", directory, &error))?;
        let path = directory.join(STATE_FILE);
        let text = fs::read(&path).map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return file_error("read", &path, &error);
            }
            CommandError::failure("no-localnet", format!("there is no local network in {}", directory.display()))
                .with_hint(format!("`{} localnet start` makes one; --dir or QUORATE_LOCALNET says where", program_word()))
        })?;
        let broken = |reason: String| {
            CommandError::failure("localnet-file", format!("{} cannot be used: {reason}", path.display()))
                .with_hint("stop its processes by hand, remove the directory, and start again")
        };
        let localnet: Self = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if localnet.version != VERSION {
            return Err(broken(format!("it is of version {}, this program knows version {VERSION}", localnet.version)));
        }
        Ok(Self { directory, ..localnet })
    }

    /// Writes what is known, all of it or nothing.
    pub(crate) fn save(&self) -> Result<(), CommandError> {
        let (path, new) = (self.directory.join(STATE_FILE), self.directory.join(format!("{STATE_FILE}.new")));
        let text = serde_json::to_vec_pretty(self).map_err(|error| CommandError::failure("localnet-file", error))?;
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| file_error("write", &path, &error))
    }

    /// Takes the network for this command alone, and waits while another has it.
    pub(crate) fn lock(directory: &Path) -> Result<Lock, CommandError> {
        let path = directory.join(LOCK_FILE);
        let take = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map(|file| Lock { _file: file }).map_err(|error| file_error("lock", &path, &error))
    }

    /// The home of a validator.
    pub(crate) fn home(&self, member: &Member) -> PathBuf {
        self.directory.join(&member.name)
    }

    /// The log of a validator.
    pub(crate) fn log(&self, member: &Member) -> PathBuf {
        self.home(member).join("node.log")
    }

    /// The network's genesis file.
    pub(crate) fn genesis_file(&self) -> PathBuf {
        genesis_file(&self.directory)
    }

    /// The directory of its accounts.
    pub(crate) fn wallet(&self) -> PathBuf {
        self.directory.join(quorate_keygen::command::WALLET_DIRECTORY)
    }

    /// The position of validator `number`, which people count from 1.
    pub(crate) fn position(&self, number: usize) -> Result<usize, CommandError> {
        let count = self.validators.len();
        number
            .checked_sub(1)
            .filter(|position| *position < count)
            .ok_or_else(|| CommandError::usage(format!("there is no validator {number}: this network has validators 1 to {count}")))
    }

    /// The URLs of all validators.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.validators.iter().map(Member::url).collect()
    }
}

/// The genesis file in a home.
pub(crate) fn genesis_file(home: &Path) -> PathBuf {
    home.join("config").join("genesis.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_a_network_is_named_with_the_fix() {
        let directory = tempfile::tempdir().unwrap();
        let error = Localnet::load(directory.path()).unwrap_err();
        assert!(error.message.contains(&directory.path().display().to_string()), "{error}");
        assert!(error.hint.unwrap().contains("localnet start"));
    }

    #[test]
    fn a_file_of_another_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(STATE_FILE);
        let text = |version: u32| {
            format!(
                r#"{{"version":{version},"network":"n","chain_id":1,"genesis_hash":"{}","validators":[],"accounts":[]}}"#,
                "0".repeat(64)
            )
        };
        fs::write(&file, text(VERSION)).unwrap();
        let localnet = Localnet::load(directory.path()).unwrap();
        localnet.save().unwrap();
        assert_eq!(Localnet::load(directory.path()).unwrap(), localnet);
        fs::write(&file, text(VERSION + 1)).unwrap();
        assert!(Localnet::load(directory.path()).unwrap_err().message.contains(&format!("version {}", VERSION + 1)));
    }
}
