//! Ed25519 keys. Signing is done by ed25519-dalek, checking by [`super::zip215`].

use std::{fmt, str::FromStr, sync::Arc};

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use ed25519_dalek::Signer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{BadSignature, Hash, SignatureMemory, hash::halves, zip215};

/// Why a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The 32 bytes do not encode a point of the curve.
    #[error("the public key is not a point of the curve")]
    NotAPoint,
    /// The point has small order: signatures under it do not bind a message.
    #[error("the public key has small order, so it cannot identify anyone; generate another one")]
    SmallOrder,
    /// The point is outside the prime-order group.
    #[error("the public key has a torsion component; generate another one")]
    Torsion,
    /// The text is not 64 hexadecimal digits.
    #[error("not a public key; enter 64 hexadecimal digits")]
    Text,
}

/// An encoded public key: 32 bytes, not yet known to be a point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Decodes the point by the ZIP-215 rule (any encoding of any point), but refuses points of small order.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`], [`KeyError::SmallOrder`].
    pub fn decode(&self) -> Result<VerifyingKey, KeyError> {
        let point = CompressedEdwardsY(self.0).decompress().ok_or(KeyError::NotAPoint)?;
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        Ok(VerifyingKey { encoded: *self, point })
    }

    /// Decodes a key that is to be registered (a validator's): it must also lie in the prime-order group.
    ///
    /// # Errors
    /// Those of [`Self::decode`] and [`KeyError::Torsion`].
    pub fn decode_for_registration(&self) -> Result<VerifyingKey, KeyError> {
        let key = self.decode()?;
        if key.point.is_torsion_free() { Ok(key) } else { Err(KeyError::Torsion) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Hash(self.0))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", Hash(self.0))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hash(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Hash::deserialize(deserializer).map(|Hash(bytes)| Self(bytes))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.parse().map(|Hash(bytes)| Self(bytes)).map_err(|_| KeyError::Text)
    }
}

/// A public key with its decoded point, ready for many checks.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    pub(super) encoded: PublicKey,
    pub(super) point: EdwardsPoint,
}

impl VerifyingKey {
    /// Checks one signature of `digest`. The rule is ZIP-215, the same as in a batch.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, digest: &Hash, signature: &Signature) -> Result<(), BadSignature> {
        zip215::verify(self, digest, signature)
    }

    /// The encoded key.
    #[must_use]
    pub const fn encoded(&self) -> PublicKey {
        self.encoded
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encoded.fmt(f)
    }
}

/// A signature: R and s, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = hex::encode(self.0);
        text.truncate(8);
        f.write_str(&text)
    }
}

/// In BCS, exactly 64 bytes without a length, as a fixed-size array.
impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&hex::encode(self.0));
        }
        let (r, s) = self.0.split_at(32);
        let half = |bytes: &[u8]| bytes.try_into().map(|bytes| halves(&bytes)).map_err(serde::ser::Error::custom);
        (half(r)?, half(s)?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 64];
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        } else {
            let (r, s) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
            let (low, high) = bytes.split_at_mut(32);
            low.copy_from_slice(&r);
            high.copy_from_slice(&s);
        }
        Ok(Self(bytes))
    }
}

/// A secret key. Not `Clone`, not printable; wiped when its last handle is dropped.
pub struct SigningKey {
    secret: Arc<ed25519_dalek::SigningKey>,
    public: PublicKey,
    memory: Option<Arc<SignatureMemory>>,
}

impl SigningKey {
    /// The key from a 32-byte seed. The caller keeps the seed secret and wipes its copy.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let secret = ed25519_dalek::SigningKey::from_bytes(seed);
        Self { public: PublicKey(secret.verifying_key().to_bytes()), secret: Arc::new(secret), memory: None }
    }

    /// Another handle to this key, which consults `memory` before it signs. Signing is deterministic, so the signatures are the same; a
    /// simulator that signs the same digests over and over computes each signature once.
    #[must_use]
    pub fn remembering(&self, memory: &Arc<SignatureMemory>) -> Self {
        Self { secret: Arc::clone(&self.secret), public: self.public, memory: Some(Arc::clone(memory)) }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a digest.
    #[must_use]
    pub fn sign(&self, digest: &Hash) -> Signature {
        let Some(memory) = &self.memory else { return self.sign_anew(digest) };
        memory.made_by(&self.public, digest).unwrap_or_else(|| {
            let signature = self.sign_anew(digest);
            memory.remember_made(self.public, *digest, signature);
            signature
        })
    }

    fn sign_anew(&self, digest: &Hash) -> Signature {
        Signature(self.secret.sign(&digest.0).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {:?})", self.public)
    }
}
