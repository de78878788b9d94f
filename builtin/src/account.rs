//! The bank's part of an account's record.

use quorate_app::{State, StateRead, accounts};
use quorate_types::{
    ids::Address,
    permission::Permission,
    round::Sequence,
    state_key::{AccountRecord, account_entry_size},
};

/// Length of the bank's part of an account's record, in bytes.
pub const ACCOUNT_BYTES: usize = 16;

/// Size of an account's own record in the state: the least that an account holds.
pub const ACCOUNT_ENTRY_SIZE: u64 = account_entry_size(ACCOUNT_BYTES as u64);

/// An account. Without a record it has no money and has sent nothing: [`Account::default`].
///
/// ```text
/// ┌────────────────┬────────────────┬────────────────┬────────────────┐
/// │ sequence u64 LE│ permission     │ balance u64 LE │ stored u64 LE  │
/// │ 0            8 │ 8           21 │ 21          29 │ 29          37 │
/// └────────────────┴────────────────┴────────────────┴────────────────┘
///    the chain's                      the bank's
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Number of the account's next transaction; every lower one is used up for ever.
    pub sequence: Sequence,
    /// What the account may do.
    pub permission: Permission,
    /// In the smallest unit.
    pub balance: u64,
    /// Bytes of the state that the account holds: the sum of [`entry_size`](quorate_types::state_key::entry_size) over its entries, its
    /// record included. 0 only without a record.
    pub stored: u64,
}

impl Account {
    /// Reads a record.
    #[must_use]
    pub fn of(record: &AccountRecord) -> Self {
        let (balance, stored) = match record.application().split_first_chunk::<8>() {
            Some((balance, stored)) => (*balance, stored.first_chunk().copied().unwrap_or_default()),
            None => Default::default(),
        };
        Self {
            sequence: record.sequence(),
            permission: record.permission(),
            balance: u64::from_le_bytes(balance),
            stored: u64::from_le_bytes(stored),
        }
    }

    /// The account's record.
    #[must_use]
    pub fn record(&self) -> AccountRecord {
        AccountRecord::new(self.sequence, self.permission, &self.application())
    }

    pub(crate) fn application(&self) -> [u8; ACCOUNT_BYTES] {
        let mut bytes = [0; ACCOUNT_BYTES];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.balance, self.stored]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

/// The account at an address; without a record it has no money and has sent nothing.
#[must_use]
pub fn account(state: &dyn StateRead, address: &Address) -> Account {
    find(state, address).unwrap_or_default()
}

/// The account at an address, if it exists.
#[must_use]
pub fn find(state: &dyn StateRead, address: &Address) -> Option<Account> {
    accounts::find(state, address).as_ref().map(Account::of)
}

/// An account's balance in the smallest unit.
#[must_use]
pub fn balance(state: &dyn StateRead, address: &Address) -> u64 {
    account(state, address).balance
}

/// Changes an account's balance, leaving the rest of its record alone.
pub(crate) fn set_balance(state: &mut State<'_>, address: &Address, balance: u64) {
    put(state, address, Account { balance, ..account(state, address) });
}

/// Sets the bank's part of a record. A new record counts itself.
pub(crate) fn put(state: &mut State<'_>, address: &Address, account: Account) {
    let stored = account.stored.max(ACCOUNT_ENTRY_SIZE);
    accounts::set(state, address, &Account { stored, ..account }.application());
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::state_key::{account_key, entry_size};

    #[test]
    fn the_account_record_has_golden_bytes() {
        let permission = Permission { send: true, ..Permission::default() };
        let account = Account { sequence: Sequence(9), permission, balance: 0x0102_0304_0506_0708, stored: 326 };
        let value = account.record().into_value();
        let (sequence, bank) = ([9, 0, 0, 0, 0, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1, 70, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(*value, [&sequence[..], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &bank].concat());
        assert_eq!(Account::of(&account.record()), account);
        assert_eq!((entry_size(&account_key(&Address::default()), &value), ACCOUNT_ENTRY_SIZE), (326, 326));
    }
}
