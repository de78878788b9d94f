//! Metrics of the network, named `quorate_network_<what>_<unit>[_total]`.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{
    frame::Class,
    status::{DropCount, Refusal},
};

/// Defines a label and its values, all listed in `ALL`, so that every counter can exist from the start.
macro_rules! labels {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $value:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
        #[expect(non_camel_case_types, reason = "the names of variants are the values of labels")]
        pub(crate) enum $name {
            $($(#[$meaning])* $value,)+
        }

        impl $name {
            const ALL: &[$name] = &[$($name::$value,)+];

            /// The label's value as text.
            const fn word(self) -> &'static str {
                match self {
                    $($name::$value => stringify!($value),)+
                }
            }
        }
    };
}

labels! {
    /// Kind of traffic: a class, or gossip.
    Lane {
        consensus,
        sync,
        gossip,
    }
}

impl From<Class> for Lane {
    fn from(class: Class) -> Lane {
        match class {
            Class::Consensus => Lane::consensus,
            Class::Sync => Lane::sync,
        }
    }
}

labels! {
    /// Why a frame was dropped.
    DropReason {
        /// The outgoing queue was full and dropped its oldest frame; also while the peer is disconnected.
        queue_full,
        /// Our own frame is empty or above the limit of its class.
        bad_length,
        /// The receiver is not in the committee.
        unknown_peer,
        /// The stream ended while the frame was being written.
        stream_lost,
        /// Our own consumer lags.
        consumer_lagging,
        /// Our own consumer has been dropped.
        consumer_gone,
        /// No peer has subscribed to our gossip yet.
        no_subscriber,
        /// The same bytes were published shortly before.
        duplicate,
        /// Gossipsub could not send it to any peer, or dropped it for a slow peer.
        slow_peer,
    }
}

labels! {
    /// Why a stream was closed.
    StreamFault {
        /// The peer announced an empty frame.
        empty_frame,
        /// The peer announced a frame above the limit.
        oversized_frame,
        /// The peer did not read a single byte for too long.
        write_stalled,
        /// The peer did not answer our hello in time.
        no_answer,
        /// The stream or its connection ended.
        closed,
    }
}

labels! {
    /// Why a peer was refused.
    RefusalReason {
        not_in_committee,
        too_many_connections,
        application,
        chain_id,
        genesis_hash,
        protocol_version,
        malformed_hello,
        unsupported_protocol,
        wrong_key,
    }
}

