//! The genesis ceremony: several organisations make one file, and none of them needs to trust another with a key.
//!
//! ```text
//! somebody     genesis new            -> genesis-draft.json          name, chain id, time, parameters, settings; all look at it
//! each, alone  genesis add-validator  -> NAME.fragment.json          signed by both keys: nobody can enter a key that is not theirs
//! anybody      genesis build          -> genesis.json + hash         the same bytes whoever builds, in whatever order
//! each         genesis verify --hash  -> yes, or what is wrong
//! ```

#![forbid(unsafe_code)]

pub mod address;
pub mod ceremony;
pub mod command;
pub mod error;
pub mod file;

pub use self::{
    ceremony::{Draft, Fragment, build, check, check_application},
    command::{Command, SettingsArgs, SettingsFile},
    error::CeremonyError,
    file::{load, parse},
};
