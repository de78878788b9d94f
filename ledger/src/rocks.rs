//! The store of a real validator, on `RocksDB`. Only this file names it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Direction, IteratorMode, LogLevel, Options,
    WriteBatch, WriteOptions,
};

use crate::{
    schema::Column,
    store::{Batch, Damage, Entry, Store, StoreError},
};

/// Limits on the memory, threads and files of a store. The defaults suit four validators on a machine with two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Most bytes of written data buffered in memory, all columns together.
    pub write_buffer_bytes: usize,
    /// Bytes of read data cached in memory, all columns together.
    pub cache_bytes: usize,
    /// Most threads that flush and compact data.
    pub background_jobs: i32,
    /// Most open files.
    pub open_files: i32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self { write_buffer_bytes: 48 << 20, cache_bytes: 32 << 20, background_jobs: 2, open_files: 512 }
    }
}

/// Bytes of write-ahead log after which the columns that still need it are flushed. Bounds the time to open after a crash.
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Bytes per file of `RocksDB`'s own text log, and the number of such files to keep.
const LOG_FILE: (usize, usize) = (1 << 20, 2);

/// A `RocksDB` directory. The value is a handle; dropping the last handle closes the directory.
#[derive(Clone)]
pub struct RocksStore {
    inner: Arc<Inner>,
}

struct Inner {
    db: DB,
    path: PathBuf,
    /// The first failure. After it the disk is not used again: a failed fsync may have dropped the very pages it should have kept, and a
    /// second fsync that succeeds would then vouch for lost data.
    failed: OnceLock<String>,
    /// Failed reads of history, after which we keep running.
    damage: Mutex<Damage>,
}

impl RocksStore {
    /// Opens the directory; creates it if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it open, [`StoreError::OtherVersion`] if it has columns unknown to this version,
    /// otherwise [`StoreError::Open`].
    pub fn open(path: impl AsRef<Path>, options: RocksOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        create_directory(&path).map_err(|error| StoreError::Open { path: path.clone(), reason: error.to_string() })?;
        check_columns(&path)?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let columns = Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), column_options(&cache, options)));
        let db = DB::open_cf_descriptors(&database_options(options), &path, columns).map_err(|error| open_error(&path, &error))?;
        Ok(Self { inner: Arc::new(Inner { db, path, failed: OnceLock::new(), damage: Mutex::default() }) })
    }

    /// Opens a directory that exists for reading alone: nothing in it changes, whoever it belongs to, and every write fails. What a process
    /// that has it open writes meanwhile is not seen, and may make reads fail.
    ///
    /// # Errors
    /// [`StoreError::OtherVersion`] if it has columns unknown to this version, otherwise [`StoreError::Open`].
    pub fn open_read_only(path: impl AsRef<Path>, options: RocksOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        if !path.is_dir() {
            // The binding would make it.
            return Err(StoreError::Open { path, reason: "it is not a directory, or does not exist".into() });
        }
        check_columns(&path)?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let columns = Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), column_options(&cache, options)));
        let mut database = database_options(options);
        database.create_if_missing(false);
        database.create_missing_column_families(false);
        let db = DB::open_cf_descriptors_read_only(&database, &path, columns, false).map_err(|error| open_error(&path, &error))?;
        Ok(Self { inner: Arc::new(Inner { db, path, failed: OnceLock::new(), damage: Mutex::default() }) })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn write_with(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        self.inner.check()?;
        let mut inner_batch = WriteBatch::default();
        for entry in batch {
            let family = self.inner.family(entry.column)?;
            match entry.value {
                Some(value) => inner_batch.put_cf(family, entry.key, value),
                None => inner_batch.delete_cf(family, entry.key),
            }
        }
        let mut how = WriteOptions::default();
        how.set_sync(sync);
        self.inner.db.write_opt(inner_batch, &how).map_err(|error| self.inner.fail(&error))
    }
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RocksStore").field(&self.inner.path).finish()
    }
}

