//! What the states of all applications have in common: a record for each account, what governs the chain, and the size that an entry counts
//! for.
//!
//! ```text
//! key 'a' | address 32                      ->  sequence u64 LE | permission 13 | the application's part
//! key 00 | "epoch"                          ->  BCS EpochState: the one in force after the block
//! key 00 | "proposals"                      ->  BCS Proposals: the numbers of the open ones; absent before the first
//! key 00 | "proposal" | number u64 BE       ->  BCS Proposal
//! key 00 | "permitted" | address 32         ->  nothing: an account that somebody has given a permission
//! key 00 | "addresses"                      ->  BCS list of (seat, address): members that have moved; absent before the first
//! key 00 | "versions"                       ->  BCS list of (seat, version): what members speak; absent before the first
//! ```
//! Keys with any other first byte belong to the application.
//!
//! An account is created by its first transaction, when it gets a permission, or when the application writes its part of the record, and is
//! never deleted: its sequence number keeps its old transactions from taking effect again (EXEC-2).

use std::sync::Arc;

use crate::{
    ids::Address,
    permission::{PERMISSION_BYTES, Permission},
    round::Sequence,
};

/// First byte of the key of an account. No application key begins with it.
pub const ACCOUNT: u8 = b'a';

/// First byte of the keys of what governs the chain. No application key begins with it.
pub const CHAIN: u8 = 0;

/// The key of the [epoch state](crate::epoch::EpochState).
pub const EPOCH_KEY: &[u8] = b"\0epoch";

/// The key of the [open proposals](crate::governance::Proposals).
pub const PROPOSALS_KEY: &[u8] = b"\0proposals";

/// The beginning of the keys that list the accounts with a permission of their own, which are the accounts to show whoever asks.
pub const PERMITTED: &[u8] = b"\0permitted";

/// The key that lists an account with a permission.
#[must_use]
pub fn permitted_key(account: &Address) -> Vec<u8> {
    [PERMITTED, account.0.as_bytes()].concat()
}

/// The key of the addresses of members that have moved, in ascending order of their seats.
pub const ADDRESSES_KEY: &[u8] = b"\0addresses";

/// The key of the protocol versions that members speak, in ascending order of their seats.
pub const VERSIONS_KEY: &[u8] = b"\0versions";

/// Length of the chain's part of an account's record, in bytes: sequence number and permission.
pub const RECORD_HEAD_BYTES: usize = 8 + PERMISSION_BYTES;

/// What a state entry counts for besides the bytes of its key and value: about what it costs in a validator's memory.
const ENTRY_OVERHEAD: u64 = 256;
/// The same for an account, with its key and the chain's part of its record.
const ACCOUNT_OVERHEAD: u64 = ENTRY_OVERHEAD + 1 + 32 + RECORD_HEAD_BYTES as u64;

/// The size that a state entry counts for, in bytes.
#[must_use]
pub fn entry_size(key: &[u8], value: &[u8]) -> u64 {
    ENTRY_OVERHEAD.saturating_add(key.len() as u64).saturating_add(value.len() as u64)
}

/// The size that an account counts for if the application keeps `application_bytes` bytes in its record.
#[must_use]
pub const fn account_entry_size(application_bytes: u64) -> u64 {
    ACCOUNT_OVERHEAD.saturating_add(application_bytes)
}

/// The key of an account.
#[must_use]
pub fn account_key(address: &Address) -> [u8; 33] {
    let mut key = [ACCOUNT; 33];
    if let Some(place) = key.last_chunk_mut::<32>() {
        *place = *address.0.as_bytes();
    }
    key
}

/// The record of an account, as the state holds it. The default stands for an account without a record, which has sent nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord(Arc<[u8]>);

impl Default for AccountRecord {
    fn default() -> Self {
        Self::new(Sequence(0), Permission::default(), &[])
    }
}

impl AccountRecord {
    /// A record from its parts.
    #[must_use]
    pub fn new(sequence: Sequence, permission: Permission, application: &[u8]) -> Self {
        Self([&sequence.0.to_le_bytes(), permission.encode().as_slice(), application].concat().into())
    }

    /// Decodes a record; `None` if it is shorter than the chain's part.
    #[must_use]
    pub fn decode(record: Arc<[u8]>) -> Option<Self> {
        (record.len() >= RECORD_HEAD_BYTES).then_some(Self(record))
    }

    /// The number of the account's next transaction; all lower ones are used up.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    /// What the account may do.
    #[must_use]
    pub fn permission(&self) -> Permission {
        self.0.get(8..).and_then(<[u8]>::first_chunk).map_or_else(Permission::default, Permission::decode)
    }

    /// The application's part.
    #[must_use]
    pub fn application(&self) -> &[u8] {
        self.0.get(RECORD_HEAD_BYTES..).unwrap_or_default()
    }

    /// The record as a value of the state.
    #[must_use]
    pub fn into_value(self) -> Arc<[u8]> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Hash;

    #[test]
    fn an_account_has_golden_bytes() {
        assert_eq!(hex::encode(account_key(&Address(Hash([0xab; 32])))), format!("61{}", "ab".repeat(32)));
        let permission = Permission { send: true, state_bytes_max: 9, ..Permission::default() };
        let record = AccountRecord::new(Sequence(0x0102), permission, b"xyz");
        assert_eq!(hex::encode(record.clone().into_value()), "02010000000000000100000000090000000000000078797a");
        assert_eq!((record.sequence(), record.permission(), record.application()), (Sequence(0x0102), permission, b"xyz".as_slice()));
        let value = record.clone().into_value();
        assert_eq!(entry_size(&account_key(&Address::default()), &value), account_entry_size(3));
        assert_eq!(AccountRecord::decode(value), Some(record));
    }

    #[test]
    fn a_record_without_the_whole_part_of_the_chain_is_no_account() {
        for len in 0..RECORD_HEAD_BYTES {
            assert_eq!(AccountRecord::decode(vec![0; len].into()), None, "{len} bytes");
        }
    }
}
