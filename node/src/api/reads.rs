//! Reads committed data, with proofs, so that clients need not trust any node.

use std::{ops::Bound, sync::Arc};

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
    genesis::Genesis,
    ids::{Address, StateId, TxId, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height},
    rpc::{
        AccountView, BlockView, EPOCH_CHANGES_MAX, EpochsView, ErrorBody, KeysView, LISTED_KEYS_MAX, ListedKey, NodeStatus, PERMITTED_MAX,
        PeerView, PermittedView, ProofView, QueryView, StateView, Submitted, TransactionStatus,
    },
    state_key::account_key,
    transaction::PAYLOAD_BYTES_MAX,
};
use serde::Deserialize;
use utoipa::IntoParams;

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

/// The status of a transaction, as far as this node knows. Nothing proves it.
#[utoipa::path(
    get,
    path = super::TRANSACTION,
    tag = "transactions",
    params(("id" = TxId, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "`unknown` is an answer too", body = Submitted),
        (status = 400, description = "`transaction-id`", body = ErrorBody),
    )
)]
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

/// The proof that a transaction is committed, with its receipt.
#[utoipa::path(
    get,
    path = super::TRANSACTION_PROOF,
    tag = "transactions",
    params(("id" = TxId, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "A receipt proof", body = ProofView),
        (status = 400, description = "`transaction-id`", body = ErrorBody),
        (status = 404, description = "`not-committed`", body = ErrorBody),
    )
)]
pub(super) async fn transaction_proof(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<ProofView>, ApiError> {
    let tx_id = tx_id(&id)?;
    match api.read(move |history| history.proof(&tx_id)).await? {
        Some(proof) => Ok(Json(ProofView { proof: hex::encode(codec::encode(&proof)) })),
        None => Err(not_committed(tx_id)),
    }
}

/// The application's answer to a transaction, as bytes.
#[utoipa::path(
    get,
    path = super::TRANSACTION_OUTPUT,
    tag = "transactions",
    params(("id" = TxId, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "The answer, at most [`quorate_app::ANSWER_BYTES_MAX`] bytes", content_type = "application/octet-stream"),
        (status = 400, description = "`transaction-id`", body = ErrorBody),
        (status = 404, description = "`not-committed`; `no-output`: it failed", body = ErrorBody),
    )
)]
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

pub(super) fn not_committed(tx_id: TxId) -> ApiError {
    ApiError::not_found("not-committed", format!("transaction {tx_id} is not committed as far as this node knows"))
        .with_hint("GET /v1/transactions/{id} returns its status")
}

/// An account with the proof of its record, or of its absence.
#[utoipa::path(
    get,
    path = super::ACCOUNT,
    tag = "state",
    params(("address" = Address, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "The account; one that does not exist has no `value`", body = AccountView),
        (status = 400, description = "`address`", body = ErrorBody),
    )
)]
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

/// A value of the state with its proof, or the proof of its absence.
///
/// `0x` and the key in hexadecimal, or a path that the application knows; the built-in one knows `kv/own/{owner}/{key}` and `kv/shared/{key}`,
/// with keys in hexadecimal. Slashes may be escaped.
#[utoipa::path(
    get,
    // The router would have `{*path}`, which is not a template of OpenAPI.
    path = "/v1/state/{path}",
    tag = "state",
    params(("path" = String, Path, description = "`0x` and at most [`KEY_BYTES_MAX`] bytes in hexadecimal, or a path of the application")),
    responses(
        (status = 200, description = "The value; an absent key has none", body = StateView),
        (status = 400, description = "`key`, `path`", body = ErrorBody),
        (status = 404, description = "`no-such-path`: the application does not know it", body = ErrorBody),
    )
)]
pub(super) async fn state(State(api): State<Arc<Api>>, Path(path): Path<String>) -> Result<Json<StateView>, ApiError> {
    let parts: Vec<&str> = path.split('/').collect();
    let app = api.machine.app();
    let key = match parts.as_slice() {
        [digits] if digits.starts_with("0x") => parse_key(digits)?,
        parts => app.locate(parts).map_err(|error| match error {
            PathError::Unknown(_) => ApiError::not_found("no-such-path", format!("{error}: {}", quoted(&path)))
                .with_hint("use /v1/state/0x followed by the key in hexadecimal, or a path from the application's documentation"),
            PathError::Malformed(reason) => ApiError::bad_request("path", reason),
        })?,
    };
    check_length(&key)?;
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

/// Where a list of keys begins, and which it holds.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeysQuery {
    /// What the keys begin with, in hexadecimal, at most [`KEY_BYTES_MAX`] bytes; nothing for all keys.
    prefix: String,
    /// The key after which the list begins, in hexadecimal: the `next` of the part before.
    after: Option<String>,
}

