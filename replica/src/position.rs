//! Where the protocol stands, for those who check proposals before the replica sees them.

use quorate_consensus::Engine;
use quorate_types::{
    block::Proposal,
    ids::{BlockId, ValidatorId},
    round::Round,
};

/// See the module. It ages with the replica's next step: what it says may be behind the replica, never ahead of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    round: Round,
    leader: ValidatorId,
    /// Of the newest certificate with a commit.
    high_commit: Round,
    missing: Option<BlockId>,
}

impl Position {
    pub(crate) fn of(engine: &Engine) -> Self {
        let round = engine.round();
        let high_commit = engine.tree().high_commit_qc().round();
        Self { round, leader: engine.leader(round), high_commit, missing: engine.missing_block() }
    }

    /// Whether this is the certified block that the replica lacks.
    #[must_use]
    pub fn lacks(&self, block: &BlockId) -> bool {
        self.missing.as_ref() == Some(block)
    }

    /// Whether a proposal whose certificates have been verified may be voted for.
    ///
    /// Certificates that lead beyond our round will bring us there. Of our own round we know the leader, unless the proposal knows of a newer
    /// commit, which may elect another one. Earlier rounds are over.
    #[must_use]
    pub fn may_vote_for(&self, proposal: &Proposal) -> bool {
        let block = &proposal.block;
        let may_lead = block.author() == self.leader || proposal.high_commit_qc.round() > self.high_commit;
        block.round() > self.round || (block.round() == self.round && may_lead)
    }
}
