//! The genesis of a network: its validators, its parameters and its initial state.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{Committee, CommitteeError, NAME_BYTES_MAX, Seat, Validator, is_printable},
    crypto::{Hash, Signature, SigningKey, Tag},
    epoch::EpochState,
    governance::{Authority, BOARD_MAX},
    ids::{Address, ChainId, DraftHash, GenesisHash, ValidatorId},
    message::PROTOCOL_VERSION,
    permission::{Access, Permission},
    round::{Epoch, UnixMillis},
    settings::Settings,
};

/// Domain of genesis hashes.
pub const GENESIS: Tag = Tag::new("quorate/genesis");
/// Domain of draft hashes.
pub const DRAFT: Tag = Tag::new("quorate/genesis-draft");
/// Domain of proofs of possession.
pub const POSSESSION: Tag = Tag::new("quorate/possession");

/// Longest genesis file, in bytes.
pub const GENESIS_BYTES_MAX: usize = 64 << 20;

/// Longest round timer, in milliseconds.
const TIMEOUT_MS_MAX: u32 = 600_000;
/// Longest wait of an idle chain, in milliseconds.
const HEARTBEAT_MS_MAX: u32 = 3_600_000;

/// The parameters that all validators of a network share. They are part of the genesis hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Most transactions in a block, 1..=8192.
    pub block_transactions_max: u32,
    /// Most bytes of transactions in a block, 65,536..=1,048,576.
    pub block_bytes_max: u32,
    /// First duration of the round timer, in milliseconds, at least 10. Should be at least five times the network's delay (paper Lemma 9).
    pub timeout_base_ms: u32,
    /// Duration of each further round without a commit, in percent of the one before, 100..=300.
    pub timeout_growth_percent: u32,
    /// Longest duration of the round timer, in milliseconds, `timeout_base_ms`..=600,000.
    pub timeout_max_ms: u32,
    /// How long an idle chain waits before it makes an empty block, in milliseconds, `timeout_base_ms`..=3,600,000.
    pub heartbeat_ms: u32,
    /// Leader reputation: the number of committed blocks that elections look back on, 1..=256 (paper §3.7).
    pub window_size: u32,
    /// Leader reputation: the number of latest authors that elections exclude, f..=2f; f if absent.
    #[serde(default)]
    pub exclude_size: Option<u32>,
    /// Who may send transactions.
    #[serde(default)]
    pub access: Access,
    /// The share of one account in a block, in percent of the most transactions and of the most effects that a block may have, 1..=100.
    #[serde(default = "account_block_percent")]
    pub account_block_percent: u32,
    /// Limits on the state.
    pub state: StateLimits,
}

const fn account_block_percent() -> u32 {
    50
}

/// New values for some of the [`Parameters`]; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParametersChange {
    /// See [`Parameters::block_transactions_max`].
    pub block_transactions_max: Option<u32>,
    /// See [`Parameters::block_bytes_max`].
    pub block_bytes_max: Option<u32>,
    /// See [`Parameters::timeout_base_ms`].
    pub timeout_base_ms: Option<u32>,
    /// See [`Parameters::timeout_growth_percent`].
    pub timeout_growth_percent: Option<u32>,
    /// See [`Parameters::timeout_max_ms`].
    pub timeout_max_ms: Option<u32>,
    /// See [`Parameters::heartbeat_ms`].
    pub heartbeat_ms: Option<u32>,
    /// See [`Parameters::window_size`].
    pub window_size: Option<u32>,
    /// See [`Parameters::exclude_size`]. A size once set stays a number.
    pub exclude_size: Option<u32>,
    /// See [`Parameters::access`].
    pub access: Option<Access>,
    /// See [`Parameters::account_block_percent`].
    pub account_block_percent: Option<u32>,
    /// See [`StateLimits::bytes_max`].
    pub state_bytes_max: Option<u64>,
    /// See [`StateLimits::block_effect_bytes_max`].
    pub block_effect_bytes_max: Option<u32>,
}

