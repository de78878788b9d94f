//! Sessions follow the committee by what nodes show, while it changes, and believe nothing that no change proves.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Query,
    http::StatusCode,
    routing::{get, post},
};
use fake::{Fake, hexadecimal};
use quorate_client::{Client, ClientError, LightClient, LightError, Pace, Seen, Service, ServiceError, Session};
use quorate_types::{
    committee::Seat,
    crypto::{Signature, SigningKey},
    epoch::EpochChange,
    evidence::{Contradiction, Evidence},
    ids::ValidatorId,
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    rpc::{EPOCH_CHANGES_MAX, EpochsView, QueryView, StateView},
    sighting::SeenTimeout,
    transaction::Transaction,
};
use tokio::net::TcpListener;

const KEY: &[u8] = b"k";
const LONG: Duration = Duration::from_secs(60);

/// A chain whose committee changes: its epochs so far, and what proves all but the first.
struct Chain {
    epochs: Vec<Fake>,
    changes: Vec<EpochChange>,
}

impl Chain {
    fn new() -> Self {
        Self { epochs: vec![Fake::new(Vec::new())], changes: Vec::new() }
    }

    fn now(&self) -> &Fake {
        self.epochs.last().unwrap()
    }

    /// Ends the epoch with a block at ten times its number, and gives seat 2 to a new validator.
    fn change(&mut self) {
        let number = u8::try_from(self.epochs.len()).unwrap();
        let (next, change) = self.now().next(u64::from(number) * 10, 2, &format!("w{number}"), 10 + number);
        self.epochs.push(next);
        self.changes.push(change);
    }

    fn with_changes(count: usize) -> Self {
        let mut chain = Self::new();
        (0..count).for_each(|_| chain.change());
        chain
    }

    /// The answer about `KEY` from a state of the newest epoch.
    fn state(&self) -> StateView {
        let height = self.epochs.len() as u64 * 10 - 5;
        let proof = hexadecimal(&self.now().value_proof(height, (KEY, b"v")));
        StateView { key: hex::encode(KEY), value: Some(hex::encode("v")), height: Height(height), proof, shown: None }
    }

    fn epochs(&self, from: usize) -> EpochsView {
        let changes = self.changes.iter().skip(from).take(EPOCH_CHANGES_MAX).map(hexadecimal).collect();
        EpochsView { epoch: self.now().epoch.epoch, changes }
    }
}

type Shared = Arc<Mutex<Chain>>;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A node's answers about the state.
fn states(chain: &Shared) -> Router {
    let chain = Arc::clone(chain);
    Router::new().route("/v1/state/{key}", get(move || async move { serde_json::to_string(&chain.lock().unwrap().state()).unwrap() }))
}

/// The same, and how the committee has changed; counts the requests for that.
fn node(chain: &Shared, asked: &Arc<AtomicUsize>) -> Router {
    let (shared, asked) = (Arc::clone(chain), Arc::clone(asked));
    let epochs = move |Query(query): Query<BTreeMap<String, usize>>| async move {
        asked.fetch_add(1, Ordering::Relaxed);
        serde_json::to_string(&shared.lock().unwrap().epochs(query["from"])).unwrap()
    };
    states(chain).route("/v1/epochs", get(epochs))
}

fn session(urls: &[String]) -> Session {
    let pace = Pace { pause: Duration::from_millis(5), patience: Duration::from_millis(50) };
    Session::new(Client::new(urls).unwrap(), LightClient::new(Fake::new(Vec::new()).genesis).unwrap()).with_pace(pace)
}

fn share(chain: Chain) -> (Shared, Arc<AtomicUsize>) {
    (Arc::new(Mutex::new(chain)), Arc::default())
}

