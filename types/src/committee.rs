//! The validators of an epoch, their voting power, and what a quorum is (paper §2; deviation D1).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, Bounded},
    crypto::{Hash, KeyError, PublicKey, Tag, VerifyingKey},
    ids::ValidatorId,
    round::Epoch,
};

/// Domain of committee hashes.
pub const COMMITTEE: Tag = Tag::new("quorate/committee");

/// Most validators in a committee: a [`SignerSet`] is one 128-bit word.
pub const VALIDATORS_MAX: usize = 128;
/// Largest voting power of one validator, so that the total of a committee cannot overflow.
pub const POWER_MAX: u64 = 1 << 48;
/// Longest name and longest network address of a validator, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Voting power: how much a validator's signature counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VotingPower(pub u64);

/// A member of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Its name for people.
    pub name: String,
    /// Signs its votes, timeouts and proposals; the committee is sorted by it.
    pub consensus_key: PublicKey,
    /// Its identity on the network.
    pub network_key: PublicKey,
    /// The multiaddress that peers dial, such as `/ip4/10.0.0.1/tcp/6180`.
    pub address: String,
    /// How much its signature counts.
    pub power: VotingPower,
}

/// Why a set of validators is not a committee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// No validators.
    #[error("a committee needs at least one validator")]
    Empty,
    /// More than [`VALIDATORS_MAX`].
    #[error("{0} validators are too many; a committee has at most {VALIDATORS_MAX}")]
    TooMany(usize),
    /// Not sorted by consensus key, or a consensus key used twice.
    #[error("validator {0:?} is out of order, or its consensus key is used twice; sort validators by consensus key and use each key once")]
    Order(String),
    /// A network key that is used twice, which would make two validators the same peer, or that is also a consensus key.
    #[error("the network key of validator {0:?} is also another validator's network key or a consensus key; generate another one")]
    NetworkKey(String),
    /// No power, or more than [`POWER_MAX`].
    #[error("the voting power of validator {0:?} is outside 1..=2^48")]
    Power(String),
    /// A name or an address that is empty, too long, or would write control characters to a terminal.
    #[error("the name or the address of validator {0:?} is not 1 to {NAME_BYTES_MAX} bytes of text without control characters")]
    Name(String),
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
pub(crate) fn is_printable(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[derive(Serialize)]
struct Hashed<'a> {
    epoch: Epoch,
    validators: &'a [Validator],
}

/// The validators of one epoch, sorted by consensus key.
#[derive(Debug)]
pub struct Committee {
    epoch: Epoch,
    validators: Vec<Validator>,
    keys: Vec<VerifyingKey>,
    total: u64,
    hash: Hash,
}

impl Committee {
    /// Makes a committee of validators that are sorted by consensus key.
    ///
    /// # Errors
    /// [`CommitteeError`], which names the validator at fault.
    pub fn new(epoch: Epoch, validators: Vec<Validator>) -> Result<Arc<Self>, CommitteeError> {
        if validators.is_empty() {
            return Err(CommitteeError::Empty);
        }
        if validators.len() > VALIDATORS_MAX {
            return Err(CommitteeError::TooMany(validators.len()));
        }
        let mut keys = Vec::with_capacity(validators.len());
        let mut total = 0u64;
        let mut last: Option<PublicKey> = None;
        for validator in &validators {
            let name = || validator.name.clone();
            if last.is_some_and(|last| last >= validator.consensus_key) {
                return Err(CommitteeError::Order(name()));
            }
            last = Some(validator.consensus_key);
            if validators.iter().filter(|other| other.network_key == validator.network_key).count() > 1
                || validators.iter().any(|other| other.consensus_key == validator.network_key)
            {
                return Err(CommitteeError::NetworkKey(name()));
            }
            for text in [&validator.name, &validator.address] {
                if !is_printable(text) {
                    return Err(CommitteeError::Name(name()));
                }
            }
            if !(1..=POWER_MAX).contains(&validator.power.0) {
                return Err(CommitteeError::Power(name()));
            }
            total = total.saturating_add(validator.power.0);
            let key = |key: &PublicKey| key.decode_for_registration().map_err(|error| CommitteeError::Key { name: name(), error });
            key(&validator.network_key)?;
            keys.push(key(&validator.consensus_key)?);
        }
        let hash = Hash::of(&COMMITTEE, &codec::encode(&Hashed { epoch, validators: &validators }));
        Ok(Arc::new(Self { epoch, validators, keys, total, hash }))
    }

    /// The epoch that it serves.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its hash, as headers carry it.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Its members in order.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The positions of its members.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ValidatorId> + use<> {
        (0..u16::try_from(self.validators.len()).unwrap_or(u16::MAX)).map(ValidatorId)
    }

    /// The number of its members, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a committee is never empty")]
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// A member; `None` for a position outside the committee.
    #[must_use]
    pub fn get(&self, id: ValidatorId) -> Option<&Validator> {
        self.validators.get(id.index())
    }

    /// A member's key, decoded.
    #[must_use]
    pub fn key(&self, id: ValidatorId) -> Option<&VerifyingKey> {
        self.keys.get(id.index())
    }

    /// The position of a consensus key.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<ValidatorId> {
        let position = self.validators.binary_search_by(|validator| validator.consensus_key.cmp(key)).ok()?;
        u16::try_from(position).ok().map(ValidatorId)
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
        self.total.saturating_sub(self.total.saturating_sub(1) / 3)
    }

    /// The least power that is sure to include an honest validator, and without which no quorum can form (the paper's f+1).
    #[must_use]
    pub const fn amplify_power(&self) -> u64 {
        self.total.saturating_sub(self.quorum_power()).saturating_add(1)
    }

    /// The power of a set of members. Ids outside the committee count for nothing.
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

    /// Whether every member of the set is in the committee.
    #[must_use]
    pub fn contains_all(&self, signers: SignerSet) -> bool {
        signers.iter().all(|id| self.get(id).is_some())
    }
}

/// A set of validators, as a bitmap over the sorted committee: it cannot express a duplicate.
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
