//! What a home remembers of a network, so that no node can make the wallet forget it: the newest proved block, and every transaction whose fate
//! is not proved.
//!
//! ```text
//! wallet/networks/GENESIS HASH/seen                  the newest proved block, as JSON
//!                             /lock                  held while `seen` is replaced
//!                             /ADDRESS/lock          held while a transaction of this account is numbered
//!                             /ADDRESS/NUMBER-ID.tx  a signed transaction, byte for byte; written before its first byte is sent
//! ```
//! A transaction is written before it is sent, and removed when it is proved to be in the chain, or never to be. Files are written
//! atomically.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use quorate_client::Seen;
use quorate_keygen::{
    private_file::{self, Secrecy, private_directory},
    whole_file::{self, Files, SystemFiles},
};
use quorate_terminal::{CommandError, Exit};
use quorate_types::{
    ids::{Address, GenesisHash, TxId},
    transaction::Transaction,
};
use tokio::time::{Instant, sleep};

const NETWORKS: &str = "networks";
const SEEN: &str = "seen";
const LOCK: &str = "lock";
const FILE_MODE: u32 = 0o600;
/// Pause between two attempts to take a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What one home remembers of one network: the directory.
#[derive(Clone, Debug)]
pub(crate) struct Memory(PathBuf);

/// The right to number transactions of an account; released when dropped.
#[derive(Debug)]
pub(crate) struct Numbering {
    _lock: File,
}

impl Memory {
    /// The memory of a network below a wallet's directory. Does not touch the disk.
    pub(crate) fn new(wallet: &Path, genesis: GenesisHash) -> Self {
        Self(wallet.join(NETWORKS).join(genesis.to_string()))
    }

