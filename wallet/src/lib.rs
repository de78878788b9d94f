//! The wallet: accounts on this machine, and transactions whose results it verifies itself.
//!
//! ```text
//! proved account + pending transactions ──> sequence number
//! NAME.key ──sign──> transaction ──saved on disk─> node after node ──> chain
//!                                                                        │ receipt + proof
//! genesis.json ──committee──> check ─────────────────────────────────────┘──> "verified: height, round, signers", exit code
//! ```
//! It trusts no node: nothing that a node says without proof decides what the wallet reports or does. A result is shown only after the quorum's
//! signatures, the header and the Merkle path were checked, and only if it is no older than what was proved to this home before.

#![forbid(unsafe_code)]

pub mod accounts;
mod ask;
pub mod command;
pub mod evidence;
mod expiry;
mod history;
mod memory;
pub mod network;
mod pending;
pub mod permission;
mod send;
pub mod service;
pub mod settings;
pub mod validator;
mod value;
mod view;
mod watch;

pub use self::{
    accounts::Party,
    command::{Action, Command},
    evidence::EvidenceCommand,
    network::{NetworkArgs, account},
    permission::PermissionCommand,
    service::ServiceCommand,
    settings::BankSettings,
    validator::ValidatorCommand,
};