impl From<&Refusal> for RefusalReason {
    fn from(refusal: &Refusal) -> RefusalReason {
        match refusal {
            Refusal::Application { .. } => RefusalReason::application,
            Refusal::ChainId { .. } => RefusalReason::chain_id,
            Refusal::GenesisHash { .. } => RefusalReason::genesis_hash,
            Refusal::ProtocolVersion { .. } => RefusalReason::protocol_version,
            Refusal::MalformedHello => RefusalReason::malformed_hello,
            Refusal::UnsupportedProtocol { .. } => RefusalReason::unsupported_protocol,
            Refusal::WrongKey { .. } => RefusalReason::wrong_key,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LaneLabel {
    class: Lane,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DropLabel {
    class: Lane,
    reason: DropReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FaultLabel {
    class: Lane,
    fault: StreamFault,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    reason: RefusalReason,
}

/// Frames and bytes of one direction of one lane; cheap to count on the hot path.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    frames: Counter,
    bytes: Counter,
}

impl Flow {
    pub(crate) fn count(&self, frames: u64, bytes: u64) {
        self.frames.inc_by(frames);
        self.bytes.inc_by(bytes);
    }
}

#[derive(Debug)]
pub(crate) struct Metrics {
    frames_received: Family<LaneLabel, Counter>,
    received_bytes: Family<LaneLabel, Counter>,
    frames_sent: Family<LaneLabel, Counter>,
    sent_bytes: Family<LaneLabel, Counter>,
    dropped_frames: Family<DropLabel, Counter>,
    stream_faults: Family<FaultLabel, Counter>,
    refused_peers: Family<ReasonLabel, Counter>,
    replaced_connections: Counter,
    connected_peers: Gauge,
}

impl Metrics {
    /// Every counter starts at zero with all its labels: one that appeared with its first event would show no increase for an alert to see.
    pub(crate) fn new() -> Metrics {
        let metrics = Metrics {
            frames_received: Family::default(),
            received_bytes: Family::default(),
            frames_sent: Family::default(),
            sent_bytes: Family::default(),
            dropped_frames: Family::default(),
            stream_faults: Family::default(),
            refused_peers: Family::default(),
            replaced_connections: Counter::default(),
            connected_peers: Gauge::default(),
        };
        for class in Lane::ALL.iter().copied() {
            metrics.received(class);
            metrics.sent(class);
            for reason in DropReason::ALL.iter().copied() {
                drop(metrics.dropped_frames.get_or_create(&DropLabel { class, reason }));
            }
            for fault in StreamFault::ALL.iter().copied() {
                drop(metrics.stream_faults.get_or_create(&FaultLabel { class, fault }));
            }
        }
        for reason in RefusalReason::ALL.iter().copied() {
            drop(metrics.refused_peers.get_or_create(&ReasonLabel { reason }));
        }
        metrics
    }

    pub(crate) fn received(&self, lane: Lane) -> Flow {
        flow(&self.frames_received, &self.received_bytes, lane)
    }

    pub(crate) fn sent(&self, lane: Lane) -> Flow {
        flow(&self.frames_sent, &self.sent_bytes, lane)
    }

    pub(crate) fn dropped(&self, class: Lane, reason: DropReason, frames: u64) {
        if frames > 0 {
            self.dropped_frames.get_or_create(&DropLabel { class, reason }).inc_by(frames);
        }
    }

    pub(crate) fn fault(&self, class: Lane, fault: StreamFault) {
        self.stream_faults.get_or_create(&FaultLabel { class, fault }).inc();
    }

    pub(crate) fn refused(&self, reason: RefusalReason) {
        self.refused_peers.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts of frames dropped, streams closed and peers refused since the start.
    pub(crate) fn drops(&self) -> Vec<DropCount> {
        let mut drops = Vec::new();
        for class in Lane::ALL.iter().copied() {
            for reason in DropReason::ALL.iter().copied() {
                let count = self.dropped_frames.get_or_create(&DropLabel { class, reason }).get();
                drops.push(DropCount { what: format!("{}-frame-dropped", class.word()), reason: reason.word(), count });
            }
            for fault in StreamFault::ALL.iter().copied() {
                let count = self.stream_faults.get_or_create(&FaultLabel { class, fault }).get();
                drops.push(DropCount { what: format!("{}-stream-closed", class.word()), reason: fault.word(), count });
            }
        }
        for reason in RefusalReason::ALL.iter().copied() {
            let count = self.refused_peers.get_or_create(&ReasonLabel { reason }).get();
            drops.push(DropCount { what: "peer-refused".to_owned(), reason: reason.word(), count });
        }
        drops
    }

    pub(crate) fn replaced_connection(&self) {
        self.replaced_connections.inc();
    }

    pub(crate) fn set_connected(&self, peers: usize) {
        self.connected_peers.set(i64::try_from(peers).unwrap_or(i64::MAX));
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let network = registry.sub_registry_with_prefix("quorate_network");
        network.register("frames_received", "Frames received from peers", self.frames_received.clone());
        network.register_with_unit("received", "Payload bytes received from peers", Unit::Bytes, self.received_bytes.clone());
        network.register("frames_sent", "Frames sent to peers", self.frames_sent.clone());
        network.register_with_unit("sent", "Payload bytes sent to peers", Unit::Bytes, self.sent_bytes.clone());
        network.register("dropped_frames", "Frames dropped, by reason", self.dropped_frames.clone());
        network.register("stream_faults", "Streams closed, by fault", self.stream_faults.clone());
        network.register("refused_peers", "Peers or strangers refused, by reason", self.refused_peers.clone());
        network.register(
            "replaced_connections",
            "Connections replaced by a newer one with the same identity",
            self.replaced_connections.clone(),
        );
        network.register("connected_peers", "Peers with an authenticated connection", self.connected_peers.clone());
    }
}

fn flow(frames: &Family<LaneLabel, Counter>, bytes: &Family<LaneLabel, Counter>, class: Lane) -> Flow {
    let label = LaneLabel { class };
    Flow { frames: frames.get_or_create_owned(&label), bytes: bytes.get_or_create_owned(&label) }
}

/// A length as a counter's increment.
pub(crate) fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
