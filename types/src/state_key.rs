//! Where things stand in the state: the keys that proofs are about, and the account record.
//!
//! ```text
//! account      'a' | address 32                  -> account record, 24 bytes (below)
//! own key      'k' | owner's address 32 | key    -> value
//! shared key   's' | key                         -> value
//! its holder   'h' | key                         -> the address of the account that wrote the shared key last, 32 bytes
//! ```
//! The first byte tells the kinds apart and the address has one length, so no two things share a key.
//!
//! Every entry is held by one account, whose record counts it: an account holds its own record, its own keys, and the shared keys that it
//! wrote last, each with the entry that names it as the holder.

use crate::{ids::Address, operation::KvSpace, round::Sequence};

/// First byte of the key of an account.
pub const ACCOUNT: u8 = b'a';
/// First byte of the key of an account's own key-value entry.
pub const KV_OWN: u8 = b'k';
/// First byte of the key of a shared key-value entry.
pub const KV_SHARED: u8 = b's';
/// First byte of the key of the holder of a shared key-value entry.
pub const KV_HOLDER: u8 = b'h';

/// Length of an account record, in bytes.
pub const ACCOUNT_BYTES: usize = 24;

/// What an entry of the state counts for beside the bytes of its key and its value: about what it costs in a validator's memory.
const ENTRY_OVERHEAD: u64 = 256;

/// What an account's own record counts for: the least that an account holds.
pub const ACCOUNT_ENTRY_SIZE: u64 = ENTRY_OVERHEAD + 1 + 32 + ACCOUNT_BYTES as u64;

/// What an entry of the state counts for, in bytes.
#[must_use]
pub fn entry_size(key: &[u8], value: &[u8]) -> u64 {
    ENTRY_OVERHEAD.saturating_add(key.len() as u64).saturating_add(value.len() as u64)
}

/// The key of an account.
#[must_use]
pub fn account_key(address: &Address) -> Box<[u8]> {
    join(ACCOUNT, &[address.0.as_bytes()])
}

/// The key of a key-value entry. For [`KvSpace::Own`] it lies among the entries of `owner`; for [`KvSpace::Shared`] `owner` plays no part.
#[must_use]
pub fn kv_key(space: KvSpace, owner: &Address, key: &[u8]) -> Box<[u8]> {
    match space {
        KvSpace::Own => join(KV_OWN, &[owner.0.as_bytes(), key]),
        KvSpace::Shared => join(KV_SHARED, &[key]),
    }
}

/// The key under which the holder of a shared key-value entry stands.
#[must_use]
pub fn holder_key(key: &[u8]) -> Box<[u8]> {
    join(KV_HOLDER, &[key])
}

fn join(kind: u8, parts: &[&[u8]]) -> Box<[u8]> {
    let mut whole = Vec::with_capacity(parts.iter().fold(1, |sum, part| part.len().saturating_add(sum)));
    whole.push(kind);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.into_boxed_slice()
}

/// An account as the state holds it. An account without a record has nothing and has sent nothing: [`Account::default`].
///
/// ```text
/// ┌────────────────┬────────────────┬────────────────┐
/// │ balance u64 LE │ sequence u64 LE│ stored u64 LE  │
/// │ 0            8 │ 8           16 │ 16          24 │
/// └────────────────┴────────────────┴────────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How much it has, in the smallest unit.
    pub balance: u64,
    /// The number of its next transaction: every lower one is used up for ever.
    pub sequence: Sequence,
    /// How much of the state it holds: the sum of [`entry_size`] over its entries, this record among them. 0 only without a record.
    pub stored: u64,
}

impl Account {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> [u8; ACCOUNT_BYTES] {
        let mut record = [0; ACCOUNT_BYTES];
        for (place, number) in record.chunks_exact_mut(8).zip([self.balance, self.sequence.0, self.stored]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        record
    }

    /// Reads a record; `None` when the length is not [`ACCOUNT_BYTES`].
    #[must_use]
    pub fn decode(record: &[u8]) -> Option<Self> {
        let record: &[u8; ACCOUNT_BYTES] = record.try_into().ok()?;
        let (balance, rest) = record.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let stored: &[u8; 8] = rest.try_into().ok()?;
        let [balance, sequence, stored] = [balance, sequence, stored].map(|number| u64::from_le_bytes(*number));
        Some(Self { balance, sequence: Sequence(sequence), stored })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Hash;

    #[test]
    fn keys_have_golden_bytes() {
        let owner = Address(Hash([0xab; 32]));
        assert_eq!(hex::encode(account_key(&owner)), format!("61{}", "ab".repeat(32)));
        assert_eq!(hex::encode(kv_key(KvSpace::Own, &owner, b"x")), format!("6b{}78", "ab".repeat(32)));
        assert_eq!(hex::encode(kv_key(KvSpace::Shared, &owner, b"x")), "7378");
        assert_eq!(hex::encode(holder_key(b"x")), "6878");
    }

    #[test]
    fn the_account_record_has_golden_bytes() {
        let account = Account { balance: 0x0102_0304_0506_0708, sequence: Sequence(9), stored: 313 };
        assert_eq!(hex::encode(account.encode()), "080706050403020109000000000000003901000000000000");
        assert_eq!(Account::decode(&account.encode()), Some(account));
        let key = account_key(&Address::default());
        assert_eq!((entry_size(&key, &account.encode()), ACCOUNT_ENTRY_SIZE), (313, 313));
    }

    #[test]
    fn a_record_of_another_length_is_no_account() {
        for len in [0, 8, 16, 23, 25] {
            assert_eq!(Account::decode(&vec![0; len]), None, "{len} bytes");
        }
    }
}
