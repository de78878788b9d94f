//! What the engine wants done. Effects are plain data and are carried out one after the other, in the order given.

use std::sync::Arc;

use quorate_types::{
    block::Block,
    ids::{BlockId, StateId, ValidatorId},
    message::{Evidence, Message, Recipients, SyncInfo},
    round::Round,
    verify::Verified,
    vote::QuorumCert,
};

use crate::safety::{Ballot, Unsaved};

/// Something to be done.
#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Execute a block on its parent and answer with [`crate::Event::Executed`].
    Execute {
        /// The block. Its parent is committed or was executed before.
        block: Arc<Verified<Block>>,
    },
    /// Deviation D8. Answer with [`crate::Event::Timely`] as soon as our clock lets us vote for this executed block: mostly at once. Replaces
    /// an earlier one.
    CheckTime(BlockId),
    /// Write a block to the store. Durable with the next ballot at the latest.
    Store(Arc<Verified<Block>>),
    /// Make the record of a ballot durable, together with the certificates that lead into our round (S11, S12), and answer with
    /// [`crate::Event::Persisted`].
    Persist {
        /// The ballot and its record.
        ballot: Box<Unsaved<Ballot>>,
        /// Our certificates.
        certificates: Box<SyncInfo>,
    },
    /// Send a message.
    Send {
        /// To whom.
        to: Recipients,
        /// What.
        message: Message,
    },
    /// Answer with [`crate::Event::TimerFired`] after this time. Replaces the timer started before.
    StartTimer {
        /// For this round.
        round: Round,
        /// In milliseconds.
        after_ms: u64,
    },
    /// Answer with [`crate::Event::PayloadReady`]: at once if `flush` or if there are transactions, otherwise as soon as there are some, or
    /// when the heartbeat is due. Replaces an earlier one.
    BuildPayload {
        /// For our block of this round.
        round: Round,
        /// On this parent.
        parent: BlockId,
        /// Even an empty block has work to do: it publishes a commit.
        flush: bool,
    },
    /// Commit these blocks, the oldest first.
    Commit {
        /// From the child of the committed root on.
        blocks: Vec<Arc<Verified<Block>>>,
        /// Commits the last of them directly.
        qc: Verified<QuorumCert>,
    },
    /// Get a certified block and its ancestors down to the committed root, and answer with [`crate::Event::Fetched`].
    Fetch(Missing),
    /// A message had no effect. Counted.
    Ignored {
        /// Whose.
        from: ValidatorId,
        /// Why.
        reason: Ignored,
    },
    /// Somebody signed what no honest validator signs.
    Accuse(Evidence),
    /// A rule that holds while at most f validators are faulty is broken, or our own state is: stop. Better no answer than a wrong one.
    Halt(Halt),
}

/// A block that a certificate names and that we do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The block.
    pub block_id: BlockId,
    /// How many rounds lie between our committed root and the newest commit that we know of.
    pub rounds_behind: u64,
    /// Who should have it: the sender first, then the signers of its certificate.
    pub holders: Vec<ValidatorId>,
}

/// Why a message had no effect. Every one of these happens between honest validators too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Of a round that is over.
    OldRound,
    /// Of a round that we cannot judge yet.
    FarRound,
    /// From somebody who does not lead the round.
    NotLeader,
    /// Seen before.
    Duplicate,
    /// A second, different one of its kind in a round.
    Equivocation,
    /// The block is not valid on its parent.
    InvalidBlock(&'static str),
    /// The safety rules forbid a vote.
    UnsafeVote,
    /// The safety rules forbid a timeout.
    UnsafeTimeout,
    /// The block's parent is being fetched; the proposal waits.
    ParentMissing,
}

impl Ignored {
    /// A word for metrics.
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
        }
    }
}

/// Why the replica must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// EXEC-1.
    #[error("EXEC-1: our state is not the one that a quorum certified: {0:?}")]
    Diverged(Divergence),
    /// Property 1 of the paper.
    #[error("two blocks are certified in round {round}: {first} and {second}; more validators are faulty than the protocol can bear")]
    TwoCertificates {
        /// The round.
        round: Round,
        /// One.
        first: BlockId,
        /// The other.
        second: BlockId,
    },
}

/// What we computed and what a quorum certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The block.
    pub block_id: BlockId,
    /// Its round.
    pub round: Round,
    /// A quorum's result.
    pub certified: StateId,
    /// Ours; `None` when the block is not valid for us at all.
    pub ours: Option<StateId>,
}
