//! Peers that join, leave, change their key and move while the network runs.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, copy_bidirectional},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::peer_id;

/// An address where nobody listens.
const NOWHERE: &str = "/ip4/127.0.0.1/tcp/9";

/// A moment in the life of a link.
struct Mark {
    at: Instant,
    since: Duration,
}

impl Committee {
    /// Only the lower of two members can dial the other, so that their connections never cross.
    fn one_sided(&self, member: usize) -> NetworkConfig {
        let address = |peer: &Peer| if peer.index < index(member) { NOWHERE.to_owned() } else { peer.address.clone() };
        let config = self.config(member);
        NetworkConfig { peers: config.peers.iter().map(|peer| Peer { address: address(peer), ..peer.clone() }).collect(), ..config }
    }
}

impl Node {
    fn set_peers(&self, peers: &[Peer]) {
        self.network.set_peers(peers.to_vec()).unwrap();
    }

    fn since(&self, member: usize) -> Duration {
        self.network.status().iter().find(|peer| peer.index == index(member)).unwrap().since
    }

    fn mark(&self, member: usize) -> Mark {
        let since = self.since(member);
        Mark { at: Instant::now(), since }
    }

    /// Whether the link has been in the same state ever since: then it is older by at least the time that has passed.
    fn is_unchanged(&self, member: usize, mark: &Mark) -> bool {
        let passed = mark.at.elapsed();
        self.since(member) >= mark.since + passed
    }

    fn strangers(&self) -> u64 {
        self.metric("refused_peers_total{reason=\"not_in_committee\"}")
    }

    fn queue_numbers(&self, member: usize, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.network.send(index(member), Class::Consensus, numbered(number, 10));
        }
    }
}

/// Sends until something has arrived, because a frame is lost if connections cross.
async fn one_way(sender: &Node, receiver: &mut Node, to: usize) {
    for (class, number) in [(Class::Consensus, 1), (Class::Sync, 2)] {
        let from_sender = match class {
            Class::Consensus => &mut receiver.receivers.consensus,
            Class::Sync => &mut receiver.receivers.sync,
        };
        eventually("a frame", || {
            sender.network.send(index(to), class, numbered(number, 10));
            let arrived = from_sender.try_recv();
            assert!(arrived.iter().all(|frame| matches!(frame, Incoming::Frame { bytes, .. } if number_of(bytes) == number)));
            arrived.is_some()
        })
        .await;
    }
}

async fn both_ways(one: &mut Node, other: &mut Node, members: (usize, usize)) {
    one_way(one, other, members.1).await;
    one_way(other, one, members.0).await;
}

/// Takes one TCP connection, and forwards it once it is opened. Its target must be listening when the connection comes.
struct Valve {
    address: String,
    taken: oneshot::Receiver<()>,
    open: oneshot::Sender<()>,
    forwarding: JoinHandle<io::Result<(u64, u64)>>,
}

impl Valve {
    async fn before(port: u16) -> Valve {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let (taking, taken) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        let forwarding = tokio::spawn(async move {
            let mut inner = listener.accept().await?.0;
            let mut outer = TcpStream::connect(("127.0.0.1", port)).await?;
            taking.send(()).unwrap();
            opened.await.unwrap();
            copy_bidirectional(&mut inner, &mut outer).await
        });
        Valve { address, taken, open, forwarding }
    }
}

#[tokio::test]
async fn a_node_that_joins_a_running_network_is_served_like_the_others() {
    let committee = Committee::of(3);
    let mut nodes = vec![
        node(NetworkConfig { peers: vec![committee.peer(1)], ..committee.config(0) }),
        node(NetworkConfig { peers: vec![Peer { address: NOWHERE.to_owned(), ..committee.peer(0) }], ..committee.config(1) }),
        node(NetworkConfig { peers: vec![], ..committee.config(2) }),
    ];
    eventually("the first two are connected", || nodes[0].is_connected_to(1) && nodes[1].is_connected_to(0)).await;
    let mark = nodes[0].mark(1);
    for (member, node) in nodes.iter().enumerate() {
        node.set_peers(&committee.one_sided(member).peers);
    }
    eventually("all connected", || nodes.iter().all(Node::is_connected_to_all)).await;
    assert_eq!(nodes[0].metric("connected_peers"), 2);
    assert!(nodes[0].is_unchanged(1, &mark));
    for (one, other) in [(0, 2), (1, 2)] {
        let mut pair = nodes.iter_mut().enumerate().filter(|(member, _)| [one, other].contains(member)).map(|(_, node)| node);
        let (first, second) = (pair.next().unwrap(), pair.next().unwrap());
        both_ways(first, second, (one, other)).await;
    }
    everyone_hears_everyone(&mut nodes).await;
    eventually("clocks", || nodes[2].network.status().iter().all(|peer| peer.clock.is_some())).await;
}

