//! What the blocks of quorate do to the state: the [`Application`] trait, the rules that every application shares, and [`BuiltIn`],
//! the bank and the key-value store that every node carries.
//!
//! ```text
//! payload, parent's state --> execute_block --> writes + receipts, or InvalidBlock: no honest validator votes for it
//!                                  |
//!             for each transaction: sequence, expiry (here) --> Application::execute in an Overlay --> kept, or rolled back
//! ```
//!
//! Execution is a pure function of (state, context, payload) (EXEC-1): no clock, no randomness, no order but that of the bytes.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod accounts;
mod application;
mod bank;
mod built_in;
mod execute;
mod kv;
mod state;
mod storage;
#[cfg(test)]
mod tests;

pub use application::{AppError, Application, BlockContext, TxRejected};
pub use built_in::BuiltIn;
pub use execute::{Execution, InvalidBlock, check_transaction, execute_block, genesis_state};
pub use state::{Overlay, Remembering, StateRead, Writes};
