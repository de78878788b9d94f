//! The rule checked against the published vectors, against crafted input, and against another implementation.

use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;

use super::*;
use crate::crypto::{KeyError, PublicKey, SigningKey};

/// All encodings of the eight points of small order: the canonical ones, then those with y >= p or with the sign of zero set.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// The order of the prime-order group, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn signature(r: [u8; 32], s: [u8; 32]) -> Signature {
    Signature([r, s].concat().try_into().unwrap())
}

/// A key by the rule alone, without the policy that refuses points of small order.
fn raw_key(encoded: [u8; 32]) -> VerifyingKey {
    VerifyingKey { encoded: PublicKey(encoded), point: CompressedEdwardsY(encoded).decompress().expect("a point") }
}

/// The verdict of the other implementation of ZIP-215.
fn zebra(key: [u8; 32], message: &[u8], signature: &Signature) -> bool {
    ed25519_zebra::VerificationKey::try_from(key).is_ok_and(|key| key.verify(&ed25519_zebra::Signature::from(signature.0), message).is_ok())
}

/// A signer who chooses everything that an honest one derives: the secret scalar, the nonce, and torsion in key and nonce point.
#[derive(Clone, Copy)]
struct Crafted {
    secret: Scalar,
    nonce: Scalar,
    key_torsion: usize,
    nonce_torsion: usize,
}

impl Crafted {
    fn key(&self) -> [u8; 32] {
        (EdwardsPoint::mul_base(&self.secret) + EIGHT_TORSION[self.key_torsion]).compress().0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let r = (EdwardsPoint::mul_base(&self.nonce) + EIGHT_TORSION[self.nonce_torsion]).compress().0;
        let k = Sha512::new().chain_update(r).chain_update(self.key()).chain_update(message).finalize();
        let s = self.nonce + Scalar::from_bytes_mod_order_wide(&k.into()) * self.secret;
        signature(r, s.to_bytes())
    }
}

fn crafted(number: u64, key_torsion: usize, nonce_torsion: usize) -> Crafted {
    let scalar = |what: &[u8]| {
        Scalar::from_bytes_mod_order_wide(&Sha512::new().chain_update(what).chain_update(number.to_le_bytes()).finalize().into())
    };
    Crafted { secret: scalar(b"secret"), nonce: scalar(b"nonce"), key_torsion, nonce_torsion }
}

fn digest(number: u64) -> Hash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Hash(bytes)
}

/// s + L: the same number modulo the order of the group, in another encoding.
fn plus_l(s: [u8; 32]) -> [u8; 32] {
    let (mut sum, mut carry) = ([0; 32], 0u16);
    for (i, l) in bytes::<32>(L).into_iter().enumerate() {
        let digit = u16::from(s[i]) + u16::from(l) + carry;
        (sum[i], carry) = ((digit & 0xff) as u8, digit >> 8);
    }
    assert_eq!(carry, 0);
    sum
}

#[test]
fn all_196_published_vectors_are_valid_single_and_in_a_batch() {
    let mut keys = Vec::new();
    let mut cases = Vec::new();
    for a in SMALL_ORDER {
        for r in SMALL_ORDER {
            let signature = signature(bytes(r), [0; 32]);
            let key = raw_key(bytes(a));
            // The message of the published vectors.
            assert_eq!(verify_message(&key, b"Zcash", &signature), Ok(()), "A {a} R {r}");
            assert!(zebra(bytes(a), b"Zcash", &signature), "the other implementation: A {a} R {r}");
            keys.push(key);
            cases.push(signature);
        }
    }
    assert_eq!(cases.len(), 196);
    let items: Vec<_> =
        keys.iter().zip(&cases).zip(0..).map(|((key, signature), n)| BatchItem { key, digest: digest(n), signature: *signature }).collect();
    for item in &items {
        assert_eq!(verify(item.key, &item.digest, &item.signature), Ok(()));
    }
    assert_eq!(verify_batch(&items), Ok(()));
}

#[test]
fn keys_of_small_order_are_refused_by_policy_in_every_encoding() {
    for encoded in SMALL_ORDER {
        let key = PublicKey(bytes(encoded));
        assert_eq!(key.decode(), Err(KeyError::SmallOrder), "{encoded}");
        assert_eq!(key.decode_for_registration(), Err(KeyError::SmallOrder), "{encoded}");
    }
}