#[tokio::test]
async fn a_session_follows_a_change_of_the_committee_between_two_answers() {
    let (chain, asked) = share(Chain::new());
    let session = session(&[serve(node(&chain, &asked)).await]);
    let signers = async || session.state_verified(KEY).await.unwrap().certificate().signers.clone();
    assert_eq!(signers().await, ["v1", "v2", "v3"]);
    for name in ["w1", "w2"] {
        chain.lock().unwrap().change();
        assert_eq!(signers().await, ["v1", name, "v3"]);
    }
    signers().await;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "only a later epoch makes it ask");
}

#[tokio::test]
async fn many_changes_are_followed_from_the_genesis_alone_in_as_few_requests_as_hold_them() {
    let (chain, asked) = share(Chain::with_changes(35));
    let session = session(&[serve(node(&chain, &asked)).await]);
    assert_eq!(session.state_verified(KEY).await.unwrap().certificate().signers, ["v1", "w35", "v3"]);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_committed_transaction_of_a_later_epoch_is_followed_to_its_committee() {
    let tx =
        Transaction::sign(Fake::new(Vec::new()).genesis.hash(), &SigningKey::from_seed(&[1; 32]), Sequence(0), UnixMillis(9), Vec::new());
    let (chain, asked) = share(Chain::with_changes(1));
    let receipt = Receipt { tx_id: tx.id(), outcome: Outcome::Applied(Vec::new()) };
    let proof = hexadecimal(&chain.lock().unwrap().now().transaction_proof(15, &[receipt], 0));
    let answer = format!(r#"{{"tx_id":"{}","status":"pending","proof":"{proof}"}}"#, tx.id());
    let node = node(&chain, &asked).route("/v1/transactions", post(move |_: Bytes| async { answer }));
    let proven = session(&[serve(node).await]).submit_and_verify(&tx, LONG).await.unwrap();
    assert_eq!(proven.certificate().header.epoch, Epoch(1));
}

#[tokio::test]
async fn a_node_that_names_a_later_epoch_and_proves_no_way_to_it_is_refused_after_one_request() {
    let (chain, _) = share(Chain::with_changes(3));
    let asked = Arc::new(AtomicUsize::new(0));
    let liar = |answer: EpochsView| {
        let (asked, answer) = (Arc::clone(&asked), serde_json::to_string(&answer).unwrap());
        let epochs = move || async move {
            asked.fetch_add(1, Ordering::Relaxed);
            answer
        };
        serve(states(&chain).route("/v1/epochs", get(epochs)))
    };
    let mut forged = chain.lock().unwrap().changes[0].clone();
    forged.next.seats.pop();
    let later = chain.lock().unwrap().changes[1].clone();
    let answers = [
        (vec![], LightError::LaterEpoch(Epoch(3))),
        (vec![hexadecimal(&forged)], LightError::Change { epoch: Epoch(0), error: quorate_types::proof::ProofError::OtherEpochState }),
        (vec!["zz".into()], LightError::Form(String::new())),
    ];
    for (number, (changes, expected)) in (1..).zip(answers) {
        let session = session(&[liar(EpochsView { epoch: Epoch(3), changes }).await]);
        let Err(ClientError::Unverified(error)) = session.state_verified(KEY).await else { panic!("{expected}") };
        assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error}");
        assert_eq!((asked.load(Ordering::Relaxed), session.light().epoch()), (number, Epoch(0)));
    }
    // A node without the path, and an honest one after them.
    let urls = [
        liar(EpochsView { epoch: Epoch(3), changes: vec![hexadecimal(&later)] }).await,
        serve(states(&chain)).await,
        serve(node(&chain, &Arc::default())).await,
    ];
    assert_eq!(session(&urls).state_verified(KEY).await.unwrap().certificate().header.epoch, Epoch(3));
}

#[tokio::test]
async fn what_a_former_committee_signs_is_refused_also_by_a_session_that_only_remembers_the_epoch() {
    let (chain, asked) = share(Chain::with_changes(2));
    let honest = serve(node(&chain, &asked)).await;
    let first = session(&[honest]);
    first.state_verified(KEY).await.unwrap();
    let seen = first.seen().unwrap();
    assert_eq!((seen.epoch, seen.height), (Epoch(2), Height(25)));
    // The founders' keys are in the wrong hands: they sign a state of their epoch at a height far beyond.
    let proof = hexadecimal(&Fake::new(Vec::new()).value_proof(90, (KEY, b"lie")));
    let lie = StateView { value: Some(hex::encode("lie")), height: Height(90), proof, ..chain.lock().unwrap().state() };
    let lie = serde_json::to_string(&lie).unwrap();
    let liar = serve(Router::new().route("/v1/state/{key}", get(move || async { lie }))).await;
    let remembering = session(&[liar]).remembering(Some(seen));
    let refused = remembering.state_verified(KEY).await;
    assert!(matches!(refused, Err(ClientError::Unverified(LightError::AfterEpoch { epoch: Epoch(0), .. }))), "{refused:?}");
    // A memory from before the first change has no epoch in it.
    let old: Seen = serde_json::from_str(r#"{"height":7,"round":9,"timestamp":3}"#).unwrap();
    assert_eq!(old.epoch, Epoch(0));
}

#[tokio::test]
async fn evidence_of_a_later_epoch_is_checked_by_the_committee_that_any_node_proves() {
    let (chain, asked) = share(Chain::with_changes(1));
    let evidence = {
        let chain = chain.lock().unwrap();
        let (genesis_hash, key) = (chain.now().genesis.hash(), &chain.now().keys[&2]);
        let timeout = |high_qc_round| {
            let unsigned = SeenTimeout { epoch: Epoch(1), round: Round(9), high_qc_round, signature: Signature([0; 64]) };
            SeenTimeout { signature: key.sign(&unsigned.digest(genesis_hash)), ..unsigned }
        };
        let mut timeouts = [timeout(Round(3)), timeout(Round(4))];
        timeouts.sort_by_key(|timeout| timeout.digest(genesis_hash));
        Evidence { genesis_hash, epoch: Epoch(1), culprit: ValidatorId(2), contradiction: Contradiction::Timeouts(timeouts) }
    };
    let silent = serve(Router::new().fallback(|| async { StatusCode::SERVICE_UNAVAILABLE })).await;
    let session_of = async |urls: &[String]| session(urls).evidence(&evidence).await;
    assert_eq!(session_of(&[silent.clone(), serve(node(&chain, &asked)).await]).await.unwrap(), "w1");
    assert!(matches!(session_of(&[silent]).await, Err(ClientError::Refused { .. })));
}

#[tokio::test]
async fn a_query_needs_as_many_equal_answers_as_the_newest_committee_says() {
    let mut chain = Chain::new();
    let first = chain.now();
    // Seven voters of equal power: two may be faulty, so three must agree.
    let mut seats = first.epoch.seats.clone();
    seats.extend((4..7u16).map(|seat| {
        let validator = first.entry(&format!("w{seat}"), 20 + seat.to_le_bytes()[0], None).validator;
        Seat { id: ValidatorId(seat), validator }
    }));
    let next = first.at(seats);
    chain.changes.push(first.change(10, &next));
    chain.epochs.push(next);
    let (chain, asked) = share(chain);
    let urls = |count: usize| {
        let nodes = (0..count).map(|_| {
            let view = serde_json::to_string(&QueryView { answer: "07".into(), height: Height(11), shown: None }).unwrap();
            serve(node(&chain, &asked).route("/v1/query", post(move || async { view })))
        });
        futures::future::join_all(nodes)
    };
    let service = |urls: &[String]| Service::new(session(urls), SigningKey::from_seed(&[1; 32]));
    assert_eq!(service(&urls(3).await).query_bytes(b"", LONG).await.unwrap().nodes, 3);
    let error = service(&urls(2).await).query_bytes(b"", Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, ServiceError::NoAgreement { most: 2, needed: 3, .. }), "{error}");
}
