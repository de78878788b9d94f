//! Where a replica stands and what it has seen of other validators, to show why nothing is committed. No decision depends on it.

use std::collections::BTreeMap;

use quorate_consensus::Engine;
use quorate_types::{
    ids::{BlockId, ValidatorId},
    round::{Height, Round},
    sighting::Sightings,
};

/// A replica's progress, for people; see the module docs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The current round.
    pub round: Round,
    /// Leader of the current round.
    pub leader: ValidatorId,
    /// Round of the high QC.
    pub high_qc_round: Round,
    /// Height of the newest committed block.
    pub height: Height,
    /// Round of the newest committed block.
    pub committed_round: Round,
    /// Highest round with a vote or timeout of ours.
    pub highest_vote_round: Round,
    /// Our lock: the highest round of a certificate in a block we voted for.
    pub locked_round: Round,
    /// Blocks are being fetched, or we do not know yet after the start whether we lag.
    pub catching_up: bool,
    /// Different results that recent votes name; more than one is an alarm (S8).
    pub results_in_votes: usize,
    /// What was seen of each member; of ourselves, what peers have sent back to us.
    pub seen: BTreeMap<ValidatorId, LastSeen>,
}

/// The newest signatures seen of a validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSeen {
    /// The highest round it has signed in, of the rounds that certificates have led to.
    pub round: Option<Round>,
    /// The highest round beyond those that it has signed in. It may be a lie: a vote can be signed for any round.
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
            seen: sightings.map(|sightings| (sightings.of, LastSeen::of(&sightings, round))).collect(),
        }
    }
}

impl LastSeen {
    /// `current` is our round, the highest that a certificate has led to.
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
        let seen =
            |round| LastSeen::of(&Sightings { timeout: Some(timeout(round)), ..Sightings::none(Epoch(0), ValidatorId(1)) }, Round(7));
        assert_eq!(seen(7), LastSeen { round: Some(Round(7)), ..LastSeen::default() });
        assert_eq!(seen(u64::MAX), LastSeen { claimed_round: Some(Round(u64::MAX)), ..LastSeen::default() });
        assert_eq!(LastSeen::of(&Sightings::none(Epoch(0), ValidatorId(1)), Round(7)), LastSeen::default());
    }
}