#[test]
fn keys_with_torsion_may_send_but_not_be_registered() {
    for torsion in 1..8 {
        let signer = crafted(1, torsion, 0);
        let key = PublicKey(signer.key());
        assert!(key.decode().is_ok());
        assert_eq!(key.decode_for_registration(), Err(KeyError::Torsion));
        assert_eq!(key.decode().unwrap().verify(&digest(1), &signer.sign(&digest(1).0)), Ok(()));
    }
    assert!(PublicKey(crafted(1, 0, 0).key()).decode_for_registration().is_ok());
}

#[test]
fn bytes_that_are_no_point_are_no_key() {
    let mut refused = 0;
    for y in 0..=255 {
        let mut encoded = [0; 32];
        encoded[0] = y;
        refused += u32::from(PublicKey(encoded).decode() == Err(KeyError::NotAPoint));
    }
    // About half of all numbers are the y coordinate of a point.
    assert!((64..192).contains(&refused), "{refused}");
}

/// RFC 8032, section 7.1: key, message, signature.
#[test]
fn the_vectors_of_rfc_8032_are_valid() {
    let vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (key, message, signature) in vectors {
        let key = PublicKey(bytes(key)).decode_for_registration().unwrap();
        let message = hex::decode(message).unwrap();
        assert_eq!(verify_message(&key, &message, &Signature(bytes(signature))), Ok(()));
        assert_eq!(verify_message(&key, &[&message[..], b"x"].concat(), &Signature(bytes(signature))), Err(BadSignature));
    }
}

#[test]
fn s_plus_l_is_refused_single_and_in_a_batch() {
    for number in 0..32 {
        let signer = crafted(number, 0, 0);
        let key = raw_key(signer.key());
        let Signature(good) = signer.sign(&digest(number).0);
        let (r, s) = (good[..32].try_into().unwrap(), good[32..].try_into().unwrap());
        let other = signature(r, plus_l(s));
        assert_eq!(verify(&key, &digest(number), &Signature(good)), Ok(()));
        assert_eq!(verify(&key, &digest(number), &other), Err(BadSignature));
        assert!(!zebra(signer.key(), &digest(number).0, &other));
        let item = |signature| BatchItem { key: &key, digest: digest(number), signature };
        assert_eq!(verify_batch(&[item(Signature(good)), item(other)]), Err(BadSignature));
        assert_eq!(verify_batch(&[item(other)]), Err(BadSignature));
    }
}

/// Torsion in R, in A, or in both, together with companions that differ from batch to batch. A cofactorless batch accepts such a signature in
/// about one batch of eight and so splits honest nodes; here all paths always agree.
#[test]
fn single_and_batch_agree_on_torsion_whatever_the_companions() {
    let good = crafted(0, 0, 0);
    for round in 0..600u64 {
        let (key_torsion, nonce_torsion) = (usize::try_from(round % 8).unwrap(), usize::try_from(round / 8 % 8).unwrap());
        let odd = crafted(round, key_torsion, nonce_torsion);
        let (odd_key, good_key) = (raw_key(odd.key()), raw_key(good.key()));
        let odd_digest = digest(round);
        let mut odd_signature = odd.sign(&odd_digest.0);
        if round % 3 == 0 {
            // A signature that is wrong by more than torsion.
            odd_signature.0[33] ^= 1;
        }
        let single = verify(&odd_key, &odd_digest, &odd_signature);
        assert_eq!(single.is_ok(), round % 3 != 0, "round {round}");
        assert_eq!(single.is_ok(), zebra(odd.key(), &odd_digest.0, &odd_signature), "round {round}");
        let companions: Vec<_> = (0..=round % 5).map(|n| digest(1_000_000 + round * 7 + n)).collect();
        let mut items: Vec<_> = companions.iter().map(|d| BatchItem { key: &good_key, digest: *d, signature: good.sign(&d.0) }).collect();
        items.insert(
            usize::try_from(round).unwrap() % items.len(),
            BatchItem { key: &odd_key, digest: odd_digest, signature: odd_signature },
        );
        assert_eq!(verify_batch(&items), single, "round {round}");
        assert_eq!(verify_each(&items).iter().filter(|verdict| verdict.is_err()).count(), usize::from(single.is_err()), "round {round}");
    }
}

