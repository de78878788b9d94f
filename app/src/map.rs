//! Typed places in the state, so that no application encodes by hand: [`Item`], a single value, and [`Map`], values by ordered keys.
//!
//! ```text
//! Item::new(b'v')   key  'v'                        value  BCS
//! Map::new(b'm')    key  'm' | key, order-preserving   value  BCS
//! ```
//! Every `Item` and `Map` of an application needs its own first byte.

use std::{marker::PhantomData, ops::Bound};

use quorate_types::{codec, failure::Code, ids::Address, state_key::ACCOUNT};
use serde::{Serialize, de::DeserializeOwned};

use crate::state::{State, StateRead, VALUE_BYTES_MAX};

/// A single value in the state.
pub struct Item<V> {
    tag: u8,
    value: PhantomData<fn() -> V>,
}

/// Values by key, in key order.
pub struct Map<K, V> {
    tag: u8,
    entry: PhantomData<fn(K) -> V>,
}

const fn checked(tag: u8) -> u8 {
    assert!(tag != ACCOUNT, "the keys of accounts begin with b'a'; choose another byte");
    tag
}

impl<V: Serialize + DeserializeOwned> Item<V> {
    /// The item whose key is this byte.
    ///
    /// # Panics
    /// With `b'a'`, which is reserved for accounts; in a `const` it does not compile.
    #[must_use]
    pub const fn new(tag: u8) -> Self {
        Self { tag: checked(tag), value: PhantomData }
    }

    /// The item's key in the state, for proofs of its value.
    #[must_use]
    pub fn key(&self) -> Box<[u8]> {
        [self.tag].into()
    }

    /// The item's value, if it has one.
    #[must_use]
    pub fn get(&self, state: &dyn StateRead) -> Option<V> {
        read(&state.get(&self.key())?)
    }

    /// Sets the item's value.
    pub fn put(&self, state: &mut State<'_>, value: &V) {
        write(state, self.key(), value);
    }

