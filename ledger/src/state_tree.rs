//! The committed state: a persistent, authenticated map from keys to values, in memory.
//!
//! A [`StateTree`] is the compressed binary sparse Merkle tree that
//! [`quorate_types::state_proof`] defines, with the keys and values in its leaves. It *is* the
//! state: reads come from it, its root goes into headers, and the flat key-value column on disk
//! exists only to rebuild it at startup.
//!
//! ```text
//!                 branch H(STATE_BRANCH, l ‖ r)        bit 0 of the key hash
//!                /                             \
//!        leaf (a lone leaf                   branch    bit 1
//!        stays at the top)                  /      \
//!                                       empty    branch    bit 2
//!                                      (zero)   /      \
//!                                            leaf      leaf
//! ```
//!
//! Nodes are immutable and shared. A clone copies a few words; an update makes new nodes along the
//! changed paths and shares the rest. So each uncommitted block has a tree of its own that costs only
//! its changes, abandoning a fork means dropping a tree, and a reader on another thread keeps the
//! version that it cloned.
//!
//! The root must depend on nothing but the set of pairs (not on order, history, or the fork that
//! wrote them), and no key or value may cause a panic.
//!
//! # Measured
//!
//! One thread, release profile with overflow checks, glibc's allocator, rustc 1.95, on a shared 2-core
//! AMD EPYC at a load of about one; keys of 34 bytes (`a/` and 32 more), values of 16; one hash took
//! 0.40 to 0.43 µs. Wall time; lowest and highest of three runs (100,000) and four (1,000,000); for
//! updates, the median of 60 in each. The command was `cargo run --release --example bench 100000`
//! (and `1000000`) in a throwaway project around this file: it builds the tree, then 60 times writes
//! 1,000 random existing keys, and keeps all 60 results. Memory is the growth of the resident set.
//! The figures are without the ordered set of keys, which adds at least 16 bytes per key.
//!
//! | | 100,000 keys | 1,000,000 keys |
//! |---|---|---|
//! | [`StateTree::from_entries`], per key | 2.4–2.5 µs | 2.5–2.9 µs |
//! | [`StateTree::update`] of 1,000 keys, per key | 6.3–6.7 µs | 9.2–9.7 µs |
//! | [`StateTree::get`] | 1.0–1.1 µs | 1.6–1.8 µs |
//! | [`StateTree::prove`] (18 and 21 siblings on average) | 1.7–1.9 µs | 2.4–2.5 µs |
//! | [`StateProof::verify`] | 8.6–9.3 µs | 9.9–10.6 µs |
//! | [`StateTree::iter`], per key | 0.08–0.09 µs | 0.08 µs |
//! | dropping the last clone, per key | 0.27–0.28 µs | 0.32–0.34 µs |
//! | resident memory per key | 362 B | 363 B |
//! | memory of an update's result kept beside the old tree, per changed key | 1.0 kB | 1.3 kB |
//! | dropping that result, per changed key | 1.1–1.2 µs | 1.7–1.8 µs |
//!
//! A rebuild hashes 4.44 times per key (key, value, leaf, and 1.44 branches on average), which takes
//! about three quarters of its time.
//!
//! # Memory
//!
//! A key costs about 266 bytes (a leaf of 128, 1.44 branches of 96) plus its key and its value, each
//! in an allocation of its own. One gibibyte thus holds about 2.9 million keys of the measured size.
//! During a rebuild the peak is about a tenth higher. A block of 1,000 writes on a state of a million
//! keys adds 1.3 MB for as long as both versions live, so uncommitted blocks, and readers that hold
//! old clones, must be few.
//!
//! The tree has no limit of its own and does not spill to disk: a process that outgrows its machine's
//! memory is killed, and since all validators hold the same state, many are at about the same height.
//! The code that admits writes must bound the size of the state ([`StateTree::size`] costs nothing),
//! by a rule that all validators share, well below the memory of the smallest.

use std::{fmt, ops::Bound, sync::Arc};

