//! The engine's inputs.

use quorate_types::{
    block::{Block, Payload},
    ids::{BlockId, StateId, ValidatorId},
    round::{Round, UnixMillis},
    verify::{Verified, VerifiedMessage},
    vote::QuorumCert,
};

use crate::safety::{Ballot, Saved};

/// An input of the engine.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is moved once, and most are messages")]
pub enum Event {
    /// A message from another validator.
    Message {
        /// The sender, as the link authenticated it.
        from: ValidatorId,
        /// Requests for blocks are the replica's to answer; the engine ignores them.
        message: VerifiedMessage,
    },
    /// The timer of this round has expired.
    TimerFired(Round),
    /// A block has been executed on its parent.
    Executed {
        /// The executed block.
        block: BlockId,
        /// A function of the block and its parent alone.
        outcome: Result<StateId, Rejected>,
    },
    /// Our clock allows a vote for this block: the answer to [`crate::Effect::CheckTime`].
    Timely(BlockId),
    /// The payload for our block: the answer to [`crate::Effect::BuildPayload`].
    PayloadReady {
        /// Round of our block.
        round: Round,
        /// Parent of our block.
        parent: BlockId,
        /// Time of our block, later than the parent's.
        timestamp: UnixMillis,
        /// Its transactions; may be empty.
        payload: Payload,
    },
    /// A ballot's record is durable.
    Persisted(Saved<Ballot>),
    /// The pool has gained or lost work.
    Pool {
        /// The pool holds transactions that could go into a block now.
        ready: bool,
    },
    /// Missing certified blocks have arrived.
    Fetched {
        /// A chain, oldest first.
        blocks: Vec<Verified<Block>>,
        /// Commits the last block, or a descendant of it.
        commit_qc: Option<Verified<QuorumCert>>,
    },
}

/// Why a block is invalid and has no result: a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected(pub &'static str);
