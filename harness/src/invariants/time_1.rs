//! TIME-1: a validator votes for a block only if the block's time is its parent's plus 1 ms, or at most a quarter of the first timer ahead of
//! the validator's own clock. So no certified block is further ahead of the fastest honest clock, unless it takes the smallest step.
//!
//! Joins each vote with the proposals of its block and of the parent, and with the voter's clock when the vote was recorded: the same vote
//! may be sent again much later, when the clock shows something else.

use std::collections::BTreeMap;

use quorate_types::{
    block::Block,
    genesis::Parameters,
    ids::{BlockId, ValidatorId},
    message::Message,
    round::UnixMillis,
    vote::VoteInfo,
};

use super::{Invariant, Observation};

/// Checker of TIME-1.
#[derive(Debug)]
pub struct TimesFollowClocks {
    tolerance_ms: u64,
    /// Time of the block that the epoch begins with.
    genesis: UnixMillis,
    clocks: BTreeMap<ValidatorId, UnixMillis>,
    /// For each validator, the round of its newest recorded vote and its clock at that moment.
    recorded: BTreeMap<ValidatorId, (u64, UnixMillis)>,
    /// Time and parent of each proposed block.
    blocks: BTreeMap<BlockId, (UnixMillis, BlockId)>,
}

impl TimesFollowClocks {
    /// The rule for a network with these parameters, an epoch that begins with a block of this time, and what clocks have shown before.
    #[must_use]
    pub fn new(parameters: &Parameters, genesis: UnixMillis, clocks: impl IntoIterator<Item = (ValidatorId, UnixMillis)>) -> Self {
        let tolerance_ms = u64::from(parameters.timeout_base_ms / 4);
        Self { tolerance_ms, genesis, clocks: clocks.into_iter().collect(), recorded: BTreeMap::new(), blocks: BTreeMap::new() }
    }

    fn check(&self, node: ValidatorId, vote: &VoteInfo) -> Result<(), String> {
        let block = vote.id;
        let recorded = self.recorded.get(&node).filter(|(round, _)| *round == vote.round.0).map(|(_, clock)| clock);
        // SAFE-2 judges votes for blocks that were never proposed, SAFE-4 votes without a record.
        let (Some((time, parent)), Some(clock)) = (self.blocks.get(&block), recorded) else { return Ok(()) };
        let parent_time = self.blocks.get(parent).map_or(self.genesis, |(time, _)| *time);
        // A block that follows the last one of its epoch has its parent's time.
        let smallest_step = time.0 == parent_time.0.saturating_add(1) || *time == parent_time;
        let ahead = time.0.saturating_sub(clock.0);
        if smallest_step || ahead <= self.tolerance_ms {
            return Ok(());
        }
        let tolerance = self.tolerance_ms;
        Err(format!(
            "validator {node} voted for block {block}, which is {ahead} ms ahead of its clock and not 1 ms after its parent; at most {tolerance} ms are allowed"
        ))
    }
}

impl Invariant for TimesFollowClocks {
    fn id(&self) -> &'static str {
        "TIME-1"
    }

    fn hears_faulty_proposals(&self) -> bool {
        true
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Clock { node, unix } => {
                self.clocks.insert(*node, *unix);
                Ok(())
            }
            Observation::Sent { message: Message::Proposal(proposal), .. } => {
                let block: &Block = &proposal.block;
                self.blocks.insert(block.id(), (block.content().timestamp, block.parent_id()));
                Ok(())
            }
            Observation::Saved { node, record } => {
                let before = self.recorded.get(node).map_or(0, |(round, _)| *round);
                if let (Some(round), Some(clock)) = (record.last_vote_round.filter(|round| *round > before), self.clocks.get(node)) {
                    self.recorded.insert(*node, (round, *clock));
                }
                Ok(())
            }
            Observation::Sent { node, message: Message::Vote(vote), .. } => self.check(*node, &vote.vote_info),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{disk::DurableRecord, invariants::examples};

    fn rule() -> TimesFollowClocks {
        TimesFollowClocks::new(&Parameters::default(), UnixMillis(1_000), [])
    }

    fn sent(rule: &mut TimesFollowClocks, node: u16, message: &Message) -> Result<(), String> {
        rule.observe(&Observation::Sent { node: ValidatorId(node), message, durable: None })
    }

    /// Judges a vote for a block with this time, recorded when the voter's clock shows `recorded` and sent when it shows `sent_at`.
    fn vote_later(time: u64, recorded: u64, sent_at: u64) -> Result<(), String> {
        let mut rule = rule();
        let (node, record) = (ValidatorId(2), DurableRecord { last_vote_round: Some(1), ..DurableRecord::default() });
        let (proposal, id) = examples::proposal_at(1, 1, UnixMillis(time));
        sent(&mut rule, 1, &proposal).unwrap();
        rule.observe(&Observation::Clock { node, unix: UnixMillis(recorded) }).unwrap();
        rule.observe(&Observation::Saved { node, record }).unwrap();
        rule.observe(&Observation::Clock { node, unix: UnixMillis(sent_at) }).unwrap();
        // A restart reads back the same record.
        rule.observe(&Observation::Saved { node, record }).unwrap();
        sent(&mut rule, 2, &examples::vote(2, 1, 0, id))
    }

    fn vote(time: u64, clock: u64) -> Result<(), String> {
        vote_later(time, clock, clock)
    }

    #[test]
    fn judges_a_vote_by_the_clock_of_its_record_however_late_it_is_sent() {
        vote_later(5_000, 5_000, 10).unwrap();
        assert!(vote_later(5_000, 10, 5_000).is_err());
    }

    #[test]
    fn allows_what_the_voters_clock_has_nearly_reached() {
        vote(5_250, 5_000).unwrap();
        vote(2_000, 5_000).unwrap();
    }

    #[test]
    fn allows_the_smallest_step_whatever_the_clock_shows() {
        vote(1_001, 3).unwrap();
    }

    #[test]
    fn catches_a_vote_for_a_block_that_is_ahead_of_the_voters_clock() {
        assert!(vote(5_251, 5_000).is_err());
        assert!(vote(1_002, 3).is_err());
    }
}
