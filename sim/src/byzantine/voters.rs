//! Voters and collectors that lie: B2, B6, B17.

use std::collections::VecDeque;

use quorate_types::{
    crypto::{Hash, Tag},
    ids::{BlockId, StateId, ValidatorId},
    message::Message,
    vote::{Vote, VoteInfo},
};

use super::{Behaviour, Mind, Parcel};

const INVENTED: Tag = Tag::new("quorate/sim-invented");

/// Something that is the hash of nothing.
pub(super) fn invented(mind: &mut Mind<'_>) -> Hash {
    Hash::of(&INVENTED, &mind.random.next().to_le_bytes())
}

/// A vote with another content, properly signed.
pub(super) fn resign(mind: &Mind<'_>, vote: &Vote, change: impl FnOnce(&mut VoteInfo)) -> Vote {
    let mut vote = vote.clone();
    change(&mut vote.vote_info);
    vote.commit_info.vote_info_hash = vote.vote_info.digest();
    vote.sender = mind.me;
    vote.signature = mind.key.sign(&vote.commit_info.digest());
    vote
}

fn own_vote(parcel: &Parcel) -> Option<Vote> {
    match parcel.honest()? {
        Message::Vote(vote) => Some((**vote).clone()),
        _ => None,
    }
}

/// B2: its vote, and another one of the same round: for a block that somebody else voted for, or for one that does not exist.
#[derive(Debug, Default)]
pub(super) struct VoteTwice {
    /// What it has voted for because somebody else did, the newest: once for each, or two liars would answer each other for ever.
    echoed: VecDeque<VoteInfo>,
}

/// How many echoed votes are remembered.
const ECHOED_MAX: usize = 16;

impl Behaviour for VoteTwice {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(vote) = own_vote(&parcel) else { return vec![parcel] };
        let id = BlockId(invented(mind));
        let second = resign(mind, &vote, |info| info.id = id);
        let second = mind.parcel(parcel.to.clone(), Message::Vote(Box::new(second)));
        if mind.random.chance(500) { vec![second, parcel] } else { vec![parcel, second] }
    }

    /// It votes for everything that is proposed, as far as it can see results.
    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        if let Message::Vote(vote) = message
            && !self.echoed.contains(&vote.vote_info)
        {
            self.echoed.push_back(vote.vote_info);
            if self.echoed.len() > ECHOED_MAX {
                self.echoed.pop_front();
            }
            let same = resign(mind, vote, |_| ());
            out.push(mind.parcel(mind.others(), Message::Vote(Box::new(same))));
        }
        true
    }
}

/// B17: votes for a result that nobody computed.
#[derive(Debug)]
pub(super) struct WrongResult;

impl Behaviour for WrongResult {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(vote) = own_vote(&parcel) else { return vec![parcel] };
        let state = StateId(invented(mind));
        let wrong = resign(mind, &vote, |info| info.exec_state_id = state);
        vec![mind.parcel(parcel.to.clone(), Message::Vote(Box::new(wrong)))]
    }
}

/// B6: collects votes and says nothing of the certificate; its replica never learns of it. Sometimes the certificate comes out much later.
#[derive(Debug, Default)]
pub(super) struct WithholdQc {
    kept: u64,
}

impl Behaviour for WithholdQc {
    fn hears(&mut self, mind: &mut Mind<'_>, from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        if !matches!(message, Message::Vote(_)) {
            return true;
        }
        self.kept = self.kept.saturating_add(1);
        // To nobody: what it keeps is counted.
        out.push(mind.parcel(Vec::new(), message.clone()));
        // Late, to one validator only: whoever it is now knows more than the others.
        if self.kept.is_multiple_of(5) {
            let one = mind.somebody();
            let before: Vec<Vote> = mind.memory.votes.iter().filter(|vote| vote.sender == from).cloned().collect();
            if let Some(vote) = before.first() {
                out.push(mind.parcel(one, Message::Vote(Box::new(resign(mind, vote, |_| ())))));
            }
        }
        false
    }
}
