//! Timeouts and timeout certificates (paper §3.5, p. 11).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{PerSigner, SignerSet},
    crypto::{Hash, Signature, Tag},
    ids::{GenesisHash, ValidatorId},
    round::{Epoch, Round},
    vote::QuorumCert,
};

/// Domain of timeout signatures.
pub const TIMEOUT: Tag = Tag::new("quorate/timeout");
/// Domain of timeout certificate digests, which only identify certificates in caches. Distinct from that of quorum certificates, which share
/// the cache: no bytes can be read as both.
pub const TIMEOUT_CERTIFICATE: Tag = Tag::new("quorate/timeout-certificate");

#[derive(Serialize)]
struct Signed {
    genesis_hash: GenesisHash,
    epoch: Epoch,
    round: Round,
    high_qc_round: Round,
}

/// The digest that a timeout signs: it covers the round given up and the round of the signer's highest certificate.
#[must_use]
pub fn timeout_digest(genesis_hash: GenesisHash, epoch: Epoch, round: Round, high_qc_round: Round) -> Hash {
    Hash::of(&TIMEOUT, &codec::encode(&Signed { genesis_hash, epoch, round, high_qc_round }))
}

/// One validator's statement that it gives up a round (paper: `TimeoutInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// The sender's highest certificate.
    pub high_qc: QuorumCert,
    /// The validator that gives up the round.
    pub sender: ValidatorId,
    /// The sender's, over [`timeout_digest`] of the round and `high_qc`'s round.
    pub signature: Signature,
}

/// A timeout as it is sent (paper: `TimeoutMsg`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutMessage {
    /// The timeout.
    pub timeout: Timeout,
    /// The timeout certificate of the previous round; present exactly when `high_qc` is not of that round.
    pub last_round_tc: Option<TimeoutCert>,
    /// The sender's newest certificate that commits a block.
    pub high_commit_qc: QuorumCert,
}

/// A quorum's timeouts of one round.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutCert {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// The validators that gave it up.
    pub signers: SignerSet,
    /// The round of each signer's highest certificate, in the order of signers.
    pub high_qc_rounds: PerSigner<Round>,
    /// Their signatures, in the order of signers.
    pub signatures: PerSigner<Signature>,
    /// The highest of the signers' certificates, carried whole so that no signer can claim a round for which no certificate exists (S1).
    pub high_qc: QuorumCert,
}

impl TimeoutCert {
    /// The highest certificate round that a signer claims (paper: max of `tmo_high_qc_rounds`).
    #[must_use]
    pub fn highest_qc_round(&self) -> Round {
        self.high_qc_rounds.iter().copied().max().unwrap_or_default()
    }

    /// The hash of the whole certificate, signatures included.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&TIMEOUT_CERTIFICATE, &codec::encode(self))
    }
}

impl fmt::Debug for TimeoutCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TC({} with {:?})", self.round, self.high_qc)
    }
}
