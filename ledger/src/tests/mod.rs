//! Tests of the ledger, in memory and, with the feature `rocks`, on a real disk.

mod commit;
mod epochs;
mod network;
mod open;
mod proofs;
mod speculate;
mod stored;
