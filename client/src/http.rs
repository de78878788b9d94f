//! The HTTP client for several nodes, any one of which will do.
//!
//! It asks the node that answered last, and moves on to the next if that one is unreachable, overloaded, or breaks the connection. This is
//! safe for submissions too: a transaction has one id and takes effect once, however often it is sent. Answers are bounded before they are
//! kept. `Node` is a single node, for callers that move on for reasons of their own: [`crate::Session`] does until it has a proof.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use quorate_types::{
    block::BLOCK_TRANSACTIONS_MAX,
    codec,
    diagnosis::{ConsensusView, DropsView, Readiness},
    evidence::Evidence,
    genesis::GENESIS_BYTES_MAX,
    ids::{Address, EvidenceId, TxId},
    message::TransactionBatch,
    round::{Epoch, Height},
    rpc::{
        AccountView, BatchAnswer, BlockView, EPOCH_CHANGES_MAX, EpochsView, ErrorBody, ErrorView, EvidenceList, NodeStatus, PermittedView,
        ProofView, StateView, Submitted, TransactionStatus, Wait,
    },
    transaction::Transaction,
};
use reqwest::{Certificate, ClientBuilder, Method, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::{api, error::ClientError, light::EPOCH_CHANGE_BYTES_MAX};
use quorate_terminal::escape_untrusted;

/// Most nodes of one client.
pub const NODES_MAX: usize = 128;
/// Longest answer accepted, in bytes: twice the size of a proof with 1,024 headers and 128 signatures.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Longest answer about changes of the committee, in bytes: they are hexadecimal, and there is room for the rest.
const EPOCHS_BYTES_MAX: usize = 2 * EPOCH_CHANGES_MAX * EPOCH_CHANGE_BYTES_MAX + (64 << 10);
/// Longest excerpt shown of an answer that is not from the API, in bytes.
const FOREIGN_ANSWER_BYTES_MAX: usize = 200;
/// Longest event, in bytes: 64 transactions with their results have some 50,000.
const EVENT_BYTES_MAX: usize = 256 << 10;
/// Longest certificate file, in bytes.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// Timeout for connecting to a node.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time that a node is asked to wait for a commit before it answers a submission.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Timeout for an answer, on top of the time that the node was asked to wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Cap on `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: half as long as a node keeps it (`api.read_timeout_ms`), so that the node rarely closes it first.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A client for several nodes.
#[derive(Debug)]
pub struct Client {
    nodes: Vec<Url>,
    http: reqwest::Client,
    /// Index of the node that answered last.
    preferred: AtomicUsize,
}

/// One of a client's nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    client: &'a Client,
    index: usize,
    url: &'a Url,
}

/// A submission to one node that gave no result.
pub(crate) struct Unsubmitted {
    pub(crate) error: ClientError,
    /// The transaction certainly was not sent.
    pub(crate) is_unsent: bool,
    /// How long an overloaded node asks us to wait before a retry.
    pub(crate) retry_after: Option<Duration>,
}

struct Request {
    method: Method,
    path: String,
    body: Vec<u8>,
    timeout: Duration,
    answer_bytes_max: usize,
}

struct Answer {
    node: String,
    status: StatusCode,
    body: Vec<u8>,
    /// How long an overloaded node asks us to wait before a retry.
    retry_after: Option<Duration>,
    /// An earlier node may have received the same request without answering.
    doubtful: bool,
}

/// A request to one node without an answer.
struct Silence {
    reason: String,
    /// The node may have received the request.
    doubtful: bool,
    /// The connection ended before the answer.
    broke_off: bool,
}

/// No node answered.
struct Nobody {
    tried: String,
    doubtful: bool,
}

impl From<Nobody> for ClientError {
    fn from(nobody: Nobody) -> Self {
        Self::Unreachable { tried: nobody.tried }
    }
}

