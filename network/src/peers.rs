//! State shared by the handle, the event loop and the stream tasks: one entry per peer, the queues, the counters.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use libp2p::{Multiaddr, PeerId};
use tokio::sync::watch;

use crate::{
    config::{ClassLimits, Committee, Limits, PeerIndex},
    frame::Class,
    hello::Hello,
    metrics::{DropReason, Lane, Metrics},
    queue::{Bound, Queue},
    status::{PeerStatus, Record, Refusal},
};

/// One of the other validators.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Position in [`Shared::peers`].
    pub(crate) slot: usize,
    pub(crate) index: PeerIndex,
    pub(crate) id: PeerId,
    pub(crate) address: Multiaddr,
    /// Outgoing frames, one queue per class.
    pub(crate) queues: [Queue; 2],
    /// Whether there is an authenticated connection; writers wait for it.
    pub(crate) connected: watch::Sender<bool>,
    /// A new connection of this peer has replaced a live one, and the peer has not been told yet.
    pub(crate) doubled: AtomicBool,
    record: Mutex<Record>,
}

impl Peer {
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
            address: self.address.to_string(),
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

/// State shared by all parts of the network.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) me: PeerIndex,
    pub(crate) my_id: PeerId,
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Sorted by index.
    pub(crate) peers: Vec<Arc<Peer>>,
    by_index: BTreeMap<PeerIndex, usize>,
    by_id: BTreeMap<PeerId, usize>,
    /// Gossip frames queued for publishing.
    pub(crate) gossip: Queue,
    pub(crate) listen_addresses: Mutex<Vec<String>>,
}

impl Shared {
    pub(crate) fn new(committee: &Committee) -> Shared {
        let now = Instant::now();
        let limits = committee.limits;
        let peers: Vec<Arc<Peer>> = committee
            .members
            .iter()
            .enumerate()
            .map(|(slot, member)| {
                Arc::new(Peer {
                    slot,
                    index: member.index,
                    id: member.peer_id,
                    address: member.address.clone(),
                    queues: Class::ALL.map(|class| Queue::new(offline(class_limits(&limits, class)))),
                    connected: watch::Sender::new(false),
                    doubled: AtomicBool::new(false),
                    record: Mutex::new(Record::new(now)),
                })
            })
            .collect();
        Shared {
            me: committee.me,
            my_id: committee.my_id,
            hello: committee.hello,
            limits,
            metrics: Metrics::new(),
            by_index: peers.iter().map(|peer| (peer.index, peer.slot)).collect(),
            by_id: peers.iter().map(|peer| (peer.id, peer.slot)).collect(),
            peers,
            gossip: Queue::new(Bound { frames: limits.gossip.queue_frames_max, bytes: limits.gossip.queue_bytes_max }),
            listen_addresses: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn by_index(&self, index: PeerIndex) -> Option<&Arc<Peer>> {
        self.peers.get(*self.by_index.get(&index)?)
    }

    pub(crate) fn by_id(&self, peer_id: &PeerId) -> Option<&Arc<Peer>> {
        self.peers.get(*self.by_id.get(peer_id)?)
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
            tracing::info!(validator = %peer.index, address = %peer.address, "cannot connect, will keep trying: {why}");
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
