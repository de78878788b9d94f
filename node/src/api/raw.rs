//! Committed data as canonical bytes, byte for byte as docs/formats.md describes them, for auditors: enough to check every signature and to
//! execute the chain again.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use quorate_types::{codec, ids::TxId, message::CATCHUP_BLOCKS_MAX, proof::PROOF_HEADERS_MAX, round::Height, rpc::ErrorBody};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Api,
    error::ApiError,
    reads::{PageQuery, height_of, no_such_block, not_committed, page_query, tx_id},
    seats::Shared,
};

const BYTES: &str = "application/octet-stream";

/// A run of the chain.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// The first height.
    from: u64,
    /// Most elements to send. Fewer are sent if they have more than [`ANSWER_BYTES_MAX`] bytes; a number above the most that are
    /// ever sent counts as that.
    #[param(value_type = Option<u32>, minimum = 1)]
    max: Option<NonZeroU32>,
}

impl RunQuery {
    /// The first height, and the number of elements.
    fn parse(query: Result<Query<Self>, QueryRejection>, most: usize) -> Result<(Height, usize), ApiError> {
        let Query(Self { from, max }) = query.map_err(|error| ApiError::query(&error, "?from=1&max=100"))?;
        let max = max.and_then(|max| usize::try_from(max.get()).ok()).unwrap_or(most);
        Ok((Height(from), max.min(most)))
    }
}

fn answer(bytes: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, BYTES)], bytes).into_response()
}

/// A block, its header, and the certificate that commits it, if one does so directly.
///
/// The BCS of a stored block (docs/formats.md). The receipts have a path of their own.
#[utoipa::path(
    get,
    path = super::BLOCK_RAW,
    operation_id = "block_raw",
    tag = "bytes",
    params(("height" = String, Path, description = "A whole number, or `latest`", pattern = "^([0-9]{1,20}|latest)$")),
    responses(
        (status = 200, description = "The stored block: a genesis allows 1 MiB of transactions in it at most", content_type = BYTES),
        (status = 400, description = "`height`", body = ErrorBody),
        (status = 404, description = "`no-such-block`", body = ErrorBody),
    )
)]
pub(super) async fn block(State(api): State<Arc<Api>>, Path(height): Path<String>) -> Result<Response, ApiError> {
    let (height, latest) = height_of(&api, &height)?;
    let block = api.read_page(move |history| Ok(history.block(height)?.map(|stored| codec::encode(&stored)))).await?;
    block.map(answer).ok_or_else(|| no_such_block(height, latest))
}

/// The receipts of a block.
///
/// The BCS of a sequence of receipts, in the order of the transactions: at most [`ANSWER_BYTES_MAX`] bytes of them, but at least one. The next
/// part begins after the last one in it.
#[utoipa::path(
    get,
    path = super::RECEIPTS_RAW,
    operation_id = "receipts_raw",
    tag = "bytes",
    params(("height" = String, Path, description = "A whole number, or `latest`", pattern = "^([0-9]{1,20}|latest)$"), PageQuery),
    responses(
        (status = 200, description = "The receipts from position `from` on; none beyond the last", content_type = BYTES),
        (status = 400, description = "`height`, `query`", body = ErrorBody),
        (status = 404, description = "`no-such-block`", body = ErrorBody),
    )
)]
pub(super) async fn receipts(
    State(api): State<Arc<Api>>,
    Path(height): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let from = page_query(query)?;
    let (height, latest) = height_of(&api, &height)?;
    let receipts = api.read_page(move |history| Ok(history.receipts(height, from)?.map(|receipts| codec::encode(&receipts)))).await?;
    receipts.map(answer).ok_or_else(|| no_such_block(height, latest))
}

/// Blocks, oldest first.
///
/// The BCS of a sequence of stored blocks, as at `/v1/blocks/{height}/raw`: at most [`CATCHUP_BLOCKS_MAX`], and at most
/// [`ANSWER_BYTES_MAX`] bytes of them, but at least one. It is empty beyond the last block; otherwise the next part begins one height after its
/// last block.
#[utoipa::path(
    get,
    path = super::BLOCKS_RAW,
    operation_id = "blocks_raw",
    tag = "bytes",
    params(RunQuery),
    responses(
        (status = 200, description = "The stored blocks", content_type = BYTES),
        (status = 400, description = "`query`", body = ErrorBody),
    )
)]
pub(super) async fn blocks(State(api): State<Arc<Api>>, query: Result<Query<RunQuery>, QueryRejection>) -> Result<Response, ApiError> {
    let (from, max) = RunQuery::parse(query, CATCHUP_BLOCKS_MAX)?;
    api.read_page(move |history| Ok(codec::encode(&history.blocks(from, max)?))).await.map(answer)
}

/// Headers with the certificates that commit them directly, oldest first.
///
/// The BCS of a sequence of committed headers (docs/formats.md): at most [`PROOF_HEADERS_MAX`], and at most
/// [`ANSWER_BYTES_MAX`] bytes of them. From any header to the next one with a certificate they are a commit proof.
#[utoipa::path(
    get,
    path = super::HEADERS_RAW,
    operation_id = "headers_raw",
    tag = "bytes",
    params(RunQuery),
    responses(
        (status = 200, description = "The committed headers", content_type = BYTES),
        (status = 400, description = "`query`", body = ErrorBody),
    )
)]
pub(super) async fn headers(State(api): State<Arc<Api>>, query: Result<Query<RunQuery>, QueryRejection>) -> Result<Response, ApiError> {
    let (from, max) = RunQuery::parse(query, PROOF_HEADERS_MAX)?;
    api.read_page(move |history| Ok(codec::encode(&history.headers(from, max)?))).await.map(answer)
}

/// A committed transaction as its sender signed it.
#[utoipa::path(
    get,
    path = super::TRANSACTION_RAW,
    operation_id = "transaction_raw",
    tag = "bytes",
    params(("id" = TxId, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "The transaction's bytes, with its signature", content_type = BYTES),
        (status = 400, description = "`transaction-id`", body = ErrorBody),
        (status = 404, description = "`not-committed`", body = ErrorBody),
    )
)]
pub(super) async fn transaction(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let tx_id = tx_id(&id)?;
    let transaction = api.read_page(move |history| Ok(history.signed(&tx_id)?.map(|transaction| transaction.raw().to_vec()))).await?;
    transaction.map(answer).ok_or_else(|| not_committed(tx_id))
}

/// The genesis as canonical bytes, which its hash covers.
#[utoipa::path(
    get,
    path = super::GENESIS_RAW,
    operation_id = "genesis_raw",
    tag = "bytes",
    responses((status = 200, description = "The BCS of the genesis", content_type = BYTES))
)]
pub(super) async fn genesis(State(api): State<Arc<Api>>) -> Response {
    let mut response = answer(api.genesis_bytes.clone());
    response.extensions_mut().insert(Shared);
    response
}
