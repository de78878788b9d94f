//! The genesis of a network: who validates, by which parameters, and what the state starts from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{Committee, CommitteeError, NAME_BYTES_MAX, Validator, is_printable},
    crypto::{Hash, Signature, SigningKey, Tag},
    ids::{ChainId, DraftHash, GenesisHash},
    message::PROTOCOL_VERSION,
    round::{Epoch, UnixMillis},
    settings::Settings,
};

/// Domain of genesis hashes.
pub const GENESIS: Tag = Tag::new("quorate/genesis");
/// Domain of the hashes of drafts.
pub const DRAFT: Tag = Tag::new("quorate/genesis-draft");
/// Domain of proofs of possession.
pub const POSSESSION: Tag = Tag::new("quorate/possession");

/// Longest genesis file, in bytes.
pub const GENESIS_BYTES_MAX: usize = 64 << 20;

/// The rules that all validators of a network share. They are part of the genesis hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Most transactions of a block, 1..=8192.
    pub block_transactions_max: u32,
    /// Most bytes of transactions of a block, 65,536..=1,048,576.
    pub block_bytes_max: u32,
    /// First duration of a round's timer, in milliseconds: at least five times the network's delay (paper Lemma 9).
    pub timeout_base_ms: u32,
    /// How much longer each further round without a commit lasts, in percent of the one before, 100..=300.
    pub timeout_growth_percent: u32,
    /// Longest duration of a round's timer, in milliseconds.
    pub timeout_max_ms: u32,
    /// How long an idle chain waits before it makes an empty block, in milliseconds.
    pub heartbeat_ms: u32,
    /// Leader reputation: how many committed blocks are looked at (paper §3.7).
    pub window_size: u32,
    /// Leader reputation: how many of the last authors are left out, between f and 2f; f where nothing is said.
    #[serde(default)]
    pub exclude_size: Option<u32>,
    /// How much state there may be.
    pub state: StateLimits,
}

/// How far the state may grow. Sizes are sums of [`entry_size`](crate::state_key::entry_size) over entries of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateLimits {
    /// Largest size of the state, 1 MiB..=1 TiB. It lives in the memory of every validator. Beyond it no transaction adds to the state, and
    /// only one block's effects can be added past it.
    pub bytes_max: u64,
    /// Most bytes that the transactions of a block may write and answer with, together, 1 MiB..=8 MiB: small transactions can copy large
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
            state: StateLimits::default(),
        }
    }
}

impl Parameters {
    /// How far the time of a block may be ahead of a validator's clock when it votes, in milliseconds: a quarter of the first timer. A block
    /// that is ahead by this much and takes a round trip to be certified is still within one base timeout of the clock.
    #[must_use]
    pub fn clock_tolerance_ms(&self) -> u64 {
        u64::from(self.timeout_base_ms / 4)
    }

    /// How many of the last authors a committee of this size leaves out of its elections: `exclude_size`, or f.
    #[must_use]
    pub fn excluded(&self, validators: usize) -> u32 {
        self.exclude_size.unwrap_or_else(|| u32::try_from(validators.saturating_sub(1) / 3).unwrap_or(u32::MAX))
    }

    /// Checks the parameters for a committee of this size.
    ///
    /// # Errors
    /// [`GenesisError::Parameter`] with the first rule that is broken.
    pub fn check(&self, validators: usize) -> Result<(), GenesisError> {
        self.check_ranges()?;
        let faults = validators.saturating_sub(1) / 3;
        if !usize::try_from(self.excluded(validators)).is_ok_and(|size| (faults..=faults.saturating_mul(2)).contains(&size)) {
            let most = faults.saturating_mul(2);
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
        if self.timeout_base_ms < 10 || self.timeout_max_ms < self.timeout_base_ms {
            return wrong("timeout_base_ms must be at least 10 and at most timeout_max_ms");
        }
        if !(100..=300).contains(&self.timeout_growth_percent) {
            return wrong("timeout_growth_percent must lie in 100..=300");
        }
        if self.heartbeat_ms < self.timeout_base_ms {
            return wrong("heartbeat_ms must be at least timeout_base_ms");
        }
        if !(1..=256).contains(&self.window_size) {
            return wrong("window_size must lie in 1..=256");
        }
        self.state.check()
    }
}

/// Longest name of an application, in bytes.
pub const APPLICATION_NAME_BYTES_MAX: usize = 32;

/// The application of a network, and what it begins with. Part of the genesis hash, so nodes that run another application, another version
/// of it, or other settings are of another network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisApplication {
    /// Its name: 1 to [`APPLICATION_NAME_BYTES_MAX`] lower-case letters, digits and hyphens.
    pub name: String,
    /// The version of its rules: two programs with one version execute every transaction alike.
    pub version: u32,
    /// What it begins with and goes by, in its own words.
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

/// A validator with the proof that whoever entered it holds both of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// The validator.
    pub validator: Validator,
    /// By the consensus key, over [`GenesisValidator::possession_digest`].
    pub consensus_proof: Signature,
    /// By the network key, over the same.
    pub network_proof: Signature,
}

