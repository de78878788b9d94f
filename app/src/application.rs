//! The trait that a replicated state machine implements, and the words it speaks.

use quorate_types::{
    genesis::{Genesis, StateLimits},
    ids::{Address, ChainId, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
};

use crate::state::{Overlay, StateRead};

/// The block that a transaction is executed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// The network.
    pub chain_id: ChainId,
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

    /// Whether a pool should take the transaction. A courtesy to its sender and a saving of space: it looks at some committed state, not at
    /// the one that the transaction will meet, and never decides whether a block is valid.
    ///
    /// # Errors
    /// [`TxRejected`].
    fn check(&self, state: &dyn StateRead, limits: &StateLimits, tx: &Transaction) -> Result<(), TxRejected>;

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
    #[error("it is for chain {0}, not for this one")]
    OtherChain(ChainId),
    /// Its payload is no operation.
    #[error("its payload is no operation: {0}")]
    MalformedOperation(String),
    /// Nothing here executes it.
    #[error("no application of this network executes {0}")]
    Unsupported(&'static str),
    /// A transfer of nothing.
    #[error("a transfer needs an amount above zero")]
    ZeroAmount,
    /// The sender has less than it gives, as far as is known now.
    #[error("the sender has {balance}, less than {amount}")]
    InsufficientFunds {
        /// What the sender has.
        balance: u64,
        /// What it would give.
        amount: u64,
    },
    /// A part of it is too long.
    #[error("its {what} has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// How long it is.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// The state has no room.
    #[error("the state has reached its largest size; delete keys, or use an account that exists")]
    StateFull,
    /// The account holds as much of the state as it may.
    #[error("the account would hold {stored} bytes of the state, and may hold {max}; delete keys, or use another account")]
    AccountStateFull {
        /// What it would hold.
        stored: u64,
        /// What it may hold.
        max: u64,
    },
    /// The account has too little for what it would hold.
    #[error("the account has {balance}, and the deposit for what it would hold of the state is {deposit}; delete keys, or send it more")]
    DepositNotCovered {
        /// What it has.
        balance: u64,
        /// What it would need.
        deposit: u64,
    },
    /// The transfer would take what the sender must keep.
    #[error("the transfer would leave {left}, and the deposit for what the account holds of the state is {deposit}; send less, or delete keys")]
    DepositLocked {
        /// What would be left.
        left: u64,
        /// What must stay.
        deposit: u64,
    },
    /// The transfer is too small to open an account.
    #[error("the receiver has no account, and the deposit for a new one is {deposit}; send at least as much, {amount} is less")]
    BelowDeposit {
        /// What would be sent.
        amount: u64,
        /// What a new account needs.
        deposit: u64,
    },
    /// The sender has no account, and cannot open one by sending.
    #[error("the sender has no account; let somebody send it at least {deposit}, the deposit for a new one")]
    NoAccount {
        /// What a new account needs.
        deposit: u64,
    },
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
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SequenceTooOld { .. } => "sequence-too-old",
            Self::SequenceTooFar { .. } => "sequence-too-far",
            Self::SequenceTaken => "sequence-taken",
            Self::SequenceExhausted => "sequence-exhausted",
            Self::Expired { .. } => "expired",
            Self::ExpiryTooFar { .. } => "expiry-too-far",
            Self::OtherChain(_) => "other-chain",
            Self::MalformedOperation(_) => "malformed-operation",
            Self::Unsupported(_) => "unsupported",
            Self::ZeroAmount => "zero-amount",
            Self::InsufficientFunds { .. } => "insufficient-funds",
            Self::TooLarge { .. } => "too-large",
            Self::StateFull => "state-full",
            Self::AccountStateFull { .. } => "account-state-full",
            Self::DepositNotCovered { .. } => "deposit-not-covered",
            Self::DepositLocked { .. } => "deposit-locked",
            Self::BelowDeposit { .. } => "below-deposit",
            Self::NoAccount { .. } => "no-account",
            Self::SenderQuota { .. } => "sender-quota",
            Self::PoolFull => "pool-full",
        }
    }
}
