//! The status of each peer, for operators, and the reasons for refusing a peer.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    clock::{PeerClock, Reading},
    config::PeerIndex,
    hello::ApplicationId,
};

/// State of the link to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// No connection.
    Disconnected,
    /// An authenticated connection, but the peer has not yet accepted our hello on every stream.
    Greeting,
    /// The peer has accepted our hello on the stream of every class: frames flow.
    Connected,
}

/// A snapshot of one peer, from [`crate::Network::status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its place.
    pub index: PeerIndex,
    /// The libp2p peer id, `12D3Koo…`.
    pub peer_id: String,
    /// The configured address.
    pub address: String,
    /// State of the link.
    pub state: PeerState,
    /// Time spent in this state.
    pub since: Duration,
    /// Last measured round trip; `None` while not connected.
    pub round_trip: Option<Duration>,
    /// The time that the peer claims; `None` while not connected, or before the first answer.
    pub clock: Option<PeerClock>,
    /// Frames waiting to be sent, over all classes.
    pub queued_frames: usize,
    /// Why the peer is refused or refuses us; cleared when the peer accepts a stream.
    pub refused: Option<Refusal>,
    /// Why the last attempt to connect failed or the last connection ended, in words; cleared on connecting.
    pub last_error: Option<String>,
}

impl PeerStatus {
    /// Whether frames flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == PeerState::Connected
    }

    /// Why frames do not flow; `None` while they do.
    #[must_use]
    pub fn down_because(&self) -> Option<String> {
        let refused = self.refused.as_ref().map(ToString::to_string);
        let error = self.last_error.clone();
        match self.state {
            PeerState::Connected => None,
            PeerState::Greeting => Some(refused.unwrap_or_else(|| "connected, but the peer has not accepted our streams yet".to_owned())),
            PeerState::Disconnected => Some(error.or(refused).unwrap_or_else(|| "not tried yet".to_owned())),
        }
    }
}

/// Count of one kind of drop or refusal since the start, from [`crate::Network::drops`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The kind, a stable word.
    pub what: String,
    /// The reason, as in the metric's label.
    pub reason: &'static str,
    /// Occurrences since the start.
    pub count: u64,
}

/// Why two nodes refuse each other. No refusal is permanent: the link is retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The applications or their versions differ.
    Application {
        /// Our value.
        ours: ApplicationId,
        /// The peer's value.
        theirs: ApplicationId,
    },
    /// The chain ids differ.
    ChainId {
        /// Our value.
        ours: u64,
        /// The peer's value.
        theirs: u64,
    },
    /// The genesis files differ.
    GenesisHash {
        /// Our value.
        ours: [u8; 32],
        /// The peer's value.
        theirs: [u8; 32],
    },
    /// The protocol versions differ.
    ProtocolVersion {
        /// Our value.
        ours: u32,
        /// The peer's value.
        theirs: u32,
    },
    /// The peer's hello, or its answer to ours, does not decode.
    MalformedHello,
    /// The peer does not support the stream protocol.
    UnsupportedProtocol {
        /// The requested protocol.
        protocol: String,
    },
    /// A node with another network key answers at the peer's address.
    WrongKey {
        /// The peer id that answers there.
        found: String,
        /// The address dialled.
        address: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Application { ours, theirs } => write!(f, "application differs: ours {ours}, theirs {theirs}"),
            Refusal::ChainId { ours, theirs } => write!(f, "chain id differs: ours {ours}, theirs {theirs}"),
            Refusal::GenesisHash { ours, theirs } => {
                write!(f, "genesis hash differs: ours {}, theirs {}", Hex(ours), Hex(theirs))
            }
            Refusal::ProtocolVersion { ours, theirs } => {
                write!(f, "protocol version differs: ours {ours}, theirs {theirs}")
            }
            Refusal::MalformedHello => f.write_str("the peer did not send a valid hello"),
            Refusal::UnsupportedProtocol { protocol } => write!(f, "the peer does not support {protocol}"),
            Refusal::WrongKey { found, address } => {
                write!(f, "the node at {address} has another network key: {found}")
            }
        }
    }
}

/// Bytes in hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Minimum time between two log lines about alternating refusals of the same peer.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The changing part of a peer's status.
#[derive(Debug)]
pub(crate) struct Record {
    connected: bool,
    /// Per class: whether the peer has accepted our stream.
    accepted: [bool; 2],
    since: Instant,
    pub(crate) round_trip: Option<Duration>,
    pub(crate) clock: Option<Reading>,
    refused: Option<Refusal>,
    last_error: Option<String>,
    logged: Option<(Refusal, Instant)>,
}

