//! Twins: a systematic search over small worlds in which validators have a double (Bano et al., "Twins: BFT Systems Made Robust", 2021).
//!
//! A twin is a second copy of a validator: the same key, the same code, a disk of its own. Neither copy does anything that an honest
//! validator would not do, and yet together they equivocate, vote twice and forget: most of what a liar can do to a protocol, without a
//! line of code that lies.
//!
//! ```text
//! Space ── number ──> Scenario: for each of the first R rounds, who leads it, and who hears whom
//!                        │
//!  a file of JSON ──> Script: the same, for each kind of message
//!                        │
//!                        v
//! Stage: production replicas, a clock that jumps ──> invariants, counters, Outcome ──> Tally ──> campaign, report
//! ```
//! After round R everybody hears everybody, so a scenario is also a judgement of liveness. The space is finite: a campaign that comes to its
//! end has shown that none of the scenarios breaks a rule.

pub mod campaign;
#[cfg(feature = "command")]
mod command;
mod counters;
#[cfg(feature = "command")]
mod export;
mod forensics;
mod import;
mod scenario;
mod script;
mod space;
mod stage;

pub use quorate_harness::lab::Lab;

#[cfg(feature = "command")]
pub use self::{command::TwinsCommand, export::export};
pub use self::{
    counters::Counters,
    import::{Imported, read},
    scenario::{Scenario, Step},
    script::{Act, Hearing, Script},
    space::Space,
    stage::{Outcome, play, play_guarded, play_script},
};