#[tokio::test]
async fn a_removed_peer_is_refused_like_a_stranger_until_it_is_set_again() {
    let committee = Committee::of(3);
    let mut nodes = vec![committee.start(0), committee.start(1), node(committee.one_sided(2))];
    eventually("all connected", || nodes.iter().all(Node::is_connected_to_all)).await;
    let mark = nodes[0].mark(2);

    nodes[0].set_peers(&[committee.peer(2)]);
    assert_eq!(nodes[0].network.status().len(), 1);
    nodes[0].queue_numbers(1, 0..3);
    assert_eq!(nodes[0].metric("dropped_frames_total{class=\"consensus\",reason=\"unknown_peer\"}"), 3);
    eventually("cut off", || nodes[1].state(0) == PeerState::Disconnected).await;
    eventually("its dials are refused", || nodes[0].strangers() > 0).await;
    assert_eq!(nodes[0].metric("connected_peers"), 1);

    nodes[0].set_peers(&committee.config(0).peers);
    eventually("let in again", || nodes[0].is_connected_to_all() && nodes[1].is_connected_to_all()).await;
    let (one, other) = nodes.split_at_mut(1);
    both_ways(&mut one[0], &mut other[0], (0, 1)).await;
    assert!(nodes[0].is_unchanged(2, &mark));
    everyone_hears_everyone(&mut nodes).await;
}

#[tokio::test]
async fn the_streams_and_connections_of_a_removed_peer_end() {
    let committee = Committee::of(2);
    let node = committee.start(0);
    let mut rogue = Rogue::connect(seed(1), &committee.address(0), 1);
    let mut streams = [rogue.open_accepted(0, Class::Consensus).await, rogue.open_accepted(0, Class::Sync).await];
    node.set_peers(&[]);
    for stream in &mut streams {
        assert!(is_ended(stream).await);
    }
    eventually("hung up", || *rogue.closed.borrow_and_update() == 1).await;
    assert_eq!(node.metric("connected_peers"), 0);
}

#[tokio::test]
async fn what_waits_for_a_removed_peer_is_dropped_and_counted() {
    let committee = Committee::of(2);
    let node = committee.start(0);
    node.queue_numbers(1, 0..5);
    node.set_peers(&[]);
    assert_eq!(node.metric("dropped_frames_total{class=\"consensus\",reason=\"unknown_peer\"}"), 5);
    node.set_peers(&[committee.peer(1)]);
    assert_eq!(node.network.status()[0].queued_frames, 0);
}

#[tokio::test]
async fn nothing_of_an_old_key_arrives_under_the_new_key_of_the_seat() {
    let committee = Committee::of(3);
    let mut node_0 = node(NetworkConfig { peers: vec![committee.peer(1)], ..committee.config(0) });
    let to_0 = NetworkConfig { peers: vec![committee.peer(0)], ..committee.config(1) };
    let old = node(to_0);
    eventually("connected", || node_0.is_connected_to(1) && old.is_connected_to(0)).await;
    let mut number = 100;
    eventually("frames of the old key wait for the consumer", || {
        number += 1;
        old.queue_numbers(0, number..number + 1);
        old.network.gossip(numbered(number, 10));
        ["consensus", "gossip"].iter().all(|class| node_0.metric(&format!("frames_received_total{{class=\"{class}\"}}")) > 0)
    })
    .await;

    let (new_seed, address) = ([50; 32], committee.address(2));
    node_0.set_peers(&[Peer { network_key: network_public_key(&new_seed), address: address.clone(), ..committee.peer(1) }]);
    assert_eq!(node_0.receivers.consensus.try_recv(), None);
    assert_eq!(node_0.receivers.gossip.try_recv(), None);
    old.queue_numbers(0, 200..220);
    eventually("the old key is refused", || node_0.strangers() > 0 && old.state(0) == PeerState::Disconnected).await;

    let secret = Box::new(Zeroizing::new(new_seed));
    let mut new = node(NetworkConfig { secret, listen: address, peers: vec![committee.peer(0)], ..committee.config(1) });
    eventually("the new key is linked", || node_0.is_connected_to(1) && new.is_connected_to(0)).await;
    both_ways(&mut node_0, &mut new, (0, 1)).await;
    assert_ne!(old.state(0), PeerState::Connected);
}

