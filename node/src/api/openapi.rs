//! The API's description (`OpenAPI` 3.1), made from the handlers and from the types of their answers. docs/openapi.json is a copy.

use std::sync::LazyLock;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use quorate_app::KEY_BYTES_MAX;
use quorate_types::{
    event::{BlockEvent, EVENT_TRANSACTIONS_MAX, NodeEvent, TransactionsEvent},
    genesis::APPLICATION_NAME_BYTES_MAX,
    governance::BOARD_MAX,
    message::{ANSWER_BYTES_MAX, BATCH_BYTES_MAX, BATCH_TRANSACTIONS_MAX, CATCHUP_BLOCKS_MAX},
    proof::PROOF_HEADERS_MAX,
    rpc::{EPOCH_CHANGES_MAX, ErrorBody, LISTED_KEYS_MAX, LISTED_OUTPUT_BYTES_MAX, LISTED_TRANSACTIONS_MAX, PERMITTED_MAX},
    transaction::{PAYLOAD_BYTES_MAX, TRANSACTION_BYTES_MAX},
};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema,
        schema::{AnyOfBuilder, Type},
    },
};

use super::{
    error::{ApiError, CODES},
    events, explain, health, raw, reads,
    seats::Shared,
    submit::{self, WAIT_DEFAULT, WAIT_MAX},
};
use crate::{
    chain::PAGE_OUTPUT_BYTES_MAX,
    metrics::{OTHER, REJECTED},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "quorate",
        version = "1",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        description = "The HTTP API of a quorate node.\n\n\
            Hashes, ids and addresses are `0x` and 64 hexadecimal digits; signatures, proofs, keys of the state, values and answers are \
            hexadecimal digits without `0x`; amounts are decimal text. All other numbers are JSON numbers, up to 2^64 - 1. docs/formats.md \
            describes every byte behind the digits.\n\n\
            An error has another status than 200 and 202, and an `ErrorBody`, except where HTTP itself is broken: a head that is malformed, too \
            long (16 KiB, 64 headers) or too slow gets 400, 408 or 431 without a body. A 503 that soon passes has `Retry-After`; send the same \
            request again, to this node or another one. A parameter that a path does not know is refused, not ignored.\n\n\
            No answer needs to be trusted where it has a proof. Everything else is this node's word."
    ),
    servers((url = "/", description = "This node")),
    tags(
        (name = "transactions", description = "Submit transactions, and learn what became of them."),
        (name = "state", description = "Read the newest committed state, with proofs."),
        (name = "chain", description = "Blocks, committees, and the network."),
        (name = "bytes", description = "Committed data as canonical bytes, for auditors."),
        (name = "operators", description = "How the node is doing.")
    ),
    paths(
        submit::one,
        submit::batch,
        reads::transaction,
        reads::transaction_proof,
        reads::transaction_output,
        raw::transaction,
        reads::account,
        reads::keys,
        reads::state,
        reads::query,
        reads::block,
        raw::block,
        raw::receipts,
        raw::blocks,
        raw::headers,
        reads::status,
        reads::epochs,
        reads::permissions,
        reads::genesis,
        raw::genesis,
        description,
        explain::consensus,
        explain::drops,
        explain::evidence_list,
        explain::evidence,
        events::chain,
        events::node,
        health::livez,
        health::readyz,
        health::metrics,
    ),
    components(schemas(ErrorBody, BlockEvent, NodeEvent, TransactionsEvent)),
    modifiers(&Errors)
)]
struct Description;

/// Adds to every path the errors that any path may have, and lists all codes.
struct Errors;

/// The errors of any path: status, name, when.
const EVERYWHERE: [(&str, &str, &str); 3] = [
    ("421", "Misdirected", "`host`: the request names another host"),
    ("500", "Internal", "`internal`: the node failed; ask another one"),
    (
        "503",
        "Unavailable",
        "This node cannot serve it now, another one may: `busy`, `stopping`, `history-damaged`; transactions also \
        `overloaded`, `disk-nearly-full`, or a code of the rejection",
    ),
];

impl Modify for Errors {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        if let Some(components) = &mut api.components {
            for (_, name, when) in EVERYWHERE {
                let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
                let response = ResponseBuilder::new().description(when).content("application/json", body).build();
                components.responses.insert(name.into(), response.into());
            }
            if let Some(RefOr::T(Schema::Object(error))) = components.schemas.get_mut("ErrorView") {
                error.properties.insert("code".into(), code());
            }
        }
        for path in api.paths.paths.values_mut() {
            for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
                for (status, name, _) in EVERYWHERE {
                    operation.responses.responses.entry(status.into()).or_insert_with(|| Ref::from_response_name(name).into());
                }
            }
        }
    }
}

