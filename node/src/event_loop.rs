//! The replica's own thread: takes inputs, runs the replica, passes its outputs on. No other thread touches the replica, and this one waits
//! only for inputs, time and the disk.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use quorate_ledger::{CommittedView, Store};
use quorate_network::{Class, Network, PeerIndex};
use quorate_replica::{Abstaining, Answer, Dropped, Fatal, Input, Load, Now, Output, Replica, ReplicaStatus, Ticket};
use quorate_types::{
    codec::{self, Bounded},
    committee::Committee,
    event::{LedBy, NodeEvent},
    ids::{Address, TxId, ValidatorId},
    message::{Message, Recipients, TransactionBatch},
    round::{Round, Sequence, UnixMillis},
    rpc::{TransactionStatus, Wait},
    transaction::Transaction,
    verify::Verified,
};
use tokio::sync::{oneshot, watch};

use crate::{
    diagnosis::Snapshot,
    drops::TRANSACTIONS_MAX,
    epochs::Epochs,
    events::Events,
    evidence::Keeper,
    feed::Feed,
    helpers::Helpers,
    ingest::TransactionQueue,
    links::Links,
    mailbox::{Lane, Mailbox, Taken},
    metrics::Metrics,
    relevance::Relevance,
    serve::Server,
    submission::{Claim, Reply},
};

/// Longest wait for an input when no timer is due; the loop then makes one idle turn.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the loop looks for clients that have disconnected.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// Inputs of the replica's thread.
pub(crate) enum LoopInput {
    /// A message from another validator.
    Message {
        /// Authenticated by the link.
        from: ValidatorId,
        /// Its signatures are verified.
        message: Verified<Message>,
    },
    /// A message that names another epoch than ours.
    OtherEpoch {
        /// Authenticated by the link.
        from: ValidatorId,
        /// Decoded only.
        message: Box<Message>,
        /// Its encoded length.
        bytes: usize,
    },
    /// Transactions gossiped by other validators.
    Gossip(Vec<Verified<Transaction>>),
    /// A client's transaction.
    Submit {
        /// Where and when to send the answer.
        claim: Claim,
        /// Its signature is verified.
        transaction: Verified<Transaction>,
    },
    /// Blocks read for another validator.
    Served {
        /// The validator that requested them.
        to: ValidatorId,
        /// The answer, encoded and decoded; `None` if the blocks could not be read.
        answer: Option<(Bytes, Message)>,
    },
    /// A question that only the replica can answer.
    Ask(Question),
}

/// A question with the channel for its answer. It is no error if the asker no longer listens.
pub(crate) enum Question {
    /// The replica's status.
    Status(oneshot::Sender<ReplicaStatus>),
    /// The replica's position in the protocol, and when each validator was last heard.
    Standing(oneshot::Sender<Snapshot>),
    /// Transactions that have left the pool uncommitted from a position on, and the position to continue from.
    DroppedSince(u64, oneshot::Sender<(u64, Vec<Dropped>)>),
    /// An account's next sequence number, counting its transactions in the pool.
    NextSequence(Address, oneshot::Sender<Sequence>),
    /// What the pool knows of a transaction.
    Transaction(TxId, oneshot::Sender<TransactionStatus>),
}

/// The monotonic clock and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        Now { elapsed: self.started.elapsed(), unix: unix_now() }
    }
}

/// Wall-clock time.
pub(crate) fn unix_now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Where outputs go.
pub(crate) struct Outlets {
    pub(crate) network: Network,
    /// The epoch that the replica is in, for the other threads.
    pub(crate) epochs: Arc<Epochs>,
    /// Every member of the committee but this one.
    pub(crate) others: Vec<PeerIndex>,
    pub(crate) links: Arc<Links>,
    /// Who else is asked for committed blocks.
    pub(crate) helpers: Arc<Helpers>,
    /// The newest committed state, for readers.
    pub(crate) views: watch::Sender<CommittedView>,
    /// The queue in front of the pool; its admission depends on how full the pool is.
    pub(crate) transactions: Arc<TransactionQueue>,
    /// The replica's position in the protocol, for the threads that verify proposals.
    pub(crate) relevance: Arc<Relevance>,
    /// Reads blocks for other validators.
    pub(crate) server: Server,
    /// Keeps evidence.
    pub(crate) evidence: Keeper,
    /// What this node sees, for listeners.
    pub(crate) feed: Arc<Feed>,
    pub(crate) metrics: Arc<Metrics>,
    /// Injected message failures.
    #[cfg(feature = "faults")]
    pub(crate) faults: Option<crate::faults::Faults>,
}

