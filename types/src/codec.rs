//! The canonical, bounded encoding: BCS, in which a value has exactly one encoding.
//!
//! What BCS leaves open is settled here: every sequence has a named maximum, checked against its length prefix before anything is allocated;
//! signed and stored types hold no floats, no unordered maps, sets only as ascending sequences, and no sequences of zero-sized elements.

use std::{collections::BTreeSet, marker::PhantomData, ops::Deref, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, SeqAccess, Unexpected, Visitor},
};

/// The bytes do not encode a value of the expected type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the value may have, or more elements than a [`Bounded`] may have.
    #[error("length {len} is over the maximum of {max}")]
    TooLong {
        /// The actual length.
        len: usize,
        /// The largest allowed length.
        max: usize,
    },
    /// Not a canonical encoding.
    #[error("not a canonical encoding: {0}")]
    Malformed(String),
}

/// Most elements of a set.
const SET_MAX: usize = 256;

/// Reads a set. In BCS its elements ascend, so that it has one encoding; in JSON they may stand in any order, but none twice.
pub(crate) fn ascending<'de, D: Deserializer<'de>, T: Deserialize<'de> + Ord>(deserializer: D) -> Result<BTreeSet<T>, D::Error> {
    struct Ascending<T>(bool, PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Ord> Visitor<'de> for Ascending<T> {
        type Value = BTreeSet<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {SET_MAX} elements, none twice, and in ascending order in BCS")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<BTreeSet<T>, A::Error> {
            let mut set = BTreeSet::new();
            while let Some(element) = sequence.next_element()? {
                let is_in_order = self.0 || set.last().is_none_or(|last| *last < element);
                if set.len() >= SET_MAX || !is_in_order || !set.insert(element) {
                    return Err(A::Error::invalid_value(Unexpected::Seq, &self));
                }
            }
            Ok(set)
        }
    }

    let any_order = deserializer.is_human_readable();
    deserializer.deserialize_seq(Ascending(any_order, PhantomData))
}

/// Encodes a value.
#[must_use]
#[expect(clippy::expect_used, reason = "BCS can encode every type of this crate; a type that it cannot encode fails its golden test")]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Most values that are hashed or stored fit without growing.
    let mut bytes = Vec::with_capacity(512);
    bcs::serialize_into(&mut bytes, value).expect("BCS can encode our types");
    bytes
}

/// Encodes a value of a type from outside, such as an application's.
///
/// # Errors
/// [`DecodeError::Malformed`]: it contains something without a canonical encoding, such as a floating-point number.
pub fn try_encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, DecodeError> {
    bcs::to_bytes(value).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// Decodes a value from at most `max` bytes, all of which must be used.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { len: bytes.len(), max });
    }
    bcs::from_bytes(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// A sequence of at most `MAX` elements. Clones share the elements: a certificate's signatures go into many messages.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bounded<T, const MAX: usize>(Arc<Vec<T>>);

impl<T, const MAX: usize> Clone for Bounded<T, MAX> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone, const MAX: usize> Bounded<T, MAX> {
    /// The elements; copies them if there are other clones.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// The first `MAX` elements.
    #[must_use]
    pub fn truncated(mut elements: Vec<T>) -> Self {
        elements.truncate(MAX);
        Self(Arc::new(elements))
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for Bounded<T, MAX> {
    type Error = DecodeError;

    fn try_from(elements: Vec<T>) -> Result<Self, DecodeError> {
        if elements.len() > MAX {
            return Err(DecodeError::TooLong { len: elements.len(), max: MAX });
        }
        Ok(Self(Arc::new(elements)))
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a Bounded<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "at most {MAX} elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
                /// Elements to reserve on the strength of a length prefix; beyond that, memory grows only with received bytes.
                const RESERVED: usize = 64;
                let announced = sequence.size_hint().unwrap_or(0);
                if announced > MAX {
                    return Err(A::Error::custom(format_args!("{announced} elements, at most {MAX} are allowed")));
                }
                let mut elements = Vec::with_capacity(announced.min(RESERVED));
                while let Some(element) = sequence.next_element()? {
                    if elements.len() >= MAX {
                        return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Elements::<T, MAX>(std::marker::PhantomData)).map(|elements| Self(Arc::new(elements)))
    }
}

/// Bytes: raw in BCS, hexadecimal digits for people.
pub mod bytes_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    /// See the module.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { hex::encode(bytes).serialize(serializer) } else { serde_bytes::serialize(bytes, serializer) }
    }

    /// See the module.
    ///
    /// # Errors
    /// The deserializer's, or text that is not hexadecimal.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(D::Error::custom)
        } else {
            serde_bytes::deserialize(deserializer)
        }
    }
}

/// An amount: 8 bytes in BCS, decimal text for people, because JSON numbers lose digits above 2^53.
pub mod amount_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    /// See the module.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(amount: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(amount) } else { amount.serialize(serializer) }
    }

    /// See the module.
    ///
    /// # Errors
    /// The deserializer's, or text that is not an amount.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            // `parse` alone would accept a plus sign.
            if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(D::Error::custom(format_args!("{text:?} is not an amount; write decimal digits, in quotes")));
            }
            text.parse().map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer)
        }
    }
}
