//! A queue that serves its sources round robin: a source that sends more waits longer and delays no other.

use std::collections::{BTreeMap, VecDeque};

/// Bounds on the waiting items of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Number of items.
    pub(crate) items_max: usize,
    /// Total bytes; one item always fits.
    pub(crate) bytes_max: usize,
}

/// Items by source. The sources are validators, so the map is bounded by the committee.
pub(crate) struct Fair<S, T> {
    share: Share,
    queues: BTreeMap<S, Queue<T>>,
    /// The source that was served last.
    last: Option<S>,
    items: usize,
}

struct Queue<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<S: Ord + Copy, T> Fair<S, T> {
    /// An empty queue.
    pub(crate) const fn new(share: Share) -> Self {
        Self { share, queues: BTreeMap::new(), last: None, items: 0 }
    }

    /// Adds an item of `bytes`, or hands it back if its source has used up its share.
    pub(crate) fn push(&mut self, source: S, bytes: usize, item: T) -> Result<(), T> {
        let queue = self.queues.entry(source).or_insert_with(|| Queue { items: VecDeque::new(), bytes: 0 });
        let is_over = queue.bytes.saturating_add(bytes) > self.share.bytes_max && !queue.items.is_empty();
        if queue.items.len() >= self.share.items_max || is_over {
            return Err(item);
        }
        queue.bytes = queue.bytes.saturating_add(bytes);
        queue.items.push_back((bytes, item));
        self.items = self.items.saturating_add(1);
        Ok(())
    }

    /// Removes the oldest item of the source whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<(S, T)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let is_ready = |(source, queue): (&S, &Queue<T>)| (!queue.items.is_empty()).then_some(*source);
        let after = self.last.map_or(Unbounded, Excluded);
        let source = self.queues.range((after, Unbounded)).find_map(is_ready).or_else(|| self.queues.iter().find_map(is_ready))?;
        let queue = self.queues.get_mut(&source)?;
        let (bytes, item) = queue.items.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(bytes);
        self.items = self.items.saturating_sub(1);
        self.last = Some(source);
        Some((source, item))
    }

    /// Whether no item waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Number of waiting items.
    pub(crate) const fn len(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share { items_max: 4, bytes_max: 100 };

    #[test]
    fn sources_take_turns_however_much_one_of_them_sends() {
        let mut fair = Fair::new(SHARE);
        for number in 0..4 {
            fair.push('a', 1, number).unwrap();
        }
        fair.push('b', 1, 10).unwrap();
        fair.push('c', 1, 20).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| fair.pop()).collect();
        assert_eq!(order, [('a', 0), ('b', 10), ('c', 20), ('a', 1), ('a', 2), ('a', 3)]);
        assert!(fair.is_empty());
    }

    #[test]
    fn a_source_over_its_share_is_refused_and_the_others_are_not() {
        let mut fair = Fair::new(SHARE);
        assert!(fair.push('a', 1_000, 0).is_ok(), "one item always fits");
        assert_eq!(fair.push('a', 1, 1), Err(1));
        for number in 0..4 {
            fair.push('b', 1, number).unwrap();
        }
        assert_eq!(fair.push('b', 1, 4), Err(4));
        assert_eq!(fair.pop(), Some(('a', 0)));
        assert!(fair.push('a', 1, 2).is_ok(), "room again after a turn");
        assert_eq!(fair.len(), 5);
    }
}
