//! Executing a block: the rules that every application shares.
//!
//! A block is *invalid*, and no honest validator votes for it, if one of its transactions could not be the sender's next at the block's
//! time, or if the sender may not send it. Everything that can go wrong after that concerns the sender alone: the transaction is included, its receipt says why it failed, it
//! has no effect, and its sequence number is consumed.

use std::collections::{BTreeMap, btree_map::Entry};

use quorate_types::{
    epoch::EpochState,
    failure::{Code, Failure},
    ids::{Address, GenesisHash, TxId},
    permission::Permission,
    receipt::{Outcome, Receipt},
    round::{Sequence, UnixMillis},
    state_key::AccountRecord,
    transaction::{Target, Transaction},
};

use crate::{
    accounts,
    application::{BlockContext, Explained, TxRejected},
    machine::Machine,
    permissions::{self, Standing},
    state::{State, StateRead, Writes},
};

/// The result of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The block's changes to the state.
    pub writes: Writes,
    /// One receipt per transaction, in order.
    pub receipts: Vec<Receipt>,
    /// The epoch state in force after the block, if the block has changed it: it is then the last block of its epoch.
    pub next_epoch: Option<EpochState>,
}

/// Why a block is invalid: its author should not have proposed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlock {
    /// A transaction for another network.
    #[error("transaction {tx_id} is for the network of genesis {genesis_hash}")]
    OtherNetwork {
        /// The transaction.
        tx_id: TxId,
        /// Genesis hash that the transaction names.
        genesis_hash: GenesisHash,
    },
    /// A transaction that is not the sender's next.
    #[error("transaction {tx_id} has sequence number {sequence}, but the sender's next is {next}")]
    Sequence {
        /// The transaction.
        tx_id: TxId,
        /// Sequence number of the transaction.
        sequence: Sequence,
        /// The sender's next sequence number.
        next: Sequence,
    },
    /// A transaction with the largest sequence number, which has no successor.
    #[error("transaction {tx_id} has the largest sequence number, which is never used")]
    SequenceExhausted {
        /// The transaction.
        tx_id: TxId,
    },
    /// A transaction of an account that does not exist and that a transaction of its own does not create.
    #[error("transaction {tx_id} is of an account that does not exist and cannot create it: {failure}")]
    NoAccount {
        /// The transaction.
        tx_id: TxId,
        /// Why the account cannot be created.
        failure: Failure,
    },
    /// A transaction of an account that may not send any.
    #[error("transaction {tx_id} is of an account that may not send: {failure}")]
    NotPermitted {
        /// The transaction.
        tx_id: TxId,
        /// Why it may not.
        failure: Failure,
    },
    /// More transactions of one account than it may have in a block.
    #[error("transaction {tx_id} is one too many: its sender may have {max} in a block")]
    TooMany {
        /// The transaction.
        tx_id: TxId,
        /// Most transactions of the sender.
        max: u32,
    },
    /// A transaction that expired before the block's time.
    #[error("transaction {tx_id} expired at {expires_at} ms; the block's time is {timestamp} ms")]
    Expired {
        /// The transaction.
        tx_id: TxId,
        /// Expiry of the transaction.
        expires_at: UnixMillis,
        /// Timestamp of the block.
        timestamp: UnixMillis,
    },
}

/// Why a block has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexecuted {
    /// The block is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidBlock),
    /// The application panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// The application panicked on a transaction. What the panic left behind is unknown, so the process stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the application panicked on transaction {tx_id}: {message}")]
pub struct Panicked {
    /// The transaction.
    pub tx_id: TxId,
    /// Message of the panic.
    pub message: String,
}

