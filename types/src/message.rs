//! What validators send each other.

use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Proposal},
    codec::{self, Bounded, DecodeError},
    header::Header,
    ids::{BlockId, ValidatorId},
    proof::PROOF_HEADERS_MAX,
    round::{Height, Round},
    sighting::Sightings,
    timeout::{TimeoutCert, TimeoutMessage},
    transaction::Transaction,
    verify::Verified,
    vote::{QuorumCert, Vote},
};

/// The version of the messages and of every signed value; validators of different versions do not talk.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Most blocks of an answer to a fetch.
pub const FETCH_BLOCKS_MAX: usize = 64;
/// Most blocks of an answer to a catch-up.
pub const CATCHUP_BLOCKS_MAX: usize = 256;
/// Bytes of blocks after which an answer is cut (at least one block is sent). Of a fetch the block that crosses the line is still sent, so the
/// line plus the largest block that a genesis can allow stays below [`MESSAGE_BYTES_MAX`].
pub const ANSWER_BYTES_MAX: usize = 768 << 10;
/// Most transactions of a gossip batch.
pub const BATCH_TRANSACTIONS_MAX: usize = 1_024;
/// Longest gossip batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 256 << 10;

/// A message between two validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The leader's block.
    Proposal(Box<Proposal>),
    /// A vote, to the leader of the next round.
    Vote(Box<Vote>),
    /// A round is given up.
    Timeout(Box<TimeoutMessage>),
    /// The sender's certificates, for one that is behind. Never answered (S22).
    SyncInfo(Box<SyncInfo>),
    /// Asks for blocks that are not yet committed.
    FetchRequest(FetchRequest),
    /// Answers.
    FetchResponse(Box<FetchResponse>),
    /// Asks for committed blocks.
    CatchupRequest(CatchupRequest),
    /// Answers.
    CatchupResponse(Box<CatchupResponse>),
    /// Asks for the newest statements of the sender that the receiver has seen.
    SightingsRequest,
    /// Answers.
    Sightings(Box<Sightings>),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, MESSAGE_BYTES_MAX)
    }

    /// A word for logs, metrics and fault files.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Proposal(_) => "proposal",
            Self::Vote(_) => "vote",
            Self::Timeout(_) => "timeout",
            Self::SyncInfo(_) => "sync-info",
            Self::FetchRequest(_) => "fetch-request",
            Self::FetchResponse(_) => "fetch-response",
            Self::CatchupRequest(_) => "catchup-request",
            Self::CatchupResponse(_) => "catchup-response",
            Self::SightingsRequest => "sightings-request",
            Self::Sightings(_) => "sightings",
        }
    }

    /// The round that its sender signs in: of a proposal, a vote or a timeout. Whatever else is sent is of no round.
    #[must_use]
    pub const fn round(&self) -> Option<Round> {
        match self {
            Self::Proposal(proposal) => Some(proposal.block.round()),
            Self::Vote(vote) => Some(vote.vote_info.round),
            Self::Timeout(message) => Some(message.timeout.round),
            Self::SyncInfo(_)
            | Self::FetchRequest(_)
            | Self::FetchResponse(_)
            | Self::CatchupRequest(_)
            | Self::CatchupResponse(_)
            | Self::SightingsRequest
            | Self::Sightings(_) => None,
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Proposal(_) => Purpose::Propose,
            Self::Vote(_) => Purpose::Vote,
            Self::Timeout(_) => Purpose::GiveUp,
            Self::SyncInfo(_) => Purpose::Inform,
            Self::FetchRequest(_) | Self::CatchupRequest(_) | Self::SightingsRequest => Purpose::Ask,
            Self::FetchResponse(_) | Self::CatchupResponse(_) | Self::Sightings(_) => Purpose::Answer,
        }
    }

    /// Whether it is part of the protocol proper, which must never wait behind blocks on their way to somebody who is behind.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        match self.purpose() {
            Purpose::Propose | Purpose::Vote | Purpose::GiveUp | Purpose::Inform => true,
            Purpose::Ask | Purpose::Answer => false,
        }
    }
}

/// What a message is for: the one classification of kinds, for all who treat some kinds alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A leader's block for a round.
    Propose,
    /// A vote in a round.
    Vote,
    /// A round is given up.
    GiveUp,
    /// Certificates, unasked for.
    Inform,
    /// A question.
    Ask,
    /// The answer to one.
    Answer,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every validator but the sender.
    Others,
    /// One.
    One(ValidatorId),
}

/// A validator's certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncInfo {
    /// The highest certificate.
    pub high_qc: QuorumCert,
    /// The newest with a commit.
    pub high_commit_qc: QuorumCert,
    /// The timeout certificate that led into the sender's round, if one did.
    pub last_round_tc: Option<TimeoutCert>,
}

/// Asks for a block and its ancestors down to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// The newest block wanted; a certificate names it.
    pub block_id: BlockId,
    /// The asker has its chain up to this round; only blocks of higher rounds are wanted.
    pub above: Round,
}

/// Blocks, the newest first, each the parent of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchResponse {
    /// The block that was asked for.
    pub block_id: BlockId,
    /// That block and its ancestors; empty when the sender does not have it.
    pub blocks: Bounded<Block, FETCH_BLOCKS_MAX>,
}

/// Asks for committed blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchupRequest {
    /// The first height wanted.
    pub from: Height,
}

/// Committed blocks, the oldest first, and what proves that they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchupResponse {
    /// The height of the first block.
    pub from: Height,
    /// The blocks; empty when the sender has none from there on.
    pub blocks: Bounded<Block, CATCHUP_BLOCKS_MAX>,
    /// Empty where the certificate commits the last block. Where it commits a later one, because there are more blocks up to it than a
    /// message may hold: the headers of the last block, of the one that it commits, and of all between.
    pub headers: Bounded<Header, PROOF_HEADERS_MAX>,
    /// The certificate; `None` exactly when there are no blocks.
    pub commit_qc: Option<QuorumCert>,
}

impl CatchupResponse {
    /// The answer of one that has no blocks from a height on.
    #[must_use]
    pub fn nothing_from(from: Height) -> Self {
        Self { from, blocks: Bounded::default(), headers: Bounded::default(), commit_qc: None }
    }
}

/// Transactions on their way to the other validators' pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionBatch(pub Bounded<Transaction, BATCH_TRANSACTIONS_MAX>);

/// Two signed messages that no honest validator signs both: anyone can check them without this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Two votes in one round.
    Votes(Box<Verified<Vote>>, Box<Verified<Vote>>),
    /// Two timeouts of one round that claim different certificates.
    Timeouts(Box<Verified<TimeoutMessage>>, Box<Verified<TimeoutMessage>>),
    /// Two proposals in one round.
    Proposals(Box<Verified<Proposal>>, Box<Verified<Proposal>>),
}

impl Evidence {
    /// Who is accused.
    #[must_use]
    pub fn culprit(&self) -> ValidatorId {
        match self {
            Self::Votes(first, _) => first.sender,
            Self::Timeouts(first, _) => first.timeout.sender,
            Self::Proposals(first, _) => first.block.author(),
        }
    }

    /// In which round.
    #[must_use]
    pub fn round(&self) -> Round {
        match self {
            Self::Votes(first, _) => first.vote_info.round,
            Self::Timeouts(first, _) => first.timeout.round,
            Self::Proposals(first, _) => first.block.round(),
        }
    }
}
