//! The words with which a node explains itself, shared by node and client: where consensus stands and who is missing (`GET /v1/consensus`),
//! and what was dropped lately (`GET /v1/drops`).
//!
//! None of it is proved, and nothing may be decided by it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{BlockId, TxId},
    round::{Height, Round, UnixMillis},
};

/// Where a validator stands in the protocol, what it knows of the others, and, while nothing is committed, what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsensusView {
    /// The name of the validator that was asked.
    pub name: String,
    /// Its current round.
    pub round: Round,
    /// The name of the validator that leads this round.
    pub leader: String,
    /// The round of the highest quorum certificate that it has.
    pub high_qc_round: Round,
    /// The height of the newest block that it has committed.
    pub height: Height,
    /// The round of that block.
    pub committed_round: Round,
    /// The highest round in which it has signed a vote or a timeout.
    pub highest_vote_round: Round,
    /// Its lock: the highest round whose certificate it has voted on.
    pub locked_round: Round,
    /// Whether it is fetching blocks that it lacks.
    pub catching_up: bool,
    /// Milliseconds since this process last committed a block, or since its start.
    pub since_commit_ms: u64,
    /// The longest time between two commits while nothing is wrong: one heartbeat and one timer of a round, in milliseconds.
    pub patience_ms: u64,
    /// The voting power of a quorum.
    pub quorum_power: u64,
    /// The voting power of all validators.
    pub total_power: u64,
    /// What is known of each validator, in the order of the committee; the one that was asked is among them.
    pub validators: Vec<ValidatorStanding>,
    /// What is wrong; none unless nothing was committed for two patience periods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
}

/// What a validator knows of one validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorStanding {
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub power: u64,
    /// The highest round in which a message signed by it was seen, of the rounds that certificates have led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_round: Option<Round>,
    /// A round beyond those, of a message signed by it: it claims to be there, and no certificate proves that anybody can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_round: Option<Round>,
    /// Its newest vote that was seen, alone or in a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_vote: Option<LastVote>,
    /// The link to it; none for the validator that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkView>,
    /// Milliseconds since a valid message came from it over the link; none if none came since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms_ago: Option<u64>,
}

/// A vote that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVote {
    /// Its round.
    pub round: Round,
    /// The block.
    pub block_id: BlockId,
}

/// A link to another validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// How far it has come.
    pub state: LinkState,
    /// For how long, in milliseconds.
    pub since_ms: u64,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// There is no connection.
    Down,
    /// There is a connection, and the other end has not accepted us yet.
    Greeting,
    /// Messages flow.
    Up,
}

/// Why nothing is committed, as far as one validator can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// The whole of it in one sentence: what the log says.
    pub summary: String,
    /// The voting power of the validators that answer, the one that was asked among them.
    pub answering_power: u64,
    /// The names of the others.
    pub missing: Vec<String>,
}

/// What was dropped in the last ten minutes, restarts included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropsView {
    /// Messages, frames, submissions and peers, by reason.
    pub drops: Vec<DropView>,
    /// The newest transactions that left the pool without being committed, the oldest first.
    pub transactions: Vec<DroppedTransaction>,
}

/// What was dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropView {
    /// What was dropped, a stable word such as `message-refused`.
    pub what: String,
    /// Why, a stable word: the label of the metric that counts it.
    pub reason: String,
    /// The name of the validator that it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// How often, since it was not dropped for ten minutes.
    pub count: u64,
    /// When this was last noticed, by the node's clock; it looks every ten seconds.
    pub last: UnixMillis,
}

/// A transaction that left the pool without being committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedTransaction {
    /// Which one.
    pub tx_id: TxId,
    /// Why, as a stable word.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// When this was noticed, by the node's clock.
    pub at: UnixMillis,
}
