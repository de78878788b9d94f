//! What governs an epoch: its committee, its parameters, its protocol version.
//!
//! The state of the chain holds the [`EpochState`] in force, and every [`Header`] names the hash of the one in force after its block. So whoever
//! trusts the committee of one epoch can be shown the next ([`EpochChange`]), and from the genesis on every later one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{Committee, CommitteeError, Seat, SignerSet},
    crypto::{Hash, Tag},
    genesis::Parameters,
    header::Header,
    ids::{BlockId, StateId},
    proof::{CommitProof, ProofError},
    round::Epoch,
    verify::Verifier,
};

/// Domain of the hashes of epoch states.
pub const EPOCH_STATE: Tag = Tag::new("quorate/epoch-state");
/// Domain of the ids of the blocks that epochs after the first begin with.
pub const EPOCH_BLOCK: Tag = Tag::new("quorate/epoch-block");

/// Longest encoding of an epoch state, in bytes: 128 members with the longest names and addresses, and the rest.
pub const EPOCH_STATE_BYTES_MAX: usize = 64 << 10;

/// What governs an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochState {
    /// Its number.
    pub epoch: Epoch,
    /// The version of messages and signed values.
    pub protocol_version: u32,
    /// The parameters that all validators share.
    pub parameters: Parameters,
    /// The members of its committee, in ascending order of their seats.
    pub seats: Vec<Seat>,
}

impl EpochState {
    /// Its hash, as headers carry it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&EPOCH_STATE, &codec::encode(self))
    }

    /// Its committee.
    ///
    /// # Errors
    /// [`CommitteeError`], which names the validator at fault.
    pub fn committee(&self) -> Result<Arc<Committee>, CommitteeError> {
        Committee::of_seats(self.epoch, &self.seats)
    }

    /// The members with voting power.
    pub fn voters(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|member| member.validator.power.0 > 0)
    }

    /// The power of these voters.
    #[must_use]
    pub fn power(&self, seats: SignerSet) -> u64 {
        self.voters().filter(|member| seats.contains(member.id)).fold(0, |sum, member| sum.saturating_add(member.validator.power.0))
    }

    /// The power of all voters.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.voters().fold(0, |sum, member| sum.saturating_add(member.validator.power.0))
    }
}

/// The id of the block that an epoch after the first begins with. Nobody proposes it: its result is the last one of the epoch before.
#[must_use]
pub fn epoch_block_id(epoch: Epoch, last: StateId) -> BlockId {
    BlockId(Hash::of(&EPOCH_BLOCK, &codec::encode(&(epoch, last))))
}

/// Proves to whoever trusts the committee of an epoch what governs the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochChange {
    /// Proves that the last block of the epoch is committed.
    pub commit: CommitProof,
    /// What that block's header names.
    pub next: EpochState,
}

impl EpochChange {
    /// Checks the change with the verifier of the epoch that it ends, and returns the last header of that epoch and the next committee.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, verifier: &Verifier) -> Result<(&Header, Arc<Committee>), ProofError> {
        let last = self.commit.verify(verifier)?;
        if last.epoch != verifier.committee().epoch() || self.next.epoch != last.epoch.next() || self.next.hash() != last.epoch_state {
            return Err(ProofError::OtherEpochState);
        }
        let committee = self.next.committee().map_err(|_| ProofError::OtherEpochState)?;
        Ok((last, committee))
    }
}
