//! The epoch that the replica is in, for all other threads.
//!
//! The replica's thread sets it when an epoch ends. Another thread that still uses the epoch before does no harm: whatever it passes on names its
//! epoch, and the replica ignores another one's.

use std::sync::{Arc, PoisonError, RwLock};

use quorate_types::{
    committee::Committee,
    evidence::Evidence,
    ids::{StateId, ValidatorId},
    round::Epoch,
    verify::{Verified, Verifier, VerifyError},
    vote::QuorumCert,
};

use crate::chain::History;

/// An epoch, and our place in it.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Checks its messages.
    pub(crate) verifier: Arc<Verifier>,
    /// Our seat; no member's if the committee does not have us.
    pub(crate) me: ValidatorId,
}

impl InForce {
    pub(crate) fn committee(&self) -> &Arc<Committee> {
        self.verifier.committee()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.committee().epoch()
    }

    /// A member's name; for a free seat, its number.
    pub(crate) fn name(&self, id: ValidatorId) -> String {
        self.committee().get(id).map_or_else(|| id.to_string(), |validator| validator.name.clone())
    }
}

/// The epoch that the replica is in.
#[derive(Debug)]
pub(crate) struct Epochs(RwLock<Arc<InForce>>);

impl Epochs {
    pub(crate) fn new(verifier: Arc<Verifier>, me: ValidatorId) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(InForce { verifier, me }))))
    }

    pub(crate) fn now(&self) -> Arc<InForce> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, verifier: Arc<Verifier>, me: ValidatorId) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(InForce { verifier, me });
    }

    /// Checks evidence of this epoch, or of an earlier one in the chain's history.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub(crate) fn check(&self, evidence: &Evidence, history: &dyn History) -> Result<(Verified<Evidence>, Arc<Committee>), VerifyError> {
        let now = self.now();
        if evidence.epoch == now.epoch() {
            return Ok((now.verifier.evidence(*evidence)?, Arc::clone(now.committee())));
        }
        let committee = history.committee(evidence.epoch).ok().flatten().ok_or(VerifyError::OtherEpoch(evidence.epoch))?;
        // Evidence has no certificates, so the one that the epoch began with does not matter.
        let begin = QuorumCert::of_epoch(evidence.epoch, now.verifier.genesis_hash(), StateId::default());
        let verified = Verifier::new(Arc::clone(&committee), begin, *now.verifier.parameters()).evidence(*evidence)?;
        Ok((verified, committee))
    }
}