    /// The newest proved block.
    pub(crate) fn seen(&self) -> Result<Option<Seen>, CommandError> {
        let path = self.0.join(SEEN);
        let Some(bytes) = absent(private_file::read(&path).map_err(CommandError::from), &path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            CommandError::failure("memory", format!("{} is not valid: {error}", path.display()))
                .with_hint("remove the file; the wallet then no longer notices answers older than what was proved before")
        })
    }

    /// Remembers a block, unless one as new is remembered already.
    pub(crate) fn remember(&self, new: Seen) -> Result<(), CommandError> {
        private_directory(&self.0)?;
        // Held only briefly, so blocking is fine.
        let lock = open_lock(&self.0)?;
        lock.lock().map_err(|error| failed(&self.0, &error))?;
        if self.seen()?.is_some_and(|seen| (seen.epoch, seen.height) >= (new.epoch, new.height)) {
            return Ok(());
        }
        let path = self.0.join(SEEN);
        let text = serde_json::to_vec(&new).map_err(|error| CommandError::failure("memory", error))?;
        whole_file::replace(&SystemFiles, &path, &text, FILE_MODE).map_err(|error| failed(&path, &error))
    }

    /// Waits until no other process is numbering a transaction of this account.
    pub(crate) async fn number(&self, account: Address, deadline: Instant) -> Result<Numbering, CommandError> {
        let directory = self.directory(account);
        private_directory(&directory)?;
        let lock = open_lock(&directory)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Numbering { _lock: lock }),
                Err(TryLockError::Error(error)) => return Err(failed(&directory, &error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let message = "another wallet process held the lock on this account's sequence numbers the whole time";
                    return Err(CommandError::new(Exit::Failure, "busy", message).with_hint("nothing was sent; try again"));
                }
                Err(TryLockError::WouldBlock) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The account's transactions whose fate is not proved, by sequence number.
    pub(crate) fn pending(&self, account: Address) -> Result<Vec<Transaction>, CommandError> {
        let directory = self.directory(account);
        let mut pending = Vec::new();
        for entry in absent(fs::read_dir(&directory).map_err(|error| failed(&directory, &error)), &directory)?.into_iter().flatten() {
            let path = entry.map_err(|error| failed(&directory, &error))?.path();
            // The directory also holds the lock, and drafts left by a power cut.
            if path.extension().is_none_or(|extension| extension != "tx") {
                continue;
            }
            // Another process may have settled it in the meantime.
            let Some(bytes) = absent(private_file::read(&path).map_err(CommandError::from), &path)? else { continue };
            let tx = Transaction::decode(Arc::from(&bytes[..])).ok().filter(|tx| tx.sender() == account && self.path(tx) == path);
            pending.push(tx.ok_or_else(|| {
                CommandError::failure("memory", format!("{} is not a transaction of this account", path.display()))
                    .with_hint("it was written by another version, or modified; move it away once you know the transaction's outcome")
            })?);
        }
        pending.sort_by_key(|tx| (tx.content().sequence, tx.id()));
        Ok(pending)
    }

    /// Saves a transaction until its fate is proved. On return it is durable.
    pub(crate) fn keep(&self, tx: &Transaction) -> Result<(), CommandError> {
        let directory = self.directory(tx.sender());
        private_directory(&directory)?;
        private_file::create(&self.path(tx), tx.raw(), Secrecy::Private)?;
        // The directories may be new too: ADDRESS, GENESIS HASH, networks, wallet. Syncing an old one costs little.
        for parent in directory.ancestors().skip(1).take(4) {
            SystemFiles.sync_directory(parent).map_err(|error| failed(parent, &error))?;
        }
        Ok(())
    }

    /// The transaction with this id, if it is saved here.
    pub(crate) fn find(&self, id: TxId) -> Result<Option<Transaction>, CommandError> {
        for account in self.accounts()? {
            if let Some(tx) = self.pending(account)?.into_iter().find(|tx| tx.id() == id) {
                return Ok(Some(tx));
            }
        }
        Ok(None)
    }

    /// Addresses of the accounts that have sent from here.
    pub(crate) fn accounts(&self) -> Result<Vec<Address>, CommandError> {
        let mut accounts = Vec::new();
        for entry in absent(fs::read_dir(&self.0).map_err(|error| failed(&self.0, &error)), &self.0)?.into_iter().flatten() {
            let name = entry.map_err(|error| failed(&self.0, &error))?.file_name();
            accounts.extend(name.to_str().and_then(|name| name.parse::<Address>().ok()));
        }
        accounts.sort_unstable();
        Ok(accounts)
    }

    /// Forgets a transaction whose fate is proved, or which was never sent.
    pub(crate) fn forget(&self, tx: &Transaction) -> Result<(), CommandError> {
        let path = self.path(tx);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Forgets every transaction with the sequence number of this one, which is committed: a sequence number is used once.
    pub(crate) fn forget_number_of(&self, tx: &Transaction) -> Result<(), CommandError> {
        let sequence = tx.content().sequence;
        self.pending(tx.sender())?.iter().filter(|kept| kept.content().sequence == sequence).try_for_each(|kept| self.forget(kept))
    }

    fn directory(&self, account: Address) -> PathBuf {
        self.0.join(account.to_string())
    }

    fn path(&self, tx: &Transaction) -> PathBuf {
        self.directory(tx.sender()).join(format!("{}-{}.tx", tx.content().sequence, tx.id()))
    }
}

/// `None` if the file does not exist.
fn absent<T>(result: Result<T, CommandError>, path: &Path) -> Result<Option<T>, CommandError> {
    match result {
        Err(_) if matches!(path.try_exists(), Ok(false)) => Ok(None),
        result => result.map(Some),
    }
}

fn open_lock(directory: &Path) -> Result<File, CommandError> {
    let path = directory.join(LOCK);
    OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path).map_err(|error| failed(&path, &error))
}

fn failed(path: &Path, error: &io::Error) -> CommandError {
    CommandError::failure("memory", format!("{}: {error}", path.display()))
        .with_hint("the wallet must be able to write there: it saves each transaction until its fate is proved")
}

#[cfg(test)]
mod tests {
    use quorate_client::Seen;
    use quorate_types::round::{Epoch, Height, Round, UnixMillis};

    use super::*;

    fn seen(height: u64) -> Seen {
        Seen { epoch: Epoch(0), height: Height(height), round: Round(height), timestamp: UnixMillis(height) }
    }

    #[test]
    fn the_newest_block_is_remembered_and_never_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let memory = Memory::new(home.path(), GenesisHash::default());
        assert_eq!(memory.seen().unwrap(), None);
        memory.remember(seen(7)).unwrap();
        memory.remember(seen(3)).unwrap();
        assert_eq!(memory.seen().unwrap(), Some(seen(7)));
        assert_eq!(Memory::new(home.path(), "1".repeat(64).parse().unwrap()).seen().unwrap(), None, "another network");
        fs::write(memory.0.join(SEEN), "x").unwrap();
        assert!(memory.seen().unwrap_err().hint.unwrap().contains("remove"));
    }

    #[tokio::test]
    async fn one_process_numbers_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let memory = Memory::new(home.path(), GenesisHash::default());
        let first = memory.number(Address::default(), Instant::now()).await.unwrap();
        assert_eq!(memory.number(Address::default(), Instant::now()).await.unwrap_err().code, "busy");
        drop(first);
        memory.number(Address::default(), Instant::now()).await.unwrap();
    }
}
