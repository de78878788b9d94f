//! Errors of the ledger.

use quorate_app::AppError;
use quorate_types::{
    codec::DecodeError,
    committee::CommitteeError,
    crypto::Hash,
    ids::{BlockId, GenesisHash, StateId},
    round::Height,
};

use crate::{
    schema::{Column, SCHEMA_VERSION},
    store::StoreError,
};

/// Why the ledger cannot open, read or commit. Fatal: the process stops and nothing is retried. The exception is reads of damaged history
/// ([`Self::is_damage`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory has another schema version.
    #[error(
        "the data directory has schema version {found}, but this program writes version {SCHEMA_VERSION}; start the version of the program that wrote it, or choose another directory"
    )]
    Schema {
        /// The version found.
        found: u32,
    },
    /// The directory is not ours.
    #[error("the data directory holds data that this program did not write; choose another directory")]
    NoSchema,
    /// The directory belongs to another network.
    #[error(
        "the data directory belongs to the network with genesis {found}, but the given genesis has hash {given}; pass that network's genesis file, or choose another directory"
    )]
    OtherGenesis {
        /// The directory's.
        found: GenesisHash,
        /// The given one's.
        given: GenesisHash,
    },
    /// This application refuses the genesis.
    #[error("the genesis cannot be used: {0}")]
    Genesis(#[from] AppError),
    /// The genesis has no valid committee.
    #[error("the genesis cannot be used: {0}")]
    Committee(#[from] CommitteeError),
    /// The state on disk is not the one that was committed.
    #[error(
        "the state on disk at height {height} has root {found}, but {committed} was committed: the disk has altered data. Replace the disk and restore this data directory from a copy made after the last stop, or register this validator again with a new key"
    )]
    StateAltered {
        /// The height.
        height: Height,
        /// The root of what is on disk.
        found: Hash,
        /// The root that was committed.
        committed: Hash,
    },
    /// The header on disk is not the one that its certificate commits.
    #[error(
        "the header on disk at height {height} is not the one that its certificate commits: the disk has altered data. Replace the disk and restore this data directory from a copy made after the last stop, or register this validator again with a new key"
    )]
    HeaderAltered {
        /// The height.
        height: Height,
    },
    /// A stored value that does not decode.
    #[error(
        "column {column:?} holds a value that does not decode ({error}): the disk has altered data. Replace the disk and restore this data directory from a copy made after the last stop, or register this validator again with a new key"
    )]
    Malformed {
        /// The value's column.
        column: Column,
        /// What is wrong.
        error: DecodeError,
    },
    /// A stored value that should exist but does not.
    #[error(
        "column {column:?} lacks a value that another one refers to: the disk has lost data. Replace the disk and restore this data directory from a copy made after the last stop, or register this validator again with a new key"
    )]
    Missing {
        /// The value's column.
        column: Column,
    },
    /// A quorum has committed another result of a block than ours: our state or theirs is wrong.
    #[error(
        "the quorum committed result {certified} of block {block}, but this validator computed {ours}: it has diverged and stops. Keep the data directory for analysis, and check that this program is the version that the other validators run"
    )]
    Diverged {
        /// The block.
        block: BlockId,
        /// Our result.
        ours: StateId,
        /// The quorum's result.
        certified: StateId,
    },
    /// The caller's bug: the blocks to commit do not form a chain on the committed one, or were not speculated.
    #[error(
        "invariant TREE-2 broken: block {0} was to be committed, but it is not the speculated child of the one before; please report this"
    )]
    NotNext(BlockId),
    /// The caller's bug: no blocks to commit.
    #[error("invariant TREE-2 broken: a commit without blocks; please report this")]
    NothingToCommit,
    /// The caller's bug: the certificate does not commit the last of the blocks.
    #[error("invariant TREE-2 broken: the certificate does not commit block {0}; please report this")]
    NotCommitted(BlockId),
}

impl LedgerError {
    /// Whether only history is damaged. No later signature depends on it, so readers continue without it. While the ledger opens, this is as
    /// fatal as any other error: the newest block is more than history.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Store(StoreError::Damaged { .. }) => true,
            Self::Malformed { column, .. } | Self::Missing { column } => column.is_history(),
            _ => false,
        }
    }
}
