//! The directory of a local network, and the file that describes it.
//!
//! ```text
//! <dir>/localnet.json         validators, their addresses and processes
//! <dir>/localnet.lock         held by a command that changes the network
//! <dir>/config/genesis.json   the genesis
//! <dir>/wallet/NAME.key       funded accounts, in plain text; so <dir> is a home for `quorate wallet --home <dir>`
//! <dir>/validator-1/          a home for `quorate node run --home <dir>/validator-1`, with its log in node.log
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use quorate_keygen::whole_file::{SystemFiles, replace};
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
/// The account that `localnet start` sends a transaction from, and that funds the accounts of `bench`.
pub(crate) const FAUCET: &str = "faucet";

/// A local network, as stored in `localnet.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Localnet {
    version: u32,
    /// Its directory. Not stored, so that the directory can be moved.
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
    /// Address of its HTTP API.
    pub(crate) api: SocketAddr,
    /// Its peer-to-peer multiaddress.
    pub(crate) p2p: String,
    /// Address of its health and metrics.
    pub(crate) metrics: SocketAddr,
    /// The process last started, unless it is known to have ended.
    pub(crate) process: Option<Process>,
}

/// An account that is funded in the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) address: Address,
}

/// The lock on a network, held while it is changed.
pub(crate) struct Lock {
    _file: File,
}

/// An I/O error, with the operation and the path.
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
    /// A newly created network.
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

    /// Whether a directory holds a network.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(STATE_FILE).is_file()
    }

    /// Reads the state file of a network.
    pub(crate) fn load(directory: &Path) -> Result<Self, CommandError> {
        let directory = std::path::absolute(directory).map_err(|error| file_error("find", directory, &error))?;
        let path = directory.join(STATE_FILE);
        let text = fs::read(&path).map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return file_error("read", &path, &error);
            }
            CommandError::failure("no-localnet", format!("there is no local network in {}", directory.display()))
                .with_hint(format!("create one with `{} localnet start`, or point --dir or QUORATE_LOCALNET to one", program_word()))
        })?;
        let broken = |reason: String| {
            CommandError::failure("localnet-file", format!("{} is not valid: {reason}", path.display()))
                .with_hint("stop its processes by hand, remove the directory, and create a new network")
        };
        let localnet: Self = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        if localnet.version != VERSION {
            return Err(broken(format!("it has version {}, but this program reads version {VERSION}", localnet.version)));
        }
        Ok(Self { directory, ..localnet })
    }

    /// Writes the state file, atomically and durably.
    pub(crate) fn save(&self) -> Result<(), CommandError> {
        let path = self.directory.join(STATE_FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| CommandError::failure("localnet-file", error))?;
        replace(&SystemFiles, &path, &text, 0o644).map_err(|error| file_error("write", &path, &error))
    }

    /// Locks the network for this command, and waits while another holds the lock.
    pub(crate) fn lock(directory: &Path) -> Result<Lock, CommandError> {
        let path = directory.join(LOCK_FILE);
        let take = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map(|file| Lock { _file: file }).map_err(|error| file_error("lock", &path, &error))
    }

    /// Home directory of a validator.
    pub(crate) fn home(&self, member: &Member) -> PathBuf {
        self.directory.join(&member.name)
    }

    /// Log file of a validator.
    pub(crate) fn log(&self, member: &Member) -> PathBuf {
        self.home(member).join("node.log")
    }

    /// Genesis file of the network.
    pub(crate) fn genesis_file(&self) -> PathBuf {
        genesis_file(&self.directory)
    }

    /// Directory of the accounts.
    pub(crate) fn wallet(&self) -> PathBuf {
        self.directory.join(quorate_keygen::command::WALLET_DIRECTORY)
    }

    /// Index of validator `number`, which counts from 1.
    pub(crate) fn position(&self, number: usize) -> Result<usize, CommandError> {
        let count = self.validators.len();
        number
            .checked_sub(1)
            .filter(|position| *position < count)
            .ok_or_else(|| CommandError::usage(format!("there is no validator {number}; this network has validators 1 to {count}")))
    }

    /// The URLs of all validators.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.validators.iter().map(Member::url).collect()
    }
}

/// The genesis file below a home directory.
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
