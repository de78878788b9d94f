//! A node's Prometheus metrics, named `quorate_<subsystem>_<what>_<unit>[_total]`.
//!
//! Labels take few values: names of the committee's validators, and words from our own code. Nothing that a client or a peer writes becomes a
//! label.
//!
//! Everything refused or dropped is logged where it is counted, so that no caller does only one of the two.
//!
//! Every counter exists from the start, at zero, with every value of its labels: one that appeared with its first event would show no
//! increase for an alert to see. So all label values are listed here, and an unlisted one counts as [`OTHER`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use quorate_ledger::Committed;
use quorate_replica::ReplicaStatus;
use quorate_types::{committee::SignerSet, ids::ValidatorId, round::UnixMillis};

use crate::{
    api::ROUTES,
    clock::Clocks,
    drops,
    epochs::{Epochs, InForce},
    events::Events,
    files, logging,
    submission::{BUSY, DISK_NEARLY_FULL, OVERLOADED, STOPPING},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerReason {
    validator: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    validator: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
}

/// Label of any value that is not listed.
pub(crate) const OTHER: &str = "other";

/// Kinds of messages: [`quorate_types::message::Message::kind`].
const KINDS: &[&str] = &[
    "proposal",
    "vote",
    "timeout",
    "sync-info",
    "fetch-request",
    "fetch-response",
    "catchup-request",
    "catchup-response",
    "sightings-request",
    "sightings",
    "recovery-request",
    "recovery-answer",
    OTHER,
];

/// Why verified messages have no effect: the words of `quorate_consensus::Ignored`, and the replica's own.
const IGNORED: &[&str] = &[
    "old-round",
    "far-round",
    "not-leader",
    "duplicate",
    "equivocation",
    "invalid-block",
    "unsafe-vote",
    "unsafe-timeout",
    "parent-missing",
    "not-signed",
    "too-many-requests",
    "other-epoch",
    "not-in-committee",
    OTHER,
];

/// Why messages and transactions do not verify: the words of [`quorate_types::verify::VerifyError`].
const UNVERIFIED: &[&str] = &[
    "other-network",
    "other-epoch",
    "not-in-committee",
    "other-sender",
    "round",
    "vote-info-hash",
    "commit-rule",
    "no-quorum",
    "signer-count",
    "high-qc-mismatch",
    "ill-formed",
    "payload-size",
    "duplicate-transaction",
    "not-a-chain",
    "no-contradiction",
    "key",
    "signature",
];

/// Why messages are refused before verification.
const REFUSED_UNVERIFIED: &[&str] = &["flood", "malformed", "wrong-class", "pointless-proposal", OTHER];

/// Why the application and the pool refuse a transaction: the codes of [`quorate_app::TxRejected`], of [`quorate_types::failure::Failure`] and
/// of the replica's pool. The codes of a custom application count as [`OTHER`].
pub(crate) const REJECTED: &[&str] = &[
    "sequence-too-old",
    "sequence-too-far",
    "sequence-taken",
    "sequence-exhausted",
    "sequence-used",
    "expired",
    "block-full",
    "malformed-operation",
    "malformed-query",
    "unsupported",
    "panicked",
    "answer-too-large",
    "answer-has-no-encoding",
    "state-key-too-large",
    "state-value-too-large",
    "state-value-has-no-encoding",
    "state-key-reserved",
    "account-too-large",
    "zero-amount",
    "insufficient-funds",
    "balance-overflow",
    "account-state-full",
    "deposit-not-covered",
    "deposit-locked",
    "below-deposit",
    "no-account",
    "not-permitted",
    "account-frozen",
    "account-block-full",
    "not-an-operator",
    "too-many-proposals",
    "no-such-proposal",
    "not-the-proposer",
    "no-such-seat",
    "bad-possession",
    "committee-full",
    "no-change",
    "bad-committee",
    "not-its-operator",
    "bad-address",
    "bad-evidence",
    "bad-authority",
    "bad-parameters",
    "not-the-next-version",
    "may-not-grant",
    "needs-authority",
    "state-full",
    "key-too-large",
    "value-too-large",
    "missing-key",
    "bad-range",
    "sender-full",
    "pool-full",
    "too-many-waiting",
    "crowded-out",
    "halted",
    DISK_NEARLY_FULL,
    BUSY,
    OVERLOADED,
    STOPPING,
    OTHER,
];

/// The full queue at which gossip is dropped.
const FULL_QUEUES: &[&str] = &["checks-full", "replica-full", OTHER];

/// Classes of HTTP status codes.
const STATUSES: &[&str] = &["2xx", "4xx", "5xx", OTHER];

/// The queues between threads.
const QUEUES: [&str; 5] = ["consensus", "sync", "transactions", "signature-checks", "waiting-clients"];

/// The word itself if it is listed, otherwise [`OTHER`].
fn listed(word: &str, mut lists: impl Iterator<Item = &'static &'static str>) -> &'static str {
    lists.find(|listed| **listed == word).copied().unwrap_or(OTHER)
}

