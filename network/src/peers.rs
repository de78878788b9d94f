//! State shared by the handle, the event loop and the stream tasks: one entry per peer, the queues, the counters.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicBool},
    time::Instant,
};

use libp2p::{Multiaddr, PeerId};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};

use crate::{
    config::{ClassLimits, Committee, Limits, Member, PeerIndex},
    frame::Class,
    hello::Hello,
    metrics::{DropReason, Lane, Metrics},
    queue::{Bound, Queue},
    status::{PeerStatus, Record, Refusal},
};

/// One of the other validators: a holder of a seat, with its key. Another holder or another key is another `Peer`, so nothing that is still
/// under way for this one can reach the next.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) index: PeerIndex,
    pub(crate) id: PeerId,
    /// Spreads the pauses of all pairs of nodes; see [`crate::backoff`].
    pub(crate) seed: u64,
    address: Mutex<Multiaddr>,
    /// Outgoing frames, one queue per class.
    pub(crate) queues: [Queue; 2],
    /// Whether there is an authenticated connection; writers wait for it.
    pub(crate) connected: watch::Sender<bool>,
    /// A new connection of this peer has replaced a live one, and the peer has not been told yet.
    pub(crate) doubled: AtomicBool,
    has_left: watch::Sender<bool>,
    record: Mutex<Record>,
}

impl Peer {
    fn new(member: Member, my_id: PeerId, limits: &Limits) -> Peer {
        Peer {
            index: member.index,
            id: member.peer_id,
            seed: seed(&my_id, &member.peer_id),
            address: Mutex::new(member.address),
            queues: Class::ALL.map(|class| Queue::new(offline(class_limits(limits, class)))),
            connected: watch::Sender::new(false),
            doubled: AtomicBool::new(false),
            has_left: watch::Sender::new(false),
            record: Mutex::new(Record::new(Instant::now())),
        }
    }

    /// Where to dial the peer.
    pub(crate) fn address(&self) -> Multiaddr {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the tasks of the peer, and empties its queues; returns how many frames were dropped, per class.
    pub(crate) fn leave(&self) -> [u64; 2] {
        self.has_left.send_replace(true);
        self.queues.each_ref().map(|queue| queue.set_bound(Bound { frames: 0, bytes: 0 }))
    }

    pub(crate) fn has_left(&self) -> bool {
        *self.has_left.borrow()
    }

    /// Waits until the peer has left.
    pub(crate) async fn left(self: Arc<Peer>) {
        // It cannot fail: we hold the sender.
        drop(self.has_left.subscribe().wait_for(|has_left| *has_left).await);
    }

    pub(crate) fn queue(&self, class: Class) -> &Queue {
        match class {
            Class::Consensus => &self.queues[0],
            Class::Sync => &self.queues[1],
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self, now: Instant) -> PeerStatus {
        let record = self.record();
        PeerStatus {
            index: self.index,
            peer_id: self.id.to_base58(),
            address: self.address().to_string(),
            state: record.state(),
            since: record.since(now),
            round_trip: record.round_trip,
            clock: record.clock.map(|reading| reading.now(now)),
            queued_frames: self.queues.iter().map(Queue::len).sum(),
            refused: record.refused().cloned(),
            last_error: record.last_error().map(str::to_owned),
        }
    }
}

/// The current peers.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_index: BTreeMap<PeerIndex, Arc<Peer>>,
    by_id: BTreeMap<PeerId, Arc<Peer>>,
}

impl Peers {
    fn insert(&mut self, peer: Arc<Peer>) {
        self.by_id.insert(peer.id, Arc::clone(&peer));
        self.by_index.insert(peer.index, peer);
    }

    pub(crate) fn by_index(&self, index: PeerIndex) -> Option<&Arc<Peer>> {
        self.by_index.get(&index)
    }

    pub(crate) fn by_id(&self, peer_id: &PeerId) -> Option<&Arc<Peer>> {
        self.by_id.get(peer_id)
    }

    /// Sorted by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.by_index.values()
    }
}

/// State shared by all parts of the network.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) my_id: PeerId,
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Asked for the names of peers, if not the system.
    pub(crate) resolver: Option<SocketAddr>,
    /// Locked only for moments, so that nobody waits for it.
    peers: RwLock<Peers>,
    /// Tells the event loop that the peers have changed.
    pub(crate) peers_changed: Notify,
    /// Gossip frames queued for publishing.
    pub(crate) gossip: Queue,
    pub(crate) listen_addresses: Mutex<Vec<String>>,
}

