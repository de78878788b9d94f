//! Errors of the ceremony. Every message says how to fix the problem.

use std::{io, path::PathBuf};

use quorate_terminal::{CommandError, Exit};
use quorate_types::{
    genesis::{GENESIS_BYTES_MAX, GenesisError},
    ids::{DraftHash, GenesisHash},
};

/// Why a step of the ceremony failed.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// An I/O error.
    #[error("{path:?}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file exists already.
    #[error("{0:?} already exists and is not overwritten; move it away, or choose another name with --out")]
    Exists(PathBuf),
    /// The file is longer than a genesis can be.
    #[error("{0:?} is longer than {GENESIS_BYTES_MAX} bytes; is it the right file?")]
    TooLong(PathBuf),
    /// The file does not parse.
    #[error("{path:?} is not a valid {what}: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// The expected kind of file.
        what: &'static str,
        /// The parser's message, with line and column.
        reason: String,
    },
    /// A draft or fragment written by a newer program.
    #[error("{path:?} has version {version}, but this program reads version 1; use a newer quorate")]
    Version {
        /// The file.
        path: PathBuf,
        /// The file's version.
        version: u32,
    },
    /// A fragment signed for another draft.
    #[error(
        "the fragment of validator {name:?} was signed for draft {fragment}, but this draft is {draft}; its owner must run `quorate genesis add-validator` on this draft"
    )]
    OtherDraft {
        /// The validator's name.
        name: String,
        /// Hash of the draft that the fragment was signed for.
        fragment: DraftHash,
        /// Hash of this draft.
        draft: DraftHash,
    },
    /// Two validators share a key, name or address.
    #[error("two fragments have the same {what}: validators {first:?} and {second:?}; leave one of them out")]
    Duplicate {
        /// What they share.
        what: &'static str,
        /// Name of the first validator.
        first: String,
        /// Name of the second validator.
        second: String,
    },
    /// An address that cannot be dialed.
    #[error(
        "validator {name:?} has the address {address:?}: {reason}; write it like /ip4/10.0.0.1/tcp/6180, /ip6/2001:db8::1/tcp/6180 or /dns4/node.example.org/tcp/6180"
    )]
    Address {
        /// The validator's name.
        name: String,
        /// The address.
        address: String,
        /// What is wrong with the address.
        reason: &'static str,
    },
    /// A loopback address.
    #[error(
        "validator {name:?} has the loopback address {address:?}, which other machines cannot reach; pass the address that the other validators dial, or --loopback if all of them run on this machine"
    )]
    Loopback {
        /// The validator's name.
        name: String,
        /// The address.
        address: String,
    },
    /// The file would be too long to be read back.
    #[error("{0:?} would be longer than {GENESIS_BYTES_MAX} bytes, the most that can be read back; leave out some accounts")]
    TooLarge(PathBuf),
    /// The network name is empty or too long.
    #[error("a network name must have 1 to 64 characters")]
    Name,
    /// Refused by the application.
    #[error("the genesis cannot be used: {0}")]
    Application(#[from] quorate_app::AppError),
    /// Refused by the rules of the protocol.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis does not have the expected hash.
    #[error(
        "the genesis hash is {actual}, but {wanted} was expected: this is not the genesis that was agreed on; get it again from its source"
    )]
    OtherHash {
        /// Hash of this genesis.
        actual: GenesisHash,
        /// The expected hash.
        wanted: GenesisHash,
    },
    /// The system's random source failed.
    #[error("the operating system provides no random bytes: {0}; pass --chain-id N")]
    Randomness(getrandom::Error),
}

impl From<CeremonyError> for CommandError {
    fn from(error: CeremonyError) -> Self {
        let code = match &error {
            CeremonyError::Io { .. } => "io",
            CeremonyError::Exists(_) => "exists",
            CeremonyError::TooLong(_) | CeremonyError::TooLarge(_) | CeremonyError::Form { .. } => "form",
            CeremonyError::Version { .. } => "version",
            CeremonyError::OtherDraft { .. } => "other-draft",
            CeremonyError::Duplicate { .. } => "duplicate",
            CeremonyError::Address { .. } | CeremonyError::Loopback { .. } => "address",
            CeremonyError::Name => "name",
            CeremonyError::Genesis(_) => "genesis",
            CeremonyError::Application(_) => "application",
            CeremonyError::OtherHash { .. } => return Self::new(Exit::Unverified, "other-hash", &error),
            CeremonyError::Randomness(_) => "randomness",
        };
        Self::failure(code, &error)
    }
}
