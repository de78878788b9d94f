//! How programs talk to quorate nodes: the HTTP client and the light client that checks what nodes say.
//!
//! ```text
//! wallet, tests ──> Client ── HTTP ──> any of several nodes (none of them trusted)
//!                     │ answers with proofs
//!                     v
//!                 LightClient ── committee of the genesis ──> verified receipts, balances, values
//! ```
//! Nothing here may believe a node: a value is [`light::Proven`] only after a quorum's signatures, the header and the path were checked, and
//! what a node says without proof is at most quoted, escaped and cut.

#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod error;
pub mod http;
pub mod light;
pub mod service;
pub mod session;

pub use self::{
    args::NodeArgs,
    error::{ClientError, NotCommitted},
    http::Client,
    light::{LightClient, LightError, Proven},
    service::{Service, ServiceError, ServiceOptions},
    session::{Fate, Pace, Seen, Session},
};
