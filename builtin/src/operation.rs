//! Operations of the bank and the key-value store.

use quorate_types::{
    codec::{self, DecodeError, amount_text, bytes_text},
    ids::Address,
    transaction::PAYLOAD_BYTES_MAX,
};
use serde::{Deserialize, Serialize};

/// Longest key of the key-value store, in bytes.
pub const KV_KEY_BYTES_MAX: usize = 256;
/// Longest value of the key-value store, in bytes.
pub const KV_VALUE_BYTES_MAX: usize = 16 * 1024;

/// A request to the bank or the key-value store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Accounts and transfers.
    Bank(BankOperation),
    /// The key-value store.
    Kv(KvOperation),
}

impl Operation {
    /// Reads a transaction's payload.
    ///
    /// # Errors
    /// [`DecodeError`]: not the canonical encoding of an operation.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(payload, PAYLOAD_BYTES_MAX)
    }

    /// The payload of a transaction with this operation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// Accounts and transfers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BankOperation {
    /// Moves an amount from the sender to another account, which its first transfer creates.
    Transfer {
        /// The receiving account.
        to: Address,
        /// In the smallest unit.
        #[serde(with = "amount_text")]
        amount: u64,
    },
}

/// An action on one key of the key-value store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvOperation {
    /// Namespace of the key.
    pub space: KvSpace,
    /// At most [`KV_KEY_BYTES_MAX`] bytes.
    #[serde(with = "bytes_text")]
    pub key: Vec<u8>,
    /// What happens to the key.
    pub action: KvAction,
}

/// A namespace of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvSpace {
    /// The sender's own keys: only the sender writes them, everyone reads them.
    Own,
    /// Keys that any account may write.
    Shared,
}

/// An action on a key. `put` and `delete` always succeed, `get` of a missing key reads as empty, `append` and `slice` of a missing key and
/// `slice` with a bad range fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvAction {
    /// Sets the value, at most [`KV_VALUE_BYTES_MAX`] bytes.
    Put(#[serde(with = "bytes_text")] Vec<u8>),
    /// Reads the value at this point of the chain; the receipt carries it.
    Get,
    /// Appends bytes to the value.
    Append(#[serde(with = "bytes_text")] Vec<u8>),
    /// Keeps only the bytes `start..end` of the value and answers them; fails unless `start <= end <= length`.
    Slice {
        /// First byte kept.
        start: u32,
        /// First byte after those kept.
        end: u32,
    },
    /// Removes the key.
    Delete,
}
