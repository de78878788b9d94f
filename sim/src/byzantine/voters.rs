//! Lying voters and vote collectors: B2, B6, B17.

use std::collections::{BTreeMap, VecDeque};

use quorate_types::{
    codec::Bounded,
    crypto::{Hash, Signature, Tag},
    ids::{BlockId, StateId, ValidatorId},
    message::{Message, SyncInfo},
    vote::{QuorumCert, Vote, VoteInfo},
};

use super::{Behaviour, Mind, Parcel};

const INVENTED: Tag = Tag::new("quorate/sim-invented");

/// A random hash, of nothing that exists.
pub(super) fn invented(mind: &mut Mind<'_>) -> Hash {
    Hash::of(&INVENTED, &mind.random.next().to_le_bytes())
}

/// The vote with a changed content, properly signed by the liar.
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

/// B2: votes a second time in a round, for a block that does not exist, or one that another validator voted for.
#[derive(Debug, Default)]
pub(super) struct VoteTwice {
    /// The newest votes it has echoed. It echoes each once, or two liars would echo each other for ever.
    echoed: VecDeque<VoteInfo>,
}

/// Most echoed votes remembered.
const ECHOED_MAX: usize = 16;

impl Behaviour for VoteTwice {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(vote) = own_vote(&parcel) else { return vec![parcel] };
        let id = BlockId(invented(mind));
        let second = resign(mind, &vote, |info| info.id = id);
        let second = mind.parcel(parcel.to.clone(), Message::Vote(Box::new(second)));
        if mind.random.chance(500) { vec![second, parcel] } else { vec![parcel, second] }
    }

    /// Votes for whatever another validator votes for.
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

/// B17: votes for a made-up result.
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

/// The certificate made of equal votes.
pub(super) fn certificate(of: &Vote, votes: &BTreeMap<ValidatorId, Signature>) -> QuorumCert {
    QuorumCert {
        vote_info: of.vote_info,
        commit_info: of.commit_info,
        signers: votes.keys().copied().collect(),
        signatures: Bounded::truncated(votes.values().copied().collect()),
    }
}

/// B6: collects votes and withholds the certificate, from its own replica too. Much later, whether or not the others have given up the
/// round, it sends the certificate to a single validator, which then knows more than the others.
#[derive(Debug, Default)]
pub(super) struct WithholdQc {
    /// The newest votes that are not a quorum yet, by content.
    votes: VecDeque<(Vote, BTreeMap<ValidatorId, Signature>)>,
    /// Withheld certificates, the oldest first, each with one that commits.
    kept: VecDeque<SyncInfo>,
}

/// Most vote contents collected at once, and most certificates withheld.
const WITHHELD_MAX: usize = 8;
/// Chance of each pulse, in a thousand, to send a certificate; so it comes out after some rounds.
const SHOWN_PER_MILLE: u64 = 150;

impl WithholdQc {
    fn collect(&mut self, mind: &Mind<'_>, vote: &Vote) {
        let same = |(other, _): &(Vote, _)| (other.vote_info, other.commit_info) == (vote.vote_info, vote.commit_info);
        let position = self.votes.iter().position(same).unwrap_or_else(|| {
            let own = mind.key.sign(&vote.commit_info.digest());
            self.votes.push_back((vote.clone(), BTreeMap::from([(mind.me, own)])));
            if self.votes.len() > WITHHELD_MAX {
                self.votes.pop_front();
            }
            self.votes.len().saturating_sub(1)
        });
        let Some((_, signatures)) = self.votes.get_mut(position) else { return };
        signatures.insert(vote.sender, vote.signature);
        if !mind.committee.is_quorum(signatures.keys().copied().collect()) {
            return;
        }
        let Some((vote, signatures)) = self.votes.remove(position) else { return };
        let high_qc = certificate(&vote, &signatures);
        let high_commit_qc = if high_qc.commits().is_some() { high_qc.clone() } else { vote.high_commit_qc };
        self.kept.push_back(SyncInfo { high_qc, high_commit_qc, last_round_tc: None });
        if self.kept.len() > WITHHELD_MAX {
            self.kept.pop_front();
        }
    }
}

impl Behaviour for WithholdQc {
    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        let Message::Vote(vote) = message else { return true };
        self.collect(mind, vote);
        // Addressed to no one, so that the lie is counted.
        out.push(mind.parcel(Vec::new(), message.clone()));
        false
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        if !mind.random.chance(SHOWN_PER_MILLE) {
            return Vec::new();
        }
        let one = mind.somebody();
        self.kept.pop_front().map(|info| mind.parcel(one, Message::SyncInfo(Box::new(info)))).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_harness::{
        committee::{BEGINNING, Setting},
        pen::Pen,
        random::Random,
    };
    use quorate_types::{
        block::Payload,
        round::{Round, UnixMillis},
    };

    use super::*;
    use crate::byzantine::{Content, Liar, Lie};

    #[test]
    fn a_withheld_certificate_is_made_of_a_quorum_and_comes_out_later_to_one_validator() {
        let setting =
            Setting::draw(&mut Random::new(3), 4, &quorate_builtin::app(), quorate_types::settings::Settings::default(), &[]).unwrap();
        let genesis = setting.verifier.genesis_qc().into_inner();
        let block = Pen::block(ValidatorId(0), Round(1), UnixMillis(BEGINNING.0 + 1), Payload::default(), &genesis);
        let me = (ValidatorId(3), setting.key(ValidatorId(3)).unwrap());
        let committee = Arc::clone(setting.verifier.committee());
        let behaviour = (Lie::WithholdQc, Lie::WithholdQc.behaviour());
        let mut liar = Liar::with(me, setting.genesis_hash(), committee, Random::new(5), behaviour);
        for sender in [0, 1, 2].map(ValidatorId) {
            let vote = Message::Vote(Box::new(Pen::new(&setting).vote(sender, &block, StateId::default(), &genesis)));
            let (passes, said) = liar.hears(sender, &vote, BEGINNING);
            assert!(!passes && said.iter().all(|parcel| parcel.to.is_empty()), "no one learns of it");
        }
        let said: Vec<Parcel> = (0..100).flat_map(|_| liar.pulse(BEGINNING)).collect();
        let [Parcel { to, content: Content::Message(message), .. }] = said.as_slice() else { panic!("{said:?}") };
        assert!(to.len() == 1 && to[0] != ValidatorId(3));
        assert!(setting.verifier.message(ValidatorId(3), Message::clone(message)).is_ok());
        let Message::SyncInfo(info) = &**message else { panic!("{message:?}") };
        assert_eq!(info.high_qc.block_id(), block.id());
    }
}
