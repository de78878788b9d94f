//! Twins: a systematic search over small networks in which some validators run twice (Bano et al., "Twins: BFT Systems Made Robust", 2021).
//!
//! A twin is a second copy of a validator: the same key, the same code, a disk of its own. Each copy alone behaves like an honest validator,
//! yet together they equivocate, vote twice and forget: most of what a liar can do to the protocol, without a line of lying code.
//!
//! ```text
//! Space ── number ──> Scenario: leader and connectivity of each of the first R rounds
//!                        │
//!       JSON file ──> Script: the same, for each kind of message
//!                        │
//!                        v
//! Stage: production replicas, a clock that jumps ──> invariants, counters, Outcome ──> Tally ──> campaign, report
//! ```
//! After round R everybody hears everybody, so scenarios test liveness too. The space is finite: a campaign that runs to its end without a
//! violation has shown that no scenario violates an invariant.

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
    stage::{Outcome, play, play_at_signers, play_guarded, play_script},
};
