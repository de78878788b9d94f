//! A world: validators, clients and faults on a [`Bench`], all drawn from one seed.
//!
//! | File | Content |
//! |---|---|
//! | `validators.rs` | how a process starts, works step by step, and stops on fatal errors |
//! | `traffic.rs` | what validators send and receive, and what liars make of it |
//! | `faults.rs` | the storm as it strikes: power, disks, network, clocks, and permanent fates |
//! | `reform.rs` | how the committee changes, and who may join |
//! | `epochs.rs` | the epochs that begin, and who must follow |
//! | `calm.rs` | what must follow after the storm (LIVE-1), and the end |

mod calm;
mod epochs;
mod faults;
mod reform;
mod role;
mod traffic;
mod validators;

use std::sync::Arc;

use quorate_harness::{
    Bench, Clock, Event, Happened, Machine, Parts, Setup, SimHome, Watch,
    audit::Audit,
    committee::{BEGINNING, Setting},
    governor::Governor,
    invariants::Register,
    network::{Mishaps, Network},
    origin::Origin,
    random::Random,
    subject::Shared,
    time::Micros,
    workload::Workload,
};
use quorate_types::{
    ids::ValidatorId,
    round::{Round, UnixMillis},
};

use self::{calm::Calm, epochs::Epochs, reform::Reform, role::Role};
use crate::{
    byzantine::Lie,
    fault::{Fate, FaultPlan, Faults, Incident},
    forensics::Forensics,
    report::Report,
};

/// Share of worlds, in thousandths, that run a panicking application if the subject has one.
const PANICS_PERMILLE: u64 = 125;
/// Share of worlds, in thousandths, in which some validators have their key at a signer.
const SIGNERS_PERMILLE: u64 = 250;
/// Share of worlds on whose chain not everybody may send, in thousandths.
const PERMISSIONED_PERMILLE: u64 = 200;

/// Options of a world.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides everything that happens.
    pub seed: u64,
    /// Number of validators, 1..=128.
    pub validators: u16,
    /// Whether to keep a readable log of events.
    pub trace: bool,
    /// Replaces the faults that the seed would draw.
    pub directed: Option<Directed>,
}

/// One chosen power cut in a world without other faults, for sweeps over every moment of a round.
#[derive(Clone, Copy, Debug)]
pub struct Directed {
    /// The validator to cut and the number of effects before the cut; `None` for a first run that only counts effects.
    pub cut: Option<(ValidatorId, u64)>,
    /// How long the power stays off.
    pub down: Micros,
    /// Whether the output of the last effect is lost.
    pub last_output_lost: bool,
    /// Round in which the world ends.
    pub last_round: Round,
}

/// A world's own event.
#[derive(Debug)]
enum Happening {
    Incident(Incident),
    Fate(ValidatorId, Fate),
    /// A validator's signer ends, or starts again.
    Signer(ValidatorId, bool),
    /// Copies a validator's home, for a later return to it.
    Copy(ValidatorId),
    /// A liar may send unsolicited messages.
    Pulse(ValidatorId),
    /// The power returns.
    Restart {
        id: ValidatorId,
        life: u64,
    },
    /// The storm is over.
    Calm,
    /// The idle chain has been watched long enough after everything settled.
    EndOfQuiet,
    /// The allowed time is over.
    GiveUp,
}

/// One simulated run.
pub(crate) struct World {
    options: SimOptions,
    plan: FaultPlan,
    origin: Origin,
    bench: Bench<SimHome, Happening>,
    /// By number.
    roles: Vec<Role>,
    /// The epochs that have begun.
    epochs: Epochs,
    /// What a validator sends when an epoch ends is lost.
    loses_ends: bool,
    disks: Random,
    calm: Option<Calm>,
    /// Time of the newest committed block.
    chain_time: UnixMillis,
    report: Report,
    /// What honest validators have seen, in worlds that fork.
    forensics: Option<Forensics>,
    ended: bool,
}

