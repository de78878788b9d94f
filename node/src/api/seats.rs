//! The table of connections, and the byte budget for all answers in flight.
//!
//! On each connection, it is either the client's turn (to send a head or a body, to read an answer, or to send the next request) or ours. When
//! the table or the budget is full, a newcomer is not locked out: of the connections at their client's turn, the one that has kept us waiting
//! longest gives way, starting with the address that has the most connections. So a flood of idle connections, slow senders or clients that do
//! not read loses its own places first. This needs no limit per address, which would have to be guessed: behind a proxy, all clients share one
//! address.
//!
//! A connection at our turn never gives way. The number of those is bounded elsewhere: by how long we take, and for clients that wait for a
//! commit or follow events by [`super::waiting`].

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use super::error::ApiError;

/// Largest answer that takes no share of the budget. A connection has one answer in flight, so the connections bound these.
pub(crate) const SMALL_ANSWER_BYTES: usize = 8 << 10;
/// The budget: total bytes of larger answers in flight on a listener.
pub(crate) const ANSWERS_BYTES_MAX: usize = 32 << 20;
/// Time that a client has to read its answer before it may have to give way to another client's.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Marks a response whose body all requests share, so that it costs no memory of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared;

/// Marks a response whose body is a stream without an end: it is made piece by piece as the client reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed;

/// A client's IPv4 address, or the /64 network of its IPv6 address, because a host there commands all 2^64 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        })
    }
}

impl Origin {
    /// Whether this is the machine itself, and so possibly a proxy with many clients behind it.
    pub(crate) const fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Ours,
    Theirs { since: Instant },
}

/// A connection in the table.
#[derive(Debug)]
struct Entry {
    origin: Origin,
    turn: Turn,
    /// Its share of the budget, in bytes.
    bytes: usize,
    /// Dropped with the entry, which closes the connection.
    _stay: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<u64, Entry>,
    /// Number of the next connection.
    next: u64,
    /// Sum of all shares.
    bytes: usize,
}

impl Table {
    fn remove(&mut self, number: u64) -> bool {
        let Some(entry) = self.entries.remove(&number) else { return false };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        true
    }

    /// The connection that gives way to a newcomer.
    fn idlest(&self) -> Option<u64> {
        let mut by_origin: BTreeMap<Origin, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            let count = by_origin.entry(entry.origin).or_default();
            *count = count.saturating_add(1);
        }
        let idle = self.entries.iter().filter_map(|(number, entry)| match entry.turn {
            Turn::Theirs { since } => Some((std::cmp::Reverse(by_origin.get(&entry.origin)), since, *number)),
            Turn::Ours => None,
        });
        idle.min().map(|(_, _, number)| number)
    }

    /// The connection that gives way to another answer: the slowest reader at the address that holds most of the budget, provided that its time
    /// is up or its address holds more than half.
    fn slowest_reader(&self, now: Instant, bytes_max: usize) -> Option<u64> {
        let mut by_origin: BTreeMap<Origin, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            let bytes = by_origin.entry(entry.origin).or_default();
            *bytes = bytes.saturating_add(entry.bytes);
        }
        let readers = self.entries.iter().filter(|(_, entry)| entry.bytes > 0).filter_map(|(number, entry)| match entry.turn {
            Turn::Theirs { since } => Some((std::cmp::Reverse(by_origin.get(&entry.origin)), since, *number)),
            Turn::Ours => None,
        });
        let (std::cmp::Reverse(held), since, number) = readers.min()?;
        let is_greedy = by_origin.len() > 1 && held.is_some_and(|held| held.saturating_mul(2) > bytes_max);
        (is_greedy || now.duration_since(since) >= ANSWER_PATIENCE).then_some(number)
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Seats {
    table: Mutex<Table>,
    connections_max: usize,
    bytes_max: usize,
}

/// A connection's place in the table. Freed on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    origin: Origin,
}

/// Resolves, with an error, when the connection must give way.
pub(crate) type Notice = oneshot::Receiver<()>;

/// The result of taking a place.
#[derive(Debug)]
pub(crate) enum Seating {
    /// There was room.
    Free(Seat, Notice),
    /// Another connection had to give way.
    Freed(Seat, Notice),
    /// No connection could give way: it is our turn on all of them.
    Full,
}

