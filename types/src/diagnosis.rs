//! The types with which a node explains itself, shared by node and client: the state of consensus and the missing validators
//! (`GET /v1/consensus`), and recent drops (`GET /v1/drops`).
//!
//! None of it is proved, so no decision may rest on it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BlockId, TxId},
    round::{Height, Round, UnixMillis},
};

/// The position of a validator in the protocol, what it knows of the others, and what is missing while nothing is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsensusView {
    /// The name of the queried validator.
    pub name: String,
    /// Its current round.
    pub round: Round,
    /// The name of the validator that leads this round.
    pub leader: String,
    /// The round of its highest quorum certificate.
    pub high_qc_round: Round,
    /// The height of its newest committed block.
    pub height: Height,
    /// The round of that block.
    pub committed_round: Round,
    /// The highest round in which it has signed a vote or a timeout.
    pub highest_vote_round: Round,
    /// Its lock: the highest round of a certificate that it has voted on.
    pub locked_round: Round,
    /// Whether it is fetching missing blocks.
    pub catching_up: bool,
    /// Milliseconds since this process last committed a block, or since its start.
    pub since_commit_ms: u64,
    /// The longest time between two commits while nothing is wrong, in milliseconds: one heartbeat plus one round timer.
    pub patience_ms: u64,
    /// The voting power of a quorum.
    pub quorum_power: u64,
    /// The voting power of all validators.
    pub total_power: u64,
    /// What is known of each validator, in the order of the committee; includes the queried one.
    pub validators: Vec<ValidatorStanding>,
    /// What is wrong, once nothing has been committed for two patience periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
}

/// What the queried validator knows of one validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidatorStanding {
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub power: u64,
    /// The highest round of a message signed by it, among the rounds that certificates have led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_round: Option<Round>,
    /// A round beyond those, of a message signed by it: it claims to be there, but no certificate proves that any validator can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_round: Option<Round>,
    /// Its newest vote seen, alone or in a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_vote: Option<LastVote>,
    /// The link to it; none for the queried validator itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkView>,
    /// Milliseconds since the last valid message from it over the link; none if there was none since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms_ago: Option<u64>,
}

/// A vote that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastVote {
    /// Its round.
    pub round: Round,
    /// The block.
    pub block_id: BlockId,
}

/// A link to another validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkView {
    /// Its state.
    pub state: LinkState,
    /// Time in this state, in milliseconds.
    pub since_ms: u64,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Not connected.
    Down,
    /// Connected, but not yet accepted by the peer.
    Greeting,
    /// Messages flow.
    Up,
}

/// Why nothing is committed, as far as one validator can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stall {
    /// All of it in one sentence, as in the log.
    pub summary: String,
    /// The voting power of the validators that answer, including the queried one.
    pub answering_power: u64,
    /// The names of the validators that do not answer.
    pub missing: Vec<String>,
}

/// Whether a node should be sent clients (`GET /readyz`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// Every check is passed.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<ReadinessCheck>,
}

/// One reason for which a node may not be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadinessCheck {
    /// A stable name.
    pub name: String,
    /// Whether it is passed.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// The detail of the check `clock` while it has no verdict.
pub const TOO_FEW_CLOCKS: &str = "too few validators are linked to compare clocks";

/// What was dropped in the last ten minutes, restarts included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DropsView {
    /// Messages, frames, submissions and peers, by reason.
    pub drops: Vec<DropView>,
    /// The newest transactions that left the pool without being committed, oldest first.
    pub transactions: Vec<DroppedTransaction>,
}

/// What was dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DropView {
    /// What was dropped, as a stable code such as `message-refused`.
    pub what: String,
    /// Why, as a stable code: the label of the metric that counts it.
    pub reason: String,
    /// The name of the validator that it came from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// How often, since the last ten minutes without such a drop.
    pub count: u64,
    /// When the last one was noticed, by the node's clock; it looks every ten seconds.
    pub last: UnixMillis,
}

/// A transaction that left the pool without being committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DroppedTransaction {
    /// The transaction.
    pub tx_id: TxId,
    /// Why, as a stable code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// When this was noticed, by the node's clock.
    pub at: UnixMillis,
}
