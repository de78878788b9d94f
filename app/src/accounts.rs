//! Account records in a state. The record itself and its key are [`quorate_types::state_key`]'s, because proofs are about them.
//!
//! An account comes into being with its first transaction or the first transfer to it, and never goes away: its sequence number is what
//! keeps its old transactions from taking effect again (EXEC-2). Where the genesis asks for a deposit, only a transfer brings one into being.

use quorate_types::{
    ids::Address,
    round::Sequence,
    state_key::{ACCOUNT_ENTRY_SIZE, Account, account_key},
};

use crate::state::{Overlay, StateRead};

/// The account at an address; an account without a record has nothing and has sent nothing.
///
/// A record that is none would mean that an application wrote over the key of an account; it reads as an empty account, equally everywhere.
#[must_use]
pub fn account(state: &dyn StateRead, address: &Address) -> Account {
    find(state, address).unwrap_or_default()
}

/// The account at an address, if it has come into being.
#[must_use]
pub fn find(state: &dyn StateRead, address: &Address) -> Option<Account> {
    state.get(&account_key(address)).and_then(|record| Account::decode(&record))
}

/// The number of an account's next transaction.
#[must_use]
pub fn next_sequence(state: &dyn StateRead, address: &Address) -> Sequence {
    account(state, address).sequence
}

/// How much an account has, in the smallest unit.
#[must_use]
pub fn balance(state: &dyn StateRead, address: &Address) -> u64 {
    account(state, address).balance
}

/// Changes an account's balance and leaves the rest of its record as it is.
pub fn set_balance(state: &mut Overlay<'_>, address: &Address, balance: u64) {
    let account = Account { balance, ..account(state, address) };
    put(state, address, account);
}

/// Sequence numbers belong to [`crate::execute_block`] alone, and what an account holds to [`crate::storage`], so no application can set
/// either through this module. A new record counts itself.
pub(crate) fn put(state: &mut Overlay<'_>, address: &Address, account: Account) {
    let stored = account.stored.max(ACCOUNT_ENTRY_SIZE);
    state.put(account_key(address), Account { stored, ..account }.encode());
}
