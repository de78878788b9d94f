//! What the event loop keeps in memory while its peers change.

use std::sync::Weak;

use tokio::{runtime::Handle, time::sleep};
use zeroize::Zeroizing;

use super::*;
use crate::{
    ApplicationId, Hello, IncomingReceivers, Limits, NetworkConfig,
    config::{Committee, Member, network_public_key},
    inbox::inbox,
};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Two that send frames, and one that asks for the clock.
const TASKS_PER_PEER: usize = 3;

fn config(seed: u8, peers: Vec<config::Peer>) -> NetworkConfig {
    NetworkConfig {
        secret: Box::new(Zeroizing::new([seed; 32])),
        listen: "/ip4/127.0.0.1/tcp/0".to_owned(),
        resolver: None,
        peers,
        hello: Hello { application: ApplicationId::new("counter", 1), chain_id: 7, genesis_hash: [3; 32], protocol_version: 1 },
        limits: Limits::default(),
    }
}

/// An event loop that runs only when the test lets it.
struct Paused {
    event_loop: SwarmLoop,
    stop: watch::Sender<bool>,
    /// Tasks without any peer.
    tasks: usize,
    _receivers: IncomingReceivers,
}

impl Paused {
    async fn start() -> Paused {
        let committee = Committee::check(&config(1, vec![])).unwrap();
        let (consensus, consensus_receiver) = inbox(1, 1);
        let (sync, sync_receiver) = inbox(1, 1);
        let (gossip, gossip_receiver) = inbox(1, 1);
        let (stop, stopped) = watch::channel(false);
        let guards = Guards::new(Arc::new(|what: &str| panic!("{what}")), stopped);
        let shared = Arc::new(Shared::new(&committee));
        let inboxes = Inboxes { consensus, sync, gossip };
        let event_loop = SwarmLoop::start(committee.keypair, committee.listen, shared, inboxes, guards).await.unwrap();
        let receivers = IncomingReceivers { consensus: consensus_receiver, sync: sync_receiver, gossip: gossip_receiver };
        Paused { event_loop, stop, tasks: tasks(), _receivers: receivers }
    }

    fn set_peers(&mut self, members: Vec<Member>) {
        self.event_loop.shared.set_peers(members);
        self.event_loop.follow_peers();
    }

    /// Lets the loop run until `done`.
    async fn run(&mut self, what: &str, mut done: impl FnMut(&SwarmLoop) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.event_loop) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::select! {
                () = self.event_loop.run(self.stop.subscribe()) => {}
                () = sleep(POLL) => {}
            }
        }
    }

    fn assert_peers(&self, peers: usize) {
        let event_loop = &self.event_loop;
        assert_eq!(event_loop.shared.peers().iter().count(), peers);
        assert_eq!(event_loop.links.len(), peers);
        assert!(event_loop.lookups.len() <= peers && event_loop.looking_up.len() == event_loop.lookups.len());
        let protocols = event_loop.swarm.behaviour();
        assert_eq!(protocols.allowed.allowed_peers().len(), peers);
        assert_eq!(protocols.gate.sizes(), (peers, 0));
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn member(peer_id: PeerId, address: &str) -> Member {
    Member { index: PeerIndex(5), peer_id, address: address.parse().unwrap() }
}

#[tokio::test]
async fn a_thousand_changes_of_a_seat_leave_the_memory_of_one() {
    let mut paused = Paused::start().await;
    let mut earlier: Vec<Weak<Peer>> = Vec::new();
    for change in 0..1_000 {
        // Dials and look-ups begin, and are under way when the next change comes.
        let address = if change % 2 == 0 { "/ip4/127.0.0.1/tcp/9" } else { "/dns4/localhost/tcp/9" };
        paused.set_peers(vec![member(PeerId::random(), address)]);
        paused.event_loop.dial_due();
        if change % 10 == 0 {
            let mut is_second = false;
            paused.run("one turn", |_| std::mem::replace(&mut is_second, true)).await;
        }
        earlier.extend(paused.event_loop.links.values().map(|link| Arc::downgrade(&link.peer)));
    }
    let last = earlier.pop().unwrap();
    assert_eq!(earlier.len(), 999);
    let before = paused.tasks;
    let is_quiet = |event_loop: &SwarmLoop| event_loop.lookups.is_empty() && tasks() == before + TASKS_PER_PEER;
    paused.run("only the tasks of the last remain", is_quiet).await;
    assert!(earlier.iter().all(|peer| peer.strong_count() == 0) && last.strong_count() > 0);
    paused.assert_peers(1);
    paused.set_peers(vec![]);
    paused.run("no task remains", |_| tasks() == before).await;
    assert_eq!(last.strong_count(), 0);
    paused.assert_peers(0);
}

#[tokio::test]
async fn a_link_that_is_let_go_takes_its_connections_and_tasks_with_it() {
    let mut paused = Paused::start().await;
    let before = paused.tasks;
    let address = paused.event_loop.shared.listen_addresses.lock().unwrap()[0].clone();
    let me = config::Peer { index: PeerIndex(0), network_key: network_public_key(&[1; 32]), address };
    let (network, _receivers) = crate::start(config(2, vec![me]), |what| panic!("{what}")).unwrap();
    let peer_id = peer_id_of(2);
    for _ in 0..10 {
        paused.set_peers(vec![member(peer_id, &network.listen_addresses()[0])]);
        paused.run("linked", |_| network.status()[0].is_connected()).await;
        paused.set_peers(vec![]);
        paused.run("let go", |event_loop| event_loop.swarm.network_info().num_peers() == 0 && tasks() == before).await;
        paused.assert_peers(0);
    }
    network.shutdown();
}

#[tokio::test]
async fn a_name_that_changes_during_its_look_up_is_looked_up_again() {
    let mut paused = Paused::start().await;
    let me = config::Peer {
        index: PeerIndex(0),
        network_key: network_public_key(&[1; 32]),
        address: "/ip4/127.0.0.1/tcp/9".to_owned(), // so that only we dial
    };
    let (network, _receivers) = crate::start(config(2, vec![me]), |what| panic!("{what}")).unwrap();
    let port = network.listen_addresses()[0].rsplit('/').next().unwrap().to_owned();
    for port in ["9", &port] {
        paused.set_peers(vec![member(peer_id_of(2), &format!("/dns4/localhost/tcp/{port}"))]);
        paused.event_loop.reach(&peer_id_of(2));
        assert_eq!(paused.event_loop.lookups.len(), 1);
    }
    paused.run("linked", |_| network.status()[0].is_connected()).await;
    network.shutdown();
}

fn peer_id_of(seed: u8) -> PeerId {
    identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap().public().to_peer_id()
}
