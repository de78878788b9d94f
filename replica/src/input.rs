//! The replica's inputs.

use std::time::Duration;

use quorate_types::{ids::ValidatorId, message::Message, round::UnixMillis, rpc::Wait, transaction::Transaction, verify::Verified};

use crate::waiting::Ticket;

/// The time, by the driver's two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, from an arbitrary start. Timers use it.
    pub elapsed: Duration,
    /// The calendar, which may be wrong and may jump. It gives our blocks their time, and decides when a block ahead of it gets our vote.
    pub unix: UnixMillis,
}

/// An input of the replica.
#[derive(Debug)]
pub enum Input {
    /// A message from another validator.
    Message {
        /// The sender, as the link authenticated it.
        from: ValidatorId,
        /// Verified against that sender.
        message: Verified<Message>,
    },
    /// A message of another epoch, which only its sender claims: it cannot be verified here.
    OtherEpoch {
        /// The sender, as the link authenticated it.
        from: ValidatorId,
        /// The message, decoded.
        message: Box<Message>,
        /// Its encoded length.
        bytes: usize,
    },
    /// Transactions that another validator passed on.
    Gossip(Vec<Verified<Transaction>>),
    /// A client's transaction. [`crate::Output::Answer`] comes with the same ticket: at once if the transaction is refused or the client does
    /// not wait for the commit, otherwise when it is committed or dropped.
    Submit {
        /// Names the submission; chosen by the caller.
        ticket: Ticket,
        /// The client's transaction.
        transaction: Verified<Transaction>,
        /// What the client waits for.
        wait: Wait,
    },
    /// A job of [`crate::Output::Serve`] is done.
    Served {
        /// The validator that had asked.
        to: ValidatorId,
        /// Length of the answer in bytes, 0 if there was none.
        bytes: usize,
    },
    /// The client is gone and needs no answer.
    Forget(Ticket),
    /// Only the time.
    Tick,
}