/// The schema of an error's code: the known ones, but an application may have others.
fn code() -> RefOr<Schema> {
    let meanings: Vec<_> = CODES.iter().map(|(code, status, meaning)| format!("- `{code}` ({status}): {meaning}")).collect();
    let text = || ObjectBuilder::new().schema_type(Type::String);
    AnyOfBuilder::new()
        .description(Some("A stable code for programs."))
        .item(
            text()
                .enum_values(Some(CODES.map(|(code, ..)| code)))
                .description(Some(format!("An error of the API:\n\n{}", meanings.join("\n")))),
        )
        .item(text().enum_values(Some(rejections())).description(Some("Why a transaction is rejected.")))
        .item(text().pattern(Some("^[a-z0-9-]{1,32}$")).description(Some("A code of a custom application.")))
        .into()
}

/// The codes of rejected transactions that are not also codes of the API's own.
pub(crate) fn rejections() -> Vec<&'static str> {
    let known = |code: &&str| *code != OTHER && !CODES.iter().any(|(own, ..)| own == code);
    let mut codes: Vec<_> = REJECTED.iter().copied().chain(["other-network", "signature"]).filter(known).collect();
    codes.sort_unstable();
    codes
}

/// The description as JSON with sorted names, so that it reads well in a diff.
fn text() -> Result<String, serde_json::Error> {
    let mut description = serde_json::to_value(Description::openapi())?;
    make_plain(&mut description);
    Ok(format!("{description:#}\n"))
}

/// Rewrites the texts, which come from comments in the code, for readers who do not have the code.
fn make_plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if matches!(name.as_str(), "description" | "summary") => *text = plain(text),
                    other => make_plain(other),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(make_plain),
        _ => {}
    }
}

