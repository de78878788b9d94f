//! The world of a run: a few machines on a virtual clock, clients, a network that is cut on purpose, and a [`Trap`](super::trap::Trap).
//!
//! ```text
//! trouble, over and over                                        point    second point    calm
//!   one validator is heard by the victim alone   ─┐               │           │            │
//!   (timeouts, their certificates, dead blocks)   ├───────────────┴───────────┴────────────┼──> everybody connected and up: settled
//!   the victim is cut off (fetches, catches up)  ─┘                                        │
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use quorate_ledger::LedgerReader;
use quorate_replica::Input;
use quorate_types::{
    committee::{Committee, SignerSet},
    header::Header,
    ids::ValidatorId,
    receipt::Receipt,
    round::{Height, Round, UnixMillis},
};

use super::{
    Course, Outcome, Point, Site,
    disk::{SharedTrap, locked},
    machine::Machine,
    traffic::Packet,
};
use crate::{
    audit::Audit,
    committee::{BEGINNING, CHAIN, Setting},
    fault::FaultPlan,
    invariants::{Observation, Register, Violation, live_1},
    network::Network,
    random::Random,
    time::{Agenda, Micros},
    workload::Workload,
};

/// How long each phase of the trouble lasts when it comes for the first time, and by how much longer each time after that: an idle chain takes
/// its time.
const PHASE: Micros = Micros(250_000);
/// Its length at most.
const PHASE_MAX: Micros = Micros(2_000_000);
/// How long a run waits for a point to be hit.
const PATIENCE: Micros = Micros(60_000_000);
/// How long a validator needs at most from an answer to a client to the report of the commit that it speaks of.
const REPORT: Micros = Micros(20_000);

/// Something that happens.
#[derive(Debug)]
enum Happening {
    Deliver {
        from: ValidatorId,
        to: ValidatorId,
        packet: Rc<Packet>,
    },
    Step {
        id: ValidatorId,
        life: u64,
    },
    Wake {
        id: ValidatorId,
        life: u64,
    },
    Client(usize),
    PowerOn {
        id: ValidatorId,
        life: u64,
    },
    Trouble(u64),
    /// The point that is armed under this number was not hit in time.
    Missed(usize),
    Calm,
    End,
    GiveUp,
}

/// The end of the faults, and what followed.
#[derive(Clone, Copy, Debug)]
struct Calm {
    round: Round,
    first_commit: bool,
    settled: bool,
}

/// Who is who.
#[derive(Clone, Copy, Debug)]
struct Roles {
    /// Whose power fails.
    victim: ValidatorId,
    /// Whom the trouble is about besides the victim; the victim itself where it is alone.
    neighbour: ValidatorId,
    /// Starts only when the second point is armed.
    late: Option<ValidatorId>,
}

impl Roles {
    /// The victim, and with it the late one, are such that the others are a quorum without them, wherever that is possible: otherwise nothing
    /// would go on in their absence that they could fetch.
    fn draw(random: &mut Random, committee: &Committee, starts_late: bool) -> Option<Self> {
        let mut ids: Vec<ValidatorId> = committee.ids().collect();
        random.shuffle(&mut ids);
        let bearable = committee.total_power().saturating_sub(committee.quorum_power());
        // The order of the shuffle stays among equals.
        ids.sort_by_key(|id| {
            let power = committee.power([*id].into_iter().collect());
            if starts_late { power } else { power.max(bearable) }
        });
        let mut ids = ids.into_iter();
        let victim = ids.next()?;
        let late = if starts_late { ids.next() } else { None };
        let neighbour = ids.next().unwrap_or(victim);
        Some(Self { victim, neighbour, late })
    }
}

/// See the module.
pub(super) struct World {
    course: Course,
    pub(super) setting: Setting,
    agenda: Agenda<Happening>,
    pub(super) now: Micros,
    pub(super) machines: Vec<Machine>,
    pub(super) network: Network,
    pub(super) workload: Workload,
    pub(super) register: Register,
    pub(super) audit: Audit,
    trap: SharedTrap,
    random: Random,
    sync_max: Micros,
    victim: ValidatorId,
    /// With whom the trouble begins; the victim where it is alone.
    neighbour: ValidatorId,
    late: Option<ValidatorId>,
    /// The whole site loses power with the victim.
    everybody: bool,
    /// How many points were armed.
    armed: usize,
    calm: Option<Calm>,
    outcome: Outcome,
    ended: bool,
}

pub(super) type Happened = Result<(), Violation>;

