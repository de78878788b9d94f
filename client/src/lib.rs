//! How programs talk to quorate nodes: the HTTP client, the light client that checks what nodes say, and the terminal that shows it.
//!
//! ```text
//! wallet, tests ──> Client ── HTTP ──> any of several nodes (none of them trusted)
//!                     │ answers with proofs
//!                     v
//!                 LightClient ── committee of the genesis ──> verified receipts, balances, values
//! ```
//! Nothing here may believe a node: a value is [`light::Proven`] only after a quorum's signatures, the header and the path were checked.

#![forbid(unsafe_code)]

pub mod api;
pub mod args;
pub mod error;
pub mod http;
pub mod light;
pub mod session;
pub mod terminal;

pub use self::{
    args::NodeArgs,
    error::ClientError,
    http::Client,
    light::{LightClient, LightError, Proven},
    session::Session,
    terminal::{CommandError, Exit, Output},
};
