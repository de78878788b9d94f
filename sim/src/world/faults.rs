//! The faults of a world as they strike: liars, power cuts, network partitions, wrong clocks, and the fates of the permanent minority.

use std::{rc::Rc, sync::Arc};

use quorate_harness::{Bench, Happened, Machine, SimSigner, describe, random::Random, time::Micros};
use quorate_replica::Doubles;
use quorate_types::{ids::ValidatorId, permission::Access};

use super::{Happening, SIGNERS_PERMILLE, World, traffic::PULSE_MAX};
use crate::{
    byzantine::{
        Liar, Lie,
        collusion::{Cabal, Collude, Plot},
    },
    fault::{ClockFault, Fate, Incident, PowerCut},
};

impl World {
    /// Puts liars between replicas and the network, and marks the validators that are excused.
    pub(super) fn corrupt(&mut self) {
        let chance = Random::new(self.options.seed).fork("lies");
        let byzantine = self.plan.byzantine();
        let genesis_hash = self.bench.setting.genesis_hash();
        let is_open = self.bench.setting.genesis.parameters.access == Access::Open;
        let committee = Arc::clone(self.bench.setting.verifier.committee());
        if let Some(Cabal { halves: [left, right], .. }) = &self.plan.cabal {
            let directions = left.iter().flat_map(|a| right.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
            self.bench.network.cut_for_ever(directions);
        }
        let mut liars = Vec::new();
        let plot = self.plan.cabal.as_ref().map(|cabal| {
            let keys = cabal.colluders.iter().filter_map(|id| Some((*id, self.bench.setting.key(*id)?))).collect();
            (cabal.colluders.clone(), Plot::new(cabal.clone(), keys))
        });
        for (machine, role) in self.bench.machines.iter_mut().zip(&mut self.roles) {
            let id = machine.id;
            role.excused = byzantine.contains(id) || self.plan.fates.get(&id).is_some_and(Fate::is_excused);
            let Some(key) = self.bench.setting.key(id) else { continue };
            let random = chance.fork(&format!("validator {id}"));
            if let Some(Fate::Lying(lies)) = self.plan.fates.get(&id) {
                // On an open chain everybody may send.
                let lies: Vec<Lie> = lies.iter().map(|lie| if is_open && *lie == Lie::Forbidden { Lie::Oversize } else { *lie }).collect();
                role.liar = Some(Liar::new((id, key), genesis_hash, Arc::clone(&committee), random, &lies));
            } else if let Some((colluders, plot)) = &plot
                && colluders.contains(&id)
            {
                let collude = Box::new(Collude(Rc::clone(plot)));
                role.liar = Some(Liar::with((id, key), genesis_hash, Arc::clone(&committee), random, (Lie::Equivocate, collude)));
            } else {
                continue;
            }
            // A liar signs statements that its replica does not know of.
            machine.setup.doubles = Doubles::Play;
            liars.push(id);
        }
        for id in liars {
            let at = Micros(self.bench.random.between(1_000, PULSE_MAX.0));
            self.bench.plan(at, Happening::Pulse(id));
        }
    }

    /// Gives some validators a signer, which is away now and then. Drawn apart from everything else, so that other worlds run as before.
    pub(super) fn plan_signers(&mut self) {
        let mut random = Random::new(self.options.seed).fork("signers");
        if self.options.directed.is_some() || self.forensics.is_some() || !random.chance(SIGNERS_PERMILLE) {
            return;
        }
        for id in self.bench.ids() {
            let is_liar = self.role(id).is_some_and(|role| role.liar.is_some());
            let Some(key) = self.bench.setting.key(id).filter(|_| !is_liar && random.chance(500)) else { continue };
            let signer = Arc::new(SimSigner::new(key, self.bench.setting.genesis_hash()));
            signer.start();
            if let Some(machine) = self.bench.machine_mut(id) {
                machine.setup.signer = Some(signer);
            }
            for _ in 0..random.below(4) {
                let from = random.below(self.plan.storm_end.0);
                let to = from.saturating_add(random.between(1_000, 3_000_000));
                self.bench.plan(Micros(from), Happening::Signer(id, false));
                self.bench.plan(Micros(to), Happening::Signer(id, true));
            }
        }
    }

    pub(super) fn signer(&mut self, id: ValidatorId, starts: bool) {
        let Some(signer) = self.bench.machine(id).and_then(|machine| machine.setup.signer.clone()) else { return };
        if starts {
            signer.start();
        } else if self.calm.is_none() {
            signer.stop();
            self.seen("fault: signer away");
            self.bench.audit.note(self.bench.now, || format!("the signer of {} ends", describe::validator(id)));
        }
    }

    /// SIGN-1: a signer refuses nothing that an honest validator with its memory asks for.
    pub(super) fn judge_signers(&mut self) -> Happened {
        for machine in &self.bench.machines {
            let Some(signer) = machine.setup.signer.as_ref().filter(|_| !machine.has_forgotten && self.bench.watch.binds(machine.id))
            else {
                continue;
            };
            if let Some((unsigned, refusal)) = signer.refused().first() {
                let what = format!("the signer of {} refuses {:?}: {refusal}", describe::validator(machine.id), unsigned.statement());
                return Err(self.bench.violation("SIGN-1", what));
            }
        }
        Ok(())
    }

    /// Plans every incident and fate.
    pub(super) fn plan_faults(&mut self) {
        for (at, incident) in std::mem::take(&mut self.plan.incidents) {
            self.bench.plan(at, Happening::Incident(incident));
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
                    self.bench.plan(*copied, Happening::Copy(id));
                    *at
                }
                Fate::Lying(_) | Fate::Misruled => continue,
            };
            self.bench.plan(at, Happening::Fate(id, fate));
        }
    }

    pub(super) fn incident(&mut self, incident: Incident) {
        if self.calm.is_some() {
            return;
        }
        match incident {
            Incident::Crash(id, cut, down) => self.power_cut(id, cut, down),
            Incident::Cut(directions) => {
                self.bench.audit.note(self.bench.now, || {
                    let names: Vec<String> = directions.iter().map(|(from, to)| format!("v{from}-/->v{to}")).collect();
                    format!("the network is cut: {}", names.join(" "))
                });
                let one_way = directions.first().is_some_and(|(from, to)| !directions.contains(&(*to, *from)));
                self.seen(if one_way { "fault: cut one way" } else { "fault: cut in two" });
                self.bench.network.cut(directions);
            }
            Incident::Clock(id, fault) => {
                let now = self.bench.now;
                self.bench.audit.note(now, || format!("the wall clock of {} goes wrong: {fault:?}", describe::validator(id)));
                self.seen(fault.name());
                let may_be_set = self.role(id).is_some_and(|role| !role.clock_stays_wrong);
                if let Some(machine) = self.bench.machine_mut(id).filter(|_| may_be_set) {
                    machine.clock.fault = Some((fault, now));
                }
                let is_ahead = |machine: &Machine| matches!(machine.clock.fault, Some((ClockFault::Ahead(_), _)));
                if self.roles.len() > 1 && self.bench.machines.iter().all(is_ahead) {
                    self.seen("fault: all clocks ahead");
                }
            }
            Incident::Heal(directions) => {
                self.bench.audit.note(self.bench.now, || "a cut of the network heals".into());
                self.bench.network.heal(directions);
            }
        }
    }

    pub(super) fn power_cut(&mut self, id: ValidatorId, cut: PowerCut, down: Micros) {
        let now = self.bench.now;
        let (Some(machine), Some(role)) = (self.bench.machines.get(id.index()), self.roles.get_mut(id.index())) else { return };
        role.armed = Some((cut, down));
        match cut {
            PowerCut::Now => self.lose_power(id),
            PowerCut::AtWrite(nth) => {
                machine.home.disk.fail_at_write(nth);
                self.bench.audit.note(now, || format!("{} will lose power before its write {nth} from now", describe::validator(id)));
            }
            PowerCut::AtSync(nth) => {
                machine.home.disk.fail_at_sync(nth);
                self.bench.audit.note(now, || format!("the disk of {} will fail in its sync {nth} from now", describe::validator(id)));
            }
            PowerCut::AtWitness(nth, bytes) => {
                if let Some(witness) = &machine.home.witness {
                    witness.fail_after(nth, bytes);
                }
                self.bench
                    .audit
                    .note(now, || format!("{} will lose power in write {nth} of its witness from now", describe::validator(id)));
            }
            PowerCut::Full(nth) => {
                machine.home.disk.fail_at_write(nth);
                self.bench.audit.note(now, || format!("the disk of {} will be full at its write {nth} from now", describe::validator(id)));
            }
        }
    }

    pub(super) fn lose_power(&mut self, id: ValidatorId) {
        let now = self.bench.now;
        let (Some(machine), Some(role)) = (self.bench.machines.get_mut(id.index()), self.roles.get_mut(id.index())) else { return };
        let was_up = machine.is_up();
        let (cut, down) = role.armed.take().unwrap_or((PowerCut::Now, Micros(0)));
        machine.stop();
        machine.home.repair_witness();
        let lost = if matches!(cut, PowerCut::Full(_)) {
            machine.home.disk.reopen();
            0
        } else {
            machine.home.crash(&mut self.disks)
        };
        let life = machine.life;
        if was_up {
            self.seen(match cut {
                PowerCut::Now => "fault: power cut",
                PowerCut::AtWrite(_) => "fault: torn write",
                PowerCut::AtSync(_) => "fault: failed sync",
                PowerCut::AtWitness(..) => "fault: torn witness",
                PowerCut::Full(_) => "fault: disk full",
            });
            if self.roles.len() > 1 && !self.bench.machines.iter().any(Machine::is_up) {
                self.seen("fault: all down at once");
            }
        }
        self.report.lost_writes = self.report.lost_writes.saturating_add(lost as u64);
        self.report.crashes = self.report.crashes.saturating_add(u64::from(was_up));
        self.bench.audit.record(now, 9, &[&id.0.to_le_bytes(), &(lost as u64).to_le_bytes()]);
        self.bench.audit.note(now, || format!("{} loses power and {lost} unsynced batches, for {down}", describe::validator(id)));
        self.bench.plan_after(down, Happening::Restart { id, life });
    }

    pub(super) fn fate(&mut self, id: ValidatorId, fate: &Fate) {
        let now = self.bench.now;
        let Bench { machines, network, .. } = &mut self.bench;
        let (Some(machine), Some(role)) = (machines.get_mut(id.index()), self.roles.get_mut(id.index())) else { return };
        let (name, what) = match fate {
            Fate::Silent(_) => {
                network.silence(id);
                ("fault: silent for ever", "falls silent for ever")
            }
            Fate::Deaf(_) => {
                network.deafen(id);
                ("fault: deaf for ever", "goes deaf for ever")
            }
            Fate::Frayed(_, directions) => {
                network.cut_for_ever(directions.iter().copied());
                ("fault: frayed for ever", "loses some of its links for ever")
            }
            Fate::Slow(_) => {
                network.slow_down(id);
                ("fault: slow for ever", "is slow from now on")
            }
            Fate::Crashed(_) => {
                role.gone = true;
                ("fault: crashed for ever", "crashes for ever")
            }
            Fate::WrongClock(_, fault) => {
                machine.clock.fault = Some((*fault, now));
                role.clock_stays_wrong = true;
                ("fault: clock wrong for ever", "has a wrong wall clock from now on")
            }
            Fate::Stale(..) => ("fault: stale disk", "comes back with an older copy of its disk"),
            Fate::Wiped(_) => ("fault: wiped disk", "comes back with an empty disk"),
            Fate::RolledBack(..) => ("fault: home rolled back", "comes back with an older copy of its home"),
            Fate::Lying(_) | Fate::Misruled => return,
        };
        self.seen(name);
        self.bench.audit.note(now, || format!("{} {what}", describe::validator(id)));
        match fate {
            Fate::Crashed(_) => self.lose_power(id),
            Fate::Stale(..) | Fate::Wiped(_) | Fate::RolledBack(..) => {
                self.lose_power(id);
                let (Some(machine), Some(role)) = (self.bench.machines.get_mut(id.index()), self.roles.get_mut(id.index())) else {
                    return;
                };
                let old = role.old_home.take().unwrap_or_default();
                // A failure that was armed when the copy was made is not copied.
                old.repair();
                machine.home.disk = old.disk;
                machine.has_forgotten = matches!(fate, Fate::RolledBack(..));
                role.disk_has_forgotten = !machine.has_forgotten;
                if machine.has_forgotten {
                    machine.home.witness = old.witness;
                }
            }
            Fate::Silent(_) | Fate::Deaf(_) | Fate::Frayed(..) | Fate::Slow(_) | Fate::WrongClock(..) | Fate::Lying(_) | Fate::Misruled => {
            }
        }
    }
}
