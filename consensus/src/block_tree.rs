//! §3.3 Block-Tree: the blocks above the committed root, the highest certificates, and the 2-chain commit rule.
//!
//! A block enters only after its parent, so every block here has an unbroken chain to the root. A certificate is kept even while its block
//! is missing: it is proof in itself, and the pacemaker must not wait for a download.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_types::{
    block::Block,
    ids::{BlockId, StateId},
    round::Round,
    verify::Verified,
    vote::QuorumCert,
};

use crate::effect::{Divergence, Halt};

/// Most blocks above the root. An honest network never comes near; beyond it, the oldest blocks off the certified and the fetched chain are
/// evicted and can be fetched again.
const PENDING_BLOCKS_MAX: usize = 256;

/// The newest committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The block's id.
    pub id: BlockId,
    /// The block's round.
    pub round: Round,
    /// The block's result.
    pub state_id: StateId,
    /// The highest known round of a committed block with transactions: its commit may still have to be published.
    pub payload_round: Round,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Verified<Block>>,
    /// Our result, once the block is executed.
    state: Option<StateId>,
}

/// A path of blocks to commit, and the certificate that commits the last.
pub(crate) type Commit = (Vec<Arc<Verified<Block>>>, Verified<QuorumCert>);

/// The pending blocks above the root; see the module docs.
#[derive(Debug)]
pub struct BlockTree {
    root: Root,
    blocks: BTreeMap<BlockId, Entry>,
    high_qc: Verified<QuorumCert>,
    high_commit_qc: Verified<QuorumCert>,
    /// Commits a block that catch-up has delivered or is about to, while the block of `high_commit_qc` is still far away.
    catchup_qc: Option<Verified<QuorumCert>>,
    /// The newest fetched block. The chain to it may be long, and the block of `high_qc` still far away.
    fetched: Option<BlockId>,
}

impl BlockTree {
    pub(crate) const fn new(root: Root, high_qc: Verified<QuorumCert>, high_commit_qc: Verified<QuorumCert>) -> Self {
        Self { root, blocks: BTreeMap::new(), high_qc, high_commit_qc, catchup_qc: None, fetched: None }
    }

    /// The newest committed block.
    #[must_use]
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// The highest certificate seen.
    #[must_use]
    pub const fn high_qc(&self) -> &Verified<QuorumCert> {
        &self.high_qc
    }

    /// The highest certificate seen that commits a block.
    #[must_use]
    pub const fn high_commit_qc(&self) -> &Verified<QuorumCert> {
        &self.high_commit_qc
    }

    /// The blocks above the root, in no particular order.
    pub fn blocks(&self) -> impl Iterator<Item = &Arc<Verified<Block>>> {
        self.blocks.values().map(|entry| &entry.block)
    }

    /// A block above the root.
    #[must_use]
    pub fn get(&self, id: &BlockId) -> Option<&Arc<Verified<Block>>> {
        self.blocks.get(id).map(|entry| &entry.block)
    }

    /// Whether this is the root or a block above it.
    #[must_use]
    pub fn contains(&self, id: &BlockId) -> bool {
        *id == self.root.id || self.blocks.contains_key(id)
    }

    /// Our result of the root or of an executed block above it.
    #[must_use]
    pub fn state(&self, id: &BlockId) -> Option<StateId> {
        if *id == self.root.id { Some(self.root.state_id) } else { self.blocks.get(id)?.state }
    }

    /// Adds a block whose parent is here. Returns whether it was added: a second insertion changes nothing (S6).
    pub(crate) fn insert(&mut self, block: Arc<Verified<Block>>) -> bool {
        let id = block.id();
        if self.contains(&id) || !self.contains(&block.parent_id()) {
            return false;
        }
        self.blocks.insert(id, Entry { block, state: None });
        if self.blocks.len() > PENDING_BLOCKS_MAX {
            self.forget_oldest(&id);
        }
        true
    }

    /// Removes a block and everything built on it.
    pub(crate) fn remove(&mut self, id: &BlockId) {
        self.blocks.remove(id);
        self.keep_descendants();
    }

