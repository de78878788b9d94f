//! The paths of the HTTP API, as the node serves them and the client asks for them. The bodies are
//! [`quorate_types::rpc`] and [`quorate_types::diagnosis`].
//!
//! | Path | Body | Answer |
//! |---|---|---|
//! | `POST /v1/transactions?wait=none\|accepted\|committed&timeout_ms=N` | a raw transaction | 200 `Submitted`; 202 `Submitted` when the wait timed out |
//! | `POST /v1/transactions/batch` | BCS of `TransactionBatch` | 200 `BatchAnswer` |
//! | `GET /v1/transactions/{id}` | | `Submitted` without proof |
//! | `GET /v1/transactions/{id}/proof` | | `ProofView` |
//! | `GET /v1/transactions/{id}/output` | | the raw output |
//! | `GET /v1/accounts/{address}` | | `AccountView` |
//! | `GET /v1/state/{key, hexadecimal with 0x; or a path that the application knows}` | | `StateView` |
//! | `POST /v1/query` | a question, as bytes or as JSON | `QueryView` |
//! | `GET /v1/blocks/{height, or latest}?from=N` | | `BlockView` |
//! | `GET /v1/status` | | `NodeStatus` |
//! | `GET /v1/consensus` | | `ConsensusView` |
//! | `GET /v1/drops` | | `DropsView` |
//! | `GET /v1/genesis` | | the genesis as JSON |
//! | `GET /livez`, `/readyz` | | for operators |
//!
//! An error is 4xx or 5xx with `ErrorBody`. 429, 502, 503 and 504 mean that another node may do better.

use quorate_types::{
    ids::{Address, TxId},
    round::Height,
    rpc::Wait,
};

/// Content type of transactions and batches.
pub const BYTES: &str = "application/octet-stream";

/// Where transactions are posted.
pub const TRANSACTIONS: &str = "/v1/transactions";
/// Where batches are posted.
pub const TRANSACTIONS_BATCH: &str = "/v1/transactions/batch";
/// Where questions are put to the application.
pub const QUERY: &str = "/v1/query";
/// Where a node says how it is.
pub const STATUS: &str = "/v1/status";
/// Where a node says where consensus stands.
pub const CONSENSUS: &str = "/v1/consensus";
/// Where a node says what it has dropped.
pub const DROPS: &str = "/v1/drops";
/// Where a node shows its genesis.
pub const GENESIS: &str = "/v1/genesis";

/// Where one transaction is posted.
#[must_use]
pub fn submit(wait: Wait, timeout_ms: u64) -> String {
    let wait = match wait {
        Wait::None => "none",
        Wait::Accepted => "accepted",
        Wait::Committed => "committed",
    };
    format!("{TRANSACTIONS}?wait={wait}&timeout_ms={timeout_ms}")
}

/// Where a transaction's status is.
#[must_use]
pub fn transaction(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}")
}

/// Where a transaction's proof is.
#[must_use]
pub fn transaction_proof(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}/proof")
}

/// Where an account is.
#[must_use]
pub fn account(address: Address) -> String {
    format!("/v1/accounts/{address}")
}

/// Where a value of the state is, by its key.
#[must_use]
pub fn state(key: &[u8]) -> String {
    format!("/v1/state/0x{}", hex::encode(key))
}

/// Where a transaction's output is, as raw bytes.
#[must_use]
pub fn transaction_output(id: TxId) -> String {
    format!("{TRANSACTIONS}/{id}/output")
}

/// Where a block is; the last one when no height is given. With its transactions from a position on.
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
        assert_eq!(account(Address::default()), format!("/v1/accounts/{zeros}"));
        assert_eq!(state(b"k/"), "/v1/state/0x6b2f");
        assert_eq!(transaction_output(TxId::default()), format!("/v1/transactions/{zeros}/output"));
        assert_eq!((block(None, 0).as_str(), block(Some(Height(7)), 0).as_str()), ("/v1/blocks/latest", "/v1/blocks/7"));
        assert_eq!(block(Some(Height(7)), 1_024), "/v1/blocks/7?from=1024");
    }
}
