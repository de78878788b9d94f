//! `DiemBFT` v4 as a state machine: [`Event`]s go in, ordered [`Effect`]s come out.
//!
//! Pure: no clock, no I/O, no randomness, no threads. One file per module of the paper; README.md maps sections to files and tests.

#![deny(clippy::expect_used, clippy::float_arithmetic, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod block_tree;
mod effect;
mod engine;
mod event;
pub mod keeper;
mod leader_election;
#[cfg(test)]
mod members;
mod pacemaker;
pub mod safety;
mod votes;

pub use block_tree::{BlockTree, Root};
pub use effect::{Divergence, Effect, Halt, Ignored, Missing};
pub use engine::{Config, Engine, Recovered};
pub use event::{Event, Rejected};
pub use leader_election::{HISTORY_BLOCKS, LeaderElection, Summary};
pub use pacemaker::Pacemaker;
