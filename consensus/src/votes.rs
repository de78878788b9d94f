//! §3.3 `pending_votes` and `process_vote`: collects the votes of a round until a quorum agrees.
//!
//! A validator's first vote in a round counts; a second, different one is evidence (S4). The number of rounds is bounded (E15).

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    committee::Committee,
    evidence::Evidence,
    ids::{StateId, ValidatorId},
    round::Round,
    verify::Verified,
    vote::{QuorumCert, Vote},
};

use crate::effect::Ignored;

/// How far above our round a vote may be: its sender has a certificate that has not reached us yet.
const VOTE_ROUNDS_AHEAD_MAX: u64 = 3;

/// The effect of a vote.
#[derive(Debug)]
pub(crate) enum VoteOutcome {
    /// Recorded; makes no new certificate.
    Counted,
    /// Completes a quorum. Returned once per round.
    Certified(Box<Verified<QuorumCert>>),
    /// The sender's first vote in this round is another one.
    Equivocation(Box<Evidence>),
    /// No effect.
    Ignored(Ignored),
}

#[derive(Debug, Default)]
struct RoundVotes {
    by_sender: BTreeMap<ValidatorId, Verified<Vote>>,
    certified: bool,
}

/// The votes of the rounds around ours.
#[derive(Debug, Default)]
pub(crate) struct PendingVotes {
    rounds: BTreeMap<Round, RoundVotes>,
}

impl PendingVotes {
    /// Adds a vote. `current` is our round, whose leader still waits for votes of the round before it.
    pub(crate) fn add(&mut self, committee: &Committee, current: Round, vote: Verified<Vote>) -> VoteOutcome {
        let round = vote.vote_info.round;
        if round.next() < current {
            return VoteOutcome::Ignored(Ignored::OldRound);
        }
        if round.since(current) > VOTE_ROUNDS_AHEAD_MAX {
            return VoteOutcome::Ignored(Ignored::FarRound);
        }
        let votes = self.rounds.entry(round).or_default();
        match votes.by_sender.get(&vote.sender) {
            Some(first) if first.commit_info == vote.commit_info => return VoteOutcome::Ignored(Ignored::Duplicate),
            Some(first) => return VoteOutcome::Equivocation(Box::new(Evidence::votes(first, &vote))),
            None => {}
        }
        let commit_info = vote.commit_info;
        votes.by_sender.insert(vote.sender, vote);
        if votes.certified {
            return VoteOutcome::Counted;
        }
        let equal: BTreeMap<_, _> = votes.by_sender.iter().map(|(id, v)| (*id, v)).filter(|(_, v)| v.commit_info == commit_info).collect();
        match Verified::<QuorumCert>::aggregate(committee, &equal) {
            Some(qc) => {
                votes.certified = true;
                VoteOutcome::Certified(Box::new(qc))
            }
            None => VoteOutcome::Counted,
        }
    }

    /// Drops the rounds whose votes are no longer needed.
    pub(crate) fn enter_round(&mut self, current: Round) {
        self.rounds.retain(|round, _| round.next() >= current);
    }

    /// How many different results the votes of a round name: more than one means that validators computed differently (S8).
    pub(crate) fn results(&self, round: Round) -> usize {
        let results: BTreeSet<StateId> =
            self.rounds.get(&round).into_iter().flat_map(|votes| votes.by_sender.values()).map(|v| v.vote_info.exec_state_id).collect();
        results.len()
    }
}

#[cfg(test)]
mod tests;
