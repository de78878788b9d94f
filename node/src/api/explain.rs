//! Diagnosis for humans: where consensus stands, which validators are missing, and what was recently dropped. None of it is proved.

use std::sync::Arc;

use axum::{Json, extract::State};
use quorate_types::diagnosis::{ConsensusView, DropsView};

use super::{Api, error::ApiError};
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
