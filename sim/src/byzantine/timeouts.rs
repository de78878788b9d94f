//! Lying timeouts: B3, B13.

use quorate_types::{
    ids::ValidatorId,
    message::{CatchupRequest, FetchRequest, Message},
    round::{Height, Round},
    timeout::{Timeout, TimeoutMessage, timeout_digest},
    vote::QuorumCert,
};

use super::{Behaviour, Mind, Parcel, voters::resign};

/// A timeout with any content, properly signed.
pub(super) fn sign(mind: &Mind<'_>, round: Round, high_qc: QuorumCert) -> Timeout {
    let epoch = mind.committee.epoch();
    let signature = mind.key.sign(&timeout_digest(mind.genesis_hash, epoch, round, high_qc.round()));
    Timeout { epoch, round, high_qc, sender: mind.me, signature }
}

/// B3: gives up the round as soon as it has voted, times out again with another certificate, and votes after that.
#[derive(Debug)]
pub(super) struct GiveUpTwice;

impl GiveUpTwice {
    fn second(mind: &mut Mind<'_>, first: &TimeoutMessage) -> Option<TimeoutMessage> {
        let round = first.timeout.round;
        let before = round.previous()?;
        let tc = mind.memory.tcs.iter().find(|tc| tc.round == before).cloned();
        let other: Vec<QuorumCert> =
            mind.memory.qcs.iter().filter(|qc| qc.round() != first.timeout.high_qc.round() && qc.round() <= before).cloned().collect();
        let qc = mind.random.pick(&other)?.clone();
        let last_round_tc = if qc.round() == before { None } else { Some(tc.or_else(|| first.last_round_tc.clone())?) };
        let timeout = sign(mind, round, qc);
        Some(TimeoutMessage { timeout, last_round_tc, high_commit_qc: first.high_commit_qc.clone() })
    }
}

impl Behaviour for GiveUpTwice {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        match parcel.honest().cloned() {
            Some(Message::Timeout(timeout)) => {
                let mut parcels = vec![parcel];
                if let Some(second) = Self::second(mind, &timeout) {
                    parcels.push(mind.parcel(mind.others(), Message::Timeout(Box::new(second))));
                }
                // A vote in the round just given up.
                if let Some(vote) = mind.memory.votes.iter().find(|vote| vote.vote_info.round == timeout.timeout.round) {
                    let vote = resign(mind, vote, |_| ());
                    parcels.push(mind.parcel(mind.others(), Message::Vote(Box::new(vote))));
                }
                parcels
            }
            Some(Message::Vote(vote)) => {
                let mut parcels = vec![parcel];
                let round = vote.vote_info.round;
                let qc = mind.memory.qcs.iter().find(|qc| qc.round().next() == round).cloned();
                if let (Some(qc), Some(commit)) = (qc, mind.memory.high_commit_qc().cloned()) {
                    let message = TimeoutMessage { timeout: sign(mind, round, qc), last_round_tc: None, high_commit_qc: commit };
                    parcels.push(mind.parcel(mind.others(), Message::Timeout(Box::new(message))));
                }
                parcels
            }
            _ => vec![parcel],
        }
    }
}

/// B13: sends votes, timeouts, proposals and requests of rounds far in the future, all properly signed.
#[derive(Debug)]
pub(super) struct FarRounds;

impl Behaviour for FarRounds {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(Message::Proposal(proposal)) = parcel.honest().cloned() else { return vec![parcel] };
        let round = far(mind);
        let ahead = mind.propose(&proposal, |content| content.round = round);
        vec![mind.parcel(parcel.to.clone(), Message::Proposal(Box::new(ahead))), parcel]
    }

    fn hears(&mut self, mind: &mut Mind<'_>, from: ValidatorId, _message: &Message, out: &mut Vec<Parcel>) -> bool {
        if mind.random.chance(100) {
            out.extend(self.pulse(mind).into_iter().map(|parcel| Parcel { to: vec![from], ..parcel }));
        }
        true
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let round = far(mind);
        let Some((qc, commit)) = mind.memory.high_qc().cloned().zip(mind.memory.high_commit_qc().cloned()) else { return Vec::new() };
        let mut messages = vec![
            Message::Timeout(Box::new(TimeoutMessage {
                timeout: sign(mind, round, qc.clone()),
                last_round_tc: None,
                high_commit_qc: commit,
            })),
            Message::FetchRequest(FetchRequest { block_id: qc.block_id(), above: round }),
            Message::CatchupRequest(CatchupRequest { from: Height(round.0) }),
        ];
        // With a timeout certificate that names the previous round it looks well-formed, yet no validator is in the round.
        let mut tc = mind.memory.tcs.back().cloned();
        if let Some(tc) = &mut tc {
            tc.round = round.previous().unwrap_or_default();
            let timeout = sign(mind, round, qc.clone());
            let message = TimeoutMessage { timeout, last_round_tc: Some(tc.clone()), high_commit_qc: qc };
            messages.push(Message::Timeout(Box::new(message)));
        }
        if let Some(vote) = mind.memory.votes.back() {
            let far_child = mind.random.chance(500);
            let vote = resign(mind, vote, |info| {
                info.round = round;
                if far_child {
                    info.parent_round = round.previous().unwrap_or_default();
                }
            });
            messages.push(Message::Vote(Box::new(vote)));
        }
        messages.into_iter().map(|message| mind.parcel(mind.others(), message)).collect()
    }
}

fn far(mind: &mut Mind<'_>) -> Round {
    let near = mind.memory.high_qc().map_or(1, |qc| qc.round().0);
    let rounds = [
        u64::MAX,
        u64::MAX.saturating_sub(1),
        Round::LIMIT.0,
        Round::LIMIT.0.saturating_sub(1),
        near.saturating_add(1_000_000),
        near.saturating_add(2),
        near.saturating_add(4),
    ];
    Round(mind.random.pick(&rounds).copied().unwrap_or(u64::MAX))
}