impl ParametersChange {
    /// The parameters afterwards, unchecked.
    #[must_use]
    pub fn after(&self, before: &Parameters) -> Parameters {
        Parameters {
            block_transactions_max: self.block_transactions_max.unwrap_or(before.block_transactions_max),
            block_bytes_max: self.block_bytes_max.unwrap_or(before.block_bytes_max),
            timeout_base_ms: self.timeout_base_ms.unwrap_or(before.timeout_base_ms),
            timeout_growth_percent: self.timeout_growth_percent.unwrap_or(before.timeout_growth_percent),
            timeout_max_ms: self.timeout_max_ms.unwrap_or(before.timeout_max_ms),
            heartbeat_ms: self.heartbeat_ms.unwrap_or(before.heartbeat_ms),
            window_size: self.window_size.unwrap_or(before.window_size),
            exclude_size: self.exclude_size.or(before.exclude_size),
            access: self.access.unwrap_or(before.access),
            account_block_percent: self.account_block_percent.unwrap_or(before.account_block_percent),
            state: StateLimits {
                bytes_max: self.state_bytes_max.unwrap_or(before.state.bytes_max),
                block_effect_bytes_max: self.block_effect_bytes_max.unwrap_or(before.state.block_effect_bytes_max),
            },
        }
    }
}

/// Limits on the state. Sizes are sums of [`entry_size`](crate::state_key::entry_size) over its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StateLimits {
    /// Largest size of the state, 1 MiB..=1 TiB. Every validator holds it in memory. A block on a state of this size cannot add to it, so the
    /// state exceeds this by one block's effects at most.
    pub bytes_max: u64,
    /// Most bytes that the transactions of a block may write and answer with, together, 1 MiB..=8 MiB. Small transactions can copy large
    /// values, so the size of the payload alone bounds neither the state nor the receipts.
    pub block_effect_bytes_max: u32,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { bytes_max: 4 << 30, block_effect_bytes_max: 8 << 20 }
    }
}

impl StateLimits {
    fn check(&self) -> Result<(), GenesisError> {
        let wrong = |rule: &str| Err(GenesisError::Parameter(rule.into()));
        if !(1 << 20..=1 << 40).contains(&self.bytes_max) {
            return wrong("state.bytes_max must lie in 1048576..=1099511627776");
        }
        if !(1 << 20..=8 << 20).contains(&self.block_effect_bytes_max) {
            return wrong("state.block_effect_bytes_max must lie in 1048576..=8388608");
        }
        Ok(())
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            block_transactions_max: 2_000,
            block_bytes_max: 1 << 20,
            timeout_base_ms: 1_000,
            timeout_growth_percent: 120,
            timeout_max_ms: 10_000,
            heartbeat_ms: 10_000,
            window_size: 10,
            exclude_size: None,
            access: Access::default(),
            account_block_percent: account_block_percent(),
            state: StateLimits::default(),
        }
    }
}

impl Parameters {
    /// Most transactions of one account in a block, if it has no limit of its own: its share, at least 1.
    #[must_use]
    pub fn account_transactions_max(&self) -> u32 {
        (self.block_transactions_max.saturating_mul(self.account_block_percent) / 100).max(1)
    }

    /// Most bytes that the transactions of one account may write and answer with in a block.
    #[must_use]
    pub fn account_effect_bytes_max(&self) -> u64 {
        u64::from(self.state.block_effect_bytes_max).saturating_mul(self.account_block_percent.into()) / 100
    }

    /// How far a block's time may be ahead of a validator's clock when it votes, in milliseconds: a quarter of `timeout_base_ms`. Even if
    /// certifying such a block takes a round trip, it stays within one base timeout of the clock.
    #[must_use]
    pub fn clock_tolerance_ms(&self) -> u64 {
        u64::from(self.timeout_base_ms / 4)
    }

    /// The number of latest authors that elections exclude with this many voters: `exclude_size`, or f.
    #[must_use]
    pub fn excluded(&self, voters: usize) -> u32 {
        self.exclude_size.unwrap_or_else(|| u32::try_from(voters.saturating_sub(1) / 3).unwrap_or(u32::MAX))
    }

    /// These parameters for a committee of another size: an `exclude_size` that does not fit becomes the nearest that does.
    #[must_use]
    pub fn for_voters(self, voters: usize) -> Self {
        let faults = u32::try_from(voters.saturating_sub(1) / 3).unwrap_or(u32::MAX);
        Self { exclude_size: self.exclude_size.map(|size| size.clamp(faults, faults.saturating_mul(2))), ..self }
    }

    /// Checks the parameters for a committee of this size.
    ///
    /// # Errors
    /// [`GenesisError::Parameter`] with the first broken rule.
    pub fn check(&self, validators: usize) -> Result<(), GenesisError> {
        self.check_ranges()?;
        let faults = validators.saturating_sub(1) / 3;
        let most = faults.saturating_mul(2);
        if self.exclude_size.is_some_and(|size| !usize::try_from(size).is_ok_and(|size| (faults..=most).contains(&size))) {
            return Err(GenesisError::Parameter(format!("exclude_size must lie in {faults}..={most} for {validators} validators")));
        }
        Ok(())
    }

