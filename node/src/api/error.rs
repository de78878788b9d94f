//! Errors of the API: an HTTP status, a stable code, a sentence, and a hint on what to do.
//!
//! | Status | Meaning |
//! |---|---|
//! | 400 | the request can never succeed |
//! | 404, 405, 408, 413, 431 | as in HTTP |
//! | 409 | the transaction conflicts with the state of its account |
//! | 503 | this node cannot serve it now, another one may; `Retry-After` says when to retry |

use std::borrow::Cow;

use axum::{
    Json,
    extract::rejection::QueryRejection,
    http::{HeaderName, HeaderValue, StatusCode, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use quorate_app::TxRejected;
use quorate_types::{
    ids::TxId,
    round::Sequence,
    rpc::{ErrorBody, ErrorView},
};

use crate::submission::{BUSY, DISK_NEARLY_FULL, NoRoom, OVERLOADED, STOPPING};

/// Carries the id of a submitted transaction, also in errors, provided that the transaction decodes.
pub(crate) const TX_ID_HEADER: HeaderName = HeaderName::from_static("x-quorate-tx-id");

/// When a client that was refused for lack of room should retry: the shortest time that HTTP can express. Clients add jitter.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

const HISTORY_DAMAGED: &str = "history-damaged";
/// The node has reached the height at which it was to halt.
const HALTED: &str = "halted";

/// The codes of the API's own errors, each with its status and its meaning. A rejected transaction may have other ones.
pub(crate) const CODES: [(&str, u16, &str); 28] = [
    ("address", 400, "not an address"),
    ("body", 400, "the body did not arrive completely"),
    ("evidence-id", 400, "not the id of evidence"),
    ("height", 400, "not a height"),
    ("key", 400, "not a key of the state, or too long"),
    ("last-event-id", 400, "the header is not the number of an event"),
    ("malformed-batch", 400, "the body is not a batch of transactions"),
    ("malformed-query", 400, "the body is not a question to the application"),
    ("malformed-transaction", 400, "the body is not a transaction"),
    ("path", 400, "the application cannot read a part of the path"),
    ("query", 400, "a parameter after the question mark is unknown or has a wrong value"),
    ("timeout-too-long", 400, "`timeout_ms` is too large"),
    ("transaction-id", 400, "not the id of a transaction"),
    ("no-evidence", 404, "this node does not hold the evidence"),
    ("no-output", 404, "the transaction failed, so it has no output"),
    ("no-such-block", 404, "no block is committed at this height"),
    ("no-such-path", 404, "nothing is at this path"),
    ("not-committed", 404, "the transaction is not committed as far as this node knows"),
    ("method-not-allowed", 405, "the path exists, with another method"),
    ("body-too-slow", 408, "the body did not arrive in time"),
    ("body-too-large", 413, "the body is longer than the path allows"),
    ("host", 421, "the request names another host"),
    ("internal", 500, "the node failed; its log has the details"),
    (BUSY, 503, "too much waits here now"),
    (DISK_NEARLY_FULL, 503, "the disk has no room for further transactions"),
    (HISTORY_DAMAGED, 503, "a part of this node's history cannot be read from disk"),
    (OVERLOADED, 503, "transactions for the next few blocks already wait here"),
    (STOPPING, 503, "the node is stopping"),
];

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    hint: Option<Cow<'static, str>>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), hint: None }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The parameters after the question mark do not parse.
    pub(crate) fn query(error: &QueryRejection, example: &str) -> Self {
        Self::bad_request("query", error.body_text()).with_hint(format!("write it like {example}"))
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn busy(what: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, BUSY, what).with_hint("try again in a moment, or ask another node")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, STOPPING, "the node is stopping").with_hint("ask another node")
    }

    pub(crate) fn disk_nearly_full(message: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, DISK_NEARLY_FULL, message)
            .with_hint("send it to another node; the operator of this one must free or add disk space, or lower store.free_bytes_min")
    }

    /// Old blocks can no longer be read from disk.
    pub(crate) fn damaged() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, HISTORY_DAMAGED, "a part of this node's history cannot be read from disk")
            .with_hint("ask another node; this one's log tells its operator what to do")
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).with_hint("ask another node; this one's log has the details")
    }

    /// A transaction is rejected.
    pub(crate) fn rejected(code: impl Into<Cow<'static, str>>, reason: String) -> Self {
        let code = code.into();
        let (status, hint) = judge(&code);
        Self { hint: hint.map(Cow::Borrowed), ..Self::new(status, code, reason) }
    }

    /// Another transaction has used the transaction's sequence number.
    pub(crate) fn sequence_used(next: Sequence) -> Self {
        let rejected = TxRejected::SequenceTooOld { next };
        Self::rejected(rejected.code(), rejected.to_string())
    }

    /// What the client is told.
    pub(crate) fn view(self) -> ErrorView {
        let Self { code, message, hint, .. } = self;
        ErrorView { code: code.into_owned(), message, hint: hint.map(Cow::into_owned) }
    }

    pub(crate) fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<NoRoom> for ApiError {
    fn from(NoRoom { code, reason }: NoRoom) -> Self {
        Self::rejected(code, reason.into())
    }
}

