//! Executing a block: the rules that every application shares.
//!
//! A block is *invalid*, and then no honest validator votes for it, when one of its transactions could not be the sender's next one at its
//! time. Everything that can go wrong after that is the sender's own affair: the transaction is included, its receipt says why it failed,
//! it has no effect, and its sequence number is consumed.

use quorate_types::{
    failure::Code,
    genesis::Genesis,
    ids::{GenesisHash, TxId},
    receipt::{Outcome, Receipt},
    round::{Sequence, UnixMillis},
    state_key::Account,
    transaction::Transaction,
};

use crate::{
    accounts,
    application::{AppError, Application, BlockContext, TxRejected},
    state::{Overlay, StateRead, Writes, state_full},
};

/// Most bytes that the transactions of a block may write to the state and answer with, together. Small transactions can copy large values
/// (`append`, `get`), so the size of the payload alone bounds neither the state nor the receipts. The transaction that goes over the limit
/// fails with `block-full`.
///
/// Four times what a full block of transfers or puts needs.
pub const BLOCK_EFFECT_BYTES_MAX: u64 = 8 << 20;

/// The result of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// What it changes.
    pub writes: Writes,
    /// One receipt for each transaction, in order.
    pub receipts: Vec<Receipt>,
}

/// Why a block is invalid. A fact about its author, who must not have proposed it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlock {
    /// A transaction of another network.
    #[error("transaction {tx_id} is for the network of genesis {genesis_hash}")]
    OtherNetwork {
        /// Which transaction.
        tx_id: TxId,
        /// Its network.
        genesis_hash: GenesisHash,
    },
    /// A transaction that is not the sender's next.
    #[error("transaction {tx_id} has sequence number {sequence}, the sender's next is {next}")]
    Sequence {
        /// Which transaction.
        tx_id: TxId,
        /// Its sequence number.
        sequence: Sequence,
        /// The sender's next.
        next: Sequence,
    },
    /// A transaction with the largest sequence number, after which there would be none.
    #[error("transaction {tx_id} has the largest sequence number, which is never used")]
    SequenceExhausted {
        /// Which transaction.
        tx_id: TxId,
    },
    /// A transaction that expired before the block's time.
    #[error("transaction {tx_id} expired at {expires_at} ms, the block is of {timestamp} ms")]
    Expired {
        /// Which transaction.
        tx_id: TxId,
        /// Its expiry.
        expires_at: UnixMillis,
        /// The block's time.
        timestamp: UnixMillis,
    },
}

/// The first state of a network.
///
/// # Errors
/// The application's [`AppError`].
pub fn genesis_state<A: Application + ?Sized>(app: &A, genesis: &Genesis) -> Result<Writes, AppError> {
    let nothing = std::collections::BTreeMap::new();
    let mut state = Overlay::new(&nothing);
    app.genesis(genesis, &mut state)?;
    Ok(state.into_writes())
}

/// Executes a block on its parent's state.
///
/// # Errors
/// [`InvalidBlock`], and then the block has no result.
pub fn execute_block<A: Application + ?Sized>(
    app: &A,
    base: &dyn StateRead,
    context: &BlockContext,
    payload: &[Transaction],
) -> Result<Execution, InvalidBlock> {
    let mut state = Overlay::new(base);
    let mut receipts = Vec::with_capacity(payload.len());
    let mut answer_bytes = 0u64;
    for tx in payload {
        let account = next_account(&state, context, tx)?;
        // The number is consumed before the transaction runs and outside what is rolled back, so that no outcome gives it back (EXEC-2).
        accounts::put(&mut state, &tx.sender(), account);
        state.savepoint();
        let mut outcome = app.execute(&mut state, context, tx);
        if let Outcome::Applied(answer) = &outcome {
            let bytes = answer_bytes.saturating_add(answer.len() as u64);
            if bytes.saturating_add(state.written_bytes()) > BLOCK_EFFECT_BYTES_MAX {
                outcome = Outcome::failed(Code::new("block-full"), &[]);
            } else {
                answer_bytes = bytes;
            }
        }
        if !outcome.is_applied() {
            state.rollback();
        }
        receipts.push(Receipt { tx_id: tx.id(), outcome });
    }
    Ok(Execution { writes: state.into_writes(), receipts })
}

/// The sender's account once the transaction has consumed its number.
fn next_account(state: &Overlay<'_>, context: &BlockContext, tx: &Transaction) -> Result<Account, InvalidBlock> {
    let tx_id = tx.id();
    let signed = tx.content();
    if signed.genesis_hash != context.genesis_hash {
        return Err(InvalidBlock::OtherNetwork { tx_id, genesis_hash: signed.genesis_hash });
    }
    if signed.expires_at <= context.timestamp {
        return Err(InvalidBlock::Expired { tx_id, expires_at: signed.expires_at, timestamp: context.timestamp });
    }
    let account = accounts::account(state, &tx.sender());
    if signed.sequence != account.sequence {
        return Err(InvalidBlock::Sequence { tx_id, sequence: signed.sequence, next: account.sequence });
    }
    let sequence = account.sequence.0.checked_add(1).map(Sequence).ok_or(InvalidBlock::SequenceExhausted { tx_id })?;
    Ok(Account { sequence, ..account })
}

/// Whether a pool may take a transaction at time `now`, as seen from a committed state: the shared rules, then the application's. How far
/// ahead a sequence number may lie is the pool's to say.
///
/// # Errors
/// [`TxRejected`].
pub fn check_transaction<A: Application + ?Sized>(
    app: &A,
    state: &dyn StateRead,
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
    let account = accounts::find(state, &tx.sender());
    let next = account.unwrap_or_default().sequence;
    if content.sequence < next {
        return Err(TxRejected::SequenceTooOld { next });
    }
    // Even a failed transaction brings its sender's account into being, so strangers are turned away here.
    if account.is_none() && state.size() >= crate::state::STATE_SIZE_MAX {
        return Err(TxRejected::Fails(state_full()));
    }
    app.check(state, tx).map_err(TxRejected::Fails)
}
