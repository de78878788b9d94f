//! Diagnosis for humans: where consensus stands, which validators are missing, what was recently dropped, and which validators contradicted
//! themselves. Only evidence proves itself.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use quorate_types::{
    diagnosis::{ConsensusView, DropsView},
    evidence::Evidence,
    ids::EvidenceId,
    rpc::{ErrorBody, EvidenceList},
};

use super::{
    Api,
    error::{ApiError, quoted},
};
use crate::{diagnosis, event_loop::Question};

/// Where consensus stands, and which validators are missing. Nothing proves it.
#[utoipa::path(
    get,
    path = super::CONSENSUS,
    tag = "operators",
    responses((status = 200, description = "The node's position in the protocol, and what it knows of the others", body = ConsensusView))
)]
pub(super) async fn consensus(State(api): State<Arc<Api>>) -> Result<Json<ConsensusView>, ApiError> {
    let snapshot = api.ask(Question::Standing).await?;
    Ok(Json(diagnosis::of(&api, &snapshot)))
}

/// What this node has dropped in the last ten minutes, and why.
#[utoipa::path(
    get,
    path = super::DROPS,
    tag = "operators",
    responses((status = 200, description = "The drops", body = DropsView))
)]
pub(super) async fn drops(State(api): State<Arc<Api>>) -> Json<DropsView> {
    Json(api.drops.view())
}

/// The validators that have signed contradictions, as far as this node has seen.
#[utoipa::path(
    get,
    path = super::EVIDENCE_LIST,
    tag = "operators",
    responses((status = 200, description = "All evidence that this node holds", body = EvidenceList))
)]
pub(super) async fn evidence_list(State(api): State<Arc<Api>>) -> Json<EvidenceList> {
    Json(api.evidence.list())
}

/// The two statements that convict a validator, with its signatures.
#[utoipa::path(
    get,
    path = super::EVIDENCE,
    tag = "operators",
    params(("id" = EvidenceId, Path, description = "64 hexadecimal digits, with or without `0x`")),
    responses(
        (status = 200, description = "The evidence, which proves itself", body = Evidence),
        (status = 400, description = "`evidence-id`", body = ErrorBody),
        (status = 404, description = "`no-evidence`", body = ErrorBody),
    )
)]
pub(super) async fn evidence(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Evidence>, ApiError> {
    let malformed =
        |_| ApiError::bad_request("evidence-id", format!("{} is not an evidence id", quoted(&id))).with_hint(super::reads::DIGITS);
    let id: EvidenceId = id.parse().map_err(malformed)?;
    let missing = || {
        ApiError::not_found("no-evidence", format!("this node holds no evidence {id}")).with_hint("GET /v1/evidence lists what it holds")
    };
    Ok(Json(api.evidence.get(&id).ok_or_else(missing)?))
}
