//! Reads committed data, with proofs, so that clients need not trust any node.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use quorate_app::{KEY_BYTES_MAX, PathError, Words};
use quorate_replica::ReplicaStatus;
use quorate_types::{
    codec,
    committee::Committee,
    failure::Failure,
    ids::{Address, StateId, TxId, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height},
    rpc::{
        AccountView, BlockView, EPOCH_CHANGES_MAX, EpochsView, NodeStatus, PERMITTED_MAX, PeerView, PermittedView, ProofView, QueryView,
        StateView, Submitted, TransactionStatus,
    },
    state_key::account_key,
    transaction::PAYLOAD_BYTES_MAX,
};
use serde::Deserialize;

use super::{
    Api,
    error::{ApiError, quoted},
    seats::Shared,
    submit::read_body,
};
use crate::{
    chain::{Located, Page},
    event_loop::Question,
};

/// `GET /v1/transactions/{id}`.
pub(super) async fn transaction(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Submitted>, ApiError> {
    let tx_id = tx_id(&id)?;
    let committed = |Located { height, index, outcome }| TransactionStatus::Committed { height, index, outcome: api.outcome(&outcome) };
    let status = match api.read(move |history| history.transaction(&tx_id)).await? {
        Some(located) => committed(located),
        None => match api.ask(|reply| Question::Transaction(tx_id, reply)).await? {
            // It may have been committed since the first read; the second one finds it.
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

/// `GET /v1/transactions/{id}/output`: the raw bytes of the application's answer.
pub(super) async fn transaction_output(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let tx_id = tx_id(&id)?;
    match api.read(move |history| history.transaction(&tx_id)).await? {
        Some(Located { outcome: Outcome::Applied(output), .. }) => {
            Ok(([(CONTENT_TYPE, "application/octet-stream")], output).into_response())
        }
        Some(_) => Err(ApiError::not_found("no-output", format!("transaction {tx_id} failed, so it has no output"))
            .with_hint("GET /v1/transactions/{id} says why it failed")),
        None => Err(not_committed(tx_id)),
    }
}

fn not_committed(tx_id: TxId) -> ApiError {
    ApiError::not_found("not-committed", format!("transaction {tx_id} is not committed as far as this node knows"))
        .with_hint("GET /v1/transactions/{id} returns its status")
}

/// `GET /v1/accounts/{address}`.
pub(super) async fn account(State(api): State<Arc<Api>>, Path(address): Path<String>) -> Result<Json<AccountView>, ApiError> {
    let address = parse_address(&address)?;
    let next = api.ask(|reply| Question::NextSequence(address, reply)).await?;
    // Taken after the wait, because a view keeps a version of the state in memory.
    let view = api.views.borrow().clone();
    let (value, proof) = view.prove(&account_key(&address));
    let record = view.account(&address);
    let sequence = record.sequence();
    Ok(Json(AccountView {
        address,
        sequence,
        next_sequence: next.max(sequence),
        permission: record.permission(),
        height: view.header().height,
        proof: hex::encode(codec::encode(&proof)),
        shown: value.as_deref().and_then(|value| api.machine.app().show_entry(&account_key(&address), value)),
        value: value.map(hex::encode),
    }))
}

/// `GET /v1/state/{key or path}`: a single segment that begins with `0x` is a key in hexadecimal; any other path is the application's to parse.
pub(super) async fn state(State(api): State<Arc<Api>>, Path(path): Path<String>) -> Result<Json<StateView>, ApiError> {
    let parts: Vec<&str> = path.split('/').collect();
    let app = api.machine.app();
    let key = match parts.as_slice() {
        [digits] if digits.starts_with("0x") => hex::decode(digits.strip_prefix("0x").unwrap_or_default())
            .map_err(|error| ApiError::bad_request("key", format!("the key is not valid hexadecimal: {error}")))?,
        parts => app.locate(parts).map_err(|error| match error {
            PathError::Unknown(_) => ApiError::not_found("no-such-path", format!("{error}: {}", quoted(&path)))
                .with_hint("use /v1/state/0x followed by the key in hexadecimal, or a path from the application's documentation"),
            PathError::Malformed(reason) => ApiError::bad_request("path", reason),
        })?,
    };
    if key.len() > KEY_BYTES_MAX {
        return Err(ApiError::bad_request("key", format!("the key has {} bytes, at most {KEY_BYTES_MAX} are allowed", key.len())));
    }
    let view = api.views.borrow().clone();
    let (value, proof) = view.prove(&key);
    Ok(Json(StateView {
        shown: value.as_deref().and_then(|value| app.show_entry(&key, value)),
        value: value.map(hex::encode),
        key: hex::encode(key),
        height: view.header().height,
        proof: hex::encode(codec::encode(&proof)),
    }))
}

/// `POST /v1/query`: a question to the application, in JSON or in the application's own encoding.
pub(super) async fn query(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Json<QueryView>, ApiError> {
    let is_json =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("application/json"));
    let body = read_body(&api, &headers, body, PAYLOAD_BYTES_MAX).await?;
    let question = if is_json {
        let text = String::from_utf8(body.to_vec()).map_err(|_| ApiError::bad_request("malformed-query", "the body is not valid UTF-8"))?;
        api.machine.app().read(Words::Query, &text).map_err(|reason| ApiError::bad_request("malformed-query", reason))?
    } else {
        body.to_vec()
    };
    let (views, machine) = (api.views.clone(), api.machine.clone());
    // An application may take long, so it runs on the page-reading thread, at the lowest priority. The view is taken only then, because a view
    // keeps a version of the state in memory.
    api.in_turn(move || {
        let view = views.borrow().clone();
        // The code is the application's own, even if the API has one of the same name.
        let failed = |failure: Failure| ApiError::new(StatusCode::BAD_REQUEST, failure.code().to_owned(), machine.app().explain(&failure));
        let answer = machine.query(view.state(), &question).map_err(failed)?;
        let shown = machine.app().show(Words::Found, &answer);
        Ok(Json(QueryView { answer: hex::encode(answer), height: view.header().height, shown }))
    })
    .await?
    .unwrap_or_else(|_| Err(ApiError::internal("the query was aborted")))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Position of the first transaction to list.
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
            ApiError::bad_request("height", format!("{} is not a height", quoted(digits))).with_hint("write a whole number, or latest")
        })?),
    };
    let app = api.machine.app().clone();
    let page = api.read_page(move |history| {
        let Some(page) = history.page(height, from, &app)? else { return Ok(None) };
        let committee = history.committee(page.block.header.epoch)?;
        Ok(Some(serde_json::to_vec(&block_view(committee.as_deref(), page, from))))
    });
    match page.await? {
        Some(Ok(json)) => Ok(([(CONTENT_TYPE, "application/json")], json).into_response()),
        Some(Err(_)) => Err(ApiError::internal("the block cannot be written as JSON")),
        None => Err(ApiError::not_found("no-such-block", format!("there is no block at height {height}; the last one is {latest}"))),
    }
}

