//! B27: what belongs to an earlier epoch, in the present one; and signatures without a vote.

use quorate_types::{
    ids::ValidatorId,
    message::{Message, SyncInfo},
};

use super::{Behaviour, Mind, Parcel, timeouts::sign, voters::resign};

/// Sends messages and certificates of the epoch before, as they were and renamed to the present one; proposes on them; and votes and times out in
/// epochs in which it has no vote.
#[derive(Debug)]
pub(super) struct OtherEpoch;

impl Behaviour for OtherEpoch {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let (Some(Message::Proposal(proposal)), Some(old)) = (parcel.honest().cloned(), mind.memory.before.0.back().cloned()) else {
            return vec![parcel];
        };
        // A block that follows one of the epoch before, in the round after it.
        let mut qc = old;
        if mind.random.chance(500) {
            qc.commit_info.epoch = mind.committee.epoch();
        }
        let other = mind.propose(&proposal, |content| {
            content.round = qc.round().next();
            content.qc = qc;
        });
        vec![mind.parcel(parcel.to.clone(), Message::Proposal(Box::new(other))), parcel]
    }

    /// Without a vote, it signs what a voter signs.
    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        if mind.committee.is_voter(mind.me) {
            return true;
        }
        match message {
            Message::Vote(vote) => {
                let same = resign(mind, vote, |_| ());
                out.push(mind.parcel(mind.others(), Message::Vote(Box::new(same))));
            }
            Message::Timeout(other) => {
                let mut same = (**other).clone();
                same.timeout = sign(mind, other.timeout.round, other.timeout.high_qc.clone());
                out.push(mind.parcel(mind.others(), Message::Timeout(Box::new(same))));
            }
            _ => {}
        }
        true
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let (qcs, messages) = &mind.memory.before;
        let Some(mut qc) = qcs.back().cloned() else { return Vec::new() };
        let message = messages.get(mind.random.index(messages.len())).map(|message| Message::clone(message));
        if mind.random.chance(500) {
            qc.commit_info.epoch = mind.committee.epoch();
        }
        let info = SyncInfo { high_qc: qc.clone(), high_commit_qc: qc, last_round_tc: None };
        let to = mind.others();
        [Some(Message::SyncInfo(Box::new(info))), message].into_iter().flatten().map(|message| mind.parcel(to.clone(), message)).collect()
    }
}
