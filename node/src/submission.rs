//! A client's transaction on its way to the replica, and the channel for its answer.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quorate_replica::{Answer, Ticket};
use quorate_types::{rpc::Wait, transaction::Transaction};
use tokio::sync::{mpsc, oneshot};

/// Refusal code: one of our queues is full.
pub(crate) const BUSY: &str = "busy";
/// Refusal code: too little disk space is free.
pub(crate) const DISK_NEARLY_FULL: &str = "disk-nearly-full";
/// Refusal code: too many transactions already wait for blocks.
pub(crate) const OVERLOADED: &str = "overloaded";
/// Refusal code: the node is stopping.
pub(crate) const STOPPING: &str = "stopping";

/// Where an answer goes. It is no error if the client has disconnected.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A single submission.
    One(oneshot::Sender<Answer>),
    /// A batch, with the transaction's position in it. The channel has room for the largest batch.
    Part(u32, mpsc::Sender<(u32, Answer)>),
    /// No answer is wanted.
    Nobody,
}

impl Reply {
    pub(crate) fn send(self, answer: Answer) {
        match self {
            Self::One(reply) => drop(reply.send(answer)),
            Self::Part(index, replies) => drop(replies.try_send((index, answer))),
            Self::Nobody => {}
        }
    }

    /// Whether no client waits any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::One(reply) => reply.is_closed(),
            Self::Part(_, replies) => replies.is_closed(),
            Self::Nobody => true,
        }
    }

    pub(crate) fn refuse(self, code: impl Into<Cow<'static, str>>, reason: impl Into<String>) {
        self.send(Answer::Rejected { code: code.into(), reason: reason.into() });
    }
}

/// Where and when to send the answer to a submission.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) ticket: Ticket,
    pub(crate) wait: Wait,
    pub(crate) reply: Reply,
}

/// A client's transaction, not yet verified.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) claim: Claim,
    pub(crate) transaction: Transaction,
}

/// Why a submission is refused: a queue is full, or the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) code: &'static str,
    pub(crate) reason: &'static str,
}

impl NoRoom {
    pub(crate) const BUSY: Self = Self { code: BUSY, reason: "the node has more transactions than it can handle now" };
    pub(crate) const OVERLOADED: Self =
        Self { code: OVERLOADED, reason: "enough transactions to fill the next few blocks already wait here; this one was not examined" };
    pub(crate) const STOPPING: Self = Self { code: STOPPING, reason: "the node is stopping" };
}

/// Numbers the submissions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tickets(Arc<AtomicU64>);

impl Tickets {
    pub(crate) fn next(&self) -> Ticket {
        Ticket(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
