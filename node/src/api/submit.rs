//! Submits transactions.
//!
//! Submitting is idempotent: the same transaction has the same id and takes effect once. Every answer carries the id, so that a client can
//! always find out what became of its transaction. What each answer promises:
//!
//! | Answer | Promise |
//! |---|---|
//! | 200 `committed` | in the chain for ever, with this outcome; with `wait=committed` the proof is attached |
//! | 200 `pending` | in this node's pool, which a crash of this node empties; with `wait=committed`: too many clients wait here, ask again |
//! | 202 `pending` | queued; the timeout passed before more was known |
//! | 202 `unknown` | `wait=none`: queued, not yet examined |
//! | 4xx, 503 | this node has not accepted it from this request |
//!
//! While more transactions wait than the next blocks can hold, a submission is refused before it is decoded (503, `overloaded`).
//!
//! A transaction that is already committed is found in the store before its signature is verified and before it reaches the replica, so
//! resending it costs the chain nothing. Only a transaction with a used sequence number can be committed, so a new one needs no store lookup.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{Extension, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_LENGTH},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use quorate_app::TxRejected;
use quorate_ledger::CommittedView;
use quorate_replica::Answer;
use quorate_types::{
    codec,
    ids::TxId,
    message::{BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, TransactionBatch},
    round::Sequence,
    rpc::{BatchAnswer, BatchRejected, ErrorBody, Submitted, TransactionStatus, Wait},
    transaction::{TRANSACTION_BYTES_MAX, Transaction},
};
use serde::Deserialize;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use utoipa::IntoParams;

use super::{
    Api,
    error::{ApiError, name_transaction},
    seats::Origin,
};
use crate::{
    chain::Located,
    submission::{Claim, DISK_NEARLY_FULL, NoRoom, Reply, Submission},
};

/// Longest wait that a client may ask for.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// The wait if the client does not specify one.
pub(crate) const WAIT_DEFAULT: Duration = Duration::from_secs(20);
/// How much of an oversized body is read and discarded, and for how long, so that its client gets to read the answer.
const DISCARD_BYTES_MAX: usize = 2 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// Time limit for the pool's verdicts on a batch.
const BATCH_WAIT: Duration = Duration::from_secs(5);

/// How long to wait for more than the id.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubmitQuery {
    /// What to wait for: nothing, this node's pool, or the commit.
    #[param(inline)]
    wait: Wait,
    /// How long, in milliseconds, at most [`WAIT_MAX`]; [`WAIT_DEFAULT`] by default.
    #[param(maximum = 60000)]
    timeout_ms: Option<u64>,
}

/// Submits a transaction.
///
/// Submitting is idempotent: the same bytes have the same id and take effect once. Every answer to bytes that are a transaction has its id in
/// the header `x-quorate-tx-id`. Only `committed` is final.
#[utoipa::path(
    post,
    path = super::SUBMIT,
    operation_id = "submit",
    tag = "transactions",
    params(SubmitQuery),
    request_body(
        description = "The bytes of one signed transaction (docs/formats.md), at most [`TRANSACTION_BYTES_MAX`]",
        content_type = "application/octet-stream"
    ),
    responses(
        (status = 200, description = "`committed`, for ever; or `pending`, in this node's pool", body = Submitted),
        (status = 202, description = "`pending`: the time was up; `unknown`: queued, with `wait=none`", body = Submitted),
        (status = 400, description = "`malformed-transaction`, `query`, `timeout-too-long`, `body`, or why it is rejected", body = ErrorBody),
        (status = 408, description = "`body-too-slow`", body = ErrorBody),
        (status = 409, description = "It conflicts with the state of its account: why it is rejected", body = ErrorBody),
        (status = 413, description = "`body-too-large`", body = ErrorBody),
    )
)]
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Extension(origin): Extension<Origin>,
    query: Result<Query<SubmitQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Query(SubmitQuery { wait, timeout_ms }) =
        query.map_err(|error| ApiError::query(&error, "?wait=none|accepted|committed&timeout_ms=5000"))?;
    let patience = timeout_ms.map_or(WAIT_DEFAULT, Duration::from_millis);
    if patience > WAIT_MAX {
        let message = format!("timeout_ms must be at most {}", WAIT_MAX.as_millis());
        return Err(ApiError::bad_request("timeout-too-long", message).with_hint("wait again with GET /v1/transactions/{id}"));
    }
    let bytes = read_body(&api, &headers, body, TRANSACTION_BYTES_MAX).await?;
    check_room(&api)?;
    let transaction = Transaction::decode(Arc::from(bytes.as_ref())).map_err(|error| {
        ApiError::bad_request("malformed-transaction", format!("the body is not a transaction: {error}"))
            .with_hint("send the raw bytes of one signed transaction, not JSON or hexadecimal text")
    })?;
    let id = transaction.id();
    let mut response = submit(&api, origin, transaction, wait, patience).await.unwrap_or_else(IntoResponse::into_response);
    name_transaction(&mut response, id);
    Ok(response)
}

