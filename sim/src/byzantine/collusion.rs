//! B25: more than f validators that hold each other's keys fork the chain on purpose.
//!
//! The honest ones are cut into two halves that do not hear each other; each half and the colluders together are a quorum. The replicas of
//! the colluders live with the first half and know nothing. When one of them leads, the second half is shown another block of the same
//! round; whatever a half votes for, the colluders certify with it, in all their names. Two rounds of one leader in a row are enough: the
//! second half commits a block that the first half never sees.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use quorate_harness::contents;
use quorate_types::{
    block::Proposal,
    codec::Bounded,
    committee::{Committee, SignerSet},
    crypto::{Signature, SigningKey},
    ids::ValidatorId,
    message::{Message, SyncInfo},
    round::Round,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

use super::{Behaviour, Mind, Parcel, voters::certificate};

/// Who colludes, and how the others are cut in two.
#[derive(Clone, Debug)]
pub(crate) struct Cabal {
    pub(crate) colluders: Vec<ValidatorId>,
    pub(crate) halves: [Vec<ValidatorId>; 2],
}

impl Cabal {
    /// The fewest colluders that can fork this committee, taking validators in this order; nobody can where all must agree.
    pub(crate) fn choose(committee: &Committee, order: &[ValidatorId]) -> Option<Self> {
        let bearable = committee.total_power().saturating_sub(committee.quorum_power());
        (1..order.len()).find_map(|count| {
            let (colluders, rest) = order.split_at_checked(count)?;
            let power = |ids: &[ValidatorId]| committee.power(ids.iter().copied().collect());
            let mut halves = [Vec::new(), Vec::new()];
            for id in rest {
                let [first, second] = &mut halves;
                if power(first) <= power(second) { first.push(*id) } else { second.push(*id) }
            }
            let own = power(colluders);
            let enough = halves.iter().all(|half| !half.is_empty() && own.saturating_add(power(half)) >= committee.quorum_power());
            (own > bearable && enough).then(|| Self { colluders: colluders.to_vec(), halves })
        })
    }
}

/// What the colluders know together.
pub(crate) struct Plot {
    cabal: Cabal,
    keys: Vec<(ValidatorId, SigningKey)>,
    /// Votes of the second half, by what they are for.
    votes: BTreeMap<(VoteInfo, LedgerCommitInfo), BTreeMap<ValidatorId, Signature>>,
    certified: Vec<VoteInfo>,
    /// The certificate of what the second half was shown last.
    branch: Option<QuorumCert>,
    /// The newest commit that the second half may know of: a certificate of the other branch beside its own makes it stop.
    branch_commit: Option<QuorumCert>,
    /// What one of their replicas proposed last.
    proposed: Option<Proposal>,
    /// In which round the second half was shown something last.
    shown: Round,
    /// It was shown a child of its own block: now there is nothing left to do but to certify what it votes for.
    split: bool,
    /// The round of the newest certificate of the common branch that it was given.
    kept_up: Round,
}

impl Plot {
    pub(crate) fn new(cabal: Cabal, keys: Vec<(ValidatorId, SigningKey)>) -> Rc<RefCell<Self>> {
        let (votes, certified) = (BTreeMap::new(), Vec::new());
        Rc::new(RefCell::new(Self {
            cabal,
            keys,
            votes,
            certified,
            branch: None,
            branch_commit: None,
            proposed: None,
            shown: Round(0),
            split: false,
            kept_up: Round(0),
        }))
    }

    fn second_half(&self) -> Vec<ValidatorId> {
        let [_, second] = &self.cabal.halves;
        second.clone()
    }

    /// Another block of the round, for the second half: on its own branch where that leads into the round, else on the common one. Only its
    /// author may send it.
    fn show(&mut self, mind: &Mind<'_>) -> Option<Parcel> {
        let first = self.proposed.clone().filter(|proposal| proposal.block.author() == mind.me)?;
        let round = first.block.round();
        // Two certificates of one round would make the second half stop: it must not have seen the first half's.
        let branch = self.branch.clone().filter(|qc| qc.round().next() == round && self.kept_up < qc.round());
        // Whoever is behind does not know who leads; and in the round after a split only a child of its own block is of use.
        let knows = self.kept_up.0.saturating_add(4) >= round.0 && (self.shown == Round(0) || self.shown.next() < round);
        if self.split || self.shown >= round || !(branch.is_some() || knows) {
            return None;
        }
        self.split = branch.is_some();
        self.shown = round;
        let mut other = mind.propose(&first, |content| {
            content.timestamp = content.timestamp.next();
            content.payload = Bounded::default();
            if let Some(qc) = &branch {
                content.qc = qc.clone();
            }
        });
        if branch.is_some() {
            other.last_round_tc = None;
            other.high_commit_qc = self.branch_commit.clone().unwrap_or(other.high_commit_qc);
        }
        Some(mind.parcel(self.second_half(), Message::Proposal(Box::new(other))))
    }

    /// Certifies what the second half has voted for.
    fn certify(&mut self, mind: &Mind<'_>, vote: &Vote) -> Option<Parcel> {
        let votes = self.votes.entry((vote.vote_info, vote.commit_info)).or_default();
        votes.insert(vote.sender, vote.signature);
        for (id, key) in &self.keys {
            votes.insert(*id, key.sign(&vote.commit_info.digest()));
        }
        let signers: SignerSet = votes.keys().copied().collect();
        if !mind.committee.is_quorum(signers) || self.certified.contains(&vote.vote_info) {
            return None;
        }
        self.certified.push(vote.vote_info);
        let qc = certificate(vote, votes);
        let child = self.branch.as_ref().is_some_and(|branch| branch.block_id() == qc.vote_info.parent_id);
        self.branch_commit = Some(if qc.commits().is_some() { qc.clone() } else { vote.high_commit_qc.clone() });
        self.branch = Some(qc.clone());
        // The certificate of the first block comes with its child, or never.
        if !child || qc.commits().is_none() {
            return None;
        }
        let info = SyncInfo { high_qc: qc.clone(), high_commit_qc: qc, last_round_tc: None };
        Some(mind.parcel(self.second_half(), Message::SyncInfo(Box::new(info))))
    }

    /// Keeps the second half where the others are, or it would not know who leads; but not while it is on its own branch.
    fn keep_up(&mut self, mind: &Mind<'_>) -> Option<Parcel> {
        let high_qc = mind.memory.high_qc()?.clone();
        let waits = self.shown > Round(0) && high_qc.round().0 < self.shown.0.saturating_add(BRANCH_ROUNDS);
        if self.split || waits {
            return None;
        }
        let high_commit_qc = mind.memory.high_commit_qc()?.clone();
        self.kept_up = self.kept_up.max(high_qc.round());
        Some(mind.parcel(self.second_half(), Message::SyncInfo(Box::new(SyncInfo { high_qc, high_commit_qc, last_round_tc: None }))))
    }
}

/// How many rounds the others go on before a second half that was shown a block, and no child of it in time, is taken back to theirs.
const BRANCH_ROUNDS: u64 = 3;

/// One of the colluders.
pub(crate) struct Collude(pub(crate) Rc<RefCell<Plot>>);

impl std::fmt::Debug for Collude {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collude")
    }
}

