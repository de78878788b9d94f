//! A validator's process in a world: it starts, works step by step, and stops on fatal errors.

use std::sync::Arc;

use quorate_app::Panicked;
use quorate_harness::{Bench, Happened, Machine, describe, invariants::Observation, time::Micros};
use quorate_ledger::LedgerError;
use quorate_replica::{Fatal, RecoverError, Serve, forget};
use quorate_types::{
    crypto::{Hash, Tag},
    ids::{TxId, ValidatorId},
    message::Recipients,
};

use super::{Happening, World};
use crate::fault::{CLOCK_OFF_MS_MAX, ClockFault, PowerCut};

/// Domain of the nonces that operators draw.
const NONCE: Tag = Tag::new("quorate/sim-nonce");

impl World {
    /// Starts a validator's process on its disk's content.
    pub(super) fn start(&mut self, id: ValidatorId) -> Happened {
        let now = self.bench.now;
        let clock_start = Micros(self.bench.random.below(1 << 40));
        let clock_lost = self.bench.random.chance(100) && now > Micros(0) && now < self.plan.storm_end && self.options.directed.is_none();
        let behind = ClockFault::Behind(self.bench.random.between(1_000, CLOCK_OFF_MS_MAX));
        let Bench { machines, setting, watch, .. } = &mut self.bench;
        let (Some(machine), Some(role)) = (machines.get_mut(id.index()), self.roles.get_mut(id.index())) else { return Ok(()) };
        // All disks begin with the same genesis state, which is made only once.
        let opened = if machine.life == 0 { machine.open_at_genesis(setting, &self.origin) } else { machine.open(setting) };
        match opened {
            Ok(()) if role.stopped => {
                let what = format!("validator {id} started again after it had stopped for ever");
                return Err(self.bench.violation("SAFE-6", what));
            }
            Ok(()) => {}
            Err(RecoverError::Stopped(_)) if role.stopped => {
                role.gone = true;
                self.seen("net: remembers its stop");
                return Ok(());
            }
            Err(RecoverError::DataBehind { .. }) if role.disk_has_forgotten => {
                self.seen("net: refuses a disk that has forgotten");
                return self.recover(id);
            }
            // The power failed again during the start.
            Err(_) if role.armed.is_some() => {
                self.lose_power(id);
                return Ok(());
            }
            Err(_) if !watch.binds(id) => {
                role.gone = true;
                self.seen("byzantine: does not start");
                return Ok(());
            }
            Err(error) => return Err(self.bench.violation("OPEN", format!("validator {id} does not start: {error}"))),
        }
        machine.clock.start = clock_start;
        // A dead battery: the wall clock starts somewhere in the past, and stays wrong until it is set.
        let clock_lost = clock_lost && !role.clock_stays_wrong;
        if !role.clock_stays_wrong {
            machine.clock.fault = clock_lost.then_some((behind, now));
        }
        if clock_lost {
            self.seen("fault: clock behind");
        }
        self.bench.started(id)?;
        self.entered(id)?;
        self.bench.begin_work(id)
    }

    /// The operator of a validator that has lost its memory begins the way back, and starts it again (SAFE-8).
    fn recover(&mut self, id: ValidatorId) -> Happened {
        let now = self.bench.now;
        let nonce = Hash::of(&NONCE, &self.bench.random.next().to_le_bytes());
        let Bench { machines, setting, watch, .. } = &mut self.bench;
        let (Some(machine), Some(role)) = (machines.get_mut(id.index()), self.roles.get_mut(id.index())) else { return Ok(()) };
        let (Some(witness), Some(key)) = (&machine.home.witness, setting.key(id)) else { return Ok(()) };
        match forget(&machine.home.disk, Some(&witness.bytes()), key.public(), setting.genesis_hash(), nonce) {
            Ok(content) => witness.set_bytes(content),
            Err(error) => return Err(self.bench.violation("SAFE-8", format!("validator {id} cannot begin its way back: {error}"))),
        }
        (role.disk_has_forgotten, role.abstains) = (false, true);
        // It has forgotten its panics, too.
        role.has_lost_panics = true;
        watch.see(now, &Observation::Forgot { node: id })?;
        self.bench.audit.note(now, || format!("{} begins its way back", describe::validator(id)));
        self.start(id)
    }

    /// Counts the end of an abstention.
    fn note_abstention(&mut self, id: ValidatorId) {
        let signs = self.bench.machine(id).and_then(Machine::replica).is_some_and(|replica| replica.abstaining().is_none());
        if signs && self.roles.get_mut(id.index()).is_some_and(|role| std::mem::take(&mut role.abstains)) {
            self.seen("net: signs again after a lost memory");
        }
    }