impl Client {
    /// A client for these nodes, such as `http://127.0.0.1:8080`. Sends no request yet. For https the system's certificates are trusted.
    /// A node that is named twice counts once.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn new<T: AsRef<str>>(nodes: &[T]) -> Result<Self, ClientError> {
        Self::with_ca_file(nodes, None)
    }

    /// The same; for https, only the CA certificates in the file (PEM) are trusted.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn with_ca_file<T: AsRef<str>>(nodes: &[T], ca_file: Option<&Path>) -> Result<Self, ClientError> {
        if nodes.is_empty() || nodes.len() > NODES_MAX {
            return Err(ClientError::Url {
                url: String::new(),
                reason: format!("{} nodes are named, but 1 to {NODES_MAX} are allowed", nodes.len()),
            });
        }
        let nodes = distinct(nodes.iter().map(|node| parse(node.as_ref())).collect::<Result<Vec<_>, _>>()?);
        let builder = match ca_file {
            Some(file) => without_tls().tls_certs_only(certificates(file)?),
            None if nodes.iter().any(|node| node.scheme() == "https") => with_tls(),
            None => without_tls(),
        };
        // A node must answer itself, so redirects are not followed.
        let http = builder
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Tls(innermost_cause(&error)))?;
        Ok(Self { nodes, http, preferred: AtomicUsize::new(0) })
    }

    /// A client for each of its nodes, with the node's URL without user name and password. They share their connections.
    #[must_use]
    pub fn apart(self) -> Vec<(String, Self)> {
        let Self { nodes, http, preferred: _ } = self;
        let apart = |url: Url| (without_credentials(&url), Self { nodes: vec![url], http: http.clone(), preferred: AtomicUsize::new(0) });
        nodes.into_iter().map(apart).collect()
    }

    /// The nodes, starting with the one that answered last.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> + Send {
        let first = self.preferred.load(Ordering::Relaxed);
        let node = |(index, url)| Node { client: self, index, url };
        let all = || self.nodes.iter().enumerate();
        all().skip(first).chain(all().take(first)).map(node)
    }

    /// A node by its turn: they come round again and again, in the order in which they were named.
    pub(crate) fn node(&self, turn: usize) -> Node<'_> {
        let index = turn.checked_rem(self.nodes.len()).unwrap_or_default();
        Node { client: self, index, url: &self.nodes[index] }
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Submits a transaction and waits as `wait` says, at most `timeout` and at most [`WAIT_MAX`]. The answer is unproved;
    /// [`crate::Session::submit_and_verify`] waits for a proof. While all nodes are overloaded, it retries as they ask.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if it was not sent, [`ClientError::Refused`] if a node refused it, [`ClientError::Unknown`] if it was
    /// sent and nothing more is known.
    pub async fn submit(&self, tx: &Transaction, wait: Wait, timeout: Duration) -> Result<Submitted, ClientError> {
        let timeout = timeout.min(WAIT_MAX);
        let unknown = |reason: String| ClientError::Unknown { tx_id: tx.id(), reason, refused: false };
        let start = Instant::now();
        let mut turn = 0usize;
        let request = submission(tx, wait, timeout, timeout.saturating_add(ANSWER_TIMEOUT));
        // A node that broke the connection may have the transaction, whatever later answers say.
        let mut doubtful = false;
        let answer = loop {
            let answer = match self.exchange(&request).await {
                Ok(answer) => answer,
                Err(nobody) if doubtful || nobody.doubtful => return Err(unknown(nobody.tried)),
                Err(nobody) => return Err(nobody.into()),
            };
            doubtful |= answer.doubtful;
            let pause = answer.retry_after.map(|after| spread(after, tx.id(), turn));
            turn = turn.saturating_add(1);
            match pause.filter(|pause| may_do_better(answer.status) && start.elapsed().saturating_add(*pause) < timeout) {
                Some(pause) => sleep(pause).await,
                None => break answer,
            }
        };
        if answer.status.is_success() {
            // The node has the transaction, even if its answer does not parse.
            return submitted(tx, &answer).map_err(|error| unknown(error.to_string()));
        }
        let refused = refused(&answer);
        // An earlier node may have got it committed, and this one refuses it for that very reason.
        Err(if doubtful { unknown(format!("one node broke the connection, and then {refused}")) } else { refused })
    }

    /// Submits many transactions in one request, without waiting for their commits.
    ///
    /// # Errors
    /// [`ClientError`]; refusals of single transactions are part of the answer.
    pub async fn submit_batch(&self, batch: &TransactionBatch) -> Result<BatchAnswer, ClientError> {
        let request = Request {
            method: Method::POST,
            path: api::TRANSACTIONS_BATCH.into(),
            body: codec::encode(batch),
            timeout: ANSWER_TIMEOUT,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        accept(&self.exchange(&request).await?)
    }

    /// A transaction's status. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction(&self, id: TxId) -> Result<TransactionStatus, ClientError> {
        self.get(api::transaction(id), ANSWER_BYTES_MAX).await
    }

    /// The proof of a committed transaction, to be checked by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction_proof(&self, id: TxId) -> Result<ProofView, ClientError> {
        self.get(api::transaction_proof(id), ANSWER_BYTES_MAX).await
    }

    /// An account, to be checked by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account(&self, address: Address) -> Result<AccountView, ClientError> {
        self.get(api::account(address), ANSWER_BYTES_MAX).await
    }

    /// A value of the state, to be checked by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn state(&self, key: &[u8]) -> Result<StateView, ClientError> {
        self.get(api::state(key), ANSWER_BYTES_MAX).await
    }

    /// A committed block (the last one without a height) with all its transactions. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn block(&self, height: Option<Height>) -> Result<BlockView, ClientError> {
        let mut block: BlockView = self.get(api::block(height, 0), ANSWER_BYTES_MAX).await?;
        while let Some(from) = block.next {
            let more: BlockView = self.get(api::block(Some(block.height), from), ANSWER_BYTES_MAX).await?;
            // A lying node must not make this loop endless or mix two blocks.
            let is_next = more.block_id == block.block_id && !more.transactions.is_empty() && more.next.is_none_or(|next| next > from);
            if !is_next || block.transactions.len() > BLOCK_TRANSACTIONS_MAX {
                let reason = format!("the transactions of block {} from position {from} do not continue the list", block.height);
                return Err(ClientError::Answer { node: self.preferred_node(), reason });
            }
            block.transactions.extend(more.transactions);
            block.next = more.next;
        }
        Ok(block)
    }

    /// The output of a committed transaction. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction_output(&self, id: TxId) -> Result<Vec<u8>, ClientError> {
        let answer = self.exchange(&get(api::transaction_output(id), ANSWER_BYTES_MAX)).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(refused(&answer)) }
    }

    /// A node's status. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<NodeStatus, ClientError> {
        self.get(api::STATUS.into(), ANSWER_BYTES_MAX).await
    }

    /// A node's view of consensus, and which validators are missing while nothing is committed. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn consensus(&self) -> Result<ConsensusView, ClientError> {
        self.get(api::CONSENSUS.into(), ANSWER_BYTES_MAX).await
    }

    /// What a node has dropped in the last ten minutes. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn drops(&self) -> Result<DropsView, ClientError> {
        self.get(api::DROPS.into(), ANSWER_BYTES_MAX).await
    }

    /// Whether the first node should be sent clients, by its own judgement, and why not. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn readiness(&self) -> Result<Readiness, ClientError> {
        // A node that is not ready says so with 503, which is an answer like any other.
        read(&self.ask_first(api::READYZ).await?)
    }

    /// The body of the first node's answer, whatever its status.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn body(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        Ok(self.ask_first(path).await?.body)
    }

    /// Opens the first node's stream of events at `path`, such as [`api::NODE_EVENTS`]. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self, path: &str) -> Result<Events, ClientError> {
        self.first()?.events(path).await
    }

    fn first(&self) -> Result<Node<'_>, ClientError> {
        self.nodes().next().ok_or(ClientError::Unreachable { tried: String::new() })
    }

    async fn ask_first(&self, path: &str) -> Result<Answer, ClientError> {
        let node = self.first()?;
        self.ask(node.url, &get(path.into(), ANSWER_BYTES_MAX)).await.map_err(|silence| node.unreachable(&silence))
    }

    /// The evidence that a node holds against validators. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn evidence_list(&self) -> Result<EvidenceList, ClientError> {
        self.get(api::EVIDENCE.into(), ANSWER_BYTES_MAX).await
    }

    /// Evidence, to be checked by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn evidence(&self, id: EvidenceId) -> Result<Evidence, ClientError> {
        self.get(api::evidence(id), ANSWER_BYTES_MAX).await
    }

    /// How the committee has changed, from the end of epoch `from` on, to be followed by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn epochs(&self, from: Epoch) -> Result<EpochsView, ClientError> {
        self.get(api::epochs(from), EPOCHS_BYTES_MAX).await
    }

    /// The accounts with a permission or a limit of their own that come after one, ascending: one page of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn permitted(&self, after: Option<Address>) -> Result<PermittedView, ClientError> {
        self.get(api::permissions(after), ANSWER_BYTES_MAX).await
    }

    /// The genesis as JSON, from the first node whose genesis satisfies `right`, else from the last node that answered. Not proved: compare
    /// its hash with one from a trusted source.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn genesis_json(&self, right: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, ClientError> {
        let request = get(api::GENESIS.into(), GENESIS_BYTES_MAX);
        let mut wrong = Err(ClientError::Unreachable { tried: String::new() });
        for node in self.nodes() {
            match self.ask(node.url, &request).await {
                Ok(answer) if answer.status.is_success() && right(&answer.body) => return Ok(answer.body),
                Ok(answer) if answer.status.is_success() => wrong = Ok(answer.body),
                Ok(answer) if wrong.is_err() => wrong = Err(refused(&answer)),
                Err(silence) if wrong.is_err() => wrong = Err(node.unreachable(&silence)),
                Ok(_) | Err(_) => {}
            }
        }
        wrong
    }

    async fn get<T: DeserializeOwned>(&self, path: String, answer_bytes_max: usize) -> Result<T, ClientError> {
        accept(&self.exchange(&get(path, answer_bytes_max)).await?)
    }

    /// URL of the node that answered last.
    fn preferred_node(&self) -> String {
        self.nodes.get(self.preferred.load(Ordering::Relaxed)).map(Url::to_string).unwrap_or_default()
    }

    /// Asks node after node until one answers and is not overloaded.
    async fn exchange(&self, request: &Request) -> Result<Answer, Nobody> {
        let mut tried = Vec::new();
        let mut doubtful = false;
        let mut overloaded = None;
        for node in self.nodes() {
            match self.ask(node.url, request).await {
                Ok(answer) if may_do_better(answer.status) => {
                    overloaded = Some(answer);
                }
                Ok(answer) => {
                    node.prefer();
                    return Ok(Answer { doubtful, ..answer });
                }
                Err(silence) => {
                    doubtful |= silence.doubtful;
                    tried.push(format!("{} ({})", node.name(), silence.reason));
                }
            }
        }
        match overloaded {
            Some(answer) => Ok(Answer { doubtful, ..answer }),
            None => Err(Nobody { tried: tried.join(", "), doubtful }),
        }
    }

    /// Sends a request, and a GET once more if the connection breaks: a node may close an idle connection just as a request is sent.
    async fn ask(&self, node: &Url, request: &Request) -> Result<Answer, Silence> {
        match self.ask_once(node, request).await {
            Err(silence) if silence.broke_off && request.method == Method::GET => self.ask_once(node, request).await,
            answer => answer,
        }
    }

    async fn ask_once(&self, node: &Url, request: &Request) -> Result<Answer, Silence> {
        let silence = |error: reqwest::Error| Silence {
            doubtful: !error.is_connect(),
            broke_off: !error.is_connect() && !error.is_timeout(),
            reason: innermost_cause(&error),
        };
        let url = format!("{}{}", node.as_str().trim_end_matches('/'), request.path);
        let mut builder = self.http.request(request.method.clone(), url).timeout(request.timeout);
        if !request.body.is_empty() {
            builder = builder.header(reqwest::header::CONTENT_TYPE, api::BYTES).body(request.body.clone());
        }
        let mut response = builder.send().await.map_err(silence)?;
        let retry_after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(|seconds: u64| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            if body.len().saturating_add(chunk.len()) > request.answer_bytes_max {
                let reason = format!("its answer is longer than {} bytes", request.answer_bytes_max);
                return Err(Silence { reason, doubtful: true, broke_off: false });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { node: node.to_string(), status: response.status(), body, retry_after, doubtful: false })
    }
}

