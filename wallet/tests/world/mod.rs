//! A chain in memory whose committee's keys the test holds, its nodes over HTTP, honest and not, and wallets that use them.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by two test files")]

#[path = "../../../client/tests/fake/mod.rs"]
pub mod fake;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::Path,
    slice,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, StatusCode},
    response::Response,
};
use clap::Parser;
use fake::{Fake, hexadecimal};
use quorate_builtin::{Account, BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, explain, keys::KV_OWN};
use quorate_client::{Pace, session};
use quorate_keygen::{AccountKey, Sealing, save_account_key};
use quorate_terminal::{CommandError, Format, Output, Written};
use quorate_types::{
    crypto::Hash,
    failure::Code,
    header::Header,
    ids::{Address, TxId},
    merkle::MerkleProof,
    proof::{TransactionProof, ValueProof},
    receipt::{Outcome, Receipt},
    round::{Height, Sequence, UnixMillis},
    state_key::account_key,
    state_proof::{StateProof, StateTerminal, state_key_hash, state_leaf_hash, state_value_hash},
    transaction::Transaction,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use zeroize::Zeroizing;

/// Alice's initial balance.
pub const BALANCE: u64 = 500;
/// Alice's initial sequence number.
pub const SEQUENCE: u64 = 4;

/// One HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(status: u16, value: &Value) -> Self {
        Self { status, body: value.to_string().into_bytes() }
    }

    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message, "hint": "believe me" } }))
    }
}

/// The chain. It executes the operations of the wallet's commands, and commits one block per transaction.
pub struct Chain {
    fake: Fake,
    state: Mutex<State>,
    /// While set, nothing is committed.
    is_held: Mutex<bool>,
    /// How far the blocks' time is ahead of this machine's clock, in milliseconds.
    ahead_ms: AtomicU64,
}

struct State {
    height: u64,
    timestamp: u64,
    accounts: BTreeMap<Address, Account>,
    values: BTreeMap<(bool, Address, Vec<u8>), Vec<u8>>,
    pool: BTreeMap<(Address, Sequence), Transaction>,
    committed: BTreeMap<TxId, (u64, String, Outcome)>,
    transactions: BTreeMap<TxId, Transaction>,
    /// Committed operations, in order.
    operations: Vec<Operation>,
}

pub fn key(name: &str) -> AccountKey {
    AccountKey::from_seed(Zeroizing::new([name.as_bytes()[0]; 32]))
}

pub fn address(name: &str) -> Address {
    key(name).public().address
}

