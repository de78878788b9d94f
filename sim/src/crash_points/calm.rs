//! The end of a run, after the last power cut: everybody is up and connected, and must settle (LIVE-1).

use std::collections::BTreeMap;

use quorate_types::{
    ids::ValidatorId,
    round::{Height, Round},
};

use super::world::{Happened, World};
use crate::{
    invariants::{Observation, live_1},
    time::Micros,
};

/// How long a validator needs at most from an answer to a client to the report of the commit that it speaks of.
const REPORT: Micros = Micros(20_000);

/// The end of the faults, and what followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calm {
    round: Round,
    first_commit: bool,
    settled: bool,
}

impl World {
    pub(super) fn begin_calm(&mut self) -> Happened {
        self.audit.note(self.now, || "the faults stop".into());
        self.network.heal_all();
        self.workload.last_quota();
        let down: Vec<ValidatorId> = self.machines.iter().filter(|machine| machine.replica.is_none()).map(|machine| machine.id).collect();
        for id in down {
            self.power_on(id)?;
        }
        self.calm = Some(Calm { round: self.highest_round(), first_commit: false, settled: false });
        let longest = live_1::time_max(u64::from(self.course.validators), &self.setting.genesis.parameters);
        self.plan_give_up(longest);
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
            self.plan_end(REPORT);
        }
    }

    pub(super) fn give_up(&mut self) -> Happened {
        if self.calm.is_some_and(|calm| calm.settled) {
            return Ok(());
        }
        let heights: BTreeMap<ValidatorId, Height> = self.machines.iter().map(|machine| (machine.id, machine.reported)).collect();
        Err(self.violation("LIVE-1", format!("not settled in time; heights {heights:?}; clients: {}", self.workload.open())))
    }

    pub(super) fn finish(&mut self) -> Happened {
        for machine in &self.machines {
            let Some(replica) = &machine.replica else { continue };
            let view = replica.view();
            for address in self.workload.addresses() {
                let record = view.account(&address);
                let observation = Observation::Account { node: machine.id, address, height: view.header().height, record: &record };
                self.register.observe(self.now, &observation)?;
            }
        }
        // A run that was given up ends anywhere, also between an answer and the commit that it speaks of.
        if self.outcome.missed.is_some() { Ok(()) } else { self.register.finish(self.now) }
    }
}