impl Inner {
    fn check(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            Some(first) => Err(StoreError::Stopped { first: first.clone() }),
            None => Ok(()),
        }
    }

    fn fail(&self, error: &rocksdb::Error) -> StoreError {
        let text = error.to_string();
        self.failed.get_or_init(|| text.clone());
        StoreError::Disk(text)
    }

    /// Handles a failed read. A bad sector or a flipped bit in a table of old blocks says nothing about later writes and syncs.
    fn fail_read(&self, column: Column, error: &rocksdb::Error) -> StoreError {
        if !column.is_history() {
            return self.fail(error);
        }
        let damaged = StoreError::Damaged { column, reason: error.to_string() };
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.reads = damage.reads.saturating_add(1);
        damage.first.get_or_insert_with(|| damaged.clone());
        damaged
    }

    fn family(&self, column: Column) -> Result<&rocksdb::ColumnFamily, StoreError> {
        self.db.cf_handle(column.name()).ok_or(StoreError::NoColumn(column))
    }
}

impl Store for RocksStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.check()?;
        self.inner.db.get_cf(self.inner.family(column)?, key).map_err(|error| self.inner.fail_read(column, &error))
    }

    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a> {
        let family = match self.inner.check().and_then(|()| self.inner.family(column)) {
            Ok(family) => family,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let entries = self.inner.db.iterator_cf(family, IteratorMode::From(from, Direction::Forward));
        Box::new(entries.map(move |entry| entry.map_err(|error| self.inner.fail_read(column, &error))))
    }

    fn damage(&self) -> Damage {
        self.inner.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.write_with(batch, false)
    }

    fn write_sync(&self, batch: Batch) -> Result<(), StoreError> {
        self.write_with(batch, true)
    }
}

