//! Keys: generated from system randomness or a mnemonic, kept in private files, encrypted with a passphrase by default.
//!
//! ```text
//! validator.key     consensus seed, network seed    private (0600)   age, armored; plain TOML on request
//! validator.signed  how far the key has signed      private (0600)   at first: nothing (quorate-types, `witness`)
//! consensus.key     at a signer: consensus seed     private (0600)   as validator.key, which then has the public half in its place
//! validator.pub     both public keys                public           plain TOML, for the genesis ceremony
//! NAME.key          seed of an ed25519 account      private (0600)   as validator.key
//! NAME.pub          address, public key             public           plain TOML
//! ```
//! A key file is never overwritten, and refused if other users can read it. Secrets are never passed on the command line.

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
pub mod slot_file;
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
    validator::{
        ConsensusKey, NodeKeys, VALIDATOR_WITNESS_FILE, ValidatorKeys, ValidatorPublic, keep_network_key, load_consensus_key,
        load_node_keys, load_validator_key, load_validator_public, save_consensus_key, save_validator_key,
    },
};
