//! What has been checked: [`Verified`] values exist only through this module, by a check or by signing with our own key.
//!
//! A [`Verifier`] knows the committee and remembers what it has checked, so that each certificate, and each transaction, costs its
//! signatures once however often it comes. It is shared by the threads of a node.

mod aggregate;
mod certificate;
mod message;
mod recent;
mod transaction;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::recent::Recent;
pub use self::{
    aggregate::{OwnBlock, VerifiedMessage},
    transaction::SIGNATURES_BATCHED,
};
use crate::{
    block::BLOCK_TRANSACTIONS_MAX,
    committee::{Committee, VALIDATORS_MAX},
    crypto::{BadSignature, Hash, KeyError, PublicKey, Signature, SignatureMemory, VerifyingKey},
    genesis::Parameters,
    ids::{GenesisHash, TxId, ValidatorId},
    round::{Epoch, Round},
    seen::Seen,
    timeout::TimeoutCert,
    vote::QuorumCert,
};

/// How many certificates a [`Verifier`] remembers.
pub const CERTIFICATES_REMEMBERED: usize = 4_096;
/// How many signatures of validators a [`Verifier`] remembers: those of the votes and timeouts that certificates are made of come again in
/// the certificates.
pub const SIGNATURES_REMEMBERED: usize = 4_096;
/// How many transactions a [`Verifier`] remembers.
pub const TRANSACTIONS_REMEMBERED: usize = 32_768;
/// How many senders' decoded keys a [`Verifier`] remembers.
pub const KEYS_REMEMBERED: usize = 16_384;
// S21: what comes again is still known. Each message of a round may carry three certificates of its own; the largest block was seen
// transaction by transaction, each perhaps by another sender, before it came.
const _: () = assert!(CERTIFICATES_REMEMBERED >= 3 * VALIDATORS_MAX);
const _: () = assert!(TRANSACTIONS_REMEMBERED >= BLOCK_TRANSACTIONS_MAX && KEYS_REMEMBERED >= BLOCK_TRANSACTIONS_MAX);

/// A value whose signatures and form have been checked for this network and committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a value is refused. Every variant is a fact about the sender, so it is counted and never a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Signed for another network.
    #[error("it is for the network of genesis {0}")]
    OtherNetwork(GenesisHash),
    /// Of another epoch.
    #[error("it is of epoch {0}")]
    OtherEpoch(Epoch),
    /// Said to be by somebody who is not in the committee.
    #[error("validator {0} is not in the committee")]
    NotInCommittee(ValidatorId),
    /// Sent by one validator in the name of another.
    #[error("validator {sender} sent it in the name of validator {author}")]
    OtherSender {
        /// Who sent it.
        sender: ValidatorId,
        /// Who is said to have made it.
        author: ValidatorId,
    },
    /// A round outside the possible.
    #[error("round {0} is not possible here")]
    Round(Round),
    /// `vote_info_hash` is not the hash of `vote_info` (E13).
    #[error("the vote info is not the one that was signed")]
    VoteInfoHash,
    /// A commit where the rounds do not follow each other, or none where they do.
    #[error("the commit does not fit the rounds")]
    CommitRule,
    /// Fewer signers than a quorum.
    #[error("the signers are not a quorum")]
    NoQuorum,
    /// Not one signature (and one round) for each signer.
    #[error("the signatures do not fit the signers")]
    SignerCount,
    /// A timeout certificate that claims certificates it does not carry (S1).
    #[error("the highest certificate of the timeout certificate is not the one it carries")]
    HighQcMismatch,
    /// The certificates do not lead into the round (paper p. 12: well-formedness).
    #[error("its certificates do not lead into its round")]
    IllFormed,
    /// Too many or too large transactions.
    #[error("the payload is larger than the genesis allows")]
    PayloadSize,
    /// A transaction twice.
    #[error("transaction {0} twice in one block")]
    DuplicateTransaction(TxId),
    /// Blocks that are not each other's parents, or not those that were asked for.
    #[error("the blocks are not a chain")]
    NotAChain,
    /// A key that is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signature.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl VerifyError {
    /// A word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::OtherNetwork(_) => "other-network",
            Self::OtherEpoch(_) => "other-epoch",
            Self::NotInCommittee(_) => "not-in-committee",
            Self::OtherSender { .. } => "other-sender",
            Self::Round(_) => "round",
            Self::VoteInfoHash => "vote-info-hash",
            Self::CommitRule => "commit-rule",
            Self::NoQuorum => "no-quorum",
            Self::SignerCount => "signer-count",
            Self::HighQcMismatch => "high-qc-mismatch",
            Self::IllFormed => "ill-formed",
            Self::PayloadSize => "payload-size",
            Self::DuplicateTransaction(_) => "duplicate-transaction",
            Self::NotAChain => "not-a-chain",
            Self::Key(_) => "key",
            Self::Signature(_) => "signature",
        }
    }
}

