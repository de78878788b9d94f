//! A disk in memory, for tests and the simulator. In a crash it loses what a real disk may lose, and it fails on request.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    schema::Column,
    store::{Batch, Entry, Store, StoreError},
};

type Table = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// How many keys an iterator copies at a time, at first and at most.
const PIECES: (usize, usize) = (4, 1_024);

/// A disk in memory. The value is a handle: clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
}

/// A column, a key, and the value that a batch replaced there; `None` if there was none.
type Replaced = (Column, Box<[u8]>, Option<Box<[u8]>>);

#[derive(Clone, Default)]
struct Disk {
    /// Everything written, synced or not.
    tables: BTreeMap<Column, Table>,
    /// For each batch since the last sync, oldest first, the values that it replaced, in the order of its changes.
    unsynced: Vec<Vec<Replaced>>,
    /// Writes that succeed before one fails; `None` if none is to fail.
    writes_left: Option<usize>,
    /// Syncs that succeed before one fails; `None` if none is to fail.
    syncs_left: Option<usize>,
    /// The failure after which every call is refused.
    failed: Option<String>,
}

impl MemoryStore {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power: of the batches written since the last sync, the first `keep_unsynced` survive and become durable. An injected failure
    /// is over: the next process finds a working disk.
    pub fn crash(&self, keep_unsynced: usize) {
        let mut disk = self.lock();
        while disk.unsynced.len() > keep_unsynced {
            for (column, key, before) in disk.unsynced.pop().into_iter().flatten().rev() {
                disk.set(column, key, before);
            }
        }
        disk.unsynced.clear();
        disk.work_again();
    }

    /// Ends the process but not the machine: nothing written is lost, and an injected failure is over for the next process.
    pub fn reopen(&self) {
        self.lock().work_again();
    }

    /// The number of batches that a crash could lose.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Lets the next `count` writes succeed and the one after them fail without effect. From then on everything fails until a [`Self::crash`]
    /// or [`Self::reopen`].
    pub fn fail_writes_after(&self, count: usize) {
        self.lock().writes_left = Some(count);
    }

    /// Lets the next `count` synced writes succeed and the sync of the one after them fail: its batch is written, but a crash may lose it. From
    /// then on everything fails until a [`Self::crash`] or [`Self::reopen`].
    pub fn fail_syncs_after(&self, count: usize) {
        self.lock().syncs_left = Some(count);
    }

    /// Another disk with the same content, synced and unsynced.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { disk: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// A panic of another thread in a test cannot leave a batch half applied, because nothing in [`Self::apply`] panics.
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        let mut disk = self.lock();
        disk.check()?;
        if let Some(left) = disk.writes_left {
            let Some(left) = left.checked_sub(1) else {
                let error = String::from("an injected write error");
                disk.failed = Some(error.clone());
                return Err(StoreError::Disk(error));
            };
            disk.writes_left = Some(left);
        }
        let sync_fails = sync && disk.syncs_left == Some(0);
        // A synced batch is never undone.
        let is_final = sync && !sync_fails;
        let mut replaced = Vec::with_capacity(if is_final { 0 } else { batch.entries().len() });
        for entry in batch {
            let undo = (!is_final).then(|| entry.key.clone());
            let before = disk.set(entry.column, entry.key, entry.value);
            replaced.extend(undo.map(|key| (entry.column, key, before)));
        }
        if is_final {
            disk.syncs_left = disk.syncs_left.map(|left| left.saturating_sub(1));
            disk.unsynced.clear();
            return Ok(());
        }
        disk.unsynced.push(replaced);
        if sync_fails {
            let error = String::from("an injected sync error");
            disk.failed = Some(error.clone());
            return Err(StoreError::Disk(error));
        }
        Ok(())
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let disk = self.lock();
        write!(f, "MemoryStore({} keys, {} batches unsynced)", disk.tables.values().map(Table::len).sum::<usize>(), disk.unsynced.len())
    }
}

