//! What a replica wants from the world.

use std::{borrow::Cow, sync::Arc};

use quorate_ledger::Committed;
use quorate_types::{
    ids::ValidatorId,
    message::{Evidence, Message, Recipients},
    receipt::Outcome,
    round::Height,
    transaction::Transaction,
};

use crate::{serve::Serve, waiting::Ticket};

/// Something that leaves the replica.
#[derive(Debug)]
pub enum Output {
    /// Send a message.
    Send {
        /// To whom.
        to: Recipients,
        /// What.
        message: Arc<Message>,
    },
    /// Pass transactions on to the other validators; one batch.
    Gossip(Vec<Transaction>),
    /// Read blocks for another validator and send them to it; [`crate::Input::Served`] says that it is done. Nothing waits for it.
    Serve(Box<Serve>),
    /// Answer a submission.
    Answer {
        /// Which.
        ticket: Ticket,
        /// With what.
        answer: Answer,
    },
    /// Blocks have been committed.
    Committed(Arc<Committed>),
    /// Somebody signed what no honest validator signs.
    Accused(Box<Evidence>),
    /// A message had no effect; for counting.
    Ignored {
        /// Whose.
        from: ValidatorId,
        /// Why, a stable word.
        reason: &'static str,
    },
    /// An effect was carried out of which nobody outside needs to know. A simulator may cut the power here.
    Worked,
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The pool has it.
    Accepted,
    /// It is in the chain.
    Committed {
        /// In the block at this height.
        height: Height,
        /// At this position.
        index: u32,
        /// With this result.
        outcome: Outcome,
    },
    /// It will not be in the chain unless it is sent again.
    Rejected {
        /// A stable word.
        code: Cow<'static, str>,
        /// For people, with what to do.
        reason: String,
    },
}
