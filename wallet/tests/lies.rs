//! Every wallet command against two nodes, one of which lies. Fields, bytes and the status of each of its answers are changed, one at a time,
//! and it tells the lies of a careful liar. Nothing that the wallet reports may be wrong, and nobody may pay twice.
//!
//! ```text
//! command ── asks ──> liar: an honest node's answer, changed (submissions are forwarded, or withheld)
//!             └─────> an honest node of the same chain
//! ```
//! After each command, its result is compared with the true state of the chain, which the wallet does not see. `make test` runs a few hundred
//! lies; `make lies`, or `QUORATE_LIES=all`, runs all; `QUORATE_LIES=N` runs number N.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::http::Method;
use quorate_builtin::Account;
use quorate_client::session;
use quorate_terminal::{Format, is_plain};
use quorate_types::{ids::Address, round::Sequence, transaction::Transaction};
use serde_json::{Value, json};
use world::{Answer, BALANCE, Chain, Home, Node, Ran, SEQUENCE, TRANSFER, address, payments};

/// Number of lies in a usual run.
const SAMPLE: usize = 300;
/// Number of lies run concurrently.
const WORKERS: usize = 4;

/// What a command does, which determines what must hold after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Shows alice's balance.
    Balance,
    /// Shows the value of a key.
    Get,
    /// Pays.
    Pay,
    /// Sends another operation.
    Write,
    /// Shows the outcome of a committed payment.
    Tx,
    /// Shows the outcome of a saved and committed payment.
    Pending,
    /// Cancels a payment that no node has.
    Cancel,
    /// Shows alice twice.
    Watch,
    /// Lists a committed payment.
    History,
    /// Fetches the genesis by its hash, and shows alice's balance.
    Genesis,
}

const COMMANDS: &[(Kind, &[&str])] = &[
    (Kind::Balance, &["balance", "alice"]),
    (Kind::Get, &["get", "k", "--shared"]),
    (Kind::Pay, &TRANSFER),
    (Kind::Write, &["put", "k", "w", "--from", "alice", "--timeout", "1"]),
    (Kind::Write, &["append", "k", "w", "--shared", "--from", "alice", "--timeout", "1"]),
    (Kind::Write, &["slice", "k", "0", "1", "--shared", "--from", "alice", "--timeout", "1"]),
    (Kind::Write, &["delete", "k", "--from", "alice", "--timeout", "1"]),
    (Kind::Write, &["get", "k", "--shared", "--ordered", "--from", "alice", "--timeout", "1"]),
    (Kind::Tx, &["tx", "ID"]),
    (Kind::Tx, &["tx", "ID", "--proof"]),
    (Kind::Pending, &["pending"]),
    (Kind::Pending, &["pending", "alice", "--again"]),
    (Kind::Cancel, &["cancel", "ID", "--timeout", "1"]),
    (Kind::Watch, &["watch", "alice", "--count", "1", "--interval-ms", "50"]),
    (Kind::History, &["history", "alice", "--from-height", "1"]),
    (Kind::Genesis, &["balance", "alice", "--genesis-hash", "HASH"]),
];

/// Kinds of requests. A liar lies about one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Submit,
    Status,
    Proof,
    Account,
    Value,
    Genesis,
    Events,
    Raw,
}

fn request(method: &Method, path: &str) -> Request {
    match path {
        _ if *method == Method::POST => Request::Submit,
        _ if path.ends_with("/proof") => Request::Proof,
        _ if path.ends_with("/raw") => Request::Raw,
        _ if path.contains("/events") => Request::Events,
        _ if path.contains("/accounts/") => Request::Account,
        _ if path.contains("/state/") => Request::Value,
        _ if path.contains("/genesis") => Request::Genesis,
        _ => Request::Status,
    }
}

