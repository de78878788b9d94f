//! TREE-2: a direct commit needs two certified blocks in contiguous rounds; ancestors are committed with it, the oldest first.

use std::collections::BTreeMap;

use quorate_types::{crypto::Hash, header::Header, ids::StateId};

use super::{Invariant, Observation};

/// Checker of TREE-2.
#[derive(Debug, Default)]
pub struct TwoChain {
    /// The epoch state that each committed result leaves in force. A block that changes it is the last of its epoch, and a certificate may
    /// commit it through a block that follows it and has its result.
    epoch_states: BTreeMap<StateId, Hash>,
}

impl TwoChain {
    /// The rule for a network that begins with this result, which leaves this epoch state in force.
    #[must_use]
    pub fn new(genesis: StateId, epoch_state: Hash) -> Self {
        Self { epoch_states: BTreeMap::from([(genesis, epoch_state)]) }
    }

    fn ends_epoch(&self, header: &Header) -> bool {
        self.epoch_states.get(&header.parent).is_some_and(|before| *before != header.epoch_state)
    }
}

impl Invariant for TwoChain {
    fn id(&self) -> &'static str {
        "TREE-2"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Committed { node, blocks, qc } = observation else { return Ok(()) };
        let Some((last, _)) = blocks.last() else { return Err(format!("validator {node} committed nothing")) };
        let vote = &qc.vote_info;
        if vote.parent_round.0.checked_add(1) != Some(vote.round.0) {
            return Err(format!("validator {node} committed by {qc:?}, whose parent has round {}", vote.parent_round));
        }
        for (header, _) in *blocks {
            self.epoch_states.insert(header.state_id(), header.epoch_state);
        }
        let directly = vote.parent_id == last.block_id && vote.parent_round == last.round;
        let through = self.ends_epoch(last) && vote.parent_round > last.round;
        if !(directly || through) || qc.commit_info.commit_state_id != Some(last.state_id()) {
            return Err(format!("validator {node} committed {last:?} by {qc:?}"));
        }
        let mut parent: Option<(StateId, &Header)> = None;
        for (header, _) in *blocks {
            if let Some((state_id, before)) = parent
                && (header.parent != state_id || header.round <= before.round || header.height.0 != before.height.0.saturating_add(1))
            {
                return Err(format!("validator {node} committed {header:?} after {before:?}"));
            }
            parent = Some((header.state_id(), header));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{ids::ValidatorId, vote::QuorumCert};

    use super::*;
    use crate::invariants::examples;

    fn commit(headers: &[&Header], qc: &QuorumCert) -> Result<(), String> {
        let blocks: Vec<_> = headers.iter().map(|header| (*header, [].as_slice())).collect();
        TwoChain::default().observe(&Observation::Committed { node: ValidatorId(1), blocks: &blocks, qc })
    }

    #[test]
    fn catches_a_commit_without_contiguous_rounds_or_out_of_order() {
        let first = examples::header(1, 1, StateId::default());
        let second = examples::header(2, 3, first.state_id());
        commit(&[&first, &second], &examples::qc_on(4, &second)).unwrap();
        assert!(commit(&[&first, &second], &examples::qc_on(5, &second)).is_err());
        assert!(commit(&[&first, &second], &examples::qc_on(2, &first)).is_err());
        assert!(commit(&[&second, &first], &examples::qc_on(2, &first)).is_err());
        assert!(commit(&[], &examples::qc_on(2, &first)).is_err());
    }
}
