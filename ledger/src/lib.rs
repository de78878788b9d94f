//! The ledger (paper §3.2): the committed chain on a [`Store`], and above it, in memory, the tree of speculative states of the blocks that
//! are not yet committed.
//!
//! ```text
//!                    pending, in memory:  StateTree + writes + receipts each
//!   committed, on disk         ┌── B7 ── B9        speculate(block): adds a child
//!   B1 ── B2 ── B3 ── B4 ──────┤                   commit(B5, B6):   they go to disk in one batch, B6 is the new root,
//!                     root     └── B5 ── B6 ── B8                    B7 and B9 are dropped
//! ```
//!
//! The result of a block is its [`Header`](quorate_types::header::Header); the header's hash is the `StateId` that votes certify.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod error;
mod ledger;
mod memory;
mod poison;
mod reader;
#[cfg(feature = "rocks")]
mod rocks;
pub mod schema;
mod speculation;
pub mod state_tree;
mod store;
#[cfg(test)]
mod tests;
mod view;

pub use error::LedgerError;
pub use ledger::{Committed, CommittedBlock, Ledger, Loading, genesis_header, genesis_qc};
pub use memory::MemoryStore;
pub use reader::{LedgerReader, StoredBlock};
#[cfg(feature = "rocks")]
pub use rocks::{RocksOptions, RocksStore};
pub use schema::Column;
pub use speculation::InvalidBlock;
pub use state_tree::StateTree;
pub use store::{Batch, BatchEntry, Damage, Entry, Store, StoreError};
pub use view::CommittedView;
