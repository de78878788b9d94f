//! Finds the liars from signatures alone: the votes and certificates sent over the network, which any observer could have kept.
//!
//! Two blocks can be certified in one round only if more than f validators signed votes for both. Both certificates together convict them,
//! even if every honest validator stopped before it saw both (Sheng et al., "BFT Protocol Forensics", 2021).

use std::collections::{BTreeMap, BTreeSet};

use quorate_harness::contents::{self, Statement};
use quorate_types::{
    block::Block,
    committee::SignerSet,
    ids::{BlockId, ValidatorId},
    message::Message,
    round::{Epoch, Round},
    vote::{QuorumCert, VoteInfo},
};

/// The signatures observed so far.
#[derive(Debug, Default)]
pub(crate) struct Forensics {
    /// Signers of votes, by epoch, round and block.
    votes: BTreeMap<(Epoch, Round), BTreeMap<BlockId, SignerSet>>,
    /// Blocks with a certificate.
    certified: BTreeSet<BlockId>,
    /// Proposed blocks, by epoch, round and author.
    proposals: BTreeMap<(Epoch, Round, ValidatorId), BTreeSet<BlockId>>,
    after_timeout: bool,
}

impl Forensics {
    /// Records the signatures in a message.
    pub(crate) fn observe(&mut self, message: &Message) {
        match contents::statement(message) {
            Some(Statement::Proposal(proposal)) => {
                let block: &Block = &proposal.block;
                self.proposals.entry((block.content().epoch, block.round(), block.author())).or_default().insert(block.id());
                self.after_timeout |= proposal.last_round_tc.is_some();
            }
            Some(Statement::Vote(vote)) => self.signed(vote.commit_info.epoch, &vote.vote_info, std::iter::once(vote.sender).collect()),
            Some(Statement::Timeout(_)) | None => {}
        }
        contents::quorum_certs(message).for_each(|qc| self.certificate(qc));
    }

    fn certificate(&mut self, qc: &QuorumCert) {
        self.signed(qc.commit_info.epoch, &qc.vote_info, qc.signers);
        self.certified.insert(qc.block_id());
    }

    fn signed(&mut self, epoch: Epoch, vote: &VoteInfo, signers: SignerSet) {
        let known = self.votes.entry((epoch, vote.round)).or_default().entry(vote.id).or_default();
        *known = known.union(signers);
    }

    /// Whether a certificate of the block was seen.
    pub(crate) fn is_certified(&self, block: &BlockId) -> bool {
        self.certified.contains(block)
    }

    /// Whether an author proposed two blocks in one round.
    pub(crate) fn two_proposals(&self) -> bool {
        self.proposals.values().any(|blocks| blocks.len() > 1)
    }

    /// Whether any proposal carried a timeout certificate.
    pub(crate) const fn after_timeout(&self) -> bool {
        self.after_timeout
    }

    /// Validators that signed votes for two blocks in one round.
    pub(crate) fn culprits(&self) -> SignerSet {
        let mut culprits = SignerSet::default();
        for blocks in self.votes.values().filter(|blocks| blocks.len() > 1) {
            let mut once = SignerSet::default();
            for signers in blocks.values() {
                for twice in signers.iter().filter(|signer| once.contains(*signer)) {
                    culprits.insert(twice);
                }
                once = once.union(*signers);
            }
        }
        culprits
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::crypto::Hash;

    use quorate_harness::invariants::examples;

    use super::*;

    #[test]
    fn names_who_voted_for_two_blocks_of_a_round_and_nobody_else() {
        let (one, other) = (BlockId(Hash([1; 32])), BlockId(Hash([2; 32])));
        let mut forensics = Forensics::default();
        forensics.observe(&examples::sync_info(examples::qc(5, 4, one, &[0, 1, 2])));
        forensics.observe(&examples::vote(3, 5, 4, other));
        assert!(forensics.culprits().is_empty());
        forensics.observe(&examples::sync_info(examples::qc(5, 4, other, &[0, 1, 3])));
        assert_eq!(forensics.culprits().iter().collect::<Vec<_>>(), [ValidatorId(0), ValidatorId(1)]);
        assert!(forensics.is_certified(&one) && !forensics.two_proposals());
    }
}
