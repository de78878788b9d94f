//! The light client: it knows the genesis, and trusts only what a quorum of a committee has signed that it has followed from there.
//!
//! ```text
//! genesis --> committee of epoch 0 --its signatures--> change --> committee of epoch 1 --> ... --> committee of the epoch that a proof names
//! a node's answer --hex--> proof --QC signatures--> header --Merkle path--> receipt or value == the node's claim
//! ```
//! A proof shows that something *was* committed, at the height and time of its header. A node can show an old state but not a false one.
//! Callers show the header's timestamp, which tells how old the state is.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quorate_types::{
    codec::{self, DecodeError},
    committee::Committee,
    crypto::Hash,
    epoch::{EPOCH_STATE_BYTES_MAX, EpochChange},
    evidence::Evidence,
    genesis::Genesis,
    header::Header,
    ids::{Address, EvidenceId, GenesisHash, StateId, TxId},
    proof::{CommitProof, ProofError, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round},
    rpc::{AccountView, EPOCH_CHANGES_MAX, EpochsView, StateView},
    state_key::{AccountRecord, account_key},
    verify::{Verifier, VerifyError},
    vote::QuorumCert,
};

use crate::error::ClientError;

/// Longest encoded proof, in bytes: twice the size of 1,024 headers, 128 signatures, a 256-step path and a receipt.
pub const PROOF_BYTES_MAX: usize = 1 << 20;
/// Longest encoded change of the committee, in bytes.
pub const EPOCH_CHANGE_BYTES_MAX: usize = EPOCH_STATE_BYTES_MAX + PROOF_BYTES_MAX;

/// Why a proof was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The proof does not decode.
    #[error("the proof does not decode: {0}")]
    Form(String),
    /// The proof does not verify.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof has the genesis certificate, which nobody signs.
    #[error("nothing is committed yet, as far as this node shows; until then, the state is the one in the genesis file")]
    NothingCommitted,
    /// The proof or the evidence is of an epoch whose committee is not known yet.
    #[error(
        "it is of epoch {0}, whose committee is not proved: name a node that shows how the committee has changed until then (GET /v1/epochs)"
    )]
    LaterEpoch(Epoch),
    /// A change of the committee does not verify. What was verified before it is kept.
    #[error("the change of the committee at the end of epoch {epoch} does not verify: {error}")]
    Change {
        /// The epoch that was to end.
        epoch: Epoch,
        /// What is wrong.
        error: ProofError,
    },
    /// A block that a former committee has signed after the last one of its epoch.
    #[error(
        "epoch {epoch} ended with block {last} at the latest, but the proof is of another block of it, at height {height}: a former committee signed it"
    )]
    AfterEpoch {
        /// The epoch.
        epoch: Epoch,
        /// Height that its last block has at most.
        last: Height,
        /// Height in the proof.
        height: Height,
    },
    /// The evidence does not verify.
    #[error("it is no evidence on this network: {0}")]
    Evidence(VerifyError),
    /// A node sent other evidence than it was asked for.
    #[error("the node was asked for evidence {asked}, but sent {sent}")]
    OtherEvidence {
        /// The id in the request.
        asked: EvidenceId,
        /// The id of the answer.
        sent: EvidenceId,
    },
    /// The proof verifies, but the rest of the answer contradicts it.
    #[error("the node contradicts its own proof: {0}")]
    Contradiction(String),
}

impl From<DecodeError> for LightError {
    fn from(error: DecodeError) -> Self {
        Self::Form(error.to_string())
    }
}

/// The certificate behind a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Header of the block that holds the transaction, or whose state holds the value.
    pub header: Header,
    /// Round of the certificate that commits the block.
    pub round: Round,
    /// Names of the signers.
    pub signers: Vec<String>,
    /// Voting power of the signers.
    pub power: u64,
    /// Voting power of the committee.
    pub power_total: u64,
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, round, signers, power, power_total } = self;
        write!(
            f,
            "height {}, round {}, certified in round {round} by {} ({power} of {power_total} votes)",
            header.height,
            header.round,
            signers.join(", ")
        )
    }
}

/// A value proved by a quorum's signatures. Only [`LightClient`] creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven<T> {
    value: T,
    certificate: Certificate,
}

impl<T> Proven<T> {
    /// The proved value.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The certificate that proves it.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The same proof for another reading of the value.
    #[must_use]
    pub fn map<U>(self, reading: impl FnOnce(T) -> U) -> Proven<U> {
        Proven { value: reading(self.value), certificate: self.certificate }
    }

    /// The value and its certificate.
    #[must_use]
    pub fn into_parts(self) -> (T, Certificate) {
        (self.value, self.certificate)
    }
}

