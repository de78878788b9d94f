//! SAFE-3: a timeout never hides a certificate: its `high_qc` is at least as high as every certificate that its signer has voted on.

use std::collections::BTreeMap;

use quorate_types::{ids::ValidatorId, message::Message, round::Round};

use super::{Invariant, Observation};

/// Checker of SAFE-3.
#[derive(Debug, Default)]
pub struct TimeoutsHideNothing {
    /// For each validator, the highest parent round of the blocks it voted for.
    highest_qc: BTreeMap<ValidatorId, Round>,
}

impl TimeoutsHideNothing {
    fn voted_on(&mut self, who: ValidatorId, round: Round) {
        let highest = self.highest_qc.entry(who).or_default();
        *highest = round.max(*highest);
    }
}

impl Invariant for TimeoutsHideNothing {
    fn id(&self) -> &'static str {
        "SAFE-3"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        for qc in observation.certificates() {
            for who in qc.signers.iter() {
                self.voted_on(who, qc.vote_info.parent_round);
            }
        }
        match observation {
            Observation::Sent { node, message: Message::Vote(vote), .. } => self.voted_on(*node, vote.vote_info.parent_round),
            Observation::Sent { node, message: Message::Timeout(message), .. } => {
                let claimed = message.timeout.high_qc.vote_info.round;
                let highest = self.highest_qc.get(node).copied().unwrap_or_default();
                if claimed < highest {
                    return Err(format!(
                        "validator {node} gave up round {} with a certificate of round {claimed}, although it had voted on one of round {highest}",
                        message.timeout.round
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::ids::BlockId;

    use super::*;
    use crate::invariants::examples;

    #[test]
    fn catches_a_timeout_that_hides_a_certificate() {
        let mut rule = TimeoutsHideNothing::default();
        let mut see = |message: &Message| rule.observe(&Observation::Sent { node: ValidatorId(1), message, durable: None });
        see(&examples::vote(1, 5, 4, BlockId::default())).unwrap();
        see(&examples::timeout(1, 6, 4)).unwrap();
        assert!(see(&examples::timeout(1, 7, 3)).is_err());
    }

    #[test]
    fn catches_it_by_a_vote_that_shows_only_inside_a_timeout_certificate() {
        let mut rule = TimeoutsHideNothing::default();
        let mut see = |message: &Message| rule.observe(&Observation::Sent { node: ValidatorId(1), message, durable: None });
        see(&examples::given_up(6, examples::qc(5, 4, BlockId::default(), &[1, 2, 3]))).unwrap();
        assert!(see(&examples::timeout(1, 7, 3)).is_err());
    }
}