use imbl::OrdSet;
use quorate_app::StateRead;
use quorate_types::{
    crypto::Hash,
    state_key::entry_size,
    state_proof::{
        EMPTY_STATE_ROOT, StateProof, StateTerminal, state_branch_hash, state_key_hash, state_leaf_hash, state_path_turns_right,
        state_value_hash,
    },
};

/// One version of the state; see the [module](self).
#[derive(Clone, Default)]
pub struct StateTree {
    root: Node,
    /// The keys in the order of their bytes; the tree has them in the order of their hashes. Not covered by the root.
    keys: OrdSet<Arc<[u8]>>,
}

/// A subtree. Two words; the depth is not stored, because it is known from the descent.
#[derive(Clone, Default)]
enum Node {
    /// No keys.
    #[default]
    Empty,
    /// Exactly one key, whatever the depth.
    Leaf(Arc<Leaf>),
    /// Two keys or more.
    Branch(Arc<Branch>),
}

struct Leaf {
    /// The path; stored because each write nearby needs its bits.
    key_hash: Hash,
    /// The leaf's own hash. The value's hash is not stored: only a proof needs it.
    hash: Hash,
    key: Arc<[u8]>,
    value: Arc<[u8]>,
}

struct Branch {
    hash: Hash,
    /// The number of keys below, at least two.
    len: usize,
    /// The sum of [`entry_size`] over the keys below.
    size: u64,
    left: Node,
    right: Node,
}

/// The effect of an update on one key: its new leaf, or none.
struct Change {
    key_hash: Hash,
    key: Arc<[u8]>,
    leaf: Option<Arc<Leaf>>,
}

impl StateTree {
    /// Builds the tree of exactly `entries`, for example from disk.
    ///
    /// If a key occurs twice, the later value wins.
    pub fn from_entries<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Arc<[u8]>>,
        V: Into<Arc<[u8]>>,
    {
        Self::default().update(entries.into_iter().map(|(key, value)| (key, Some(value))))
    }

    /// The state root, which headers carry and proofs are verified against.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.root.hash()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// The size that `state.bytes_max` in the genesis limits: the sum of [`entry_size`] over the entries. Costs nothing.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.root.size()
    }

    /// Whether there are no keys; the root is then [`EMPTY_STATE_ROOT`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.root, Node::Empty)
    }

    /// The value of `key`, if the state has it.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Arc<[u8]>> {
        let key_hash = state_key_hash(key);
        match self.descend(&key_hash, |_| {}) {
            Node::Leaf(leaf) if leaf.key_hash == key_hash => Some(&leaf.value),
            Node::Empty | Node::Leaf(_) | Node::Branch(_) => None,
        }
    }

    /// The state after all `changes` of a block at once; `None` deletes. `self` stays as it is.
    ///
    /// Each key, and each branch on the way, is hashed once, however many changes are below it.
    /// Writing the value that a key has, or deleting an absent key, changes nothing. The order does
    /// not matter, except that the later of two changes to one key wins.
    #[must_use]
    pub fn update<K, V>(&self, changes: impl IntoIterator<Item = (K, Option<V>)>) -> Self
    where
        K: Into<Arc<[u8]>>,
        V: Into<Arc<[u8]>>,
    {
        let mut changes: Vec<Change> = changes.into_iter().map(|(key, value)| Change::new(key.into(), value.map(Into::into))).collect();
        changes.sort_by_key(|change| change.key_hash);
        changes.dedup_by(|later, earlier| {
            let same_key = later.key_hash == earlier.key_hash;
            if same_key {
                std::mem::swap(later, earlier);
            }
            same_key
        });
        let root = self.root.apply(0, &changes);
        // Without deletions, the same number of keys means the same keys.
        let same = root.len() == self.len() && changes.iter().all(|change| change.leaf.is_some());
        Self { root, keys: if same { self.keys.clone() } else { reordered(&self.keys, changes) } }
    }

    /// The first key from a bound on, in the order of the bytes, and its value.
    #[must_use]
    pub fn next(&self, from: Bound<&[u8]>) -> Option<quorate_app::Entry> {
        let key = self.keys.range::<_, [u8]>((from, Bound::Unbounded)).next()?;
        Some((Arc::clone(key), Arc::clone(self.get(key)?)))
    }

    /// A proof of `key`'s value, or of its absence, under [`StateTree::root_hash`].
    #[must_use]
    pub fn prove(&self, key: &[u8]) -> StateProof {
        let mut siblings = Vec::new();
        let end = self.descend(&state_key_hash(key), |sibling| siblings.push(sibling.hash()));
        let terminal = match end {
            Node::Leaf(leaf) => StateTerminal::Leaf { key_hash: leaf.key_hash, value_hash: state_value_hash(&leaf.value) },
            Node::Empty | Node::Branch(_) => StateTerminal::Empty,
        };
        StateProof { siblings, terminal }
    }

    /// All keys and values, in the order of the key hashes.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pending: vec![&self.root], remaining: self.len() }
    }

    /// Follows the bits of `key_hash` to where the tree ends: an empty node or a leaf. Passes the
    /// other child of each branch on the way to `on_sibling`, the root's first.
    fn descend<'a>(&'a self, key_hash: &Hash, mut on_sibling: impl FnMut(&'a Node)) -> &'a Node {
        let mut node = &self.root;
        for depth in 0..=u8::MAX {
            let Node::Branch(branch) = node else { break };
            let (next, sibling) =
                if state_path_turns_right(key_hash, depth) { (&branch.right, &branch.left) } else { (&branch.left, &branch.right) };
            on_sibling(sibling);
            node = next;
        }
        node
    }
}

