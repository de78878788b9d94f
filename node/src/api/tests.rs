//! A whole single-validator node, tested over real sockets. Every wait is bounded and ends as soon as its condition holds.

use std::io::Write;

use quorate_builtin::{
    Account, Answer, BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, Settings, keys::kv_key,
    operation::KV_VALUE_BYTES_MAX,
};
use quorate_keygen::ValidatorKeys;
use quorate_ledger::{MemoryStore, RocksOptions, RocksStore, StoredBlock, schema::HeaderRecord};
use quorate_replica::MemoryWitness;
use quorate_types::{
    block::encode_block,
    codec::{self, Bounded},
    crypto::{Hash, SigningKey},
    genesis::{GENESIS, Genesis},
    ids::{Address, GenesisHash, StateId, TxId},
    merkle,
    message::{ANSWER_BYTES_MAX, TransactionBatch},
    proof::{CommitProof, TransactionProof},
    receipt::Receipt,
    round::{Sequence, UnixMillis},
    rpc::{
        AccountView, BatchAnswer, BlockView, EpochsView, KeysView, ListedKey, ListedOutcome, NodeStatus, OutcomeView, ProofView, StateView,
        Submitted, TransactionStatus,
    },
    state_key::account_key,
    transaction::Transaction,
};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    Config, Membership, Node, NodeError, Setup,
    testing::{
        BALANCE, CHAIN, Running, address_of, alice, connect, genesis, in_a_minute, keys, put, read_reply, request, setup, setup_of, sign,
        sign_for, transfer,
    },
};

#[test]
fn a_transfer_is_committed_proved_and_visible_everywhere() {
    let running = Running::start();
    let transaction = transfer(0);
    let (height, outcome) = running.commit(&transaction);
    assert!(matches!(outcome, OutcomeView::Applied { .. }));

    let status: Submitted = running.get(&format!("/v1/transactions/{}", transaction.id()));
    assert!(matches!(status.status, TransactionStatus::Committed { height: at, .. } if at == height));
    let proof: serde_json::Value = running.get(&format!("/v1/transactions/{}/proof", transaction.id()));
    let proof: TransactionProof = codec::decode(&hex::decode(proof["proof"].as_str().unwrap()).unwrap(), 1 << 20).unwrap();
    assert_eq!(proof.verify(&running.verifier, transaction.id()).unwrap().height, height);

    let account: AccountView = running.get(&format!("/v1/accounts/{}", address_of(&alice())));
    assert_eq!((account.sequence, account.next_sequence), (Sequence(1), Sequence(1)));
    assert_eq!(account.shown.unwrap()["balance"], (BALANCE - 10).to_string());
    let record = Account { balance: BALANCE - 10, sequence: Sequence(1), stored: 326, ..Account::default() }.record().into_value();
    assert_eq!(account.value.as_deref(), Some(hex::encode(&record).as_str()));
    running.value_proof(&account.proof, &account_key(&address_of(&alice())), Some(&record));

    let block: BlockView = running.get(&format!("/v1/blocks/{height}"));
    assert_eq!((block.height, block.author.as_deref()), (height, Some("one")));
    assert_eq!(block.transactions[0].tx_id, transaction.id());
    let latest: BlockView = running.get("/v1/blocks/latest");
    assert!(latest.height >= height);
    let first: BlockView = running.get("/v1/blocks/0");
    assert_eq!((first.author, first.transactions.len()), (None, 0));

    let status: NodeStatus = running.get("/v1/status");
    assert_eq!((status.name.as_str(), status.network.as_str(), status.chain_id), ("one", "test", CHAIN));
    assert_eq!(status.genesis_hash, genesis().hash());
    assert!(status.height >= height && status.peers.is_empty());
    assert_eq!(running.get::<Genesis>("/v1/genesis"), genesis());
    running.node.stop();
}

/// Path, namespace, key, expected value.
type KvCase<'a> = (String, KvSpace, &'a [u8], Option<&'a [u8]>);

#[test]
fn keys_and_values_are_proved_present_and_absent() {
    let running = Running::start();
    running.commit(&put(0, KvSpace::Shared, b"k", b"shared"));
    running.commit(&put(1, KvSpace::Own, b"k", b"own"));
    running.commit(&put(2, KvSpace::Shared, b"", b"empty key"));
    let alice = address_of(&alice());
    let cases: [KvCase<'_>; 6] = [
        ("/v1/state/kv/shared/6b".into(), KvSpace::Shared, b"k", Some(b"shared")),
        (format!("/v1/state/kv/own/{alice}/0x6b"), KvSpace::Own, b"k", Some(b"own")),
        ("/v1/state/kv/shared/".into(), KvSpace::Shared, b"", Some(b"empty key")),
        ("/v1/state/0x736b".into(), KvSpace::Shared, b"k", Some(b"shared")),
        ("/v1/state/kv/shared/6c".into(), KvSpace::Shared, b"l", None),
        (format!("/v1/state/kv/own/{alice}/6c"), KvSpace::Own, b"l", None),
    ];
    for (path, space, key, value) in cases {
        let view: StateView = running.get(&path);
        assert_eq!(view.value, value.map(hex::encode), "{path}");
        assert_eq!(view.shown, value.map(|value| String::from_utf8_lossy(value).into()), "{path}");
        assert_eq!(view.key, hex::encode(kv_key(space, &alice, key)));
        running.value_proof(&view.proof, &kv_key(space, &alice, key), value);
    }
    let nobody = address_of(&SigningKey::from_seed(&[99; 32]));
    let account: AccountView = running.get(&format!("/v1/accounts/{nobody}"));
    assert_eq!((account.next_sequence, account.value, account.shown), (Sequence(0), None, None));
    running.value_proof(&account.proof, &account_key(&nobody), None);
    running.node.stop();
}

