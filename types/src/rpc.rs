//! The types of the HTTP API, shared by node and client. Amounts are decimal text; ids are `0x` and 64 hexadecimal digits.

use serde::{Deserialize, Serialize};

use crate::{
    crypto::Hash,
    failure::Failure,
    ids::{Address, BlockId, ChainId, EvidenceId, GenesisHash, StateId, TxId},
    permission::Permission,
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    sighting::StatementKind,
};

/// How long a submission waits for its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Not at all: the answer is the id.
    None,
    /// Until this node's pool has accepted it.
    #[default]
    Accepted,
    /// Until it is committed.
    Committed,
}

/// What is known of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum TransactionStatus {
    /// This node has never seen it, or has forgotten it.
    Unknown,
    /// In the pool, waiting for a block (or for an earlier sequence number of its sender).
    Pending,
    /// In the chain for good.
    Committed {
        /// The height of its block.
        height: Height,
        /// Its position in the block, from 0.
        index: u32,
        /// Its result.
        outcome: OutcomeView,
    },
    /// Will not enter the chain unless it is sent again.
    Dropped {
        /// Why, as a stable code.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

/// A result, with bytes as hexadecimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum OutcomeView {
    /// It took effect.
    Applied {
        /// The application's answer, hexadecimal.
        output: String,
    },
    /// It had no effect except on its sequence number.
    Failed {
        /// Why, as a stable code.
        code: String,
        /// The numbers that explain it, as decimal text.
        numbers: Vec<String>,
        /// A sentence for people, made from the two. It is not certified.
        reason: String,
    },
}

impl OutcomeView {
    /// A result as shown; `explain` makes the application's sentence about a failure.
    #[must_use]
    pub fn new(outcome: &Outcome, explain: impl FnOnce(&Failure) -> String) -> Self {
        match outcome {
            Outcome::Applied(output) => Self::Applied { output: hex::encode(output) },
            Outcome::Failed(failure) => Self::Failed {
                code: failure.code().into(),
                numbers: failure.numbers().iter().map(u64::to_string).collect(),
                reason: explain(failure),
            },
        }
    }
}

/// Longest output that a list of results shows, in bytes. A longer one has a path of its own.
pub const LISTED_OUTPUT_BYTES_MAX: usize = 64;

/// A result as a list shows it: long outputs are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum ListedOutcome {
    /// It took effect.
    Applied {
        /// Length of the application's answer, in bytes.
        output_bytes: u64,
        /// The answer, hexadecimal, if it has at most [`LISTED_OUTPUT_BYTES_MAX`] bytes; `/v1/transactions/{id}/output` serves any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// It had no effect except on its sequence number.
    Failed {
        /// Why, as a stable code.
        code: String,
        /// The numbers that explain it, as decimal text.
        numbers: Vec<String>,
        /// A sentence for people, made from the two. It is not certified.
        reason: String,
    },
}

impl ListedOutcome {
    /// A result as shown; `explain` makes the application's sentence about a failure.
    #[must_use]
    pub fn new(outcome: &Outcome, explain: impl FnOnce(&Failure) -> String) -> Self {
        if let Outcome::Applied(output) = outcome
            && output.len() > LISTED_OUTPUT_BYTES_MAX
        {
            return Self::Applied { output_bytes: output.len() as u64, output: None };
        }
        match OutcomeView::new(outcome, explain) {
            OutcomeView::Applied { output } => Self::Applied { output_bytes: (output.len() / 2) as u64, output: Some(output) },
            OutcomeView::Failed { code, numbers, reason } => Self::Failed { code, numbers, reason },
        }
    }
}

/// The answer to a submission: always the id, whatever else is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submitted {
    /// The transaction.
    pub tx_id: TxId,
    /// What is known of it.
    #[serde(flatten)]
    pub status: TransactionStatus,
    /// With `wait=committed`: the encoded [`crate::proof::TransactionProof`], hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// The evidence that a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceList {
    /// Ordered by validator, kind and round.
    pub evidence: Vec<EvidenceView>,
}

/// What evidence shows. It is a claim of the node; the evidence itself proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceView {
    /// Its id: `/v1/evidence/{id}` serves it whole.
    pub id: EvidenceId,
    /// Name of the accused validator.
    pub validator: String,
    /// What it signed twice.
    pub kind: StatementKind,
    /// The epoch of both statements.
    pub epoch: Epoch,
    /// The round of both statements.
    pub round: Round,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountView {
    /// Its address.
    pub address: Address,
    /// The number of its next transaction in the chain.
    pub sequence: Sequence,
    /// The number of its next transaction, counting those in this node's pool.
    pub next_sequence: Sequence,
    /// What it may do.
    pub permission: Permission,
    /// The height of the state that this was read from.
    pub height: Height,
    /// The encoded [`crate::proof::ValueProof`], hexadecimal.
    pub proof: String,
    /// The proved value, hexadecimal; none if the account does not exist.
    pub value: Option<String>,
    /// The application's part of the account, in its own format: the node's reading of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<serde_json::Value>,
}

