//! The tree of speculative states: the result of every block that is not yet committed, on top of its parent's (paper §3.2, `speculate` and
//! `pending_state`). Execution comes before the vote.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_app::{BlockContext, Execution, Machine, Panicked, Unexecuted, Writes, execute_block};
use quorate_types::{
    block::Block,
    crypto::Hash,
    epoch::{EpochState, epoch_block_id},
    header::Header,
    ids::{BlockId, StateId},
    merkle,
    receipt::Receipt,
    round::{Epoch, Height, Round, UnixMillis},
    transaction::Transaction,
};

use crate::state_tree::StateTree;

/// Why a block has no result here; we do not vote for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlock {
    /// Its parent is neither the committed root nor speculated; fetch it first. Says nothing about the block.
    #[error("parent {parent} is not known here")]
    UnknownParent {
        /// The parent.
        parent: BlockId,
    },
    /// It is not later than its parent.
    #[error("its time {timestamp} ms is not after its parent's, {parent} ms")]
    Timestamp {
        /// Its time.
        timestamp: UnixMillis,
        /// Its parent's time.
        parent: UnixMillis,
    },
    /// Its round is not above its parent's.
    #[error("its round {round} is not above its parent's, {parent}")]
    Round {
        /// Its round.
        round: Round,
        /// Its parent's round.
        parent: Round,
    },
    /// A quorum certified another result of its parent than ours: either we have diverged, or more validators than may be faulty have (S8).
    /// An alarm, not an everyday refusal.
    #[error("DIVERGED: the quorum certified result {certified} of parent {parent}, but this validator computed {ours}")]
    ParentState {
        /// The parent.
        parent: BlockId,
        /// Our result.
        ours: StateId,
        /// The quorum's result.
        certified: StateId,
    },
    /// It is of another epoch than the one that its parent leaves in force.
    #[error("it is of epoch {found}, but its parent is in epoch {expected}")]
    Epoch {
        /// The block's epoch.
        found: Epoch,
        /// The epoch of its parent.
        expected: Epoch,
    },
    /// It follows the last block of its epoch, and is not empty or has another time.
    #[error("it follows the last block of epoch {0}, so it must be empty and have its parent's time")]
    AfterEpoch(Epoch),
    /// Its height would overflow.
    #[error("the chain has reached the largest height")]
    HeightLimit,
    /// One of its transactions is invalid.
    #[error(transparent)]
    Payload(#[from] quorate_app::InvalidBlock),
    /// The application panicked on one of its transactions. Says nothing about the block: this process must stop.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl From<Unexecuted> for InvalidBlock {
    fn from(error: Unexecuted) -> Self {
        match error {
            Unexecuted::Invalid(invalid) => Self::Payload(invalid),
            Unexecuted::Panicked(panicked) => Self::Panicked(panicked),
        }
    }
}

/// The committed root, from which the tree grows.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// The block that the next one builds on: the newest committed one, or the one that the epoch begins with.
    pub(crate) id: BlockId,
    pub(crate) round: Round,
    /// The newest committed result.
    pub(crate) header: Header,
    pub(crate) state_id: StateId,
    pub(crate) state: StateTree,
    /// What governs the next block.
    pub(crate) epoch: Arc<EpochState>,
}

impl Root {
    /// After a committed block that leaves this epoch state in force.
    pub(crate) fn new(header: Header, state: StateTree, epoch: Arc<EpochState>) -> Self {
        let state_id = header.state_id();
        let (id, round) =
            if epoch.epoch == header.epoch { (header.block_id, header.round) } else { (epoch_block_id(epoch.epoch, state_id), Round(0)) };
        Self { id, round, header, state_id, state, epoch }
    }
}

