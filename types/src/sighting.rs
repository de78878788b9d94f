//! What peers have seen of a validator: its newest signed statement of each kind (protocol.md, "A lost memory").
//!
//! A starting validator asks its peers for this before it signs anything. An answer holds the signatures themselves, so a lying peer can
//! withhold a statement but not invent one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    block::{BlockHead, Proposal},
    crypto::{Hash, Signature},
    ids::{BlockId, GenesisHash, ValidatorId},
    round::{Epoch, Round},
    timeout::{Timeout, timeout_digest},
    vote::{LedgerCommitInfo, Vote, VoteInfo},
};

/// The kinds of statements that a validator's consensus key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum StatementKind {
    /// A vote.
    Vote,
    /// A timeout.
    Timeout,
    /// A proposal.
    Proposal,
}

impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vote => "vote",
            Self::Timeout => "timeout",
            Self::Proposal => "proposal",
        })
    }
}

/// A signed statement without its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A vote.
    Vote(VoteInfo, LedgerCommitInfo),
    /// A timeout.
    Timeout {
        /// The round given up.
        round: Round,
        /// The round of the signer's highest certificate.
        high_qc_round: Round,
    },
    /// A proposal.
    Proposal {
        /// The block's round.
        round: Round,
        /// The block.
        id: BlockId,
    },
}

impl Statement {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> StatementKind {
        match self {
            Self::Vote(..) => StatementKind::Vote,
            Self::Timeout { .. } => StatementKind::Timeout,
            Self::Proposal { .. } => StatementKind::Proposal,
        }
    }

    /// The round that it was made in.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Vote(vote_info, _) => vote_info.round,
            Self::Timeout { round, .. } | Self::Proposal { round, .. } => *round,
        }
    }
}

/// A vote that was seen, alone or in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeenVote {
    /// The block.
    pub vote_info: VoteInfo,
    /// The signed part.
    pub commit_info: LedgerCommitInfo,
    /// The voter's, over `commit_info`.
    pub signature: Signature,
}

impl SeenVote {
    /// The digest that it signs.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.commit_info.digest()
    }
}

impl From<&Vote> for SeenVote {
    fn from(vote: &Vote) -> Self {
        Self { vote_info: vote.vote_info, commit_info: vote.commit_info, signature: vote.signature }
    }
}

/// A timeout that was seen, alone or in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeenTimeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// The round of the signer's highest certificate.
    pub high_qc_round: Round,
    /// The signer's, over [`timeout_digest`].
    pub signature: Signature,
}

impl SeenTimeout {
    /// The digest that it signs, on a network.
    #[must_use]
    pub fn digest(&self, genesis_hash: GenesisHash) -> Hash {
        timeout_digest(genesis_hash, self.epoch, self.round, self.high_qc_round)
    }
}

impl From<&Timeout> for SeenTimeout {
    fn from(timeout: &Timeout) -> Self {
        Self { epoch: timeout.epoch, round: timeout.round, high_qc_round: timeout.high_qc.round(), signature: timeout.signature }
    }
}

/// A proposal that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeenProposal {
    /// The block without its content; enough to compute its id.
    pub head: BlockHead,
    /// The author's, over [`BlockHead::proposal_digest`].
    pub signature: Signature,
}

impl SeenProposal {
    /// The digest that it signs, on a network, in an epoch.
    #[must_use]
    pub fn digest(&self, genesis_hash: GenesisHash, epoch: Epoch) -> Hash {
        self.head.proposal_digest(genesis_hash, epoch)
    }
}

impl From<&Proposal> for SeenProposal {
    fn from(proposal: &Proposal) -> Self {
        Self { head: *proposal.block.head(), signature: proposal.signature }
    }
}

/// The newest statements of one validator, as seen by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// The epoch of the statements, that of the validator that has seen them.
    pub epoch: Epoch,
    /// The validator that made the statements.
    pub of: ValidatorId,
    /// The vote of the highest round.
    pub vote: Option<SeenVote>,
    /// The timeout of the highest round.
    pub timeout: Option<SeenTimeout>,
    /// The proposal of the highest round.
    pub proposal: Option<SeenProposal>,
}

impl Sightings {
    /// The sightings of a validator that was never seen.
    #[must_use]
    pub const fn none(epoch: Epoch, of: ValidatorId) -> Self {
        Self { epoch, of, vote: None, timeout: None, proposal: None }
    }
}
