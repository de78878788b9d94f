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
    rpc::EvidenceList,
};

use super::{
    Api,
    error::{ApiError, quoted},
};
use crate::{diagnosis, event_loop::Question};

/// `GET /v1/consensus`.
pub(super) async fn consensus(State(api): State<Arc<Api>>) -> Result<Json<ConsensusView>, ApiError> {
    let snapshot = api.ask(Question::Standing).await?;
    Ok(Json(diagnosis::of(&api, &snapshot)))
}

/// `GET /v1/drops`.
pub(super) async fn drops(State(api): State<Arc<Api>>) -> Json<DropsView> {
    Json(api.drops.view())
}

/// `GET /v1/evidence`.
pub(super) async fn evidence_list(State(api): State<Arc<Api>>) -> Json<EvidenceList> {
    Json(api.evidence.list())
}

/// `GET /v1/evidence/{id}`.
pub(super) async fn evidence(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Evidence>, ApiError> {
    let malformed =
        |_| ApiError::bad_request("evidence-id", format!("{} is not an evidence id", quoted(&id))).with_hint(super::reads::DIGITS);
    let id: EvidenceId = id.parse().map_err(malformed)?;
    let missing = || {
        ApiError::not_found("no-evidence", format!("this node holds no evidence {id}")).with_hint("GET /v1/evidence lists what it holds")
    };
    Ok(Json(api.evidence.get(&id).ok_or_else(missing)?))
}
