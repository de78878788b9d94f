//! B25: more than f validators that share their keys fork the chain on purpose.
//!
//! The honest validators are cut into two halves that do not hear each other; each half is a quorum together with the colluders. The
//! colluders' replicas live with the first half and know nothing of the second. When one of them leads, the second half gets another block of
//! the same round, and the colluders certify whatever that half votes for, with all their signatures. Two rounds in a row led by one colluder
//! are enough: the second half commits a block that the first half never sees.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use quorate_harness::contents;
use quorate_types::{
    block::Proposal,
    codec::Bounded,
    committee::{Committee, SignerSet},
    crypto::{Signature, SigningKey},
    ids::ValidatorId,
    message::{Message, Purpose, SyncInfo},
    round::Round,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

use super::{Behaviour, Mind, Parcel, voters::certificate};

/// The colluders, and the two halves of the others.
#[derive(Clone, Debug)]
pub(crate) struct Cabal {
    pub(crate) colluders: Vec<ValidatorId>,
    pub(crate) halves: [Vec<ValidatorId>; 2],
}

impl Cabal {
    /// The fewest colluders that can fork this committee, taking validators in this order; `None` if none can.
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

/// The colluders' shared state.
pub(crate) struct Plot {
    cabal: Cabal,
    keys: Vec<(ValidatorId, SigningKey)>,
    /// The second half's votes, by content, with the colluders' signatures.
    votes: BTreeMap<(VoteInfo, LedgerCommitInfo), BTreeMap<ValidatorId, Signature>>,
    certified: Vec<VoteInfo>,
    /// The newest certificate of the second half's branch.
    branch: Option<QuorumCert>,
    /// The newest commit that the second half may see; a certificate of the other branch beside its own would make it stop.
    branch_commit: Option<QuorumCert>,
    /// The last proposal of a colluder's replica.
    proposed: Option<Proposal>,
    /// The last round in which the second half got a block of its own.
    shown: Round,
    /// The second half got a child of its own block; all that is left is to certify its votes.
    split: bool,
    /// Round of the newest certificate of the common branch that the second half got.
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

    /// Another block of the round, for the second half: on its own branch if that leads into the round, else on the common one. Only its
    /// author may send it.
    fn show(&mut self, mind: &Mind<'_>) -> Option<Parcel> {
        let first = self.proposed.clone().filter(|proposal| proposal.block.author() == mind.me)?;
        let round = first.block.round();
        // Two certificates of one round would make the second half stop, so it must not have seen the first half's.
        let branch = self.branch.clone().filter(|qc| qc.round().next() == round && self.kept_up < qc.round());
        // A lagging half does not know the leader; and in the round after a split only a child of its own block is useful.
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

    /// Adds the colluders' signatures to a vote of the second half, and may send it the certificate.
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
        // The first block's certificate comes with its child, or never.
        if !child || qc.commits().is_none() {
            return None;
        }
        let info = SyncInfo { high_qc: qc.clone(), high_commit_qc: qc, last_round_tc: None };
        Some(mind.parcel(self.second_half(), Message::SyncInfo(Box::new(info))))
    }

    /// Keeps the second half up to date, so that it knows the leaders; but not while it is on its own branch.
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

/// Rounds of the others after which a second half that got a block, but no child of it in time, is brought back to the common branch.
const BRANCH_ROUNDS: u64 = 3;

/// The behaviour of a colluder.
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
            // Requests for blocks of the common branch are served, the second half's too.
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
            // The replica lives with the first half. It serves the second half's requests until there is a separate branch to hide.
            _ if message.purpose() == Purpose::Ask => !(second && plot.split),
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
                    &[],
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
        let alone =
            Setting::draw(&mut Random::new(1), 1, &quorate_builtin::app(), quorate_types::settings::Settings::default(), &[]).unwrap();
        assert!(Cabal::choose(alone.verifier.committee(), &[ValidatorId(0)]).is_none());
    }
}
