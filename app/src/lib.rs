//! What a replicated service is to quorate: the [`Application`] trait, and the rules that every application shares.
//!
//! ```text
//! payload, parent's state --> execute_block --> writes + receipts, or InvalidBlock: no honest validator votes for it
//!                                  |
//!             for each transaction: sequence, expiry (here) --> Application::execute in a State --> kept, or taken back
//! ```
//!
//! Execution is a pure function of (state, context, payload) (EXEC-1): no clock, no randomness, no order but that of the bytes.
//!
//! An application implements [`Application`] with types of its own, and keeps what it knows in [`Item`]s and [`Map`]s. [`App`] makes of it
//! what a node carries, whatever its types; [`Machine`] is that with the settings of one network. The application that quorate ships is the
//! crate `quorate-builtin`.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[cfg(panic = "abort")]
compile_error!(
    "a panic of an application must be caught, so that it stops one validator once: take `panic = \"abort\"` out of the profile"
);

pub mod accounts;
mod application;
mod execute;
mod machine;
mod map;
mod state;
#[cfg(test)]
mod tests;

pub use application::{AppError, Application, BlockContext, Call, Explained, Nothing, Rules, TxRejected};
pub use execute::{Execution, InvalidBlock, Panicked, Unexecuted, check_transaction, execute_block};
pub use machine::{App, Machine, PathError, Words, is_in_application};
pub use map::{FixedKey, Item, Key, Map};
pub use state::{ACCOUNT_BYTES_MAX, ANSWER_BYTES_MAX, Entry, KEY_BYTES_MAX, Remembering, State, StateRead, VALUE_BYTES_MAX, Writes};