/// Lengths of the queues between threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueLengths {
    pub(crate) consensus: usize,
    pub(crate) sync: usize,
    pub(crate) transactions: usize,
    pub(crate) checks: usize,
    pub(crate) waiting_clients: usize,
}

/// The metrics of a node.
pub(crate) struct Metrics {
    registry: Registry,
    epochs: Arc<Epochs>,
    events: Events,
    messages_sent: Family<Kind, Counter>,
    messages_received: Family<Kind, Counter>,
    messages_ignored: Family<PeerReason, Counter>,
    accusations: Family<PeerLabel, Counter>,
    verify_refused: Family<PeerReason, Counter>,
    verify_batches: Counter,
    verify_transactions: Counter,
    gossip_dropped: Family<Reason, Counter>,
    submissions_refused: Family<Reason, Counter>,
    blocks: Counter,
    transactions: Counter,
    failed_transactions: Counter,
    commit_seconds: Histogram,
    last_commit: Gauge<f64, AtomicU64>,
    /// When this process last committed, or started.
    committed_at: Mutex<Instant>,
    linked_members: Family<PeerLabel, Gauge>,
    /// The labels of these.
    listed_members: Mutex<BTreeSet<String>>,
    linked_power: Gauge,
    quorum_power: Gauge,
    own_power: Gauge,
    signs: Gauge,
    clocks_ahead: Family<PeerLabel, Gauge<f64, AtomicU64>>,
    disk_free: Gauge,
    http_requests: Family<Served, Counter>,
    http_refused_connections: Counter,
    http_closed_connections: Counter,
    http_refused_answers: Counter,
    http_connections: Gauge,
    damaged_reads: Gauge,
    queues: Family<Queue, Gauge>,
    /// The replica's status, set before each encoding for the collector.
    replica: Arc<Mutex<Option<ReplicaStatus>>>,
}