impl Node<'_> {
    /// The node's URL.
    pub(crate) fn name(&self) -> &str {
        self.url.as_str()
    }

    /// Makes this the first node to ask from now on.
    pub(crate) fn prefer(&self) {
        self.client.preferred.store(self.index, Ordering::Relaxed);
    }

    /// GETs `path` and parses the answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_up_to(path.into(), ANSWER_BYTES_MAX).await
    }

    /// How the committee has changed, from the end of epoch `from` on.
    pub(crate) async fn epochs(&self, from: Epoch) -> Result<EpochsView, ClientError> {
        self.get_up_to(api::epochs(from), EPOCHS_BYTES_MAX).await
    }

    async fn get_up_to<T: DeserializeOwned>(&self, path: String, answer_bytes_max: usize) -> Result<T, ClientError> {
        let answer = self.client.ask(self.url, &get(path, answer_bytes_max)).await;
        accept(&answer.map_err(|silence| self.unreachable(&silence))?)
    }

    /// POSTs `body` to `path` and parses the answer. Not for transactions.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let request =
            Request { method: Method::POST, path: path.into(), body, timeout: ANSWER_TIMEOUT, answer_bytes_max: ANSWER_BYTES_MAX };
        let answer = self.client.ask(self.url, &request).await;
        accept(&answer.map_err(|silence| self.unreachable(&silence))?)
    }

    /// GETs `path` and returns the answer's bytes.
    pub(crate) async fn bytes(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
        let answer = self.client.ask(self.url, &get(path.into(), bytes_max)).await.map_err(|silence| self.unreachable(&silence))?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(refused(&answer)) }
    }

    /// Opens a stream of events.
    pub(crate) async fn events(&self, path: &str) -> Result<Events, ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { tried: format!("{} ({reason})", self.name()) };
        let request = self.client.http.get(format!("{}{path}", self.name().trim_end_matches('/'))).send();
        let opened = timeout(ANSWER_TIMEOUT, request).await.map_err(|_| unreachable("it has not answered in time".into()))?;
        let response = opened.map_err(|error| unreachable(innermost_cause(&error)))?;
        if response.status() == StatusCode::OK {
            return Ok(Events { response, read: Vec::new(), node: self.name().into() });
        }
        // Asked again for a whole answer, which is bounded and says what is wrong.
        Err(self.bytes(path, ANSWER_BYTES_MAX).await.err().unwrap_or_else(|| self.answer("it refused a request and then accepted it")))
    }

    /// The error about an answer of this node that makes no sense.
    pub(crate) fn answer(&self, reason: &str) -> ClientError {
        ClientError::Answer { node: self.name().into(), reason: reason.into() }
    }

    fn unreachable(&self, silence: &Silence) -> ClientError {
        ClientError::Unreachable { tried: format!("{} ({})", self.name(), silence.reason) }
    }

    /// Submits a transaction, and returns whether the pool has accepted it: `false` if the node does not know yet.
    pub(crate) async fn offer(&self, tx: &Transaction, timeout: Duration) -> Result<bool, Unsubmitted> {
        let answer = self.exchange(tx, Wait::Accepted, timeout, timeout).await?;
        submitted(tx, &answer).map_err(Unsubmitted::sent)?;
        Ok(answer.status == StatusCode::OK)
    }

    /// Submits a transaction, and lets the node wait up to `wait` for the commit before it answers.
    pub(crate) async fn submit(&self, tx: &Transaction, wait: Duration, timeout: Duration) -> Result<Submitted, Unsubmitted> {
        submitted(tx, &self.exchange(tx, Wait::Committed, wait, timeout).await?).map_err(Unsubmitted::sent)
    }

    /// Submits a transaction, and turns a refusal into an error.
    async fn exchange(&self, tx: &Transaction, wait: Wait, patience: Duration, timeout: Duration) -> Result<Answer, Unsubmitted> {
        match self.client.ask(self.url, &submission(tx, wait, patience, timeout)).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(Unsubmitted { retry_after: answer.retry_after, ..Unsubmitted::sent(refused(&answer)) }),
            Err(silence) => Err(Unsubmitted { is_unsent: !silence.doubtful, ..Unsubmitted::sent(self.unreachable(&silence)) }),
        }
    }
}

