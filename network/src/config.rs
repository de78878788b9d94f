//! Configuration of the network: the committee, the addresses, and the bounds on queues.
//!
//! Everything is checked here, before a socket is opened, and each error is one line that names the fix.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use libp2p::{Multiaddr, PeerId, identity, multiaddr::Protocol};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::hello::Hello;

/// Number of seats in a committee.
pub const SEATS: u16 = 128;
/// Number of places: the seats of a committee, and as many for members of another one.
pub(crate) const PLACES: u16 = 2 * SEATS;

/// The place of a peer, from 0 to 255. The first [`SEATS`] are the seats of a committee, which a validator keeps as long as it is a member; the
/// node maps them to validator ids. The others are for members of another committee, to whom the node may have links as well. Places may be
/// empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIndex(pub u16);

impl fmt::Display for PeerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One of the other validators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its place.
    pub index: PeerIndex,
    /// Its Ed25519 public key for network links (not the key that signs votes). The libp2p peer id derives from it.
    pub network_key: [u8; 32],
    /// The address to dial: `/ip4/10.0.0.7/tcp/4001`, the `/ip6` form, or a name that is looked up before each attempt
    /// (`/dns4/node.example.org/tcp/4001`; `/dns6` and `/dns` likewise).
    pub address: String,
}

/// Everything [`crate::start`] needs.
pub struct NetworkConfig {
    /// Seed of our Ed25519 network key; wiped from memory when the configuration is dropped.
    pub secret: Box<Zeroizing<[u8; 32]>>,
    /// Listen address, a multiaddress like [`Peer::address`] but without names; port 0 lets the system choose, see
    /// [`crate::Network::listen_addresses`].
    pub listen: String,
    /// The name server that is asked for the names of peers; `None`: the system's.
    pub resolver: Option<SocketAddr>,
    /// Every validator but this one, which need not be a validator itself. See also [`crate::Network::set_peers`].
    pub peers: Vec<Peer>,
    /// What a peer must agree with.
    pub hello: Hello,
    /// Bounds on frames and queues.
    pub limits: Limits,
}

impl fmt::Debug for NetworkConfig {
    // Not derived, so that the secret never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("listen", &self.listen)
            .field("resolver", &self.resolver)
            .field("peers", &self.peers)
            .field("hello", &self.hello)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Bounds on memory and message sizes. All validators should use the same frame limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For [`crate::Class::Consensus`].
    pub consensus: ClassLimits,
    /// For [`crate::Class::Sync`].
    pub sync: ClassLimits,
    /// For gossip.
    pub gossip: GossipLimits,
}

/// Bounds on one class of direct traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassLimits {
    /// Largest frame. If a peer announces a larger one, its stream is closed.
    pub frame_bytes_max: usize,
    /// Frames queued for one connected peer; beyond that, the oldest is dropped.
    pub queue_frames_max: usize,
    /// Bytes queued for one peer; beyond that, the oldest frame is dropped.
    pub queue_bytes_max: usize,
    /// Frames kept for a disconnected peer. Small, because they are usually superseded before it is back.
    pub offline_frames_max: usize,
    /// Bytes from one peer that wait for our consumer; beyond that, the peer's stream is not read. At least one frame fits.
    pub inbox_bytes_max: usize,
}

/// Bounds on gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipLimits {
    /// Largest frame.
    pub frame_bytes_max: usize,
    /// Frames queued for publishing; beyond that, the oldest is dropped.
    pub queue_frames_max: usize,
    /// Bytes queued for publishing; beyond that, the oldest frame is dropped.
    pub queue_bytes_max: usize,
    /// Bytes from one peer that wait for our consumer; beyond that, the peer's frames are dropped.
    pub inbox_bytes_max: usize,
}

/// One binary kilobyte.
const KIB: usize = 1024;
/// One binary megabyte.
const MIB: usize = 1024 * KIB;

