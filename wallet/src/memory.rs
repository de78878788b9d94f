//! What a home remembers of a network, so that no node can make it forget: the newest block that was proved, and every transaction whose fate
//! is not.
//!
//! ```text
//! wallet/networks/GENESIS HASH/seen                  the newest block that was proved, as JSON
//!                             /ADDRESS/lock          held while a transaction of this account is numbered
//!                             /ADDRESS/NUMBER-ID.tx  a signed transaction, byte for byte; there before its first byte leaves this machine
//! ```
//! A transaction is written before it is sent, and removed when it is proved that it is in the chain, or never will be. Each file is there
//! whole or not at all, whenever the power fails.

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
/// The pause between two attempts at a lock.
const GLANCE: Duration = Duration::from_millis(10);

/// The memory of one network in one home.
#[derive(Clone, Debug)]
pub(crate) struct Memory(PathBuf);

/// The right to number a transaction of an account; given back when dropped.
#[derive(Debug)]
pub(crate) struct Numbering {
    _lock: File,
}

impl Memory {
    /// The memory of a network below a wallet's directory. Touches no disk.
    pub(crate) fn new(wallet: &Path, genesis: GenesisHash) -> Self {
        Self(wallet.join(NETWORKS).join(genesis.to_string()))
    }

    /// The newest block that was proved.
    pub(crate) fn seen(&self) -> Result<Option<Seen>, CommandError> {
        let path = self.0.join(SEEN);
        let Some(bytes) = absent(private_file::read(&path).map_err(CommandError::from), &path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            CommandError::failure("memory", format!("{} cannot be read: {error}", path.display()))
                .with_hint("remove the file: the wallet then no longer notices answers that are older than what it knew")
        })
    }

    /// Remembers a block, unless a newer one is remembered already.
    pub(crate) fn remember(&self, new: Seen) -> Result<(), CommandError> {
        private_directory(&self.0)?;
        // Held for a moment only, so waiting for it is no matter.
        let lock = open_lock(&self.0)?;
        lock.lock().map_err(|error| failed(&self.0, &error))?;
        if self.seen()?.is_some_and(|seen| seen.height >= new.height) {
            return Ok(());
        }
        let path = self.0.join(SEEN);
        let text = serde_json::to_vec(&new).map_err(|error| CommandError::failure("memory", error))?;
        whole_file::replace(&SystemFiles, &path, &text, FILE_MODE).map_err(|error| failed(&path, &error))
    }

    /// Waits until no other process numbers a transaction of this account.
    pub(crate) async fn number(&self, account: Address, deadline: Instant) -> Result<Numbering, CommandError> {
        let directory = self.directory(account);
        private_directory(&directory)?;
        let lock = open_lock(&directory)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Numbering { _lock: lock }),
                Err(TryLockError::Error(error)) => return Err(failed(&directory, &error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let message = "another process of this wallet has been numbering a transaction of this account all the while";
                    return Err(CommandError::new(Exit::Failure, "busy", message).with_hint("nothing was sent; try again"));
                }
                Err(TryLockError::WouldBlock) => sleep(GLANCE).await,
            }
        }
    }

    /// The account's transactions whose fate is not proved, by number.
    pub(crate) fn pending(&self, account: Address) -> Result<Vec<Transaction>, CommandError> {
        let directory = self.directory(account);
        let mut pending = Vec::new();
        for entry in absent(fs::read_dir(&directory).map_err(|error| failed(&directory, &error)), &directory)?.into_iter().flatten() {
            let path = entry.map_err(|error| failed(&directory, &error))?.path();
            // Beside the transactions there are the lock, and what is left of a write that the power cut off.
            if path.extension().is_none_or(|extension| extension != "tx") {
                continue;
            }
            // Another process may have learnt its fate meanwhile.
            let Some(bytes) = absent(private_file::read(&path).map_err(CommandError::from), &path)? else { continue };
            let tx = Transaction::decode(Arc::from(&bytes[..])).ok().filter(|tx| tx.sender() == account && self.path(tx) == path);
            pending.push(tx.ok_or_else(|| {
                CommandError::failure("memory", format!("{} is not a transaction of this account", path.display()))
                    .with_hint("it was written by another version, or changed; move it away when you know what became of it")
            })?);
        }
        pending.sort_by_key(|tx| (tx.content().sequence, tx.id()));
        Ok(pending)
    }

    /// Keeps a transaction until its fate is proved. It survives a power cut when this returns.
    pub(crate) fn keep(&self, tx: &Transaction) -> Result<(), CommandError> {
        let directory = self.directory(tx.sender());
        private_directory(&directory)?;
        private_file::create(&self.path(tx), tx.raw(), Secrecy::Private)?;
        // The directories may be new as well: ADDRESS, GENESIS HASH, networks, wallet. To sync one that is not costs nothing.
        for parent in directory.ancestors().skip(1).take(4) {
            SystemFiles.sync_directory(parent).map_err(|error| failed(parent, &error))?;
        }
        Ok(())
    }

    /// The transaction of this id, if it is one of those whose fate is not proved.
    pub(crate) fn find(&self, id: TxId) -> Result<Option<Transaction>, CommandError> {
        for account in self.accounts()? {
            if let Some(tx) = self.pending(account)?.into_iter().find(|tx| tx.id() == id) {
                return Ok(Some(tx));
            }
        }
        Ok(None)
    }

    /// The accounts that have sent something from here, by address.
    pub(crate) fn accounts(&self) -> Result<Vec<Address>, CommandError> {
        let mut accounts = Vec::new();
        for entry in absent(fs::read_dir(&self.0).map_err(|error| failed(&self.0, &error)), &self.0)?.into_iter().flatten() {
            let name = entry.map_err(|error| failed(&self.0, &error))?.file_name();
            accounts.extend(name.to_str().and_then(|name| name.parse::<Address>().ok()));
        }
        accounts.sort_unstable();
        Ok(accounts)
    }

    /// Forgets a transaction whose fate is proved, or which never left this machine.
    pub(crate) fn forget(&self, tx: &Transaction) -> Result<(), CommandError> {
        let path = self.path(tx);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Forgets every transaction with the number of this one, which is committed: a number is used once.
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

/// Nothing where there is no such file.
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
        .with_hint("the wallet must be able to write there: it keeps what it sends until its fate is proved")
}

#[cfg(test)]
mod tests {
    use quorate_client::Seen;
    use quorate_types::round::{Height, Round, UnixMillis};

    use super::*;

    fn seen(height: u64) -> Seen {
        Seen { height: Height(height), round: Round(height), timestamp: UnixMillis(height) }
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
