//! One process for one data directory. Two that vote with one key, each with its own memory of what was voted, are how a validator
//! contradicts itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The lock on a data directory; given up when dropped, and by the system when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("the data directory {} is in use by {holder}", directory.display())]
    InUse {
        /// Which directory.
        directory: PathBuf,
        /// Who uses it, as far as it is known.
        holder: String,
    },
    /// The system did not let us.
    #[error("cannot lock the data directory {}: {source}", directory.display())]
    Io {
        /// Which directory.
        directory: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Longest lock file that is read back.
const NOTE_BYTES_MAX: u64 = 64;

impl DataLock {
    /// Takes the lock on a directory that exists.
    pub(crate) fn take(directory: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { directory: directory.into(), source };
        let path = directory.join("lock");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // The number only helps people; without it the message is as true.
                let pid = file.take(NOTE_BYTES_MAX).read_to_string(&mut note).ok().and_then(|_| note.trim().parse::<u32>().ok());
                let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                return Err(LockError::InUse { directory: directory.into(), holder });
            }
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Whether somebody holds the lock on a directory. Where that cannot be seen, nobody does.
    pub(crate) fn is_held(directory: &Path) -> bool {
        let file = File::open(directory.join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
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
        assert!(DataLock::is_held(directory.path()));
        let refused = DataLock::take(directory.path()).unwrap_err().to_string();
        assert!(refused.contains(&directory.path().display().to_string()), "{refused}");
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(!DataLock::is_held(directory.path()));
        assert!(DataLock::take(directory.path()).is_ok());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let message = DataLock::take(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/at/all"), "{message}");
    }
}