/// The status and the hint for a rejection code of the verifier, the application or the pool.
fn judge(code: &str) -> (StatusCode, Option<&'static str>) {
    match code {
        BUSY | OVERLOADED | STOPPING | "pool-full" | "too-many-waiting" | "crowded-out" => {
            (StatusCode::SERVICE_UNAVAILABLE, Some("send the same transaction again in a moment, or to another node"))
        }
        HALTED => (StatusCode::SERVICE_UNAVAILABLE, Some("send it to another node, or wait until this one is upgraded")),
        "sequence-too-old" | "sequence-used" | "sequence-taken" | "sequence-too-far" => {
            (StatusCode::CONFLICT, Some("GET /v1/accounts/{address} returns the next sequence number"))
        }
        "sender-full" => (StatusCode::CONFLICT, Some("wait until some of the sender's transactions are committed")),
        "insufficient-funds" | "state-full" | "sequence-exhausted" | "deposit-locked" | "no-account" => (StatusCode::CONFLICT, None),
        "other-network" => (StatusCode::BAD_REQUEST, Some("GET /v1/status returns the genesis hash of this network")),
        "expired" => (StatusCode::BAD_REQUEST, Some("sign it again, to expire a few minutes from now")),
        "signature" => (StatusCode::BAD_REQUEST, Some("sign the transaction's id with the sender's key")),
        _ => (StatusCode::BAD_REQUEST, None),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = (self.status, self.code.clone());
        // Conditions that only an operator can end do not pass within a second.
        let is_passing =
            status == StatusCode::SERVICE_UNAVAILABLE && ![STOPPING, DISK_NEARLY_FULL, HISTORY_DAMAGED, HALTED].contains(&&*code);
        let mut response = (status, Json(ErrorBody { error: self.view() })).into_response();
        if is_passing {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// Sets the header with a transaction's id.
pub(crate) fn name_transaction(response: &mut Response, id: TxId) {
    // `0x` and hexadecimal digits always make a valid value.
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(TX_ID_HEADER, value);
    }
}

/// Longest quote of a client's input in an error.
const QUOTED_CHARS_MAX: usize = 100;

/// A client's input, escaped and truncated for an error.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

pub(crate) async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found("no-such-path", format!("there is nothing at {}", quoted(uri.path()))).with_hint("start with GET /v1/status")
}

pub(crate) async fn method_not_allowed(uri: Uri) -> ApiError {
    let message = format!("{} does not support this method", quoted(uri.path()));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
        .with_hint("/v1/transactions, /v1/transactions/batch and /v1/query take POST, everything else GET")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_for_want_of_room_is_told_when_to_come_again() {
        for (refusal, retry_after) in [(NoRoom::OVERLOADED, Some("1")), (NoRoom::BUSY, Some("1")), (NoRoom::STOPPING, None)] {
            let response = ApiError::from(refusal).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
            assert_eq!(response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap()), retry_after, "{refusal:?}");
        }
        assert_eq!(ApiError::rejected(HALTED, String::new()).into_response().headers().get(RETRY_AFTER), None);
        assert_eq!(ApiError::rejected("sequence-too-old", String::new()).into_response().headers().get(RETRY_AFTER), None);
    }
}
