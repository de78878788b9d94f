//! The committed chain as the API reads it, from the store. No read waits for the replica.

use std::{collections::BTreeSet, sync::Arc};

use quorate_app::App;
use quorate_ledger::{Column, Damage, LedgerError, LedgerReader, Store, StoredBlock, schema::HeaderRecord};
use quorate_types::{
    codec,
    committee::Committee,
    crypto::Hash,
    epoch::EpochChange,
    event::BlockEvent,
    ids::{Address, TxId},
    message::ANSWER_BYTES_MAX,
    proof::TransactionProof,
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, UnixMillis},
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

/// A block as an event, and whose transactions it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The event.
    pub(crate) event: BlockEvent,
    /// The senders, ascending, each once.
    pub(crate) senders: Vec<Address>,
}

/// Some of an account's transactions in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The block's time.
    pub(crate) timestamp: UnixMillis,
    /// The transactions, in order.
    pub(crate) transactions: Vec<TransactionView>,
    /// The position in the block to continue from; none at the end.
    pub(crate) next: Option<u32>,
}

/// The chain's history, on any store. No answer holds more than a page.
pub(crate) trait History: Send + Sync {
    /// The block at a height, with its transactions from position `from` on.
    fn page(&self, height: Height, from: u32, app: &App) -> Result<Option<Page>, LedgerError>;

    /// The block at a height as an event.
    fn told(&self, height: Height) -> Result<Option<Told>, LedgerError>;

    /// At most `max` of an account's transactions in the block at a height, from position `from` on.
    fn sent_by(&self, height: Height, account: &Address, from: u32, max: usize, app: &App) -> Result<Option<Sent>, LedgerError>;

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
                let (shown, output_bytes) = view(transaction, receipts.next(), app)?;
                transactions.push(shown);
                bytes = bytes.saturating_add(output_bytes);
                if bytes >= PAGE_OUTPUT_BYTES_MAX {
                    break;
                }
            }
        }
        Ok(Some(Page { block: stored, transactions }))
    }

    fn told(&self, height: Height) -> Result<Option<Told>, LedgerError> {
        let Some(StoredBlock { header, block, .. }) = self.block_at(height)? else { return Ok(None) };
        // A block that changes what governs the chain is the last of its epoch.
        let before = height.0.checked_sub(1).map(|height| self.header_at(Height(height))).transpose()?.flatten();
        let ends_epoch = before.is_some_and(|before| before.epoch_state != header.epoch_state);
        let committee = self.committee(header.epoch)?;
        let payload = block.as_ref().map(|block| &**block.payload()).unwrap_or_default();
        let mut senders: Vec<Address> = payload.iter().map(Transaction::sender).collect();
        senders.sort_unstable();
        senders.dedup();
        let author = block.as_ref().and_then(|block| Some(committee?.get(block.author())?.name.clone()));
        let event = BlockEvent {
            height: header.height,
            epoch: header.epoch,
            round: header.round,
            block_id: header.block_id,
            state_id: header.state_id(),
            timestamp: header.timestamp,
            author,
            transactions_total: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            next_epoch: ends_epoch.then(|| header.epoch.next()),
        };
        Ok(Some(Told { event, senders }))
    }

    fn sent_by(&self, height: Height, account: &Address, from: u32, max: usize, app: &App) -> Result<Option<Sent>, LedgerError> {
        let Some(StoredBlock { header, block, .. }) = self.block_at(height)? else { return Ok(None) };
        let payload = block.as_ref().map(|block| &**block.payload()).unwrap_or_default();
        let mut sent = Sent { timestamp: header.timestamp, transactions: Vec::new(), next: None };
        let rest = (0u32..).zip(payload).skip(usize::try_from(from).unwrap_or(usize::MAX));
        let mut rest = rest.skip_while(|(_, transaction)| transaction.sender() != *account).peekable();
        let Some((_, first)) = rest.peek() else { return Ok(Some(sent)) };
        // Walked along, because to look up one costs as much as the receipts of a whole block.
        let mut receipts = self.receipts_from(&first.id())?;
        for (place, transaction) in rest {
            let receipt = receipts.next();
            if transaction.sender() != *account {
                continue;
            }
            if sent.transactions.len() == max {
                sent.next = Some(place);
                break;
            }
            sent.transactions.push(view(transaction, receipt, app)?.0);
        }
        Ok(Some(sent))
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

/// A transaction as lists show it, and the length of its output in bytes. `receipt` is what the store has for it, with its leaf.
fn view(
    transaction: &Transaction,
    receipt: Option<Result<(Hash, Receipt), LedgerError>>,
    app: &App,
) -> Result<(TransactionView, usize), LedgerError> {
    let (leaf, receipt) = receipt.ok_or(LedgerError::Missing { column: Column::Receipts })??;
    let bytes = if let Outcome::Applied(output) = &receipt.outcome { output.len() } else { 0 };
    let view = TransactionView {
        tx_id: transaction.id(),
        sender: transaction.sender(),
        sequence: transaction.content().sequence,
        receipt: leaf,
        outcome: ListedOutcome::new(&receipt.outcome, |failure| app.explain(failure)),
    };
    Ok((view, bytes))
}
