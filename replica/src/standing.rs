//! Where a replica stands, and what it has seen of the others: for people who ask why nothing is committed. Nothing is decided by it.

use quorate_consensus::Engine;
use quorate_types::{
    ids::{BlockId, ValidatorId},
    round::{Height, Round},
    sighting::Sightings,
};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The current round.
    pub round: Round,
    /// Who leads it.
    pub leader: ValidatorId,
    /// Round of the highest quorum certificate.
    pub high_qc_round: Round,
    /// The newest block that is committed.
    pub height: Height,
    /// Its round.
    pub committed_round: Round,
    /// Highest round with a vote or timeout of ours.
    pub highest_vote_round: Round,
    /// Our lock: the highest round whose certificate we have voted on.
    pub locked_round: Round,
    /// Blocks are being fetched, or we have not yet asked around after the start.
    pub catching_up: bool,
    /// Different results that recent votes name; more than one is an alarm (S8).
    pub results_in_votes: usize,
    /// What was seen of each validator, in the order of the committee. Of ourselves it is what others have sent back to us.
    pub seen: Vec<LastSeen>,
}

/// What was seen of a validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSeen {
    /// The highest round in which it has signed something, of the rounds that certificates have led to.
    pub round: Option<Round>,
    /// A round beyond those that it has signed something in. It may be a lie: a vote is signed for any round at all.
    pub claimed_round: Option<Round>,
    /// Its newest vote.
    pub vote: Option<(Round, BlockId)>,
}

impl Standing {
    pub(crate) fn of(engine: &Engine, height: Height, catching_up: bool, sightings: impl Iterator<Item = Sightings>) -> Self {
        let (round, record) = (engine.round(), engine.safety_record());
        Self {
            round,
            leader: engine.leader(round),
            high_qc_round: engine.tree().high_qc().round(),
            height,
            committed_round: engine.tree().root().round,
            highest_vote_round: record.highest_vote_round(),
            locked_round: record.highest_qc_round(),
            catching_up,
            results_in_votes: engine.results_in_votes(),
            seen: sightings.map(|sightings| LastSeen::of(&sightings, round)).collect(),
        }
    }
}

impl LastSeen {
    /// `current` is our round: the highest that a certificate has led to.
    fn of(sightings: &Sightings, current: Round) -> Self {
        let vote = sightings.vote.map(|vote| (vote.vote_info.round, vote.vote_info.id));
        let rounds = || {
            let others = [sightings.timeout.map(|timeout| timeout.round), sightings.proposal.map(|proposal| proposal.head.round)];
            others.into_iter().chain([vote.map(|(round, _)| round)]).flatten()
        };
        Self {
            round: rounds().filter(|round| *round <= current).max(),
            claimed_round: rounds().filter(|round| *round > current).max(),
            vote,
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Signature, round::Epoch, sighting::SeenTimeout};

    use super::*;

    #[test]
    fn a_round_that_no_certificate_has_led_to_is_a_claim_and_hides_nothing_that_was_seen() {
        let timeout = |round| SeenTimeout { epoch: Epoch(0), round: Round(round), high_qc_round: Round(0), signature: Signature([0; 64]) };
        let seen = |round| LastSeen::of(&Sightings { timeout: Some(timeout(round)), ..Sightings::none(ValidatorId(1)) }, Round(7));
        assert_eq!(seen(7), LastSeen { round: Some(Round(7)), ..LastSeen::default() });
        assert_eq!(seen(u64::MAX), LastSeen { claimed_round: Some(Round(u64::MAX)), ..LastSeen::default() });
        assert_eq!(LastSeen::of(&Sightings::none(ValidatorId(1)), Round(7)), LastSeen::default());
    }
}
