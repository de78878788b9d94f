//! Health and metrics, for supervisors that restart the node, load balancers in front of it, and dashboards.
//!
//! They have a listener and a thread of their own (`metrics.listen`), which clients of the API cannot exhaust. The API serves `/livez` and
//! `/readyz` too, for load balancers; supervisors should use this listener.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use quorate_types::{
    committee::SignerSet,
    diagnosis::{Readiness, ReadinessCheck, TOO_FEW_CLOCKS},
    ids::ValidatorId,
};
use serde::Deserialize;

use super::{Api, error::ApiError, reads::signs_nothing};
use crate::{event_loop::unix_now, mailbox::Lane, metrics::QueueLengths};

/// `GET /livez`: whether the replica's thread responds. If not, a restart helps.
pub(super) async fn livez(State(api): State<Arc<Api>>) -> Response {
    let is_alive = api.failure.get().is_none() && api.status().await.is_ok();
    let status = if is_alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "live": is_alive }))).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReadyQuery {
    /// Maximum age of the last block. An idle chain makes blocks only at its heartbeat.
    max_block_age_ms: Option<u64>,
    /// Minimum number of links that are up.
    min_peers: Option<usize>,
}

/// A check of `/readyz`.
fn check(name: &str, ok: bool, detail: String) -> ReadinessCheck {
    ReadinessCheck { name: name.into(), ok, detail }
}

/// `GET /readyz`: whether clients should be sent here.
pub(super) async fn readyz(State(api): State<Arc<Api>>, query: Result<Query<ReadyQuery>, QueryRejection>) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| {
        ApiError::bad_request("query", error.body_text()).with_hint("write it like /readyz?max_block_age_ms=30000&min_peers=3")
    })?;
    let checks = checks(&api, &query).await;
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(Readiness { ready, checks })).into_response())
}

async fn checks(api: &Api, query: &ReadyQuery) -> Vec<ReadinessCheck> {
    let replica = api.status().await.ok();
    let peers = api.members();
    let now = api.epochs.now();
    let committee = now.committee();
    let linked: SignerSet = peers.iter().filter(|peer| peer.is_connected()).map(|peer| ValidatorId(peer.index.0)).chain([now.me]).collect();
    let missing: Vec<_> = peers.iter().filter(|peer| !peer.is_connected()).map(|peer| now.name(ValidatorId(peer.index.0))).collect();
    let mut detail =
        format!("linked voting power {} of {}, quorum {}", committee.power(linked), committee.total_power(), committee.quorum_power());
    if !missing.is_empty() {
        detail = format!("{detail}; no link to {}", missing.join(", "));
    }
    let mut checks = vec![
        check("replica", replica.is_some(), if replica.is_some() { "answers".into() } else { "does not answer".into() }),
        check("quorum", committee.is_quorum(linked), detail),
    ];
    checks.push(check("disk", api.disk.has_room(), api.disk.to_string()));
    if let Some(replica) = replica {
        let later = api.links.later();
        let detail = match later {
            Some(later) => format!("is in epoch {}, and epoch {later} is proved to have begun", now.epoch()),
            None if replica.catching_up => "is fetching committed blocks".into(),
            None => "is up to date".into(),
        };
        checks.push(check("caught-up", !replica.catching_up && later.is_none(), detail));
        if let Some(detail) = signs_nothing(api, &replica) {
            // One that has lost its memory, or its signer, follows and serves; one that has halted takes no transactions.
            checks.push(check("signs", !replica.has_halted, detail));
        }
    }
    // A wrong clock concerns readiness, not liveness: a restart does not set the clock.
    checks.push(match api.clocks() {
        Some(clocks) => check("clock", clocks.ours().is_none(), clocks.say(committee)),
        None => check("clock", true, TOO_FEW_CLOCKS.into()),
    });
    let damage = api.history.damage();
    if let Some(first) = damage.first {
        // The newest state is whole, so clients are still served; other nodes have the old blocks.
        checks.push(check("history", true, format!("{} reads failed, the first: {first}", damage.reads)));
    }
    if let Some(max) = query.max_block_age_ms {
        checks.push(block_age(api, max));
    }
    if let Some(min) = query.min_peers {
        let connected = peers.len().saturating_sub(missing.len());
        checks.push(check("peers", connected >= min, format!("{connected} links are up, {min} required")));
    }
    checks
}

/// The last block's age by our clock, or, if its timestamp is in the future, the time since it was committed here.
fn block_age(api: &Api, max: u64) -> ReadinessCheck {
    let (now, time) = (unix_now(), api.views.borrow().header().timestamp);
    let (age, detail) = if time > now {
        let age = u64::try_from(api.metrics.since_commit().as_millis()).unwrap_or(u64::MAX);
        let ahead = time.since(now);
        (
            age,
            format!(
                "the last block was committed here {age} ms ago, {max} allowed; its timestamp is {ahead} ms ahead of this machine's clock"
            ),
        )
    } else {
        let age = now.since(time);
        (age, format!("the last block is {age} ms old, {max} allowed"))
    };
    check("block-age", age <= max, detail)
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, ApiError> {
    // If the replica does not answer, its numbers are left out; the rest are all the more interesting.
    let replica = api.status().await.ok();
    let lengths = QueueLengths {
        consensus: api.mailbox.waiting(Lane::Consensus),
        sync: api.mailbox.waiting(Lane::Sync),
        transactions: api.mailbox.waiting(Lane::Transactions),
        checks: api.transactions.len(),
        waiting_clients: api.waiting.len(),
    };
    api.metrics.compared_clocks(api.clocks().as_ref());
    api.metrics.damaged_reads(api.history.damage().reads);
    let text = api.metrics.encode(replica, lengths).map_err(|_| ApiError::internal("the metrics cannot be encoded"))?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