impl Record {
    pub(crate) fn new(now: Instant) -> Record {
        Record {
            connected: false,
            accepted: [false; 2],
            since: now,
            round_trip: None,
            clock: None,
            refused: None,
            last_error: None,
            logged: None,
        }
    }

    pub(crate) fn state(&self) -> PeerState {
        match (self.connected, self.accepted.contains(&false)) {
            (false, _) => PeerState::Disconnected,
            (true, true) => PeerState::Greeting,
            (true, false) => PeerState::Connected,
        }
    }

    pub(crate) fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(crate) fn refused(&self) -> Option<&Refusal> {
        self.refused.as_ref()
    }

    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    pub(crate) fn on_connected(&mut self, now: Instant) {
        self.change(now, |record| {
            record.connected = true;
            record.last_error = None;
        });
    }

    pub(crate) fn on_disconnected(&mut self, now: Instant, cause: &str) {
        self.change(now, |record| {
            record.connected = false;
            record.last_error = Some(format!("the connection ended: {cause}"));
            record.accepted = [false; 2];
            record.round_trip = None;
            record.clock = None;
        });
    }

    pub(crate) fn on_stream(&mut self, class_slot: usize, accepted: bool, now: Instant) {
        self.change(now, |record| {
            if let Some(flag) = record.accepted.get_mut(class_slot) {
                *flag = accepted;
            }
            if accepted {
                record.refused = None;
            }
        });
    }

    /// Records a failure to connect; true if it is new and should be logged.
    pub(crate) fn on_error(&mut self, error: String) -> bool {
        let is_news = self.last_error.as_ref() != Some(&error);
        self.last_error = Some(error);
        is_news
    }

    /// Records a refusal; true if it should be logged: once per reason, and rate limited if reasons alternate.
    pub(crate) fn on_refused(&mut self, refusal: Refusal, now: Instant) -> bool {
        let is_news = match &self.logged {
            None => true,
            Some((logged, at)) => *logged != refusal && now.saturating_duration_since(*at) >= LOG_PAUSE,
        };
        if is_news {
            self.logged = Some((refusal.clone(), now));
        }
        self.refused = Some(refusal);
        // The last error is older than this refusal.
        self.last_error = None;
        is_news
    }

    fn change(&mut self, now: Instant, apply: impl FnOnce(&mut Record)) {
        let before = self.state();
        apply(self);
        if self.state() != before {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_logged_once_and_alternating_ones_not_in_a_storm() {
        let start = Instant::now();
        let mut record = Record::new(start);
        let chain = Refusal::ChainId { ours: 1, theirs: 2 };
        let version = Refusal::ProtocolVersion { ours: 1, theirs: 2 };
        assert!(record.on_refused(chain.clone(), start));
        assert!(!record.on_refused(chain.clone(), start + LOG_PAUSE * 2));
        assert!(record.on_refused(version.clone(), start + LOG_PAUSE * 2));
        assert!(!record.on_refused(chain.clone(), start + LOG_PAUSE * 2));
        assert_eq!(record.refused(), Some(&chain), "the status still shows the latest");
    }

    #[test]
    fn a_refusal_reads_as_one_line_with_both_values() {
        let genesis = Refusal::GenesisHash { ours: [0xab; 32], theirs: [1; 32] };
        let expected = format!("genesis hash differs: ours {}, theirs {}", "ab".repeat(32), "01".repeat(32));
        assert_eq!(genesis.to_string(), expected);
        assert_eq!(Refusal::ChainId { ours: 7, theirs: 8 }.to_string(), "chain id differs: ours 7, theirs 8");
    }

    #[test]
    fn the_state_follows_connection_and_streams() {
        let now = Instant::now();
        let mut record = Record::new(now);
        record.on_connected(now);
        assert_eq!(record.state(), PeerState::Greeting);
        record.on_stream(1, true, now);
        assert_eq!(record.state(), PeerState::Greeting, "one stream is not enough");
        record.on_stream(0, true, now);
        assert_eq!(record.state(), PeerState::Connected);
        record.on_disconnected(now, "closed");
        assert_eq!(record.state(), PeerState::Disconnected);
        record.on_connected(now);
        assert_eq!(record.state(), PeerState::Greeting, "a new connection needs a new hello");
    }
}
