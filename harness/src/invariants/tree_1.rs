//! TREE-1: committed blocks form one chain, the same prefix on every honest validator. A validator commits it in order without a gap, and
//! after a restart continues where its disk ends.

use std::collections::BTreeMap;

use quorate_types::{
    header::Header,
    ids::{BlockId, StateId, ValidatorId},
    round::{Epoch, Height, Round},
};

use super::{Invariant, Observation};

/// Checker of TREE-1.
#[derive(Debug, Default)]
pub struct OneChain {
    /// Block id, state id, and epoch and round at each height, as first committed.
    chain: BTreeMap<Height, (BlockId, StateId, (Epoch, Round))>,
    /// Height of each validator's committed chain.
    heights: BTreeMap<ValidatorId, Height>,
    /// Two blocks were committed at one height.
    forked: bool,
}

impl OneChain {
    fn committed(&mut self, node: ValidatorId, header: &Header) -> Result<(), String> {
        let height = self.heights.entry(node).or_default();
        if header.height.0 != height.0.saturating_add(1) {
            return Err(format!("validator {node} committed height {} after height {height}", header.height));
        }
        *height = header.height;
        let block = (header.block_id, header.state_id(), (header.epoch, header.round));
        if let Some(first) = self.chain.insert(header.height, block)
            && first != block
        {
            self.forked = true;
            return Err(format!("two blocks at height {}: {first:?}, and {block:?} on validator {node}", header.height));
        }
        if header.height.0 > 1 {
            let below = self.chain.get(&Height(header.height.0.saturating_sub(1)));
            let Some((_, state_id, at)) = below else {
                return Err(format!("height {} was committed before the height below it", header.height));
            };
            if *state_id != header.parent || *at >= (header.epoch, header.round) {
                return Err(format!("the block at height {} does not extend the one below it", header.height));
            }
        }
        Ok(())
    }
}

impl Invariant for OneChain {
    fn id(&self) -> &'static str {
        "TREE-1"
    }

    fn has_seen_fork(&self) -> bool {
        self.forked
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Committed { node, blocks, .. } => blocks.iter().try_for_each(|(header, _)| self.committed(*node, header)),
            Observation::Started { node, height } => {
                // A commit need not be synced: a quorum synced the votes that led to it, and commits it again.
                let before = self.heights.insert(*node, *height).unwrap_or_default();
                if *height > before {
                    return Err(format!("validator {node} came back at height {height}, but had only committed up to {before}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::examples;

    fn commit(rule: &mut OneChain, node: u16, headers: &[&Header]) -> Result<(), String> {
        let blocks: Vec<_> = headers.iter().map(|header| (*header, [].as_slice())).collect();
        let qc = examples::qc(9, 8, BlockId::default(), &[1]);
        rule.observe(&Observation::Committed { node: ValidatorId(node), blocks: &blocks, qc: &qc })
    }

    #[test]
    fn catches_two_blocks_at_one_height() {
        let mut rule = OneChain::default();
        let first = examples::header(1, 1, StateId::default());
        commit(&mut rule, 1, &[&first]).unwrap();
        commit(&mut rule, 2, &[&first]).unwrap();
        assert!(commit(&mut rule, 3, &[&examples::header(1, 2, StateId::default())]).unwrap_err().contains("two blocks"));
        assert!(rule.has_seen_fork());
    }

    #[test]
    fn catches_gaps_and_wrong_parents() {
        let mut rule = OneChain::default();
        let first = examples::header(1, 1, StateId::default());
        let second = examples::header(2, 2, first.state_id());
        assert!(commit(&mut rule, 1, &[&second]).is_err());
        let mut rule = OneChain::default();
        commit(&mut rule, 1, &[&first]).unwrap();
        assert!(commit(&mut rule, 1, &[&examples::header(2, 2, StateId::default())]).is_err());
        let mut rule = OneChain::default();
        commit(&mut rule, 1, &[&first, &second]).unwrap();
        assert!(commit(&mut rule, 1, &[&first]).is_err());
        rule.observe(&Observation::Started { node: ValidatorId(1), height: Height(0) }).unwrap();
        commit(&mut rule, 1, &[&first]).unwrap();
        assert!(rule.observe(&Observation::Started { node: ValidatorId(1), height: Height(9) }).is_err());
        assert!(!rule.has_seen_fork(), "there is one chain, whatever else is wrong");
    }
}
