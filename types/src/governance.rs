//! How a chain changes what governs it: operations on the chain itself.
//!
//! Somebody proposes a [`Change`]; those whom the [`Authority`] names approve it; at the end of that block it takes effect. A change of the
//! committee, of the parameters or of the authority begins a new epoch. What concerns one member or one account alone needs no proposal: its
//! operator moves a member to another address, and an account with the role to grant gives others their permissions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::VotingPower,
    evidence::Evidence,
    genesis::{GenesisValidator, ParametersChange},
    ids::{Address, ValidatorId},
    permission::PermissionChange,
    round::Height,
    state_key::CHAIN,
};

/// Most accounts of a board.
pub const BOARD_MAX: usize = 128;

/// Who decides on proposals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// The operators of voters. Each has the power of its members, and a proposal needs a quorum.
    #[default]
    Operators,
    /// A board of accounts, with a vote each.
    Board(Board),
}

/// A board of accounts that decides on proposals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The accounts, 1 to [`BOARD_MAX`].
    #[serde(deserialize_with = "codec::ascending")]
    pub members: BTreeSet<Address>,
    /// How many must approve a proposal, 1 to all.
    pub needed: u16,
}

impl Authority {
    /// Whether it can decide anything: a board has members, and does not need more than it has.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Operators => true,
            Self::Board(Board { members, needed }) => members.len() <= BOARD_MAX && (1..=members.len()).contains(&usize::from(*needed)),
        }
    }
}

/// Most open proposals of one account.
pub const PROPOSALS_PER_ACCOUNT_MAX: usize = 4;

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
    /// Changes the permission of an account. The sender has the role to grant, and the account does not.
    Permit {
        /// The account.
        account: Address,
        /// What changes.
        change: PermissionChange,
    },
    /// Moves a member of the sender's to another address, without a new epoch.
    Move {
        /// The member's seat.
        seat: ValidatorId,
        /// The multiaddress that peers dial from now on.
        address: String,
    },
    /// Says that the sender's members run programs that speak the protocol up to this version.
    Speak(u32),
}

/// A change of what governs the chain.
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
        /// Proof against it, which everybody checks.
        evidence: Option<Box<Evidence>>,
    },
    /// Replaces a member's entry, its keys included; its power stays. The approval of its own operator is enough, after [`OWN_CHANGE_BLOCKS`].
    Replace {
        /// The member's seat.
        seat: ValidatorId,
        /// Its new entry, signed by the new keys.
        entry: GenesisValidator,
    },
    /// Changes parameters of the chain.
    Parameters(Box<ParametersChange>),
    /// Changes the permission of an account. It takes effect without a new epoch.
    Permit {
        /// The account.
        account: Address,
        /// What changes.
        change: PermissionChange,
    },
    /// Lets others decide.
    Authority(Authority),
    /// Goes over to the next version of the protocol. Besides the approvals it needs a quorum of voters whose operators have said that they
    /// speak it ([`ChainOperation::Speak`]).
    Version(u32),
}

impl Change {
    /// The member that it is about, if it is about one that the committee has.
    #[must_use]
    pub const fn seat(&self) -> Option<ValidatorId> {
        match self {
            Self::Power { seat, .. } | Self::Remove { seat, .. } | Self::Replace { seat, .. } => Some(*seat),
            Self::Add(_) | Self::Parameters(_) | Self::Permit { .. } | Self::Authority(_) | Self::Version(_) => None,
        }
    }
}

/// A proposal that has not taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The account that made it.
    pub by: Address,
    /// What it would change.
    pub change: Change,
    /// The accounts that approve it.
    #[serde(deserialize_with = "codec::ascending")]
    pub approvals: BTreeSet<Address>,
    /// The accounts that reject it.
    #[serde(deserialize_with = "codec::ascending")]
    pub rejections: BTreeSet<Address>,
}

/// A proposal in the list of open ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenProposal {
    /// Its number.
    pub id: ProposalId,
    /// The account that made it.
    pub by: Address,
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