impl Seats {
    pub(crate) fn new(connections_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), connections_max, bytes_max })
    }

    /// Takes a place for a new connection, which starts at its client's turn.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Seating {
        let origin = Origin::from(address);
        let mut table = self.lock();
        let is_full = table.entries.len() >= self.connections_max;
        if is_full && !table.idlest().is_some_and(|idlest| table.remove(idlest)) {
            return Seating::Full;
        }
        let number = table.next;
        table.next = number.saturating_add(1);
        let (stay, notice) = oneshot::channel();
        table.entries.insert(number, Entry { origin, turn: Turn::Theirs { since: Instant::now() }, bytes: 0, _stay: stay });
        drop(table);
        let seat = Seat { seats: Arc::clone(self), number, origin };
        if is_full { Seating::Freed(seat, notice) } else { Seating::Free(seat, notice) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl Seat {
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// It is our turn: we have what we need from the client.
    pub(crate) fn set_our_turn(&self) {
        self.turn(Turn::Ours);
    }

    /// It has been the client's turn since then.
    pub(crate) fn set_client_turn(&self, since: Instant) {
        self.turn(Turn::Theirs { since });
    }

    fn turn(&self, turn: Turn) {
        if let Some(entry) = self.seats.lock().entries.get_mut(&self.number) {
            entry.turn = turn;
        }
    }

    /// Takes a share of the budget, if need be by closing connections of slow readers.
    fn share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut table = self.seats.lock();
        let now = Instant::now();
        while table.bytes.saturating_add(bytes) > self.seats.bytes_max {
            let slowest = table.slowest_reader(now, self.seats.bytes_max)?;
            table.remove(slowest);
        }
        let entry = table.entries.get_mut(&self.number)?;
        entry.bytes = entry.bytes.saturating_add(bytes);
        table.bytes = table.bytes.saturating_add(bytes);
        drop(table);
        Some(Share { seat: Arc::clone(self), bytes })
    }

    /// Charges the body of an answer to the budget, until the system has taken its last byte or the connection has ended.
    ///
    /// # Errors
    /// The budget is taken up by clients that are reading their answers.
    pub(crate) async fn answer(self: &Arc<Self>, body: Body) -> Result<Body, ApiError> {
        // Streams do not come here.
        let bytes = body.collect().await.map_err(|_| ApiError::internal("the answer was aborted"))?.to_bytes();
        if bytes.len() <= SMALL_ANSWER_BYTES {
            return Ok(Body::from(bytes));
        }
        let busy = || ApiError::busy("too many bytes of answers are in flight");
        let share = self.share(bytes.len()).ok_or_else(busy)?;
        Ok(Body::from(Bytes::from_owner(Charged { bytes, _share: share })))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(self.number);
    }
}

/// Bytes of the budget, returned on drop.
#[derive(Debug)]
struct Share {
    seat: Arc<Seat>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = self.seat.seats.lock();
        // A connection that gave way has already returned its share.
        if let Some(entry) = table.entries.get_mut(&self.seat.number) {
            entry.bytes = entry.bytes.saturating_sub(self.bytes);
            table.bytes = table.bytes.saturating_sub(self.bytes);
        }
    }
}

/// Bytes that count against the budget while they exist.
struct Charged {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: usize = 4;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn take(seats: &Arc<Seats>, address: IpAddr) -> (Arc<Seat>, Notice) {
        match seats.take(address) {
            Seating::Free(seat, notice) | Seating::Freed(seat, notice) => (Arc::new(seat), notice),
            Seating::Full => panic!("nobody gave way"),
        }
    }