impl World {
    /// A world at time 0.
    pub(crate) fn new(subject: &Shared, options: SimOptions, faults: Faults) -> Result<Self, String> {
        let seed = Random::new(options.seed).fork(&format!("{} validators", options.validators));
        let panics = faults == Faults::Drawn && options.directed.is_none() && seed.fork("panics").chance(PANICS_PERMILLE);
        let subject = subject.0.panicking().filter(|_| panics).unwrap_or_else(|| subject.clone());
        let mut reform = Reform::draw(&mut seed.fork("governance"), faults).filter(|_| options.directed.is_none());
        let mut workload = Workload::new(subject.clone(), seed.fork("clients"));
        let mut operators = workload.addresses();
        if let Some(reform) = &reform {
            operators.truncate(reform.operators);
        }
        let liar = reform.as_ref().filter(|reform| reform.has_liar).map(|_| workload.add_liar());
        let is_permissioned = faults == Faults::Lie(Lie::Forbidden) || faults == Faults::Drawn && options.directed.is_none();
        let guests = (is_permissioned && (faults != Faults::Drawn || seed.fork("permissions").chance(PERMISSIONED_PERMILLE)))
            .then(|| (workload.addresses(), workload.add_guests()));
        let settings = workload.settings();
        let mut setting = Setting::draw(&mut seed.fork("setting"), options.validators, &subject.0.app(), settings, &operators)?;
        let mut random = seed.fork("machine");
        let committee = Arc::clone(setting.verifier.committee());
        let mut chance = seed.fork("faults");
        let mut plan = match (options.directed, faults) {
            (Some(_), _) => FaultPlan::none(Micros(u64::MAX)),
            (None, Faults::Drawn) => FaultPlan::draw(&mut chance, &committee),
            (None, Faults::Lie(lie)) => FaultPlan::lie(&mut chance, &committee, lie),
            (None, Faults::Clocks(clocks)) => FaultPlan::clocks(&mut chance, &committee, clocks),
            (None, Faults::Beyond) => FaultPlan::beyond(&mut chance, &committee),
            (None, Faults::Operator) => FaultPlan::misruled(&mut chance, &committee),
            (None, Faults::LostEnds) => FaultPlan::silent(&mut chance, &committee),
        };
        if let Some(liar) = liar {
            setting = setting.operated(|id| plan.fates.contains_key(&id).then_some(liar))?;
        }
        if let Some((senders, admin)) = &guests {
            setting = setting.permissioned(senders, *admin)?;
        }
        if let Some(reform) = &mut reform {
            reform.add_joiners(&mut setting, &mut plan, &operators);
            let suspects = plan.fates.keys().copied().collect();
            workload.govern(Governor::new(&setting, reform.course, suspects, liar));
        }
        workload.join(setting.genesis_hash());
        let origin = Origin::new(&setting.app, &setting.genesis)?;
        let byzantine = plan.byzantine();
        let register = match faults {
            Faults::Beyond => Register::one_chain(byzantine),
            Faults::Drawn | Faults::Lie(_) | Faults::Clocks(_) | Faults::Operator | Faults::LostEnds => {
                let register = Register::new(&setting.genesis, &setting.verifier, subject.0.model(&setting.genesis), byzantine);
                register.with_joiners(setting.public_keys()).with_clocks(&setting.verifier, BEGINNING)
            }
        };
        let mut machine = |id| Machine::new(id, SimHome::default(), Setup::real(), Clock::ahead(random.below(100)));
        let machines: Vec<Machine> = setting.numbers().map(&mut machine).collect();
        let report = Report {
            seed: options.seed,
            validators: options.validators,
            byzantine: byzantine.iter().map(|id| id.0).collect(),
            seen: liar.iter().map(|_| ("B26 lying operator".into(), 1)).collect(),
            faults,
            ..Report::default()
        };
        let network = Network::new(plan.storm, seed.fork("network"));
        let (watch, audit) = (Watch::new(register), Audit::new(options.trace));
        let epochs = Epochs::new(&setting.genesis.epoch_state());
        Ok(Self {
            roles: machines.iter().map(|_| Role::default()).collect(),
            bench: Bench::new(Parts { setting, machines, network, workload, watch, audit, random }),
            disks: seed.fork("disks"),
            epochs,
            loses_ends: reform.is_some_and(|reform| reform.loses_ends),
            calm: None,
            chain_time: BEGINNING,
            forensics: (faults == Faults::Beyond).then(Forensics::default),
            ended: false,
            options,
            origin,
            plan,
            report,
        })
    }