/// A node's stream of events.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    /// Bytes that are not an event yet.
    read: Vec<u8>,
    node: String,
}

/// An event, with empty texts for what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The number to resume after.
    pub id: Option<u64>,
    /// Its name. A comment, which keeps a quiet stream alive, has none.
    pub name: String,
    /// What it tells, in JSON.
    pub data: String,
}

impl Events {
    /// Waits for the next event, however long; `None` at the end of the stream. It may be dropped and called again: no event is lost.
    ///
    /// # Errors
    /// [`ClientError::Answer`]: the connection broke, or the event is not text, or too long.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let wrong = |node: &str, reason: &str| ClientError::Answer { node: node.into(), reason: reason.into() };
        let mut looked = 0usize;
        loop {
            if let Some(end) = self.read.get(looked..).and_then(|new| new.windows(2).position(|two| two == b"\n\n")) {
                let rest = self.read.split_off(looked.saturating_add(end).saturating_add(2));
                let event = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(event)
                    .map(|text| Some(parse_event(&text)))
                    .map_err(|_| wrong(&self.node, "an event is not text"));
            }
            looked = self.read.len().saturating_sub(1);
            let chunk = self.response.chunk().await.map_err(|error| wrong(&self.node, &innermost_cause(&error)))?;
            let Some(chunk) = chunk else { return Ok(None) };
            if self.read.len().saturating_add(chunk.len()) > EVENT_BYTES_MAX {
                return Err(wrong(&self.node, &format!("an event is longer than {EVENT_BYTES_MAX} bytes")));
            }
            self.read.extend_from_slice(&chunk);
        }
    }
}