#[tokio::test]
async fn a_key_that_moves_to_another_seat_is_linked_anew_and_speaks_for_that_seat() {
    let committee = Committee::of(2);
    let mut node = committee.start(0);
    let other = super::node(committee.one_sided(1));
    eventually("connected", || node.is_connected_to(1) && other.is_connected_to(0)).await;
    other.queue_numbers(0, 0..1);
    eventually("received", || node.metric("frames_received_total{class=\"consensus\"}") == 1).await;
    node.set_peers(&[Peer { index: index(100), ..committee.peer(1) }]);
    assert_eq!(node.receivers.consensus.try_recv(), None);
    eventually("connected again", || node.is_connected_to(100) && other.is_connected_to(0)).await;
    other.queue_numbers(0, 1..2);
    let Incoming::Frame { from, bytes, .. } = next(&mut node.receivers.consensus).await else { panic!("not a frame") };
    assert_eq!((from, number_of(&bytes)), (index(100), 1));
}

#[tokio::test]
async fn a_peer_that_has_moved_is_found_and_the_other_links_keep_their_connections() {
    let committee = Committee::of(4);
    let peers = |member: usize| committee.one_sided(member).peers.into_iter().filter(|peer| peer.index != index(3)).collect();
    let config = |member: usize| NetworkConfig { peers: peers(member), ..committee.config(member) };
    let (node_0, mut node_1, before) = (node(config(0)), node(config(1)), node(config(2)));
    eventually("all connected", || [&node_0, &node_1, &before].into_iter().all(Node::is_connected_to_all)).await;
    before.network.shutdown();
    eventually("the mover is away", || node_0.state(2) == PeerState::Disconnected).await;
    let mark = node_0.mark(1);

    let mut after = node(NetworkConfig { listen: committee.address(3), ..config(2) });
    let at_new_address = Peer { address: committee.address(3), ..committee.peer(2) };
    node_0.set_peers(&[committee.peer(1), at_new_address.clone()]);
    eventually("found", || node_0.is_connected_to(2) && after.is_connected_to(0)).await;
    node_0.queue_numbers(2, 7..8);
    assert_eq!(next_number(&mut after.receivers.consensus).await, 7);

    // An address that changes while the peer is connected changes nothing but later dials.
    let mark_of_moved = node_0.mark(2);
    let lost_again = Peer { address: NOWHERE.to_owned(), ..at_new_address };
    node_0.set_peers(&[lost_again, committee.peer(1)]);
    assert_eq!(node_0.network.status()[1].address, NOWHERE);
    for (member, receiver) in [(1, &mut node_1.receivers.consensus), (2, &mut after.receivers.consensus)] {
        node_0.queue_numbers(member, 8..9);
        assert_eq!(next_number(receiver).await, 8);
    }
    assert!(node_0.is_unchanged(1, &mark) && node_0.is_unchanged(2, &mark_of_moved));
}

