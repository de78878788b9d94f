//! Everything on disk, byte for byte. Numbers in keys are big-endian, so that they sort; values are BCS (numbers little-endian).
//!
//! Any change here requires a new [`SCHEMA_VERSION`], and new golden bytes in `ledger/src/tests/stored.rs`.

use quorate_types::{
    block::{Block, encode_block},
    codec::{self, DecodeError},
    crypto::Hash,
    epoch::EpochState,
    failure::{CODE_BYTES_MAX, FAILURE_NUMBERS_MAX},
    header::Header,
    ids::{BlockId, GenesisHash, TxId},
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, Round},
    vote::QuorumCert,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::LedgerError,
    speculation::Results,
    store::{Batch, Store, StoreError},
};

/// The version of everything in this file. A directory of another version is refused.
pub const SCHEMA_VERSION: u32 = 5;

/// A column: a sorted map of its own. A batch changes several columns atomically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The directory's version and network, and the end of its chain.
    ///
    /// ```text
    /// "schema"    -> ┌─────────────┐    "genesis" -> ┌─────────────────┐    "committed" -> ┌───────────────┐
    ///                │ version u32 │                 │ genesis hash 32 │                   │ height u64 LE │
    ///                └─────────────┘                 └─────────────────┘                   └───────────────┘
    /// "panicked"  -> BCS list of pairs of transaction id and block id; absent if the application never panicked
    /// ```
    Meta,
    /// What this validator may no longer sign, and the certificates it needs to resume where it stopped. Written and synced by the replica
    /// before every signature; the ledger neither reads nor deletes it.
    ///
    /// ```text
    /// replica's name of the record -> replica's record (quorate-replica, persistence.rs)
    /// ```
    Safety,
    /// Blocks that are not yet committed, by round: parents come before children, and a commit finds the blocks that it has overtaken.
    ///
    /// ```text
    /// ┌──────────────┬─────────────┐    ┌───────────┐
    /// │ round u64 BE │ block id 32 │ -> │ BCS Block │
    /// └──────────────┴─────────────┘    └───────────┘
    /// ```
    Pending,
    /// Committed blocks; genesis has none.
    ///
    /// ```text
    /// ┌───────────────┐    ┌───────────┐
    /// │ height u64 BE │ -> │ BCS Block │
    /// └───────────────┘    └───────────┘
    /// ```
    Block,
    /// Results of committed blocks, genesis included, each with the certificate that commits the block directly, if there is one (see
    /// [`HeaderRecord`]).
    ///
    /// ```text
    /// ┌───────────────┐    ┌────────────────┬───────────────────────┐
    /// │ height u64 BE │ -> │ BCS Header 256 │ 00, or 01 and BCS QC  │
    /// └───────────────┘    └────────────────┴───────────────────────┘
    /// ```
    Header,
    /// The height of a committed block.
    ///
    /// ```text
    /// ┌─────────────┐    ┌───────────────┐
    /// │ block id 32 │ -> │ height u64 LE │
    /// └─────────────┘    └───────────────┘
    /// ```
    Height,
    /// The receipts of a committed block, in the order of its transactions. First the leaves of the tree under the header's receipts root;
    /// then the receipts themselves, in rows of at most [`RECEIPTS_ROW_BYTES_MAX`] bytes (or of one receipt), each keyed by the position of its
    /// first receipt. So one receipt can be read and proved without the others.
    ///
    /// ```text
    /// ┌───────────────┐                       ┌─────────────┐
    /// │ height u64 BE │                    -> │ leaf 32 ... │
    /// └───────────────┘                       └─────────────┘
    /// ┌───────────────┬──────────────────┐    ┌──────────────────┐
    /// │ height u64 BE │ position u32 BE  │ -> │ BCS Vec<Receipt> │
    /// └───────────────┴──────────────────┘    └──────────────────┘
    /// ```
    Receipts,
    /// The position of a committed transaction, and the row of its receipt.
    ///
    /// ```text
    /// ┌───────────────────┐    ┌───────────────┬─────────────────┬────────────┐
    /// │ transaction id 32 │ -> │ height u64 LE │ position u32 LE │ row u32 LE │
    /// └───────────────────┘    └───────────────┴─────────────────┴────────────┘
    /// ```
    Transaction,
    /// What has governed each epoch, and the last block of the epoch before (for the first epoch, genesis).
    ///
    /// ```text
    /// ┌──────────────┐    ┌────────────────────────────────┐
    /// │ epoch u64 BE │ -> │ height u64 LE │ BCS EpochState │
    /// └──────────────┘    └────────────────────────────────┘
    /// ```
    Epoch,
    /// The committed state, flat; the tree over it is rebuilt at startup.
    ///
    /// ```text
    /// state key (types::state_key) -> value
    /// ```
    State,
}