/// A text with numbers in place of links to limits, and names in place of links to types.
fn plain(text: &str) -> String {
    let limits = limits();
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, (name, after))) = rest.split_once("[`").and_then(|(before, link)| Some((before, link.split_once("`]")?))) {
        plain.push_str(before);
        let last = name.rsplit_once("::").map_or(name, |(_, last)| last);
        match limits.iter().find(|(limit, _)| *limit == name || *limit == last) {
            Some((_, number)) => plain.push_str(&grouped(*number)),
            None => plain.extend(["`", if name.starts_with("crate::") { last } else { name }, "`"]),
        }
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

/// The limits that texts link to. The first that fits a link counts.
fn limits() -> [(&'static str, u64); 20] {
    [
        ("quorate_app::ANSWER_BYTES_MAX", quorate_app::ANSWER_BYTES_MAX as u64),
        ("ANSWER_BYTES_MAX", ANSWER_BYTES_MAX as u64),
        ("APPLICATION_NAME_BYTES_MAX", APPLICATION_NAME_BYTES_MAX as u64),
        ("BATCH_BYTES_MAX", BATCH_BYTES_MAX as u64),
        ("BATCH_TRANSACTIONS_MAX", BATCH_TRANSACTIONS_MAX as u64),
        ("BOARD_MAX", BOARD_MAX as u64),
        ("CATCHUP_BLOCKS_MAX", CATCHUP_BLOCKS_MAX as u64),
        ("EPOCH_CHANGES_MAX", EPOCH_CHANGES_MAX as u64),
        ("EVENT_TRANSACTIONS_MAX", EVENT_TRANSACTIONS_MAX.into()),
        ("KEY_BYTES_MAX", KEY_BYTES_MAX as u64),
        ("LISTED_KEYS_MAX", LISTED_KEYS_MAX.into()),
        ("LISTED_OUTPUT_BYTES_MAX", LISTED_OUTPUT_BYTES_MAX as u64),
        ("LISTED_TRANSACTIONS_MAX", LISTED_TRANSACTIONS_MAX.into()),
        ("PAGE_OUTPUT_BYTES_MAX", PAGE_OUTPUT_BYTES_MAX as u64),
        ("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX as u64),
        ("PERMITTED_MAX", PERMITTED_MAX.into()),
        ("PROOF_HEADERS_MAX", PROOF_HEADERS_MAX as u64),
        ("TRANSACTION_BYTES_MAX", TRANSACTION_BYTES_MAX as u64),
        ("WAIT_DEFAULT", WAIT_DEFAULT.as_secs().saturating_mul(1_000)),
        ("WAIT_MAX", WAIT_MAX.as_secs().saturating_mul(1_000)),
    ]
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if place > 0 && place % 3 == 0 {
            text.push(',');
        }
    }
    text
}

static TEXT: LazyLock<Result<Bytes, serde_json::Error>> = LazyLock::new(|| text().map(Bytes::from));

/// This description.
#[utoipa::path(
    get,
    path = super::OPENAPI,
    tag = "chain",
    responses((status = 200, description = "The description in OpenAPI 3.1", body = Value))
)]
pub(super) async fn description() -> Result<Response, ApiError> {
    let text = TEXT.as_ref().map_err(|_| ApiError::internal("the description cannot be written as JSON"))?;
    let mut response = ([(CONTENT_TYPE, "application/json")], text.clone()).into_response();
    response.extensions_mut().insert(Shared);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::{EXPLORER, OTHER as NO_ROUTE, ROUTES};

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    const REGENERATE: &str = "QUORATE_REGENERATE_GOLDEN";

    fn described() -> Value {
        serde_json::from_str(&text().unwrap()).unwrap()
    }

    /// Everything with this name, wherever it is.
    fn named<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    if field == name {
                        found.push(value);
                    }
                    named(value, name, found);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| named(element, name, found)),
            _ => {}
        }
    }

    #[test]
    fn the_committed_description_is_that_of_the_code() {
        let text = text().unwrap();
        if std::env::var_os(REGENERATE).is_some_and(|value| value == "1") {
            std::fs::write(COMMITTED, &text).unwrap();
            return;
        }
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        let other = text.lines().zip(committed.lines()).position(|(now, then)| now != then);
        assert!(
            committed == text,
            "docs/openapi.json is another one, first in line {:?}; {REGENERATE}=1 cargo test --release -p quorate-node openapi writes it",
            other.map(|line| line + 1)
        );
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: BTreeSet<String> =
            ROUTES.iter().filter(|route| ![EXPLORER, NO_ROUTE].contains(route)).map(|route| route.replace("{*", "{")).collect();
        let described = described();
        let paths: BTreeSet<String> = described["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(paths, routes);
    }

    #[test]
    fn every_parameter_of_a_path_is_described() {
        for (path, item) in described()["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let described: BTreeSet<_> =
                    parameters.iter().filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
                let expected: BTreeSet<_> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
                assert_eq!(described, expected, "{path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let described = described();
        let mut references = Vec::new();
        named(&described, "$ref", &mut references);
        assert!(references.len() > 50, "{}", references.len());
        for reference in references {
            let target = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(described.pointer(target).is_some(), "{target}");
        }
    }

    #[test]
    fn texts_need_no_code_beside_them_and_state_limits_as_numbers() {
        let described = described();
        let mut texts = Vec::new();
        named(&described, "description", &mut texts);
        named(&described, "summary", &mut texts);
        for text in texts.into_iter().filter_map(Value::as_str) {
            assert!(!["[`", "crate::", "_MAX", "_DEFAULT"].iter().any(|code| text.contains(code)), "{text}");
        }
        assert_eq!(
            plain("at most [`a::PERMITTED_MAX`], a [`crate::proof::Proof`](x), a [`Role::Send`]."),
            "at most 100, a `Proof`, a `Role::Send`."
        );
        assert_eq!(plain("no [`link"), "no [`link");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let parameters = described["paths"]["/v1/transactions"]["post"]["parameters"].as_array().unwrap();
        let timeout = parameters.iter().find(|one| one["name"] == "timeout_ms").unwrap();
        assert_eq!(timeout["schema"]["maximum"].as_f64(), Some(WAIT_MAX.as_secs_f64() * 1_000.0), "{timeout}");
    }

    #[test]
    fn every_code_of_the_api_is_listed_once() {
        let codes: BTreeSet<&str> = CODES.iter().map(|(code, ..)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
        let sources = [
            include_str!("error.rs"),
            include_str!("events.rs"),
            include_str!("explain.rs"),
            include_str!("health.rs"),
            include_str!("host.rs"),
            include_str!("raw.rs"),
            include_str!("reads.rs"),
            include_str!("submit.rs"),
        ];
        let mut found = BTreeSet::new();
        for source in sources {
            for maker in ["bad_request(", "not_found(", "ApiError::new(StatusCode::", "Self::new(StatusCode::"] {
                for call in source.split(maker).skip(1) {
                    // A status comes before the code, which may be a constant or a variable.
                    let arguments = if maker.ends_with("::") { call.split_once(',').unwrap().1 } else { call };
                    let Some(code) = arguments.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                    assert!(codes.contains(code), "{code:?} is not in error.rs's list");
                    found.insert(code);
                }
            }
        }
        assert!(found.len() > 15, "{found:?}");
        let described = described();
        let listed = &described["components"]["schemas"]["ErrorView"]["properties"]["code"]["anyOf"];
        assert_eq!(listed[0]["enum"].as_array().unwrap().len(), CODES.len(), "{listed}");
        let rejections = rejections();
        assert_eq!(listed[1]["enum"].as_array().unwrap().len(), rejections.len(), "{listed}");
        assert!(rejections.contains(&"insufficient-funds") && rejections.contains(&"pool-full"), "{rejections:?}");
    }
}
