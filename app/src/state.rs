//! The state as an application sees it: read through [`StateRead`], written into an [`Overlay`] that can be rolled back.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use quorate_types::state_key::entry_size;

/// Changes of the state: the new value of each key, `None` where the key is deleted.
pub type Writes = BTreeMap<Box<[u8]>, Change>;

/// The new value of a key, `None` where it is deleted.
type Change = Option<Arc<[u8]>>;

/// A state to read from.
pub trait StateRead {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>>;

    /// The sum of [`entry_size`] over all keys: a function of the keys and values alone, equal on every validator.
    fn size(&self) -> u64;
}

/// A state in a map, for tests and for the genesis state.
impl StateRead for BTreeMap<Box<[u8]>, Arc<[u8]>> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        self.get(key).cloned()
    }

    fn size(&self) -> u64 {
        self.iter().fold(0, |sum, (key, value)| sum.saturating_add(entry_size(key, value)))
    }
}

/// A state that keeps the key it read last: the checks of a transaction ask for its sender's record several times.
pub struct Remembering<'a> {
    state: &'a dyn StateRead,
    last: RefCell<Option<Read>>,
}

/// A key and its value, if it has one.
type Read = (Box<[u8]>, Option<Arc<[u8]>>);

impl<'a> Remembering<'a> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(state: &'a dyn StateRead) -> Self {
        Self { state, last: RefCell::default() }
    }
}

impl StateRead for Remembering<'_> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((read, value)) if **read == *key => value.clone(),
            _ => last.insert((key.into(), self.state.get(key))).1.clone(),
        }
    }

    fn size(&self) -> u64 {
        self.state.size()
    }
}

/// Writes over a state that stays as it is. The writes since [`Self::savepoint`] can be taken back.
pub struct Overlay<'a> {
    base: &'a dyn StateRead,
    writes: Writes,
    /// What each write since the savepoint replaced in `writes`, the oldest first; `None` where there was no write before.
    undo: Vec<(Box<[u8]>, Option<Change>)>,
    /// Bytes of keys and values ever put or deleted here: the work done, which a rollback does not undo.
    written_bytes: u64,
}

impl<'a> Overlay<'a> {
    /// No writes yet.
    #[must_use]
    pub fn new(base: &'a dyn StateRead) -> Self {
        Self { base, writes: Writes::new(), undo: Vec::new(), written_bytes: 0 }
    }

    /// The value of a key, writes included.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.base.get(key),
        }
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: Box<[u8]>, value: impl Into<Arc<[u8]>>) {
        self.write(key, Some(value.into()));
    }

    /// Removes a key; does nothing if there is none.
    pub fn delete(&mut self, key: Box<[u8]>) {
        self.write(key, None);
    }

    fn write(&mut self, key: Box<[u8]>, value: Option<Arc<[u8]>>) {
        let bytes = key.len().saturating_add(value.as_ref().map_or(0, |value| value.len()));
        self.written_bytes = self.written_bytes.saturating_add(bytes as u64);
        let before = self.writes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// From here on writes can be taken back; those before no longer can.
    pub fn savepoint(&mut self) {
        self.undo.clear();
    }

    /// Takes back every write since the last [`Self::savepoint`].
    pub fn rollback(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.writes.insert(key, value),
                None => self.writes.remove(&key),
            };
        }
    }

    /// How many bytes of keys and values have been written so far, whatever was rolled back.
    #[must_use]
    pub const fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The writes.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        self.writes
    }
}

impl StateRead for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        Overlay::get(self, key)
    }

    /// The size of the state below: before the writes of this block, so that the answer costs nothing.
    fn size(&self) -> u64 {
        self.base.size()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Map = BTreeMap<Box<[u8]>, Arc<[u8]>>;

    fn key(k: u8) -> Box<[u8]> {
        Box::new([k])
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
            (0..8u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
            (0..8u8).prop_map(Step::Delete),
            Just(Step::Savepoint),
            Just(Step::Rollback),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_reads_like_a_copied_map(base in prop::collection::btree_map(0..8u8, any::<u8>(), 0..8), steps in prop::collection::vec(step(), 0..60)) {
            let base: Map = base.into_iter().map(|(k, v)| (key(k), Arc::from([v]))).collect();
            let mut overlay = Overlay::new(&base);
            let (mut model, mut saved) = (base.clone(), base.clone());
            for step in steps {
                match step {
                    Step::Put(k, v) => {
                        overlay.put(key(k), [v]);
                        model.insert(key(k), Arc::from([v]));
                    }
                    Step::Delete(k) => {
                        overlay.delete(key(k));
                        model.remove(&key(k));
                    }
                    Step::Savepoint => {
                        overlay.savepoint();
                        saved = model.clone();
                    }
                    Step::Rollback => {
                        overlay.rollback();
                        model = saved.clone();
                    }
                }
                for k in 0..8 {
                    prop_assert_eq!(overlay.get(&[k]), model.get(&key(k)).cloned());
                }
            }
            let mut applied = base.clone();
            for (k, v) in overlay.into_writes() {
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
            fn size(&self) -> u64 {
                7
            }
        }
        let state = Counting(Map::from([(key(1), Arc::from([9]))]), std::cell::Cell::default());
        let remembering = Remembering::new(&state);
        for (k, value, reads) in [(1, Some([9]), 1), (1, Some([9]), 1), (2, None, 2), (2, None, 2), (1, Some([9]), 3)] {
            assert_eq!((remembering.get(&[k]), state.1.get()), (value.map(Arc::from), reads));
        }
        assert_eq!(remembering.size(), 7);
    }

    #[test]
    fn rolled_back_work_is_still_counted() {
        let base = Map::new();
        let mut overlay = Overlay::new(&base);
        overlay.savepoint();
        overlay.put(key(1), [0; 9]);
        overlay.rollback();
        assert_eq!(overlay.written_bytes(), 10);
        assert!(overlay.into_writes().is_empty());
    }
}