/// Largest consensus frame.
const CONSENSUS_FRAME_BYTES_MAX: usize = MIB;
/// Largest sync frame.
const SYNC_FRAME_BYTES_MAX: usize = 2 * MIB;
/// Largest gossip frame.
const GOSSIP_FRAME_BYTES_MAX: usize = 512 * KIB;
/// Consensus frames queued for one peer.
const CONSENSUS_QUEUE_FRAMES_MAX: usize = 1024;
/// Consensus bytes queued for one peer.
const CONSENSUS_QUEUE_BYTES_MAX: usize = 8 * MIB;
/// Consensus frames kept for a disconnected peer.
const CONSENSUS_OFFLINE_FRAMES_MAX: usize = 64;
/// Consensus bytes from one peer that wait for our consumer.
const CONSENSUS_INBOX_BYTES_MAX: usize = 4 * MIB;
/// Sync frames queued for one peer.
const SYNC_QUEUE_FRAMES_MAX: usize = 64;
/// Sync bytes queued for one peer.
const SYNC_QUEUE_BYTES_MAX: usize = 16 * MIB;
/// Sync frames kept for a disconnected peer. Few, because it will repeat its requests.
const SYNC_OFFLINE_FRAMES_MAX: usize = 4;
/// Sync bytes from one peer that wait for our consumer.
const SYNC_INBOX_BYTES_MAX: usize = 4 * MIB;
/// Gossip frames queued for publishing.
const GOSSIP_QUEUE_FRAMES_MAX: usize = 256;
/// Gossip bytes queued for publishing.
const GOSSIP_QUEUE_BYTES_MAX: usize = 16 * MIB;
/// Gossip bytes from one peer that wait for our consumer.
const GOSSIP_INBOX_BYTES_MAX: usize = 8 * MIB;
/// Longest host name.
const NAME_BYTES_MAX: usize = 253;
/// Upper bound on frames and inboxes: a frame with its prefix must be addressable and fit the budget of an inbox.
const FRAME_BYTES_CEILING: usize = 64 * MIB;
/// Upper bound on the frames in a queue.
const QUEUE_FRAMES_CEILING: usize = 1 << 20;
/// Upper bound on the bytes in a queue.
const QUEUE_BYTES_CEILING: usize = 1 << 30;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            consensus: ClassLimits {
                frame_bytes_max: CONSENSUS_FRAME_BYTES_MAX,
                queue_frames_max: CONSENSUS_QUEUE_FRAMES_MAX,
                queue_bytes_max: CONSENSUS_QUEUE_BYTES_MAX,
                offline_frames_max: CONSENSUS_OFFLINE_FRAMES_MAX,
                inbox_bytes_max: CONSENSUS_INBOX_BYTES_MAX,
            },
            sync: ClassLimits {
                frame_bytes_max: SYNC_FRAME_BYTES_MAX,
                queue_frames_max: SYNC_QUEUE_FRAMES_MAX,
                queue_bytes_max: SYNC_QUEUE_BYTES_MAX,
                offline_frames_max: SYNC_OFFLINE_FRAMES_MAX,
                inbox_bytes_max: SYNC_INBOX_BYTES_MAX,
            },
            gossip: GossipLimits {
                frame_bytes_max: GOSSIP_FRAME_BYTES_MAX,
                queue_frames_max: GOSSIP_QUEUE_FRAMES_MAX,
                queue_bytes_max: GOSSIP_QUEUE_BYTES_MAX,
                inbox_bytes_max: GOSSIP_INBOX_BYTES_MAX,
            },
        }
    }
}

