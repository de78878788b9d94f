//! Proofs about one key of the committed state, verifiable without a ledger.
//!
//! A client that trusts a state root (because a commit certificate covers it) learns from a
//! [`StateProof`] whether a key is present, and with which value, from a server it does not trust.
//!
//! The tree is a binary sparse Merkle tree over the 256 bits of the key's hash, most significant
//! bit first, 0 to the left:
//!
//! ```text
//! key hash   = H(STATE_KEY,    key)
//! value hash = H(STATE_VALUE,  value)
//! leaf       = H(STATE_LEAF,   key hash ‖ value hash)
//! branch     = H(STATE_BRANCH, left ‖ right)
//! empty      = 32 zero bytes
//! ```
//!
//! A subtree with exactly one leaf *is* that leaf, at whatever depth; a subtree without leaves is
//! empty; only a subtree with two or more leaves is a branch. So the root is a function of the
//! key-value pairs alone, not of the order or the history of the writes.
//!
//! Why a proof cannot lie: under an honestly computed root, the bits of a key lead to exactly one
//! place where the tree ends, either empty or a leaf. Leaves and branches are hashed in different
//! domains, and each hash covers its children, so a proof with more or fewer siblings, or with
//! another end, needs a collision of SHA3-256. The verifier turns left and right by the bits of the
//! key it was asked about, never by what the proof says, and accepts a leaf of another key as proof
//! of absence only if that leaf lies on the key's own path ([`StateProofError::ForeignLeaf`]).
//!
//! This module must never accept a proof that the recomputed root does not confirm, and never
//! panic, whatever bytes a peer sends.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    codec::Bounded,
    crypto::{Hash, Hasher, Tag},
};

/// Domain of key hashes, which are the keys' places in the tree.
pub const STATE_KEY: Tag = Tag::new("quorate/state-key");
/// Domain of value hashes.
pub const STATE_VALUE: Tag = Tag::new("quorate/state-value");
/// Domain of leaf hashes.
pub const STATE_LEAF: Tag = Tag::new("quorate/state-leaf");
/// Domain of branch hashes.
pub const STATE_BRANCH: Tag = Tag::new("quorate/state-branch");

/// The hash of a subtree without leaves, and the root of the empty state.
pub const EMPTY_STATE_ROOT: Hash = Hash([0; 32]);

/// Most siblings in a proof: one for each bit of a key hash.
pub const STATE_PROOF_DEPTH_MAX: usize = 256;

/// The hash of `key`, whose bits are the key's path in the tree.
#[must_use]
pub fn state_key_hash(key: &[u8]) -> Hash {
    let mut hasher = Hasher::new(&STATE_KEY);
    hasher.update(key);
    hasher.finish()
}

/// The hash of `value`.
#[must_use]
pub fn state_value_hash(value: &[u8]) -> Hash {
    let mut hasher = Hasher::new(&STATE_VALUE);
    hasher.update(value);
    hasher.finish()
}

/// The hash of the leaf that holds a value under a key.
#[must_use]
pub fn state_leaf_hash(key_hash: &Hash, value_hash: &Hash) -> Hash {
    let mut hasher = Hasher::new(&STATE_LEAF);
    hasher.update(&key_hash.0).update(&value_hash.0);
    hasher.finish()
}

/// The hash of a subtree with two or more leaves.
#[must_use]
pub fn state_branch_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Hasher::new(&STATE_BRANCH);
    hasher.update(&left.0).update(&right.0);
    hasher.finish()
}

/// Whether the path of `key_hash` turns right at `depth` (0 is the root, 255 the last bit).
#[must_use]
pub fn state_path_turns_right(key_hash: &Hash, depth: u8) -> bool {
    key_hash.0.get(usize::from(depth >> 3)).is_some_and(|byte| byte.rotate_left(u32::from(depth & 7)) & 0x80 != 0)
}

