//! The replica's outputs.

use std::{borrow::Cow, sync::Arc};

use quorate_ledger::Committed;
use quorate_types::{
    evidence::Evidence,
    ids::ValidatorId,
    message::{Message, Recipients},
    receipt::Outcome,
    round::Height,
    transaction::Transaction,
};

use crate::{serve::Serve, waiting::Ticket};

/// An output of the replica.
#[derive(Debug)]
pub enum Output {
    /// Send a message.
    Send {
        /// One validator, or all but us.
        to: Recipients,
        /// The message, signed.
        message: Arc<Message>,
    },
    /// Pass a batch of transactions on to the other validators.
    Gossip(Vec<Transaction>),
    /// Read blocks for another validator, send them to it, and report with [`crate::Input::Served`]. Nothing waits for this.
    Serve(Box<Serve>),
    /// Answer a submission.
    Answer {
        /// The ticket of the submission.
        ticket: Ticket,
        /// What became of the transaction.
        answer: Answer,
    },
    /// Blocks have been committed.
    Committed(Arc<Committed>),
    /// A validator signed what no honest validator signs.
    Accused(Box<Evidence>),
    /// A message had no effect; for counting.
    Ignored {
        /// Sender of the message, or author of the block.
        from: ValidatorId,
        /// A stable word.
        reason: &'static str,
    },
    /// An effect was carried out that does not concern the outside. A simulator may cut the power here.
    Worked,
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The transaction is in the pool.
    Accepted,
    /// The transaction is in the chain.
    Committed {
        /// Height of its block.
        height: Height,
        /// Its position in the block.
        index: u32,
        /// Its outcome.
        outcome: Outcome,
    },
    /// The transaction will not be in the chain unless it is sent again.
    Rejected {
        /// A stable word, for programs.
        code: Cow<'static, str>,
        /// For people: what is wrong, and what to do.
        reason: String,
    },
}
