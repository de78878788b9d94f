//! The light client: it knows the genesis, and believes nothing but what a quorum of its committee has signed.
//!
//! ```text
//! a node's answer --hex--> proof --QC signatures--> header --Merkle path--> receipt or value == what the node says
//! ```
//! A proof shows that something *was* committed, at the height and time of its header. A node may show an old state; it cannot show a
//! false one. How old is the header's timestamp, which callers show.

use std::fmt;

use quorate_types::{
    codec::{self, DecodeError},
    genesis::Genesis,
    header::Header,
    ids::{Address, GenesisHash, StateId, TxId},
    proof::{CommitProof, ProofError, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round},
    rpc::{AccountView, StateView},
    state_key::{AccountRecord, account_key},
    verify::Verifier,
    vote::QuorumCert,
};

use crate::error::ClientError;

/// Longest encoded proof, in bytes: 1,024 headers, 128 signatures, a 256-step path and a receipt fit twice.
pub const PROOF_BYTES_MAX: usize = 1 << 20;

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// No bytes, or not those of a proof.
    #[error("the proof cannot be read: {0}")]
    Form(String),
    /// It proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It is about genesis, which nobody signs.
    #[error("nothing is committed yet as far as this node shows; until then, what accounts have is in the genesis file")]
    NothingCommitted,
    /// The proof is right, and the words around it are not.
    #[error("the node contradicts its own proof: {0}")]
    Contradiction(String),
}

impl From<DecodeError> for LightError {
    fn from(error: DecodeError) -> Self {
        Self::Form(error.to_string())
    }
}

/// By whom something is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The header of the block that holds it, or after which it holds.
    pub header: Header,
    /// The round of the certificate that commits the block.
    pub round: Round,
    /// Who signed, by name.
    pub signers: Vec<String>,
    /// The signers' voting power.
    pub power: u64,
    /// The committee's voting power.
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

/// A value that a quorum's signatures prove. Made by [`LightClient`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven<T> {
    value: T,
    certificate: Certificate,
}

impl<T> Proven<T> {
    /// What is proved.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// By whom.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The same proof of what the value says in other words.
    #[must_use]
    pub fn map<U>(self, reading: impl FnOnce(T) -> U) -> Proven<U> {
        Proven { value: reading(self.value), certificate: self.certificate }
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (T, Certificate) {
        (self.value, self.certificate)
    }
}

/// A receipt and its place in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedReceipt {
    /// The result.
    pub receipt: Receipt,
    /// The transaction's position in its block.
    pub index: u32,
}

/// Checks proofs against the committee of a genesis.
#[derive(Debug)]
pub struct LightClient {
    verifier: Verifier,
    genesis: Genesis,
}

impl LightClient {
    /// A light client of the network of this genesis, which must come from a source that the user trusts.
    ///
    /// # Errors
    /// [`ClientError::Genesis`].
    pub fn new(genesis: Genesis) -> Result<Self, ClientError> {
        genesis.check()?;
        let committee = genesis.committee().map_err(quorate_types::genesis::GenesisError::from)?;
        // The certificate of genesis names the state after executing genesis, which a client has not done. The zero id stands in for it,
        // and lets nothing through: the verifier takes a certificate of round 0 only if it equals this one, and a proof with this one
        // would need a header whose hash is zero. Everything else a proof can carry is signed by a quorum.
        let placeholder = QuorumCert::genesis(Epoch(0), genesis.hash(), StateId::default());
        let verifier = Verifier::new(committee, placeholder, genesis.parameters);
        Ok(Self { verifier, genesis })
    }

    /// The genesis that everything is checked against.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network.
    #[must_use]
    pub const fn genesis_hash(&self) -> GenesisHash {
        self.verifier.genesis_hash()
    }

    /// Checks the proof, in hexadecimal, that `tx_id` is committed.
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

    /// Checks a node's word on an account: its record, the default if it is proved to have none.
    ///
    /// # Errors
    /// [`LightError`].
    pub fn account(&self, address: Address, view: &AccountView) -> Result<Proven<AccountRecord>, LightError> {
        let Proven { value, certificate } = self.value(&account_key(&address), view.value.as_deref(), &view.proof, view.height)?;
        let malformed = || LightError::Contradiction("the value is no account record".into());
        let record =
            value.map_or_else(|| Ok(AccountRecord::default()), |value| AccountRecord::decode(value.into()).ok_or_else(malformed))?;
        let sequence = record.sequence();
        if view.address != address || view.sequence != sequence {
            let said = view.sequence;
            return Err(LightError::Contradiction(format!("it says sequence {said}, the proof says {sequence}")));
        }
        Ok(Proven { value: record, certificate })
    }

    /// Checks a node's word on a value of the state: its bytes, or that the key is missing.
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
            return Err(LightError::Contradiction(format!("it says height {height}, the proof says {}", header.height)));
        }
        Ok(Proven { value, certificate: self.certificate(header, &proof.commit.qc) })
    }

    /// The words for a certificate that has been verified.
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

/// The certificate of genesis has no signatures, so nothing can be checked against it.
fn refuse_genesis(proof: &CommitProof) -> Result<(), LightError> {
    if proof.qc.round() == Round(0) { Err(LightError::NothingCommitted) } else { Ok(()) }
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, LightError> {
    Ok(codec::decode(&bytes(text)?, PROOF_BYTES_MAX)?)
}

fn bytes(text: &str) -> Result<Vec<u8>, LightError> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|error| LightError::Form(error.to_string()))
}
