//! The bounds of the pool, and its answers.

use std::time::Duration;

use quorate_types::{
    ids::TxId,
    round::{Sequence, UnixMillis},
};

/// The bounds of a pool. Each node has its own: no block depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most transactions.
    pub transactions_max: usize,
    /// Most bytes of transactions.
    pub bytes_max: usize,
    /// Most transactions of one sender.
    pub per_sender_max: usize,
    /// How far a transaction may be above its sender's next sequence number.
    pub sequence_gap_max: u64,
    /// How long a leader waits for more than a few transactions (deviation D21); never longer than a small part of the base timeout.
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
    /// Number of transactions.
    pub transactions: usize,
    /// Size in bytes.
    pub bytes: usize,
}

impl Load {
    /// The sum of two loads.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { transactions: self.transactions.saturating_add(other.transactions), bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// The difference of two loads, at least zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { transactions: self.transactions.saturating_sub(other.transactions), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// Whether it reaches another load, in transactions or in bytes.
    #[must_use]
    pub const fn fills(self, other: Self) -> bool {
        self.transactions >= other.transactions || self.bytes >= other.bytes
    }
}

/// What became of an added transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in the pool now.
    New {
        /// The parked transaction that had to leave for it, if any.
        evicted: Option<Dropped>,
    },
    /// It was in the pool already.
    AlreadyHere,
}

/// A transaction that left the pool without being committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Id of the transaction.
    pub id: TxId,
    /// Why it left.
    pub reason: Rejected,
}

/// Why a transaction is not in the pool. The text is for people and says what to do; [`Rejected::code`] is for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its sequence number is used up.
    #[error("sequence {sequence} is already used; sign the transaction again with sequence {next}")]
    SequenceTooOld {
        /// The transaction's sequence number.
        sequence: Sequence,
        /// The sender's next.
        next: Sequence,
    },
    /// Its sequence number is too far ahead.
    #[error(
        "sequence {sequence} is too far ahead of {next}, the sender's next (at most {max} further, and below 2^64-1); send the ones between first"
    )]
    SequenceTooFar {
        /// The transaction's sequence number.
        sequence: Sequence,
        /// The sender's next.
        next: Sequence,
        /// The largest allowed distance.
        max: u64,
    },
    /// No block can hold it any more.
    #[error(
        "expired: valid before {expires_at} ms, but the time is {now} ms; sign it again with a later expiry (and check this machine's clock)"
    )]
    Expired {
        /// The time from which no block can hold it.
        expires_at: UnixMillis,
        /// The time it was compared with.
        now: UnixMillis,
    },
    /// The whole pool is full.
    #[error("the pool is full ({transactions} transactions, {bytes} bytes); send it again in a moment, or to another validator")]
    PoolFull {
        /// Transactions in the pool.
        transactions: usize,
        /// Bytes of transactions in the pool.
        bytes: usize,
    },
    /// The sender has as many transactions in the pool as one sender may have.
    #[error("{max} transactions of this sender are already waiting; wait until some are committed")]
    SenderFull {
        /// The bound for one sender.
        max: usize,
    },
    /// Another transaction has its sequence number.
    #[error(
        "transaction {by} with sequence {sequence} already waits and is not replaced; use the next free sequence, or wait until it expires"
    )]
    SequenceTaken {
        /// The sequence number of both.
        sequence: Sequence,
        /// The transaction that stays.
        by: TxId,
    },
    /// Another transaction with its sequence number was committed.
    #[error("another transaction with sequence {sequence} was committed; sign it again with the next free sequence")]
    SequenceUsed {
        /// The sequence number of both.
        sequence: Sequence,
    },
    /// It was evicted from a full pool while it waited for an earlier one of its sender.
    #[error(
        "evicted from a full pool for a transaction that does not wait for an earlier one; send the ones before sequence {sequence} first"
    )]
    CrowdedOut {
        /// The transaction's sequence number.
        sequence: Sequence,
    },
    /// Its sender may no longer send.
    #[error("{reason}")]
    Forbidden {
        /// Why not, and whom to ask.
        reason: String,
        /// Because it is frozen.
        is_frozen: bool,
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
            Self::Forbidden { is_frozen: true, .. } => "account-frozen",
            Self::Forbidden { is_frozen: false, .. } => "not-permitted",
        }
    }
}
