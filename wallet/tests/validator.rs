//! `quorate validator` against a chain that executes the operations on its committee, and whose committee changes thereby.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, slice,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use clap::Parser;
use quorate_app::{BlockContext, Machine, execute_block};
use quorate_builtin::{GenesisAccount, app};
use quorate_client::{Pace, session};
use quorate_genesis::Fragment;
use quorate_keygen::{Sealing, save_account_key};
use quorate_terminal::{Format, Output};
use quorate_types::{
    crypto::Hash,
    epoch::EpochChange,
    genesis::{GenesisValidator, StateLimits},
    header::Header,
    ids::{Address, BlockId, ValidatorId},
    merkle::MerkleProof,
    proof::{TransactionProof, ValueProof},
    round::{Height, Round, UnixMillis},
    state_key::{AccountRecord, account_key},
    state_proof::{StateProof, StateTerminal, state_key_hash, state_leaf_hash, state_value_hash},
    transaction::Transaction,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use world::{
    Answer, Ran, address,
    fake::{self, Fake, hexadecimal},
    key,
};

type Entries = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// The operators of v0 to v3.
const OPERATORS: [&str; 4] = ["alice", "bob", "carol", "dave"];

struct Chain {
    machine: Machine,
    epochs: Vec<Fake>,
    changes: Vec<EpochChange>,
    entries: Entries,
    /// What the node shows in place of the state, if it lags.
    shown: Option<Entries>,
    height: u64,
    committed: BTreeMap<String, String>,
    /// The ids of all transactions that arrived.
    arrived: BTreeSet<String>,
    is_held: bool,
    waiting: Vec<Transaction>,
    /// The names of the validators that the node does not reach.
    unreachable: Vec<&'static str>,
}

impl Chain {
    fn new() -> Self {
        let accounts = OPERATORS.into_iter().chain(["eve"]).map(|name| GenesisAccount { address: address(name), balance: 1_000_000 });
        let fake = Fake::with_operators(accounts.collect(), OPERATORS.map(|name| Some(address(name))));
        let machine = app().open(&fake.genesis).unwrap();
        let entries = machine.genesis_state().unwrap().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Self {
            machine,
            epochs: vec![fake],
            changes: Vec::new(),
            entries,
            shown: None,
            height: 1_200,
            committed: BTreeMap::new(),
            arrived: BTreeSet::new(),
            is_held: false,
            waiting: Vec::new(),
            unreachable: Vec::new(),
        }
    }

    fn now(&self) -> &Fake {
        self.epochs.last().unwrap()
    }

    fn voters(&self) -> Vec<u16> {
        self.now().epoch.committee().unwrap().voters().iter().map(|seat| seat.0).collect()
    }

    /// Commits a transaction in a block of its own. A block that ends an epoch is followed by the first one of the next.
    fn commit(&mut self, tx: &Transaction) {
        self.height += 1;
        let (genesis_hash, timestamp) = (self.now().genesis.hash(), UnixMillis(session::clock().0));
        let context = BlockContext {
            genesis_hash,
            epoch: self.now().epoch.epoch,
            height: Height(self.height),
            round: Round(self.height),
            id: BlockId(Hash([9; 32])),
            timestamp,
            author: ValidatorId(0),
            limits: StateLimits::default(),
        };
        let done = execute_block(&self.machine, &self.entries, &context, &self.now().epoch, slice::from_ref(tx)).unwrap();
        for (key, value) in done.writes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
        let fake = self.now();
        let epoch_state = done.next_epoch.as_ref().unwrap_or(&fake.epoch).hash();
        let header = Header { timestamp, epoch_state, ..fake.header(self.height, &done.receipts, Hash::default()) };
        let commit = fake.commit(header, &self.voters());
        let path = MerkleProof::of(&fake::leaves(&done.receipts), 0).unwrap();
        let proof = TransactionProof { receipt: done.receipts[0].clone(), path, commit: commit.clone() };
        self.committed.insert(tx.id().to_string(), hexadecimal(&proof));
        if let Some(next) = done.next_epoch {
            self.changes.push(EpochChange { commit, next: next.clone() });
            self.epochs.push(self.now().of(next));
            self.height += 1;
        }
    }

    fn release(&mut self) {
        self.is_held = false;
        for tx in std::mem::take(&mut self.waiting) {
            self.commit(&tx);
        }
    }

    /// A value, and its proof by the newest state.
    fn value(&self, key: &[u8]) -> (Option<Arc<[u8]>>, String) {
        let value = self.shown.as_ref().unwrap_or(&self.entries).get(key).cloned();
        let (key_hash, value_hash) = match &value {
            Some(value) => (state_key_hash(key), state_value_hash(value)),
            None => (state_key_hash(b"other"), state_value_hash(b"other")),
        };
        let path = StateProof { siblings: Vec::new(), terminal: StateTerminal::Leaf { key_hash, value_hash } };
        let root = state_leaf_hash(&key_hash, &value_hash);
        let header = Header { timestamp: session::clock(), ..self.now().header(self.height, &[], root) };
        (value, hexadecimal(&ValueProof { path, commit: self.now().commit(header, &self.voters()) }))
    }

    fn account(&self, of: Address) -> Value {
        let (value, proof) = self.value(&account_key(&of));
        let sequence = value.clone().and_then(AccountRecord::decode).unwrap_or_default().sequence();
        json!({
            "address": of, "sequence": sequence, "next_sequence": sequence, "permission": quorate_types::permission::Permission::default(), "height": self.height, "proof": proof,
            "value": value.map(hex::encode),
        })
    }

    fn submit(&mut self, body: &[u8]) -> Answer {
        let tx = Transaction::decode(Arc::from(body)).unwrap();
        let id = tx.id().to_string();
        let is_new = self.arrived.insert(id.clone());
        if is_new && self.is_held {
            self.waiting.push(tx);
        } else if is_new {
            self.commit(&tx);
        }
        match self.committed.get(&id) {
            Some(proof) => Answer::json(200, &json!({ "tx_id": id, "status": "pending", "proof": proof })),
            None => Answer::json(202, &json!({ "tx_id": id, "status": "pending" })),
        }
    }

    fn consensus(&self) -> Value {
        let standing = |name: &String| {
            let state = if self.unreachable.contains(&name.as_str()) { "down" } else { "up" };
            json!({ "name": name, "power": 1, "link": { "state": state, "since_ms": 1 } })
        };
        let names: Vec<_> = self.now().epoch.seats.iter().map(|seat| seat.validator.name.clone()).collect();
        json!({
            "name": "v0", "round": 1, "leader": "v0", "high_qc_round": 1, "height": self.height, "committed_round": 1, "highest_vote_round": 1,
            "locked_round": 1, "catching_up": false, "since_commit_ms": 1, "patience_ms": 1, "quorum_power": 3, "total_power": 4,
            "validators": names.iter().map(standing).collect::<Vec<_>>(),
        })
    }

    fn answer(&mut self, path: &str, body: &[u8]) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path.trim_matches('/').split('/').collect::<Vec<_>>().as_slice() {
            ["v1", "transactions"] => self.submit(body),
            ["v1", "transactions", id, "proof"] => match self.committed.get(*id) {
                Some(proof) => Answer::json(200, &json!({ "proof": proof })),
                None => Answer::refusal(404, "not-committed", "it is not committed"),
            },
            ["v1", "accounts", of] => Answer::json(200, &self.account(of.parse().unwrap())),
            ["v1", "state", key] => {
                let (value, proof) = self.value(&hex::decode(key.trim_start_matches("0x")).unwrap());
                Answer::json(200, &json!({ "key": key, "value": value.map(hex::encode), "height": self.height, "proof": proof }))
            }
            ["v1", "epochs"] => {
                let from: usize = query.trim_start_matches("from=").parse().unwrap();
                let changes: Vec<_> = self.changes.iter().skip(from).map(hexadecimal).collect();
                Answer::json(200, &json!({ "epoch": self.now().epoch.epoch, "changes": changes }))
            }
            ["v1", "consensus"] => Answer::json(200, &self.consensus()),
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    command: quorate_wallet::ValidatorCommand,
}

/// A chain, its node, and a home with the accounts of all operators.
struct World {
    chain: Arc<Mutex<Chain>>,
    url: String,
    home: TempDir,
}

impl World {
    async fn new() -> Self {
        let chain = Arc::new(Mutex::new(Chain::new()));
        let home = tempfile::tempdir().unwrap();
        for name in OPERATORS.into_iter().chain(["eve"]) {
            save_account_key(&home.path().join("wallet"), name, &key(name), &Sealing::InsecurePlaintext).unwrap();
        }
        let genesis = serde_json::to_vec(&chain.lock().unwrap().now().genesis).unwrap();
        fs::create_dir(home.path().join("config")).unwrap();
        fs::write(home.path().join("config/genesis.json"), genesis).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&chain);
        let router = Router::new().fallback(move |request: Request| {
            let chain = Arc::clone(&shared);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let answer = chain.lock().unwrap().answer(parts.uri.path_and_query().unwrap().as_str(), &body);
                Response::builder().status(answer.status).body(Body::from(answer.body)).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { chain, url, home }
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    async fn run(&self, format: Format, arguments: &[&str]) -> Ran {
        let common = ["validator", "--home", self.home.path().to_str().unwrap(), "--node", &self.url];
        let command = Program::try_parse_from([&common, arguments].concat()).unwrap_or_else(|error| panic!("{error}")).command;
        let pace = Pace { pause: Duration::from_millis(2), patience: Duration::from_millis(60) };
        let out = Output::kept(format);
        let error = command.with_pace(pace).run(&app(), &out).await.err();
        if let Some(error) = &error {
            out.error(error);
        }
        Ran { code: error.as_ref().map_or(0, |error| error.exit.code()), error, written: out.written() }
    }

    /// What a successful command prints as text.
    async fn text(&self, arguments: &[&str]) -> String {
        self.run(Format::Text, arguments).await.ok().written.stdout.trim_end().to_owned()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.run(Format::Json, arguments).await.ok().json()
    }

    /// The code with which a command ends, with nothing sent.
    async fn refused(&self, arguments: &[&str]) -> String {
        let before = self.chain().arrived.len();
        let ran = self.run(Format::Text, arguments).await;
        assert_eq!(self.chain().arrived.len(), before, "{ran:?}");
        let error = ran.error.unwrap_or_else(|| panic!("{arguments:?}"));
        error.code
    }

    /// Writes the entry of a new validator to a file, and returns its path.
    fn fragment(&self, entry: GenesisValidator) -> String {
        let path = self.home.path().join(format!("{}.fragment.json", entry.validator.name));
        let draft = self.chain().now().genesis.draft_hash();
        let fragment = Fragment { fragment_version: 1, draft, validator: entry };
        fs::write(&path, serde_json::to_vec(&fragment).unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn entry(&self, name: &str, seed: u8, operator: Option<Address>) -> String {
        let entry = self.chain().epochs[0].entry(name, seed, operator);
        self.fragment(entry)
    }
}

#[tokio::test]
async fn the_committee_is_listed_with_its_seats_powers_and_operators() {
    let world = World::new().await;
    let text = world.text(&["list"]).await;
    for part in ["epoch    0", "quorum   3 of 4 votes", "decided  by operators", "v2", "25 %", "voter", &address("carol").to_string()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = world.json(&["list"]).await;
    assert_eq!(
        (&list["quorum_power"], &list["members"][3]["name"], &list["members"][3]["power"]),
        (&json!("3"), &json!("v3"), &json!("1"))
    );
    assert_eq!(list["verified"]["signers"], json!(["v0", "v1", "v2", "v3"]));
}

#[tokio::test]
async fn a_proposal_takes_effect_with_its_last_vote_and_the_next_command_trusts_the_new_committee() {
    let world = World::new().await;
    let proposed = world.text(&["propose-power", "v3", "5", "--from", "alice"]).await;
    assert_eq!(proposed, "proposal 0: 1 of 3 votes needed; 2 more");
    let shown = world.json(&["proposals"]).await;
    let (proposal, alice) = (&shown["proposals"][0], address("alice").to_string());
    assert_eq!(proposal["what"], "changes the power of v3 (seat 3) from 1 to 5");
    assert_eq!((&proposal["by"], &proposal["approved_by"], &proposal["rejected_by"]), (&json!(alice), &json!([alice]), &json!([])));
    assert!(world.text(&["proposals"]).await.contains("1 of 3"));
    assert_eq!(world.text(&["approve", "0", "--from", "bob"]).await, "proposal 0: 2 of 3 votes needed; 1 more");
    assert_eq!(world.text(&["approve", "0", "--from", "carol"]).await, "took effect: epoch 1 begins after block 1,203");
    let list = world.json(&["list"]).await;
    assert_eq!((&list["epoch"], &list["members"][3]["power"], &list["quorum_power"]), (&json!(1), &json!("5"), &json!("6")));
    assert_eq!(world.text(&["proposals"]).await, "no proposal is open");
}

#[tokio::test]
async fn members_are_added_replaced_and_removed() {
    let world = World::new().await;
    let file = world.entry("w", 11, Some(address("eve")));
    world.text(&["propose-add", &file, "--from", "alice"]).await;
    world.text(&["approve", "0", "--from", "bob"]).await;
    let effect = world.json(&["approve", "0", "--from", "carol"]).await;
    assert_eq!((&effect["state"], &effect["epoch"], &effect["after"]), (&json!("in-force"), &json!(1), &json!(1_203)));
    // The new member's operator would replace its keys without asking anyone, if the committee had not just changed.
    let file = world.entry("w", 12, Some(address("eve")));
    let effect = world.json(&["replace", "4", &file, "--from", "eve"]).await;
    assert_eq!((&effect["state"], &effect["votes"], &effect["own"]), (&json!("open"), &json!("1"), &json!(true)));
    world.text(&["approve", "1", "--from", "alice"]).await;
    let open = world.text(&["approve", "1", "--from", "bob"]).await;
    assert_eq!(open, "proposal 1: 3 of 4 votes needed; 1 more, or approve it again once 100 blocks have passed since the last new epoch");
    let effect = world.json(&["approve", "1", "--from", "carol"]).await;
    assert_eq!((&effect["state"], &effect["epoch"]), (&json!("in-force"), &json!(2)));
    world.text(&["propose-remove", "v3", "--from", "eve"]).await;
    for operator in ["alice", "bob"] {
        world.text(&["approve", "2", "--from", operator]).await;
    }
    assert_eq!(world.json(&["approve", "2", "--from", "carol"]).await["epoch"], 3);
    let names: Vec<_> = world.json(&["list"]).await["members"].as_array().unwrap().iter().map(|member| member["name"].clone()).collect();
    assert_eq!(names, ["v0", "v1", "v2", "w"]);
}

#[tokio::test]
async fn an_observers_operator_replaces_its_entry_and_has_no_say_in_anything_else() {
    let world = World::new().await;
    world.text(&["propose-power", "v3", "0", "--from", "alice"]).await;
    world.text(&["approve", "0", "--from", "bob"]).await;
    assert_eq!(world.text(&["approve", "0", "--from", "carol"]).await, "took effect: epoch 1 begins after block 1,203");
    assert!(world.text(&["list"]).await.contains("observer"));
    let file = world.entry("v3", 11, Some(address("dave")));
    assert_eq!(world.json(&["replace", "v3", &file, "--from", "dave"]).await["state"], "open");
    for operator in ["alice", "bob"] {
        world.text(&["approve", "1", "--from", operator]).await;
    }
    assert_eq!(world.json(&["approve", "1", "--from", "carol"]).await["epoch"], 2);
    assert_eq!(world.refused(&["replace", "v2", &file, "--from", "dave"]).await, "not-an-operator");
    assert_eq!(world.refused(&["propose-power", "v3", "1", "--from", "dave"]).await, "not-an-operator");
}

#[tokio::test]
async fn a_proposal_is_closed_once_it_can_have_no_quorum_or_is_withdrawn() {
    let world = World::new().await;
    world.text(&["propose-power", "0", "2", "--from", "alice"]).await;
    assert_eq!(world.text(&["reject", "0", "--from", "bob"]).await, "proposal 0: 1 of 3 votes needed; 2 more");
    assert_eq!(world.text(&["reject", "0", "--from", "carol"]).await, "proposal 0 is closed, without effect");
    world.text(&["propose-power", "0", "2", "--from", "alice"]).await;
    assert_eq!(world.text(&["withdraw", "1", "--from", "alice"]).await, "proposal 1 is withdrawn");
    assert_eq!(world.text(&["proposals"]).await, "no proposal is open");
}

#[tokio::test]
async fn what_the_chain_would_refuse_is_not_sent() {
    let world = World::new().await;
    world.text(&["propose-power", "v1", "2", "--from", "alice"]).await;
    let taken = world.entry("w", 1, None);
    let mut stranger = world.chain().now().entry("x", 13, None);
    stranger.validator.address = "/ip4/6.6.6.6/tcp/1".into();
    let stranger = world.fragment(stranger);
    let cases: [(&[&str], &str); 9] = [
        (&["approve", "0", "--from", "eve"], "not-an-operator"),
        (&["approve", "7", "--from", "bob"], "no-such-proposal"),
        (&["withdraw", "0", "--from", "bob"], "not-the-proposer"),
        (&["propose-power", "v1", "1", "--from", "bob"], "no-change"),
        (&["propose-power", "v9", "1", "--from", "bob"], "no-such-member"),
        (&["propose-remove", "9", "--from", "bob"], "no-such-member"),
        (&["propose-add", &taken, "--from", "bob"], "bad-committee"),
        (&["propose-add", &stranger, "--from", "bob"], "genesis"),
        (&["propose-add", "nowhere.json", "--from", "bob"], "io"),
    ];
    for (arguments, code) in cases {
        assert_eq!(world.refused(arguments).await, code, "{arguments:?}");
    }
    for _ in 0..3 {
        world.text(&["propose-power", "v1", "2", "--from", "alice"]).await;
    }
    assert_eq!(world.refused(&["propose-power", "v1", "2", "--from", "alice"]).await, "too-many-proposals");
}

#[tokio::test]
async fn power_is_not_taken_away_while_the_rest_is_out_of_reach_unless_by_force() {
    let world = World::new().await;
    world.chain().unreachable = vec!["v1"];
    // Of the three that would be left, all must vote.
    for arguments in [["propose-remove", "v3", "--from", "alice"].as_slice(), &["propose-power", "v3", "0", "--from", "alice"]] {
        let ran = world.run(Format::Text, arguments).await;
        assert_eq!(ran.end(), (4, "no-quorum"));
        assert!(ran.written.stderr.contains("3 of 3 votes") && ran.written.stderr.contains("not v1"), "{ran:?}");
    }
    assert_eq!(world.chain().arrived.len(), 0);
    world.text(&["propose-power", "v3", "9", "--from", "alice"]).await;
    world.text(&["propose-remove", "v1", "--from", "alice"]).await;
    world.text(&["propose-remove", "v3", "--from", "alice", "--force"]).await;
}

#[tokio::test]
async fn an_interrupted_command_that_is_run_again_sends_nothing_twice() {
    let world = World::new().await;
    world.chain().is_held = true;
    let propose = ["propose-power", "v3", "5", "--from", "alice", "--timeout", "1"];
    for _ in 0..2 {
        assert_eq!(world.run(Format::Text, &propose).await.end(), (6, "unknown"));
    }
    world.chain().release();
    let ran = world.run(Format::Text, &propose).await.ok();
    assert_eq!(ran.written.stdout, "proposal 0: 1 of 3 votes needed; 2 more\n");
    assert!(ran.written.stderr.contains("no other one is sent"), "{ran:?}");
    assert_eq!(world.chain().arrived.len(), 1);
    // Its fate is proved now, so the same words are a new proposal.
    assert_eq!(world.text(&propose).await, "proposal 1: 1 of 3 votes needed; 2 more");
}

#[tokio::test]
async fn an_operation_that_failed_shows_its_code_and_what_to_do() {
    let world = World::new().await;
    world.text(&["propose-power", "v3", "5", "--from", "alice"]).await;
    let before = world.chain().entries.clone();
    world.text(&["withdraw", "0", "--from", "alice"]).await;
    // A node that lags: the proposal seems to be open.
    world.chain().shown = Some(before);
    let ran = world.run(Format::Text, &["approve", "0", "--from", "bob"]).await;
    assert_eq!(ran.end(), (5, "no-such-proposal"));
    assert!(ran.written.stderr.contains("there is no open proposal 0; it may have taken effect"), "{ran:?}");
}
