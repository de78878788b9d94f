//! One validator: takes inputs, runs the engine, and carries out its effects one at a time, in order.
//!
//! The order is the point (SAFE-4): a ballot is signed only when handling `Persisted`, which only a successful synced write causes. The power
//! may fail between any two calls of [`Replica::poll`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use quorate_app::{App, CachedRead, Panicked, accounts, check_transaction, permissions};
use quorate_consensus::{
    Config, Effect, Engine, Event, Halt, Rejected as RejectedBlock,
    safety::{Ballot, Lapse, SafetyRecord, persist},
};
use quorate_ledger::{Batch, CommittedView, InvalidBlock, Ledger, LedgerError, Store, StoreError, schema};
use quorate_types::{
    block::{Block, Payload, payload_bytes},
    codec::{self, Bounded},
    epoch::EpochChange,
    genesis::Genesis,
    ids::{Address, BlockId, GenesisHash, StateId, TxId, ValidatorId},
    message::{BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, Message, Purpose, Recipients, RecoveryAnswer, RecoveryRequest, SyncInfo},
    proof::CommitProof,
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, Round, Sequence},
    rpc::Wait,
    sighting::Statement,
    signing::Signer,
    transaction::{Target, Transaction},
    verify::{Verified, VerifiedMessage, Verifier},
    vote::QuorumCert,
    witness::Stop,
};

use crate::{
    abstention::{Abstaining, Abstention},
    asking::Asking,
    block_time::BlockTime,
    catchup::{Blocks, Catchup},
    early::Early,
    input::{Input, Now},
    mempool::{Added, Dropped, Load, Mempool, PoolLimits, Rejected},
    output::{Answer, Output},
    pacer,
    persistence::{self, SafetyColumn},
    position::Position,
    recovery::{self, LaterVersion, MEMORY_IS_LOST, RecoverError},
    seen::{self, Seen},
    serve::{Quota, Serve},
    standing::Standing,
    waiting::{Ticket, TooManyWaiting, Waiting},
    witness::{Attestation, WitnessFile},
};

/// Most results kept of blocks that the engine has dropped.
const DROPPED_BLOCKS_MAX: usize = 64;

/// Most ballots held back while we ask what others have seen of us. Beyond it the oldest are dropped: their rounds are over.
const UNSIGNED_MAX: usize = 64;

/// What a validator does about statements that carry its signature and that it does not remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubles {
    /// Stop for ever, and ask other validators for such statements before signing (SAFE-6), as every real validator does.
    Stop,
    /// Do nothing: for tools that explore the protocol by running one key twice, or by lying with it.
    Play,
}

/// What a replica needs to open.
#[derive(Debug)]
pub struct ReplicaConfig {
    /// Genesis of the network.
    pub genesis: Arc<Genesis>,
    /// Of the first epoch of the same network; see [`crate::verifier`].
    pub verifier: Arc<Verifier>,
    /// Signs with our consensus key. In an epoch in which the key has no vote, we follow and sign nothing.
    pub signer: Arc<dyn Signer>,
    /// The bounds of the pool.
    pub pool: PoolLimits,
    /// See [`Config::fixed_leaders`].
    pub fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>,
    /// The file that knows how far the key has signed.
    pub witness: Box<dyn WitnessFile>,
    /// See [`Doubles`].
    pub doubles: Doubles,
    /// The newest version of the protocol that we speak.
    pub speaks: u32,
    /// Stop at this height, for an upgrade of all validators at once: commit nothing above it, and sign nothing once it is committed.
    pub halt_at: Option<Height>,
}

/// We are faulty, or the disk is, or more than f validators are: stop the process at once. Nothing is retried.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The store failed. The last write may or may not be there.
    #[error("the store failed; nothing was signed after that: {0}")]
    Store(#[from] StoreError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The stored safety record cannot be read at the start of an epoch.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// A rule of the protocol is broken.
    #[error(transparent)]
    Halt(#[from] Halt),
    /// The application panicked. The transaction is remembered: the replica opens again, and votes for no block that contains it.
    #[error(
        "{0}. Nothing was signed for its block. Restart this validator: it goes on, and votes for no block with this transaction. Report the panic to \
         the application's authors"
    )]
    Panicked(Panicked),
    /// The application panicked on a block that a quorum executed and certified: our program or machine is at fault.
    #[error(
        "{0}. But a quorum has executed its block and certified it, so this validator cannot go on without it. Check that it runs the same program as \
         the other validators, and check the machine's memory; then restart it"
    )]
    PanickedAlone(Panicked),
    /// The chain goes over to a version of the protocol that this program does not speak.
    #[error(transparent)]
    LaterVersion(#[from] LaterVersion),
    /// SAFE-6. The stop is remembered: the replica does not open again.
    #[error(
        "SAFE-6: this validator's key has signed {0}, which this validator does not remember. The key runs somewhere else as well, or this home was \
         restored from an older copy. Nothing more is signed, not even after a restart. Stop the other one if there is one; {MEMORY_IS_LOST}"
    )]
    Doubled(Stop),
}

/// A replica in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The epoch.
    pub epoch: Epoch,
    /// The current round.
    pub round: Round,
    /// Leader of the current round.
    pub leader: ValidatorId,
    /// The last committed height.
    pub height: Height,
    /// Blocks that are not yet committed.
    pub pending_blocks: usize,
    /// Round of the high QC.
    pub high_qc_round: Round,
    /// Highest round with a vote or timeout of ours.
    pub highest_vote_round: Round,
    /// Transactions in the pool.
    pub pool_transactions: usize,
    /// Bytes of transactions in the pool.
    pub pool_bytes: usize,
    /// The part of the pool that blocks could hold now; the rest waits for earlier transactions of its senders.
    pub pool_ready: Load,
    /// Clients waiting for a commit.
    pub waiting: usize,
    /// Blocks are being fetched, or we do not know yet after the start whether we lag.
    pub catching_up: bool,
    /// How far the abstention has come, if this validator has lost its memory.
    pub abstaining: Option<Abstaining>,
    /// It has reached the height at which it was to halt: see [`ReplicaConfig::halt_at`].
    pub has_halted: bool,
    /// Different results that recent votes name; more than one is an alarm (S8).
    pub results_in_votes: usize,
    /// Counters since the start.
    pub counts: Counts,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Our proposals.
    pub proposals: u64,
    /// Our votes.
    pub votes: u64,
    /// Our timeouts, each counted once however often it is sent.
    pub timeouts: u64,
    /// Proposals held because their time was ahead of our clock.
    pub held: u64,
    /// Committed blocks.
    pub blocks: u64,
    /// Committed transactions.
    pub transactions: u64,
}

