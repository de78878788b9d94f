//! The trait that a replicated state machine implements, and the words it speaks.

use std::borrow::Cow;

use quorate_types::{
    failure::Failure,
    genesis::{Genesis, StateLimits},
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
    /// How far the state may grow, and what it costs.
    pub limits: StateLimits,
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

    /// The failure that the transaction would end with, if that can be told before it is in a block; a pool does not take it then. A courtesy to its sender and a saving of space: it looks at some committed state, not at
    /// the one that the transaction will meet, and never decides whether a block is valid.
    ///
    /// # Errors
    /// [`Failure`].
    fn check(&self, state: &dyn StateRead, limits: &StateLimits, tx: &Transaction) -> Result<(), Failure>;

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
    /// It is for another network.
    #[error("it is for the network of genesis {0}, not for this one")]
    OtherNetwork(GenesisHash),
    /// It would be executed in vain, as far as is known now.
    #[error("{0}")]
    Fails(Failure),
}

impl TxRejected {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::SequenceTooOld { .. } => "sequence-too-old",
            Self::SequenceExhausted => "sequence-exhausted",
            Self::Expired { .. } => "expired",
            Self::OtherNetwork(_) => "other-network",
            Self::Fails(failure) => return failure.code().to_owned().into(),
        })
    }
}