    /// Runs to the end. Also returns each validator's number of effects.
    pub(crate) fn run(mut self) -> (Report, Vec<u64>) {
        let result = self.begin().and_then(|()| self.go_on()).and_then(|()| self.finish());
        let result = self.judge_fork(result);
        if let Err(violation) = result {
            self.bench.audit.note(self.bench.now, || format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.report.violation = Some(violation);
        }
        let Mishaps { lost, doubled, late } = self.bench.network.mishaps();
        for (what, count) in [("fault: lost message", lost), ("fault: doubled message", doubled), ("fault: late message", late)] {
            if count > 0 {
                self.report.seen.insert(what.into(), count);
            }
        }
        self.report.event_hash = self.bench.audit.hash().to_string();
        self.report.events = self.bench.audit.events();
        self.report.messages = self.bench.messages;
        self.report.virtual_ms = self.bench.now.ms();
        self.report.height = self.bench.highest().0;
        self.report.round = self.bench.highest_round(|_| true).1.0;
        if let Some(calm) = self.calm {
            self.report.rounds_to_commit = calm.first_commit.map(|(rounds, _)| rounds);
            self.report.ms_to_commit = calm.first_commit.map(|(_, at)| at.since(calm.at).ms());
            self.report.ms_to_settle = calm.settled.map(|(at, _)| at.since(calm.at).ms());
        }
        self.report.trace = self.bench.audit.into_trace();
        (self.report, self.roles.iter().map(|role| role.polls).collect())
    }

    fn begin(&mut self) -> Happened {
        self.corrupt();
        self.plan_signers();
        let first = self.bench.setting.genesis.validators.len();
        for id in self.bench.ids() {
            if id.index() < first || self.bench.random.chance(500) {
                self.start(id)?;
            } else {
                let at = Micros(self.bench.random.below(self.plan.storm_end.0));
                self.bench.plan(at, Happening::Restart { id, life: 0 });
            }
        }
        self.plan_faults();
        if self.options.directed.is_none() && self.forensics.is_none() {
            self.bench.plan(self.plan.storm_end, Happening::Calm);
        } else {
            self.bench.plan(Micros::from_ms(60_000), Happening::GiveUp);
        }
        self.bench.plan_clients();
        Ok(())
    }

    fn go_on(&mut self) -> Happened {
        while !self.ended
            && let Some(event) = self.bench.next()
        {
            match event {
                Event::Arrival { from, to, packet } => self.arrive(from, to, &packet)?,
                Event::Step(id) => self.step(id)?,
                Event::Serve(id, job) => self.serve(id, *job)?,
                Event::Client(index) => self.client(index)?,
                Event::Own(happening) => self.happen(happening)?,
            }
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Happened {
        match happening {
            Happening::Incident(incident) => {
                self.incident(incident);
                Ok(())
            }
            Happening::Fate(id, fate) => {
                self.fate(id, &fate);
                Ok(())
            }
            Happening::Signer(id, starts) => {
                self.signer(id, starts);
                Ok(())
            }
            Happening::Copy(id) => {
                if let (Some(machine), Some(role)) = (self.bench.machine(id), self.roles.get_mut(id.index())) {
                    role.old_home = Some(machine.home.copy());
                }
                Ok(())
            }
            Happening::Pulse(id) => self.pulse(id),
            Happening::Restart { id, life } => {
                let waits = self.bench.machine(id).is_some_and(|machine| machine.life == life && !machine.is_up());
                if waits && !self.role(id).is_some_and(|role| role.gone) { self.start(id) } else { Ok(()) }
            }
            Happening::Calm => self.begin_calm(),
            Happening::EndOfQuiet => self.end_quiet(),
            Happening::GiveUp => self.on_deadline(),
        }
    }

    fn client(&mut self, index: usize) -> Happened {
        let live: Vec<ValidatorId> = self
            .bench
            .machines
            .iter()
            .filter(|machine| machine.is_up() && (self.calm.is_none() || self.must_follow(machine.id)))
            .map(|machine| machine.id)
            .collect();
        self.bench.client(index, self.chain_time, &live)
    }

    fn role(&self, id: ValidatorId) -> Option<&Role> {
        self.roles.get(id.index())
    }

    /// Whether the run does not wait for the validator.
    fn is_excused(&self, id: ValidatorId) -> bool {
        self.role(id).is_some_and(|role| role.excused)
    }

    /// Whether the validator lies or otherwise counts as Byzantine, so that no rule binds it.
    fn is_faulty(&self, id: ValidatorId) -> bool {
        !self.bench.watch.binds(id)
    }

    /// Counts an occurrence for the report.
    fn seen(&mut self, what: &str) {
        match self.report.seen.get_mut(what) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.report.seen.insert(what.into(), 1);
            }
        }
    }
}
