//! The engine's outputs: plain data, carried out one at a time and in order.

use std::sync::Arc;

use quorate_types::{
    block::Block,
    evidence::Evidence,
    ids::{BlockId, StateId, ValidatorId},
    message::{Message, Recipients, SyncInfo},
    round::Round,
    verify::Verified,
    vote::QuorumCert,
};

use crate::safety::{Ballot, Unsaved};

/// What the engine asks the replica to do.
#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Execute a block on its parent and answer with [`crate::Event::Executed`].
    Execute {
        /// The block. Its parent is committed, or was executed by an earlier effect.
        block: Arc<Verified<Block>>,
    },
    /// Deviation D8. Answer with [`crate::Event::Timely`] as soon as our clock allows a vote for this executed block, usually at once.
    /// Replaces an earlier request.
    CheckTime(BlockId),
    /// Write a block to the store. Durable with the next ballot at the latest.
    Store(Arc<Verified<Block>>),
    /// Delete our own block, which was written with its ballot: it was not signed, so nobody will see it, and nobody has executed it.
    Discard {
        /// Its round.
        round: Round,
        /// The block.
        block: BlockId,
    },
    /// Make the record of a ballot durable, together with the certificates that lead into our round (S11, S12), and answer with
    /// [`crate::Event::Persisted`].
    Persist {
        /// The ballot and its record.
        ballot: Box<Unsaved<Ballot>>,
        /// Our highest certificates.
        certificates: Box<SyncInfo>,
    },
    /// Send a message.
    Send {
        /// One validator, or all but us.
        to: Recipients,
        /// The message, signed.
        message: Message,
    },
    /// Answer with [`crate::Event::TimerFired`] after a delay. Replaces the timer started before.
    StartTimer {
        /// Our round, for the answer.
        round: Round,
        /// Delay in milliseconds.
        after_ms: u64,
    },
    /// Answer with [`crate::Event::PayloadReady`]: at once if `flush` is set, otherwise when there are transactions or the heartbeat is due.
    /// Replaces an earlier request.
    BuildPayload {
        /// Round of our block.
        round: Round,
        /// Parent of our block.
        parent: BlockId,
        /// Propose even an empty block: it commits a transaction, or publishes a commit.
        flush: bool,
    },
    /// Commit blocks.
    Commit {
        /// From the child of the committed root on, oldest first.
        blocks: Vec<Arc<Verified<Block>>>,
        /// Commits the last of them directly.
        qc: Verified<QuorumCert>,
    },
    /// Fetch a certified block and its ancestors down to the committed root, and answer with [`crate::Event::Fetched`].
    Fetch(Missing),
    /// A message had no effect. Counted.
    Ignored {
        /// Sender of the message, or author of the block.
        from: ValidatorId,
        /// The first check that failed.
        reason: Ignored,
    },
    /// A validator signed what no honest validator signs.
    Accuse(Box<Evidence>),
    /// Stop: a rule that holds while at most f validators are faulty is broken, or our own state is. Better no answer than a wrong one.
    Halt(Halt),
}

/// A certified block that we do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The missing block.
    pub block_id: BlockId,
    /// Rounds between our committed root and the newest commit we know of.
    pub rounds_behind: u64,
    /// Validators that should have the block: the sender of the certificate first, then its signers.
    pub holders: Vec<ValidatorId>,
}

/// Why a message had no effect. Each of these happens between honest validators too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Its round is over.
    OldRound,
    /// Its round is too far ahead to judge.
    FarRound,
    /// The author does not lead the round.
    NotLeader,
    /// Seen before.
    Duplicate,
    /// A second, different message of its kind and sender in a round.
    Equivocation,
    /// The block is invalid on its parent.
    InvalidBlock(&'static str),
    /// The safety rules forbid a vote.
    UnsafeVote,
    /// The safety rules forbid a timeout.
    UnsafeTimeout,
    /// The block's parent is being fetched; the proposal waits.
    ParentMissing,
    /// Whoever holds our key did not sign our ballot: as if the message had been lost.
    NotSigned,
}

impl Ignored {
    /// A stable word, for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OldRound => "old-round",
            Self::FarRound => "far-round",
            Self::NotLeader => "not-leader",
            Self::Duplicate => "duplicate",
            Self::Equivocation => "equivocation",
            Self::InvalidBlock(_) => "invalid-block",
            Self::UnsafeVote => "unsafe-vote",
            Self::UnsafeTimeout => "unsafe-timeout",
            Self::ParentMissing => "parent-missing",
            Self::NotSigned => "not-signed",
        }
    }
}

/// Why the replica must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// EXEC-1: a quorum certified another result than we computed.
    #[error("EXEC-1: our state differs from the one a quorum certified: {0:?}")]
    Diverged(Divergence),
    /// Property 1 of the paper: at most one block is certified in a round.
    #[error("two blocks are certified in round {round}: {first} and {second}; more validators are faulty than the protocol tolerates")]
    TwoCertificates {
        /// The round of both certificates.
        round: Round,
        /// The block of the certificate we hold.
        first: BlockId,
        /// The block of the new certificate.
        second: BlockId,
    },
}

/// A block whose certified result is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The block.
    pub block_id: BlockId,
    /// The block's round.
    pub round: Round,
    /// The quorum's result.
    pub certified: StateId,
    /// Our result; `None` if we found the block invalid.
    pub ours: Option<StateId>,
}