/// A block that is not yet committed, with its result.
#[derive(Debug)]
pub(crate) struct Speculated {
    pub(crate) parent: BlockId,
    pub(crate) round: Round,
    /// Its result. A block that follows the last one of its epoch has the result of that one.
    pub(crate) header: Header,
    pub(crate) state_id: StateId,
    pub(crate) state: StateTree,
    pub(crate) writes: Writes,
    pub(crate) results: Results,
    /// What governs the next block.
    pub(crate) epoch: Arc<EpochState>,
}

/// The receipts of a block, and the leaves of the tree over them.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) receipts: Arc<[Receipt]>,
    pub(crate) leaves: Vec<Hash>,
}

impl From<Vec<Receipt>> for Results {
    fn from(receipts: Vec<Receipt>) -> Self {
        Self { leaves: receipts.iter().map(Receipt::leaf).collect(), receipts: receipts.into() }
    }
}

/// The root and the blocks above it.
#[derive(Debug)]
pub(crate) struct Speculation {
    pub(crate) root: Root,
    /// Bounded by the caller through [`Self::forget`].
    blocks: BTreeMap<BlockId, Speculated>,
}

/// A node of the tree, root or not.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) header: &'a Header,
    pub(crate) state_id: StateId,
    pub(crate) state: &'a StateTree,
    pub(crate) epoch: &'a Arc<EpochState>,
}

impl Speculation {
    pub(crate) const fn new(root: Root) -> Self {
        Self { root, blocks: BTreeMap::new() }
    }