/// Creates the directory so that it survives a power cut: its name is stored in its parent, which must be synced as well.
fn create_directory(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Refuses a directory with columns of another version before anything in it changes.
fn check_columns(path: &Path) -> Result<(), StoreError> {
    // RocksDB writes this file into every directory of its own.
    if !path.join("CURRENT").exists() {
        return Ok(());
    }
    let found = DB::list_cf(&Options::default(), path).map_err(|error| open_error(path, &error))?;
    let unknown: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|name| *name != rocksdb::DEFAULT_COLUMN_FAMILY_NAME && Column::ALL.iter().all(|column| column.name() != *name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(StoreError::OtherVersion { path: path.into(), reason: format!("it has the columns {}", unknown.join(", ")) })
}

fn open_error(path: &Path, error: &rocksdb::Error) -> StoreError {
    let (path, reason) = (path.to_path_buf(), error.to_string());
    // RocksDB names its lock file whether another process or another handle in this one holds it.
    if reason.contains("lock") && reason.contains("LOCK") { StoreError::InUse { path } } else { StoreError::Open { path, reason } }
}

fn database_options(options: RocksOptions) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    db.set_max_background_jobs(options.background_jobs);
    db.set_max_open_files(options.open_files);
    db.set_db_write_buffer_size(options.write_buffer_bytes);
    db.set_max_total_wal_size(WAL_BYTES_MAX);
    db.set_paranoid_checks(true);
    // A log file that is missing, or shorter than when it was synced, is an error and not a shorter history.
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_log_level(LogLevel::Warn);
    db.set_max_log_file_size(LOG_FILE.0);
    db.set_keep_log_file_num(LOG_FILE.1);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    // What recovery may drop. After a power cut the log normally ends in an incomplete record: it was never synced, so nothing was promised on
    // it, and it is dropped. Any other damage is in a record that may have been synced, perhaps that of a vote, and then the store must not
    // open.
    //   * AbsoluteConsistency refuses the torn end too: every power cut would need an operator.
    //   * PointInTime, the default, silently drops everything from the first bad record on: after one flipped bit before a vote's record, the
    //     validator has forgotten that it voted and may vote again (SAFE-1, SAFE-4).
    //   * TolerateCorruptedTailRecords drops only an incomplete last record and reports a bad checksum anywhere as corruption: what we need.
    // A file system that writes pages of the unsynced end out of order can cause such a report after a power cut although no synced data was
    // lost. Journalling file systems do not lengthen a file before its data is written, so this is rare, and stopping is safe.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db
}

fn column_options(cache: &Cache, options: RocksOptions) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    // Most lookups by hash find nothing.
    table.set_bloom_filter(10.0, false);
    let mut column = Options::default();
    column.set_block_based_table_factory(&table);
    column.set_compression_type(DBCompressionType::Lz4);
    // The database bounds all columns together; one column may take up to half of that.
    column.set_write_buffer_size(options.write_buffer_bytes / 2);
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(key: &[u8], value: &[u8]) -> Batch {
        let mut batch = Batch::new();
        batch.put(Column::Meta, key, value);
        batch
    }

    #[test]
    fn reading_alone_sees_what_is_there_and_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let none = home.path().join("none");
        let missing = RocksStore::open_read_only(&none, RocksOptions::default());
        assert!(matches!(missing, Err(StoreError::Open { .. })) && !none.exists(), "{missing:?}");
        let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
        store.write_sync(batch(b"a", b"1")).unwrap();
        let listed = || {
            let entries = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap());
            let mut listed: Vec<_> = entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().len())).collect();
            listed.sort();
            listed
        };
        let reads = |expected: &[u8]| {
            let before = listed();
            let reader = RocksStore::open_read_only(home.path(), RocksOptions::default()).unwrap();
            assert_eq!(reader.get(Column::Meta, b"a").unwrap().as_deref(), Some(expected));
            assert!(reader.write_sync(batch(b"a", b"3")).is_err());
            drop(reader);
            assert_eq!(listed(), before);
        };
        // Beside the process that has it open, and after it, from the log alone.
        reads(b"1");
        store.write_sync(batch(b"a", b"2")).unwrap();
        drop(store);
        reads(b"2");
    }

    #[test]
    fn what_is_written_is_there_after_opening_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        let store = RocksStore::open(&path, RocksOptions::default()).unwrap();
        let mut both = batch(b"a", b"1");
        both.put(Column::State, *b"s", *b"2");
        both.put(Column::State, *b"gone", *b"3");
        both.delete(Column::State, *b"gone");
        store.write(both).unwrap();
        store.write_sync(batch(b"b", b"4")).unwrap();
        drop(store);
        let store = RocksStore::open(&path, RocksOptions::default()).unwrap();
        assert_eq!(store.get(Column::Meta, b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(store.get(Column::Meta, b"b").unwrap(), Some(b"4".to_vec()));
        assert_eq!(store.get(Column::State, b"s").unwrap(), Some(b"2".to_vec()));
        assert_eq!(store.get(Column::State, b"gone").unwrap(), None);
    }

    #[test]
    fn iterates_one_column_in_order_from_a_key() {
        let home = tempfile::tempdir().unwrap();
        let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
        for i in [3u8, 1, 2, 0] {
            let mut batch = batch(&[i], b"other");
            batch.put(Column::Block, [i], [i]);
            store.write(batch).unwrap();
        }
        let keys: Vec<_> = store.iter(Column::Block, &[1]).map(|entry| entry.unwrap().0.to_vec()).collect();
        assert_eq!(keys, [[1], [2], [3]]);
        assert_eq!(store.scan(Column::Block, &[], 2).unwrap().len(), 2);
    }

    #[test]
    fn a_directory_in_use_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let first = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
        let error = RocksStore::open(home.path(), RocksOptions::default()).unwrap_err();
        assert_eq!(error, StoreError::InUse { path: home.path().into() });
        assert!(error.to_string().contains(&home.path().display().to_string()), "{error}");
        drop(first);
        assert!(RocksStore::open(home.path(), RocksOptions::default()).is_ok());
    }

    #[test]
    fn a_directory_with_columns_of_another_version_is_refused_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        {
            let mut db = DB::open(&database_options(RocksOptions::default()), home.path()).unwrap();
            db.create_cf("of-the-future", &Options::default()).unwrap();
        }
        let error = RocksStore::open(home.path(), RocksOptions::default()).unwrap_err();
        assert!(matches!(error, StoreError::OtherVersion { .. }), "{error}");
        assert!(error.to_string().contains("of-the-future"), "{error}");
        assert_eq!(DB::list_cf(&Options::default(), home.path()).unwrap().len(), 2);
    }

    #[test]
    fn after_one_failure_nothing_is_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
        store.write(batch(b"a", b"1")).unwrap();
        // An unrelated RocksDB error stands in for a failing disk.
        let error = DB::list_cf(&Options::default(), home.path().join("nothing")).unwrap_err();
        assert!(matches!(store.inner.fail(&error), StoreError::Disk(_)));
        assert!(matches!(store.write(batch(b"a", b"2")), Err(StoreError::Stopped { .. })));
        assert!(matches!(store.write_sync(batch(b"a", b"2")), Err(StoreError::Stopped { .. })));
        assert!(matches!(store.get(Column::Meta, b"a"), Err(StoreError::Stopped { .. })));
        assert!(matches!(store.scan(Column::Meta, &[], 1), Err(StoreError::Stopped { .. })));
    }

    /// Flips a bit of every table of a column.
    fn rot(path: &Path, column: Column) {
        // Opening the directory moves the content of the log into tables.
        drop(RocksStore::open(path, RocksOptions::default()).unwrap());
        let store = RocksStore::open(path, RocksOptions::default()).unwrap();
        let files = store.inner.db.live_files().unwrap();
        drop(store);
        let tables: Vec<_> = files.iter().filter(|file| file.column_family_name == column.name()).collect();
        assert!(!tables.is_empty(), "{column:?} has tables");
        for table in tables {
            let path = path.join(table.name.trim_start_matches('/'));
            let mut bytes = fs::read(&path).unwrap();
            bytes[10] ^= 0x10;
            fs::write(&path, bytes).unwrap();
        }
    }

    #[test]
    fn a_flipped_bit_in_history_is_told_and_counted_and_stops_nothing() {
        for column in Column::ALL {
            let home = tempfile::tempdir().unwrap();
            let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
            for key in 0..100u8 {
                let mut both = batch(&[key], &[key; 100]);
                both.put(column, [key], [key; 100]);
                store.write(both).unwrap();
            }
            drop(store);
            rot(home.path(), column);
            let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
            let (read, scanned) = (store.get(column, &[1]), store.scan(column, &[], 10));
            if column.is_history() {
                assert!(matches!(read, Err(StoreError::Damaged { column: at, .. }) if at == column), "{read:?}");
                assert!(matches!(scanned, Err(StoreError::Damaged { .. })), "{scanned:?}");
                assert_eq!((store.damage().reads, store.damage().first), (2, read.err()));
                store.write_sync(batch(b"new", b"value")).unwrap();
                assert_eq!(store.get(Column::Meta, b"new").unwrap(), Some(b"value".to_vec()));
            } else {
                assert!(matches!(read, Err(StoreError::Disk(_))), "{column:?}: {read:?}");
                assert!(matches!(store.write(batch(b"new", b"value")), Err(StoreError::Stopped { .. })), "{column:?}");
            }
        }
    }

    /// A copy of a store that was not closed, as a crash leaves it, and the paths of its logs.
    fn log_with(values: &[&[u8]]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let home = tempfile::tempdir().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let store = RocksStore::open(home.path(), RocksOptions::default()).unwrap();
        for value in values {
            store.write_sync(batch(b"a", value)).unwrap();
        }
        let mut logs = Vec::new();
        for entry in fs::read_dir(home.path()).unwrap() {
            let from = entry.unwrap().path();
            let to = copy.path().join(from.file_name().unwrap());
            fs::copy(&from, &to).unwrap();
            if to.extension().is_some_and(|extension| extension == "log") {
                logs.push(to);
            }
        }
        (copy, logs)
    }

    #[test]
    fn a_torn_end_of_the_log_is_dropped_and_everything_before_it_kept() {
        let (copy, logs) = log_with(&[b"first", b"second"]);
        for log in logs {
            let bytes = fs::read(&log).unwrap();
            fs::write(&log, &bytes[..bytes.len().saturating_sub(3)]).unwrap();
        }
        let store = RocksStore::open(copy.path(), RocksOptions::default()).unwrap();
        assert_eq!(store.get(Column::Meta, b"a").unwrap(), Some(b"first".to_vec()));
    }

    #[test]
    fn a_flipped_bit_in_the_log_is_never_taken_for_a_torn_end() {
        let (copy, logs) = log_with(&[b"first", b"second", b"third"]);
        for log in logs {
            let mut bytes = fs::read(&log).unwrap();
            let at = bytes.windows(6).position(|window| window == b"second").unwrap();
            bytes[at] ^= 1;
            fs::write(&log, bytes).unwrap();
        }
        let error = RocksStore::open(copy.path(), RocksOptions::default()).unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
    }
}
