//! The known blocks: short names, certificates and commits, as observed.

use std::collections::BTreeMap;

use quorate_types::{
    block::Block,
    committee::SignerSet,
    ids::{BlockId, StateId},
    round::{Height, Round},
    vote::QuorumCert,
};

/// A proposed block.
#[derive(Debug)]
pub(super) struct Known {
    /// `B7` is the first block of round 7, `B7b` the second.
    pub(super) label: String,
    pub(super) block: Block,
    /// The round of the timeout certificate that came with it.
    pub(super) tc: Option<Round>,
    /// Its payload in words.
    pub(super) content: String,
    /// Signers and result of the first certificate seen for it.
    pub(super) certified: Option<(SignerSet, StateId)>,
    /// Its height, once any process has committed it.
    pub(super) committed: Option<Height>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    known: BTreeMap<BlockId, Known>,
}

impl Blocks {
    /// The short name of a block; genesis is `G`.
    pub(super) fn label(&self, id: &BlockId) -> String {
        self.known.get(id).map_or_else(|| "G".into(), |known| known.label.clone())
    }

    pub(super) fn get(&self, id: &BlockId) -> Option<&Known> {
        self.known.get(id)
    }

    pub(super) fn find(&self, label: &str) -> Option<&Known> {
        self.known.values().find(|known| known.label.eq_ignore_ascii_case(label))
    }

    /// By round; within a round in the order proposed.
    pub(super) fn in_order(&self) -> Vec<&Known> {
        let mut blocks: Vec<&Known> = self.known.values().collect();
        blocks.sort_by(|a, b| (a.block.round(), a.label.len(), &a.label).cmp(&(b.block.round(), b.label.len(), &b.label)));
        blocks
    }

    pub(super) fn learn(&mut self, block: &Block, tc: Option<Round>, content: String) {
        if self.known.contains_key(&block.id()) {
            return;
        }
        let others = self.known.values().filter(|known| known.block.round() == block.round()).count();
        let letter = u8::try_from(others).ok().and_then(|others| b'a'.checked_add(others)).filter(u8::is_ascii_lowercase).unwrap_or(b'z');
        let suffix = if others == 0 { String::new() } else { char::from(letter).to_string() };
        let label = format!("B{}{suffix}", block.round());
        self.known.insert(block.id(), Known { label, block: block.clone(), tc, content, certified: None, committed: None });
    }

    /// Records a certificate. Returns whether it is the first seen for its block.
    pub(super) fn learn_qc(&mut self, qc: &QuorumCert) -> bool {
        let Some(known) = self.known.get_mut(&qc.block_id()) else { return false };
        let new = known.certified.is_none();
        known.certified.get_or_insert((qc.signers, qc.vote_info.exec_state_id));
        new
    }

    /// Records a commit. Returns whether it is the block's first.
    pub(super) fn learn_commit(&mut self, id: &BlockId, height: Height) -> bool {
        let Some(known) = self.known.get_mut(id) else { return false };
        known.committed.replace(height).is_none()
    }

    /// Two blocks committed at one height, even if no running process has them any more.
    pub(super) fn fork(&self) -> Option<(Height, &str, &str)> {
        let mut chain: BTreeMap<Height, &str> = BTreeMap::new();
        self.in_order().into_iter().find_map(|known| {
            let height = known.committed?;
            chain.insert(height, &known.label).map(|first| (height, first, known.label.as_str()))
        })
    }

    /// The certified block of a round; of several, any.
    pub(super) fn certified_in(&self, round: Round) -> Option<&Known> {
        self.known.values().find(|known| known.block.round() == round && known.certified.is_some())
    }

    /// A certificate by its block: `QC(B3)`.
    pub(super) fn qc(&self, qc: &QuorumCert) -> String {
        format!("QC({})", self.label(&qc.block_id()))
    }
}
