//! The records of accounts in a state. What they look like is [`quorate_types::state_key`]'s, because proofs are about them.

use quorate_types::{
    failure::Code,
    ids::Address,
    round::Sequence,
    state_key::{AccountRecord, account_key},
};

use crate::state::{ACCOUNT_BYTES_MAX, State, StateRead};

/// The record of an account, if it has come into being.
///
/// No application can write anything else there, so what is no record would be a fault of ours; it reads as no account, equally everywhere.
#[must_use]
pub fn find(state: &dyn StateRead, address: &Address) -> Option<AccountRecord> {
    state.get(&account_key(address)).and_then(AccountRecord::decode)
}

/// The number of an account's next transaction.
#[must_use]
pub fn next_sequence(state: &dyn StateRead, address: &Address) -> Sequence {
    find(state, address).map_or(Sequence(0), |record| record.sequence())
}

/// Sets what the application keeps of an account, which comes into being by that if there was none. The sequence number stays. More than
/// [`ACCOUNT_BYTES_MAX`] bytes are not written: the transaction then fails.
pub fn set(state: &mut State<'_>, address: &Address, application: &[u8]) {
    if application.len() > ACCOUNT_BYTES_MAX {
        return state.refuse(Code::new("account-too-large"), &[application.len() as u64, ACCOUNT_BYTES_MAX as u64]);
    }
    let sequence = next_sequence(state, address);
    put(state, address, AccountRecord::new(sequence, application));
}

/// Sequence numbers are [`crate::execute_block`]'s alone.
pub(crate) fn put(state: &mut State<'_>, address: &Address, record: AccountRecord) {
    state.put_record(account_key(address).into(), record.into_value());
}