/// The replica with its inputs and outputs.
pub(crate) struct EventLoop<S: Store> {
    replica: Replica<S>,
    clock: Clock,
    mailbox: Mailbox<LoopInput>,
    outlets: Outlets,
    /// Waiting clients. Bounded by the submissions that the API lets wait.
    waiters: BTreeMap<Ticket, Reply>,
    swept: Duration,
    /// When each validator was last heard from. Bounded by the committee.
    heard: BTreeMap<ValidatorId, Duration>,
    /// The committee before this one, until this one has committed a block: who has left it may not know yet.
    leaving: Option<Arc<Committee>>,
    /// The last round reported to the log and to listeners.
    round: Round,
    /// The last round in which a timeout of ours was reported to listeners.
    timed_out: Round,
    /// The last state of an abstention reported to the log.
    abstaining: Option<Abstaining>,
    /// The log says that the node has halted.
    halted: bool,
}

impl<S: Store> EventLoop<S> {
    pub(crate) fn new(replica: Replica<S>, clock: Clock, mailbox: Mailbox<LoopInput>, outlets: Outlets) -> Self {
        let (waiters, heard) = (BTreeMap::new(), BTreeMap::new());
        Self {
            replica,
            clock,
            mailbox,
            outlets,
            waiters,
            swept: Duration::ZERO,
            heard,
            leaving: None,
            round: Round(0),
            timed_out: Round(0),
            abstaining: None,
            halted: false,
        }
    }

    /// Runs until the mailbox is closed and empty.
    pub(crate) fn run(&mut self) -> Result<(), Fatal> {
        let mut batch = VecDeque::new();
        // The first tick starts the timers.
        self.replica.push(self.clock.now(), Input::Tick);
        loop {
            self.work()?;
            self.tell_abstention();
            self.tell_halt();
            self.publish();
            if self.mailbox.take(&mut batch, self.patience()) == Taken::Closed {
                return Ok(());
            }
            for input in batch.drain(..) {
                self.on_input(input);
            }
            let now = self.clock.now();
            if self.replica.next_deadline().is_some_and(|deadline| deadline <= now.elapsed) {
                self.replica.push(now, Input::Tick);
            }
            self.sweep(now);
        }
    }

    /// Runs the replica until it has no more outputs.
    fn work(&mut self) -> Result<(), Fatal> {
        while let Some(output) = self.replica.poll()? {
            self.on_output(output);
            self.tell_round();
        }
        Ok(())
    }

    /// Reports a new round to the log and to listeners.
    fn tell_round(&mut self) {
        let engine = self.replica.engine();
        let round = engine.round();
        if round != self.round {
            self.round = round;
            let (leader, high_qc_round) = (engine.leader(round), engine.tree().high_qc().round());
            self.events().round_entered(round, leader, high_qc_round);
            let now = self.outlets.epochs.now();
            let led_by = if high_qc_round.next() == round { LedBy::Certificate } else { LedBy::Timeouts };
            self.outlets.feed.tell(NodeEvent::Round { at: unix_now(), epoch: now.epoch(), round, leader: now.name(leader), led_by });
        }
    }

    /// Reports to the log that the node has halted.
    fn tell_halt(&mut self) {
        if self.replica.has_halted() && !self.halted {
            self.halted = true;
            tracing::warn!(
                height = %self.replica.ledger().root().height,
                "halted, as node.halt_at_height says: this node commits and signs nothing more, and serves what it has. Remove the setting to go on"
            );
        }
    }

    /// Reports to the log how the way back after a loss of memory goes on.
    fn tell_abstention(&mut self) {
        let now = self.replica.abstaining();
        if now != self.abstaining {
            if let Some(abstaining) = &now {
                tracing::warn!("this validator follows: {abstaining}");
            } else {
                let round = self.replica.engine().round();
                tracing::info!(%round, "nothing that this validator has forgotten can matter any more: it signs again");
            }
            self.abstaining = now;
        }
    }

    /// Reports a timeout of ours to listeners, once however often it is sent.
    fn tell_timeout(&mut self, message: &Message) {
        if let Message::Timeout(message) = message
            && message.timeout.round > self.timed_out
        {
            let (round, now) = (message.timeout.round, self.outlets.epochs.now());
            self.timed_out = round;
            let leader = now.name(self.replica.engine().leader(round));
            self.outlets.feed.tell(NodeEvent::Timeout { at: unix_now(), epoch: now.epoch(), round, leader });
        }
    }

    fn events(&self) -> &Events {
        self.outlets.metrics.events()
    }

