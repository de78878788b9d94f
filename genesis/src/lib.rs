//! The genesis ceremony: several organisations create one file without trusting each other with a key.
//!
//! ```text
//! one            genesis new            -> genesis-draft.json    name, chain id, time, parameters, settings; all review it
//! each, offline  genesis add-validator  -> NAME.fragment.json    signed with both keys: nobody can enter a key they do not hold
//! any            genesis build          -> genesis.json + hash   the same bytes for every builder and order
//! each           genesis verify --hash  -> verified, or what is wrong
//! ```

#![forbid(unsafe_code)]

pub mod address;
pub mod ceremony;
pub mod command;
pub mod error;
pub mod file;

pub use self::{
    ceremony::{Draft, Fragment, build, check, check_application},
    command::{Command, ParameterArgs, SettingsArgs, SettingsFile},
    error::CeremonyError,
    file::{load, parse},
};
