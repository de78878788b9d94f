//! What a [`Change`] makes of an epoch state.

use quorate_types::{
    committee::{Committee, Seat, SignerSet, VALIDATORS_MAX, Validator, VotingPower},
    epoch::EpochState,
    evidence::Evidence,
    failure::Failure,
    genesis::{Genesis, Parameters},
    governance::Change,
    ids::{DraftHash, GenesisHash, StateId, ValidatorId},
    verify::Verifier,
    vote::QuorumCert,
};

use crate::governance::failure;

/// Shortest first duration of the round timer that can be proposed, in milliseconds. Founders may choose a shorter one, for a network on one machine.
const PROPOSED_TIMEOUT_BASE_MS_MIN: u32 = 100;

/// What new members and witnesses of a network have signed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    genesis_hash: GenesisHash,
    draft: DraftHash,
}

impl Network {
    pub(crate) fn of(genesis: &Genesis) -> Self {
        Self { genesis_hash: genesis.hash(), draft: genesis.draft_hash() }
    }
}

/// The epoch state after a change whose signatures are right.
pub(crate) fn apply(epoch: &EpochState, network: Network, change: &Change) -> Result<EpochState, Failure> {
    let next = after(epoch, change)?;
    // Last: it checks keys and signatures, and costs more than all the rest.
    match change {
        Change::Add(entry) | Change::Replace { entry, .. } => entry.check(network.draft).map_err(|_| failure("bad-possession", &[]))?,
        Change::Remove { seat, evidence: Some(evidence) } => {
            let member = epoch.seats.iter().find(|member| member.id == *seat);
            if !member.is_some_and(|member| convicts(network, member, evidence)) {
                return Err(failure("bad-evidence", &[seat.0.into()]));
            }
        }
        _ => {}
    }
    Ok(next)
}

/// The epoch state after a change, still under its old number, if its signatures are right. Keys are not decoded: those of the members were when
/// they entered.
///
/// # Errors
/// [`Failure`]: the change does not fit.
pub fn after(epoch: &EpochState, change: &Change) -> Result<EpochState, Failure> {
    let mut next = epoch.clone();
    let position = |seat: ValidatorId| {
        let found = epoch.seats.iter().position(|member| member.id == seat);
        found.ok_or_else(|| failure("no-such-seat", &[seat.0.into()]))
    };
    match change {
        Change::Power { seat, power } => {
            let position = position(*seat)?;
            if let Some(member) = next.seats.get_mut(position) {
                member.validator.power = *power;
            }
        }
        Change::Add(entry) => {
            let taken: SignerSet = epoch.seats.iter().map(|member| member.id).collect();
            let free = (0..).take(VALIDATORS_MAX).map(ValidatorId).find(|id| !taken.contains(*id));
            let id = free.ok_or_else(|| failure("committee-full", &[VALIDATORS_MAX as u64]))?;
            let position = next.seats.partition_point(|member| member.id < id);
            next.seats.insert(position, Seat { id, validator: entry.validator.clone() });
        }
        Change::Remove { seat, .. } => {
            next.seats.remove(position(*seat)?);
        }
        Change::Replace { seat, entry } => {
            let position = position(*seat)?;
            if let Some(member) = next.seats.get_mut(position) {
                let power = member.validator.power;
                member.validator = entry.validator.clone();
                member.validator.power = power;
            }
        }
        Change::Parameters(change) => next.parameters = change.after(&epoch.parameters),
        Change::Authority(authority) => next.authority = authority.clone(),
        Change::Version(version) => {
            if Some(*version) != epoch.protocol_version.checked_add(1) {
                return Err(failure("not-the-next-version", &[(*version).into(), epoch.protocol_version.into()]));
            }
            next.protocol_version = *version;
        }
        // A permission is no part of an epoch state.
        Change::Permit { .. } => return Ok(next),
    }
    if next == *epoch {
        return Err(failure("no-change", &[]));
    }
    Committee::check(&next.seats).map_err(|_| failure("bad-committee", &[]))?;
    // A chain that can decide must not decide that it never can again.
    let can_decide = |epoch: &EpochState| epoch.votes_attainable() >= epoch.votes_needed();
    if !next.authority.is_valid() || can_decide(epoch) && !can_decide(&next) {
        return Err(failure("bad-authority", &[]));
    }
    let voters = next.voters().count();
    // What was proposed must fit; what was there before is made to.
    if let Change::Parameters(change) = change {
        next.parameters.check(voters).map_err(|_| failure("bad-parameters", &[]))?;
        // Nothing could be decided any more if no round were long enough for the messages of a quorum.
        if change.timeout_base_ms.is_some_and(|base| base < PROPOSED_TIMEOUT_BASE_MS_MIN) {
            return Err(failure("bad-parameters", &[]));
        }
    }
    next.parameters = next.parameters.for_voters(voters);
    Ok(next)
}

/// Whether evidence of this epoch or an earlier one convicts a member by the key that it has now.
fn convicts(network: Network, member: &Seat, evidence: &Evidence) -> bool {
    let Seat { id, validator } = member;
    // Its power at the time does not matter, only that the key is its.
    let power = VotingPower(validator.power.0.max(1));
    let alone = Seat { id: *id, validator: Validator { power, ..validator.clone() } };
    evidence.culprit == *id
        && Committee::of_seats(evidence.epoch, &[alone]).is_ok_and(|committee| {
            // Evidence has no certificates, so the one that the epoch began with does not matter.
            let begin = QuorumCert::of_epoch(evidence.epoch, network.genesis_hash, StateId::default());
            Verifier::new(committee, begin, Parameters::default()).evidence(*evidence).is_ok()
        })
}
