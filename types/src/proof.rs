//! Proofs that a client checks for itself: the committee's keys are all it needs to know.
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

/// Most headers between a block and the certificate that commits it: rounds that were certified without two in a row.
pub const PROOF_HEADERS_MAX: usize = 1_024;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The certificate.
    #[error("the certificate does not verify: {0}")]
    Certificate(#[from] VerifyError),
    /// The certificate commits something else.
    #[error("the certificate does not commit the last header")]
    NotCommitted,
    /// The headers are no chain, or none.
    #[error("the headers of the proof do not follow each other")]
    Headers,
    /// The path to the receipt.
    #[error("the receipt is not in the block")]
    Receipt,
    /// It is about something else.
    #[error("the proof is about another transaction, {0}")]
    OtherTransaction(TxId),
    /// The path to the value.
    #[error("the value is not in the state: {0}")]
    State(#[from] StateProofError),
}

/// That a block is committed, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitProof {
    /// The block's header, and those after it up to the one that the certificate commits directly.
    pub headers: Bounded<Header, PROOF_HEADERS_MAX>,
    /// The certificate of the child of the last header's block.
    pub qc: QuorumCert,
}

impl CommitProof {
    /// The proved header.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier) -> Result<&Header, ProofError> {
        let (first, last) = (self.headers.first().ok_or(ProofError::Headers)?, self.headers.last().ok_or(ProofError::Headers)?);
        let mut parent: Option<StateId> = None;
        for header in &self.headers {
            if parent.is_some_and(|parent| header.parent != parent) {
                return Err(ProofError::Headers);
            }
            parent = Some(header.state_id());
        }
        let qc = verifier.quorum_cert(&self.qc)?;
        // The signatures cover the committed state, the header that hashes to it names the block.
        let committed =
            qc.commits().is_some_and(|(block, round, state)| Some(state) == parent && block == last.block_id && round == last.round);
        if committed { Ok(first) } else { Err(ProofError::NotCommitted) }
    }
}

/// That a transaction is committed, with its receipt.
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
    /// The header of the block that holds `tx_id` with this receipt.
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

/// That a key has a value, or none, in a committed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueProof {
    /// From the value to the header's state root.
    pub path: StateProof,
    /// From the header to the quorum's signatures.
    pub commit: CommitProof,
}

impl ValueProof {
    /// The header of the state in which `key` has exactly this value, or is absent.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier, key: &[u8], value: Option<&[u8]>) -> Result<&Header, ProofError> {
        let header = self.commit.verify(verifier)?;
        self.path.verify_value(&header.state_root, key, value)?;
        Ok(header)
    }
}