    fn has_gone(notice: &mut Notice) -> bool {
        notice.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_one_that_kept_us_waiting_longest_gives_way() {
        let seats = Seats::new(FULL, 0);
        let mut taken: Vec<_> = (0..FULL).map(|_| take(&seats, address(1))).collect();
        // We owe the first an answer; of the rest, the second has kept us waiting longest.
        taken[0].0.set_our_turn();
        let (_newcomer, _) = take(&seats, address(1));
        assert_eq!(taken.iter_mut().map(|(_, notice)| has_gone(notice)).collect::<Vec<_>>(), [false, true, false, false]);
        // Dropping it later frees no second place.
        drop(taken.remove(1));
        assert!(matches!(seats.take(address(1)), Seating::Freed(..)));
    }

    #[test]
    fn the_address_with_most_connections_gives_way_to_the_others() {
        let seats = Seats::new(FULL, 0);
        let (_honest, mut honest) = take(&seats, address(1));
        let mut flood: Vec<_> = (0..FULL - 1).map(|_| take(&seats, address(2))).collect();
        let (_second, mut second) = take(&seats, address(3));
        assert!(!has_gone(&mut honest), "it has been idle longest, but it is its address's only connection");
        assert!(has_gone(&mut flood[0].1));
        let (_third, _) = take(&seats, address(2));
        assert!(has_gone(&mut flood[1].1) && !has_gone(&mut honest) && !has_gone(&mut second), "a flood loses its own places");
    }

    #[test]
    fn nobody_to_whom_we_owe_an_answer_gives_way() {
        let seats = Seats::new(FULL, 0);
        let taken: Vec<_> = (0..FULL).map(|_| take(&seats, address(1))).collect();
        for (seat, _) in &taken {
            seat.set_our_turn();
        }
        assert!(matches!(seats.take(address(2)), Seating::Full));
        taken[2].0.set_client_turn(Instant::now());
        assert!(matches!(seats.take(address(2)), Seating::Freed(..)));
    }

    #[test]
    fn a_share_of_the_budget_is_held_by_the_bytes_and_given_back_once() {
        let seats = Seats::new(FULL, 100);
        let (seat, _notice) = take(&seats, address(1));
        let share = seat.share(60).unwrap();
        let bytes = Bytes::from_owner(Charged { bytes: Bytes::from_static(b"abc"), _share: share });
        let clone = bytes.clone();
        drop(bytes);
        assert_eq!((seats.bytes(), seat.share(60).is_none()), (60, true));
        drop(clone);
        assert_eq!(seats.bytes(), 0);
        // A connection that ends takes its share with it, whatever still holds the bytes.
        let share = seat.share(60).unwrap();
        seats.lock().remove(seat.number);
        assert_eq!(seats.bytes(), 0);
        drop(share);
        assert_eq!(seats.bytes(), 0);
        assert!(seat.share(1).is_none(), "a connection that has ended gets nothing");
    }

    #[test]
    fn a_client_that_does_not_read_gives_way_to_one_that_will() {
        let seats = Seats::new(FULL, 100);
        let (slow, mut slow_notice) = take(&seats, address(1));
        let _slow_share = slow.share(60).unwrap();
        let (ours, mut our_notice) = take(&seats, address(1));
        let _our_share = ours.share(30).unwrap();
        ours.set_our_turn();
        let (seat, _notice) = take(&seats, address(1));
        let long_ago = Instant::now().checked_sub(ANSWER_PATIENCE).unwrap();
        slow.set_client_turn(Instant::now());
        assert!(seat.share(50).is_none(), "it has just begun");
        slow.set_client_turn(long_ago);
        assert!(seat.share(50).is_some());
        assert!(has_gone(&mut slow_notice) && !has_gone(&mut our_notice));
        assert!(seat.share(1_000).is_none(), "more than there is");
    }

    #[test]
    fn an_address_that_holds_more_than_half_of_the_budget_gives_way_at_once_and_before_others() {
        let seats = Seats::new(FULL, 100);
        let (honest, mut honest_notice) = take(&seats, address(2));
        let _honest_share = honest.share(30).unwrap();
        honest.set_client_turn(Instant::now().checked_sub(ANSWER_PATIENCE).unwrap());
        let (greedy, mut greedy_notice) = take(&seats, address(1));
        let _greedy_share = greedy.share(60).unwrap();
        greedy.set_client_turn(Instant::now());
        let (newcomer, _notice) = take(&seats, address(3));
        assert!(newcomer.share(50).is_some());
        assert!(has_gone(&mut greedy_notice) && !has_gone(&mut honest_notice));
    }

    #[test]
    fn an_ipv6_network_is_one_origin() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert!(origin("::1").is_loopback() && origin("::ffff:127.0.0.1").is_loopback());
    }
}
