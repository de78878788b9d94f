//! The members of an epoch's committee, their voting power, and what a quorum is (paper §2; deviation D1).
//!
//! A member with voting power is a *voter*. A member without is an *observer*: it follows, verifies and serves, and nothing that it signs
//! counts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    codec::Bounded,
    crypto::{KeyError, PublicKey, VerifyingKey},
    ids::{Address, ValidatorId},
    round::Epoch,
};

/// Most members of a committee, and one above the highest seat: a [`SignerSet`] is one 128-bit word.
pub const VALIDATORS_MAX: usize = 128;
/// Largest voting power of one validator, so that the total of a committee cannot overflow.
pub const POWER_MAX: u64 = 1 << 48;
/// Longest name and longest network address of a validator, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Voting power: how much a validator's signature counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct VotingPower(pub u64);

/// A member of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Its name for people.
    pub name: String,
    /// Signs its votes, timeouts and proposals.
    pub consensus_key: PublicKey,
    /// Its identity on the network.
    pub network_key: PublicKey,
    /// The multiaddress that peers dial, such as `/ip4/10.0.0.1/tcp/6180`.
    pub address: String,
    /// How much its signature counts; 0 for an observer.
    pub power: VotingPower,
    /// The account that speaks for it when the committee changes. Without one it has no say.
    #[serde(default)]
    pub operator: Option<Address>,
}

/// A member of the committee with its seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// Its number.
    pub id: ValidatorId,
    /// The member.
    pub validator: Validator,
}

/// Why a set of validators is not a committee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// No voters.
    #[error("a committee needs at least one validator with voting power")]
    Empty,
    /// More than [`VALIDATORS_MAX`].
    #[error("{0} validators are too many; a committee has at most {VALIDATORS_MAX}")]
    TooMany(usize),
    /// A genesis whose validators are not sorted by consensus key, or a consensus key used twice.
    #[error("validator {0:?} is out of order, or its consensus key is used twice; sort validators by consensus key and use each key once")]
    Order(String),
    /// Seats that are not in ascending order, or beyond the last.
    #[error("the seat of validator {0:?} is out of order, taken, or not below {VALIDATORS_MAX}")]
    Seat(String),
    /// A network key that is used twice, which would make two validators the same peer, or that is also a consensus key.
    #[error("the network key of validator {0:?} is also another validator's network key or a consensus key; generate another one")]
    NetworkKey(String),
    /// More than [`POWER_MAX`].
    #[error("the voting power of validator {0:?} is above 2^48")]
    Power(String),
    /// A name or an address that is empty, too long, or would write control characters to a terminal.
    #[error("the name or the address of validator {0:?} is not 1 to {NAME_BYTES_MAX} bytes of text without control characters")]
    Name(String),
    /// A name that two members have.
    #[error("the name {0:?} is another validator's already; choose another one")]
    SameName(String),
    /// An invalid key.
    #[error("validator {name:?}: {error}")]
    Key {
        /// The validator.
        name: String,
        /// What is wrong with the key.
        error: KeyError,
    },
}

/// Whether a text chosen by one organisation is safe to show on the terminals of others.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[derive(Debug)]
struct Member {
    validator: Validator,
    key: VerifyingKey,
}

/// The members of one epoch.
#[derive(Debug)]
pub struct Committee {
    epoch: Epoch,
    /// By seat; free seats are `None`.
    seats: Vec<Option<Member>>,
    voters: Vec<ValidatorId>,
    total: u64,
}

impl Committee {
    /// Makes a first committee, of validators that are sorted by consensus key: their order gives them their seats.
    ///
    /// # Errors
    /// [`CommitteeError`], which names the validator at fault.
    pub fn new(epoch: Epoch, validators: Vec<Validator>) -> Result<Arc<Self>, CommitteeError> {
        if validators.len() > VALIDATORS_MAX {
            return Err(CommitteeError::TooMany(validators.len()));
        }
        let unsorted = validators.windows(2).find_map(|pair| match pair {
            [first, second] if first.consensus_key >= second.consensus_key => Some(second.name.clone()),
            _ => None,
        });
        if let Some(name) = unsorted {
            return Err(CommitteeError::Order(name));
        }
        let seats: Vec<Seat> = (0..).map(ValidatorId).zip(validators).map(|(id, validator)| Seat { id, validator }).collect();
        Self::of_seats(epoch, &seats)
    }

    /// Makes a committee of members in ascending order of their seats.
    ///
    /// # Errors
    /// [`CommitteeError`], which names the validator at fault.
    pub fn of_seats(epoch: Epoch, members: &[Seat]) -> Result<Arc<Self>, CommitteeError> {
        Self::check(members)?;
        let mut seats: Vec<Option<Member>> = Vec::new();
        let mut voters = Vec::new();
        let mut total = 0u64;
        for Seat { id, validator } in members {
            let name = || validator.name.clone();
            total = total.saturating_add(validator.power.0);
            let decode = |key: &PublicKey| key.decode_for_registration().map_err(|error| CommitteeError::Key { name: name(), error });
            decode(&validator.network_key)?;
            let key = decode(&validator.consensus_key)?;
            if validator.power.0 > 0 {
                voters.push(*id);
            }
            seats.resize_with(id.index(), || None);
            seats.push(Some(Member { validator: validator.clone(), key }));
        }
        Ok(Arc::new(Self { epoch, seats, voters, total }))
    }