/// One key's path through the tree: enough to recompute the root.
///
/// The bytes (BCS):
///
/// ```text
/// ┌───────────────┬─────────────┬─────┬───────────────┬─────┬─────────────────────────────┐
/// │ n: uleb128    │ sibling 0   │  …  │ sibling n − 1 │ 00  │ end: empty                  │
/// │ n ≤ 256       │ 32 (root's) │     │ 32 (deepest)  │ 01  │ end: key hash 32, value 32  │
/// └───────────────┴─────────────┴─────┴───────────────┴─────┴─────────────────────────────┘
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    /// The hash of the other child at each branch on the key's path, the root's first.
    ///
    /// At most [`STATE_PROOF_DEPTH_MAX`]; decoding refuses more before it stores them.
    #[serde(deserialize_with = "bounded_siblings")]
    pub siblings: Vec<Hash>,
    /// The end of the key's path, below the last sibling.
    pub terminal: StateTerminal,
}

/// The end of a key's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateTerminal {
    /// No key's path leads here.
    Empty,
    /// Exactly one key's path leads here: the proved key's own, or another's (a proof of absence).
    Leaf {
        /// The hash of the key in the leaf.
        key_hash: Hash,
        /// The hash of the value in the leaf.
        value_hash: Hash,
    },
}

/// What a proof shows about a key under a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Proven {
    /// The state does not have the key.
    Absent,
    /// The state has the key, with a value of this hash.
    Present {
        /// The hash of the key's value, see [`state_value_hash`].
        value_hash: Hash,
    },
}

/// Why a proof shows nothing, or something other than the caller expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// The proof has more siblings than a key hash has bits.
    #[error("the state proof has {siblings} siblings; at most {STATE_PROOF_DEPTH_MAX} are possible")]
    TooDeep {
        /// The number of its siblings.
        siblings: usize,
    },
    /// The proof ends in the leaf of another key, off this key's path, so it says nothing about this
    /// key.
    #[error("the state proof ends in a leaf whose path diverges from the key's path at bit {diverges_at}")]
    ForeignLeaf {
        /// The first bit in which the two key hashes differ.
        diverges_at: u8,
    },
    /// The proof belongs to another root, or was altered.
    #[error("the state proof leads to root {computed}, not to {expected}")]
    WrongRoot {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root the caller trusts.
        expected: Hash,
    },
    /// The proof is sound and contradicts the caller: the key is absent.
    #[error("the state does not have the key")]
    KeyAbsent,
    /// The proof is sound and contradicts the caller: the key is present.
    #[error("the state has the key, with a value of hash {value_hash}")]
    KeyPresent {
        /// The hash of the value that the state has.
        value_hash: Hash,
    },
    /// The proof is sound and contradicts the caller: the key has another value.
    #[error("the state has a value of hash {proven} for the key, not of hash {claimed}")]
    OtherValue {
        /// The hash of the value that the state has.
        proven: Hash,
        /// The hash of the value the caller was told.
        claimed: Hash,
    },
}

impl StateProof {
    /// What this proof shows about `key` in the state with root `root`, which the caller trusts.
    ///
    /// # Errors
    ///
    /// [`StateProofError::TooDeep`], [`StateProofError::ForeignLeaf`] and
    /// [`StateProofError::WrongRoot`]: the proof shows nothing about the key.
    pub fn verify(&self, root: &Hash, key: &[u8]) -> Result<Proven, StateProofError> {
        if self.siblings.len() > STATE_PROOF_DEPTH_MAX {
            return Err(StateProofError::TooDeep { siblings: self.siblings.len() });
        }
        let path = state_key_hash(key);
        let (end, proven) = match &self.terminal {
            StateTerminal::Empty => (EMPTY_STATE_ROOT, Proven::Absent),
            StateTerminal::Leaf { key_hash, value_hash } => {
                let leaf = state_leaf_hash(key_hash, value_hash);
                if *key_hash == path {
                    (leaf, Proven::Present { value_hash: *value_hash })
                } else {
                    self.check_on_path(&path, key_hash)?;
                    (leaf, Proven::Absent)
                }
            }
        };

        // Upward from the deepest branch; the key's own bits say on which side the path is.
        let computed = (0..=u8::MAX).zip(&self.siblings).rev().fold(end, |below, (depth, sibling)| {
            if state_path_turns_right(&path, depth) { state_branch_hash(sibling, &below) } else { state_branch_hash(&below, sibling) }
        });
        if computed != *root {
            return Err(StateProofError::WrongRoot { computed, expected: *root });
        }
        Ok(proven)
    }

