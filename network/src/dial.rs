//! Decides when to dial a peer.
//!
//! Two validators dial each other, so that a link comes up if either of them can reach the other: one may have moved, or be behind a firewall.
//! The one with the higher peer id dials first, the other a moment later and less often, so they rarely open two connections at once; if they
//! do, both keep the first dialer's. Attempts go on for ever, with pauses up to [`PAUSE_MAX`]: no validator is ever given up.

use std::time::{Duration, Instant};

use libp2p::{PeerId, swarm::ConnectionId};

use crate::backoff;

/// Initial pause of the first dialer between attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// Initial pause of the second dialer between attempts.
const SECOND_PAUSE: Duration = Duration::from_secs(1);
/// How long the second dialer waits after it starts. A returning validator waits this long for its links, instead of waiting for the next
/// attempt of peers that have backed off while it was away.
const SECOND_WAIT: Duration = Duration::from_millis(100);
/// Longest pause before jitter. A peer whose name or address changes must be found within ten seconds, of which a dial to the old address may take
/// half ([`crate::swarm`]).
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// A connection that lasted this long resets the backoff. A shorter one counts as a failed attempt, because otherwise a peer that hangs up at
/// once would be dialled in a tight loop.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// Whether we are the first dialer of the two.
pub(crate) fn is_first(me: &PeerId, peer: &PeerId) -> bool {
    me.to_bytes() > peer.to_bytes()
}

/// Whether the older of two crossing connections, one dialled by each end, stays: the first dialer's does. Both ends reach the same decision,
/// in whatever order they have seen the two.
pub(crate) fn older_stays(older_is_ours: bool, is_first: bool) -> bool {
    older_is_ours == is_first
}

/// An attempt in progress.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// Looking up the peer's name.
    LookingUp,
    /// Dialling the peer.
    Dialling(ConnectionId),
}

/// The attempts to reach one peer.
#[derive(Debug)]
pub(crate) struct Dialer {
    seed: u64,
    first_pause: Duration,
    failures: u32,
    /// Time of the next attempt; `None` while connected or attempting.
    next: Option<Instant>,
    attempt: Option<Attempt>,
    connected_at: Option<Instant>,
}

impl Dialer {
    /// `seed` spreads the pauses; see [`backoff::pause`].
    pub(crate) fn new(seed: u64, is_first: bool, now: Instant) -> Dialer {
        let (wait, first_pause) = if is_first { (Duration::ZERO, PAUSE) } else { (SECOND_WAIT, SECOND_PAUSE) };
        Dialer { seed, first_pause, failures: 0, next: Some(now + wait), attempt: None, connected_at: None }
    }

