//! What outlives a validator's process: its disk and its witness, the file beside the key that records how far the key has signed.

use std::fmt;

use quorate_ledger::Store;
use quorate_replica::{MemoryWitness, WitnessFile};
use quorate_types::crypto::PublicKey;

use crate::{
    disk::{Durable, SimStore},
    random::Random,
};

/// A validator's disk and witness.
pub trait Home: fmt::Debug {
    /// A store. The value is a handle.
    type Disk: Store + fmt::Debug;

    /// The validator's store.
    fn disk(&self) -> &Self::Disk;

    /// The file beside the key, created on first use.
    fn witness(&mut self, key: PublicKey) -> Box<dyn WitnessFile>;

    /// The disk's durable safety record and number of syncs.
    fn durable(&self) -> Durable;
}

/// The usual home: a [`SimStore`] and a witness in memory.
#[derive(Debug, Default)]
pub struct SimHome {
    /// The disk.
    pub disk: SimStore,
    /// The witness beside the key; `None` until it is first used.
    pub witness: Option<MemoryWitness>,
}

impl SimHome {
    /// An independent home with the same content.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { disk: self.disk.snapshot(), witness: self.witness.as_ref().map(MemoryWitness::snapshot) }
    }

    /// Cuts the power and returns the number of unsynced batches lost.
    pub fn crash(&self, random: &mut Random) -> usize {
        self.disk.crash(random)
    }

    /// Clears the failures armed for writes to the disk and the witness.
    pub fn repair(&self) {
        self.disk.repair();
        self.repair_witness();
    }

    /// Clears the failures armed for writes to the witness.
    pub fn repair_witness(&self) {
        self.witness.iter().for_each(MemoryWitness::repair);
    }
}

impl Home for SimHome {
    type Disk = SimStore;

    fn disk(&self) -> &SimStore {
        &self.disk
    }

    fn witness(&mut self, key: PublicKey) -> Box<dyn WitnessFile> {
        Box::new(self.witness.get_or_insert_with(|| MemoryWitness::of_new_key(key)).clone())
    }

    fn durable(&self) -> Durable {
        self.disk.durable()
    }
}
