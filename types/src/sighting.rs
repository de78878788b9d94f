//! What others have seen of a validator: the newest statement of each kind that carries its signature (protocol.md, "A lost memory").
//!
//! A validator that starts asks for this before it signs. An answer holds the signatures themselves, so a liar can withhold one, and
//! cannot invent one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    block::BlockHead,
    crypto::Signature,
    ids::{BlockId, ValidatorId},
    round::{Epoch, Round},
    vote::{LedgerCommitInfo, VoteInfo},
};

/// The kinds of statements that a validator's consensus key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What a validator's signature says, without the signature.
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

    /// The round that it is made in.
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
pub struct SeenVote {
    /// The block.
    pub vote_info: VoteInfo,
    /// What is signed.
    pub commit_info: LedgerCommitInfo,
    /// Over `commit_info`.
    pub signature: Signature,
}

/// A timeout that was seen, alone or in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTimeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The round given up.
    pub round: Round,
    /// The round of the signer's highest certificate.
    pub high_qc_round: Round,
    /// Over [`crate::timeout::timeout_digest`].
    pub signature: Signature,
}

/// A proposal that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenProposal {
    /// The block without its content: its id can be computed.
    pub head: BlockHead,
    /// Over [`BlockHead::proposal_digest`].
    pub signature: Signature,
}

/// The newest statements of one validator that another has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// Whose statements.
    pub of: ValidatorId,
    /// The vote of the highest round.
    pub vote: Option<SeenVote>,
    /// The timeout of the highest round.
    pub timeout: Option<SeenTimeout>,
    /// The proposal of the highest round.
    pub proposal: Option<SeenProposal>,
}

impl Sightings {
    /// Of a validator that was never seen.
    #[must_use]
    pub const fn none(of: ValidatorId) -> Self {
        Self { of, vote: None, timeout: None, proposal: None }
    }
}
