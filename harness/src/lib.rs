//! The harness under every search: production replicas on simulated machines, driven step by step.
//!
//! ```text
//!   worlds   crash points            scenario   twins   puppets   playground   speed      decide what happens
//!      └─────────┬─────────             └─────────┴────────┴──────────┴──────────┘
//!              Bench    every poll is an event of an agenda, so a power cut can fall between any two
//!                │
//!   Packet ── Machine ── Watch ──> invariants      what travels, what runs, what the rules see of it
//!                │
//!          Home, Clock                             what outlives a process, what time it reads
//! ```
//! [`Machine`] is the only place in this crate that opens, feeds and polls a replica. Dependencies point downwards: nothing here knows which
//! search drives it, who lies or what fails.

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

pub mod audit;
mod bench;
mod clock;
pub mod committee;
pub mod contents;
pub mod describe;
pub mod disk;
pub mod governor;
mod home;
pub mod invariants;
pub mod lab;
mod links;
mod machine;
pub mod network;
pub mod origin;
mod packet;
mod panicking;
pub mod pen;
pub mod random;
mod signer;
pub mod subject;
pub mod time;
mod watch;
pub mod workload;

pub use self::{
    bench::{Bench, Event, Parts},
    clock::{Clock, ClockFault},
    home::{Home, SimHome},
    machine::{Machine, Polled, Setup},
    packet::{Content, Opened, Packet, Refused, is_for},
    signer::SimSigner,
    watch::{Happened, Watch, violation},
};
