//! Where things stand in the state: the keys that proofs are about, and the account record.
//!
//! ```text
//! account      'a' | address 32                  -> account record, 16 bytes (below)
//! own key      'k' | owner's address 32 | key    -> value
//! shared key   's' | key                         -> value
//! ```
//! The first byte tells the kinds apart and the address has one length, so no two things share a key.

use crate::{ids::Address, operation::KvSpace, round::Sequence};

/// First byte of the key of an account.
pub const ACCOUNT: u8 = b'a';
/// First byte of the key of an account's own key-value entry.
pub const KV_OWN: u8 = b'k';
/// First byte of the key of a shared key-value entry.
pub const KV_SHARED: u8 = b's';

/// Length of an account record, in bytes.
pub const ACCOUNT_BYTES: usize = 16;

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
/// ┌────────────────┬────────────────┐
/// │ balance u64 LE │ sequence u64 LE│
/// │ 0            8 │ 8           16 │
/// └────────────────┴────────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How much it has, in the smallest unit.
    pub balance: u64,
    /// The number of its next transaction: every lower one is used up for ever.
    pub sequence: Sequence,
}

impl Account {
    /// The record.
    #[must_use]
    pub fn encode(&self) -> [u8; ACCOUNT_BYTES] {
        let mut record = [0; ACCOUNT_BYTES];
        let (balance, sequence) = record.split_at_mut(8);
        balance.copy_from_slice(&self.balance.to_le_bytes());
        sequence.copy_from_slice(&self.sequence.0.to_le_bytes());
        record
    }

    /// Reads a record; `None` when the length is not [`ACCOUNT_BYTES`].
    #[must_use]
    pub fn decode(record: &[u8]) -> Option<Self> {
        let (balance, sequence) = record.split_first_chunk::<8>()?;
        let sequence: &[u8; 8] = sequence.try_into().ok()?;
        Some(Self { balance: u64::from_le_bytes(*balance), sequence: Sequence(u64::from_le_bytes(*sequence)) })
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
    }

    #[test]
    fn the_account_record_has_golden_bytes() {
        let account = Account { balance: 0x0102_0304_0506_0708, sequence: Sequence(9) };
        assert_eq!(hex::encode(account.encode()), "08070605040302010900000000000000");
        assert_eq!(Account::decode(&account.encode()), Some(account));
    }

    #[test]
    fn a_record_of_another_length_is_no_account() {
        for len in [0, 8, 15, 17] {
            assert_eq!(Account::decode(&vec![0; len]), None, "{len} bytes");
        }
    }
}