impl Metrics {
    /// Metrics at zero; `others` adds those of other crates to the same registry.
    pub(crate) fn new(epochs: &Arc<Epochs>, others: impl FnOnce(&mut Registry)) -> Self {
        // From a millisecond to a minute, three buckets per decade.
        let commit_seconds = Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0]);
        let mut metrics = Self {
            registry: Registry::default(),
            epochs: Arc::clone(epochs),
            events: Events::new(Arc::clone(epochs)),
            messages_sent: Family::default(),
            messages_received: Family::default(),
            messages_ignored: Family::default(),
            accusations: Family::default(),
            verify_refused: Family::default(),
            verify_batches: Counter::default(),
            verify_transactions: Counter::default(),
            gossip_dropped: Family::default(),
            submissions_refused: Family::default(),
            blocks: Counter::default(),
            transactions: Counter::default(),
            failed_transactions: Counter::default(),
            commit_seconds,
            last_commit: Gauge::default(),
            committed_at: Mutex::new(Instant::now()),
            linked_members: Family::default(),
            listed_members: Mutex::default(),
            linked_power: Gauge::default(),
            quorum_power: Gauge::default(),
            own_power: Gauge::default(),
            signs: Gauge::default(),
            clocks_ahead: Family::default(),
            disk_free: Gauge::default(),
            http_requests: Family::default(),
            http_refused_connections: Counter::default(),
            http_closed_connections: Counter::default(),
            http_refused_answers: Counter::default(),
            http_connections: Gauge::default(),
            damaged_reads: Gauge::default(),
            queues: Family::default(),
            replica: Arc::default(),
        };
        metrics.register();
        metrics.start_at_zero();
        others(&mut metrics.registry);
        metrics
    }

    /// Gives every series its first sample: at the start, and for the members of each new committee.
    pub(crate) fn start_at_zero(&self) {
        for kind in KINDS.iter().copied() {
            drop(self.messages_sent.get_or_create(&Kind { kind }));
            drop(self.messages_received.get_or_create(&Kind { kind }));
        }
        for validator in &self.names() {
            drop(self.accusations.get_or_create(&PeerLabel { validator: validator.clone() }));
            for reason in IGNORED.iter().copied() {
                drop(self.messages_ignored.get_or_create(&PeerReason { validator: validator.clone(), reason }));
            }
            for reason in REFUSED_UNVERIFIED.iter().chain(UNVERIFIED).copied() {
                drop(self.verify_refused.get_or_create(&PeerReason { validator: validator.clone(), reason }));
            }
        }
        for reason in FULL_QUEUES.iter().copied() {
            drop(self.gossip_dropped.get_or_create(&Reason { reason }));
        }
        for reason in REJECTED.iter().chain(UNVERIFIED).copied() {
            drop(self.submissions_refused.get_or_create(&Reason { reason }));
        }
        for route in ROUTES {
            for status in STATUSES.iter().copied() {
                drop(self.http_requests.get_or_create(&Served { route, status }));
            }
        }
        for queue in QUEUES {
            drop(self.queues.get_or_create(&Queue { queue }));
        }
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("quorate_build", "Version of the program", Info::new(Build { version: env!("CARGO_PKG_VERSION") }));

        let consensus = registry.sub_registry_with_prefix("quorate_consensus");
        consensus.register("messages_sent", "Messages sent, by kind", self.messages_sent.clone());
        consensus.register("messages_received", "Messages received and verified, by kind", self.messages_received.clone());
        consensus.register("messages_ignored", "Verified messages without effect, by reason", self.messages_ignored.clone());
        consensus.register("accusations", "Pairs of conflicting signed messages, by validator", self.accusations.clone());
        consensus.register("committed_blocks", "Blocks committed by this process", self.blocks.clone());
        consensus.register("committed_transactions", "Transactions committed by this process", self.transactions.clone());
        consensus.register("failed_transactions", "Committed transactions that had no effect", self.failed_transactions.clone());
        consensus.register_with_unit(
            "commit",
            "Time from a block's timestamp to its commit here",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        consensus.register_with_unit(
            "last_commit_timestamp",
            "Unix time of this process's last commit, 0 before it",
            Unit::Seconds,
            self.last_commit.clone(),
        );

        consensus.register("linked_members", "1 if the link to a member of the committee is up, 0 if not", self.linked_members.clone());
        consensus.register("linked_power", "Voting power of this validator and of those that it is linked to", self.linked_power.clone());
        consensus.register("quorum_power", "Voting power that a quorum needs", self.quorum_power.clone());
        consensus.register("own_power", "This validator's voting power; 0 for an observer", self.own_power.clone());
        consensus.register("signs", "0 while this validator signs nothing, as an observer always", self.signs.clone());

        registry.register_with_unit(
            "quorate_clock_ahead",
            "How far a validator's clock is ahead of the committee's, negative if behind; absent while too few validators are linked",
            Unit::Seconds,
            self.clocks_ahead.clone(),
        );

        let verify = registry.sub_registry_with_prefix("quorate_verify");
        verify.register("refused", "Messages and gossiped transactions refused, by validator and reason", self.verify_refused.clone());
        verify.register("batches", "Batches of transactions whose signatures were verified", self.verify_batches.clone());
        verify.register("transactions", "Transactions in those batches", self.verify_transactions.clone());
        verify.register(
            "dropped_gossip_transactions",
            "Gossiped transactions dropped at a full queue, by reason",
            self.gossip_dropped.clone(),
        );

        let api = registry.sub_registry_with_prefix("quorate_api");
        api.register("refused_submissions", "Submissions refused, by reason", self.submissions_refused.clone());
        api.register("requests", "Requests answered, by route and status class", self.http_requests.clone());
        api.register("refused_connections", "Connections refused at the connection limit", self.http_refused_connections.clone());
        api.register("closed_idle_connections", "Idle connections closed to make room for others", self.http_closed_connections.clone());
        api.register(
            "refused_answers",
            "Answers not sent because too many bytes of answers were in flight",
            self.http_refused_answers.clone(),
        );
        api.register("connections", "Open connections", self.http_connections.clone());

        registry.register("quorate_store_damaged_reads", "Failed reads of old blocks; alert if above 0", self.damaged_reads.clone());
        registry.sub_registry_with_prefix("quorate_queue").register(
            "waiting_items",
            "Items in queues between threads",
            self.queues.clone(),
        );
        registry.register_with_unit(
            "quorate_disk_free",
            "Free space on the disk that holds the data directory",
            Unit::Bytes,
            self.disk_free.clone(),
        );
        registry.register_collector(Box::new(ReplicaCollector(Arc::clone(&self.replica))));
        registry.register_collector(Box::new(ProcessCollector));
        registry.register_collector(Box::new(LogCollector));
    }

    /// All metrics in the text format of `OpenMetrics`.
    pub(crate) fn encode(&self, replica: Option<ReplicaStatus>, lengths: QueueLengths) -> Result<String, fmt::Error> {
        *self.replica.lock().unwrap_or_else(PoisonError::into_inner) = replica;
        let lengths = [lengths.consensus, lengths.sync, lengths.transactions, lengths.checks, lengths.waiting_clients];
        for (queue, length) in QUEUES.into_iter().zip(lengths) {
            self.queues.get_or_create(&Queue { queue }).set(i64::try_from(length).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    pub(crate) fn sent_message(&self, kind: &'static str) {
        let kind = listed(kind, KINDS.iter());
        self.messages_sent.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn accepted_message(&self, kind: &'static str) {
        let kind = listed(kind, KINDS.iter());
        self.messages_received.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn ignored_message(&self, from: ValidatorId, reason: &'static str) {
        self.events.message_ignored(from, reason);
        let reason = listed(reason, IGNORED.iter());
        self.messages_ignored.get_or_create(&PeerReason { validator: self.name(from), reason }).inc();
    }

    /// `why` is for humans.
    pub(crate) fn refused_message(&self, from: ValidatorId, reason: &'static str, why: fmt::Arguments<'_>) {
        self.events.message_refused(from, reason, why);
        let reason = listed(reason, REFUSED_UNVERIFIED.iter().chain(UNVERIFIED));
        self.verify_refused.get_or_create(&PeerReason { validator: self.name(from), reason }).inc();
    }

    pub(crate) fn accused(&self, validator: ValidatorId) {
        self.accusations.get_or_create(&PeerLabel { validator: self.name(validator) }).inc();
    }

    pub(crate) fn verify_batch(&self, transactions: usize) {
        self.verify_batches.inc();
        self.verify_transactions.inc_by(count(transactions));
    }

    pub(crate) fn dropped_gossip(&self, reason: &'static str, transactions: usize) {
        Events::gossip_dropped(reason, transactions);
        let reason = listed(reason, FULL_QUEUES.iter());
        self.gossip_dropped.get_or_create(&Reason { reason }).inc_by(count(transactions));
    }

    pub(crate) fn refused_submission(&self, reason: &str) {
        Events::submission_refused(reason);
        let reason = listed(reason, REJECTED.iter().chain(UNVERIFIED));
        self.submissions_refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn committed(&self, committed: &Committed, now: UnixMillis) {
        for block in &committed.blocks {
            self.blocks.inc();
            self.transactions.inc_by(count(block.receipts.len()));
            self.failed_transactions.inc_by(count(block.receipts.iter().filter(|receipt| !receipt.outcome.is_applied()).count()));
            let latency = Duration::from_millis(now.since(block.header.timestamp));
            self.commit_seconds.observe(latency.as_secs_f64());
        }
        self.last_commit.set(Duration::from_millis(now.0).as_secs_f64());
        *self.committed_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Time since this process last committed, or started.
    pub(crate) fn since_commit(&self) -> Duration {
        self.committed_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// What is linked, and whether this validator signs, if that is known.
    pub(crate) fn linked(&self, now: &InForce, linked: SignerSet, signs: Option<bool>) {
        let power = |power: u64| i64::try_from(power).unwrap_or(i64::MAX);
        let committee = now.committee();
        let others = committee.members().filter(|(id, _)| *id != now.me);
        let others: BTreeMap<_, _> = others.map(|(id, validator)| (validator.name.clone(), linked.contains(id))).collect();
        for (name, is_linked) in &others {
            self.linked_members.get_or_create(&PeerLabel { validator: name.clone() }).set(i64::from(*is_linked));
        }
        // Those who have left have no links to lose. A label is never removed for a moment: another scraper would see a gap.
        let mut listed = self.listed_members.lock().unwrap_or_else(PoisonError::into_inner);
        for left in listed.iter().filter(|name| !others.contains_key(*name)) {
            self.linked_members.remove(&PeerLabel { validator: left.clone() });
        }
        *listed = others.into_keys().collect();
        drop(listed);
        self.linked_power.set(power(committee.power(linked)));
        self.quorum_power.set(power(committee.quorum_power()));
        let own = committee.get(now.me).map_or(0, |validator| validator.power.0);
        self.own_power.set(power(own));
        if let Some(signs) = signs {
            self.signs.set(i64::from(own > 0 && signs));
        }
    }

    pub(crate) fn compared_clocks(&self, clocks: Option<&Clocks>) {
        self.clocks_ahead.clear();
        for (id, offset) in clocks.iter().flat_map(|clocks| &clocks.ahead) {
            self.clocks_ahead.get_or_create(&PeerLabel { validator: self.name(*id) }).set(offset.seconds());
        }
    }

    pub(crate) fn disk_free(&self, bytes: u64) {
        self.disk_free.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn served(&self, route: &'static str, status: StatusCode) {
        let status = match status.as_u16() {
            200..=299 => "2xx",
            400..=499 => "4xx",
            500..=599 => "5xx",
            _ => OTHER,
        };
        self.http_requests.get_or_create(&Served { route, status }).inc();
    }

    pub(crate) fn refused_connection(&self) {
        self.http_refused_connections.inc();
    }

    pub(crate) fn closed_idle_connection(&self) {
        self.http_closed_connections.inc();
    }

    pub(crate) fn refused_answer(&self) {
        self.http_refused_answers.inc();
    }

    pub(crate) fn damaged_reads(&self, reads: u64) {
        self.damaged_reads.set(i64::try_from(reads).unwrap_or(i64::MAX));
    }

    pub(crate) fn connections(&self) -> &Gauge {
        &self.http_connections
    }

    /// The consensus events, for the log.
    pub(crate) const fn events(&self) -> &Events {
        &self.events
    }

    /// Count of each kind of drop and refusal.
    pub(crate) fn drops(&self) -> Vec<(drops::Kind, u64)> {
        let kind = |what: &str, reason: &str, validator| drops::Kind { what: what.into(), reason: reason.into(), validator };
        let mut drops = Vec::new();
        for validator in &self.names() {
            for (what, family, reasons) in [
                ("message-ignored", &self.messages_ignored, [IGNORED, &[]]),
                ("message-refused", &self.verify_refused, [REFUSED_UNVERIFIED, UNVERIFIED]),
            ] {
                for reason in reasons.concat() {
                    let count = family.get_or_create(&PeerReason { validator: validator.clone(), reason }).get();
                    drops.push((kind(what, reason, Some(validator.clone())), count));
                }
            }
        }
        for (what, family, reasons) in [
            ("gossip-dropped", &self.gossip_dropped, [FULL_QUEUES, &[]]),
            ("submission-refused", &self.submissions_refused, [REJECTED, UNVERIFIED]),
        ] {
            for reason in reasons.concat() {
                drops.push((kind(what, reason, None), family.get_or_create(&Reason { reason }).get()));
            }
        }
        drops
    }

    /// A validator's name. Only committee members get this far.
    fn name(&self, id: ValidatorId) -> String {
        self.epochs.now().name(id)
    }

    fn names(&self) -> Vec<String> {
        self.epochs.now().committee().members().map(|(_, validator)| validator.name.clone()).collect()
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct ReplicaCollector(Arc<Mutex<Option<ReplicaStatus>>>);

impl Collector for ReplicaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(status) = status else { return Ok(()) };
        for (name, help, value) in replica_gauges(&status) {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        for (name, help, value) in replica_counters(&status) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

type Number = (&'static str, &'static str, u64);

fn replica_gauges(status: &ReplicaStatus) -> [Number; 12] {
    [
        ("quorate_consensus_epoch", "The current epoch", status.epoch.0),
        ("quorate_consensus_round", "The current round", status.round.0),
        ("quorate_consensus_height", "The last committed height", status.height.0),
        ("quorate_consensus_high_qc_round", "Round of the highest certificate", status.high_qc_round.0),
        ("quorate_consensus_highest_vote_round", "Highest round in which this validator voted or timed out", status.highest_vote_round.0),
        ("quorate_consensus_pending_blocks", "Blocks not yet committed", count(status.pending_blocks)),
        ("quorate_consensus_results_in_votes", "Distinct results named by recent votes; alert if above 1", count(status.results_in_votes)),
        ("quorate_consensus_catching_up", "1 while committed blocks are being fetched", u64::from(status.catching_up)),
        ("quorate_consensus_halted", "1 once node.halt_at_height is reached", u64::from(status.has_halted)),
        ("quorate_pool_transactions", "Transactions in the pool", count(status.pool_transactions)),
        ("quorate_pool_bytes", "Bytes of the transactions in the pool", count(status.pool_bytes)),
        ("quorate_pool_waiting_clients", "Clients waiting for a commit", count(status.waiting)),
    ]
}

fn replica_counters(status: &ReplicaStatus) -> [Number; 4] {
    [
        ("quorate_consensus_proposals", "Proposals of this validator", status.counts.proposals),
        ("quorate_consensus_votes", "Votes of this validator", status.counts.votes),
        ("quorate_consensus_held_proposals", "Proposals ahead of this validator's clock on arrival", status.counts.held),
        ("quorate_consensus_timeouts", "Rounds in which this validator timed out", status.counts.timeouts),
    ]
}

/// The process's resource usage; metrics that the operating system does not provide are left out.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            let name = "quorate_process_resident_memory";
            gauge.encode(encoder.encode_descriptor(name, "Resident memory", Some(&Unit::Bytes), gauge.metric_type())?)?;
        }
        for (name, help, value) in [
            ("quorate_process_open_files", "Open files and sockets", open_files()),
            ("quorate_process_open_files_max", "Limit of open files and sockets", files::limit()),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
            }
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let name = "quorate_process_cpu";
            counter.encode(encoder.encode_descriptor(name, "CPU time used", Some(&Unit::Seconds), counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// Lines missing from the log.
#[derive(Debug)]
struct LogCollector;

impl Collector for LogCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let left_out = logging::left_out();
        for (name, help, value) in [
            ("quorate_log_lost_lines", "Lines lost because the reader of the log was too slow or gone", left_out.lost),
            ("quorate_log_repeated_lines", "Lines suppressed because they repeated too fast", left_out.repeated),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// Linux only: elsewhere there is no `/proc`.
fn open_files() -> Option<u64> {
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// Linux only: elsewhere there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Linux reports CPU time in hundredths of a second, whatever it uses internally (`USER_HZ`).
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in parentheses, may contain anything; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(f64::from(ticks) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The string literals that the function of this name returns in this source.
    fn words<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
        let (_, rest) = source.split_once(&format!("fn {function}(")).unwrap_or_else(|| panic!("no {function}"));
        let (body, _) = rest.split_once("\n    }\n").unwrap();
        body.lines().filter_map(|line| line.trim().rsplit_once("=> \"")?.1.strip_suffix("\",")).collect()
    }

    #[test]
    fn every_word_that_can_become_a_label_is_listed() {
        for (source, function, list) in [
            (include_str!("../../types/src/message.rs"), "kind", KINDS),
            (include_str!("../../types/src/verify/mod.rs"), "word", UNVERIFIED),
            (include_str!("../../consensus/src/effect.rs"), "word", IGNORED),
            (include_str!("../../app/src/application.rs"), "code", &[REJECTED, UNVERIFIED].concat()),
            (include_str!("../../replica/src/mempool/limits.rs"), "code", REJECTED),
        ] {
            let words = words(source, function);
            assert!(words.len() > 3, "{function}: {words:?}");
            for word in words {
                assert!(list.contains(&word), "{word:?} is not in metrics.rs's list");
            }
        }
        let sources = [
            include_str!("../../types/src/failure.rs"),
            include_str!("../../builtin/src/built_in.rs"),
            include_str!("../../app/src/governance.rs"),
        ];
        for source in sources {
            let codes: Vec<_> =
                source.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once("\", ")).map(|(code, _)| code).collect();
            assert!(codes.len() > 4, "{codes:?}");
            for code in codes {
                assert!(REJECTED.contains(&code), "{code:?} is not in metrics.rs's list");
            }
        }
    }

    #[test]
    fn a_word_that_is_not_listed_counts_as_another() {
        assert_eq!(listed("vote", KINDS.iter()), "vote");
        assert_eq!(listed("a new kind", KINDS.iter()), OTHER);
    }
}
