//! §3.3 `pending_votes` and `process_vote`: votes of a round are gathered until a quorum of them is equal.
//!
//! One vote of each validator counts in a round, the first; a second, different one is evidence (S4). Rounds are bounded (E15).

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    committee::Committee,
    ids::{StateId, ValidatorId},
    round::Round,
    verify::Verified,
    vote::{QuorumCert, Vote},
};

use crate::effect::Ignored;

/// How far above our round a vote may be: its senders have a certificate that is still on its way to us.
const VOTE_ROUNDS_AHEAD_MAX: u64 = 3;

/// What a vote led to.
#[derive(Debug)]
pub(crate) enum VoteOutcome {
    /// Not yet a quorum.
    Counted,
    /// The votes are a quorum now. Told once for each round.
    Certified(Box<Verified<QuorumCert>>),
    /// The same validator voted otherwise before, in the same round.
    Equivocation(Box<Verified<Vote>>),
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
    /// Adds a vote. `current` is our round: votes of the round before it are what its leader waits for.
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
            Some(first) => return VoteOutcome::Equivocation(Box::new(first.clone())),
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

    /// Forgets the rounds whose votes nobody waits for any more.
    pub(crate) fn enter_round(&mut self, current: Round) {
        self.rounds.retain(|round, _| round.next() >= current);
    }

    /// How many different results the votes of a round name: more than one means that validators compute differently (S8).
    pub(crate) fn results(&self, round: Round) -> usize {
        let results: BTreeSet<StateId> =
            self.rounds.get(&round).into_iter().flat_map(|votes| votes.by_sender.values()).map(|v| v.vote_info.exec_state_id).collect();
        results.len()
    }
}

#[cfg(test)]
mod tests;
