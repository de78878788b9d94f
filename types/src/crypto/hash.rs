//! Domain-separated SHA3-256.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha3::{Digest, Sha3_256};

/// The domain of a hash: ASCII text padded with zeros to 32 bytes, so no tag is a prefix of another tag with data behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag([u8; 32]);

impl Tag {
    /// A tag from its text, at most 32 ASCII characters. In a `const`, a longer text fails to compile.
    #[must_use]
    #[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated in constants; the assert bounds the index")]
    pub const fn new(text: &str) -> Self {
        let text = text.as_bytes();
        assert!(text.len() <= 32, "a domain tag has at most 32 bytes");
        let mut padded = [0; 32];
        let mut i = 0;
        while i < text.len() {
            padded[i] = text[i];
            i += 1;
        }
        Self(padded)
    }
}

/// A SHA3-256 digest.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The digest of `data` in the domain `tag`.
    #[must_use]
    pub fn of(tag: &'static Tag, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(tag);
        hasher.update(data);
        hasher.finish()
    }

    /// The digest as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal digits, enough to tell values apart in a log or a table.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = hex::encode(self.0);
        text.truncate(8);
        text
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Hash {
    type Err = hex::FromHexError;

    /// Reads 64 hexadecimal digits, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// 32 bytes in BCS; `0x` and 64 hexadecimal digits for people. BCS gets the bytes as two numbers, which it writes low byte first with nothing
/// between: the same bytes as for an array of 32, in a sixteenth of the calls.
impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("0x{self}"))
        } else {
            halves(&self.0).serialize(serializer)
        }
    }
}

/// 32 bytes as two little-endian numbers.
pub(super) fn halves(bytes: &[u8; 32]) -> [u128; 2] {
    let (low, high) = bytes.split_at(16);
    let number = |half: &[u8]| half.try_into().map_or(0, u128::from_le_bytes);
    [number(low), number(high)]
}

/// The bytes of [`halves`].
fn whole([low, high]: [u128; 2]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&low.to_le_bytes());
    second.copy_from_slice(&high.to_le_bytes());
    bytes
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u128; 2]>::deserialize(deserializer).map(|halves| Self(whole(halves)))
        }
    }
}

/// An incremental hash in one domain.
pub struct Hasher(Sha3_256);

impl Hasher {
    /// Starts a hash in the domain `tag`.
    #[must_use]
    pub fn new(tag: &'static Tag) -> Self {
        let mut inner = Sha3_256::new();
        inner.update(tag.0);
        Self(inner)
    }

    /// Adds bytes. The caller must make the sequence of updates unambiguous, by fixed lengths or length prefixes.
    pub fn update(&mut self, data: &[u8]) -> &mut Self {
        self.0.update(data);
        self
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}