/// Executes a block on its parent's state, in the epoch that the parent leaves in force.
///
/// # Errors
/// [`Unexecuted`]: the block has no result.
pub fn execute_block(
    machine: &Machine,
    base: &dyn StateRead,
    context: &BlockContext,
    epoch: &EpochState,
    payload: &[Transaction],
) -> Result<Execution, Unexecuted> {
    let mut state = State::new(base);
    let mut receipts = Vec::with_capacity(payload.len());
    let mut answer_bytes = 0u64;
    let mut is_governed = false;
    let mut senders: BTreeMap<Address, Share> = BTreeMap::new();
    for tx in payload {
        let share = match senders.entry(tx.sender()) {
            Entry::Occupied(share) => share.into_mut(),
            Entry::Vacant(place) => {
                let standing = permissions::standing(base, epoch, &tx.sender());
                let Standing { transactions_max, .. } =
                    standing.map_err(|failure| InvalidBlock::NotPermitted { tx_id: tx.id(), failure })?;
                place.insert(Share { transactions_max, transactions: 0, effect_bytes: 0, has_governed: false })
            }
        };
        share.transactions = share.transactions.saturating_add(1);
        if share.transactions > share.transactions_max {
            return Err(InvalidBlock::TooMany { tx_id: tx.id(), max: share.transactions_max }.into());
        }
        let written_before = state.written_bytes();
        let record = next_record(machine, &state, context, tx)?;
        // The number is consumed before the transaction runs and before the savepoint, so that no outcome gives it back (EXEC-2).
        accounts::put(&mut state, &tx.sender(), record);
        state.savepoint();
        let is_of_chain = tx.content().target == Target::Chain;
        // Whoever governs can always do one thing: nothing that the account did before in this block keeps it from that.
        let share_max = if is_of_chain && !share.has_governed { u64::MAX } else { epoch.parameters.account_effect_bytes_max() };
        share.has_governed |= is_of_chain;
        let block_max = u64::from(context.limits.block_effect_bytes_max);
        // Before it runs, so that work that is undone is bounded too.
        let mut outcome = if share.effect_bytes >= share_max {
            Outcome::failed(ACCOUNT_BLOCK_FULL, &[])
        } else if answer_bytes.saturating_add(state.written_bytes()) > block_max {
            Outcome::failed(BLOCK_FULL, &[])
        } else {
            machine.execute(&mut state, context, epoch, tx).map_err(|message| Panicked { tx_id: tx.id(), message })?
        };
        share.effect_bytes = share.effect_bytes.saturating_add(state.written_bytes().saturating_sub(written_before));
        if let Outcome::Applied(answer) = &outcome {
            let answer = answer.len() as u64;
            let (of_block, of_sender) = (answer_bytes.saturating_add(answer), share.effect_bytes.saturating_add(answer));
            // A full state must not keep the committee from changing.
            let bytes_max = if is_of_chain { u64::MAX } else { context.limits.bytes_max };
            if let Some(failure) = state.refusal(bytes_max) {
                outcome = Outcome::Failed(failure);
            } else if of_block.saturating_add(state.written_bytes()) > block_max {
                outcome = Outcome::failed(BLOCK_FULL, &[]);
            } else if of_sender > share_max {
                outcome = Outcome::failed(ACCOUNT_BLOCK_FULL, &[]);
            } else {
                (answer_bytes, share.effect_bytes) = (of_block, of_sender);
            }
        }
        if !outcome.is_applied() {
            state.rollback();
        } else if is_of_chain {
            is_governed = true;
        }
        receipts.push(Receipt { tx_id: tx.id(), outcome });
    }
    // At the end of the block, so that the order of its transactions does not decide which changes take effect together.
    let next_epoch = if is_governed { machine.conclude(&mut state, epoch, context.height) } else { None };
    Ok(Execution { writes: state.into_writes(), receipts, next_epoch })
}

/// What one account has of a block.
struct Share {
    transactions_max: u32,
    transactions: u32,
    /// Bytes written, rolled-back ones included, and answered.
    effect_bytes: u64,
    /// It has sent an operation on the chain.
    has_governed: bool,
}

const BLOCK_FULL: Code = Code::new("block-full");
const ACCOUNT_BLOCK_FULL: Code = Code::new("account-block-full");

/// The record of the sender's account after the transaction has consumed its sequence number.
fn next_record(machine: &Machine, state: &State<'_>, context: &BlockContext, tx: &Transaction) -> Result<AccountRecord, InvalidBlock> {
    let tx_id = tx.id();
    let signed = tx.content();
    if signed.genesis_hash != context.genesis_hash {
        return Err(InvalidBlock::OtherNetwork { tx_id, genesis_hash: signed.genesis_hash });
    }
    if signed.expires_at <= context.timestamp {
        return Err(InvalidBlock::Expired { tx_id, expires_at: signed.expires_at, timestamp: context.timestamp });
    }
    let record = accounts::find(state, &tx.sender());
    let next = record.as_ref().map_or(Sequence(0), AccountRecord::sequence);
    if signed.sequence != next {
        return Err(InvalidBlock::Sequence { tx_id, sequence: signed.sequence, next });
    }
    let sequence = next.0.checked_add(1).map(Sequence).ok_or(InvalidBlock::SequenceExhausted { tx_id })?;
    match record {
        Some(record) => Ok(AccountRecord::new(sequence, record.permission(), record.application())),
        None => match machine.new_account() {
            Ok(application) => Ok(AccountRecord::new(sequence, Permission::default(), &application)),
            Err(failure) => Err(InvalidBlock::NoAccount { tx_id, failure }),
        },
    }
}

/// Whether a pool may take a transaction at time `now`, as seen from a committed state: the shared rules, then the application's. The pool
/// itself limits how far ahead a sequence number may lie.
///
/// # Errors
/// [`TxRejected`].
pub fn check_transaction(
    machine: &Machine,
    state: &dyn StateRead,
    epoch: &EpochState,
    genesis_hash: GenesisHash,
    now: UnixMillis,
    tx: &Transaction,
) -> Result<(), TxRejected> {
    let content = tx.content();
    if content.genesis_hash != genesis_hash {
        return Err(TxRejected::OtherNetwork(content.genesis_hash));
    }
    if content.expires_at <= now {
        return Err(TxRejected::Expired { expires_at: content.expires_at, now });
    }
    if content.sequence == Sequence(u64::MAX) {
        return Err(TxRejected::SequenceExhausted);
    }
    let record = accounts::find(state, &tx.sender());
    let next = record.as_ref().map_or(Sequence(0), AccountRecord::sequence);
    if content.sequence < next {
        return Err(TxRejected::SequenceTooOld { next });
    }
    let fails = |failure: Failure| TxRejected::Fails(Explained { text: machine.app().explain(&failure), failure });
    permissions::standing(state, epoch, &tx.sender()).map_err(fails)?;
    // Even a failed transaction creates its sender's account, so unknown senders are turned away here.
    if record.is_none() {
        machine.new_account().map_err(fails)?;
        if state.size() >= epoch.parameters.state.bytes_max {
            return Err(fails(Failure::new(Code::new("state-full"), &[])));
        }
    }
    machine.check(state, epoch, tx).map_err(fails)
}
