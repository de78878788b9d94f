//! The trait that a replicated state machine implements, and the words it speaks.

use std::borrow::Cow;

use quorate_types::{
    failure::Failure,
    genesis::Genesis,
    ids::{Address, GenesisHash, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
};

use crate::state::{Overlay, StateRead};

/// The block that a transaction is executed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// The network.
    pub genesis_hash: GenesisHash,
    /// The epoch of the block.
    pub epoch: Epoch,
    /// Its position in the chain.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// Its time: the only clock of an application.
    pub timestamp: UnixMillis,
    /// Who proposed it.
    pub author: ValidatorId,
}

/// A replicated state machine: a pure function of (state, context, transaction). Validators that run different functions of these never
/// certify each other's blocks, so an implementation reads no clock, no randomness, no file, and nothing with an unspecified order.
///
/// Sequence numbers, expiry and rollback are not its business: [`crate::execute_block`] sees to them before and after.
pub trait Application: Send + Sync + 'static {
    /// Writes the first state.
    ///
    /// # Errors
    /// [`AppError`]: the genesis contradicts the rules of this application.
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), AppError>;

    /// Whether a pool should take the transaction: the failure that it would end with, if that can be told now. A courtesy to its sender and a saving of space: it looks at some committed state, not at
    /// the one that the transaction will meet, and never decides whether a block is valid.
    ///
    /// # Errors
    /// [`Failure`].
    fn check(&self, state: &dyn StateRead, tx: &Transaction) -> Result<(), Failure>;

    /// Executes a transaction. Total: whatever the bytes, there is an outcome. After [`Outcome::Failed`] the writes are taken back by the
    /// caller; the sequence number stays consumed.
    fn execute(&self, state: &mut Overlay<'_>, context: &BlockContext, tx: &Transaction) -> Outcome;
}

/// Why there is no first state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// An account twice.
    #[error("the genesis names account {0} twice; keep one entry")]
    DuplicateAccount(Address),
    /// More money than can be counted.
    #[error("the balances of the genesis sum to 2^64 or more; lower them")]
    SupplyOverflow,
    /// A rule of another application.
    #[error("the genesis does not fit the application: {0}")]
    Other(String),
}

/// Why a transaction does not enter a pool. Nothing has happened to it: the sender may mend and send it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxRejected {
    /// Its sequence number is used up.
    #[error("its sequence number is used up; the account's next one is {next}")]
    SequenceTooOld {
        /// The account's next.
        next: Sequence,
    },
    /// Its sequence number is too far ahead.
    #[error("its sequence number is too far ahead; the account's next one is {next}, and at most {window} may wait")]
    SequenceTooFar {
        /// The account's next.
        next: Sequence,
        /// How many of a sender may wait.
        window: u64,
    },
    /// Another transaction of the sender has this number.
    #[error("another transaction of the sender with this sequence number is waiting")]
    SequenceTaken,
    /// The largest sequence number, after which there would be none.
    #[error("the account has used all its sequence numbers")]
    SequenceExhausted,
    /// It is too late for it.
    #[error("it expired at {expires_at} ms, it is {now} ms; sign it again with a later expiry")]
    Expired {
        /// Its expiry.
        expires_at: UnixMillis,
        /// The time it was compared with.
        now: UnixMillis,
    },
    /// It would wait for longer than a pool keeps anything.
    #[error("it expires too late: at most {max_ms} ms ahead are allowed")]
    ExpiryTooFar {
        /// How far ahead an expiry may lie.
        max_ms: u64,
    },
    /// It is for another network.
    #[error("it is for the network of genesis {0}, not for this one")]
    OtherNetwork(GenesisHash),
    /// It would be executed in vain, as far as is known now.
    #[error("{0}")]
    Fails(Failure),
    /// The sender has too much in the pool.
    #[error("the sender has {waiting} transactions waiting, no more are taken; wait for a commit")]
    SenderQuota {
        /// How many wait.
        waiting: usize,
    },
    /// The pool has no room.
    #[error("the pool is full; try again in a moment or at another validator")]
    PoolFull,
}

impl TxRejected {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::SequenceTooOld { .. } => "sequence-too-old",
            Self::SequenceTooFar { .. } => "sequence-too-far",
            Self::SequenceTaken => "sequence-taken",
            Self::SequenceExhausted => "sequence-exhausted",
            Self::Expired { .. } => "expired",
            Self::ExpiryTooFar { .. } => "expiry-too-far",
            Self::OtherNetwork(_) => "other-network",
            Self::Fails(failure) => return failure.code().to_owned().into(),
            Self::SenderQuota { .. } => "sender-quota",
            Self::PoolFull => "pool-full",
        })
    }
}
