//! A bounded memory of the newest `capacity` entries; it holds at most twice as many.
//!
//! Entries are hashed with a random key of the process, so no peer can make them collide.

#![expect(clippy::disallowed_types, reason = "entries are looked up, never iterated, so their order has no effect")]

use std::{collections::HashMap, hash::Hash};

/// Two generations: a full young one replaces the old one, which is forgotten.
#[derive(Debug)]
pub(crate) struct Seen<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Eq + Hash, V> Seen<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_newest_and_stays_bounded() {
        let mut seen = Seen::new(4);
        for key in 0..100 {
            seen.insert(key, ());
            assert!(seen.young.len() + seen.old.len() <= 8);
            for recent in key.max(3) - 3..=key {
                assert!(seen.get(&recent).is_some());
            }
        }
        assert!(seen.get(&0).is_none());
    }
}