/// A receipt and its position in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedReceipt {
    /// Transaction id and outcome.
    pub receipt: Receipt,
    /// Position in the block.
    pub index: u32,
}

/// Verifies proofs against the committees of a network, from that of its genesis on.
#[derive(Debug)]
pub struct LightClient {
    genesis: Genesis,
    first: Known,
    /// Those of epoch 1, 2 and so on, as far as they were followed.
    later: Mutex<Vec<Known>>,
}

/// An epoch that was followed.
#[derive(Clone, Debug)]
struct Known {
    verifier: Arc<Verifier>,
    /// Hash of its epoch state, which the header of every block but its last one names.
    state: Hash,
    /// The last header of the epoch before, if there is one.
    before: Option<Arc<Header>>,
}

impl LightClient {
    /// A light client for the network with this genesis, which must come from a trusted source.
    ///
    /// # Errors
    /// [`ClientError::Genesis`].
    pub fn new(genesis: Genesis) -> Result<Self, ClientError> {
        genesis.check()?;
        let committee = genesis.committee().map_err(quorate_types::genesis::GenesisError::from)?;
        // The genesis certificate names the state after executing genesis, which a client has not done. The zero id stands in for it. This
        // is safe: the verifier accepts a certificate of round 0 only if it equals this one, and a proof with this one would need a header
        // whose hash is zero. Everything else in a proof is signed by a quorum.
        let placeholder = QuorumCert::genesis(Epoch(0), genesis.hash(), StateId::default());
        let verifier = Arc::new(Verifier::new(committee, placeholder, genesis.parameters));
        let first = Known { verifier, state: genesis.epoch_state().hash(), before: None };
        Ok(Self { genesis, first, later: Mutex::default() })
    }

    /// The trusted genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Hash of the trusted genesis.
    #[must_use]
    pub fn genesis_hash(&self) -> GenesisHash {
        self.first.verifier.genesis_hash()
    }

    /// The newest committee that was followed.
    #[must_use]
    pub fn committee(&self) -> Arc<Committee> {
        Arc::clone(self.newest().verifier.committee())
    }