impl Column {
    /// Every column.
    pub const ALL: [Self; 10] = [
        Self::Meta,
        Self::Safety,
        Self::Pending,
        Self::Block,
        Self::Header,
        Self::Height,
        Self::Receipts,
        Self::Transaction,
        Self::Epoch,
        Self::State,
    ];

    /// Whether it holds only the past: no later signature depends on it.
    #[must_use]
    pub const fn is_history(self) -> bool {
        match self {
            Self::Block | Self::Header | Self::Height | Self::Receipts | Self::Transaction => true,
            Self::Meta | Self::Safety | Self::Pending | Self::Epoch | Self::State => false,
        }
    }

    /// Its name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Safety => "safety",
            Self::Pending => "pending",
            Self::Block => "block",
            Self::Header => "header",
            Self::Height => "height",
            Self::Receipts => "receipts",
            Self::Transaction => "transaction",
            Self::Epoch => "epoch",
            Self::State => "state",
        }
    }
}

const SCHEMA: &[u8] = b"schema";
const GENESIS: &[u8] = b"genesis";
const COMMITTED: &[u8] = b"committed";
const PANICKED: &[u8] = b"panicked";

/// The stored result of a committed block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRecord {
    /// The result.
    pub header: Header,
    /// The certificate that commits this block directly; `None` if it was committed with a later block.
    pub commit_qc: Option<QuorumCert>,
}

/// What governs an epoch, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The height of the last block before the epoch.
    pub after: Height,
    /// What governs it.
    pub state: EpochState,
}

/// The position of a committed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) height: Height,
    pub(crate) index: u32,
    /// The position of the first receipt of the row that holds its receipt.
    pub(crate) row: u32,
}

/// Longest row of several receipts, in bytes. A block of ordinary transfers has a handful of rows, and reading one receipt decodes one row.
pub const RECEIPTS_ROW_BYTES_MAX: usize = 16 << 10;
/// Length of a receipt besides its output, at most: the transaction's id, the tag and the length of the output.
const RECEIPT_OVERHEAD_BYTES: usize = 38;
/// Longest receipt of a failed transaction: the transaction's id, the tag, and the failure's code and numbers.
const FAILED_RECEIPT_BYTES_MAX: usize = 33 + (1 + CODE_BYTES_MAX) + (1 + 8 * FAILURE_NUMBERS_MAX);

fn height_key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

fn row_key(height: Height, row: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (number, position) = key.split_at_mut(8);
    number.copy_from_slice(&height.0.to_be_bytes());
    position.copy_from_slice(&row.to_be_bytes());
    key
}

fn pending_key(round: Round, id: BlockId) -> Box<[u8]> {
    [round.0.to_be_bytes().as_slice(), &id.0.0].concat().into()
}

/// Adds a block to [`Column::Pending`]. The replica does this in the batch that it syncs before a vote for the block leaves.
pub fn put_pending(batch: &mut Batch, block: &Block) {
    batch.put(Column::Pending, pending_key(block.round(), block.id()), encode_block(block));
}

/// Deletes a block from the pending column.
pub fn delete_pending(batch: &mut Batch, round: Round, id: BlockId) {
    batch.delete(Column::Pending, pending_key(round, id));
}

/// The blocks of [`Column::Pending`], ascending by round.
pub(crate) fn pending<S: Store>(store: &S) -> impl Iterator<Item = Result<Block, LedgerError>> {
    store.iter(Column::Pending, &[]).map(|entry| {
        let (_, value) = entry?;
        decode(Column::Pending, &value)
    })
}

/// One block of [`Column::Pending`].
pub(crate) fn pending_block<S: Store>(store: &S, round: Round, id: BlockId) -> Result<Option<Block>, LedgerError> {
    get(store, Column::Pending, &pending_key(round, id))
}

