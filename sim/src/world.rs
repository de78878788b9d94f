//! A world: validators, clients, network, disks and faults on one virtual clock.
//!
//! ```text
//!            agenda (time, order of planning)
//!                        │ next
//!   clients ──> deliver, step, wake, crash, cut, ... ──> Replica::push / poll ──> outputs
//!      ^                                                                            │
//!      └────────────── answers ──────────────┬── invariants (they see everything) <─┤
//!                                            └── network: bytes, delays, losses  <──┘
//! ```
//! Every poll is an event of its own, so a power cut falls between any two effects of a validator.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc, sync::Arc};

use quorate_app::BuiltIn;
use quorate_ledger::{Committed, LedgerError, LedgerReader};
use quorate_replica::{Answer, Fatal, Input, Output, PoolLimits, Replica, ReplicaConfig, Ticket};
use quorate_types::{
    codec,
    committee::SignerSet,
    crypto::{Hash, Tag},
    header::Header,
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Recipients, TransactionBatch},
    receipt::Receipt,
    round::{Height, Round, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
    verify::Verified,
};

use crate::{
    audit::Audit,
    committee::{BEGINNING, CHAIN, Setting},
    describe,
    fault::{Fate, FaultPlan, Incident, PowerCut},
    invariants::{Observation, Register, Violation, live_1},
    network::Network,
    node::Node,
    random::Random,
    report::Report,
    time::{Agenda, Micros},
    workload::{Action, Workload},
};

/// How long a validator needs at most from an answer to a client to the report of the commit that it speaks of.
const REPORT_MS: u64 = 20;

/// How far behind a calendar may be that lost its battery: twenty years.
const CLOCK_BEHIND_MS_MAX: u64 = 20 * 365 * 24 * 3_600 * 1_000;

const PACKET: Tag = Tag::new("quorate/sim-packet");

/// What a world is made from.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides everything.
    pub seed: u64,
    /// How many validators there are, 1..=128.
    pub validators: u16,
    /// Keep a readable log of what happens.
    pub trace: bool,
    /// Instead of the faults that the seed would draw.
    pub directed: Option<Directed>,
}

/// One chosen power cut in a world without other faults, for sweeps over all moments of a round.
#[derive(Clone, Copy, Debug)]
pub struct Directed {
    /// Whose power fails, and after how many effects; nobody's for a first run that only counts.
    pub cut: Option<(ValidatorId, u64)>,
    /// How long it is off.
    pub down: Micros,
    /// Whether the output of the last effect still got out.
    pub last_output_lost: bool,
    /// In which round the world ends.
    pub last_round: Round,
}

/// Something that happens.
#[derive(Debug)]
enum Happening {
    Deliver {
        from: ValidatorId,
        to: ValidatorId,
        packet: Rc<Packet>,
    },
    /// The validator does its next piece of work.
    Step {
        node: ValidatorId,
        life: u64,
    },
    /// A deadline of the validator has come.
    Wake {
        node: ValidatorId,
        life: u64,
    },
    /// A client looks at its transactions.
    Client(usize),
    Incident(Incident),
    Fate(ValidatorId, Fate),
    /// The power is back.
    Restart {
        node: ValidatorId,
        life: u64,
    },
    /// The storm is over.
    Calm,
    /// Everything is settled, and the chain was watched in its idleness for a while.
    EndOfQuiet,
    /// The time allowed is over.
    GiveUp,
}

/// Bytes on their way, and what any receiver makes of them. Decoding and verifying are functions of the bytes, the sender and the
/// committee, so they are done once for all receivers.
#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    gossip: bool,
    opened: OnceCell<Result<Opened, String>>,
}

#[derive(Clone, Debug)]
enum Opened {
    Message(Verified<Message>),
    Gossip(Vec<Verified<Transaction>>),
}

/// The end of the faults, and what followed.
#[derive(Clone, Copy, Debug)]
struct Calm {
    at: Micros,
    /// The highest round of a connected validator.
    round: Round,
    first_commit: Option<(u64, Micros)>,
    /// When everything was settled, in which round, and how many messages had been sent by then.
    settled: Option<(Micros, Round)>,
}

