//! Proofs that a client verifies by itself, knowing only the committee's keys.
//!
//! ```text
//! quorum's signatures --> LedgerCommitInfo.commit_state_id = hash(last header) --parent--> ... --> header of the block
//!                                                                 receipts root --path--> receipt     state root --path--> value
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    codec::Bounded,
    header::Header,
    ids::{StateId, TxId},
    merkle::MerkleProof,
    receipt::Receipt,
    state_proof::{StateProof, StateProofError},
    verify::{Verifier, VerifyError},
    vote::QuorumCert,
};

/// Most headers in a [`CommitProof`]. It has more than one if the block was committed through a later one, because no two consecutive rounds
/// were certified before that.
pub const PROOF_HEADERS_MAX: usize = 1_024;

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The certificate does not verify.
    #[error("the certificate does not verify: {0}")]
    Certificate(#[from] VerifyError),
    /// The certificate commits another block or result, or none.
    #[error("the certificate does not commit the last header")]
    NotCommitted,
    /// There are no headers, or they do not form a chain.
    #[error("the headers of the proof do not form a chain")]
    Headers,
    /// The epoch state is not the one that follows the proved header, or is none.
    #[error("the next committee is not the one that the header names")]
    OtherEpochState,
    /// The path does not lead from the receipt to the header.
    #[error("the receipt is not in the block")]
    Receipt,
    /// The proof is about another transaction.
    #[error("the proof is about another transaction, {0}")]
    OtherTransaction(TxId),
    /// The path does not prove the value, or its absence.
    #[error("the value is not in the state: {0}")]
    State(#[from] StateProofError),
}

/// Proves that a block is committed, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitProof {
    /// The headers from the proved block to the one that the certificate commits directly.
    pub headers: Bounded<Header, PROOF_HEADERS_MAX>,
    /// The certificate that commits the last header.
    pub qc: QuorumCert,
}

impl CommitProof {
    /// Checks the proof and returns the proved header.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier) -> Result<&Header, ProofError> {
        let first = self.headers.first().ok_or(ProofError::Headers)?;
        let mut parent: Option<StateId> = None;
        for header in &self.headers {
            if parent.is_some_and(|parent| header.parent != parent) {
                return Err(ProofError::Headers);
            }
            parent = Some(header.state_id());
        }
        let qc = verifier.quorum_cert(&self.qc)?;
        // The signatures cover the committed state id; the header with that hash names the block. The certificate may name a later block
        // without a result of its own (the last block of an epoch has such descendants).
        let committed = qc.commits().is_some_and(|(_, _, state)| Some(state) == parent);
        if committed { Ok(first) } else { Err(ProofError::NotCommitted) }
    }
}

/// Proves that a transaction is committed, with its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionProof {
    /// The result.
    pub receipt: Receipt,
    /// From the receipt to the header's receipts root.
    pub path: MerkleProof,
    /// From the header to the quorum's signatures.
    pub commit: CommitProof,
}

impl TransactionProof {
    /// Checks the proof and returns the header of the block that holds `tx_id` with this receipt.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier, tx_id: TxId) -> Result<&Header, ProofError> {
        if self.receipt.tx_id != tx_id {
            return Err(ProofError::OtherTransaction(self.receipt.tx_id));
        }
        let header = self.commit.verify(verifier)?;
        if self.path.proves(&header.receipts_root, &self.receipt.leaf()) { Ok(header) } else { Err(ProofError::Receipt) }
    }
}

/// Proves that a key has a value, or none, in a committed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueProof {
    /// From the value to the header's state root.
    pub path: StateProof,
    /// From the header to the quorum's signatures.
    pub commit: CommitProof,
}

impl ValueProof {
    /// Checks the proof and returns the header of the state in which `key` has exactly this value (`None`: is absent).
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier, key: &[u8], value: Option<&[u8]>) -> Result<&Header, ProofError> {
        let header = self.commit.verify(verifier)?;
        self.path.verify_value(&header.state_root, key, value)?;
        Ok(header)
    }
}
