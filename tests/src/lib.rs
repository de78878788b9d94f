//! Shared by the end-to-end tests: the program, networks of its processes, and traffic that remembers what nodes acknowledged.
//!
//! ```text
//! tests/*.rs --> Cluster --spawns--> quorate node run (n processes)      program.rs, cluster.rs
//!            --> Traffic --HTTP, proofs checked--> any of them           traffic.rs
//!            --> links of a validator that the test plays itself         impersonate.rs
//!            --> a name server that answers as the test wants            names.rs
//! ```
//! The processes are children of the test, and are killed when it ends or panics. Nothing waits for a fixed time: a condition is polled until
//! it holds, or until a deadline that only a defect reaches.

#![forbid(unsafe_code)]

mod cluster;
mod impersonate;
mod names;
pub mod program;
mod traffic;

pub use self::{
    cluster::{Cluster, DEADLINE, Signal, eventually, kill_group, raise_file_limit, take_turn},
    names::{NameAnswer, NameServer},
    program::{Ran, program, program_with_faults, quorate, quorate_with, run},
    traffic::{Acknowledged, Traffic},
};