/// See the module.
pub(crate) struct World {
    options: SimOptions,
    setting: Setting,
    plan: FaultPlan,
    agenda: Agenda<Happening>,
    now: Micros,
    nodes: Vec<Node>,
    network: Network,
    workload: Workload,
    register: Register,
    audit: Audit,
    machine: Random,
    disks: Random,
    /// How long a sync takes, at most.
    sync_max: Micros,
    calm: Option<Calm>,
    heights: BTreeMap<ValidatorId, Height>,
    report: Report,
    ended: bool,
}

type Happened = Result<(), Violation>;

impl World {
    /// A world before its beginning.
    pub(crate) fn new(options: SimOptions) -> Result<Self, String> {
        let seed = Random::new(options.seed).fork(&format!("{} validators", options.validators));
        let mut workload = Workload::new(seed.fork("clients"), CHAIN);
        let accounts = workload.accounts();
        let register = Register::new(&accounts, BEGINNING, SignerSet::default());
        let setting = Setting::draw(&mut seed.fork("setting"), options.validators, accounts)?;
        let mut machine = seed.fork("machine");
        let committee = setting.verifier.committee();
        let plan = match options.directed {
            Some(_) => FaultPlan::none(Micros(u64::MAX)),
            None => FaultPlan::draw(&mut seed.fork("faults"), committee),
        };
        let nodes = committee.ids().map(|id| Node::new(id, machine.below(100))).collect();
        let report = Report { seed: options.seed, validators: options.validators, ..Report::default() };
        Ok(Self {
            network: Network::new(plan.storm, seed.fork("network")),
            sync_max: Micros(machine.between(50, 4_000)),
            audit: Audit::new(options.trace),
            disks: seed.fork("disks"),
            agenda: Agenda::new(),
            now: Micros(0),
            calm: None,
            heights: BTreeMap::new(),
            ended: false,
            options,
            setting,
            plan,
            nodes,
            workload,
            register,
            machine,
            report,
        })
    }

