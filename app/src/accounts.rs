//! The accounts' records in a state. Their format is in [`quorate_types::state_key`], because proofs are about them.

use quorate_types::{
    failure::Code,
    ids::Address,
    round::Sequence,
    state_key::{AccountRecord, account_key},
};

use crate::state::{ACCOUNT_BYTES_MAX, State, StateRead};

/// The record of an account, if the account exists.
///
/// No application can write anything else under this key, so a value that does not decode would be a bug here; it reads as no account, the
/// same on every validator.
#[must_use]
pub fn find(state: &dyn StateRead, address: &Address) -> Option<AccountRecord> {
    state.get(&account_key(address)).and_then(AccountRecord::decode)
}

/// The sequence number of an account's next transaction.
#[must_use]
pub fn next_sequence(state: &dyn StateRead, address: &Address) -> Sequence {
    find(state, address).map_or(Sequence(0), |record| record.sequence())
}

/// Sets the application's part of an account's record and creates the account if there is none. Sequence number and permission
/// stay. More than [`ACCOUNT_BYTES_MAX`] bytes are not written: the transaction then fails.
pub fn set(state: &mut State<'_>, address: &Address, application: &[u8]) {
    if application.len() > ACCOUNT_BYTES_MAX {
        return state.refuse(Code::new("account-too-large"), &[application.len() as u64, ACCOUNT_BYTES_MAX as u64]);
    }
    let record = find(state, address).unwrap_or_default();
    put(state, address, AccountRecord::new(record.sequence(), record.permission(), application));
}

/// Private to the crate, since only [`crate::execute_block`] may change sequence numbers.
pub(crate) fn put(state: &mut State<'_>, address: &Address, record: AccountRecord) {
    state.put_record(account_key(address).into(), record.into_value());
}
