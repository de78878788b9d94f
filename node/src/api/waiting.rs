//! Bounds on waiting requests.
//!
//! | Waiting for | Bound |
//! |---|---|
//! | the pool's verdict on a transaction (milliseconds) | `waiting_max` transactions; then 503 |
//! | a commit (up to a minute; that long if its predecessors are missing) | a quarter of the connections; then 200 `pending` at once |
//! | events, for as long as it likes | half of the connections; then 503 |
//!
//! So however many clients wait, a quarter of the connections remains for everything else. One address gets at most half of the places to wait
//! for commits, and of those for events. Loopback addresses are exempt from that, because clients behind a local proxy all share one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{error::ApiError, seats::Origin};
use crate::config::ApiConfig;

/// One in this many connections may wait for a commit.
const COMMITS_PART: u32 = 4;
/// One in this many connections may follow events.
const EVENTS_PART: u32 = 2;
/// One in this many of these places may be taken by one address.
const ORIGIN_PART: usize = 2;

/// The waiting places.
#[derive(Debug)]
pub(crate) struct Waiting {
    submissions: Arc<Semaphore>,
    submissions_max: usize,
    commits: Places,
    events: Places,
}

impl Waiting {
    pub(crate) fn new(config: &ApiConfig) -> Self {
        let size = |number: u32| usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            submissions: Arc::new(Semaphore::new(size(config.waiting_max))),
            submissions_max: size(config.waiting_max),
            commits: Places::new(size(config.connections_max / COMMITS_PART).max(1)),
            events: Places::new(size(config.connections_max / EVENTS_PART).max(1)),
        }
    }

    /// Takes places for transactions to wait for the pool.
    pub(crate) fn for_the_pool(&self, transactions: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let count = u32::try_from(transactions).unwrap_or(u32::MAX);
        Arc::clone(&self.submissions).try_acquire_many_owned(count).map_err(|_| ApiError::busy("too many submissions are waiting here"))
    }

    /// Takes a place to wait for a commit; `None` if there is none.
    pub(crate) fn for_a_commit(&self, origin: Origin) -> Option<Place> {
        self.commits.take(origin)
    }

    /// Takes a place to follow events; `None` if there is none.
    pub(crate) fn for_events(&self, origin: Origin) -> Option<Place> {
        self.events.take(origin)
    }

    /// Number of transactions waiting for the pool.
    pub(crate) fn len(&self) -> usize {
        self.submissions_max.saturating_sub(self.submissions.available_permits())
    }
}

/// A bounded number of places, shared among addresses.
#[derive(Debug)]
struct Places {
    /// How many each address has taken.
    taken: Arc<Mutex<BTreeMap<Origin, usize>>>,
    max: usize,
}

impl Places {
    fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    fn take(&self, origin: Origin) -> Option<Place> {
        let origin_max = if origin.is_loopback() { self.max } else { self.max.div_ceil(ORIGIN_PART) };
        let mut taken = lock(&self.taken);
        let all = taken.values().fold(0usize, |sum, count| sum.saturating_add(*count));
        let count = taken.get(&origin).copied().unwrap_or(0);
        if all >= self.max || count >= origin_max {
            return None;
        }
        taken.insert(origin, count.saturating_add(1));
        Some(Place { taken: Arc::clone(&self.taken), origin })
    }
}

/// A place, freed on drop.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<BTreeMap<Origin, usize>>>,
    origin: Origin,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        match taken.get_mut(&self.origin) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => drop(taken.remove(&self.origin)),
        }
    }
}

fn lock(taken: &Mutex<BTreeMap<Origin, usize>>) -> MutexGuard<'_, BTreeMap<Origin, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn waiting_for_commits_leaves_connections_and_places_to_others() {
        let waiting = Waiting::new(&ApiConfig { connections_max: 32, ..ApiConfig::default() });
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        let places = |origin: Origin| std::iter::from_fn(|| waiting.for_a_commit(origin)).collect::<Vec<_>>();
        let greedy = places(origin("192.0.2.1"));
        assert_eq!(greedy.len(), 4, "half of a quarter");
        let others = places(origin("192.0.2.2"));
        assert_eq!(others.len(), 4);
        assert!(waiting.for_a_commit(origin("192.0.2.3")).is_none(), "all are taken");
        drop(greedy);
        assert_eq!(places(origin("192.0.2.3")).len(), 4, "places come back");
        drop(others);
        assert_eq!(places(origin("127.0.0.1")).len(), 8, "a proxy's clients share one address");
        assert!(lock(&waiting.commits.taken).is_empty());
    }
}
