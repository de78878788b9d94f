//! The end of a run, after the last power cut: all validators are up and connected, and must settle (LIVE-1).

use std::collections::BTreeMap;

use quorate_harness::{Happened, invariants::live_1, time::Micros};
use quorate_types::{
    ids::ValidatorId,
    round::{Epoch, Height, Round},
};

use super::world::{Happening, World};

/// Longest delay between a validator's answer to a client and its report of the commit.
const REPORT: Micros = Micros(20_000);

/// The end of the faults, and what followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calm {
    round: (Epoch, Round),
    first_commit: bool,
    settled: bool,
}

impl World {
    pub(super) fn begin_calm(&mut self) -> Happened {
        self.bench.audit.note(self.bench.now, || "the faults stop".into());
        self.bench.network.heal_all();
        self.bench.workload.last_quota();
        for id in self.bench.ids() {
            self.power_on(id)?;
        }
        self.calm = Some(Calm { round: self.bench.highest_round(|_| true), first_commit: false, settled: false });
        let longest = live_1::time_max(u64::from(self.course.validators), &self.bench.setting.genesis.parameters);
        self.bench.plan_after(longest, Happening::GiveUp);
        Ok(())
    }

    /// LIVE-1 for the first commit by a certificate made after the faults stopped.
    pub(super) fn on_commit(&mut self, certified: (Epoch, Round)) -> Happened {
        if let Some(calm) = self.calm.as_mut().filter(|calm| !calm.first_commit && certified > calm.round) {
            calm.first_commit = true;
            // Rounds start again after the end of an epoch.
            let from = if certified.0 == calm.round.0 { calm.round.1 } else { Round(0) };
            let judged = live_1::first_commit(u64::from(self.course.validators), from, certified.1);
            judged.map_err(|what| self.bench.violation("LIVE-1", what))?;
        }
        self.settle();
        Ok(())
    }

    /// Ends the run soon if every client's transactions are final and all validators have the same height.
    pub(super) fn settle(&mut self) {
        let Some(calm) = self.calm.as_mut().filter(|calm| calm.first_commit && !calm.settled) else { return };
        let highest = self.bench.highest();
        // A voter that is a quorum alone, as there may be where powers change, is ahead of the others until its next block.
        let lag = u64::from(self.has_changes);
        if self.bench.workload.is_done() && self.bench.machines.iter().all(|machine| machine.reported.0.saturating_add(lag) >= highest.0) {
            calm.settled = true;
            self.bench.plan_after(REPORT, Happening::End);
        }
    }

    pub(super) fn give_up(&mut self) -> Happened {
        if self.calm.is_some_and(|calm| calm.settled) {
            return Ok(());
        }
        let heights: BTreeMap<ValidatorId, Height> = self.bench.machines.iter().map(|machine| (machine.id, machine.reported)).collect();
        let what = format!("not settled in time; heights {heights:?}; clients: {}", self.bench.workload.open());
        Err(self.bench.violation("LIVE-1", what))
    }

    pub(super) fn finish(&mut self) -> Happened {
        let addresses = self.bench.workload.addresses();
        for machine in &self.bench.machines {
            self.bench.watch.accounts(self.bench.now, machine, &addresses)?;
        }
        // An abandoned run may end between an answer and its commit.
        if self.outcome.missed.is_some() { Ok(()) } else { self.bench.watch.finish(self.bench.now) }
    }
}