#[test]
fn a_transaction_that_is_wrong_gets_its_word_and_its_id() {
    let running = Running::start();
    running.commit(&transfer(0));
    let operation = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
    let again = Genesis { timestamp: UnixMillis(2), ..genesis() };
    let other_network = sign_for(again.hash(), 1, in_a_minute(), operation.encode());
    let expired = sign_for(genesis().hash(), 1, UnixMillis(5), operation.encode());
    let mut forged = transfer(1).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Transaction::decode(forged.into()).unwrap();
    let poor = sign(1, &Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: BALANCE * 2 }));
    let cases = [
        (other_network, 400, "other-network"),
        (expired, 400, "expired"),
        (forged, 400, "signature"),
        (put(0, KvSpace::Own, b"k", b"v"), 409, "sequence-too-old"),
        (transfer(1 << 40), 409, "sequence-too-far"),
        (sign_for(genesis().hash(), 1, in_a_minute(), vec![9]), 400, "malformed-operation"),
        (sign(1, &Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 0 })), 400, "zero-amount"),
        (poor, 409, "insufficient-funds"),
    ];
    for (transaction, status, code) in cases {
        for wait in ["accepted", "committed"] {
            let reply = running.submit(&transaction, wait);
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
            assert!(reply.head.contains(&format!("x-quorate-tx-id: {}", transaction.id())), "{reply:?}");
        }
    }
    running.node.stop();
}

#[test]
fn the_same_transaction_again_is_answered_with_its_one_commit() {
    let running = Running::start();
    let transaction = transfer(0);
    let first = running.commit(&transaction);
    assert_eq!(running.commit(&transaction), first);
    let account: AccountView = running.get(&format!("/v1/accounts/{}", address_of(&alice())));
    assert_eq!(account.shown.unwrap()["balance"], (BALANCE - 10).to_string(), "once");
    running.node.stop();
}

#[test]
fn what_is_committed_is_answered_by_the_store_without_a_look_at_its_signature() {
    let running = Running::start();
    let transaction = transfer(0);
    let first = running.commit(&transaction);
    let checked = metric(&running, "quorate_verify_transactions_total");
    assert_eq!(checked, 1);
    assert_eq!(running.commit(&transaction), first);
    for wait in ["none", "accepted"] {
        let reply = running.submit(&transaction, wait);
        let submitted: Submitted = reply.json();
        assert_eq!((reply.status, submitted.proof.is_none()), (200, true), "{reply:?}");
        assert!(matches!(submitted.status, TransactionStatus::Committed { .. }), "{reply:?}");
    }
    let copies = codec::encode(&TransactionBatch(Bounded::truncated(vec![transaction; 1_024])));
    let answer: BatchAnswer = running.request("POST", "/v1/transactions/batch", &copies).json();
    assert_eq!((answer.accepted, answer.rejected.len()), (1_024, 0));
    // Another transaction with a used sequence number can never be committed, whatever its signature.
    let mut forged = put(0, KvSpace::Own, b"k", b"v").raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Transaction::decode(forged.into()).unwrap();
    assert_eq!(running.submit(&forged, "committed").code(), "sequence-too-old");
    let batch = codec::encode(&TransactionBatch(Bounded::truncated(vec![forged])));
    let answer: BatchAnswer = running.request("POST", "/v1/transactions/batch", &batch).json();
    assert_eq!(answer.rejected.iter().map(|rejected| rejected.code.as_str()).collect::<Vec<_>>(), ["sequence-too-old"]);
    assert_eq!(metric(&running, "quorate_verify_transactions_total"), checked, "no signature was verified");
    running.node.stop();
}

#[test]
fn the_copies_of_a_transaction_in_a_batch_are_looked_at_once_and_answered_each() {
    let running = Running::start();
    let (good, poor) = (transfer(0), sign(1, &Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: BALANCE * 2 })));
    let batch = codec::encode(&TransactionBatch(Bounded::truncated(vec![good.clone(), poor.clone(), poor, good.clone(), good])));
    let answer: BatchAnswer = running.request("POST", "/v1/transactions/batch", &batch).json();
    let rejected: Vec<_> = answer.rejected.iter().map(|rejected| (rejected.index, rejected.code.as_str())).collect();
    assert_eq!((answer.accepted, rejected), (3, vec![(1, "insufficient-funds"), (2, "insufficient-funds")]));
    assert_eq!(metric(&running, "quorate_verify_transactions_total"), 2);
    running.node.stop();
}

#[test]
fn a_block_is_listed_in_parts_and_long_outputs_by_their_length_and_digest() {
    let running = Running::start();
    let value = vec![7; 1_000];
    let get = |sequence| {
        let operation = KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Get };
        sign(sequence, &Operation::Kv(operation))
    };
    let batch = vec![put(0, KvSpace::Own, b"k", &value), get(1), get(2)];
    let last = batch[2].id();
    let body = codec::encode(&TransactionBatch(Bounded::truncated(batch)));
    assert_eq!(running.request("POST", "/v1/transactions/batch", &body).json::<BatchAnswer>().accepted, 3);
    let path = format!("/v1/transactions/{last}/proof");
    running.eventually("the batch is committed", |running| running.request("GET", &path, &[]).status == 200);
    let proof: ProofView = running.get(&path);
    let proof: TransactionProof = codec::decode(&hex::decode(proof.proof).unwrap(), 1 << 20).unwrap();
    let height = proof.verify(&running.verifier, last).unwrap().height;

    let block: BlockView = running.get(&format!("/v1/blocks/{height}"));
    let long = block.transactions.last().unwrap();
    assert_eq!((long.tx_id, long.receipt), (last, proof.receipt.leaf()));
    assert_eq!(long.outcome, ListedOutcome::Applied { output_bytes: 1_003, output: None });
    assert_eq!(running.request("GET", &format!("/v1/transactions/{last}/output"), &[]).body, codec::encode(&Answer::Value(value)));

    let total = block.transactions_total;
    assert_eq!((total, block.next), (u32::try_from(block.transactions.len()).unwrap(), None));
    let rest: BlockView = running.get(&format!("/v1/blocks/{height}?from={}", total - 1));
    assert_eq!((rest.transactions.as_slice(), rest.next), (std::slice::from_ref(long), None));
    let none: BlockView = running.get(&format!("/v1/blocks/{height}?from={total}"));
    assert_eq!((none.transactions_total, none.transactions.len(), none.next), (total, 0, None));
    running.node.stop();
}

