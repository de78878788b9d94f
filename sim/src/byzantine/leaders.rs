//! Lying leaders: B1, B5, B6, B7, B14, B16, B18, B28.

use quorate_types::{
    block::Proposal,
    codec::Bounded,
    message::Message,
    round::{Sequence, UnixMillis},
    timeout::TimeoutMessage,
    transaction::{PAYLOAD_BYTES_MAX, Transaction},
};

use super::{Behaviour, Mind, Parcel};

/// The replica's proposal, if the parcel is one.
fn proposal(parcel: &Parcel) -> Option<Proposal> {
    if let Message::Proposal(proposal) = parcel.honest()? { Some((**proposal).clone()) } else { None }
}

/// A proposal in place of the honest one, to the same receivers.
fn instead(mind: &Mind<'_>, parcel: &Parcel, proposal: Proposal) -> Vec<Parcel> {
    vec![mind.parcel(parcel.to.clone(), Message::Proposal(Box::new(proposal)))]
}

/// B1: proposes two blocks in one round, to two halves; sometimes all get both, one after the other.
#[derive(Debug)]
pub(super) struct Equivocate;

impl Behaviour for Equivocate {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(first) = proposal(&parcel) else { return vec![parcel] };
        let empty = mind.random.chance(500);
        let second = mind.propose(&first, |content| {
            content.timestamp = content.timestamp.next();
            if empty {
                content.payload = Bounded::default();
            }
        });
        let (mut left, mut right) = mind.halves();
        if mind.random.chance(300) {
            left.extend(right.clone());
            right.clone_from(&left);
        }
        vec![mind.redirect(&parcel, left), mind.parcel(right, Message::Proposal(Box::new(second)))]
    }
}

/// B5: never proposes.
#[derive(Debug)]
pub(super) struct Silent;

impl Behaviour for Silent {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        // Addressed to no one, so that the lie is counted.
        if proposal(&parcel).is_some() { vec![mind.redirect(&parcel, Vec::new())] } else { vec![parcel] }
    }
}

/// B6: proposes only to as few as are certain to include an honest validator, so that some have the block and a hidden certificate may form.
#[derive(Debug)]
pub(super) struct Selective;

impl Behaviour for Selective {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        if proposal(&parcel).is_none() {
            return vec![parcel];
        }
        let mut others = mind.others();
        mind.random.shuffle(&mut others);
        let mut chosen = Vec::new();
        for id in others {
            if mind.committee.holds_honest(chosen.iter().copied().collect()) {
                break;
            }
            chosen.push(id);
        }
        vec![mind.redirect(&parcel, chosen)]
    }
}

/// B7: proposes on an old certificate, with the timeout certificate of the previous round if there is one.
#[derive(Debug)]
pub(super) struct StaleQc;

impl Behaviour for StaleQc {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(mut first) = proposal(&parcel) else { return vec![parcel] };
        let round = first.block.round();
        let old: Vec<_> = mind.memory.qcs.iter().filter(|qc| qc.round() < first.block.qc().round()).cloned().collect();
        let Some(qc) = mind.random.pick(&old).cloned() else { return vec![parcel] };
        let tc = mind.memory.tcs.iter().find(|tc| tc.round.next() == round).cloned();
        first.last_round_tc = first.last_round_tc.or(tc);
        let stale = mind.propose(&first, |content| content.qc = qc);
        instead(mind, &parcel, stale)
    }

    /// Its timeouts name an old certificate too.
    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let Some(tc) = mind.memory.tcs.back().cloned() else { return Vec::new() };
        let (Some(old), Some(commit)) = (mind.memory.qcs.front().cloned(), mind.memory.high_commit_qc().cloned()) else {
            return Vec::new();
        };
        let timeout = super::timeouts::sign(mind, tc.round.next(), old);
        let message = TimeoutMessage { timeout, last_round_tc: Some(tc), high_commit_qc: commit };
        vec![mind.parcel(mind.others(), Message::Timeout(Box::new(message)))]
    }
}

/// B14: proposes more transactions or bytes than the genesis of any world allows.
#[derive(Debug)]
pub(super) struct Oversize;

impl Behaviour for Oversize {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(first) = proposal(&parcel) else { return vec![parcel] };
        let (count, bytes) = if mind.random.chance(500) { (101, 1) } else { (1, 70_000) };
        let expires_at = UnixMillis(mind.unix.0.saturating_add(60_000));
        let payload = vec![0; bytes.min(PAYLOAD_BYTES_MAX)];
        let count = if bytes > 1 { 2 } else { count };
        let transactions: Vec<Transaction> = (0..count)
            .map(|number| Transaction::sign(mind.genesis_hash, mind.key, Sequence(number), expires_at, payload.clone()))
            .collect();
        let large = mind.propose(&first, |content| content.payload = Bounded::truncated(transactions));
        instead(mind, &parcel, large)
    }
}

/// B28: proposes a transaction of an account that may not send, alone or behind those of the honest proposal.
#[derive(Debug)]
pub(super) struct Forbidden;

impl Behaviour for Forbidden {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(first) = proposal(&parcel) else { return vec![parcel] };
        let expires_at = UnixMillis(mind.unix.0.saturating_add(60_000));
        let mut transactions = if mind.random.chance(500) { first.block.payload().to_vec() } else { Vec::new() };
        // The shortest that every application reads as a failure, or as an operation.
        transactions.push(Transaction::sign(mind.genesis_hash, mind.key, Sequence(0), expires_at, Vec::new()));
        let forbidden = mind.propose(&first, |content| content.payload = Bounded::truncated(transactions));
        instead(mind, &parcel, forbidden)
    }
}

/// B16: sends another block under the signature of the first.
#[derive(Debug)]
pub(super) struct AlterBlock;

impl Behaviour for AlterBlock {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(first) = proposal(&parcel) else { return vec![parcel] };
        let signature = first.signature;
        let mut altered = mind.propose(&first, |content| content.timestamp = content.timestamp.next());
        altered.signature = signature;
        let mut parcels = instead(mind, &parcel, altered);
        if mind.random.chance(500) {
            parcels.push(parcel);
        }
        parcels
    }
}

/// B18: proposes a block not later than its parent, far ahead of every clock, or near the limits of what others accept or wait for.
#[derive(Debug)]
pub(super) struct WrongTime;

impl Behaviour for WrongTime {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(first) = proposal(&parcel) else { return vec![parcel] };
        let now = mind.unix.0;
        let parent =
            mind.memory.blocks.iter().find(|block| block.id() == first.block.parent_id()).map_or(0, |block| block.content().timestamp.0);
        // From what the shortest timer of any world tolerates to more than the longest one waits for.
        let ahead = now.saturating_add(mind.random.between(30, 2_000));
        let times = [0, parent, parent.saturating_sub(1), ahead, now.saturating_add(360_000), u64::MAX];
        let time = mind.random.pick(&times).copied().unwrap_or_default();
        let wrong = mind.propose(&first, |content| content.timestamp = UnixMillis(time));
        instead(mind, &parcel, wrong)
    }
}
