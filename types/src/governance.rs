//! How a committee changes itself: operations on the chain, sent by the operators of its voters.
//!
//! An operator proposes a [`Change`]; operators of a quorum approve it; at the end of that block it takes effect, and a new epoch begins. The
//! approvals are those of seats: an operator of several validators speaks for all of them.

use serde::{Deserialize, Serialize};

use crate::{
    committee::{SignerSet, VotingPower},
    genesis::GenesisValidator,
    ids::ValidatorId,
    round::Height,
    state_key::CHAIN,
};

/// Most open proposals of one operator.
pub const PROPOSALS_PER_OPERATOR_MAX: usize = 4;

/// In how many blocks after the last one that changed the committee a member cannot change its own entry alone. Without it, one member could end
/// every epoch with its first block.
pub const OWN_CHANGE_BLOCKS: u64 = 100;

/// The number of a proposal. Numbers are given in order, from 0, and never again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalId(pub u64);

impl std::fmt::Display for ProposalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The payload of a transaction to the chain itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainOperation {
    /// Proposes a change. The sender approves it thereby.
    Propose(Box<Change>),
    /// Approves a proposal. Approving it again changes nothing, but lets it take effect if the committee has changed since.
    Approve(ProposalId),
    /// Rejects a proposal, and takes back an approval. A proposal that can no longer get a quorum is closed.
    Reject(ProposalId),
    /// Closes a proposal of the sender's.
    Withdraw(ProposalId),
}

/// A change of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Gives a member another voting power. Without power it is an observer.
    Power {
        /// The member's seat.
        seat: ValidatorId,
        /// Its new power.
        power: VotingPower,
    },
    /// Adds a member, on the lowest free seat. Its keys must have signed the entry for this network's draft, as for a genesis.
    Add(GenesisValidator),
    /// Removes a member and frees its seat.
    Remove {
        /// The member's seat.
        seat: ValidatorId,
    },
    /// Replaces a member's entry, its keys included; its power stays. The approval of its own operator is enough, after [`OWN_CHANGE_BLOCKS`].
    Replace {
        /// The member's seat.
        seat: ValidatorId,
        /// Its new entry, signed by the new keys.
        entry: GenesisValidator,
    },
}

impl Change {
    /// The member that it is about, unless it is a new one.
    #[must_use]
    pub const fn seat(&self) -> Option<ValidatorId> {
        match self {
            Self::Power { seat, .. } | Self::Remove { seat } | Self::Replace { seat, .. } => Some(*seat),
            Self::Add(_) => None,
        }
    }
}

/// A proposal that has not taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The seats of the operator that made it.
    pub by: SignerSet,
    /// What it would change.
    pub change: Change,
    /// The seats whose operators approve it.
    pub approvals: SignerSet,
    /// The seats whose operators reject it.
    pub rejections: SignerSet,
}

/// A proposal in the list of open ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenProposal {
    /// Its number.
    pub id: ProposalId,
    /// The seats of the operator that made it, as long as they have not changed hands.
    pub by: SignerSet,
}

/// The proposals that have not taken effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposals {
    /// The number of the next proposal.
    pub next: ProposalId,
    /// The open ones, ascending.
    pub open: Vec<OpenProposal>,
    /// The last block that changed the committee; none yet: 0.
    pub changed: Height,
}

/// The state key of a proposal.
#[must_use]
pub fn proposal_key(id: ProposalId) -> Vec<u8> {
    [[CHAIN].as_slice(), b"proposal", &id.0.to_be_bytes()].concat()
}