#[test]
fn a_part_of_a_block_ends_before_it_has_read_too_much() {
    let running = Running::start();
    let value = vec![7; KV_VALUE_BYTES_MAX];
    running.commit(&put(0, KvSpace::Own, b"k", &value));
    let get = |sequence| {
        let operation = KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Get };
        sign(sequence, &Operation::Kv(operation))
    };
    let batch: Vec<_> = (1..=200).map(get).collect();
    let last = batch.last().unwrap().id();
    let body = codec::encode(&TransactionBatch(Bounded::truncated(batch)));
    assert_eq!(running.request("POST", "/v1/transactions/batch", &body).json::<BatchAnswer>().accepted, 200);
    let path = format!("/v1/transactions/{last}");
    let mut listed = 0;
    running
        .eventually("all are committed", |running| matches!(running.get::<Submitted>(&path).status, TransactionStatus::Committed { .. }));
    let latest: NodeStatus = running.get("/v1/status");
    for height in 1..=latest.height.0 {
        let mut from = 0;
        loop {
            let block: BlockView = running.get(&format!("/v1/blocks/{height}?from={from}"));
            assert!(block.transactions.len() <= 64, "{} outputs of {KV_VALUE_BYTES_MAX} bytes were read", block.transactions.len());
            listed += block.transactions.len();
            match block.next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    assert_eq!(listed, 201);
    running.node.stop();
}

/// Everything at a path that sends a sequence in parts, until a part is empty; `next` names the next part after the elements so far.
fn in_parts<T: DeserializeOwned>(running: &Running, next: impl Fn(usize) -> String) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let path = next(all.len());
        let reply = running.request("GET", &path, &[]);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/octet-stream")), "{path}");
        let part: Vec<T> = codec::decode(&reply.body, reply.body.len()).unwrap();
        assert!(reply.body.len() <= ANSWER_BYTES_MAX + 3 || part.len() == 1, "{path}: {} bytes", reply.body.len());
        if part.is_empty() {
            return all;
        }
        all.extend(part);
    }
}

#[test]
fn an_auditor_gets_the_whole_chain_as_bytes_and_finds_every_hash_in_it() {
    let running = Running::start();
    let value = vec![7; KV_VALUE_BYTES_MAX];
    running.commit(&put(0, KvSpace::Own, b"k", &value));
    let get = |sequence| {
        let operation = KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Get };
        sign(sequence, &Operation::Kv(operation))
    };
    // Receipts of more than an answer holds, and blocks of more than one holds: puts of four megabytes in total.
    let gets: Vec<_> = (1..=100).map(get).collect();
    let puts: Vec<_> = (101..=164).map(|sequence| put(sequence, KvSpace::Own, b"k", &value)).collect();
    let batches = [gets.as_slice()].into_iter().chain(puts.chunks(12));
    for batch in batches {
        let body = codec::encode(&TransactionBatch(Bounded::truncated(batch.to_vec())));
        assert_eq!(
            usize::try_from(running.request("POST", "/v1/transactions/batch", &body).json::<BatchAnswer>().accepted),
            Ok(batch.len())
        );
    }
    let last = puts.last().unwrap();
    running.eventually("all are committed", |running| {
        let known: Submitted = running.get(&format!("/v1/transactions/{}", last.id()));
        matches!(known.status, TransactionStatus::Committed { .. })
    });

    let genesis_bytes = running.request("GET", "/v1/genesis/raw", &[]).body;
    assert_eq!((codec::encode(&genesis()), genesis().hash()), (genesis_bytes.clone(), GenesisHash(Hash::of(&GENESIS, &genesis_bytes))));
    let height: BlockView = running.get("/v1/blocks/latest");
    let height = height.height;
    let mut blocks: Vec<StoredBlock> = in_parts(&running, |count| format!("/v1/blocks/raw?from={count}"));
    let mut headers: Vec<HeaderRecord> = in_parts(&running, |count| format!("/v1/headers/raw?from={count}&max=7"));
    let heights: Vec<u64> = blocks.iter().map(|stored| stored.header.height.0).collect();
    assert_eq!(heights, (0..heights.len() as u64).collect::<Vec<_>>());
    assert!(blocks.len() as u64 > height.0);
    // The chain may have grown between the two.
    let count = blocks.len().min(headers.len());
    blocks.truncate(count);
    headers.truncate(count);
    assert!(blocks.first().is_some_and(|stored| stored.block.is_none()), "genesis has no block");
    let mut parent = StateId::default();
    for (stored, record) in blocks.iter().zip(&headers) {
        let header = &stored.header;
        assert_eq!((header, &stored.commit_qc), (&record.header, &record.commit_qc));
        assert_eq!(header.parent, parent);
        parent = header.state_id();
        let Some(block) = &stored.block else { continue };
        assert_eq!(header.block_id, block.id());
        let leaves: Vec<Hash> = block.payload().iter().map(|transaction| merkle::leaf(&transaction.id().0.0)).collect();
        assert_eq!(header.transactions_root, merkle::root(&leaves));
        let receipts: Vec<Receipt> = in_parts(&running, |count| format!("/v1/blocks/{}/receipts/raw?from={count}", header.height));
        assert_eq!(header.receipts_root, merkle::root(&receipts.iter().map(Receipt::leaf).collect::<Vec<_>>()));
        if let Some(qc) = &stored.commit_qc {
            let proof = CommitProof { headers: Bounded::truncated(vec![header.clone()]), qc: qc.clone() };
            assert_eq!(proof.verify(&running.verifier).unwrap(), header);
        }
    }
    let found: Vec<TxId> =
        blocks.iter().filter_map(|stored| stored.block.as_ref()).flat_map(|block| block.payload().iter().map(Transaction::id)).collect();
    assert!(found.ends_with(&[last.id()]) && found.len() == 165, "{}", found.len());

    let one = running.request("GET", &format!("/v1/blocks/{}/raw", count - 1), &[]);
    let newest = &blocks[count - 1];
    assert_eq!(codec::decode::<StoredBlock>(&one.body, one.body.len()).as_ref(), Ok(newest));
    let block = newest.block.as_ref().unwrap();
    assert_eq!(one.body, [&[1][..], &encode_block(block), &codec::encode(&headers[count - 1])].concat());
    let latest = running.request("GET", "/v1/blocks/latest/raw", &[]);
    assert!(codec::decode::<StoredBlock>(&latest.body, latest.body.len()).unwrap().header.height >= height);
    let raw = running.request("GET", &format!("/v1/transactions/{}/raw", last.id()), &[]);
    assert_eq!((raw.status, raw.body), (200, last.raw().to_vec()));
    let bounded = running.request("GET", "/v1/blocks/raw?from=0&max=2", &[]);
    assert_eq!(codec::decode::<Vec<StoredBlock>>(&bounded.body, bounded.body.len()).unwrap(), blocks[..2]);
    running.node.stop();
}