    /// Publishes the replica's load and position to the other threads.
    fn publish(&self) {
        let waiting = Load { transactions: self.mailbox.waiting(Lane::Transactions), bytes: 0 };
        let of_clients = self.replica.ready_of_clients();
        let of_others = self.replica.ready().minus(of_clients);
        self.outlets.transactions.admission().publish(of_clients.plus(waiting), of_others);
        self.outlets.relevance.publish(self.replica.position());
    }

    fn patience(&self) -> Duration {
        let elapsed = self.clock.now().elapsed;
        let until_timer = self.replica.next_deadline().map_or(PATIENCE, |deadline| deadline.saturating_sub(elapsed));
        let until_sweep = if self.waiters.is_empty() { PATIENCE } else { SWEEP_EVERY };
        until_timer.min(until_sweep).min(PATIENCE)
    }

    fn on_input(&mut self, input: LoopInput) {
        match input {
            LoopInput::Message { from, message } => {
                let now = self.clock.now();
                self.heard.insert(from, now.elapsed);
                self.events().received(from, &message);
                self.replica.push(now, Input::Message { from, message });
            }
            LoopInput::OtherEpoch { from, message, bytes } => {
                self.replica.push(self.clock.now(), Input::OtherEpoch { from, message, bytes });
            }
            LoopInput::Gossip(transactions) => self.replica.push(self.clock.now(), Input::Gossip(transactions)),
            LoopInput::Submit { claim: Claim { ticket, wait, reply }, transaction } => {
                let wait = if reply.is_abandoned() {
                    Wait::None
                } else {
                    self.waiters.insert(ticket, reply);
                    wait
                };
                self.replica.push(self.clock.now(), Input::Submit { ticket, transaction, wait });
            }
            LoopInput::Served { to, answer } => {
                let bytes = answer.as_ref().map_or(0, |(bytes, _)| bytes.len());
                if let Some((bytes, message)) = answer {
                    self.outlets.metrics.sent_message(message.kind());
                    self.events().sent(Recipients::One(to), &message);
                    self.transmit(PeerIndex(to.0), Class::Sync, bytes, &message);
                }
                self.replica.push(self.clock.now(), Input::Served { to, bytes });
            }
            LoopInput::Ask(question) => self.on_question(question),
        }
    }

