//! CLNT-1: a receipt once given is never contradicted, neither by the chain, whichever validator commits it, nor by another receipt. A
//! transaction reported as expired is never committed.
//!
//! A validator may answer its clients before or after it reports the commit, so a receipt above the known chain stays open until the chain
//! gets there. None may be open at the end of a run.

use std::collections::BTreeMap;

use quorate_types::{
    ids::{TxId, ValidatorId},
    receipt::Outcome,
    round::{Height, UnixMillis},
};

use super::{Invariant, Observation};

type Position = (Height, u32, Outcome);

/// Checker of CLNT-1.
#[derive(Debug, Default)]
pub struct ReceiptsHold {
    /// Expiry time of each signed transaction.
    expiries: BTreeMap<TxId, UnixMillis>,
    /// Position of each committed transaction.
    chain: BTreeMap<TxId, Position>,
    /// First receipt given for each transaction.
    receipts: BTreeMap<TxId, (ValidatorId, Position)>,
    /// Transactions reported as expired for good.
    expired: BTreeMap<TxId, ValidatorId>,
}

impl ReceiptsHold {
    fn check(&self, id: &TxId) -> Result<(), String> {
        let chain = self.chain.get(id);
        if let (Some(chain), Some((node, receipt))) = (chain, self.receipts.get(id))
            && chain != receipt
        {
            return Err(format!("validator {node} gave the receipt {receipt:?} for transaction {id}, but the chain has {chain:?}"));
        }
        if let (Some(chain), Some(node)) = (chain, self.expired.get(id)) {
            return Err(format!("validator {node} reported transaction {id} as expired, but the chain has it: {chain:?}"));
        }
        Ok(())
    }
}

impl Invariant for ReceiptsHold {
    fn id(&self) -> &'static str {
        "CLNT-1"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Signed { transaction } => {
                self.expiries.insert(transaction.id(), transaction.content().expires_at);
                Ok(())
            }
            Observation::Committed { blocks, .. } => {
                for (header, receipts) in *blocks {
                    for (index, receipt) in (0..).zip(*receipts) {
                        let position = (header.height, index, receipt.outcome.clone());
                        self.chain.entry(receipt.tx_id).or_insert(position);
                        self.check(&receipt.tx_id)?;
                    }
                }
                Ok(())
            }
            Observation::Receipt { node, id, height, index, outcome } => {
                let position = (*height, *index, (*outcome).clone());
                let (first, known) = self.receipts.entry(*id).or_insert_with(|| (*node, position.clone()));
                if *known != position {
                    return Err(format!("transaction {id} has the receipts {known:?} from validator {first} and {position:?} from {node}"));
                }
                self.check(id)
            }
            Observation::Expired { node, id, committed } => {
                // Final only now: later blocks have later times. Until then a pending block may hold the transaction.
                if self.expiries.get(id).is_some_and(|expires_at| expires_at <= committed) {
                    self.expired.insert(*id, *node);
                }
                self.check(id)
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.receipts.iter().find(|(id, _)| !self.chain.contains_key(id)) {
            Some((id, (node, receipt))) => {
                Err(format!("validator {node} gave the receipt {receipt:?} for transaction {id}, which no validator committed"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        ids::{BlockId, StateId},
        receipt::Receipt,
    };

    use super::*;
    use crate::invariants::examples;

    fn commit(rule: &mut ReceiptsHold, height: u64) -> Result<(), String> {
        let header = examples::header(height, height, StateId::default());
        let receipts = [Receipt { tx_id: TxId::default(), outcome: Outcome::Applied(vec![]) }];
        let qc = examples::qc(9, 8, BlockId::default(), &[1]);
        let blocks = [(&header, receipts.as_slice())];
        rule.observe(&Observation::Committed { node: ValidatorId(1), blocks: &blocks, qc: &qc })
    }

    fn answer(rule: &mut ReceiptsHold, height: u64) -> Result<(), String> {
        let outcome = Outcome::Applied(vec![]);
        let (node, id) = (ValidatorId(2), TxId::default());
        rule.observe(&Observation::Receipt { node, id, height: Height(height), index: 0, outcome: &outcome })
    }

    #[test]
    fn catches_a_receipt_that_the_chain_contradicts_whichever_comes_first() {
        let mut rule = ReceiptsHold::default();
        answer(&mut rule, 3).unwrap();
        assert!(commit(&mut rule, 4).is_err());
        let mut rule = ReceiptsHold::default();
        commit(&mut rule, 4).unwrap();
        answer(&mut rule, 4).unwrap();
        rule.finish().unwrap();
        assert!(answer(&mut rule, 3).is_err());
    }

    #[test]
    fn catches_a_receipt_of_nothing() {
        let mut rule = ReceiptsHold::default();
        answer(&mut rule, 3).unwrap();
        assert!(rule.finish().is_err());
    }

    #[test]
    fn catches_a_commit_of_what_was_reported_as_expired() {
        let mut rule = ReceiptsHold { expiries: BTreeMap::from([(TxId::default(), UnixMillis(50))]), ..ReceiptsHold::default() };
        let expired = |committed| Observation::Expired { node: ValidatorId(2), id: TxId::default(), committed: UnixMillis(committed) };
        rule.observe(&expired(49)).unwrap();
        commit(&mut rule, 1).unwrap();
        assert!(rule.observe(&expired(50)).is_err());
    }
}
