//! The wallet's commands against nodes with a real committee's keys: what they verify, what they remember, and how they end.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::Method;
use quorate_builtin::{Account, KvSpace, Operation};
use quorate_terminal::Format;
use quorate_types::{codec, round::Sequence};
use serde_json::{Value, json};
use world::{Answer, BALANCE, Chain, Home, Node, Ran, SEQUENCE, TRANSFER, address, payments};

/// A chain, an honest node, and a home.
async fn world() -> (Arc<Chain>, Node, Home) {
    let chain = Chain::new();
    let node = Node::honest(&chain).await;
    let home = Home::new(&chain);
    (chain, node, home)
}

/// A node that sends `answer` to requests with this method and this part of the path, and is honest otherwise.
async fn liar(chain: &Arc<Chain>, method: Method, part: &'static str, answer: Answer) -> Node {
    Node::of(
        chain,
        Arc::new(move |chain, asked, path, body| {
            let is_asked = *asked == method && path.contains(part);
            Some(if is_asked { answer.clone() } else { chain.answer(asked, path, body) })
        }),
    )
    .await
}

/// A node that refuses every transaction.
async fn refuser(chain: &Arc<Chain>) -> Node {
    liar(chain, Method::POST, "/v1/transactions", Answer::refusal(422, "insufficient-funds", "you have less")).await
}

fn tx_id(ran: &Ran) -> String {
    ran.error.as_ref().and_then(|error| error.tx_id).unwrap_or_else(|| panic!("{ran:?}")).to_string()
}

