//! The epochs of a world as they begin: what has changed, and who must follow.

use std::{collections::BTreeSet, sync::Arc};

use quorate_harness::{Happened, Machine};
use quorate_replica::Replica;
use quorate_types::{
    committee::{Seat, SignerSet, quorum_of},
    epoch::EpochState,
    ids::ValidatorId,
    round::Epoch,
};

use super::World;

/// The epochs that have begun.
#[derive(Debug)]
pub(super) struct Epochs {
    newest: EpochState,
    /// Who has entered the newest one, by number.
    entered: SignerSet,
}

impl Epochs {
    pub(super) fn new(first: &EpochState) -> Self {
        Self { newest: first.clone(), entered: SignerSet::default() }
    }

    /// Number of voters of the newest committee.
    pub(super) fn voters(&self) -> u64 {
        self.newest.voters().count() as u64
    }

    /// Whether one of them is a quorum alone.
    pub(super) fn is_ruled_by_one(&self) -> bool {
        let quorum = quorum_of(self.newest.total_power());
        self.newest.voters().any(|seat| seat.validator.power.0 >= quorum)
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.newest.epoch
    }
}

/// What a change of the committee consists of, in words for the report.
fn changes(before: &[Seat], after: &[Seat]) -> Vec<&'static str> {
    let at = |seats: &[Seat], id: ValidatorId| seats.iter().find(|seat| seat.id == id).map(|seat| seat.validator.clone());
    let ids: BTreeSet<ValidatorId> = before.iter().chain(after).map(|seat| seat.id).collect();
    let mut words = Vec::new();
    for id in ids {
        words.extend(match (at(before, id), at(after, id)) {
            (None, Some(new)) if new.power.0 == 0 => Some("change: observer added"),
            (None, Some(_)) => Some("change: voter added"),
            (Some(_), None) => Some("change: member removed"),
            (Some(old), Some(new)) if old.consensus_key != new.consensus_key => Some("change: keys replaced"),
            (Some(old), Some(new)) if old.power != new.power => Some("change: power"),
            (Some(old), Some(new)) if old != new => Some("change: address"),
            (Some(_), Some(_)) | (None, None) => None,
        });
    }
    if words.len() > 1 {
        words.push("change: several at once");
    }
    let keys = |seats: &[Seat]| -> BTreeSet<_> {
        seats.iter().filter(|seat| seat.validator.power.0 > 0).map(|seat| seat.validator.consensus_key).collect()
    };
    let (old, new) = (keys(before), keys(after));
    if old.intersection(&new).count().saturating_mul(2) <= new.len() {
        words.push("change: half of the committee or more");
    }
    words
}

impl World {
    /// A validator is in an epoch: it has just entered it, or started in it. The faulty have less than a third of the power in each, or the world
    /// would prove nothing.
    pub(super) fn entered(&mut self, id: ValidatorId) -> Happened {
        let Some(replica) = self.bench.machine(id).and_then(Machine::replica) else { return Ok(()) };
        let (me, committee) = (replica.me(), Arc::clone(replica.verifier().committee()));
        if committee.epoch() == Epoch(0) {
            return Ok(());
        }
        let state = EpochState::clone(replica.ledger().epoch());
        if let Some(liar) = self.roles.get_mut(id.index()).and_then(|role| role.liar.as_mut()) {
            liar.enters(me, &committee);
        }
        if !self.bench.watch.binds(id) || state.epoch < self.epochs.epoch() {
            return Ok(());
        }
        if state.epoch > self.epochs.epoch() {
            for what in changes(&self.epochs.newest.seats, &state.seats) {
                self.seen(what);
            }
            let now = self.bench.now;
            self.bench.audit.note(now, || format!("{committee:?} begins"));
            let genesis = self.bench.setting.genesis.validators.len();
            let keys = self.bench.setting.public_keys();
            if !committee
                .members()
                .any(|(_, member)| member.power.0 > 0 && keys.iter().take(genesis).any(|key| *key == member.consensus_key))
            {
                self.seen("change: no voter of the first committee is left");
            }
            self.epochs = Epochs { newest: state, entered: SignerSet::default() };
            let (faulty, total) =
                (self.power(|number| number.is_none_or(|number| self.is_excused(number))), self.epochs.newest.total_power());
            if faulty.saturating_mul(3) >= total {
                let what = format!("{faulty} of the power {total} may be faulty in {committee:?}");
                return Err(self.bench.violation("SETTING", what));
            }
        }
        let was_quorum = self.has_quorum_entered();
        self.epochs.entered.insert(id);
        // Until a quorum of it is there, nobody can commit anything in the new epoch: the rest is still being told of it.
        if !was_quorum {
            self.faults_go_on();
        }
        Ok(())
    }

    /// The power of those voters of the newest committee, told by their numbers if they have one.
    fn power(&self, of: impl Fn(Option<ValidatorId>) -> bool) -> u64 {
        let voters = self.epochs.newest.voters().filter(|seat| of(self.bench.setting.number(&seat.validator.consensus_key)));
        voters.fold(0, |sum, seat| sum.saturating_add(seat.validator.power.0))
    }

    /// Whether a quorum of the newest committee is in its epoch. A validator that has lost power since comes back without a fault of the chain.
    fn has_quorum_entered(&self) -> bool {
        let is_there = |number: ValidatorId| self.epochs.entered.contains(number) && !self.is_excused(number);
        self.power(|number| number.is_some_and(is_there)) >= quorum_of(self.epochs.newest.total_power())
    }

    /// Whether a validator must commit what the others commit: it is sound, and a member of the newest committee.
    pub(super) fn must_follow(&self, id: ValidatorId) -> bool {
        let is_member = |seat: &Seat| self.bench.setting.number(&seat.validator.consensus_key) == Some(id);
        !self.is_excused(id) && self.epochs.newest.seats.iter().any(is_member)
    }

    /// EPOCH-5: the ledger of every validator that keeps the rules proves the chain of its committees, from the genesis on.
    pub(super) fn committees_are_proved(&self) -> Happened {
        for machine in self.bench.machines.iter().filter(|machine| self.bench.watch.binds(machine.id)) {
            let Some(ledger) = machine.replica().map(Replica::ledger) else { continue };
            let mut verifier = Arc::clone(&self.bench.setting.verifier);
            let broken = |epoch: Epoch, what: String| {
                self.bench.violation("EPOCH-5", format!("validator {} does not prove the end of epoch {epoch}: {what}", machine.id))
            };
            while verifier.committee().epoch() < ledger.epoch().epoch {
                let epoch = verifier.committee().epoch();
                let change = ledger.reader().epoch_change(epoch).map_err(|error| broken(epoch, error.to_string()))?;
                let change = change.ok_or_else(|| broken(epoch, "it has no proof".into()))?;
                let (last, committee) = change.verify(&verifier).map_err(|error| broken(epoch, error.to_string()))?;
                let (state, parameters) = (last.state_id(), change.next.parameters);
                verifier = Arc::new(verifier.next(state, committee, parameters));
            }
        }
        Ok(())
    }
}