async fn submit(api: &Api, origin: Origin, transaction: Transaction, wait: Wait, patience: Duration) -> Result<Response, ApiError> {
    let id = transaction.id();
    // Cloned, because a borrow of the channel blocks the replica's thread when it publishes the next view.
    let view = api.views.borrow().clone();
    let used = sequence_used(&view, &transaction);
    if let Some(next) = used {
        let located = api.read(move |history| history.transaction(&id)).await?;
        return committed(api, id, located.ok_or_else(|| ApiError::sequence_used(next))?, wait).await;
    }
    drop(view);
    admit_by_disk(api)?;
    if wait == Wait::None {
        let claim = Claim { ticket: api.tickets.next(), wait, reply: Reply::Nobody };
        hand_in(api, Submission { claim, transaction })?;
        return Ok(submitted(StatusCode::ACCEPTED, id, TransactionStatus::Unknown, None));
    }
    let _room = api.waiting.for_the_pool(1)?;
    let place = if wait == Wait::Committed { api.waiting.for_a_commit(origin) } else { None };
    let wait = if place.is_some() { wait } else { Wait::Accepted };
    let (reply, answer) = oneshot::channel();
    let claim = Claim { ticket: api.tickets.next(), wait, reply: Reply::One(reply) };
    hand_in(api, Submission { claim, transaction })?;
    match timeout(patience, answer).await {
        Ok(Ok(Answer::Accepted)) => Ok(submitted(StatusCode::OK, id, TransactionStatus::Pending, None)),
        Ok(Ok(Answer::Committed { height, index, outcome })) => committed(api, id, Located { height, index, outcome }, wait).await,
        Ok(Ok(Answer::Rejected { code, reason })) => Err(ApiError::rejected(code, reason)),
        Ok(Err(_)) => Err(ApiError::stopping()),
        Err(_) => Ok(submitted(StatusCode::ACCEPTED, id, TransactionStatus::Pending, None)),
    }
}

/// The sender's next sequence number, if the transaction's is used up: then it is already committed, or never will be.
fn sequence_used(view: &CommittedView, transaction: &Transaction) -> Option<Sequence> {
    let next = view.account(&transaction.sender()).sequence();
    (transaction.content().sequence < next).then_some(next)
}

async fn committed(api: &Api, id: TxId, Located { height, index, outcome }: Located, wait: Wait) -> Result<Response, ApiError> {
    let proof = if wait == Wait::Committed { api.read(move |history| history.proof(&id)).await? } else { None };
    let status = TransactionStatus::Committed { height, index, outcome: api.outcome(&outcome) };
    Ok(submitted(StatusCode::OK, id, status, proof.map(|proof| hex::encode(codec::encode(&proof)))))
}

fn submitted(code: StatusCode, tx_id: TxId, status: TransactionStatus, proof: Option<String>) -> Response {
    (code, Json(Submitted { tx_id, status, proof })).into_response()
}

