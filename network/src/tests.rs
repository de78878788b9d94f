//! Real nodes on 127.0.0.1, and a rogue peer with a key and arbitrary behaviour.
//!
//! Every wait is bounded and polls a condition; no test asserts how long anything takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, gossipsub, identity, noise,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use libp2p_stream::Control;
use prometheus_client::registry::Registry;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::{
    ApplicationId, Class, Hello, Incoming, IncomingReceivers, Limits, Network, NetworkConfig, NetworkError, Peer, PeerIndex, PeerState,
    PeerStatus, Receiver, Refusal, gossip,
    hello::{ANSWER_ACCEPTED, ANSWER_DOUBLED, ANSWER_REFUSED, HELLO_BYTES},
    network_public_key, start,
};

mod set_peers;

fn hello() -> Hello {
    Hello { application: ApplicationId::new("counter", 1), chain_id: 7, genesis_hash: [3; 32], protocol_version: 1 }
}
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A committee whose members are started one by one.
struct Committee {
    ports: Vec<u16>,
}

struct Node {
    network: Network,
    receivers: IncomingReceivers,
    registry: Registry,
}

impl Committee {
    fn of(size: usize) -> Committee {
        // All bound at once, so that the ports differ, and then released for the nodes.
        let listeners: Vec<_> = (0..size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        Committee { ports: listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect() }
    }

    fn address(&self, member: usize) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.ports[member])
    }

    fn peer(&self, member: usize) -> Peer {
        Peer { index: index(member), network_key: network_public_key(&seed(member)), address: self.address(member) }
    }

    fn config(&self, member: usize) -> NetworkConfig {
        NetworkConfig {
            secret: Box::new(Zeroizing::new(seed(member))),
            listen: self.address(member),
            resolver: None,
            peers: (0..self.ports.len()).filter(|other| *other != member).map(|other| self.peer(other)).collect(),
            hello: hello(),
            limits: Limits::default(),
        }
    }

    fn start(&self, member: usize) -> Node {
        node(self.config(member))
    }
}

fn node(config: NetworkConfig) -> Node {
    let (network, receivers) = start(config, |what| panic!("{what}")).unwrap();
    let mut registry = Registry::default();
    network.register_metrics(&mut registry);
    Node { network, receivers, registry }
}

fn seed(member: usize) -> [u8; 32] {
    [u8::try_from(member).unwrap() + 1; 32]
}

fn index(member: usize) -> PeerIndex {
    PeerIndex(u16::try_from(member).unwrap())
}

impl Node {
    fn state(&self, member: usize) -> PeerState {
        self.network.status().iter().find(|peer| peer.index == index(member)).unwrap().state
    }

    fn refused(&self, member: usize) -> Option<Refusal> {
        self.network.status().into_iter().find(|peer| peer.index == index(member)).unwrap().refused
    }

    fn is_connected_to(&self, member: usize) -> bool {
        self.state(member) == PeerState::Connected
    }

    fn is_connected_to_all(&self) -> bool {
        self.network.status().iter().all(PeerStatus::is_connected)
    }

    /// The value of a metric; `name` includes the labels.
    fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("quorate_network_{name} ")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(POLL).await;
    }
}

async fn next(receiver: &mut Receiver) -> Incoming {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("a frame in time").expect("the network runs")
}

async fn next_number(receiver: &mut Receiver) -> u32 {
    match next(receiver).await {
        Incoming::Frame { bytes, .. } => number_of(&bytes),
        Incoming::Gossip { .. } => panic!("gossip on the receiver of a class"),
    }
}

/// A frame of `length` bytes that begins with a number.
fn numbered(number: u32, length: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length.max(4), 0xaa);
    Bytes::from(bytes)
}

