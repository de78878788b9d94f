//! Keys of the key-value store's entries in the state.
//!
//! ```text
//! own key      'k' | owner's address 32 | key    -> value
//! shared key   's' | key                         -> value
//! holder       'h' | key                         -> address of the account that wrote the shared key last, 32 bytes
//! ```
//! The first byte tells the kinds apart and all addresses have the same length, so no two things share a key.
//!
//! Every entry is held by one account, whose record counts it: an account holds its own record, its own keys, and the shared keys that it
//! wrote last, each with the entry that names it as the holder.

use quorate_types::ids::Address;

use crate::operation::KvSpace;

/// First byte of the key of an account's own entry.
pub const KV_OWN: u8 = b'k';
/// First byte of the key of a shared entry.
pub const KV_SHARED: u8 = b's';
/// First byte of the key of the holder of a shared entry.
pub const KV_HOLDER: u8 = b'h';

/// The key of an entry. For [`KvSpace::Own`] it lies among the entries of `owner`; [`KvSpace::Shared`] ignores `owner`.
#[must_use]
pub fn kv_key(space: KvSpace, owner: &Address, key: &[u8]) -> Box<[u8]> {
    match space {
        KvSpace::Own => join(KV_OWN, &[owner.0.as_bytes(), key]),
        KvSpace::Shared => join(KV_SHARED, &[key]),
    }
}

/// The key of the entry that names the holder of a shared entry.
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

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::crypto::Hash;

    #[test]
    fn keys_have_golden_bytes() {
        let owner = Address(Hash([0xab; 32]));
        assert_eq!(*kv_key(KvSpace::Own, &owner, b"x"), [&[0x6b][..], &[0xab; 32], b"x"].concat());
        assert_eq!(*kv_key(KvSpace::Shared, &owner, b"x"), *b"sx");
        assert_eq!(*holder_key(b"x"), *b"hx");
    }
}
