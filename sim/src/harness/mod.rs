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

pub(crate) mod bench;
pub(crate) mod clock;
mod home;
mod machine;
mod packet;
mod watch;

pub(crate) use self::{
    bench::{Bench, Event, Parts},
    clock::Clock,
    home::{Home, SimHome},
    machine::{Machine, Polled, Setup},
    packet::{Content, Opened, Packet, Refused, is_for},
    watch::{Happened, Watch, violation},
};