/// Work for [`Replica::poll`].
#[derive(Debug)]
enum Task {
    Effect(Box<Effect>),
    /// Blocks that we asked for, for the engine.
    Event(Box<Event>),
    /// A client's transaction whose sequence number is used: the disk knows whether it is committed.
    Lookup(Box<Submission>),
    /// A message that came before our epoch began.
    Early(ValidatorId, Box<Message>),
}

/// A transaction from a client of ours.
#[derive(Debug)]
struct Submission {
    ticket: Ticket,
    transaction: Verified<Transaction>,
    wait: Wait,
}

/// The block that the engine wants to propose.
#[derive(Clone, Copy, Debug)]
struct Building {
    round: Round,
    parent: BlockId,
    flush: bool,
    /// When an empty block is due.
    heartbeat: Duration,
    /// Until when a block of few transactions waits for more.
    pause_end: Duration,
    /// What the uncommitted ancestors hold.
    pending: Load,
    /// The block is waiting for more transactions.
    is_pausing: bool,
}

/// One validator; see the module docs.
#[derive(Debug)]
pub struct Replica<S: Store> {
    /// Of our epoch.
    verifier: Arc<Verifier>,
    signer: Arc<dyn Signer>,
    fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>,
    genesis_hash: GenesisHash,
    me: ValidatorId,
    store: S,
    ledger: Ledger<S>,
    engine: Engine,
    pool: Mempool,
    waiting: Waiting,
    catchup: Catchup,
    quota: Quota,
    witness: Attestation,
    doubles: Doubles,
    speaks: u32,
    halt_at: Option<Height>,
    /// The safety record as last persisted. The engine's own is ahead of it by the ballots approved since.
    durable: SafetyRecord,
    seen: Seen,
    /// Messages of the next epoch.
    early: Early,
    /// A statement with our signature that we do not remember.
    stopping: Option<Stop>,
    asking: Asking,
    /// We have lost our memory, and sign nothing (SAFE-8).
    abstention: Option<Abstention>,
    /// After an abstention: the epoch, and the last round of it, of which we do not remember what we have signed.
    unknown: Option<(Epoch, Round)>,
    /// Blocks that were on disk at the start and have not been executed again yet.
    recovered: BTreeSet<BlockId>,
    /// Ballots held back until asking is over.
    unsigned: VecDeque<Box<Effect>>,
    now: Now,
    time: BlockTime,
    timer: Option<(Round, Duration)>,
    building: Option<Building>,
    /// Transactions to pass on: new ones of our clients, and after a lost round whatever is ready.
    gossip: Vec<Transaction>,
    pool_ready: bool,
    /// `pool_ready` must be computed anew, which reads the state: the pool or the committed state has changed.
    pool_touched: bool,
    tasks: VecDeque<Task>,
    outputs: VecDeque<Output>,
    counts: Counts,
}

impl<S: Store> Replica<S> {
    /// Opens the ledger and continues where the store left off. Push an input before the first poll: the work of recovery needs the time that
    /// the input brings.
    ///
    /// # Errors
    /// [`RecoverError`], which says what to do.
    pub fn open(config: ReplicaConfig, store: S, app: &App) -> Result<Self, RecoverError> {
        let ledger = Ledger::open(store.clone(), app, &config.genesis)?;
        Self::resume(config, store, ledger)
    }

