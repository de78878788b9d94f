//! The one signature rule: ZIP-215 (<https://zips.z.cash/zip-0215>), the cofactored check of Ed25519.
//!
//! A signature (R, s) of message m under key A is valid when s is canonical, R and A decode to points in any encoding, and
//! `[8]([s]B - R - [k]A) = 0` with `k = SHA-512(R || A || m)`. Because the check is cofactored, a batch accepts exactly what single checks
//! accept (up to a chance of 2^-128 that no sender can influence), so validity never depends on the path that a signature took.
//! The strict and the cofactorless rules lack this property: under them, crafted input can split validators that mix paths.

use curve25519_dalek::{
    constants::ED25519_BASEPOINT_POINT,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
    traits::{IsIdentity, VartimeMultiscalarMul},
};
use sha2::{Digest, Sha512};

use super::{Hash, Signature, VerifyingKey};

/// The signature does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// One signature of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchItem<'a> {
    /// The key of the claimed signer.
    pub key: &'a VerifyingKey,
    /// The signed digest.
    pub digest: Hash,
    /// The signature.
    pub signature: Signature,
}

/// R and s of a signature, decoded, and the challenge k.
struct Decoded {
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

fn decode(key: &VerifyingKey, message: &[u8], signature: &Signature) -> Result<Decoded, BadSignature> {
    let (r_bytes, s_bytes) = signature.0.split_at(32);
    let r_bytes: [u8; 32] = r_bytes.try_into().map_err(|_| BadSignature)?;
    let s_bytes: [u8; 32] = s_bytes.try_into().map_err(|_| BadSignature)?;
    let r = CompressedEdwardsY(r_bytes).decompress().ok_or(BadSignature)?;
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes)).ok_or(BadSignature)?;
    let k = Sha512::new().chain_update(r_bytes).chain_update(key.encoded.0).chain_update(message).finalize();
    Ok(Decoded { r, s, k: Scalar::from_bytes_mod_order_wide(&k.into()) })
}

/// Checks one signature.
pub(super) fn verify(key: &VerifyingKey, digest: &Hash, signature: &Signature) -> Result<(), BadSignature> {
    verify_message(key, &digest.0, signature)
}

/// The rule itself, for messages of any length, as in the published vectors; the chain signs only digests.
#[expect(clippy::arithmetic_side_effects, reason = "arithmetic of a group and of a field does not overflow")]
fn verify_message(key: &VerifyingKey, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let Decoded { r, s, k } = decode(key, message, signature)?;
    let difference = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key.point, &s) - r;
    if difference.mul_by_cofactor().is_identity() { Ok(()) } else { Err(BadSignature) }
}

/// Checks that all signatures of a batch are valid; an empty batch passes.
///
/// The random coefficients of the check come from a hash of the whole batch, so the result is a function of the input alone.
///
/// # Errors
/// [`BadSignature`] if at least one is not valid; [`verify_each`] tells which.
#[expect(clippy::arithmetic_side_effects, reason = "arithmetic of a group and of a field does not overflow")]
pub fn verify_batch(items: &[BatchItem<'_>]) -> Result<(), BadSignature> {
    match items {
        [] => return Ok(()),
        [one] => return verify(one.key, &one.digest, &one.signature),
        [_, _, ..] => {}
    }
    let seed = seed(items);

    // [8]( -sum(z s) B + sum(z R) + sum(z k A) ) = 0
    let mut base = Scalar::ZERO;
    let mut scalars = Vec::with_capacity(items.len().saturating_mul(2).saturating_add(1));
    let mut points = Vec::with_capacity(scalars.capacity());
    for (index, item) in (0u64..).zip(items) {
        let Decoded { r, s, k } = decode(item.key, &item.digest.0, &item.signature)?;
        let z = coefficient(&seed, index);
        base -= z * s;
        scalars.push(z);
        points.push(r);
        scalars.push(z * k);
        points.push(item.key.point);
    }
    scalars.push(base);
    points.push(ED25519_BASEPOINT_POINT);
    let sum = EdwardsPoint::vartime_multiscalar_mul(&scalars, &points);
    if sum.mul_by_cofactor().is_identity() { Ok(()) } else { Err(BadSignature) }
}

/// The hash of the whole batch, so that changing any bit of it changes every coefficient.
fn seed(items: &[BatchItem<'_>]) -> [u8; 64] {
    let mut transcript = Sha512::new();
    transcript.update(b"quorate/batch");
    for item in items {
        transcript.update(item.key.encoded.0);
        transcript.update(item.digest.0);
        transcript.update(item.signature.0);
    }
    transcript.finalize().into()
}

/// A 128-bit coefficient that depends on every byte of the batch.
fn coefficient(seed: &[u8; 64], index: u64) -> Scalar {
    let digest = Sha512::new().chain_update(seed).chain_update(index.to_le_bytes()).finalize();
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest) {
        *byte = hashed;
    }
    Scalar::from(u128::from_le_bytes(bytes))
}

/// The verdict on each signature. If all are valid, the usual case, this is one batch check. If not, each quarter is checked as a batch, and
/// the signatures of a bad quarter one by one: one bad signature costs two batches and single checks of a quarter.
#[must_use]
pub fn verify_each(items: &[BatchItem<'_>]) -> Vec<Result<(), BadSignature>> {
    verdicts(items, |quarter| verdicts(quarter, |one_by_one| one_by_one.iter().map(verify_item).collect()))
}

/// All valid, or the verdicts of `otherwise` on the quarters.
fn verdicts<'a>(
    items: &[BatchItem<'a>],
    otherwise: impl Fn(&[BatchItem<'a>]) -> Vec<Result<(), BadSignature>>,
) -> Vec<Result<(), BadSignature>> {
    match (verify_batch(items), items) {
        (Ok(()), _) => vec![Ok(()); items.len()],
        // For one signature, this was already the single check.
        (Err(bad), [_]) => vec![Err(bad)],
        (Err(_), _) => items.chunks(items.len().div_ceil(4)).flat_map(otherwise).collect(),
    }
}

fn verify_item(item: &BatchItem<'_>) -> Result<(), BadSignature> {
    verify(item.key, &item.digest, &item.signature)
}

#[cfg(test)]
mod tests;
