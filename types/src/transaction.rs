//! Transactions: what an account signs.
//!
//! ```text
//! raw = genesis_hash 32 | sender 32 | sequence u64 | expires_at u64 | target 1 | payload (ULEB length, bytes) | signature 64
//!       '----------------------------- content: id = SHA3(tag | content) ------------------------------'
//! ```
//! A transaction stays one shared buffer from its arrival to the disk, and its id is computed once. The id does not cover the signature, so
//! the same content under another valid signature is the same transaction and can take effect only once.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec::{self, DecodeError},
    crypto::{Hash, PublicKey, Signature, SigningKey, Tag},
    governance::ChainOperation,
    ids::{Address, GenesisHash, TxId},
    round::{Sequence, UnixMillis},
};

/// Domain of transaction ids.
pub const TRANSACTION: Tag = Tag::new("quorate/transaction");

/// Longest payload of a transaction, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024;

const SIGNATURE_BYTES: usize = 64;
/// Longest transaction, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 32 + 32 + 8 + 8 + 1 + 3 + SIGNATURE_BYTES;

/// What executes a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The application; the payload is in its own encoding.
    #[default]
    Application,
    /// The chain itself; the payload is a [`crate::governance::ChainOperation`].
    Chain,
}

/// The part of a transaction that its sender chooses and signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionContent {
    /// The network that it is for.
    pub genesis_hash: GenesisHash,
    /// The key of the sending account.
    pub sender: PublicKey,
    /// Its number among the sender's transactions: each is used exactly once, in order.
    pub sequence: Sequence,
    /// No block with this timestamp or a later one can contain it, so a transaction that is not committed by then never will be.
    pub expires_at: UnixMillis,
    /// What executes it.
    pub target: Target,
    /// The operation.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// A signed transaction. It is well formed; its signature is known to be valid only in a [`crate::verify::Verified`].
#[derive(Clone)]
pub struct Transaction {
    raw: Arc<[u8]>,
    id: TxId,
    address: Address,
    content: Arc<TransactionContent>,
    signature: Signature,
}

impl Transaction {
    /// Signs a payload for the application.
    #[must_use]
    pub fn sign(genesis_hash: GenesisHash, key: &SigningKey, sequence: Sequence, expires_at: UnixMillis, payload: Vec<u8>) -> Self {
        let content = TransactionContent { genesis_hash, sender: key.public(), sequence, expires_at, target: Target::Application, payload };
        Self::sign_content(content, key)
    }

    /// Signs an operation on the chain itself.
    #[must_use]
    pub fn sign_chain(
        genesis_hash: GenesisHash,
        key: &SigningKey,
        sequence: Sequence,
        expires_at: UnixMillis,
        operation: &ChainOperation,
    ) -> Self {
        let payload = codec::encode(operation);
        let content = TransactionContent { genesis_hash, sender: key.public(), sequence, expires_at, target: Target::Chain, payload };
        Self::sign_content(content, key)
    }

    fn sign_content(content: TransactionContent, key: &SigningKey) -> Self {
        let mut raw = codec::encode(&content);
        let id = TxId(Hash::of(&TRANSACTION, &raw));
        let signature = key.sign(&id.0);
        raw.extend_from_slice(&signature.0);
        Self { raw: raw.into(), id, address: Address::of(&content.sender), content: Arc::new(content), signature }
    }

    /// Decodes a transaction and computes its id. Does not check the signature.
    ///
    /// # Errors
    /// [`DecodeError`]: too long, or not canonical.
    pub fn decode(raw: Arc<[u8]>) -> Result<Self, DecodeError> {
        if raw.len() > TRANSACTION_BYTES_MAX {
            return Err(DecodeError::TooLong { len: raw.len(), max: TRANSACTION_BYTES_MAX });
        }
        let (signed, signature) =
            raw.split_last_chunk::<SIGNATURE_BYTES>().ok_or_else(|| DecodeError::Malformed("shorter than a signature".into()))?;
        let content: TransactionContent = codec::decode(signed, TRANSACTION_BYTES_MAX)?;
        let id = TxId(Hash::of(&TRANSACTION, signed));
        let signature = Signature(*signature);
        Ok(Self { id, address: Address::of(&content.sender), content: Arc::new(content), signature, raw })
    }

    /// The bytes of the transaction.
    #[must_use]
    pub fn raw(&self) -> &Arc<[u8]> {
        &self.raw
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TxId {
        self.id
    }

    /// The account that sent it.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.address
    }

    /// The signed part.
    #[must_use]
    pub fn content(&self) -> &TransactionContent {
        &self.content
    }

    /// The signature over the id.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Transaction {}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tx {:?} #{} of {:?}", self.id, self.content.sequence, self.address)
    }
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.raw)
    }
}

impl<'de> Deserialize<'de> for Transaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &'de serde_bytes::Bytes = Deserialize::deserialize(deserializer)?;
        Self::decode(Arc::from(&**raw)).map_err(D::Error::custom)
    }
}
