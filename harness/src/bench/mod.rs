//! Machines on one virtual clock. Every poll is an event of its own, so a power cut can fall between any two effects of a validator.
//!
//! ```text
//!            agenda (time, then order of planning)
//!                        │ next
//!   clients ──> arrivals, steps, deadlines, the search's own events ──> Machine ──> outputs
//!      ^                                                                              │
//!      └────────────── answers ─────────────┬── Watch (the rules see everything) <────┤
//!                                           └── network: bytes, delays, losses  <─────┘
//! ```

mod clients;
mod traffic;

use std::rc::Rc;

use quorate_ledger::{LedgerError, LedgerReader};
use quorate_replica::{Input, Serve};
use quorate_types::{
    codec,
    crypto::PublicKey,
    ids::ValidatorId,
    message::{Message, Recipients},
    round::{Epoch, Height, Round},
};

use super::{Happened, Home, Machine, Packet, Polled, Watch, links::Links, violation};
use crate::{
    audit::Audit,
    committee::Setting,
    describe,
    invariants::{Violation, live_1},
    network::Network,
    random::Random,
    time::{Agenda, Micros},
    workload::Workload,
};

/// Longest time to read requested blocks.
const SERVE_MAX: Micros = Micros(5_000);

/// An entry of the agenda. `E` is an event that only the search understands.
#[derive(Debug)]
enum Planned<E> {
    Deliver {
        from: ValidatorId,
        to: ValidatorId,
        packet: Rc<Packet>,
    },
    /// The validator's turn to work.
    Step {
        id: ValidatorId,
        life: u64,
    },
    /// The validator's reader thread finishes reading requested blocks.
    Serve {
        id: ValidatorId,
        life: u64,
        job: Box<Serve>,
    },
    /// The validator's deadline has passed.
    Wake {
        id: ValidatorId,
        life: u64,
    },
    /// A client's turn.
    Client(usize),
    Own(E),
}

/// The next event, for the search to handle.
#[derive(Debug)]
pub enum Event<E> {
    /// Something has reached a validator that is up.
    Arrival {
        /// The sender.
        from: ValidatorId,
        /// The receiver.
        to: ValidatorId,
        /// The packet.
        packet: Rc<Packet>,
    },
    /// The validator's turn to work.
    Step(ValidatorId),
    /// The validator has read the requested blocks.
    Serve(ValidatorId, Box<Serve>),
    /// A client's turn.
    Client(usize),
    /// The search's own event.
    Own(E),
}

/// A machine's planned step and wake-up.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// A step is planned.
    is_busy: bool,
    /// Deadline for which a wake-up is planned.
    wake: Option<Micros>,
    /// Life of the machine to which the other fields apply.
    life: u64,
}

/// Machines, network, clients and checkers on one virtual clock.
pub struct Bench<H: Home, E> {
    /// The network of its machines.
    pub setting: Setting,
    /// The time.
    pub now: Micros,
    /// By number ([`Setting::numbers`]): the first committee in its order, then those that may join.
    pub machines: Vec<Machine<H>>,
    /// Whom each of them knows, and in which seats.
    links: Vec<Links>,
    /// Network keys of the members, by number.
    network_keys: Vec<PublicKey>,
    turns: Vec<Turn>,
    /// The links between the machines.
    pub network: Network,
    /// The clients.
    pub workload: Workload,
    /// Shows the invariants what happens.
    pub watch: Watch,
    /// The event hash, and the trace.
    pub audit: Audit,
    /// Decides how long machines take to work.
    pub random: Random,
    /// Longest time a sync takes.
    sync_max: Micros,
    /// Messages sent, counted once per receiver.
    pub messages: u64,
    agenda: Agenda<Planned<E>>,
}

/// Parts of a [`Bench`].
pub struct Parts<H: Home> {
    /// The network.
    pub setting: Setting,
    /// One machine for each member, in the order of their numbers.
    pub machines: Vec<Machine<H>>,
    /// The links between them.
    pub network: Network,
    /// The clients.
    pub workload: Workload,
    /// Shows the invariants what happens.
    pub watch: Watch,
    /// The empty event hash.
    pub audit: Audit,
    /// Draws how long machines take.
    pub random: Random,
}