/// Our nodes write one line for each field.
fn parse_event(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", number)) => event.id = number.parse().ok(),
            Some(("event", name)) => event.name = name.into(),
            Some(("data", data)) => event.data = data.into(),
            _ => {}
        }
    }
    event
}

impl Unsubmitted {
    const fn sent(error: ClientError) -> Self {
        Self { error, is_unsent: false, retry_after: None }
    }
}

/// The base of every HTTP client here. No proxy: an environment variable must not redirect transactions. It trusts no certificate, so it
/// works on a machine that has none.
pub fn without_tls() -> ClientBuilder {
    with_tls().tls_certs_only([])
}

#[expect(clippy::disallowed_methods, reason = "the provider is installed here")]
fn with_tls() -> ClientBuilder {
    // The provider is global to the process, and may be installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE_MAX)
}

/// Reads a certificate file.
fn certificates(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let wrong = |reason: String| ClientError::Tls(format!("{}: {reason}", file.display()));
    let size = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > CA_FILE_BYTES_MAX {
        return Err(wrong(format!("a certificate file must have at most {CA_FILE_BYTES_MAX} bytes, and this one has {size}")));
    }
    let pem = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(innermost_cause(&error)))?;
    if certificates.is_empty() { Err(wrong("it contains no PEM certificate".into())) } else { Ok(certificates) }
}

