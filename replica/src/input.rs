//! What a replica is given.

use std::time::Duration;

use quorate_types::{ids::ValidatorId, message::Message, round::UnixMillis, rpc::Wait, transaction::Transaction, verify::Verified};

use crate::waiting::Ticket;

/// The time, as whoever drives the replica sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Of a clock that never goes back; starts anywhere. Timers go by it.
    pub elapsed: Duration,
    /// Of the calendar, which may be wrong and may jump. The times of our blocks come from it, and it decides when a block that is ahead of it
    /// gets our vote.
    pub unix: UnixMillis,
}

/// Something that reaches the replica.
#[derive(Debug)]
pub enum Input {
    /// A message of another validator.
    Message {
        /// Who sent it.
        from: ValidatorId,
        /// The message.
        message: Verified<Message>,
    },
    /// Transactions that another validator passed on.
    Gossip(Vec<Verified<Transaction>>),
    /// A client's transaction. [`crate::Output::Answer`] comes with the same ticket: at once when it is refused, or when the client waits
    /// for no commit; otherwise when it is committed or dropped.
    Submit {
        /// The number of the submission, the caller's choice.
        ticket: Ticket,
        /// The transaction.
        transaction: Verified<Transaction>,
        /// Until when the client waits.
        wait: Wait,
    },
    /// A job of [`crate::Output::Serve`] is done, with an answer of so many bytes, or none.
    Served {
        /// Who had asked.
        to: ValidatorId,
        /// The length of the answer.
        bytes: usize,
    },
    /// The client has gone: no answer is needed any more.
    Forget(Ticket),
    /// Only the time.
    Tick,
}