impl<H: Home, E> Bench<H, E> {
    /// A bench at time 0, with nothing planned.
    #[must_use]
    pub fn new(parts: Parts<H>) -> Self {
        let Parts { setting, machines, network, workload, watch, audit, mut random } = parts;
        let (turns, sync_max) = (vec![Turn::default(); machines.len()], Micros(random.between(50, 4_000)));
        let (now, messages, agenda) = (Micros(0), 0, Agenda::new());
        let network_keys = setting.network_keys();
        let first = setting.verifier.committee();
        let links = machines.iter().map(|machine| Links::new(machine.id, first, &network_keys)).collect();
        Self { setting, now, machines, links, network_keys, turns, network, workload, watch, audit, random, sync_max, messages, agenda }
    }

    /// Schedules an event of the search's own at a time.
    pub fn plan(&mut self, at: Micros, own: E) {
        self.agenda.plan(at, Planned::Own(own));
    }

    /// The same, after a delay.
    pub fn plan_after(&mut self, delay: Micros, own: E) {
        self.plan(self.now.after(delay), own);
    }

    /// Advances the time to the next event and returns it. Events planned for an earlier life of a machine are dropped.
    #[expect(clippy::should_implement_trait, reason = "the next one may be planned in between")]
    pub fn next(&mut self) -> Option<Event<E>> {
        loop {
            let (at, planned) = self.agenda.next()?;
            self.now = at;
            let event = match planned {
                Planned::Deliver { from, to, packet } if self.reaches(from, to, &packet) => Event::Arrival { from, to, packet },
                Planned::Step { id, life } if self.is_in_life(id, life) => Event::Step(id),
                Planned::Serve { id, life, job } if self.is_in_life(id, life) => Event::Serve(id, job),
                Planned::Wake { id, life } if self.is_in_life(id, life) => {
                    self.give(id, Input::Tick);
                    continue;
                }
                Planned::Deliver { .. } | Planned::Step { .. } | Planned::Serve { .. } | Planned::Wake { .. } => continue,
                Planned::Client(index) => Event::Client(index),
                Planned::Own(own) => Event::Own(own),
            };
            return Some(event);
        }
    }

    fn is_in_life(&self, id: ValidatorId, life: u64) -> bool {
        self.machine(id).is_some_and(|machine| machine.is_up() && machine.life == life)
    }

    /// The machine of a validator.
    #[must_use]
    pub fn machine(&self, id: ValidatorId) -> Option<&Machine<H>> {
        self.machines.get(id.index())
    }

    /// The machine of a validator, mutable.
    pub fn machine_mut(&mut self, id: ValidatorId) -> Option<&mut Machine<H>> {
        self.machines.get_mut(id.index())
    }

    /// The seat in which a machine knows another one, if it does.
    #[must_use]
    pub fn seat(&self, of: ValidatorId, from: ValidatorId) -> Option<ValidatorId> {
        self.links.get(of.index())?.seat(from)
    }

    /// The machines to which a machine's message goes, as far as it knows them.
    #[must_use]
    pub fn receivers(&self, from: ValidatorId, to: Recipients) -> Vec<ValidatorId> {
        self.links.get(from.index()).map(|links| links.numbers(to)).unwrap_or_default()
    }

    /// All machines, in the order of their numbers.
    #[must_use]
    pub fn ids(&self) -> Vec<ValidatorId> {
        self.machines.iter().map(|machine| machine.id).collect()
    }

    /// A violation at this moment.
    #[must_use]
    pub fn violation(&self, invariant: &str, what: String) -> Violation {
        violation(self.now, invariant, what)
    }

