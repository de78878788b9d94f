//! What the database of a stopped validator says: the committee now, and what the validator has signed. It is opened for reading alone, so this
//! command may be run as another user, and changes nothing.

use std::{path::Path, sync::Arc};

use quorate_keygen::ValidatorPublic;
use quorate_ledger::{Column, LedgerReader, MemoryStore, RocksOptions, RocksStore, Store};
use quorate_replica::{MemoryWitness, SafetyState, TransferError};
use quorate_signer::RemoteSigner;
use quorate_terminal::shell_word;
use quorate_types::{
    committee::Committee,
    crypto::PublicKey,
    ids::GenesisHash,
    message::PROTOCOL_VERSION_MAX,
    round::{Height, UnixMillis},
    slots::FILE_BYTES,
    state_key::ADDRESSES_KEY,
    witness::{History, Witness},
};

use super::{
    access::{RUN_AS, closed},
    finding::Finding,
};
use crate::{
    addresses::{self, Moved},
    config::Config,
    home::Home,
};

/// The chain in a database.
#[derive(Debug)]
pub(super) struct Chain {
    store: RocksStore,
    pub(super) committee: Arc<Committee>,
    pub(super) moved: Moved,
    height: Height,
    protocol_version: u32,
    /// The time of the first block.
    pub(super) first: Option<UnixMillis>,
}

/// Why a database was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// This user may not read it, or a process may have it open. That says nothing about it.
    NotTried(String),
    /// Something is wrong with it.
    Failed(String),
}

impl Chain {
    /// Reads a database that no process has open.
    pub(super) fn read(database: &Path) -> Result<Self, Unread> {
        Self::open(database).map_err(|error| closed(database).map_or(Unread::Failed(error), Unread::NotTried))
    }

    fn open(database: &Path) -> Result<Self, String> {
        let store = RocksStore::open_read_only(database, RocksOptions::default()).map_err(|error| error.to_string())?;
        let reader = LedgerReader::new(store.clone());
        let read = || {
            let height = reader.height()?;
            let header = reader.header_at(height)?;
            let epoch = header.map_or_else(Default::default, |header| header.epoch);
            // The last block of an epoch begins the next one.
            let state = match reader.epoch(epoch.next())? {
                Some(next) => Some(next),
                None => reader.epoch(epoch)?,
            };
            Ok((height, state, reader.header_at(Height(1))?.map(|header| header.timestamp)))
        };
        let (height, state, first) = read().map_err(|error: quorate_ledger::LedgerError| error.to_string())?;
        let state = state.ok_or("it has no epoch")?;
        let committee = state.committee().map_err(|error| error.to_string())?;
        let moved = store.get(Column::State, ADDRESSES_KEY).map_err(|error| error.to_string())?;
        Ok(Self { moved: addresses::decode(moved.as_deref()), store, committee, height, protocol_version: state.protocol_version, first })
    }
}

pub(super) fn database(home: &Home, chain: Option<&Result<Chain, Unread>>) -> Finding {
    let path = home.database();
    match chain {
        None => Finding::ok("database", format!("there is none in {}: the chain comes from the other validators", home.data().display())),
        Some(Ok(chain)) if chain.protocol_version > PROTOCOL_VERSION_MAX => Finding::fault(
            "database",
            format!("the chain speaks version {} of the protocol, and this program up to {PROTOCOL_VERSION_MAX}", chain.protocol_version),
            "install the release that the other validators run",
        ),
        Some(Ok(chain)) => Finding::ok(
            "database",
            format!("height {}, epoch {}, protocol version {}", chain.height, chain.committee.epoch(), chain.protocol_version),
        ),
        Some(Err(Unread::NotTried(reason))) => Finding::not_checked("database", reason, RUN_AS),
        Some(Err(Unread::Failed(error))) => Finding::fault(
            "database",
            format!("{}: {error}", path.display()),
            "see \"Lost or old data\" in docs/operate.md: restore data/ as it was at the last stop, or `quorate node recover`",
        ),
    }
}

