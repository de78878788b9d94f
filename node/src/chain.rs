//! The committed chain as the API reads it: past blocks from the store, the newest state from memory. No read waits for the replica.

use quorate_ledger::{LedgerError, LedgerReader, Store, StoredBlock};
use quorate_types::{
    ids::TxId,
    proof::TransactionProof,
    receipt::{Outcome, Receipt},
    round::Height,
};

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Its block.
    pub(crate) height: Height,
    /// Its position in the block.
    pub(crate) index: u32,
    /// Its result.
    pub(crate) outcome: Outcome,
}

/// The past of the chain, whatever it is stored on.
pub(crate) trait History: Send + Sync {
    /// The block at a height with its receipts.
    fn block(&self, height: Height) -> Result<Option<(StoredBlock, Vec<Receipt>)>, LedgerError>;

    /// A committed transaction.
    fn transaction(&self, id: &TxId) -> Result<Option<Located>, LedgerError>;

    /// The proof of a committed transaction.
    fn proof(&self, id: &TxId) -> Result<Option<TransactionProof>, LedgerError>;
}

impl<S: Store> History for LedgerReader<S> {
    fn block(&self, height: Height) -> Result<Option<(StoredBlock, Vec<Receipt>)>, LedgerError> {
        let Some(block) = self.block_at(height)? else { return Ok(None) };
        Ok(Some((block, self.receipts_at(height)?.unwrap_or_default())))
    }

    fn transaction(&self, id: &TxId) -> Result<Option<Located>, LedgerError> {
        let Some((height, index)) = self.find_transaction(id)? else { return Ok(None) };
        let receipts = self.receipts_at(height)?.unwrap_or_default();
        let receipt = usize::try_from(index).ok().and_then(|index| receipts.into_iter().nth(index));
        Ok(receipt.map(|Receipt { outcome, .. }| Located { height, index, outcome }))
    }

    fn proof(&self, id: &TxId) -> Result<Option<TransactionProof>, LedgerError> {
        self.transaction_proof(id)
    }
}
