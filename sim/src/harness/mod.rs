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
//! [`Machine`] is the only place of this crate that opens a replica, pushes into it and polls it. Arrows run down: nothing here knows who
//! drives it, who lies or what fails.

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