fn number_of(bytes: &Bytes) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// A libp2p node with any key that uses only raw streams.
struct Rogue {
    control: Control,
    /// Runs the swarm until dropped.
    driver: tokio::task::JoinHandle<()>,
    closed: tokio::sync::watch::Receiver<u32>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Rogue {
    /// Connects to `address` the given number of times.
    fn connect(key: [u8; 32], address: &str, times: usize) -> Rogue {
        let mut swarm: Swarm<libp2p_stream::Behaviour> =
            SwarmBuilder::with_existing_identity(identity::Keypair::ed25519_from_bytes(key).unwrap())
                .with_tokio()
                .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
                .unwrap()
                .with_behaviour(|_| libp2p_stream::Behaviour::new())
                .unwrap()
                .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
                .build();
        let control = swarm.behaviour().new_control();
        let address: Multiaddr = address.parse().unwrap();
        for _ in 0..times {
            let options = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
            swarm.dial(options).unwrap();
        }
        let (count_closed, closed) = tokio::sync::watch::channel(0);
        let driver = tokio::spawn(async move {
            loop {
                if let SwarmEvent::ConnectionClosed { .. } = swarm.select_next_some().await {
                    count_closed.send_modify(|count| *count += 1);
                }
            }
        });
        Rogue { control, driver, closed }
    }

    /// Opens a stream to `member` and sends `first` in place of a hello.
    async fn open(&mut self, member: usize, class: Class, first: &[u8]) -> Stream {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let opening = self.control.open_stream(id_of(member), StreamProtocol::new(class.protocol()));
            if let Ok(Ok(mut stream)) = tokio::time::timeout(Duration::from_secs(1), opening).await {
                stream.write_all(first).await.unwrap();
                stream.flush().await.unwrap();
                return stream;
            }
            assert!(Instant::now() < deadline, "no stream to {member}");
        }
    }

    /// Opens a stream to `member` with a proper hello, and returns the answer; retries if libp2p-stream drops it.
    async fn open_answered(&mut self, member: usize, class: Class) -> (Stream, u8) {
        loop {
            let mut stream = self.open(member, class, &hello().encode()).await;
            let mut answer = [0xff];
            if stream.read_exact(&mut answer).await.is_ok() {
                return (stream, answer[0]);
            }
        }
    }

    async fn open_accepted(&mut self, member: usize, class: Class) -> Stream {
        let (stream, answer) = self.open_answered(member, class).await;
        assert_eq!(answer, ANSWER_ACCEPTED);
        stream
    }
}

fn id_of(member: usize) -> PeerId {
    identity::Keypair::ed25519_from_bytes(seed(member)).unwrap().public().to_peer_id()
}

async fn is_ended(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await.expect("an end in time");
    !matches!(read, Ok(1..))
}

