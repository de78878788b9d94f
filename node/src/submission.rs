//! A client's transaction on its way to the replica, and the way back of the answer.

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

/// The code of a refusal because a queue of ours is full.
pub(crate) const BUSY: &str = "busy";
/// Code of a refusal while the disk has too little room for what transactions write.
pub(crate) const DISK_NEARLY_FULL: &str = "disk-nearly-full";
/// The code of a refusal because as many transactions wait for blocks as may.
pub(crate) const OVERLOADED: &str = "overloaded";
/// The code of a refusal because the node stops.
pub(crate) const STOPPING: &str = "stopping";

/// Where an answer goes. A client that has gone away is no error.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a submission of its own.
    One(oneshot::Sender<Answer>),
    /// To a batch, with the transaction's position in it. The channel is as long as the batch.
    Part(u32, mpsc::Sender<(u32, Answer)>),
    /// To nobody.
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

    /// Whether nobody waits any more.
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

/// Who submitted, and what for.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) ticket: Ticket,
    pub(crate) wait: Wait,
    pub(crate) reply: Reply,
}

/// A client's transaction, not yet checked.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) claim: Claim,
    pub(crate) transaction: Transaction,
}

/// Why a submission goes no further: a queue is full, or the node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) code: &'static str,
    pub(crate) reason: &'static str,
}

impl NoRoom {
    pub(crate) const BUSY: Self = Self { code: BUSY, reason: "the node has more transactions than it can handle now" };
    pub(crate) const OVERLOADED: Self =
        Self { code: OVERLOADED, reason: "as many transactions wait for blocks here as the next few can hold; this one was not looked at" };
    pub(crate) const STOPPING: Self = Self { code: STOPPING, reason: "the node is stopping" };
}

/// Gives each submission its own number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tickets(Arc<AtomicU64>);

impl Tickets {
    pub(crate) fn next(&self) -> Ticket {
        Ticket(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
