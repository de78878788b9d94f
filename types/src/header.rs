//! The result of executing a block: what votes certify and light clients trust.

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    crypto::{Hash, Tag},
    ids::{BlockId, GenesisHash, StateId},
    round::{Epoch, Height, Round, UnixMillis},
};

/// Domain of state ids.
pub const HEADER: Tag = Tag::new("quorate/header");

/// The result of executing a block on its parent. Its hash is the [`StateId`] in votes and certificates, so a quorum's signatures certify
/// the whole result, and a validator with another result cannot contribute to the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The network.
    pub genesis_hash: GenesisHash,
    /// The epoch of the block.
    pub epoch: Epoch,
    /// The block's position in the chain; its parent's plus one.
    pub height: Height,
    /// The block's round.
    pub round: Round,
    /// The block.
    pub block_id: BlockId,
    /// The id of the parent's result; zero for genesis.
    pub parent: StateId,
    /// The block's time.
    pub timestamp: UnixMillis,
    /// Merkle root over the transactions' ids.
    pub transactions_root: Hash,
    /// Merkle root over the receipts.
    pub receipts_root: Hash,
    /// Root of the authenticated state after the block.
    pub state_root: Hash,
    /// Hash of the [epoch state](crate::epoch::EpochState) in force after the block. A block that changes it is the last of its epoch.
    pub epoch_state: Hash,
}

impl Header {
    /// The id of this result.
    #[must_use]
    pub fn state_id(&self) -> StateId {
        StateId(Hash::of(&HEADER, &codec::encode(self)))
    }
}
