//! SAFE-2: a voted block extends the certificate of round − 1, or comes with a timeout certificate of round − 1 and extends a certificate at
//! least as high as every one that the timeout certificate reports.
//!
//! Joins each vote with the proposal of its block. A vote whose proposal is never seen stays open: the author votes for its own block before
//! the proposal has left, and may lose power in between. A faulty leader's proposals count as they left, rewritten or not. If a proposal
//! reaches an honest validator but was never seen leaving, the run itself is wrong, and the error says so.

use std::collections::BTreeMap;

use quorate_types::{
    ids::{BlockId, ValidatorId},
    message::Message,
    round::Round,
    vote::VoteInfo,
};

use super::{Invariant, Observation};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proposed {
    round: Round,
    parent: BlockId,
    parent_round: Round,
    /// The timeout certificate's round and the highest round in it.
    tc: Option<(Round, Round)>,
}

/// Checker of SAFE-2.
#[derive(Debug, Default)]
pub struct VotesExtend {
    /// A faulty leader may send one block with several certificates, so each proposal of the block is kept.
    proposals: BTreeMap<BlockId, Vec<Proposed>>,
    open: BTreeMap<BlockId, Vec<(ValidatorId, VoteInfo)>>,
}

fn check(who: ValidatorId, vote: &VoteInfo, proposals: &[Proposed]) -> Result<(), String> {
    if proposals.iter().any(|block| allows(vote, block)) {
        Ok(())
    } else {
        Err(format!("validator {who} voted for {vote:?}, which none of the block's proposals allows: {proposals:?}"))
    }
}

fn allows(vote: &VoteInfo, block: &Proposed) -> bool {
    let fits = (vote.round, vote.parent_id, vote.parent_round) == (block.round, block.parent, block.parent_round);
    let on_certificate = block.parent_round.0.checked_add(1) == Some(block.round.0);
    let after_timeouts =
        block.tc.is_some_and(|(round, highest)| round.0.checked_add(1) == Some(block.round.0) && block.parent_round >= highest);
    fits && (on_certificate || after_timeouts)
}

impl Invariant for VotesExtend {
    fn id(&self) -> &'static str {
        "SAFE-2"
    }

    fn hears_faulty_proposals(&self) -> bool {
        true
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Sent { message: Message::Proposal(proposal), .. } => {
                let block = &proposal.block;
                let tc = proposal.last_round_tc.as_ref();
                let highest = |rounds: &[Round]| rounds.iter().copied().max().unwrap_or_default();
                let proposed = Proposed {
                    round: block.round(),
                    parent: block.qc().vote_info.id,
                    parent_round: block.qc().vote_info.round,
                    tc: tc.map(|tc| (tc.round, highest(&tc.high_qc_rounds))),
                };
                let proposals = self.proposals.entry(block.id()).or_default();
                if !proposals.contains(&proposed) {
                    proposals.push(proposed);
                }
                for (who, vote) in self.open.remove(&block.id()).unwrap_or_default() {
                    check(who, &vote, proposals)?;
                }
                Ok(())
            }
            Observation::Received { node, from, message: Message::Proposal(proposal), .. } => {
                let block = proposal.block.id();
                if self.proposals.contains_key(&block) {
                    return Ok(());
                }
                Err(format!(
                    "validator {node} received block {block} from {from}, but nobody was seen sending it: the simulator forgot a \
                     proposal, so this run judges no votes for it"
                ))
            }
            Observation::Sent { node, message: Message::Vote(vote), .. } => {
                let vote = vote.vote_info;
                if let Some(block) = self.proposals.get(&vote.id) {
                    return check(*node, &vote, block);
                }
                self.open.entry(vote.id).or_default().push((*node, vote));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        let several = |votes: &[(ValidatorId, VoteInfo)]| votes.iter().any(|(who, _)| votes.first().is_some_and(|(first, _)| who != first));
        match self.open.iter().find(|(_, votes)| several(votes)) {
            Some((block, votes)) => {
                Err(format!("several validators voted for block {block}, which no validator sent or received: {votes:?}"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::examples;

    fn see(rule: &mut VotesExtend, node: u16, message: &Message) -> Result<(), String> {
        rule.observe(&Observation::Sent { node: ValidatorId(node), message, durable: None })
    }

    #[test]
    fn allows_a_block_on_the_certificate_of_the_round_before() {
        let mut rule = VotesExtend::default();
        let (proposal, id) = examples::proposal(1, 5, 4, None);
        see(&mut rule, 1, &proposal).unwrap();
        see(&mut rule, 2, &examples::vote(2, 5, 4, id)).unwrap();
    }

    #[test]
    fn tells_a_proposal_that_the_run_forgot_from_one_that_nobody_made() {
        let (proposal, id) = examples::proposal(1, 5, 4, None);
        let received = Observation::Received { node: ValidatorId(2), from: ValidatorId(1), message: &proposal, is_verified: true };
        let mut rule = VotesExtend::default();
        assert!(rule.observe(&received).unwrap_err().contains("the simulator forgot a proposal"));
        see(&mut rule, 1, &proposal).unwrap();
        rule.observe(&received).unwrap();

        let mut rule = VotesExtend::default();
        see(&mut rule, 2, &examples::vote(2, 5, 4, id)).unwrap();
        rule.finish().unwrap();
        see(&mut rule, 3, &examples::vote(3, 5, 4, id)).unwrap();
        assert!(rule.finish().unwrap_err().contains("no validator sent or received"));
    }

    #[test]
    fn catches_a_vote_for_a_block_that_skips_rounds_without_a_timeout_certificate() {
        let mut rule = VotesExtend::default();
        let (proposal, id) = examples::proposal(1, 6, 4, None);
        see(&mut rule, 1, &proposal).unwrap();
        assert!(see(&mut rule, 2, &examples::vote(2, 6, 4, id)).is_err());
    }

    #[test]
    fn catches_a_vote_for_a_block_below_what_the_timeout_certificate_reports() {
        for (highest, allowed) in [(4, true), (5, false)] {
            let mut rule = VotesExtend::default();
            let (proposal, id) = examples::proposal(1, 8, 4, Some((7, highest)));
            // The vote comes first.
            see(&mut rule, 2, &examples::vote(2, 8, 4, id)).unwrap();
            assert_eq!(see(&mut rule, 1, &proposal).is_ok(), allowed);
        }
    }
}