/// Checks values against one committee of one network.
#[derive(Debug)]
pub struct Verifier {
    genesis_hash: GenesisHash,
    committee: Arc<Committee>,
    genesis_qc: QuorumCert,
    parameters: Parameters,
    signatures: Arc<SignatureMemory>,
    /// By their digests.
    certificates: Mutex<Seen<Hash, ()>>,
    recent_qcs: Mutex<Recent<QuorumCert>>,
    recent_tcs: Mutex<Recent<TimeoutCert>>,
    transactions: Mutex<Seen<TxId, Signature>>,
    keys: Mutex<Seen<PublicKey, VerifyingKey>>,
}

impl Verifier {
    /// A verifier that has seen nothing, for the network whose genesis the certificate names.
    #[must_use]
    pub fn new(committee: Arc<Committee>, genesis_qc: QuorumCert, parameters: Parameters) -> Self {
        Self {
            genesis_hash: genesis_qc.commit_info.genesis_hash,
            committee,
            genesis_qc,
            parameters,
            signatures: Arc::new(SignatureMemory::new(SIGNATURES_REMEMBERED)),
            certificates: Mutex::new(Seen::new(CERTIFICATES_REMEMBERED)),
            recent_qcs: Mutex::default(),
            recent_tcs: Mutex::default(),
            transactions: Mutex::new(Seen::new(TRANSACTIONS_REMEMBERED)),
            keys: Mutex::new(Seen::new(KEYS_REMEMBERED)),
        }
    }

    /// With another memory of signatures: a larger one, or one that others have.
    #[must_use]
    pub fn with_signatures(self, signatures: Arc<SignatureMemory>) -> Self {
        Self { signatures, ..self }
    }

    /// The network, by its genesis: part of everything that is signed.
    #[must_use]
    pub const fn genesis_hash(&self) -> GenesisHash {
        self.genesis_hash
    }

    /// The committee.
    #[must_use]
    pub const fn committee(&self) -> &Arc<Committee> {
        &self.committee
    }

    /// The certificate of genesis, the only one without signatures.
    #[must_use]
    pub fn genesis_qc(&self) -> Verified<QuorumCert> {
        Verified(self.genesis_qc.clone())
    }

    /// The network's shared rules.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn key(&self, id: ValidatorId) -> Result<&VerifyingKey, VerifyError> {
        self.committee.key(id).ok_or(VerifyError::NotInCommittee(id))
    }

    fn check_epoch(&self, epoch: Epoch) -> Result<(), VerifyError> {
        if epoch == self.committee.epoch() { Ok(()) } else { Err(VerifyError::OtherEpoch(epoch)) }
    }

    fn check_network(&self, genesis_hash: GenesisHash) -> Result<(), VerifyError> {
        if genesis_hash == self.genesis_hash { Ok(()) } else { Err(VerifyError::OtherNetwork(genesis_hash)) }
    }
}

/// What a memory holds is true whichever thread wrote it, so a panic elsewhere does not spoil it.
fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