    /// Runs to the end. Also says how many effects each validator has gone through.
    pub(crate) fn run(mut self) -> (Report, Vec<u64>) {
        let result = self.begin().and_then(|()| self.go_on()).and_then(|()| self.finish());
        if let Err(violation) = result {
            self.audit.note(self.now, || format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.report.violation = Some(violation);
        }
        self.report.event_hash = self.audit.hash().to_string();
        self.report.events = self.audit.events();
        self.report.virtual_ms = self.now.ms();
        self.report.height = self.nodes.iter().map(|node| node.reported.0).max().unwrap_or_default();
        self.report.round = self.highest_round(|_| true).0;
        if let Some(calm) = self.calm {
            self.report.rounds_to_commit = calm.first_commit.map(|(rounds, _)| rounds);
            self.report.ms_to_commit = calm.first_commit.map(|(_, at)| at.since(calm.at).ms());
            self.report.ms_to_settle = calm.settled.map(|(at, _)| at.since(calm.at).ms());
        }
        self.report.trace = self.audit.into_trace();
        (self.report, self.nodes.iter().map(|node| node.polls).collect())
    }

    fn begin(&mut self) -> Happened {
        let ids: Vec<ValidatorId> = self.nodes.iter().map(|node| node.id).collect();
        for id in ids {
            self.start(id)?;
        }
        for (at, incident) in std::mem::take(&mut self.plan.incidents) {
            self.agenda.plan(at, Happening::Incident(incident));
        }
        for (id, fate) in std::mem::take(&mut self.plan.fates) {
            let (Fate::Crashed(at) | Fate::Silent(at)) = fate;
            self.agenda.plan(at, Happening::Fate(id, fate));
        }
        if self.options.directed.is_none() {
            self.agenda.plan(self.plan.storm_end, Happening::Calm);
        } else {
            self.agenda.plan(Micros::from_ms(60_000), Happening::GiveUp);
        }
        for client in 0..self.workload.len() {
            let at = self.workload.pause();
            self.agenda.plan(at, Happening::Client(client));
        }
        Ok(())
    }

    fn go_on(&mut self) -> Happened {
        while !self.ended
            && let Some((at, happening)) = self.agenda.next()
        {
            self.now = at;
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Happened {
        match happening {
            Happening::Deliver { from, to, packet } => self.deliver(from, to, &packet),
            Happening::Step { node, life } => self.step(node, life),
            Happening::Wake { node, life } => {
                if self.node(node).is_some_and(|node| node.life == life && node.is_up()) {
                    self.give(node, Input::Tick);
                }
                Ok(())
            }
            Happening::Client(index) => self.client(index),
            Happening::Incident(incident) => {
                self.incident(incident);
                Ok(())
            }
            Happening::Fate(id, fate) => {
                self.fate(id, fate);
                Ok(())
            }
            Happening::Restart { node, life } => {
                if self.node(node).is_some_and(|node| node.life == life && !node.is_up() && !node.gone) {
                    self.start(node)
                } else {
                    Ok(())
                }
            }
            Happening::Calm => self.begin_calm(),
            Happening::EndOfQuiet => self.end_quiet(),
            Happening::GiveUp => self.give_up(),
        }
    }

    // ---- validators ---------------------------------------------------------------------------------------------------------------

    fn node(&self, id: ValidatorId) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    fn node_mut(&mut self, id: ValidatorId) -> Option<&mut Node> {
        self.nodes.get_mut(id.index())
    }

    /// A validator's process starts on what its disk holds.
    fn start(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let clock_start = Micros(self.machine.below(1 << 40));
        let clock_lost =
            self.machine.chance(100) && self.now > Micros(0) && self.now < self.plan.storm_end && self.options.directed.is_none();
        let clock_behind_ms = self.machine.between(1_000, CLOCK_BEHIND_MS_MAX);
        let (genesis, verifier) = (Arc::clone(&self.setting.genesis), Arc::clone(&self.setting.verifier));
        let Some(key) = self.setting.key(id) else { return Ok(()) };
        let Some(node) = self.nodes.get_mut(id.index()) else { return Ok(()) };
        let config = ReplicaConfig { genesis, verifier, key, pool: PoolLimits::default(), fixed_leaders: Arc::default() };
        let replica = match Replica::open(config, node.disk.clone(), BuiltIn) {
            Ok(replica) => replica,
            // The power failed again while it was starting.
            Err(_) if node.armed.is_some() => {
                self.lose_power(id);
                return Ok(());
            }
            Err(error) => return Err(self.violation("OPEN", format!("validator {id} does not start: {error}"))),
        };
        let height = replica.ledger().root().height;
        node.replica = Some(Box::new(replica));
        node.clock_start = clock_start;
        // A battery is dead: the calendar starts anywhere in the past, until somebody sets it.
        node.clock_behind_ms = if clock_lost { clock_behind_ms } else { 0 };
        let record = node.disk.durable_record();
        self.audit.record(now, 1, &[&id.0.to_le_bytes(), &height.0.to_le_bytes()]);
        self.audit.note(now, || format!("{} starts at height {height}", describe::validator(id)));
        if let Some(record) = record {
            self.register.observe(now, &Observation::Saved { node: id, record })?;
        }
        self.report_recovered(id, height)?;
        // As the node's loop does: the time first, then work.
        if let Some(node) = self.node_mut(id) {
            node.receive(Input::Tick);
            node.take_inputs(now);
            node.busy = true;
        }
        self.plan_step(id, Micros(0));
        Ok(())
    }

    /// Commits that were written, but not reported before the power failed, are reported now.
    fn report_recovered(&mut self, id: ValidatorId, height: Height) -> Happened {
        let Some(node) = self.node(id) else { return Ok(()) };
        let reader = LedgerReader::new(node.disk.clone());
        let mut next = node.reported.next();
        let broken = |what: String| Violation { invariant: "TREE-1".into(), what, at_us: self.now.0 };
        let mut batch: Vec<(Header, Vec<Receipt>)> = Vec::new();
        let mut reported = node.reported.min(height);
        let mut batches = Vec::new();
        while next <= height {
            let read = |error: LedgerError| broken(format!("validator {id} cannot read height {next}: {error}"));
            let block = reader.block_at(next).map_err(read)?.ok_or_else(|| broken(format!("validator {id} lacks height {next}")))?;
            let receipts = reader.receipts_at(next).map_err(read)?.unwrap_or_default();
            batch.push((block.header, receipts));
            if let Some(qc) = block.commit_qc {
                batches.push((std::mem::take(&mut batch), qc));
                reported = next;
            }
            next = next.next();
        }
        for (batch, qc) in &batches {
            let blocks: Vec<(&Header, &[Receipt])> = batch.iter().map(|(header, receipts)| (header, receipts.as_slice())).collect();
            self.register.observe(self.now, &Observation::Committed { node: id, blocks: &blocks, qc })?;
        }
        self.register.observe(self.now, &Observation::Started { node: id, height: reported })?;
        self.heights.insert(id, reported);
        if let Some(node) = self.node_mut(id) {
            node.reported = reported;
        }
        Ok(())
    }

    /// Gives a validator something to do.
    fn give(&mut self, id: ValidatorId, input: Input) {
        let now = self.now;
        let delay = Micros(self.machine.between(1, 20));
        let Some(node) = self.nodes.get_mut(id.index()) else { return };
        node.receive(input);
        if !node.busy {
            node.busy = true;
            self.agenda.plan(now.after(delay), Happening::Step { node: id, life: node.life });
        }
    }

    /// One poll.
    fn step(&mut self, id: ValidatorId, life: u64) -> Happened {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return Ok(()) };
        let Some(replica) = node.replica.as_mut().filter(|_| node.life == life) else { return Ok(()) };
        let (syncs, record) = (node.disk.syncs(), node.disk.durable_record());
        let output = match replica.poll() {
            Ok(Some(output)) => output,
            Ok(None) => {
                if node.take_inputs(now) {
                    self.plan_step(id, Micros(0));
                } else {
                    self.rest(id);
                }
                return Ok(());
            }
            Err(Fatal::Store(_) | Fatal::Ledger(LedgerError::Store(_))) if node.armed.is_some() => {
                self.lose_power(id);
                return Ok(());
            }
            Err(fatal) => return Err(self.violation("FATAL", format!("validator {id} stops: {fatal}"))),
        };
        node.polls = node.polls.saturating_add(1);
        let polls = node.polls;
        let (synced, newest) = (node.disk.syncs().saturating_sub(syncs), node.disk.durable_record());
        if newest != record
            && let Some(record) = newest
        {
            self.register.observe(now, &Observation::Saved { node: id, record })?;
        }
        let cut = self.options.directed.is_some_and(|directed| directed.cut == Some((id, polls)));
        if !(cut && self.options.directed.is_some_and(|directed| directed.last_output_lost)) {
            self.output(id, output)?;
        }
        if let (true, Some(directed)) = (cut, self.options.directed) {
            self.power_cut(id, PowerCut::Now, directed.down);
            return Ok(());
        }
        let mut delay = Micros(self.machine.between(1, 30));
        for _ in 0..synced {
            delay = delay.after(Micros(self.machine.between(20, self.sync_max.0)));
        }
        self.plan_step(id, delay);
        Ok(())
    }

    fn plan_step(&mut self, id: ValidatorId, delay: Micros) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(id.index()) {
            self.agenda.plan(now.after(delay), Happening::Step { node: id, life: node.life });
        }
    }

    /// The validator has nothing to do until its next deadline.
    fn rest(&mut self, id: ValidatorId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return };
        node.busy = false;
        let Some(deadline) = node.replica.as_ref().and_then(|replica| replica.next_deadline()) else { return };
        // The next full microsecond, so that the deadline has come by then.
        let at = node.virtual_time(deadline).after(Micros(1)).max(now);
        if node.wake.is_none_or(|planned| planned <= now || planned > at) {
            node.wake = Some(at);
            self.agenda.plan(at, Happening::Wake { node: id, life: node.life });
        }
    }

