//! The last few checked values, kept whole so that a repeated one is compared instead of hashed.

use std::collections::VecDeque;

/// How many are kept: enough for the certificates of two rounds with different sets of signers, and for those of lagging peers.
const RECENT: usize = 16;

/// See the module. Newest first.
#[derive(Debug)]
pub(super) struct Recent<T>(VecDeque<T>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone + PartialEq> Recent<T> {
    pub(super) fn contains(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    pub(super) fn push(&mut self, value: &T) {
        self.0.truncate(RECENT.saturating_sub(1));
        self.0.push_front(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let mut recent = Recent::default();
        for value in 0..40 {
            recent.push(&value);
        }
        assert!((0..40).all(|value| recent.contains(&value) == (value >= 40 - RECENT)));
    }
}