/// One change to an answer.
#[derive(Clone, Debug)]
enum Lie {
    /// Another status.
    Status(u16),
    /// An error with this status and code, as in the API.
    Refusal(u16, &'static str),
    /// The value at this JSON pointer is replaced, or removed.
    Field(String, Option<Value>),
    /// One character of the string at this JSON pointer is replaced, at this many sixtieths of its length.
    Digit(String, usize),
    /// One bit of the body is flipped, at this many thousandths of its length.
    Bit(usize, u8),
    /// The body is truncated to this many hundredths of its length.
    Cut(usize),
    /// Another body.
    Body(&'static [u8]),
    /// A body longer than the client reads.
    Endless,
    /// The connection breaks.
    Silence,
    /// A proof with the genesis certificate, which nobody signs.
    NobodySigned,
    /// A certified state from ten minutes ago.
    LongAgo,
    /// A certified state from one block ago with the current time, shown to a home that has seen the newer block.
    JustBefore,
    /// A true answer about another account or key.
    Else,
}

const PAINT: &str = "\r\u{1b}[2Kverified: height 7, round 8, certified in round 9 by v0, v1, v2 (3 of 4 votes)\u{202e}";

/// All lies about an answer to this kind of request.
fn lies(honest: &Answer, request: Request) -> Vec<Lie> {
    let mut lies: Vec<_> = (200..=599).map(Lie::Status).collect();
    for status in [400, 404, 409, 422, 429, 500, 503] {
        for code in ["insufficient-funds", "expired", "sequence-too-old", "sequence-taken", "pool-full", "not-committed", "busy", PAINT] {
            lies.push(Lie::Refusal(status, code));
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(&honest.body)
        && request != Request::Genesis
    {
        fields("", &value, &mut lies);
    }
    lies.extend((0..100).map(|place| Lie::Bit(place * 10, 1 << (place % 8))));
    lies.extend((0..20).map(|part| Lie::Cut(part * 5)));
    let bodies: [&[u8]; 9] =
        [b"", b"{}", b"null", b"[]", b"<html>", b"\xff\xfe", b"{\"\\u001b[2K\":\"\\r\"}", b"\r\x1b[2Kverified:", b"[[[[[[[[[["];
    lies.extend(bodies.map(Lie::Body));
    lies.extend([Lie::Endless, Lie::Silence]);
    match request {
        Request::Account | Request::Value => lies.extend([Lie::NobodySigned, Lie::LongAgo, Lie::JustBefore, Lie::Else]),
        Request::Submit | Request::Status => {
            for status in ["pending", "unknown", "dropped", "committed"] {
                lies.push(Lie::Field("/status".into(), Some(json!(status))));
            }
        }
        Request::Proof | Request::Genesis | Request::Events | Request::Raw => {}
    }
    lies
}

fn fields(place: &str, value: &Value, lies: &mut Vec<Lie>) {
    let values = [
        json!(0),
        json!(1),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!("0"),
        json!("18446744073709551615"),
        json!("18446744073709551616"),
        json!("-1"),
        json!(""),
        json!("0x00"),
        json!("zz"),
        json!(PAINT),
        json!("x".repeat(100_000)),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
    ];
    lies.extend(values.into_iter().map(|other| Lie::Field(place.into(), Some(other))));
    lies.push(Lie::Field(place.into(), None));
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| fields(&format!("{place}/{name}"), member, lies)),
        Value::Array(members) => members.iter().enumerate().for_each(|(index, member)| fields(&format!("{place}/{index}"), member, lies)),
        Value::String(text) => lies.extend((0..text.len().min(60)).map(|part| Lie::Digit(place.into(), part))),
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            lies.extend(
                [number.wrapping_add(1), number.wrapping_sub(1), number * 2].map(|other| Lie::Field(place.into(), Some(json!(other)))),
            );
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The liar's answer; `None` breaks the connection.
fn changed(chain: &Chain, lie: &Lie, path: &str, honest: Answer) -> Option<Answer> {
    let value = || serde_json::from_slice::<Value>(&honest.body).unwrap_or_default();
    Some(match lie {
        Lie::Status(status) => Answer { status: *status, ..honest },
        Lie::Refusal(status, code) => Answer::refusal(*status, code, PAINT),
        Lie::Field(place, Some(other)) => {
            let mut value = value();
            match value.pointer_mut(place) {
                Some(field) => *field = other.clone(),
                None => return Some(honest),
            }
            Answer::json(honest.status, &value)
        }
        Lie::Field(place, None) => {
            let mut value = value();
            let Some((parent, name)) = place.rsplit_once('/') else { return Some(Answer { body: Vec::new(), ..honest }) };
            if let Some(Value::Object(members)) = value.pointer_mut(parent) {
                members.remove(name);
            }
            Answer::json(honest.status, &value)
        }
        Lie::Digit(place, part) => {
            let mut value = value();
            if let Some(Value::String(text)) = value.pointer_mut(place) {
                let at = text.len() * part / 60;
                let other = if text.as_bytes().get(at) == Some(&b'7') { "8" } else { "7" };
                if text.is_char_boundary(at) && text.is_char_boundary(at + 1) && at < text.len() {
                    text.replace_range(at..=at, other);
                }
            }
            Answer::json(honest.status, &value)
        }
        Lie::Bit(place, bit) => {
            let mut body = honest.body;
            let at = body.len() * place / 1_000;
            if let Some(byte) = body.get_mut(at) {
                *byte ^= bit;
            }
            Answer { body, ..honest }
        }
        Lie::Cut(part) => {
            let end = honest.body.len() * part / 100;
            Answer { body: honest.body[..end].to_vec(), ..honest }
        }
        Lie::Body(body) => Answer { body: body.to_vec(), ..honest },
        Lie::Endless => Answer { body: vec![b' '; (4 << 20) + 1], ..honest },
        Lie::Silence => return None,
        Lie::NobodySigned => {
            let mut value = value();
            value["proof"] = json!(world::fake::hexadecimal(&chain.fake().genesis_proof()));
            value["height"] = json!(0);
            Answer::json(200, &value)
        }
        Lie::LongAgo => Answer::json(200, &before(chain, 3, session::clock().0 - 600_000, path)),
        Lie::JustBefore => Answer::json(200, &before(chain, chain.height() - 1, session::clock().0, path)),
        Lie::Else => {
            let other = if path.contains("/accounts/") { format!("/v1/accounts/{}", address("bob")) } else { "/v1/state/0x73ff".into() };
            chain.answer(&Method::GET, &other, &[])
        }
    })
}

/// An earlier state: a lower balance and sequence number, or another value.
fn before(chain: &Chain, height: u64, timestamp: u64, path: &str) -> Value {
    let last = path.rsplit('/').next().unwrap();
    if path.contains("/accounts/") {
        let of: Address = last.parse().unwrap();
        chain.account_at(height, timestamp, of, Some(Account { balance: 3, sequence: Sequence(1), stored: 326, ..Account::default() }))
    } else {
        chain.value_at(height, timestamp, &hex::decode(last.trim_start_matches("0x")).unwrap(), Some(b"old"))
    }
}

/// A lie, and how it is told.
#[derive(Clone, Debug)]
struct Case {
    number: usize,
    kind: Kind,
    arguments: &'static [&'static str],
    request: Request,
    lie: Lie,
    /// The liar forwards submissions to the chain.
    passes_on: bool,
    is_first: bool,
    format: Format,
}

/// The requests of a command, with an honest node's answers.
async fn honest(kind: Kind, arguments: &[&str]) -> BTreeMap<Request, Answer> {
    let stage = Stage::set(kind).await;
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let noted = seen.clone();
    let node = Node::of(
        &stage.chain,
        Arc::new(move |chain, method, path, body| {
            let answer = chain.answer(method, path, body);
            noted.lock().unwrap().entry(request(method, path)).or_insert_with(|| answer.clone());
            Some(answer)
        }),
    )
    .await;
    let ran = stage.run(&[&node], Format::Json, arguments).await;
    assert_eq!(ran.code, 0, "one honest node is enough: {arguments:?} {ran:?}");
    // Requested only after a lie about another request.
    let mut seen = seen.lock().unwrap().clone();
    let answer = |path: &str| stage.chain.answer(&Method::GET, path, &[]);
    if seen.contains_key(&Request::Submit) {
        let id = stage.chain.committed().pop().unwrap();
        seen.entry(Request::Proof).or_insert_with(|| answer(&format!("/v1/transactions/{id}/proof")));
    }
    seen
}

async fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, arguments) in COMMANDS {
        for (request, answer) in honest(*kind, arguments).await {
            for lie in lies(&answer, request) {
                let number = cases.len();
                // Each lie is told in one of eight ways, and in another one for the next command, which evens them out.
                let way = number.wrapping_mul(5) >> 1;
                let format = if way & 4 == 0 { Format::Json } else { Format::Text };
                let (passes_on, is_first) = (way & 1 == 0, way & 6 != 6);
                cases.push(Case { number, kind: *kind, arguments, request, lie, passes_on, is_first, format });
            }
        }
    }
    cases
}

/// A chain and a home, prepared for a kind of command.
struct Stage {
    chain: Arc<Chain>,
    home: Home,
    /// Transaction id of the payment that the command is about.
    id: String,
}

impl Stage {
    async fn set(kind: Kind) -> Self {
        let chain = Chain::new();
        let home = Home::new(&chain);
        let node = Node::honest(&chain).await;
        let id = match kind {
            Kind::Tx | Kind::History => home.json(&[&node], &TRANSFER).await.ok().json()["tx_id"].as_str().unwrap().to_owned(),
            Kind::Pending | Kind::Cancel => {
                let keeps = kind == Kind::Pending;
                let refuses = Node::of(
                    &chain,
                    Arc::new(move |chain, method, path, body| {
                        if *method == Method::GET {
                            return Some(chain.answer(method, path, body)).filter(|_| !path.ends_with("/proof"));
                        }
                        if keeps {
                            chain.answer(method, path, body);
                        }
                        Some(Answer::refusal(422, "no", "no"))
                    }),
                )
                .await;
                let ran = home.json(&[&refuses], &TRANSFER).await;
                assert_eq!(ran.code, 6, "{ran:?}");
                ran.error.unwrap().tx_id.unwrap().to_string()
            }
            Kind::Genesis => {
                std::fs::remove_file(home.path().join("config/genesis.json")).unwrap();
                String::new()
            }
            Kind::Balance | Kind::Get | Kind::Pay | Kind::Write | Kind::Watch => String::new(),
        };
        Self { chain, home, id }
    }

