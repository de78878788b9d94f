//! Verification. Only this module makes [`Verified`] values, by a check or by signing with our own key.
//!
//! A [`Verifier`] knows the committee and remembers what it has checked, so the signatures of a certificate or a transaction are checked once
//! however often it arrives. The threads of a node share one.

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
    ids::{GenesisHash, StateId, TxId, ValidatorId},
    round::{Epoch, Round},
    seen::Seen,
    timeout::TimeoutCert,
    vote::QuorumCert,
};

/// How many certificates a [`Verifier`] remembers.
pub const CERTIFICATES_REMEMBERED: usize = 4_096;
/// How many signatures of validators a [`Verifier`] remembers: those of votes and timeouts come again in the certificates made of them.
pub const SIGNATURES_REMEMBERED: usize = 4_096;
/// How many transactions a [`Verifier`] remembers.
pub const TRANSACTIONS_REMEMBERED: usize = 32_768;
/// How many senders' decoded keys a [`Verifier`] remembers.
pub const KEYS_REMEMBERED: usize = 16_384;
// S21: what comes again is still remembered. Each message of a round may carry three certificates of its own; the transactions of the largest
// block may have arrived one by one before it, each from another sender.
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

/// Why a value is refused. Every variant is the sender's fault: counted, never a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Signed for another network.
    #[error("it is for another network, the one with genesis {0}")]
    OtherNetwork(GenesisHash),
    /// Of another epoch.
    #[error("it is of another epoch, {0}")]
    OtherEpoch(Epoch),
    /// Attributed to a seat whose signature does not count: a free one, or an observer's.
    #[error("validator {0} does not vote in this epoch")]
    NotInCommittee(ValidatorId),
    /// Sent by one validator in the name of another.
    #[error("validator {sender} sent it in the name of validator {author}")]
    OtherSender {
        /// The peer that sent it.
        sender: ValidatorId,
        /// The validator that it is attributed to.
        author: ValidatorId,
    },
    /// A round that cannot be.
    #[error("round {0} is not possible here")]
    Round(Round),
    /// `vote_info_hash` is not the hash of `vote_info` (E13).
    #[error("the vote info is not the one that was signed")]
    VoteInfoHash,
    /// A commit although the rounds are not consecutive, or none although they are; or a certificate without a commit where one is needed.
    #[error("the commit does not match the rounds, or is missing")]
    CommitRule,
    /// Fewer signers than a quorum.
    #[error("the signers are not a quorum")]
    NoQuorum,
    /// Not one signature (and, in a timeout certificate, one round) for each signer.
    #[error("the signatures do not match the signers")]
    SignerCount,
    /// A timeout certificate that carries another certificate than the highest one its signers claim (S1).
    #[error("the timeout certificate does not carry the highest certificate that its signers claim")]
    HighQcMismatch,
    /// The certificates do not lead into the round (paper p. 12: well-formedness).
    #[error("its certificates do not lead into its round")]
    IllFormed,
    /// Too many or too large transactions.
    #[error("the payload is larger than the genesis allows")]
    PayloadSize,
    /// A transaction that occurs twice.
    #[error("transaction {0} occurs twice in the block")]
    DuplicateTransaction(TxId),
    /// Blocks that are not each other's parents, or not the ones that the response names.
    #[error("the blocks do not form the chain that the response names")]
    NotAChain,
    /// Evidence whose statements are of different rounds, say the same, or are not in order.
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    /// An invalid key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An invalid signature.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl VerifyError {
    /// Its label in metrics.
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
            Self::NoContradiction => "no-contradiction",
            Self::Key(_) => "key",
            Self::Signature(_) => "signature",
        }
    }
}

/// Checks values against the committee of one epoch of one network.
#[derive(Debug)]
pub struct Verifier {
    genesis_hash: GenesisHash,
    committee: Arc<Committee>,
    genesis_qc: QuorumCert,
    parameters: Parameters,
    signatures: Arc<SignatureMemory>,
    /// By digest.
    certificates: Mutex<Seen<Hash, ()>>,
    recent_qcs: Mutex<Recent<QuorumCert>>,
    recent_tcs: Mutex<Recent<TimeoutCert>>,
    transactions: Arc<Mutex<Seen<TxId, Signature>>>,
    keys: Arc<Mutex<Seen<PublicKey, VerifyingKey>>>,
}

impl Verifier {
    /// A verifier that has seen nothing, for the network and the epoch of this certificate, the one that the epoch begins with.
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
            transactions: Arc::new(Mutex::new(Seen::new(TRANSACTIONS_REMEMBERED))),
            keys: Arc::new(Mutex::new(Seen::new(KEYS_REMEMBERED))),
        }
    }

    /// The verifier of the next epoch, once the last result of this one is committed. It remembers the same signatures and transactions, since
    /// those name the epoch or do not depend on it.
    #[must_use]
    pub fn next(&self, last: StateId, committee: Arc<Committee>, parameters: Parameters) -> Self {
        let begin = QuorumCert::of_epoch(committee.epoch(), self.genesis_hash, last);
        let next = Self::new(committee, begin, parameters).with_signatures(Arc::clone(&self.signatures));
        Self { transactions: Arc::clone(&self.transactions), keys: Arc::clone(&self.keys), ..next }
    }

    /// With another memory of signatures: a larger or a shared one.
    #[must_use]
    pub fn with_signatures(self, signatures: Arc<SignatureMemory>) -> Self {
        Self { signatures, ..self }
    }

    /// The network's genesis hash, part of everything that is signed.
    #[must_use]
    pub const fn genesis_hash(&self) -> GenesisHash {
        self.genesis_hash
    }

    /// The committee.
    #[must_use]
    pub const fn committee(&self) -> &Arc<Committee> {
        &self.committee
    }

    /// The certificate that the epoch begins with, the only one without signatures: in the first epoch that of genesis.
    #[must_use]
    pub fn genesis_qc(&self) -> Verified<QuorumCert> {
        Verified(self.genesis_qc.clone())
    }

    /// The network's parameters.
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

/// Every entry of a memory is valid whichever thread wrote it, so a panic in another thread does no harm.
fn lock<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
