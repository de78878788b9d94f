//! What of a validator outlives its process: its disk, and the file beside its key that says how far the key has signed.

use std::fmt;

use quorate_ledger::Store;
use quorate_replica::{MemoryWitness, WitnessFile};
use quorate_types::crypto::PublicKey;

use crate::{
    disk::{Durable, SimStore},
    random::Random,
};

/// See the module.
pub trait Home: fmt::Debug {
    /// The disk. The value is a handle.
    type Disk: Store + fmt::Debug;

    /// The disk.
    fn disk(&self) -> &Self::Disk;

    /// The file beside the key; made when it is first asked for.
    fn witness(&mut self, key: PublicKey) -> Box<dyn WitnessFile>;

    /// What the disk has kept so far.
    fn durable(&self) -> Durable;
}

/// The home of nearly everybody: a [`SimStore`] and a witness in memory.
#[derive(Debug, Default)]
pub struct SimHome {
    /// The disk.
    pub disk: SimStore,
    /// The file beside the key; `None` until somebody asks for it.
    pub witness: Option<MemoryWitness>,
}

impl SimHome {
    /// Another one with the same content.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { disk: self.disk.snapshot(), witness: self.witness.as_ref().map(MemoryWitness::snapshot) }
    }

    /// The power fails. How many unsynced batches are lost.
    pub fn crash(&self, random: &mut Random) -> usize {
        self.disk.crash(random)
    }

    /// Nothing that is written fails any more.
    pub fn repair(&self) {
        self.disk.repair();
        self.repair_witness();
    }

    /// No write of the file beside the key fails any more.
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
