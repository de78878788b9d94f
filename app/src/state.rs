//! The state as an application sees it: read through [`StateRead`], written into a [`State`] whose writes can be rolled back.

use std::{cell::RefCell, collections::BTreeMap, ops::Bound, sync::Arc};

use quorate_types::{
    failure::{Code, Failure},
    state_key::{ACCOUNT, CHAIN, entry_size},
};

/// Longest key of the state, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value of the state, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of application data in the record of an account.
pub const ACCOUNT_BYTES_MAX: usize = 1024;
/// Longest answer to a transaction or a query, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Changes of the state by key.
pub type Writes = BTreeMap<Arc<[u8]>, Change>;

/// The new value of a key; `None` deletes it.
type Change = Option<Arc<[u8]>>;

/// A key and its value.
pub type Entry = (Arc<[u8]>, Arc<[u8]>);

/// Read access to a state.
pub trait StateRead {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>>;

    /// The first entry at or after a key, in byte order.
    fn next(&self, from: Bound<&[u8]>) -> Option<Entry>;

    /// The sum of [`entry_size`] over all keys: a function of the keys and values alone, equal on every validator.
    fn size(&self) -> u64;
}

/// A state in memory, for tests and for the genesis state.
impl StateRead for BTreeMap<Arc<[u8]>, Arc<[u8]>> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        self.get(key).cloned()
    }

    fn next(&self, from: Bound<&[u8]>) -> Option<Entry> {
        self.range::<[u8], _>((from, Bound::Unbounded)).next().map(|(key, value)| (Arc::clone(key), Arc::clone(value)))
    }

    fn size(&self) -> u64 {
        self.iter().fold(0, |sum, (key, value)| sum.saturating_add(entry_size(key, value)))
    }
}

/// A state that caches the last key read: the checks of a transaction read its sender's record several times.
pub struct CachedRead<'a> {
    state: &'a dyn StateRead,
    last: RefCell<Option<Read>>,
}

/// A key and its value, if it has one.
type Read = (Box<[u8]>, Option<Arc<[u8]>>);

impl<'a> CachedRead<'a> {
    /// Wraps a state, with nothing cached.
    #[must_use]
    pub fn new(state: &'a dyn StateRead) -> Self {
        Self { state, last: RefCell::default() }
    }
}

impl StateRead for CachedRead<'_> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((read, value)) if **read == *key => value.clone(),
            _ => last.insert((key.into(), self.state.get(key))).1.clone(),
        }
    }

    fn next(&self, from: Bound<&[u8]>) -> Option<Entry> {
        self.state.next(from)
    }

    fn size(&self) -> u64 {
        self.state.size()
    }
}

/// Writes over an unchanged base state. The writes of a failed transaction are rolled back.
pub struct State<'a> {
    base: &'a dyn StateRead,
    writes: Writes,
    /// What each write since the savepoint replaced in `writes`, oldest first; `None` where the key was not in `writes`.
    undo: Vec<(Arc<[u8]>, Option<Change>)>,
    /// Bytes of keys and values ever written or deleted here: a measure of work, which a rollback does not reduce.
    written_bytes: u64,
    /// The first inadmissible write since the savepoint.
    refused: Option<Failure>,
}

impl<'a> State<'a> {
    /// No writes over `base` yet.
    #[must_use]
    pub(crate) fn new(base: &'a dyn StateRead) -> Self {
        Self { base, writes: Writes::new(), undo: Vec::new(), written_bytes: 0, refused: None }
    }

    /// The value of a key, writes included.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.base.get(key),
        }
    }

    /// Sets the value of a key. A key of more than [`KEY_BYTES_MAX`] bytes, a value of more than [`VALUE_BYTES_MAX`] bytes, and a reserved
    /// key are not written: the transaction then fails, whatever the application answers.
    pub fn put(&mut self, key: impl Into<Arc<[u8]>>, value: impl Into<Arc<[u8]>>) {
        let (key, value) = (key.into(), value.into());
        if key.len() > KEY_BYTES_MAX {
            return self.refuse(Code::new("state-key-too-large"), &[key.len() as u64, KEY_BYTES_MAX as u64]);
        }
        if value.len() > VALUE_BYTES_MAX {
            return self.refuse(Code::new("state-value-too-large"), &[value.len() as u64, VALUE_BYTES_MAX as u64]);
        }
        if is_reserved(&key) {
            return self.refuse(Code::new("state-key-reserved"), &[]);
        }
        self.write(key, Some(value));
    }

    /// Removes a key; does nothing if there is none. A reserved key cannot be removed: the transaction then fails.
    pub fn delete(&mut self, key: impl Into<Arc<[u8]>>) {
        let key = key.into();
        if is_reserved(&key) {
            return self.refuse(Code::new("state-key-reserved"), &[]);
        }
        self.write(key, None);
    }

    /// Writes the record of an account.
    pub(crate) fn put_record(&mut self, key: Arc<[u8]>, value: Arc<[u8]>) {
        self.write(key, Some(value));
    }

    /// Writes or removes what governs the chain.
    pub(crate) fn write_chain(&mut self, key: &[u8], value: Option<Arc<[u8]>>) {
        self.write(key.into(), value);
    }

    /// Makes the transaction fail with this, unless another refusal came first.
    pub(crate) fn refuse(&mut self, code: Code, numbers: &[u64]) {
        self.refused.get_or_insert_with(|| Failure::new(code, numbers));
    }

    /// Why the writes since the savepoint cannot stay: an inadmissible write, or growth of a state that has reached `bytes_max`.
    pub(crate) fn refusal(&self, bytes_max: u64) -> Option<Failure> {
        if self.refused.is_some() || self.base.size() < bytes_max {
            return self.refused.clone();
        }
        let (mut before, mut after) = (0u64, 0u64);
        // The first undo entry of a key has its old value; later entries of the same key are skipped.
        let mut counted = std::collections::BTreeSet::new();
        for (key, earlier) in &self.undo {
            if counted.insert(key) {
                let old = earlier.clone().unwrap_or_else(|| self.base.get(key));
                before = before.saturating_add(old.map_or(0, |value| entry_size(key, &value)));
                after = after.saturating_add(self.get(key).map_or(0, |value| entry_size(key, &value)));
            }
        }
        (after > before).then(|| Failure::new(Code::new("state-full"), &[]))
    }

    fn write(&mut self, key: Arc<[u8]>, value: Option<Arc<[u8]>>) {
        let bytes = key.len().saturating_add(value.as_ref().map_or(0, |value| value.len()));
        self.written_bytes = self.written_bytes.saturating_add(bytes as u64);
        let before = self.writes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// Begins a section that [`Self::rollback`] undoes; earlier writes can no longer be undone.
    pub(crate) fn savepoint(&mut self) {
        self.undo.clear();
        self.refused = None;
    }

    /// Undoes every write since the last [`Self::savepoint`].
    pub(crate) fn rollback(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.writes.insert(key, value),
                None => self.writes.remove(&key),
            };
        }
    }

    /// Bytes of keys and values written so far, rolled-back ones included.
    #[must_use]
    pub const fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The writes that remain.
    #[must_use]
    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }
}

