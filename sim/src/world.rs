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

use quorate_ledger::{Committed, LedgerError, LedgerReader};
use quorate_replica::{
    Answer, Doubles, Fatal, Input, MemoryWitness, Output, PoolLimits, RecoverError, Replica, ReplicaConfig, Serve, Ticket,
};
use quorate_types::{
    codec,
    header::Header,
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Recipients, TransactionBatch},
    receipt::Receipt,
    round::{Height, Round, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
    verify::{Verified, VerifyError},
};

use crate::{
    audit::Audit,
    byzantine::{
        Content, Liar, Lie, Parcel,
        collusion::{Cabal, Collude, Plot},
    },
    committee::{BEGINNING, Setting},
    contents, describe,
    fault::{CLOCK_OFF_MS_MAX, ClockFault, Fate, FaultPlan, Faults, Incident, PowerCut},
    forensics::Forensics,
    invariants::{Observation, Register, Violation, jolteon::LocalState, live_1},
    network::{Mishaps, Network},
    node::Node,
    origin::Origin,
    random::Random,
    report::Report,
    subject::Shared,
    time::{Agenda, Micros},
    workload::{Action, Workload},
};

/// How long a validator needs at most from an answer to a client to the report of the commit that it speaks of.
const REPORT_MS: u64 = 20;

/// How long blocks that somebody asked for take to be read, at most.
const SERVE_MAX: Micros = Micros(5_000);

/// Between two moments in which somebody who lies says something out of itself, at most.
const PULSE_MAX: Micros = Micros(250_000);

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
    /// The validator's other thread has read blocks that somebody asked for.
    Serve {
        node: ValidatorId,
        life: u64,
        job: Box<Serve>,
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
    /// A validator's disk is copied.
    Copy(ValidatorId),
    /// Somebody who lies may say something.
    Pulse(ValidatorId),
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
    opened: OnceCell<Result<Opened, Refused>>,
}

/// Why bytes never get to a replica: a word to count by, and what is wrong.
#[derive(Clone, Debug)]
struct Refused {
    word: &'static str,
    what: String,
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
    /// How many rounds above the newest commit that it knew the one of them stood who knew least.
    gap: u64,
    first_commit: Option<(u64, Micros)>,
    /// When everything was settled, in which round, and how many messages had been sent by then.
    settled: Option<(Micros, Round)>,
}

/// See the module.
pub(crate) struct World {
    options: SimOptions,
    setting: Setting,
    origin: Origin,
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
    /// The time of the newest block that anybody has committed.
    chain_time: UnixMillis,
    report: Report,
    /// What honest validators see, in worlds that fork.
    forensics: Option<Forensics>,
    ended: bool,
}

type Happened = Result<(), Violation>;

