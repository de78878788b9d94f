//! The transactions on which the application panicked here, so that a restart does not run into the same panic again.
//!
//! A panic says nothing about the block: it is a fault of this program, or of this machine. The process stops, since nobody knows what the
//! panic left behind; after the restart, no block that contains the transaction is executed here. If that is so on every validator, no such
//! block is ever certified and the chain goes on without the transaction. If a quorum certifies one nevertheless, this validator differs
//! from the others, and stops for good.

use quorate_types::{block::Block, ids::TxId};

use crate::{
    error::LedgerError,
    schema,
    store::{Batch, Store},
};

/// Most transactions that are remembered: each of them has stopped the process once.
pub(crate) const POISON_MAX: usize = 1_024;

/// What is remembered, the newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Poison(Vec<TxId>);

impl Poison {
    pub(crate) fn load<S: Store>(store: &S) -> Result<Self, LedgerError> {
        Ok(Self(schema::poison(store)?))
    }

    pub(crate) fn contains(&self, id: &TxId) -> bool {
        self.0.contains(id)
    }

    /// The first transaction of a block that is remembered.
    pub(crate) fn find(&self, block: &Block) -> Option<TxId> {
        // As a rule there are none, and no id is looked at.
        let known = (!self.0.is_empty()).then(|| block.payload().iter().map(quorate_types::transaction::Transaction::id))?;
        known.into_iter().find(|id| self.contains(id))
    }

    /// Remembers a transaction. Durable when this returns.
    pub(crate) fn remember<S: Store>(&mut self, store: &S, id: TxId) -> Result<(), LedgerError> {
        self.0.push(id);
        self.0.drain(..self.0.len().saturating_sub(POISON_MAX));
        let mut batch = Batch::new();
        schema::put_poison(&mut batch, &self.0);
        Ok(store.write_sync(batch)?)
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::crypto::Hash;

    use super::*;
    use crate::MemoryStore;

    #[test]
    fn what_is_remembered_survives_a_power_cut_and_is_bounded() {
        let store = MemoryStore::new();
        let mut poison = Poison::load(&store).unwrap();
        let id = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            TxId(Hash(bytes))
        };
        for number in 0..=POISON_MAX as u64 {
            poison.remember(&store, id(number)).unwrap();
        }
        store.crash(0);
        let again = Poison::load(&store).unwrap();
        assert!(!again.contains(&id(0)), "the oldest makes room");
        assert!((1..=POISON_MAX as u64).all(|number| again.contains(&id(number))));
    }
}
