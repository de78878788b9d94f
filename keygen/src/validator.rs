//! A validator's two keys: the consensus key, which signs votes, and the network key, which authenticates it to its peers.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use quorate_types::{
    crypto::{PublicKey, SigningKey},
    witness::Witness,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    error::KeyError,
    memory::{Seed, on_wiped_stack},
    passphrase::PassphraseSource,
    private_file::{self, Secrecy},
    sealed::{self, Sealing},
    stored::{self, VERSION},
};

/// File name of the secret keys.
pub const VALIDATOR_KEY_FILE: &str = "validator.key";
/// File name of the public keys.
pub const VALIDATOR_PUBLIC_FILE: &str = "validator.pub";

/// File name of the witness: how far the consensus key has signed.
pub const VALIDATOR_WITNESS_FILE: &str = "validator.signed";

const FORMAT: &str = "quorate-validator-key";
const FORMAT_PUBLIC: &str = "quorate-validator-public";
const FORMAT_CONSENSUS: &str = "quorate-consensus-key";
const WHAT: &str = "validator key";

/// A validator's keys. Not `Clone`; `Debug` shows the public halves; wiped when dropped.
pub struct ValidatorKeys {
    /// Signs votes, timeouts and proposals.
    pub consensus: SigningKey,
    /// Seed of the ed25519 network key.
    pub network_seed: Box<Zeroizing<[u8; 32]>>,
    consensus_seed: Seed,
}

impl fmt::Debug for ValidatorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValidatorKeys({:?})", self.public())
    }
}

/// The public halves, as in `validator.pub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorPublic {
    /// Verifies votes, timeouts and proposals.
    pub consensus_key: PublicKey,
    /// Authenticates the validator's connections.
    pub network_key: PublicKey,
}

/// The keys that a node has: its network key, and its consensus key unless a signer holds it. Wiped when dropped.
pub struct NodeKeys {
    /// Seed of the ed25519 network key.
    pub network_seed: Box<Zeroizing<[u8; 32]>>,
    /// Signs votes, timeouts and proposals.
    pub consensus: ConsensusKey,
}

/// Where a validator's consensus key is.
#[derive(Debug)]
pub enum ConsensusKey {
    /// In the node's key file.
    Here(SigningKey),
    /// At a signer; the key file has the public half.
    AtSigner(PublicKey),
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKeys({:?})", self.public())
    }
}

impl NodeKeys {
    /// The public halves.
    #[must_use]
    pub fn public(&self) -> ValidatorPublic {
        let consensus_key = match &self.consensus {
            ConsensusKey::Here(key) => key.public(),
            ConsensusKey::AtSigner(key) => *key,
        };
        ValidatorPublic { consensus_key, network_key: SigningKey::from_seed(&self.network_seed).public() }
    }
}

impl From<ValidatorKeys> for NodeKeys {
    fn from(keys: ValidatorKeys) -> Self {
        Self { network_seed: keys.network_seed, consensus: ConsensusKey::Here(keys.consensus) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    consensus_seed: Option<String>,
    /// In place of the seed, if a signer holds it.
    consensus_key: Option<PublicKey>,
    network_seed: String,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.consensus_seed.zeroize();
        self.network_seed.zeroize();
    }
}

/// A signer's key file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredConsensus {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    consensus_seed: String,
}

