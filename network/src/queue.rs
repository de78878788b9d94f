//! A bounded queue of frames that never blocks its producers: when it is full, it drops the oldest frame.
//!
//! The oldest is the right one to drop, because a newer vote, timeout or proposal supersedes it. There may be many producers on any thread,
//! but only one consumer, on the network thread.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// Capacity of a queue. Both bounds apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug)]
struct State {
    frames: VecDeque<Bytes>,
    /// Sum of the lengths of `frames`.
    bytes: usize,
    bound: Bound,
}

impl Queue {
    pub(crate) fn new(bound: Bound) -> Queue {
        Queue { state: Mutex::new(State { frames: VecDeque::new(), bytes: 0, bound }), filled: Notify::new() }
    }

    /// Adds a frame; returns how many frames were dropped to make room (including the new one if it alone exceeds the bound).
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_add(frame.len());
        state.frames.push_back(frame);
        let dropped = state.trim();
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// Changes the bound; returns how many frames were dropped to meet it.
    pub(crate) fn set_bound(&self, bound: Bound) -> u64 {
        let mut state = self.lock();
        state.bound = bound;
        state.trim()
    }

    /// Waits until the queue is not empty. Cancel safe; for a single consumer.
    pub(crate) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().frames.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Moves the oldest frames to the end of `batch`: as many as fit in `bytes_max`, but at least one if there is any.
    pub(crate) fn take_batch(&self, bytes_max: usize, batch: &mut Vec<Bytes>) {
        let mut state = self.lock();
        let mut taken: usize = 0;
        while let Some(frame) = state.frames.pop_front() {
            let total = taken.saturating_add(frame.len());
            if taken > 0 && total > bytes_max {
                state.frames.push_front(frame);
                break;
            }
            taken = total;
            batch.push(frame);
        }
        state.bytes = state.bytes.saturating_sub(taken);
    }

    /// Number of waiting frames.
    pub(crate) fn len(&self) -> usize {
        self.lock().frames.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn trim(&mut self) -> u64 {
        let mut dropped = 0;
        while self.frames.len() > self.bound.frames || self.bytes > self.bound.bytes {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.len());
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u8, length: usize) -> Bytes {
        Bytes::from(vec![number; length])
    }

    fn content(queue: &Queue) -> Vec<u8> {
        let mut batch = Vec::new();
        queue.take_batch(usize::MAX, &mut batch);
        batch.iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn overflow_by_count_drops_the_oldest() {
        let queue = Queue::new(Bound { frames: 3, bytes: 1000 });
        let dropped: u64 = (1..=5).map(|number| queue.push(frame(number, 1))).sum();
        assert_eq!(dropped, 2);
        assert_eq!(content(&queue), [3, 4, 5]);
    }

    #[test]
    fn overflow_by_bytes_drops_the_oldest() {
        let queue = Queue::new(Bound { frames: 100, bytes: 10 });
        assert_eq!(queue.push(frame(1, 4)), 0);
        assert_eq!(queue.push(frame(2, 4)), 0);
        assert_eq!(queue.push(frame(3, 8)), 2);
        assert_eq!(queue.push(frame(4, 11)), 2, "a frame above the bound is dropped as well");
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_smaller_bound_drops_what_no_longer_fits() {
        let queue = Queue::new(Bound { frames: 10, bytes: 100 });
        for number in 1..=6 {
            queue.push(frame(number, 1));
        }
        assert_eq!(queue.set_bound(Bound { frames: 2, bytes: 100 }), 4);
        assert_eq!(content(&queue), [5, 6]);
    }

    #[test]
    fn a_batch_stops_at_its_size_and_has_at_least_one_frame() {
        let queue = Queue::new(Bound { frames: 10, bytes: 100 });
        for number in 1..=3 {
            queue.push(frame(number, 4));
        }
        let mut batch = Vec::new();
        queue.take_batch(8, &mut batch);
        assert_eq!(batch.len(), 2);
        batch.clear();
        queue.take_batch(1, &mut batch);
        assert_eq!(batch, [frame(3, 4)]);
    }
}
