//! The committed state for other threads: one version with its proof, unchanged for as long as it is kept.

use std::sync::Arc;

use quorate_types::{
    codec::Bounded,
    epoch::EpochState,
    header::Header,
    ids::Address,
    proof::{CommitProof, ValueProof},
    state_key::AccountRecord,
    vote::QuorumCert,
};

use crate::state_tree::StateTree;

/// A committed state, its header, and the certificate that commits it. A clone copies pointers.
///
/// A view keeps its version of the state in memory, so readers should take the newest view for each answer and then drop it.
#[derive(Clone, Debug)]
pub struct CommittedView {
    header: Arc<Header>,
    commit_qc: Arc<QuorumCert>,
    state: StateTree,
    epoch: Arc<EpochState>,
}

impl CommittedView {
    pub(crate) fn new(header: Header, commit_qc: QuorumCert, state: StateTree, epoch: Arc<EpochState>) -> Self {
        Self { header: Arc::new(header), commit_qc: Arc::new(commit_qc), state, epoch }
    }

    /// The header of the committed block.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The state after the committed block.
    #[must_use]
    pub const fn state(&self) -> &StateTree {
        &self.state
    }

    /// What governs the next block.
    #[must_use]
    pub const fn epoch(&self) -> &Arc<EpochState> {
        &self.epoch
    }

    /// The certificate that commits the block.
    #[must_use]
    pub fn commit_qc(&self) -> &QuorumCert {
        &self.commit_qc
    }

    /// Proves that the block is committed.
    #[must_use]
    pub fn commit_proof(&self) -> CommitProof {
        CommitProof { headers: Bounded::truncated(vec![Header::clone(&self.header)]), qc: QuorumCert::clone(&self.commit_qc) }
    }

    /// The value of a state key, `None` if it is absent, with the proof.
    #[must_use]
    pub fn prove(&self, key: &[u8]) -> (Option<Arc<[u8]>>, ValueProof) {
        (self.state.get(key).cloned(), ValueProof { path: self.state.prove(key), commit: self.commit_proof() })
    }

    /// The record of an account; the default if it has none.
    #[must_use]
    pub fn account(&self, address: &Address) -> AccountRecord {
        quorate_app::accounts::find(&self.state, address).unwrap_or_default()
    }
}
