//! What this node sees, as numbered events for whoever listens: rounds, its own timeouts, evidence. The newest [`KEPT_MAX`] are kept in memory.
//!
//! Numbers begin at the microsecond of the start and grow by one, so they also grow across restarts: no node sees a million events in a second.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use quorate_types::{event::NodeEvent, round::UnixMillis};
use tokio::sync::watch;

/// Events kept.
const KEPT_MAX: usize = 4_096;

#[derive(Debug)]
struct Kept {
    /// Number of the first event.
    first: u64,
    events: VecDeque<NodeEvent>,
}

impl Kept {
    /// The number that the next event gets.
    fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }
}

/// The events.
#[derive(Debug)]
pub(crate) struct Feed {
    kept: Mutex<Kept>,
    /// The number that the next event gets.
    next: watch::Sender<u64>,
}

/// The answer to the question for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there.
    Event(NodeEvent),
    /// It has not happened yet.
    NotYet,
    /// Nothing has that number any more, or nothing ever will; the next that has one follows.
    Gap(u64),
}

impl Feed {
    pub(crate) fn new(started: UnixMillis) -> Self {
        let first = started.0.saturating_mul(1_000);
        Self { kept: Mutex::new(Kept { first, events: VecDeque::new() }), next: watch::Sender::new(first) }
    }

    /// Adds an event. Never waits for a listener.
    pub(crate) fn tell(&self, event: NodeEvent) {
        let mut kept = self.lock();
        if kept.events.len() == KEPT_MAX {
            kept.events.pop_front();
            kept.first = kept.first.saturating_add(1);
        }
        kept.events.push_back(event);
        let next = kept.next();
        drop(kept);
        self.next.send_replace(next);
    }

    /// The event with this number.
    pub(crate) fn get(&self, number: u64) -> Found {
        let kept = self.lock();
        if number == kept.next() {
            return Found::NotYet;
        }
        let found = number.checked_sub(kept.first).and_then(|place| kept.events.get(usize::try_from(place).ok()?));
        found.map_or(Found::Gap(kept.first), |event| Found::Event(event.clone()))
    }

    /// Follows the number that the next event gets.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> NodeEvent {
        NodeEvent::Gap { asked: number, next: number }
    }

    #[test]
    fn what_is_kept_is_found_and_what_is_not_is_a_gap() {
        let feed = Feed::new(UnixMillis(5));
        assert_eq!(feed.get(5_000), Found::NotYet);
        assert_eq!(feed.get(4_999), Found::Gap(5_000), "before the start");
        assert_eq!(feed.get(5_001), Found::Gap(5_000), "numbers of a clock that was ahead");
        let many = u64::try_from(KEPT_MAX).unwrap();
        for number in 0..=many {
            feed.tell(event(number));
        }
        assert_eq!(feed.get(5_000), Found::Gap(5_001), "the oldest is forgotten");
        assert_eq!(feed.get(5_001), Found::Event(event(1)));
        assert_eq!(feed.get(5_000 + many), Found::Event(event(many)));
        assert_eq!(feed.get(5_001 + many), Found::NotYet);
        assert_eq!(*feed.follow().borrow(), 5_001 + many);
    }
}
