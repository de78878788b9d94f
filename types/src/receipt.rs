//! The result of one transaction.

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    crypto::Hash,
    failure::{Code, Failure},
    ids::TxId,
    merkle,
};

/// What became of a transaction. Either way it is part of the chain and its sequence number is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect, with the application's answer.
    Applied(#[serde(with = "serde_bytes")] Vec<u8>),
    /// It had no effect except on its sequence number.
    Failed(Failure),
}

impl Outcome {
    /// A failure with the numbers that explain it.
    #[must_use]
    pub fn failed(code: Code, numbers: &[u64]) -> Self {
        Self::Failed(Failure::new(code, numbers))
    }

    /// Whether it took effect.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}

/// A transaction's result, as covered by the header's receipts root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub tx_id: TxId,
    /// What became of it.
    pub outcome: Outcome,
}

impl Receipt {
    /// Its leaf in the tree of the block's receipts.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        merkle::leaf(&codec::encode(self))
    }
}
