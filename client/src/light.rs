//! The light client: it knows the genesis, and trusts only what a quorum of its committee has signed.
//!
//! ```text
//! a node's answer --hex--> proof --QC signatures--> header --Merkle path--> receipt or value == the node's claim
//! ```
//! A proof shows that something *was* committed, at the height and time of its header. A node can show an old state but not a false one.
//! Callers show the header's timestamp, which tells how old the state is.

use std::fmt;

use quorate_types::{
    codec::{self, DecodeError},
    evidence::Evidence,
    genesis::Genesis,
    header::Header,
    ids::{Address, EvidenceId, GenesisHash, StateId, TxId},
    proof::{CommitProof, ProofError, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round},
    rpc::{AccountView, StateView},
    state_key::{AccountRecord, account_key},
    verify::{Verifier, VerifyError},
    vote::QuorumCert,
};

use crate::error::ClientError;

/// Longest encoded proof, in bytes: twice the size of 1,024 headers, 128 signatures, a 256-step path and a receipt.
pub const PROOF_BYTES_MAX: usize = 1 << 20;

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

/// Verifies proofs against the committee of a genesis.
#[derive(Debug)]
pub struct LightClient {
    verifier: Verifier,
    genesis: Genesis,
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
        let verifier = Verifier::new(committee, placeholder, genesis.parameters);
        Ok(Self { verifier, genesis })
    }

    /// The trusted genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Hash of the trusted genesis.
    #[must_use]
    pub const fn genesis_hash(&self) -> GenesisHash {
        self.verifier.genesis_hash()
    }

    /// Verifies evidence. Returns the name of the validator that it convicts.
    ///
    /// # Errors
    /// [`LightError::Evidence`].
    pub fn evidence(&self, evidence: &Evidence) -> Result<String, LightError> {
        let culprit = self.verifier.evidence(*evidence).map_err(LightError::Evidence)?.culprit;
        let name = self.verifier.committee().get(culprit).map(|validator| validator.name.clone());
        name.ok_or(LightError::Evidence(VerifyError::NotInCommittee(culprit)))
    }

    /// Verifies a proof, in hexadecimal, that `tx_id` is committed.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn transaction(&self, tx_id: TxId, proof: &str) -> Result<Proven<PlacedReceipt>, LightError> {
        let proof: TransactionProof = decode(proof)?;
        refuse_genesis(&proof.commit)?;
        let header = proof.verify(&self.verifier, tx_id)?.clone();
        let value = PlacedReceipt { receipt: proof.receipt, index: proof.path.index };
        Ok(Proven { value, certificate: self.certificate(header, &proof.commit.qc) })
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
        refuse_genesis(&proof.commit)?;
        let value = value.map(bytes).transpose()?;
        let header = proof.verify(&self.verifier, key, value.as_deref())?.clone();
        if header.height != height {
            return Err(LightError::Contradiction(format!("the answer has height {height}, and the proof {}", header.height)));
        }
        Ok(Proven { value, certificate: self.certificate(header, &proof.commit.qc) })
    }

    /// Describes a verified certificate.
    fn certificate(&self, header: Header, qc: &QuorumCert) -> Certificate {
        let committee = self.verifier.committee();
        Certificate {
            header,
            round: qc.round(),
            signers: qc.signers.iter().filter_map(|id| committee.get(id)).map(|validator| validator.name.clone()).collect(),
            power: committee.power(qc.signers),
            power_total: committee.total_power(),
        }
    }
}

/// The genesis certificate has no signatures, so it proves nothing.
fn refuse_genesis(proof: &CommitProof) -> Result<(), LightError> {
    if proof.qc.round() == Round(0) { Err(LightError::NothingCommitted) } else { Ok(()) }
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, LightError> {
    Ok(codec::decode(&bytes(text)?, PROOF_BYTES_MAX)?)
}

fn bytes(text: &str) -> Result<Vec<u8>, LightError> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|error| LightError::Form(error.to_string()))
}
