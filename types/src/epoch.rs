//! What governs an epoch: its committee, its parameters, its protocol version.
//!
//! The state of the chain holds the [`EpochState`] in force, and every [`Header`] names the hash of the one in force after its block. So whoever
//! trusts the committee of one epoch can be shown the next ([`EpochChange`]), and from the genesis on every later one.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{Committee, CommitteeError, Seat, SignerSet, quorum_of},
    crypto::{Hash, Tag},
    genesis::Parameters,
    governance::{Authority, Change},
    header::Header,
    ids::{Address, BlockId, StateId, ValidatorId},
    proof::{CommitProof, ProofError},
    round::Epoch,
    verify::Verifier,
};

/// Domain of the hashes of epoch states.
pub const EPOCH_STATE: Tag = Tag::new("quorate/epoch-state");
/// Domain of the ids of the blocks that epochs after the first begin with.
pub const EPOCH_BLOCK: Tag = Tag::new("quorate/epoch-block");

/// Longest encoding of an epoch state, in bytes: 128 members with the longest names and addresses, a board of 128, and the rest.
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
    /// Who decides on proposals.
    pub authority: Authority,
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

    /// The account that speaks for a member.
    #[must_use]
    pub fn operator(&self, seat: ValidatorId) -> Option<Address> {
        self.seats.iter().find(|member| member.id == seat)?.validator.operator
    }

    /// The members that an account speaks for.
    #[must_use]
    pub fn seats_of(&self, operator: &Address) -> SignerSet {
        self.seats.iter().filter(|member| member.validator.operator == Some(*operator)).map(|member| member.id).collect()
    }

    /// The votes that these accounts have on a proposal.
    #[must_use]
    pub fn votes(&self, accounts: &BTreeSet<Address>) -> u64 {
        match &self.authority {
            Authority::Operators => {
                let speaks = |operator: Option<Address>| operator.is_some_and(|operator| accounts.contains(&operator));
                self.power(self.voters().filter(|member| speaks(member.validator.operator)).map(|member| member.id).collect())
            }
            Authority::Board(board) => accounts.intersection(&board.members).count() as u64,
        }
    }

    /// The votes of all who decide on proposals.
    #[must_use]
    pub fn votes_total(&self) -> u64 {
        match &self.authority {
            Authority::Operators => self.total_power(),
            Authority::Board(board) => board.members.len() as u64,
        }
    }

    /// The votes that can ever be cast: those of accounts. A voter without an operator has none.
    #[must_use]
    pub fn votes_attainable(&self) -> u64 {
        match &self.authority {
            Authority::Operators => {
                self.power(self.voters().filter(|member| member.validator.operator.is_some()).map(|member| member.id).collect())
            }
            Authority::Board(board) => board.members.len() as u64,
        }
    }

    /// The votes that a proposal needs.
    #[must_use]
    pub fn votes_needed(&self) -> u64 {
        match &self.authority {
            Authority::Operators => quorum_of(self.total_power()),
            Authority::Board(board) => board.needed.into(),
        }
    }

    /// Whether an account has a vote on proposals.
    #[must_use]
    pub fn decides(&self, account: &Address) -> bool {
        match &self.authority {
            Authority::Operators => self.voters().any(|member| member.validator.operator == Some(*account)),
            Authority::Board(board) => board.members.contains(account),
        }
    }

    /// Whether an account has a part in governing the chain: it decides, or speaks for a member. It may always send transactions.
    #[must_use]
    pub fn governs(&self, account: &Address) -> bool {
        self.decides(account) || self.seats.iter().any(|member| member.validator.operator == Some(*account))
    }

    /// Whether a change replaces the entry of a member that this account speaks for, which needs nobody else's approval.
    #[must_use]
    pub fn is_own(&self, change: &Change, account: &Address) -> bool {
        matches!(change, Change::Replace { seat, .. } if self.operator(*seat) == Some(*account))
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
