//! The harness under every search: production replicas on simulated machines, moved by hand.
//!
//! ```text
//!   worlds   crash points            scenario   twins   puppets   playground   speed      who decides what happens
//!      └─────────┬─────────             └─────────┴────────┴──────────┴──────────┘
//!              Bench    every poll is an event of an agenda, so that power cuts fall between any two
//!                │
//!   Packet ── Machine ── Watch ──> invariants      what passes, what runs, what the rules are shown of it
//!                │
//!          Home, Clock                             what outlives a process, what time it sees
//! ```
//! [`Machine`] is the only place under all searches that opens a [`Replica`](quorate_replica::Replica), pushes into it and polls it. Arrows run
//! down: nothing here knows who drives it, who lies or what fails.
//!
//! What a run must obey is in [`invariants`], one file per rule, each derived anew from what an outsider sees.
//!
//! Never here: a real clock, a socket, a file, or randomness from anywhere but a seed.

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
mod home;
pub mod invariants;
pub mod lab;
mod machine;
pub mod network;
pub mod origin;
mod packet;
pub mod pen;
pub mod random;
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
    watch::{Happened, Watch, violation},
};