impl Drop for StoredConsensus {
    fn drop(&mut self) {
        self.consensus_seed.zeroize();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPublic {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    consensus_key: PublicKey,
    network_key: PublicKey,
}

impl ValidatorKeys {
    /// New keys from system randomness.
    ///
    /// # Errors
    /// [`KeyError::Randomness`].
    pub fn generate() -> Result<Self, KeyError> {
        on_wiped_stack(|| {
            let mut seeds = [Zeroizing::new([0; 32]), Zeroizing::new([0; 32])];
            for seed in &mut seeds {
                getrandom::fill(seed.as_mut_slice()).map_err(KeyError::Randomness)?;
            }
            let [consensus, network] = seeds;
            Ok(Self::from_seeds(consensus, network))
        })
    }

    /// The keys of two seeds.
    #[must_use]
    pub fn from_seeds(consensus_seed: Zeroizing<[u8; 32]>, network_seed: Zeroizing<[u8; 32]>) -> Self {
        Self {
            consensus: SigningKey::from_seed(&consensus_seed),
            network_seed: Box::new(network_seed),
            consensus_seed: Box::new(consensus_seed),
        }
    }

    /// The network key, for proofs of possession.
    #[must_use]
    pub fn network(&self) -> SigningKey {
        SigningKey::from_seed(&self.network_seed)
    }

    /// The public halves.
    #[must_use]
    pub fn public(&self) -> ValidatorPublic {
        ValidatorPublic { consensus_key: self.consensus.public(), network_key: self.network().public() }
    }
}

/// Writes `validator.key`, `validator.signed` and `validator.pub` into a private directory, creating it if needed. Only here is a key known to
/// be unused, so only here is a `validator.signed` created that says so.
///
/// # Errors
/// [`KeyError::Exists`] if any of the files exists; nothing is changed then.
pub fn save_validator_key(directory: &Path, keys: &ValidatorKeys, sealing: &Sealing) -> Result<PathBuf, KeyError> {
    private_file::private_directory(directory)?;
    let (secret, public) = (directory.join(VALIDATOR_KEY_FILE), directory.join(VALIDATOR_PUBLIC_FILE));
    let witness = directory.join(VALIDATOR_WITNESS_FILE);
    if let Some(there) = [&public, &secret, &witness].into_iter().find(|path| path.exists()) {
        return Err(KeyError::Exists(there.clone()));
    }
    let text = Zeroizing::new(format!(
        "format = \"{FORMAT}\"\nversion = {VERSION}\nconsensus_seed = \"{}\"\nnetwork_seed = \"{}\"\n",
        *stored::digits(&keys.consensus_seed),
        *stored::digits(&keys.network_seed),
    ));
    sealed::write(&secret, &text, sealing)?;
    let ValidatorPublic { consensus_key, network_key } = keys.public();
    private_file::create(&witness, &Witness::of_new_key(consensus_key), Secrecy::Private)?;
    let text = format!(
        "format = \"{FORMAT_PUBLIC}\"\nversion = {VERSION}\nconsensus_key = \"{consensus_key}\"\nnetwork_key = \"{network_key}\"\n"
    );
    private_file::create(&public, text.as_bytes(), Secrecy::Public)?;
    Ok(secret)
}

/// Reads `validator.key`, which must hold both keys.
///
/// # Errors
/// [`KeyError`]; [`KeyError::AtSigner`] if it holds the network key alone.
pub fn load_validator_key(path: &Path, source: &PassphraseSource) -> Result<ValidatorKeys, KeyError> {
    on_wiped_stack(|| {
        let stored = read_stored(path, source)?;
        let Some(consensus) = &stored.consensus_seed else { return Err(KeyError::AtSigner(path.into())) };
        Ok(ValidatorKeys::from_seeds(stored::seed(path, WHAT, consensus)?, stored::seed(path, WHAT, &stored.network_seed)?))
    })
}

/// Reads `validator.key`, of which a signer may hold the consensus key.
///
/// # Errors
/// [`KeyError`].
pub fn load_node_keys(path: &Path, source: &PassphraseSource) -> Result<NodeKeys, KeyError> {
    on_wiped_stack(|| {
        let stored = read_stored(path, source)?;
        let consensus = match (&stored.consensus_seed, stored.consensus_key) {
            (Some(seed), None) => ConsensusKey::Here(SigningKey::from_seed(&*stored::seed(path, WHAT, seed)?)),
            (None, Some(key)) => ConsensusKey::AtSigner(key),
            (Some(_), Some(_)) | (None, None) => {
                let reason = "it must have either `consensus_seed` or `consensus_key`".into();
                return Err(KeyError::Content { path: path.into(), what: WHAT, reason });
            }
        };
        Ok(NodeKeys { network_seed: Box::new(stored::seed(path, WHAT, &stored.network_seed)?), consensus })
    })
}

fn read_stored(path: &Path, source: &PassphraseSource) -> Result<Stored, KeyError> {
    let text = sealed::read(path, source)?;
    stored::parse(path, WHAT, FORMAT, &text)
}

/// Writes the consensus key alone to a new file, for a signer.
///
/// # Errors
/// [`KeyError`].
pub fn save_consensus_key(path: &Path, keys: &ValidatorKeys, sealing: &Sealing) -> Result<(), KeyError> {
    let seed = stored::digits(&keys.consensus_seed);
    let text = Zeroizing::new(format!("format = \"{FORMAT_CONSENSUS}\"\nversion = {VERSION}\nconsensus_seed = \"{}\"\n", *seed));
    sealed::write(path, &text, sealing)
}

/// Reads what [`save_consensus_key`] wrote.
///
/// # Errors
/// [`KeyError`].
pub fn load_consensus_key(path: &Path, source: &PassphraseSource) -> Result<SigningKey, KeyError> {
    const WHAT: &str = "consensus key";
    on_wiped_stack(|| {
        let text = sealed::read(path, source)?;
        let stored: StoredConsensus = stored::parse(path, WHAT, FORMAT_CONSENSUS, &text)?;
        Ok(SigningKey::from_seed(&*stored::seed(path, WHAT, &stored.consensus_seed)?))
    })
}

/// Replaces `validator.key` by one without the consensus key's secret half, which a signer holds from now on. If it is a link, the file behind it
/// is replaced.
///
/// # Errors
/// [`KeyError`]. The file is the old one or the new one.
pub fn keep_network_key(path: &Path, keys: &ValidatorKeys, sealing: &Sealing) -> Result<(), KeyError> {
    let text = Zeroizing::new(format!(
        "format = \"{FORMAT}\"\nversion = {VERSION}\nconsensus_key = \"{}\"\nnetwork_seed = \"{}\"\n",
        keys.consensus.public(),
        *stored::digits(&keys.network_seed),
    ));
    let path = std::fs::canonicalize(path).map_err(|error| KeyError::Io { path: path.into(), error })?;
    sealed::replace(&path, &text, sealing)
}

/// Reads `validator.pub`.
///
/// # Errors
/// [`KeyError`].
pub fn load_validator_public(path: &Path) -> Result<ValidatorPublic, KeyError> {
    let StoredPublic { consensus_key, network_key, .. } =
        stored::parse(path, "validator public key", FORMAT_PUBLIC, &private_file::read_public(path)?)?;
    Ok(ValidatorPublic { consensus_key, network_key })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn given(passphrase: &str) -> PassphraseSource {
        PassphraseSource::Given(Zeroizing::new(passphrase.into()))
    }

    #[test]
    fn encrypted_keys_read_back_and_are_private() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        let keys = ValidatorKeys::generate().unwrap();
        let path = save_validator_key(&directory, &keys, &Sealing::Encrypted(given("secret"))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(load_validator_key(&path, &given("secret")).unwrap().public(), keys.public());
        assert_eq!(load_validator_public(&directory.join(VALIDATOR_PUBLIC_FILE)).unwrap(), keys.public());
        assert!(matches!(load_validator_key(&path, &given("wrong")), Err(KeyError::WrongPassphrase(_))));
    }

    #[test]
    fn keys_are_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        let save = || save_validator_key(&directory, &ValidatorKeys::generate().unwrap(), &Sealing::InsecurePlaintext);
        let path = save().unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(save(), Err(KeyError::Exists(_))));
        fs::remove_file(directory.join(VALIDATOR_PUBLIC_FILE)).unwrap();
        assert!(matches!(save(), Err(KeyError::Exists(named)) if named == path));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn another_version_or_an_unknown_key_is_named() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        let path = save_validator_key(&directory, &ValidatorKeys::generate().unwrap(), &Sealing::InsecurePlaintext).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let load = |text: String| {
            fs::write(&path, text).unwrap();
            load_validator_key(&path, &given("")).unwrap_err().to_string()
        };
        assert!(load(text.replace("version = 1", "version = 2")).contains("version 2"));
        assert!(load(format!("{text}colour = 1\n")).contains("colour"));
        assert!(load(text.replace(FORMAT, "something-else")).contains("something-else"));
        let seed = text.split('"').nth(3).unwrap().to_owned();
        let error = load(text.replace(&seed, &seed[1..]));
        assert!(error.contains("64 hexadecimal digits") && !error.contains(&seed[1..]), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn keys_that_are_made_or_read_from_a_file_leave_nothing_behind() {
        use crate::memory::tests::copies_of_inverted;

        for sealing in [Sealing::InsecurePlaintext, Sealing::Encrypted(given("secret"))] {
            let home = tempfile::tempdir().unwrap();
            let directory = home.path().join("keys");
            let mut inverted = [[0; 32]; 2];
            for seed in &mut inverted {
                getrandom::fill(seed).unwrap();
            }
            let path = on_wiped_stack(|| {
                let [consensus, network] = inverted.map(|seed| Zeroizing::new(seed.map(|byte| !byte)));
                save_validator_key(&directory, &ValidatorKeys::from_seeds(consensus, network), &sealing).unwrap()
            });
            assert_eq!(inverted.map(|seed| copies_of_inverted(&seed)), [0, 0], "after creating the keys");
            drop(load_validator_key(&path, &given("secret")).unwrap());
            assert_eq!(inverted.map(|seed| copies_of_inverted(&seed)), [0, 0], "after reading the file");
        }
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let keys = ValidatorKeys::from_seeds(Zeroizing::new([7; 32]), Zeroizing::new([9; 32]));
        let shown = format!("{keys:?}");
        assert!(!shown.contains("7, 7") && !shown.contains("9, 9") && !shown.contains("0707") && !shown.contains("0909"), "{shown}");
    }
}