/// The ordered keys after changes.
fn reordered(keys: &OrdSet<Arc<[u8]>>, changes: Vec<Change>) -> OrdSet<Arc<[u8]>> {
    let mut keys = keys.clone();
    for Change { key, leaf, .. } in changes {
        match leaf {
            Some(_) => keys.insert(key),
            None => keys.remove(&key),
        };
    }
    keys
}

impl StateRead for StateTree {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        Self::get(self, key).cloned()
    }

    fn next(&self, from: Bound<&[u8]>) -> Option<quorate_app::Entry> {
        Self::next(self, from)
    }

    fn size(&self) -> u64 {
        Self::size(self)
    }
}

impl fmt::Debug for StateTree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StateTree").field("root", &self.root_hash()).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a StateTree {
    type Item = (&'a [u8], &'a Arc<[u8]>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The keys and values of a [`StateTree`], in the order of the key hashes.
#[must_use]
pub struct Iter<'a> {
    /// Subtrees not yet visited, the next one last; at most one per depth and one more.
    pending: Vec<&'a Node>,
    /// The number of keys in `pending`.
    remaining: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a Arc<[u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(node) = self.pending.pop() {
            match node {
                Node::Empty => {}
                Node::Leaf(leaf) => {
                    self.remaining = self.remaining.saturating_sub(1);
                    return Some((&leaf.key, &leaf.value));
                }
                Node::Branch(branch) => self.pending.extend([&branch.right, &branch.left]),
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Change {
    fn new(key: Arc<[u8]>, value: Option<Arc<[u8]>>) -> Self {
        let key_hash = state_key_hash(&key);
        let leaf = value.map(|value| {
            let hash = state_leaf_hash(&key_hash, &state_value_hash(&value));
            Arc::new(Leaf { key_hash, hash, key: Arc::clone(&key), value })
        });
        Self { key_hash, key, leaf }
    }

    /// The subtree that holds only this change.
    fn to_node(&self) -> Node {
        self.leaf.as_ref().map_or(Node::Empty, |leaf| Node::Leaf(Arc::clone(leaf)))
    }
}

impl Node {
    fn hash(&self) -> Hash {
        match self {
            Node::Empty => EMPTY_STATE_ROOT,
            Node::Leaf(leaf) => leaf.hash,
            Node::Branch(branch) => branch.hash,
        }
    }

    fn len(&self) -> usize {
        match self {
            Node::Empty => 0,
            Node::Leaf(_) => 1,
            Node::Branch(branch) => branch.len,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Node::Empty => 0,
            Node::Leaf(leaf) => entry_size(&leaf.key, &leaf.value),
            Node::Branch(branch) => branch.size,
        }
    }

    /// This subtree, which begins at `depth`, after `changes`, which all belong below it and are
    /// sorted by key hash, without duplicates.
    ///
    /// Depends only on its arguments, so the two halves could run on two threads. Recurses at most
    /// 256 deep: different key hashes diverge before that, and a single key ends the descent.
    fn apply(&self, depth: u8, changes: &[Change]) -> Node {
        match (self, changes) {
            (_, []) => return self.clone(),
            (Node::Empty, [change]) => return change.to_node(),
            (Node::Leaf(leaf), [change]) if leaf.key_hash == change.key_hash => {
                let node = change.to_node();
                // Unchanged leaves stay shared, and so do the branches above them.
                return if node.hash() == leaf.hash { self.clone() } else { node };
            }
            (Node::Empty | Node::Leaf(_) | Node::Branch(_), _) => {}
        }

        let (changes_left, changes_right) = changes.split_at(changes.partition_point(|c| !state_path_turns_right(&c.key_hash, depth)));
        let below = depth.saturating_add(1);
        match self {
            Node::Branch(branch) => {
                let left = branch.left.apply(below, changes_left);
                let right = branch.right.apply(below, changes_right);
                if left.hash() == branch.left.hash() && right.hash() == branch.right.hash() {
                    return self.clone();
                }
                Node::join(left, right)
            }
            // A lone leaf moves down as far as it shares the path of the new ones.
            Node::Leaf(leaf) if state_path_turns_right(&leaf.key_hash, depth) => {
                Node::join(Node::Empty.apply(below, changes_left), self.apply(below, changes_right))
            }
            Node::Empty | Node::Leaf(_) => Node::join(self.apply(below, changes_left), Node::Empty.apply(below, changes_right)),
        }
    }

    /// The subtree with these halves: a lone leaf moves up; two or more keys make a branch.
    fn join(left: Node, right: Node) -> Node {
        match (left, right) {
            (Node::Empty, lone @ (Node::Empty | Node::Leaf(_))) | (lone @ Node::Leaf(_), Node::Empty) => lone,
            (left, right) => Node::Branch(Arc::new(Branch {
                hash: state_branch_hash(&left.hash(), &right.hash()),
                // Cannot saturate: every key takes more than one byte of memory.
                len: left.len().saturating_add(right.len()),
                size: left.size().saturating_add(right.size()),
                left,
                right,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use quorate_types::crypto::{Hasher, Tag};
    use quorate_types::state_proof::{Proven, STATE_BRANCH, STATE_KEY, STATE_LEAF, STATE_VALUE};

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;
    type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    /// The root of `model`, by a second implementation from the definition alone.
    fn reference_root(model: &Model) -> Hash {
        fn hash_of(tag: &'static Tag, parts: &[&[u8]]) -> Hash {
            let mut hasher = Hasher::new(tag);
            for part in parts {
                hasher.update(part);
            }
            hasher.finish()
        }
        fn below(prefix: &str, leaves: &[(String, Hash)]) -> Hash {
            let here: Vec<_> = leaves.iter().filter(|(path, _)| path.starts_with(prefix)).cloned().collect();
            match here.as_slice() {
                [] => Hash([0; 32]),
                [(_, leaf)] => *leaf,
                _ => {
                    let left = below(&format!("{prefix}0"), &here);
                    let right = below(&format!("{prefix}1"), &here);
                    hash_of(&STATE_BRANCH, &[&left.0, &right.0])
                }
            }
        }
        let leaf = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            let key = hash_of(&STATE_KEY, &[key]);
            let value = hash_of(&STATE_VALUE, &[value]);
            let path = key.0.map(|byte| format!("{byte:08b}")).concat();
            (path, hash_of(&STATE_LEAF, &[&key.0, &value.0]))
        };
        below("", &model.iter().map(leaf).collect::<Vec<(String, Hash)>>())
    }

    fn tree_of(model: &Model) -> StateTree {
        StateTree::from_entries(model.clone())
    }

    fn apply_to_model(model: &mut Model, batch: &Batch) {
        for (key, value) in batch {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
    }

    fn pairs(tree: &StateTree) -> Model {
        tree.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// Few distinct keys, so that batches overwrite and delete each other's; values are often equal.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => (0..60_u8).prop_map(|i| vec![b'a', b'/', i]),
            1 => vec(any::<u8>(), 0..40),
        ]
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![(0..3_u8).prop_map(|i| vec![i]), vec(any::<u8>(), 0..20)]
    }

    fn batch() -> impl Strategy<Value = Batch> {
        let change = (key(), proptest::option::weighted(0.6, value()));
        vec(change, 0..40).prop_map(|changes| changes.into_iter().collect())
    }

    fn model() -> impl Strategy<Value = Model> {
        vec((key(), value()), 0..60).prop_map(|pairs| pairs.into_iter().collect())
    }

    /// `key-0` … with `value-0` …, as in the golden roots.
    fn numbered(count: u32) -> Model {
        let pair = |i| (format!("key-{i}").into_bytes(), format!("value-{i}").into_bytes());
        (0..count).map(pair).collect()
    }

    proptest! {
        #[test]
        fn batches_of_writes_and_deletes_lead_where_the_model_goes(
            batches in vec(batch(), 1..12),
        ) {
            let mut model = Model::new();
            let mut tree = StateTree::default();
            let mut history = Vec::new();
            for batch in &batches {
                history.push((tree.clone(), model.clone()));
                tree = tree.update(batch.clone());
                apply_to_model(&mut model, batch);

                prop_assert_eq!(tree.root_hash(), tree_of(&model).root_hash());
                prop_assert_eq!(tree.root_hash(), reference_root(&model));
                prop_assert_eq!(tree.len(), model.len());
                prop_assert_eq!(tree.is_empty(), model.is_empty());
                prop_assert_eq!(pairs(&tree), model.clone());
                for key in batch.keys().chain(model.keys()) {
                    let value = tree.get(key).map(|value| value.to_vec());
                    prop_assert_eq!(value.as_ref(), model.get(key));
                }
            }
            for (old, model) in history {
                prop_assert_eq!(old.root_hash(), reference_root(&model));
                prop_assert_eq!(pairs(&old), model);
            }
        }

        #[test]
        fn the_root_does_not_depend_on_order_or_grouping(
            entries in model().prop_flat_map(|model| {
                Just(model.into_iter().collect::<Vec<_>>()).prop_shuffle()
            }),
            group in 1..20_usize,
        ) {
            let at_once = StateTree::from_entries(entries.clone());
            let mut grouped = StateTree::default();
            for group in entries.chunks(group) {
                let changes = group.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
                grouped = grouped.update(changes);
            }
            prop_assert_eq!(grouped.root_hash(), at_once.root_hash());
        }

        #[test]
        fn undoing_a_batch_restores_the_root(before in model(), batch in batch()) {
            let tree = tree_of(&before);
            let undo = batch.keys().map(|key| (key.clone(), before.get(key).cloned()));
            let undone = tree.update(batch.clone()).update(undo);
            prop_assert_eq!(undone.root_hash(), tree.root_hash());
            prop_assert_eq!(pairs(&undone), before);
        }

        #[test]
        fn forks_of_one_tree_do_not_see_each_other(
            base in model(), first in batch(), second in batch(),
        ) {
            let tree = tree_of(&base);
            let (fork_1, fork_2) = (tree.update(first.clone()), tree.update(second.clone()));
            for (fork, batch) in [(&tree, &Batch::new()), (&fork_1, &first), (&fork_2, &second)] {
                let mut model = base.clone();
                apply_to_model(&mut model, batch);
                prop_assert_eq!(pairs(fork), model);
            }
        }

        #[test]
        fn every_key_has_a_proof_present_or_absent(
            model in model(), strangers in vec(key(), 0..40),
        ) {
            let tree = tree_of(&model);
            let root = tree.root_hash();
            for key in model.keys().chain(&strangers) {
                let value = model.get(key).map(Vec::as_slice);
                let proof = tree.prove(key);
                prop_assert_eq!(proof.verify_value(&root, key, value), Ok(()));
                let wrong = proof.verify_value(&root, key, Some(b"a value that nobody wrote"));
                prop_assert!(wrong.is_err());
                if value.is_some() {
                    prop_assert!(proof.verify_value(&root, key, None).is_err());
                }
            }
        }

        #[test]
        fn an_altered_proof_is_refused(
            model in model(), key in key(), place in any::<prop::sample::Index>(), bit in 0..8_u32,
        ) {
            let tree = tree_of(&model);
            let root = tree.root_hash();
            let proof = tree.prove(&key);
            let mut altered = proof.clone();
            // One bit of one byte: of a sibling, of the leaf's key hash or of its value hash.
            let mut bytes: Vec<&mut u8> =
                altered.siblings.iter_mut().flat_map(|sibling| &mut sibling.0).collect();
            if let StateTerminal::Leaf { key_hash, value_hash } = &mut altered.terminal {
                bytes.extend(key_hash.0.iter_mut().chain(&mut value_hash.0));
            }
            if !bytes.is_empty() {
                **place.get_mut(&mut bytes) ^= 1_u8.rotate_left(bit);
                prop_assert!(altered.verify(&root, &key).is_err());
            }
            let mut longer = proof.clone();
            longer.siblings.push(EMPTY_STATE_ROOT);
            prop_assert!(longer.verify(&root, &key).is_err());
            let mut shorter = proof;
            if shorter.siblings.pop().is_some() {
                prop_assert!(shorter.verify(&root, &key).is_err());
            }
        }

        #[test]
        fn absence_of_a_present_key_cannot_be_forged(
            model in model(), donor in key(), place in any::<prop::sample::Index>(),
        ) {
            prop_assume!(!model.is_empty());
            let tree = tree_of(&model);
            let root = tree.root_hash();
            let keys: Vec<&Vec<u8>> = model.keys().collect();
            let key = *place.get(&keys);
            let honest = tree.prove(key);
            let donor = tree.prove(&donor);
            let denied = StateProof { terminal: StateTerminal::Empty, ..honest.clone() };
            let replaced = StateProof { terminal: donor.terminal, ..honest };
            for forged in [denied, replaced, donor] {
                prop_assert_ne!(forged.verify(&root, key), Ok(Proven::Absent));
            }
        }
    }

    #[test]
    fn roots_are_the_golden_ones() {
        // From an independent implementation (Python's hashlib); as in quorate_types::state_proof.
        for (count, golden) in [
            (0, "0000000000000000000000000000000000000000000000000000000000000000"),
            (1, "6ff306d217af4bf1f2634db61cbb7217a3d167ffbe74561c13e2bf9dcc832afd"),
            (2, "b48e74f0ad048bbf1da97e203622ba5921c587768e88bd11f69191b7c76896ec"),
            (8, "90b81e0bde79f3d8109f314ee85e2421098bf3d4e37aa6e417013ebb6050df06"),
        ] {
            let root = tree_of(&numbered(count)).root_hash();
            let root = root.0.map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(root, golden, "{count} keys");
        }
    }

    #[test]
    fn two_paths_that_part_at_the_last_bit_make_the_deepest_tree() {
        // No known keys have such hashes, so the leaves are made by hand.
        let change = |last_byte: u8, present: bool| {
            let mut key_hash = Hash([0xa5; 32]);
            key_hash.0.last_mut().into_iter().for_each(|byte| *byte = last_byte);
            let key: Arc<[u8]> = Arc::from([last_byte]);
            let leaf = Leaf { key_hash, hash: key_hash, key: Arc::clone(&key), value: Arc::from([last_byte]) };
            Change { key_hash, key, leaf: present.then(|| Arc::new(leaf)) }
        };
        let root = Node::Empty.apply(0, &[change(2, true), change(3, true)]);
        let tree = StateTree { root, ..StateTree::default() };
        assert_eq!(tree.len(), 2);
        for last_byte in [2, 3] {
            let mut siblings = Vec::new();
            let end = tree.descend(&change(last_byte, true).key_hash, |sibling| siblings.push(sibling.len()));
            assert!(matches!(end, Node::Leaf(leaf) if *leaf.key == [last_byte]));
            assert_eq!(siblings, [vec![0; 255], vec![1]].concat());
        }
        // Other changes on the same path: they diverge at the last bit but one.
        assert_eq!(tree.root.apply(0, &[change(1, false)]).hash(), tree.root_hash());
        assert_eq!(tree.root.apply(0, &[change(0, true), change(1, true)]).len(), 4);
        // A lone leaf moves all the way up.
        let lone = tree.root.apply(0, &[change(2, false)]);
        assert!(matches!(&lone, Node::Leaf(leaf) if *leaf.key == [3]));
        assert!(matches!(lone.apply(0, &[change(2, false), change(3, false)]), Node::Empty));
    }

    #[test]
    fn deleting_every_key_leaves_the_empty_tree() {
        let model = numbered(300);
        let tree = tree_of(&model);
        let emptied = tree.update(model.into_keys().map(|key| (key, None::<Vec<u8>>)));
        assert!(emptied.is_empty());
        assert_eq!(emptied.len(), 0);
        assert_eq!(emptied.root_hash(), EMPTY_STATE_ROOT);
        assert_eq!(tree.len(), 300);
    }

    #[test]
    fn an_update_that_changes_nothing_shares_every_node() {
        let tree = tree_of(&numbered(300));
        let same = (0..50_u32).map(|i| (format!("key-{i}").into_bytes(), Some(format!("value-{i}").into_bytes())));
        let absent = (0..50_u32).map(|i| (format!("absent-{i}").into_bytes(), None));
        let updated = tree.update(same.chain(absent));
        match (&tree.root, &updated.root) {
            (Node::Branch(before), Node::Branch(after)) => assert!(Arc::ptr_eq(before, after)),
            _ => unreachable!("300 keys make a branch"),
        }
    }

    #[test]
    fn an_update_shares_the_nodes_beside_its_path() {
        fn nodes(node: &Node, seen: &mut Vec<*const Branch>) {
            if let Node::Branch(branch) = node {
                seen.push(Arc::as_ptr(branch));
                nodes(&branch.left, seen);
                nodes(&branch.right, seen);
            }
        }
        let tree = tree_of(&numbered(1000));
        let updated = tree.update([(b"key-500".to_vec(), Some(b"new".to_vec()))]);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        nodes(&tree.root, &mut before);
        nodes(&updated.root, &mut after);
        let new = after.iter().filter(|branch| !before.contains(branch)).count();
        assert_eq!(new, tree.prove(b"key-500").siblings.len());
    }

    #[test]
    fn of_two_changes_to_one_key_the_later_holds() {
        let key = || b"key".to_vec();
        let twice = StateTree::from_entries([(key(), b"1".to_vec()), (key(), b"2".to_vec())]);
        assert_eq!(twice.get(b"key").map(|value| value.to_vec()), Some(b"2".to_vec()));
        assert_eq!(twice.len(), 1);
        let gone = twice.update([(key(), Some(b"3".to_vec())), (key(), None)]);
        assert!(gone.is_empty());
    }

    #[test]
    fn iterates_in_the_order_of_key_hashes() {
        let tree = tree_of(&numbered(300));
        let hashes: Vec<Hash> = tree.iter().map(|(key, _)| state_key_hash(key)).collect();
        assert!(hashes.is_sorted());
        assert_eq!(hashes.len(), 300);
        let mut rest = tree.iter();
        rest.by_ref().take(100).for_each(drop);
        assert_eq!(rest.len(), 200);
    }

    #[test]
    fn readers_on_other_threads_keep_the_view_they_cloned() {
        let tree = tree_of(&numbered(300));
        let (view, root) = (tree.clone(), tree.root_hash());
        let reader = std::thread::spawn(move || {
            let proof = view.prove(b"key-7");
            proof.verify_value(&view.root_hash(), b"key-7", Some(b"value-7")).map(|()| view.root_hash())
        });
        let _updated = tree.update([(b"key-7".to_vec(), None::<Vec<u8>>)]);
        drop(tree);
        assert_eq!(reader.join().expect("the reader does not panic"), Ok(root));
    }
}
