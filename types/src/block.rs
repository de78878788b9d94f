//! Blocks and proposals (paper §3.3, p. 11).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec::{self, Bounded},
    crypto::{Hash, Hasher, Signature, Tag},
    ids::{BlockId, GenesisHash, ValidatorId},
    round::{Epoch, Round, UnixMillis},
    timeout::TimeoutCert,
    transaction::Transaction,
    vote::QuorumCert,
};

/// Domain of block ids.
pub const BLOCK: Tag = Tag::new("quorate/block");
/// Domain of payload digests.
pub const PAYLOAD: Tag = Tag::new("quorate/payload");
/// Domain of proposal signatures.
pub const PROPOSAL: Tag = Tag::new("quorate/proposal");

/// Most transactions in a block; a genesis can only lower it.
pub const BLOCK_TRANSACTIONS_MAX: usize = 8_192;

/// The transactions of a block.
pub type Payload = Bounded<Transaction, BLOCK_TRANSACTIONS_MAX>;

/// The content of a block, as its author chose it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockContent {
    /// The network.
    pub genesis_hash: GenesisHash,
    /// The epoch.
    pub epoch: Epoch,
    /// The validator that proposed it.
    pub author: ValidatorId,
    /// Its round.
    pub round: Round,
    /// Its time, later than its parent's.
    pub timestamp: UnixMillis,
    /// Its transactions.
    pub payload: Payload,
    /// The certificate of its parent.
    pub qc: QuorumCert,
}

/// A block with hashes in place of its transactions and its certificate: enough to compute its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockHead {
    /// The validator that proposed it.
    pub author: ValidatorId,
    /// Its round.
    pub round: Round,
    /// Its time.
    pub timestamp: UnixMillis,
    /// The number of its transactions.
    pub transactions: u64,
    /// The hash of its transactions.
    pub payload: Hash,
    /// The hash of the certificate of its parent, signatures included.
    pub qc: Hash,
}

impl BlockHead {
    /// The block's id on a network, in an epoch.
    #[must_use]
    pub fn id(&self, genesis_hash: GenesisHash, epoch: Epoch) -> BlockId {
        let mut hasher = Hasher::new(&BLOCK);
        hasher
            .update(&genesis_hash.0.0)
            .update(&epoch.0.to_le_bytes())
            .update(&self.author.0.to_le_bytes())
            .update(&self.round.0.to_le_bytes())
            .update(&self.timestamp.0.to_le_bytes())
            .update(&self.transactions.to_le_bytes())
            .update(&self.payload.0)
            // Covers the parent's id and the signers of its certificate: leader election needs every validator to see the same signers.
            .update(&self.qc.0);
        BlockId(hasher.finish())
    }

    /// The digest that its author signs to propose it.
    #[must_use]
    pub fn proposal_digest(&self, genesis_hash: GenesisHash, epoch: Epoch) -> Hash {
        Hash::of(&PROPOSAL, &self.id(genesis_hash, epoch).0.0)
    }
}

/// A block with its id, which is always computed from the content, never read from a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    content: BlockContent,
    head: BlockHead,
    id: BlockId,
}

impl Block {
    /// Computes the id.
    #[must_use]
    pub fn new(content: BlockContent) -> Self {
        let mut payload = Hasher::new(&PAYLOAD);
        for tx in &content.payload {
            payload.update(&(tx.raw().len() as u64).to_le_bytes()).update(tx.raw());
        }
        let head = BlockHead {
            author: content.author,
            round: content.round,
            timestamp: content.timestamp,
            transactions: content.payload.len() as u64,
            payload: payload.finish(),
            qc: content.qc.digest(),
        };
        Self { id: head.id(content.genesis_hash, content.epoch), head, content }
    }

    /// The part that its id is computed from.
    #[must_use]
    pub const fn head(&self) -> &BlockHead {
        &self.head
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// Its content, as the author chose it.
    #[must_use]
    pub const fn content(&self) -> &BlockContent {
        &self.content
    }

    /// Its round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.content.round
    }

    /// Its author.
    #[must_use]
    pub const fn author(&self) -> ValidatorId {
        self.content.author
    }

    /// Its transactions.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.content.payload
    }

    /// The certificate of its parent.
    #[must_use]
    pub const fn qc(&self) -> &QuorumCert {
        &self.content.qc
    }

    /// Its parent.
    #[must_use]
    #[expect(clippy::misnamed_getters, reason = "the certificate in a block is its parent's; parent_id there is the grandparent")]
    pub const fn parent_id(&self) -> BlockId {
        self.content.qc.vote_info.id
    }

    /// The digest that its author signs to propose it.
    #[must_use]
    pub fn proposal_digest(&self) -> Hash {
        Hash::of(&PROPOSAL, &self.id.0.0)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = &self.content;
        write!(
            f,
            "block {:?} of round {} by {}, {} txs, on {:?}",
            self.id,
            content.round,
            content.author,
            content.payload.len(),
            content.qc
        )
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.content.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Err(D::Error::custom("a block decodes from its canonical bytes only"));
        }
        BlockContent::deserialize(deserializer).map(Self::new)
    }
}

/// A leader's block for the current round (paper: `ProposalMsg`). Its sender is the block's author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The block.
    pub block: Block,
    /// The timeout certificate of the previous round; present exactly when the block's certificate is not of that round.
    pub last_round_tc: Option<TimeoutCert>,
    /// The leader's newest certificate that commits a block.
    pub high_commit_qc: QuorumCert,
    /// The author's, over [`Block::proposal_digest`].
    pub signature: Signature,
}

/// The total length of the transactions, in bytes: what the genesis parameter `block_bytes_max` limits.
#[must_use]
pub fn payload_bytes(payload: &[Transaction]) -> usize {
    payload.iter().fold(0, |sum, tx| sum.saturating_add(tx.raw().len()))
}

/// Encodes a block as it is stored.
#[must_use]
pub fn encode_block(block: &Block) -> Vec<u8> {
    codec::encode(block)
}
