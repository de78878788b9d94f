//! When to dial whom.
//!
//! Both of two validators dial, so that a link comes up whichever of them has the other's right address: one may have moved, or stand
//! behind something that lets nobody in. The one with the higher peer id dials first, the other a moment later and less often, so they
//! rarely open two connections at once; if they do, both keep the one that the first has opened. Attempts go on for ever, with pauses up to
//! [`PAUSE_MAX`]; validators are never given up.

use std::time::{Duration, Instant};

use libp2p::{PeerId, swarm::ConnectionId};

use crate::{backoff, config::PeerIndex};

/// First pause between attempts of the one that dials first.
const PAUSE: Duration = Duration::from_millis(200);
/// First pause of the other.
const SECOND_PAUSE: Duration = Duration::from_secs(1);
/// How long the other waits at its start. A validator that comes back waits this long for its links, and not for the next attempt of those
/// who have tried in vain while it was away.
const SECOND_WAIT: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one: the next pause is short again. A shorter one counts as a failed attempt,
/// or a peer that hangs up at once would be dialled in a storm.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// Whether we dial `peer` first, and it dials us second.
pub(crate) fn is_first(me: &PeerId, peer: &PeerId) -> bool {
    me.to_bytes() > peer.to_bytes()
}

/// Of two connections that cross, one that each end has dialled, the one of the first stays: whether that is the older, at the end that
/// dials first or the other. Both ends decide alike, in whatever order they have seen the two.
pub(crate) fn older_stays(older_is_ours: bool, is_first: bool) -> bool {
    older_is_ours == is_first
}

/// What is going on to reach a peer.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// Its name is being looked up.
    LookingUp,
    /// It is being dialled.
    Dialling(ConnectionId),
}

/// The attempts to reach one peer.
#[derive(Debug)]
pub(crate) struct Dialer {
    seed: u64,
    first_pause: Duration,
    failures: u32,
    /// When to try next; `None` while connected or trying.
    next: Option<Instant>,
    attempt: Option<Attempt>,
    connected_at: Option<Instant>,
}

impl Dialer {
    pub(crate) fn new(me: PeerIndex, peer: PeerIndex, is_first: bool, now: Instant) -> Dialer {
        let seed = u64::from(me.0) << 16 | u64::from(peer.0);
        let (wait, first_pause) = if is_first { (Duration::ZERO, PAUSE) } else { (SECOND_WAIT, SECOND_PAUSE) };
        Dialer { seed, first_pause, failures: 0, next: Some(now + wait), attempt: None, connected_at: None }
    }

    /// When to try next.
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

    /// Whether the answer of the look-up is still of use.
    pub(crate) fn is_looking_up(&self) -> bool {
        self.attempt == Some(Attempt::LookingUp)
    }

    pub(crate) fn on_dialling(&mut self, connection: ConnectionId) {
        self.next = None;
        self.attempt = Some(Attempt::Dialling(connection));
    }

    /// The name was not found.
    pub(crate) fn on_not_found(&mut self, now: Instant) {
        self.attempt = None;
        self.schedule(now);
    }

    /// An attempt failed; ours or not, only ours counts. Returns whether it was.
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
        let mut dialer = Dialer::new(PeerIndex(1), PeerIndex(2), true, start);
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
        let second = Dialer::new(PeerIndex(2), PeerIndex(1), false, start);
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
        let mut dialer = Dialer::new(PeerIndex(1), PeerIndex(2), true, start);
        dialer.on_looking_up();
        assert!(dialer.is_looking_up() && dialer.next().is_none());
        dialer.on_connected(start);
        assert!(!dialer.is_looking_up());
        dialer.on_disconnected(start);
        dialer.on_looking_up();
        dialer.on_not_found(start);
        assert!(dialer.next().is_some(), "and it is tried again");
    }

    #[test]
    fn only_our_own_attempt_counts_as_failed() {
        let start = Instant::now();
        let mut dialer = Dialer::new(PeerIndex(1), PeerIndex(2), true, start);
        dialer.on_dialling(ConnectionId::new_unchecked(1));
        assert!(!dialer.on_failed(ConnectionId::new_unchecked(2), start));
        assert_eq!(dialer.next(), None);
        assert!(dialer.on_failed(ConnectionId::new_unchecked(1), start));
        assert!(dialer.next().is_some());
    }
}