    pub(crate) fn node(&self, id: &BlockId) -> Option<Node<'_>> {
        if *id == self.root.id {
            let Root { header, state_id, state, epoch, .. } = &self.root;
            return Some(Node { header, state_id: *state_id, state, epoch });
        }
        self.blocks.get(id).map(|block| Node { header: &block.header, state_id: block.state_id, state: &block.state, epoch: &block.epoch })
    }

    pub(crate) fn block(&self, id: &BlockId) -> Option<&Speculated> {
        self.blocks.get(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Executes a block on its parent's state. EXEC-1: the result depends only on the parent's result and the block.
    pub(crate) fn speculate(&mut self, machine: &Machine, block: &Block) -> Result<StateId, InvalidBlock> {
        if let Some(known) = self.node(&block.id()) {
            return Ok(known.state_id);
        }
        let content = block.content();
        let parent_id = block.parent_id();
        let parent = self.node(&parent_id).ok_or(InvalidBlock::UnknownParent { parent: parent_id })?;
        let certified = block.qc().vote_info.exec_state_id;
        if certified != parent.state_id {
            return Err(InvalidBlock::ParentState { parent: parent_id, ours: parent.state_id, certified });
        }
        let parent_round = block.qc().round();
        if content.round <= parent_round {
            return Err(InvalidBlock::Round { round: content.round, parent: parent_round });
        }
        if content.epoch != parent.epoch.epoch {
            return self.follow_last(block);
        }
        if content.timestamp <= parent.header.timestamp {
            return Err(InvalidBlock::Timestamp { timestamp: content.timestamp, parent: parent.header.timestamp });
        }
        let height = parent.header.height.0.checked_add(1).map(Height).ok_or(InvalidBlock::HeightLimit)?;
        let at = BlockContext {
            genesis_hash: content.genesis_hash,
            epoch: content.epoch,
            height,
            round: content.round,
            timestamp: content.timestamp,
            author: content.author,
            id: block.id(),
            limits: parent.epoch.parameters.state,
        };
        let Execution { writes, receipts, next_epoch } = execute_block(machine, parent.state, &at, parent.epoch, block.payload())?;
        let (epoch, epoch_hash) = match next_epoch {
            None => (Arc::clone(parent.epoch), parent.header.epoch_state),
            Some(next) => {
                let hash = next.hash();
                (Arc::new(next), hash)
            }
        };
        let results = Results::from(receipts);
        let state = parent.state.update(writes.iter().map(|(key, value)| (key.clone(), value.clone())));
        let header = Header {
            genesis_hash: content.genesis_hash,
            epoch: content.epoch,
            height,
            round: content.round,
            block_id: block.id(),
            parent: parent.state_id,
            timestamp: content.timestamp,
            transactions_root: transactions_root(block.payload()),
            receipts_root: merkle::root(&results.leaves),
            state_root: state.root_hash(),
            epoch_state: epoch_hash,
        };
        let state_id = header.state_id();
        let speculated = Speculated { parent: parent_id, round: content.round, header, state_id, state, writes, results, epoch };
        self.blocks.insert(block.id(), speculated);
        Ok(state_id)
    }

    /// A block that follows the last one of its epoch carries votes for that one and nothing else: it changes nothing and has its result, so
    /// whichever of them is committed, the same block ends the epoch.
    fn follow_last(&mut self, block: &Block) -> Result<StateId, InvalidBlock> {
        let content = block.content();
        let parent_id = block.parent_id();
        let Node { header, state_id, state, epoch } = self.node(&parent_id).ok_or(InvalidBlock::UnknownParent { parent: parent_id })?;
        if content.epoch != header.epoch || parent_id == self.root.id {
            return Err(InvalidBlock::Epoch { found: content.epoch, expected: epoch.epoch });
        }
        if !content.payload.is_empty() || content.timestamp != header.timestamp {
            return Err(InvalidBlock::AfterEpoch(content.epoch));
        }
        let speculated = Speculated {
            parent: parent_id,
            round: content.round,
            header: header.clone(),
            state_id,
            state: state.clone(),
            writes: Writes::new(),
            results: Results::from(Vec::new()),
            epoch: Arc::clone(epoch),
        };
        self.blocks.insert(block.id(), speculated);
        Ok(state_id)
    }

    /// The blocks from the root's child to this one, oldest first; `None` if it does not descend from the root.
    pub(crate) fn path_to(&self, id: &BlockId) -> Option<Vec<&Speculated>> {
        let mut path = Vec::new();
        let mut next = id;
        while *next != self.root.id {
            let block = self.blocks.get(next)?;
            path.push(block);
            next = &block.parent;
        }
        path.reverse();
        Some(path)
    }

    /// All blocks but this one and its descendants.
    pub(crate) fn not_descending_from(&self, id: &BlockId) -> Vec<(BlockId, &Speculated)> {
        // By ascending round, so that parents come before their children.
        let mut by_round: Vec<_> = self.blocks.iter().map(|(id, block)| (*id, block)).collect();
        by_round.sort_by_key(|(_, block)| block.round);
        let mut kept = BTreeSet::from([*id]);
        by_round.retain(|(candidate, block)| {
            let stays = kept.contains(candidate) || kept.contains(&block.parent);
            if stays {
                kept.insert(*candidate);
            }
            !stays
        });
        by_round
    }

    /// Drops and returns the blocks that are not to be kept. Their descendants must not be kept either.
    pub(crate) fn forget(&mut self, keeps: impl Fn(&BlockId) -> bool) -> Vec<(BlockId, Round)> {
        let gone = self.blocks.iter().filter(|(id, _)| !keeps(id)).map(|(id, block)| (*id, block.round)).collect();
        self.blocks.retain(|id, _| keeps(id));
        gone
    }

    /// Moves the root to one of the blocks and drops all blocks that do not descend from it: all, if the root begins an epoch.
    pub(crate) fn advance(&mut self, root: Root) {
        let id = root.id;
        let gone: Vec<BlockId> = self.not_descending_from(&id).into_iter().map(|(gone, _)| gone).collect();
        for gone in gone.iter().chain([&id]) {
            self.blocks.remove(gone);
        }
        self.root = root;
    }
}

/// Merkle root over the ids of a block's transactions.
pub(crate) fn transactions_root(payload: &[Transaction]) -> Hash {
    let leaves: Vec<Hash> = payload.iter().map(|tx| merkle::leaf(&tx.id().0.0)).collect();
    merkle::root(&leaves)
}
