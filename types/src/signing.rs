//! What a consensus key signs, and who signs it: the key itself, or a signer elsewhere that holds it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    block::BlockHead,
    crypto::{Hash, PublicKey, Signature, SigningKey},
    ids::GenesisHash,
    round::{Epoch, Round},
    sighting::Statement,
    timeout::timeout_digest,
    vote::{LedgerCommitInfo, VoteInfo},
};

/// A statement with everything that its digest covers, so that whoever signs it can judge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unsigned {
    /// A vote.
    Vote(VoteInfo, LedgerCommitInfo),
    /// A timeout.
    Timeout {
        /// The network.
        genesis_hash: GenesisHash,
        /// The epoch.
        epoch: Epoch,
        /// The round given up.
        round: Round,
        /// The round of the signer's highest certificate.
        high_qc_round: Round,
    },
    /// A proposal.
    Proposal {
        /// The network.
        genesis_hash: GenesisHash,
        /// The epoch.
        epoch: Epoch,
        /// The block, without its content.
        head: BlockHead,
    },
}

impl Unsigned {
    /// The digest to sign.
    #[must_use]
    pub fn digest(&self) -> Hash {
        match self {
            Self::Vote(_, commit_info) => commit_info.digest(),
            Self::Timeout { genesis_hash, epoch, round, high_qc_round } => timeout_digest(*genesis_hash, *epoch, *round, *high_qc_round),
            Self::Proposal { genesis_hash, epoch, head } => head.proposal_digest(*genesis_hash, *epoch),
        }
    }

    /// The network and the epoch that it is of.
    #[must_use]
    pub const fn scope(&self) -> (GenesisHash, Epoch) {
        match self {
            Self::Vote(_, LedgerCommitInfo { genesis_hash, epoch, .. })
            | Self::Timeout { genesis_hash, epoch, .. }
            | Self::Proposal { genesis_hash, epoch, .. } => (*genesis_hash, *epoch),
        }
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> Statement {
        match self {
            Self::Vote(vote_info, commit_info) => Statement::Vote(*vote_info, *commit_info),
            Self::Timeout { round, high_qc_round, .. } => Statement::Timeout { round: *round, high_qc_round: *high_qc_round },
            Self::Proposal { genesis_hash, epoch, head } => Statement::Proposal { round: head.round, id: head.id(*genesis_hash, *epoch) },
        }
    }
}

/// Signs with a validator's consensus key.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half of the key.
    fn public(&self) -> PublicKey;

    /// A valid signature of the statement's digest; `None` if the signer cannot be reached or refuses. The caller has made durable that it
    /// signs the statement, and may ask for the same one again.
    fn sign(&self, unsigned: &Unsigned) -> Option<Signature>;
}

impl Signer for SigningKey {
    fn public(&self) -> PublicKey {
        Self::public(self)
    }

    fn sign(&self, unsigned: &Unsigned) -> Option<Signature> {
        Some(Self::sign(self, &unsigned.digest()))
    }
}