    /// Reports that a validator has opened its disk.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn started(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(()) };
        let height: Height = machine.height();
        self.audit.record(now, 1, &[&id.0.to_le_bytes(), &height.0.to_le_bytes()]);
        self.audit.note(now, || format!("{} starts at height {height}", describe::validator(id)));
        if let (Some(links), Some(replica)) = (self.links.get_mut(id.index()), machine.replica()) {
            *links = Links::new(id, replica.verifier().committee(), &self.network_keys);
        }
        self.watch.started(now, machine)
    }

    /// Gives a started validator the time, as the node's loop does, and lets it work.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn begin_work(&mut self, id: ValidatorId) -> Happened {
        if let Some(machine) = self.machine_mut(id) {
            machine.receive(Input::Tick);
        }
        self.idle(id)
    }

    /// Queues an input for a validator and plans a step if it is idle. Inputs for a validator without power are dropped.
    pub(crate) fn give(&mut self, id: ValidatorId, input: Input) {
        let delay = Micros(self.random.between(1, 20));
        let Some(machine) = self.machines.get_mut(id.index()).filter(|machine| machine.is_up()) else { return };
        machine.receive(input);
        if self.turn(id).is_some_and(|turn| !turn.is_busy) {
            self.plan_step(id, delay);
        }
    }

    /// The plans for the machine's current life.
    fn turn(&mut self, id: ValidatorId) -> Option<&mut Turn> {
        let life = self.machine(id)?.life;
        let turn = self.turns.get_mut(id.index())?;
        if turn.life != life {
            *turn = Turn { life, ..Turn::default() };
        }
        Some(turn)
    }

    fn plan_step(&mut self, id: ValidatorId, delay: Micros) {
        let Some(turn) = self.turn(id) else { return };
        turn.is_busy = true;
        let life = turn.life;
        self.agenda.plan(self.now.after(delay), Planned::Step { id, life });
    }

    /// Polls once and shows the rules the validator's new records and state. The caller handles the output.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn poll(&mut self, id: ValidatorId) -> Result<Polled, Violation> {
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(Polled::nothing()) };
        let polled = machine.poll();
        self.watch.polled(self.now, machine, &polled)?;
        Ok(polled)
    }

    /// Plans the next step, after a delay that covers this many syncs.
    pub fn go_on(&mut self, id: ValidatorId, synced: u64) {
        let mut delay = Micros(self.random.between(1, 30));
        for _ in 0..synced {
            delay = delay.after(Micros(self.random.between(20, self.sync_max.0)));
        }
        self.plan_step(id, delay);
    }

    /// Called when the validator has no work left: it takes queued inputs, or rests until its next deadline.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn idle(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(()) };
        if machine.take_inputs(now) {
            self.watch.clock(now, machine)?;
            self.watch.state(now, machine)?;
            self.plan_step(id, Micros(0));
            return Ok(());
        }
        let (deadline, gap) = (machine.deadline(), machine.gap());
        let Some(turn) = self.turn(id) else { return Ok(()) };
        turn.is_busy = false;
        let Some(deadline) = deadline else { return Ok(()) };
        // Rounded up to the next full microsecond, so that the deadline has passed by then.
        let at = deadline.after(Micros(1)).max(now);
        if turn.wake.is_none_or(|planned| planned <= now || planned > at) {
            turn.wake = Some(at);
            let life = turn.life;
            self.agenda.plan(at, Planned::Wake { id, life });
        }
        if self.watch.binds(id) {
            let waits = live_1::wait(&self.setting.genesis.parameters, gap, at.since(now));
            waits.map_err(|what| self.violation("LIVE-1", format!("validator {id} {what}")))?;
        }
        Ok(())
    }

    /// Plans the read of requested blocks on the validator's reader thread.
    pub(crate) fn plan_serve(&mut self, id: ValidatorId, job: Box<Serve>) {
        let delay = Micros(self.random.between(1, SERVE_MAX.0));
        if let Some(machine) = self.machines.get(id.index()) {
            self.agenda.plan(self.now.after(delay), Planned::Serve { id, life: machine.life, job });
        }
    }

    /// Answers a request for blocks from the disk's current content, concurrently with the replica.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn serve(&mut self, id: ValidatorId, job: Serve) -> Result<Option<Message>, LedgerError> {
        let Some(machine) = self.machines.get(id.index()) else { return Ok(None) };
        let to = job.to();
        let message = job.answer(&LedgerReader::new(machine.home.disk().clone()))?;
        self.give(id, Input::Served { to, bytes: codec::encode(&message).len() });
        Ok(Some(message))
    }

    /// Latest epoch, and its highest round, among the selected validators that are up.
    pub fn highest_round(&self, of: impl Fn(ValidatorId) -> bool) -> (Epoch, Round) {
        let up = self.machines.iter().filter(|machine| of(machine.id)).filter_map(Machine::engine);
        up.map(|engine| (engine.epoch(), engine.round())).max().unwrap_or_default()
    }

    /// Greatest height that any validator has reported.
    #[must_use]
    pub fn highest(&self) -> Height {
        self.machines.iter().map(|machine| machine.reported).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