async fn write_frame(stream: &mut Stream, bytes: &[u8]) {
    stream.write_all(&u32::try_from(bytes.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn four_nodes_connect_and_every_class_delivers_in_order_to_everyone() {
    const FRAMES: u32 = 60;
    let committee = Committee::of(4);
    let mut nodes: Vec<Node> = (0..4).map(|member| committee.start(member)).collect();
    eventually("all connected", || nodes.iter().all(Node::is_connected_to_all)).await;

    for node in &nodes {
        for number in 0..FRAMES {
            for peer in node.network.status() {
                node.network.send(peer.index, Class::Consensus, numbered(number, 200));
                // Sizes below and above the limit for coalescing.
                node.network.send(peer.index, Class::Sync, numbered(number, 1 + 700 * number as usize));
            }
        }
    }
    for (member, node) in nodes.iter_mut().enumerate() {
        for class in Class::ALL {
            let receiver = match class {
                Class::Consensus => &mut node.receivers.consensus,
                Class::Sync => &mut node.receivers.sync,
            };
            let mut arrived: BTreeMap<PeerIndex, Vec<u32>> = BTreeMap::new();
            for _ in 0..3 * FRAMES {
                let Incoming::Frame { from, class: on, bytes } = next(receiver).await else { panic!("not a frame") };
                assert_eq!(on, class);
                arrived.entry(from).or_default().push(number_of(&bytes));
            }
            let others: BTreeMap<_, _> =
                (0..4).filter(|other| *other != member).map(|other| (index(other), (0..FRAMES).collect::<Vec<_>>())).collect();
            assert_eq!(arrived, others, "node {member}, {class:?}");
        }
    }
}

#[tokio::test]
async fn gossip_reaches_every_node_once_and_only_in_one_hop() {
    let committee = Committee::of(4);
    let mut nodes: Vec<Node> = (0..4).map(|member| committee.start(member)).collect();
    eventually("all connected", || nodes.iter().all(Node::is_connected_to_all)).await;
    everyone_hears_everyone(&mut nodes).await;
}

/// Subscriptions propagate in the background: publishes numbered frames until every node has heard every other one.
async fn everyone_hears_everyone(nodes: &mut [Node]) {
    let mut heard: Vec<BTreeSet<(PeerIndex, u32)>> = vec![BTreeSet::new(); nodes.len()];
    let mut number = 0;
    let deadline = Instant::now() + PATIENCE;
    while !heard.iter().all(|heard| heard.iter().map(|(from, _)| from).collect::<BTreeSet<_>>().len() == nodes.len() - 1) {
        assert!(Instant::now() < deadline, "gossip: {heard:?}");
        for (member, node) in (0..).zip(&*nodes) {
            // The frame includes the sender's index, because equal bytes count as one message.
            node.network.gossip(numbered(number * 10 + member, 1000));
        }
        number += 1;
        sleep(POLL).await;
        for (node, heard) in nodes.iter_mut().zip(&mut heard) {
            while let Some(incoming) = node.receivers.gossip.try_recv() {
                let Incoming::Gossip { from, bytes } = incoming else { panic!("not gossip") };
                assert_eq!(number_of(&bytes) % 10, u32::from(from.0), "`from` is the publisher");
                assert!(heard.insert((from, number_of(&bytes))), "twice: {bytes:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_peer_whose_first_connection_is_replaced_hears_of_our_subscription_again() {
    let committee = Committee::of(2);
    let node = committee.start(0);
    let topic = gossip::topic(&hello());
    let mut swarm = SwarmBuilder::with_existing_identity(identity::Keypair::ed25519_from_bytes(seed(1)).unwrap())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| gossip::behaviour(&topic, &Limits::default().gossip).unwrap())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    let heard = async {
        for connection in 0..2 {
            let address: Multiaddr = committee.address(0).parse().unwrap();
            swarm.dial(DialOpts::unknown_peer_id().address(address).allocate_new_port().build()).unwrap();
            let mut is_replaced = connection == 0;
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionClosed { .. } => is_replaced = true,
                    SwarmEvent::Behaviour(gossipsub::Event::Subscribed { .. }) if is_replaced => break,
                    _ => {}
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the subscription in time");
    assert_eq!(node.metric("replaced_connections_total"), 1);
}

#[tokio::test]
async fn a_stranger_gets_no_stream_and_is_counted() {
    let committee = Committee::of(2);
    let mut node = committee.start(0);
    let mut stranger = Rogue::connect([99; 32], &committee.address(0), 1);
    eventually("counted", || node.metric("refused_peers_total{reason=\"not_in_committee\"}") == 1).await;
    eventually("hung up", || *stranger.closed.borrow_and_update() == 1).await;
    let opening = stranger.control.open_stream(id_of(0), StreamProtocol::new(Class::Consensus.protocol()));
    assert!(!matches!(tokio::time::timeout(Duration::from_secs(1), opening).await, Ok(Ok(_))));
    assert_eq!(node.receivers.consensus.try_recv(), None);
    assert_eq!(node.metric("connected_peers"), 0);
}

#[tokio::test]
async fn a_different_chain_genesis_or_version_is_refused_by_name_on_both_sides() {
    let cases = [
        (
            Hello { application: ApplicationId::new("counter", 2), ..hello() },
            Refusal::Application { ours: ApplicationId::new("counter", 1), theirs: ApplicationId::new("counter", 2) },
            Refusal::Application { ours: ApplicationId::new("counter", 2), theirs: ApplicationId::new("counter", 1) },
            "application",
        ),
        (Hello { chain_id: 8, ..hello() }, Refusal::ChainId { ours: 7, theirs: 8 }, Refusal::ChainId { ours: 8, theirs: 7 }, "chain_id"),
        (
            Hello { genesis_hash: [4; 32], ..hello() },
            Refusal::GenesisHash { ours: [3; 32], theirs: [4; 32] },
            Refusal::GenesisHash { ours: [4; 32], theirs: [3; 32] },
            "genesis_hash",
        ),
        (
            Hello { protocol_version: 2, ..hello() },
            Refusal::ProtocolVersion { ours: 1, theirs: 2 },
            Refusal::ProtocolVersion { ours: 2, theirs: 1 },
            "protocol_version",
        ),
    ];
    for (other_hello, at_ours, at_theirs, label) in cases {
        let committee = Committee::of(2);
        let ours = committee.start(0);
        let mut theirs = node(NetworkConfig { hello: other_hello, ..committee.config(1) });
        ours.network.send(index(1), Class::Consensus, numbered(1, 10));
        eventually(label, || ours.refused(1) == Some(at_ours.clone())).await;
        eventually(label, || theirs.refused(0) == Some(at_theirs.clone())).await;
        assert!(ours.metric(&format!("refused_peers_total{{reason=\"{label}\"}}")) > 0);
        assert_eq!(ours.state(1), PeerState::Greeting, "{label}");
        assert_eq!(theirs.receivers.consensus.try_recv(), None, "{label}");
    }
}

#[tokio::test]
async fn a_peer_that_comes_back_with_the_right_chain_is_welcome() {
    let committee = Committee::of(2);
    let ours = committee.start(0);
    let wrong = node(NetworkConfig { hello: Hello { chain_id: 8, ..hello() }, ..committee.config(1) });
    eventually("refused", || ours.refused(1).is_some()).await;
    wrong.network.shutdown();
    let right = committee.start(1);
    eventually("connected", || ours.is_connected_to_all() && right.is_connected_to_all()).await;
    assert_eq!(ours.refused(1), None);
}

#[tokio::test]
async fn bad_frames_close_only_their_own_stream() {
    let committee = Committee::of(3);
    let mut node = committee.start(0);
    let honest = committee.start(1);
    let connected = |node: &Node, peer| node.state(peer) == PeerState::Connected;
    eventually("connected", || connected(&node, 1) && connected(&honest, 0)).await;
    let mut rogue = Rogue::connect(seed(2), &committee.address(0), 1);
    let mut sync = rogue.open_accepted(0, Class::Sync).await;
    let closed = |node: &Node| node.metric("stream_faults_total{class=\"consensus\",fault=\"closed\"}");
    let closed_before = closed(&node);

    let oversized = 1024 * 1024 + 1_u32;
    let cases: [(&str, [u8; 4]); 3] =
        [("oversized_frame", oversized.to_be_bytes()), ("oversized_frame", [0xff; 4]), ("empty_frame", [0; 4])];
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (number, (fault, prefix)) in (0_u32..).zip(cases) {
        let mut stream = rogue.open_accepted(0, Class::Consensus).await;
        write_frame(&mut stream, &numbered(number, 10)).await;
        stream.write_all(&prefix).await.unwrap();
        stream.flush().await.unwrap();
        assert!(is_ended(&mut stream).await);
        *faults.entry(fault).or_default() += 1;
        let metric = format!("stream_faults_total{{class=\"consensus\",fault=\"{fault}\"}}");
        eventually(fault, || node.metric(&metric) == faults[fault]).await;
        assert_eq!(next_number(&mut node.receivers.consensus).await, number, "frames before the fault are delivered");
    }

    // Garbage in place of a hello is answered with our own hello, so that the peer's operator can see the mismatch.
    let mut garbage = rogue.open(0, Class::Consensus, &[0x5a; HELLO_BYTES]).await;
    let mut answer = [0xff; 1 + HELLO_BYTES];
    garbage.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[0], ANSWER_REFUSED);
    assert_eq!(answer[1..], hello().encode());
    assert!(is_ended(&mut garbage).await);
    eventually("shown", || node.refused(2) == Some(Refusal::MalformedHello)).await;

    // The rogue's other stream, its connection and the honest peer are unaffected.
    write_frame(&mut sync, &numbered(77, 10)).await;
    assert_eq!(next_number(&mut node.receivers.sync).await, 77);
    assert_eq!(*rogue.closed.borrow(), 0);
    assert!(connected(&node, 1) && connected(&honest, 0));
    assert_eq!(closed(&node), closed_before);
}

#[tokio::test]
async fn a_peer_that_never_reads_does_not_delay_the_others() {
    const FRAMES: u32 = 500;
    let committee = Committee::of(3);
    let node = committee.start(0);
    let mut honest = committee.start(1);
    let mut rogue = Rogue::connect(seed(2), &committee.address(0), 1);
    // The rogue accepts the streams that it is offered, and then never reads from them.
    let mut held = Vec::new();
    for class in Class::ALL {
        let mut offered = rogue.control.accept(StreamProtocol::new(class.protocol())).unwrap();
        let mut stream = tokio::time::timeout(PATIENCE, offered.next()).await.unwrap().unwrap().1;
        stream.read_exact(&mut [0; HELLO_BYTES]).await.unwrap();
        stream.write_all(&[ANSWER_ACCEPTED]).await.unwrap();
        stream.flush().await.unwrap();
        held.push((offered, stream));
    }
    eventually("connected", || node.is_connected_to_all()).await;

    for number in 0..FRAMES {
        node.network.send(index(2), Class::Consensus, numbered(number, 100 * 1024));
        node.network.send(index(1), Class::Consensus, numbered(number, 1000));
        if number % 100 == 0 {
            sleep(POLL).await;
        }
    }
    for number in 0..FRAMES {
        assert_eq!(next_number(&mut honest.receivers.consensus).await, number);
    }
    assert!(node.metric("dropped_frames_total{class=\"consensus\",reason=\"queue_full\"}") > 0);
    let queued = node.network.status()[1].queued_frames * 100 * 1024;
    assert!(queued <= Limits::default().consensus.queue_bytes_max, "{queued} bytes wait");

    // After ten seconds without a byte read, the stream is closed and a new one offered.
    let stalled = "stream_faults_total{class=\"consensus\",fault=\"write_stalled\"}";
    eventually("stalled", || node.metric(stalled) == 1).await;
    let (offered, _) = &mut held[0];
    assert!(tokio::time::timeout(PATIENCE, offered.next()).await.unwrap().is_some());
    assert_eq!(*rogue.closed.borrow(), 0, "the connection stays");
}

#[tokio::test]
async fn a_consumer_that_lags_in_one_class_does_not_delay_the_other_class() {
    let committee = Committee::of(2);
    let (sender, mut receiver) = (committee.start(0), committee.start(1));
    eventually("connected", || sender.is_connected_to_all()).await;
    // Sixteen megabytes of sync frames, of which the idle consumer's budget admits four.
    for number in 0..64 {
        sender.network.send(index(1), Class::Sync, numbered(number, 256 * 1024));
    }
    for number in 0..200 {
        sender.network.send(index(1), Class::Consensus, numbered(number, 1000));
    }
    for number in 0..200 {
        assert_eq!(next_number(&mut receiver.receivers.consensus).await, number);
    }
    // Once the consumer is back, it finds that nothing was lost.
    for number in 0..64 {
        assert_eq!(next_number(&mut receiver.receivers.sync).await, number);
    }
}

#[tokio::test]
async fn a_node_that_restarts_on_the_same_address_is_connected_again() {
    let committee = Committee::of(2);
    for restarted in 0..2 {
        let stays = 1 - restarted;
        let mut one = committee.start(stays);
        let other = committee.start(restarted);
        eventually("connected", || one.is_connected_to_all() && other.is_connected_to_all()).await;
        other.network.shutdown();
        eventually("disconnected", || one.state(restarted) == PeerState::Disconnected).await;
        assert_eq!(one.metric("connected_peers"), 0);

        let mut other = committee.start(restarted);
        eventually("connected again", || one.is_connected_to_all() && other.is_connected_to_all()).await;
        one.network.send(index(restarted), Class::Consensus, numbered(1, 10));
        other.network.send(index(stays), Class::Sync, numbered(2, 10));
        assert_eq!(next_number(&mut other.receivers.consensus).await, 1);
        assert_eq!(next_number(&mut one.receivers.sync).await, 2);
        one.network.shutdown();
        other.network.shutdown();
    }
}

#[tokio::test]
async fn an_absent_peer_finds_the_newest_frames_and_the_rest_are_counted() {
    let committee = Committee::of(2);
    let sender = committee.start(0);
    for number in 0..100 {
        sender.network.send(index(1), Class::Consensus, numbered(number, 10));
    }
    let kept = u32::try_from(Limits::default().consensus.offline_frames_max).unwrap();
    let metric = "dropped_frames_total{class=\"consensus\",reason=\"queue_full\"}";
    assert_eq!(sender.metric(metric), u64::from(100 - kept));

    let mut late = committee.start(1);
    for number in 100 - kept..100 {
        assert_eq!(next_number(&mut late.receivers.consensus).await, number);
    }
    eventually("counted as sent", || {
        sender.metric("frames_sent_total{class=\"consensus\"}") == u64::from(kept)
            && sender.metric("sent_bytes_total{class=\"consensus\"}") == u64::from(kept) * 10
    })
    .await;
    assert_eq!(late.metric("frames_received_total{class=\"consensus\"}"), u64::from(kept));
}

#[tokio::test]
async fn the_newest_connection_of_an_identity_replaces_the_older_and_is_told_once() {
    let committee = Committee::of(2);
    let mut node = committee.start(0);
    let mut rogue = Rogue::connect(seed(1), &committee.address(0), 2);
    eventually("replaced", || node.metric("replaced_connections_total") == 1).await;
    eventually("the older is closed", || *rogue.closed.borrow() == 1).await;
    let (mut stream, answer) = rogue.open_answered(0, Class::Consensus).await;
    assert_eq!(answer, ANSWER_DOUBLED);
    write_frame(&mut stream, &numbered(5, 10)).await;
    assert_eq!(next_number(&mut node.receivers.consensus).await, 5);
    assert_eq!(node.metric("connected_peers"), 1);
    rogue.open_accepted(0, Class::Sync).await;
}

#[tokio::test]
async fn a_validator_that_reconnects_in_a_storm_is_slowed_down() {
    let committee = Committee::of(3);
    let node = committee.start(0);
    let honest = committee.start(1);
    eventually("connected", || node.state(1) == PeerState::Connected && honest.state(0) == PeerState::Connected).await;
    let _rogue = Rogue::connect(seed(2), &committee.address(0), 60);
    eventually("refused", || node.metric("refused_peers_total{reason=\"too_many_connections\"}") > 0).await;
    assert_eq!(node.metric("refused_peers_total{reason=\"not_in_committee\"}"), 0);
    assert_eq!(node.state(1), PeerState::Connected);
}

#[tokio::test]
async fn a_storm_of_streams_leaves_the_node_and_its_other_links_alone() {
    let committee = Committee::of(3);
    let mut node = committee.start(0);
    let honest = committee.start(1);
    eventually("connected", || node.state(1) == PeerState::Connected && honest.state(0) == PeerState::Connected).await;
    let closed = |node: &Node| node.metric("stream_faults_total{class=\"consensus\",fault=\"closed\"}");
    let closed_before = closed(&node);
    let rogue = Rogue::connect(seed(2), &committee.address(0), 1);
    let storm = (0..300).map(|_| {
        let mut control = rogue.control.clone();
        async move {
            let opening = control.open_stream(id_of(0), StreamProtocol::new(Class::Sync.protocol()));
            tokio::time::timeout(Duration::from_secs(2), opening).await.ok()
        }
    });
    let held = futures::future::join_all(storm).await;
    honest.network.send(index(0), Class::Consensus, numbered(1, 10));
    assert_eq!(next_number(&mut node.receivers.consensus).await, 1);
    assert_eq!(node.state(1), PeerState::Connected);
    assert_eq!(closed(&node), closed_before);
    drop(held);
}

#[tokio::test]
async fn frames_that_must_not_be_sent_are_counted_and_go_nowhere() {
    let committee = Committee::of(2);
    let node = committee.start(0);
    node.network.send(index(1), Class::Consensus, Bytes::new());
    node.network.send(index(1), Class::Consensus, Bytes::from(vec![0; 1024 * 1024 + 1]));
    node.network.send(index(0), Class::Sync, numbered(1, 10));
    node.network.send(index(9), Class::Sync, numbered(1, 10));
    node.network.gossip(Bytes::from(vec![0; 512 * 1024 + 1]));
    assert_eq!(node.metric("dropped_frames_total{class=\"consensus\",reason=\"bad_length\"}"), 2);
    assert_eq!(node.metric("dropped_frames_total{class=\"sync\",reason=\"unknown_peer\"}"), 2);
    assert_eq!(node.metric("dropped_frames_total{class=\"gossip\",reason=\"bad_length\"}"), 1);
    assert_eq!(node.network.status()[0].queued_frames, 0);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_start_that_names_it() {
    let committee = Committee::of(2);
    let _first = committee.start(0);
    let Err(error) = start(committee.config(0), |_| {}) else { panic!("started twice") };
    assert!(matches!(error, NetworkError::Listen { .. }));
    assert!(error.to_string().contains(&committee.address(0)), "{error}");
}

#[tokio::test]
async fn the_status_says_why_a_peer_cannot_be_reached() {
    let committee = Committee::of(2);
    for member in 0..2 {
        let node = committee.start(member);
        let reason = || node.network.status()[0].down_because();
        eventually("an error", || reason().is_some_and(|reason| reason.contains("refused"))).await;
        let peer = committee.start(1 - member);
        eventually("no reason", || reason().is_none()).await;
        peer.network.shutdown();
        eventually("a reason again", || reason().is_some()).await;
        node.network.shutdown();
    }
}

#[tokio::test]
async fn a_validator_that_has_moved_is_linked_whichever_of_the_two_knows_the_address() {
    let committee = Committee::of(3);
    for moved in 0..2 {
        let stays = 1 - moved;
        // It listens at an address unknown to its peer, which keeps dialling the old one.
        let listen = committee.address(2);
        let mover = node(NetworkConfig { listen, ..committee.config(moved) });
        let other = committee.start(stays);
        eventually("connected", || mover.state(stays) == PeerState::Connected && other.state(moved) == PeerState::Connected).await;
        mover.network.shutdown();
        other.network.shutdown();
    }
}

#[tokio::test]
async fn a_peer_is_found_by_its_name() {
    let committee = Committee::of(2);
    for named in 0..2 {
        let mut config = committee.config(1 - named);
        config.peers[0].address = format!("/dns4/localhost/tcp/{}", committee.ports[named]);
        let seeks = node(config);
        // The other end cannot open the link: it has a wrong address.
        let mut config = committee.config(named);
        config.peers[0].address = "/ip4/127.0.0.1/tcp/9".to_owned();
        let found = node(config);
        eventually("connected", || seeks.is_connected_to_all() && found.is_connected_to_all()).await;
        seeks.network.shutdown();
        found.network.shutdown();
    }
}

#[tokio::test]
async fn every_counter_is_there_from_the_start() {
    let committee = Committee::of(3);
    let node = committee.start(0);
    let series = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &node.registry).unwrap();
        let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
        names.collect::<BTreeSet<_>>()
    };
    let before = series();
    let _stranger = Rogue::connect([99; 32], &committee.address(0), 1);
    let mut rogue = Rogue::connect(seed(2), &committee.address(0), 1);
    let mut garbage = rogue.open(0, Class::Consensus, &[0x5a; HELLO_BYTES]).await;
    assert!(garbage.read_exact(&mut [0; 1 + HELLO_BYTES]).await.is_ok());
    let mut stream = rogue.open_accepted(0, Class::Sync).await;
    stream.write_all(&[0; 4]).await.unwrap();
    stream.flush().await.unwrap();
    assert!(is_ended(&mut stream).await);
    let honest = committee.start(1);
    eventually("connected", || node.state(1) == PeerState::Connected && honest.state(0) == PeerState::Connected).await;
    node.network.gossip(numbered(1, 10));
    node.network.send(index(1), Class::Consensus, Bytes::new());
    eventually("counted", || node.metric("refused_peers_total{reason=\"not_in_committee\"}") == 1).await;
    eventually("counted", || node.metric("stream_faults_total{class=\"sync\",fault=\"empty_frame\"}") == 1).await;
    assert_eq!(series(), before);
}

#[tokio::test]
async fn shutting_down_ends_the_receivers_and_frees_the_port() {
    let committee = Committee::of(2);
    let mut node = committee.start(0);
    assert_eq!(node.network.listen_addresses(), [committee.address(0)]);
    node.network.shutdown();
    assert_eq!(node.receivers.consensus.recv().await, None);
    assert_eq!(node.receivers.gossip.recv().await, None);
    let again = committee.start(0);
    drop(again);
}

#[tokio::test]
async fn the_clock_of_a_linked_peer_is_known_and_forgotten_with_the_link() {
    let committee = Committee::of(2);
    let (a, b) = (committee.start(0), committee.start(1));
    for node in [&a, &b] {
        eventually("the other's clock is known", || node.network.status()[0].clock.is_some()).await;
    }
    b.network.shutdown();
    eventually("it is forgotten", || a.network.status()[0].clock.is_none()).await;
}

#[tokio::test]
async fn a_peer_may_claim_anything_about_its_clock() {
    let committee = Committee::of(2);
    let node = committee.start(0);
    let mut rogue = Rogue::connect(seed(1), &committee.address(0), 1);
    let mut questions = rogue.control.accept(crate::clock::PROTOCOL).unwrap();
    let mut answer = async |bytes: &[u8]| {
        let (_, mut stream) = tokio::time::timeout(PATIENCE, questions.next()).await.expect("a question in time").unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.close().await.unwrap();
    };
    // Too short an answer: the node asks again.
    answer(&[1, 2, 3]).await;
    answer(&u64::MAX.to_be_bytes()).await;
    let claimed = || node.network.status()[0].clock.map(|clock| clock.unix_ms);
    eventually("the claim is shown", || claimed() == Some(u64::MAX)).await;
}
