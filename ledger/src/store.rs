//! What the ledger asks of a disk: ordered columns of keys and values, and atomic batches.

use std::path::PathBuf;

use crate::schema::Column;

/// A key and its value.
pub type Entry = (Box<[u8]>, Box<[u8]>);

/// A disk. The value is a handle: clones are the same disk, and may be used from any thread.
///
/// Batches reach the disk in the order of the calls: what a crash loses is always a tail of them, never one with a later one kept.
///
/// After one failed write or sync nothing is known about what the disk holds, and asking again would only hide that: the store then refuses
/// every further call, and the process stops (`StoreError` is fatal to its caller).
pub trait Store: Clone + Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The keys from `from` on, ascending, with their values. Reads on as it is used and holds no more than a piece in memory. Keys that are
    /// written meanwhile may or may not be seen.
    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a>;

    /// Applies a batch, all of it or nothing. It can still be lost in a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Applies a batch, all of it or nothing. When this returns, the batch and every one before it survive a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write_sync(&self, batch: Batch) -> Result<(), StoreError>;

    /// What of the history could not be read since the store was opened.
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
    /// How many.
    pub reads: u64,
    /// What was wrong first.
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
    /// Where.
    pub column: Column,
    /// Which key.
    pub key: Box<[u8]>,
    /// Its new value; `None` removes the key.
    pub value: Option<Box<[u8]>>,
}

impl Batch {
    /// No changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a key. The last change of a key holds.
    pub fn put(&mut self, column: Column, key: impl Into<Box<[u8]>>, value: impl Into<Box<[u8]>>) {
        self.entries.push(BatchEntry { column, key: key.into(), value: Some(value.into()) });
    }

    /// Removes a key; does nothing if there is none.
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

/// Why a store does not do what it was asked. Fatal but for [`Self::Damaged`]: the process stops before it signs anything else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system failed, or a checksum did.
    #[error("the disk failed: {0}; check the disk and its free space, then start again")]
    Disk(String),
    /// A part of the history cannot be read: old blocks, their results, or where they stand. Nothing that this validator signs rests on it,
    /// so the store goes on.
    #[error(
        "a part of the history on disk cannot be read (column {column:?}: {reason}); nothing that is signed rests on it, so this validator goes on, and refers whoever asks for it to the others. Check the disk, whose next error may stop it"
    )]
    Damaged {
        /// Where.
        column: Column,
        /// What the store says.
        reason: String,
    },
    /// The store has failed before and does nothing any more.
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
        /// What the store says.
        reason: String,
    },
    /// Written by a version that stores something else.
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
    /// A bug of ours: a column that was not opened.
    #[error("column {0:?} is not open")]
    NoColumn(Column),
}
