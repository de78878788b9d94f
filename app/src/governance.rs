//! How the chain changes what governs it: executes [`ChainOperation`]s, and at the end of a block applies the proposals that are approved.
//!
//! ```text
//! accounts that govern: propose, approve, reject, withdraw --> proposals in the state --end of the block--> a new epoch state
//! ```
//! Everything is judged by the epoch state of the block's epoch. Proposals are bounded by [`PROPOSALS_PER_ACCOUNT_MAX`] for each account.

use std::collections::BTreeSet;

use quorate_types::{
    codec::{self, DecodeError},
    committee::{SignerSet, Validator, VotingPower, is_printable, quorum_of},
    epoch::EpochState,
    failure::{Code, Failure},
    governance::{
        ChainOperation, Change, OWN_CHANGE_BLOCKS, OpenProposal, PROPOSALS_PER_ACCOUNT_MAX, Proposal, ProposalId, Proposals, proposal_key,
    },
    ids::{Address, ValidatorId},
    round::Height,
    state_key::{ADDRESSES_KEY, EPOCH_KEY, PROPOSALS_KEY, VERSIONS_KEY},
    transaction::PAYLOAD_BYTES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    change::apply,
    machine::Machine,
    permissions,
    state::{State, StateRead, VALUE_BYTES_MAX},
};

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

/// The addresses of the members that have moved since their entries were written, in ascending order of their seats.
#[must_use]
pub fn addresses(state: &dyn StateRead) -> Vec<(ValidatorId, String)> {
    read(state, ADDRESSES_KEY).unwrap_or_default()
}

/// The versions of the protocol that members speak, as their operators say, in ascending order of their seats.
#[must_use]
pub fn versions(state: &dyn StateRead) -> Vec<(ValidatorId, u32)> {
    read(state, VERSIONS_KEY).unwrap_or_default()
}

/// Whether a proposal takes effect at the end of the block at a height: enough approve it, or the operator of the member that only changes its
/// own entry. The latter not all the time: nothing else is executed in rounds in which an epoch ends and the next begins, so a member that ended
/// every epoch at once would stop the chain.
fn is_approved(epoch: &EpochState, proposal: &Proposal, last: Height, height: Height) -> bool {
    let Proposal { change, approvals, .. } = proposal;
    let own = approvals.iter().any(|account| epoch.is_own(change, account));
    let is_due = last == Height(0) || height.0.saturating_sub(last.0) >= OWN_CHANGE_BLOCKS;
    own && is_due || epoch.votes(approvals) >= epoch.votes_needed()
}

/// Whether a quorum of an epoch's voters speaks a version of the protocol.
fn is_spoken(state: &dyn StateRead, epoch: &EpochState, version: u32) -> bool {
    let speakers = versions(state).into_iter().filter(|(_, spoken)| *spoken >= version).map(|(seat, _)| seat).collect();
    epoch.power(speakers) >= quorum_of(epoch.total_power())
}

/// Executes an operation in an epoch. Returns the number of the proposal that it is about, if it is about one. Anyone may send one, so what is
/// of an account that may do nothing here is refused before anything is read or decoded.
pub(crate) fn execute(
    state: &mut State<'_>,
    epoch: &EpochState,
    machine: &Machine,
    sender: &Address,
    payload: &[u8],
) -> Result<Option<ProposalId>, Failure> {
    let governs = epoch.governs(sender);
    if !governs && !permissions::of(state, sender).grant {
        return Err(failure("not-an-operator", &[]));
    }
    // The decoder's message depends on its version, so it must not get into a receipt.
    let operation = codec::decode(payload, PAYLOAD_BYTES_MAX).map_err(|_: DecodeError| failure("malformed-operation", &[]))?;
    match operation {
        ChainOperation::Permit { account, change } => {
            permissions::permit(state, machine, epoch.parameters.state.bytes_max, sender, &account, change).map(|()| None)
        }
        _ if !governs => Err(failure("not-an-operator", &[])),
        ChainOperation::Move { seat, address } => move_member(state, epoch, sender, seat, address).map(|()| None),
        ChainOperation::Speak(version) => speak(state, epoch.seats_of(sender), version).map(|()| None),
        ChainOperation::Propose(change) => propose(state, epoch, machine, sender, *change).map(Some),
        // The operator of an observer looks after that member's entry, and has no say in anything else.
        ChainOperation::Approve(_) | ChainOperation::Reject(_) if !epoch.decides(sender) => Err(failure("not-an-operator", &[])),
        ChainOperation::Approve(id) => vote(state, epoch, sender, id, true).map(Some),
        ChainOperation::Reject(id) => vote(state, epoch, sender, id, false).map(Some),
        ChainOperation::Withdraw(id) => {
            if find(state, id)?.by != *sender {
                return Err(failure("not-the-proposer", &[id.0]));
            }
            close(state, id);
            Ok(Some(id))
        }
    }
}

