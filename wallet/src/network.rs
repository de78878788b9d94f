//! Which network the wallet works with: its nodes, the genesis that everything they say is checked against, and what this home remembers.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_builtin::{Account, Settings, app};
use quorate_client::{Client, ClientError, LightClient, NodeArgs, Pace, Proven, Session};
use quorate_genesis::{CeremonyError, load, parse};
use quorate_keygen::{HomeArgs, home::HOME_VARIABLE};
use quorate_terminal::{CommandError, Output, foreign};
use quorate_types::{
    genesis::Genesis,
    ids::{Address, GenesisHash},
};

use crate::{accounts::Accounts, memory::Memory};

/// Where a node and a wallet keep the genesis, below the home directory.
pub const GENESIS_FILE: &str = "config/genesis.json";

/// The options of all wallet commands.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Home directory of accounts and configuration [default: ~/.quorate].
    #[arg(long, env = HOME_VARIABLE, value_name = "DIR", global = true)]
    home: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    /// The network's genesis, from a source that you trust [default: config/genesis.json in the home directory].
    #[arg(long, value_name = "FILE", global = true)]
    genesis: Option<PathBuf>,
    /// The network's genesis hash, from a source that you trust; without a file the genesis is then fetched from a node.
    #[arg(long, env = "QUORATE_GENESIS_HASH", value_name = "HASH", global = true)]
    genesis_hash: Option<GenesisHash>,
    #[arg(skip)]
    pub(crate) pace: Pace,
}

/// A network as a command sees it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) session: Session,
    pub(crate) memory: Memory,
    /// What the founders decided about the bank.
    pub(crate) settings: Settings,
}

impl Network {
    /// Which network.
    pub(crate) fn genesis_hash(&self) -> GenesisHash {
        self.session.light().genesis_hash()
    }

    /// An account of the bank, proved.
    pub(crate) async fn account(&self, address: Address) -> Result<Proven<Account>, ClientError> {
        account(&self.session, address).await
    }

    /// Keeps what was proved for the next command. What a command has found out does not become wrong when that fails.
    pub(crate) fn remember(&self, out: &Output) {
        if let Some(seen) = self.session.seen()
            && let Err(error) = self.memory.remember(seen)
        {
            out.note(format_args!("old answers may not be noticed the next time: {error}"));
        }
    }
}

impl NetworkArgs {
    pub(crate) fn home(&self) -> Result<PathBuf, CommandError> {
        Ok(HomeArgs { home: self.home.clone() }.path()?)
    }

    /// A session that checks against the genesis, and against what this home remembers.
    pub(crate) async fn open(&self, accounts: &Accounts, out: &Output) -> Result<Network, CommandError> {
        let (genesis, client) = self.genesis(out).await?;
        let error = |error: &dyn std::fmt::Display| CommandError::failure("other-application", error);
        app().open(&genesis).map_err(|mismatch| error(&mismatch))?;
        let settings = genesis.application.settings.parse().map_err(|mismatch| error(&mismatch))?;
        let (session, memory) = self.session_of(accounts, genesis, client)?;
        Ok(Network { session, memory, settings })
    }

    /// A session of a network, and what this home remembers of it.
    pub(crate) fn session_of(&self, accounts: &Accounts, genesis: Genesis, client: Client) -> Result<(Session, Memory), CommandError> {
        let memory = Memory::new(accounts.directory(), genesis.hash());
        let session = Session::new(client, LightClient::new(genesis)?).with_pace(self.pace).remembering(memory.seen()?);
        Ok((session, memory))
    }

    /// The genesis, from a file or by its hash from a node, and a client of the nodes.
    pub(crate) async fn genesis(&self, out: &Output) -> Result<(Genesis, Client), CommandError> {
        let client = self.node.client()?;
        let file = match &self.genesis {
            Some(file) => Some(file.clone()),
            None => Some(self.home()?.join(GENESIS_FILE)).filter(|file| file.exists()),
        };
        let genesis = match (file, self.genesis_hash) {
            (Some(file), wanted) => expect(load(&file)?, wanted)?,
            (None, Some(wanted)) => {
                // The hash says it all: a node can send another genesis, but none with this hash.
                let _progress = out.progress("fetching the genesis");
                let read = |json: &[u8]| expect(parse(Path::new("the node's genesis"), json)?, Some(wanted));
                // What is wrong with a genesis is told in its own words.
                let quoted = |error: CommandError| CommandError { message: foreign(&error.message), ..error };
                read(&client.genesis_json(|json| read(json).is_ok()).await?).map_err(|error| quoted(error.into()))?
            }
            (None, None) => {
                return Err(CommandError::failure("no-genesis", "there is no genesis to check the nodes' answers against").with_hint(
                    "give --genesis FILE, or --genesis-hash HASH to fetch it from a node; either from a source that you trust",
                ));
            }
        };
        Ok((genesis, client))
    }
}

/// An account of the bank, proved; the default if it is proved to have no record.
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
