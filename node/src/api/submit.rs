//! Submitting transactions.
//!
//! A submission is safe to repeat: the same transaction has the same id and takes effect once. Every answer names the id, so that nobody has
//! to guess what became of a transaction (users.md §2 point 3). What each answer promises:
//!
//! | Answer | Promise |
//! |---|---|
//! | 200 `committed` | in the chain for ever, with this result; the proof is attached |
//! | 200 `pending` | in this node's pool, which a crash of this node empties |
//! | 202 `pending` | sent; time was up before more was known |
//! | 202 `unknown` | `wait=none`: sent, not looked at yet |
//! | 4xx, 503 | this node has not taken it from this request |
//!
//! While more transactions wait than the next blocks can hold, a submission is refused before it is decoded (503, `overloaded`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_LENGTH},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use quorate_replica::Answer;
use quorate_types::{
    codec,
    ids::TxId,
    message::{BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, TransactionBatch},
    receipt::Outcome,
    round::Height,
    rpc::{BatchAnswer, BatchRejected, OutcomeView, Submitted, TransactionStatus, Wait},
    transaction::{TRANSACTION_BYTES_MAX, Transaction},
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Api,
    error::{ApiError, name_transaction},
};
use crate::submission::{Claim, NoRoom, Reply, Submission};

/// Longest wait that a client may ask for.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// The wait of a client that asks for none.
const WAIT_DEFAULT: Duration = Duration::from_secs(20);
/// How much of a body that is too long is read and thrown away, and for how long, so that its client comes to read the answer.
const DISCARD_BYTES_MAX: usize = 2 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// How long the pool may take for a batch.
const BATCH_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SubmitQuery {
    wait: Wait,
    timeout_ms: Option<u64>,
}

/// `POST /v1/transactions`.
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    query: Result<Query<SubmitQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Query(SubmitQuery { wait, timeout_ms }) = query.map_err(|error| {
        ApiError::bad_request("query", error.body_text()).with_hint("write it like ?wait=none|accepted|committed&timeout_ms=5000")
    })?;
    let patience = timeout_ms.map_or(WAIT_DEFAULT, Duration::from_millis);
    if patience > WAIT_MAX {
        let message = format!("timeout_ms is at most {}", WAIT_MAX.as_millis());
        return Err(ApiError::bad_request("timeout-too-long", message).with_hint("wait again with GET /v1/transactions/{id}"));
    }
    let bytes = read_body(&api, &headers, body, TRANSACTION_BYTES_MAX).await?;
    check_room(&api)?;
    let transaction = Transaction::decode(Arc::from(bytes.as_ref())).map_err(|error| {
        ApiError::bad_request("malformed-transaction", format!("the body is no transaction: {error}"))
            .with_hint("the body is the raw bytes of one signed transaction, not JSON and not hexadecimal text")
    })?;
    let id = transaction.id();
    let mut response = submit(&api, transaction, wait, patience).await.unwrap_or_else(IntoResponse::into_response);
    name_transaction(&mut response, id);
    Ok(response)
}

async fn submit(api: &Api, transaction: Transaction, wait: Wait, patience: Duration) -> Result<Response, ApiError> {
    let id = transaction.id();
    if wait == Wait::None {
        let claim = Claim { ticket: api.tickets.next(), wait, reply: Reply::Nobody };
        api.transactions.submit(Submission { claim, transaction })?;
        return Ok(submitted(StatusCode::ACCEPTED, id, TransactionStatus::Unknown, None));
    }
    let _room = room(&api.waiting, 1)?;
    let (reply, answer) = oneshot::channel();
    let claim = Claim { ticket: api.tickets.next(), wait, reply: Reply::One(reply) };
    api.transactions.submit(Submission { claim, transaction })?;
    match timeout(patience, answer).await {
        Ok(Ok(Answer::Accepted)) => Ok(submitted(StatusCode::OK, id, TransactionStatus::Pending, None)),
        Ok(Ok(Answer::Committed { height, index, outcome })) => committed(api, id, height, index, &outcome).await,
        Ok(Ok(Answer::Rejected { code, reason })) => Err(ApiError::rejected(code, reason)),
        Ok(Err(_)) => Err(ApiError::stopping()),
        Err(_) => Ok(submitted(StatusCode::ACCEPTED, id, TransactionStatus::Pending, None)),
    }
}

