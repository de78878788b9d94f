//! A validator's witness under watch: the replica's [`MemoryWitness`], with a [`Trap`](super::trap::Trap) at every write.

use std::sync::Arc;

use quorate_ledger::StoreError;
use quorate_replica::{MemoryWitness, WitnessFile};
use quorate_types::{crypto::PublicKey, ids::ValidatorId};

use super::{
    disk::{SharedTrap, locked},
    trap::Act,
};

/// A handle to the witness.
#[derive(Clone, Debug)]
pub(super) struct WatchedWitness {
    whose: ValidatorId,
    memory: MemoryWitness,
    trap: SharedTrap,
}

impl WatchedWitness {
    /// The witness of a newly made key.
    pub(super) fn of_new_key(whose: ValidatorId, key: PublicKey, trap: &SharedTrap) -> Self {
        Self { whose, memory: MemoryWitness::of_new_key(key), trap: Arc::clone(trap) }
    }

    /// An independent, unwatched copy of the witness.
    pub(super) fn snapshot(&self) -> MemoryWitness {
        self.memory.snapshot()
    }
}

impl WitnessFile for WatchedWitness {
    fn read(&self) -> Result<Vec<u8>, StoreError> {
        self.memory.read()
    }

    fn write_sync(&self, at: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let act = locked(&self.trap).on_witness(self.whose);
        let written = match act {
            Act::FailBefore => 0,
            // A torn write: only the first half is there.
            Act::FailUnsynced => bytes.len() / 2,
            Act::Pass | Act::FailAfter => bytes.len(),
        };
        self.memory.write_sync(at, bytes.get(..written).unwrap_or(bytes))?;
        if act == Act::Pass { Ok(()) } else { Err(StoreError::Disk("the power is off".into())) }
    }
}
