//! A validator's disk under watch: the ledger's [`MemoryStore`], with a [`Trap`] at every write.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quorate_harness::{
    disk::{Durable, DurableRecord},
    random::Random,
};
use quorate_ledger::{Batch, Column, Entry, MemoryStore, Store, StoreError};
use quorate_types::ids::ValidatorId;

use super::{
    site::{self, IdBytes},
    trap::{Act, Trap},
};

/// The trap, shared by all disks and files of a world.
pub(super) type SharedTrap = Arc<Mutex<Trap>>;

/// Locks, ignoring poison: a panic while the lock is held ends the run anyway.
pub(super) fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle to the disk.
#[derive(Clone, Debug)]
pub(super) struct WatchedStore {
    whose: ValidatorId,
    memory: MemoryStore,
    seen: Arc<Mutex<Seen>>,
    trap: SharedTrap,
}

#[derive(Debug, Default)]
struct Seen {
    /// The power is off: every operation fails until [`WatchedStore::crash`].
    off: bool,
    durable: Durable,
    fetched: BTreeSet<IdBytes>,
}

impl WatchedStore {
    pub(super) fn new(whose: ValidatorId, trap: SharedTrap) -> Self {
        Self { whose, memory: MemoryStore::new(), seen: Arc::default(), trap }
    }

    /// An independent, unwatched copy of the disk.
    pub(super) fn snapshot(&self) -> MemoryStore {
        self.memory.snapshot()
    }

    /// Cuts the power: loses a tail of the unsynced batches, sometimes all or none, and returns how many.
    pub(super) fn crash(&self, random: &mut Random) -> usize {
        let unsynced = self.memory.unsynced();
        let kept = match random.below(3) {
            0 => 0,
            1 => unsynced,
            _ => random.index(unsynced.saturating_add(1)),
        };
        self.memory.crash(kept);
        let record = self.record();
        let mut seen = locked(&self.seen);
        seen.off = false;
        seen.durable.record = record;
        unsynced.saturating_sub(kept)
    }

    /// The durable safety record and the number of syncs.
    pub(super) fn durable(&self) -> Durable {
        locked(&self.seen).durable
    }

    /// Notes that a block came in an answer to a request of this validator.
    pub(super) fn fetched(&self, id: IdBytes) {
        locked(&self.seen).fetched.insert(id);
    }

    /// Whether the disk is empty.
    pub(super) fn is_new(&self) -> bool {
        self.memory.scan(Column::Meta, &[], 1).is_ok_and(|found| found.is_empty())
    }

    fn record(&self) -> Option<DurableRecord> {
        DurableRecord::read(&self.memory.get(Column::Safety, b"record").ok()??)
    }

    fn check(&self) -> Result<(), StoreError> {
        if locked(&self.seen).off { Err(power_off()) } else { Ok(()) }
    }

    fn apply(&self, batch: Batch, sync: bool) -> Result<(), StoreError> {
        self.check()?;
        let recorded = self.record().map_or(0, |record| record.epoch);
        let sites = site::sites(&batch, &locked(&self.seen).fetched, recorded);
        let act = {
            let mut trap = locked(&self.trap);
            if sites.is_empty() && !batch.is_empty() {
                trap.stray = Some(format!("{:?}", batch.entries().iter().map(|entry| entry.column).collect::<BTreeSet<_>>()));
            }
            trap.on_batch(self.whose, &sites, sync)
        };
        match act {
            Act::FailBefore => {}
            Act::Pass | Act::FailAfter if sync => {
                self.memory.write_sync(batch)?;
                let record = self.record();
                let durable = &mut locked(&self.seen).durable;
                *durable = Durable { record, syncs: durable.syncs.saturating_add(1) };
            }
            Act::Pass | Act::FailAfter | Act::FailUnsynced => self.memory.write(batch)?,
        }
        if act == Act::Pass {
            return Ok(());
        }
        locked(&self.seen).off = true;
        Err(power_off())
    }
}

fn power_off() -> StoreError {
    StoreError::Disk("the power is off".into())
}

impl Store for WatchedStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.memory.get(column, key)
    }

    fn iter<'a>(&'a self, column: Column, from: &[u8]) -> Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a> {
        match self.check() {
            Ok(()) => self.memory.iter(column, from),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.apply(batch, false)
    }

    fn write_sync(&self, batch: Batch) -> Result<(), StoreError> {
        self.apply(batch, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash_points::{Instant, Point, Site};

    const ME: ValidatorId = ValidatorId(0);

    fn block(id: &[u8]) -> Batch {
        let mut batch = Batch::new();
        batch.put(Column::Pending, [b"rrrrrrrr", id].concat(), *b"block");
        batch
    }

    fn disk(instant: Instant) -> WatchedStore {
        let trap = SharedTrap::default();
        locked(&trap).arm(Point { site: Site::BlockInsert, instant }, BTreeSet::from([ME]), 1);
        WatchedStore::new(ME, trap)
    }

    fn holds(disk: &WatchedStore) -> bool {
        disk.memory.get(Column::Pending, b"rrrrrrrra").unwrap().is_some()
    }

    #[test]
    fn a_power_cut_leaves_what_its_instant_says() {
        let disk_before = disk(Instant::BeforeWrite);
        assert!(disk_before.write(block(b"a")).is_err() && disk_before.get(Column::Meta, b"x").is_err());
        disk_before.crash(&mut Random::new(1));
        assert!(!holds(&disk_before));

        let mut survived = BTreeSet::new();
        for seed in 0..20 {
            let disk = disk(Instant::AfterWrite);
            // The batch survives only sometimes, although a sync was asked for.
            assert!(disk.write_sync(block(b"a")).is_err());
            disk.crash(&mut Random::new(seed));
            survived.insert(holds(&disk));
        }
        assert_eq!(survived.len(), 2, "the batch must sometimes survive and sometimes be lost");

        let disk_after = disk(Instant::AfterSync);
        disk_after.write(block(b"a")).unwrap();
        assert!(disk_after.write_sync(block(b"b")).is_err());
        disk_after.crash(&mut Random::new(1));
        assert!(holds(&disk_after));
        assert!(disk_after.write(block(b"c")).is_ok());
    }

    #[test]
    fn a_write_that_belongs_nowhere_is_noticed() {
        let disk = disk(Instant::BeforeWrite);
        let mut batch = Batch::new();
        batch.put(Column::Receipts, *b"key", *b"value");
        disk.write(batch).unwrap();
        assert!(locked(&disk.trap).stray.is_some());
    }
}
