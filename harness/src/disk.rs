//! The simulated disk: the ledger's [`MemoryStore`], which loses unsynced batches in a crash. It also counts syncs, because they take time,
//! and knows the safety record that would survive a power cut at this moment (SAFE-4).
//!
//! It models what the real store promises. `RocksDB` appends every batch to one log, as one record with a checksum, and recovery reads the
//! log up to the first incomplete record. So:
//! * A power cut leaves a prefix of the unsynced batches. A torn batch ends that prefix: no later batch survives an earlier one, even if its
//!   pages reached the disk.
//! * After a failed sync, nothing is known about the writes since the last good one. The process must stop without signing; the next one
//!   again finds a prefix, which may contain the very batch whose sync failed.
//! * A full disk refuses a batch as a whole. The process stops; earlier writes are still there.
//! * If the disk is replaced by an older copy or an empty one, the witness reveals it, and the validator does not start (SAFE-6). If the
//!   witness is an older copy too, it reveals nothing, and the validator counts as Byzantine: *lost or stale safety state is a lost key*.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quorate_ledger::{Batch, Column, Entry, MemoryStore, Store, StoreError};

use crate::random::Random;

/// Key of the safety record in its column (replica/src/persistence.rs).
const RECORD: &[u8] = b"record";

/// The counters of a safety record, decoded independently from the layout that consensus/src/safety documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurableRecord {
    /// The epoch that the rounds belong to.
    pub epoch: u64,
    /// No vote or timeout of a lower round will be signed.
    pub highest_vote_round: u64,
    /// No timeout with a lower certificate will be signed.
    pub highest_qc_round: u64,
    /// No proposal of this or a lower round will be signed.
    pub last_proposed_round: u64,
    /// Round of the last vote; `None` before the first one.
    pub last_vote_round: Option<u64>,
    /// Round of the last timeout; `None` before the first one.
    pub last_timeout_round: Option<u64>,
}

impl DurableRecord {
    /// ```text
    /// version u8 | genesis hash 32 | epoch u64 | highest vote round u64 | highest QC round u64 | last proposed round u64
    ///      | last vote    (option: block id 32 | round u64 | parent id 32 | parent round u64 | state id 32
    ///                              | genesis hash 32 | epoch u64 | committed state id (option: 32) | hash 32)
    ///      | last timeout (option: round u64 | ...) | ...
    /// ```
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        rest.skip(1 + 32)?;
        let epoch = rest.number()?;
        let (highest_vote_round, highest_qc_round, last_proposed_round) = (rest.number()?, rest.number()?, rest.number()?);
        let mut last_vote_round = None;
        if rest.is_some()? {
            rest.skip(32)?;
            last_vote_round = Some(rest.number()?);
            rest.skip(32 + 8 + 32 + 32 + 8)?;
            if rest.is_some()? {
                rest.skip(32)?;
            }
            rest.skip(32)?;
        }
        let last_timeout_round = if rest.is_some()? { Some(rest.number()?) } else { None };
        Some(Self { epoch, highest_vote_round, highest_qc_round, last_proposed_round, last_vote_round, last_timeout_round })
    }
}

/// Reads bytes from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// Reads the tag of an option.
    fn is_some(&mut self) -> Option<bool> {
        let (tag, rest) = self.0.split_first()?;
        self.0 = rest;
        match tag {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// What a power cut at this moment would leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The safety record; `None` before the first one.
    pub record: Option<DurableRecord>,
    /// Number of syncs so far.
    pub syncs: u64,
}

/// A handle to a validator's disk, which outlives the process that uses it.
#[derive(Clone, Default)]
pub struct SimStore {
    memory: MemoryStore,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The newest record written since the last sync.
    unsynced: Option<DurableRecord>,
    durable: Option<DurableRecord>,
    syncs: u64,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStore({:?})", self.lock())
    }
}

impl SimStore {
    /// Cuts the power: loses a random tail of the unsynced batches, and returns how many.
    pub(crate) fn crash(&self, random: &mut Random) -> usize {
        let unsynced = self.memory.unsynced();
        let kept = random.index(unsynced.saturating_add(1));
        self.memory.crash(kept);
        // Surviving batches are durable, even if their sync failed.
        let record = self.memory.get(Column::Safety, RECORD).ok().flatten().and_then(|bytes| DurableRecord::read(&bytes));
        let mut seen = self.lock();
        seen.unsynced = None;
        seen.durable = record;
        unsynced.saturating_sub(kept)
    }

    /// An independent disk with the same content.
    pub(crate) fn snapshot(&self) -> Self {
        let seen = self.lock();
        let copy = Seen { unsynced: seen.unsynced, durable: seen.durable, syncs: seen.syncs };
        Self { memory: self.memory.snapshot(), seen: Arc::new(Mutex::new(copy)) }
    }

    /// Makes the sync of the nth synced write from now on fail (0 is the next one), and every write after it.
    pub fn fail_at_sync(&self, nth: usize) {
        self.memory.fail_syncs_after(nth);
    }

    /// Ends the process but not the machine: the next process finds everything that was written.
    pub fn reopen(&self) {
        self.memory.reopen();
    }

    /// Makes every write from the nth on fail (0 is the next one).
    pub fn fail_at_write(&self, nth: usize) {
        self.memory.fail_writes_after(nth);
    }

    /// Clears all armed failures.
    pub(crate) fn repair(&self) {
        self.memory.fail_writes_after(usize::MAX);
        self.memory.fail_syncs_after(usize::MAX);
    }

    /// The durable safety record and the number of syncs.
    pub(crate) fn durable(&self) -> Durable {
        let seen = self.lock();
        Durable { record: seen.durable, syncs: seen.syncs }
    }

