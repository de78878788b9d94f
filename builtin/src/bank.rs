//! The bank: accounts with a balance, and transfers between them. All money comes from the genesis; the total supply never changes.
//!
//! | Transfer | Outcome |
//! |---|---|
//! | the sender has the amount | done; creates the receiver's account if there is none |
//! | to oneself, with enough money | done, nothing changes |
//! | of 0 | fails, `zero-amount`: it moves nothing, and must not create empty accounts |
//! | of more than the sender has | fails, `insufficient-funds` |
//! | the receiver would have 2^64 or more | fails, `balance-overflow` (impossible while the supply is below 2^64, but checked) |
//! | the sender would keep less than the deposit for the state that it holds | fails, `deposit-locked` |
//! | the receiver has no account and the state is full | fails, `state-full` |
//! | the receiver has no account and the amount does not cover a new one's deposit | fails, `below-deposit` |

use quorate_app::{State, StateRead};
use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
};

use crate::{
    account::{self, ACCOUNT_ENTRY_SIZE, Account},
    built_in::Answer,
    operation::BankOperation,
    settings::{GenesisAccount, Settings},
};

/// Writes the genesis accounts.
pub(crate) fn genesis(settings: &Settings, state: &mut State<'_>) {
    for GenesisAccount { address, balance } in &settings.accounts {
        account::set_balance(state, address, *balance);
    }
}

/// Checks of an operation that look at the sender alone.
pub(crate) fn check(state: &dyn StateRead, settings: &Settings, sender: &Address, operation: &BankOperation) -> Result<(), Failure> {
    let BankOperation::Transfer { to, amount } = operation;
    left(state, settings, sender, to, *amount).map(|_| ())
}

/// Executes an operation.
pub(crate) fn execute(state: &mut State<'_>, settings: &Settings, sender: &Address, operation: &BankOperation) -> Result<Answer, Failure> {
    let BankOperation::Transfer { to, amount } = operation;
    transfer(state, settings, sender, to, *amount).map(|()| Answer::Done)
}

fn transfer(state: &mut State<'_>, settings: &Settings, from: &Address, to: &Address, amount: u64) -> Result<(), Failure> {
    let left = left(state, settings, from, to, amount)?;
    if from == to {
        return Ok(());
    }
    let receiver = account::find(state, to);
    if receiver.is_none() {
        let deposit = settings.deposit(ACCOUNT_ENTRY_SIZE);
        if amount < deposit {
            return Err(Failure::new(Code::new("below-deposit"), &[amount, deposit]));
        }
    }
    let sum = receiver.unwrap_or_default().balance.checked_add(amount);
    let sum = sum.ok_or_else(|| Failure::new(Code::new("balance-overflow"), &[]))?;
    account::set_balance(state, from, left);
    account::set_balance(state, to, sum);
    Ok(())
}

/// Balance that an amount leaves the sender, with the checks of the amount and of the sender's deposit.
fn left(state: &dyn StateRead, settings: &Settings, from: &Address, to: &Address, amount: u64) -> Result<u64, Failure> {
    if amount == 0 {
        return Err(Failure::new(Code::new("zero-amount"), &[]));
    }
    let Account { balance, stored, .. } = account::account(state, from);
    let left = balance.checked_sub(amount).ok_or_else(|| Failure::new(Code::new("insufficient-funds"), &[balance, amount]))?;
    let deposit = settings.deposit(stored);
    if from != to && left < deposit { Err(Failure::new(Code::new("deposit-locked"), &[left, deposit])) } else { Ok(left) }
}