impl Chain {
    pub fn new() -> Arc<Self> {
        let fake = Fake::new(vec![GenesisAccount { address: address("alice"), balance: BALANCE }]);
        let accounts = BTreeMap::from([(
            address("alice"),
            Account { balance: BALANCE, sequence: Sequence(SEQUENCE), stored: 326, ..Account::default() },
        )]);
        let values = BTreeMap::from([((true, Address::default(), b"k".to_vec()), b"v".to_vec())]);
        let state = State {
            height: 10,
            timestamp: session::clock().0,
            accounts,
            values,
            pool: BTreeMap::new(),
            committed: BTreeMap::new(),
            transactions: BTreeMap::new(),
            operations: Vec::new(),
        };
        Arc::new(Self { fake, state: Mutex::new(state), is_held: Mutex::new(false), ahead_ms: AtomicU64::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn fake(&self) -> &Fake {
        &self.fake
    }

    /// Stops or resumes committing.
    pub fn hold(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.commit_what_is_ready();
    }

    /// Sets the blocks' time this far ahead of the clock, and commits an empty block.
    pub fn run_ahead(&self, by: Duration) {
        self.ahead_ms.store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
        self.empty_block();
    }

    /// Commits an empty block, as on a heartbeat.
    pub fn empty_block(&self) {
        let now = self.now();
        let mut state = self.state();
        state.height += 1;
        state.timestamp = now.max(state.timestamp + 1);
        // Expired transactions leave the pool.
        let timestamp = state.timestamp;
        state.pool.retain(|_, tx| tx.content().expires_at.0 > timestamp);
    }

    /// Empties the pool, as a restart does.
    pub fn forget_pool(&self) {
        self.state().pool.clear();
    }

    pub fn account(&self, of: Address) -> Account {
        self.state().accounts.get(&of).copied().unwrap_or_default()
    }

    pub fn height(&self) -> u64 {
        self.state().height
    }

    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    pub fn waiting(&self) -> Vec<Transaction> {
        self.state().pool.values().cloned().collect()
    }

    pub fn committed(&self) -> Vec<TxId> {
        self.state().committed.keys().copied().collect()
    }

    fn now(&self) -> u64 {
        session::clock().0 + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// An honest node's answer.
    pub fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        let parts: Vec<_> = path.split('?').next().unwrap().trim_matches('/').split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("POST", ["v1", "transactions"]) => self.submit(body),
            ("GET", ["v1", "transactions", id]) => self.status(id.parse().unwrap()),
            ("GET", ["v1", "transactions", id, "proof"]) => match self.state().committed.get(&id.parse().unwrap()) {
                Some((_, proof, _)) => Answer::json(200, &json!({ "proof": proof })),
                None => Answer::refusal(404, "not-committed", "it is not committed"),
            },
            ("GET", ["v1", "transactions", id, "raw"]) => match self.state().transactions.get(&id.parse().unwrap()) {
                Some(tx) => Answer { status: 200, body: tx.raw().to_vec() },
                None => Answer::refusal(404, "not-committed", "it is not committed"),
            },
            ("GET", ["v1", "events"]) => self.events(path),
            ("GET", ["v1", "accounts", address]) => self.account_view(address.parse().unwrap()),
            ("GET", ["v1", "state", key]) => self.state_view(&hex::decode(key.trim_start_matches("0x")).unwrap()),
            ("GET", ["v1", "genesis"]) => Answer { status: 200, body: serde_json::to_vec(&self.fake.genesis).unwrap() },
            _ => Answer::refusal(404, "not-found", "no such path"),
        }
    }

    /// The events about an account until now, after which the stream ends.
    fn events(&self, path: &str) -> Answer {
        let account: Address = path.rsplit_once("account=").unwrap().1.parse().unwrap();
        let state = self.state();
        let mut text = String::new();
        let mut sent: Vec<_> = state.transactions.values().filter(|tx| tx.sender() == account).collect();
        sent.sort_by_key(|tx| tx.content().sequence);
        for tx in sent {
            let (height, _, _) = state.committed[&tx.id()];
            let listed = json!({ "tx_id": tx.id(), "sender": account, "sequence": tx.content().sequence, "receipt": Hash::default(),
                "outcome": { "result": "applied", "output_bytes": 0, "output": "" } });
            let event = json!({ "height": height, "timestamp": 1, "transactions": [listed] });
            writeln!(text, "id: {height}\nevent: transactions\ndata: {event}\n").unwrap();
        }
        writeln!(text, "id: {}\n", state.height).unwrap();
        Answer { status: 200, body: text.into_bytes() }
    }

    fn submit(&self, body: &[u8]) -> Answer {
        let Ok(tx) = Transaction::decode(Arc::from(body)) else {
            return Answer::refusal(400, "malformed-transaction", "it does not decode");
        };
        let signed = tx.content().sender.decode().is_ok_and(|key| key.verify(&tx.id().0, tx.signature()).is_ok());
        if !signed {
            return Answer::refusal(400, "bad-signature", "it is not signed");
        }
        if self.state().committed.contains_key(&tx.id()) {
            return self.status_with_proof(tx.id());
        }
        let content = tx.content();
        let next = self.account(tx.sender()).sequence;
        if content.expires_at.0 <= self.now() {
            return Answer::refusal(409, "expired", "it has expired");
        }
        if content.sequence < next {
            return Answer::refusal(409, "sequence-too-old", "its number is used");
        }
        let place = (tx.sender(), content.sequence);
        if self.state().pool.get(&place).is_some_and(|other| other.id() != tx.id()) {
            return Answer::refusal(409, "sequence-taken", "another one has its number");
        }
        self.state().pool.insert(place, tx.clone());
        self.commit_what_is_ready();
        self.status_with_proof(tx.id())
    }

    fn commit_what_is_ready(&self) {
        if *self.is_held.lock().unwrap() {
            return;
        }
        loop {
            let now = self.now();
            let mut state = self.state();
            let ready = state
                .pool
                .keys()
                .copied()
                .find(|(sender, sequence)| state.accounts.get(sender).copied().unwrap_or_default().sequence == *sequence);
            let Some(tx) = ready.and_then(|place| state.pool.remove(&place)) else { return };
            state.height += 1;
            state.timestamp = now.max(state.timestamp + 1);
            if tx.content().expires_at.0 <= state.timestamp {
                continue;
            }
            let outcome = state.execute(&tx);
            let receipt = Receipt { tx_id: tx.id(), outcome: outcome.clone() };
            let header = Header {
                timestamp: UnixMillis(state.timestamp),
                ..self.fake.header(state.height, slice::from_ref(&receipt), Hash::default())
            };
            let path = MerkleProof::of(&fake::leaves(slice::from_ref(&receipt)), 0).unwrap();
            let proof = TransactionProof { receipt, path, commit: self.fake.commit(header, &[0, 1, 3]) };
            let height = state.height;
            state.committed.insert(tx.id(), (height, hexadecimal(&proof), outcome));
            state.transactions.insert(tx.id(), tx);
        }
    }

    fn status(&self, id: TxId) -> Answer {
        let state = self.state();
        let status = match state.committed.get(&id) {
            Some((height, _, outcome)) => {
                let outcome = serde_json::to_value(quorate_types::rpc::OutcomeView::new(outcome, |failure| {
                    explain(failure).unwrap_or_else(|| failure.to_string())
                }))
                .unwrap();
                json!({ "tx_id": id, "status": "committed", "height": height, "index": 0, "outcome": outcome })
            }
            None if state.pool.values().any(|tx| tx.id() == id) => json!({ "tx_id": id, "status": "pending" }),
            None => json!({ "tx_id": id, "status": "unknown" }),
        };
        Answer::json(200, &status)
    }

    fn status_with_proof(&self, id: TxId) -> Answer {
        let mut status: Value = serde_json::from_slice(&self.status(id).body).unwrap();
        if let Some((_, proof, _)) = self.state().committed.get(&id) {
            status["proof"] = json!(proof);
        }
        Answer::json(if status["proof"].is_null() { 202 } else { 200 }, &status)
    }

    fn account_view(&self, of: Address) -> Answer {
        let (height, timestamp, account) = {
            let state = self.state();
            (state.height, state.timestamp, state.accounts.get(&of).copied())
        };
        Answer::json(200, &self.account_at(height, timestamp, of, account))
    }

    /// The answer about an account, proved by a certified state with this height and time.
    pub fn account_at(&self, height: u64, timestamp: u64, of: Address, account: Option<Account>) -> Value {
        let value = account.map(|account| account.record().into_value().to_vec());
        let proof = self.value_proof(height, timestamp, &account_key(&of), value.as_deref());
        let account = account.unwrap_or_default();
        json!({
            "address": of, "shown": { "balance": account.balance.to_string() }, "sequence": account.sequence, "next_sequence": account.sequence, "permission": quorate_types::permission::Permission::default(),
            "height": height, "proof": proof, "value": value.map(hex::encode),
        })
    }

    fn state_view(&self, key: &[u8]) -> Answer {
        let (space, owner, name) = match key.split_first().unwrap() {
            (&KV_OWN, rest) => (KvSpace::Own, Address(Hash(*rest.first_chunk().unwrap())), &rest[32..]),
            (_, name) => (KvSpace::Shared, Address::default(), name),
        };
        let (height, timestamp, value) = {
            let state = self.state();
            (state.height, state.timestamp, state.values.get(&(space == KvSpace::Shared, owner, name.to_vec())).cloned())
        };
        Answer::json(200, &self.value_at(height, timestamp, key, value.as_deref()))
    }

    /// The answer about a value, proved by a certified state with this height and time.
    pub fn value_at(&self, height: u64, timestamp: u64, key: &[u8], value: Option<&[u8]>) -> Value {
        let proof = self.value_proof(height, timestamp, key, value);
        json!({ "key": hex::encode(key), "value": value.map(hex::encode), "height": height, "proof": proof })
    }

    fn value_proof(&self, height: u64, timestamp: u64, key: &[u8], value: Option<&[u8]>) -> String {
        let (key_hash, value_hash) = match value {
            Some(value) => (state_key_hash(key), state_value_hash(value)),
            None => (state_key_hash(b"other"), state_value_hash(b"other")),
        };
        let path = StateProof { siblings: Vec::new(), terminal: StateTerminal::Leaf { key_hash, value_hash } };
        let root = state_leaf_hash(&key_hash, &value_hash);
        let header = Header { timestamp: UnixMillis(timestamp), ..self.fake.header(height, &[], root) };
        hexadecimal(&ValueProof { path, commit: self.fake.commit(header, &[1, 2, 3]) })
    }
}

impl State {
    fn execute(&mut self, tx: &Transaction) -> Outcome {
        let sender = self.accounts.entry(tx.sender()).or_default();
        sender.sequence = sender.sequence.next();
        let operation = Operation::decode(&tx.content().payload).unwrap();
        self.operations.push(operation.clone());
        match operation {
            Operation::Bank(BankOperation::Transfer { to, amount }) => {
                if sender.balance < amount {
                    return failed();
                }
                sender.balance -= amount;
                self.accounts.entry(to).or_default().balance += amount;
                done()
            }
            Operation::Kv(KvOperation { space, key, action }) => {
                let shared = space == KvSpace::Shared;
                let place = (shared, if shared { Address::default() } else { tx.sender() }, key);
                match (action, self.values.get_mut(&place)) {
                    (KvAction::Put(value), _) => {
                        self.values.insert(place, value);
                        done()
                    }
                    (KvAction::Get, value) => valued(value.cloned().unwrap_or_default()),
                    (KvAction::Append(more), Some(value)) => {
                        value.extend(more);
                        done()
                    }
                    (KvAction::Slice { start, end }, Some(value)) => match value.get(start as usize..end as usize) {
                        Some(part) => {
                            *value = part.to_vec();
                            valued(value.clone())
                        }
                        None => failed(),
                    },
                    (KvAction::Delete, _) => {
                        self.values.remove(&place);
                        done()
                    }
                    (KvAction::Append(_) | KvAction::Slice { .. }, None) => failed(),
                }
            }
        }
    }
}

fn done() -> Outcome {
    Outcome::Applied(quorate_builtin::Answer::Done.encode())
}

fn valued(value: Vec<u8>) -> Outcome {
    Outcome::Applied(quorate_builtin::Answer::Value(value).encode())
}

fn failed() -> Outcome {
    Outcome::failed(Code::new("no"), &[])
}

/// A node's behaviour: from chain, method, path and body to an answer; `None` breaks the connection.
pub type Manner = Arc<dyn Fn(&Chain, &Method, &str, &[u8]) -> Option<Answer> + Send + Sync>;

/// A node over HTTP, stopped when dropped.
pub struct Node {
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub async fn honest(chain: &Arc<Chain>) -> Self {
        Self::of(chain, Arc::new(|chain: &Chain, method: &Method, path: &str, body: &[u8]| Some(chain.answer(method, path, body)))).await
    }

    pub async fn of(chain: &Arc<Chain>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let chain = Arc::clone(chain);
        let router = Router::new().fallback(move |request: Request| {
            let (chain, manner) = (Arc::clone(&chain), Arc::clone(&manner));
            async move {
                let (parts, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
                match manner(&chain, &parts.method, &path, &body) {
                    Some(answer) => {
                        let status = StatusCode::from_u16(answer.status).unwrap();
                        Response::builder().status(status).body(Body::from(answer.body)).unwrap()
                    }
                    // A body that ends in an error breaks the connection.
                    None => Response::new(Body::from_stream(BrokenOff)),
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }
}

/// A body that fails.
struct BrokenOff;

impl futures::Stream for BrokenOff {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())))
    }
}

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    command: quorate_wallet::Command,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: u8,
    pub error: Option<CommandError>,
    pub written: Written,
}

impl Ran {
    /// The one JSON object on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.written.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts success.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The exit code and the error's code.
    pub fn end(&self) -> (u8, &str) {
        (self.code, self.error.as_ref().map_or("", |error| &error.code))
    }
}

/// A home with the accounts alice and bob.
pub struct Home(TempDir);

impl Home {
    pub fn new(chain: &Chain) -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["alice", "bob"] {
            save_account_key(&home.path().join("wallet"), name, &key(name), &Sealing::InsecurePlaintext).unwrap();
        }
        fs::create_dir(home.path().join("config")).unwrap();
        fs::write(home.path().join("config/genesis.json"), serde_json::to_vec(&chain.fake.genesis).unwrap()).unwrap();
        Self(home)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Deletes everything remembered, as if nothing had ever been asked or sent from here.
    pub fn forget(&self) {
        let networks = self.path().join("wallet/networks");
        if networks.exists() {
            fs::remove_dir_all(networks).unwrap();
        }
    }

    /// Number of saved transactions.
    pub fn kept(&self) -> usize {
        fn count(directory: &Path) -> usize {
            let Ok(entries) = fs::read_dir(directory) else { return 0 };
            entries
                .map(|entry| entry.unwrap().path())
                .map(|path| if path.is_dir() { count(&path) } else { usize::from(path.extension().is_some_and(|end| end == "tx")) })
                .sum()
        }
        count(&self.path().join("wallet/networks"))
    }

    pub async fn run(&self, nodes: &[&Node], format: Format, arguments: &[&str]) -> Ran {
        let nodes: Vec<_> = nodes.iter().map(|node| node.url.as_str()).collect();
        self.run_at(&nodes.join(","), format, arguments).await
    }

    pub async fn run_at(&self, nodes: &str, format: Format, arguments: &[&str]) -> Ran {
        let common = ["wallet", "--home", self.path().to_str().unwrap(), "--node", nodes];
        let command = Program::try_parse_from([&common, arguments].concat()).unwrap_or_else(|error| panic!("{error}")).command;
        let pace = Pace { pause: Duration::from_millis(2), patience: Duration::from_millis(60) };
        let out = Output::kept(format);
        let error = command.with_pace(pace).run(&out).await.err();
        if let Some(error) = &error {
            out.error(error);
        }
        Ran { code: error.as_ref().map_or(0, |error| error.exit.code()), error, written: out.written() }
    }

    pub async fn json(&self, nodes: &[&Node], arguments: &[&str]) -> Ran {
        self.run(nodes, Format::Json, arguments).await
    }

    pub async fn text(&self, nodes: &[&Node], arguments: &[&str]) -> Ran {
        self.run(nodes, Format::Text, arguments).await
    }
}

/// A transfer of 5 from alice to bob.
pub const TRANSFER: [&str; 9] = ["transfer", "--from", "alice", "--to", "bob", "--amount", "5", "--timeout", "1"];

/// How often alice has paid bob 5.
pub fn payments(chain: &Chain) -> usize {
    let paid = Operation::Bank(BankOperation::Transfer { to: address("bob"), amount: 5 });
    chain.operations().iter().filter(|operation| **operation == paid).count()
}

/// The height in an answer's `verified`.
pub fn height(value: &Value) -> Height {
    Height(value["verified"]["height"].as_u64().unwrap())
}
