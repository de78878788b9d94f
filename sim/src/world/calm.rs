//! The calm of a world: after the faults, every connected validator must commit and settle (LIVE-1), and the idle chain must be quiet.

use quorate_harness::{Happened, Machine, describe, invariants::live_1, time::Micros};
use quorate_replica::Replica;
use quorate_types::{
    ids::ValidatorId,
    round::{Epoch, Round},
};

use super::{Happening, World};

/// Longest delay between a validator's answer to a client and its report of the commit.
const REPORT_MS: u64 = 20;

/// The end of the faults, and what followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calm {
    pub(super) at: Micros,
    /// Latest epoch of a connected validator at that moment, and the highest round in it.
    pub(super) round: (Epoch, Round),
    /// Greatest [`Machine::gap`] of a connected validator at that moment.
    pub(super) gap: u64,
    /// Rounds until the first commit of a connected validator, and its time.
    pub(super) first_commit: Option<(u64, Micros)>,
    /// When everything was settled, and in which epoch and round.
    pub(super) settled: Option<(Micros, (Epoch, Round))>,
}

impl World {
    pub(super) fn begin_calm(&mut self) -> Happened {
        let now = self.bench.now;
        self.bench.audit.record(now, 10, &[]);
        self.bench.audit.note(now, || "the faults stop".into());
        self.bench.network.heal_all();
        self.bench.network.set_rules(self.plan.calm);
        let mut down = Vec::new();
        for (machine, role) in self.bench.machines.iter_mut().zip(&mut self.roles) {
            machine.home.repair();
            if let Some(signer) = &machine.setup.signer {
                signer.start();
            }
            role.armed = None;
            if !role.clock_stays_wrong {
                machine.clock.fault = None;
            }
            if !machine.is_up() && !role.gone {
                down.push(machine.id);
            }
        }
        self.bench.workload.last_quota();
        for id in down {
            self.start(id)?;
        }
        self.calm = Some(self.calm_from_now());
        let validators = self.bench.machines.len() as u64;
        let longest = live_1::time_max(validators, &self.bench.setting.genesis.parameters);
        self.bench.plan_after(longest, Happening::GiveUp);
        Ok(())
    }

    fn calm_from_now(&self) -> Calm {
        let round = self.bench.highest_round(|id| self.must_follow(id));
        let gap = self.connected().map(Machine::gap).max().unwrap_or_default();
        Calm { at: self.bench.now, round, gap, first_commit: None, settled: None }
    }

    /// A fault strikes after all: LIVE-1 is measured from here.
    pub(super) fn faults_go_on(&mut self) {
        if let Some(before) = self.calm.filter(|calm| calm.first_commit.is_none()) {
            let now = self.calm_from_now();
            // A stopped validator has no round.
            self.calm = Some(Calm { round: now.round.max(before.round), gap: now.gap.max(before.gap), ..now });
        }
    }

    /// The validators that must commit and settle.
    fn connected(&self) -> impl Iterator<Item = &Machine> {
        self.bench.machines.iter().filter(|machine| self.must_follow(machine.id))
    }

    /// Checks whether every client's transactions are final and every connected validator has the same height. Then the chain is watched a
    /// little longer, in which time it should be quiet.
    pub(super) fn settle(&mut self) {
        let Some(calm) = self.calm.filter(|calm| calm.settled.is_none() && calm.first_commit.is_some()) else { return };
        if !self.bench.workload.is_done() {
            return;
        }
        let (now, round) = (self.bench.now, self.bench.highest_round(|id| self.must_follow(id)));
        let highest = self.connected().map(|machine| machine.reported.0).max().unwrap_or_default();
        // A voter that is a quorum alone commits by its own vote; the others hear of that with its next block.
        let lag = u64::from(self.epochs.is_ruled_by_one() && self.connected().nth(1).is_some());
        if self.connected().all(|machine| machine.reported.0.saturating_add(lag) >= highest) {
            self.calm = Some(Calm { settled: Some((now, round)), ..calm });
            let heartbeat = u64::from(self.bench.setting.genesis.parameters.heartbeat_ms);
            // A validator may have answered its clients without having reported the commit yet.
            let watched = self.options.seed.is_multiple_of(4);
            let quiet = if watched { heartbeat.saturating_mul(live_1::QUIET_HEARTBEATS) } else { REPORT_MS };
            let quiet = Micros::from_ms(quiet);
            self.bench.audit.note(now, || "everything is settled".into());
            self.bench.plan_after(quiet, Happening::EndOfQuiet);
        }
    }

