//! A deterministic simulator: many production [`Replica`](quorate_replica::Replica)s on a virtual clock, on a network that loses, delays,
//! reorders and duplicates messages and splits, and on disks that lose what was not synced. One 64-bit seed decides everything that happens.
//!
//! It replaces time, network and disk, but never the replica. The rules of a run are in [`invariants`], one file per rule, each derived anew
//! from what an outsider sees. A run that breaks a rule reports its seed and the one command that replays it.
//!
//! A world uses no real clock, socket or file, and no randomness except the seed. ([`Command`] prints, reads clocks and writes reports.)

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

#[cfg(feature = "command")]
mod attempt;
pub mod byzantine;
mod caught;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "command")]
pub mod crash_points;
#[cfg(feature = "command")]
mod determinism;
pub mod fault;
pub mod forensics;
mod forge;
pub mod invariants {
    //! The rules of every run, and the one that compares two runs.

    pub mod det_1;

    pub use quorate_harness::invariants::*;
}
mod puppets;
mod report;
mod run;
#[cfg(feature = "command")]
mod searches;
pub mod speed;
mod sweep;
pub mod twins;
mod world;

#[cfg(feature = "command")]
pub use attempt::{Attempt, Broken, Survived, try_to_break};
#[cfg(feature = "command")]
pub use command::Command;
#[cfg(feature = "command")]
pub use determinism::Different;
pub use forge::{Forged, forge};
pub use puppets::{Played, puppets};
pub use quorate_harness::{disk, network::LinkRules, random::Random, time::Micros};
#[cfg(feature = "command")]
pub use quorate_playground::{self as playground, PlaygroundCommand};
pub use quorate_scenario as scenario;
pub use report::{FAILURES_MAX, Failure, Report, Summary};
pub use run::{SIZES, Seeds, run, run_seeds, run_until_first, run_with, size_of};
pub use sweep::{Sweep, sweep};
pub use world::{Directed, SimOptions};