/// Why the network could not start, or a set of peers was refused. Each message names what to change.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// Not a multiaddress, or not a supported one.
    #[error("{whose} address {address:?} is not usable: {problem}; write it like /ip4/10.0.0.7/tcp/4001")]
    Address {
        /// "the listen", or the peer in the possessive, as the message needs it.
        whose: String,
        /// As configured.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The 32 bytes are not an Ed25519 public key.
    #[error("the network key of validator {index} is not an Ed25519 public key")]
    Key {
        /// Owner of the key.
        index: PeerIndex,
    },
    /// There is no such place.
    #[error("validator {index} has no place: number the validators from 0 to {}", PLACES - 1)]
    Place {
        /// As given.
        index: PeerIndex,
    },
    /// Two members of the committee share an index or a key, or a peer has our own key.
    #[error("validator {index} appears twice in the committee, by index or by network key")]
    Duplicate {
        /// The second occurrence.
        index: PeerIndex,
    },
    /// A limit is out of range.
    #[error("limit {name} is {value}; it must be between {min} and {max}")]
    Limit {
        /// Name of the limit.
        name: &'static str,
        /// As configured.
        value: usize,
        /// Smallest allowed value.
        min: usize,
        /// Largest allowed value.
        max: usize,
    },
    /// The listener could not be opened.
    #[error("cannot listen on {address}: {source}; is another node running there?")]
    Listen {
        /// As configured.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// The network thread or its runtime could not be started.
    #[error("cannot start the network thread: {source}")]
    Thread {
        /// The system's error.
        source: io::Error,
    },
    /// libp2p refused the configuration that we gave it: a bug in this crate.
    #[error("cannot set up {part}: {problem}")]
    Setup {
        /// The part that cannot be set up.
        part: &'static str,
        /// The part's error.
        problem: String,
    },
}

/// The Ed25519 public key for the seed of a network key.
#[must_use]
pub fn network_public_key(seed: &[u8; 32]) -> [u8; 32] {
    // `None` is impossible: any 32 bytes are a seed. An all-zero key is in no committee.
    keypair(seed).map_or([0; 32], |pair| pair.public().to_bytes())
}

/// The libp2p peer id (`12D3Koo…`) of a network key, for display; `None` if the bytes are not an Ed25519 public key.
#[must_use]
pub fn peer_id(network_key: &[u8; 32]) -> Option<String> {
    peer_id_of(network_key).map(PeerId::to_base58)
}

/// One checked member of the committee.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) index: PeerIndex,
    pub(crate) peer_id: PeerId,
    pub(crate) address: Multiaddr,
}

/// The configuration after checking.
pub(crate) struct Committee {
    /// Boxed, so that moving this value leaves no unwiped copy behind.
    pub(crate) keypair: Box<identity::Keypair>,
    pub(crate) my_id: PeerId,
    pub(crate) listen: Multiaddr,
    pub(crate) resolver: Option<SocketAddr>,
    /// Never contains ourselves.
    pub(crate) members: Vec<Member>,
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
}

impl Committee {
    pub(crate) fn check(config: &NetworkConfig) -> Result<Committee, NetworkError> {
        let pair =
            keypair(&config.secret).ok_or_else(|| NetworkError::Setup { part: "the network key", problem: "not a seed".to_owned() })?;
        let keypair = Box::new(identity::Keypair::from(pair));
        let my_id = keypair.public().to_peer_id();
        let listen = listen_address(&config.listen)?;
        let members = check_peers(my_id, config.peers.clone())?;
        check_limits(&config.limits)?;
        Ok(Committee { keypair, my_id, listen, resolver: config.resolver, members, hello: config.hello, limits: config.limits })
    }
}

/// Checks a set of peers, which must not contain ourselves.
pub(crate) fn check_peers(my_id: PeerId, peers: Vec<Peer>) -> Result<Vec<Member>, NetworkError> {
    let mut indices = BTreeSet::new();
    let mut ids = BTreeSet::from([my_id]);
    let mut members = Vec::with_capacity(peers.len());
    for Peer { index, network_key, address } in peers {
        if index.0 >= PLACES {
            return Err(NetworkError::Place { index });
        }
        let peer_id = peer_id_of(&network_key).ok_or(NetworkError::Key { index })?;
        if !indices.insert(index) || !ids.insert(peer_id) {
            return Err(NetworkError::Duplicate { index });
        }
        let address = parse_address(&format!("validator {index}'s"), &address, Names::Allowed, Some(peer_id))?;
        members.push(Member { index, peer_id, address });
    }
    Ok(members)
}

