//! When to dial whom.
//!
//! Of two validators only the one with the higher peer id dials, so they never open two connections at once. It tries again for
//! ever, with pauses from [`PAUSE`] to [`PAUSE_MAX`]; validators are never given up.

use std::time::{Duration, Instant};

use libp2p::{PeerId, swarm::ConnectionId};

use crate::{backoff, config::PeerIndex};

/// First pause between attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one: the next pause is short again. A shorter one counts as a failed attempt,
/// or a peer that hangs up at once would be dialled in a storm.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// Whether it is on us to dial `peer`.
pub(crate) fn is_ours_to_dial(me: &PeerId, peer: &PeerId) -> bool {
    me.to_bytes() > peer.to_bytes()
}

/// The attempts to reach one peer.
#[derive(Debug)]
pub(crate) struct Dialer {
    seed: u64,
    attempt: u32,
    /// When to try next; `None` while connected or dialling.
    next: Option<Instant>,
    dialling: Option<ConnectionId>,
    connected_at: Option<Instant>,
}

impl Dialer {
    pub(crate) fn new(me: PeerIndex, peer: PeerIndex, now: Instant) -> Dialer {
        let seed = u64::from(me.0) << 16 | u64::from(peer.0);
        Dialer { seed, attempt: 0, next: Some(now), dialling: None, connected_at: None }
    }

    /// When to try next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub(crate) fn on_dialling(&mut self, connection: ConnectionId) {
        self.next = None;
        self.dialling = Some(connection);
    }

    /// An attempt failed; ours or not, only ours counts. Returns whether it was.
    pub(crate) fn on_failed(&mut self, connection: ConnectionId, now: Instant) -> bool {
        let is_ours = self.dialling == Some(connection);
        if is_ours {
            self.dialling = None;
            self.schedule(now);
        }
        is_ours
    }

    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.next = None;
        self.dialling = None;
        self.connected_at = Some(now);
    }

    pub(crate) fn on_disconnected(&mut self, now: Instant) {
        let lasted = self.connected_at.take().map(|at| now.saturating_duration_since(at));
        if lasted.is_some_and(|lasted| lasted >= GOOD_CONNECTION) {
            self.attempt = 0;
        }
        if self.dialling.is_none() {
            self.schedule(now);
        }
    }

    fn schedule(&mut self, now: Instant) {
        self.next = Some(now + backoff::pause(PAUSE, PAUSE_MAX, self.attempt, self.seed));
        self.attempt = self.attempt.saturating_add(1);
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
        let mut dialer = Dialer::new(PeerIndex(1), PeerIndex(2), start);
        assert!(dialer.is_due(start));
        let pauses: Vec<_> = (0..10).map(|_| pause_after_connection_of(&mut dialer, start, Duration::from_millis(1))).collect();
        assert!(pauses[0] <= PAUSE * 5 / 4, "{pauses:?}");
        assert!(pauses[9] >= PAUSE_MAX * 3 / 4, "{pauses:?}");
        let after_good = pause_after_connection_of(&mut dialer, start, GOOD_CONNECTION);
        assert!(after_good <= PAUSE * 5 / 4, "{after_good:?}");
    }

    #[test]
    fn exactly_one_of_two_peers_dials() {
        let (a, b) = (PeerId::random(), PeerId::random());
        assert_ne!(is_ours_to_dial(&a, &b), is_ours_to_dial(&b, &a));
        assert!(!is_ours_to_dial(&a, &a));
    }

    #[test]
    fn only_our_own_attempt_counts_as_failed() {
        let start = Instant::now();
        let mut dialer = Dialer::new(PeerIndex(1), PeerIndex(2), start);
        dialer.on_dialling(ConnectionId::new_unchecked(1));
        assert!(!dialer.on_failed(ConnectionId::new_unchecked(2), start));
        assert_eq!(dialer.next(), None);
        assert!(dialer.on_failed(ConnectionId::new_unchecked(1), start));
        assert!(dialer.next().is_some());
    }
}