    async fn run(&self, nodes: &[&Node], format: Format, arguments: &[&str]) -> Ran {
        let hash = self.chain.fake().genesis.hash().to_string();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| match *argument {
                "ID" => self.id.as_str(),
                "HASH" => hash.as_str(),
                other => other,
            })
            .collect();
        if arguments[0] == "watch" {
            // Another wallet pays all the time, so that there are changes to watch.
            let other = Home::new(&self.chain);
            let node = Node::honest(&self.chain).await;
            let pays = async {
                loop {
                    other.json(&[&node], &TRANSFER).await.ok();
                }
            };
            return tokio::select! {
                ran = self.home.run(nodes, format, &arguments) => ran,
                () = pays => unreachable!("it never ends"),
            };
        }
        self.home.run(nodes, format, &arguments).await
    }
}

async fn tell(case: &Case) {
    let stage = Stage::set(case.kind).await;
    let honest = Node::honest(&stage.chain).await;
    if matches!(case.lie, Lie::JustBefore) {
        // Make this home see the newest block.
        stage.home.json(&[&honest], &["balance", "bob"]).await.ok();
    }
    let (lied_about, lie, passes_on) = (case.request, case.lie.clone(), case.passes_on);
    let told = Arc::new(AtomicUsize::new(0));
    let liar = Node::of(
        &stage.chain,
        Arc::new(move |chain, method, path, body| {
            let asked = request(method, path);
            if asked != lied_about {
                return Some(chain.answer(method, path, body));
            }
            told.fetch_add(1, Ordering::Relaxed);
            let answer = if asked == Request::Submit && !passes_on {
                let id = Transaction::decode(Arc::from(body)).unwrap().id();
                Answer::json(202, &json!({ "tx_id": id, "status": "pending" }))
            } else {
                chain.answer(method, path, body)
            };
            changed(chain, &lie, path, answer)
        }),
    )
    .await;
    let nodes: [&Node; 2] = if case.is_first { [&liar, &honest] } else { [&honest, &liar] };
    let ran = stage.run(&nodes, case.format, case.arguments).await;
    check(case, &stage, &honest, &ran).await;
}