impl World {
    pub(super) fn new(course: Course) -> Result<Self, String> {
        let second = course.second.map_or_else(String::new, |second| second.to_string());
        let seed = Random::new(course.seed).fork(&format!("{} {second} {}", course.point, course.validators));
        let mut workload = Workload::new(seed.fork("clients"), CHAIN);
        let accounts = workload.accounts();
        let register = Register::new(&accounts, BEGINNING, SignerSet::default());
        let setting = Setting::draw(&mut seed.fork("setting"), course.validators, accounts)?;
        let mut random = seed.fork("course");
        let trap = SharedTrap::default();
        let starts_late = course.second.is_some_and(|second| second.site.is_once());
        let committee = setting.verifier.committee();
        let machines = committee.ids().map(|id| Machine::new(id, &trap, random.below(100))).collect();
        let Roles { victim, neighbour, late } = Roles::draw(&mut random, committee, starts_late).ok_or("a network needs a validator")?;
        Ok(Self {
            network: Network::new(FaultPlan::none(Micros(0)).calm, seed.fork("network")),
            sync_max: Micros(random.between(50, 4_000)),
            everybody: late.is_none() && random.chance(250),
            audit: Audit::new(course.trace),
            agenda: Agenda::new(),
            now: Micros(0),
            armed: 0,
            calm: None,
            outcome: Outcome::default(),
            ended: false,
            course,
            setting,
            machines,
            workload,
            register,
            trap,
            random,
            victim,
            neighbour,
            late,
        })
    }

