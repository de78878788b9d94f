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
    failure::{Code, Failure},
    genesis::{Genesis, StateLimits},
    ids::Address,
    operation::BankOperation,
    receipt::Outcome,
    state_key::{ACCOUNT_ENTRY_SIZE, Account},
};

use crate::{
    accounts,
    application::AppError,
    built_in::OK,
    state::{Overlay, StateRead},
    storage::room,
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
pub(crate) fn check(state: &dyn StateRead, limits: &StateLimits, sender: &Address, operation: &BankOperation) -> Result<(), Failure> {
    let BankOperation::Transfer { to, amount } = operation;
    left(state, limits, sender, to, *amount).map(|_| ())
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, limits: &StateLimits, sender: &Address, operation: &BankOperation) -> Outcome {
    let BankOperation::Transfer { to, amount } = operation;
    transfer(state, limits, sender, to, *amount).map_or_else(Outcome::Failed, |()| Outcome::Applied(OK.into()))
}

fn transfer(state: &mut Overlay<'_>, limits: &StateLimits, from: &Address, to: &Address, amount: u64) -> Result<(), Failure> {
    let left = left(state, limits, from, to, amount)?;
    if from == to {
        return Ok(());
    }
    let receiver = accounts::find(state, to);
    if receiver.is_none() {
        room(state, limits)?;
        let deposit = limits.deposit(ACCOUNT_ENTRY_SIZE);
        if amount < deposit {
            return Err(Failure::new(Code::new("below-deposit"), &[amount, deposit]));
        }
    }
    let sum = receiver.unwrap_or_default().balance.checked_add(amount);
    let sum = sum.ok_or_else(|| Failure::new(Code::new("balance-overflow"), &[]))?;
    accounts::set_balance(state, from, left);
    accounts::set_balance(state, to, sum);
    Ok(())
}

/// What the sender has left after an amount, the deposit for what it holds among it.
fn left(state: &dyn StateRead, limits: &StateLimits, from: &Address, to: &Address, amount: u64) -> Result<u64, Failure> {
    if amount == 0 {
        return Err(Failure::new(Code::new("zero-amount"), &[]));
    }
    let Account { balance, stored, .. } = accounts::account(state, from);
    let left = balance.checked_sub(amount).ok_or_else(|| Failure::new(Code::new("insufficient-funds"), &[balance, amount]))?;
    let deposit = limits.deposit(stored);
    if from != to && left < deposit { Err(Failure::new(Code::new("deposit-locked"), &[left, deposit])) } else { Ok(left) }
}
