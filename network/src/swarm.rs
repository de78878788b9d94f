//! Connections: the libp2p swarm and its event loop.
//!
//! TCP, Noise, Yamux. The allow list decides who may connect before any other protocol runs. The loop waits only for its events: the tasks in
//! `outgoing.rs` and `incoming.rs` move the frames.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, slice,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport, allow_block_list,
    core::upgrade::Version,
    gossipsub::{self, IdentTopic, MessageAcceptance, PublishError},
    identity, noise, ping,
    swarm::{
        self, ConnectionDenied, ConnectionId, DialError, ListenError, NetworkBehaviour, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp, yamux,
};
use libp2p_stream::Control;
use tokio::{sync::watch, time::sleep_until};

use crate::{
    clock,
    config::{self, NetworkError, PeerIndex},
    dial::{self, Dialer},
    frame::Class,
    gate::Gate,
    gossip::{self, Gossip},
    guard::Guards,
    inbox::{Inbox, Incoming},
    incoming,
    lookup::Name,
    metrics::{self, DropReason, Flow, Lane, RefusalReason},
    outgoing,
    peers::{Peer, Shared},
    status::Refusal,
};

/// Timeout of a connection's handshake, in both directions.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams on one connection. We need two each way, gossip, pings and clock questions; if a peer opens more, the connection is closed.
const STREAMS_MAX: usize = 64;
/// Idle connections are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);
/// Interval between two pings on a connection.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Timeout for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// After this many unanswered pings in a row, the connection is closed and dialled again.
const PING_FAILURES_MAX: u32 = 2;
/// Timeout for the listener to report its address.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of gossip published before other events have their turn.
const GOSSIP_BATCH_BYTES_MAX: usize = 512 * 1024;
/// Minimum time between two log lines about strangers.
const STRANGER_LOG_PAUSE: Duration = Duration::from_secs(10);

/// The protocols of a node. The order matters: the first two can refuse a connection before the rest hear of it.
#[derive(NetworkBehaviour)]
struct Protocols {
    allowed: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    gate: Gate,
    gossip: Gossip,
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

/// The inboxes that the network fills.
pub(crate) struct Inboxes {
    pub(crate) consensus: Inbox,
    pub(crate) sync: Inbox,
    pub(crate) gossip: Inbox,
}

/// One live connection.
struct Connection {
    id: ConnectionId,
    /// We dialled it.
    is_ours: bool,
    since: Instant,
    missed_pings: u32,
}

/// The event loop's own view of a peer.
struct Link {
    peer: Arc<Peer>,
    /// Where the peer is dialled.
    address: Multiaddr,
    /// What its name was last found to be, dialled again while name servers do not answer.
    found: Vec<Multiaddr>,
    dialer: Dialer,
    /// We are the first dialer, whose connection stays if two cross.
    is_first: bool,
    /// Oldest first. Events of other connections, from an earlier membership, change nothing.
    connections: Vec<Connection>,
}

/// The result of a look-up: whose name it is, the name, and its addresses.
type LookedUp = (PeerIndex, Name, io::Result<Vec<Multiaddr>>);

/// The swarm and the state that its events change.
pub(crate) struct SwarmLoop {
    swarm: Swarm<Protocols>,
    shared: Arc<Shared>,
    /// Opens streams, for the tasks of each peer.
    control: Control,
    /// One per peer. Follows the shared set of peers with a short delay.
    links: BTreeMap<PeerId, Link>,
    topic: IdentTopic,
    gossip_inbox: Inbox,
    gossip_sent: Flow,
    gossip_received: Flow,
    strangers: Strangers,
    lookups: FuturesUnordered<BoxFuture<'static, LookedUp>>,
    /// The seats that wait for a look-up. There is at most one for each, because the system may take long to give up.
    looking_up: BTreeSet<PeerIndex>,
    guards: Guards,
}

/// Strangers since the last log line.
#[derive(Default)]
struct Strangers {
    unreported: u64,
    logged_at: Option<Instant>,
}

impl SwarmLoop {
    /// Opens the listener and starts the stream tasks. Runs on the network thread, within its runtime.
    ///
    /// # Errors
    /// [`NetworkError`] if the listen address cannot be used.
    pub(crate) async fn start(
        keypair: Box<identity::Keypair>,
        listen: Multiaddr,
        shared: Arc<Shared>,
        inboxes: Inboxes,
        guards: Guards,
    ) -> Result<SwarmLoop, NetworkError> {
        let topic = gossip::topic(&shared.hello);
        let mut swarm = build(&keypair, &shared, &topic)?;
        std::mem::drop(keypair); // wipes it

        let control = swarm.behaviour().streams.new_control();
        let accept = |protocol| {
            let accepting = control.clone().accept(protocol);
            accepting.map_err(|error| NetworkError::Setup { part: "streams", problem: error.to_string() })
        };
        let of_class = |class: Class| accept(libp2p::StreamProtocol::new(class.protocol()));
        let (consensus, sync, questions) = (of_class(Class::Consensus)?, of_class(Class::Sync)?, accept(clock::PROTOCOL)?);
        listen_on(&mut swarm, listen, &shared).await?;
        // Nothing below can fail, so from here on the end of a task is a bug.
        for (class, streams, inbox) in [(Class::Consensus, consensus, inboxes.consensus), (Class::Sync, sync, inboxes.sync)] {
            let name = format!("the network's task that accepts {class:?} streams");
            guards.spawn(name, incoming::run(Arc::clone(&shared), class, streams, inbox));
        }
        guards.spawn("the network's task that answers clock questions", clock::answer(Arc::clone(&shared), questions));
        let mut event_loop = SwarmLoop {
            gossip_sent: shared.metrics.sent(Lane::gossip),
            gossip_received: shared.metrics.received(Lane::gossip),
            swarm,
            shared,
            control,
            links: BTreeMap::new(),
            topic,
            gossip_inbox: inboxes.gossip,
            strangers: Strangers::default(),
            lookups: FuturesUnordered::new(),
            looking_up: BTreeSet::new(),
            guards,
        };
        event_loop.follow_peers();
        Ok(event_loop)
    }