/// Points whose y has a second encoding, y + p: as R they are accepted, and hashed as received.
#[test]
fn non_canonical_encodings_of_r_are_taken_as_they_are_written() {
    // With R = identity, s = k * a is a valid signature; k depends on the encoding of R.
    let signer = crafted(5, 0, 0);
    let key = raw_key(signer.key());
    let encodings = [SMALL_ORDER[0], SMALL_ORDER[8], SMALL_ORDER[10], SMALL_ORDER[11]];
    let mut signatures = Vec::new();
    for r in encodings {
        let r: [u8; 32] = bytes(r);
        let k = Sha512::new().chain_update(r).chain_update(signer.key()).chain_update(digest(1).0).finalize();
        let s = Scalar::from_bytes_mod_order_wide(&k.into()) * signer.secret;
        signatures.push(signature(r, s.to_bytes()));
    }
    for one in &signatures {
        assert_eq!(verify(&key, &digest(1), one), Ok(()));
        assert!(zebra(signer.key(), &digest(1).0, one));
    }
    // The encoding is part of the challenge: the s for one encoding does not fit another.
    let mixed = signature(bytes(encodings[1]), signatures[0].0[32..].try_into().unwrap());
    assert_eq!(verify(&key, &digest(1), &mixed), Err(BadSignature));
    let items: Vec<_> = signatures.iter().map(|signature| BatchItem { key: &key, digest: digest(1), signature: *signature }).collect();
    assert_eq!(verify_batch(&items), Ok(()));
}

/// In the style of the Wycheproof suite: named cases that must not verify.
#[test]
fn broken_signatures_are_refused_single_and_in_a_batch() {
    let signer = SigningKey::from_seed(&[3; 32]);
    let key = signer.public().decode().unwrap();
    let other = SigningKey::from_seed(&[4; 32]);
    let message = digest(9);
    let good = signer.sign(&message);
    let (r, s): ([u8; 32], [u8; 32]) = (good.0[..32].try_into().unwrap(), good.0[32..].try_into().unwrap());
    let mut top_bit = s;
    top_bit[31] |= 0x80;
    let mut reversed = good;
    reversed.0.reverse();
    let minus_r = (-CompressedEdwardsY(r).decompress().unwrap()).compress().0;
    let negative = (-Option::<Scalar>::from(Scalar::from_canonical_bytes(s)).unwrap()).to_bytes();
    let no_point = (0..=255).map(|y| [y; 32]).find(|encoded| CompressedEdwardsY(*encoded).decompress().is_none()).unwrap();
    let cases = [
        ("all zero", Signature([0; 64])),
        ("all ones", Signature([0xff; 64])),
        ("s = 0", signature(r, [0; 32])),
        ("s = 1", signature(r, Scalar::ONE.to_bytes())),
        ("s = L", signature(r, bytes(L))),
        ("s = L - 1", signature(r, (-Scalar::ONE).to_bytes())),
        ("s + L", signature(r, plus_l(s))),
        ("top bit of s", signature(r, top_bit)),
        ("s = 2^256 - 1", signature(r, [0xff; 32])),
        ("-s", signature(r, negative)),
        ("R = 0", signature([0; 32], s)),
        ("R = identity", signature(bytes(SMALL_ORDER[0]), s)),
        ("-R", signature(minus_r, s)),
        ("-R and -s", signature(minus_r, negative)),
        ("R is not a point", signature(no_point, s)),
        ("R and s swapped", signature(s, r)),
        ("reversed", reversed),
        ("R is the key", signature(signer.public().0, s)),
        ("of another key", other.sign(&message)),
        ("of another message", signer.sign(&digest(10))),
    ];
    assert_eq!(key.verify(&message, &good), Ok(()));
    for (name, bad) in cases {
        assert_eq!(key.verify(&message, &bad), Err(BadSignature), "{name}");
        assert!(!zebra(signer.public().0, &message.0, &bad), "{name}");
        let items = [(message, good), (message, bad)].map(|(digest, signature)| BatchItem { key: &key, digest, signature });
        assert_eq!(verify_batch(&items), Err(BadSignature), "{name}");
    }
    for bit in 0..512 {
        let mut flipped = good;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.verify(&message, &flipped), Err(BadSignature), "bit {bit}");
    }
}

#[test]
fn verify_each_finds_exactly_the_bad_ones() {
    let signers: Vec<_> = (1..=9).map(|n| SigningKey::from_seed(&[n; 32])).collect();
    let keys: Vec<_> = signers.iter().map(|signer| signer.public().decode().unwrap()).collect();
    for pattern in 0..512u64 {
        let items: Vec<_> = (0..9)
            .map(|i| {
                let mut signature = signers[i].sign(&digest(pattern));
                signature.0[40] ^= u8::from(pattern >> i & 1 == 1);
                BatchItem { key: &keys[i], digest: digest(pattern), signature }
            })
            .collect();
        for (i, verdict) in verify_each(&items).iter().enumerate() {
            assert_eq!(verdict.is_err(), pattern >> i & 1 == 1, "pattern {pattern:b}, signature {i}");
        }
    }
    assert!(verify_each(&[]).is_empty());
    assert_eq!(verify_batch(&[]), Ok(()));
}

