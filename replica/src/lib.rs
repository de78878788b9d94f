//! One validator without sockets or clock: the engine, the pool and the ledger, driven by inputs that carry the time.
//!
//! ```text
//! Input --push--> engine --> effects --poll, one at a time--> store, ledger, pool --> engine ... --> Output
//! ```
//! The node and the simulator drive the same code; they differ in where time, messages and storage come from.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![deny(clippy::expect_used, clippy::float_arithmetic, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod abstention;
mod asking;
mod block_time;
mod catchup;
mod early;
mod input;
mod mempool;
mod output;
mod pacer;
mod persistence;
mod position;
mod recovery;
mod replica;
mod seen;
mod serve;
mod standing;
#[cfg(test)]
mod testing;
mod transfer;
mod waiting;
mod witness;

pub use abstention::Abstaining;
pub use catchup::GAP_ROUNDS_FETCHED;
pub use input::{Input, Now};
pub use mempool::{Added, Dropped, Load, Mempool, PoolLimits, Rejected};
pub use output::{Answer, Output};
pub use position::Position;
pub use recovery::{LaterVersion, RecoverError, verifier};
pub use replica::{Counts, Doubles, Fatal, Replica, ReplicaConfig, ReplicaStatus};
pub use serve::Serve;
pub use standing::{LastSeen, Standing};
pub use transfer::{SafetyState, TransferError, forget, moved};
pub use waiting::{Ticket, TooManyWaiting, WAITING_MAX, Waiting};
pub use witness::{MemoryWitness, WitnessFile};
