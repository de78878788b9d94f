//! The wallet: accounts on this machine, and transactions whose results it checks itself.
//!
//! ```text
//! NAME.key ──sign──> transaction ──any node──> chain
//!                                                │ receipt + proof
//! genesis.json ──committee──> check ─────────────┘──> "verified: height, round, signers", exit code
//! ```
//! It believes no node: a result is shown only after the quorum's signatures, the header and the Merkle path were checked.

#![forbid(unsafe_code)]

pub mod accounts;
mod ask;
pub mod command;
pub mod network;
mod send;
mod value;
mod view;
mod watch;

pub use self::{
    accounts::Party,
    command::{Action, Command},
    network::NetworkArgs,
};
