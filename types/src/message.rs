//! The messages that validators send each other.

use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Proposal},
    codec::{self, Bounded, DecodeError},
    crypto::Hash,
    header::Header,
    ids::{BlockId, ValidatorId},
    proof::PROOF_HEADERS_MAX,
    round::{Epoch, Height, Round},
    sighting::Sightings,
    timeout::{TimeoutCert, TimeoutMessage},
    transaction::Transaction,
    vote::{QuorumCert, Vote},
};

/// The version of messages and signed values that networks are founded with, and that the handshake of this program names.
pub const PROTOCOL_VERSION: u32 = 1;
/// The newest version that this program speaks. A chain goes over to it when those who govern it decide so. It differs from the one before in its
/// number alone: it shows that a chain can change its version.
pub const PROTOCOL_VERSION_MAX: u32 = 2;
/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Most blocks in a fetch response.
pub const FETCH_BLOCKS_MAX: usize = 64;
/// Most blocks in a catch-up response.
pub const CATCHUP_BLOCKS_MAX: usize = 256;
/// Bytes of blocks after which a response ends; it holds at least one block. A fetch response still includes the block that crosses this
/// line, so the line plus the largest block that a genesis can allow stays below [`MESSAGE_BYTES_MAX`].
pub const ANSWER_BYTES_MAX: usize = 768 << 10;
/// Most transactions in a gossip batch.
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
    /// The sender gives up a round.
    Timeout(Box<TimeoutMessage>),
    /// The sender's certificates, for a lagging peer. Never answered (S22).
    SyncInfo(Box<SyncInfo>),
    /// Asks for blocks that are not yet committed.
    FetchRequest(FetchRequest),
    /// Answers a [`Self::FetchRequest`].
    FetchResponse(Box<FetchResponse>),
    /// Asks for committed blocks.
    CatchupRequest(CatchupRequest),
    /// Answers a [`Self::CatchupRequest`].
    CatchupResponse(Box<CatchupResponse>),
    /// Asks for the newest statements of the sender that the receiver has seen.
    SightingsRequest,
    /// Answers a [`Self::SightingsRequest`].
    Sightings(Box<Sightings>),
    /// Asks for the receiver's certificates, to sign again after a loss of memory.
    RecoveryRequest(RecoveryRequest),
    /// Answers a [`Self::RecoveryRequest`].
    RecoveryAnswer(Box<RecoveryAnswer>),
}

impl Message {
    /// Decodes a message.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, MESSAGE_BYTES_MAX)
    }

    /// Its name in logs, metrics and fault files.
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
            Self::RecoveryRequest(_) => "recovery-request",
            Self::RecoveryAnswer(_) => "recovery-answer",
        }
    }

    /// The epoch that its content is of, as the message claims; `None` for a message that belongs to no epoch or does not say.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Proposal(proposal) => Some(proposal.block.content().epoch),
            Self::Vote(vote) => Some(vote.commit_info.epoch),
            Self::Timeout(message) => Some(message.timeout.epoch),
            Self::SyncInfo(info) => Some(info.high_qc.commit_info.epoch),
            Self::FetchResponse(response) => response.blocks.first().map(|block| block.content().epoch),
            Self::CatchupResponse(response) => response.commit_qc.as_ref().map(|qc| qc.commit_info.epoch),
            Self::Sightings(sightings) => Some(sightings.epoch),
            Self::RecoveryAnswer(answer) => Some(answer.certificates.high_qc.commit_info.epoch),
            Self::FetchRequest(_) | Self::CatchupRequest(_) | Self::SightingsRequest | Self::RecoveryRequest(_) => None,
        }
    }

    /// The round that its sender signs for, in proposals, votes and timeouts; `None` in all other messages.
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
            | Self::Sightings(_)
            | Self::RecoveryRequest(_)
            | Self::RecoveryAnswer(_) => None,
        }
    }

    /// Its purpose.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Proposal(_) => Purpose::Propose,
            Self::Vote(_) => Purpose::Vote,
            Self::Timeout(_) => Purpose::Timeout,
            Self::SyncInfo(_) => Purpose::Inform,
            Self::FetchRequest(_) | Self::CatchupRequest(_) | Self::SightingsRequest | Self::RecoveryRequest(_) => Purpose::Ask,
            Self::FetchResponse(_) | Self::CatchupResponse(_) | Self::Sightings(_) | Self::RecoveryAnswer(_) => Purpose::Answer,
        }
    }

    /// Whether it belongs to the consensus protocol proper, which must never queue behind blocks for a lagging peer.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        match self.purpose() {
            Purpose::Propose | Purpose::Vote | Purpose::Timeout | Purpose::Inform => true,
            Purpose::Ask | Purpose::Answer => false,
        }
    }
}

/// What a message is for: the one classification of messages, for all code that treats several kinds alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A leader's block for a round.
    Propose,
    /// A vote in a round.
    Vote,
    /// A timeout: the sender gives up a round.
    Timeout,
    /// Certificates that nobody asked for.
    Inform,
    /// A request.
    Ask,
    /// A response to a request.
    Answer,
}

/// The recipients of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every validator but the sender.
    Others,
    /// One validator.
    One(ValidatorId),
}

/// A validator's certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncInfo {
    /// The highest certificate.
    pub high_qc: QuorumCert,
    /// The newest certificate that commits a block.
    pub high_commit_qc: QuorumCert,
    /// The timeout certificate that led into the sender's round, if one did.
    pub last_round_tc: Option<TimeoutCert>,
}

/// Asks for a block and its ancestors down to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchRequest {
    /// The newest block wanted; a certificate names it.
    pub block_id: BlockId,
    /// The requester has the chain up to this round; only blocks of higher rounds are wanted.
    pub above: Round,
}

/// Blocks, newest first, each the parent of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchResponse {
    /// The requested block.
    pub block_id: BlockId,
    /// That block and its ancestors; empty if the sender does not have it.
    pub blocks: Bounded<Block, FETCH_BLOCKS_MAX>,
}

/// Asks for committed blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchupRequest {
    /// The first height wanted.
    pub from: Height,
}

/// Committed blocks, oldest first, with the proof that they are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchupResponse {
    /// The height of the first block.
    pub from: Height,
    /// The blocks; empty if the sender has none from that height on.
    pub blocks: Bounded<Block, CATCHUP_BLOCKS_MAX>,
    /// Empty if the certificate commits the last block. If it commits a later one, because a message cannot hold all blocks up to that one:
    /// the headers from the last block to the committed one, both included.
    pub headers: Bounded<Header, PROOF_HEADERS_MAX>,
    /// The certificate; `None` exactly if there are no blocks.
    pub commit_qc: Option<QuorumCert>,
}

impl CatchupResponse {
    /// The response of a validator that has no blocks from this height on.
    #[must_use]
    pub fn nothing_from(from: Height) -> Self {
        Self { from, blocks: Bounded::default(), headers: Bounded::default(), commit_qc: None }
    }
}

/// Asks where the receiver stands, after a loss of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRequest {
    /// Drawn at random after the loss, so that an answer which repeats it was made after the loss.
    pub nonce: Hash,
}

/// Where the sender stands: it has signed nothing above the round that these certificates lead into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryAnswer {
    /// The request's.
    pub nonce: Hash,
    /// The sender's certificates.
    pub certificates: SyncInfo,
}

/// Transactions gossiped to the other validators' pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionBatch(pub Bounded<Transaction, BATCH_TRANSACTIONS_MAX>);
