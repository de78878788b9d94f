//! The result of one transaction.

use serde::{Deserialize, Serialize};

use crate::{codec, crypto::Hash, ids::TxId, merkle};

/// Longest reason of a failure that a receipt keeps, in bytes.
pub const REASON_BYTES_MAX: usize = 256;

/// What became of a transaction. Either way it is part of the chain and its sequence number is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect; the application's answer.
    Applied(#[serde(with = "serde_bytes")] Vec<u8>),
    /// It had no effect but for its sequence number.
    Failed {
        /// A stable word for programs, such as `insufficient-funds`.
        code: String,
        /// A sentence for people, at most [`REASON_BYTES_MAX`] bytes.
        reason: String,
    },
}

impl Outcome {
    /// A failure; the reason is cut to [`REASON_BYTES_MAX`].
    #[must_use]
    pub fn failed(code: &'static str, mut reason: String) -> Self {
        let mut end = reason.len().min(REASON_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        reason.truncate(end);
        Self::Failed { code: code.into(), reason }
    }

    /// Whether it took effect.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}

/// A transaction's result, as the header's receipts root covers it.
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
