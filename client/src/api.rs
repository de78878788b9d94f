//! The paths of the HTTP API, shared by node and client. The bodies are
//! [`quorate_types::rpc`] and [`quorate_types::diagnosis`].
//!
//! | Path | Body | Answer |
//! |---|---|---|
//! | `POST /v1/transactions?wait=none\|accepted\|committed&timeout_ms=N` | a raw transaction | 200 `Submitted`; 202 `Submitted` if the wait timed out |
//! | `POST /v1/transactions/batch` | BCS of `TransactionBatch` | 200 `BatchAnswer` |
//! | `GET /v1/transactions/{id}` | | `Submitted` without proof |
//! | `GET /v1/transactions/{id}/proof` | | `ProofView` |
//! | `GET /v1/transactions/{id}/output` | | the raw output |
//! | `GET /v1/accounts/{address}` | | `AccountView` |
//! | `GET /v1/state/{key in hexadecimal with 0x, or a path known to the application}` | | `StateView` |
//! | `POST /v1/query` | a query, as bytes or JSON | `QueryView` |
//! | `GET /v1/blocks/{height, or latest}?from=N` | | `BlockView` |
//! | `GET /v1/status` | | `NodeStatus` |
//! | `GET /v1/consensus` | | `ConsensusView` |
//! | `GET /v1/drops` | | `DropsView` |
//! | `GET /v1/evidence` | | `EvidenceList` |
//! | `GET /v1/evidence/{id}` | | `Evidence` |
//! | `GET /v1/epochs?from=E` | | `EpochsView`: the changes of the committee from the one that ends epoch E on |
//! | `GET /v1/permissions?after=ADDRESS` | | `PermittedView`: accounts with a permission or a limit of their own |
//! | `GET /v1/genesis` | | the genesis as JSON |
//! | `GET /livez`, `/readyz` | | for operators |
//!
//! An error is 4xx or 5xx with `ErrorBody`. 429, 500, 502, 503 and 504 mean that another node may succeed.

use quorate_types::{
    ids::{Address, EvidenceId, TxId},
    round::{Epoch, Height},
    rpc::Wait,
};

/// Content type of transactions and batches.
pub const BYTES: &str = "application/octet-stream";

/// Path of transactions.
pub const TRANSACTIONS: &str = "/v1/transactions";
/// Path to submit a batch.
pub const TRANSACTIONS_BATCH: &str = "/v1/transactions/batch";
/// Path of queries to the application.
pub const QUERY: &str = "/v1/query";
/// Path of the node's status.
pub const STATUS: &str = "/v1/status";
/// Path of the node's view of consensus.
pub const CONSENSUS: &str = "/v1/consensus";
/// Path of what the node has dropped.
pub const DROPS: &str = "/v1/drops";
/// Path of the events that the node sees for itself.
pub const NODE_EVENTS: &str = "/v1/events/node";
/// Path of the evidence that the node holds.
pub const EVIDENCE: &str = "/v1/evidence";
/// Path of the changes of the committee.
pub const EPOCHS: &str = "/v1/epochs";
/// Path of the accounts with a permission or a limit of their own.
pub const PERMISSIONS: &str = "/v1/permissions";
/// Path of the genesis.
pub const GENESIS: &str = "/v1/genesis";
/// Path of the answer to whether the node should be sent clients.
pub const READYZ: &str = "/readyz";
/// Path of the metrics, at the listener for health and metrics.
pub const METRICS: &str = "/metrics";

/// Path to submit one transaction.
#[must_use]
pub fn submit(wait: Wait, timeout_ms: u64) -> String {
    let wait = match wait {
        Wait::None => "none",
        Wait::Accepted => "accepted",
        Wait::Committed => "committed",
    };
    format!("{TRANSACTIONS}?wait={wait}&timeout_ms={timeout_ms}")
}

/// Path of a transaction's status.
#[must_use]
pub fn transaction(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}")
}

/// Path of a transaction's proof.
#[must_use]
pub fn transaction_proof(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}/proof")
}

/// Path of a committed transaction's bytes.
#[must_use]
pub fn transaction_raw(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}/raw")
}

/// Path of the events about committed blocks, from this height on.
#[must_use]
pub fn block_events(from: Height) -> String {
    format!("/v1/events?from={from}")
}

/// Path of the events about an account's transactions, in blocks from this height on.
#[must_use]
pub fn account_events(address: Address, from: Height) -> String {
    format!("/v1/events?from={from}&account={address}")
}

/// Path of an account.
#[must_use]
pub fn account(address: Address) -> String {
    format!("/v1/accounts/{address}")
}

/// Path of a value of the state.
#[must_use]
pub fn state(key: &[u8]) -> String {
    format!("/v1/state/0x{}", hex::encode(key))
}

/// Path of a transaction's output, as raw bytes.
#[must_use]
pub fn transaction_output(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}/output")
}

/// Path of evidence.
#[must_use]
pub fn evidence(id: EvidenceId) -> String {
    format!("{EVIDENCE}/{id}")
}

/// Path of the changes of the committee, from the one that ends epoch `from` on.
#[must_use]
pub fn epochs(from: Epoch) -> String {
    format!("{EPOCHS}?from={from}")
}

/// Path of a page of [`PERMISSIONS`], from the account after this one on.
#[must_use]
pub fn permissions(after: Option<Address>) -> String {
    after.map_or_else(|| PERMISSIONS.to_owned(), |after| format!("{PERMISSIONS}?after={after}"))
}

/// Path of a block (the last one without a height), listing its transactions from position `from`.
#[must_use]
pub fn block(height: Option<Height>, from: u32) -> String {
    let path = height.map_or_else(|| "/v1/blocks/latest".into(), |height| format!("/v1/blocks/{height}"));
    if from == 0 { path } else { format!("{path}?from={from}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_those_of_the_documentation() {
        let zeros = format!("0x{}", "0".repeat(64));
        assert_eq!(submit(Wait::Committed, 250), "/v1/transactions?wait=committed&timeout_ms=250");
        assert_eq!(transaction_proof(TxId::default()), format!("/v1/transactions/{zeros}/proof"));
        assert_eq!(transaction_raw(TxId::default()), format!("/v1/transactions/{zeros}/raw"));
        assert_eq!(block_events(Height(7)), "/v1/events?from=7");
        assert_eq!(account_events(Address::default(), Height(7)), format!("/v1/events?from=7&account={zeros}"));
        assert_eq!(account(Address::default()), format!("/v1/accounts/{zeros}"));
        assert_eq!(evidence(EvidenceId::default()), format!("/v1/evidence/{zeros}"));
        assert_eq!(state(b"k/"), "/v1/state/0x6b2f");
        assert_eq!(transaction_output(TxId::default()), format!("/v1/transactions/{zeros}/output"));
        assert_eq!((block(None, 0).as_str(), block(Some(Height(7)), 0).as_str()), ("/v1/blocks/latest", "/v1/blocks/7"));
        assert_eq!(epochs(Epoch(7)), "/v1/epochs?from=7");
        assert_eq!(permissions(None), "/v1/permissions");
        assert_eq!(block(Some(Height(7)), 1_024), "/v1/blocks/7?from=1024");
    }
}
