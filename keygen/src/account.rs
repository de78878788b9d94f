//! An account's key: an ed25519 seed derived from a mnemonic, in a file under the account's name.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use quorate_types::{
    crypto::{PublicKey, SigningKey},
    ids::Address,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    error::KeyError,
    memory::{Seed, on_wiped_stack},
    mnemonic,
    passphrase::PassphraseSource,
    private_file::{self, Secrecy},
    sealed::{self, Sealing},
    stored::{self, VERSION},
};

/// Longest name of an account, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

const FORMAT: &str = "quorate-account-key";
const FORMAT_PUBLIC: &str = "quorate-account-public";

/// An account's key. Not `Clone`; `Debug` shows its public half; wiped when dropped.
pub struct AccountKey {
    /// Signs transactions.
    pub signing: SigningKey,
    seed: Seed,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({:?})", self.public())
    }
}

/// The public half of an account's key, as in `NAME.pub`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPublic {
    /// Hash of the public key.
    pub address: Address,
    /// Verifies the account's signatures.
    pub public_key: PublicKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    seed: String,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPublic {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    address: Address,
    public_key: PublicKey,
}

impl AccountKey {
    /// The key of account `index` of a mnemonic.
    ///
    /// # Errors
    /// [`KeyError::Mnemonic`], [`KeyError::Index`].
    pub fn from_mnemonic(words: &str, index: u32) -> Result<Self, KeyError> {
        on_wiped_stack(|| mnemonic::derive(words, "", index).map(Self::from_seed))
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self { signing: SigningKey::from_seed(&seed), seed: Box::new(seed) }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AccountPublic {
        let public_key = self.signing.public();
        AccountPublic { address: Address::of(&public_key), public_key }
    }
}

/// Checks that `name` can be an account's name, and so part of its file names.
///
/// # Errors
/// [`KeyError::Name`].
pub fn check_name(name: &str) -> Result<(), KeyError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    // A name that looks like an address would be taken for one.
    if fits && !name.starts_with("0x") && !name.starts_with('-') { Ok(()) } else { Err(KeyError::Name(name.into())) }
}

/// Paths of an account's secret and public file: `NAME.key` and `NAME.pub`.
///
/// # Errors
/// [`KeyError::Name`].
pub fn account_files(directory: &Path, name: &str) -> Result<(PathBuf, PathBuf), KeyError> {
    check_name(name)?;
    Ok((directory.join(format!("{name}.key")), directory.join(format!("{name}.pub"))))
}

/// Writes `NAME.key` and `NAME.pub` into a private directory, creating it if needed.
///
/// # Errors
/// [`KeyError::Exists`] if either file exists; nothing is changed then.
pub fn save_account_key(directory: &Path, name: &str, key: &AccountKey, sealing: &Sealing) -> Result<PathBuf, KeyError> {
    let (secret, public) = account_files(directory, name)?;
    private_file::private_directory(directory)?;
    if public.exists() {
        return Err(KeyError::Exists(public));
    }
    let text = Zeroizing::new(format!("format = \"{FORMAT}\"\nversion = {VERSION}\nseed = \"{}\"\n", *stored::digits(&key.seed)));
    sealed::write(&secret, &text, sealing)?;
    let AccountPublic { address, public_key } = key.public();
    let text = format!("format = \"{FORMAT_PUBLIC}\"\nversion = {VERSION}\naddress = \"{address}\"\npublic_key = \"{public_key}\"\n");
    private_file::create(&public, text.as_bytes(), Secrecy::Public)?;
    Ok(secret)
}

/// Reads `NAME.key`, and compares it with `NAME.pub`, from which the address comes.
///
/// # Errors
/// [`KeyError`].
pub fn load_account_key(directory: &Path, name: &str, source: &PassphraseSource) -> Result<AccountKey, KeyError> {
    const WHAT: &str = "account key";
    let (path, public) = account_files(directory, name)?;
    let key = on_wiped_stack(|| {
        let text = sealed::read(&path, source)?;
        let stored: Stored = stored::parse(&path, WHAT, FORMAT, &text)?;
        Ok::<_, KeyError>(AccountKey::from_seed(stored::seed(&path, WHAT, &stored.seed)?))
    })?;
    if public.exists() && load_account_public(directory, name)? != key.public() {
        let reason = format!("its address is {}, not the one in {}", key.public().address, public.display());
        return Err(KeyError::Content { path, what: WHAT, reason });
    }
    Ok(key)
}

/// Reads `NAME.pub`.
///
/// # Errors
/// [`KeyError`].
pub fn load_account_public(directory: &Path, name: &str) -> Result<AccountPublic, KeyError> {
    const WHAT: &str = "account public key";
    let (_, path) = account_files(directory, name)?;
    let StoredPublic { address, public_key, .. } = stored::parse(&path, WHAT, FORMAT_PUBLIC, &private_file::read_public(&path)?)?;
    if address != Address::of(&public_key) {
        return Err(KeyError::Content { path, what: WHAT, reason: "the address does not match the key".into() });
    }
    Ok(AccountPublic { address, public_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(passphrase: &str) -> PassphraseSource {
        PassphraseSource::Given(Zeroizing::new(passphrase.into()))
    }

    #[test]
    fn an_account_key_reads_back_under_its_name() {
        let home = tempfile::tempdir().unwrap();
        let wallet = home.path().join("wallet");
        let key = AccountKey::from_seed(Zeroizing::new([3; 32]));
        save_account_key(&wallet, "alice", &key, &Sealing::Encrypted(given("secret"))).unwrap();
        assert_eq!(load_account_key(&wallet, "alice", &given("secret")).unwrap().public(), key.public());
        assert_eq!(load_account_public(&wallet, "alice").unwrap(), key.public());
        assert!(matches!(load_account_key(&wallet, "alice", &given("x")), Err(KeyError::WrongPassphrase(_))));
        let again = save_account_key(&wallet, "alice", &key, &Sealing::InsecurePlaintext);
        assert!(matches!(again, Err(KeyError::Exists(_))));
    }

    #[test]
    fn a_public_file_of_another_account_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let wallet = home.path().join("wallet");
        for (name, seed) in [("alice", 1), ("eve", 2)] {
            let key = AccountKey::from_seed(Zeroizing::new([seed; 32]));
            save_account_key(&wallet, name, &key, &Sealing::InsecurePlaintext).unwrap();
        }
        std::fs::copy(wallet.join("eve.pub"), wallet.join("alice.pub")).unwrap();
        assert!(matches!(load_account_key(&wallet, "alice", &given("x")), Err(KeyError::Content { .. })));
    }

    #[test]
    fn names_cannot_leave_the_directory_or_look_like_addresses() {
        for name in ["alice", "a-1_B"] {
            check_name(name).unwrap();
        }
        for name in ["", "../x", "a/b", "a.b", "0xabc", "-x", "ä", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