/// Whether a key belongs to an account or to the chain, and so not to the application.
fn is_reserved(key: &[u8]) -> bool {
    key.first().is_some_and(|first| [ACCOUNT, CHAIN].contains(first))
}

impl StateRead for State<'_> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        State::get(self, key)
    }

    fn next(&self, from: Bound<&[u8]>) -> Option<Entry> {
        let mut from: Bound<Arc<[u8]>> = from.map(Into::into);
        loop {
            let after = from.as_ref().map(|key| &**key);
            let below = self.base.next(after);
            let written = self.writes.range::<[u8], _>((after, Bound::Unbounded)).next();
            match (below, written) {
                (below, None) => return below,
                (Some((key, value)), Some((written, _))) if *key < **written => return Some((key, value)),
                (_, Some((key, Some(value)))) => return Some((Arc::clone(key), Arc::clone(value))),
                // Deleted here: go on in the base after this key.
                (_, Some((key, None))) => from = Bound::Excluded(Arc::clone(key)),
            }
        }
    }

    /// The size of the base, without the writes of this block, so that the answer costs nothing.
    fn size(&self) -> u64 {
        self.base.size()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Map = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

    fn key(k: u8) -> Arc<[u8]> {
        Arc::new([k])
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, u8),
        Delete(u8),
        Savepoint,
        Rollback,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..9u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            (1..9u8).prop_map(Step::Delete),
            Just(Step::Savepoint),
            Just(Step::Rollback),
        ]
    }

    proptest! {
        #[test]
        fn a_state_reads_like_a_copied_map(base in prop::collection::btree_map(1..9u8, any::<u8>(), 0..8), steps in prop::collection::vec(step(), 0..60)) {
            let base: Map = base.into_iter().map(|(k, v)| (key(k), Arc::from([v]))).collect();
            let mut state = State::new(&base);
            let (mut model, mut saved) = (base.clone(), base.clone());
            for step in steps {
                match step {
                    Step::Put(k, v) => {
                        state.put(key(k), [v]);
                        model.insert(key(k), Arc::from([v]));
                    }
                    Step::Delete(k) => {
                        state.delete(key(k));
                        model.remove(&key(k));
                    }
                    Step::Savepoint => {
                        state.savepoint();
                        saved = model.clone();
                    }
                    Step::Rollback => {
                        state.rollback();
                        model = saved.clone();
                    }
                }
                for k in 1..9 {
                    prop_assert_eq!(state.get(&[k]), model.get(&key(k)).cloned());
                }
            }
            let mut applied = base.clone();
            let (mut from, mut entries) = (Bound::Unbounded, Vec::new());
            while let Some((k, v)) = StateRead::next(&state, from.as_ref().map(|k: &Arc<[u8]>| &**k)) {
                from = Bound::Excluded(Arc::clone(&k));
                entries.push((k, v));
            }
            prop_assert_eq!(entries, model.clone().into_iter().collect::<Vec<_>>());
            for (k, v) in state.into_writes() {
                match v {
                    Some(v) => applied.insert(k, v),
                    None => applied.remove(&k),
                };
            }
            prop_assert_eq!(applied, model);
        }
    }

    #[test]
    fn the_last_key_is_read_once_and_every_key_reads_right() {
        struct Counting(Map, std::cell::Cell<u32>);
        impl StateRead for Counting {
            fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
                self.1.set(self.1.get() + 1);
                self.0.get(key).cloned()
            }
            fn next(&self, _: Bound<&[u8]>) -> Option<Entry> {
                None
            }
            fn size(&self) -> u64 {
                7
            }
        }
        let state = Counting(Map::from([(key(1), Arc::from([9]))]), std::cell::Cell::default());
        let remembering = CachedRead::new(&state);
        for (k, value, reads) in [(1, Some([9]), 1), (1, Some([9]), 1), (2, None, 2), (2, None, 2), (1, Some([9]), 3)] {
            assert_eq!((remembering.get(&[k]), state.1.get()), (value.map(Arc::from), reads));
        }
        assert_eq!(remembering.size(), 7);
    }

    #[test]
    fn rolled_back_work_is_still_counted() {
        let base = Map::new();
        let mut state = State::new(&base);
        state.savepoint();
        state.put(key(1), [0; 9]);
        state.rollback();
        assert_eq!(state.written_bytes(), 10);
        assert!(state.into_writes().is_empty());
    }
}
