//! The bounds of the pool, and the answers it gives.

use std::time::Duration;

use quorate_types::{
    ids::TxId,
    round::{Sequence, UnixMillis},
};

/// The bounds of a pool. They are a node's own, not the network's: no block depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most transactions.
    pub transactions_max: usize,
    /// Most bytes of transactions.
    pub bytes_max: usize,
    /// Most transactions of one sender.
    pub per_sender_max: usize,
    /// How far above its sender's next sequence number a transaction may be.
    pub sequence_gap_max: u64,
    /// How long a leader waits for more than a few transactions (deviation D21), a small part of a round's first duration at most.
    pub pause_max: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            transactions_max: 50_000,
            bytes_max: 64 << 20,
            per_sender_max: 5_000,
            sequence_gap_max: 5_000,
            pause_max: Duration::from_millis(5),
        }
    }
}

/// An amount of transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub transactions: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Load {
    /// Together with another.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { transactions: self.transactions.saturating_add(other.transactions), bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// Without another, at least nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { transactions: self.transactions.saturating_sub(other.transactions), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// Whether it has as many transactions as another, or as many bytes.
    #[must_use]
    pub const fn fills(self, other: Self) -> bool {
        self.transactions >= other.transactions || self.bytes >= other.bytes
    }
}

/// What became of a transaction that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in the pool now.
    New {
        /// What had to leave for it: a transaction that could not be in a block yet.
        evicted: Option<Dropped>,
    },
    /// It was in the pool before.
    AlreadyHere,
}

/// A transaction that left the pool without being committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Which one.
    pub id: TxId,
    /// Why.
    pub reason: Rejected,
}

/// Why a transaction is not in the pool. The text is for people and says what to do; [`Rejected::code`] is for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its sequence number is used up.
    #[error("sequence {sequence} is used already; sign the transaction again with sequence {next}")]
    SequenceTooOld {
        /// Its own.
        sequence: Sequence,
        /// The one to use.
        next: Sequence,
    },
    /// Its sequence number is too far ahead.
    #[error(
        "sequence {sequence} is too far ahead of {next}, the sender's next (at most {max} further, and below 2^64-1); send the ones between first"
    )]
    SequenceTooFar {
        /// Its own.
        sequence: Sequence,
        /// The sender's next.
        next: Sequence,
        /// How far ahead is possible.
        max: u64,
    },
    /// No block can hold it any more.
    #[error(
        "expired: valid before {expires_at} ms, the time is {now} ms; sign it again with a later expiry (and check this machine's clock)"
    )]
    Expired {
        /// The first time at which no block can hold it.
        expires_at: UnixMillis,
        /// The time it was compared with.
        now: UnixMillis,
    },
    /// The whole pool is full.
    #[error("the pool is full ({transactions} transactions, {bytes} bytes); send it again in a moment, or to another validator")]
    PoolFull {
        /// How many are in it.
        transactions: usize,
        /// How many bytes they have.
        bytes: usize,
    },
    /// The sender's part of the pool is full.
    #[error("{max} transactions of this sender are waiting already; wait until some are committed")]
    SenderFull {
        /// How many one sender may have.
        max: usize,
    },
    /// Another transaction has its sequence number.
    #[error("transaction {by} with sequence {sequence} is waiting already and stays; use the next free sequence, or wait until it expires")]
    SequenceTaken {
        /// The number.
        sequence: Sequence,
        /// Which transaction has it.
        by: TxId,
    },
    /// Another transaction with its sequence number was committed.
    #[error("another transaction with sequence {sequence} was committed; sign it again with the next free sequence")]
    SequenceUsed {
        /// The number.
        sequence: Sequence,
    },
    /// It waited for an earlier one of its sender while the pool was full.
    #[error(
        "gave its place in a full pool to a transaction that does not wait for an earlier one; send the ones before sequence {sequence} first"
    )]
    CrowdedOut {
        /// Its sequence number.
        sequence: Sequence,
    },
}

impl Rejected {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SequenceTooOld { .. } => "sequence-too-old",
            Self::SequenceTooFar { .. } => "sequence-too-far",
            Self::Expired { .. } => "expired",
            Self::PoolFull { .. } => "pool-full",
            Self::SenderFull { .. } => "sender-full",
            Self::SequenceTaken { .. } => "sequence-taken",
            Self::SequenceUsed { .. } => "sequence-used",
            Self::CrowdedOut { .. } => "crowded-out",
        }
    }
}