    /// Records our result of a block.
    pub(crate) fn executed(&mut self, id: &BlockId, state: StateId) -> Result<(), Halt> {
        let Some(entry) = self.blocks.get_mut(id) else { return Ok(()) };
        entry.state = Some(state);
        let round = entry.block.round();
        // S8: the block's certificate may have come first.
        match self.certified_state(id) {
            Some(certified) if certified != state => Err(divergence(*id, round, certified, Some(state))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a block is still being executed.
    pub(crate) fn is_executing(&self) -> bool {
        self.blocks.values().any(|entry| entry.state.is_none())
    }

    /// All certificates here: the highest, and those in the blocks above the root.
    fn certificates(&self) -> impl Iterator<Item = &QuorumCert> {
        let kept = [Some(&self.high_qc), Some(&self.high_commit_qc), self.catchup_qc.as_ref()];
        kept.into_iter().flatten().map(|qc| &**qc).chain(self.blocks.values().map(|entry| Block::qc(&entry.block)))
    }

    /// The result that a quorum certified for a block, if a certificate here says.
    #[must_use]
    pub fn certified_state(&self, id: &BlockId) -> Option<StateId> {
        self.certificates().find_map(|qc| {
            if qc.block_id() == *id {
                return Some(qc.vote_info.exec_state_id);
            }
            qc.commits().filter(|(committed, ..)| committed == id).map(|(.., state)| state)
        })
    }

    /// §3.3 `process_qc` without the commit, for which see [`Self::take_commit`]: keeps the highest certificates. Idempotent.
    pub(crate) fn process_qc(&mut self, qc: &Verified<QuorumCert>) -> Result<(), Halt> {
        if let Some(state) = self.state(&qc.block_id())
            && state != qc.vote_info.exec_state_id
        {
            return Err(divergence(qc.block_id(), qc.round(), qc.vote_info.exec_state_id, Some(state)));
        }
        // S7, Property 1: at most one certified block per round. Other signers for the same vote are normal; keep the first certificate.
        let other =
            self.certificates().find(|known| known.round() == qc.round() && known.vote_info != qc.vote_info).map(QuorumCert::block_id);
        let other = other.or_else(|| (self.root.round == qc.round() && self.root.id != qc.block_id()).then_some(self.root.id));
        if let Some(first) = other {
            return Err(Halt::TwoCertificates { round: qc.round(), first, second: qc.block_id() });
        }
        if qc.commits().is_some() && qc.round() > self.high_commit_qc.round() {
            self.high_commit_qc = qc.clone();
        }
        if qc.round() > self.high_qc.round() {
            self.high_qc = qc.clone();
        }
        Ok(())
    }

    /// Protects the chain to this fetched block from eviction.
    pub(crate) const fn keep_fetched(&mut self, id: BlockId) {
        self.fetched = Some(id);
    }

    /// Keeps a certificate from catch-up. Without it nothing could be committed until the block of the highest certificate arrives, however
    /// long the chain between. Of several, keeps the one that commits the lowest block above our root: it is reached first, whatever else
    /// peers send.
    pub(crate) fn offer_commit(&mut self, qc: Verified<QuorumCert>) {
        let commits = |qc: &Verified<QuorumCert>| qc.commits().map_or(Round(0), |(_, round, _)| round);
        let root = self.root.round;
        let offered = self.catchup_qc.take().into_iter().chain([qc]);
        self.catchup_qc = offered.filter(|qc| commits(qc) > root).min_by_key(commits);
    }

    /// The blocks above the root that a certificate commits, executed or not, oldest first.
    pub(crate) fn certified_commits(&self) -> Vec<Arc<Verified<Block>>> {
        let paths = self.commit_certificates().filter_map(|qc| qc.commits()).map(|(id, ..)| self.path(&id));
        paths.max_by_key(Vec::len).unwrap_or_default()
    }

    fn commit_certificates(&self) -> impl Iterator<Item = &Verified<QuorumCert>> {
        [Some(&self.high_commit_qc), self.catchup_qc.as_ref()].into_iter().flatten()
    }

    /// Takes the commit that the certificates allow: the blocks from the root's child up to the committed one, oldest first (S15). Moves
    /// the root and prunes what does not descend from it. `None` while a block of the path is missing or not executed.
    pub(crate) fn take_commit(&mut self) -> Result<Option<Commit>, Halt> {
        let Some((qc, root)) = self.next_root()? else { return Ok(None) };
        let path = self.path(&root.id);
        let payload_round = path.iter().filter(|block| !block.payload().is_empty()).map(|block| block.round()).max();
        self.root = Root { payload_round: payload_round.unwrap_or(self.root.payload_round), ..root };
        if self.catchup_qc.as_ref().and_then(|qc| qc.commits()).is_some_and(|(_, round, _)| round <= self.root.round) {
            self.catchup_qc = None;
        }
        self.keep_descendants();
        Ok(Some((path, qc)))
    }

    fn next_root(&self) -> Result<Option<(Verified<QuorumCert>, Root)>, Halt> {
        for qc in self.commit_certificates() {
            let Some((id, round, state_id)) = qc.commits() else { continue };
            // E10: every message repeats the same or an older certificate; only a block above the root is news. Genesis is committed from
            // the start (S3).
            if round <= self.root.round {
                continue;
            }
            if let Some(entry) = self.blocks.get(&id) {
                let Some(ours) = entry.state else { continue };
                if ours != state_id {
                    return Err(divergence(id, round, state_id, Some(ours)));
                }
                return Ok(Some((qc.clone(), Root { id, round, state_id, ..self.root })));
            }
            // The descendants of an epoch's last block have its result, so a certificate that commits one of them commits that block, and
            // nobody need fetch them.
            let last =
                self.blocks.values().filter(|entry| entry.state == Some(state_id)).map(|entry| &entry.block).min_by_key(|b| b.round());
            if let Some(block) = last {
                return Ok(Some((qc.clone(), Root { id: block.id(), round: block.round(), state_id, ..self.root })));
            }
        }
        Ok(None)
    }

    /// The blocks from the root's child to `id`, oldest first; empty for the root and for a block that is not here.
    #[must_use]
    pub fn path(&self, id: &BlockId) -> Vec<Arc<Verified<Block>>> {
        let mut path = Vec::new();
        let mut next = *id;
        while let Some(entry) = self.blocks.get(&next) {
            path.push(Arc::clone(&entry.block));
            next = entry.block.parent_id();
        }
        path.reverse();
        path
    }

    /// Whether a transaction is uncommitted on the certified chain or in the chain of `proposal`, the block of the current round.
    pub(crate) fn has_uncommitted_payload(&self, proposal: Option<&BlockId>) -> bool {
        let filled = |id: &BlockId| self.path(id).iter().any(|block| !block.payload().is_empty());
        filled(&self.high_qc.block_id()) || proposal.is_some_and(filled)
    }

    /// Whether a transaction is uncommitted, or its commit not yet published: a validator that has only the blocks up to the high QC's
    /// knows only the commits that the certificates in them prove (S18).
    pub(crate) fn must_flush(&self) -> bool {
        let path = self.path(&self.high_qc.block_id());
        let published = path.iter().rev().find_map(|block| Block::qc(block).commits()).map_or(Round(0), |(_, round, _)| round);
        self.root.payload_round > published || path.iter().any(|block| !block.payload().is_empty() && block.round() > published)
    }

    fn keep_descendants(&mut self) {
        let mut kept = BTreeMap::new();
        let mut rest: Vec<Entry> = std::mem::take(&mut self.blocks).into_values().collect();
        // A parent's round is below its child's, so one pass in order of rounds meets parents first.
        rest.sort_by_key(|entry| entry.block.round());
        for entry in rest {
            let parent = entry.block.parent_id();
            if parent == self.root.id || kept.contains_key(&parent) {
                kept.insert(entry.block.id(), entry);
            }
        }
        self.blocks = kept;
    }

    fn forget_oldest(&mut self, newest: &BlockId) {
        let ends = [Some(self.high_qc.block_id()), self.fetched, Some(*newest)];
        let keep: BTreeSet<BlockId> = ends.iter().flatten().flat_map(|end| self.path(end)).map(|block| block.id()).collect();
        let oldest = self.blocks.values().map(|entry| &entry.block).filter(|block| !keep.contains(&block.id())).min_by_key(|b| b.round());
        if let Some(id) = oldest.map(|block| block.id()) {
            self.remove(&id);
        }
    }
}

pub(crate) const fn divergence(block_id: BlockId, round: Round, certified: StateId, ours: Option<StateId>) -> Halt {
    Halt::Diverged(Divergence { block_id, round, certified, ours })
}

#[cfg(test)]
mod tests;