    /// Confirms that `key` has exactly this `value` (`None`: is absent) under `root`.
    ///
    /// # Errors
    ///
    /// Those of [`StateProof::verify`]; and [`StateProofError::KeyAbsent`],
    /// [`StateProofError::KeyPresent`] or [`StateProofError::OtherValue`] if the proof is sound
    /// and shows something else.
    pub fn verify_value(&self, root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), StateProofError> {
        match (self.verify(root, key)?, value.map(state_value_hash)) {
            (Proven::Absent, None) => Ok(()),
            (Proven::Absent, Some(_)) => Err(StateProofError::KeyAbsent),
            (Proven::Present { value_hash }, None) => Err(StateProofError::KeyPresent { value_hash }),
            (Proven::Present { value_hash: proven }, Some(claimed)) => {
                if proven == claimed {
                    Ok(())
                } else {
                    Err(StateProofError::OtherValue { proven, claimed })
                }
            }
        }
    }

    /// A leaf of another key shows absence only where the key itself would have to be: both paths
    /// are the same down to the leaf. Under an honest root the hashes alone enforce this, because
    /// honest trees have no leaf off its path; the check makes the verdict independent of the
    /// origin of the root, and gives the reason before the siblings are hashed.
    fn check_on_path(&self, path: &Hash, leaf_key_hash: &Hash) -> Result<(), StateProofError> {
        let diverges = (0..=u8::MAX)
            .zip(&self.siblings)
            .map(|(depth, _)| depth)
            .find(|&depth| state_path_turns_right(path, depth) != state_path_turns_right(leaf_key_hash, depth));
        match diverges {
            Some(diverges_at) => Err(StateProofError::ForeignLeaf { diverges_at }),
            None => Ok(()),
        }
    }
}

