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
/// Domain of what a proposal signs.
pub const PROPOSAL: Tag = Tag::new("quorate/proposal");

/// Most transactions of a block, whatever the genesis says.
pub const BLOCK_TRANSACTIONS_MAX: usize = 8_192;

/// The transactions of a block.
pub type Payload = Bounded<Transaction, BLOCK_TRANSACTIONS_MAX>;

/// What the author of a block decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockContent {
    /// The network, by its genesis.
    pub genesis_hash: GenesisHash,
    /// The epoch.
    pub epoch: Epoch,
    /// Who made it.
    pub author: ValidatorId,
    /// Its round.
    pub round: Round,
    /// Its time: later than its parent's.
    pub timestamp: UnixMillis,
    /// Its transactions.
    pub payload: Payload,
    /// The certificate of its parent.
    pub qc: QuorumCert,
}

/// A block with its id, which is always computed from the content and never taken from a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    content: BlockContent,
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
        let mut hasher = Hasher::new(&BLOCK);
        hasher
            .update(&content.genesis_hash.0.0)
            .update(&content.epoch.0.to_le_bytes())
            .update(&content.author.0.to_le_bytes())
            .update(&content.round.0.to_le_bytes())
            .update(&content.timestamp.0.to_le_bytes())
            .update(&(content.payload.len() as u64).to_le_bytes())
            .update(&payload.finish().0)
            // The parent's id and who certified it: the voters of every embedded certificate are the same for everybody (leader election).
            .update(&content.qc.digest().0);
        Self { id: BlockId(hasher.finish()), content }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// What its author decided.
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

    /// What its author signs to propose it.
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
            return Err(D::Error::custom("blocks are read from their canonical bytes only"));
        }
        BlockContent::deserialize(deserializer).map(Self::new)
    }
}

/// A leader's block for the current round (paper: `ProposalMsg`). The sender is the block's author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The block.
    pub block: Block,
    /// The timeout certificate of the round before, exactly when the block's certificate is not of the round before.
    pub last_round_tc: Option<TimeoutCert>,
    /// The newest certificate with a commit that the leader knows.
    pub high_commit_qc: QuorumCert,
    /// The author's, over the block id.
    pub signature: Signature,
}

/// The encoded size of a payload, in bytes: what the genesis limit on blocks counts.
#[must_use]
pub fn payload_bytes(payload: &[Transaction]) -> usize {
    payload.iter().fold(0, |sum, tx| sum.saturating_add(tx.raw().len()))
}

/// The encoding of a block as it is stored.
#[must_use]
pub fn encode_block(block: &Block) -> Vec<u8> {
    codec::encode(block)
}
