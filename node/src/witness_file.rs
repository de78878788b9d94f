//! The witness on disk: `validator.signed`, the file beside the key that records how far it has signed (format: `quorate_types::witness`).
//!
//! It stays locked while it is open: a second process with the same key file is refused, wherever its data directory is.

use std::{
    io,
    path::{Path, PathBuf},
};

use quorate_keygen::slot_file::{SlotFile, SlotFileError};
use quorate_ledger::StoreError;
use quorate_replica::WitnessFile;

/// Why the witness cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file does not exist.
    #[error(
        "SAFE-6: {} is missing, so it is not known what this validator's key has signed. Copy it, together with the key, from where the key \
         was made or last ran; if it is lost, bring the validator back by `quorate node recover`, or make a new key (`quorate keygen validator`) \
         and have the committee replace this one (docs/operate.md, \"Lost or old data\")", .0.display()
    )]
    Missing(PathBuf),
    /// Another process has locked it.
    #[error("{} is in use by another process with this key; stop that process: one key, one process", .0.display())]
    InUse(PathBuf),
    /// The file cannot be opened or locked.
    #[error("{}: {error}; this process, and no other, must be able to read, write and lock it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// The witness file, open and locked.
#[derive(Debug)]
pub(crate) struct WitnessOnDisk(SlotFile);

impl WitnessOnDisk {
    /// Opens and locks the file, which must exist.
    pub(crate) fn open(path: &Path) -> Result<Self, WitnessError> {
        SlotFile::open(path).map(Self).map_err(|error| match error {
            SlotFileError::Missing => WitnessError::Missing(path.into()),
            SlotFileError::InUse => WitnessError::InUse(path.into()),
            SlotFileError::Io(error) => WitnessError::Io { path: path.into(), error },
        })
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        StoreError::Disk(format!("{}: {error}", self.0.path().display()))
    }
}

impl WitnessFile for WitnessOnDisk {
    fn read(&self) -> Result<Vec<u8>, StoreError> {
        self.0.read().map_err(|error| self.failed(&error))
    }

    fn write_sync(&self, at: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write_sync(at, bytes).map_err(|error| self.failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use quorate_types::witness::{History, WITNESS_BYTES, Witness};

    use super::*;
    use crate::testing::keys;

    #[test]
    fn what_is_written_is_read_back_and_the_file_is_neither_longer_nor_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("validator.signed");
        assert!(matches!(WitnessOnDisk::open(&path), Err(WitnessError::Missing(missing)) if missing == path));
        let key = keys(1).public().consensus_key;
        fs::write(&path, Witness::of_new_key(key)).unwrap();
        let file = WitnessOnDisk::open(&path).unwrap();
        assert!(matches!(WitnessOnDisk::open(&path), Err(WitnessError::InUse(_))));
        let (counter, witness) = Witness::read(&file.read().unwrap()).unwrap();
        let slot = Witness { history: History::Unused, ..witness }.slot(counter + 1);
        file.write_sync(slot.at, &slot.bytes).unwrap();
        assert_eq!(Witness::read(&file.read().unwrap()), Ok((counter + 1, witness)));
        assert_eq!(fs::metadata(&path).unwrap().len(), WITNESS_BYTES as u64);

        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10).unwrap();
        assert!(Witness::read(&file.read().unwrap()).is_err(), "a truncated file is an error, not a panic");
        drop(file);
        assert!(WitnessOnDisk::open(&path).is_ok());
    }
}