    pub(super) fn run(mut self) -> Outcome {
        let result = self.begin().and_then(|()| self.go_on()).and_then(|()| self.finish());
        if let Err(violation) = result {
            self.audit.note(self.now, || format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.outcome.violation = Some(violation);
        }
        self.outcome.writes = locked(&self.trap).writes.iter().map(|(site, count)| (site.name().into(), *count)).collect();
        self.outcome.event_hash = self.audit.hash().to_string();
        self.outcome.virtual_ms = self.now.ms();
        self.outcome.height = self.machines.iter().map(|machine| machine.reported.0).max().unwrap_or_default();
        self.outcome.trace = self.audit.into_trace();
        self.outcome
    }

    fn begin(&mut self) -> Happened {
        self.arm(self.course.point);
        let ids: Vec<ValidatorId> = self.machines.iter().map(|machine| machine.id).filter(|id| Some(*id) != self.late).collect();
        for id in ids {
            self.agenda.plan(Micros(0), Happening::PowerOn { id, life: 0 });
        }
        for client in 0..self.workload.len() {
            let at = self.workload.pause();
            self.agenda.plan(at, Happening::Client(client));
        }
        if self.neighbour != self.victim {
            self.agenda.plan(Micros::from_ms(30), Happening::Trouble(0));
        }
        Ok(())
    }

    fn go_on(&mut self) -> Happened {
        while !self.ended
            && let Some((at, happening)) = self.agenda.next()
        {
            self.now = at;
            self.happen(happening)?;
            if let Some(columns) = locked(&self.trap).stray.take() {
                return Err(self.violation("SITE", format!("a batch of the columns {columns} belongs to no site")));
            }
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Happened {
        let is_current = |world: &Self, id: ValidatorId, life: u64| world.machine(id).is_some_and(|machine| machine.life == life);
        match happening {
            Happening::Deliver { from, to, packet } => self.deliver(from, to, &packet),
            Happening::Step { id, life } if is_current(self, id, life) => self.step(id),
            Happening::Wake { id, life } if is_current(self, id, life) => {
                self.give(id, Input::Tick);
                Ok(())
            }
            Happening::PowerOn { id, life } if is_current(self, id, life) => self.power_on(id),
            Happening::Step { .. } | Happening::Wake { .. } | Happening::PowerOn { .. } => Ok(()),
            Happening::Client(index) => self.client(index),
            Happening::Trouble(phase) => {
                self.trouble(phase);
                Ok(())
            }
            Happening::Missed(armed) => {
                if self.armed == armed && self.outcome.hit.len() < armed {
                    let point = if armed == 1 { Some(self.course.point) } else { self.course.second };
                    self.outcome.missed = point.map(|point| point.to_string());
                    self.ended = true;
                }
                Ok(())
            }
            Happening::Calm => self.begin_calm(),
            Happening::End => {
                self.ended = true;
                Ok(())
            }
            Happening::GiveUp => self.give_up(),
        }
    }

    // ---- the points ---------------------------------------------------------------------------------------------------------------

    fn arm(&mut self, point: Point) {
        let nth = match point.site {
            site if site.is_at_start() => 1,
            Site::Timeout | Site::HighestCertificates | Site::SyncChunk | Site::Prune => self.random.between(1, 2),
            _ => self.random.between(1, 4),
        };
        let whose: BTreeSet<ValidatorId> = [Some(self.victim), self.late.filter(|_| self.armed > 0)].into_iter().flatten().collect();
        locked(&self.trap).arm(point, whose, nth);
        self.armed = self.armed.saturating_add(1);
        self.agenda.plan(self.now.after(PATIENCE), Happening::Missed(self.armed));
        self.audit.note(self.now, || format!("armed: hit {nth} of {point}"));
    }

    /// Whether the power of a validator has failed at the point; then it is off now.
    fn sprung(&mut self, id: ValidatorId) -> Result<bool, Violation> {
        let Some((point, whose)) = locked(&self.trap).take_sprung() else { return Ok(false) };
        self.audit.note(self.now, || format!("the power of v{whose} fails at {point}"));
        self.outcome.hit.push(point.to_string());
        let down = if self.random.chance(700) { self.random.between(500, 60_000) } else { self.random.between(60_000, 900_000) };
        self.lose_power(whose, Micros(down))?;
        if self.everybody {
            let others: Vec<ValidatorId> = self.machines.iter().map(|machine| machine.id).filter(|id| *id != whose).collect();
            for other in others {
                let down = Micros(self.random.between(500, 300_000));
                self.lose_power(other, down)?;
            }
        }
        let back = self.now.after(Micros(down));
        match self.course.second.filter(|_| self.armed == 1) {
            Some(second) => {
                self.arm(second);
                if let Some(late) = self.late {
                    let at = back.after(Micros(self.random.between(1_000, 50_000)));
                    self.agenda.plan(at, Happening::PowerOn { id: late, life: 0 });
                }
            }
            None => self.agenda.plan(back.after(Micros(self.random.below(100_000))), Happening::Calm),
        }
        Ok(whose == id)
    }

    fn lose_power(&mut self, id: ValidatorId, down: Micros) -> Happened {
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(()) };
        let lost = machine.lose_power(&mut self.random);
        let life = machine.life;
        let checked = machine.check_files();
        self.outcome.crashes = self.outcome.crashes.saturating_add(1);
        self.outcome.lost_writes = self.outcome.lost_writes.saturating_add(lost as u64);
        self.audit.record(self.now, 9, &[&id.0.to_le_bytes(), &(lost as u64).to_le_bytes()]);
        self.audit.note(self.now, || format!("v{id} loses power and {lost} unsynced batches, for {down}"));
        self.agenda.plan(self.now.after(down), Happening::PowerOn { id, life });
        checked.map_err(|what| self.violation("FILE-1", what))
    }

    /// Cuts the network, so that every site is come to: nothing else makes an honest chain time out, fetch or abandon blocks.
    fn trouble(&mut self, phase: u64) {
        if self.calm.is_some() {
            return;
        }
        let victim = self.victim;
        let ids: Vec<ValidatorId> = self.machines.iter().map(|machine| machine.id).collect();
        // Each time another one: whoever was cut off is not elected for a while, and only a leader leaves a dead block behind.
        let turn = usize::try_from(phase / 4).unwrap_or_default().saturating_add(self.neighbour.index());
        let others = ids.iter().copied().filter(|id| *id != victim);
        let neighbour = others.cycle().nth(turn).unwrap_or(victim);
        self.network.heal();
        match phase % 4 {
            0 => self.network.cut(ids.iter().filter(|id| **id != victim).map(|id| (neighbour, *id))),
            2 => self.network.cut(ids.iter().flat_map(|id| [(victim, *id), (*id, victim)])),
            _ => {}
        }
        self.audit.note(self.now, || format!("trouble of v{victim} and v{neighbour}, phase {}", phase % 4));
        let length = Micros(PHASE.0.saturating_mul((phase / 4).saturating_add(1))).min(PHASE_MAX);
        self.agenda.plan(self.now.after(length), Happening::Trouble(phase.saturating_add(1)));
    }

    // ---- validators ---------------------------------------------------------------------------------------------------------------

    pub(super) fn machine(&self, id: ValidatorId) -> Option<&Machine> {
        self.machines.get(id.index())
    }

    fn power_on(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(id.index()).filter(|machine| machine.replica.is_none()) else { return Ok(()) };
        let recovery = machine.check_recovery(&self.setting);
        // As an operator and the node do: keys and genesis, the ledger and what it recovers, then the address.
        let started = machine
            .set_up()
            .map_err(|error| error.to_string())
            .and_then(|()| machine.open(&self.setting).map_err(|error| error.to_string()))
            .and_then(|()| machine.publish().map_err(|error| error.to_string()));
        let record = machine.store.durable_record();
        let height = machine.replica.as_ref().map(|replica| replica.ledger().root().height);
        recovery.map_err(|what| self.violation("RECOVERY", what))?;
        if let Some(record) = record {
            self.register.observe(now, &Observation::Saved { node: id, record })?;
        }
        if let Some(height) = height {
            self.audit.record(now, 1, &[&id.0.to_le_bytes(), &height.0.to_le_bytes()]);
            self.audit.note(now, || format!("v{id} starts at height {height}"));
            self.report_recovered(id, height)?;
        }
        if self.sprung(id)? {
            return Ok(());
        }
        started.map_err(|error| self.violation("OPEN", format!("validator {id} does not start: {error}")))?;
        self.give(id, Input::Tick);
        Ok(())
    }

    /// Commits that were written, but not reported before the power failed, are reported now.
    fn report_recovered(&mut self, id: ValidatorId, height: Height) -> Happened {
        let Some(machine) = self.machine(id) else { return Ok(()) };
        let broken = |what: String| Violation { invariant: "TREE-1".into(), what, at_us: self.now.0 };
        let reader = LedgerReader::new(machine.store.snapshot());
        let mut reported = machine.reported.min(height);
        let mut next = machine.reported.next();
        let mut batch: Vec<(Header, Vec<Receipt>)> = Vec::new();
        let mut batches = Vec::new();
        while next <= height {
            let read = |error: quorate_ledger::LedgerError| broken(format!("validator {id} cannot read height {next}: {error}"));
            let block = reader.block_at(next).map_err(read)?.ok_or_else(|| broken(format!("validator {id} lacks height {next}")))?;
            batch.push((block.header, reader.receipts_at(next).map_err(read)?.unwrap_or_default()));
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
        self.set_reported(id, reported);
        Ok(())
    }

    pub(super) fn set_reported(&mut self, id: ValidatorId, height: Height) {
        if let Some(machine) = self.machines.get_mut(id.index()) {
            machine.reported = height;
        }
    }

    /// Gives a validator something to do; nothing reaches one without power.
    pub(super) fn give(&mut self, id: ValidatorId, input: Input) {
        let delay = Micros(self.random.between(1, 20));
        let Some(machine) = self.machines.get_mut(id.index()).filter(|machine| machine.replica.is_some()) else { return };
        machine.inbox.push_back(input);
        if !machine.busy {
            machine.busy = true;
            self.agenda.plan(self.now.after(delay), Happening::Step { id, life: machine.life });
        }
    }

    /// One poll.
    fn step(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(()) };
        let (life, syncs, record) = (machine.life, machine.store.syncs(), machine.store.durable_record());
        let Some(replica) = machine.replica.as_mut() else { return Ok(()) };
        let polled = replica.poll();
        let (synced, newest) = (machine.store.syncs().saturating_sub(syncs), machine.store.durable_record());
        if let (true, Some(record)) = (newest != record, newest) {
            self.register.observe(now, &Observation::Saved { node: id, record })?;
        }
        if self.sprung(id)? {
            return Ok(());
        }
        let output = polled.map_err(|fatal| self.violation("FATAL", format!("validator {id} stops: {fatal}")))?;
        let fails = locked(&self.trap).fails_before(id, output.as_ref());
        if fails {
            return self.sprung(id).map(|_| ());
        }
        let mut delay = Micros(self.random.between(1, 30));
        for _ in 0..synced {
            delay = delay.after(Micros(self.random.between(20, self.sync_max.0)));
        }
        match output {
            Some(output) => {
                locked(&self.trap).on_output(id, &output);
                self.output(id, output)?;
                self.agenda.plan(now.after(delay), Happening::Step { id, life });
            }
            None if self.machines.get_mut(id.index()).is_some_and(|machine| machine.take_inputs(now)) => {
                self.agenda.plan(now, Happening::Step { id, life });
            }
            None => self.rest(id),
        }
        Ok(())
    }

    /// The validator has nothing to do until its next deadline.
    fn rest(&mut self, id: ValidatorId) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(id.index()) else { return };
        machine.busy = false;
        let Some(deadline) = machine.replica.as_ref().and_then(|replica| replica.next_deadline()) else { return };
        // The next full microsecond, so that the deadline has come by then.
        let at = Micros(u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX)).after(Micros(1)).max(now);
        if machine.wake.is_none_or(|planned| planned <= now || planned > at) {
            machine.wake = Some(at);
            self.agenda.plan(at, Happening::Wake { id, life: machine.life });
        }
    }

