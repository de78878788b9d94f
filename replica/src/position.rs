//! Where the protocol stands, for checking proposals before the replica sees them.

use quorate_consensus::Engine;
use quorate_types::{
    block::Proposal,
    ids::{BlockId, ValidatorId},
    round::Round,
};

/// A snapshot of where the protocol stands. The next step of the replica makes it stale: it may lag behind the replica, but is never ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    round: Round,
    leader: ValidatorId,
    /// Round of the newest certificate that commits a block.
    high_commit: Round,
    missing: Option<BlockId>,
}

impl Position {
    pub(crate) fn of(engine: &Engine) -> Self {
        let round = engine.round();
        let high_commit = engine.tree().high_commit_qc().round();
        Self { round, leader: engine.leader(round), high_commit, missing: engine.missing_block() }
    }

    /// Whether this is the certified block that the replica is missing.
    #[must_use]
    pub fn lacks(&self, block: &BlockId) -> bool {
        self.missing.as_ref() == Some(block)
    }

    /// Whether the replica might vote for a proposal whose certificates have been verified.
    ///
    /// Certificates that lead beyond our round will take us there. In our own round we know the leader, unless the proposal carries a newer
    /// commit, which may elect another. Earlier rounds are over.
    #[must_use]
    pub fn may_vote_for(&self, proposal: &Proposal) -> bool {
        let block = &proposal.block;
        let may_lead = block.author() == self.leader || proposal.high_commit_qc.round() > self.high_commit;
        block.round() > self.round || (block.round() == self.round && may_lead)
    }
}
