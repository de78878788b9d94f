//! Encryption of key files: age with a passphrase (scrypt and ChaCha20-Poly1305), ASCII armored. The `age` program opens them too.

use std::{
    io::{self, Read, Write},
    iter,
    path::Path,
};

use age::{
    DecryptError, Decryptor, Encryptor,
    armor::{ArmoredReader, ArmoredWriter, Format},
    scrypt,
    secrecy::SecretString,
};
use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    passphrase::{Passphrase, PassphraseSource},
    private_file::{self, KEY_FILE_BYTES_MAX, Secrecy},
};

/// log2 of the scrypt steps for new files: 128 MiB and about half a second, which makes guessing expensive but not starting a validator.
pub const WORK_FACTOR: u8 = 17;
/// log2 of the most scrypt steps that a file may demand, which bounds what a hostile file can cost: 1 GiB of memory.
pub const WORK_FACTOR_MAX: u8 = 20;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Whether and how a new key file is encrypted.
#[derive(Clone, Debug)]
pub enum Sealing {
    /// With a passphrase from this source.
    Encrypted(PassphraseSource),
    /// Not encrypted: only for local networks, whose keys are worthless.
    InsecurePlaintext,
}

/// Creates a private file that holds `text`.
///
/// # Errors
/// [`KeyError`].
pub fn write(path: &Path, text: &str, sealing: &Sealing) -> Result<(), KeyError> {
    // Fail before prompting for a passphrase; the check that counts is in `create`.
    if path.exists() {
        return Err(KeyError::Exists(path.into()));
    }
    private_file::create(path, &sealed(path, text, sealing)?, Secrecy::Private)
}

/// Replaces a private file by one that holds `text`.
///
/// # Errors
/// [`KeyError`]. The file is the old one or the new one.
pub fn replace(path: &Path, text: &str, sealing: &Sealing) -> Result<(), KeyError> {
    private_file::replace(path, &sealed(path, text, sealing)?)
}

fn sealed(path: &Path, text: &str, sealing: &Sealing) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match sealing {
        Sealing::Encrypted(source) => Ok(Zeroizing::new(encrypt(text, &source.of_new(path)?)?)),
        Sealing::InsecurePlaintext => Ok(Zeroizing::new(text.as_bytes().to_vec())),
    }
}

/// Reads a private file and decrypts it if it is encrypted. Asks for the passphrase only if needed.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path, source: &PassphraseSource) -> Result<Zeroizing<String>, KeyError> {
    let bytes = private_file::read(path)?;
    let plain = if bytes.trim_ascii_start().starts_with(ARMOR) { decrypt(path, &bytes, &source.of_existing(path)?)? } else { bytes };
    let text = std::str::from_utf8(&plain).map_err(|_| KeyError::Content {
        path: path.into(),
        what: "key",
        reason: "it is neither TOML nor an armored age file".into(),
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn encrypt(text: &str, passphrase: &Passphrase) -> Result<Vec<u8>, KeyError> {
    let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.as_str()));
    recipient.set_work_factor(WORK_FACTOR);
    let encryptor =
        Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).map_err(|error| KeyError::Encrypt(error.to_string()))?;
    let write = || -> io::Result<Vec<u8>> {
        let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?)?;
        writer.write_all(text.as_bytes())?;
        writer.finish()?.finish()
    };
    write().map_err(|error| KeyError::Encrypt(error.to_string()))
}

fn decrypt(path: &Path, armored: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let refused = |error: DecryptError| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => KeyError::WrongPassphrase(path.into()),
        DecryptError::ExcessiveWork { required, .. } => KeyError::ExcessiveWork { path: path.into(), required, max: WORK_FACTOR_MAX },
        other => KeyError::Content { path: path.into(), what: "key", reason: other.to_string() },
    };
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase.as_str()));
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let decryptor = Decryptor::new(ArmoredReader::new(armored)).map_err(refused)?;
    let mut reader = decryptor.decrypt(iter::once(&identity as &dyn age::Identity)).map_err(refused)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX));
    reader.read_to_end(&mut plain).map_err(|error| KeyError::Content {
        path: path.into(),
        what: "key",
        reason: format!("it is damaged: {error}"),
    })?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(passphrase: &str) -> PassphraseSource {
        PassphraseSource::Given(Zeroizing::new(passphrase.into()))
    }

    #[test]
    fn an_encrypted_file_opens_with_its_passphrase_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        write(&path, "the secret", &Sealing::Encrypted(given("right"))).unwrap();
        let stored = std::fs::read_to_string(&path).unwrap();
        assert!(stored.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !stored.contains("secret"));
        assert_eq!(read(&path, &given("right")).unwrap().as_str(), "the secret");
        let error = read(&path, &given("wrong")).unwrap_err();
        assert!(matches!(error, KeyError::WrongPassphrase(_)), "{error}");
    }

    #[test]
    fn a_plain_file_needs_no_passphrase() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        write(&path, "the secret", &Sealing::InsecurePlaintext).unwrap();
        assert_eq!(read(&path, &given("unused")).unwrap().as_str(), "the secret");
    }

    #[test]
    fn a_file_that_asks_for_too_much_work_is_refused_before_the_work() {
        let mut recipient = scrypt::Recipient::new(SecretString::from("x"));
        recipient.set_work_factor(1);
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        writer.write_all(b"x").unwrap();
        let binary = writer.finish().unwrap();
        // The header is text: `-> scrypt SALT 1`. scrypt runs before the header's MAC can be checked, so the work has to be bounded.
        let at = binary.windows(3).position(|window| window == b" 1\n").unwrap();
        let mut greedy = binary.clone();
        greedy.splice(at + 1..at + 2, *b"30");
        let mut armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
        armored.write_all(&greedy).unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        private_file::create(&path, &armored.finish().unwrap(), Secrecy::Private).unwrap();
        let error = read(&path, &given("x")).unwrap_err();
        assert!(matches!(error, KeyError::ExcessiveWork { required: 30, max: WORK_FACTOR_MAX, .. }), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        private_file::create(&path, b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", Secrecy::Private).unwrap();
        assert!(matches!(read(&path, &given("x")), Err(KeyError::Content { .. })));
    }
}
