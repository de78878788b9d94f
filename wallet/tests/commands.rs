//! The wallet's commands against a node that holds a real committee's keys: what they check, and how they end.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

#[path = "../../client/tests/fake/mod.rs"]
mod fake;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract,
    http::StatusCode,
    routing::{get, post},
};
use clap::Parser;
use fake::{Fake, hexadecimal};
use quorate_client::{CommandError, Output, terminal::Format};
use quorate_keygen::{AccountKey, Sealing, save_account_key};
use quorate_types::{
    codec,
    failure::Code,
    genesis::GenesisAccount,
    ids::Address,
    operation::{KvSpace, Operation},
    receipt::{Outcome, Receipt},
    round::{Height, Sequence},
    rpc::{AccountView, KvView},
    state_key::{Account, account_key, kv_key},
    transaction::Transaction,
};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    command: quorate_wallet::Command,
}

/// How the node treats a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Applies,
    Fails,
    Rejects,
    KeepsPending,
    Lies,
}

struct Node {
    fake: Fake,
    manner: Manner,
    height: AtomicU64,
    /// The last transaction, its operation, and the proof of its receipt.
    last: Mutex<Option<(Transaction, String)>>,
}

impl Node {
    fn submit(&self, raw: &Bytes) -> (StatusCode, String) {
        let tx = Transaction::decode(Arc::from(&raw[..])).unwrap();
        Operation::decode(&tx.content().payload).unwrap();
        let id = tx.id();
        let outcome = match self.manner {
            Manner::Rejects => {
                return (StatusCode::BAD_REQUEST, r#"{"error":{"code":"insufficient-funds","message":"it has less"}}"#.into());
            }
            Manner::KeepsPending => return (StatusCode::ACCEPTED, format!(r#"{{"tx_id":"{id}","status":"pending"}}"#)),
            Manner::Fails => Outcome::failed(Code::new("bad-range"), &[2, 9, 5]),
            Manner::Applies | Manner::Lies => Outcome::Applied(b"done".to_vec()),
        };
        let mut proof = self.fake.transaction_proof(6, &[Receipt { tx_id: id, outcome }], 0);
        if self.manner == Manner::Lies {
            proof.receipt.outcome = Outcome::Applied(b"more".to_vec());
        }
        let proof = hexadecimal(&proof);
        let view = format!(
            r#"{{"tx_id":"{id}","status":"committed","height":6,"index":0,"outcome":{{"result":"applied","output":""}},"proof":"{proof}"}}"#
        );
        *self.last.lock().unwrap() = Some((tx, proof));
        (StatusCode::OK, view)
    }

    /// Each question is a block later, with a unit more.
    fn account(&self, address: Address) -> AccountView {
        let height = self.height.fetch_add(1, Ordering::Relaxed);
        let account = Account { balance: 100 + height, sequence: Sequence(4) };
        let proof = if height == 0 {
            hexadecimal(&self.fake.genesis_proof())
        } else {
            hexadecimal(&self.fake.value_proof(height, (&account_key(&address), &account.encode())))
        };
        AccountView {
            address,
            balance: account.balance,
            sequence: account.sequence,
            next_sequence: Sequence(5),
            height: Height(height),
            proof,
            value: Some(hex::encode(account.encode())),
        }
    }
}

struct World {
    home: tempfile::TempDir,
    url: String,
    node: Arc<Node>,
}

impl World {
    async fn new(manner: Manner, height: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let wallet = home.path().join("wallet");
        for (name, seed) in [("alice", 1), ("bob", 2)] {
            let key = AccountKey::from_seed(Zeroizing::new([seed; 32]));
            save_account_key(&wallet, name, &key, &Sealing::InsecurePlaintext).unwrap();
        }
        let alice = AccountKey::from_seed(Zeroizing::new([1; 32])).public().address;
        let fake = Fake::new(vec![GenesisAccount { address: alice, balance: 500 }]);
        fs::create_dir(home.path().join("config")).unwrap();
        fs::write(home.path().join("config/genesis.json"), serde_json::to_vec(&fake.genesis).unwrap()).unwrap();
        let node = Arc::new(Node { fake, manner, height: AtomicU64::new(height), last: Mutex::new(None) });
        let router = {
            let (submit, account, status, proof, kv, genesis) =
                (node.clone(), node.clone(), node.clone(), node.clone(), node.clone(), node.clone());
            Router::new()
                .route("/v1/transactions", post(move |raw: Bytes| async move { submit.submit(&raw) }))
                .route(
                    "/v1/transactions/{id}",
                    get(move || async move {
                        match *status.last.lock().unwrap() {
                            Some(_) => r#"{"status":"committed","height":6,"index":0,"outcome":{"result":"applied","output":""}}"#,
                            None => r#"{"status":"pending"}"#,
                        }
                    }),
                )
                .route(
                    "/v1/transactions/{id}/proof",
                    get(move || async move { format!(r#"{{"proof":"{}"}}"#, proof.last.lock().unwrap().as_ref().unwrap().1) }),
                )
                .route(
                    "/v1/accounts/{address}",
                    get(move |extract::Path(address): extract::Path<String>| async move {
                        serde_json::to_string(&account.account(address.parse().unwrap())).unwrap()
                    }),
                )
                .route(
                    "/v1/kv/shared/-/6b",
                    get(move || async move {
                        let key = kv_key(KvSpace::Shared, &Address::default(), b"k");
                        let proof = hexadecimal(&kv.fake.value_proof(6, (&key, b"v")));
                        serde_json::to_string(&KvView { value: Some("76".into()), height: Height(6), proof }).unwrap()
                    }),
                )
                .route("/v1/genesis", get(move || async move { serde_json::to_string(&genesis.fake.genesis).unwrap() }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { home, url, node }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    async fn run(&self, arguments: &[&str]) -> Result<(), CommandError> {
        let home = self.path().to_str().unwrap();
        let common = ["wallet", "--home", home, "--node", &self.url];
        Program::parse_from([&common, arguments].concat()).command.run(&Output::new(Format::Json, true)).await
    }

    async fn transfer(&self) -> Result<(), CommandError> {
        self.run(&["transfer", "--from", "alice", "--to", "bob", "--amount", "5", "--timeout", "1"]).await
    }
}

fn exit(result: Result<(), CommandError>) -> (u8, String) {
    let error = result.unwrap_err();
    (error.exit.code(), error.code)
}

#[tokio::test]
async fn a_transfer_is_numbered_signed_and_verified() {
    let world = World::new(Manner::Applies, 1).await;
    world.transfer().await.unwrap();
    let (tx, _) = world.node.last.lock().unwrap().clone().unwrap();
    assert_eq!(tx.content().sequence, Sequence(5));
    assert_eq!(tx.sender(), AccountKey::from_seed(Zeroizing::new([1; 32])).public().address);
    let key = tx.content().sender.decode().unwrap();
    key.verify(&tx.id().0, tx.signature()).unwrap();
    world.run(&["tx", &tx.id().to_string(), "--proof"]).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_end_has_its_exit_code() {
    for (manner, code, word) in [
        (Manner::Fails, 5, "bad-range"),
        (Manner::Rejects, 4, "insufficient-funds"),
        (Manner::KeepsPending, 6, "timed-out"),
        (Manner::Lies, 7, "unverified"),
    ] {
        let world = World::new(manner, 1).await;
        assert_eq!(exit(world.transfer().await), (code, word.into()));
    }
    let world = World::new(Manner::Applies, 1).await;
    let nowhere = World { url: "http://127.0.0.1:1".into(), ..world };
    assert_eq!(exit(nowhere.transfer().await), (3, "unreachable".into()));
}

#[tokio::test]
async fn a_transaction_that_is_asked_for_later_ends_like_one_that_was_waited_for() {
    let world = World::new(Manner::Lies, 1).await;
    let id = format!("0x{}", "0".repeat(64));
    assert_eq!(exit(world.run(&["tx", &id]).await), (6, "pending".into()));
    assert_eq!(world.transfer().await.unwrap_err().exit.code(), 7);
    assert_eq!(exit(world.run(&["tx", &id]).await), (7, "unverified".into()));
}

#[tokio::test]
async fn key_value_commands_sign_their_operations() {
    let world = World::new(Manner::Applies, 1).await;
    let commands: [&[&str]; 5] = [
        &["put", "k", "v", "--from", "alice"],
        &["append", "k", "v", "--from", "alice", "--shared"],
        &["slice", "k", "0", "1", "--from", "alice"],
        &["delete", "k", "--from", "alice"],
        &["get", "k", "--from", "alice", "--ordered"],
    ];
    for (arguments, tag) in commands.into_iter().zip([0u8, 2, 3, 4, 1]) {
        world.run(arguments).await.unwrap();
        let (tx, _) = world.node.last.lock().unwrap().clone().unwrap();
        let Operation::Kv(operation) = Operation::decode(&tx.content().payload).unwrap() else { panic!("{arguments:?}") };
        assert_eq!(operation.key, b"k");
        assert_eq!(codec::encode(&operation.action)[0], tag, "{arguments:?}");
        assert_eq!(operation.space == KvSpace::Shared, arguments.contains(&"--shared"));
    }
}

#[tokio::test]
async fn a_get_is_a_proved_read_without_a_transaction() {
    let world = World::new(Manner::Applies, 1).await;
    world.run(&["get", "k", "--shared"]).await.unwrap();
    world.run(&["get", "6b", "--shared", "--hex"]).await.unwrap();
    assert!(world.node.last.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_balance_is_proved_and_comes_from_the_genesis_before_the_first_block() {
    let world = World::new(Manner::Applies, 0).await;
    world.run(&["balance", "alice"]).await.unwrap();
    world.run(&["balance", "alice"]).await.unwrap();
    assert_eq!(world.run(&["balance", "eve"]).await.unwrap_err().code, "no-such-account");
}

#[tokio::test]
async fn watching_stops_after_the_changes_that_were_asked_for() {
    let world = World::new(Manner::Applies, 1).await;
    world.run(&["watch", "alice", "--count", "2", "--interval-ms", "50"]).await.unwrap();
    assert_eq!(world.node.height.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn without_a_genesis_nothing_is_sent_and_with_its_hash_it_is_fetched() {
    let world = World::new(Manner::Applies, 1).await;
    fs::remove_file(world.path().join("config/genesis.json")).unwrap();
    assert_eq!(exit(world.transfer().await), (1, "no-genesis".into()));
    assert!(world.node.last.lock().unwrap().is_none());
    let hash = world.node.fake.genesis.hash().to_string();
    world.run(&["balance", "alice", "--genesis-hash", &hash]).await.unwrap();
    let other = format!("0x{}", "1".repeat(64));
    assert_eq!(exit(world.run(&["balance", "alice", "--genesis-hash", &other]).await), (7, "other-hash".into()));
}

#[tokio::test]
async fn a_created_account_can_be_imported_again_from_its_words_file() {
    let world = World::new(Manner::Applies, 1).await;
    world.run(&["create", "carol", "--insecure-plaintext", "--words", "12"]).await.unwrap();
    let words = format!("{}about", "abandon ".repeat(11));
    let file = world.path().join("words");
    quorate_keygen::private_file::create(&file, words.as_bytes(), quorate_keygen::private_file::Secrecy::Private).unwrap();
    world.run(&["import", "dave", "--insecure-plaintext", "--mnemonic-file", file.to_str().unwrap()]).await.unwrap();
    world.run(&["list"]).await.unwrap();
    let again = world.run(&["create", "carol", "--insecure-plaintext"]).await.unwrap_err();
    assert_eq!(again.code, "key-exists");
}