fn keypair(seed: &[u8; 32]) -> Option<identity::ed25519::Keypair> {
    let mut copy = Zeroizing::new(*seed);
    identity::ed25519::SecretKey::try_from_bytes(copy.as_mut_slice()).ok().map(identity::ed25519::Keypair::from)
}

fn peer_id_of(network_key: &[u8; 32]) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(network_key).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

/// Checks the address of a peer; `whose` is for the error message.
///
/// # Errors
/// [`NetworkError::Address`].
pub fn check_peer_address(whose: &str, address: &str) -> Result<(), NetworkError> {
    parse_address(whose, address, Names::Allowed, None).map(drop)
}

/// The address of a peer, without its peer id.
pub(crate) fn peer_address(address: &str) -> Result<Multiaddr, NetworkError> {
    parse_address("the peer's", address, Names::Allowed, None)
}

/// Checks a listen address.
///
/// # Errors
/// [`NetworkError::Address`].
pub fn check_listen_address(address: &str) -> Result<(), NetworkError> {
    listen_address(address).map(drop)
}

/// Binds a listen address for a moment.
///
/// # Errors
/// [`NetworkError::Address`], or [`NetworkError::Listen`] if this machine does not have the address or it is already in use.
pub fn try_listen(address: &str) -> Result<(), NetworkError> {
    probe(&listen_address(address)?)
}

fn listen_address(address: &str) -> Result<Multiaddr, NetworkError> {
    parse_address("the listen", address, Names::Refused, None)
}

/// Fails if the address is in use. libp2p listens with `SO_REUSEPORT`, so a second node on the same port would start and the two would share
/// the incoming connections; a plain socket detects that.
pub(crate) fn probe(listen: &Multiaddr) -> Result<(), NetworkError> {
    let failed = |source| NetworkError::Listen { address: listen.to_string(), source };
    socket_address(listen).map_or(Ok(()), |address| TcpListener::bind(address).map(drop).map_err(failed))
}

pub(crate) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Whether an address may begin with a host name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Allowed,
    Refused,
}

/// Accepts exactly `/ip4|ip6|dns|dns4|dns6/…/tcp/…`, with an optional `/p2p/…` that must be the peer's own id if that is known; returns the
/// address without the latter.
fn parse_address(whose: &str, address: &str, names: Names, expected: Option<PeerId>) -> Result<Multiaddr, NetworkError> {
    let wrong = |problem: String| NetworkError::Address { whose: whose.to_owned(), address: address.to_owned(), problem };
    let parsed: Multiaddr = address.parse().map_err(|error| wrong(format!("{error}")))?;
    let mut parts = parsed.iter();
    match parts.next() {
        Some(Protocol::Ip4(_) | Protocol::Ip6(_)) => {}
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) if names == Names::Allowed => {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(wrong(format!("a name must have 1 to {NAME_BYTES_MAX} bytes")));
            }
        }
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => {
            return Err(wrong("listen at an IP address of this machine, not at a name".to_owned()));
        }
        _ => return Err(wrong("it must begin with /ip4, /ip6, /dns4 or /dns6".to_owned())),
    }
    if !matches!(parts.next(), Some(Protocol::Tcp(_))) {
        return Err(wrong("the IP address or name must be followed by /tcp/<port>".to_owned()));
    }
    match (parts.next(), expected) {
        (None, _) => {}
        (Some(Protocol::P2p(_)), None) if names == Names::Allowed => {}
        (Some(Protocol::P2p(id)), Some(expected)) if id == expected => {}
        (Some(Protocol::P2p(id)), Some(expected)) => {
            return Err(wrong(format!("it names peer {id}, but the network key belongs to {expected}")));
        }
        (Some(other), _) => return Err(wrong(format!("unexpected {other}"))),
    }
    if parts.next().is_some() {
        return Err(wrong("nothing may follow the peer id".to_owned()));
    }
    Ok(parsed.iter().take(2).collect())
}