/// A value of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateView {
    /// The key that the proof is about, hexadecimal.
    pub key: String,
    /// The value, hexadecimal; none if the key is absent.
    pub value: Option<String>,
    /// The height of the state that this was read from.
    pub height: Height,
    /// The encoded [`crate::proof::ValueProof`], hexadecimal.
    pub proof: String,
    /// The value in the application's own format: the node's reading of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<serde_json::Value>,
}

/// Most keys in one answer.
pub const LISTED_KEYS_MAX: u32 = 100;

/// Keys of the state that begin alike. Nothing proves that none is left out; the answer about each key proves its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeysView {
    /// The height of the state that this was read from. The next part may be of another one.
    pub height: Height,
    /// The keys, ascending by their bytes, at most [`LISTED_KEYS_MAX`].
    pub keys: Vec<ListedKey>,
    /// The key to continue after, hexadecimal; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A key in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedKey {
    /// The key, hexadecimal.
    pub key: String,
    /// Length of its value, in bytes.
    pub value_bytes: u64,
}

/// The application's answer to a query. Nothing proves it: compare the answers of several validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueryView {
    /// The answer, hexadecimal.
    pub answer: String,
    /// The height of the queried state.
    pub height: Height,
    /// The answer in the application's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<serde_json::Value>,
}

/// Most transactions in one answer about a block.
pub const LISTED_TRANSACTIONS_MAX: u32 = 1_024;

/// A committed block, with a part of its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlockView {
    /// Its position.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its round.
    pub round: Round,
    /// Its id. Genesis has one too, although nobody proposed it.
    pub block_id: BlockId,
    /// The result of executing it.
    pub state_id: StateId,
    /// Root of the state after it.
    pub state_root: StateId,
    /// The parent's result.
    pub parent: StateId,
    /// Its time.
    pub timestamp: UnixMillis,
    /// The name of its author; none for genesis.
    pub author: Option<String>,
    /// The number of its transactions.
    pub transactions_total: u32,
    /// Its transactions with their results, in order, from the requested position on (by default the first), not necessarily to the end.
    pub transactions: Vec<TransactionView>,
    /// The position to ask for next; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionView {
    /// Its id.
    pub tx_id: TxId,
    /// The account that sent it.
    pub sender: Address,
    /// Its sequence number.
    pub sequence: Sequence,
    /// The digest of the result: the leaf of its receipt in the tree under the header's receipts root.
    pub receipt: Hash,
    /// The result.
    pub outcome: ListedOutcome,
}

/// The status of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeStatus {
    /// The validator's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The name of the application.
    pub application: String,
    /// The version of the application's rules.
    pub application_version: u32,
    /// The network's name.
    pub network: String,
    /// The network's number.
    pub chain_id: ChainId,
    /// The hash of the network's genesis.
    pub genesis_hash: GenesisHash,
    /// The epoch.
    pub epoch: Epoch,
    /// The current round.
    pub round: Round,
    /// The last committed height.
    pub height: Height,
    /// The result of the block at that height.
    pub state_id: StateId,
    /// Root of the state after that block.
    pub state_root: StateId,
    /// That block's time.
    pub timestamp: UnixMillis,
    /// The number of transactions in the pool.
    pub pool_transactions: u64,
    /// Whether the node is fetching blocks that others have committed.
    pub catching_up: bool,
    /// Why the validator signs nothing, and until when; absent if it signs, or has no vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs_nothing: Option<String>,
    /// The other validators.
    pub peers: Vec<PeerView>,
}

/// A link to another validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerView {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether the link is up.
    pub connected: bool,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorView,
}

/// An error: a stable code, a sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorView {
    /// A stable code for programs.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Most changes of the committee in one answer.
pub const EPOCH_CHANGES_MAX: usize = 16;

/// How the committee has changed since an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EpochsView {
    /// The node's current epoch.
    pub epoch: Epoch,
    /// Encoded [`crate::epoch::EpochChange`]s, hexadecimal: the one that ends the requested epoch first, then in order, at most
    /// [`EPOCH_CHANGES_MAX`]. Empty only if the requested epoch has not ended.
    pub changes: Vec<String>,
}

/// Most accounts in one answer.
pub const PERMITTED_MAX: u32 = 100;

/// Accounts that somebody has given a permission or a limit. Nothing proves that none is left out; each account's own record proves what it may
/// do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermittedView {
    /// The accounts, ascending, at most [`PERMITTED_MAX`].
    pub accounts: Vec<Address>,
}

/// A proof by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofView {
    /// The encoded [`crate::proof::TransactionProof`], hexadecimal.
    pub proof: String,
}

/// The answer to a batch of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchAnswer {
    /// How many the pool has accepted.
    pub accepted: u32,
    /// The transactions that it has not accepted.
    pub rejected: Vec<BatchRejected>,
}

/// A transaction of a batch that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchRejected {
    /// Its position in the batch, from 0.
    pub index: u32,
    /// Why, as a stable code.
    pub code: String,
    /// Why, for people.
    pub reason: String,
}
