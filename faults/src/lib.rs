//! Failures of messages: rules as plain data, and the matching of messages against them. No clock, no I/O, no randomness except from a seed.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod decimal;
mod plan;
mod rules;

pub use decimal::decimal;
pub use plan::{Dice, PLAN_BYTES_MAX, Plan};
pub use rules::{Attribute, Fault, Kind, Party, Passing, Rounds, Rule, first_match};
