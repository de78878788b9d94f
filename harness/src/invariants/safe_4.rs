//! SAFE-4: no signature exists before its record is durable, and the counters of durable records never go down.
//!
//! When a vote, a timeout or a proposal is handed to the network, the checker asks the disk what it would give back if power failed at that
//! moment. It decodes the record itself instead of using the code that wrote it.

use std::collections::BTreeMap;

use quorate_types::ids::ValidatorId;

use super::{Invariant, Observation};
use crate::{
    contents::{self, Statement},
    disk::DurableRecord,
};

/// Checker of SAFE-4.
#[derive(Debug, Default)]
pub struct DurableBeforeSigned {
    newest: BTreeMap<ValidatorId, DurableRecord>,
}

impl Invariant for DurableBeforeSigned {
    fn id(&self) -> &'static str {
        "SAFE-4"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Saved { node, record } => {
                let before = self.newest.insert(*node, *record).unwrap_or_default();
                // Rounds start again in each epoch.
                let before = if record.epoch > before.epoch { DurableRecord::default() } else { before };
                let went_down = record.epoch < before.epoch
                    || record.highest_vote_round < before.highest_vote_round
                    || record.highest_qc_round < before.highest_qc_round
                    || record.last_proposed_round < before.last_proposed_round
                    || record.last_vote_round < before.last_vote_round
                    || record.last_timeout_round < before.last_timeout_round;
                if went_down {
                    return Err(format!("a counter of validator {node} went down: {before:?}, then {record:?}"));
                }
                Ok(())
            }
            Observation::Forgot { node } => {
                self.newest.remove(node);
                Ok(())
            }
            Observation::Sent { node, message, durable } => {
                let durable = durable.unwrap_or_default();
                let is_of_epoch = message.epoch().is_none_or(|epoch| epoch.0 == durable.epoch);
                let covered = contents::statement(message).is_none_or(|statement| match statement {
                    // Votes and timeouts raise the same counter. The last vote and the last timeout tell which of them did.
                    Statement::Vote(vote) => {
                        let round = vote.vote_info.round.0;
                        let is_written = durable.highest_vote_round >= round && durable.last_vote_round >= Some(round);
                        is_written && durable.highest_qc_round >= vote.vote_info.parent_round.0
                    }
                    Statement::Timeout(timeout) => {
                        let round = timeout.timeout.round.0;
                        durable.highest_vote_round >= round && durable.last_timeout_round >= Some(round)
                    }
                    Statement::Proposal(proposal) => durable.last_proposed_round >= proposal.block.round().0,
                });
                if covered && (is_of_epoch || contents::statement(message).is_none()) {
                    Ok(())
                } else {
                    Err(format!("validator {node} sent {message:?}, but only {durable:?} is durable"))
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{ids::BlockId, message::Message};

    use super::*;
    use crate::invariants::examples;

    const RECORD: DurableRecord = DurableRecord {
        epoch: 0,
        highest_vote_round: 5,
        highest_qc_round: 4,
        last_proposed_round: 3,
        last_vote_round: Some(5),
        last_timeout_round: Some(5),
    };

    #[test]
    fn catches_a_message_whose_record_is_not_durable() {
        let sent = |message: &Message| {
            let observation = Observation::Sent { node: ValidatorId(1), message, durable: Some(RECORD) };
            DurableBeforeSigned::default().observe(&observation)
        };
        sent(&examples::vote(1, 5, 4, BlockId::default())).unwrap();
        assert!(sent(&examples::vote(1, 6, 4, BlockId::default())).is_err());
        assert!(sent(&examples::vote(1, 5, 5, BlockId::default())).is_err());
        sent(&examples::timeout(1, 5, 4)).unwrap();
        assert!(sent(&examples::timeout(1, 6, 4)).is_err());
        sent(&examples::proposal(1, 3, 2, None).0).unwrap();
        assert!(sent(&examples::proposal(1, 4, 3, None).0).is_err());
        let vote = examples::vote(1, 5, 4, BlockId::default());
        let unsaved = Observation::Sent { node: ValidatorId(1), message: &vote, durable: None };
        assert!(DurableBeforeSigned::default().observe(&unsaved).is_err());
    }

    #[test]
    fn a_vote_that_is_durable_does_not_cover_a_timeout_of_its_round_nor_the_other_way_round() {
        let sent = |message: &Message, record: DurableRecord| {
            let observation = Observation::Sent { node: ValidatorId(1), message, durable: Some(record) };
            DurableBeforeSigned::default().observe(&observation)
        };
        let (vote, timeout) = (examples::vote(1, 5, 4, BlockId::default()), examples::timeout(1, 5, 4));
        for last_timeout_round in [None, Some(4)] {
            let voted = DurableRecord { last_timeout_round, ..RECORD };
            sent(&vote, voted).unwrap();
            assert!(sent(&timeout, voted).is_err());
        }
        for last_vote_round in [None, Some(4)] {
            let gave_up = DurableRecord { last_vote_round, ..RECORD };
            sent(&timeout, gave_up).unwrap();
            assert!(sent(&vote, gave_up).is_err());
        }
    }

    #[test]
    fn catches_a_counter_that_goes_down() {
        let lower = [
            DurableRecord { highest_vote_round: 4, ..RECORD },
            DurableRecord { highest_qc_round: 3, ..RECORD },
            DurableRecord { last_proposed_round: 2, ..RECORD },
            DurableRecord { last_vote_round: Some(4), ..RECORD },
            DurableRecord { last_timeout_round: None, ..RECORD },
        ];
        for lower in lower {
            let mut rule = DurableBeforeSigned::default();
            rule.observe(&Observation::Saved { node: ValidatorId(1), record: RECORD }).unwrap();
            rule.observe(&Observation::Saved { node: ValidatorId(1), record: RECORD }).unwrap();
            assert!(rule.observe(&Observation::Saved { node: ValidatorId(1), record: lower }).is_err());
        }
    }
}