    pub(super) fn plan_delivery(&mut self, after: Micros, from: ValidatorId, to: ValidatorId, packet: &Rc<Packet>) {
        self.agenda.plan(self.now.after(after), Happening::Deliver { from, to, packet: Rc::clone(packet) });
    }

    fn client(&mut self, index: usize) -> Happened {
        let up = |machine: &&Machine| machine.replica.is_some();
        let live: Vec<ValidatorId> = self.machines.iter().filter(up).map(|machine| machine.id).collect();
        let unix = UnixMillis(BEGINNING.0.saturating_add(self.now.ms()));
        for action in self.workload.turn(index, self.now, unix, &live) {
            self.act(action)?;
        }
        let pause = self.workload.pause();
        self.agenda.plan(self.now.after(pause), Happening::Client(index));
        Ok(())
    }

    // ---- the calm -----------------------------------------------------------------------------------------------------------------

    fn begin_calm(&mut self) -> Happened {
        self.audit.note(self.now, || "the faults stop".into());
        self.network.heal();
        self.workload.last_quota();
        let down: Vec<ValidatorId> = self.machines.iter().filter(|machine| machine.replica.is_none()).map(|machine| machine.id).collect();
        for id in down {
            self.power_on(id)?;
        }
        self.calm = Some(Calm { round: self.highest_round(), first_commit: false, settled: false });
        let longest = live_1::time_max(u64::from(self.course.validators), &self.setting.genesis.parameters);
        self.agenda.plan(self.now.after(longest), Happening::GiveUp);
        Ok(())
    }