    // ---- outputs ------------------------------------------------------------------------------------------------------------------

    fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        match output {
            Output::Send { to, message } => self.send(id, to, &message),
            Output::Gossip(transactions) => self.gossip(id, transactions),
            Output::Answer { ticket, answer } => self.answer(id, ticket, &answer),
            Output::Committed(committed) => self.committed(id, &committed),
            Output::Accused(evidence) => self.register.observe(self.now, &Observation::Accused { node: id, evidence: &evidence }),
            Output::Ignored { from, reason } => {
                self.seen(&format!("ignored: {reason}"));
                self.audit.record(self.now, 2, &[&id.0.to_le_bytes(), &from.0.to_le_bytes(), reason.as_bytes()]);
                self.audit.note(self.now, || format!("{} ignores {}: {reason}", describe::validator(id), describe::validator(from)));
                Ok(())
            }
            Output::Worked => {
                self.audit.record(self.now, 3, &[&id.0.to_le_bytes()]);
                Ok(())
            }
        }
    }

    fn send(&mut self, id: ValidatorId, to: Recipients, message: &Message) -> Happened {
        let bytes = codec::encode(message);
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(self.violation("WIRE", format!("validator {id} sends a message of {} bytes", bytes.len())));
        }
        self.audit.note(self.now, || {
            let to = match to {
                Recipients::Others => "all".into(),
                Recipients::One(to) => describe::validator(to),
            };
            format!("{} -> {to}  {}", describe::validator(id), describe::message(message))
        });
        self.seen(describe::kind(message));
        let durable = self.node(id).and_then(|node| node.disk.durable_record());
        self.register.observe(self.now, &Observation::Sent { node: id, message, durable })?;
        self.carry(id, to, bytes, false);
        Ok(())
    }

    fn gossip(&mut self, id: ValidatorId, transactions: Vec<Transaction>) -> Happened {
        self.audit.note(self.now, || format!("{} gossips {} transactions", describe::validator(id), transactions.len()));
        let batch = transactions.try_into().map(TransactionBatch);
        let bytes = batch.as_ref().map(codec::encode).unwrap_or_default();
        if bytes.is_empty() || bytes.len() > BATCH_BYTES_MAX {
            return Err(self.violation("WIRE", format!("validator {id} gossips a batch of {} bytes", bytes.len())));
        }
        self.carry(id, Recipients::Others, bytes, true);
        Ok(())
    }

    fn carry(&mut self, from: ValidatorId, to: Recipients, bytes: Vec<u8>, gossip: bool) {
        let digest = Hash::of(&PACKET, &bytes);
        self.audit.record(self.now, 4, &[&from.0.to_le_bytes(), &digest.0]);
        if self.node(from).is_some_and(|node| node.silent) {
            return;
        }
        let packet = Rc::new(Packet { bytes, gossip, opened: OnceCell::new() });
        let targets: Vec<ValidatorId> = match to {
            Recipients::Others => self.nodes.iter().map(|node| node.id).filter(|id| *id != from).collect(),
            Recipients::One(to) => vec![to],
        };
        for to in targets {
            self.report.messages = self.report.messages.saturating_add(1);
            for delay in self.network.deliveries() {
                self.agenda.plan(self.now.after(delay), Happening::Deliver { from, to, packet: Rc::clone(&packet) });
            }
        }
    }

    fn deliver(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Happened {
        if !self.network.passes(from, to) || !self.node(to).is_some_and(Node::is_up) {
            return Ok(());
        }
        self.audit.record(self.now, 5, &[&from.0.to_le_bytes(), &to.0.to_le_bytes(), &(packet.bytes.len() as u64).to_le_bytes()]);
        let opened = packet.opened.get_or_init(|| self.open(from, packet)).clone();
        let input = match opened {
            Ok(Opened::Message(message)) => Input::Message { from, message },
            Ok(Opened::Gossip(transactions)) => Input::Gossip(transactions),
            Err(error) => return Err(self.violation("WIRE", format!("what validator {from} sent does not verify: {error}"))),
        };
        self.give(to, input);
        Ok(())
    }

    /// What a receiver does with bytes before its replica sees them.
    fn open(&self, from: ValidatorId, packet: &Packet) -> Result<Opened, String> {
        let verifier = &self.setting.verifier;
        if packet.gossip {
            let TransactionBatch(batch) = codec::decode(&packet.bytes, BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
            let verdicts = verifier.transactions(batch.into_inner());
            verdicts.into_iter().collect::<Result<_, _>>().map(Opened::Gossip).map_err(|error| error.to_string())
        } else {
            let message = Message::decode(&packet.bytes).map_err(|error| error.to_string())?;
            verifier.message(from, message).map(Opened::Message).map_err(|error| error.to_string())
        }
    }

    fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        let now = self.now;
        let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
        let qc = committed.view.commit_qc();
        let Some((last, _)) = blocks.last() else {
            return Err(self.violation("TREE-2", format!("validator {id} committed nothing")));
        };
        let (height, state) = (last.height, last.state_id());
        self.audit.record(now, 6, &[&id.0.to_le_bytes(), &height.0.to_le_bytes(), &state.0.0]);
        self.audit.note(now, || {
            let transactions: usize = blocks.iter().map(|(_, receipts)| receipts.len()).sum();
            format!("{} commits up to height {height} round {} with {transactions} txs by {qc:?}", describe::validator(id), last.round)
        });
        self.register.observe(now, &Observation::Committed { node: id, blocks: &blocks, qc })?;
        let first = self.heights.values().max().is_none_or(|highest| *highest < height);
        if first {
            let fresh: usize = blocks
                .iter()
                .filter(|(header, _)| self.heights.values().max().is_none_or(|highest| header.height > *highest))
                .map(|(_, receipts)| receipts.len())
                .sum();
            self.report.transactions = self.report.transactions.saturating_add(fresh as u64);
        }
        self.heights.insert(id, height);
        if let Some(node) = self.node_mut(id) {
            node.reported = height;
        }
        let connected = self.node(id).is_some_and(|node| !node.silent && !node.gone);
        if let Some(calm) = &mut self.calm
            && connected
            && calm.first_commit.is_none()
            && qc.round() > calm.round
        {
            let rounds = live_1::first_commit(u64::from(self.options.validators), calm.round, qc.round());
            match rounds {
                Ok(rounds) => calm.first_commit = Some((rounds, now)),
                Err(what) => return Err(self.violation("LIVE-1", what)),
            }
        }
        if let Some(directed) = self.options.directed
            && self.highest_round(|_| true) >= directed.last_round
        {
            self.ended = true;
        }
        self.settle();
        Ok(())
    }

    // ---- clients ------------------------------------------------------------------------------------------------------------------

    fn client(&mut self, index: usize) -> Happened {
        let live: Vec<ValidatorId> =
            self.nodes.iter().filter(|node| node.is_up() && (self.calm.is_none() || !node.silent)).map(|node| node.id).collect();
        let unix = UnixMillis(BEGINNING.0.saturating_add(self.now.ms()));
        for action in self.workload.turn(index, self.now, unix, &live) {
            self.act(action)?;
        }
        let pause = self.workload.pause();
        self.agenda.plan(self.now.after(pause), Happening::Client(index));
        Ok(())
    }

    fn act(&mut self, action: Action) -> Happened {
        let now = self.now;
        match action {
            Action::Signed(transaction) => {
                self.audit.record(now, 7, &[&transaction.id().0.0]);
                self.register.observe(now, &Observation::Signed { transaction: &transaction })?;
            }
            Action::Submit { node, ticket, transaction, wait } => {
                self.audit.note(now, || format!("client -> {}  {transaction:?}, waits: {}", describe::validator(node), wait_word(wait)));
                // As the node's API does: what does not verify never gets to the replica.
                let verified = self.setting.verifier.transactions(vec![transaction]).pop();
                if let Some(Ok(transaction)) = verified {
                    self.give(node, Input::Submit { ticket, transaction, wait });
                }
            }
            Action::Forget { node, ticket } => {
                if self.node(node).is_some_and(Node::is_up) {
                    self.give(node, Input::Forget(ticket));
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, id: ValidatorId, ticket: Ticket, answer: &Answer) -> Happened {
        let now = self.now;
        self.audit.record(now, 8, &[&id.0.to_le_bytes(), &ticket.0.to_le_bytes(), format!("{answer:?}").as_bytes()]);
        match answer {
            Answer::Accepted => self.seen("answer: accepted"),
            Answer::Committed { outcome, .. } if outcome.is_applied() => self.seen("answer: applied"),
            Answer::Committed { .. } => self.seen("answer: failed"),
            Answer::Rejected { code, .. } => self.seen(&format!("answer: {code}")),
        }
        let transaction = self.workload.transaction_of(ticket);
        self.audit.note(now, || format!("{} -> client  {transaction:?}: {answer:?}", describe::validator(id)));
        if let Some(tx) = transaction {
            match answer {
                Answer::Committed { height, index, outcome } => {
                    let receipt = Observation::Receipt { node: id, id: tx, height: *height, index: *index, outcome };
                    self.register.observe(now, &receipt)?;
                }
                Answer::Rejected { code: "expired", .. } => {
                    let root = self.node(id).and_then(|node| node.replica.as_ref()).map(|replica| replica.ledger().root().timestamp);
                    if let Some(committed) = root {
                        self.register.observe(now, &Observation::Expired { node: id, id: tx, committed })?;
                    }
                }
                Answer::Rejected { .. } | Answer::Accepted => {}
            }
        }
        self.workload.on_answer(ticket, answer);
        self.settle();
        Ok(())
    }

    // ---- faults -------------------------------------------------------------------------------------------------------------------

    fn incident(&mut self, incident: Incident) {
        if self.calm.is_some() {
            return;
        }
        match incident {
            Incident::Crash(id, cut, down) => self.power_cut(id, cut, down),
            Incident::Cut(directions) => {
                self.audit.note(self.now, || {
                    let names: Vec<String> = directions.iter().map(|(from, to)| format!("v{from}-/->v{to}")).collect();
                    format!("the network is cut: {}", names.join(" "))
                });
                self.network.cut(directions);
            }
            Incident::Heal => {
                self.audit.note(self.now, || "the network heals".into());
                self.network.heal();
            }
        }
    }

    fn power_cut(&mut self, id: ValidatorId, cut: PowerCut, down: Micros) {
        let now = self.now;
        let Some(node) = self.node_mut(id) else { return };
        node.armed = Some((cut, down));
        match cut {
            PowerCut::Now => self.lose_power(id),
            PowerCut::AtWrite(nth) => {
                node.disk.fail_at_write(nth);
                self.audit.note(now, || format!("{} will lose power before its write {nth} from now", describe::validator(id)));
            }
        }
    }

    fn lose_power(&mut self, id: ValidatorId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return };
        let was_up = node.is_up();
        let down = node.armed.map_or(Micros(0), |(_, down)| down);
        node.lose_memory();
        let lost = node.disk.crash(&mut self.disks);
        let life = node.life;
        self.report.lost_writes = self.report.lost_writes.saturating_add(lost as u64);
        self.report.crashes = self.report.crashes.saturating_add(u64::from(was_up));
        self.audit.record(now, 9, &[&id.0.to_le_bytes(), &(lost as u64).to_le_bytes()]);
        self.audit.note(now, || format!("{} loses power and {lost} unsynced batches, for {down}", describe::validator(id)));
        self.agenda.plan(now.after(down), Happening::Restart { node: id, life });
    }

    fn fate(&mut self, id: ValidatorId, fate: Fate) {
        let now = self.now;
        let Some(node) = self.node_mut(id) else { return };
        match fate {
            Fate::Silent(_) => {
                node.silent = true;
                self.audit.note(now, || format!("{} falls silent for ever", describe::validator(id)));
            }
            Fate::Crashed(_) => {
                node.gone = true;
                self.audit.note(now, || format!("{} crashes for ever", describe::validator(id)));
                self.lose_power(id);
            }
        }
    }

    // ---- the calm -----------------------------------------------------------------------------------------------------------------

    fn begin_calm(&mut self) -> Happened {
        let now = self.now;
        self.audit.record(now, 10, &[]);
        self.audit.note(now, || "the faults stop".into());
        self.network.heal();
        self.network.set_rules(self.plan.calm);
        let mut down = Vec::new();
        for node in &mut self.nodes {
            node.disk.repair();
            node.armed = None;
            node.clock_behind_ms = 0;
            if !node.is_up() && !node.gone {
                down.push(node.id);
            }
        }
        self.workload.last_quota();
        for id in down {
            self.start(id)?;
        }
        let round = self.highest_round(|node| !node.silent);
        self.calm = Some(Calm { at: now, round, first_commit: None, settled: None });
        let validators = u64::from(self.options.validators);
        self.agenda.plan(now.after(live_1::time_max(validators, &self.setting.genesis.parameters)), Happening::GiveUp);
        Ok(())
    }

    /// The highest round of the validators that are up.
    fn highest_round(&self, of: impl Fn(&Node) -> bool) -> Round {
        let replicas = self.nodes.iter().filter(|node| of(node)).filter_map(|node| node.replica.as_ref());
        replicas.map(|replica| replica.engine().round()).max().unwrap_or_default()
    }

    /// Whether every client knows its end and every connected validator has come to the same height; then the chain is watched for some
    /// more time, in which it should be quiet.
    fn settle(&mut self) {
        let (now, round) = (self.now, self.highest_round(|node| !node.silent));
        let Some(calm) = &mut self.calm else { return };
        if calm.settled.is_some() || calm.first_commit.is_none() || !self.workload.is_done() {
            return;
        }
        let mut heights = self.nodes.iter().filter(|node| !node.silent && !node.gone).map(|node| node.reported);
        let Some(first) = heights.next() else { return };
        if heights.all(|height| height == first) {
            calm.settled = Some((now, round));
            let heartbeat = u64::from(self.setting.genesis.parameters.heartbeat_ms);
            // A validator may have answered its clients, but not yet reported the commit itself.
            let watched = self.options.seed.is_multiple_of(4);
            let quiet = if watched { heartbeat.saturating_mul(live_1::QUIET_HEARTBEATS) } else { REPORT_MS };
            let quiet = Micros::from_ms(quiet);
            self.audit.note(now, || "everything is settled".into());
            self.agenda.plan(now.after(quiet), Happening::EndOfQuiet);
        }
    }

    fn end_quiet(&mut self) -> Happened {
        self.ended = true;
        let round = self.highest_round(|node| !node.silent);
        let Some((_, settled)) = self.calm.and_then(|calm| calm.settled) else { return Ok(()) };
        live_1::quiet(u64::from(self.options.validators), settled, round).map_err(|what| self.violation("LIVE-1", what))
    }

    fn give_up(&mut self) -> Happened {
        if self.calm.is_some_and(|calm| calm.settled.is_some()) {
            return Ok(());
        }
        let validators: Vec<String> = self
            .nodes
            .iter()
            .map(|node| {
                let state = node.replica.as_ref().map_or_else(
                    || "down".into(),
                    |replica| {
                        let status = replica.status();
                        format!("height {} round {} pool {}", status.height, status.round, status.pool_transactions)
                    },
                );
                format!("{}{}: {state}", describe::validator(node.id), if node.silent { " (silent)" } else { "" })
            })
            .collect();
        let first = self.calm.and_then(|calm| calm.first_commit);
        let what = format!("not settled in time; first commit {first:?}; {}; clients: {}", validators.join("; "), self.workload.open());
        Err(self.violation("LIVE-1", what))
    }

    fn finish(&mut self) -> Happened {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            let view = replica.view();
            for address in self.workload.addresses() {
                let account = view.account(&address);
                let observation = Observation::Account {
                    node: node.id,
                    address,
                    height: view.header().height,
                    balance: account.balance,
                    sequence: account.sequence.0,
                };
                self.register.observe(self.now, &observation)?;
            }
        }
        // In a directed world the end may fall between an answer and the commit it speaks of.
        if self.options.directed.is_some() { Ok(()) } else { self.register.finish(self.now) }
    }

    fn seen(&mut self, what: &str) {
        match self.report.seen.get_mut(what) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.report.seen.insert(what.into(), 1);
            }
        }
    }

    fn violation(&self, invariant: &str, what: String) -> Violation {
        Violation { invariant: invariant.into(), what, at_us: self.now.0 }
    }
}

const fn wait_word(wait: Wait) -> &'static str {
    match wait {
        Wait::None => "not at all",
        Wait::Accepted => "until accepted",
        Wait::Committed => "until committed",
    }
}