    /// Runs until `stop` becomes true or every handle is dropped.
    pub(crate) async fn run(&mut self, mut stop: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        let mut batch = Vec::new();
        loop {
            let next_dial = self.links.values().filter_map(|link| link.dialer.next()).min();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                () = shared.gossip.filled() => {
                    shared.gossip.take_batch(GOSSIP_BATCH_BYTES_MAX, &mut batch);
                    batch.drain(..).for_each(|frame| self.publish(frame));
                }
                () = shared.peers_changed.notified() => self.follow_peers(),
                () = until(next_dial) => self.dial_due(),
                Some(looked_up) = self.lookups.next(), if !self.lookups.is_empty() => self.on_looked_up(looked_up),
                // An error means that every handle has been dropped.
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Lets go of the peers that have left, begins with the new ones, and notes who has moved.
    fn follow_peers(&mut self) {
        let peers: Vec<Arc<Peer>> = self.shared.peers().iter().cloned().collect();
        // First, because a key that has moved to another seat is among both.
        let left: Vec<PeerId> = self.links.values().filter(|link| link.peer.has_left()).map(|link| link.peer.id).collect();
        for peer_id in left {
            self.let_go(&peer_id);
        }
        for peer in peers {
            let address = peer.address();
            match self.links.get_mut(&peer.id) {
                None => self.begin(peer, address),
                Some(link) if link.address != address => {
                    tracing::info!(validator = %peer.index, %address, "this validator has moved");
                    (link.address, link.found) = (address, Vec::new());
                    link.dialer.on_moved(Instant::now());
                    self.swarm.behaviour_mut().gate.know(peer.id, slice::from_ref(&link.address));
                    if !self.swarm.is_connected(&peer.id) {
                        // Ends a dial to the old address, which may still be under way. The only error is that there is no connection.
                        let _ = self.swarm.disconnect_peer_id(peer.id);
                    }
                }
                Some(_) => {}
            }
        }
        self.count_connected();
    }

    fn let_go(&mut self, peer_id: &PeerId) {
        let Some(link) = self.links.remove(peer_id) else { return };
        let protocols = self.swarm.behaviour_mut();
        // Also closes the connections and ends a dial that is under way.
        protocols.allowed.disallow_peer(*peer_id);
        protocols.gossip.remove_explicit_peer(peer_id);
        protocols.gate.forget(peer_id);
        tracing::info!(validator = %link.peer.index, %peer_id, "no longer a peer");
    }

    fn begin(&mut self, peer: Arc<Peer>, address: Multiaddr) {
        let protocols = self.swarm.behaviour_mut();
        protocols.allowed.allow_peer(peer.id);
        protocols.gate.know(peer.id, slice::from_ref(&address));
        // Must be symmetric; otherwise the other side would see grafts from an explicit peer.
        protocols.gossip.add_explicit_peer(&peer.id);
        let left = || Arc::clone(&peer).left();
        for class in Class::ALL {
            let name = format!("the network's task that sends {class:?} frames to validator {}", peer.index);
            let task = outgoing::run(Arc::clone(&self.shared), Arc::clone(&peer), class, self.control.clone());
            self.guards.spawn_until(left(), name, task);
        }
        let name = format!("the network's task that asks validator {} for its clock", peer.index);
        self.guards.spawn_until(left(), name, clock::ask(Arc::clone(&peer), self.control.clone()));
        let is_first = dial::is_first(&self.shared.my_id, &peer.id);
        let dialer = Dialer::new(peer.seed, is_first, Instant::now());
        self.links.insert(peer.id, Link { peer, address, found: Vec::new(), dialer, is_first, connections: Vec::new() });
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        let due: Vec<PeerId> = self.links.values().filter(|link| link.dialer.is_due(now)).map(|link| link.peer.id).collect();
        for peer_id in due {
            self.reach(&peer_id);
        }
    }

    /// Dials a peer, after a look-up of its name if it has one.
    fn reach(&mut self, peer_id: &PeerId) {
        let Some(link) = self.links.get_mut(peer_id) else { return };
        let Some(name) = Name::of(&link.address) else {
            let address = link.address.clone();
            return self.dial(peer_id, vec![address]);
        };
        link.dialer.on_looking_up();
        let seat = link.peer.index;
        if self.looking_up.insert(seat) {
            let resolver = self.shared.resolver;
            self.lookups.push(Box::pin(async move {
                let found = name.clone().look_up(resolver).await;
                (seat, name, found)
            }));
        }
    }

    fn on_looked_up(&mut self, (seat, name, found): LookedUp) {
        self.looking_up.remove(&seat);
        let Some(link) = self.links.values_mut().find(|link| link.peer.index == seat) else { return };
        if !link.dialer.is_looking_up() {
            return; // connected or moved meanwhile
        }
        let peer_id = link.peer.id;
        if Name::of(&link.address).as_ref() != Some(&name) {
            return self.reach(&peer_id); // the holder of the seat has moved, or is another
        }
        match found {
            Ok(addresses) => {
                link.found.clone_from(&addresses);
                self.swarm.behaviour_mut().gate.know(peer_id, &addresses);
                self.dial(&peer_id, addresses);
            }
            Err(error) if !link.found.is_empty() => {
                tracing::debug!(validator = %seat, "its name cannot be resolved, so it is dialled where it was last: {error}");
                let addresses = link.found.clone();
                self.dial(&peer_id, addresses);
            }
            Err(error) => {
                link.dialer.on_not_found(Instant::now());
                Shared::on_unreachable(&link.peer, &format!("its name cannot be resolved: {error}"));
            }
        }
    }

    fn dial(&mut self, peer_id: &PeerId, addresses: Vec<Multiaddr>) {
        let Some(link) = self.links.get_mut(peer_id) else { return };
        let options = DialOpts::peer_id(*peer_id)
            .addresses(addresses)
            // Not "and not dialling": a dial to an earlier address may still be ending.
            .condition(PeerCondition::Disconnected)
            // Dialling from the listen port would collide with remnants of the previous connection.
            .allocate_new_port()
            .build();
        let connection = options.connection_id();
        link.dialer.on_dialling(connection);
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(validator = %link.peer.index, "cannot dial now: {error}");
            link.dialer.on_failed(connection, Instant::now());
        }
    }

    fn publish(&mut self, frame: Bytes) {
        let length = metrics::bytes(frame.len());
        let reason = match self.swarm.behaviour_mut().gossip.publish(self.topic.hash(), frame) {
            Ok(_) => return self.gossip_sent.count(1, length),
            Err(PublishError::Duplicate) => DropReason::duplicate,
            Err(PublishError::NoPeersSubscribedToTopic) => DropReason::no_subscriber,
            Err(PublishError::AllQueuesFull(_)) => DropReason::slow_peer,
            Err(error @ (PublishError::MessageTooLarge | PublishError::SigningError(_) | PublishError::TransformFailed(_))) => {
                tracing::warn!("a gossip frame of {length} bytes was not published: {error}");
                DropReason::bad_length
            }
        };
        self.shared.metrics.dropped(Lane::gossip, reason, 1);
    }

    fn on_event(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(event)) => self.on_ping(&event),
            SwarmEvent::Behaviour(ProtocolsEvent::Streams(())) => {}
            SwarmEvent::Behaviour(ProtocolsEvent::Allowed(never) | ProtocolsEvent::Gate(never)) => match never {},
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(&peer_id, connection_id, endpoint.is_dialer());
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, num_established, .. } => {
                if num_established > 0 {
                    self.subscribe_again();
                }
                let cause = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_disconnected(&peer_id, connection_id, &cause);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), connection_id, error } => {
                self.on_dial_failed(&peer_id, connection_id, error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.on_incoming_refused(&send_back_addr, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => add_listen_address(&self.shared, &address),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let address = address.to_string();
                lock(&self.shared.listen_addresses).retain(|known| *known != address);
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                self.guards.fail(&format!("the listener for other validators has closed: {reason:?}"));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!("the listener reports: {error}"),
            // The enum is non-exhaustive, and no other event matters here.
            event => tracing::trace!(?event, "swarm event"),
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                // "Ignore" means: consumed, not forwarded, not punished.
                self.swarm.behaviour_mut().gossip.report_message_validation_result(
                    &message_id,
                    &propagation_source,
                    MessageAcceptance::Ignore,
                );
                let Some(Link { peer, .. }) = self.links.get(&propagation_source) else { return };
                let length = message.data.len();
                self.gossip_received.count(1, metrics::bytes(length));
                let reason = match self.gossip_inbox.try_reserve(peer.index, length) {
                    None => DropReason::consumer_lagging,
                    Some(room) => {
                        let bytes = Bytes::from(message.data);
                        if self.gossip_inbox.deliver(room, peer, Incoming::Gossip { from: peer.index, bytes }) {
                            return;
                        }
                        DropReason::consumer_gone
                    }
                };
                self.shared.metrics.dropped(Lane::gossip, reason, 1);
            }
            gossipsub::Event::SlowPeer { failed_messages, .. } => {
                let lost = failed_messages.priority.saturating_add(failed_messages.non_priority);
                self.shared.metrics.dropped(Lane::gossip, DropReason::slow_peer, metrics::bytes(lost));
            }
            gossipsub::Event::Subscribed { .. }
            | gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    /// Gossipsub tells a peer of our subscription only once, on the first of several connections. If that one has closed, the peer may never have
    /// heard of it, and would send us no gossip.
    fn subscribe_again(&mut self) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.unsubscribe(&self.topic);
        if let Err(error) = gossip.subscribe(&self.topic) {
            tracing::error!("cannot subscribe to gossip: {error}");
        }
    }

    fn on_ping(&mut self, event: &ping::Event) {
        let Some(link) = self.links.get_mut(&event.peer) else { return };
        let peer = &link.peer;
        let connection = link.connections.iter_mut().find(|connection| connection.id == event.connection);
        let Some(connection) = connection else { return };
        match &event.result {
            Ok(round_trip) => {
                connection.missed_pings = 0;
                peer.record().round_trip = Some(*round_trip);
            }
            Err(ping::Failure::Unsupported) => {}
            Err(ping::Failure::Timeout | ping::Failure::Other { .. }) => {
                connection.missed_pings = connection.missed_pings.saturating_add(1);
                if connection.missed_pings >= PING_FAILURES_MAX {
                    tracing::info!(validator = %peer.index, "no answer to pings: closing the connection");
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    fn on_connected(&mut self, peer_id: &PeerId, id: ConnectionId, is_ours: bool) {
        let Some(link) = self.links.get_mut(peer_id) else { return };
        let peer = &link.peer;
        let now = Instant::now();
        let newer = Connection { id, is_ours, since: now, missed_pings: 0 };
        for older in &link.connections {
            if newer.crosses(older) {
                let loser = if dial::older_stays(older.is_ours, link.is_first) { id } else { older.id };
                tracing::debug!(validator = %peer.index, "both ends have dialled: closing the second dialer's connection");
                self.swarm.close_connection(loser);
                continue;
            }
            // The newest authenticated connection wins. Either the peer has restarted or noticed before us that the old connection is dead, or
            // two nodes run with one key, which the counter shows.
            self.shared.metrics.replaced_connection();
            peer.doubled.store(true, Ordering::Relaxed);
            tracing::warn!(
                validator = %peer.index,
                "a newer connection replaced the older one: this validator restarted, or two nodes run with its key"
            );
            self.swarm.close_connection(older.id);
        }
        let is_new_link = link.connections.is_empty();
        link.connections.push(newer);
        link.dialer.on_connected(now);
        if is_new_link {
            tracing::info!(validator = %peer.index, %peer_id, "connected");
            peer.record().on_connected(now);
            peer.connected.send_replace(true);
            self.count_connected();
        }
    }

    fn on_disconnected(&mut self, peer_id: &PeerId, id: ConnectionId, cause: &str) {
        let Some(link) = self.links.get_mut(peer_id) else { return };
        let Some(position) = link.connections.iter().position(|connection| connection.id == id) else { return };
        link.connections.remove(position);
        if !link.connections.is_empty() {
            return;
        }
        let peer = &link.peer;
        let now = Instant::now();
        link.dialer.on_disconnected(now);
        tracing::info!(validator = %peer.index, %peer_id, "disconnected: {cause}");
        peer.record().on_disconnected(now, cause);
        peer.connected.send_replace(false);
        self.count_connected();
    }

    fn on_dial_failed(&mut self, peer_id: &PeerId, id: ConnectionId, error: DialError) {
        let Some(link) = self.links.get_mut(peer_id) else { return };
        let peer = &link.peer;
        // Gossipsub and libp2p-stream also request connections, without an address; that fails at once and is not worth reporting.
        if !link.dialer.on_failed(id, Instant::now()) {
            return;
        }
        let text = match error {
            DialError::WrongPeerId { obtained, address } => {
                let refusal = Refusal::WrongKey { found: obtained.to_base58(), address: address.to_string() };
                return self.shared.on_refused(peer, refusal);
            }
            DialError::Transport(attempts) => attempts.into_iter().map(|(_, error)| innermost(&error)).collect::<Vec<_>>().join("; "),
            error @ (DialError::LocalPeerId { .. }
            | DialError::NoAddresses
            | DialError::DialPeerConditionFalse(_)
            | DialError::Aborted
            | DialError::Denied { .. }) => error.to_string(),
        };
        Shared::on_unreachable(peer, &text);
    }

    fn on_incoming_refused(&mut self, from: &Multiaddr, error: &ListenError) {
        match error {
            ListenError::Denied { cause } if is_stranger(cause) => {
                self.shared.metrics.refused(RefusalReason::not_in_committee);
                self.strangers.on_refused(from, cause);
            }
            ListenError::Denied { .. } => self.shared.metrics.refused(RefusalReason::too_many_connections),
            ListenError::Aborted | ListenError::WrongPeerId { .. } | ListenError::LocalPeerId { .. } | ListenError::Transport(_) => {
                tracing::debug!(%from, "an incoming connection failed: {error}");
            }
        }
    }

    fn count_connected(&self) {
        let connected = self.links.values().filter(|link| !link.connections.is_empty()).count();
        self.shared.metrics.set_connected(connected);
    }
}

impl Connection {
    /// Whether both ends have dialled at the same time, as far as one end can tell. Both must then close the same connection; if the newest
    /// always won, each end might close the one that the other keeps.
    fn crosses(&self, older: &Connection) -> bool {
        self.is_ours != older.is_ours && self.since.saturating_duration_since(older.since) < CONNECTION_TIMEOUT
    }
}

impl Strangers {
    /// Logs at most one line per [`STRANGER_LOG_PAUSE`], however many strangers come.
    fn on_refused(&mut self, from: &Multiaddr, cause: &ConnectionDenied) {
        self.unreported = self.unreported.saturating_add(1);
        let now = Instant::now();
        if self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= STRANGER_LOG_PAUSE) {
            let count = self.unreported;
            tracing::warn!(%from, count, "refused a node that is not in the committee: {}", innermost(cause));
            *self = Strangers { unreported: 0, logged_at: Some(now) };
        }
    }
}

fn build(keypair: &identity::Keypair, shared: &Shared, topic: &IdentTopic) -> Result<Swarm<Protocols>, NetworkError> {
    let protocols = Protocols {
        allowed: allow_block_list::Behaviour::default(),
        gate: Gate::default(),
        gossip: gossip::behaviour(topic, &shared.limits.gossip)?,
        streams: libp2p_stream::Behaviour::new(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
    };
    let mut multiplexer = yamux::Config::default();
    multiplexer.set_max_num_streams(STREAMS_MAX);
    // Not with libp2p's builder, which moves the key through its stages and leaves a copy behind each time. Noise uses our key only once, to
    // sign its own.
    let noise = noise::Config::new(keypair).map_err(|error| NetworkError::Setup { part: "noise", problem: error.to_string() })?;
    let transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(multiplexer)
        .timeout(CONNECTION_TIMEOUT)
        .boxed();
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    Ok(Swarm::new(transport, protocols, shared.my_id, config))
}

/// Opens the listener and waits for its address, so that `start` fails if the port is in use.
async fn listen_on(swarm: &mut Swarm<Protocols>, listen: Multiaddr, shared: &Shared) -> Result<(), NetworkError> {
    let failed = |source: io::Error| NetworkError::Listen { address: listen.to_string(), source };
    config::probe(&listen)?;
    swarm.listen_on(listen.clone()).map_err(|error| match error {
        libp2p::TransportError::Other(error) => failed(io::Error::new(error.kind(), innermost(&error))),
        error @ libp2p::TransportError::MultiaddrNotSupported(_) => failed(io::Error::other(error.to_string())),
    })?;
    let address = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
                SwarmEvent::ListenerError { error, .. } => return Err(error),
                SwarmEvent::ListenerClosed { reason, .. } => {
                    return Err(reason.err().unwrap_or_else(|| io::Error::other("the listener closed")));
                }
                // No peer can have connected yet: a listener first reports its address.
                event => tracing::trace!(?event, "before listening"),
            }
        }
    };
    let address = tokio::time::timeout(LISTEN_TIMEOUT, address)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        .map_err(failed)?;
    add_listen_address(shared, &address);
    Ok(())
}

fn add_listen_address(shared: &Shared, address: &Multiaddr) {
    tracing::info!(%address, "listening");
    lock(&shared.listen_addresses).push(address.to_string());
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_stranger(cause: &ConnectionDenied) -> bool {
    cause.downcast_ref::<allow_block_list::NotAllowed>().is_some()
}

/// The root cause: libp2p wraps "Connection refused" three times.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