/// The keys of [`Column::Pending`] with rounds above `above`, up to `last`.
pub(crate) fn pending_keys<S: Store>(store: &S, above: Round, last: Round) -> Result<Vec<Box<[u8]>>, StoreError> {
    let end = last.next().0.to_be_bytes();
    store
        .iter(Column::Pending, &above.next().0.to_be_bytes())
        .map(|entry| entry.map(|(key, _)| key))
        .take_while(|key| !matches!(key, Ok(key) if **key >= *end.as_slice()))
        .collect()
}

pub(crate) fn put_schema(batch: &mut Batch, genesis: GenesisHash) {
    batch.put(Column::Meta, SCHEMA, SCHEMA_VERSION.to_le_bytes());
    batch.put(Column::Meta, GENESIS, genesis.0.0);
}

pub(crate) fn put_committed(batch: &mut Batch, height: Height) {
    batch.put(Column::Meta, COMMITTED, codec::encode(&height));
}

/// Adds a committed block; its parts go to five columns.
pub(crate) fn put_block(batch: &mut Batch, block: &Block, header: &Header, commit_qc: Option<&QuorumCert>, results: &Results) {
    let height = header.height;
    batch.put(Column::Block, height_key(height), encode_block(block));
    put_header(batch, header, commit_qc);
    batch.put(Column::Receipts, height_key(height), leaf_bytes(&results.leaves));
    let mut payload = (0u32..).zip(block.payload());
    let mut row = 0u32;
    for receipts in rows(&results.receipts) {
        batch.put(Column::Receipts, row_key(height, row), codec::encode(receipts));
        for (index, tx) in payload.by_ref().take(receipts.len()) {
            batch.put(Column::Transaction, tx.id().0.0, codec::encode(&Position { height, index, row }));
        }
        row = row.saturating_add(u32::try_from(receipts.len()).unwrap_or(u32::MAX));
    }
}

fn leaf_bytes(leaves: &[Hash]) -> Box<[u8]> {
    leaves.iter().flat_map(|leaf| leaf.0).collect()
}

