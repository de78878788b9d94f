//! Scenario files: one file describes a network, its clients and its faults; running it gives a verdict.
//!
//! ```text
//! TOML, BCR text, FailureConfig literal --read--> Scenario --run--> ledgers, logs, injected failures --judge--> verdict
//! ```
//! docs/scenarios.md describes the format. A run drives production replicas on virtual time; all randomness comes from the scenario's seed.

#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use quorate_faults as rules;

mod bcr;
mod client;
#[cfg(feature = "command")]
pub mod command;
mod dictionary;
mod executor;
mod failure_config;
pub mod literal;
mod model;
mod mt19937;
mod operations;
mod outcome;
mod passing;
mod place;
mod print;
mod read;
mod requests;
mod seat;
pub mod spelling;
mod tamper;
mod toml_file;
mod triggers;

#[cfg(feature = "command")]
pub use command::{ReadArgs, ScenarioCommand};
pub use executor::run;
pub use model::{Expect, Leaders, Scenario};
pub use operations::{Operation, Workload};
pub use outcome::{Check, Run, ScenarioReport, ValidatorEnd};
pub use place::{FILE_BYTES_MAX, FileError, Place};
pub use print::{TEMPLATE, toml};
pub use quorate_faults::{Attribute, Fault, Kind, Party, Passing, Rounds, Rule, first_match};
pub use read::{Format, Imported, detect, read};
pub use triggers::{Deed, Event, Trigger};
