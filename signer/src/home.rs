//! The layout of a signer's home, which only its user may read.
//!
//! ```text
//! <home>/consensus.key      the consensus key
//! <home>/consensus.signed   what the key may no longer sign (quorate_consensus::keeper); locked while the signer runs
//! <home>/signer.sock        the socket of the running signer
//! ```

use std::{
    io,
    path::{Path, PathBuf},
};

use quorate_consensus::keeper::{self, Keeper, KeeperDamaged, KeeperFile, Record};
use quorate_keygen::{
    KeyError, PassphraseSource, Sealing, ValidatorKeys, load_consensus_key,
    private_file::{self, Secrecy},
    save_consensus_key,
    slot_file::{SlotFile, SlotFileError},
};
use quorate_types::crypto::PublicKey;

/// Why a signer's home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The key cannot be read or written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The record does not exist.
    #[error(
        "{} is missing, so it is not known what the key has signed. Copy it from where the signer last ran; if it is lost, make a new key and have the committee \
         replace this one (docs/operating/rotating-a-key.md)", .0.display()
    )]
    Missing(PathBuf),
    /// Another signer has locked the record.
    #[error("{} is in use by another signer; stop that one: one key, one signer", .0.display())]
    InUse(PathBuf),
    /// The record cannot be opened, read or locked.
    #[error("{}: {error}; this process, and no other, must be able to read, write and lock it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The record is damaged or another key's.
    #[error("{}: {error}. Restore the file as it was at the last stop; if it is lost, make a new key and have the committee replace this one (docs/operating/rotating-a-key.md)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeeperDamaged,
    },
    /// A home of another key, or of the same key with another past.
    #[error(
        "{} holds another key, or this key with another past. Choose another directory; if `quorate signer init` was interrupted there and its signer never ran, \
         delete this one", .0.display()
    )]
    Taken(PathBuf),
}

/// A signer's home directory.
#[derive(Clone, Debug)]
pub struct SignerHome(PathBuf);

/// The record on disk.
#[derive(Debug)]
pub struct RecordOnDisk(SlotFile);

impl KeeperFile for RecordOnDisk {
    type Error = io::Error;

    fn write_sync(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let written = self.0.write_sync(at, bytes);
        if let Err(error) = &written {
            tracing::error!("{}: {error}", self.0.path().display());
        }
        written
    }
}

impl SignerHome {
    /// The home at this path. Does not touch the disk.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The socket, unless another one is chosen.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("signer.sock")
    }

    fn key_file(&self) -> PathBuf {
        self.0.join("consensus.key")
    }

    fn record_file(&self) -> PathBuf {
        self.0.join("consensus.signed")
    }

    /// Makes a home for a key with this record. The record is there before the key. A home that an interrupted call has left is completed.
    ///
    /// # Errors
    /// [`HomeError`]; what was there is not changed.
    pub fn create(&self, keys: &ValidatorKeys, record: &Record, sealing: &Sealing) -> Result<(), HomeError> {
        private_file::private_directory(&self.0)?;
        let (key, path) = (keys.consensus.public(), self.record_file());
        if path.exists() {
            let (held_key, held, _) = keeper::read_file(&self.open_record()?.read().map_err(|error| HomeError::Io { path, error })?)
                .map_err(|error| HomeError::Damaged { path: self.record_file(), error })?;
            if (held_key, &held) != (key, record) {
                return Err(HomeError::Taken(self.0.clone()));
            }
        } else {
            private_file::create(&path, &keeper::new_file(key, record), Secrecy::Private)?;
        }
        if !self.key_file().exists() {
            save_consensus_key(&self.key_file(), keys, sealing)?;
        }
        // The node forgets its copy next: this one must be the right one, and it must open.
        let source = match sealing {
            Sealing::Encrypted(source) => source.clone(),
            Sealing::InsecurePlaintext => PassphraseSource::Usual { file: None },
        };
        if load_consensus_key(&self.key_file(), &source)?.public() != key {
            return Err(HomeError::Taken(self.0.clone()));
        }
        Ok(())
    }

    /// The key in the record, and the record.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn show(&self) -> Result<(PublicKey, Record), HomeError> {
        let path = self.record_file();
        let content = std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => HomeError::Missing(path.clone()),
            _ => HomeError::Io { path: path.clone(), error },
        })?;
        let (key, record, _) = keeper::read_file(&content).map_err(|error| HomeError::Damaged { path, error })?;
        Ok((key, record))
    }

    /// Locks the record and unlocks the key.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn open(&self, source: &PassphraseSource) -> Result<Keeper<RecordOnDisk>, HomeError> {
        // The lock first: a second signer should hear that the first exists before it asks for a passphrase.
        let file = self.open_record()?;
        let key = load_consensus_key(&self.key_file(), source)?;
        let content = file.read().map_err(|error| HomeError::Io { path: self.record_file(), error })?;
        Keeper::open(key, RecordOnDisk(file), &content).map_err(|error| HomeError::Damaged { path: self.record_file(), error })
    }

    fn open_record(&self) -> Result<SlotFile, HomeError> {
        let path = self.record_file();
        SlotFile::open(&path).map_err(|error| match error {
            SlotFileError::Missing => HomeError::Missing(path),
            SlotFileError::InUse => HomeError::InUse(path),
            SlotFileError::Io(error) => HomeError::Io { path, error },
        })
    }
}