fn submission(tx: &Transaction, wait: Wait, patience: Duration, timeout: Duration) -> Request {
    let patience_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    Request {
        method: Method::POST,
        path: api::submit(wait, patience_ms),
        body: tx.raw().to_vec(),
        timeout,
        answer_bytes_max: ANSWER_BYTES_MAX,
    }
}

/// Parses the answer to a submission, and checks that it is about this transaction.
fn submitted(tx: &Transaction, answer: &Answer) -> Result<Submitted, ClientError> {
    let submitted: Submitted = read(answer)?;
    if submitted.tx_id == tx.id() {
        Ok(submitted)
    } else {
        Err(ClientError::Answer { node: answer.node.clone(), reason: format!("it is about another transaction, {}", submitted.tx_id) })
    }
}

fn get(path: String, answer_bytes_max: usize) -> Request {
    Request { method: Method::GET, path, body: Vec::new(), timeout: ANSWER_TIMEOUT, answer_bytes_max }
}

/// Checks the URL of a node.
///
/// # Errors
/// [`ClientError::Url`].
pub fn check_url(text: &str) -> Result<(), ClientError> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Result<Url, ClientError> {
    let wrong = |reason: &str| ClientError::Url { url: text.into(), reason: reason.into() };
    let url: Url = text.trim().parse().map_err(|_| wrong("it does not parse"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its scheme is neither http nor https"));
    }
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must have a host, and neither query nor fragment"));
    }
    Ok(url)
}

fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that can have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Removes duplicates and keeps the order: a node that is named twice must not count as two that agree.
fn distinct(mut nodes: Vec<Url>) -> Vec<Url> {
    let mut known = BTreeSet::new();
    // User name, password and a trailing slash do not make it another node.
    nodes.retain(|url| known.insert((url.origin().ascii_serialization(), url.path().trim_end_matches('/').to_owned())));
    nodes
}

/// Jitter: half to one and a half times what a node asked for. Bytes of the id spread clients that were refused together.
pub(crate) fn spread(retry_after: Duration, id: TxId, turn: usize) -> Duration {
    let byte = id.0.0.get(turn % 32).copied().unwrap_or_default();
    retry_after.mul_f64(0.5 + f64::from(byte) / 255.0)
}

/// Statuses after which another node, or the same one later, may succeed.
fn may_do_better(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

fn accept<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    if answer.status.is_success() { read(answer) } else { Err(refused(answer)) }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|error| ClientError::Answer { node: answer.node.clone(), reason: error.to_string() })
}

fn refused(answer: &Answer) -> ClientError {
    let ErrorView { code, message, hint } = read_error(answer);
    ClientError::Refused { node: answer.node.clone(), status: answer.status.as_u16(), code, message, hint }
}

/// The node's error, or a description of an answer that is not from the API, such as a proxy's.
fn read_error(answer: &Answer) -> ErrorView {
    serde_json::from_slice::<ErrorBody>(&answer.body).map_or_else(
        |_| {
            let start = answer.body.get(..FOREIGN_ANSWER_BYTES_MAX).unwrap_or(&answer.body);
            let text = String::from_utf8_lossy(start);
            ErrorView {
                code: format!("http-{}", answer.status.as_u16()),
                message: format!("{}: {}", answer.status, text.trim()),
                hint: None,
            }
        },
        |body| body.error,
    )
}

/// The innermost cause: reqwest's own message does not say "connection refused".
fn innermost_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    // The cause may quote bytes that were received.
    escape_untrusted(&text)
}