/// What the key has signed: whether the record is there, whole, and this key's. `chain` is the database of a stopped validator, if it has one.
pub(super) fn record(
    home: &Home,
    public: &ValidatorPublic,
    genesis: GenesisHash,
    is_running: bool,
    chain: Option<&Result<Chain, Unread>>,
) -> Finding {
    const LOST: &str = "see \"Lost or old data\" in docs/operate.md";
    let (file, key) = (home.witness_file(), public.consensus_key);
    let bytes = match read_slots(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Finding::not_checked("record", format!("{}: {error}", file.display()), RUN_AS);
        }
        Err(error) => {
            let home = shell_word(home.path());
            let fix = format!(
                "copy it from where the key ran last, as it was at the last stop; if it is lost: quorate node recover --no-other-process --home {home}"
            );
            return Finding::fault("record", format!("{}: {error}", file.display()), fix);
        }
    };
    let Ok((_, witness)) = Witness::read(&bytes) else {
        return Finding::fault("record", format!("{} is damaged", file.display()), LOST);
    };
    if witness.key != key {
        let seen = format!("{} is of the key {}, and the key file of {key}", file.display(), witness.key);
        return Finding::fault("record", seen, "use two files that `quorate keygen validator` made together");
    }
    if let Some(mark) = witness.mark().filter(|mark| mark.genesis != genesis) {
        let seen = format!("the key has signed on the network with genesis {}, and this is {genesis}", mark.genesis);
        return Finding::fault("record", seen, "use that network's genesis, or make a new key for this one");
    }
    let noted = match witness.history {
        History::Stopped(_, stop) => {
            let seen = format!("the key was stopped for ever: it has signed {stop}, which this validator does not remember");
            let fix = "stop the other process with this key; then have the committee replace the key (\"Other keys\" in docs/operate.md)";
            return Finding::fault("record", seen, fix);
        }
        History::Moved(mark) => {
            let seen = format!("the record was exported at round {}: the key signs on another machine, or will", mark.round);
            let home = shell_word(home.path());
            let fix = format!("start that one; or, if it never signs: quorate node safety import FILE --home {home}");
            return Finding::fault("record", seen, fix);
        }
        History::Signed(mark) => format!("signed up to round {}, record {}", mark.round, mark.count),
        History::Unused => "the key has signed nothing yet".into(),
    };
    let compared = match chain {
        _ if is_running => return Finding::ok("record", noted),
        Some(Err(_)) => {
            return Finding::not_checked(
                "record",
                format!("{noted}, as far as {} says", file.display()),
                "see the finding on the database",
            );
        }
        Some(Ok(chain)) => compare(&chain.store, key, bytes, genesis),
        None => compare(&MemoryStore::new(), key, bytes, genesis),
    };
    match compared {
        Ok(_) | Err(TransferError::Unused) => Finding::ok("record", noted),
        Err(TransferError::Abstains) => Finding::warning(
            "record",
            "the validator has lost its memory, and signs nothing until it knows that nothing it may have signed can matter",
            "start it, and let it finish: the check `signs` of /readyz says how far it is",
        ),
        Err(error) => Finding::fault("record", error, LOST),
    }
}

/// Compares a store with the content of the witness, as a start would. What a start writes to the witness is written to a copy in memory.
fn compare<S: Store>(store: &S, key: PublicKey, witness: Vec<u8>, genesis: GenesisHash) -> Result<SafetyState, TransferError> {
    let copy = MemoryWitness::of_new_key(key);
    copy.set_bytes(witness);
    SafetyState::export(store, Box::new(copy), key, genesis)
}

/// The file of the witness, which a running validator may be writing: one of its two slots is whole.
fn read_slots(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    std::fs::File::open(file)?.take(u64::try_from(FILE_BYTES).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the signer answers, if one is configured.
pub(super) fn signer(home: &Home, config: &Config, public: &ValidatorPublic, genesis: GenesisHash) -> Option<Finding> {
    let socket = &config.node.signer;
    if socket.as_os_str().is_empty() {
        return None;
    }
    let socket = home.path().join(socket);
    Some(match RemoteSigner::new(socket.clone(), public.consensus_key, genesis).connect() {
        Ok(()) => Finding::ok("signer", format!("{} answers, with this validator's key", socket.display())),
        Err(error) => Finding::fault("signer", error, "start the signer (`quorate signer run`), or correct node.signer"),
    })
}
