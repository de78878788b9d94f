//! A service whose nodes are silent, refuse, or are one node under two names.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use fake::{Fake, address, hexadecimal};
use futures::future::{join, join_all};
use quorate_client::{Client, ClientError, LightClient, Pace, Service, ServiceError, Session};
use quorate_types::{
    crypto::SigningKey,
    ids::TxId,
    receipt::{Outcome, Receipt},
    round::{Height, Sequence, UnixMillis},
    rpc::{AccountView, QueryView},
    state_key::{AccountRecord, account_key},
    transaction::Transaction,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

const LONG: Duration = Duration::from_secs(60);
/// Shorter than the timeout for a silent node, and long enough for a slow machine.
const SOON: Duration = Duration::from_secs(8);

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A node that accepts and never answers.
async fn silent() -> String {
    serve(Router::new().fallback(|| async { std::future::pending::<StatusCode>().await })).await
}

/// A node that answers every query with `value`.
async fn answers(value: u8) -> String {
    let view = serde_json::to_string(&QueryView { answer: hex::encode([value]), height: Height(6), shown: None }).unwrap();
    serve(Router::new().route("/v1/query", post(move || async { view }))).await
}

/// A node that refuses every query.
async fn refuses(status: u16, code: &str) -> String {
    let refusal = (StatusCode::from_u16(status).unwrap(), format!(r#"{{"error":{{"code":"{code}","message":"not here"}}}}"#));
    serve(Router::new().route("/v1/query", post(move || async { refusal }))).await
}

fn session(urls: &[String]) -> Session {
    let pace = Pace { pause: Duration::from_millis(5), patience: Duration::from_millis(200) };
    Session::new(Client::new(urls).unwrap(), LightClient::new(Fake::new(Vec::new()).genesis).unwrap()).with_pace(pace)
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn service(urls: &[String]) -> Service {
    Service::new(session(urls), key())
}

#[tokio::test]
async fn enough_equal_answers_do_not_wait_for_a_node_that_is_silent() {
    let service = service(&[silent().await, answers(5).await, silent().await, answers(5).await]);
    let agreed = timeout(SOON, service.query_bytes(b"?", LONG)).await.unwrap().unwrap();
    assert_eq!((agreed.value, agreed.height, agreed.nodes), (vec![5], Height(6), 2));
}

#[tokio::test]
async fn a_silent_node_does_not_keep_the_others_from_being_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let view = |value: u8| serde_json::to_string(&QueryView { answer: hex::encode([value]), height: Height(6), shown: None }).unwrap();
    let moves = post(move || async move { view(if asked.fetch_add(1, Ordering::Relaxed) < 2 { 4 } else { 5 }) });
    let behind = serve(Router::new().route("/v1/query", moves)).await;
    let agreed = timeout(SOON, service(&[silent().await, behind, answers(5).await]).query_bytes(b"?", LONG)).await.unwrap().unwrap();
    assert_eq!(agreed.value, [5]);
}

#[tokio::test]
async fn when_the_time_is_over_the_answers_that_came_are_counted() {
    let service = service(&[silent().await, answers(5).await, answers(6).await, silent().await]);
    let error = service.query_bytes(b"?", Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, ServiceError::NoAgreement { most: 1, asked: 4, needed: 2, .. }), "{error}");
}

#[tokio::test]
async fn what_enough_nodes_refuse_alike_is_refused_at_once() {
    let nodes = [silent().await, refuses(400, "unsupported").await, refuses(400, "other").await, refuses(400, "unsupported").await];
    let error = timeout(SOON, service(&nodes).query_bytes(b"?", LONG)).await.unwrap().unwrap_err();
    assert!(matches!(&error, ServiceError::Refused { code, nodes: 2, .. } if code == "unsupported"), "{error}");
    assert_eq!(error.to_string(), r#"2 nodes gave the same refusal: "not here" (unsupported)"#);
}

#[tokio::test]
async fn refusals_of_too_few_and_of_those_who_cannot_serve_now_decide_nothing() {
    let busy = [refuses(503, "overloaded").await, refuses(503, "overloaded").await];
    let error = service(&busy).query_bytes(b"?", Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ServiceError::NoAgreement { most: 0, .. }), "{error}");
    let mixed = [refuses(400, "unsupported").await, answers(5).await, answers(5).await];
    assert_eq!(service(&mixed).query_bytes(b"?", LONG).await.unwrap().value, [5]);
}

#[tokio::test]
async fn one_node_named_twice_is_one_node() {
    let liar = answers(66).await;
    let port = liar.rsplit(':').next().unwrap();
    let names = [liar.clone(), format!("{liar}/"), format!("HTTP://127.0.0.1:{port}"), format!(" http://you@127.1:{port}")];
    let error = service(&names).query_bytes(b"?", LONG).await.unwrap_err();
    assert!(matches!(error, ServiceError::NoAgreement { asked: 1, needed: 2, .. }), "{error}");
    let nodes = [format!("{liar}/a"), format!("{liar}/b")];
    let error = service(&nodes).query_bytes(b"?", LONG).await.unwrap_err();
    assert!(matches!(error, ServiceError::Refused { nodes: 2, .. }), "a proxy may serve several nodes: {error}");
}

#[tokio::test]
async fn transactions_are_sent_again_to_all_nodes_at_the_same_time() {
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    let takes = post(move |_: Bytes| async move {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let nodes = [silent().await, silent().await, silent().await, serve(Router::new().route("/v1/transactions", takes)).await];
    let transactions: Vec<_> = (0..8).map(|number| signed(number, b"x")).collect();
    let start = Instant::now();
    session(&nodes).send_again(&transactions, Duration::from_millis(500)).await;
    assert_eq!(received.load(Ordering::Relaxed), 8);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

fn signed(sequence: u64, payload: &[u8]) -> Transaction {
    let genesis = Fake::new(Vec::new()).genesis.hash();
    Transaction::sign(genesis, &key(), Sequence(sequence), UnixMillis(u64::MAX), payload.to_vec())
}

const REFUSED: &[u8] = b"refused";

/// A node that commits one account's transactions in order of their sequence numbers, parks early ones, and refuses those with the payload
/// [`REFUSED`]. It takes a while over each, so that calls that do not wait their turn overtake one another.
async fn pool() -> String {
    let parked = Arc::new(Mutex::new(BTreeSet::<u64>::new()));
    let account = {
        let record = AccountRecord::default();
        let fake = Fake::new(Vec::new());
        let proof = hexadecimal(&fake.value_proof(6, (&account_key(&address(9)), b"another's")));
        move |Path(address): Path<String>| async move {
            let view = AccountView {
                address: address.parse().unwrap(),
                sequence: record.sequence(),
                next_sequence: record.sequence(),
                permission: quorate_types::permission::Permission::default(),
                height: Height(6),
                proof,
                value: None,
                shown: None,
            };
            serde_json::to_string(&view).unwrap()
        }
    };
    let submit = move |uri: axum::http::Uri, body: Bytes| async move {
        let tx = Transaction::decode(Arc::from(body.as_ref())).unwrap();
        let number = tx.content().sequence.0;
        if tx.content().payload == REFUSED {
            sleep(Duration::from_millis(50)).await;
            return (StatusCode::CONFLICT, r#"{"error":{"code":"insufficient-funds","message":"no"}}"#.to_owned());
        }
        parked.lock().unwrap().insert(number);
        if !uri.query().unwrap().contains("wait=committed") {
            return (StatusCode::OK, format!(r#"{{"tx_id":"{}","status":"pending"}}"#, tx.id()));
        }
        let turn = (0..number).all(|earlier| parked.lock().unwrap().contains(&earlier));
        if !turn {
            sleep(Duration::from_millis(50)).await;
            return (StatusCode::ACCEPTED, format!(r#"{{"tx_id":"{}","status":"pending"}}"#, tx.id()));
        }
        let receipt = Receipt { tx_id: tx.id(), outcome: Outcome::Applied(vec![7]) };
        let proof = hexadecimal(&Fake::new(Vec::new()).transaction_proof(6, &[receipt], 0));
        (StatusCode::OK, format!(r#"{{"tx_id":"{}","status":"pending","proof":"{proof}"}}"#, tx.id()))
    };
    serve(Router::new().route("/v1/transactions", post(submit)).route("/v1/accounts/{address}", get(account))).await
}

#[tokio::test]
async fn an_operation_that_is_refused_does_not_hold_up_those_after_it() {
    let service = service(&[pool().await]);
    let timeout = Duration::from_secs(10);
    let others = join_all((0..20).map(|_| service.invoke_bytes(b"x".to_vec(), timeout)));
    let (refused, others) = join(service.invoke_bytes(REFUSED.to_vec(), timeout), others).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ServiceError::Client(ClientError::Unknown { refused: true, .. })), "{error}");
    let ids: BTreeSet<TxId> = others.into_iter().map(|invoked| invoked.unwrap().tx_id).collect();
    assert_eq!(ids.len(), 20);
}
