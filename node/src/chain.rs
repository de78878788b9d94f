//! The committed chain as the API reads it, from the store. No read waits for the replica.

use std::{collections::BTreeSet, sync::Arc};

use quorate_app::App;
use quorate_ledger::{Column, Damage, LedgerError, LedgerReader, Store, StoredBlock, schema::HeaderRecord};
use quorate_types::{
    codec,
    committee::Committee,
    epoch::EpochChange,
    ids::TxId,
    message::ANSWER_BYTES_MAX,
    proof::TransactionProof,
    receipt::{Outcome, Receipt},
    round::{Epoch, Height},
    rpc::{LISTED_TRANSACTIONS_MAX, ListedOutcome, TransactionView},
    transaction::Transaction,
};
use serde::Serialize;

/// Bytes of outputs after which a page of a block ends: it reads all outputs, though it shows only the short ones.
pub(crate) const PAGE_OUTPUT_BYTES_MAX: usize = 1 << 20;

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Height of its block.
    pub(crate) height: Height,
    /// Its position in the block.
    pub(crate) index: u32,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

/// A block and some of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The whole block.
    pub(crate) block: StoredBlock,
    /// A run of its transactions.
    pub(crate) transactions: Vec<TransactionView>,
}

/// The chain's history, on any store. No answer holds more than a page.
pub(crate) trait History: Send + Sync {
    /// The block at a height, with its transactions from position `from` on.
    fn page(&self, height: Height, from: u32, app: &App) -> Result<Option<Page>, LedgerError>;

    /// The block at a height.
    fn block(&self, height: Height) -> Result<Option<StoredBlock>, LedgerError>;

    /// The blocks from a height on, at most `max`, as far as they fit into an answer.
    fn blocks(&self, from: Height, max: usize) -> Result<Vec<StoredBlock>, LedgerError>;

    /// The headers from a height on, at most `max`, as far as they fit into an answer.
    fn headers(&self, from: Height, max: usize) -> Result<Vec<HeaderRecord>, LedgerError>;

    /// The receipts of the block at a height, from position `from` on, as far as they fit into an answer.
    fn receipts(&self, height: Height, from: u32) -> Result<Option<Vec<Receipt>>, LedgerError>;

    /// A committed transaction as its sender signed it.
    fn signed(&self, id: &TxId) -> Result<Option<Transaction>, LedgerError>;

    /// Which of these transactions are committed.
    fn committed(&self, ids: &[TxId]) -> Result<BTreeSet<TxId>, LedgerError>;

    /// The committee of an epoch that has begun.
    fn committee(&self, epoch: Epoch) -> Result<Option<Arc<Committee>>, LedgerError>;

    /// How an epoch has ended, if it has.
    fn epoch_change(&self, epoch: Epoch) -> Result<Option<EpochChange>, LedgerError>;

    /// Failed reads since the process started.
    fn damage(&self) -> Damage;

    /// The place and outcome of a committed transaction.
    fn transaction(&self, id: &TxId) -> Result<Option<Located>, LedgerError>;

    /// The proof of a committed transaction.
    fn proof(&self, id: &TxId) -> Result<Option<TransactionProof>, LedgerError>;
}

/// The first `max` of these records, as far as they fit into [`ANSWER_BYTES_MAX`], but at least one if there is one. Ends before a record that
/// cannot be read.
fn fitting<T: Serialize>(records: impl Iterator<Item = Result<T, LedgerError>>, max: usize) -> Result<Vec<T>, LedgerError> {
    let (mut fitting, mut bytes) = (Vec::new(), 0usize);
    for record in records.take(max) {
        let record = match record {
            Err(error) if error.is_damage() && !fitting.is_empty() => break,
            read => read?,
        };
        bytes = bytes.saturating_add(codec::encode(&record).len());
        if bytes > ANSWER_BYTES_MAX && !fitting.is_empty() {
            break;
        }
        fitting.push(record);
    }
    Ok(fitting)
}

