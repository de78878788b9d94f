//! A client with several nodes: it finds a live one, bounds what it reads, and reports what it does not know.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::StatusCode,
    routing::{get, post},
};
use fake::{Fake, hexadecimal};
use quorate_builtin::{BankOperation, Operation};
use quorate_client::{Client, ClientError, LightClient, Pace, Session};
use quorate_types::{
    crypto::SigningKey,
    ids::{Address, GenesisHash, TxId},
    receipt::{Outcome, Receipt},
    round::{Sequence, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
};
use tokio::net::TcpListener;

const LONG: Duration = Duration::from_secs(60);

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A URL where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A node that reads a request and closes the connection.
async fn breaks_off() -> String {
    use tokio::io::AsyncReadExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut some = [0; 64];
            let _read = socket.read(&mut some).await;
        }
    });
    url
}

/// A node that closes every first connection without an answer, and answers on every second one.
async fn breaks_off_first(answer: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut some = [0; 1_024];
            let _read = socket.read(&mut some).await;
            if number % 2 == 1 {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
                socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
            }
        }
    });
    url
}

#[tokio::test]
async fn a_question_whose_connection_broke_is_asked_once_more_and_a_submission_is_not() {
    let client = Client::new(&[breaks_off_first("the genesis").await]).unwrap();
    assert_eq!(client.genesis_json(|_| true).await.unwrap(), b"the genesis");
    let error = client.submit(&transaction(), Wait::Accepted, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "it may have arrived: {error}");
}

fn transaction() -> Transaction {
    let operation = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
    Transaction::sign(GenesisHash::default(), &SigningKey::from_seed(&[1; 32]), Sequence(0), UnixMillis(u64::MAX), operation.encode())
}