    /// The rules that hold for a committee of any size.
    fn check_ranges(&self) -> Result<(), GenesisError> {
        let wrong = |rule: &str| Err(GenesisError::Parameter(rule.into()));
        if !(1..=8_192).contains(&self.block_transactions_max) {
            return wrong("block_transactions_max must lie in 1..=8192");
        }
        if !(65_536..=1_048_576).contains(&self.block_bytes_max) {
            return wrong("block_bytes_max must lie in 65536..=1048576");
        }
        if self.timeout_base_ms < 10 || self.timeout_max_ms < self.timeout_base_ms || self.timeout_max_ms > TIMEOUT_MS_MAX {
            return wrong("timeout_base_ms must be at least 10 and at most timeout_max_ms, which must be at most 600000");
        }
        if !(100..=300).contains(&self.timeout_growth_percent) {
            return wrong("timeout_growth_percent must lie in 100..=300");
        }
        if self.heartbeat_ms < self.timeout_base_ms || self.heartbeat_ms > HEARTBEAT_MS_MAX {
            return wrong("heartbeat_ms must be at least timeout_base_ms and at most 3600000");
        }
        if !(1..=256).contains(&self.window_size) {
            return wrong("window_size must lie in 1..=256");
        }
        if !(1..=100).contains(&self.account_block_percent) {
            return wrong("account_block_percent must lie in 1..=100");
        }
        self.state.check()
    }
}

/// Longest name of an application, in bytes.
pub const APPLICATION_NAME_BYTES_MAX: usize = 32;

/// The application of a network and its settings. Part of the genesis hash, so nodes that run another application, version or settings
/// belong to another network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GenesisApplication {
    /// Its name: 1 to [`APPLICATION_NAME_BYTES_MAX`] lower-case letters, digits and hyphens.
    pub name: String,
    /// The version of its rules: programs with the same version execute every transaction identically.
    pub version: u32,
    /// Its settings and initial state, in its own format.
    pub settings: Settings,
}

impl GenesisApplication {
    fn check(&self) -> Result<(), GenesisError> {
        let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=APPLICATION_NAME_BYTES_MAX).contains(&self.name.len()) && self.name.bytes().all(in_name) {
            return Ok(());
        }
        Err(GenesisError::Parameter(format!(
            "application.name must have 1..={APPLICATION_NAME_BYTES_MAX} lower-case letters, digits and hyphens"
        )))
    }
}

/// A validator with proofs that its owner holds both of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// The validator.
    pub validator: Validator,
    /// The consensus key's signature over [`GenesisValidator::possession_digest`].
    pub consensus_proof: Signature,
    /// The network key's signature over the same digest.
    pub network_proof: Signature,
}

impl GenesisValidator {
    /// Signs an entry for the network that a draft describes.
    #[must_use]
    pub fn sign(draft: DraftHash, validator: Validator, consensus: &SigningKey, network: &SigningKey) -> Self {
        let digest = Self::possession_digest(draft, &validator);
        Self { consensus_proof: consensus.sign(&digest), network_proof: network.sign(&digest), validator }
    }

    /// The digest that both keys sign: the whole entry, for one draft.
    #[must_use]
    pub fn possession_digest(draft: DraftHash, validator: &Validator) -> Hash {
        Hash::of(&POSSESSION, &codec::encode(&(draft, validator)))
    }

    /// Checks both keys and both proofs.
    ///
    /// # Errors
    /// [`GenesisError`], which names the validator.
    pub fn check(&self, draft: DraftHash) -> Result<(), GenesisError> {
        let name = || self.validator.name.clone();
        let digest = Self::possession_digest(draft, &self.validator);
        for (key, proof) in [(&self.validator.consensus_key, &self.consensus_proof), (&self.validator.network_key, &self.network_proof)] {
            let key =
                key.decode_for_registration().map_err(|error| GenesisError::Committee(CommitteeError::Key { name: name(), error }))?;
            key.verify(&digest, proof).map_err(|_| GenesisError::Possession(name()))?;
        }
        Ok(())
    }
}

/// Why a genesis is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The committee is invalid.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// A proof of possession does not verify.
    #[error(
        "the proof of possession of validator {0:?} does not verify; its owner must run `quorate genesis add-validator` again on this draft"
    )]
    Possession(String),
    /// A parameter breaks a rule.
    #[error("invalid genesis parameter: {0}")]
    Parameter(String),
    /// The genesis is for another version of the protocol.
    #[error("the genesis is for protocol version {0}, but this program speaks version {PROTOCOL_VERSION}; use a matching program")]
    Protocol(u32),
}

