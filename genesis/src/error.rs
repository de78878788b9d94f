//! What can go wrong in a ceremony. Every text names the fix.

use std::{io, path::PathBuf};

use quorate_terminal::{CommandError, Exit};
use quorate_types::{
    genesis::{GENESIS_BYTES_MAX, GenesisError},
    ids::{DraftHash, GenesisHash},
};

/// Why there is no genesis.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The operating system refuses.
    #[error("{path:?}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// There is something already.
    #[error("{0:?} exists and is not overwritten; move it away, or choose another name with --out")]
    Exists(PathBuf),
    /// Longer than a genesis can be.
    #[error("{0:?} is longer than {GENESIS_BYTES_MAX} bytes; is it the right file?")]
    TooLong(PathBuf),
    /// Not such a file.
    #[error("{path:?} is no {what}: {reason}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// What is wrong, with the place.
        reason: String,
    },
    /// A draft or a fragment of a newer program.
    #[error("{path:?} is of version {version}, this program reads version 1; use a newer quorate")]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A fragment of another draft.
    #[error(
        "the fragment of validator {name:?} was signed for the draft {fragment}, this draft is {draft}; let its owner run `quorate genesis add-validator` on this draft"
    )]
    OtherDraft {
        /// The validator.
        name: String,
        /// The fragment's.
        fragment: DraftHash,
        /// The draft's.
        draft: DraftHash,
    },
    /// Two validators that cannot both be.
    #[error("two fragments have the same {what}: validators {first:?} and {second:?}; leave one of them out")]
    Duplicate {
        /// What they share.
        what: &'static str,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// An address that no node could listen at.
    #[error(
        "validator {name:?} has the address {address:?}: {reason}; write it like /ip4/10.0.0.1/tcp/6180, /ip6/2001:db8::1/tcp/6180 or /dns4/node.example.org/tcp/6180"
    )]
    Address {
        /// The validator.
        name: String,
        /// Its address.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An address that only its own machine can reach.
    #[error(
        "validator {name:?} has the address {address:?}, at which only this machine itself reaches it; give the one that the other validators dial, or --loopback where all of them run on this machine"
    )]
    Loopback {
        /// The validator.
        name: String,
        /// Its address.
        address: String,
    },
    /// More than can be read again.
    #[error("{0:?} would be longer than {GENESIS_BYTES_MAX} bytes, which nobody could read; leave out accounts")]
    TooLarge(PathBuf),
    /// No name.
    #[error("the name of a network has 1 to 64 characters")]
    Name,
    /// Refused by the application.
    #[error("the genesis cannot be used: {0}")]
    Application(#[from] quorate_app::AppError),
    /// Refused by the rules of the protocol.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Another hash than was agreed upon.
    #[error(
        "the genesis hash is {actual}, and {wanted} was expected: this is not the file that was agreed upon; get it again from its source"
    )]
    OtherHash {
        /// What the file has.
        actual: GenesisHash,
        /// What was asked for.
        wanted: GenesisHash,
    },
    /// The system has no randomness.
    #[error("the operating system gives no random bytes: {0}; give --chain-id N")]
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