    pub(super) fn end_quiet(&mut self) -> Happened {
        self.ended = true;
        let round = self.bench.highest_round(|id| self.must_follow(id));
        let Some((_, settled)) = self.calm.and_then(|calm| calm.settled) else { return Ok(()) };
        let rounds = if settled.0 == round.0 { settled.1 } else { Round(0) };
        live_1::quiet(self.epochs.voters(), rounds, round.1).map_err(|what| self.bench.violation("LIVE-1", what))
    }

    pub(super) fn on_deadline(&mut self) -> Happened {
        if self.forensics.is_some() {
            self.ended = true;
            return Ok(());
        }
        if self.calm.is_some_and(|calm| calm.settled.is_some()) {
            return Ok(());
        }
        let state = |machine: &Machine| {
            let status = machine.replica().map(Replica::status);
            let state = status.map_or_else(
                || "down".into(),
                |status| {
                    let quorate_replica::ReplicaStatus { epoch, height, round, pool_transactions, .. } = status;
                    format!("height {height} epoch {epoch} round {round} pool {pool_transactions}")
                },
            );
            let excused = if self.must_follow(machine.id) { "" } else { " (excused)" };
            format!("{}{excused}: {state}", describe::validator(machine.id))
        };
        let validators: Vec<String> = self.bench.machines.iter().map(state).collect();
        let first = self.calm.and_then(|calm| calm.first_commit);
        let what =
            format!("not settled in time; first commit: {first:?}; {}; clients: {}", validators.join("; "), self.bench.workload.open());
        Err(self.bench.violation("LIVE-1", what))
    }

    pub(super) fn finish(&mut self) -> Happened {
        let replicas = self.bench.machines.iter().filter_map(Machine::replica);
        let held: u64 = replicas.map(|replica| replica.status().counts.held).sum();
        if held > 0 {
            self.report.seen.insert("proposal held for its time".into(), held);
        }
        self.committees_are_proved()?;
        self.judge_signers()?;
        let addresses = self.bench.workload.addresses();
        for machine in &self.bench.machines {
            self.bench.watch.accounts(self.bench.now, machine, &addresses)?;
        }
        // A directed world may end between an answer and its commit.
        if self.options.directed.is_some() { Ok(()) } else { self.bench.watch.finish(self.bench.now) }
    }

    /// A world with more liars than the committee tolerates must have forked, and the evidence must name enough of them that the rest could not
    /// have done it, and no honest validator.
    pub(super) fn judge_fork(&mut self, result: Happened) -> Happened {
        let Some(forensics) = &self.forensics else { return result };
        let culprits = forensics.culprits();
        let named = culprits.iter().map(|culprit| ValidatorId(culprit.validator)).collect();
        let committee = self.bench.setting.verifier.committee();
        let byzantine = self.plan.byzantine();
        let judged = match result {
            Err(violation) if violation.invariant != "TREE-1" || !self.bench.watch.has_seen_fork() => return Err(violation),
            Err(_) if !committee.holds_honest(named) => Err(format!("the chain forked, but only {culprits:?} are named")),
            Err(_) if named.iter().any(|id| !byzantine.contains(id)) => Err(format!("honest validators are named: {culprits:?}")),
            Err(_) => Ok(()),
            Ok(()) => Err("more validators collude than the committee tolerates, but the chain did not fork".into()),
        };
        self.report.culprits = culprits;
        judged.map_err(|what: String| self.bench.violation("B25", what))
    }
}