/// Keys of the state that begin alike, ascending, [`LISTED_KEYS_MAX`] at a time.
#[utoipa::path(
    get,
    path = super::KEYS,
    tag = "state",
    params(KeysQuery),
    responses(
        (status = 200, description = "The keys with the lengths of their values", body = KeysView),
        (status = 400, description = "`query`, `key`", body = ErrorBody),
    )
)]
pub(super) async fn keys(State(api): State<Arc<Api>>, query: Result<Query<KeysQuery>, QueryRejection>) -> Result<Json<KeysView>, ApiError> {
    let Query(KeysQuery { prefix, after }) = query.map_err(|error| ApiError::query(&error, "?prefix=0x6b&after=0x6b00"))?;
    let prefix = parse_key(&prefix)?;
    check_length(&prefix)?;
    let after = after.map(|key| parse_key(&key)).transpose()?;
    let view = api.views.borrow().clone();
    let first = match after.filter(|after| *after >= prefix) {
        Some(after) => Bound::Excluded(after),
        None => Bound::Included(prefix.clone()),
    };
    let mut entry = view.state().next(first.as_ref().map(Vec::as_slice));
    let mut keys = Vec::new();
    let mut last = None;
    while let Some((key, value)) = entry.filter(|(key, _)| key.starts_with(&prefix)) {
        if keys.len() >= LISTED_KEYS_MAX as usize {
            return Ok(Json(KeysView { height: view.header().height, keys, next: last }));
        }
        let text = hex::encode(&key);
        last = Some(text.clone());
        keys.push(ListedKey { key: text, value_bytes: value.len() as u64 });
        entry = view.state().next(Bound::Excluded(&key));
    }
    Ok(Json(KeysView { height: view.header().height, keys, next: None }))
}

fn parse_key(digits: &str) -> Result<Vec<u8>, ApiError> {
    hex::decode(digits.strip_prefix("0x").unwrap_or(digits)).map_err(|error| {
        ApiError::bad_request("key", format!("the key is not valid hexadecimal: {error}")).with_hint("write two digits for each byte")
    })
}

fn check_length(key: &[u8]) -> Result<(), ApiError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(ApiError::bad_request("key", format!("the key has {} bytes, at most {KEY_BYTES_MAX} are allowed", key.len())));
    }
    Ok(())
}

/// Asks the application a question. Nothing proves the answer.
///
/// The question is in JSON or in the application's own encoding, by the content type.
#[utoipa::path(
    post,
    path = super::QUERY,
    tag = "state",
    request_body(
        description = "At most [`PAYLOAD_BYTES_MAX`] bytes",
        content((serde_json::Value = "application/json"), ("application/octet-stream"))
    ),
    responses(
        (status = 200, description = "The answer", body = QueryView),
        (status = 400, description = "`malformed-query`, `body`, or a code of the application", body = ErrorBody),
        (status = 408, description = "`body-too-slow`", body = ErrorBody),
        (status = 413, description = "`body-too-large`", body = ErrorBody),
    )
)]
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

/// Where a part of a block begins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The position of the first transaction, from 0.
    from: u32,
}

pub(super) fn page_query(query: Result<Query<PageQuery>, QueryRejection>) -> Result<u32, ApiError> {
    let Query(PageQuery { from }) = query.map_err(|error| ApiError::query(&error, "?from=1024"))?;
    Ok(from)
}

/// The height that a path names, and the last one.
pub(super) fn height_of(api: &Api, height: &str) -> Result<(Height, Height), ApiError> {
    let latest = api.views.borrow().header().height;
    if height == "latest" {
        return Ok((latest, latest));
    }
    let malformed =
        |_| ApiError::bad_request("height", format!("{} is not a height", quoted(height))).with_hint("write a whole number, or latest");
    Ok((Height(height.parse().map_err(malformed)?), latest))
}

pub(super) fn no_such_block(height: Height, latest: Height) -> ApiError {
    ApiError::not_found("no-such-block", format!("there is no block at height {height}; the last one is {latest}"))
}