impl Disk {
    /// Sets or removes a value; returns the previous one.
    fn set(&mut self, column: Column, key: Box<[u8]>, value: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        let table = self.tables.entry(column).or_default();
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        }
    }

    fn work_again(&mut self) {
        self.writes_left = None;
        self.syncs_left = None;
        self.failed = None;
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(first) => Err(StoreError::Stopped { first: first.clone() }),
            None => Ok(()),
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let disk = self.lock();
        disk.check()?;
        Ok(disk.tables.get(&column).and_then(|table| table.get(key)).map(|value| value.to_vec()))
    }

    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a> {
        let mut next = Some(Bound::Included(Box::from(from)));
        let (mut size, most) = PIECES;
        let pieces = std::iter::from_fn(move || {
            let piece = self.piece(column, next.take()?, size);
            if let Ok(piece) = &piece
                && piece.len() == size
            {
                next = piece.last().map(|(key, _)| Bound::Excluded(key.clone()));
                size = size.saturating_mul(4).min(most);
            }
            Some(piece)
        });
        Box::new(pieces.flat_map(|piece| match piece {
            Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.apply(batch, false)
    }

    fn write_sync(&self, batch: Batch) -> Result<(), StoreError> {
        self.apply(batch, true)
    }
}

impl MemoryStore {
    fn piece(&self, column: Column, from: Bound<Box<[u8]>>, size: usize) -> Result<Vec<Entry>, StoreError> {
        let disk = self.lock();
        disk.check()?;
        let Some(table) = disk.tables.get(&column) else { return Ok(Vec::new()) };
        Ok(table.range((from, Bound::Unbounded)).take(size).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &[u8], value: &[u8]) -> Batch {
        let mut batch = Batch::new();
        batch.put(Column::Meta, key, value);
        batch
    }

    fn get(store: &MemoryStore, key: &[u8]) -> Option<Vec<u8>> {
        store.get(Column::Meta, key).unwrap()
    }

    #[test]
    fn a_crash_loses_a_tail_of_the_unsynced_batches() {
        for keep in 0..=4 {
            let store = MemoryStore::new();
            store.write(put(b"a", b"0")).unwrap();
            store.write_sync(put(b"b", b"0")).unwrap();
            for i in 1..=3u8 {
                store.write(put(b"a", &[i])).unwrap();
            }
            assert_eq!(store.unsynced(), 3);
            store.crash(keep);
            let expected = [b"0".to_vec(), vec![1], vec![2], vec![3], vec![3]];
            assert_eq!(get(&store, b"a"), Some(expected[keep].clone()));
            assert_eq!(get(&store, b"b"), Some(b"0".to_vec()));
            assert_eq!(store.unsynced(), 0);
        }
    }

    #[test]
    fn a_crash_undoes_all_of_a_batch_in_which_a_key_occurs_twice() {
        let store = MemoryStore::new();
        store.write_sync(put(b"a", b"old")).unwrap();
        let mut batch = put(b"a", b"1");
        batch.delete(Column::Meta, *b"a");
        batch.put(Column::Meta, *b"a", *b"2");
        batch.put(Column::State, *b"c", *b"3");
        store.write(batch).unwrap();
        assert_eq!(get(&store, b"a"), Some(b"2".to_vec()));
        store.crash(0);
        assert_eq!(get(&store, b"a"), Some(b"old".to_vec()));
        assert_eq!(store.get(Column::State, b"c").unwrap(), None);
    }

    #[test]
    fn after_one_failed_write_everything_is_refused_until_the_next_start() {
        let store = MemoryStore::new();
        store.fail_writes_after(1);
        store.write(put(b"a", b"1")).unwrap();
        assert!(matches!(store.write_sync(put(b"a", b"2")), Err(StoreError::Disk(_))));
        assert!(matches!(store.write(put(b"a", b"3")), Err(StoreError::Stopped { .. })));
        assert!(store.get(Column::Meta, b"a").is_err());
        assert!(store.scan(Column::Meta, b"", 9).is_err());
        store.crash(1);
        assert_eq!(get(&store, b"a"), Some(b"1".to_vec()));
    }

    #[test]
    fn after_a_failed_sync_the_batch_may_be_there_or_not() {
        for (keep, expected) in [(0, b"0"), (1, b"1"), (2, b"2")] {
            let store = MemoryStore::new();
            store.write_sync(put(b"a", b"0")).unwrap();
            store.fail_syncs_after(0);
            store.write(put(b"a", b"1")).unwrap();
            assert!(matches!(store.write_sync(put(b"a", b"2")), Err(StoreError::Disk(_))));
            assert!(matches!(store.write_sync(put(b"a", b"3")), Err(StoreError::Stopped { .. })));
            assert_eq!(store.unsynced(), 2);
            store.crash(keep);
            assert_eq!(get(&store, b"a"), Some(expected.to_vec()));
            store.write_sync(put(b"a", b"4")).unwrap();
        }
    }

    #[test]
    fn a_process_that_ends_loses_nothing_of_what_was_written() {
        let store = MemoryStore::new();
        store.write(put(b"a", b"1")).unwrap();
        store.fail_writes_after(0);
        assert!(store.write(put(b"a", b"2")).is_err());
        store.reopen();
        assert_eq!(get(&store, b"a"), Some(b"1".to_vec()));
        assert_eq!(store.unsynced(), 1, "a power cut may still lose it");
        store.write(put(b"a", b"3")).unwrap();
    }

    #[test]
    fn an_iterator_goes_through_one_column_in_order_across_pieces() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        let count = u32::try_from(PIECES.1 * 2 + 5).unwrap();
        for i in (0..count).rev() {
            batch.put(Column::State, i.to_be_bytes(), i.to_le_bytes());
            batch.put(Column::Receipts, i.to_be_bytes(), *b"other");
        }
        store.write(batch).unwrap();
        let seen: Vec<_> = store.iter(Column::State, &7u32.to_be_bytes()).map(|entry| entry.unwrap().1.to_vec()).collect();
        assert_eq!(seen, (7..count).map(|i| i.to_le_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(store.scan(Column::State, b"", 3).unwrap().len(), 3);
    }

    #[test]
    fn a_snapshot_is_another_disk() {
        let store = MemoryStore::new();
        store.write(put(b"a", b"1")).unwrap();
        let other = store.snapshot();
        store.write(put(b"a", b"2")).unwrap();
        other.crash(0);
        assert_eq!(get(&other, b"a"), None);
        assert_eq!(get(&store, b"a"), Some(b"2".to_vec()));
    }
}