/// The transactions of a block from a position on.
fn payload_from(stored: &StoredBlock, from: u32) -> &[Transaction] {
    let payload = stored.block.as_ref().map(|block| &**block.payload()).unwrap_or_default();
    usize::try_from(from).ok().and_then(|from| payload.get(from..)).unwrap_or_default()
}

impl<S: Store> History for LedgerReader<S> {
    fn page(&self, height: Height, from: u32, app: &App) -> Result<Option<Page>, LedgerError> {
        let Some(stored) = self.block_at(height)? else { return Ok(None) };
        let mut transactions = Vec::new();
        let rest = payload_from(&stored, from);
        if let Some(first) = rest.first() {
            let count = usize::try_from(LISTED_TRANSACTIONS_MAX).unwrap_or(usize::MAX);
            let mut bytes = 0usize;
            let mut receipts = self.receipts_from(&first.id())?;
            for transaction in rest.iter().take(count) {
                let (leaf, receipt) = receipts.next().ok_or(LedgerError::Missing { column: Column::Receipts })??;
                transactions.push(TransactionView {
                    tx_id: transaction.id(),
                    sender: transaction.sender(),
                    sequence: transaction.content().sequence,
                    receipt: leaf,
                    outcome: ListedOutcome::new(&receipt.outcome, |failure| app.explain(failure)),
                });
                if let Outcome::Applied(output) = &receipt.outcome {
                    bytes = bytes.saturating_add(output.len());
                }
                if bytes >= PAGE_OUTPUT_BYTES_MAX {
                    break;
                }
            }
        }
        Ok(Some(Page { block: stored, transactions }))
    }

    fn block(&self, height: Height) -> Result<Option<StoredBlock>, LedgerError> {
        self.block_at(height)
    }

    fn blocks(&self, from: Height, max: usize) -> Result<Vec<StoredBlock>, LedgerError> {
        fitting(self.stored_from(from), max)
    }

    fn headers(&self, from: Height, max: usize) -> Result<Vec<HeaderRecord>, LedgerError> {
        fitting(self.headers_from(from), max)
    }

    fn receipts(&self, height: Height, from: u32) -> Result<Option<Vec<Receipt>>, LedgerError> {
        let Some(stored) = self.block_at(height)? else { return Ok(None) };
        let Some(first) = payload_from(&stored, from).first() else { return Ok(Some(Vec::new())) };
        let receipts = fitting(self.receipts_from(&first.id())?.map(|read| Ok(read?.1)), usize::MAX)?;
        if receipts.is_empty() { Err(LedgerError::Missing { column: Column::Receipts }) } else { Ok(Some(receipts)) }
    }

    fn signed(&self, id: &TxId) -> Result<Option<Transaction>, LedgerError> {
        let Some((height, index)) = self.find_transaction(id)? else { return Ok(None) };
        let missing = LedgerError::Missing { column: Column::Block };
        let stored = self.block_at(height)?.ok_or_else(|| missing.clone())?;
        payload_from(&stored, index).first().cloned().map(Some).ok_or(missing)
    }

    fn committed(&self, ids: &[TxId]) -> Result<BTreeSet<TxId>, LedgerError> {
        let mut committed = BTreeSet::new();
        for id in ids {
            if self.find_transaction(id)?.is_some() {
                committed.insert(*id);
            }
        }
        Ok(committed)
    }

    fn committee(&self, epoch: Epoch) -> Result<Option<Arc<Committee>>, LedgerError> {
        Ok(self.epoch(epoch)?.map(|state| state.committee()).transpose()?)
    }

    fn epoch_change(&self, epoch: Epoch) -> Result<Option<EpochChange>, LedgerError> {
        self.epoch_change(epoch)
    }

    fn damage(&self) -> Damage {
        self.damage()
    }

    fn transaction(&self, id: &TxId) -> Result<Option<Located>, LedgerError> {
        Ok(self.receipt(id)?.map(|(height, index, receipt)| Located { height, index, outcome: receipt.outcome }))
    }

    fn proof(&self, id: &TxId) -> Result<Option<TransactionProof>, LedgerError> {
        self.transaction_proof(id)
    }
}
