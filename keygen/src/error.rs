//! What can go wrong with keys. Every text names the fix.

use std::{io, path::PathBuf};

use quorate_terminal::{CommandError, shell_word};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system refuses.
    #[error("{path:?}: {error}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// There is something already.
    #[error(
        "{0:?} exists, and keys are never overwritten; choose another directory or name, or move the file away if its key is not needed"
    )]
    Exists(PathBuf),
    /// Others than the owner have access.
    #[error("{path:?} is open to others (mode {mode:03o}); run: chmod {wanted:03o} {}", shell_word(path))]
    Loose {
        /// Which file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Not a regular file.
    #[error("{0:?} is not a regular file; name the key file itself")]
    NotAFile(PathBuf),
    /// Longer than any key file.
    #[error("{0:?} is longer than a key file can be; is it the right file?")]
    TooLong(PathBuf),
    /// Not what it should hold.
    #[error("{path:?} is not a {what} file: {reason}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer program.
    #[error("{path:?} is of version {version}, this program reads version {known}; use a newer quorate")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// The passphrase does not open the file.
    #[error("the passphrase does not open {0:?}; give the one that was chosen when the key was made")]
    WrongPassphrase(PathBuf),
    /// The file asks for more work than a passphrase needs.
    #[error("{path:?} asks for 2^{required} steps of scrypt, at most 2^{max} are done; encrypt it again with a smaller work factor")]
    ExcessiveWork {
        /// Which file.
        path: PathBuf,
        /// What it asks for.
        required: u8,
        /// What is allowed.
        max: u8,
    },
    /// Encryption failed.
    #[error("the key cannot be encrypted: {0}")]
    Encrypt(String),
    /// No passphrase to be had.
    #[error(
        "a passphrase is needed and there is no terminal to ask at; give --passphrase-file FILE or set {}, or make keys of a local network with --insecure-plaintext",
        crate::passphrase::PASSPHRASE_VARIABLE
    )]
    NoPassphrase,
    /// An empty passphrase, or one that is too long.
    #[error("a passphrase has 1 to {} bytes", crate::passphrase::PASSPHRASE_BYTES_MAX)]
    PassphraseLength,
    /// The two entries at creation differ.
    #[error("the two passphrases differ; start again")]
    PassphrasesDiffer,
    /// Ctrl-C at the terminal.
    #[error("interrupted")]
    Interrupted,
    /// The terminal fails.
    #[error("the terminal cannot be read: {0}")]
    Terminal(io::Error),
    /// A mnemonic that is none.
    #[error("this is no mnemonic: {0}; give 12, 15, 18, 21 or 24 English BIP-39 words, separated by spaces")]
    Mnemonic(String),
    /// A name that cannot be a file's.
    #[error("{0:?} cannot be a name; use 1 to 64 letters, digits, '-' and '_'")]
    Name(String),
    /// An account number beyond what derivation has.
    #[error("account number {0} is too large, the last one is 2147483647")]
    Index(u32),
    /// The system has no randomness.
    #[error("the operating system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// No home directory.
    #[error("there is no home directory; give --home DIR or set {}", crate::home::HOME_VARIABLE)]
    NoHome,
}

impl KeyError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Exists(_) => "key-exists",
            Self::Loose { .. } => "loose-mode",
            Self::NotAFile(_) | Self::TooLong(_) | Self::Content { .. } => "key-file",
            Self::Version { .. } => "key-version",
            Self::WrongPassphrase(_) => "wrong-passphrase",
            Self::ExcessiveWork { .. } => "excessive-work",
            Self::Encrypt(_) => "encrypt",
            Self::NoPassphrase => "no-passphrase",
            Self::PassphraseLength => "passphrase-length",
            Self::PassphrasesDiffer => "passphrases-differ",
            Self::Interrupted => "interrupted",
            Self::Terminal(_) => "terminal",
            Self::Mnemonic(_) => "mnemonic",
            Self::Name(_) => "name",
            Self::Index(_) => "index",
            Self::Randomness(_) => "randomness",
            Self::NoHome => "no-home",
        }
    }
}

impl From<KeyError> for CommandError {
    fn from(error: KeyError) -> Self {
        match &error {
            KeyError::Interrupted => Self::interrupted(),
            KeyError::Name(_) | KeyError::Index(_) | KeyError::Mnemonic(_) => Self { code: error.code().into(), ..Self::usage(&error) },
            _ => Self::failure(error.code(), &error),
        }
    }
}
