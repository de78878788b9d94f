//! The types that every part of quorate shares: identifiers, blocks, votes, certificates, messages, transactions, receipts, proofs and
//! genesis; their canonical encoding, their domain-separated hashes, and the one signature rule.
//!
//! Pure and deterministic: no clock, no I/O, no randomness. Only [`verify`] makes [`verify::Verified`] values.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod block;
pub mod codec;
pub mod committee;
pub mod crypto;
pub mod diagnosis;
pub mod epoch;
pub mod event;
pub mod evidence;
pub mod failure;
pub mod genesis;
pub mod governance;
pub mod header;
pub mod ids;
pub mod merkle;
pub mod message;
#[cfg(feature = "openapi")]
mod openapi;
pub mod permission;
pub mod proof;
pub mod receipt;
pub mod round;
pub mod rpc;
mod seen;
pub mod settings;
pub mod sighting;
pub mod signing;
pub mod slots;
pub mod state_key;
pub mod state_proof;
pub mod timeout;
pub mod transaction;
pub mod verify;
pub mod vote;
pub mod witness;