/// What a network is founded on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The version of messages and signed values.
    pub protocol_version: u32,
    /// The network's number, by which people and programs tell networks apart.
    pub chain_id: ChainId,
    /// The network's name, for people.
    pub name: String,
    /// The time of the genesis block.
    pub timestamp: UnixMillis,
    /// The parameters that all validators share.
    pub parameters: Parameters,
    /// Who decides on changes of what governs the chain.
    #[serde(default)]
    pub authority: Authority,
    /// The accounts that have a permission from the start.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Permission>))]
    pub permissions: BTreeMap<Address, Permission>,
    /// The first committee, sorted by consensus key.
    pub validators: Vec<GenesisValidator>,
    /// The application that the network replicates.
    pub application: GenesisApplication,
}

impl Genesis {
    /// A genesis without validators yet, of an open network whose operators decide.
    #[must_use]
    pub fn draft(chain_id: ChainId, name: &str, timestamp: UnixMillis, parameters: Parameters, application: GenesisApplication) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            chain_id,
            name: name.to_owned(),
            timestamp,
            parameters,
            authority: Authority::default(),
            permissions: BTreeMap::new(),
            validators: Vec::new(),
            application,
        }
    }

    /// This genesis with these validators, in the order of the committee, each entry signed by its consensus and its network key: the result
    /// of the ceremony, for a caller that holds all keys.
    #[must_use]
    pub fn with_validators<'a>(mut self, members: impl IntoIterator<Item = (Validator, &'a SigningKey, &'a SigningKey)>) -> Self {
        let draft = self.draft_hash();
        let sign = |(validator, consensus, network)| GenesisValidator::sign(draft, validator, consensus, network);
        self.validators = members.into_iter().map(sign).collect();
        self.validators.sort_by_key(|entry| entry.validator.consensus_key);
        self
    }

    /// What governs the first epoch.
    #[must_use]
    pub fn epoch_state(&self) -> EpochState {
        let seats = (0..).map(ValidatorId).zip(&self.validators).map(|(id, entry)| Seat { id, validator: entry.validator.clone() });
        EpochState {
            epoch: Epoch(0),
            protocol_version: self.protocol_version,
            parameters: self.parameters,
            authority: self.authority.clone(),
            seats: seats.collect(),
        }
    }

    /// The hash that identifies the network. Files with the same content have the same hash, whatever their layout.
    #[must_use]
    pub fn hash(&self) -> GenesisHash {
        GenesisHash(Hash::of(&GENESIS, &codec::encode(self)))
    }

    /// The hash of what the validators agreed on before they entered: everything but themselves. Their proofs of possession cover it, so an
    /// entry signed for one draft is worthless in a genesis of another.
    #[must_use]
    pub fn draft_hash(&self) -> DraftHash {
        let Self { protocol_version, chain_id, name, timestamp, parameters, authority, permissions, validators: _, application } = self;
        let agreed = (protocol_version, chain_id, name, timestamp, parameters, authority, permissions, application);
        DraftHash(Hash::of(&DRAFT, &codec::encode(&agreed)))
    }

    /// The first committee, with its keys and powers checked. Proofs of possession are left to [`Self::check`].
    ///
    /// # Errors
    /// [`CommitteeError`].
    pub fn committee(&self) -> Result<Arc<Committee>, CommitteeError> {
        Committee::new(Epoch(0), self.validators.iter().map(|entry| entry.validator.clone()).collect())
    }

    /// Checks everything but the application's settings, which only the application can judge.
    ///
    /// # Errors
    /// [`GenesisError`], which names what is wrong.
    pub fn check(&self) -> Result<(), GenesisError> {
        self.check_draft()?;
        self.committee()?;
        let draft = self.draft_hash();
        for validator in &self.validators {
            validator.check(draft)?;
        }
        self.parameters.check(self.validators.len())
    }

    /// Checks everything that does not depend on the validators.
    ///
    /// # Errors
    /// [`GenesisError`], which names what is wrong.
    pub fn check_draft(&self) -> Result<(), GenesisError> {
        if self.protocol_version != PROTOCOL_VERSION {
            return Err(GenesisError::Protocol(self.protocol_version));
        }
        if !is_printable(&self.name) {
            return Err(GenesisError::Parameter(format!("name must have 1..={NAME_BYTES_MAX} bytes and no control characters")));
        }
        self.parameters.check_ranges()?;
        if !self.authority.is_valid() {
            return Err(GenesisError::Parameter(format!(
                "authority.board must have 1..={BOARD_MAX} members and need at least one and at most all of them"
            )));
        }
        self.application.check()
    }
}
