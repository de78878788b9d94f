//! The bank: accounts with a balance, and transfers between them. Money comes from genesis only; the total supply never changes.
//!
//! | Transfer | Outcome |
//! |---|---|
//! | the sender has the amount | `OK`; the receiver's account comes into being if there is none |
//! | to oneself, with enough money | `OK`, nothing changes |
//! | of 0 | fails, `zero-amount`: it moves nothing, and it must not bring empty accounts into being |
//! | of more than the sender has | fails, `insufficient-funds` |
//! | the receiver would have 2^64 or more | fails, `balance-overflow` (impossible while the supply is below 2^64; checked all the same) |
//! | the receiver has no account and the state is full | fails, `state-full` |

use quorate_types::{genesis::Genesis, ids::Address, operation::BankOperation, receipt::Outcome};

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
pub(crate) fn check(state: &dyn StateRead, sender: &Address, operation: &BankOperation) -> Result<(), TxRejected> {
    match operation {
        BankOperation::Transfer { to: _, amount: 0 } => Err(TxRejected::ZeroAmount),
        BankOperation::Transfer { to: _, amount } => {
            let balance = accounts::balance(state, sender);
            if balance < *amount { Err(TxRejected::InsufficientFunds { balance, amount: *amount }) } else { Ok(()) }
        }
    }
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, sender: &Address, operation: &BankOperation) -> Outcome {
    match operation {
        BankOperation::Transfer { to, amount } => transfer(state, sender, to, *amount),
    }
}

fn transfer(state: &mut Overlay<'_>, from: &Address, to: &Address, amount: u64) -> Outcome {
    if amount == 0 {
        let error = TxRejected::ZeroAmount;
        return Outcome::failed(error.code(), error.to_string());
    }
    let balance = accounts::balance(state, from);
    let Some(left) = balance.checked_sub(amount) else {
        let error = TxRejected::InsufficientFunds { balance, amount };
        return Outcome::failed(error.code(), error.to_string());
    };
    if from == to {
        return Outcome::Applied(OK.into());
    }
    let receiver = accounts::find(state, to);
    if receiver.is_none() && state.is_full() {
        let error = TxRejected::StateFull;
        return Outcome::failed(error.code(), error.to_string());
    }
    let Some(sum) = receiver.unwrap_or_default().balance.checked_add(amount) else {
        return Outcome::failed("balance-overflow", "the receiver would have more than can be counted".into());
    };
    accounts::set_balance(state, from, left);
    accounts::set_balance(state, to, sum);
    Outcome::Applied(OK.into())
}
