//! What the ledger requires of a disk: ordered columns of keys and values, and atomic batches.

use std::path::PathBuf;

use crate::schema::Column;

/// A key and its value.
pub type Entry = (Box<[u8]>, Box<[u8]>);

/// A disk. The value is a handle: clones are the same disk and can be used from any thread.
///
/// Batches reach the disk in the order of the calls: a crash always loses a tail of them, never a batch before one that survives.
///
/// After a failed write or sync, the content of the disk is unknown, and a retry would only hide that: the store then refuses every further
/// call, and the process stops (`StoreError` is fatal to its caller).
pub trait Store: Clone + Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The keys from `from` on, ascending, with their values. Reads lazily and holds only a piece of the column in memory. Keys written
    /// meanwhile may or may not be seen.
    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a>;

    /// Applies a batch atomically. A crash can still lose it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Applies a batch atomically. Once this returns, the batch and all batches before it survive a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write_sync(&self, batch: Batch) -> Result<(), StoreError>;

    /// The history that could not be read since the store was opened.
    fn damage(&self) -> Damage {
        Damage::default()
    }

    /// At most `limit` keys from `from` on, ascending, with their values.
    ///
    /// # Errors
    /// [`StoreError`].
    fn scan(&self, column: Column, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.iter(column, from).take(limit).collect()
    }
}

/// Reads of history that failed ([`StoreError::Damaged`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The number of failed reads.
    pub reads: u64,
    /// The first of their errors.
    pub first: Option<StoreError>,
}

/// Changes that reach the disk together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    entries: Vec<BatchEntry>,
}

/// One change of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// The column to change.
    pub column: Column,
    /// The key to set or remove.
    pub key: Box<[u8]>,
    /// Its new value; `None` removes the key.
    pub value: Option<Box<[u8]>>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a key. The last change of a key wins.
    pub fn put(&mut self, column: Column, key: impl Into<Box<[u8]>>, value: impl Into<Box<[u8]>>) {
        self.entries.push(BatchEntry { column, key: key.into(), value: Some(value.into()) });
    }

    /// Removes a key; does nothing if it is absent.
    pub fn delete(&mut self, column: Column, key: impl Into<Box<[u8]>>) {
        self.entries.push(BatchEntry { column, key: key.into(), value: None });
    }

    /// The changes in order.
    #[must_use]
    pub fn entries(&self) -> &[BatchEntry] {
        &self.entries
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl IntoIterator for Batch {
    type Item = BatchEntry;
    type IntoIter = std::vec::IntoIter<BatchEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Why a store call failed. All but [`Self::Damaged`] are fatal: the process stops before it signs anything else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system failed, or a checksum did not match.
    #[error("the disk failed: {0}; check the disk and its free space, then start again")]
    Disk(String),
    /// A part of the history cannot be read: old blocks, their results, or their positions. Nothing that this validator signs depends on it,
    /// so the store keeps working.
    #[error(
        "a part of the history on disk cannot be read (column {column:?}: {reason}); nothing that this validator signs depends on it, so it keeps running and refers requests for that part to the other validators. Check the disk: its next error may stop the validator"
    )]
    Damaged {
        /// The damaged column.
        column: Column,
        /// The underlying error.
        reason: String,
    },
    /// The store has failed before and refuses every call.
    #[error("the store stopped after an earlier failure ({first}); check the disk and its free space, then start again")]
    Stopped {
        /// The earlier failure.
        first: String,
    },
    /// Another process has the directory open.
    #[error("the data directory {} is in use by another process; stop that one, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be opened.
    #[error("the data directory {} cannot be opened: {reason}", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// The underlying error.
        reason: String,
    },
    /// The directory was written by a version with another layout.
    #[error(
        "the data directory {} was written by another version of this program ({reason}); start that version, or choose another directory",
        path.display()
    )]
    OtherVersion {
        /// The directory.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Our bug: a column that was not opened.
    #[error("column {0:?} is not open")]
    NoColumn(Column),
}
