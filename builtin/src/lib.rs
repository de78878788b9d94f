//! The application that quorate ships: [`BuiltIn`], a bank and a key-value store that account for the state that each account holds.
//!
//! ```text
//! Operation --> bank (transfers) ------> accounts: balance, bytes held
//!           \-> kv (put, get, ...) --> storage: which account holds, and pays for, which entry
//! ```

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod account;
mod bank;
mod built_in;
pub mod keys;
mod kv;
pub mod operation;
mod settings;
mod storage;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use built_in::{Answer, BuiltIn, explain};
pub use operation::{BankOperation, KvAction, KvOperation, KvSpace, Operation};
pub use settings::{GenesisAccount, Settings};

/// [`BuiltIn`] as a node carries it.
#[must_use]
pub fn app() -> quorate_app::App {
    quorate_app::App::new(BuiltIn)
}
