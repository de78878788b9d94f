//! Hashes, keys and the one signature rule of the chain.
//!
//! Every hash is SHA3-256 over a fixed 32-byte domain tag and the canonical encoding of a value; every signature signs such a hash.
//! So a signature made for one kind of message is never valid for another kind.

mod hash;
mod keys;
mod memory;
mod zip215;

pub use hash::{Hash, Hasher, Tag};
pub use keys::{KeyError, PublicKey, Signature, SigningKey, VerifyingKey};
pub use memory::SignatureMemory;
pub use zip215::{BadSignature, BatchItem, verify_batch, verify_each};
