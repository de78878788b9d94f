//! Merkle trees over lists, in the shape of RFC 6962: of n leaves, the left subtree has the largest power of two below n.
//! The root covers the number of leaves, so a proof cannot move a leaf to another position.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::{
    codec::Bounded,
    crypto::{Hash, Hasher, Tag},
};

const LEAF: Tag = Tag::new("quorate/list-leaf");
const BRANCH: Tag = Tag::new("quorate/list-branch");
const ROOT: Tag = Tag::new("quorate/list-root");

/// Longest path: lists have fewer than 2^32 elements.
pub const MERKLE_DEPTH_MAX: usize = 32;

/// The leaf for an element's encoding.
#[must_use]
pub fn leaf(data: &[u8]) -> Hash {
    Hash::of(&LEAF, data)
}

fn branch(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Hasher::new(&BRANCH);
    hasher.update(&left.0).update(&right.0);
    hasher.finish()
}

fn seal(count: usize, top: &Hash) -> Hash {
    let mut hasher = Hasher::new(&ROOT);
    hasher.update(&(count as u64).to_le_bytes()).update(&top.0);
    hasher.finish()
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    count.saturating_sub(1).checked_ilog2().and_then(|log| 1usize.checked_shl(log)).unwrap_or(0)
}

fn top(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::default(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            branch(&top(left), &top(right))
        }
    }
}

/// The root of a list of leaves.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    /// Cached because every empty block needs it twice.
    static EMPTY: OnceLock<Hash> = OnceLock::new();
    let of = |leaves: &[Hash]| seal(leaves.len(), &top(leaves));
    if leaves.is_empty() { *EMPTY.get_or_init(|| of(&[])) } else { of(leaves) }
}

/// Proves that an element is at a position of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// The position, from 0.
    pub index: u32,
    /// The number of elements in the list.
    pub count: u32,
    /// The sibling hashes from the leaf to the top.
    pub siblings: Bounded<Hash, MERKLE_DEPTH_MAX>,
}

impl MerkleProof {
    /// The proof for the leaf at `index`; `None` if there is no such leaf.
    #[must_use]
    pub fn of(leaves: &[Hash], index: usize) -> Option<Self> {
        leaves.get(index)?;
        let mut siblings = Vec::new();
        let (mut rest, mut position) = (leaves, index);
        while rest.len() > 1 {
            let at = split(rest.len());
            let (left, right) = rest.split_at(at);
            if position < at {
                siblings.push(top(right));
                rest = left;
            } else {
                siblings.push(top(left));
                rest = right;
                position = position.checked_sub(at)?;
            }
        }
        siblings.reverse();
        Some(Self { index: index.try_into().ok()?, count: leaves.len().try_into().ok()?, siblings: siblings.try_into().ok()? })
    }

    /// Whether `leaf` is at this position of the list with this root.
    #[must_use]
    pub fn proves(&self, root: &Hash, leaf: &Hash) -> bool {
        let (Ok(mut position), Ok(mut count)) = (usize::try_from(self.index), usize::try_from(self.count)) else { return false };
        if position >= count {
            return false;
        }
        // From the top down: whether the leaf is on the left at each level.
        let mut on_left = Vec::with_capacity(MERKLE_DEPTH_MAX);
        while count > 1 {
            let at = split(count);
            let left = position < at;
            on_left.push(left);
            (position, count) = if left { (position, at) } else { (position.saturating_sub(at), count.saturating_sub(at)) };
        }
        if on_left.len() != self.siblings.len() {
            return false;
        }
        let mut hash = *leaf;
        for (left, sibling) in on_left.iter().rev().zip(&self.siblings) {
            hash = if *left { branch(&hash, sibling) } else { branch(sibling, &hash) };
        }
        usize::try_from(self.count).is_ok_and(|count| seal(count, &hash) == *root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_small_list_is_proved_at_its_own_position_only() {
        for count in 1..40usize {
            let leaves: Vec<_> = (0..count).map(|i| leaf(&i.to_le_bytes())).collect();
            let root = root(&leaves);
            for index in 0..count {
                let proof = MerkleProof::of(&leaves, index).unwrap();
                assert!(proof.proves(&root, &leaves[index]));
                assert!(!proof.proves(&root, &leaf(b"another")));
                for other in 0..count + 2 {
                    let moved = MerkleProof { index: u32::try_from(other).unwrap(), ..proof.clone() };
                    assert_eq!(moved.proves(&root, &leaves[index]), other == index, "{count} {index} {other}");
                }
                let longer = MerkleProof { count: proof.count + 1, ..proof };
                assert!(!longer.proves(&root, &leaves[index]));
            }
            assert!(MerkleProof::of(&leaves, count).is_none());
        }
    }

    #[test]
    fn the_root_depends_on_the_number_of_leaves() {
        assert_ne!(root(&[]), root(&[Hash::default()]));
    }
}