    /// Polls once and handles the result.
    pub(super) fn step(&mut self, id: ValidatorId) -> Happened {
        let polled = self.bench.poll(id)?;
        let output = match polled.output {
            Ok(Some(output)) => output,
            Ok(None) => return self.bench.idle(id),
            Err(fatal) => return self.on_fatal(id, &fatal),
        };
        self.note_abstention(id);
        let Some(role) = self.roles.get_mut(id.index()) else { return Ok(()) };
        role.polls = role.polls.saturating_add(1);
        let cut = self.options.directed.filter(|directed| directed.cut == Some((id, role.polls)));
        if !cut.is_some_and(|directed| directed.last_output_lost) {
            self.output(id, output)?;
        }
        match cut {
            Some(directed) => self.power_cut(id, PowerCut::Now, directed.down),
            None => self.bench.go_on(id, polled.synced),
        }
        Ok(())
    }

    /// Handles a replica's fatal error: decides whether it is allowed.
    fn on_fatal(&mut self, id: ValidatorId, fatal: &Fatal) -> Happened {
        if let Fatal::Panicked(Panicked { tx_id, .. }) = fatal
            && self.bench.workload.is_poison(tx_id)
        {
            return self.panicked(id, *tx_id);
        }
        let now = self.bench.now;
        let Bench { machines, watch, .. } = &mut self.bench;
        let (Some(machine), Some(role)) = (machines.get_mut(id.index()), self.roles.get_mut(id.index())) else { return Ok(()) };
        match fatal {
            Fatal::Store(_) | Fatal::Ledger(LedgerError::Store(_)) if role.armed.is_some() => self.lose_power(id),
            Fatal::Doubled(stop) if machine.has_forgotten => {
                (role.stopped, role.armed) = (true, None);
                machine.stop();
                let life = machine.life;
                self.seen("net: stops at its own signature");
                self.bench.audit.note(now, || format!("{} stops for ever: {stop}", describe::validator(id)));
                // A supervisor restarts it.
                let back = Micros(self.bench.random.between(1_000, 100_000));
                self.bench.plan_after(back, Happening::Restart { id, life });
            }
            // A Byzantine validator's own replica may fail. With more than f Byzantine, so may any other.
            _ if !watch.binds(id) || self.forensics.is_some() => {
                (role.gone, role.armed) = (true, None);
                machine.stop();
                self.seen("byzantine: stopped itself");
                self.bench.audit.note(now, || format!("{} stops: {fatal}", describe::validator(id)));
            }
            _ => return Err(self.bench.violation("FATAL", format!("validator {id} stops: {fatal}"))),
        }
        Ok(())
    }

    /// The application has panicked on a poison transaction: the process ends, and is started again.
    fn panicked(&mut self, id: ValidatorId, tx_id: TxId) -> Happened {
        self.seen("fault: panic");
        let now = self.bench.now;
        self.bench.audit.note(now, || format!("the application of {} panics on {tx_id}", describe::validator(id)));
        self.faults_go_on();
        let pause = Micros(self.bench.random.between(1_000, 50_000));
        let Bench { machines, watch, .. } = &mut self.bench;
        let Some(machine) = machines.get_mut(id.index()) else { return Ok(()) };
        machine.stop();
        let life = machine.life;
        // A home that was rolled back or wiped may lack the record of the panic.
        let has_lost_panics = machine.has_forgotten || self.roles.get(id.index()).is_some_and(|role| role.has_lost_panics);
        if !has_lost_panics {
            watch.see(now, &Observation::Panicked { node: id, id: tx_id })?;
        }
        self.bench.plan_after(pause, Happening::Restart { id, life });
        Ok(())
    }

    /// A validator has read the requested blocks.
    pub(super) fn serve(&mut self, id: ValidatorId, job: Serve) -> Happened {
        let to = Recipients::One(job.to());
        match self.bench.serve(id, job) {
            Ok(Some(message)) => self.send(id, to, Arc::new(message)),
            Ok(None) => Ok(()),
            // A failed disk stops the replica at its own next step. A Byzantine validator may have lost any data.
            Err(_) if self.is_faulty(id) || self.role(id).is_some_and(|role| role.armed.is_some()) => Ok(()),
            Err(error) => Err(self.bench.violation("FATAL", format!("validator {id} cannot read blocks: {error}"))),
        }
    }
}