async fn committed(api: &Api, id: TxId, height: Height, index: u32, outcome: &Outcome) -> Result<Response, ApiError> {
    let proof = api.read(move |history| history.proof(&id)).await?;
    let status = TransactionStatus::Committed { height, index, outcome: OutcomeView::from(outcome) };
    Ok(submitted(StatusCode::OK, id, status, proof.map(|proof| hex::encode(codec::encode(&proof)))))
}

fn submitted(code: StatusCode, tx_id: TxId, status: TransactionStatus, proof: Option<String>) -> Response {
    (code, Json(Submitted { tx_id, status, proof })).into_response()
}

/// `POST /v1/transactions/batch`: many transactions at once, each on its own; waits until the pool has looked at each.
pub(super) async fn batch(State(api): State<Arc<Api>>, headers: HeaderMap, body: Body) -> Result<Json<BatchAnswer>, ApiError> {
    let bytes = read_body(&api, &headers, body, BATCH_BYTES_MAX).await?;
    check_room(&api)?;
    let batch: TransactionBatch = codec::decode(&bytes, BATCH_BYTES_MAX).map_err(|error| {
        ApiError::bad_request("malformed-batch", format!("the body is no batch of transactions: {error}"))
            .with_hint("the body is the BCS encoding of at most 1,024 transactions")
    })?;
    let transactions = batch.0.into_inner();
    let _room = room(&api.waiting, transactions.len())?;
    let (replies, mut answers) = mpsc::channel(BATCH_TRANSACTIONS_MAX);
    let mut open = BTreeSet::new();
    let mut result = BatchAnswer::default();
    for (index, transaction) in (0u32..).zip(transactions) {
        let claim = Claim { ticket: api.tickets.next(), wait: Wait::Accepted, reply: Reply::Part(index, replies.clone()) };
        match api.transactions.submit(Submission { claim, transaction }) {
            Ok(()) => {
                open.insert(index);
            }
            Err(NoRoom { code, reason }) => {
                api.metrics.refused_submission(code);
                result.rejected.push(BatchRejected { index, code: code.into(), reason: reason.into() });
            }
        }
    }
    drop(replies);
    let deadline = Instant::now() + BATCH_WAIT;
    while let Ok(Some((index, answer))) = timeout_at(deadline, answers.recv()).await {
        open.remove(&index);
        match answer {
            Answer::Accepted | Answer::Committed { .. } => result.accepted = result.accepted.saturating_add(1),
            Answer::Rejected { code, reason } => result.rejected.push(BatchRejected { index, code: code.into_owned(), reason }),
        }
    }
    result.rejected.extend(open.into_iter().map(|index| BatchRejected {
        index,
        code: "no-answer".into(),
        reason: "the node did not get to it in time, and may yet take it; ask for its status, or send it again".into(),
    }));
    result.rejected.sort_by_key(|rejected| rejected.index);
    Ok(Json(result))
}

/// Refuses what has no chance before anything else is done with it.
fn check_room(api: &Api) -> Result<(), ApiError> {
    api.transactions.check_room().map_err(|full| {
        api.metrics.refused_submission(full.code);
        full.into()
    })
}

fn room(waiting: &Arc<Semaphore>, count: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Arc::clone(waiting).try_acquire_many_owned(count).map_err(|_| ApiError::busy("as many submissions wait here as may"))
}

/// The whole body, if it is short enough and comes in time.
async fn read_body(api: &Api, headers: &HeaderMap, mut body: Body, max: usize) -> Result<Bytes, ApiError> {
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
            // A client that is still writing when the connection closes may lose the answer.
            drop(timeout(DISCARD_TIME, collect(&mut body, DISCARD_BYTES_MAX)).await);
            Err(too_large())
        }
        Err(error) => Err(ApiError::bad_request("body", format!("the body did not arrive whole: {error}"))),
    }
}

/// What is left of a body; nothing when that is more than `max` bytes.
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
