//! The world of a run: a few machines on a virtual clock, clients, a network with deliberate cuts, and a [`Trap`](super::trap::Trap).
//!
//! ```text
//! trouble, repeatedly                                            point    second point    calm
//!   only the victim hears one validator          ─┐               │           │            │
//!   (timeouts, their certificates, dead blocks)   ├───────────────┴───────────┴────────────┼──> all connected and up: settled
//!   the victim is cut off (fetches, catches up)  ─┘                                        │
//! ```

use std::{collections::BTreeSet, sync::Arc};

use quorate_harness::{
    Bench, Clock, Event, Happened, Machine, Opened, Packet, Parts, Setup, Watch,
    audit::Audit,
    committee::{BEGINNING, Setting},
    contents,
    governor::{self, Governor},
    invariants::{Register, Violation},
    network::Network,
    random::Random,
    subject::Shared,
    time::Micros,
    workload::Workload,
};
use quorate_replica::Output;
use quorate_types::{
    committee::SignerSet,
    ids::ValidatorId,
    message::Recipients,
    round::{Round, UnixMillis},
};

use super::{
    Course, Outcome, Point, Site,
    calm::Calm,
    disk::{SharedTrap, locked},
    home::WatchedHome,
    roles::Roles,
};
use crate::fault::FaultPlan;

/// Length of each phase of the trouble the first time, and its growth each time after that, because an idle chain is slow.
const PHASE: Micros = Micros(250_000);
/// Longest phase.
const PHASE_MAX: Micros = Micros(2_000_000);
/// How long a run waits for a point to be hit.
const PATIENCE: Micros = Micros(60_000_000);
/// A world's own event.
#[derive(Debug)]
pub(super) enum Happening {
    PowerOn {
        id: ValidatorId,
        life: u64,
    },
    Trouble(u64),
    /// The point armed under this number was not hit in time.
    Missed(usize),
    Calm,
    End,
    GiveUp,
}

/// One simulated run.
pub(super) struct World {
    pub(super) course: Course,
    pub(super) bench: Bench<WatchedHome, Happening>,
    trap: SharedTrap,
    victim: ValidatorId,
    late: Option<ValidatorId>,
    /// All validators lose power with the victim.
    everybody: bool,
    /// The powers of the validators change.
    pub(super) has_changes: bool,
    /// Number of points armed so far.
    armed: usize,
    pub(super) calm: Option<Calm>,
    pub(super) outcome: Outcome,
    ended: bool,
}

impl World {
    pub(super) fn new(subject: &Shared, course: Course) -> Result<Self, String> {
        let second = course.second.map_or_else(String::new, |second| second.to_string());
        let seed = Random::new(course.seed).fork(&format!("{} {second} {}", course.point, course.validators));
        let mut workload = Workload::new(subject.clone(), seed.fork("clients"));
        let settings = workload.settings();
        let setting = Setting::draw(&mut seed.fork("setting"), course.validators, &subject.0.app(), settings, &workload.addresses())?;
        workload.join(setting.genesis_hash());
        let has_changes = [Some(course.point), course.second].into_iter().flatten().any(|point| point.site.is_of_change());
        if has_changes {
            workload.govern(Governor::new(&setting, governor::Course::Powers, SignerSet::default(), None));
        }
        let register = Register::new(&setting.genesis, &setting.verifier, subject.0.model(&setting.genesis), SignerSet::default());
        let mut random = seed.fork("course");
        let trap = SharedTrap::default();
        let starts_late = course.second.is_some_and(|second| second.site.is_once());
        let committee = setting.verifier.committee();
        let mut machine = |id| Machine::new(id, WatchedHome::new(id, &trap), Setup::real(), Clock::ahead(random.below(100)));
        let machines = committee.ids().map(&mut machine).collect();
        let Roles { victim, late } = Roles::draw(&mut random, committee, starts_late).ok_or("a network needs a validator")?;
        let network = Network::new(FaultPlan::none(Micros(0)).calm, seed.fork("network"));
        let (watch, audit) = (Watch::new(register), Audit::new(course.trace));
        let mut bench = Bench::new(Parts { setting, machines, network, workload, watch, audit, random });
        let everybody = late.is_none() && bench.random.chance(250);
        let outcome = Outcome::default();
        Ok(Self { course, bench, trap, victim, late, everybody, has_changes, armed: 0, calm: None, outcome, ended: false })
    }

