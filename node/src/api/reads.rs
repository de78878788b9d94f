//! Reading what is committed, with the proofs that let a client believe no node.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use quorate_types::{
    codec,
    committee::Committee,
    ids::{Address, StateId, TxId},
    operation::{KV_KEY_BYTES_MAX, KvSpace},
    receipt::Outcome,
    round::Height,
    rpc::{AccountView, BlockView, KvView, NodeStatus, OutcomeView, PeerView, ProofView, Submitted, TransactionStatus},
    state_key::{account_key, kv_key},
};
use serde::Deserialize;

use super::{
    Api,
    error::{ApiError, quoted},
    seats::Shared,
};
use crate::{
    chain::{Located, Page},
    event_loop::Question,
};

/// `GET /v1/transactions/{id}`.
pub(super) async fn transaction(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Submitted>, ApiError> {
    let tx_id = tx_id(&id)?;
    let committed =
        |Located { height, index, outcome }| TransactionStatus::Committed { height, index, outcome: OutcomeView::from(&outcome) };
    let status = match api.read(move |history| history.transaction(&tx_id)).await? {
        Some(located) => committed(located),
        None => match api.ask(|reply| Question::Transaction(tx_id, reply)).await? {
            // Committed after the first look: the second one finds it.
            TransactionStatus::Unknown => {
                api.read(move |history| history.transaction(&tx_id)).await?.map_or_else(|| api.drops.transaction(&tx_id), committed)
            }
            status => status,
        },
    };
    Ok(Json(Submitted { tx_id, status, proof: None }))
}

/// `GET /v1/transactions/{id}/proof`.
pub(super) async fn transaction_proof(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<ProofView>, ApiError> {
    let tx_id = tx_id(&id)?;
    match api.read(move |history| history.proof(&tx_id)).await? {
        Some(proof) => Ok(Json(ProofView { proof: hex::encode(codec::encode(&proof)) })),
        None => Err(not_committed(tx_id)),
    }
}

/// `GET /v1/transactions/{id}/output`: the application's answer, as it is.
pub(super) async fn transaction_output(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let tx_id = tx_id(&id)?;
    match api.read(move |history| history.transaction(&tx_id)).await? {
        Some(Located { outcome: Outcome::Applied(output), .. }) => {
            Ok(([(CONTENT_TYPE, "application/octet-stream")], output).into_response())
        }
        Some(_) => Err(ApiError::not_found("no-output", format!("transaction {tx_id} failed, so it has no output"))
            .with_hint("GET /v1/transactions/{id} tells why it failed")),
        None => Err(not_committed(tx_id)),
    }
}

fn not_committed(tx_id: TxId) -> ApiError {
    ApiError::not_found("not-committed", format!("transaction {tx_id} is not committed, as far as this node knows"))
        .with_hint("GET /v1/transactions/{id} tells where it is")
}

/// `GET /v1/accounts/{address}`.
pub(super) async fn account(State(api): State<Arc<Api>>, Path(address): Path<String>) -> Result<Json<AccountView>, ApiError> {
    let address = parse_address(&address)?;
    let next = api.ask(|reply| Question::NextSequence(address, reply)).await?;
    // The view is let go before anything is waited for: it keeps a version of the state in memory.
    let view = api.views.borrow().clone();
    let (value, proof) = view.prove(&account_key(&address));
    let account = view.account(&address);
    Ok(Json(AccountView {
        address,
        balance: account.balance,
        sequence: account.sequence,
        next_sequence: next.max(account.sequence),
        height: view.header().height,
        proof: hex::encode(codec::encode(&proof)),
        value: value.map(hex::encode),
    }))
}

/// `GET /v1/kv/{own|shared}/{owner|-}/`: the empty key.
pub(super) async fn kv_empty_key(state: State<Arc<Api>>, Path((space, owner)): Path<(String, String)>) -> Result<Json<KvView>, ApiError> {
    kv(state, Path((space, owner, String::new()))).await
}

/// `GET /v1/kv/{own|shared}/{owner|-}/{key}`.
pub(super) async fn kv(
    State(api): State<Arc<Api>>,
    Path((space, owner, key)): Path<(String, String, String)>,
) -> Result<Json<KvView>, ApiError> {
    let (space, owner) = match (space.as_str(), owner.as_str()) {
        ("own", owner) => (KvSpace::Own, parse_address(owner)?),
        ("shared", "-") => (KvSpace::Shared, Address::default()),
        ("shared", _) => {
            return Err(ApiError::bad_request("owner", "shared keys have no owner").with_hint("write /v1/kv/shared/-/{key}"));
        }
        (other, _) => {
            return Err(ApiError::bad_request("space", format!("{} is no namespace", quoted(other))).with_hint("write own or shared"));
        }
    };
    let key = hex::decode(key.strip_prefix("0x").unwrap_or(&key))
        .map_err(|error| ApiError::bad_request("key", format!("the key is no hexadecimal text: {error}")))?;
    if key.len() > KV_KEY_BYTES_MAX {
        return Err(ApiError::bad_request("key", format!("the key has {} bytes, at most {KV_KEY_BYTES_MAX} are possible", key.len())));
    }
    let view = api.views.borrow().clone();
    let (value, proof) = view.prove(&kv_key(space, &owner, &key));
    Ok(Json(KvView { value: value.map(hex::encode), height: view.header().height, proof: hex::encode(codec::encode(&proof)) }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    /// The position of the first transaction to list.
    from: u32,
}

/// `GET /v1/blocks/{height|latest}?from=N`.
pub(super) async fn block(
    State(api): State<Arc<Api>>,
    Path(height): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(PageQuery { from }) =
        query.map_err(|error| ApiError::bad_request("query", error.body_text()).with_hint("write it like ?from=1024"))?;
    let latest = api.views.borrow().header().height;
    let height = match height.as_str() {
        "latest" => latest,
        digits => Height(digits.parse().map_err(|_| {
            ApiError::bad_request("height", format!("{} is no height", quoted(digits))).with_hint("write a whole number, or latest")
        })?),
    };
    let committee = Arc::clone(&api.committee);
    let page = api.read_page(move |history| {
        let page = history.page(height, from)?;
        Ok(page.map(|page| serde_json::to_vec(&block_view(&committee, page, from))))
    });
    match page.await? {
        Some(Ok(json)) => Ok(([(CONTENT_TYPE, "application/json")], json).into_response()),
        Some(Err(_)) => Err(ApiError::internal("the block cannot be written as JSON")),
        None => Err(ApiError::not_found("no-such-block", format!("there is no block at height {height}; the last one is {latest}"))),
    }
}

fn block_view(committee: &Committee, Page { block: stored, transactions }: Page, from: u32) -> BlockView {
    let (block, header) = (stored.block.as_ref(), stored.header);
    let author = block.and_then(|block| committee.get(block.author())).map(|validator| validator.name.clone());
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let transactions_total = block.map_or(0, |block| number(block.payload().len()));
    let next = from.saturating_add(number(transactions.len()));
    BlockView {
        height: header.height,
        epoch: header.epoch,
        round: header.round,
        block_id: header.block_id,
        state_id: header.state_id(),
        state_root: StateId(header.state_root),
        parent: header.parent,
        timestamp: header.timestamp,
        author,
        transactions_total,
        transactions,
        next: (next < transactions_total).then_some(next),
    }
}

/// `GET /v1/status`.
pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Json<NodeStatus>, ApiError> {
    let replica = api.ask(Question::Status).await?;
    let view = api.views.borrow().clone();
    let header = view.header();
    let peers = api.network.status().into_iter().map(|peer| PeerView {
        name: api.committee.validators().get(usize::from(peer.index.0)).map_or_else(String::new, |validator| validator.name.clone()),
        connected: peer.is_connected(),
        reason: peer.down_because(),
        address: peer.address,
    });
    Ok(Json(NodeStatus {
        name: api.committee.get(api.me).map_or_else(String::new, |validator| validator.name.clone()),
        version: env!("CARGO_PKG_VERSION").into(),
        network: api.genesis.name.clone(),
        chain_id: api.genesis.chain_id,
        genesis_hash: api.genesis_hash,
        epoch: header.epoch,
        round: replica.round,
        height: header.height,
        state_id: header.state_id(),
        state_root: StateId(header.state_root),
        timestamp: header.timestamp,
        pool_transactions: u64::try_from(replica.pool_transactions).unwrap_or(u64::MAX),
        catching_up: replica.catching_up,
        peers: peers.collect(),
    }))
}

/// `GET /v1/genesis`.
pub(super) async fn genesis(State(api): State<Arc<Api>>) -> Response {
    let mut response = ([(CONTENT_TYPE, "application/json")], api.genesis_json.clone()).into_response();
    response.extensions_mut().insert(Shared);
    response
}

fn tx_id(text: &str) -> Result<TxId, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("transaction-id", format!("{} is no transaction id", quoted(text))).with_hint(DIGITS))
}

fn parse_address(text: &str) -> Result<Address, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("address", format!("{} is no address", quoted(text))).with_hint(DIGITS))
}

const DIGITS: &str = "it is 64 hexadecimal digits, with or without 0x";
