//! SAFE-5: a leader signs at most one proposal per round, restarts included.
//!
//! Reads every block in every message, so a block that only others pass on counts too.

use std::collections::BTreeMap;

use quorate_types::{
    committee::SignerSet,
    ids::{BlockId, ValidatorId},
    round::Round,
};

use super::{Invariant, Observation};

/// Checker of SAFE-5.
#[derive(Debug, Default)]
pub struct OneProposalPerRound {
    faulty: SignerSet,
    blocks: BTreeMap<(ValidatorId, Round), BlockId>,
}

impl OneProposalPerRound {
    /// The rule for every validator except `faulty`.
    #[must_use]
    pub fn new(faulty: SignerSet) -> Self {
        Self { faulty, ..Self::default() }
    }
}

impl Invariant for OneProposalPerRound {
    fn id(&self) -> &'static str {
        "SAFE-5"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        for block in observation.blocks() {
            let (author, round, id) = (block.author(), block.round(), block.id());
            if !self.faulty.contains(author)
                && let Some(first) = self.blocks.insert((author, round), id)
                && first != id
            {
                return Err(format!("validator {author} proposed twice in round {round}: {first:?} and {id:?}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::examples;

    #[test]
    fn catches_two_proposals_in_a_round_and_allows_the_same_one_twice() {
        let mut rule = OneProposalPerRound::default();
        let mut see = |message| rule.observe(&Observation::Sent { node: ValidatorId(1), message: &message, durable: None });
        see(examples::proposal(1, 5, 4, None).0).unwrap();
        see(examples::proposal(1, 5, 4, None).0).unwrap();
        see(examples::proposal(2, 5, 4, None).0).unwrap();
        assert!(see(examples::proposal(1, 5, 3, Some((4, 3))).0).is_err());
    }
}
