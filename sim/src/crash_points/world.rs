//! The world of a run: a few machines on a virtual clock, clients, a network that is cut on purpose, and a [`Trap`](super::trap::Trap).
//!
//! ```text
//! trouble, over and over                                        point    second point    calm
//!   one validator is heard by the victim alone   ─┐               │           │            │
//!   (timeouts, their certificates, dead blocks)   ├───────────────┴───────────┴────────────┼──> everybody connected and up: settled
//!   the victim is cut off (fetches, catches up)  ─┘                                        │
//! ```

use std::{collections::BTreeSet, rc::Rc};

use quorate_ledger::LedgerReader;
use quorate_replica::{Input, Serve};
use quorate_types::{
    committee::SignerSet,
    header::Header,
    ids::ValidatorId,
    receipt::Receipt,
    round::{Height, Round, UnixMillis},
};

use super::{
    Course, Outcome, Point, Site,
    calm::Calm,
    disk::{SharedTrap, locked},
    machine::Machine,
    roles::Roles,
    traffic::Packet,
};
use crate::{
    audit::Audit,
    committee::{BEGINNING, Setting},
    fault::FaultPlan,
    invariants::{Observation, Register, Violation},
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
/// How long blocks that somebody asked for take to be read, at most.
const SERVE_MAX: Micros = Micros(5_000);

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
    /// The validator's other thread has read blocks that somebody asked for.
    Serve {
        id: ValidatorId,
        life: u64,
        job: Box<Serve>,
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

/// See the module.
pub(super) struct World {
    pub(super) course: Course,
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
    late: Option<ValidatorId>,
    /// The whole site loses power with the victim.
    everybody: bool,
    /// How many points were armed.
    armed: usize,
    pub(super) calm: Option<Calm>,
    pub(super) outcome: Outcome,
    ended: bool,
}

pub(super) type Happened = Result<(), Violation>;

impl World {
    pub(super) fn new(course: Course) -> Result<Self, String> {
        let second = course.second.map_or_else(String::new, |second| second.to_string());
        let seed = Random::new(course.seed).fork(&format!("{} {second} {}", course.point, course.validators));
        let mut workload = Workload::new(seed.fork("clients"));
        let accounts = workload.accounts();
        let setting = Setting::draw(&mut seed.fork("setting"), course.validators, accounts.clone())?;
        workload.join(setting.genesis_hash());
        let register = Register::new(setting.powers(), &accounts, setting.genesis.parameters.state, BEGINNING, SignerSet::default());
        let mut random = seed.fork("course");
        let trap = SharedTrap::default();
        let starts_late = course.second.is_some_and(|second| second.site.is_once());
        let committee = setting.verifier.committee();
        let machines = committee.ids().map(|id| Machine::new(id, &trap, random.below(100))).collect();
        let Roles { victim, late } = Roles::draw(&mut random, committee, starts_late).ok_or("a network needs a validator")?;
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
            late,
        })
    }

    pub(super) fn run(mut self) -> Outcome {
        self.begin();
        let result = self.go_on().and_then(|()| self.finish());
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

    fn begin(&mut self) {
        self.arm(self.course.point);
        let ids: Vec<ValidatorId> = self.machines.iter().map(|machine| machine.id).filter(|id| Some(*id) != self.late).collect();
        for id in ids {
            self.agenda.plan(Micros(0), Happening::PowerOn { id, life: 0 });
        }
        for client in 0..self.workload.len() {
            let at = self.workload.pause();
            self.agenda.plan(at, Happening::Client(client));
        }
        if self.machines.len() > 1 {
            self.agenda.plan(Micros::from_ms(30), Happening::Trouble(0));
        }
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
            Happening::Serve { id, life, job } if is_current(self, id, life) => self.serve(id, *job),
            Happening::PowerOn { id, life } if is_current(self, id, life) => self.power_on(id),
            Happening::Step { .. } | Happening::Wake { .. } | Happening::Serve { .. } | Happening::PowerOn { .. } => Ok(()),
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
        if phase >= 4 {
            // An idle chain comes to nothing: the clients go on for as long as the point is not hit.
            self.workload.last_quota();
        }
        let victim = self.victim;
        let ids: Vec<ValidatorId> = self.machines.iter().map(|machine| machine.id).collect();
        // Who is about to lead: only a leader that is not heard makes the others give up its round, and leaves a dead block behind.
        let engine = self.machine(victim).and_then(|machine| machine.replica.as_ref()).map(|replica| replica.engine());
        let leaders =
            engine.into_iter().flat_map(|engine| (1..=4).map(|ahead| engine.leader(Round(engine.round().0.saturating_add(ahead)))));
        let mut candidates = leaders.chain(ids.iter().copied()).filter(|id| *id != victim);
        let neighbour = candidates.next().unwrap_or(victim);
        self.network.heal_all();
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

    pub(super) fn power_on(&mut self, id: ValidatorId) -> Happened {
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
        // As the node's loop does: the time first, then work.
        if let Some(machine) = self.machines.get_mut(id.index()) {
            machine.inbox.push_back(Input::Tick);
            machine.take_inputs(now);
            machine.busy = true;
            self.agenda.plan(now, Happening::Step { id, life: machine.life });
        }
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
        if let Some(state) = self.machines.get_mut(id.index()).and_then(Machine::new_state) {
            self.register.observe(now, &Observation::State { node: id, state })?;
        }
        let fails = locked(&self.trap).fails_before(id, output.as_ref());
        if fails {
            return self.sprung(id).map(|_| ());
        }
        match output {
            Some(output) => {
                locked(&self.trap).on_output(id, &output);
                self.output(id, output)?;
                let mut delay = Micros(self.random.between(1, 30));
                for _ in 0..synced {
                    delay = delay.after(Micros(self.random.between(20, self.sync_max.0)));
                }
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

    pub(super) fn plan_serving(&mut self, id: ValidatorId, job: Box<Serve>) {
        let delay = Micros(self.random.between(1, SERVE_MAX.0));
        if let Some(machine) = self.machines.get(id.index()) {
            self.agenda.plan(self.now.after(delay), Happening::Serve { id, life: machine.life, job });
        }
    }

    pub(super) fn plan_end(&mut self, after: Micros) {
        self.agenda.plan(self.now.after(after), Happening::End);
    }

    pub(super) fn plan_give_up(&mut self, after: Micros) {
        self.agenda.plan(self.now.after(after), Happening::GiveUp);
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

    pub(super) fn violation(&self, invariant: &str, what: String) -> Violation {
        Violation { invariant: invariant.into(), what, at_us: self.now.0 }
    }
}
