//! The committed chain, readable from any thread while the ledger keeps working. Committed data never changes, so reads need no lock.

use quorate_types::{
    block::Block,
    codec::Bounded,
    crypto::Hash,
    epoch::{EpochChange, EpochState},
    header::Header,
    ids::{BlockId, TxId},
    merkle::MerkleProof,
    proof::{CommitProof, PROOF_HEADERS_MAX, TransactionProof},
    receipt::Receipt,
    round::{Epoch, Height, Round},
    vote::QuorumCert,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::LedgerError,
    schema::{self, Column, EpochRecord, HeaderRecord, Position},
    store::{Damage, Store},
};

const MISSING_RECEIPT: LedgerError = LedgerError::Missing { column: Column::Receipts };

/// The committed chain. A handle on the store, usable from any thread.
#[derive(Clone, Debug)]
pub struct LedgerReader<S> {
    store: S,
}

/// A committed block with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBlock {
    /// The block; genesis has none.
    pub block: Option<Block>,
    /// The result.
    pub header: Header,
    /// The certificate that commits this block directly; `None` if it was committed with a later block.
    pub commit_qc: Option<QuorumCert>,
}

impl<S: Store> LedgerReader<S> {
    /// A reader of a store on which a [`crate::Ledger`] has been opened.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// The history that could not be read since the store was opened.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.store.damage()
    }

    /// The height of the last committed block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn height(&self) -> Result<Height, LedgerError> {
        schema::committed(&self.store)
    }

    /// The committed block at a height (paper: `committed_block`, by position).
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn block_at(&self, height: Height) -> Result<Option<StoredBlock>, LedgerError> {
        schema::header(&self.store, height)?.map(|record| self.stored(record)).transpose()
    }

    /// The committed blocks from a height on, genesis included. Each is read when it is asked for.
    pub fn stored_from(&self, from: Height) -> impl Iterator<Item = Result<StoredBlock, LedgerError>> {
        schema::headers_from(&self.store, from).map(|record| self.stored(record?))
    }

    /// The results of committed blocks from a height on, genesis included. Each is read when it is asked for.
    pub fn headers_from(&self, from: Height) -> impl Iterator<Item = Result<HeaderRecord, LedgerError>> {
        schema::headers_from(&self.store, from)
    }

    /// A result with its block.
    fn stored(&self, HeaderRecord { header, commit_qc }: HeaderRecord) -> Result<StoredBlock, LedgerError> {
        let block = schema::block(&self.store, header.height)?;
        if block.is_none() && header.height > Height(0) {
            return Err(LedgerError::Missing { column: Column::Block });
        }
        Ok(StoredBlock { block, header, commit_qc })
    }

    /// The header at a height.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn header_at(&self, height: Height) -> Result<Option<Header>, LedgerError> {
        Ok(schema::header(&self.store, height)?.map(|record| record.header))
    }

    /// A block by its id: a committed one or, if `round` is given, a pending one of that round.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn block(&self, id: &BlockId, round: Option<Round>) -> Result<Option<Block>, LedgerError> {
        match (self.height_of(id)?, round) {
            (Some(height), _) => schema::block(&self.store, height),
            (None, Some(round)) => schema::pending_block(&self.store, round, *id),
            (None, None) => Ok(None),
        }
    }

    /// The height of a committed block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, LedgerError> {
        schema::height_of(&self.store, *id)
    }

    /// What governs an epoch that has begun.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn epoch(&self, epoch: Epoch) -> Result<Option<EpochState>, LedgerError> {
        Ok(schema::epoch(&self.store, epoch)?.map(|record| record.state))
    }

    /// The header of the last block before an epoch; for the first epoch, of genesis.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn last_before(&self, epoch: Epoch) -> Result<Header, LedgerError> {
        let missing = LedgerError::Missing { column: Column::Epoch };
        let EpochRecord { after, .. } = schema::epoch(&self.store, epoch)?.ok_or_else(|| missing.clone())?;
        self.header_at(after)?.ok_or(missing)
    }

    /// Proves how an epoch has ended; `None` if it has not.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn epoch_change(&self, epoch: Epoch) -> Result<Option<EpochChange>, LedgerError> {
        let Some(EpochRecord { after, state }) = schema::epoch(&self.store, epoch.next())? else { return Ok(None) };
        Ok(self.commit_proof(after)?.map(|commit| EpochChange { commit, next: state }))
    }

    /// All receipts of a committed block, with answers of up to `block_effect_bytes_max` bytes in total. None for genesis.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipts_at(&self, height: Height) -> Result<Option<Vec<Receipt>>, LedgerError> {
        let Some(leaves) = schema::receipt_leaves(&self.store, height)? else { return Ok(None) };
        let mut receipts = Vec::with_capacity(leaves.len());
        for row in schema::receipts_from(&self.store, height, 0) {
            receipts.extend(row?);
        }
        if receipts.len() != leaves.len() {
            return Err(MISSING_RECEIPT);
        }
        Ok(Some(receipts))
    }

    /// The receipts of the block that contains transaction `id`, from that transaction on, each with its leaf in the tree over them. Reads one
    /// row at a time, and the stored leaves, because hashing a megabyte of answers takes longer than reading it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipts_from<'a>(
        &'a self,
        id: &TxId,
    ) -> Result<impl Iterator<Item = Result<(Hash, Receipt), LedgerError>> + use<'a, S>, LedgerError> {
        let Position { height, index, row } = schema::position(&self.store, *id)?.ok_or(MISSING_RECEIPT)?;
        let earlier = usize::try_from(index.saturating_sub(row)).map_err(|_| MISSING_RECEIPT)?;
        let leaves = schema::receipt_leaves(&self.store, height)?.ok_or(MISSING_RECEIPT)?;
        let leaves = leaves.into_iter().skip(usize::try_from(index).map_err(|_| MISSING_RECEIPT)?);
        let receipts = schema::receipts_from(&self.store, height, row).flat_map(|row| match row {
            Ok(receipts) => receipts.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        Ok(leaves.zip(receipts.skip(earlier)).map(|(leaf, receipt)| Ok((leaf, receipt?))))
    }

    /// The height of a committed transaction's block, and its position in the block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn find_transaction(&self, id: &TxId) -> Result<Option<(Height, u32)>, LedgerError> {
        Ok(schema::position(&self.store, *id)?.map(|Position { height, index, .. }| (height, index)))
    }

    /// A committed transaction: its block's height, its position in the block, and its receipt. Reads a row of receipts, not the block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipt(&self, id: &TxId) -> Result<Option<(Height, u32, Receipt)>, LedgerError> {
        let Some(Position { height, index, row }) = schema::position(&self.store, *id)? else { return Ok(None) };
        let receipts = schema::receipts_row(&self.store, height, row)?.ok_or(MISSING_RECEIPT)?;
        let offset = usize::try_from(index.saturating_sub(row)).map_err(|_| MISSING_RECEIPT)?;
        let receipt = receipts.into_iter().nth(offset).ok_or(MISSING_RECEIPT)?;
        Ok(Some((height, index, receipt)))
    }

    /// Proves that the block at a height is committed, with the headers from it to the one that a certificate commits directly. `None` if there
    /// is no committed block, or if these are more than [`PROOF_HEADERS_MAX`] headers.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn commit_proof(&self, height: Height) -> Result<Option<CommitProof>, LedgerError> {
        let mut headers = Vec::new();
        for record in schema::headers_from(&self.store, height).take(PROOF_HEADERS_MAX) {
            let record = record?;
            headers.push(record.header);
            if let Some(qc) = record.commit_qc {
                return Ok(Some(CommitProof { headers: Bounded::truncated(headers), qc }));
            }
        }
        Ok(None)
    }

    /// Proves that a transaction is committed, with its receipt. `None` if it is not committed or its block has no [`Self::commit_proof`].
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn transaction_proof(&self, id: &TxId) -> Result<Option<TransactionProof>, LedgerError> {
        let Some((height, index, receipt)) = self.receipt(id)? else { return Ok(None) };
        let leaves = schema::receipt_leaves(&self.store, height)?.ok_or(MISSING_RECEIPT)?;
        let index = usize::try_from(index).map_err(|_| MISSING_RECEIPT)?;
        let path = MerkleProof::of(&leaves, index).ok_or(MISSING_RECEIPT)?;
        Ok(self.commit_proof(height)?.map(|commit| TransactionProof { receipt, path, commit }))
    }

    /// Committed blocks from a height on, oldest first, and the proof that the last of them is committed: at most `blocks_max` blocks of at
    /// most `bytes_max` bytes in total, but at least one block. `None` if there are none, or if they have no [`Self::commit_proof`]. The answer
    /// ends before a damaged block, and with the last block of an epoch.
    ///
    /// If a block within the limits is committed directly by a certificate, the answer ends with the last such block, and the proof is one
    /// header.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn blocks_from(&self, from: Height, blocks_max: usize, bytes_max: usize) -> Result<Option<(Vec<Block>, CommitProof)>, LedgerError> {
        // Genesis has no block.
        let from = from.max(Height(1));
        let (mut blocks, mut bytes) = (Vec::new(), 0usize);
        let (mut last, mut directly) = (from, None);
        for record in schema::headers_from(&self.store, from) {
            let (record, block, length) = match record.and_then(|record| self.block_of(record)) {
                Err(error) if error.is_damage() && !blocks.is_empty() => break,
                read => read?,
            };
            bytes = bytes.saturating_add(length);
            let other_epoch = blocks.last().is_some_and(|before: &Block| before.content().epoch != record.header.epoch);
            if !blocks.is_empty() && (blocks.len() >= blocks_max || bytes > bytes_max || other_epoch) {
                break;
            }
            blocks.push(block);
            last = record.header.height;
            if record.commit_qc.is_some() {
                directly = Some((blocks.len(), last));
            }
        }
        let (count, last) = directly.unwrap_or((blocks.len(), last));
        let Some(proof) = self.commit_proof(last)? else { return Ok(None) };
        blocks.truncate(count);
        Ok(Some((blocks, proof)))
    }

    /// A record with its block and the block's length in bytes.
    fn block_of(&self, record: HeaderRecord) -> Result<(HeaderRecord, Block, usize), LedgerError> {
        let bytes = schema::block_bytes(&self.store, record.header.height)?.ok_or(LedgerError::Missing { column: Column::Block })?;
        Ok((record, schema::decode_block(&bytes)?, bytes.len()))
    }
}