fn states(ran: &Ran) -> Vec<String> {
    ran.json().as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_transfer_is_numbered_by_proof_signed_and_verified() {
    let (chain, node, home) = world().await;
    let sent = home.json(&[&node], &TRANSFER).await.ok().json();
    assert_eq!(sent["verified"]["signers"], json!(["v0", "v1", "v3"]));
    assert_eq!(sent["amount"], "5");
    assert_eq!(
        chain.account(address("alice")),
        Account { balance: BALANCE - 5, sequence: Sequence(SEQUENCE + 1), stored: 326, ..Account::default() }
    );
    assert_eq!(home.kept(), 0, "its fate is proved");
    home.json(&[&node], &["tx", sent["tx_id"].as_str().unwrap(), "--proof"]).await.ok();
}

#[tokio::test]
async fn key_value_commands_sign_their_operations() {
    let (chain, node, home) = world().await;
    let commands: [&[&str]; 5] = [
        &["put", "k", "value", "--from", "alice"],
        &["append", "k", "v", "--from", "alice"],
        &["slice", "k", "0", "1", "--from", "alice"],
        &["get", "k", "--from", "alice", "--ordered"],
        &["delete", "k", "--from", "alice"],
    ];
    for (arguments, tag) in commands.into_iter().zip([0u8, 2, 3, 1, 4]) {
        home.json(&[&node], arguments).await.ok();
        let Some(Operation::Kv(operation)) = chain.operations().pop() else { panic!("{arguments:?}") };
        assert_eq!((operation.key.as_slice(), operation.space), (&b"k"[..], KvSpace::Own));
        assert_eq!(codec::encode(&operation.action)[0], tag, "{arguments:?}");
    }
    assert_eq!(home.json(&[&node], &["slice", "k", "0", "1", "--from", "alice"]).await.end(), (5, "no"));
}

#[tokio::test]
async fn a_missing_key_an_empty_value_and_a_value_are_three_things() {
    let (_, node, home) = world().await;
    home.text(&[&node], &["put", "empty", "", "--shared", "--from", "alice"]).await.ok();
    let get = async |key: &str| home.text(&[&node], &["get", key, "--shared"]).await.ok().written;
    assert_eq!(get("k").await.stdout, "v\n");
    let empty = get("empty").await;
    assert_eq!((empty.stdout.as_str(), empty.stderr.contains("missing")), ("\n", false));
    let missing = get("nothing").await;
    assert_eq!((missing.stdout.as_str(), missing.stderr.contains("missing")), ("", true));
    let json = home.json(&[&node], &["get", "nothing", "--shared"]).await.ok().json();
    assert_eq!(json["value"], Value::Null);
}

#[tokio::test]
async fn what_the_wallet_finds_itself_is_not_sent() {
    let (chain, node, home) = world().await;
    let much = ["transfer", "--from", "alice", "--to", "bob", "--amount", "501"];
    assert_eq!(home.json(&[&node], &much).await.end(), (4, "insufficient-funds"));
    assert_eq!(home.run_at("http://127.0.0.1:1", Format::Json, &TRANSFER).await.end(), (3, "unreachable"));
    assert_eq!(home.json(&[&node], &["balance", "eve"]).await.end(), (1, "no-such-account"));
    assert_eq!((payments(&chain), home.kept()), (0, 0));
}

#[tokio::test]
async fn a_refusal_of_one_node_is_not_the_end_while_another_commits() {
    let (chain, node, home) = world().await;
    let refuser = refuser(&chain).await;
    home.json(&[&refuser, &node], &TRANSFER).await.ok();
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn a_refusal_without_proof_is_unknown_and_the_transaction_is_kept() {
    let (chain, node, home) = world().await;
    let refuser = refuser(&chain).await;
    let ran = home.json(&[&refuser], &TRANSFER).await;
    assert_eq!(ran.end(), (6, "unknown"));
    assert!(ran.written.stderr.contains(&format!(r#""tx_id":"{}""#, tx_id(&ran))), "{ran:?}");
    assert_eq!((payments(&chain), home.kept()), (0, 1));
    // Another node settles it when the same transaction is resent.
    let pending = home.json(&[&node], &["pending", "--again"]).await.ok();
    assert_eq!((states(&pending), payments(&chain), home.kept()), (vec!["applied".to_owned()], 1, 0));
}

#[tokio::test]
async fn a_transaction_that_its_node_calls_dropped_and_another_commits_is_paid_once() {
    let (chain, node, home) = world().await;
    let dropped = json!({ "status": "dropped", "code": "crowded-out", "reason": "no room" });
    let drops = Node::of(
        &chain,
        Arc::new(move |chain, method, path, body| {
            let honest = chain.answer(method, path, body);
            if *method != Method::POST {
                return Some(honest);
            }
            let id = serde_json::from_slice::<Value>(&honest.body).unwrap()["tx_id"].clone();
            let mut answer = dropped.clone();
            answer["tx_id"] = id;
            Some(Answer::json(200, &answer))
        }),
    )
    .await;
    home.json(&[&drops, &node], &TRANSFER).await.ok();
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn an_expired_transaction_is_proved_not_to_be_in_the_chain() {
    let (chain, node, home) = world().await;
    chain.hold(true);
    let ran = home.json(&[&node], &[&TRANSFER[..], &["--expires-in", "1"]].concat()).await;
    assert_eq!(ran.end(), (6, "unknown"));
    let id = tx_id(&ran);
    chain.run_ahead(Duration::from_secs(60));
    assert_eq!(home.json(&[&node], &["tx", &id]).await.end(), (4, "expired"));
    assert_eq!(home.kept(), 0);
    // Forgotten here, so nothing can be proved about it.
    assert_eq!(home.json(&[&node], &["tx", &id]).await.end(), (6, "unknown"));
    chain.hold(false);
    assert_eq!(payments(&chain), 0);
}

#[tokio::test]
async fn a_transfer_whose_expiry_is_proved_while_it_is_waited_for_ends_with_4() {
    let (chain, _, home) = world().await;
    // Accepts the transaction, and then commits a block later than its expiry.
    let node = Node::of(
        &chain,
        Arc::new(|chain, method, path, body| {
            let answer = chain.answer(method, path, body);
            if *method == Method::POST {
                chain.run_ahead(Duration::from_secs(3_600));
            }
            Some(answer)
        }),
    )
    .await;
    chain.hold(true);
    assert_eq!(home.json(&[&node], &TRANSFER).await.end(), (4, "expired"));
    assert_eq!(home.kept(), 0);
}

#[tokio::test]
async fn expiry_follows_the_chains_time_and_not_a_clock_that_is_behind_it() {
    let (chain, node, home) = world().await;
    chain.run_ahead(Duration::from_secs(290));
    home.json(&[&node], &TRANSFER).await.ok();
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn a_raised_next_number_is_not_believed() {
    let (chain, _, home) = world().await;
    let raises = Node::of(
        &chain,
        Arc::new(|chain, method, path, body| {
            let mut answer = chain.answer(method, path, body);
            if path.contains("/accounts/") {
                let mut view: Value = serde_json::from_slice(&answer.body).unwrap();
                view["next_sequence"] = json!(SEQUENCE + 3);
                answer = Answer::json(200, &view);
            }
            Some(answer)
        }),
    )
    .await;
    home.json(&[&raises], &TRANSFER).await.ok();
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn a_new_transaction_counts_on_from_what_is_pending_and_sends_it_again() {
    let (chain, node, home) = world().await;
    chain.hold(true);
    let first = home.json(&[&node], &TRANSFER).await;
    assert_eq!(first.code, 6, "{first:?}");
    // The nodes lose it.
    chain.forget_pool();
    chain.hold(false);
    let second = home.json(&[&node], &TRANSFER).await.ok();
    assert!(second.written.stderr.contains(&tx_id(&first)), "it says so: {second:?}");
    assert_eq!((payments(&chain), home.kept()), (2, 0));
}

#[tokio::test]
async fn a_transaction_that_waits_says_for_which_number_and_the_next_one_warns_that_it_releases_it() {
    let (chain, node, home) = world().await;
    chain.hold(true);
    let short = home.json(&[&node], &[&TRANSFER[..], &["--expires-in", "1"]].concat()).await;
    let long = home.json(&[&node], &[&TRANSFER[..], &["--expires-in", "3600"]].concat()).await;
    assert_eq!((short.code, long.code), (6, 6));
    assert!(long.written.stderr.contains(&format!("waits for sequence number {SEQUENCE}")), "{long:?}");
    chain.run_ahead(Duration::from_secs(60));
    let pending = home.json(&[&node], &["pending"]).await.ok();
    assert_eq!(states(&pending), ["never", "open"]);
    assert!(pending.json()[1]["detail"].as_str().unwrap().contains(&format!("waits for sequence number {SEQUENCE}, which")), "{pending:?}");
    // The new transaction takes the missing sequence number.
    chain.hold(false);
    let third = home.json(&[&node], &TRANSFER).await.ok();
    assert!(third.written.stderr.contains("warning") && third.written.stderr.contains(&tx_id(&long)), "{third:?}");
    assert_eq!(payments(&chain), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_at_once_number_themselves() {
    let (chain, node, home) = world().await;
    let (nodes, send) = ([&node], [&TRANSFER[..8], &["20"]].concat());
    for ran in futures::future::join_all((0..12).map(|_| home.json(&nodes, &send))).await {
        ran.ok();
    }
    assert_eq!((payments(&chain), home.kept()), (12, 0));
    assert_eq!(chain.account(address("alice")).sequence, Sequence(SEQUENCE + 12));
}

#[tokio::test]
async fn a_cancelled_transaction_is_replaced_and_can_never_be_committed() {
    let (chain, node, home) = world().await;
    let refuser = refuser(&chain).await;
    let ran = home.json(&[&refuser], &TRANSFER).await;
    let id = tx_id(&ran);
    let cancelled = home.json(&[&node], &["cancel", &id, "--timeout", "1"]).await.ok();
    assert_eq!(cancelled.json()["cancelled"], json!(id));
    assert_eq!((payments(&chain), home.kept()), (0, 0));
    assert_eq!(home.json(&[&node], &["cancel", &id]).await.end(), (1, "not-pending"));
    home.json(&[&node], &TRANSFER).await.ok();
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn a_cancellation_that_comes_too_late_or_is_not_proved_says_so() {
    let (chain, node, home) = world().await;
    chain.hold(true);
    let id = tx_id(&home.json(&[&node], &TRANSFER).await);
    let ran = home.json(&[&node], &["cancel", &id, "--timeout", "1"]).await;
    assert_eq!(ran.end(), (6, "unknown"), "the nodes hold it");
    chain.hold(false);
    assert_eq!(home.json(&[&node], &["cancel", &id, "--timeout", "1"]).await.end(), (1, "committed"));
    // It settles the other transaction with the same sequence number.
    let pending = home.json(&[&node], &["pending"]).await.ok();
    assert!(pending.json().as_array().unwrap().iter().all(|row| row["state"] != "open"), "{pending:?}");
    assert_eq!(payments(&chain), 1);
}

#[tokio::test]
async fn an_interrupted_home_settles_later_what_it_sent() {
    let (chain, node, home) = world().await;
    // The node commits the transaction, but its answers never arrive.
    let never = Node::of(
        &chain,
        Arc::new(|chain, method, path, body| {
            let answer = chain.answer(method, path, body);
            if *method == Method::POST || path.ends_with("/proof") { None } else { Some(answer) }
        }),
    )
    .await;
    let ran = home.json(&[&never], &TRANSFER).await;
    assert_eq!(ran.end(), (6, "unknown"));
    assert_eq!((payments(&chain), home.kept()), (1, 1));
    let pending = home.json(&[&node], &["pending"]).await.ok();
    assert_eq!((states(&pending), home.kept()), (vec!["applied".to_owned()], 0));
    assert!(states(&home.json(&[&node], &["pending"]).await.ok()).is_empty());
}

#[tokio::test]
async fn a_state_that_is_older_than_what_was_proved_is_not_the_current_one() {
    let (chain, node, home) = world().await;
    let old = chain.account_at(chain.height(), quorate_client::session::clock().0, address("alice"), Some(chain.account(address("alice"))));
    let shows_old = liar(&chain, Method::GET, "/accounts/", Answer::json(200, &old)).await;
    // The first time, nothing tells the wallet better.
    assert_eq!(home.json(&[&shows_old], &["balance", "alice"]).await.ok().json()["balance"], "500");
    home.json(&[&node], &TRANSFER).await.ok();
    assert_eq!(home.json(&[&shows_old], &["balance", "alice"]).await.end(), (7, "old"));
    assert_eq!(home.json(&[&shows_old, &node], &["balance", "alice"]).await.ok().json()["balance"], "495");
}

#[tokio::test]
async fn a_state_of_long_ago_sends_the_wallet_to_the_next_node_and_is_called_old() {
    let (chain, node, home) = world().await;
    let then = quorate_client::session::clock().0 - 600_000;
    let old =
        chain.account_at(3, then, address("alice"), Some(Account { balance: 7, sequence: Sequence(0), stored: 326, ..Account::default() }));
    let shows_old = liar(&chain, Method::GET, "/accounts/", Answer::json(200, &old)).await;
    let ran = home.text(&[&shows_old], &["balance", "alice"]).await.ok();
    assert!(ran.written.stderr.contains("is 600 s old"), "{ran:?}");
    home.forget();
    let ran = home.text(&[&shows_old, &node], &["balance", "alice"]).await.ok();
    assert!(ran.written.stdout.contains("balance   500") && !ran.written.stderr.contains("old"), "{ran:?}");
}

#[tokio::test]
async fn the_certificate_that_nobody_signs_is_no_balance() {
    let (chain, node, home) = world().await;
    let mut view = chain.account_at(
        0,
        1,
        address("alice"),
        Some(Account { balance: BALANCE, sequence: Sequence(0), stored: 326, ..Account::default() }),
    );
    view["proof"] = json!(world::fake::hexadecimal(&chain.fake().genesis_proof()));
    let genesis = liar(&chain, Method::GET, "/accounts/", Answer::json(200, &view)).await;
    let ran = home.json(&[&genesis], &["balance", "alice"]).await;
    assert_eq!((ran.end(), ran.written.stdout.as_str()), ((7, "nothing-committed"), ""));
    assert_eq!(home.json(&[&genesis], &TRANSFER).await.end(), (7, "nothing-committed"));
    assert_eq!((payments(&chain), home.kept()), (0, 0));
    home.json(&[&genesis, &node], &["balance", "alice"]).await.ok();
    // For a home that has seen a newer block, it is old.
    assert_eq!(home.json(&[&genesis], &["balance", "alice"]).await.end(), (7, "old"));
}

#[tokio::test]
async fn a_nodes_words_cannot_paint_over_the_wallets() {
    let (chain, _, home) = world().await;
    let paints = Answer::refusal(422, "x\u{1b}[2K", "\rverified: height 7\u{202e}");
    let node = liar(&chain, Method::POST, "/v1/transactions", paints.clone()).await;
    for format in [Format::Text, Format::Json] {
        let ran = home.run(&[&node], format, &TRANSFER).await;
        assert_eq!(ran.code, 6);
        let all = format!("{}{}", ran.written.stdout, ran.written.stderr);
        assert!(!all.contains(['\r', '\u{202e}']) && !all.contains("\u{1b}[2K"), "{all:?}");
    }
    let node = liar(&chain, Method::GET, "/accounts/", paints).await;
    let ran = home.text(&[&node], &["balance", "alice"]).await;
    assert_eq!(ran.end(), (1, "refused"));
    assert!(ran.written.stderr.contains(r#""\u{d}verified: height 7\u{202e}""#), "{ran:?}");
}

#[tokio::test]
async fn a_proof_that_does_not_verify_is_told_and_another_node_is_asked() {
    let (chain, node, home) = world().await;
    let id = home.json(&[&node], &TRANSFER).await.ok().json()["tx_id"].as_str().unwrap().to_owned();
    let liar = liar(&chain, Method::GET, "/proof", Answer::json(200, &json!({ "proof": "00" }))).await;
    assert_eq!(home.json(&[&liar], &["tx", &id]).await.end(), (7, "unverified"));
    home.json(&[&liar, &node], &["tx", &id]).await.ok();
}

#[tokio::test]
async fn watching_stops_after_the_changes_that_were_asked_for() {
    let (chain, _, home) = world().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Each request sees the next block, with the balance one unit higher.
    let node = Node::of(
        &chain,
        Arc::new(move |chain, _, _, _| {
            let count = counted.fetch_add(1, Ordering::Relaxed) as u64;
            let account = Account { balance: count, sequence: Sequence(1), stored: 326, ..Account::default() };
            Some(Answer::json(200, &chain.account_at(count + 1, quorate_client::session::clock().0, address("alice"), Some(account))))
        }),
    )
    .await;
    home.json(&[&node], &["watch", "alice", "--count", "2", "--interval-ms", "50"]).await.ok();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn without_a_genesis_nothing_is_sent_and_with_its_hash_it_is_fetched_from_whoever_has_it() {
    let (chain, node, home) = world().await;
    fs::remove_file(home.path().join("config/genesis.json")).unwrap();
    assert_eq!(home.json(&[&node], &TRANSFER).await.end(), (1, "no-genesis"));
    let hash = chain.fake().genesis.hash().to_string();
    let liar = liar(&chain, Method::GET, "/genesis", Answer { status: 200, body: b"{\"\\u001b\":0}".to_vec() }).await;
    home.json(&[&liar, &node], &["balance", "alice", "--genesis-hash", &hash]).await.ok();
    let ran = home.json(&[&liar], &["balance", "alice", "--genesis-hash", &hash]).await;
    assert!(ran.code != 0 && !ran.written.stderr.contains('\u{1b}'), "{ran:?}");
    let other = format!("0x{}", "1".repeat(64));
    assert_eq!(home.json(&[&node], &["balance", "alice", "--genesis-hash", &other]).await.end(), (7, "other-hash"));
}

#[tokio::test]
async fn a_created_account_can_be_imported_again_from_its_words() {
    let (_, node, home) = world().await;
    let made = home.json(&[&node], &["create", "carol", "--insecure-plaintext", "--words", "12"]).await.ok().json();
    let file = home.path().join("words");
    let words = made["mnemonic"].as_str().unwrap();
    quorate_keygen::private_file::create(&file, words.as_bytes(), quorate_keygen::private_file::Secrecy::Private).unwrap();
    let import = ["import", "dave", "--insecure-plaintext", "--mnemonic-file", file.to_str().unwrap()];
    assert_eq!(home.json(&[&node], &import).await.ok().json()["address"], made["address"]);
    assert_eq!(home.json(&[&node], &["create", "carol", "--insecure-plaintext"]).await.end(), (1, "key-exists"));
}