#[test]
fn keys_that_begin_alike_are_listed_in_parts() {
    let running = Running::start();
    let batch: Vec<_> = (0..120u8).map(|number| put(number.into(), KvSpace::Own, &[number], b"value")).collect();
    let body = codec::encode(&TransactionBatch(Bounded::truncated(batch)));
    assert_eq!(running.request("POST", "/v1/transactions/batch", &body).json::<BatchAnswer>().accepted, 120);
    running.commit(&put(120, KvSpace::Shared, b"k", b"v"));
    let prefix = hex::encode(kv_key(KvSpace::Own, &address_of(&alice()), b""));
    let first: KeysView = running.get(&format!("/v1/state?prefix=0x{prefix}"));
    let rest: KeysView = running.get(&format!("/v1/state?prefix={prefix}&after={}", first.next.clone().unwrap()));
    assert_eq!((first.keys.len(), rest.keys.len(), rest.next), (100, 20, None));
    let expected = (0..120u8).map(|number| ListedKey { key: format!("{prefix}{number:02x}"), value_bytes: 5 });
    assert!(first.keys.into_iter().chain(rest.keys).eq(expected));
    // A cursor before the prefix leads to its first key, and one behind it to none.
    let before: KeysView = running.get(&format!("/v1/state?prefix={prefix}&after=00"));
    assert_eq!(before.keys.len(), 100);
    let behind: KeysView = running.get(&format!("/v1/state?prefix={prefix}&after=ff"));
    assert_eq!((behind.keys, behind.next), (vec![], None));
    let all: KeysView = running.get("/v1/state");
    assert!(all.keys.is_sorted_by(|one, other| one.key < other.key) && all.next.is_some());
    running.node.stop();
}

#[test]
fn every_path_answers_as_the_description_says() {
    let running = Running::start();
    running.commit(&transfer(0));
    let described: serde_json::Value = running.get("/v1/openapi.json");
    assert_eq!(described["openapi"], "3.1.0");
    for (path, item) in described["paths"].as_object().unwrap() {
        let id = TxId::default().to_string();
        let address = path.replace("{id}", &id).replace("{address}", &id).replace("{height}", "1").replace("{path}", "0x6b");
        for (method, operation) in item.as_object().unwrap() {
            if operation["responses"]["200"]["content"].get("text/event-stream").is_some() {
                // It has no end; api/events.rs has its tests.
                continue;
            }
            let reply = running.request(&method.to_uppercase(), &address, &[]);
            assert!(operation["responses"].get(reply.status.to_string()).is_some(), "{method} {path}: {reply:?}");
            let body = String::from_utf8_lossy(&reply.body);
            assert!(
                path == "/metrics" || reply.status < 400 || !["no-such-path", "method-not-allowed"].iter().any(|code| body.contains(code)),
                "{method} {path}: {body}"
            );
        }
    }
    running.node.stop();
}

#[test]
fn the_changes_of_the_committee_begin_with_the_first_epoch() {
    let running = Running::start();
    let changes: EpochsView = running.get("/v1/epochs");
    assert_eq!(changes, running.get("/v1/epochs?from=0"));
    running.node.stop();
}

