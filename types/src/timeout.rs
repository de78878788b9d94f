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

/// Domain of what a timeout signs.
pub const TIMEOUT: Tag = Tag::new("quorate/timeout");
/// Domain of the digests of timeout certificates, which only name them in caches. Another than that of quorum certificates, which stand in the
/// same cache: no bytes can be read as both.
pub const TIMEOUT_CERTIFICATE: Tag = Tag::new("quorate/timeout-certificate");

#[derive(Serialize)]
struct Signed {
    genesis_hash: GenesisHash,
    epoch: Epoch,
    round: Round,
    high_qc_round: Round,
}

/// What the signer of a timeout signs: that it gives the round up, and the round of its highest certificate.
#[must_use]
pub fn timeout_digest(genesis_hash: GenesisHash, epoch: Epoch, round: Round, high_qc_round: Round) -> Hash {
    Hash::of(&TIMEOUT, &codec::encode(&Signed { genesis_hash, epoch, round, high_qc_round }))
}

/// One validator gives a round up (paper: `TimeoutInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// The highest certificate of the sender.
    pub high_qc: QuorumCert,
    /// Who gives up.
    pub sender: ValidatorId,
    /// Over [`timeout_digest`] of the round and `high_qc`'s round.
    pub signature: Signature,
}

/// A timeout as it is sent (paper: `TimeoutMsg`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutMessage {
    /// The timeout.
    pub timeout: Timeout,
    /// The timeout certificate of the round before, exactly when `high_qc` is not of the round before.
    pub last_round_tc: Option<TimeoutCert>,
    /// The newest certificate with a commit that the sender knows.
    pub high_commit_qc: QuorumCert,
}

/// A quorum gave a round up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutCert {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// Who gave it up.
    pub signers: SignerSet,
    /// The round of each signer's highest certificate, in the order of signers.
    pub high_qc_rounds: PerSigner<Round>,
    /// The signatures in the order of signers.
    pub signatures: PerSigner<Signature>,
    /// The highest certificate of any signer itself: no signer can claim a round for which no certificate exists (S1).
    pub high_qc: QuorumCert,
}

impl TimeoutCert {
    /// The highest round of a certificate that a signer claimed (paper: max of `tmo_high_qc_rounds`).
    #[must_use]
    pub fn highest_qc_round(&self) -> Round {
        self.high_qc_rounds.iter().copied().max().unwrap_or_default()
    }

    /// A name for the certificate with its signatures.
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
