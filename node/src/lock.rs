//! One process per data directory. Two processes that vote with one key, each with its own safety record, are how a validator ends up
//! equivocating.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The lock on a data directory; released on drop, and by the system however the process ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

/// The process that holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its id, as far as known.
    pub(crate) pid: Option<u32>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("the data directory {} is in use by {holder}", directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// The process that holds the lock, as far as known.
        holder: String,
    },
    /// The lock file cannot be opened, locked or written.
    #[error("cannot lock the data directory {}: {source}", directory.display())]
    Io {
        /// The data directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Bytes of the lock file that are read back.
const NOTE_BYTES_MAX: u64 = 64;

impl DataLock {
    /// Takes the lock on an existing directory.
    pub(crate) fn take(directory: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { directory: directory.into(), source };
        let path = directory.join("lock");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse { directory: directory.into(), holder: Holder::of(&file).to_string() });
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Whether a process holds the lock on a directory; false if that cannot be determined.
    pub(crate) fn is_held(directory: &Path) -> bool {
        Self::holder(directory).is_ok_and(|holder| holder.is_some())
    }

    /// The process that holds the lock on a directory, if one does.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked: it is not known.
    pub(crate) fn holder(directory: &Path) -> io::Result<Option<Holder>> {
        let file = match File::open(directory.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(Holder::of(&file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Holder {
    fn of(file: &File) -> Self {
        let mut note = String::new();
        // The process id is only a help in messages; they do without it if it cannot be read.
        Self { pid: file.take(NOTE_BYTES_MAX).read_to_string(&mut note).ok().and_then(|_| note.trim().parse().ok()) }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_directory_and_the_process_until_the_first_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!DataLock::is_held(directory.path()));
        let first = DataLock::take(directory.path()).unwrap();
        assert_eq!(DataLock::holder(directory.path()).unwrap(), Some(Holder { pid: Some(std::process::id()) }));
        let refused = DataLock::take(directory.path()).unwrap_err().to_string();
        assert!(refused.contains(&directory.path().display().to_string()), "{refused}");
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(!DataLock::is_held(directory.path()));
        assert!(DataLock::take(directory.path()).is_ok());
    }

    #[test]
    fn a_lock_that_cannot_be_opened_is_not_one_that_nobody_holds() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(DataLock::holder(directory.path()).unwrap(), None);
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(DataLock::holder(&file).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let message = DataLock::take(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
