//! The bank: accounts with a balance, and transfers between them. Money comes from genesis only; the total supply never changes.
//!
//! | Transfer | Outcome |
//! |---|---|
//! | the sender has the amount | `OK`; the receiver's account comes into being if there is none |
//! | to oneself, with enough money | `OK`, nothing changes |
//! | of 0 | fails, `zero-amount`: it moves nothing, and it must not bring empty accounts into being |
//! | of more than the sender has | fails, `insufficient-funds` |
//! | the receiver would have 2^64 or more | fails, `balance-overflow` (impossible while the supply is below 2^64; checked all the same) |
//! | the sender would keep less than the deposit for what it holds of the state | fails, `deposit-locked` |
//! | the receiver has no account and the state is full | fails, `state-full` |
//! | the receiver has no account and the amount does not cover the deposit of one | fails, `below-deposit` |

use quorate_types::{
    genesis::{Genesis, StateLimits},
    ids::Address,
    operation::BankOperation,
    receipt::Outcome,
    state_key::ACCOUNT_ENTRY_SIZE,
};

use crate::{
    accounts,
    application::{AppError, TxRejected},
    built_in::OK,
    state::{Overlay, StateRead},
};

/// Writes the first accounts.
pub(crate) fn genesis(genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), AppError> {
    let mut supply = 0u64;
    for account in &genesis.accounts {
        if accounts::find(state, &account.address).is_some() {
            return Err(AppError::DuplicateAccount(account.address));
        }
        supply = supply.checked_add(account.balance).ok_or(AppError::SupplyOverflow)?;
        accounts::set_balance(state, &account.address, account.balance);
    }
    Ok(())
}

/// What can be said of an operation before it meets its state.
pub(crate) fn check(
    state: &dyn StateRead,
    limits: &StateLimits,
    sender: &Address,
    operation: &BankOperation,
) -> Result<(), TxRejected> {
    match operation {
        BankOperation::Transfer { to, amount } => left(state, limits, sender, to, *amount).map(|_| ()),
    }
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, limits: &StateLimits, sender: &Address, operation: &BankOperation) -> Outcome {
    match operation {
        BankOperation::Transfer { to, amount } => transfer(state, limits, sender, to, *amount),
    }
}

/// What the sender would have left.
fn left(state: &dyn StateRead, limits: &StateLimits, from: &Address, to: &Address, amount: u64) -> Result<u64, TxRejected> {
    if amount == 0 {
        return Err(TxRejected::ZeroAmount);
    }
    let sender = accounts::account(state, from);
    let left = sender.balance.checked_sub(amount).ok_or(TxRejected::InsufficientFunds { balance: sender.balance, amount })?;
    let deposit = limits.deposit(sender.stored);
    if from != to && left < deposit { Err(TxRejected::DepositLocked { left, deposit }) } else { Ok(left) }
}

/// What the receiver would have.
fn sum(state: &dyn StateRead, limits: &StateLimits, to: &Address, amount: u64) -> Result<Option<u64>, TxRejected> {
    let receiver = accounts::find(state, to);
    if receiver.is_none() {
        if state.size() >= limits.bytes_max {
            return Err(TxRejected::StateFull);
        }
        let deposit = limits.deposit(ACCOUNT_ENTRY_SIZE);
        if amount < deposit {
            return Err(TxRejected::BelowDeposit { amount, deposit });
        }
    }
    Ok(receiver.unwrap_or_default().balance.checked_add(amount))
}

fn transfer(state: &mut Overlay<'_>, limits: &StateLimits, from: &Address, to: &Address, amount: u64) -> Outcome {
    let failed = |error: TxRejected| Outcome::failed(error.code(), error.to_string());
    let left = match left(state, limits, from, to, amount) {
        Ok(left) => left,
        Err(error) => return failed(error),
    };
    if from == to {
        return Outcome::Applied(OK.into());
    }
    match sum(state, limits, to, amount) {
        Ok(Some(sum)) => {
            accounts::set_balance(state, from, left);
            accounts::set_balance(state, to, sum);
            Outcome::Applied(OK.into())
        }
        Ok(None) => Outcome::failed("balance-overflow", "the receiver would have more than can be counted".into()),
        Err(error) => failed(error),
    }
}