#[test]
fn a_request_that_is_wrong_gets_a_status_and_a_word() {
    let running = Running::start();
    let id = TxId::default();
    let cases: Vec<(&str, String, Vec<u8>, u16, &str)> = vec![
        ("POST", "/v1/transactions".into(), vec![], 400, "malformed-transaction"),
        ("POST", "/v1/transactions".into(), vec![0xff; 500], 400, "malformed-transaction"),
        ("POST", "/v1/transactions".into(), b"{\"to\":\"bob\"}".to_vec(), 400, "malformed-transaction"),
        ("POST", "/v1/transactions".into(), [transfer(0).raw(), &[0][..]].concat(), 400, "malformed-transaction"),
        ("POST", "/v1/transactions".into(), vec![0; 600 << 10], 413, "body-too-large"),
        ("POST", "/v1/transactions?wait=forever".into(), vec![], 400, "query"),
        ("POST", "/v1/transactions?wiat=none".into(), vec![], 400, "query"),
        ("POST", "/v1/transactions?timeout_ms=-1".into(), vec![], 400, "query"),
        ("POST", "/v1/transactions?timeout_ms=60001".into(), vec![], 400, "timeout-too-long"),
        ("POST", "/v1/transactions/batch".into(), vec![0xff; 100], 400, "malformed-batch"),
        ("POST", "/v1/transactions/batch".into(), vec![0; 300 << 10], 413, "body-too-large"),
        ("GET", "/v1/transactions".into(), vec![], 405, "method-not-allowed"),
        ("DELETE", "/v1/status".into(), vec![], 405, "method-not-allowed"),
        ("GET", "/v1/transactions/0x12".into(), vec![], 400, "transaction-id"),
        ("GET", format!("/v1/transactions/{id}/proof"), vec![], 404, "not-committed"),
        ("GET", "/v1/accounts/alice".into(), vec![], 400, "address"),
        ("GET", "/v1/state/kv/mine/6b".into(), vec![], 404, "no-such-path"),
        ("GET", "/v1/state/kv/own/-/6b".into(), vec![], 400, "path"),
        ("GET", "/v1/state/kv/shared/xyz".into(), vec![], 400, "path"),
        ("GET", format!("/v1/state/kv/shared/{}", "00".repeat(257)), vec![], 400, "path"),
        ("GET", "/v1/state/0x6".into(), vec![], 400, "key"),
        ("GET", format!("/v1/state/0x{}", "00".repeat(1_025)), vec![], 400, "key"),
        ("POST", "/v1/query".into(), vec![1], 400, "malformed-query"),
        ("POST", "/v1/query".into(), vec![0; 40 << 10], 413, "body-too-large"),
        ("GET", "/v1/query".into(), vec![], 405, "method-not-allowed"),
        ("GET", format!("/v1/transactions/{id}/output"), vec![], 404, "not-committed"),
        ("GET", "/v1/blocks/99999".into(), vec![], 404, "no-such-block"),
        ("GET", "/v1/blocks/0?from=-1".into(), vec![], 400, "query"),
        ("GET", "/v1/blocks/0?limit=1".into(), vec![], 400, "query"),
        ("GET", "/v1/blocks/-1".into(), vec![], 400, "height"),
        ("GET", "/v1/blocks/99999999999999999999999".into(), vec![], 400, "height"),
        ("GET", "/v1/blocks/99999/raw".into(), vec![], 404, "no-such-block"),
        ("GET", "/v1/blocks/99999/receipts/raw".into(), vec![], 404, "no-such-block"),
        ("GET", "/v1/blocks/raw/raw".into(), vec![], 400, "height"),
        ("GET", "/v1/blocks/0/receipts/raw?from=-1".into(), vec![], 400, "query"),
        ("GET", "/v1/blocks/raw?max=0".into(), vec![], 400, "query"),
        ("GET", "/v1/headers/raw?to=3".into(), vec![], 400, "query"),
        ("GET", format!("/v1/transactions/{id}/raw"), vec![], 404, "not-committed"),
        ("GET", "/v1/transactions/0x12/raw".into(), vec![], 400, "transaction-id"),
        ("GET", "/v1/state?prefix=0x6".into(), vec![], 400, "key"),
        ("GET", "/v1/state?after=k".into(), vec![], 400, "key"),
        ("GET", format!("/v1/state?prefix={}", "00".repeat(1_025)), vec![], 400, "key"),
        ("GET", "/v1/state?limit=5".into(), vec![], 400, "query"),
        ("GET", "/v1/epochs?from=-1".into(), vec![], 400, "query"),
        ("GET", "/index.html".into(), vec![], 404, "no-such-path"),
        ("GET", format!("/{}", "a".repeat(2_000)), vec![], 404, "no-such-path"),
        ("GET", "/readyz?max_block_age=1".into(), vec![], 400, "query"),
    ];
    for (method, path, body, status, code) in cases {
        let reply = running.request(method, &path, &body);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{method} {path}: {reply:?}");
        assert!(!reply.head.to_lowercase().contains("access-control"), "pages of other origins must not read answers: {reply:?}");
        assert!(reply.body.len() < 1_000, "{reply:?}");
    }
    let unknown: Submitted = running.get(&format!("/v1/transactions/{id}"));
    assert_eq!(unknown.status, TransactionStatus::Unknown);
    running.commit(&transfer(0));
    assert_eq!(running.node.failure(), None);
    running.node.stop();
}

#[test]
fn bytes_that_are_no_http_end_the_connection_and_nothing_else() {
    let running = Running::start();
    let long_head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], &[0xff; 4_096], b"\r\n\r\n", long_head.as_bytes(), many.as_bytes()] {
        let mut stream = connect(running.node.api_address());
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let reply = read_reply(&mut stream);
        assert!(reply.is_none_or(|reply| (400..=431).contains(&reply.status)));
    }
    running.commit(&transfer(0));
    running.node.stop();
}

#[test]
fn a_client_that_sends_its_head_or_body_too_slowly_is_cut_off() {
    let running = Running::with(&["api.read_timeout_ms=100"], MemoryStore::new());
    let mut stream = connect(running.node.api_address());
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost:").unwrap();
    assert!(read_reply(&mut stream).is_none_or(|reply| reply.status == 408), "closed before a complete request");

    let mut stream = connect(running.node.api_address());
    stream.write_all(b"POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nonly this").unwrap();
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (408, "body-too-slow"));

    let mut idle = connect(running.node.api_address());
    assert!(read_reply(&mut idle).is_none(), "an idle connection is closed");
    running.node.stop();
}

#[test]
fn a_connection_too_many_takes_the_place_of_the_idlest() {
    let running = Running::with(&["api.connections_max=2"], MemoryStore::new());
    let mut idlest = connect(running.node.api_address());
    idlest.write_all(b"GET /v1/status HTTP/1.1\r\n").unwrap();
    let mut younger = connect(running.node.api_address());
    younger.write_all(b"POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 1\r\n\r\n").unwrap();
    assert_eq!(running.request("GET", "/v1/status", &[]).status, 200);
    assert!(read_reply(&mut idlest).is_none(), "it was closed without an answer");
    younger.write_all(b"x").unwrap();
    assert_eq!(read_reply(&mut younger).unwrap().status, 400, "and this one was not");
    assert!(metric(&running, "quorate_api_closed_idle_connections_total") >= 1);
    running.node.stop();
}