/// A block with the results of its transactions, in parts.
///
/// A part holds at most [`LISTED_TRANSACTIONS_MAX`] transactions, and no further one once their outputs have
/// [`PAGE_OUTPUT_BYTES_MAX`] bytes. Outputs of more than [`LISTED_OUTPUT_BYTES_MAX`] bytes are left out.
#[utoipa::path(
    get,
    path = super::BLOCK,
    tag = "chain",
    params(("height" = String, Path, description = "A whole number, or `latest`", pattern = "^([0-9]{1,20}|latest)$"), PageQuery),
    responses(
        (status = 200, description = "The block", body = BlockView),
        (status = 400, description = "`height`, `query`", body = ErrorBody),
        (status = 404, description = "`no-such-block`", body = ErrorBody),
    )
)]
pub(super) async fn block(
    State(api): State<Arc<Api>>,
    Path(height): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let from = page_query(query)?;
    let (height, latest) = height_of(&api, &height)?;
    let app = api.machine.app().clone();
    let page = api.read_page(move |history| {
        let Some(page) = history.page(height, from, &app)? else { return Ok(None) };
        let committee = history.committee(page.block.header.epoch)?;
        Ok(Some(serde_json::to_vec(&block_view(committee.as_deref(), page, from))))
    });
    match page.await? {
        Some(Ok(json)) => Ok(([(CONTENT_TYPE, "application/json")], json).into_response()),
        Some(Err(_)) => Err(ApiError::internal("the block cannot be written as JSON")),
        None => Err(no_such_block(height, latest)),
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

/// The node's status.
#[utoipa::path(
    get,
    path = super::STATUS,
    tag = "chain",
    responses((status = 200, description = "The status", body = NodeStatus))
)]
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
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EpochsQuery {
    /// The epoch whose end comes first.
    from: u64,
}

/// The current epoch, and the proofs of up to [`EPOCH_CHANGES_MAX`] changes of the committee.
#[utoipa::path(
    get,
    path = super::EPOCHS,
    tag = "chain",
    params(EpochsQuery),
    responses(
        (status = 200, description = "The changes", body = EpochsView),
        (status = 400, description = "`query`", body = ErrorBody),
    )
)]
pub(super) async fn epochs(
    State(api): State<Arc<Api>>,
    query: Result<Query<EpochsQuery>, QueryRejection>,
) -> Result<Json<EpochsView>, ApiError> {
    let Query(EpochsQuery { from }) = query.map_err(|error| ApiError::query(&error, "?from=0"))?;
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

/// Where a list of accounts begins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PermissionsQuery {
    /// The account after which the list begins.
    #[param(value_type = Option<Address>)]
    after: Option<String>,
}

/// Accounts with a permission or a limit of their own, ascending, [`PERMITTED_MAX`] at a time.
#[utoipa::path(
    get,
    path = super::PERMISSIONS,
    tag = "state",
    params(PermissionsQuery),
    responses(
        (status = 200, description = "The accounts; fewer than [`PERMITTED_MAX`] at the end", body = PermittedView),
        (status = 400, description = "`query`, `address`", body = ErrorBody),
    )
)]
pub(super) async fn permissions(
    State(api): State<Arc<Api>>,
    query: Result<Query<PermissionsQuery>, QueryRejection>,
) -> Result<Json<PermittedView>, ApiError> {
    let Query(PermissionsQuery { after }) = query.map_err(|error| ApiError::query(&error, "?after=ADDRESS"))?;
    let after = after.map(|address| parse_address(&address)).transpose()?;
    let view = api.views.borrow().clone();
    let listed = quorate_app::permissions::listed(view.state(), after.as_ref(), PERMITTED_MAX as usize);
    Ok(Json(PermittedView { accounts: listed }))
}

/// The genesis. Its hash is that of the bytes at `/v1/genesis/raw`.
#[utoipa::path(
    get,
    path = super::GENESIS,
    tag = "chain",
    responses((status = 200, description = "The genesis", body = Genesis))
)]
pub(super) async fn genesis(State(api): State<Arc<Api>>) -> Response {
    let mut response = ([(CONTENT_TYPE, "application/json")], api.genesis_json.clone()).into_response();
    response.extensions_mut().insert(Shared);
    response
}

pub(super) fn tx_id(text: &str) -> Result<TxId, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("transaction-id", format!("{} is not a transaction id", quoted(text))).with_hint(DIGITS))
}

pub(super) fn parse_address(text: &str) -> Result<Address, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request("address", format!("{} is not an address", quoted(text))).with_hint(DIGITS))
}

pub(super) const DIGITS: &str = "write 64 hexadecimal digits, with or without 0x";
