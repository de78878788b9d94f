//! Keys: made from the system's randomness or from a mnemonic, kept in private files, encrypted by a passphrase unless told otherwise.
//!
//! ```text
//! validator.key   consensus seed + network seed   private (0600)   age, armored, or plain TOML when asked for
//! validator.pub   both public keys                plain TOML, for the genesis ceremony
//! NAME.key        seed of an ed25519 account      private (0600)
//! NAME.pub        address, public key             plain TOML
//! ```
//! A key file is never overwritten, and never read when others can read it too. A secret never comes from or goes to the command line.

#![forbid(unsafe_code)]

pub mod account;
pub mod command;
pub mod error;
pub mod home;
mod memory;
pub mod mnemonic;
pub mod passphrase;
pub mod private_file;
pub mod sealed;
pub mod slip10;
mod stored;
pub mod validator;
pub mod whole_file;

pub use self::{
    account::{AccountKey, AccountPublic, load_account_key, load_account_public, save_account_key},
    command::Command,
    error::KeyError,
    home::HomeArgs,
    passphrase::{Passphrase, PassphraseArgs, PassphraseSource},
    sealed::Sealing,
    validator::{ValidatorKeys, ValidatorPublic, load_validator_key, load_validator_public, save_validator_key},
};