fn propose(state: &mut State<'_>, epoch: &EpochState, machine: &Machine, sender: &Address, change: Change) -> Result<ProposalId, Failure> {
    if !epoch.decides(sender) && !epoch.is_own(&change, sender) {
        return Err(failure("not-an-operator", &[]));
    }
    let mut proposals: Proposals = read(state, PROPOSALS_KEY).unwrap_or_default();
    if proposals.open.iter().filter(|open| open.by == *sender).count() >= PROPOSALS_PER_ACCOUNT_MAX {
        return Err(failure("too-many-proposals", &[PROPOSALS_PER_ACCOUNT_MAX as u64]));
    }
    match &change {
        Change::Permit { account, change } => permissions::changed(state, machine, account, *change).map(drop)?,
        _ => apply(epoch, machine.network(), &change).map(drop)?,
    }
    let id = proposals.next;
    proposals.next = ProposalId(id.0.checked_add(1).ok_or_else(|| failure("too-many-proposals", &[]))?);
    proposals.open.push(OpenProposal { id, by: *sender });
    let proposal = Proposal { by: *sender, change, approvals: BTreeSet::from([*sender]), rejections: BTreeSet::new() };
    write(state, &proposal_key(id), Some(&proposal));
    write(state, PROPOSALS_KEY, Some(&proposals));
    Ok(id)
}

fn vote(state: &mut State<'_>, epoch: &EpochState, sender: &Address, id: ProposalId, approves: bool) -> Result<ProposalId, Failure> {
    let mut proposal = find(state, id)?;
    let Proposal { approvals, rejections, .. } = &mut proposal;
    let (to, from) = if approves { (approvals, rejections) } else { (rejections, approvals) };
    to.insert(*sender);
    from.remove(sender);
    if epoch.votes_total().saturating_sub(epoch.votes(&proposal.rejections)) < epoch.votes_needed() {
        close(state, id);
    } else {
        write(state, &proposal_key(id), Some(&proposal));
    }
    Ok(id)
}

fn close(state: &mut State<'_>, id: ProposalId) {
    let mut proposals: Proposals = read(state, PROPOSALS_KEY).unwrap_or_default();
    proposals.open.retain(|open| open.id != id);
    write::<Proposal>(state, &proposal_key(id), None);
    write(state, PROPOSALS_KEY, Some(&proposals));
}

fn move_member(state: &mut State<'_>, epoch: &EpochState, sender: &Address, seat: ValidatorId, address: String) -> Result<(), Failure> {
    if epoch.operator(seat) != Some(*sender) {
        return Err(failure("not-its-operator", &[seat.0.into()]));
    }
    if !is_printable(&address) {
        return Err(failure("bad-address", &[]));
    }
    let mut addresses = addresses(state);
    set(&mut addresses, seat, address);
    write(state, ADDRESSES_KEY, Some(&addresses));
    Ok(())
}

fn speak(state: &mut State<'_>, seats: SignerSet, version: u32) -> Result<(), Failure> {
    if seats.is_empty() {
        return Err(failure("not-an-operator", &[]));
    }
    let mut versions = versions(state);
    for seat in seats.iter() {
        set(&mut versions, seat, version);
    }
    write(state, VERSIONS_KEY, Some(&versions));
    Ok(())
}

/// Sets the value of a seat in a list that is sorted by seats.
fn set<T>(list: &mut Vec<(ValidatorId, T)>, seat: ValidatorId, value: T) {
    match list.binary_search_by_key(&seat, |(seat, _)| *seat) {
        Ok(position) => {
            if let Some(entry) = list.get_mut(position) {
                entry.1 = value;
            }
        }
        Err(position) => list.insert(position, (seat, value)),
    }
}