fn block_view(committee: Option<&Committee>, Page { block: stored, transactions }: Page, from: u32) -> BlockView {
    let (block, header) = (stored.block.as_ref(), stored.header);
    let author = block.and_then(|block| committee?.get(block.author())).map(|validator| validator.name.clone());
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

/// Why the replica signs nothing, and until when.
pub(super) fn signs_nothing(api: &Api, replica: &ReplicaStatus) -> Option<String> {
    if replica.has_halted {
        return Some(format!("it has halted at height {} (node.halt_at_height) and signs nothing", replica.height));
    }
    replica.abstaining.as_ref().map(ToString::to_string).or_else(|| api.signer.as_ref()?.absence())
}

/// `GET /v1/status`.
pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Json<NodeStatus>, ApiError> {
    let replica = api.ask(Question::Status).await?;
    let view = api.views.borrow().clone();
    let header = view.header();
    let now = api.epochs.now();
    let peers = api.network.status().into_iter().map(|peer| PeerView {
        name: api.links.helper(peer.index).unwrap_or_else(|| now.name(ValidatorId(peer.index.0))),
        connected: peer.is_connected(),
        reason: peer.down_because(),
        address: peer.address,
    });
    Ok(Json(NodeStatus {
        name: now.name(now.me),
        version: env!("CARGO_PKG_VERSION").into(),
        application: api.machine.app().name().into(),
        application_version: api.machine.app().version(),
        network: api.genesis.name.clone(),
        chain_id: api.genesis.chain_id,
        genesis_hash: api.genesis_hash,
        epoch: replica.epoch,
        round: replica.round,
        height: header.height,
        state_id: header.state_id(),
        state_root: StateId(header.state_root),
        timestamp: header.timestamp,
        pool_transactions: u64::try_from(replica.pool_transactions).unwrap_or(u64::MAX),
        catching_up: replica.catching_up || api.links.later().is_some(),
        signs_nothing: signs_nothing(&api, &replica),
        peers: peers.collect(),
    }))
}

/// Where the changes in an answer begin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EpochsQuery {
    from: u64,
}

/// `GET /v1/epochs?from=E`.
pub(super) async fn epochs(
    State(api): State<Arc<Api>>,
    query: Result<Query<EpochsQuery>, QueryRejection>,
) -> Result<Json<EpochsView>, ApiError> {
    let Query(EpochsQuery { from }) =
        query.map_err(|error| ApiError::bad_request("query", error.body_text()).with_hint("write it like ?from=0"))?;
    // The view may be of the block that has just ended an epoch.
    let epoch = api.views.borrow().epoch().epoch;
    let changes = api.read(move |history| {
        let mut changes = Vec::new();
        for ended in (from..epoch.0).take(EPOCH_CHANGES_MAX) {
            // A gap would prove nothing after it.
            let Some(change) = history.epoch_change(Epoch(ended))? else { break };
            changes.push(hex::encode(codec::encode(&change)));
        }
        Ok(changes)
    });
    Ok(Json(EpochsView { epoch, changes: changes.await? }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PermissionsQuery {
    /// The account after which the page begins.
    after: Option<String>,
}

/// `GET /v1/permissions?after=ADDRESS`.
pub(super) async fn permissions(
    State(api): State<Arc<Api>>,
    query: Result<Query<PermissionsQuery>, QueryRejection>,
) -> Result<Json<PermittedView>, ApiError> {
    let Query(PermissionsQuery { after }) =
        query.map_err(|error| ApiError::bad_request("query", error.body_text()).with_hint("write it like ?after=ADDRESS"))?;
    let after = after.map(|address| parse_address(&address)).transpose()?;
    let view = api.views.borrow().clone();
    let listed = quorate_app::permissions::listed(view.state(), after.as_ref(), PERMITTED_MAX as usize);
    Ok(Json(PermittedView { accounts: listed }))
}

/// `GET /v1/genesis`.
pub(super) async fn genesis(State(api): State<Arc<Api>>) -> Response {
    let mut response = ([(CONTENT_TYPE, "application/json")], api.genesis_json.clone()).into_response();
    response.extensions_mut().insert(Shared);
    response
}

fn tx_id(text: &str) -> Result<TxId, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("transaction-id", format!("{} is not a transaction id", quoted(text))).with_hint(DIGITS))
}

pub(super) fn parse_address(text: &str) -> Result<Address, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("address", format!("{} is not an address", quoted(text))).with_hint(DIGITS))
}

pub(super) const DIGITS: &str = "write 64 hexadecimal digits, with or without 0x";
