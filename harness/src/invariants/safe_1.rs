//! SAFE-1: a validator signs at most one vote per round, restarts included. It never signs two different timeouts of one round, nor a vote in
//! a round that it has given up.
//!
//! Reads every vote and timeout sent, and the signers of every certificate: a collector's own vote crosses no network, but shows in the
//! certificate.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    committee::SignerSet,
    ids::ValidatorId,
    message::Message,
    round::Round,
    vote::{LedgerCommitInfo, VoteInfo},
};

use super::{Invariant, Observation};

/// Checker of SAFE-1.
#[derive(Debug, Default)]
pub struct OneVotePerRound {
    faulty: SignerSet,
    votes: BTreeMap<(ValidatorId, Round), (VoteInfo, LedgerCommitInfo)>,
    certified: BTreeMap<Round, (VoteInfo, LedgerCommitInfo)>,
    seen: BTreeSet<(Round, SignerSet, VoteInfo)>,
    timeouts: BTreeMap<(ValidatorId, Round), Round>,
    highest_vote: BTreeMap<ValidatorId, Round>,
    highest_timeout: BTreeMap<ValidatorId, Round>,
}

impl OneVotePerRound {
    /// The rule for every validator except `faulty`.
    #[must_use]
    pub fn new(faulty: SignerSet) -> Self {
        Self { faulty, ..Self::default() }
    }

    fn voted(&mut self, who: ValidatorId, vote: VoteInfo, commit: LedgerCommitInfo) -> Result<bool, String> {
        match self.votes.insert((who, vote.round), (vote, commit)) {
            Some(first) if first != (vote, commit) => {
                Err(format!("validator {who} voted twice in round {}: {:?} and {:?}", vote.round, first.0, vote))
            }
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    fn timed_out(&mut self, who: ValidatorId, round: Round, high_qc: Round) -> Result<(), String> {
        match self.timeouts.insert((who, round), high_qc) {
            Some(first) if first != high_qc => {
                Err(format!("validator {who} signed two timeouts of round {round}, with certificates of rounds {first} and {high_qc}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Invariant for OneVotePerRound {
    fn id(&self) -> &'static str {
        "SAFE-1"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        for qc in observation.certificates() {
            let (vote, commit) = (qc.vote_info, qc.commit_info);
            if vote.round == Round(0) || !self.seen.insert((vote.round, qc.signers, vote)) {
                continue;
            }
            if let Some(first) = self.certified.insert(vote.round, (vote, commit))
                && first != (vote, commit)
            {
                return Err(format!("two certificates of round {}: {:?} and {:?}", vote.round, first.0, vote));
            }
            for who in qc.signers.iter().filter(|who| !self.faulty.contains(*who)).collect::<Vec<_>>() {
                self.voted(who, vote, commit)?;
            }
        }
        match observation {
            Observation::Accused { evidence, .. } if self.faulty.contains(evidence.culprit) => Ok(()),
            Observation::Accused { node, evidence } => {
                Err(format!("validator {node} accuses validator {} in round {}: {evidence:?}", evidence.culprit, evidence.round()))
            }
            Observation::Sent { node, message: Message::Vote(vote), .. } => {
                if *node != vote.sender {
                    return Err(format!("validator {node} sent a vote of validator {}", vote.sender));
                }
                let round = vote.vote_info.round;
                if self.voted(*node, vote.vote_info, vote.commit_info)? {
                    if self.highest_vote.get(node).is_some_and(|highest| *highest >= round) {
                        return Err(format!(
                            "validator {node} voted in round {round} after voting in round {:?}",
                            self.highest_vote.get(node)
                        ));
                    }
                    if self.highest_timeout.get(node).is_some_and(|given_up| *given_up >= round) {
                        return Err(format!(
                            "validator {node} voted in round {round} after it had given up round {:?}",
                            self.highest_timeout.get(node)
                        ));
                    }
                    self.highest_vote.insert(*node, round);
                }
                Ok(())
            }
            Observation::Sent { node, message: Message::Timeout(message), .. } => {
                let timeout = &message.timeout;
                if *node != timeout.sender {
                    return Err(format!("validator {node} sent a timeout of validator {}", timeout.sender));
                }
                self.timed_out(*node, timeout.round, timeout.high_qc.round())?;
                let highest = self.highest_timeout.entry(*node).or_default();
                *highest = timeout.round.max(*highest);
                self.observe_tc(message.last_round_tc.as_ref())
            }
            Observation::Sent { message: Message::Proposal(proposal), .. } => self.observe_tc(proposal.last_round_tc.as_ref()),
            Observation::Sent { message: Message::SyncInfo(info), .. } => self.observe_tc(info.last_round_tc.as_ref()),
            _ => Ok(()),
        }
    }
}

impl OneVotePerRound {
    fn observe_tc(&mut self, tc: Option<&quorate_types::timeout::TimeoutCert>) -> Result<(), String> {
        let Some(tc) = tc else { return Ok(()) };
        for (who, high_qc) in tc.signers.iter().zip(&tc.high_qc_rounds) {
            if !self.faulty.contains(who) {
                self.timed_out(who, tc.round, *high_qc)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Hash, ids::BlockId};

    use super::*;
    use crate::invariants::examples;

    fn see(rule: &mut OneVotePerRound, message: &Message) -> Result<(), String> {
        rule.observe(&Observation::Sent { node: ValidatorId(1), message, durable: None })
    }

    #[test]
    fn catches_two_votes_in_a_round_and_allows_the_same_one_twice() {
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap();
        see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap();
        see(&mut rule, &examples::vote(1, 6, 5, BlockId(Hash([2; 32])))).unwrap();
        assert!(see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([3; 32])))).unwrap_err().contains("voted twice"));
    }

    #[test]
    fn catches_a_vote_in_an_older_round_or_after_a_timeout() {
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap();
        assert!(see(&mut rule, &examples::vote(1, 4, 3, BlockId(Hash([2; 32])))).is_err());
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::timeout(1, 5, 4)).unwrap();
        assert!(see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap_err().contains("given up"));
    }

    #[test]
    fn catches_two_timeouts_that_differ() {
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::timeout(1, 5, 3)).unwrap();
        see(&mut rule, &examples::timeout(1, 5, 3)).unwrap();
        assert!(see(&mut rule, &examples::timeout(1, 5, 4)).unwrap_err().contains("two timeouts"));
    }

    #[test]
    fn catches_a_vote_that_shows_only_in_a_certificate() {
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap();
        let other = || examples::qc(5, 4, BlockId(Hash([2; 32])), &[1, 2, 3]);
        assert!(see(&mut rule, &examples::sync_info(other())).unwrap_err().contains("voted twice"));
        let mut rule = OneVotePerRound::default();
        see(&mut rule, &examples::vote(1, 5, 4, BlockId(Hash([1; 32])))).unwrap();
        assert!(see(&mut rule, &examples::given_up(7, other())).unwrap_err().contains("voted twice"), "inside a timeout certificate");
    }
}