    /// The newest epoch that was followed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.committee().epoch()
    }

    /// Whether a verified header is that of the last block of its epoch. `None` if its epoch was not followed.
    #[must_use]
    pub fn ends_epoch(&self, header: &Header) -> Option<bool> {
        Some(self.known(header.epoch).ok()?.state != header.epoch_state)
    }

    /// The header of the block after which the newest known epoch begins. `None` in the first epoch.
    #[must_use]
    pub fn begins_after(&self) -> Option<Arc<Header>> {
        self.newest().before
    }

    fn later(&self) -> MutexGuard<'_, Vec<Known>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self) -> Known {
        self.later().last().unwrap_or(&self.first).clone()
    }

    fn known(&self, epoch: Epoch) -> Result<Known, LightError> {
        match epoch.0.checked_sub(1) {
            None => Ok(self.first.clone()),
            Some(index) => {
                let known = usize::try_from(index).ok().and_then(|index| self.later().get(index).cloned());
                known.ok_or(LightError::LaterEpoch(epoch))
            }
        }
    }

    /// Follows the committee from the newest known epoch on, and returns the newest one known then. Changes to known epochs are skipped. What
    /// was verified before an error is kept.
    ///
    /// # Errors
    /// [`LightError::Change`].
    pub fn follow(&self, changes: &[EpochChange]) -> Result<Epoch, LightError> {
        for change in changes {
            let Known { verifier, .. } = self.newest();
            let epoch = verifier.committee().epoch();
            if change.next.epoch <= epoch {
                continue;
            }
            let (last, committee) = change.verify(&verifier).map_err(|error| LightError::Change { epoch, error })?;
            let next = verifier.next(last.state_id(), committee, change.next.parameters);
            let next = Known { verifier: Arc::new(next), state: last.epoch_state, before: Some(Arc::new(last.clone())) };
            let mut later = self.later();
            // Another thread may have followed the same change.
            if later.last().unwrap_or(&self.first).verifier.committee().epoch() == epoch {
                later.push(next);
            }
        }
        Ok(self.epoch())
    }

    /// Follows the changes in a node's answer, in the same way.
    ///
    /// # Errors
    /// [`LightError::Change`], [`LightError::Form`].
    pub fn follow_answer(&self, answer: &EpochsView) -> Result<Epoch, LightError> {
        for change in answer.changes.iter().take(EPOCH_CHANGES_MAX) {
            self.follow(&[codec::decode(&bytes(change)?, EPOCH_CHANGE_BYTES_MAX)?])?;
        }
        Ok(self.epoch())
    }

    /// Verifies evidence by the committee of its epoch. Returns the name of the validator that it convicts.
    ///
    /// # Errors
    /// [`LightError::Evidence`], [`LightError::LaterEpoch`].
    pub fn evidence(&self, evidence: &Evidence) -> Result<String, LightError> {
        let Known { verifier, .. } = self.known(evidence.epoch)?;
        let culprit = verifier.evidence(*evidence).map_err(LightError::Evidence)?.culprit;
        let name = verifier.committee().get(culprit).map(|validator| validator.name.clone());
        name.ok_or(LightError::Evidence(VerifyError::NotInCommittee(culprit)))
    }

    /// Verifies a proof, in hexadecimal, that `tx_id` is committed.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn transaction(&self, tx_id: TxId, proof: &str) -> Result<Proven<PlacedReceipt>, LightError> {
        let proof: TransactionProof = decode(proof)?;
        let verifier = self.verifier_of(&proof.commit)?;
        let header = self.in_epoch(proof.verify(&verifier, tx_id)?)?;
        let value = PlacedReceipt { receipt: proof.receipt, index: proof.path.index };
        Ok(Proven { value, certificate: certificate(header, &proof.commit.qc, verifier.committee()) })
    }

    /// Verifies a node's answer about an account. Returns its record, or the default if it is proved to have none.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn account(&self, address: Address, view: &AccountView) -> Result<Proven<AccountRecord>, LightError> {
        let Proven { value, certificate } = self.value(&account_key(&address), view.value.as_deref(), &view.proof, view.height)?;
        let malformed = || LightError::Contradiction("the value is not an account record".into());
        let record =
            value.map_or_else(|| Ok(AccountRecord::default()), |value| AccountRecord::decode(value.into()).ok_or_else(malformed))?;
        let sequence = record.sequence();
        if view.address != address || view.sequence != sequence {
            let said = view.sequence;
            return Err(LightError::Contradiction(format!("the answer has sequence number {said}, and the proof {sequence}")));
        }
        if view.permission != record.permission() {
            return Err(LightError::Contradiction("the answer has another permission than the proof".into()));
        }
        Ok(Proven { value: record, certificate })
    }

    /// Verifies a node's answer about a key of the state. Returns the value, or `None` if the key is proved to be missing.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn state(&self, key: &[u8], view: &StateView) -> Result<Proven<Option<Vec<u8>>>, LightError> {
        self.value(key, view.value.as_deref(), &view.proof, view.height)
    }

    fn value(&self, key: &[u8], value: Option<&str>, proof: &str, height: Height) -> Result<Proven<Option<Vec<u8>>>, LightError> {
        let proof: ValueProof = decode(proof)?;
        let verifier = self.verifier_of(&proof.commit)?;
        let value = value.map(bytes).transpose()?;
        let header = self.in_epoch(proof.verify(&verifier, key, value.as_deref())?)?;
        if header.height != height {
            return Err(LightError::Contradiction(format!("the answer has height {height}, and the proof {}", header.height)));
        }
        Ok(Proven { value, certificate: certificate(header, &proof.commit.qc, verifier.committee()) })
    }

    /// The verifier of the epoch that a proof names. It accepts no certificate of another epoch.
    fn verifier_of(&self, proof: &CommitProof) -> Result<Arc<Verifier>, LightError> {
        let epoch = proof.headers.first().ok_or(ProofError::Headers)?.epoch;
        // The certificate that an epoch begins with has no signatures, so it proves nothing.
        if proof.qc.round() == Round(0) {
            return Err(if epoch == Epoch(0) { LightError::NothingCommitted } else { ProofError::NotCommitted.into() });
        }
        Ok(self.known(epoch)?.verifier)
    }

    /// Refuses a verified header beyond the end of its epoch: a committee may lose its keys once it no longer serves.
    fn in_epoch(&self, header: &Header) -> Result<Header, LightError> {
        if let Ok(Known { before: Some(last), .. }) = self.known(header.epoch.next())
            && header.height >= last.height
            && *header != *last
        {
            return Err(LightError::AfterEpoch { epoch: header.epoch, last: last.height, height: header.height });
        }
        Ok(header.clone())
    }
}

/// Describes a verified certificate.
fn certificate(header: Header, qc: &QuorumCert, committee: &Committee) -> Certificate {
    Certificate {
        header,
        round: qc.round(),
        signers: qc.signers.iter().filter_map(|id| committee.get(id)).map(|validator| validator.name.clone()).collect(),
        power: committee.power(qc.signers),
        power_total: committee.total_power(),
    }
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, LightError> {
    Ok(codec::decode(&bytes(text)?, PROOF_BYTES_MAX)?)
}

fn bytes(text: &str) -> Result<Vec<u8>, LightError> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|error| LightError::Form(error.to_string()))
}