/// Divides the receipts of a block into rows.
fn rows(receipts: &[Receipt]) -> impl Iterator<Item = &[Receipt]> {
    let mut bytes = 0usize;
    receipts.chunk_by(move |before, next| {
        bytes = bytes.saturating_add(receipt_bytes(before));
        let fits = bytes.saturating_add(receipt_bytes(next)) <= RECEIPTS_ROW_BYTES_MAX;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

/// An upper bound on the encoded length of a receipt.
fn receipt_bytes(receipt: &Receipt) -> usize {
    match &receipt.outcome {
        Outcome::Applied(output) => output.len().saturating_add(RECEIPT_OVERHEAD_BYTES),
        Outcome::Failed { .. } => FAILED_RECEIPT_BYTES_MAX,
    }
}

pub(crate) fn put_header(batch: &mut Batch, header: &Header, commit_qc: Option<&QuorumCert>) {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        header: &'a Header,
        commit_qc: Option<&'a QuorumCert>,
    }
    batch.put(Column::Header, height_key(header.height), codec::encode(&Borrowed { header, commit_qc }));
    batch.put(Column::Height, header.block_id.0.0, header.height.0.to_le_bytes());
}

pub(crate) fn put_epoch(batch: &mut Batch, record: &EpochRecord) {
    batch.put(Column::Epoch, record.state.epoch.0.to_be_bytes(), codec::encode(record));
}

pub(crate) fn epoch<S: Store>(store: &S, epoch: Epoch) -> Result<Option<EpochRecord>, LedgerError> {
    get(store, Column::Epoch, &epoch.0.to_be_bytes())
}

/// Checks that this version wrote the store, and returns its genesis; `None` if the store is new.
pub(crate) fn check_schema<S: Store>(store: &S) -> Result<Option<GenesisHash>, LedgerError> {
    let Some(version) = store.get(Column::Meta, SCHEMA)? else {
        // A directory that has content but no version is not ours to overwrite.
        return match store.scan(Column::Meta, &[], 1)?.first() {
            None => Ok(None),
            Some(_) => Err(LedgerError::NoSchema),
        };
    };
    let found = version.as_slice().try_into().map(u32::from_le_bytes).map_err(|_| LedgerError::NoSchema)?;
    if found != SCHEMA_VERSION {
        return Err(LedgerError::Schema { found });
    }
    let genesis = store.get(Column::Meta, GENESIS)?.ok_or(LedgerError::NoSchema)?;
    let genesis = genesis.as_slice().try_into().map_err(|_| LedgerError::NoSchema)?;
    Ok(Some(GenesisHash(Hash(genesis))))
}

pub(crate) fn committed<S: Store>(store: &S) -> Result<Height, LedgerError> {
    get(store, Column::Meta, COMMITTED)?.ok_or(LedgerError::Missing { column: Column::Meta })
}

/// The transactions on which the application panicked here, each with the block that was being executed.
pub(crate) fn poison<S: Store>(store: &S) -> Result<Vec<(TxId, BlockId)>, LedgerError> {
    get(store, Column::Meta, PANICKED).map(Option::unwrap_or_default)
}

pub(crate) fn put_poison(batch: &mut Batch, ids: &[(TxId, BlockId)]) {
    batch.put(Column::Meta, PANICKED, codec::encode(ids));
}

pub(crate) fn header<S: Store>(store: &S, height: Height) -> Result<Option<HeaderRecord>, LedgerError> {
    get(store, Column::Header, &height_key(height))
}

/// The header records from a height on.
pub(crate) fn headers_from<S: Store>(store: &S, from: Height) -> impl Iterator<Item = Result<HeaderRecord, LedgerError>> {
    store.iter(Column::Header, &height_key(from)).map(|entry| {
        let (_, value) = entry?;
        decode(Column::Header, &value)
    })
}

pub(crate) fn block<S: Store>(store: &S, height: Height) -> Result<Option<Block>, LedgerError> {
    get(store, Column::Block, &height_key(height))
}

/// The stored bytes of a committed block, so that the caller knows their number.
pub(crate) fn block_bytes<S: Store>(store: &S, height: Height) -> Result<Option<Vec<u8>>, LedgerError> {
    Ok(store.get(Column::Block, &height_key(height))?)
}

pub(crate) fn decode_block(bytes: &[u8]) -> Result<Block, LedgerError> {
    decode(Column::Block, bytes)
}

/// The leaves of the tree over a block's receipts; none for genesis.
pub(crate) fn receipt_leaves<S: Store>(store: &S, height: Height) -> Result<Option<Vec<Hash>>, LedgerError> {
    let Some(bytes) = store.get(Column::Receipts, &height_key(height))? else { return Ok(None) };
    let leaves = bytes.as_chunks::<32>();
    if !leaves.1.is_empty() {
        let error = DecodeError::Malformed(format!("{} bytes are not a list of 32-byte hashes", bytes.len()));
        return Err(LedgerError::Malformed { column: Column::Receipts, error });
    }
    Ok(Some(leaves.0.iter().copied().map(Hash).collect()))
}

/// One row of receipts.
pub(crate) fn receipts_row<S: Store>(store: &S, height: Height, row: u32) -> Result<Option<Vec<Receipt>>, LedgerError> {
    get(store, Column::Receipts, &row_key(height, row))
}

/// The receipts of a block from a row on, row by row.
pub(crate) fn receipts_from<S: Store>(store: &S, height: Height, row: u32) -> impl Iterator<Item = Result<Vec<Receipt>, LedgerError>> {
    let end = height_key(height.next());
    store
        .iter(Column::Receipts, &row_key(height, row))
        .take_while(move |entry| !matches!(entry, Ok((key, _)) if **key >= *end.as_slice()))
        .map(|entry| decode(Column::Receipts, &entry?.1))
}

pub(crate) fn height_of<S: Store>(store: &S, id: BlockId) -> Result<Option<Height>, LedgerError> {
    get(store, Column::Height, &id.0.0)
}

pub(crate) fn position<S: Store>(store: &S, id: TxId) -> Result<Option<Position>, LedgerError> {
    get(store, Column::Transaction, &id.0.0)
}

fn get<S: Store, T: serde::de::DeserializeOwned>(store: &S, column: Column, key: &[u8]) -> Result<Option<T>, LedgerError> {
    store.get(column, key)?.map(|bytes| decode(column, &bytes)).transpose()
}

fn decode<T: serde::de::DeserializeOwned>(column: Column, bytes: &[u8]) -> Result<T, LedgerError> {
    codec::decode(bytes, usize::MAX).map_err(|error| LedgerError::Malformed { column, error })
}
