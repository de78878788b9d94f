//! Whatever strangers send, a validator answers with a clear error or not at all, and keeps working.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use quorate_builtin::{BankOperation, KvAction, KvOperation, KvSpace, Operation, keys::kv_key};
use quorate_tests::{Cluster, DEADLINE};
use quorate_types::{
    genesis::Genesis,
    round::{Sequence, UnixMillis},
    rpc::{ErrorBody, TransactionStatus, Wait},
    transaction::Transaction,
};
use quorate_wallet::account;

const FAR_FUTURE: UnixMillis = UnixMillis(4_000_000_000_000);

async fn post(url: String, body: Vec<u8>) -> (u16, String) {
    let http = quorate_client::http::without_tls().timeout(Duration::from_secs(20)).build().unwrap();
    let answer = http.post(url).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn get(url: String) -> (u16, String) {
    let http = quorate_client::http::without_tls().timeout(Duration::from_secs(20)).build().unwrap();
    let answer = http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The first line of the answer to a request whose announced body is never sent.
fn announce(url: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("POST /v1/transactions?wait=accepted HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The error's code. Every error has a stable code and a message.
fn code(body: &str) -> String {
    let error: ErrorBody = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(!error.error.message.is_empty());
    error.error.code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_transactions_are_refused_with_the_reason_and_the_chain_goes_on() {
    let cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let to = bob.public().address;
    let operation = Operation::Bank(BankOperation::Transfer { to, amount: 1 });
    let genesis_hash = cluster.genesis().hash();
    let submit = |raw: Vec<u8>| post(format!("{}/v1/transactions?wait=accepted", cluster.url(0)), raw);

    let good = cluster.transfer(&alice, 0, to, 1);
    let mut flipped = good.raw().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    // The same validators founded another network with the same chain id.
    let again = Genesis { timestamp: UnixMillis(1), ..cluster.genesis().clone() };
    let other_network = Transaction::sign(again.hash(), &alice.signing, Sequence(0), FAR_FUTURE, operation.encode());
    let expired = Transaction::sign(genesis_hash, &alice.signing, Sequence(0), UnixMillis(1), operation.encode());
    let far = cluster.transfer(&alice, u64::MAX - 1, to, 1);
    let trailing = [good.raw().to_vec(), vec![0]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("garbage", vec![0xff; 1_000]),
        ("cut short", good.raw()[..good.raw().len() - 1].to_vec()),
        ("a byte too many", trailing),
        ("a wrong signature", flipped),
        ("another chain", other_network.raw().to_vec()),
        ("expired", expired.raw().to_vec()),
        ("a number far ahead", far.raw().to_vec()),
    ];
    for (what, raw) in cases {
        let (status, body) = submit(raw).await;
        assert!((400..500).contains(&status), "{what}: {status} {body}");
        code(&body);
    }
    assert_eq!(announce(cluster.url(0), 1 << 20), "HTTP/1.1 413 Payload Too Large", "the announced body is too large");
    let (status, body) = submit(vec![0; 1 << 20]).await;
    assert_eq!((status, code(&body).as_str()), (413, "body-too-large"), "the answer arrives while the body is still being sent");
    for (path, body) in [("/v1/transactions?wait=never", vec![1]), ("/v1/transactions/batch", vec![0xff; 64]), ("/v1/nothing", vec![])] {
        let (status, body) = post(format!("{}{path}", cluster.url(0)), body).await;
        assert!((400..500).contains(&status), "{path}: {status} {body}");
    }
    for path in [
        "/v1/blocks/x",
        "/v1/blocks/99999999",
        "/v1/accounts/0x12",
        "/v1/state/kv/own/0x12/00",
        "/v1/state/kv/shared/zz",
        "/v1/transactions/1",
    ] {
        let (status, body) = get(format!("{}{path}", cluster.url(0))).await;
        assert!((400..500).contains(&status), "{path}: {status} {body}");
        code(&body);
    }

    // None of these has used alice's sequence number.
    cluster.session(&[0]).submit_and_verify(&good, DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_sent_again_and_again_takes_effect_once() {
    let cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, 0, bob.public().address, 7);
    // To all validators at once, then again after the commit.
    let clients: Vec<_> = (0..4).map(|index| cluster.client(&[index])).collect();
    let (one, two, three, four) = tokio::join!(
        clients[0].submit(&tx, Wait::Accepted, DEADLINE),
        clients[1].submit(&tx, Wait::Accepted, DEADLINE),
        clients[2].submit(&tx, Wait::Accepted, DEADLINE),
        clients[3].submit(&tx, Wait::Accepted, DEADLINE),
    );
    for answer in [one, two, three, four] {
        assert_eq!(answer.unwrap().tx_id, tx.id());
    }
    let proven = cluster.session_from(0).submit_and_verify(&tx, DEADLINE).await.unwrap();
    cluster.equal_roots(&[0, 1, 2, 3], proven.certificate().header.height).await;
    for client in &clients {
        let again = client.submit(&tx, Wait::Committed, DEADLINE).await.unwrap();
        assert!(
            matches!(again.status, TransactionStatus::Committed { height, .. } if height == proven.certificate().header.height),
            "{again:?}"
        );
    }
    // Another transaction with the same sequence number is too late.
    let late = cluster.transfer(&alice, 0, bob.public().address, 8);
    assert!(clients[0].submit(&late, Wait::Committed, DEADLINE).await.is_err());
    let account = account(&cluster.session(&[3]), bob.public().address).await.unwrap();
    assert_eq!(account.value().balance, 1_000_007);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_both_ports_are_cut_off_and_the_chain_goes_on() {
    let cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let api = cluster.url(0).trim_start_matches("http://").to_owned();
    let mut held = Vec::new();
    for address in [api.as_str(), cluster.p2p(0).as_str()] {
        for garbage in
            [vec![0; 100_000], vec![0xff; 100_000], b"GET / HTTP/1.1\r\n".repeat(20_000), b"\x13/multistream/1.0.0\n".repeat(5_000)]
        {
            let mut stranger = TcpStream::connect(address).unwrap();
            stranger.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
            // The node may close the connection in the middle, as it should.
            drop(stranger.write_all(&garbage));
            held.push(stranger);
        }
        // Some connections send nothing and stay open as long as the node allows.
        held.extend((0..50).map(|_| TcpStream::connect(address).unwrap()));
    }
    let mut header = TcpStream::connect(&api).unwrap();
    drop(header.write_all(format!("GET /v1/status HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).as_bytes()));
    header.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    drop(header.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "a megabyte of headers must be refused");

    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let value = vec![b'v'; quorate_builtin::operation::KV_VALUE_BYTES_MAX];
    let put = |value: Vec<u8>| Operation::Kv(KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Put(value) });
    for index in 0..4 {
        let tx = cluster.transfer(&alice, index, bob.public().address, 1);
        cluster.session_from(usize::try_from(index).unwrap()).submit_and_verify(&tx, DEADLINE).await.unwrap();
    }
    let largest = cluster.sign(&bob, 0, &put(value.clone()));
    let proven = cluster.session(&[0]).submit_and_verify(&largest, DEADLINE).await.unwrap();
    // The last validator may learn of the commit a moment after the queried one.
    cluster.equal_roots(&[0, 1, 2, 3], proven.certificate().header.height).await;
    let stored = cluster.session(&[3]).state_verified(&kv_key(KvSpace::Own, &bob.public().address, b"k")).await.unwrap();
    assert_eq!(stored.value().as_deref(), Some(value.as_slice()));
    drop(held);
}