    pub(super) fn run(mut self) -> Outcome {
        self.begin();
        let result = self.go_on().and_then(|()| self.finish());
        if let Err(violation) = result {
            self.bench.audit.note(self.bench.now, || format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.outcome.violation = Some(violation);
        }
        self.outcome.writes = locked(&self.trap).writes.iter().map(|(site, count)| (site.name().into(), *count)).collect();
        self.outcome.event_hash = self.bench.audit.hash().to_string();
        self.outcome.virtual_ms = self.bench.now.ms();
        self.outcome.height = self.bench.highest().0;
        self.outcome.trace = self.bench.audit.into_trace();
        self.outcome
    }

    fn begin(&mut self) {
        self.arm(self.course.point);
        for id in self.bench.ids().into_iter().filter(|id| Some(*id) != self.late) {
            self.bench.plan(Micros(0), Happening::PowerOn { id, life: 0 });
        }
        self.bench.plan_clients();
        if self.bench.machines.len() > 1 {
            self.bench.plan(Micros::from_ms(30), Happening::Trouble(0));
        }
    }

    fn go_on(&mut self) -> Happened {
        while !self.ended
            && let Some(event) = self.bench.next()
        {
            self.happen(event)?;
            if let Some(columns) = locked(&self.trap).stray.take() {
                return Err(self.bench.violation("SITE", format!("a batch of the columns {columns} belongs to no site")));
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event<Happening>) -> Happened {
        match event {
            Event::Arrival { from, to, packet } => self.arrive(from, to, &packet),
            Event::Step(id) => self.step(id),
            Event::Serve(id, job) => {
                let to = Recipients::One(job.to());
                match self.bench.serve(id, *job) {
                    Ok(Some(message)) => self.bench.send(id, to, &Arc::new(message)),
                    Ok(None) => Ok(()),
                    Err(error) => Err(self.bench.violation("FATAL", format!("validator {id} cannot read blocks: {error}"))),
                }
            }
            Event::Client(index) => {
                let live: Vec<ValidatorId> =
                    self.bench.machines.iter().filter(|machine| machine.is_up()).map(|machine| machine.id).collect();
                let unix = UnixMillis(BEGINNING.0.saturating_add(self.bench.now.ms()));
                self.bench.client(index, unix, &live)
            }
            Event::Own(Happening::PowerOn { id, life }) if self.bench.machine(id).is_some_and(|machine| machine.life == life) => {
                self.power_on(id)
            }
            Event::Own(Happening::PowerOn { .. }) => Ok(()),
            Event::Own(Happening::Trouble(phase)) => {
                self.trouble(phase);
                Ok(())
            }
            Event::Own(Happening::Missed(armed)) => {
                if self.armed == armed && self.outcome.hit.len() < armed {
                    let point = if armed == 1 { Some(self.course.point) } else { self.course.second };
                    self.outcome.missed = point.map(|point| point.to_string());
                    self.ended = true;
                }
                Ok(())
            }
            Event::Own(Happening::Calm) => self.begin_calm(),
            Event::Own(Happening::End) => {
                self.ended = true;
                Ok(())
            }
            Event::Own(Happening::GiveUp) => self.give_up(),
        }
    }

    // ---- the points ---------------------------------------------------------------------------------------------------------------

    fn arm(&mut self, point: Point) {
        let nth = match point.site {
            site if site.is_at_start() || site.is_of_change() => 1,
            Site::Timeout | Site::HighestCertificates | Site::SyncChunk | Site::Prune => self.bench.random.between(1, 2),
            _ => self.bench.random.between(1, 4),
        };
        let whose: BTreeSet<ValidatorId> = [Some(self.victim), self.late.filter(|_| self.armed > 0)].into_iter().flatten().collect();
        locked(&self.trap).arm(point, whose, nth);
        self.armed = self.armed.saturating_add(1);
        self.bench.plan_after(PATIENCE, Happening::Missed(self.armed));
        self.bench.audit.note(self.bench.now, || format!("armed: hit {nth} of {point}"));
    }

    /// Handles a power failure at the armed point, if there was one. Returns whether it hit validator `id`, which is then off.
    fn sprung(&mut self, id: ValidatorId) -> Result<bool, Violation> {
        let Some((point, whose)) = locked(&self.trap).take_sprung() else { return Ok(false) };
        self.bench.audit.note(self.bench.now, || format!("the power of v{whose} fails at {point}"));
        self.outcome.hit.push(point.to_string());
        let down =
            if self.bench.random.chance(700) { self.bench.random.between(500, 60_000) } else { self.bench.random.between(60_000, 900_000) };
        self.lose_power(whose, Micros(down))?;
        if self.everybody {
            for other in self.bench.ids().into_iter().filter(|id| *id != whose) {
                let down = Micros(self.bench.random.between(500, 300_000));
                self.lose_power(other, down)?;
            }
        }
        let back = self.bench.now.after(Micros(down));
        if let Some(second) = self.course.second.filter(|_| self.armed == 1) {
            self.arm(second);
            if let Some(late) = self.late {
                let at = back.after(Micros(self.bench.random.between(1_000, 50_000)));
                self.bench.plan(at, Happening::PowerOn { id: late, life: 0 });
            }
        } else {
            let pause = Micros(self.bench.random.below(100_000));
            self.bench.plan(back.after(pause), Happening::Calm);
        }
        Ok(whose == id)
    }

    fn lose_power(&mut self, id: ValidatorId, down: Micros) -> Happened {
        let Bench { machines, random, .. } = &mut self.bench;
        let Some(machine) = machines.get_mut(id.index()) else { return Ok(()) };
        machine.stop();
        let lost = machine.home.crash(random);
        let (life, checked) = (machine.life, machine.home.check_files());
        self.outcome.crashes = self.outcome.crashes.saturating_add(1);
        self.outcome.lost_writes = self.outcome.lost_writes.saturating_add(lost as u64);
        self.bench.audit.record(self.bench.now, 9, &[&id.0.to_le_bytes(), &(lost as u64).to_le_bytes()]);
        self.bench.audit.note(self.bench.now, || format!("v{id} loses power and {lost} unsynced batches, for {down}"));
        self.bench.plan_after(down, Happening::PowerOn { id, life });
        checked.map_err(|what| self.bench.violation("FILE-1", what))
    }

    /// Cuts the network so that every site is reached: nothing else makes an honest chain time out, fetch or abandon blocks.
    fn trouble(&mut self, phase: u64) {
        if self.calm.is_some() {
            return;
        }
        if phase >= 4 {
            // An idle chain reaches no point, so the clients go on until the point is hit.
            self.bench.workload.more();
        }
        let victim = self.victim;
        let ids = self.bench.ids();
        // Prefer a coming leader: only an unheard leader makes the others give up its round and leaves a dead block behind.
        let engine = self.bench.machine(victim).and_then(Machine::engine);
        let leaders =
            engine.into_iter().flat_map(|engine| (1..=4).map(|ahead| engine.leader(Round(engine.round().0.saturating_add(ahead)))));
        let mut candidates = leaders.chain(ids.iter().copied()).filter(|id| *id != victim);
        let neighbour = candidates.next().unwrap_or(victim);
        self.bench.network.heal_all();
        match phase % 4 {
            0 => self.bench.network.cut(ids.iter().filter(|id| **id != victim).map(|id| (neighbour, *id))),
            2 => self.bench.network.cut(ids.iter().flat_map(|id| [(victim, *id), (*id, victim)])),
            _ => {}
        }
        self.bench.audit.note(self.bench.now, || format!("trouble of v{victim} and v{neighbour}, phase {}", phase % 4));
        let length = Micros(PHASE.0.saturating_mul((phase / 4).saturating_add(1))).min(PHASE_MAX);
        self.bench.plan_after(length, Happening::Trouble(phase.saturating_add(1)));
    }

    // ---- validators ---------------------------------------------------------------------------------------------------------------

    pub(super) fn power_on(&mut self, id: ValidatorId) -> Happened {
        let Bench { machines, setting, .. } = &mut self.bench;
        let Some(machine) = machines.get_mut(id.index()).filter(|machine| !machine.is_up()) else { return Ok(()) };
        let recovery = machine.home.check_recovery(setting);
        // In the order of an operator and the node: keys and genesis, then the ledger and its recovery, then the address.
        let started = machine
            .home
            .set_up()
            .map_err(|error| error.to_string())
            .and_then(|()| machine.open(setting).map_err(|error| error.to_string()))
            .and_then(|()| machine.home.publish(machine.life).map_err(|error| error.to_string()));
        let is_up = machine.is_up();
        recovery.map_err(|what| self.bench.violation("RECOVERY", what))?;
        if is_up {
            self.bench.started(id)?;
        }
        if self.sprung(id)? {
            return Ok(());
        }
        started.map_err(|error| self.bench.violation("OPEN", format!("validator {id} does not start: {error}")))?;
        self.bench.begin_work(id)
    }

    /// Polls once and handles the result.
    fn step(&mut self, id: ValidatorId) -> Happened {
        let polled = self.bench.poll(id)?;
        if self.sprung(id)? {
            return Ok(());
        }
        let output = polled.output.map_err(|fatal| self.bench.violation("FATAL", format!("validator {id} stops: {fatal}")))?;
        let fails = locked(&self.trap).fails_before(id, output.as_ref());
        if fails {
            return self.sprung(id).map(|_| ());
        }
        let Some(output) = output else { return self.bench.idle(id) };
        locked(&self.trap).on_output(id, &output);
        match output {
            Output::Committed(committed) => {
                self.bench.committed(id, &committed)?;
                self.on_commit((committed.view.header().epoch, committed.view.commit_qc().round()))?;
            }
            Output::Answer { ticket, answer } => {
                self.bench.answered(id, ticket, &answer)?;
                self.settle();
            }
            Output::Send { .. } | Output::Gossip(_) | Output::Serve(_) | Output::Accused(_) | Output::Ignored { .. } | Output::Worked => {
                self.bench.output(id, output)?;
            }
        }
        self.bench.go_on(id, polled.synced);
        Ok(())
    }

    fn arrive(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Happened {
        let opened = self.bench.open(from, to, packet).map_err(|refused| self.bench.refused(from, &refused))?;
        if let (Opened::Message(message), Some(machine)) = (&opened, self.bench.machine(to)) {
            for block in contents::answered_blocks(message).unwrap_or_default() {
                machine.home.store.fetched(block.id().0.0.to_vec());
            }
        }
        self.bench.hear(from, to, opened)
    }
}