impl GenesisValidator {
    /// Signs an entry for the network that a draft describes.
    #[must_use]
    pub fn sign(draft: DraftHash, validator: Validator, consensus: &SigningKey, network: &SigningKey) -> Self {
        let digest = Self::possession_digest(draft, &validator);
        Self { consensus_proof: consensus.sign(&digest), network_proof: network.sign(&digest), validator }
    }

    /// What both keys sign: the whole entry, for one draft.
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
    /// The committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// A proof of possession.
    #[error(
        "validator {0:?}: its proof of possession does not verify; let its owner run `quorate genesis add-validator` again on this draft"
    )]
    Possession(String),
    /// A parameter.
    #[error("genesis parameter out of range: {0}")]
    Parameter(String),
    /// Another protocol.
    #[error("the genesis is for protocol version {0}, this program speaks {PROTOCOL_VERSION}")]
    Protocol(u32),
}

/// A network, from its first state on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The version of messages and signed values.
    pub protocol_version: u32,
    /// The network's number, for people and for programs that tell networks apart by numbers. The genesis hash covers it.
    pub chain_id: ChainId,
    /// The network's name, for people.
    pub name: String,
    /// The time of the genesis block.
    pub timestamp: UnixMillis,
    /// The shared rules.
    pub parameters: Parameters,
    /// The first committee, sorted by consensus key.
    pub validators: Vec<GenesisValidator>,
    /// What the network replicates.
    pub application: GenesisApplication,
}

impl Genesis {
    /// The same network with these validators in the order of the committee, each entry signed by its consensus and its network key: what the
    /// ceremony makes, for those who hold all keys.
    #[must_use]
    pub fn with_validators<'a>(mut self, members: impl IntoIterator<Item = (Validator, &'a SigningKey, &'a SigningKey)>) -> Self {
        let draft = self.draft_hash();
        let sign = |(validator, consensus, network)| GenesisValidator::sign(draft, validator, consensus, network);
        self.validators = members.into_iter().map(sign).collect();
        self.validators.sort_by_key(|entry| entry.validator.consensus_key);
        self
    }

    /// The hash that names the network. Two files with the same content have the same hash, however they are laid out.
    #[must_use]
    pub fn hash(&self) -> GenesisHash {
        GenesisHash(Hash::of(&GENESIS, &codec::encode(self)))
    }

    /// The hash of what the validators agreed upon before they entered: everything but themselves. Their proofs of possession sign it, so an
    /// entry that was signed for one draft is worth nothing in a genesis of another.
    #[must_use]
    pub fn draft_hash(&self) -> DraftHash {
        let Self { protocol_version, chain_id, name, timestamp, parameters, validators: _, application } = self;
        DraftHash(Hash::of(&DRAFT, &codec::encode(&(protocol_version, chain_id, name, timestamp, parameters, application))))
    }

    /// The first committee, its keys and powers checked; proofs of possession are [`Self::check`]'s.
    ///
    /// # Errors
    /// [`CommitteeError`].
    pub fn committee(&self) -> Result<Arc<Committee>, CommitteeError> {
        Committee::new(Epoch(0), self.validators.iter().map(|entry| entry.validator.clone()).collect())
    }

    /// Checks everything that a genesis promises, but for the settings of its application, which only the application can judge.
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

    /// Checks what a draft promises: everything that does not depend on the validators.
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
        self.application.check()
    }
}
