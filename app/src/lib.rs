//! Replicated services: the [`Application`] trait, and the rules that every application shares.
//!
//! ```text
//! payload, parent's state --> execute_block --> writes + receipts, or InvalidBlock: no honest validator votes for it
//!                                  |
//!             for each transaction: permission, sequence, expiry (here) --> Application::execute in a State --> kept, or rolled back
//! ```
//!
//! Execution is a pure function of (state, context, payload) (EXEC-1): no clock, no randomness, no order but that of the bytes.
//!
//! An application implements [`Application`] with its own types, and keeps its data in [`Item`]s and [`Map`]s. [`App`] erases the types, so
//! that a node can carry any application; [`Machine`] is an [`App`] with the settings of one network. The crate `quorate-builtin` is the
//! application that quorate ships.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

#[cfg(panic = "abort")]
compile_error!("an application's panic must be caught, so that it stops one validator once: remove `panic = \"abort\"` from the profile");

pub mod accounts;
mod application;
mod execute;
pub mod governance;
mod machine;
mod map;
pub mod permissions;
mod state;
#[cfg(test)]
mod tests;

pub use application::{AppError, Application, BlockContext, Call, Explained, Nothing, Rules, TxRejected};
pub use execute::{Execution, InvalidBlock, Panicked, Unexecuted, check_transaction, execute_block};
pub use machine::{App, Machine, PathError, Words, is_in_application};
pub use map::{FixedKey, Item, Key, Map};
pub use state::{ACCOUNT_BYTES_MAX, ANSWER_BYTES_MAX, CachedRead, Entry, KEY_BYTES_MAX, State, StateRead, VALUE_BYTES_MAX, Writes};
