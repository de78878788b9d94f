//! The network a command works with: its nodes, the genesis to verify their answers against, and what this home remembers.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_app::App;
use quorate_builtin::{Account, Settings, app};
use quorate_client::{Client, ClientError, LightClient, NodeArgs, Pace, Proven, Session};
use quorate_genesis::{CeremonyError, load, parse};
use quorate_keygen::{HomeArgs, home::HOME_VARIABLE};
use quorate_terminal::{CommandError, Output, escape_untrusted};
use quorate_types::{
    genesis::Genesis,
    ids::{Address, GenesisHash},
};

use crate::{accounts::Accounts, memory::Memory};

/// Path of the genesis of a node or wallet, below the home directory.
pub const GENESIS_FILE: &str = "config/genesis.json";

/// Options of all wallet commands.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Home directory, for accounts and configuration [default: ~/.quorate].
    #[arg(long, env = HOME_VARIABLE, value_name = "DIR", global = true)]
    home: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    /// Genesis file, from a source that you trust [default: config/genesis.json in the home directory].
    #[arg(long, value_name = "FILE", global = true)]
    genesis: Option<PathBuf>,
    /// Genesis hash, from a source that you trust; without a genesis file, the genesis with this hash is fetched from a node.
    #[arg(long, env = "QUORATE_GENESIS_HASH", value_name = "HASH", global = true)]
    genesis_hash: Option<GenesisHash>,
    #[arg(skip)]
    pub(crate) pace: Pace,
}

/// An open network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) session: Session,
    pub(crate) memory: Memory,
}

impl Network {
    /// Hash of the network's genesis.
    pub(crate) fn genesis_hash(&self) -> GenesisHash {
        self.session.light().genesis_hash()
    }

    /// Settings of the built-in application, from the genesis.
    pub(crate) fn settings(&self) -> Result<Settings, CommandError> {
        let settings = &self.session.light().genesis().application.settings;
        settings.parse().map_err(|mismatch| CommandError::failure("other-application", mismatch))
    }

    /// A proved account of the bank.
    pub(crate) async fn account(&self, address: Address) -> Result<Proven<Account>, ClientError> {
        account(&self.session, address).await
    }

    /// Saves the newest proved block for later commands. A failure is only noted: this command's result is still right.
    pub(crate) fn remember(&self, out: &Output) {
        if let Some(seen) = self.session.seen()
            && let Err(error) = self.memory.remember(seen)
        {
            out.note(format_args!("warning: later commands may not notice outdated answers: {error}"));
        }
    }
}

impl NetworkArgs {
    pub(crate) fn home(&self) -> Result<PathBuf, CommandError> {
        Ok(HomeArgs { home: self.home.clone() }.path()?)
    }

    /// A client for the nodes.
    pub(crate) fn client(&self) -> Result<Client, CommandError> {
        Ok(self.node.client()?)
    }

    /// Opens a network of the built-in application.
    pub(crate) async fn open(&self, accounts: &Accounts, out: &Output) -> Result<Network, CommandError> {
        let network = self.open_for(&app(), accounts, out).await?;
        network.settings()?;
        Ok(network)
    }

    /// Opens a network of an application: a session that verifies against the genesis, and against what this home remembers.
    pub(crate) async fn open_for(&self, app: &App, accounts: &Accounts, out: &Output) -> Result<Network, CommandError> {
        let (genesis, client) = self.genesis(out).await?;
        app.open(&genesis).map_err(|mismatch| CommandError::failure("other-application", mismatch))?;
        let memory = Memory::new(accounts.directory(), genesis.hash());
        let session = Session::new(client, LightClient::new(genesis)?).with_pace(self.pace).remembering(memory.seen()?);
        Ok(Network { session, memory })
    }

    /// The genesis, from a file or by hash from a node, and a client for the nodes.
    pub(crate) async fn genesis(&self, out: &Output) -> Result<(Genesis, Client), CommandError> {
        let client = self.client()?;
        let file = match &self.genesis {
            Some(file) => Some(file.clone()),
            None => Some(self.home()?.join(GENESIS_FILE)).filter(|file| file.exists()),
        };
        let genesis = match (file, self.genesis_hash) {
            (Some(file), wanted) => expect(load(&file)?, wanted)?,
            (None, Some(wanted)) => {
                // A node may send another genesis, but not one with this hash.
                let _progress = out.progress("fetching the genesis");
                let read = |json: &[u8]| expect(parse(Path::new("the node's genesis"), json)?, Some(wanted));
                // The error may quote the node's genesis.
                let quoted = |error: CommandError| CommandError { message: escape_untrusted(&error.message), ..error };
                read(&client.genesis_json(|json| read(json).is_ok()).await?).map_err(|error| quoted(error.into()))?
            }
            (None, None) => {
                return Err(CommandError::failure("no-genesis", "no genesis to verify the nodes' answers against").with_hint(
                    "pass --genesis FILE, or --genesis-hash HASH to fetch it from a node; get either from a source that you trust",
                ));
            }
        };
        Ok((genesis, client))
    }
}

/// A proved account of the bank; the default if it is proved to have no record.
///
/// # Errors
/// [`ClientError`].
pub async fn account(session: &Session, address: Address) -> Result<Proven<Account>, ClientError> {
    Ok(session.account_verified(address).await?.map(|record| Account::of(&record)))
}

fn expect(genesis: Genesis, wanted: Option<GenesisHash>) -> Result<Genesis, CeremonyError> {
    let actual = genesis.hash();
    match wanted {
        Some(wanted) if wanted != actual => Err(CeremonyError::OtherHash { actual, wanted }),
        _ => Ok(genesis),
    }
}