/// Two errors that cancel each other out with equal coefficients, and with coefficients that do not depend on the signatures.
#[test]
fn errors_that_cancel_out_do_not_pass() {
    let (one, two) = (crafted(1, 0, 0), crafted(2, 0, 0));
    let (key_one, key_two) = (raw_key(one.key()), raw_key(two.key()));
    let signature_of = signature;
    let shift = |signature: Signature, by: Scalar| {
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(signature.0[32..].try_into().unwrap())).unwrap();
        signature_of(signature.0[..32].try_into().unwrap(), (s + by).to_bytes())
    };
    let items = |by_one, by_two| {
        [
            BatchItem { key: &key_one, digest: digest(1), signature: shift(one.sign(&digest(1).0), by_one) },
            BatchItem { key: &key_two, digest: digest(2), signature: shift(two.sign(&digest(2).0), by_two) },
        ]
    };
    let unchanged = items(Scalar::ZERO, Scalar::ZERO);
    assert_eq!(verify_batch(&unchanged), Ok(()));
    assert_eq!(verify_batch(&items(Scalar::ONE, -Scalar::ONE)), Err(BadSignature));
    // Errors chosen for the coefficients of the unchanged batch: z1 * e1 + z2 * e2 = 0.
    let seed = seed(&unchanged);
    let (z1, z2) = (coefficient(&seed, 0), coefficient(&seed, 1));
    assert_eq!(verify_batch(&items(z2, -z1)), Err(BadSignature));
}

#[test]
fn the_coefficients_are_a_function_of_the_batch_alone() {
    let signer = SigningKey::from_seed(&[3; 32]);
    let key = signer.public().decode().unwrap();
    let mut items: Vec<_> = (0..4).map(|n| BatchItem { key: &key, digest: digest(n), signature: signer.sign(&digest(n)) }).collect();
    let first = seed(&items);
    assert_eq!(seed(&items.clone()), first);
    // Golden: every build on every machine draws the same.
    assert_eq!(hex::encode(coefficient(&first, 0).to_bytes()), "5bc02626bcca2010657184112e21963300000000000000000000000000000000");
    let mut drawn: Vec<_> = (0..1_000).map(|index| coefficient(&first, index).to_bytes()).collect();
    assert!(drawn.iter().all(|z| z[16..] == [0; 16]), "128 bits");
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 1_000);
    items.swap(0, 1);
    assert_ne!(seed(&items), first, "order");
    items.swap(0, 1);
    items[3].signature.0[63] ^= 1;
    assert_ne!(seed(&items), first, "signature");
    items[3].signature.0[63] ^= 1;
    items[3].digest = digest(99);
    assert_ne!(seed(&items), first, "digest");
    items.pop();
    assert_ne!(seed(&items), first, "length");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Honest, crafted, mutated and random signatures: this implementation, its batch and the other implementation agree.
    #[test]
    fn agrees_with_the_other_implementation(
        number: u64,
        key_torsion in 0usize..8,
        nonce_torsion in 0usize..8,
        flip in proptest::option::of(0usize..512),
        random in proptest::option::weighted(0.1, proptest::array::uniform32(any::<u8>())),
        random_key in proptest::option::weighted(0.1, proptest::array::uniform32(any::<u8>())),
    ) {
        let signer = crafted(number, key_torsion, nonce_torsion);
        let mut signature = signer.sign(&digest(number).0);
        if let Some(bit) = flip {
            signature.0[bit / 8] ^= 1 << (bit % 8);
        }
        if let Some(r) = random {
            signature.0[..32].copy_from_slice(&r);
        }
        let encoded = random_key.unwrap_or_else(|| signer.key());
        let theirs = zebra(encoded, &digest(number).0, &signature);
        if CompressedEdwardsY(encoded).decompress().is_none() {
            prop_assert!(!theirs);
            return Ok(());
        }
        let key = raw_key(encoded);
        let ours = verify(&key, &digest(number), &signature);
        prop_assert_eq!(ours.is_ok(), theirs);
        let item = BatchItem { key: &key, digest: digest(number), signature };
        prop_assert_eq!(verify_batch(&[item, item]), ours);
    }
}