/// A client that waits for the commit of a transaction whose predecessors are missing.
fn wait_for_a_gap(running: &Running) -> std::net::TcpStream {
    let mut waiting = connect(running.node.api_address());
    let early = transfer(5);
    let length = early.raw().len();
    let head =
        format!("POST /v1/transactions?wait=committed&timeout_ms=60000 HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    waiting.write_all(&[head.as_bytes(), early.raw()].concat()).unwrap();
    running.eventually("the client waits", |running| metric(running, "quorate_pool_waiting_clients") == 1);
    waiting
}

#[test]
fn a_connection_too_many_is_told_that_the_node_is_busy_where_all_others_are_owed_an_answer() {
    let running = Running::with(&["api.connections_max=1"], MemoryStore::new());
    let waiting = wait_for_a_gap(&running);
    let second = running.request("GET", "/v1/status", &[]);
    assert_eq!((second.status, second.code().as_str()), (503, "busy"));
    assert_eq!(request(running.node.metrics_address(), "GET", "/livez", &[]).status, 200, "the operator is still served");
    drop(waiting);
    running.eventually("room again", |running| running.request("GET", "/v1/status", &[]).status == 200);
    running.node.stop();
}

#[test]
fn who_cannot_wait_for_a_commit_is_told_at_once_that_it_is_pending() {
    let running = Running::with(&["api.connections_max=7"], MemoryStore::new());
    let _waiting = wait_for_a_gap(&running);
    let later = transfer(6);
    for _ in 0..20 {
        let reply = running.submit(&later, "committed");
        assert_eq!((reply.status, reply.json::<Submitted>().status), (200, TransactionStatus::Pending), "{reply:?}");
    }
    assert_eq!(running.request("GET", "/livez", &[]).status, 200);
    running.node.stop();
}

#[test]
fn rotten_history_is_answered_with_503_and_raises_an_alarm_and_the_chain_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let open = || RocksStore::open(home.path(), RocksOptions::default()).unwrap();
    let witness = MemoryWitness::of_new_key(keys(1).public().consensus_key);
    let start = || Running::of(Setup { witness: Box::new(witness.clone()), ..setup(&[]) }, open());
    let running = start();
    let transaction = transfer(0);
    let (height, _) = running.commit(&transaction);
    running.commit(&transfer(1));
    running.node.stop();
    // Opening flushes the log to tables.
    drop(open());
    let mut rotten = 0;
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        // The properties at the end of a table name its column family.
        if path.extension().is_some_and(|extension| extension == "sst") && bytes.windows(8).any(|window| window == b"receipts") {
            bytes[10] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            rotten += 1;
        }
    }
    assert!(rotten > 0);

    let running = start();
    for path in [
        format!("/v1/blocks/{height}"),
        format!("/v1/transactions/{}/proof", transaction.id()),
        format!("/v1/transactions/{}", transaction.id()),
        format!("/v1/blocks/{height}/receipts/raw"),
    ] {
        let reply = running.request("GET", &path, &[]);
        assert_eq!((reply.status, reply.code().as_str()), (503, "history-damaged"), "{path}");
    }
    assert_eq!(running.submit(&transaction, "accepted").code(), "history-damaged");
    assert!(metric(&running, "quorate_store_damaged_reads") > 0);
    let ready = running.request("GET", "/readyz", &[]);
    assert!(ready.status == 200 && String::from_utf8_lossy(&ready.body).contains("history"), "{ready:?}");
    let (next, _) = running.commit(&transfer(2));
    assert!(next > height);
    assert_eq!(running.get::<BlockView>(&format!("/v1/blocks/{next}")).transactions_total, 1);
    assert_eq!(running.node.failure(), None);
    running.node.stop();
}

#[test]
fn a_client_that_reads_too_slowly_is_cut_off() {
    let mut genesis = genesis();
    // An answer of ten megabytes, more than the system buffers for a client that does not read.
    let account = |number: u32| {
        let mut address = [0; 32];
        address[..4].copy_from_slice(&number.to_be_bytes());
        GenesisAccount { address: Address(Hash(address)), balance: 1 }
    };
    genesis.application = Settings::default().with_accounts((0..100_000).map(account).collect()).in_genesis();
    let running = Running::of(setup_of(keys(1), genesis, &["api.write_timeout_ms=100"]), MemoryStore::new());
    let mut slow = connect(running.node.api_address());
    slow.write_all(b"GET /v1/genesis HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    running.eventually("the request has come", |running| {
        metric(running, "quorate_api_requests_total{route=\"/v1/genesis\",status=\"2xx\"}") > 0
    });
    // One connection is that of the metrics request itself.
    running.eventually("the slow reader is cut off", |running| metric(running, "quorate_api_connections") == 1);
    drop(slow);
    running.node.stop();
}

fn metric(running: &Running, name: &str) -> u64 {
    let text = running.metrics();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or_default()
}

#[test]
fn more_waiting_submissions_than_allowed_are_told_that_the_node_is_busy() {
    let running = Running::with(&["api.waiting_max=2"], MemoryStore::new());
    let batch = |transactions: Vec<Transaction>| codec::encode(&TransactionBatch(Bounded::truncated(transactions)));
    let reply = running.request("POST", "/v1/transactions/batch", &batch((0..3).map(transfer).collect()));
    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"));
    assert_eq!(running.request("POST", "/v1/transactions/batch", &batch((0..2).map(transfer).collect())).status, 200);
    running.node.stop();
}