#[tokio::test]
async fn the_same_set_and_a_bad_set_change_nothing() {
    let committee = Committee::of(3);
    let mut nodes: Vec<Node> = (0..3).map(|member| node(committee.one_sided(member))).collect();
    eventually("all connected", || nodes.iter().all(Node::is_connected_to_all)).await;
    let marks: Vec<_> = [1, 2].into_iter().map(|member| (member, nodes[0].mark(member))).collect();

    let no_key = (0..=u8::MAX).map(|byte| [byte; 32]).find(|bytes| peer_id(bytes).is_none()).unwrap();
    let (one, two) = (committee.peer(1), committee.peer(2));
    nodes[0].set_peers(&[one.clone(), two.clone()]);
    nodes[0].set_peers(&[two.clone(), one.clone()]);
    for (bad, what) in [
        (Peer { index: index(1), ..two.clone() }, "validator 1 appears twice"),
        (Peer { index: index(2), ..one.clone() }, "validator 2 appears twice"),
        (Peer { network_key: network_public_key(&seed(0)), ..two.clone() }, "validator 2 appears twice"),
        (Peer { address: "/ip4/127.0.0.1/udp/1".to_owned(), ..two.clone() }, "validator 2's address"),
        (Peer { network_key: no_key, ..two.clone() }, "the network key of validator 2"),
        (Peer { index: index(256), ..two.clone() }, "validator 256 has no place"),
    ] {
        // The first of the two is new, so that a half of the set would show.
        let error = nodes[0].network.set_peers(vec![Peer { address: NOWHERE.to_owned(), ..one.clone() }, bad]).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    assert_eq!(nodes[0].network.status()[0].address, committee.address(1));
    let (first, others) = nodes.split_at_mut(1);
    for (member, other) in (1..).zip(others) {
        both_ways(&mut first[0], other, (0, member)).await;
    }
    assert!(marks.iter().all(|(member, mark)| nodes[0].is_unchanged(*member, mark)));
    assert_eq!(nodes[0].metric("replaced_connections_total"), 0);
}

#[tokio::test]
async fn the_last_of_two_hundred_changes_holds() {
    let committee = Committee::of(2);
    let mut node = committee.start(0);
    let mut other = committee.start(1);
    for change in 0..200_u8 {
        let key = network_public_key(&[100 + change % 100; 32]);
        node.set_peers(&[Peer { network_key: key, ..committee.peer(1) }]);
        node.set_peers(&[]);
        node.set_peers(&[committee.peer(1)]);
    }
    eventually("connected", || node.is_connected_to_all() && other.is_connected_to_all()).await;
    assert_eq!(node.network.status().len(), 1);
    both_ways(&mut node, &mut other, (0, 1)).await;
    assert_eq!(node.metric("connected_peers"), 1);
}

#[tokio::test]
async fn a_peer_that_leaves_during_its_handshake_is_refused() {
    let committee = Committee::of(2);
    let valve = Valve::before(committee.ports[0]).await;
    let node_0 = node(NetworkConfig { peers: vec![Peer { address: NOWHERE.to_owned(), ..committee.peer(1) }], ..committee.config(0) });
    let by_valve = Peer { address: valve.address, ..committee.peer(0) };
    let node_1 = node(NetworkConfig { peers: vec![by_valve], ..committee.config(1) });
    valve.taken.await.unwrap();
    node_0.set_peers(&[]);
    valve.open.send(()).unwrap();
    eventually("refused", || node_0.strangers() == 1).await;
    eventually("hung up", || node_1.state(0) == PeerState::Disconnected).await;
    assert_eq!(node_0.metric("connected_peers"), 0);
}

#[tokio::test]
async fn a_stranger_that_becomes_a_peer_during_its_handshake_is_let_in() {
    let committee = Committee::of(2);
    let valve = Valve::before(committee.ports[0]).await;
    let mut node_0 = node(NetworkConfig { peers: vec![], ..committee.config(0) });
    let by_valve = Peer { address: valve.address, ..committee.peer(0) };
    let mut node_1 = node(NetworkConfig { peers: vec![by_valve], ..committee.config(1) });
    valve.taken.await.unwrap();
    node_0.set_peers(&[Peer { address: NOWHERE.to_owned(), ..committee.peer(1) }]);
    valve.open.send(()).unwrap();
    eventually("connected", || node_0.is_connected_to_all() && node_1.is_connected_to_all()).await;
    both_ways(&mut node_0, &mut node_1, (0, 1)).await;
    assert_eq!(node_0.strangers(), 0);
}

#[tokio::test]
async fn a_dial_to_the_old_address_ends_when_the_peer_moves() {
    let committee = Committee::of(2);
    let valve = Valve::before(committee.ports[1]).await;
    let node_1 = node(NetworkConfig { peers: vec![Peer { address: NOWHERE.to_owned(), ..committee.peer(0) }], ..committee.config(1) });
    let node_0 = node(NetworkConfig { peers: vec![Peer { address: valve.address, ..committee.peer(1) }], ..committee.config(0) });
    valve.taken.await.unwrap();
    node_0.set_peers(&[committee.peer(1)]);
    eventually("connected", || node_0.is_connected_to_all() && node_1.is_connected_to_all()).await;
    let mark = node_0.mark(1);
    valve.open.send(()).unwrap();
    drop(tokio::time::timeout(PATIENCE, valve.forwarding).await.expect("the old dial ends"));
    assert!(node_0.is_unchanged(1, &mark));
    assert_eq!(node_1.metric("replaced_connections_total"), 0);
}

#[tokio::test]
async fn a_dial_ends_when_the_peer_leaves() {
    let committee = Committee::of(2);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().unwrap().port());
    let node = node(NetworkConfig { peers: vec![Peer { address, ..committee.peer(1) }], ..committee.config(0) });
    let (mut dialled, _) = silent.accept().await.unwrap();
    node.set_peers(&[]);
    // Reads what was sent of the handshake, up to the end.
    drop(tokio::time::timeout(PATIENCE, dialled.read_to_end(&mut Vec::new())).await.expect("the dial ends"));
}