    /// Time of the next attempt; `None` while connected or attempting.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub(crate) fn on_looking_up(&mut self) {
        self.next = None;
        self.attempt = Some(Attempt::LookingUp);
    }

    /// Whether the result of the look-up is still needed.
    pub(crate) fn is_looking_up(&self) -> bool {
        self.attempt == Some(Attempt::LookingUp)
    }

    pub(crate) fn on_dialling(&mut self, connection: ConnectionId) {
        self.next = None;
        self.attempt = Some(Attempt::Dialling(connection));
    }

    /// The look-up failed.
    pub(crate) fn on_not_found(&mut self, now: Instant) {
        self.attempt = None;
        self.schedule(now);
    }

    /// A dial failed. Only our own attempt counts; returns whether it was ours.
    pub(crate) fn on_failed(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let is_ours = self.attempt == Some(Attempt::Dialling(connection));
        if is_ours {
            self.attempt = None;
            self.schedule(now);
        }
        is_ours
    }

    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.next = None;
        self.attempt = None;
        self.connected_at = Some(now);
    }

    pub(crate) fn on_disconnected(&mut self, now: Instant) {
        let lasted = self.connected_at.take().map(|at| now.saturating_duration_since(at));
        if lasted.is_some_and(|lasted| lasted >= GOOD_CONNECTION) {
            self.failures = 0;
        }
        if self.attempt.is_none() {
            self.schedule(now);
        }
    }

    /// The peer has another address. What failed at the old one says nothing about it.
    pub(crate) fn on_moved(&mut self, now: Instant) {
        self.failures = 0;
        self.attempt = None;
        if self.connected_at.is_none() {
            self.next = Some(now);
        }
    }

    fn schedule(&mut self, now: Instant) {
        self.next = Some(now + backoff::pause(self.first_pause, PAUSE_MAX, self.failures, self.seed));
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_after_connection_of(dialer: &mut Dialer, start: Instant, lasted: Duration) -> Duration {
        dialer.on_connected(start);
        dialer.on_disconnected(start + lasted);
        dialer.next().unwrap() - (start + lasted)
    }

    #[test]
    fn a_peer_that_hangs_up_at_once_is_dialled_less_and_less_often() {
        let start = Instant::now();
        let mut dialer = Dialer::new(1, true, start);
        assert!(dialer.is_due(start));
        let pauses: Vec<_> = (0..10).map(|_| pause_after_connection_of(&mut dialer, start, Duration::from_millis(1))).collect();
        assert!(pauses[0] <= PAUSE * 5 / 4, "{pauses:?}");
        assert!(pauses[9] >= PAUSE_MAX * 3 / 4, "{pauses:?}");
        let after_good = pause_after_connection_of(&mut dialer, start, GOOD_CONNECTION);
        assert!(after_good <= PAUSE * 5 / 4, "{after_good:?}");
    }

    #[test]
    fn exactly_one_of_two_peers_dials_first_and_the_other_soon() {
        let (a, b) = (PeerId::random(), PeerId::random());
        assert_ne!(is_first(&a, &b), is_first(&b, &a));
        let start = Instant::now();
        let second = Dialer::new(1, false, start);
        assert!(!second.is_due(start) && second.is_due(start + SECOND_WAIT));
    }

    #[test]
    fn of_two_connections_that_cross_both_ends_keep_the_one_of_the_first_in_whatever_order_they_came() {
        for is_first in [true, false] {
            for older_is_of_first in [true, false] {
                let older_is_ours = older_is_of_first == is_first;
                assert_eq!(older_stays(older_is_ours, is_first), older_is_of_first);
            }
        }
    }

    #[test]
    fn a_link_that_came_up_meanwhile_makes_a_look_up_useless() {
        let start = Instant::now();
        let mut dialer = Dialer::new(1, true, start);
        dialer.on_looking_up();
        assert!(dialer.is_looking_up() && dialer.next().is_none());
        dialer.on_connected(start);
        assert!(!dialer.is_looking_up());
        dialer.on_disconnected(start);
        dialer.on_looking_up();
        dialer.on_not_found(start);
        assert!(dialer.next().is_some(), "another attempt is scheduled");
    }

    #[test]
    fn only_our_own_attempt_counts_as_failed() {
        let start = Instant::now();
        let mut dialer = Dialer::new(1, true, start);
        dialer.on_dialling(ConnectionId::new_unchecked(1));
        assert!(!dialer.on_failed(ConnectionId::new_unchecked(2), start));
        assert_eq!(dialer.next(), None);
        assert!(dialer.on_failed(ConnectionId::new_unchecked(1), start));
        assert!(dialer.next().is_some());
    }

    #[test]
    fn a_peer_that_has_moved_is_dialled_at_once_unless_it_is_connected() {
        let start = Instant::now();
        let old = ConnectionId::new_unchecked(1);
        let mut dialer = Dialer::new(1, true, start);
        for _ in 0..10 {
            dialer.on_dialling(old);
            dialer.on_failed(old, start);
        }
        assert!(!dialer.is_due(start + PAUSE_MAX / 2));
        dialer.on_moved(start);
        assert!(dialer.is_due(start), "without the pause that the old address earned");

        dialer.on_dialling(old);
        dialer.on_moved(start);
        assert!(dialer.is_due(start) && !dialer.on_failed(old, start), "the attempt at the old address no longer counts");
        dialer.on_looking_up();
        dialer.on_moved(start);
        assert!(dialer.is_due(start) && !dialer.is_looking_up());

        dialer.on_connected(start);
        dialer.on_moved(start);
        assert_eq!(dialer.next(), None);
    }
}
