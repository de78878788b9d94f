//! How the committee changes itself: executes [`ChainOperation`]s, and at the end of a block applies the proposals that have their quorum.
//!
//! ```text
//! operators of voters: propose, approve, reject, withdraw --> proposals in the state --end of the block--> a new epoch state
//! ```
//! Everything is judged by the committee of the block's epoch. Proposals are bounded by [`PROPOSALS_PER_OPERATOR_MAX`] for each operator.

use std::collections::BTreeSet;

use quorate_types::{
    codec::{self, DecodeError},
    committee::{Committee, Seat, SignerSet, VALIDATORS_MAX, quorum_of},
    epoch::EpochState,
    failure::{Code, Failure},
    governance::{
        ChainOperation, Change, OWN_CHANGE_BLOCKS, OpenProposal, PROPOSALS_PER_OPERATOR_MAX, Proposal, ProposalId, Proposals, proposal_key,
    },
    ids::{Address, DraftHash, ValidatorId},
    round::Height,
    state_key::{EPOCH_KEY, PROPOSALS_KEY},
    transaction::PAYLOAD_BYTES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::state::{State, StateRead, VALUE_BYTES_MAX};

/// What governs the epoch of the next block. `None` only in a state that no genesis began.
#[must_use]
pub fn epoch_state(state: &dyn StateRead) -> Option<EpochState> {
    read(state, EPOCH_KEY)
}

/// The open proposals, ascending.
#[must_use]
pub fn proposals(state: &dyn StateRead) -> Vec<(ProposalId, Proposal)> {
    let open = read::<Proposals>(state, PROPOSALS_KEY).unwrap_or_default().open;
    open.into_iter().filter_map(|open| Some((open.id, read(state, &proposal_key(open.id))?))).collect()
}

/// Whether a proposal takes effect at the end of the block at a height: a quorum approves it, or the operator of the member that only changes its
/// own entry. The latter not all the time: nothing else is executed in rounds in which an epoch ends and the next begins, so a member that ended
/// every epoch at once would stop the chain.
fn is_approved(epoch: &EpochState, proposal: &Proposal, changed: Height, height: Height) -> bool {
    let own = matches!(proposal.change, Change::Replace { seat, .. } if proposal.approvals.contains(seat));
    let is_due = changed == Height(0) || height.0.saturating_sub(changed.0) >= OWN_CHANGE_BLOCKS;
    own && is_due || epoch.power(proposal.approvals) >= quorum_of(epoch.total_power())
}

/// Executes an operation in an epoch. Returns the number of the proposal that it is about. Anyone may send one, so what is not an operator's is
/// refused before anything is read or decoded.
pub(crate) fn execute(
    state: &mut State<'_>,
    epoch: &EpochState,
    draft: DraftHash,
    sender: &Address,
    payload: &[u8],
) -> Result<ProposalId, Failure> {
    let seats = seats_of(epoch, sender);
    if seats.is_empty() {
        return Err(failure("not-an-operator", &[]));
    }
    // The decoder's message depends on its version, so it must not get into a receipt.
    let operation = codec::decode(payload, PAYLOAD_BYTES_MAX).map_err(|_: DecodeError| failure("malformed-operation", &[]))?;
    // An observer's operator looks after that member's entry, and has no say in anything else.
    let own =
        matches!(&operation, ChainOperation::Propose(change) if matches!(**change, Change::Replace { seat, .. } if seats.contains(seat)));
    if epoch.power(seats) == 0 && !own {
        return Err(failure("not-an-operator", &[]));
    }
    let mut proposals: Proposals = read(state, PROPOSALS_KEY).unwrap_or_default();
    let (id, proposal) = match operation {
        ChainOperation::Propose(change) => {
            let own = proposals.open.iter().filter(|open| !open.by.intersection(seats).is_empty()).count();
            if own >= PROPOSALS_PER_OPERATOR_MAX {
                return Err(failure("too-many-proposals", &[PROPOSALS_PER_OPERATOR_MAX as u64]));
            }
            apply(epoch, draft, &change)?;
            let id = proposals.next;
            proposals.next = ProposalId(id.0.checked_add(1).ok_or_else(|| failure("too-many-proposals", &[]))?);
            proposals.open.push(OpenProposal { id, by: seats });
            (id, Some(Proposal { by: seats, change: *change, approvals: seats, rejections: SignerSet::default() }))
        }
        ChainOperation::Approve(id) => {
            let mut proposal = find(state, id)?;
            proposal.approvals = proposal.approvals.union(seats);
            proposal.rejections = proposal.rejections.without(seats);
            (id, Some(proposal))
        }
        ChainOperation::Reject(id) => {
            let mut proposal = find(state, id)?;
            proposal.approvals = proposal.approvals.without(seats);
            proposal.rejections = proposal.rejections.union(seats);
            let total = epoch.total_power();
            let left = total.saturating_sub(epoch.power(proposal.rejections));
            (id, (left >= quorum_of(total)).then_some(proposal))
        }
        ChainOperation::Withdraw(id) => {
            if find(state, id)?.by.intersection(seats).is_empty() {
                return Err(failure("not-the-proposer", &[id.0]));
            }
            (id, None)
        }
    };
    if proposal.is_none() {
        proposals.open.retain(|open| open.id != id);
    }
    write(state, &proposal_key(id), proposal.as_ref());
    write(state, PROPOSALS_KEY, Some(&proposals));
    Ok(id)
}

/// Applies the proposals that are approved, in the order of their numbers, and returns the new epoch state if that changed it. A proposal that
/// no longer fits is closed without effect.
pub(crate) fn conclude(state: &mut State<'_>, epoch: &EpochState, draft: DraftHash, height: Height) -> Option<EpochState> {
    let mut index: Proposals = read(state, PROPOSALS_KEY)?;
    let mut next = epoch.clone();
    let mut done = BTreeSet::new();
    // Their next members have nothing to do with what was proposed about the last ones.
    let mut vacated = SignerSet::default();
    let open = proposals(state);
    for (id, Proposal { change, .. }) in open.iter().filter(|(_, proposal)| is_approved(epoch, proposal, index.changed, height)) {
        done.insert(*id);
        if change.seat().is_some_and(|seat| vacated.contains(seat)) {
            continue;
        }
        if let Ok(changed) = apply(&next, draft, change) {
            next = changed;
            if let Change::Remove { seat } = change {
                vacated.insert(*seat);
            }
        }
    }
    if done.is_empty() {
        return None;
    }
    let changed = (next.seats != epoch.seats).then(|| EpochState { epoch: epoch.epoch.next(), ..next });
    // Whoever takes a seat does not inherit what its last holder has said.
    let gone = changed.as_ref().map_or_else(SignerSet::default, |next| changed_hands(epoch, next));
    done.extend(open.iter().filter(|(_, open)| open.change.seat().is_some_and(|seat| vacated.contains(seat))).map(|(id, _)| *id));
    for open in &mut index.open {
        open.by = open.by.without(gone);
        if open.by.is_empty() {
            done.insert(open.id);
        }
    }
    if !gone.is_empty() {
        for (id, proposal) in open {
            let Proposal { by, change, approvals, rejections } = proposal;
            let [by, approvals, rejections] = [by, approvals, rejections].map(|seats| seats.without(gone));
            write(state, &proposal_key(id), Some(&Proposal { by, change, approvals, rejections }));
        }
    }
    index.open.retain(|open| !done.contains(&open.id));
    for id in done {
        write::<Proposal>(state, &proposal_key(id), None);
    }
    if let Some(changed) = &changed {
        index.changed = height;
        write(state, EPOCH_KEY, Some(changed));
    }
    write(state, PROPOSALS_KEY, Some(&index));
    changed
}

/// The epoch state after a change, still under its old number. Only the keys of a new entry are decoded: those of the others were when they entered.
fn apply(epoch: &EpochState, draft: DraftHash, change: &Change) -> Result<EpochState, Failure> {
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
        Change::Remove { seat } => {
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
    }
    if next.seats == epoch.seats {
        return Err(failure("no-change", &[]));
    }
    Committee::check(&next.seats).map_err(|_| failure("bad-committee", &[]))?;
    // Last: it checks keys and signatures, and costs more than all the rest.
    if let Change::Add(entry) | Change::Replace { entry, .. } = change {
        entry.check(draft).map_err(|_| failure("bad-possession", &[]))?;
    }
    next.parameters = next.parameters.for_voters(next.voters().count());
    Ok(next)
}

/// The seats whose operator is another afterwards.
fn changed_hands(before: &EpochState, after: &EpochState) -> SignerSet {
    let holder = |seat: ValidatorId| after.seats.iter().find(|member| member.id == seat).map(|member| member.validator.operator);
    before.seats.iter().filter(|member| holder(member.id) != Some(member.validator.operator)).map(|member| member.id).collect()
}

/// The members that this account speaks for.
fn seats_of(epoch: &EpochState, operator: &Address) -> SignerSet {
    epoch.seats.iter().filter(|member| member.validator.operator == Some(*operator)).map(|member| member.id).collect()
}

fn find(state: &dyn StateRead, id: ProposalId) -> Result<Proposal, Failure> {
    read(state, &proposal_key(id)).ok_or_else(|| failure("no-such-proposal", &[id.0]))
}

fn read<T: DeserializeOwned>(state: &dyn StateRead, key: &[u8]) -> Option<T> {
    codec::decode(&state.get(key)?, VALUE_BYTES_MAX).ok()
}

fn write<T: Serialize>(state: &mut State<'_>, key: &[u8], value: Option<&T>) {
    state.write_chain(key, value.map(|value| codec::encode(value).into()));
}

fn failure(code: &'static str, numbers: &[u64]) -> Failure {
    Failure::new(Code::new(code), numbers)
}

/// A sentence for people on a failure of this module, with the fix.
pub(crate) fn explain(failure: &Failure) -> Option<String> {
    Some(match (failure.code(), failure.numbers()) {
        ("not-an-operator", _) => {
            "the sender is no operator: only the accounts that the committee names as operators of its voters may change it; sign with one of those".into()
        }
        ("too-many-proposals", [max]) => format!("the sender has {max} open proposals, the most that one operator may have; withdraw one first"),
        ("no-such-proposal", [id]) => format!("there is no open proposal {id}; it may have taken effect, or been withdrawn or rejected"),
        ("not-the-proposer", [id]) => format!("another operator has made proposal {id}; reject it instead"),
        ("no-such-seat", [seat]) => format!("seat {seat} is free; list the members first"),
        ("bad-possession", _) => {
            "the entry is not signed by both of its keys for this network; make it again with `genesis add-validator` on this network's draft".into()
        }
        ("committee-full", [max]) => format!("all {max} seats are taken; remove a member first"),
        ("no-change", _) => "the committee is like that already".into(),
        ("bad-committee", _) => {
            "the committee would be invalid: no voter would be left, or a key, a name, an address or a power does not fit".into()
        }
        _ => return None,
    })
}