/// Checks that the command's output is true, and that nobody pays twice when the user acts on it.
async fn check(case: &Case, stage: &Stage, honest: &Node, ran: &Ran) {
    let what = || format!("QUORATE_LIES={} {case:?}\n{ran:?}", case.number);
    for text in [&ran.written.stdout, &ran.written.stderr] {
        // The wallet's own colours, which are stripped if the stream is not a terminal.
        let text = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[36m"]
            .iter()
            .fold(text.clone(), |text, colour| text.replace(colour, ""));
        assert!(text.chars().all(|c| is_plain(c) || c == '\n') && text.len() < 20_000, "{}", what());
    }
    let says = |word: &str| ran.written.stdout.contains(word);
    match case.kind {
        // One honest node is enough to learn the truth.
        Kind::Balance | Kind::Genesis => {
            assert_eq!(ran.code, 0, "{}", what());
            let wanted = if case.format == Format::Json {
                format!(r#""balance":"{BALANCE}","sequence":{SEQUENCE}"#)
            } else {
                format!("balance   {BALANCE}\n")
            };
            assert!(says(&wanted), "{}", what());
        }
        Kind::Get => {
            assert_eq!(ran.code, 0, "{}", what());
            assert!(says(if case.format == Format::Json { r#""value":"76""# } else { "v\n" }), "{}", what());
        }
        Kind::Tx | Kind::History => {
            assert_eq!(ran.code, 0, "{}", what());
            assert!((says("applied") || case.kind == Kind::History) && says(&stage.id), "{}", what());
        }
        Kind::Watch => assert_eq!(ran.code, 0, "{}", what()),
        Kind::Pending => {
            assert_eq!(ran.code, 0, "{}", what());
            assert!(says("applied"), "{}", what());
            assert_eq!((payments(&stage.chain), stage.home.kept()), (1, 0), "{}", what());
        }
        Kind::Cancel => {
            match ran.code {
                0 => assert_eq!(stage.home.kept(), 0, "{}", what()),
                6 => settle(stage, honest).await,
                _ => panic!("{}", what()),
            }
            assert_eq!(payments(&stage.chain), 0, "{}", what());
        }
        Kind::Pay => {
            match ran.code {
                0 => {}
                // Unknown: the user asks until it is known.
                6 => settle(stage, honest).await,
                code => panic!("one honest node accepts it, so {code} is wrong: {}", what()),
            }
            assert_eq!((payments(&stage.chain), stage.home.kept()), (1, 0), "{}", what());
        }
        Kind::Write => {
            match ran.code {
                0 | 5 => {}
                6 => settle(stage, honest).await,
                code => panic!("one honest node accepts it, so {code} is wrong: {}", what()),
            }
            assert_eq!((stage.chain.operations().len(), stage.home.kept()), (1, 0), "{}", what());
            assert_ne!(ran.code, 5, "{}", what());
        }
    }
}

/// Resends saved transactions to an honest node, and settles them.
async fn settle(stage: &Stage, honest: &Node) {
    stage.home.json(&[honest], &["pending", "--again"]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_liar_among_two_nodes_makes_the_wallet_tell_nothing_wrong_and_pay_nothing_twice() {
    let cases = cases().await;
    assert!(cases.len() >= 5_000, "{} lies", cases.len());
    let chosen: Vec<Case> = match std::env::var("QUORATE_LIES").as_deref() {
        Ok("all") => cases,
        Ok(number) => vec![cases[number.parse::<usize>().unwrap()].clone()],
        // A sample with a large prime stride, unrelated to the order of the cases.
        Err(_) => {
            let count = cases.len();
            (0..SAMPLE).map(|index| cases[index * 7_919 % count].clone()).collect()
        }
    };
    let (count, next, chosen) = (chosen.len(), Arc::new(AtomicUsize::new(0)), Arc::new(chosen));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (next, chosen) = (next.clone(), chosen.clone());
            tokio::spawn(async move {
                while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    tell(case).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("{count} lies told");
}
