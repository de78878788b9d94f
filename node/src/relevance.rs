//! Decides which proposals can matter, before the signatures of their transactions are verified.
//!
//! A full block costs more to verify than everything else in a round together, and any validator can sign one at any time. So the replica
//! publishes its position in the protocol, and the transactions of a proposal are verified only if the replica might vote for it or is missing
//! its block. Any other proposal is reduced to its certificates, which is all that the replica would take from it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use quorate_replica::Position;
use quorate_types::{
    block::Proposal,
    ids::{BlockId, ValidatorId},
    round::Round,
};

/// Blocks considered per author and round: the second one is the evidence against the author.
const BLOCKS_PER_ROUND_MAX: usize = 2;

/// The replica's position, and the blocks already considered.
#[derive(Debug, Default)]
pub(crate) struct Relevance {
    position: Mutex<Position>,
    /// For each author, the newest round considered and its blocks. Bounded by the committee.
    seen: Mutex<BTreeMap<ValidatorId, (Round, Vec<BlockId>)>>,
}

impl Relevance {
    /// Sets the replica's current position.
    pub(crate) fn publish(&self, position: Position) {
        *lock(&self.position) = position;
    }

    /// Forgets the blocks of the epoch before, whose rounds mean nothing in this one.
    pub(crate) fn begin_epoch(&self, position: Position) {
        self.publish(position);
        lock(&self.seen).clear();
    }

    /// Whether the transactions of a proposal should be verified. Everything else in it already is.
    pub(crate) fn matters(&self, proposal: &Proposal) -> bool {
        let position = *lock(&self.position);
        let (author, round, id) = (proposal.block.author(), proposal.block.round(), proposal.block.id());
        if position.lacks(&id) {
            return true;
        }
        if !position.may_vote_for(proposal) {
            return false;
        }
        let mut seen = lock(&self.seen);
        let (newest, blocks) = seen.entry(author).or_default();
        if round > *newest {
            (*newest, *blocks) = (round, Vec::new());
        }
        let is_new = round == *newest && blocks.len() < BLOCKS_PER_ROUND_MAX && !blocks.contains(&id);
        if is_new {
            blocks.push(id);
        }
        is_new
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        block::{Block, BlockContent},
        codec::Bounded,
        crypto::Signature,
        ids::{GenesisHash, StateId},
        round::{Epoch, UnixMillis},
        vote::QuorumCert,
    };

    use super::*;

    fn proposal(author: u16, round: u64, timestamp: u64) -> Proposal {
        let qc = QuorumCert::genesis(Epoch(0), GenesisHash::default(), StateId::default());
        let block = Block::new(BlockContent {
            genesis_hash: GenesisHash::default(),
            epoch: Epoch(0),
            author: ValidatorId(author),
            round: Round(round),
            timestamp: UnixMillis(timestamp),
            payload: Bounded::default(),
            qc: qc.clone(),
        });
        Proposal { block, last_round_tc: None, high_commit_qc: qc, signature: Signature([0; 64]) }
    }

    #[test]
    fn of_the_blocks_that_one_validator_signs_for_a_round_two_are_looked_at() {
        let relevance = Relevance::default();
        let looked_at = |author, round, blocks: std::ops::Range<u64>| {
            blocks.filter(|timestamp| relevance.matters(&proposal(author, round, *timestamp))).count()
        };
        assert_eq!(looked_at(1, 5, 0..1_000), BLOCKS_PER_ROUND_MAX);
        assert_eq!(looked_at(2, 5, 0..1_000), BLOCKS_PER_ROUND_MAX, "each validator's count is its own");
        assert_eq!(looked_at(1, 6, 0..1_000), BLOCKS_PER_ROUND_MAX);
        assert_eq!(looked_at(1, 5, 1_000..2_000), 0, "the author itself has moved on to another round");
        assert!(relevance.matters(&proposal(3, 5, 0)) && !relevance.matters(&proposal(3, 5, 0)), "the same block once");
    }

    #[test]
    fn the_round_that_is_over_matters_no_more() {
        let relevance = Relevance::default();
        assert!(!relevance.matters(&proposal(1, 0, 0)), "not the leader of this round");
        assert!(relevance.matters(&proposal(0, 0, 0)));
    }
}