    /// Continues on an open ledger.
    ///
    /// # Errors
    /// [`RecoverError`], which says what to do.
    pub fn resume(config: ReplicaConfig, store: S, ledger: Ledger<S>) -> Result<Self, RecoverError> {
        LaterVersion::check(ledger.epoch(), config.speaks)?;
        let verifier = recovery::of_epoch(&config.verifier, &ledger)?;
        let committee = verifier.committee();
        let public = config.signer.public();
        let me = committee.find(&public).unwrap_or(NOBODY);
        let genesis_hash = verifier.genesis_hash();
        let mut witness = Attestation::open(config.witness, public, genesis_hash)?;
        let timeout = base_timeout(&verifier);
        let (mut abstention, mut unknown) = (None, None);
        match recovery::stored_lapse(&store)? {
            Some(Lapse::Open { nonce }) => abstention = Some(Abstention::new(nonce, me, Arc::clone(committee), timeout)),
            Some(Lapse::Closed { epoch, round }) => unknown = Some((epoch, round)),
            None => {}
        }
        let recovered = recovery::recover(&ledger, &verifier, &mut witness, abstention.is_some())?;
        let mut seen = Seen::new(committee.epoch());
        for qc in recovered.blocks.iter().map(Verified::<Block>::qc).chain([recovered.root_qc.clone()]) {
            seen.note_qc(&qc);
        }
        if let Some(certificates) = &recovered.certificates {
            seen.note_qc(&certificates.high_qc);
            certificates.last_round_tc.iter().for_each(|tc| seen.note_tc(tc));
        }
        let asking = Asking::new(me, Arc::clone(committee), timeout);
        let asking = if config.doubles == Doubles::Stop { asking } else { asking.skipped() };
        let engine_config = engine_config(&verifier, me, &config.fixed_leaders);
        let durable = recovered.record.clone();
        let on_disk = recovered.blocks.iter().map(|block| block.id()).collect();
        let signer = config.signer;
        let (engine, effects) = Engine::recover(engine_config, Arc::clone(&signer), recovered);
        let time = BlockTime::new(verifier.parameters(), ledger.root().timestamp);
        let (members, catchup) = (committee.ids().count(), Catchup::new(me, Arc::clone(committee)));
        let mut replica = Self {
            genesis_hash,
            verifier,
            signer,
            fixed_leaders: config.fixed_leaders,
            me,
            store,
            ledger,
            engine,
            pool: Mempool::new(config.pool),
            waiting: Waiting::default(),
            catchup,
            quota: Quota::new(members),
            witness,
            doubles: config.doubles,
            speaks: config.speaks,
            halt_at: config.halt_at,
            durable,
            seen,
            early: Early::default(),
            stopping: None,
            asking,
            abstention,
            unknown,
            recovered: on_disk,
            unsigned: VecDeque::new(),
            now: Now::default(),
            time,
            timer: None,
            building: None,
            gossip: Vec::new(),
            pool_ready: false,
            pool_touched: true,
            tasks: VecDeque::new(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        };
        if !replica.has_halted() {
            replica.queue(effects);
        }
        Ok(replica)
    }

    /// Takes an input and the time of its arrival. Does no I/O.
    pub fn push(&mut self, now: Now, input: Input) {
        // A monotonic clock must not go back; if the driver's does, timers do not follow it.
        self.now = Now { elapsed: now.elapsed.max(self.now.elapsed), unix: now.unix };
        self.catchup.start(self.now.elapsed);
        self.time.start(self.now);
        match input {
            Input::Message { from, message } => self.on_message(from, message),
            Input::OtherEpoch { from, message, bytes } => self.on_other_epoch(from, *message, bytes),
            Input::Gossip(transactions) => {
                for transaction in transactions {
                    // Gossip is not answered; a refusal is counted by the validator that took the transaction from its client.
                    let _refused = self.admit(transaction).is_err();
                }
            }
            Input::Submit { ticket, transaction, wait } => self.on_submit(Submission { ticket, transaction, wait }),
            Input::Served { to, bytes } => self.quota.served(to, bytes),
            Input::Forget(ticket) => self.waiting.forget(ticket),
            Input::Tick => {}
        }
        self.on_time();
        self.on_pool_changed();
    }

    /// Does one piece of waiting work and returns an output; `None` when there is nothing left to do.
    ///
    /// # Errors
    /// [`Fatal`]: stop the process, and do not call this again.
    pub fn poll(&mut self) -> Result<Option<Output>, Fatal> {
        // Before all waiting work, which may include a ballot.
        if let Some(stop) = self.stopping {
            self.witness.stop(stop)?;
            return Err(Fatal::Doubled(stop));
        }
        if let Some(output) = self.outputs.pop_front() {
            return Ok(Some(output));
        }
        if let Some(task) = self.tasks.pop_front() {
            self.run(task)?;
            self.on_pool_changed();
            return Ok(Some(self.outputs.pop_front().unwrap_or(Output::Worked)));
        }
        Ok(self.next_gossip())
    }

    /// When the replica needs its next input at the latest, as [`Now::elapsed`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.has_halted() {
            return None;
        }
        let heartbeat = self.building.map(|building| if building.is_pausing { building.pause_end } else { building.heartbeat });
        let timer = self.timer.map(|(_, at)| at);
        let abstention = self.abstention.as_ref().and_then(Abstention::deadline);
        let deadlines = [timer, heartbeat, self.time.deadline(), self.catchup.deadline(), self.asking.deadline(), abstention];
        deadlines.into_iter().flatten().min()
    }

    /// The replica in numbers.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            epoch: self.engine.epoch(),
            round: self.engine.round(),
            leader: self.engine.leader(self.engine.round()),
            height: self.ledger.root().height,
            pending_blocks: self.engine.tree().blocks().count(),
            high_qc_round: self.engine.tree().high_qc().round(),
            highest_vote_round: self.engine.safety_record().highest_vote_round(),
            pool_transactions: self.pool.len(),
            pool_bytes: self.pool.bytes(),
            pool_ready: self.pool.ready(),
            waiting: self.waiting.len(),
            catching_up: self.catchup.is_behind() && !self.has_halted(),
            has_halted: self.has_halted(),
            abstaining: self.abstaining(),
            results_in_votes: self.engine.results_in_votes(),
            counts: self.counts,
        }
    }

    /// Where we stand and what we have seen of other validators, for people.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let sightings = self.catchup.committee().ids().map(|id| self.seen.of(id));
        Standing::of(&self.engine, self.ledger.root().height, self.catchup.is_behind(), sightings)
    }

    /// Whether this validator has reached the height at which it was to halt.
    #[must_use]
    pub fn has_halted(&self) -> bool {
        self.halt_at.is_some_and(|halt| self.ledger.root().height >= halt)
    }

    /// How far the abstention has come, if this validator has lost its memory.
    #[must_use]
    pub fn abstaining(&self) -> Option<Abstaining> {
        self.abstention.as_ref().map(Abstention::status)
    }

    /// What the pool could give to blocks now.
    #[must_use]
    pub const fn ready(&self) -> Load {
        self.pool.ready()
    }

    /// The part of [`Self::ready`] whose senders are clients of ours.
    #[must_use]
    pub const fn ready_of_clients(&self) -> Load {
        self.pool.ready_of_clients()
    }

    /// Answers a request for blocks at once, for a driver without another thread to do it.
    ///
    /// # Errors
    /// [`LedgerError`]: the store failed.
    pub fn serve(&mut self, job: Serve) -> Result<Message, LedgerError> {
        let to = job.to();
        let answer = job.answer(&self.ledger.reader())?;
        self.quota.served(to, codec::encode(&answer).len());
        Ok(answer)
    }

    /// The committed state, for other threads.
    #[must_use]
    pub fn view(&self) -> CommittedView {
        self.ledger.view()
    }

    /// Where the protocol stands, for checking proposals.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::of(&self.engine)
    }

    /// The engine, for inspection.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine's safety record; may be ahead of the durable one.
    #[must_use]
    pub const fn safety_record(&self) -> &SafetyRecord {
        self.engine.safety_record()
    }

    /// The ledger, for inspection.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<S> {
        &self.ledger
    }

    /// Checks the messages of our epoch. It changes when [`Output::Committed`] says that an epoch has ended.
    #[must_use]
    pub const fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// Our seat; no member's if the committee does not have us.
    #[must_use]
    pub const fn me(&self) -> ValidatorId {
        self.me
    }

    /// The sequence number for an account's next transaction, after those in the pool.
    #[must_use]
    pub fn next_sequence(&self, sender: &Address) -> Sequence {
        self.pool.next_sequence(sender, self.committed_sequence(sender))
    }

    /// Whether the pool holds a transaction.
    #[must_use]
    pub fn is_pending(&self, id: &TxId) -> bool {
        self.pool.contains(id)
    }

    /// Why a transaction left the pool without being committed, while it is remembered.
    #[must_use]
    pub fn dropped(&self, id: &TxId) -> Option<&Rejected> {
        self.pool.dropped(id)
    }

    /// The newest transactions dropped from a position on, at most `max`, oldest first; and the position to continue from.
    #[must_use]
    pub fn dropped_since(&self, position: u64, max: usize) -> (u64, Vec<Dropped>) {
        self.pool.dropped_since(position, max)
    }

    // ---- inputs -------------------------------------------------------------------------------------------------------------------

    fn on_message(&mut self, from: ValidatorId, message: Verified<Message>) {
        // It was verified just before an epoch ended.
        if message.epoch().is_some_and(|epoch| epoch != self.verifier.committee().epoch()) {
            return self.on_other_epoch(from, message.into_inner(), 0);
        }
        if self.doubles == Doubles::Stop
            && let Some(statement) = self.foreign(&message)
        {
            self.stopping = Some(Stop { kind: statement.kind(), round: statement.round() });
            return;
        }
        self.seen.note(&message);
        if self.has_halted() && message.round().is_some() {
            return self.show_halt(from);
        }
        self.asking.on_heard(self.now.elapsed);
        match message.split() {
            VerifiedMessage::SightingsRequest => self.tell_sightings(from),
            VerifiedMessage::Sightings(sightings) => {
                if sightings.of == self.me {
                    self.asking.on_answer(from);
                }
            }
            VerifiedMessage::RecoveryRequest(request) => self.show_certificates(from, request),
            VerifiedMessage::RecoveryAnswer(nonce, certificates) => {
                self.tell(Event::Message { from, message: VerifiedMessage::SyncInfo(certificates) });
                let round = self.engine.round();
                if let Some(abstention) = &mut self.abstention {
                    abstention.on_answer(from, nonce, round);
                }
            }
            VerifiedMessage::Proposal(proposal) => {
                self.time.on_proposal(proposal.block.content().timestamp, self.now);
                self.tell(Event::Message { from, message: VerifiedMessage::Proposal(proposal) });
            }
            VerifiedMessage::FetchRequest(request) => {
                self.serve_if_due(from, |replica| Serve::fetch(from, request, replica.engine.tree(), &replica.ledger));
            }
            VerifiedMessage::CatchupRequest(request) => {
                self.serve_if_due(from, |_| Serve::catch_up(from, request));
                self.tell(Event::Message { from, message: VerifiedMessage::CatchupRequest(request) });
            }
            VerifiedMessage::FetchResponse(response) => {
                let tree = self.engine.tree();
                let root = tree.root().round;
                let blocks = self.catchup.on_fetched(from, response, self.now.elapsed, root, |id| tree.contains(id));
                self.hand_over(blocks);
            }
            VerifiedMessage::CatchupResponse(response) => {
                // The engine's root is ahead of the ledger's while commits wait to be carried out.
                let root = self.ledger.root();
                let blocks = self.catchup.on_committed(from, response, self.now.elapsed, (self.ledger.tip().0, root.height));
                self.hand_over(blocks);
            }
            message @ (VerifiedMessage::Vote(_) | VerifiedMessage::Timeout(_) | VerifiedMessage::SyncInfo(_)) => {
                self.tell(Event::Message { from, message });
            }
        }
    }

    /// SAFE-6: the first statement in a message that carries our signature and that we can neither remember nor have forgotten.
    fn foreign(&self, message: &Message) -> Option<Statement> {
        let epoch = self.verifier.committee().epoch();
        // A record of a later epoch cannot judge: we have moved here, and have not caught up yet.
        if self.durable.scope().1 != epoch {
            return None;
        }
        let forgotten = |round| match &self.abstention {
            Some(abstention) => abstention.may_have_signed(round),
            None => self.unknown.is_some_and(|(of, last)| of == epoch && round <= last),
        };
        seen::foreign(message, self.me, &self.durable, forgotten)
    }

    /// Nothing of another epoch is processed. A peer in an earlier one is shown the certificate that ended it; if a peer claims a later one, we ask
    /// for the blocks that would lead there.
    fn on_other_epoch(&mut self, from: ValidatorId, message: Message, bytes: usize) {
        let ours = self.verifier.committee().epoch();
        // What was asked for or answered before an epoch ended shows nothing.
        if let Some(epoch) = message.epoch().filter(|_| message.is_urgent()) {
            if epoch < ours {
                // A certificate may be shown because an epoch has ended. If that were answered alike, it would never end.
                if message.round().is_some() {
                    self.show_end(from, epoch);
                }
            } else {
                self.catchup.on_later_epoch(from, self.now.elapsed);
                self.asking.on_later_epoch(from);
                if epoch == ours.next() {
                    self.early.keep(from, message, bytes);
                }
            }
        }
        self.outputs.push_back(Output::Ignored { from, reason: "other-epoch" });
    }

    /// Shows a validator that goes on the certificate that commits our last block: perhaps it lacks it.
    fn show_halt(&mut self, to: ValidatorId) {
        if self.quota.take(to, self.now.elapsed) {
            let message = committed_by(self.ledger.commit_qc());
            self.quota.served(to, codec::encode(&message).len());
            self.send(Recipients::One(to), message);
        }
    }

    /// Shows a validator the certificate that commits the last block of its epoch: perhaps nobody else in it has one.
    fn show_end(&mut self, to: ValidatorId, epoch: Epoch) {
        if !self.quota.take(to, self.now.elapsed) {
            return;
        }
        // What cannot be read now may be in another validator's ledger.
        let change = self.ledger.reader().epoch_change(epoch).ok().flatten();
        let message = change.map(|EpochChange { commit: CommitProof { qc, .. }, .. }| committed_by(&qc));
        self.quota.served(to, message.as_ref().map_or(0, |message| codec::encode(message).len()));
        if let Some(message) = message {
            self.send(Recipients::One(to), message);
        }
    }

    fn serve_if_due(&mut self, from: ValidatorId, job: impl FnOnce(&Self) -> Serve) {
        let output = if self.quota.take(from, self.now.elapsed) {
            Output::Serve(Box::new(job(self)))
        } else {
            Output::Ignored { from, reason: "too-many-requests" }
        };
        self.outputs.push_back(output);
    }

    /// Tells a validator which statements of its own we have seen; it asks before it signs again.
    fn tell_sightings(&mut self, from: ValidatorId) {
        if !self.verifier.committee().is_voter(from) {
            return self.outputs.push_back(Output::Ignored { from, reason: "not-in-committee" });
        }
        // We have forgotten what we have seen.
        if self.abstention.is_some() {
            return self.outputs.push_back(Output::Ignored { from, reason: "abstains" });
        }
        // It has been in the next epoch, so what we have seen of this one is not all that it has signed.
        if self.early.has(from) {
            return self.outputs.push_back(Output::Ignored { from, reason: "other-epoch" });
        }
        if !self.quota.take(from, self.now.elapsed) {
            return self.outputs.push_back(Output::Ignored { from, reason: "too-many-requests" });
        }
        let answer = Message::Sightings(Box::new(self.seen.of(from)));
        self.quota.served(from, codec::encode(&answer).len());
        self.send(Recipients::One(from), answer);
    }

    /// Shows a validator that has lost its memory where we stand. Our certificates lead into the highest round that we have signed in, unless we
    /// have lost our own memory, or have moved here and lag behind.
    fn show_certificates(&mut self, to: ValidatorId, request: RecoveryRequest) {
        // Nor while it is not known yet whether our own memory is whole.
        let is_sure = self.abstention.is_none() && !self.asking.is_waiting();
        let knows = is_sure && self.durable.scope().1 == self.verifier.committee().epoch();
        if !knows {
            return self.outputs.push_back(Output::Ignored { from: to, reason: "abstains" });
        }
        if !self.quota.take(to, self.now.elapsed) {
            return self.outputs.push_back(Output::Ignored { from: to, reason: "too-many-requests" });
        }
        let answer = RecoveryAnswer { nonce: request.nonce, certificates: self.engine.certificates() };
        let answer = Message::RecoveryAnswer(Box::new(answer));
        self.quota.served(to, codec::encode(&answer).len());
        self.send(Recipients::One(to), answer);
    }

    /// Ends an abstention once a committed block of this epoch lies above all that we may have forgotten. The raised record is durable before the
    /// engine may sign.
    fn end_abstention(&mut self) -> Result<(), Fatal> {
        let epoch = self.verifier.committee().epoch();
        let root = self.ledger.root();
        let over = self.abstention.as_ref().filter(|_| root.epoch == epoch).and_then(|abstention| abstention.over(root.round));
        let Some(round) = over else { return Ok(()) };
        let record = self.engine.safety_record().raised_above(round);
        let bytes = codec::encode(&record);
        let certificates = codec::encode(&self.engine.certificates());
        let lapse = Lapse::Closed { epoch, round };
        persistence::write_record(&self.store, (&bytes, self.witness.next_count()), Some(&certificates), Some(&lapse))?;
        self.witness.note(&bytes, record.highest_round())?;
        self.engine.resume(round);
        (self.durable, self.abstention, self.unknown) = (record, None, Some((epoch, round)));
        Ok(())
    }

    fn hand_over(&mut self, blocks: Option<Blocks>) {
        if let Some((blocks, commit_qc)) = blocks {
            // Behind the waiting effects, which may concern the blocks' parents.
            self.tasks.push_back(Task::Event(Box::new(Event::Fetched { blocks, commit_qc })));
        }
    }

    fn on_submit(&mut self, submission: Submission) {
        let content = submission.transaction.content();
        if content.sequence < self.committed_sequence(&submission.transaction.sender()) {
            self.tasks.push_back(Task::Lookup(Box::new(submission)));
        } else {
            self.enter(submission);
        }
    }

    /// Answers a committed transaction as committed, however often it is sent (EXEC-2).
    fn look_up(&mut self, submission: Submission) -> Result<(), LedgerError> {
        let ticket = submission.ticket;
        match self.find_committed(&submission.transaction.id()) {
            Ok(Some(answer)) => self.outputs.push_back(Output::Answer { ticket, answer }),
            Ok(None) => self.enter(submission),
            Err(error) if error.is_damage() => self.refuse(ticket, "store-failed", error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes a client's transaction into the pool, or refuses it.
    fn enter(&mut self, submission: Submission) {
        let Submission { ticket, transaction, wait } = submission;
        if self.has_halted() {
            return self.refuse(ticket, "halted", "this node has halted (node.halt_at_height)".into());
        }
        let id = transaction.id();
        let copy = (*transaction).clone();
        match self.admit(transaction) {
            Err((code, reason)) => self.refuse(ticket, code, reason),
            Ok(new) => {
                self.pool.note_client(&copy.sender());
                if new {
                    self.gossip.push(copy);
                }
                match wait {
                    Wait::None | Wait::Accepted => self.outputs.push_back(Output::Answer { ticket, answer: Answer::Accepted }),
                    Wait::Committed => {
                        if let Err(error) = self.waiting.add(ticket, id) {
                            self.refuse(ticket, TooManyWaiting::CODE, error.to_string());
                        }
                    }
                }
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, code: impl Into<Cow<'static, str>>, reason: String) {
        self.outputs.push_back(Output::Answer { ticket, answer: Answer::Rejected { code: code.into(), reason } });
    }

    /// Takes a transaction into the pool. Returns whether it was new.
    fn admit(&mut self, transaction: Verified<Transaction>) -> Result<bool, (Cow<'static, str>, String)> {
        let (root, _) = self.ledger.tip();
        let now = self.time.now(self.now);
        if self.pool.contains(&transaction.id()) {
            return Ok(false);
        }
        if self.ledger.is_poison(&transaction.id()) {
            return Err(("panicked".into(), "the application panicked on it before, so it is not executed; sign another one".into()));
        }
        let mut next = Sequence(0);
        if let Some(state) = self.ledger.state(&root).map(|state| CachedRead::new(state)) {
            check_transaction(self.ledger.machine(), &state, self.ledger.epoch(), self.genesis_hash, now, &transaction)
                .map_err(|rejected| (rejected.code(), rejected.to_string()))?;
            next = accounts::next_sequence(&state, &transaction.sender());
        }
        // One more transaction cannot make a busy pool idle.
        self.pool_touched |= !self.pool_ready;
        match self.pool.add(transaction, next, now) {
            Ok(Added::New { evicted }) => {
                self.answer_dropped(evicted);
                Ok(true)
            }
            Ok(Added::AlreadyHere) => Ok(false),
            Err(rejected) => Err((rejected.code().into(), rejected.to_string())),
        }
    }

    fn committed_sequence(&self, sender: &Address) -> Sequence {
        self.ledger.state(&self.ledger.tip().0).map_or(Sequence(0), |state| accounts::next_sequence(state, sender))
    }

    fn find_committed(&self, id: &TxId) -> Result<Option<Answer>, LedgerError> {
        let found = self.ledger.reader().receipt(id)?;
        Ok(found.map(|(height, index, receipt)| Answer::Committed { height, index, outcome: receipt.outcome }))
    }

    fn answer_dropped(&mut self, dropped: impl IntoIterator<Item = Dropped>) {
        for Dropped { id, reason } in dropped {
            for ticket in self.waiting.dropped(&id) {
                self.refuse(ticket, reason.code(), reason.to_string());
            }
        }
    }

    // ---- time and the pool --------------------------------------------------------------------------------------------------------

    fn on_time(&mut self) {
        if self.has_halted() {
            return;
        }
        if let Some((round, at)) = self.timer
            && at <= self.now.elapsed
        {
            self.timer = None;
            // Gossip does not repeat by itself, and the round may be waiting for transactions that others never received.
            self.gossip_again();
            self.tell(Event::TimerFired(round));
        }
        for to in self.asking.on_time(self.now.elapsed) {
            self.send(Recipients::One(to), Message::SightingsRequest);
        }
        let elapsed = self.now.elapsed;
        if let Some((nonce, others)) = self.abstention.as_mut().map(|abstention| (abstention.nonce(), abstention.on_time(elapsed))) {
            for to in others {
                self.send(Recipients::One(to), Message::RecoveryRequest(RecoveryRequest { nonce }));
            }
        }
        self.release();
        if let Some(block) = self.time.due(self.engine.round(), self.now) {
            self.tell(Event::Timely(block));
        }
        self.ask();
    }

    /// Drops the held-back ballots of rounds that are over: each would cost two syncs when asking ends.
    fn drop_late_ballots(&mut self) {
        let round = self.engine.round();
        self.unsigned.retain(|waiting| match &**waiting {
            Effect::Persist { ballot, .. } => ballot.record().highest_round() >= round,
            _ => true,
        });
        while self.unsigned.len() > UNSIGNED_MAX {
            self.unsigned.pop_front();
        }
    }

    /// Whether our clock still allows this ballot, if it is a vote: the clock may have been set since the vote was approved.
    fn is_still_timely(&self, waiting: &Effect) -> bool {
        let Effect::Persist { ballot, .. } = waiting else { return true };
        let Ballot::Vote(vote, _) = ballot.ballot() else { return true };
        let block = self.engine.tree().get(&vote.id);
        let times = block.and_then(|block| Some((block.content().timestamp, self.ledger.header(&block.parent_id())?.timestamp)));
        times.is_none_or(|(time, parent)| self.time.is_timely(time, parent, self.now))
    }

    /// Once asking is over, releases the held-back ballots, ahead of all later work.
    fn release(&mut self) {
        if !self.asking.is_waiting() {
            self.drop_late_ballots();
            for effect in std::mem::take(&mut self.unsigned).into_iter().rev() {
                if self.is_still_timely(&effect) {
                    self.tasks.push_front(Task::Effect(effect));
                }
            }
        }
    }

    fn ask(&mut self) {
        if !self.engine.is_block_missing() {
            self.catchup.unwanted(self.now.elapsed);
        }
        let tree = self.engine.tree();
        let root = (tree.root().round, self.ledger.root().height);
        if let Some((to, message)) = self.catchup.on_time(self.now.elapsed, root, |id| tree.contains(id)) {
            self.send(Recipients::One(to), message);
        }
    }

    /// Tells the engine whether there is work, and gives it a payload if it waits for one.
    fn on_pool_changed(&mut self) {
        if std::mem::take(&mut self.pool_touched) {
            let ready = self
                .ledger
                .state(&self.ledger.tip().0)
                .is_some_and(|state| self.pool.has_ready(|sender| permissions::standing(state, self.ledger.epoch(), sender).ok()));
            if ready != self.pool_ready {
                self.pool_ready = ready;
                self.tell(Event::Pool { ready });
            }
        }
        self.build();
    }

    /// Answers `BuildPayload` once there is something to put into the block, or a reason for an empty one.
    fn build(&mut self) {
        let ready = self.pool.ready();
        let Some(building) = &mut self.building else { return };
        building.is_pausing =
            self.now.elapsed < building.pause_end && pacer::is_worth_waiting(ready, building.pending, self.verifier.parameters());
        if building.is_pausing {
            return;
        }
        let building = *building;
        if self.ledger.ends_epoch(&building.parent) {
            return self.build_after_last(building);
        }
        let (Some(parent), Some(state)) = (self.ledger.header(&building.parent), self.ledger.state(&building.parent)) else {
            // Our root has passed the parent: nobody waits for this block any more.
            self.building = None;
            return;
        };
        let timestamp = self.time.stamp(parent.timestamp, self.now);
        let is_past = self.is_last(parent.height);
        let parameters = self.verifier.parameters();
        let transactions = self.pool.select(
            |sender| permissions::standing(state, self.ledger.epoch(), sender).ok(),
            timestamp,
            usize::try_from(parameters.block_transactions_max).unwrap_or(usize::MAX),
            usize::try_from(parameters.block_bytes_max).unwrap_or(usize::MAX),
        );
        // Expired transactions keep the pool busy, and so everyone's timers short, until a block of a later time is committed. A heartbeat
        // longer than a round would then lose every round, if we waited for it.
        let flush = building.flush || is_past || self.pool.has_expired(timestamp);
        let transactions = if is_past { Vec::new() } else { transactions };
        if transactions.is_empty() && !flush && self.now.elapsed < building.heartbeat {
            return;
        }
        self.building = None;
        let payload: Payload = Bounded::truncated(transactions);
        self.tell(Event::PayloadReady { round: building.round, parent: building.parent, timestamp, payload });
    }

    /// A block that follows the last one of its epoch: it carries votes for that one, and nothing else.
    fn build_after_last(&mut self, building: Building) {
        self.building = None;
        if let Some(parent) = self.ledger.header(&building.parent) {
            let (round, parent_id, timestamp) = (building.round, building.parent, parent.timestamp);
            self.tell(Event::PayloadReady { round, parent: parent_id, timestamp, payload: Payload::default() });
        }
    }

    /// The transactions in uncommitted blocks up to this one.
    fn pending_load(&self, last: BlockId) -> Load {
        let mut load = Load::default();
        let mut next = last;
        while let Some(block) = self.engine.tree().get(&next) {
            load = load.plus(Load { transactions: block.payload().len(), bytes: payload_bytes(block.payload()) });
            next = block.parent_id();
        }
        load
    }

    fn gossip_again(&mut self) {
        let Some(state) = self.ledger.state(&self.ledger.tip().0) else { return };
        let standing_of = |sender: &Address| permissions::standing(state, self.ledger.epoch(), sender).ok();
        self.gossip = self.pool.select(standing_of, self.time.now(self.now), BATCH_TRANSACTIONS_MAX, BATCH_BYTES_MAX);
    }

    /// The next batch of transactions for the other validators.
    fn next_gossip(&mut self) -> Option<Output> {
        let mut bytes = 0usize;
        let mut count = 0usize;
        for transaction in self.gossip.iter().take(BATCH_TRANSACTIONS_MAX) {
            // Plus its length prefix, at most three bytes.
            bytes = bytes.saturating_add(transaction.raw().len()).saturating_add(3);
            if bytes > BATCH_BYTES_MAX.saturating_sub(16) && count > 0 {
                break;
            }
            count = count.saturating_add(1);
        }
        if count == 0 {
            return None;
        }
        let rest = self.gossip.split_off(count);
        Some(Output::Gossip(std::mem::replace(&mut self.gossip, rest)))
    }

    // ---- effects ------------------------------------------------------------------------------------------------------------------

    fn tell(&mut self, event: Event) {
        if self.has_halted() {
            return;
        }
        let effects = self.engine.handle(event);
        self.queue(effects);
    }

    fn queue(&mut self, effects: Vec<Effect>) {
        self.tasks.extend(effects.into_iter().map(|effect| Task::Effect(Box::new(effect))));
    }

    fn send(&mut self, to: Recipients, message: Message) {
        self.outputs.push_back(Output::Send { to, message: Arc::new(message) });
    }

    fn run(&mut self, task: Task) -> Result<(), Fatal> {
        match task {
            Task::Effect(effect) => self.carry_out(*effect)?,
            Task::Lookup(submission) => self.look_up(*submission)?,
            Task::Early(from, message) => {
                // The transactions of a proposal cost more than everything else that a peer can have kept here.
                let position = self.position();
                match self.verifier.message_if(from, *message, |proposal| position.may_vote_for(proposal)) {
                    Ok(message) => self.on_message(from, message),
                    Err(error) => self.outputs.push_back(Output::Ignored { from, reason: error.word() }),
                }
            }
            Task::Event(event) => {
                self.tell(*event);
                self.catchup.handed_over(self.now.elapsed);
                self.ask();
            }
        }
        Ok(())
    }

    /// Executes a block, unless the application has panicked here on one of its transactions: we vote for no such block. A certified block is
    /// executed all the same. So is one that was on disk at the start, unless the panic happened in it: our vote for it may be out.
    fn execute(&mut self, block: &Verified<Block>) -> Result<Result<StateId, RejectedBlock>, Fatal> {
        let id = block.id();
        let is_certified = self.engine.tree().certified_state(&id).is_some();
        let poison = if self.recovered.remove(&id) { self.ledger.panicked_in(&id) } else { self.ledger.poison_in(block) };
        if poison.is_some() && !is_certified {
            return Ok(Err(RejectedBlock(PANICKED)));
        }
        match self.ledger.speculate(block) {
            Err(InvalidBlock::Panicked(panicked)) => {
                self.ledger.remember_poison(panicked.tx_id, id)?;
                Err(if is_certified { Fatal::PanickedAlone(panicked) } else { Fatal::Panicked(panicked) })
            }
            outcome => Ok(outcome.map_err(|invalid| RejectedBlock(word(&invalid)))),
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Fatal> {
        match effect {
            Effect::Execute { block } => {
                let outcome = self.execute(&block)?;
                self.forget();
                self.tell(Event::Executed { block: block.id(), outcome });
            }
            Effect::CheckTime(block) => self.check_time(block),
            Effect::Store(block) => {
                let mut batch = Batch::new();
                schema::put_pending(&mut batch, &block);
                self.store.write(batch)?;
            }
            Effect::Discard { round, block } => {
                let mut batch = Batch::new();
                schema::delete_pending(&mut batch, round, block);
                self.store.write(batch)?;
            }
            ballot @ Effect::Persist { .. } if self.asking.is_waiting() => {
                self.unsigned.push_back(Box::new(ballot));
                self.drop_late_ballots();
            }
            Effect::Persist { ballot, certificates } => {
                let mut column = SafetyColumn { store: &self.store, witness: &mut self.witness, certificates: &certificates };
                let record = ballot.record().clone();
                let saved = persist(&mut column, *ballot)?;
                self.durable = record;
                self.tell(Event::Persisted(saved));
            }
            Effect::Send { to, message } => {
                self.count_sent(&message);
                self.send(to, message);
            }
            Effect::StartTimer { round, after_ms } => {
                self.timer = Some((round, self.now.elapsed.saturating_add(Duration::from_millis(after_ms))));
            }
            Effect::BuildPayload { round, parent, flush } => {
                // Our proposal of the round before was lost: that round was given up.
                let lost = self.engine.last_round_tc().map(|tc| tc.round).filter(|lost| lost.next() == round);
                if lost == Some(self.engine.safety_record().last_proposed_round()) {
                    self.time.on_lost(self.now);
                }
                let now = self.now.elapsed;
                let heartbeat = now.saturating_add(Duration::from_millis(self.verifier.parameters().heartbeat_ms.into()));
                // A higher certificate may change the parent, but a round has one pause.
                let pause = pacer::pause(self.pool.limits().pause_max, self.verifier.parameters());
                let before = self.building.filter(|before| before.round == round);
                let pause_end = before.map_or(now.saturating_add(pause), |before| before.pause_end);
                let pending = self.pending_load(parent);
                self.building = Some(Building { round, parent, flush, heartbeat, pause_end, pending, is_pausing: false });
            }
            Effect::Commit { blocks, qc } => self.commit(&blocks, &qc)?,
            Effect::Fetch(missing) => {
                self.catchup.want(missing, self.now.elapsed);
                self.ask();
            }
            Effect::Ignored { from, reason } => self.outputs.push_back(Output::Ignored { from, reason: reason.word() }),
            Effect::Accuse(evidence) => self.outputs.push_back(Output::Accused(evidence)),
            Effect::Halt(halt) => return Err(halt.into()),
        }
        Ok(())
    }

    /// TIME-1 (S16): tells the engine, now or later, when it may vote for this executed block.
    fn check_time(&mut self, id: BlockId) {
        // A block that is gone is committed, or never will be: nobody waits for it.
        let Some(block) = self.engine.tree().get(&id) else { return };
        let Some(parent) = self.ledger.header(&block.parent_id()) else { return };
        // What follows the last block carries votes for it, and nothing else.
        if self.is_last(parent.height) && !block.payload().is_empty() {
            return;
        }
        let (round, time) = (block.round(), block.content().timestamp);
        if self.time.check((round, id), time, parent.timestamp, self.now) {
            self.tell(Event::Timely(id));
        } else {
            self.counts.held = self.counts.held.saturating_add(1);
        }
    }

    /// Forgets the results of blocks that the engine's tree has dropped without a commit.
    fn forget(&mut self) {
        let tree = self.engine.tree();
        // A commit in progress still needs the blocks that it has taken out of the tree.
        let in_step = tree.root().id == self.ledger.tip().0;
        if in_step && self.ledger.speculated() > tree.blocks().count().saturating_add(DROPPED_BLOCKS_MAX) {
            self.ledger.forget(|id| tree.contains(id));
        }
    }

    /// Whether a block of this height, or one below it, is the last that is to be committed here.
    fn is_last(&self, height: Height) -> bool {
        self.halt_at.is_some_and(|halt| height >= halt)
    }

    /// The part of a commit up to the height at which to halt, and its certificate. Only a block whose child is certified in the next round has a
    /// certificate of its own, so the part may end a little higher.
    fn up_to_halt<'a>(
        &self,
        blocks: &'a [Arc<Verified<Block>>],
        qc: &Verified<QuorumCert>,
    ) -> (&'a [Arc<Verified<Block>>], Verified<QuorumCert>) {
        for (count, block) in (1usize..).zip(blocks) {
            let is_last = self.ledger.header(&block.id()).is_some_and(|header| self.is_last(header.height));
            let grandchild = count.checked_add(1).and_then(|at| blocks.get(at)).filter(|_| is_last);
            let within = grandchild.map(|block| block.qc()).filter(|qc| qc.commits().is_some_and(|(id, ..)| id == block.id()));
            if let (Some(qc), Some(part)) = (within, blocks.get(..count)) {
                return (part, qc);
            }
        }
        (blocks, qc.clone())
    }

    /// The height at which to halt is committed: nothing more is signed or committed. The others are shown the certificate, since we will not
    /// propose the block that would carry it.
    fn halt(&mut self) -> Result<(), Fatal> {
        self.send(Recipients::Others, committed_by(self.ledger.commit_qc()));
        (self.timer, self.building) = (None, None);
        self.unsigned.clear();
        self.time.forget_held();
        self.leave_tasks()
    }

    fn commit(&mut self, blocks: &[Arc<Verified<Block>>], qc: &Verified<QuorumCert>) -> Result<(), Fatal> {
        let (blocks, qc) = self.up_to_halt(blocks, qc);
        let qc = &qc;
        let path: Vec<&Block> = blocks.iter().map(|block| &***block).collect();
        let committed = Arc::new(self.ledger.commit(&path, qc)?);
        self.pool_touched = true;
        // Before the answers: a client that is told of a commit must find it in the view.
        self.outputs.push_back(Output::Committed(Arc::clone(&committed)));
        let mut is_governed = false;
        for (block, result) in blocks.iter().zip(&committed.blocks) {
            let governs = |(tx, receipt): (&Transaction, &Receipt)| tx.content().target == Target::Chain && receipt.outcome.is_applied();
            is_governed |= block.payload().iter().zip(result.receipts.iter()).any(governs);
            let dropped = self.pool.committed(block.payload());
            self.answer_dropped(dropped);
            for (index, receipt) in (0u32..).zip(result.receipts.iter()) {
                for ticket in self.waiting.committed(&receipt.tx_id) {
                    self.answer_committed(ticket, result.header.height, index, receipt.outcome.clone());
                }
            }
            self.counts.blocks = self.counts.blocks.saturating_add(1);
            self.counts.transactions = self.counts.transactions.saturating_add(block.payload().len() as u64);
        }
        let time = committed.view.header().timestamp;
        self.time.on_committed(time, self.now);
        let expired = self.pool.expire(time);
        self.answer_dropped(expired);
        if is_governed {
            self.drop_forbidden();
        }
        if committed.ends_epoch {
            self.begin_epoch(qc)?;
        } else {
            self.end_abstention()?;
        }
        if self.has_halted() { self.halt() } else { Ok(()) }
    }

    /// Drops the transactions of accounts that may no longer send.
    fn drop_forbidden(&mut self) {
        let (ledger, pool) = (&self.ledger, &mut self.pool);
        let Some(state) = ledger.state(&ledger.tip().0) else { return };
        let dropped = pool.drop_forbidden(|sender| {
            let failure = permissions::standing(state, ledger.epoch(), sender).err()?;
            let is_frozen = failure.code() == "account-frozen";
            Some(Rejected::Forbidden { reason: ledger.machine().app().explain(&failure), is_frozen })
        });
        self.answer_dropped(dropped);
    }

    /// Leaves the epoch whose last block this certificate commits, and begins the next. From here on nothing is signed for the old one: whatever
    /// of it still waits is dropped, its ballots included.
    fn begin_epoch(&mut self, last_qc: &Verified<QuorumCert>) -> Result<(), Fatal> {
        // Only we may have this certificate, and we will not propose the block that would carry it.
        self.send(Recipients::Others, Verified::<SyncInfo>::own(last_qc, last_qc, None).into());
        let next = self.ledger.epoch();
        LaterVersion::check(next, self.speaks)?;
        let committee = next.committee().map_err(LedgerError::from)?;
        let verifier = Arc::new(self.verifier.next(self.ledger.root().state_id(), Arc::clone(&committee), next.parameters));
        let me = committee.find(&self.signer.public()).unwrap_or(NOBODY);
        let start = recovery::at_start(&self.ledger, &verifier, self.abstention.is_some())?;
        self.durable = start.record.clone();
        let (engine, effects) = Engine::recover(engine_config(&verifier, me, &self.fixed_leaders), Arc::clone(&self.signer), start);
        self.engine = engine;
        self.catchup = self.catchup.next(me, Arc::clone(&committee));
        self.quota.set_members(committee.ids().count());
        self.asking = self.asking.next(me, Arc::clone(&committee), base_timeout(&verifier));
        self.abstention = self.abstention.as_ref().map(|abstention| abstention.next(me, Arc::clone(&committee)));
        self.seen = Seen::new(committee.epoch());
        (self.me, self.verifier) = (me, verifier);
        (self.timer, self.building) = (None, None);
        self.recovered.clear();
        self.unsigned.clear();
        self.time.begin_epoch(self.verifier.parameters());
        self.leave_tasks()?;
        // The new engine does not know yet.
        self.pool_ready = false;
        self.queue(effects);
        self.tasks.extend(self.early.take().into_iter().map(|(from, message)| Task::Early(from, Box::new(message))));
        Ok(())
    }

    /// Drops the engine's work when an epoch or the run is over, but not what the engine has found out: that holds for ever.
    fn leave_tasks(&mut self) -> Result<(), Fatal> {
        for task in std::mem::take(&mut self.tasks) {
            match task {
                Task::Effect(effect) => match *effect {
                    Effect::Halt(halt) => return Err(halt.into()),
                    Effect::Accuse(evidence) => self.outputs.push_back(Output::Accused(evidence)),
                    _ => {}
                },
                Task::Lookup(_) => self.tasks.push_back(task),
                Task::Event(_) | Task::Early(..) => {}
            }
        }
        Ok(())
    }

    fn answer_committed(&mut self, ticket: Ticket, height: Height, index: u32, outcome: Outcome) {
        self.outputs.push_back(Output::Answer { ticket, answer: Answer::Committed { height, index, outcome } });
    }

    fn count_sent(&mut self, message: &Message) {
        let count = match message.purpose() {
            Purpose::Propose => &mut self.counts.proposals,
            Purpose::Vote => &mut self.counts.votes,
            Purpose::Timeout => &mut self.counts.timeouts,
            Purpose::Inform | Purpose::Ask | Purpose::Answer => return,
        };
        *count = count.saturating_add(1);
    }
}

/// The seat of a key that is in no committee.
const NOBODY: ValidatorId = ValidatorId(u16::MAX);

fn base_timeout(verifier: &Verifier) -> Duration {
    Duration::from_millis(verifier.parameters().timeout_base_ms.into())
}

fn engine_config(verifier: &Verifier, me: ValidatorId, fixed_leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Config {
    Config {
        genesis_hash: verifier.genesis_hash(),
        committee: Arc::clone(verifier.committee()),
        parameters: *verifier.parameters(),
        me,
        fixed_leaders: Arc::clone(fixed_leaders),
    }
}

/// A certificate that commits a block, for a validator that lacks it.
fn committed_by(qc: &QuorumCert) -> Message {
    Message::SyncInfo(Box::new(SyncInfo { high_qc: qc.clone(), high_commit_qc: qc.clone(), last_round_tc: None }))
}

/// The word for a block with a transaction on which the application panics, or has panicked.
const PANICKED: &str = "panicked";

/// A stable word for why a block has no result.
fn word(invalid: &InvalidBlock) -> &'static str {
    match invalid {
        InvalidBlock::UnknownParent { .. } => "unknown-parent",
        InvalidBlock::Timestamp { .. } => "timestamp",
        InvalidBlock::Round { .. } => "round",
        InvalidBlock::ParentState { .. } => "parent-state",
        InvalidBlock::Epoch { .. } => "epoch",
        InvalidBlock::AfterEpoch(_) => "after-epoch",
        InvalidBlock::HeightLimit => "height-limit",
        InvalidBlock::Payload(_) => "payload",
        InvalidBlock::Panicked(_) => PANICKED,
    }
}