    /// Number of keys, and total bytes of keys and values.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn size(&self) -> Result<(usize, usize), StoreError> {
        let (mut keys, mut bytes) = (0usize, 0usize);
        for entry in Column::ALL.into_iter().flat_map(|column| self.memory.iter(column, &[])) {
            let (key, value) = entry?;
            keys = keys.saturating_add(1);
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        }
        Ok((keys, bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, record: Option<DurableRecord>, sync: bool) {
        let mut seen = self.lock();
        if record.is_some() {
            seen.unsynced = record;
        }
        if sync {
            seen.syncs = seen.syncs.saturating_add(1);
            if let Some(record) = seen.unsynced.take() {
                seen.durable = Some(record);
            }
        }
    }
}

/// The safety record in a batch.
fn record_in(batch: &Batch) -> Option<DurableRecord> {
    let entry = batch.entries().iter().rev().find(|entry| entry.column == Column::Safety && *entry.key == *RECORD)?;
    DurableRecord::read(entry.value.as_deref()?)
}

impl Store for SimStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(column, key)
    }

    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a> {
        self.memory.iter(column, from)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let record = record_in(&batch);
        self.memory.write(batch)?;
        self.note(record, false);
        Ok(())
    }

    fn write_sync(&self, batch: Batch) -> Result<(), StoreError> {
        let record = record_in(&batch);
        self.memory.write_sync(batch)?;
        self.note(record, true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        codec,
        ids::{BlockId, GenesisHash, StateId},
        message::Message,
    };

    use super::*;
    use crate::invariants::examples;

    fn record(vote: u64) -> Batch {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&[9; 32]);
        for number in [0, vote, 2, 3] {
            bytes.extend_from_slice(&u64::to_le_bytes(number));
        }
        // Neither a last vote nor a last timeout.
        bytes.extend_from_slice(&[0, 0]);
        let mut batch = Batch::new();
        batch.put(Column::Safety, RECORD, bytes);
        batch
    }

    #[test]
    fn knows_what_a_power_cut_would_leave() {
        let disk = SimStore::default();
        assert_eq!(disk.durable().record, None);
        disk.write_sync(record(7)).unwrap();
        let durable = DurableRecord { highest_vote_round: 7, highest_qc_round: 2, last_proposed_round: 3, ..DurableRecord::default() };
        assert_eq!(disk.durable().record, Some(durable));
        disk.write(record(8)).unwrap();
        assert_eq!(disk.durable().record, Some(durable));
        disk.write_sync(Batch::new()).unwrap();
        assert_eq!(disk.durable().record.unwrap().highest_vote_round, 8);
        assert_eq!(disk.durable().syncs, 2);
        let (keys, bytes) = disk.size().unwrap();
        assert!(keys == 1 && bytes > 40, "the record, written twice: {keys} keys of {bytes} bytes");
    }

    #[test]
    fn reads_the_last_vote_and_the_last_timeout_of_a_record() {
        let Message::Vote(vote) = examples::vote(1, 7, 6, BlockId::default()) else { unreachable!() };
        let mut committing = vote.commit_info;
        committing.commit_state_id = Some(StateId::default());
        let counters = codec::encode(&(1u8, GenesisHash::default(), 0u64, 9u64, 6u64, 3u64));
        for commit_info in [vote.commit_info, committing] {
            let last_vote = codec::encode(&Some((vote.vote_info, commit_info)));
            let read = |timeout: &[u8]| DurableRecord::read(&[&counters, &last_vote, timeout].concat()).unwrap();
            assert_eq!((read(&[0]).last_vote_round, read(&[0]).last_timeout_round), (Some(7), None));
            let timeout = read(&codec::encode(&Some((9u64, 5u64))));
            assert_eq!((timeout.highest_vote_round, timeout.last_vote_round, timeout.last_timeout_round), (9, Some(7), Some(9)));
            assert_eq!(DurableRecord::read(&[&counters[..], &last_vote[..]].concat()), None, "truncated");
        }
    }

    #[test]
    fn what_fails_at_a_write_is_not_durable() {
        let disk = SimStore::default();
        disk.fail_at_write(1);
        disk.write_sync(record(7)).unwrap();
        assert!(disk.write_sync(record(8)).is_err());
        assert_eq!(disk.durable().record.unwrap().highest_vote_round, 7);
        disk.crash(&mut Random::new(1));
        disk.write_sync(record(9)).unwrap();
        assert_eq!(disk.durable().record.unwrap().highest_vote_round, 9);
    }

    #[test]
    fn a_record_whose_sync_failed_may_survive_or_not() {
        let mut survived = [false; 2];
        for seed in 0..20 {
            let disk = SimStore::default();
            disk.write_sync(record(7)).unwrap();
            disk.fail_at_sync(0);
            assert!(disk.write_sync(record(8)).is_err());
            assert_eq!(disk.durable().record.unwrap().highest_vote_round, 7, "a failed sync makes nothing durable");
            let lost = disk.crash(&mut Random::new(seed));
            assert_eq!(disk.durable().record.unwrap().highest_vote_round, if lost == 0 { 8 } else { 7 });
            survived[lost] = true;
        }
        assert_eq!(survived, [true; 2]);
    }

    #[test]
    fn a_snapshot_stays_as_it_is() {
        let disk = SimStore::default();
        disk.write_sync(record(7)).unwrap();
        let old = disk.snapshot();
        disk.write_sync(record(8)).unwrap();
        assert_eq!(old.durable().record.unwrap().highest_vote_round, 7);
        assert_eq!(old.get(Column::Safety, RECORD).unwrap().map(|bytes| bytes[41]), Some(7));
    }
}
