//! EXEC-1: the same block on the same parent gives the same result in votes, in certificates and in committed headers. A block names its
//! parent, so each block has one result.

use std::collections::BTreeMap;

use quorate_types::{
    ids::{BlockId, StateId},
    message::Message,
};

use super::{Invariant, Observation};

/// Checker of EXEC-1.
#[derive(Debug, Default)]
pub struct OneResult {
    results: BTreeMap<BlockId, StateId>,
}

impl OneResult {
    fn result(&mut self, block: BlockId, state: StateId) -> Result<(), String> {
        match self.results.insert(block, state) {
            Some(first) if first != state => Err(format!("block {block:?} has the results {first:?} and {state:?}")),
            Some(_) | None => Ok(()),
        }
    }
}

impl Invariant for OneResult {
    fn id(&self) -> &'static str {
        "EXEC-1"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        for qc in observation.certificates() {
            self.result(qc.vote_info.id, qc.vote_info.exec_state_id)?;
            if let Some(state) = qc.commit_info.commit_state_id {
                self.result(qc.vote_info.parent_id, state)?;
            }
        }
        match observation {
            Observation::Sent { message: Message::Vote(vote), .. } => self.result(vote.vote_info.id, vote.vote_info.exec_state_id),
            Observation::Committed { blocks, .. } => {
                blocks.iter().try_for_each(|(header, _)| self.result(header.block_id, header.state_id()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Hash, ids::ValidatorId};

    use super::*;
    use crate::invariants::examples;

    #[test]
    fn catches_two_results_of_a_block() {
        let mut rule = OneResult::default();
        let block = BlockId(Hash([1; 32]));
        let Message::Vote(mut vote) = examples::vote(1, 5, 4, block) else { panic!("a vote") };
        let mut see = |message: Message| rule.observe(&Observation::Sent { node: ValidatorId(1), message: &message, durable: None });
        see(Message::Vote(vote.clone())).unwrap();
        see(Message::Vote(vote.clone())).unwrap();
        vote.vote_info.exec_state_id = StateId(Hash([9; 32]));
        assert!(see(Message::Vote(vote)).is_err());
        let mut qc = examples::qc(5, 4, block, &[1, 2, 3]);
        qc.vote_info.exec_state_id = StateId(Hash([8; 32]));
        assert!(see(examples::given_up(7, qc)).is_err(), "inside a timeout certificate");
    }
}