impl World {
    /// A world before its beginning.
    pub(crate) fn new(subject: &Shared, options: SimOptions, faults: Faults) -> Result<Self, String> {
        let seed = Random::new(options.seed).fork(&format!("{} validators", options.validators));
        let mut workload = Workload::new(subject.clone(), seed.fork("clients"));
        let settings = workload.settings();
        let setting = Setting::draw(&mut seed.fork("setting"), options.validators, &subject.0.app(), settings)?;
        workload.join(setting.genesis_hash());
        let origin = Origin::new(&setting.app, &setting.genesis)?;
        let mut machine = seed.fork("machine");
        let committee = setting.verifier.committee();
        let mut chance = seed.fork("faults");
        let plan = match (options.directed, faults) {
            (Some(_), _) => FaultPlan::none(Micros(u64::MAX)),
            (None, Faults::Drawn) => FaultPlan::draw(&mut chance, committee),
            (None, Faults::Lie(lie)) => FaultPlan::lie(&mut chance, committee, lie),
            (None, Faults::Clocks(clocks)) => FaultPlan::clocks(&mut chance, committee, clocks),
            (None, Faults::Beyond) => FaultPlan::beyond(&mut chance, committee),
        };
        let byzantine = plan.byzantine();
        let register = match faults {
            Faults::Beyond => Register::one_chain(byzantine),
            Faults::Drawn | Faults::Lie(_) | Faults::Clocks(_) => {
                let register = Register::new(setting.powers(), subject.0.model(&setting.genesis), BEGINNING, byzantine);
                register.with_clocks(&setting.genesis.parameters, BEGINNING)
            }
        };
        let nodes = committee.ids().map(|id| Node::new(id, machine.below(100))).collect();
        let report = Report {
            seed: options.seed,
            validators: options.validators,
            byzantine: byzantine.iter().map(|id| id.0).collect(),
            faults,
            ..Report::default()
        };
        Ok(Self {
            network: Network::new(plan.storm, seed.fork("network")),
            sync_max: Micros(machine.between(50, 4_000)),
            audit: Audit::new(options.trace),
            disks: seed.fork("disks"),
            agenda: Agenda::new(),
            now: Micros(0),
            calm: None,
            heights: BTreeMap::new(),
            chain_time: BEGINNING,
            forensics: (faults == Faults::Beyond).then(Forensics::default),
            ended: false,
            options,
            setting,
            origin,
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
        let result = self.judge_fork(result);
        if let Err(violation) = result {
            self.audit.note(self.now, || format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.report.violation = Some(violation);
        }
        let Mishaps { lost, doubled, late } = self.network.mishaps();
        for (what, count) in [("fault: lost message", lost), ("fault: doubled message", doubled), ("fault: late message", late)] {
            if count > 0 {
                self.report.seen.insert(what.into(), count);
            }
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
        self.corrupt();
        for id in ids {
            self.start(id)?;
        }
        for (at, incident) in std::mem::take(&mut self.plan.incidents) {
            self.agenda.plan(at, Happening::Incident(incident));
        }
        for (id, fate) in std::mem::take(&mut self.plan.fates) {
            let at = match &fate {
                Fate::Crashed(at)
                | Fate::Silent(at)
                | Fate::Deaf(at)
                | Fate::Slow(at)
                | Fate::Wiped(at)
                | Fate::Frayed(at, _)
                | Fate::WrongClock(at, _) => *at,
                Fate::Stale(copied, at) | Fate::RolledBack(copied, at) => {
                    self.agenda.plan(*copied, Happening::Copy(id));
                    *at
                }
                Fate::Lying(_) => continue,
            };
            self.agenda.plan(at, Happening::Fate(id, fate));
        }
        if self.options.directed.is_none() && self.forensics.is_none() {
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

    /// Puts liars between replicas and the network, and says who is excused from everything.
    fn corrupt(&mut self) {
        let chance = Random::new(self.options.seed).fork("lies");
        let byzantine = self.plan.byzantine();
        let genesis_hash = self.setting.genesis_hash();
        let committee = Arc::clone(self.setting.verifier.committee());
        if let Some(Cabal { halves: [left, right], .. }) = &self.plan.cabal {
            let directions = left.iter().flat_map(|a| right.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
            self.network.cut_for_ever(directions);
        }
        let plot = self.plan.cabal.as_ref().map(|cabal| {
            let keys = cabal.colluders.iter().filter_map(|id| Some((*id, self.setting.key(*id)?))).collect();
            (cabal.colluders.clone(), Plot::new(cabal.clone(), keys))
        });
        for node in &mut self.nodes {
            let id = node.id;
            node.faulty = byzantine.contains(id);
            node.excused = node.faulty || self.plan.fates.get(&id).is_some_and(Fate::is_excused);
            let Some(key) = self.setting.key(id) else { continue };
            let random = chance.fork(&format!("validator {id}"));
            if let Some(Fate::Lying(lies)) = self.plan.fates.get(&id) {
                node.liar = Some(Liar::new((id, key), genesis_hash, Arc::clone(&committee), random, lies));
            } else if let Some((colluders, plot)) = &plot
                && colluders.contains(&id)
            {
                let collude = Box::new(Collude(Rc::clone(plot)));
                node.liar = Some(Liar::with((id, key), genesis_hash, Arc::clone(&committee), random, (Lie::Equivocate, collude)));
            } else {
                continue;
            }
            let at = Micros(self.machine.between(1_000, PULSE_MAX.0));
            self.agenda.plan(at, Happening::Pulse(id));
        }
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
            Happening::Serve { node, life, job } => self.serve(node, life, *job),
            Happening::Client(index) => self.client(index),
            Happening::Incident(incident) => {
                self.incident(incident);
                Ok(())
            }
            Happening::Fate(id, fate) => {
                self.fate(id, &fate);
                Ok(())
            }
            Happening::Copy(id) => {
                if let Some(node) = self.node_mut(id) {
                    node.old_home = Some((node.disk.snapshot(), node.witness.as_ref().map(MemoryWitness::snapshot)));
                }
                Ok(())
            }
            Happening::Pulse(id) => self.pulse(id),
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
        let behind = ClockFault::Behind(self.machine.between(1_000, CLOCK_OFF_MS_MAX));
        let (genesis, verifier) = (Arc::clone(&self.setting.genesis), Arc::clone(&self.setting.verifier));
        let Some(key) = self.setting.key(id) else { return Ok(()) };
        let Some(node) = self.nodes.get_mut(id.index()) else { return Ok(()) };
        let witness = Box::new(node.witness.get_or_insert_with(|| MemoryWitness::of_new_key(key.public())).clone());
        // Whoever lies signs what its replica does not know of.
        let doubles = if node.liar.is_some() { Doubles::Play } else { Doubles::Stop };
        let config = ReplicaConfig { genesis, verifier, key, pool: PoolLimits::default(), fixed_leaders: Arc::default(), witness, doubles };
        // All begin with the same genesis on the disk; it is made once.
        let opened = if node.life == 0 {
            let (disk, ledger) = self.origin.copy();
            node.disk = disk.clone();
            Replica::resume(config, disk, ledger)
        } else {
            Replica::open(config, node.disk.clone(), &self.setting.app)
        };
        let replica = match opened {
            Ok(_) if node.stopped => {
                return Err(self.violation("SAFE-6", format!("validator {id} starts again after it was stopped for ever")));
            }
            Ok(replica) => replica,
            Err(RecoverError::Stopped(_)) if node.stopped => {
                node.gone = true;
                self.seen("net: remembers its stop");
                return Ok(());
            }
            Err(RecoverError::DataBehind { .. }) if node.forgetful => {
                node.gone = true;
                self.seen("net: refuses a disk that has forgotten");
                return Ok(());
            }
            // The power failed again while it was starting.
            Err(_) if node.armed.is_some() => {
                self.lose_power(id);
                return Ok(());
            }
            Err(_) if node.faulty => {
                node.gone = true;
                self.seen("byzantine: does not start");
                return Ok(());
            }
            Err(error) => return Err(self.violation("OPEN", format!("validator {id} does not start: {error}"))),
        };
        let height = replica.ledger().root().height;
        node.replica = Some(Box::new(replica));
        node.clock_start = clock_start;
        // A battery is dead: the calendar starts anywhere in the past, until somebody sets it.
        let clock_lost = clock_lost && !node.clock_stays_wrong;
        if !node.clock_stays_wrong {
            node.clock = clock_lost.then_some((behind, now));
        }
        let record = node.disk.durable_record();
        self.audit.record(now, 1, &[&id.0.to_le_bytes(), &height.0.to_le_bytes()]);
        self.audit.note(now, || format!("{} starts at height {height}", describe::validator(id)));
        if clock_lost {
            self.seen("fault: clock behind");
        }
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
        self.show_clock(id)?;
        self.plan_step(id, Micros(0));
        self.look(id)
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
                    self.show_clock(id)?;
                    self.plan_step(id, Micros(0));
                    return self.look(id);
                }
                return self.rest(id);
            }
            Err(Fatal::Store(_) | Fatal::Ledger(LedgerError::Store(_))) if node.armed.is_some() => {
                self.lose_power(id);
                return Ok(());
            }
            Err(Fatal::Doubled(stop)) if node.rolled_back => {
                node.stopped = true;
                node.lose_memory();
                let life = node.life;
                self.seen("net: stops at its own signature");
                self.audit.note(now, || format!("{} stops for ever: {stop}", describe::validator(id)));
                // Somebody starts it again.
                let back = now.after(Micros(self.machine.between(1_000, 100_000)));
                self.agenda.plan(back, Happening::Restart { node: id, life });
                return Ok(());
            }
            // Whoever counts as Byzantine may come to a point where its own replica gives up; among more than f of them anybody may.
            Err(fatal) if node.faulty || self.forensics.is_some() => {
                node.gone = true;
                node.lose_memory();
                self.seen("byzantine: stopped itself");
                self.audit.note(now, || format!("{} stops: {fatal}", describe::validator(id)));
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
        self.look(id)
    }

    /// Shows the invariants what a validator's clock shows it.
    fn show_clock(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(node) = self.node(id).filter(|node| !node.faulty) else { return Ok(()) };
        let unix = node.unix(now);
        self.register.observe(now, &Observation::Clock { node: id, unix })
    }

    /// Shows the invariants the state of a validator, where it is another one than before.
    fn look(&mut self, id: ValidatorId) -> Happened {
        let Some(node) = self.nodes.get_mut(id.index()).filter(|node| !node.faulty) else { return Ok(()) };
        let Some(engine) = node.replica.as_ref().map(|replica| replica.engine()) else { return Ok(()) };
        node.patience.look(engine);
        let Some(state) = LocalState::if_new(engine, &mut node.seen_state) else { return Ok(()) };
        self.register.observe(self.now, &Observation::State { node: id, state })
    }

    fn plan_step(&mut self, id: ValidatorId, delay: Micros) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(id.index()) {
            self.agenda.plan(now.after(delay), Happening::Step { node: id, life: node.life });
        }
    }

    /// The validator has nothing to do until its next deadline.
    fn rest(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return Ok(()) };
        node.busy = false;
        let Some(replica) = &node.replica else { return Ok(()) };
        let Some(deadline) = replica.next_deadline() else { return Ok(()) };
        // The next full microsecond, so that the deadline has come by then.
        let at = node.virtual_time(deadline).after(Micros(1)).max(now);
        if !node.faulty {
            let waited = live_1::wait(&self.setting.genesis.parameters, node.patience.gap(), at.since(now));
            waited.map_err(|what| self.violation("LIVE-1", format!("validator {id} {what}")))?;
        }
        let Some(node) = self.nodes.get_mut(id.index()) else { return Ok(()) };
        if node.wake.is_none_or(|planned| planned <= now || planned > at) {
            node.wake = Some(at);
            self.agenda.plan(at, Happening::Wake { node: id, life: node.life });
        }
        Ok(())
    }

    // ---- outputs ------------------------------------------------------------------------------------------------------------------

    fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        match output {
            Output::Send { to, message } => self.send(id, to, message),
            Output::Gossip(transactions) => self.gossip(id, transactions),
            Output::Serve(job) => {
                let delay = Micros(self.machine.between(1, SERVE_MAX.0));
                if let Some(node) = self.nodes.get(id.index()) {
                    self.agenda.plan(self.now.after(delay), Happening::Serve { node: id, life: node.life, job });
                }
                Ok(())
            }
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

    /// Answers a request for blocks from what the disk holds by now, beside what the replica is doing.
    fn serve(&mut self, id: ValidatorId, life: u64, job: Serve) -> Happened {
        let Some(node) = self.node(id).filter(|node| node.life == life && node.is_up()) else { return Ok(()) };
        let to = job.to();
        let message = match job.answer(&LedgerReader::new(node.disk.clone())) {
            Ok(message) => message,
            // A disk that fails stops the replica at its own next step; whoever counts as Byzantine may have lost anything.
            Err(_) if node.armed.is_some() || node.faulty => return Ok(()),
            Err(error) => return Err(self.violation("FATAL", format!("validator {id} cannot read blocks: {error}"))),
        };
        self.give(id, Input::Served { to, bytes: codec::encode(&message).len() });
        self.send(id, Recipients::One(to), Arc::new(message))
    }

    fn send(&mut self, id: ValidatorId, to: Recipients, message: Arc<Message>) -> Happened {
        let now = self.now;
        if contents::round_of(&message).is_some() && self.node(id).is_some_and(|node| node.shown || node.stopped) {
            let what = format!("validator {id} was shown its own signature that it does not remember, and then sent {message:?}");
            return Err(self.violation("SAFE-6", what));
        }
        if let Some(node) = self.nodes.get_mut(id.index())
            && let unix = node.unix(now)
            && let Some(liar) = &mut node.liar
        {
            let parcels = liar.says(to, message, unix);
            return self.utter(id, parcels);
        }
        let message = &*message;
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

    /// Somebody who lies says what it likes.
    fn utter(&mut self, id: ValidatorId, parcels: Vec<Parcel>) -> Happened {
        for Parcel { to, content, lie } in parcels {
            if let Some(lie) = lie {
                self.seen(lie.name());
            }
            let (bytes, gossip) = match content {
                Content::Bytes { bytes, gossip } => (bytes, gossip),
                Content::Message(message) => {
                    if lie.is_some() {
                        self.seen(&format!("lie: {}", describe::kind(&message)));
                    }
                    self.audit.note(self.now, || {
                        let to: Vec<String> = to.iter().map(|id| describe::validator(*id)).collect();
                        let lie = lie.map_or_else(String::new, |lie| format!(" ({})", lie.name()));
                        format!("{} -> {}{lie}  {}", describe::validator(id), to.join(" "), describe::message(&message))
                    });
                    self.register.observe(self.now, &Observation::Sent { node: id, message: &message, durable: None })?;
                    (codec::encode(&*message), false)
                }
            };
            self.carry_to(id, to, bytes, gossip);
        }
        Ok(())
    }

    fn pulse(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let pause = Micros(self.machine.between(20_000, PULSE_MAX.0));
        self.agenda.plan(now.after(pause), Happening::Pulse(id));
        let Some(node) = self.nodes.get_mut(id.index()).filter(|node| node.is_up()) else { return Ok(()) };
        let unix = node.unix(now);
        let parcels = node.liar.as_mut().map(|liar| liar.pulse(unix)).unwrap_or_default();
        self.utter(id, parcels)
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
        let targets = match to {
            Recipients::Others => self.nodes.iter().map(|node| node.id).filter(|id| *id != from).collect(),
            Recipients::One(to) => vec![to],
        };
        self.carry_to(from, targets, bytes, gossip);
    }

    fn carry_to(&mut self, from: ValidatorId, targets: Vec<ValidatorId>, bytes: Vec<u8>, gossip: bool) {
        self.audit.record(self.now, 4, &[&from.0.to_le_bytes(), &bytes]);
        if self.node(from).is_some_and(|node| node.silent) {
            return;
        }
        let packet = Rc::new(Packet { bytes, gossip, opened: OnceCell::new() });
        for to in targets {
            self.report.messages = self.report.messages.saturating_add(1);
            for delay in self.network.deliveries(from, to) {
                self.agenda.plan(self.now.after(delay), Happening::Deliver { from, to, packet: Rc::clone(&packet) });
            }
        }
    }

    fn deliver(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Happened {
        if !self.network.passes(from, to) || !self.node(to).is_some_and(|node| node.is_up() && !node.deaf) {
            return Ok(());
        }
        self.audit.record(self.now, 5, &[&from.0.to_le_bytes(), &to.0.to_le_bytes(), &(packet.bytes.len() as u64).to_le_bytes()]);
        let opened = packet.opened.get_or_init(|| self.open(from, packet)).clone();
        match opened {
            Ok(Opened::Message(message)) => self.hear(from, to, message),
            Ok(Opened::Gossip(transactions)) => {
                self.give(to, Input::Gossip(transactions));
                Ok(())
            }
            // Whoever lies is not believed.
            Err(refused) if self.node(from).is_some_and(|node| node.liar.is_some()) => {
                self.seen_refused(refused.word);
                Ok(())
            }
            Err(refused) => Err(self.violation("WIRE", format!("what validator {from} sent does not verify: {}", refused.what))),
        }
    }

    fn hear(&mut self, from: ValidatorId, to: ValidatorId, message: Verified<Message>) -> Happened {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(to.index()) else { return Ok(()) };
        let unix = node.unix(now);
        if let Some(liar) = &mut node.liar {
            let (passes, parcels) = liar.hears(from, &message, unix);
            if passes {
                self.give(to, Input::Message { from, message });
            }
            return self.utter(to, parcels);
        }
        if !node.faulty {
            if let Some(forensics) = &mut self.forensics {
                forensics.saw(&message);
            }
            self.register.observe(now, &Observation::Received { node: to, from, message: &message })?;
        }
        self.give(to, Input::Message { from, message });
        Ok(())
    }

    /// What a receiver does with bytes before its replica sees them.
    fn open(&self, from: ValidatorId, packet: &Packet) -> Result<Opened, Refused> {
        let verifier = &self.setting.verifier;
        let malformed = |error: codec::DecodeError| Refused { word: "decode", what: error.to_string() };
        let refused = |error: VerifyError| Refused { word: error.word(), what: error.to_string() };
        if packet.gossip {
            let TransactionBatch(batch) = codec::decode(&packet.bytes, BATCH_BYTES_MAX).map_err(malformed)?;
            let verdicts = verifier.transactions(batch.into_inner());
            verdicts.into_iter().collect::<Result<_, _>>().map(Opened::Gossip).map_err(refused)
        } else {
            let message = Message::decode(&packet.bytes).map_err(malformed)?;
            verifier.message(from, message).map(Opened::Message).map_err(refused)
        }
    }

    fn seen_refused(&mut self, word: &str) {
        self.seen(&format!("refused: {word}"));
    }

    fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        if let Some(liar) = self.node_mut(id).and_then(|node| node.liar.as_mut()) {
            for block in &committed.blocks {
                liar.commits(&block.header);
            }
        }
        let now = self.now;
        let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
        let qc = committed.view.commit_qc();
        let Some((last, _)) = blocks.last() else {
            return Err(self.violation("TREE-2", format!("validator {id} committed nothing")));
        };
        let (height, state) = (last.height, last.state_id());
        self.chain_time = self.chain_time.max(last.timestamp);
        self.audit.record(now, 6, &[&id.0.to_le_bytes(), &height.0.to_le_bytes(), &state.0.0]);
        self.audit.note(now, || {
            let transactions: usize = blocks.iter().map(|(_, receipts)| receipts.len()).sum();
            format!("{} commits up to height {height} round {} with {transactions} txs by {qc:?}", describe::validator(id), last.round)
        });
        if let Some(forensics) = self.forensics.as_mut().filter(|_| self.nodes.get(id.index()).is_some_and(|node| !node.faulty)) {
            forensics.quorum_cert(qc);
        }
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
        let connected = self.node(id).is_some_and(|node| !node.excused);
        if let Some(calm) = &mut self.calm
            && connected
            && calm.first_commit.is_none()
            && qc.round() > calm.round
        {
            let parameters = &self.setting.genesis.parameters;
            let judged = live_1::first_commit(u64::from(self.options.validators), calm.round, qc.round())
                .and_then(|rounds| live_1::first_commit_in_time(parameters, (calm.gap, rounds), now.since(calm.at)).map(|()| rounds));
            match judged {
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
            self.nodes.iter().filter(|node| node.is_up() && (self.calm.is_none() || !node.excused)).map(|node| node.id).collect();
        let unix = self.chain_time;
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
        let (height, word) = match answer {
            Answer::Accepted => (0, "accepted"),
            Answer::Committed { height, outcome, .. } => (height.0, if outcome.is_applied() { "applied" } else { "failed" }),
            Answer::Rejected { code, .. } => (0, &**code),
        };
        self.audit.record(now, 8, &[&id.0.to_le_bytes(), &ticket.0.to_le_bytes(), &height.to_le_bytes(), word.as_bytes()]);
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
                Answer::Rejected { code, .. } if code == "expired" => {
                    let root = self.node(id).and_then(|node| node.replica.as_ref()).map(|replica| replica.ledger().root().timestamp);
                    if let Some(committed) = root {
                        self.register.observe(now, &Observation::Expired { node: id, id: tx, committed })?;
                    }
                }
                Answer::Rejected { .. } | Answer::Accepted => {}
            }
        }
        // Nobody believes a liar without a proof; the client asks again elsewhere.
        if self.node(id).is_some_and(|node| !node.faulty) {
            self.workload.on_answer(ticket, answer);
        }
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
                let one_way = directions.first().is_some_and(|(from, to)| !directions.contains(&(*to, *from)));
                self.seen(if one_way { "fault: cut one way" } else { "fault: cut in two" });
                self.network.cut(directions);
            }
            Incident::Clock(id, fault) => {
                let now = self.now;
                self.audit.note(now, || format!("the calendar of {} goes wrong: {fault:?}", describe::validator(id)));
                self.seen(fault.name());
                if let Some(node) = self.node_mut(id).filter(|node| !node.clock_stays_wrong) {
                    node.clock = Some((fault, now));
                }
                if self.nodes.len() > 1 && self.nodes.iter().all(|node| matches!(node.clock, Some((ClockFault::Ahead(_), _)))) {
                    self.seen("fault: all clocks ahead");
                }
            }
            Incident::Heal(directions) => {
                self.audit.note(self.now, || "a cut of the network heals".into());
                self.network.heal(directions);
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
            PowerCut::AtSync(nth) => {
                node.disk.fail_at_sync(nth);
                self.audit.note(now, || format!("the disk of {} will fail in its sync {nth} from now", describe::validator(id)));
            }
            PowerCut::AtWitness(nth, bytes) => {
                if let Some(witness) = &node.witness {
                    witness.fail_after(nth, bytes);
                }
                self.audit.note(now, || format!("{} will lose power in write {nth} of its witness from now", describe::validator(id)));
            }
            PowerCut::Full(nth) => {
                node.disk.fail_at_write(nth);
                self.audit.note(now, || format!("the disk of {} will be full at its write {nth} from now", describe::validator(id)));
            }
        }
    }

    fn lose_power(&mut self, id: ValidatorId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return };
        let was_up = node.is_up();
        let (cut, down) = node.armed.unwrap_or((PowerCut::Now, Micros(0)));
        node.lose_memory();
        node.witness.iter().for_each(MemoryWitness::repair);
        let lost = if matches!(cut, PowerCut::Full(_)) {
            node.disk.reopen();
            0
        } else {
            node.disk.crash(&mut self.disks)
        };
        let life = node.life;
        if was_up {
            self.seen(match cut {
                PowerCut::Now => "fault: power cut",
                PowerCut::AtWrite(_) => "fault: torn write",
                PowerCut::AtSync(_) => "fault: failed sync",
                PowerCut::AtWitness(..) => "fault: torn witness",
                PowerCut::Full(_) => "fault: disk full",
            });
            if self.nodes.len() > 1 && !self.nodes.iter().any(Node::is_up) {
                self.seen("fault: all down at once");
            }
        }
        self.report.lost_writes = self.report.lost_writes.saturating_add(lost as u64);
        self.report.crashes = self.report.crashes.saturating_add(u64::from(was_up));
        self.audit.record(now, 9, &[&id.0.to_le_bytes(), &(lost as u64).to_le_bytes()]);
        self.audit.note(now, || format!("{} loses power and {lost} unsynced batches, for {down}", describe::validator(id)));
        self.agenda.plan(now.after(down), Happening::Restart { node: id, life });
    }

    fn fate(&mut self, id: ValidatorId, fate: &Fate) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id.index()) else { return };
        let (name, what) = match fate {
            Fate::Silent(_) => {
                node.silent = true;
                ("fault: silent for ever", "falls silent for ever")
            }
            Fate::Deaf(_) => {
                node.deaf = true;
                ("fault: deaf for ever", "hears nobody any more")
            }
            Fate::Frayed(_, directions) => {
                self.network.cut_for_ever(directions.iter().copied());
                ("fault: frayed for ever", "loses some of its links for ever")
            }
            Fate::Slow(_) => {
                self.network.slow_down(id);
                ("fault: slow for ever", "is slow from now on")
            }
            Fate::Crashed(_) => {
                node.gone = true;
                ("fault: crashed for ever", "crashes for ever")
            }
            Fate::WrongClock(_, fault) => {
                node.clock = Some((*fault, now));
                node.clock_stays_wrong = true;
                ("fault: clock wrong for ever", "has a wrong calendar from now on")
            }
            Fate::Stale(..) => ("fault: stale disk", "comes back with an older copy of its disk"),
            Fate::Wiped(_) => ("fault: wiped disk", "comes back with an empty disk"),
            Fate::RolledBack(..) => ("fault: home rolled back", "comes back with an older copy of its home"),
            Fate::Lying(_) => return,
        };
        self.seen(name);
        self.audit.note(now, || format!("{} {what}", describe::validator(id)));
        match fate {
            Fate::Crashed(_) => self.lose_power(id),
            Fate::Stale(..) | Fate::Wiped(_) | Fate::RolledBack(..) => {
                self.lose_power(id);
                if let Some(node) = self.node_mut(id) {
                    let (disk, witness) = node.old_home.take().unwrap_or_default();
                    node.disk = disk;
                    node.rolled_back = matches!(fate, Fate::RolledBack(..));
                    node.forgetful = !node.rolled_back;
                    if node.rolled_back {
                        node.witness = witness;
                    }
                }
            }
            Fate::Silent(_) | Fate::Deaf(_) | Fate::Frayed(..) | Fate::Slow(_) | Fate::WrongClock(..) | Fate::Lying(_) => {}
        }
    }

    // ---- the calm -----------------------------------------------------------------------------------------------------------------

    fn begin_calm(&mut self) -> Happened {
        let now = self.now;
        self.audit.record(now, 10, &[]);
        self.audit.note(now, || "the faults stop".into());
        self.network.heal_all();
        self.network.set_rules(self.plan.calm);
        let mut down = Vec::new();
        for node in &mut self.nodes {
            node.disk.repair();
            node.witness.iter().for_each(MemoryWitness::repair);
            node.armed = None;
            if !node.clock_stays_wrong {
                node.clock = None;
            }
            if !node.is_up() && !node.gone {
                down.push(node.id);
            }
        }
        self.workload.last_quota();
        for id in down {
            self.start(id)?;
        }
        let round = self.highest_round(|node| !node.excused);
        let gap = self.nodes.iter().filter(|node| !node.excused).map(|node| node.patience.gap()).max().unwrap_or_default();
        self.calm = Some(Calm { at: now, round, gap, first_commit: None, settled: None });
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
        let (now, round) = (self.now, self.highest_round(|node| !node.excused));
        let Some(calm) = &mut self.calm else { return };
        if calm.settled.is_some() || calm.first_commit.is_none() || !self.workload.is_done() {
            return;
        }
        let mut heights = self.nodes.iter().filter(|node| !node.excused).map(|node| node.reported);
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
        let round = self.highest_round(|node| !node.excused);
        let Some((_, settled)) = self.calm.and_then(|calm| calm.settled) else { return Ok(()) };
        live_1::quiet(u64::from(self.options.validators), settled, round).map_err(|what| self.violation("LIVE-1", what))
    }

    fn give_up(&mut self) -> Happened {
        if self.forensics.is_some() {
            self.ended = true;
            return Ok(());
        }
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
                format!("{}{}: {state}", describe::validator(node.id), if node.excused { " (excused)" } else { "" })
            })
            .collect();
        let first = self.calm.and_then(|calm| calm.first_commit);
        let what = format!("not settled in time; first commit {first:?}; {}; clients: {}", validators.join("; "), self.workload.open());
        Err(self.violation("LIVE-1", what))
    }

