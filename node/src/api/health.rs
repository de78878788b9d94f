//! Health and metrics, for supervisors that restart the node, load balancers in front of it, and dashboards.
//!
//! They have a listener and a thread of their own (`metrics.listen`), which clients of the API cannot exhaust. The API serves `/livez` and
//! `/readyz` too, for load balancers; supervisors should use this listener.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use quorate_network::PeerStatus;
use quorate_types::{
    committee::SignerSet,
    diagnosis::{Readiness, ReadinessCheck, TOO_FEW_CLOCKS},
    ids::ValidatorId,
    rpc::ErrorBody,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Api, error::ApiError, reads::signs_nothing};
use crate::{event_loop::unix_now, mailbox::Lane, metrics::QueueLengths};

/// Whether the replica's thread responds. If not, a restart helps.
#[utoipa::path(
    get,
    path = super::LIVEZ,
    tag = "operators",
    responses(
        (status = 200, description = "`{\"live\": true}`", body = serde_json::Value),
        (status = 503, description = "`{\"live\": false}`", body = serde_json::Value),
    )
)]
pub(super) async fn livez(State(api): State<Arc<Api>>) -> Response {
    let is_alive = api.failure.get().is_none() && api.status().await.is_ok();
    let status = if is_alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "live": is_alive }))).into_response()
}

/// What else must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadyQuery {
    /// Maximum age of the last block, in milliseconds. An idle chain makes blocks only at its heartbeat.
    max_block_age_ms: Option<u64>,
    /// Minimum number of links that are up.
    min_peers: Option<usize>,
}

/// A check of `/readyz`.
fn check(name: &str, ok: bool, detail: String) -> ReadinessCheck {
    ReadinessCheck { name: name.into(), ok, detail }
}

/// Whether clients should be sent here.
#[utoipa::path(
    get,
    path = super::READYZ,
    tag = "operators",
    params(ReadyQuery),
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 400, description = "`query`", body = ErrorBody),
        (status = 503, description = "Not ready; the checks say why", body = Readiness),
    )
)]
pub(super) async fn readyz(State(api): State<Arc<Api>>, query: Result<Query<ReadyQuery>, QueryRejection>) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::query(&error, "/readyz?max_block_age_ms=30000&min_peers=3"))?;
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
    let linked = linked(&peers, now.me);
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

/// Metrics for Prometheus, at `metrics.listen` only: in its text format, or in that of `OpenMetrics` for a scraper that accepts it.
#[utoipa::path(
    get,
    path = super::METRICS,
    tag = "operators",
    responses(
        (status = 200, description = "The metrics", content(("text/plain"), ("application/openmetrics-text"))),
        (status = 404, description = "`no-such-path`: this is the API's listener", body = ErrorBody),
    )
)]
pub(super) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, ApiError> {
    // If the replica does not answer, its numbers are left out; the rest are all the more interesting.
    let replica = api.status().await.ok();
    let lengths = QueueLengths {
        consensus: api.mailbox.waiting(Lane::Consensus),
        sync: api.mailbox.waiting(Lane::Sync),
        transactions: api.mailbox.waiting(Lane::Transactions),
        checks: api.transactions.len(),
        waiting_clients: api.waiting.len(),
    };
    let now = api.epochs.now();
    let signs = replica.as_ref().map(|replica| signs_nothing(&api, replica).is_none());
    api.metrics.linked(&now, linked(&api.members(), now.me), signs);
    api.metrics.compared_clocks(api.clocks().as_ref());
    api.metrics.damaged_reads(api.history.damage().reads);
    let text = api.metrics.encode(replica, lengths).map_err(|_| ApiError::internal("the metrics cannot be encoded"))?;
    Ok(if accepts_open_metrics(&headers) {
        ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
    } else {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], prometheus_text(&text)).into_response()
    })
}

/// The members to which the links are up, and this one.
fn linked(peers: &[PeerStatus], me: ValidatorId) -> SignerSet {
    peers.iter().filter(|peer| peer.is_connected()).map(|peer| ValidatorId(peer.index.0)).chain([me]).collect()
}

/// Whether a scraper names the newer format. Its order of preference does not matter: whoever reads the newer one prefers it.
fn accepts_open_metrics(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        is_named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
    })
}

/// The older format: it describes a counter by the name of its samples, knows neither units nor information as a type, and has no end mark.
fn prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = Some(described);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, words)) = help.take().and_then(|described| described.split_once(' ')) {
                text.extend(["# HELP ", name, suffix, " ", words, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_scraper_gets_the_newer_format_if_it_names_it() {
        let accepts =
            |values: &[&'static str]| accepts_open_metrics(&values.iter().map(|value| (ACCEPT, HeaderValue::from_static(value))).collect());
        // What Prometheus 2.42 sends.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for values in
            [&[prometheus][..], &["text/plain", "Application/OpenMetrics-Text"], &["text/plain, application/openmetrics-text; q=0.1"]]
        {
            assert!(accepts(values), "{values:?}");
        }
        for values in
            [&[][..], &["*/*"], &["text/plain;version=0.0.4"], &["application/openmetrics-text;q=0"], &["application/openmetrics"]]
        {
            assert!(!accepts(values), "{values:?}");
        }
    }

    #[test]
    fn the_older_format_names_counters_and_information_by_their_samples() {
        let newer = "# HELP a_build Version.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                     # HELP b_cpu_seconds Time.\n# TYPE b_cpu_seconds counter\n# UNIT b_cpu_seconds seconds\nb_cpu_seconds_total 2.5\n\
                     # HELP c Height.\n# TYPE c gauge\nc 7\n# EOF\n";
        let older = "# HELP a_build_info Version.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
                     # HELP b_cpu_seconds_total Time.\n# TYPE b_cpu_seconds_total counter\nb_cpu_seconds_total 2.5\n\
                     # HELP c Height.\n# TYPE c gauge\nc 7\n";
        assert_eq!(prometheus_text(newer), older);
    }
}
