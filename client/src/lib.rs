//! How programs talk to quorate nodes: the HTTP client and the light client that verifies answers.
//!
//! ```text
//! wallet, tests ──> Client ── HTTP ──> any of several nodes (none is trusted)
//!                     │ answers with proofs
//!                     v
//!                 LightClient ── genesis, committee after committee ──> verified receipts, balances, values
//! ```
//! Nothing here trusts a node: a value is [`light::Proven`] only after a quorum's signatures, the header and the path were checked, and
//! unproved text from a node is at most quoted, escaped and truncated.

#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod error;
pub mod history;
pub mod http;
pub mod light;
pub mod service;
pub mod session;

pub use self::{
    args::NodeArgs,
    error::{ClientError, NotCommitted},
    history::History,
    http::{Client, Event, Events},
    light::{LightClient, LightError, Proven},
    service::{Service, ServiceError, ServiceOptions},
    session::{Fate, Pace, Seen, Session},
};