impl Shared {
    pub(crate) fn new(committee: &Committee) -> Shared {
        let limits = committee.limits;
        let shared = Shared {
            my_id: committee.my_id,
            hello: committee.hello,
            limits,
            metrics: Metrics::new(),
            resolver: committee.resolver,
            peers: RwLock::default(),
            peers_changed: Notify::new(),
            gossip: Queue::new(Bound { frames: limits.gossip.queue_frames_max, bytes: limits.gossip.queue_bytes_max }),
            listen_addresses: Mutex::new(Vec::new()),
        };
        shared.set_peers(committee.members.clone());
        shared
    }

    pub(crate) fn peers(&self) -> RwLockReadGuard<'_, Peers> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the peers. Who keeps seat and key stays as it is, but may have another address.
    pub(crate) fn set_peers(&self, members: Vec<Member>) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Peers::default();
        for member in members {
            next.insert(match peers.by_index(member.index) {
                Some(known) if known.id == member.peer_id => {
                    *known.address.lock().unwrap_or_else(PoisonError::into_inner) = member.address;
                    Arc::clone(known)
                }
                _ => Arc::new(Peer::new(member, self.my_id, &self.limits)),
            });
        }
        let previous = std::mem::replace(&mut *peers, next);
        for peer in previous.iter().filter(|peer| !peers.by_id(&peer.id).is_some_and(|kept| Arc::ptr_eq(kept, peer))) {
            for (class, dropped) in Class::ALL.into_iter().zip(peer.leave()) {
                self.metrics.dropped(Lane::from(class), DropReason::unknown_peer, dropped);
            }
        }
        drop(peers);
        self.peers_changed.notify_one();
    }

    pub(crate) fn class_limits(&self, class: Class) -> &ClassLimits {
        class_limits(&self.limits, class)
    }

    /// Our stream to `peer` was accepted (`true`) or has ended (`false`). Sets the bound of the queue accordingly.
    pub(crate) fn on_stream(&self, peer: &Peer, class: Class, accepted: bool) {
        let limits = self.class_limits(class);
        let dropped = peer.queue(class).set_bound(if accepted { online(limits) } else { offline(limits) });
        self.metrics.dropped(Lane::from(class), DropReason::queue_full, dropped);
        peer.record().on_stream(class.slot(), accepted, Instant::now());
    }

    /// Records why `peer` could not be reached, and logs it once.
    pub(crate) fn on_unreachable(peer: &Peer, why: &str) {
        if peer.record().on_error(why.to_owned()) {
            tracing::info!(validator = %peer.index, address = %peer.address(), "cannot connect, will keep trying: {why}");
        }
    }

    /// Counts and records why `peer` and we refuse each other, and logs it once.
    pub(crate) fn on_refused(&self, peer: &Peer, refusal: Refusal) {
        self.metrics.refused((&refusal).into());
        let text = refusal.to_string();
        if peer.record().on_refused(refusal, Instant::now()) {
            tracing::warn!(validator = %peer.index, peer_id = %peer.id, "no link to this validator: {text}");
        }
    }
}

/// Differs for every pair of nodes and for the two ends of a pair, and is the same in every run.
fn seed(me: &PeerId, peer: &PeerId) -> u64 {
    let digest: [u8; 32] = Sha256::new().chain_update(me.to_bytes()).chain_update(peer.to_bytes()).finalize().into();
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn class_limits(limits: &Limits, class: Class) -> &ClassLimits {
    match class {
        Class::Consensus => &limits.consensus,
        Class::Sync => &limits.sync,
    }
}

fn online(limits: &ClassLimits) -> Bound {
    Bound { frames: limits.queue_frames_max, bytes: limits.queue_bytes_max }
}

fn offline(limits: &ClassLimits) -> Bound {
    Bound { frames: limits.offline_frames_max.min(limits.queue_frames_max), bytes: limits.queue_bytes_max }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A peer with a random key.
    pub(crate) fn peer(index: u16) -> Arc<Peer> {
        let member = Member { index: PeerIndex(index), peer_id: PeerId::random(), address: Multiaddr::empty() };
        Arc::new(Peer::new(member, PeerId::random(), &Limits::default()))
    }

    #[test]
    fn every_pair_and_direction_has_its_own_seed() {
        let (a, b, c) = (PeerId::random(), PeerId::random(), PeerId::random());
        assert_eq!(seed(&a, &b), seed(&a, &b));
        assert!(seed(&a, &b) != seed(&b, &a) && seed(&a, &b) != seed(&a, &c));
    }
}