/// Applies the proposals that are approved, in the order of their numbers, and returns the new epoch state if that changed it. A proposal that
/// no longer fits is closed without effect.
pub(crate) fn conclude(state: &mut State<'_>, epoch: &EpochState, machine: &Machine, height: Height) -> Option<EpochState> {
    let mut index: Proposals = read(state, PROPOSALS_KEY)?;
    let last = index.changed;
    let mut next = epoch.clone();
    let mut done = BTreeSet::new();
    // Their next members have nothing to do with what was proposed about the last ones.
    let mut vacated = SignerSet::default();
    let open = proposals(state);
    let is_version = |proposal: &Proposal| matches!(proposal.change, Change::Version(_));
    let approved = || open.iter().filter(|(_, proposal)| is_approved(epoch, proposal, last, height));
    // A version comes last: those who are voters then must speak it. Until they do, it stays open.
    let in_order = approved().filter(|(_, proposal)| !is_version(proposal)).chain(approved().filter(|(_, proposal)| is_version(proposal)));
    for (id, Proposal { change, .. }) in in_order {
        if matches!(change, Change::Version(version) if !is_spoken(state, &next, *version)) {
            continue;
        }
        done.insert(*id);
        if change.seat().is_some_and(|seat| vacated.contains(seat)) {
            continue;
        }
        if let Ok(changed) = apply(&next, machine.network(), change) {
            next = changed;
            if let Change::Remove { seat, .. } = change {
                vacated.insert(*seat);
            }
        }
    }
    if done.is_empty() {
        return None;
    }
    for (_, Proposal { change, .. }) in open.iter().filter(|(id, _)| done.contains(id)) {
        if let Change::Permit { account, change } = change {
            drop(permissions::set(state, machine, account, *change));
        }
    }
    done.extend(open.iter().filter(|(_, open)| open.change.seat().is_some_and(|seat| vacated.contains(seat))).map(|(id, _)| *id));
    let changed = (next != *epoch).then(|| EpochState { epoch: epoch.epoch.next(), ..next });
    let now = changed.as_ref().unwrap_or(epoch);
    for (id, mut proposal) in open {
        if done.contains(&id) || !now.governs(&proposal.by) {
            done.insert(id);
            write::<Proposal>(state, &proposal_key(id), None);
        } else if changed.is_some() {
            // Who no longer has a say has had none.
            proposal.approvals.retain(|account| now.governs(account));
            proposal.rejections.retain(|account| now.governs(account));
            write(state, &proposal_key(id), Some(&proposal));
        }
    }
    index.open.retain(|open| !done.contains(&open.id));
    if let Some(changed) = &changed {
        index.changed = height;
        write(state, EPOCH_KEY, Some(changed));
        forget_replaced(state, epoch, changed);
    }
    write(state, PROPOSALS_KEY, Some(&index));
    changed
}

/// A member's entry is newer than what was said about the one before.
fn forget_replaced(state: &mut State<'_>, before: &EpochState, after: &EpochState) {
    let entry = |epoch: &EpochState, seat: ValidatorId| {
        let entry = epoch.seats.iter().find(|member| member.id == seat).map(|member| member.validator.clone());
        entry.map(|validator| Validator { power: VotingPower(0), ..validator })
    };
    let stays = |seat: ValidatorId| entry(before, seat) == entry(after, seat);
    let (mut addresses, mut versions) = (addresses(state), versions(state));
    let lengths = (addresses.len(), versions.len());
    addresses.retain(|(seat, _)| stays(*seat));
    versions.retain(|(seat, _)| stays(*seat));
    if addresses.len() != lengths.0 {
        write(state, ADDRESSES_KEY, Some(&addresses));
    }
    if versions.len() != lengths.1 {
        write(state, VERSIONS_KEY, Some(&versions));
    }
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

pub(crate) fn failure(code: &'static str, numbers: &[u64]) -> Failure {
    Failure::new(Code::new(code), numbers)
}

/// A sentence for people on a failure of this module, with the fix.
pub(crate) fn explain(failure: &Failure) -> Option<String> {
    Some(match (failure.code(), failure.numbers()) {
        ("not-an-operator", _) => {
            "the sender has no part in governing the chain; sign with an account that decides on proposals, that operates the member in question, or, for permissions, that has the role to grant".into()
        }
        ("too-many-proposals", [max]) => format!("the sender has {max} open proposals, the most that one account may have; withdraw one first"),
        ("no-such-proposal", [id]) => format!("there is no open proposal {id}; it may have taken effect, or been withdrawn or rejected"),
        ("not-the-proposer", [id]) => format!("another account has made proposal {id}; reject it instead"),
        ("no-such-seat", [seat]) => format!("seat {seat} is free; list the members first"),
        ("bad-possession", _) => {
            "the entry is not signed by both of its keys for this network; make it again with `genesis add-validator` on this network's draft".into()
        }
        ("committee-full", [max]) => format!("all {max} seats are taken; remove a member first"),
        ("no-change", _) => "it is like that already".into(),
        ("not-its-operator", [seat]) => format!("the sender does not operate the member on seat {seat}; sign with its operator's account"),
        ("bad-address", _) => "the address is not 1 to 128 bytes of text without control characters".into(),
        ("bad-evidence", [seat]) => {
            format!("the evidence does not convict the member on seat {seat} by its present key; leave it out, or name the member that it convicts")
        }
        ("bad-authority", _) => "nobody could decide anything then: a board needs members, and no more approvals than members; under the operators, voters with a quorum of the power need an operator".into(),
        ("bad-parameters", _) => {
            "a parameter would be out of its range: the ranges are those of `genesis new --help`, and timeout_base_ms is at least 100".into()
        }
        ("not-the-next-version", [version, now]) => {
            format!("the chain speaks version {now}, so the next one is {}, not {version}", now.saturating_add(1))
        }
        ("bad-committee", _) => {
            "the committee would be invalid: no voter would be left, or a key, a name, an address or a power does not fit".into()
        }
        _ => return None,
    })
}