/// Submits many independent transactions, and waits for the pool's verdict on each.
#[utoipa::path(
    post,
    path = super::SUBMIT_BATCH,
    operation_id = "submit_batch",
    tag = "transactions",
    request_body(
        description = "The BCS of a sequence of at most [`BATCH_TRANSACTIONS_MAX`] transactions, each a byte string; at most [`BATCH_BYTES_MAX`] bytes",
        content_type = "application/octet-stream"
    ),
    responses(
        (status = 200, description = "What the pool has accepted, and why it has not accepted the rest", body = BatchAnswer),
        (status = 400, description = "`malformed-batch`, `body`", body = ErrorBody),
        (status = 408, description = "`body-too-slow`", body = ErrorBody),
        (status = 413, description = "`body-too-large`", body = ErrorBody),
    )
)]
pub(super) async fn batch(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Json<BatchAnswer>, ApiError> {
    let bytes = read_body(&api, &headers, body, BATCH_BYTES_MAX).await?;
    check_room(&api)?;
    let batch: TransactionBatch = codec::decode(&bytes, BATCH_BYTES_MAX).map_err(|error| {
        ApiError::bad_request("malformed-batch", format!("the body is not a batch of transactions: {error}"))
            .with_hint("send the BCS encoding of at most 1,024 transactions")
    })?;
    admit_by_disk(&api)?;
    let transactions = batch.0.into_inner();
    let total = transactions.len();
    let Sorted { fresh, mut verdicts, copies } = sort(&api, transactions).await?;
    let _room = api.waiting.for_the_pool(fresh.len())?;
    let (replies, mut answers) = mpsc::channel(BATCH_TRANSACTIONS_MAX);
    for (index, transaction) in fresh {
        let claim = Claim { ticket: api.tickets.next(), wait: Wait::Accepted, reply: Reply::Part(index, replies.clone()) };
        if let Err(NoRoom { code, reason }) = hand_in(&api, Submission { claim, transaction }) {
            verdicts.insert(index, Err((code.into(), reason.into())));
        }
    }
    drop(replies);
    let deadline = Instant::now() + BATCH_WAIT;
    while let Ok(Some((index, answer))) = timeout_at(deadline, answers.recv()).await {
        verdicts.insert(
            index,
            match answer {
                Answer::Accepted | Answer::Committed { .. } => Ok(()),
                Answer::Rejected { code, reason } => Err((code, reason)),
            },
        );
    }
    let mut result = BatchAnswer::default();
    for index in (0u32..).take(total) {
        match verdicts.get(copies.get(&index).unwrap_or(&index)) {
            Some(Ok(())) => result.accepted = result.accepted.saturating_add(1),
            Some(Err((code, reason))) => {
                result.rejected.push(BatchRejected { index, code: code.to_string(), reason: reason.clone() });
            }
            None => result.rejected.push(BatchRejected {
                index,
                code: "no-answer".into(),
                reason: "the node did not get to it in time, but may still accept it; ask for its status, or send it again".into(),
            }),
        }
    }
    Ok(Json(result))
}

/// The transactions of a batch, sorted by what is to be done with them; each with its position in the batch.
#[derive(Default)]
struct Sorted {
    /// To be sent to the pool.
    fresh: Vec<(u32, Transaction)>,
    /// Decided by a look at the store.
    verdicts: BTreeMap<u32, Result<(), (Cow<'static, str>, String)>>,
    /// Duplicates, with the position of the first copy.
    copies: BTreeMap<u32, u32>,
}

async fn sort(api: &Api, transactions: Vec<Transaction>) -> Result<Sorted, ApiError> {
    let mut sorted = Sorted::default();
    let (mut seen, mut used) = (BTreeMap::new(), Vec::new());
    let view = api.views.borrow().clone();
    for (index, transaction) in (0u32..).zip(transactions) {
        let id = transaction.id();
        if let Some(first) = seen.get(&id) {
            sorted.copies.insert(index, *first);
            continue;
        }
        seen.insert(id, index);
        match sequence_used(&view, &transaction) {
            Some(next) => used.push((index, id, next)),
            None => sorted.fresh.push((index, transaction)),
        }
    }
    drop(view);
    let committed = if used.is_empty() {
        BTreeSet::new()
    } else {
        let ids: Vec<TxId> = used.iter().map(|(_, id, _)| *id).collect();
        api.read(move |history| history.committed(&ids)).await?
    };
    sorted.verdicts.extend(used.into_iter().map(|(index, id, next)| {
        let rejected = TxRejected::SequenceTooOld { next };
        let verdict = if committed.contains(&id) { Ok(()) } else { Err((rejected.code(), rejected.to_string())) };
        (index, verdict)
    }));
    Ok(sorted)
}

/// Refuses early, before any other work, what the queue would refuse anyway.
fn check_room(api: &Api) -> Result<(), ApiError> {
    Ok(api.transactions.check_room().inspect_err(|full| api.metrics.refused_submission(full.code))?)
}

fn hand_in(api: &Api, submission: Submission) -> Result<(), NoRoom> {
    api.transactions.submit(submission).inspect_err(|full| api.metrics.refused_submission(full.code))
}

fn admit_by_disk(api: &Api) -> Result<(), ApiError> {
    api.disk.admit().inspect_err(|_| api.metrics.refused_submission(DISK_NEARLY_FULL))
}

/// The answer to a submission whose own answer could not be sent.
pub(super) fn unknown_submission(id: &HeaderValue) -> Response {
    let body = serde_json::json!({ "tx_id": String::from_utf8_lossy(id.as_bytes()), "status": "unknown" });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Reads the whole body, if it is short enough and arrives in time.
pub(super) async fn read_body(api: &Api, headers: &HeaderMap, mut body: Body, max: usize) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", format!("the body may have at most {max} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let whole = match announced {
        Some(length) if length > max => Ok(None),
        Some(_) | None => timeout(api.config.read_timeout(), collect(&mut body, max))
            .await
            .map_err(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not arrive in time"))?,
    };
    match whole {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            // If the connection closes while the client is still writing, the client may never see the answer.
            drop(timeout(DISCARD_TIME, collect(&mut body, DISCARD_BYTES_MAX)).await);
            Err(too_large())
        }
        Err(error) => Err(ApiError::bad_request("body", format!("the body did not arrive completely: {error}"))),
    }
}

/// The rest of a body; `None` if it is longer than `max` bytes.
async fn collect(body: &mut Body, max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > max {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole.freeze()))
}