fn check_limits(limits: &Limits) -> Result<(), NetworkError> {
    let Limits { consensus, sync, gossip } = limits;
    let (frame, frames) = (1..=FRAME_BYTES_CEILING, 1..=QUEUE_FRAMES_CEILING);
    // A queue that holds less than a frame would drop every full one.
    let queue = |frame_bytes_max| frame_bytes_max..=QUEUE_BYTES_CEILING;
    for (name, value, range) in [
        ("consensus.frame_bytes_max", consensus.frame_bytes_max, frame.clone()),
        ("sync.frame_bytes_max", sync.frame_bytes_max, frame.clone()),
        ("gossip.frame_bytes_max", gossip.frame_bytes_max, frame.clone()),
        ("consensus.inbox_bytes_max", consensus.inbox_bytes_max, frame.clone()),
        ("sync.inbox_bytes_max", sync.inbox_bytes_max, frame.clone()),
        ("gossip.inbox_bytes_max", gossip.inbox_bytes_max, frame),
        ("consensus.queue_frames_max", consensus.queue_frames_max, frames.clone()),
        ("sync.queue_frames_max", sync.queue_frames_max, frames.clone()),
        ("gossip.queue_frames_max", gossip.queue_frames_max, frames.clone()),
        ("consensus.offline_frames_max", consensus.offline_frames_max, frames.clone()),
        ("sync.offline_frames_max", sync.offline_frames_max, frames),
        ("consensus.queue_bytes_max", consensus.queue_bytes_max, queue(consensus.frame_bytes_max)),
        ("sync.queue_bytes_max", sync.queue_bytes_max, queue(sync.frame_bytes_max)),
        ("gossip.queue_bytes_max", gossip.queue_bytes_max, queue(gossip.frame_bytes_max)),
    ] {
        if !range.contains(&value) {
            return Err(NetworkError::Limit { name, value, min: *range.start(), max: *range.end() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(peers: Vec<Peer>) -> NetworkConfig {
        NetworkConfig {
            secret: Box::new(Zeroizing::new([9; 32])),
            listen: "/ip4/127.0.0.1/tcp/0".to_owned(),
            resolver: None,
            peers,
            hello: Hello { application: crate::ApplicationId::new("test", 1), chain_id: 1, genesis_hash: [0; 32], protocol_version: 1 },
            limits: Limits::default(),
        }
    }

    fn peer(index: u16, address: &str) -> Peer {
        let seed = [u8::try_from(index).unwrap(); 32];
        Peer { index: PeerIndex(index), network_key: network_public_key(&seed), address: address.to_owned() }
    }

    fn refusal(peers: Vec<Peer>) -> String {
        Committee::check(&config(peers)).err().expect("refused").to_string()
    }

    #[test]
    fn a_queue_that_holds_no_full_frame_and_counts_out_of_range_are_refused_by_name() {
        let refused = |change: fn(&mut Limits)| {
            let mut config = config(vec![peer(0, "/ip4/127.0.0.1/tcp/1")]);
            change(&mut config.limits);
            check_limits(&config.limits).expect_err("refused").to_string()
        };
        check_limits(&Limits::default()).unwrap();
        let error = refused(|limits| limits.sync.queue_bytes_max = limits.sync.frame_bytes_max - 1);
        assert!(error.contains("sync.queue_bytes_max is 2097151") && error.contains("between 2097152 and"), "{error}");
        let error = refused(|limits| limits.consensus.queue_frames_max = 64 * MIB);
        assert!(error.contains("consensus.queue_frames_max") && error.contains("between 1 and 1048576"), "{error}");
        assert!(refused(|limits| limits.consensus.offline_frames_max = 0).contains("consensus.offline_frames_max"));
        assert!(refused(|limits| limits.gossip.frame_bytes_max = 0).contains("gossip.frame_bytes_max"));
    }

    #[test]
    fn an_address_that_is_not_ip_and_tcp_is_refused_by_name() {
        for (address, problem) in [
            ("/dnsaddr/example.org/tcp/1", "must begin with /ip4, /ip6, /dns4 or /dns6"),
            ("/dns4/example.org", "the IP address or name must be followed by /tcp/<port>"),
            ("/ip4/127.0.0.1/udp/1", "the IP address or name must be followed by /tcp/<port>"),
            ("/ip4/127.0.0.1/tcp/1/ws", "unexpected /ws"),
            ("10.0.0.1:80", "invalid multiaddr"),
            ("", "must begin with /ip4, /ip6, /dns4 or /dns6"),
        ] {
            let message = refusal(vec![peer(1, address)]);
            assert!(message.contains(problem) && message.contains("validator 1"), "{address}: {message}");
        }
    }

    #[test]
    fn a_peer_may_have_a_name_and_a_listener_may_not() {
        for address in ["/dns4/example.org/tcp/1", "/dns6/example.org/tcp/1", "/dns/example.org/tcp/1"] {
            assert!(Committee::check(&config(vec![peer(1, address)])).is_ok(), "{address}");
            assert!(check_peer_address("the", address).is_ok(), "{address}");
            let message = check_listen_address(address).unwrap_err().to_string();
            assert!(message.contains("not at a name"), "{message}");
        }
    }

    #[test]
    fn a_listen_address_is_tried_on_this_machine() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = try_listen(&format!("/ip4/127.0.0.1/tcp/{port}")).unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("is another node running there"), "{message}");
        // An address reserved for documentation, which no machine has.
        assert!(try_listen("/ip4/192.0.2.1/tcp/0").is_err());
        assert!(try_listen("/ip4/127.0.0.1/tcp/0").is_ok());
    }

    #[test]
    fn an_address_may_name_the_peer_but_only_the_right_one() {
        let right = peer(1, "");
        let right_id = peer_id(&right.network_key).unwrap();
        let good = Peer { address: format!("/ip6/::1/tcp/9/p2p/{right_id}"), ..right.clone() };
        assert!(Committee::check(&config(vec![good])).is_ok());
        let other = peer_id(&peer(2, "").network_key).unwrap();
        let bad = Peer { address: format!("/ip6/::1/tcp/9/p2p/{other}"), ..right };
        assert!(refusal(vec![bad]).contains(&other));
    }

    #[test]
    fn a_member_may_appear_only_once() {
        let address = "/ip4/127.0.0.1/tcp/1";
        assert!(refusal(vec![peer(1, address), peer(1, address)]).contains("validator 1 appears twice"));
        let same_key = Peer { index: PeerIndex(2), ..peer(1, address) };
        assert!(refusal(vec![peer(1, address), same_key]).contains("validator 2 appears twice"));
        let our_key = Peer { network_key: network_public_key(&[9; 32]), ..peer(3, address) };
        assert!(refusal(vec![our_key]).contains("validator 3 appears twice"));
    }

    #[test]
    fn the_last_place_is_255() {
        let at = |seat| vec![Peer { index: PeerIndex(seat), ..peer(1, "/ip4/127.0.0.1/tcp/1") }];
        assert!(Committee::check(&config(at(255))).is_ok());
        assert!(refusal(at(256)).contains("validator 256 has no place: number the validators from 0 to 255"));
    }

    #[test]
    fn the_secret_does_not_appear_in_debug_output() {
        assert!(!format!("{:?}", config(vec![])).contains("9, 9"));
    }
}
