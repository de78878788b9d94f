//! A file that is written in place, open and locked: the record beside a key that says how far it has signed.
//!
//! It is written in place, so that a systemd unit can grant write access to this one file; its two slots survive a torn write
//! ([`quorate_types::slots`]). It stays locked while it is open, so that two processes never write it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use quorate_types::slots::FILE_BYTES;

/// The file, open and locked.
#[derive(Debug)]
pub struct SlotFile {
    path: PathBuf,
    file: File,
}

/// Why the file cannot be opened.
#[derive(Debug)]
pub enum SlotFileError {
    /// It does not exist.
    Missing,
    /// Another process has locked it.
    InUse,
    /// The system's error.
    Io(io::Error),
}

impl SlotFile {
    /// Opens and locks the file, which must exist.
    ///
    /// # Errors
    /// [`SlotFileError`].
    pub fn open(path: &Path) -> Result<Self, SlotFileError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SlotFileError::Missing,
            _ => SlotFileError::Io(error),
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), file }),
            Err(TryLockError::WouldBlock) => Err(SlotFileError::InUse),
            Err(TryLockError::Error(error)) => Err(SlotFileError::Io(error)),
        }
    }

    /// The file's name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file; what is missing at its end reads as zeros, so that slots there do not decode.
    ///
    /// # Errors
    /// The system's error.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        // If the last process ended between a write and its sync, that write may be only in the page cache, where we would read and rely on it.
        self.file.sync_data()?;
        let mut bytes = vec![0; FILE_BYTES];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    /// Overwrites bytes at an offset; returns once they are on stable storage.
    ///
    /// # Errors
    /// The system's error. What the file holds is not known then.
    pub fn write_sync(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at as u64).and_then(|()| self.file.sync_data())
    }
}
