//! What the engine is told.

use quorate_types::{
    block::{Block, Payload},
    ids::{BlockId, StateId, ValidatorId},
    round::{Round, UnixMillis},
    verify::{Verified, VerifiedMessage},
    vote::QuorumCert,
};

use crate::safety::{Ballot, Saved};

/// Something that happened.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an event is moved once, and most are messages")]
pub enum Event {
    /// A message of another validator.
    Message {
        /// Who sent it.
        from: ValidatorId,
        /// The message. Requests for blocks are the replica's to answer; the engine ignores them.
        message: VerifiedMessage,
    },
    /// The timer that was started for this round has run out.
    TimerFired(Round),
    /// A block has been executed on its parent.
    Executed {
        /// Which.
        block: BlockId,
        /// With what result: a function of the block and its parent alone.
        outcome: Result<StateId, Rejected>,
    },
    /// Our clock lets us vote for this block, as [`crate::Effect::CheckTime`] asked.
    Timely(BlockId),
    /// The payload for our block.
    PayloadReady {
        /// For our block of this round.
        round: Round,
        /// On this parent.
        parent: BlockId,
        /// The block's time, later than the parent's.
        timestamp: UnixMillis,
        /// The transactions.
        payload: Payload,
    },
    /// A ballot's record is durable.
    Persisted(Saved<Ballot>),
    /// Whether the pool holds transactions that could be in a block now.
    Pool {
        /// See above.
        ready: bool,
    },
    /// Certified blocks that were missing, the oldest first, and perhaps a certificate that commits the last of them or one that follows.
    Fetched {
        /// The blocks.
        blocks: Vec<Verified<Block>>,
        /// Commits the last, or a descendant of it.
        commit_qc: Option<Verified<QuorumCert>>,
    },
}

/// Why a block has no result. A stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected(pub &'static str);