    fn highest_round(&self) -> Round {
        let replicas = self.machines.iter().filter_map(|machine| machine.replica.as_ref());
        replicas.map(|replica| replica.engine().round()).max().unwrap_or_default()
    }

    /// LIVE-1, of the first commit by a certificate that was made after the faults stopped.
    pub(super) fn on_commit(&mut self, certified: Round) -> Happened {
        if let Some(calm) = self.calm.as_mut().filter(|calm| !calm.first_commit && certified > calm.round) {
            calm.first_commit = true;
            let judged = live_1::first_commit(u64::from(self.course.validators), calm.round, certified);
            judged.map_err(|what| self.violation("LIVE-1", what))?;
        }
        self.settle();
        Ok(())
    }

    /// Whether every client knows its end and every validator has come to the same height.
    pub(super) fn settle(&mut self) {
        let Some(calm) = self.calm.as_mut().filter(|calm| calm.first_commit && !calm.settled) else { return };
        let mut heights = self.machines.iter().map(|machine| machine.reported);
        let first = heights.next();
        if self.workload.is_done() && heights.all(|height| Some(height) == first) {
            calm.settled = true;
            self.agenda.plan(self.now.after(REPORT), Happening::End);
        }
    }

    fn give_up(&mut self) -> Happened {
        if self.calm.is_some_and(|calm| calm.settled) {
            return Ok(());
        }
        let heights: BTreeMap<ValidatorId, Height> = self.machines.iter().map(|machine| (machine.id, machine.reported)).collect();
        Err(self.violation("LIVE-1", format!("not settled in time; heights {heights:?}; clients: {}", self.workload.open())))
    }

    fn finish(&mut self) -> Happened {
        for machine in &self.machines {
            let Some(replica) = &machine.replica else { continue };
            let view = replica.view();
            for address in self.workload.addresses() {
                let account = view.account(&address);
                let (height, balance, sequence) = (view.header().height, account.balance, account.sequence.0);
                let observation = Observation::Account { node: machine.id, address, height, balance, sequence };
                self.register.observe(self.now, &observation)?;
            }
        }
        // A run that was given up ends anywhere, also between an answer and the commit that it speaks of.
        if self.outcome.missed.is_some() { Ok(()) } else { self.register.finish(self.now) }
    }

    pub(super) fn violation(&self, invariant: &str, what: String) -> Violation {
        Violation { invariant: invariant.into(), what, at_us: self.now.0 }
    }
}