    /// Removes the item's value; does nothing if it has none.
    pub fn remove(&self, state: &mut State<'_>) {
        state.delete(self.key());
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Map<K, V> {
    /// The map whose keys begin with this byte.
    ///
    /// # Panics
    /// With `b'a'`, which is reserved for accounts; in a `const` it does not compile.
    #[must_use]
    pub const fn new(tag: u8) -> Self {
        Self { tag: checked(tag), entry: PhantomData }
    }

    /// The state key of an entry, for proofs of its value.
    #[must_use]
    pub fn key(&self, key: &K) -> Box<[u8]> {
        let mut bytes = vec![self.tag];
        key.encode(&mut bytes);
        bytes.into()
    }

    /// The value of a key, if there is one.
    #[must_use]
    pub fn get(&self, state: &dyn StateRead, key: &K) -> Option<V> {
        read(&state.get(&self.key(key))?)
    }

    /// Whether a key has a value.
    #[must_use]
    pub fn contains(&self, state: &dyn StateRead, key: &K) -> bool {
        state.get(&self.key(key)).is_some()
    }

    /// Sets the value of a key.
    pub fn put(&self, state: &mut State<'_>, key: &K, value: &V) {
        write(state, self.key(key), value);
    }

    /// Removes a key; does nothing if there is none.
    pub fn remove(&self, state: &mut State<'_>, key: &K) {
        state.delete(self.key(key));
    }

    /// The entries from a key on, or all of them, in key order. Each step costs about as much as a [`Self::get`]: take no more of them in an
    /// operation than its sender pays for.
    pub fn range<'a>(&'a self, state: &'a dyn StateRead, from: Bound<&K>) -> impl Iterator<Item = (K, V)> + 'a {
        let mut from: Bound<Box<[u8]>> = match from {
            Bound::Unbounded => Bound::Included([self.tag].into()),
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
        };
        let entries = std::iter::from_fn(move || {
            let (key, value) = state.next(from.as_ref().map(|key| &**key))?;
            from = Bound::Excluded((&*key).into());
            let (tag, rest) = key.split_first()?;
            if *tag != self.tag {
                return None;
            }
            Some(K::decode(rest).zip(read(&value)))
        });
        // Skips entries that this map cannot have written.
        entries.flatten()
    }
}

/// A value that does not decode was written by another version of the application; it reads as absent, the same on every validator.
fn read<V: DeserializeOwned>(value: &[u8]) -> Option<V> {
    codec::decode(value, VALUE_BYTES_MAX).ok()
}

fn write<V: Serialize>(state: &mut State<'_>, key: Box<[u8]>, value: &V) {
    match codec::try_encode(value) {
        Ok(bytes) => state.put(key, bytes),
        Err(_) => state.refuse(Code::new("state-value-has-no-encoding"), &[]),
    }
}

/// A key of a [`Map`]: its bytes sort like the key itself.
pub trait Key: Sized {
    /// Appends the key's bytes.
    fn encode(&self, to: &mut Vec<u8>);

    /// Reads a key from all of the bytes; `None` if they do not encode one.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// A key of constant length, so that another one can follow it.
pub trait FixedKey: Key {
    /// Length of the encoded key.
    const BYTES: usize;
}

macro_rules! unsigned_key {
    ($($number:ty),*) => {
        $(
            impl Key for $number {
                fn encode(&self, to: &mut Vec<u8>) {
                    to.extend_from_slice(&self.to_be_bytes());
                }

                fn decode(bytes: &[u8]) -> Option<Self> {
                    Some(Self::from_be_bytes(bytes.try_into().ok()?))
                }
            }

            impl FixedKey for $number {
                const BYTES: usize = size_of::<$number>();
            }
        )*
    };
}

macro_rules! signed_key {
    ($($number:ty => $unsigned:ty),*) => {
        $(
            /// Big-endian with the sign bit flipped, so that negative numbers come first.
            impl Key for $number {
                fn encode(&self, to: &mut Vec<u8>) {
                    (self.cast_unsigned() ^ (1 << (<$unsigned>::BITS - 1))).encode(to);
                }

                fn decode(bytes: &[u8]) -> Option<Self> {
                    Some((<$unsigned>::decode(bytes)? ^ (1 << (<$unsigned>::BITS - 1))).cast_signed())
                }
            }

            impl FixedKey for $number {
                const BYTES: usize = size_of::<$number>();
            }
        )*
    };
}

unsigned_key!(u8, u16, u32, u64, u128);
signed_key!(i8 => u8, i16 => u16, i32 => u32, i64 => u64, i128 => u128);

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl<const N: usize> FixedKey for [u8; N] {
    const BYTES: usize = N;
}

impl Key for Address {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Key::decode(bytes).map(|bytes| Self(quorate_types::crypto::Hash(bytes)))
    }
}

impl FixedKey for Address {
    const BYTES: usize = 32;
}

/// Sorted by its bytes. With more than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes it cannot be written.
impl Key for String {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

/// Sorted bytewise. More than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes cannot be written.
impl Key for Vec<u8> {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

/// Sorted by the first component, then by the second.
impl<A: FixedKey, B: Key> Key for (A, B) {
    fn encode(&self, to: &mut Vec<u8>) {
        self.0.encode(to);
        self.1.encode(to);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(A::BYTES)?;
        Some((A::decode(first)?, B::decode(second)?))
    }
}

impl<A: FixedKey, B: FixedKey> FixedKey for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bytes(key: &impl Key) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn the_bytes_of_keys_have_the_order_of_the_keys(
            a: (u64, i64, String), b: (u64, i64, String),
            p: ((i8, u16), Vec<u8>), q: ((i8, u16), Vec<u8>),
        ) {
            prop_assert_eq!(bytes(&a.0).cmp(&bytes(&b.0)), a.0.cmp(&b.0));
            prop_assert_eq!(bytes(&a.1).cmp(&bytes(&b.1)), a.1.cmp(&b.1));
            prop_assert_eq!(bytes(&a.2).cmp(&bytes(&b.2)), a.2.cmp(&b.2));
            prop_assert_eq!(bytes(&p).cmp(&bytes(&q)), p.cmp(&q));
            prop_assert_eq!(Key::decode(&bytes(&a.1)), Some(a.1));
            prop_assert_eq!(Key::decode(&bytes(&p)), Some(p));
        }
    }

    #[test]
    fn a_map_reads_like_an_ordered_map_beside_others() {
        const MAP: Map<i16, String> = Map::new(b'm');
        const BEFORE: Map<i16, u8> = Map::new(b'l');
        const AFTER: Item<u8> = Item::new(b'n');
        let nothing = BTreeMap::new();
        let mut state = State::new(&nothing);
        AFTER.put(&mut state, &1);
        BEFORE.put(&mut state, &7, &1);
        for number in [5, -3, 40, -300, 0] {
            MAP.put(&mut state, &number, &number.to_string());
        }
        MAP.remove(&mut state, &0);
        let from = |from: Bound<&i16>| MAP.range(&state, from).map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        assert_eq!(from(Bound::Unbounded), ["-300=-300", "-3=-3", "5=5", "40=40"]);
        assert_eq!(from(Bound::Included(&-3)), ["-3=-3", "5=5", "40=40"]);
        assert_eq!(from(Bound::Excluded(&5)), ["40=40"]);
        assert_eq!((MAP.get(&state, &5), MAP.contains(&state, &0), AFTER.get(&state)), (Some("5".into()), false, Some(1)));
    }
}
