//! What a node tells as it happens: `GET /v1/events` and `GET /v1/events/node`. Nothing here is proved; an event says what to ask for.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BlockId, StateId},
    round::{Epoch, Height, Round, UnixMillis},
    rpc::{EvidenceView, TransactionView},
};

/// A committed block: the event `block`. Its number is its height, the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockEvent {
    /// Its position.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its round.
    pub round: Round,
    /// Its id.
    pub block_id: BlockId,
    /// The result of executing it.
    pub state_id: StateId,
    /// Its time.
    pub timestamp: UnixMillis,
    /// The name of its author; none for genesis.
    pub author: Option<String>,
    /// The number of its transactions.
    pub transactions_total: u32,
    /// The epoch that begins after it, if it has changed the committee or the parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_epoch: Option<Epoch>,
}

/// Most transactions in one event; an account that sent more in a block has several events for it.
pub const EVENT_TRANSACTIONS_MAX: u32 = 64;

/// Transactions of one account in one block: the event `transactions`. Only the last event of a block is numbered, so a client that resumes in
/// between gets the block's events again from the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionsEvent {
    /// The height of the block.
    pub height: Height,
    /// Its time.
    pub timestamp: UnixMillis,
    /// The transactions in order, at most [`EVENT_TRANSACTIONS_MAX`].
    pub transactions: Vec<TransactionView>,
}

/// Something that a node has seen for itself. The number of such an event is the node's own, and grows across restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NodeEvent {
    /// It entered a round.
    Round {
        /// When, by its clock.
        at: UnixMillis,
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// The name of the round's leader.
        leader: String,
        /// What ended the round before.
        led_by: LedBy,
    },
    /// It timed out of a round.
    Timeout {
        /// When, by its clock.
        at: UnixMillis,
        /// The epoch.
        epoch: Epoch,
        /// The round.
        round: Round,
        /// The name of the leader that it waited for.
        leader: String,
    },
    /// It began to keep evidence against a validator.
    Evidence(EvidenceView),
    /// Events are missing here: they are older than what the node keeps, or from before its clock was set back.
    Gap {
        /// The number that was asked for.
        asked: u64,
        /// The number of the next event.
        next: u64,
    },
}

impl NodeEvent {
    /// Its kind, as it is tagged.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Round { .. } => "round",
            Self::Timeout { .. } => "timeout",
            Self::Evidence(_) => "evidence",
            Self::Gap { .. } => "gap",
        }
    }
}

/// What ends a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LedBy {
    /// A certificate of its block.
    Certificate,
    /// A quorum of timeouts.
    Timeouts,
}