impl Behaviour for Collude {
    fn says(&mut self, mind: &mut Mind<'_>, mut parcel: Parcel) -> Vec<Parcel> {
        let mut plot = self.0.borrow_mut();
        let mut parcels = Vec::new();
        match parcel.honest().cloned() {
            Some(Message::Proposal(proposal)) => {
                plot.proposed = Some(*proposal);
                parcels.extend(plot.show(mind));
            }
            // Whoever asks for blocks of the common branch gets them.
            Some(message) if contents::answered_blocks(&message).is_some() => return vec![parcel],
            _ => {}
        }
        let second = plot.second_half();
        parcel.to.retain(|id| !second.contains(id));
        parcels.push(parcel);
        parcels
    }

    fn hears(&mut self, mind: &mut Mind<'_>, from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        let mut plot = self.0.borrow_mut();
        let second = plot.second_half().contains(&from);
        match message {
            Message::Vote(vote) if second => {
                out.extend(plot.certify(mind, vote));
                out.extend(plot.show(mind));
                false
            }
            Message::Proposal(_) if !second => {
                out.extend(plot.keep_up(mind));
                true
            }
            // The replica lives with the first half. For the second half it only serves requests, until there is a branch to keep apart.
            Message::FetchRequest(_) | Message::CatchupRequest(_) | Message::SightingsRequest => !(second && plot.split),
            _ => !second,
        }
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        self.0.borrow_mut().show(mind).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use quorate_harness::{committee::Setting, random::Random};

    use super::*;
    use crate::fault::FaultPlan;

    #[test]
    fn a_cabal_is_more_than_a_committee_bears_and_no_half_is_a_quorum_without_it() {
        for validators in [4, 5, 7, 10] {
            for seed in 0..20 {
                let setting = Setting::draw(
                    &mut Random::new(seed),
                    validators,
                    &quorate_builtin::app(),
                    quorate_types::settings::Settings::default(),
                )
                .unwrap();
                let committee = setting.verifier.committee();
                let cabal = FaultPlan::beyond(&mut Random::new(seed), committee).cabal.unwrap();
                let power = |ids: &[ValidatorId]| committee.power(ids.iter().copied().collect());
                assert!(power(&cabal.colluders) > committee.total_power() - committee.quorum_power());
                for half in &cabal.halves {
                    assert!(power(half) < committee.quorum_power());
                    assert!(power(half) + power(&cabal.colluders) >= committee.quorum_power());
                }
            }
        }
        let alone = Setting::draw(&mut Random::new(1), 1, &quorate_builtin::app(), quorate_types::settings::Settings::default()).unwrap();
        assert!(Cabal::choose(alone.verifier.committee(), &[ValidatorId(0)]).is_none());
    }
}