/// Decodes at most [`STATE_PROOF_DEPTH_MAX`] siblings, whatever length a peer claims.
fn bounded_siblings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hash>, D::Error> {
    Bounded::<Hash, STATE_PROOF_DEPTH_MAX>::deserialize(deserializer).map(Bounded::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second implementation of the tree, from its definition alone.
    struct Reference {
        leaves: Vec<(String, Hash, Hash)>,
    }

    fn bits(hash: &Hash) -> String {
        hash.0.map(|byte| format!("{byte:08b}")).concat()
    }

    fn hash_of(tag: &'static Tag, parts: &[&[u8]]) -> Hash {
        let mut hasher = Hasher::new(tag);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }

    impl Reference {
        /// `key-0` … `key-(count - 1)` with `value-0` ….
        fn with_keys(count: u32) -> Self {
            let leaf = |i: u32| {
                let key = hash_of(&STATE_KEY, &[format!("key-{i}").as_bytes()]);
                let value = hash_of(&STATE_VALUE, &[format!("value-{i}").as_bytes()]);
                (bits(&key), key, value)
            };
            Self { leaves: (0..count).map(leaf).collect() }
        }

        fn below(&self, prefix: &str) -> Vec<&(String, Hash, Hash)> {
            self.leaves.iter().filter(|(path, _, _)| path.starts_with(prefix)).collect()
        }

        fn hash(&self, prefix: &str) -> Hash {
            match self.below(prefix).as_slice() {
                [] => Hash([0; 32]),
                [(_, key, value)] => hash_of(&STATE_LEAF, &[&key.0, &value.0]),
                _ => hash_of(&STATE_BRANCH, &[&self.hash(&format!("{prefix}0")).0, &self.hash(&format!("{prefix}1")).0]),
            }
        }

        fn root(&self) -> Hash {
            self.hash("")
        }

        fn prove(&self, key: &str) -> StateProof {
            let path = bits(&hash_of(&STATE_KEY, &[key.as_bytes()]));
            let mut prefix = String::new();
            let mut siblings = Vec::new();
            for bit in path.chars() {
                match self.below(&prefix).as_slice() {
                    [] => return StateProof { siblings, terminal: StateTerminal::Empty },
                    [(_, key, value)] => {
                        let terminal = StateTerminal::Leaf { key_hash: *key, value_hash: *value };
                        return StateProof { siblings, terminal };
                    }
                    _ => {
                        let other = if bit == '0' { '1' } else { '0' };
                        siblings.push(self.hash(&format!("{prefix}{other}")));
                        prefix.push(bit);
                    }
                }
            }
            unreachable!("two keys have the same hash")
        }
    }

    /// The keys of the reference trees (at most 40), and keys that no reference tree has.
    fn names() -> impl Iterator<Item = String> {
        (0..40).map(|i| format!("key-{i}")).chain((0..40).map(|i| format!("absent-{i}")))
    }

    fn flipped(hash: &Hash, bit: u8) -> Hash {
        let mut hash = *hash;
        let byte = hash.0.get_mut(usize::from(bit >> 3)).expect("256 bits are 32 bytes");
        *byte ^= 1_u8.rotate_left(u32::from(bit & 7));
        hash
    }

    #[test]
    fn roots_are_the_golden_ones() {
        // From an independent implementation (Python's hashlib).
        for (count, golden) in [
            (0, "0000000000000000000000000000000000000000000000000000000000000000"),
            (1, "6ff306d217af4bf1f2634db61cbb7217a3d167ffbe74561c13e2bf9dcc832afd"),
            (2, "b48e74f0ad048bbf1da97e203622ba5921c587768e88bd11f69191b7c76896ec"),
            (8, "90b81e0bde79f3d8109f314ee85e2421098bf3d4e37aa6e417013ebb6050df06"),
        ] {
            assert_eq!(hex::encode(Reference::with_keys(count).root().0), golden, "{count} keys");
        }
    }

    #[test]
    fn a_golden_proof_verifies_and_has_golden_bytes() {
        let golden = concat!(
            "03",
            "8e80eb42a4c258b293541e23a58274479cda42586c0873763408386585759841",
            "15766c1f5f4f39d5a923e7b400e9e4ecb1c57241410da15fd23debe1664b8b38",
            "f1907b5d6f4fbc65c87943ef4a1af14cc58dd1ab0144521d0781b30b44083730",
            "01",
            "d74c24b6e0078c3c3c884278561b0f7a2778c81b1f9a6f03596839d11509a3d7",
            "b9b1f2687a6e98f90c60f640366c9f850f2c8ca11caa6872ed32ce070f0b75d0",
        );
        let bytes = hex::decode(golden).expect("hex");
        let proof: StateProof = bcs::from_bytes(&bytes).expect("a proof");
        let root = Reference::with_keys(8).root();
        assert_eq!(proof.verify_value(&root, b"key-3", Some(b"value-3")), Ok(()));
        assert_eq!(bcs::to_bytes(&proof).expect("encodes"), bytes);
    }

    #[test]
    fn proves_presence_and_absence_of_every_key() {
        for count in [0, 1, 2, 3, 8, 40] {
            let tree = Reference::with_keys(count);
            let root = tree.root();
            for name in names() {
                let truth = name.strip_prefix("key-").filter(|i| i.parse::<u32>().is_ok_and(|i| i < count)).map(|i| format!("value-{i}"));
                let truth = truth.as_ref().map(String::as_bytes);
                let proof = tree.prove(&name);
                let expected = match truth {
                    None => Proven::Absent,
                    Some(value) => Proven::Present { value_hash: state_value_hash(value) },
                };
                assert_eq!(proof.verify(&root, name.as_bytes()), Ok(expected), "{name} of {count}");
                assert_eq!(proof.verify_value(&root, name.as_bytes(), truth), Ok(()));

                let other = proof.verify_value(&root, name.as_bytes(), Some(b"other"));
                let none = proof.verify_value(&root, name.as_bytes(), None);
                if let Proven::Present { value_hash } = expected {
                    let claimed = state_value_hash(b"other");
                    let proven = value_hash;
                    assert_eq!(other, Err(StateProofError::OtherValue { proven, claimed }));
                    assert_eq!(none, Err(StateProofError::KeyPresent { value_hash }));
                } else {
                    assert_eq!(other, Err(StateProofError::KeyAbsent));
                }
            }
        }
    }

    #[test]
    fn no_proof_of_one_key_lies_about_another() {
        let tree = Reference::with_keys(40);
        let root = tree.root();
        let mut shown = 0_u32;
        for proved in names() {
            let proof = tree.prove(&proved);
            for asked in names() {
                if let Ok(proven) = proof.verify(&root, asked.as_bytes()) {
                    let truth = tree.prove(&asked).verify(&root, asked.as_bytes());
                    assert_eq!(Ok(proven), truth, "the proof of {proved}, asked about {asked}");
                    shown = shown.saturating_add(1);
                }
            }
        }
        // At least each about its own key, and some proofs of absence hold for a neighbour too.
        assert!(shown > 80, "only {shown} proofs showed anything");
    }

    #[test]
    fn refuses_a_proof_with_anything_altered() {
        let tree = Reference::with_keys(40);
        let root = tree.root();
        for name in names() {
            let proof = tree.prove(&name);
            let refuses = |altered: &StateProof, how: &str| {
                let verdict = altered.verify(&root, name.as_bytes());
                assert!(verdict.is_err(), "{name}, {how}: {verdict:?}");
            };

            for bit in [0, 100, 255] {
                let root = flipped(&root, bit);
                let verdict = proof.verify(&root, name.as_bytes());
                assert!(matches!(verdict, Err(StateProofError::WrongRoot { .. })), "{verdict:?}");
                for depth in 0..proof.siblings.len() {
                    let mut altered = proof.clone();
                    for sibling in altered.siblings.iter_mut().skip(depth).take(1) {
                        *sibling = flipped(sibling, bit);
                    }
                    refuses(&altered, "a sibling's bit flipped");
                }
                if let StateTerminal::Leaf { key_hash, value_hash } = proof.terminal {
                    let with =
                        |key_hash, value_hash| StateProof { terminal: StateTerminal::Leaf { key_hash, value_hash }, ..proof.clone() };
                    refuses(&with(flipped(&key_hash, bit), value_hash), "the leaf's key altered");
                    refuses(&with(key_hash, flipped(&value_hash, bit)), "the leaf's value altered");
                    refuses(&with(value_hash, key_hash), "the leaf's key and value exchanged");
                }
            }
            for depth in 0..proof.siblings.len() {
                let mut altered = proof.clone();
                altered.siblings.remove(depth);
                refuses(&altered, "a sibling missing");
                let mut altered = proof.clone();
                altered.siblings.truncate(depth);
                refuses(&altered, "the deepest siblings missing");
            }
            for depth in 0..=proof.siblings.len() {
                for extra in [EMPTY_STATE_ROOT, root, Hash([7; 32])] {
                    let mut altered = proof.clone();
                    altered.siblings.insert(depth, extra);
                    refuses(&altered, "a sibling too many");
                }
            }
            let mut altered = proof.clone();
            altered.siblings.reverse();
            refuses(&altered, "the siblings reversed");
        }
    }

    #[test]
    fn refuses_forged_absence_of_a_present_key() {
        let tree = Reference::with_keys(40);
        let root = tree.root();
        for i in 0..40 {
            let name = format!("key-{i}");
            let honest = tree.prove(&name);

            // The leaf denied.
            for kept in 0..=honest.siblings.len() {
                let siblings = honest.siblings.iter().take(kept).copied().collect();
                let forged = StateProof { siblings, terminal: StateTerminal::Empty };
                assert!(forged.verify(&root, name.as_bytes()).is_err(), "{name} at {kept}");
            }
            // The leaf replaced by every other one, with the honest siblings and with that leaf's.
            for other in names().filter(|other| *other != name) {
                let other = tree.prove(&other);
                let mixed = StateProof { terminal: other.terminal, ..honest.clone() };
                for forged in [mixed, other] {
                    let verdict = forged.verify(&root, name.as_bytes());
                    assert_ne!(verdict, Ok(Proven::Absent), "{name}");
                }
            }
        }
    }

    #[test]
    fn refuses_a_leaf_off_the_path_even_if_the_root_confirms_it() {
        // A root that no honest tree has: key-0's leaf where absent keys of the other half belong.
        let tree = Reference::with_keys(1);
        let leaf = tree.prove("key-0").terminal;
        let StateTerminal::Leaf { key_hash, .. } = leaf else { unreachable!("the only leaf") };
        let turns_right = state_path_turns_right(&key_hash, 0);
        let (wrong_root, asked) = names()
            .filter(|name| name.starts_with("absent"))
            .find(|name| state_path_turns_right(&state_key_hash(name.as_bytes()), 0) != turns_right)
            .map(|asked| {
                let (left, right) = if turns_right { (tree.root(), Hash([9; 32])) } else { (Hash([9; 32]), tree.root()) };
                (state_branch_hash(&left, &right), asked)
            })
            .expect("about half of the names are on the other side");
        let forged = StateProof { siblings: vec![Hash([9; 32])], terminal: leaf };
        assert_eq!(forged.verify(&wrong_root, asked.as_bytes()), Err(StateProofError::ForeignLeaf { diverges_at: 0 }));
    }

    #[test]
    fn a_lone_leaf_of_another_key_proves_absence_at_the_root() {
        let tree = Reference::with_keys(1);
        let proof = tree.prove("absent-0");
        assert!(proof.siblings.is_empty());
        assert_eq!(proof.verify(&tree.root(), b"absent-0"), Ok(Proven::Absent));
        let denied = StateProof { terminal: StateTerminal::Empty, ..proof };
        assert!(denied.verify(&tree.root(), b"absent-0").is_err());
    }

    #[test]
    fn decodes_at_most_256_siblings() {
        let proof = |depth| StateProof { siblings: vec![Hash([1; 32]); depth], terminal: StateTerminal::Empty };
        let deepest = bcs::to_bytes(&proof(256)).expect("encodes");
        assert_eq!(bcs::from_bytes::<StateProof>(&deepest).expect("decodes"), proof(256));
        let too_deep = bcs::to_bytes(&proof(257)).expect("encodes");
        let error = bcs::from_bytes::<StateProof>(&too_deep).expect_err("one sibling too many");
        assert!(error.to_string().contains("at most 256"), "{error}");
        // JSON announces no length, so it is refused while reading.
        let json = serde_json::to_string(&proof(257)).expect("encodes");
        assert!(serde_json::from_str::<StateProof>(&json).is_err());
        // A claimed length without the bytes is refused at once.
        assert!(bcs::from_bytes::<StateProof>(&[0xff, 0xff, 0xff, 0x7f]).is_err());
    }

    #[test]
    fn refuses_a_proof_deeper_than_a_key_hash_that_was_not_decoded() {
        let proof = StateProof { siblings: vec![Hash([1; 32]); 257], terminal: StateTerminal::Empty };
        let verdict = proof.verify(&EMPTY_STATE_ROOT, b"key");
        assert_eq!(verdict, Err(StateProofError::TooDeep { siblings: 257 }));
    }

    #[test]
    fn paths_read_the_most_significant_bit_first() {
        let hash = state_key_hash(b"key-0");
        let path: String = (0..=u8::MAX).map(|depth| if state_path_turns_right(&hash, depth) { '1' } else { '0' }).collect();
        assert_eq!(path, bits(&hash));
    }
}
