//! The transactions on which the application panicked here, remembered so that a restart does not run into the same panic again.
//!
//! A panic says nothing about the block: it is a fault of this program or this machine. The process stops, because the state that the panic
//! left behind is unknown. After the restart this validator executes no block that contains the transaction, so it votes for none. If all
//! validators do the same, no such block is ever certified and the chain continues without the transaction.
//!
//! Two kinds of blocks are executed all the same. One is a block that a quorum has certified: the transaction may panic on one state and not on
//! another, and the quorum has seen that it does not panic there. The other is a block that was executed here before the panic: we may have
//! voted for it, so it must not be forgotten.

use quorate_types::{
    block::Block,
    ids::{BlockId, TxId},
};

use crate::{
    error::LedgerError,
    schema,
    store::{Batch, Store},
};

/// Most panics to remember. Each has stopped the process once.
pub(crate) const POISON_MAX: usize = 1_024;

/// The remembered transactions, newest last, each with the block that was being executed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Poison(Vec<(TxId, BlockId)>);

impl Poison {
    pub(crate) fn load<S: Store>(store: &S) -> Result<Self, LedgerError> {
        Ok(Self(schema::poison(store)?))
    }

    pub(crate) fn contains(&self, id: &TxId) -> bool {
        self.0.iter().any(|(known, _)| known == id)
    }

    /// The transaction on which the application panicked while it executed exactly this block.
    pub(crate) fn of_block(&self, id: &BlockId) -> Option<TxId> {
        self.0.iter().find(|(_, block)| block == id).map(|(tx_id, _)| *tx_id)
    }

    /// The first remembered transaction of a block.
    pub(crate) fn find(&self, block: &Block) -> Option<TxId> {
        // Normally nothing is remembered, and no id is looked up.
        let ids = (!self.0.is_empty()).then(|| block.payload().iter().map(quorate_types::transaction::Transaction::id))?;
        ids.into_iter().find(|id| self.contains(id))
    }

    /// Remembers a transaction and the block. Durable once this returns.
    pub(crate) fn remember<S: Store>(&mut self, store: &S, id: TxId, block: BlockId) -> Result<(), LedgerError> {
        self.0.retain(|known| *known != (id, block));
        self.0.push((id, block));
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
            poison.remember(&store, id(number), BlockId::default()).unwrap();
        }
        store.crash(0);
        let again = Poison::load(&store).unwrap();
        assert!(!again.contains(&id(0)), "the oldest is evicted");
        assert!((1..=POISON_MAX as u64).all(|number| again.contains(&id(number))));
    }
}
