//! Errors of key handling. Every message says how to fix the problem.

use std::{io, path::PathBuf};

use quorate_terminal::{CommandError, shell_word};

/// Why a key could not be created, read or saved.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// An I/O error.
    #[error("{path:?}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file exists already.
    #[error(
        "{0:?} exists, and keys are never overwritten; choose another directory or name, or move the file away if its key is no longer needed"
    )]
    Exists(PathBuf),
    /// Users other than the owner have access.
    #[error("{path:?} is accessible to other users (mode {mode:03o}); run: chmod {wanted:03o} {}", shell_word(path))]
    Loose {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Not a regular file.
    #[error("{0:?} is not a regular file; pass the key file itself")]
    NotAFile(PathBuf),
    /// Longer than any key file.
    #[error("{0:?} is too long for a key file; is it the right file?")]
    TooLong(PathBuf),
    /// The content is invalid.
    #[error("{path:?} is not a valid {what} file: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The expected kind of file.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer program.
    #[error("{path:?} has version {version}, but this program reads version {known}; use a newer quorate")]
    Version {
        /// The file.
        path: PathBuf,
        /// The file's version.
        version: u32,
        /// The version this program reads.
        known: u32,
    },
    /// The passphrase does not decrypt the file.
    #[error("the passphrase does not decrypt {0:?}; use the one chosen when the key was created")]
    WrongPassphrase(PathBuf),
    /// The file demands more scrypt work than [`WORK_FACTOR_MAX`](crate::sealed::WORK_FACTOR_MAX).
    #[error("{path:?} demands 2^{required} scrypt steps, and the limit is 2^{max}; encrypt it again with a smaller work factor")]
    ExcessiveWork {
        /// The file.
        path: PathBuf,
        /// log2 of the steps that the file demands.
        required: u8,
        /// log2 of the limit.
        max: u8,
    },
    /// A signer holds the consensus key.
    #[error(
        "{0:?} does not hold the consensus key: a signer does. What is to be signed with it beside the signer, such as a new entry in the committee, needs new \
         keys (`quorate keygen validator`)"
    )]
    AtSigner(PathBuf),
    /// Encryption failed.
    #[error("cannot encrypt the key: {0}")]
    Encrypt(String),
    /// No passphrase was given, and there is no terminal to prompt at.
    #[error(
        "a passphrase is needed, and there is no terminal to prompt at; pass --passphrase-file FILE or set {}, or, for a local network, create keys with --insecure-plaintext",
        crate::passphrase::PASSPHRASE_VARIABLE
    )]
    NoPassphrase,
    /// An empty passphrase, or one that is too long.
    #[error("a passphrase must be 1 to {} bytes long", crate::passphrase::PASSPHRASE_BYTES_MAX)]
    PassphraseLength,
    /// The two passphrases entered for a new key differ.
    #[error("the two passphrases differ; try again")]
    PassphrasesDiffer,
    /// Ctrl-C at the terminal.
    #[error("interrupted")]
    Interrupted,
    /// An I/O error at the terminal.
    #[error("cannot read from the terminal: {0}")]
    Terminal(io::Error),
    /// Not a valid mnemonic.
    #[error("not a valid mnemonic: {0}; enter 12, 15, 18, 21 or 24 English BIP-39 words, separated by spaces")]
    Mnemonic(String),
    /// Not a valid account name.
    #[error("{0:?} is not a valid name; use 1 to 64 letters, digits, '-' and '_', and begin with neither '-' nor 0x")]
    Name(String),
    /// The account index is beyond the range of hardened derivation.
    #[error("account index {0} is too large; the largest is 2147483647")]
    Index(u32),
    /// The system's random source failed.
    #[error("the operating system provides no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// The home directory is unknown.
    #[error("no home directory is known; pass --home DIR or set {}", crate::home::HOME_VARIABLE)]
    NoHome,
}

impl KeyError {
    /// A stable code for programs.
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
            Self::AtSigner(_) => "at-signer",
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
