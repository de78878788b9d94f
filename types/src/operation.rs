//! What a transaction asks for. The first byte of a transaction's payload says which application it is for.

use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, DecodeError},
    ids::Address,
};

/// Longest key of the key-value store, in bytes.
pub const KV_KEY_BYTES_MAX: usize = 256;
/// Longest value of the key-value store, in bytes.
pub const KV_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Longest payload of a transaction, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024;

/// A request to the built-in applications, or bytes for one of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Accounts and transfers.
    Bank(BankOperation),
    /// The key-value store.
    Kv(KvOperation),
    /// Reserved for changes of the committee; refused by every application so far.
    Admin(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Bytes that only a replicated service of the user's own understands.
    Opaque(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl Operation {
    /// Reads a transaction's payload.
    ///
    /// # Errors
    /// [`DecodeError`]: not the canonical encoding of an operation.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(payload, PAYLOAD_BYTES_MAX)
    }
}

/// Accounts and transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BankOperation {
    /// Moves an amount from the sender to another account, which comes into being with its first transfer.
    Transfer {
        /// The receiving account.
        to: Address,
        /// How much, in the smallest unit.
        amount: u64,
    },
}

/// The key-value store. A key belongs to the namespace that the operation names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvOperation {
    /// Whose keys.
    pub space: KvSpace,
    /// The key, at most [`KV_KEY_BYTES_MAX`] bytes.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// What to do with it.
    pub action: KvAction,
}

/// A namespace of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvSpace {
    /// The sender's own keys: only the sender writes them, everybody reads them.
    Own,
    /// Keys that every account may write.
    Shared,
}

/// An action on a key. The result semantics are those of the course projects: `put` and `delete` always succeed, `get` of a missing key
/// reads as empty, `append` and `slice` on a missing key and `slice` with a bad range fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvAction {
    /// Sets the value, at most [`KV_VALUE_BYTES_MAX`] bytes.
    Put(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Reads the value, in the order of the chain; the receipt carries it.
    Get,
    /// Adds bytes to the end of the value.
    Append(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Keeps only the bytes `start..end` of the value and returns them; fails unless `start <= end <= length`.
    Slice {
        /// First byte kept.
        start: u32,
        /// First byte no longer kept.
        end: u32,
    },
    /// Removes the key.
    Delete,
}
