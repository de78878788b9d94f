//! The types of the chain as a hostile peer or client sends them: forged, cut, stretched, replayed, out of order. And their golden bytes.

#![expect(clippy::unwrap_used, reason = "clippy does not count test helpers as tests")]

mod certificates;
mod codec;
mod committees;
mod domains;
mod evidence;
mod fixture;
mod formats;
mod genesis;
mod golden;
mod json;
mod messages;
mod proofs;
mod tampering;
mod transactions;
mod witness;
