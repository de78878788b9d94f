//! Bounds on waiting requests.
//!
//! | Waiting for | Bound |
//! |---|---|
//! | the pool's verdict on a transaction (milliseconds) | `waiting_max` transactions; then 503 |
//! | a commit (up to a minute; that long if its predecessors are missing) | a quarter of the connections; then 200 `pending` at once |
//! | events, for as long as it likes | half of the connections; then 503 |
//!
//! So however many clients wait, a quarter of the connections remains for everything else. One address gets at most half of the places to wait
//! for commits, and of those for events. Loopback addresses are exempt from that, because clients behind a local proxy all share one. A place for
//! events may be held for ever, so a newcomer takes one from the address that has the most.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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
        self.commits.take(origin, |_, _| false)
    }

    /// Takes a place to follow events. If there is none, the oldest of the address with the most gives way, if that has more than this one.
    pub(crate) fn for_events(&self, origin: Origin) -> Option<Place> {
        self.events.take(origin, end_one)
    }

    /// Number of transactions waiting for the pool.
    pub(crate) fn len(&self) -> usize {
        self.submissions_max.saturating_sub(self.submissions.available_permits())
    }
}

/// Whoever has a place, oldest first; dropping a sender ends what has the place.
type Taken = BTreeMap<Origin, BTreeMap<u64, oneshot::Sender<()>>>;

/// A bounded number of places, shared among addresses.
#[derive(Debug)]
struct Places {
    taken: Arc<Mutex<Taken>>,
    /// Number of the next place.
    next: AtomicU64,
    max: usize,
}

impl Places {
    fn new(max: usize) -> Self {
        Self { taken: Arc::default(), next: AtomicU64::new(0), max }
    }

    /// Takes a place. If all are taken, `make_room` may free one for the newcomer, which has so many.
    fn take(&self, origin: Origin, make_room: impl FnOnce(&mut Taken, usize) -> bool) -> Option<Place> {
        let origin_max = if origin.is_loopback() { self.max } else { self.max.div_ceil(ORIGIN_PART) };
        let mut taken = lock(&self.taken);
        let all = taken.values().fold(0usize, |sum, places| sum.saturating_add(places.len()));
        let own = taken.get(&origin).map_or(0, BTreeMap::len);
        if own >= origin_max || all >= self.max && !make_room(&mut taken, own) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (stay, ended) = oneshot::channel();
        taken.entry(origin).or_default().insert(number, stay);
        Some(Place { taken: Arc::clone(&self.taken), origin, number, ended })
    }
}

/// Frees the oldest place of the address that has the most, if it has more than the newcomer would have.
fn end_one(taken: &mut Taken, newcomer: usize) -> bool {
    let richest = taken.values_mut().max_by_key(|places| places.len());
    richest.filter(|places| places.len() > newcomer.saturating_add(1)).is_some_and(|places| places.pop_first().is_some())
}

/// A place, freed on drop.
#[derive(Debug)]
pub(crate) struct Place {
    taken: Arc<Mutex<Taken>>,
    origin: Origin,
    number: u64,
    ended: oneshot::Receiver<()>,
}

impl Place {
    /// Waits until the place is given to somebody else.
    pub(crate) async fn ended(&mut self) {
        // Nothing is ever sent.
        drop((&mut self.ended).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(places) = taken.get_mut(&self.origin) {
            drop(places.remove(&self.number));
            if places.is_empty() {
                taken.remove(&self.origin);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
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

    #[test]
    fn who_follows_events_on_many_streams_makes_room_for_others() {
        let waiting = Waiting::new(&ApiConfig { connections_max: 16, ..ApiConfig::default() });
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        let take = |text: &str| waiting.for_events(origin(text));
        let mut greedy: Vec<_> = (0..8).map(|_| take("127.0.0.1").unwrap()).collect();
        let has_ended = |place: &mut Place| place.ended.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed);
        let first = take("192.0.2.1").unwrap();
        assert!(has_ended(&mut greedy[0]) && !has_ended(&mut greedy[1]), "the oldest gives way");
        let second = take("192.0.2.1").unwrap();
        let third = take("192.0.2.1").unwrap();
        assert_eq!(
            greedy
                .iter_mut()
                .skip(1)
                .filter_map(|place| place.ended.try_recv().err())
                .filter(|error| *error == oneshot::error::TryRecvError::Closed)
                .count(),
            2
        );
        let fourth = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "half of the places is all that one address gets");
        let newcomer = take("192.0.2.2").unwrap();
        drop((greedy, first, second, third, fourth, newcomer));
        assert!(lock(&waiting.events.taken).is_empty());
    }
}