    fn finish(&mut self) -> Happened {
        let held: u64 = self.nodes.iter().filter_map(|node| node.replica.as_ref()).map(|replica| replica.status().counts.held).sum();
        if held > 0 {
            self.report.seen.insert("proposal held for its time".into(), held);
        }
        for node in self.nodes.iter().filter(|node| !node.faulty) {
            let Some(replica) = &node.replica else { continue };
            let view = replica.view();
            for address in self.workload.addresses() {
                let record = view.account(&address);
                let observation = Observation::Account { node: node.id, address, height: view.header().height, record: &record };
                self.register.observe(self.now, &observation)?;
            }
        }
        // In a directed world the end may fall between an answer and the commit it speaks of.
        if self.options.directed.is_some() { Ok(()) } else { self.register.finish(self.now) }
    }

    /// In a world with more liars than a committee bears the chain must have forked, and the evidence must name them: so many that the
    /// others could not have done it, and nobody who is honest.
    fn judge_fork(&mut self, result: Happened) -> Happened {
        let Some(forensics) = &self.forensics else { return result };
        let culprits = forensics.culprits();
        let named = culprits.iter().map(|culprit| ValidatorId(culprit.validator)).collect();
        let committee = self.setting.verifier.committee();
        let byzantine = self.plan.byzantine();
        let judged = match result {
            Err(violation) if violation.invariant != "TREE-1" || !self.register.has_seen_fork() => return Err(violation),
            Err(_) if !committee.holds_honest(named) => Err(format!("the chain forked, but only {culprits:?} are named")),
            Err(_) if named.iter().any(|id| !byzantine.contains(id)) => Err(format!("honest validators are named: {culprits:?}")),
            Err(_) => Ok(()),
            Ok(()) => Err("more collude than the committee bears, and yet the chain did not fork".into()),
        };
        self.report.culprits = culprits;
        judged.map_err(|what: String| self.violation("B25", what))
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