    /// Checks everything but that the keys are points of the curve, which takes a hundred times as long.
    ///
    /// # Errors
    /// [`CommitteeError`], which names the validator at fault.
    pub fn check(members: &[Seat]) -> Result<(), CommitteeError> {
        if members.len() > VALIDATORS_MAX {
            return Err(CommitteeError::TooMany(members.len()));
        }
        let mut free = 0usize;
        for Seat { id, validator } in members {
            let name = || validator.name.clone();
            if id.index() < free || id.index() >= VALIDATORS_MAX {
                return Err(CommitteeError::Seat(name()));
            }
            free = id.index().saturating_add(1);
            let others = || members.iter().filter(|other| other.id != *id).map(|other| &other.validator);
            if others().any(|other| other.consensus_key == validator.consensus_key) {
                return Err(CommitteeError::Order(name()));
            }
            if members.iter().any(|other| other.validator.consensus_key == validator.network_key)
                || others().any(|other| other.network_key == validator.network_key)
            {
                return Err(CommitteeError::NetworkKey(name()));
            }
            for text in [&validator.name, &validator.address] {
                if !is_printable(text) {
                    return Err(CommitteeError::Name(name()));
                }
            }
            // People approve, remove and accuse members by name.
            if others().any(|other| other.name == validator.name) {
                return Err(CommitteeError::SameName(name()));
            }
            if validator.power.0 > POWER_MAX {
                return Err(CommitteeError::Power(name()));
            }
        }
        if members.iter().all(|member| member.validator.power.0 == 0) { Err(CommitteeError::Empty) } else { Ok(()) }
    }

    /// The epoch that it serves.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn member(&self, id: ValidatorId) -> Option<&Member> {
        self.seats.get(id.index())?.as_ref()
    }

    /// Its members, observers included, in the order of their seats.
    #[must_use]
    pub fn members(&self) -> impl DoubleEndedIterator<Item = (ValidatorId, &Validator)> {
        (0..u16::MAX).zip(&self.seats).filter_map(|(id, seat)| Some((ValidatorId(id), &seat.as_ref()?.validator)))
    }

    /// The seats of its members, observers included.
    #[must_use]
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ValidatorId> {
        self.members().map(|(id, _)| id)
    }

    /// The seats of its voters, of which there is at least one.
    #[must_use]
    pub fn voters(&self) -> &[ValidatorId] {
        &self.voters
    }

    /// Whether this member votes.
    #[must_use]
    pub fn is_voter(&self, id: ValidatorId) -> bool {
        self.member(id).is_some_and(|member| member.validator.power.0 > 0)
    }

    /// A member; `None` for a free seat.
    #[must_use]
    pub fn get(&self, id: ValidatorId) -> Option<&Validator> {
        self.member(id).map(|member| &member.validator)
    }

    /// A voter's key, decoded. What anyone else signs counts for nothing.
    #[must_use]
    pub fn key(&self, id: ValidatorId) -> Option<&VerifyingKey> {
        self.member(id).filter(|member| member.validator.power.0 > 0).map(|member| &member.key)
    }

    /// The seat of a consensus key.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<ValidatorId> {
        self.members().find(|(_, validator)| validator.consensus_key == *key).map(|(id, _)| id)
    }

    /// The voting power of all members.
    #[must_use]
    pub const fn total_power(&self) -> u64 {
        self.total
    }

    /// The power of a quorum: all but the largest minority that may be faulty, `total - (total - 1) / 3`. For every total, two quorums
    /// share an honest validator; the paper's 2f+1 equals this only if total = 3f+1.
    #[must_use]
    pub const fn quorum_power(&self) -> u64 {
        quorum_of(self.total)
    }

    /// The least power that is sure to include an honest validator, and without which no quorum can form (the paper's f+1).
    #[must_use]
    pub const fn amplify_power(&self) -> u64 {
        self.total.saturating_sub(self.quorum_power()).saturating_add(1)
    }

    /// The power of a set of members. Free seats count for nothing.
    #[must_use]
    pub fn power(&self, signers: SignerSet) -> u64 {
        signers.iter().filter_map(|id| self.get(id)).fold(0, |sum, validator| sum.saturating_add(validator.power.0))
    }

    /// Whether these members are a quorum.
    #[must_use]
    pub fn is_quorum(&self, signers: SignerSet) -> bool {
        self.power(signers) >= self.quorum_power()
    }

    /// Whether these members are sure to include an honest one.
    #[must_use]
    pub fn holds_honest(&self, signers: SignerSet) -> bool {
        self.power(signers) >= self.amplify_power()
    }

    /// Whether every one of these is a voter.
    #[must_use]
    pub fn are_voters(&self, ids: SignerSet) -> bool {
        ids.iter().all(|id| self.is_voter(id))
    }
}

/// The power of a quorum among voters with this power together; see [`Committee::quorum_power`].
#[must_use]
pub const fn quorum_of(total: u64) -> u64 {
    total.saturating_sub(total.saturating_sub(1) / 3)
}

/// A set of validators, as a bitmap over the seats: it cannot express a duplicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignerSet(u128);

impl SignerSet {
    /// Adds a member; returns whether it was new.
    pub fn insert(&mut self, id: ValidatorId) -> bool {
        let bit = 1u128.checked_shl(u32::from(id.0)).unwrap_or(0);
        let new = bit != 0 && self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    /// Whether it holds a member.
    #[must_use]
    pub fn contains(self, id: ValidatorId) -> bool {
        self.0 & 1u128.checked_shl(u32::from(id.0)).unwrap_or(0) != 0
    }

    /// The number of its members.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ValidatorId> {
        (0u16..).take(VALIDATORS_MAX).map(ValidatorId).filter(move |id| self.contains(*id))
    }

    /// The members of both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The members that are not in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<ValidatorId> for SignerSet {
    fn from_iter<I: IntoIterator<Item = ValidatorId>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// One entry for each signer, in ascending order of signers.
pub type PerSigner<T> = Bounded<T, VALIDATORS_MAX>;