    fn on_question(&self, question: Question) {
        match question {
            Question::Status(reply) => drop(reply.send(self.replica.status())),
            Question::Standing(reply) => drop(reply.send(self.snapshot())),
            Question::DroppedSince(position, reply) => drop(reply.send(self.replica.dropped_since(position, TRANSACTIONS_MAX))),
            Question::NextSequence(address, reply) => drop(reply.send(self.replica.next_sequence(&address))),
            Question::Transaction(id, reply) => drop(reply.send(self.transaction(&id))),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let now = self.clock.now().elapsed;
        let silent = self.heard.iter().map(|(id, at)| (*id, now.saturating_sub(*at)));
        Snapshot { standing: self.replica.standing(), silent: silent.collect() }
    }

    /// The pool's knowledge only; committed transactions are in the store.
    fn transaction(&self, id: &TxId) -> TransactionStatus {
        if self.replica.is_pending(id) {
            return TransactionStatus::Pending;
        }
        match self.replica.dropped(id) {
            Some(reason) => TransactionStatus::Dropped { code: reason.code().into(), reason: reason.to_string() },
            None => TransactionStatus::Unknown,
        }
    }

    fn on_output(&mut self, output: Output) {
        match output {
            Output::Send { to, message } => {
                self.tell_timeout(&message);
                self.send(to, &message);
            }
            Output::Gossip(transactions) => self.gossip(transactions),
            Output::Serve(job) => {
                if let Err(job) = self.outlets.server.serve(job) {
                    self.replica.push(self.clock.now(), Input::Served { to: job.to(), bytes: 0 });
                }
            }
            Output::Answer { ticket, answer } => self.answer(ticket, answer),
            Output::Committed(committed) => {
                self.outlets.metrics.committed(&committed, unix_now());
                for block in &committed.blocks {
                    Events::committed(&block.header, block.receipts.len());
                }
                self.outlets.views.send_replace(committed.view.clone());
                if committed.ends_epoch {
                    self.begin_epoch();
                } else if self.leaving.take().is_some() {
                    self.link();
                }
            }
            Output::Accused(evidence) => {
                self.outlets.metrics.accused(evidence.culprit);
                tracing::error!(
                    validator = %evidence.culprit,
                    round = %evidence.round(),
                    "a validator has signed two different {}s in one round: its key runs twice, its state is an old copy, or it is malicious",
                    evidence.kind()
                );
                self.outlets.evidence.keep(evidence);
            }
            Output::Ignored { from, reason } => self.outlets.metrics.ignored_message(from, reason),
            Output::Worked => {}
        }
    }

    /// The replica is in another epoch than before.
    fn begin_epoch(&mut self) {
        let (verifier, me) = (Arc::clone(self.replica.verifier()), self.replica.me());
        let committee = Arc::clone(verifier.committee());
        self.leaving = Some(Arc::clone(self.outlets.epochs.now().committee()));
        // Before the verifier: a proposal that it accepts is judged by the position of its own epoch.
        self.outlets.relevance.begin_epoch(self.replica.position());
        self.outlets.transactions.admission().begin_epoch(verifier.parameters());
        self.outlets.epochs.set(verifier, me);
        self.link();
        self.outlets.metrics.start_at_zero();
        self.heard.retain(|id, _| committee.get(*id).is_some());
        (self.round, self.timed_out) = (Round(0), Round(0));
        tracing::info!(
            epoch = %committee.epoch(),
            voters = committee.voters().len(),
            members = committee.ids().count(),
            is_voter = committee.is_voter(me),
            "what governs the chain has changed, and a new epoch begins"
        );
    }

    /// Keeps links to the members of the committee, and to those who are leaving.
    fn link(&mut self) {
        let now = self.outlets.epochs.now();
        let (committee, leaving) = (now.committee(), self.leaving.as_ref());
        let me = committee.get(now.me).map(|_| now.me);
        self.outlets.links.set(committee, leaving);
        let seats: BTreeSet<ValidatorId> = committee.ids().chain(leaving.into_iter().flat_map(|before| before.ids())).collect();
        self.outlets.others = seats.into_iter().filter(|id| Some(*id) != me).map(|id| PeerIndex(id.0)).collect();
    }

    fn send(&self, to: Recipients, message: &Message) {
        let bytes = Bytes::from(codec::encode(message));
        let class = if message.is_urgent() { Class::Consensus } else { Class::Sync };
        self.outlets.metrics.sent_message(message.kind());
        self.events().sent(to, message);
        match to {
            Recipients::One(id) if matches!(message, Message::CatchupRequest(_)) => {
                let place = self.outlets.helpers.route(id, |place| self.outlets.network.is_connected(place));
                self.transmit(place, class, bytes, message);
            }
            Recipients::One(id) => self.transmit(PeerIndex(id.0), class, bytes, message),
            Recipients::Others => {
                for peer in &self.outlets.others {
                    self.transmit(*peer, class, bytes.clone(), message);
                }
            }
        }
    }

    #[cfg(not(feature = "faults"))]
    fn transmit(&self, peer: PeerIndex, class: Class, bytes: Bytes, _message: &Message) {
        self.outlets.network.send(peer, class, bytes);
    }

    #[cfg(feature = "faults")]
    fn transmit(&self, peer: PeerIndex, class: Class, bytes: Bytes, message: &Message) {
        use crate::faults::{Fate, kind_and_round};
        let Some(faults) = &self.outlets.faults else { return self.outlets.network.send(peer, class, bytes) };
        let engine = self.replica.engine();
        let (kind, round) = kind_and_round(message);
        match faults.fate(Some(ValidatorId(peer.0)), kind, round.unwrap_or(engine.round()), |round| engine.leader(round)) {
            Fate::Sent => self.outlets.network.send(peer, class, bytes),
            Fate::Lost => {}
            Fate::Late(after) => faults.later(after, peer, class, bytes),
        }
    }

    fn gossip(&self, transactions: Vec<Transaction>) {
        #[cfg(feature = "faults")]
        if let Some(faults) = &self.outlets.faults {
            let engine = self.replica.engine();
            // A batch goes to all peers or to none, and is never delayed: every validator gossips uncommitted transactions again.
            let fate = faults.fate(None, quorate_faults::Kind::Gossip, engine.round(), |round| engine.leader(round));
            if fate != crate::faults::Fate::Sent {
                return;
            }
        }
        if !self.outlets.others.is_empty() {
            let batch = TransactionBatch(Bounded::truncated(transactions));
            self.outlets.network.gossip(Bytes::from(codec::encode(&batch)));
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Answer::Rejected { code, .. } = &answer {
            self.outlets.metrics.refused_submission(code);
        }
        if let Some(reply) = self.waiters.remove(&ticket) {
            reply.send(answer);
        }
    }

    /// Forgets clients that have disconnected.
    fn sweep(&mut self, now: Now) {
        if self.waiters.is_empty() || now.elapsed.saturating_sub(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now.elapsed;
        let gone: Vec<Ticket> = self.waiters.iter().filter(|(_, reply)| reply.is_abandoned()).map(|(ticket, _)| *ticket).collect();
        for ticket in gone {
            self.waiters.remove(&ticket);
            self.replica.push(now, Input::Forget(ticket));
        }
    }
}