fn submitted(tx: &Transaction, rest: &str) -> String {
    format!(r#"{{"tx_id":"{}",{rest}}}"#, tx.id())
}

#[tokio::test]
async fn goes_on_to_the_next_node_and_stays_with_the_one_that_answers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let overloaded = asked.clone();
    let first = serve(Router::new().route(
        "/v1/transactions/{id}",
        get(move || {
            overloaded.fetch_add(1, Ordering::Relaxed);
            async { (StatusCode::SERVICE_UNAVAILABLE, r#"{"error":{"code":"catching-up","message":"not yet"}}"#) }
        }),
    ))
    .await;
    let second = serve(Router::new().route("/v1/transactions/{id}", get(|| async { r#"{"status":"pending"}"# }))).await;
    let client = Client::new(&[nobody().await, first.clone(), second]).unwrap();
    for _ in 0..3 {
        client.transaction(TxId::default()).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let alone = Client::new(&[first]).unwrap();
    let error = alone.transaction(TxId::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 503, code, .. } if code == "catching-up"));
}

#[tokio::test]
async fn says_which_nodes_do_not_answer() {
    let (a, b) = (nobody().await, nobody().await);
    let error = Client::new(&[&a, &b]).unwrap().status().await.unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { tried } if tried.contains(&a) && tried.contains(&b)), "{error}");
    let error = Client::new(&[&a]).unwrap().submit(&transaction(), Wait::None, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "nothing was sent: {error}");
}

#[test]
fn urls_that_are_no_nodes_are_refused() {
    for url in ["", "127.0.0.1:8080", "ftp://a", "http://a/?x=1"] {
        assert!(matches!(Client::new(&[url]), Err(ClientError::Url { .. })), "{url}");
    }
    assert!(Client::new::<&str>(&[]).is_err());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let body = vec![b' '; (4 << 20) + 1];
    let url = serve(Router::new().route("/v1/status", get(move || async { body }))).await;
    let error = Client::new(&[url]).unwrap().status().await.unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { tried } if tried.contains("longer than")), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_of_the_api_is_named() {
    let url = serve(Router::new().route("/v1/status", get(|| async { "<html>" }))).await;
    let client = Client::new(&[url]).unwrap();
    assert!(matches!(client.status().await, Err(ClientError::Answer { .. })));
    let error = client.transaction(TxId::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 404, code, .. } if code == "http-404"));
}

#[tokio::test]
async fn a_refusal_is_passed_on_with_its_words_and_proves_nothing() {
    let refuse = || async { (StatusCode::BAD_REQUEST, r#"{"error":{"code":"insufficient-funds","message":"no","hint":"earn some"}}"#) };
    let url = serve(Router::new().route("/v1/transactions", post(refuse))).await;
    let error = Client::new(&[&url]).unwrap().submit(&transaction(), Wait::Accepted, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { code, hint: Some(_), .. } if code == "insufficient-funds"));
    let error = session(&[url]).submit_and_verify(&transaction(), LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_submission_that_broke_off_is_unknown() {
    let tx = transaction();
    let error = Client::new(&[breaks_off().await]).unwrap().submit(&tx, Wait::Accepted, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { tx_id, .. } if tx_id == tx.id()));
    // The next node refuses it, possibly because the first one got it committed.
    let refuse = || async { (StatusCode::BAD_REQUEST, r#"{"error":{"code":"sequence","message":"used"}}"#) };
    let refuses = serve(Router::new().route("/v1/transactions", post(refuse))).await;
    let error = Client::new(&[breaks_off().await, refuses.clone()]).unwrap().submit(&tx, Wait::Accepted, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error}");
    let nodes = [breaks_off().await, refuses, serve(slow_node(&tx, 0)).await];
    assert!(session(&nodes).submit_and_verify(&tx, LONG).await.is_ok());
}

#[tokio::test]
async fn a_transaction_that_could_not_leave_was_not_sent() {
    let error = session(&[nobody().await, nobody().await]).submit_and_verify(&transaction(), LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_about_another_transaction_is_not_taken_for_ours() {
    let other = format!(r#"{{"tx_id":"{}","status":"pending"}}"#, TxId::default());
    let url = serve(Router::new().route("/v1/transactions", post(move || async { other }))).await;
    let error = Client::new(&[url]).unwrap().submit(&transaction(), Wait::Accepted, LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error}");
}

fn session(urls: &[String]) -> Session {
    let pace = Pace { pause: Duration::from_millis(5), patience: Duration::from_millis(200) };
    Session::new(Client::new(urls).unwrap(), LightClient::new(Fake::new(Vec::new()).genesis).unwrap()).with_pace(pace)
}

/// A node whose chain commits the transaction, but which answers the submission before that.
fn slow_node(tx: &Transaction, polls_until_committed: usize) -> Router {
    let fake = Fake::new(Vec::new());
    let receipt = Receipt { tx_id: tx.id(), outcome: Outcome::Applied(Vec::new()) };
    let proof = hexadecimal(&fake.transaction_proof(6, &[receipt], 0));
    let pending = submitted(tx, r#""status":"pending""#);
    let polls = Arc::new(AtomicUsize::new(0));
    Router::new().route("/v1/transactions", post(move |_: Bytes| async { (StatusCode::ACCEPTED, pending) })).route(
        "/v1/transactions/{id}/proof",
        get(move || async move {
            if polls.fetch_add(1, Ordering::Relaxed) < polls_until_committed {
                (StatusCode::NOT_FOUND, r#"{"error":{"code":"not-committed","message":"no"}}"#.to_owned())
            } else {
                (StatusCode::OK, format!(r#"{{"proof":"{proof}"}}"#))
            }
        }),
    )
}

#[tokio::test]
async fn waits_for_the_commit_and_checks_its_proof() {
    let tx = transaction();
    let proven = session(&[serve(slow_node(&tx, 3)).await]).submit_and_verify(&tx, LONG).await.unwrap();
    assert_eq!(proven.value().receipt.tx_id, tx.id());
    let never = session(&[serve(slow_node(&tx, usize::MAX)).await]);
    let error = never.submit_and_verify(&tx, Duration::from_millis(30)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { tx_id, .. } if tx_id == tx.id()));
}

#[tokio::test]
async fn a_node_that_keeps_a_transaction_to_itself_is_not_waited_for() {
    let tx = transaction();
    let (keeps, commits) = (serve(slow_node(&tx, usize::MAX)).await, serve(slow_node(&tx, 1)).await);
    let proven = session(&[keeps, commits]).submit_and_verify(&tx, LONG).await.unwrap();
    assert_eq!(proven.value().receipt.tx_id, tx.id());
}

#[tokio::test]
async fn a_full_node_is_sent_the_transaction_again_when_it_says_but_not_beyond_the_time_allowed() {
    const FULL: &str = r#"{"error":{"code":"overloaded","message":"full"}}"#;
    let tx = transaction();
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = submitted(&tx, r#""status":"pending""#);
    let (count, of_node) = (asked.clone(), answer.clone());
    let node = post(move || {
        let is_full = count.fetch_add(1, Ordering::Relaxed) < 2;
        let (status, body) = if is_full { (StatusCode::SERVICE_UNAVAILABLE, FULL.to_owned()) } else { (StatusCode::OK, of_node.clone()) };
        async move { (status, [("retry-after", "0")], body) }
    });
    let url = serve(Router::new().route("/v1/transactions", node)).await;
    Client::new(&[url]).unwrap().submit(&tx, Wait::Accepted, LONG).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    let never = post(|| async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1000")], FULL) });
    let url = serve(Router::new().route("/v1/transactions", never)).await;
    let error = Client::new(&[url]).unwrap().submit(&tx, Wait::Accepted, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused { code, .. } if code == "overloaded"), "{error}");
}

#[tokio::test]
async fn a_session_comes_back_to_nodes_that_are_full_when_the_first_of_them_says() {
    const FULL: &str = r#"{"error":{"code":"overloaded","message":"full"}}"#;
    let tx = transaction();
    let asked = Arc::new(AtomicUsize::new(0));
    let full = |retry_after: &'static str| {
        let count = asked.clone();
        let node = post(move || {
            count.fetch_add(1, Ordering::Relaxed);
            async move { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", retry_after)], FULL) }
        });
        serve(Router::new().route("/v1/transactions", node))
    };
    let nodes = [full("1").await, nobody().await, full("1000").await];
    let error = session(&nodes).submit_and_verify(&tx, Duration::from_millis(1_400)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }));
    // At its pace alone the session would retry hundreds of times; it waits at least half a second, so it retries at most twice.
    assert!((2..=6).contains(&asked.load(Ordering::Relaxed)), "{asked:?}");
}

#[test]
fn a_client_is_taken_apart_into_one_for_each_node_whose_url_holds_no_password() {
    let client = Client::new(&["http://a.example:1/", "http://operator:secret@b.example:2", "http://a.example:1"]).unwrap();
    let urls: Vec<_> = client.apart().into_iter().map(|(url, _)| url).collect();
    assert_eq!(urls, ["http://a.example:1", "http://b.example:2"]);
}