#[test]
fn a_batch_is_taken_one_by_one() {
    let running = Running::start();
    let mut forged = transfer(2).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let batch =
        vec![transfer(0), Transaction::decode(forged.into()).unwrap(), transfer(1), sign_for(genesis().hash(), 2, in_a_minute(), vec![9])];
    let body = codec::encode(&TransactionBatch(Bounded::truncated(batch)));
    let reply = running.request("POST", "/v1/transactions/batch", &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer: BatchAnswer = reply.json();
    let rejected: Vec<_> = answer.rejected.iter().map(|rejected| (rejected.index, rejected.code.as_str())).collect();
    assert_eq!((answer.accepted, rejected), (2, vec![(1, "signature"), (3, "malformed-operation")]));
    running.eventually("both are committed", |running| {
        running.get::<AccountView>(&format!("/v1/accounts/{}", address_of(&alice()))).sequence == Sequence(2)
    });
    running.node.stop();
}

#[test]
fn a_submission_without_waiting_is_answered_with_its_id_and_committed_later() {
    let running = Running::start();
    let transaction = transfer(0);
    let reply = running.submit(&transaction, "none");
    assert_eq!((reply.status, reply.json::<Submitted>().tx_id), (202, transaction.id()));
    running.eventually("the commit", |running| {
        let known: Submitted = running.get(&format!("/v1/transactions/{}", transaction.id()));
        matches!(known.status, TransactionStatus::Committed { .. })
    });
    running.node.stop();
}

#[test]
fn a_wait_that_is_over_too_soon_says_pending_and_names_the_id() {
    let running = Running::start();
    // It waits for sequence number 0, which does not come.
    let transaction = transfer(1);
    let reply = running.request("POST", "/v1/transactions?wait=committed&timeout_ms=50", transaction.raw());
    assert_eq!(reply.status, 202, "{reply:?}");
    let submitted: Submitted = reply.json();
    assert_eq!((submitted.tx_id, submitted.status), (transaction.id(), TransactionStatus::Pending));
    running.eventually("the pool has it", |running| {
        running.get::<Submitted>(&format!("/v1/transactions/{}", transaction.id())).status == TransactionStatus::Pending
    });
    // First its predecessor, then itself.
    running.commit(&transfer(0));
    running.commit(&transaction);
    running.node.stop();
}

#[test]
fn readiness_says_what_is_missing() {
    let running = Running::start();
    assert_eq!(running.request("GET", "/livez", &[]).status, 200);
    running.eventually("ready", |running| running.request("GET", "/readyz", &[]).status == 200);
    let reply = running.request("GET", "/readyz?min_peers=1", &[]);
    assert_eq!(reply.status, 503);
    let checks: serde_json::Value = reply.json();
    assert_eq!(checks["ready"], false);
    let failed: Vec<_> = checks["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["name"], "peers");
    assert_eq!(running.request("GET", "/readyz?max_block_age_ms=0", &[]).status, 503, "genesis is old");
    running.node.stop();
}

#[test]
fn metrics_are_text_with_the_documented_names() {
    let running = Running::start();
    running.commit(&transfer(0));
    let mut forged = transfer(1).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(running.request("POST", "/v1/transactions", &forged).status, 400);
    assert_eq!(running.request("GET", "/metrics", &[]).status, 404, "not for clients");
    let text = running.metrics();
    assert!(text.contains("# TYPE quorate_consensus_committed_transactions_total counter\n") && !text.contains("# EOF"), "{text}");
    let mut stream = connect(running.node.metrics_address());
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: application/openmetrics-text\r\n\r\n")
        .unwrap();
    let newer = read_reply(&mut stream).unwrap();
    assert!(newer.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{newer:?}");
    assert!(newer.body.ends_with(b"# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("quorate_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(text.contains("\nquorate_consensus_committed_transactions_total 1\n"));
    assert!(value("quorate_consensus_height") >= 1.0);
    assert!(value("quorate_consensus_commit_seconds_count") >= 1.0);
    assert!(value("quorate_consensus_round") >= 2.0);
    assert!(text.contains("\nquorate_api_refused_submissions_total{reason=\"signature\"} 1\n"));
    assert!(text.contains("\nquorate_network_connected_peers 0\n"));
    assert!(text.contains("quorate_build_info{version="));
    if cfg!(target_os = "linux") {
        assert!(value("quorate_process_resident_memory_bytes") > 1e6);
        assert!(value("quorate_process_cpu_seconds_total") >= 0.0);
        assert!(value("quorate_process_open_files") > 3.0);
    }
    assert!(value("quorate_process_open_files_max") >= 256.0);
    assert!(value("quorate_log_lost_lines_total") >= 0.0 && value("quorate_log_repeated_lines_total") >= 0.0);
    running.node.stop();
}

#[test]
fn every_counter_is_there_from_the_start_with_all_its_labels() {
    let running = Running::start();
    let series = || {
        let text = running.metrics();
        let names = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = series();
    running.commit(&transfer(0));
    running.commit(&sign(1, &Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 })));
    let mut forged = transfer(2).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    for (method, path, body) in [
        ("POST", "/v1/transactions", forged.as_slice()),
        ("POST", "/v1/transactions", transfer(0).raw()),
        ("POST", "/v1/transactions/batch", b"x"),
        ("POST", "/v1/nothing", b""),
        ("GET", "/v1/status", b""),
        ("GET", "/v1/blocks/99", b""),
        ("GET", "/readyz?min_peers=1", b""),
        ("GET", "/metrics", b""),
    ] {
        running.request(method, path, body);
    }
    assert_eq!(series(), before);
    running.node.stop();
}

#[test]
fn the_explorer_is_served_with_a_policy_that_binds_it_to_this_node_and_not_to_operators() {
    let running = Running::start();
    for (path, content_type, part) in [
        ("/", "text/html; charset=utf-8", "<title>quorate</title>"),
        ("/v1/docs", "text/html; charset=utf-8", "<title>quorate: the HTTP API</title>"),
        ("/proof.js", "text/javascript; charset=utf-8", "class LightClient"),
    ] {
        let reply = running.request("GET", path, &[]);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{path}");
        assert!(String::from_utf8_lossy(&reply.body).contains(part), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!((reply.header("cache-control"), reply.header("referrer-policy")), (Some("no-cache"), Some("no-referrer")), "{path}");
        assert_eq!(request(running.node.metrics_address(), "GET", path, &[]).status, 404, "{path}");
    }
    assert!(metric(&running, "quorate_api_requests_total{route=\"/\",status=\"2xx\"}") >= 2);
    // An answer of the API is never taken for a page.
    for path in ["/v1/status", "/v1/nothing", "/livez"] {
        assert_eq!(running.request("GET", path, &[]).header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    running.node.stop();
}

#[test]
fn health_answers_while_clients_have_every_connection_of_the_api() {
    let running = Running::with(&["api.connections_max=2"], MemoryStore::new());
    let held: Vec<_> = (0..8).map(|_| connect(running.node.api_address())).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(request(running.node.metrics_address(), "GET", path, &[]).status, 200, "{path}");
    }
    drop(held);
    running.node.stop();
}

#[test]
fn a_request_for_another_host_is_refused_and_one_for_a_configured_name_answered() {
    let running = Running::with(&["api.hosts=[\"node.example.org\"]"], MemoryStore::new());
    let ask = |first: &str, hosts: &str| {
        let mut stream = connect(running.node.api_address());
        stream.write_all(format!("GET {first} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).unwrap();
        read_reply(&mut stream).unwrap()
    };
    for hosts in ["host: 127.0.0.1:8080\r\n", "host: [::1]\r\n", "host: localhost\r\n", "host: node.example.org:80\r\n"] {
        assert_eq!(ask("/v1/status", hosts).status, 200, "{hosts:?}");
    }
    for hosts in ["host: evil.example\r\n", "host: evil.example:8080\r\n", "host: localhost\r\nhost: evil.example\r\n"] {
        for path in ["/v1/status", "/livez"] {
            let reply = ask(path, hosts);
            // A request with two headers may be refused earlier.
            assert!(reply.status == 421 || (reply.status == 400 && hosts.contains("localhost")), "{hosts:?}: {reply:?}");
        }
    }
    assert_eq!(ask("http://evil.example/v1/status", "host: localhost\r\n").status, 421);
    running.node.stop();
}

#[test]
fn a_node_continues_where_it_stopped() {
    let (store, witness) = (MemoryStore::new(), MemoryWitness::of_new_key(keys(1).public().consensus_key));
    let start = || Running::of(Setup { witness: Box::new(witness.clone()), ..setup(&[]) }, store.clone());
    let running = start();
    let transaction = transfer(0);
    let first = running.commit(&transaction);
    running.node.stop();

    let running = start();
    assert_eq!(running.commit(&transaction), first, "still the same commit");
    running.commit(&transfer(1));
    running.node.stop();
}

/// SAFE-6: the error says what is at stake and what to do.
#[test]
fn a_node_whose_data_is_gone_does_not_start_and_says_what_to_do() {
    let witness = MemoryWitness::of_new_key(keys(1).public().consensus_key);
    let setup = || Setup { witness: Box::new(witness.clone()), ..setup(&[]) };
    let running = Running::of(setup(), MemoryStore::new());
    running.commit(&transfer(0));
    running.node.stop();
    let error = Node::start(setup(), MemoryStore::new()).unwrap_err().to_string();
    assert!(error.contains("SAFE-6") && error.contains("quorate keygen validator") && error.contains("docs/operate.md"), "{error}");
}

#[test]
fn a_disk_that_fails_ends_the_node_and_no_answer_claims_a_commit() {
    let store = MemoryStore::new();
    let running = Running::with(&[], store.clone());
    running.commit(&transfer(0));
    store.fail_writes_after(0);
    let reply = running.submit(&transfer(1), "committed");
    assert_eq!((reply.status, reply.code().as_str()), (503, "stopping"), "{reply:?}");
    running.eventually("the failure is known", |running| running.node.failure().is_some());
    assert_eq!(running.request("GET", "/livez", &[]).status, 503);
    running.node.stop();
}

#[test]
fn a_node_with_the_wrong_genesis_or_key_does_not_start_and_says_why() {
    let start = |change: fn(&mut Setup)| {
        let mut setup = setup(&[]);
        change(&mut setup);
        Node::start(setup, MemoryStore::new()).unwrap_err()
    };
    let hash = start(|setup| setup.config.node.genesis_hash = "11".repeat(32));
    assert!(matches!(hash, NodeError::GenesisHash { .. }), "{hash}");
    assert!(hash.to_string().contains(&genesis().hash().to_string()) && hash.to_string().contains(&"11".repeat(32)));
    let stranger = start(|setup| setup.keys = keys(2).into());
    assert!(matches!(stranger, NodeError::NotInCommittee { .. }), "{stranger}");
    let network = start(|setup| setup.keys = ValidatorKeys::from_seeds(Zeroizing::new([1; 32]), Zeroizing::new([9; 32])).into());
    assert!(matches!(&network, NodeError::NetworkKey { name, .. } if name == "one"), "{network}");
    let listen = start(|setup| setup.config.network.listen = "here".into());
    assert!(listen.to_string().contains("[network] listen"), "{listen}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut setup = setup(&[]);
    setup.config.api.listen = address;
    let error = Node::start(setup, MemoryStore::new()).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("[api] listen"), "{error}");
}

#[test]
fn the_addresses_of_api_and_health_stand_in_files_while_the_node_runs() {
    let home = tempfile::tempdir().unwrap();
    let files = ["api.address", "metrics.address"].map(|name| home.path().join(name));
    let setup = Setup { address_files: Some(files.clone().into()), ..setup(&[]) };
    let node = Node::start(setup, MemoryStore::new()).unwrap();
    for (file, address) in files.iter().zip([node.api_address(), node.metrics_address()]) {
        assert_eq!(std::fs::read_to_string(file).unwrap().trim(), address.to_string());
    }
    node.stop();
    assert!(files.iter().all(|file| !file.exists()));
}

#[test]
fn our_place_is_found_by_our_key() {
    let membership = Membership::at_genesis(&genesis(), &keys(1).public(), false).unwrap();
    let (id, validator) = membership.seat.clone().unwrap();
    assert_eq!((id.0, validator.name.as_str()), (0, "one"));
    assert_eq!(membership.listen(&Config::default()), "/ip4/127.0.0.1/tcp/0");
}
