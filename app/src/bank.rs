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

use quorate_types::{
    failure::{Code, Failure},
    genesis::Genesis,
    ids::Address,
    operation::BankOperation,
    receipt::Outcome,
};

use crate::{
    accounts,
    application::AppError,
    built_in::OK,
    state::{Overlay, StateRead, state_full},
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
pub(crate) fn check(state: &dyn StateRead, sender: &Address, operation: &BankOperation) -> Result<(), Failure> {
    let BankOperation::Transfer { to: _, amount } = operation;
    covered(accounts::balance(state, sender), *amount).map(|_| ())
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, sender: &Address, operation: &BankOperation) -> Outcome {
    let BankOperation::Transfer { to, amount } = operation;
    transfer(state, sender, to, *amount).map_or_else(Outcome::Failed, |()| Outcome::Applied(OK.into()))
}

fn transfer(state: &mut Overlay<'_>, from: &Address, to: &Address, amount: u64) -> Result<(), Failure> {
    let left = covered(accounts::balance(state, from), amount)?;
    if from == to {
        return Ok(());
    }
    let receiver = accounts::find(state, to);
    if receiver.is_none() && state.is_full() {
        return Err(state_full());
    }
    let sum = receiver.unwrap_or_default().balance.checked_add(amount);
    let sum = sum.ok_or_else(|| Failure::new(Code::new("balance-overflow"), &[]))?;
    accounts::set_balance(state, from, left);
    accounts::set_balance(state, to, sum);
    Ok(())
}

/// What is left of a balance after an amount.
fn covered(balance: u64, amount: u64) -> Result<u64, Failure> {
    if amount == 0 {
        return Err(Failure::new(Code::new("zero-amount"), &[]));
    }
    balance.checked_sub(amount).ok_or_else(|| Failure::new(Code::new("insufficient-funds"), &[balance, amount]))
}
