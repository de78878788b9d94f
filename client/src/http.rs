//! The HTTP client: several nodes, of which any one will do.
//!
//! It asks the node that answered last, and goes on to the next when that one cannot be reached, is overloaded or breaks off. That is safe
//! for submissions too: a transaction has one id and takes effect once, however often it is sent. Whatever a node sends is bounded here
//! before it is kept. `Node` is one of them, for those who go on to the next for reasons of their own: [`crate::Session`] does until it has
//! a proof.

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
    diagnosis::{ConsensusView, DropsView},
    genesis::GENESIS_BYTES_MAX,
    ids::{Address, TxId},
    message::TransactionBatch,
    round::Height,
    rpc::{
        AccountView, BatchAnswer, BlockView, ErrorBody, ErrorView, NodeStatus, ProofView, StateView, Submitted, TransactionStatus, Wait,
    },
    transaction::Transaction,
};
use reqwest::{Certificate, ClientBuilder, Method, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{api, error::ClientError};
use quorate_terminal::foreign;

/// Most nodes that one client knows.
pub const NODES_MAX: usize = 128;
/// Longest answer that is kept, in bytes; a proof with 1,024 headers and 128 signatures fits twice.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Longest part of an answer that is not ours and still shown, in bytes.
const FOREIGN_ANSWER_BYTES_MAX: usize = 200;
/// Longest file of certificates, in bytes.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;

/// How long a node may take to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a node is asked to hold a submission at most; after that it is asked for the status.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a node may take to answer, beyond what it was asked to wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest pause that a node can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long a connection without a request is kept: half as long as a node keeps it (`api.read_timeout_ms`), so that the two hardly ever meet.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A client of several nodes.
#[derive(Debug)]
pub struct Client {
    nodes: Vec<Url>,
    http: reqwest::Client,
    /// The node that answered last.
    preferred: AtomicUsize,
}

/// One of a client's nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    client: &'a Client,
    index: usize,
    url: &'a Url,
}

/// How the submission to one node ended without a result.
pub(crate) struct Unsubmitted {
    pub(crate) error: ClientError,
    /// The transaction certainly did not leave this machine.
    pub(crate) is_unsent: bool,
    /// When a node that cannot serve now wants to be asked again.
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
    /// When a node that cannot serve now wants to be asked again.
    retry_after: Option<Duration>,
    /// Another node may have taken the same request before, without an answer.
    doubtful: bool,
}

/// One node's failure to answer.
struct Silence {
    reason: String,
    /// The request may have arrived nevertheless.
    doubtful: bool,
    /// The connection ended before the answer.
    broke_off: bool,
}

/// Nobody answered.
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
    /// A client of these nodes, such as `http://127.0.0.1:8080`. Asks nothing yet. For https the certificates of the system are trusted.
    /// Who is named twice counts once.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn new<T: AsRef<str>>(nodes: &[T]) -> Result<Self, ClientError> {
        Self::with_ca_file(nodes, None)
    }

    /// The same; for https only the authorities whose certificates are in the file (PEM) are trusted.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Tls`].
    pub fn with_ca_file<T: AsRef<str>>(nodes: &[T], ca_file: Option<&Path>) -> Result<Self, ClientError> {
        if nodes.is_empty() || nodes.len() > NODES_MAX {
            return Err(ClientError::Url {
                url: String::new(),
                reason: format!("{} nodes are named, 1 to {NODES_MAX} can be", nodes.len()),
            });
        }
        let nodes = distinct(nodes.iter().map(|node| parse(node.as_ref())).collect::<Result<Vec<_>, _>>()?);
        let builder = match ca_file {
            Some(file) => without_tls().tls_certs_only(certificates(file)?),
            None if nodes.iter().any(|node| node.scheme() == "https") => with_tls(),
            None => without_tls(),
        };
        // No redirect: a node answers for itself.
        let http = builder
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Tls(with_causes(&error)))?;
        Ok(Self { nodes, http, preferred: AtomicUsize::new(0) })
    }

    /// The nodes, beginning with the one that answered last.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> + Send {
        let first = self.preferred.load(Ordering::Relaxed);
        let node = |(index, url)| Node { client: self, index, url };
        let all = || self.nodes.iter().enumerate();
        all().skip(first).chain(all().take(first)).map(node)
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Submits a transaction and waits as long as `wait` says, at most `timeout` and at most [`WAIT_MAX`]. What a node answers is its word;
    /// [`crate::Session::submit_and_verify`] waits for proof. While all nodes are full it is sent again when they ask for it.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when it was not sent, [`ClientError::Refused`] when a node will not have it, [`ClientError::Unknown`]
    /// when it was sent and nothing more is known.
    pub async fn submit(&self, tx: &Transaction, wait: Wait, timeout: Duration) -> Result<Submitted, ClientError> {
        let timeout = timeout.min(WAIT_MAX);
        let unknown = |reason: String| ClientError::Unknown { tx_id: tx.id(), reason, refused: false };
        let start = Instant::now();
        let mut turn = 0usize;
        let request = submission(tx, wait, timeout, timeout.saturating_add(ANSWER_TIMEOUT));
        // A node that broke off may have it, whatever is answered after that.
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
            // The node has it; an answer that cannot be read does not change that.
            return submitted(tx, &answer).map_err(|error| unknown(error.to_string()));
        }
        let refused = refused(&answer);
        // An earlier node may have brought it into the chain, and this one refuses it for that very reason.
        Err(if doubtful { unknown(format!("one node broke off, the next one says: {refused}")) } else { refused })
    }

    /// Submits many transactions at once, without waiting for any.
    ///
    /// # Errors
    /// [`ClientError`]; single refusals are part of the answer.
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

    /// What a node knows of a transaction. Not proved.
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

    /// A committed block, the last one when no height is given, with all its transactions. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn block(&self, height: Option<Height>) -> Result<BlockView, ClientError> {
        let mut block: BlockView = self.get(api::block(height, 0), ANSWER_BYTES_MAX).await?;
        while let Some(from) = block.next {
            let more: BlockView = self.get(api::block(Some(block.height), from), ANSWER_BYTES_MAX).await?;
            // What a node says must neither go on for ever nor mix two blocks.
            let is_next = more.block_id == block.block_id && !more.transactions.is_empty() && more.next.is_none_or(|next| next > from);
            if !is_next || block.transactions.len() > BLOCK_TRANSACTIONS_MAX {
                let reason = format!("the transactions of block {} from position {from} on do not follow the others", block.height);
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

    /// How a node is. Not proved.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<NodeStatus, ClientError> {
        self.get(api::STATUS.into(), ANSWER_BYTES_MAX).await
    }

    /// Where consensus stands, and who is missing while nothing is committed. Not proved.
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

    /// The genesis as JSON, of the first node whose genesis is the `right` one; when there is none, that of the last that answered. Worth
    /// something only to whoever knows the genesis hash from elsewhere.
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

    /// The node that answered last.
    fn preferred_node(&self) -> String {
        self.nodes.get(self.preferred.load(Ordering::Relaxed)).map(Url::to_string).unwrap_or_default()
    }

    /// Asks one node after the other until one answers for good.
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

    /// A node ends connections that are idle, perhaps just when a question is on its way. To read a second time changes nothing.
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
            reason: with_causes(&error),
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
    /// Its URL.
    pub(crate) fn name(&self) -> &str {
        self.url.as_str()
    }

    /// Asks this node first from now on.
    pub(crate) fn prefer(&self) {
        self.client.preferred.store(self.index, Ordering::Relaxed);
    }

    /// What it answers under a path, as far as it can be read.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.client.ask(self.url, &get(path.into(), ANSWER_BYTES_MAX)).await;
        accept(&answer.map_err(|silence| self.unreachable(&silence))?)
    }

    /// What it answers to bytes that are posted under a path, as far as it can be read. Not for transactions.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let request =
            Request { method: Method::POST, path: path.into(), body, timeout: ANSWER_TIMEOUT, answer_bytes_max: ANSWER_BYTES_MAX };
        let answer = self.client.ask(self.url, &request).await;
        accept(&answer.map_err(|silence| self.unreachable(&silence))?)
    }

    fn unreachable(&self, silence: &Silence) -> ClientError {
        ClientError::Unreachable { tried: format!("{} ({})", self.name(), silence.reason) }
    }

    /// Gives it a transaction, and hears whether its pool has taken it: `false` when it does not know yet.
    pub(crate) async fn offer(&self, tx: &Transaction, timeout: Duration) -> Result<bool, Unsubmitted> {
        let answer = self.exchange(tx, Wait::Accepted, timeout, timeout).await?;
        submitted(tx, &answer).map_err(Unsubmitted::sent)?;
        Ok(answer.status == StatusCode::OK)
    }

    /// Gives it a transaction, lets it wait for the commit, and hears what it says.
    pub(crate) async fn submit(&self, tx: &Transaction, wait: Duration, timeout: Duration) -> Result<Submitted, Unsubmitted> {
        submitted(tx, &self.exchange(tx, Wait::Committed, wait, timeout).await?).map_err(Unsubmitted::sent)
    }

    /// Its answer to a transaction that it does not refuse.
    async fn exchange(&self, tx: &Transaction, wait: Wait, patience: Duration, timeout: Duration) -> Result<Answer, Unsubmitted> {
        match self.client.ask(self.url, &submission(tx, wait, patience, timeout)).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(Unsubmitted { retry_after: answer.retry_after, ..Unsubmitted::sent(refused(&answer)) }),
            Err(silence) => Err(Unsubmitted { is_unsent: !silence.doubtful, ..Unsubmitted::sent(self.unreachable(&silence)) }),
        }
    }
}

impl Unsubmitted {
    const fn sent(error: ClientError) -> Self {
        Self { error, is_unsent: false, retry_after: None }
    }
}

/// The beginning of every HTTP client of ours: no proxy, since a variable of the environment must not send transactions elsewhere. It trusts
/// no certificate, so that a machine without any can still speak http.
pub fn without_tls() -> ClientBuilder {
    with_tls().tls_certs_only([])
}

#[expect(clippy::disallowed_methods, reason = "the provider is installed here")]
fn with_tls() -> ClientBuilder {
    // The whole process has one; that it was there already is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().pool_idle_timeout(IDLE_MAX)
}

/// The certificates of a file.
fn certificates(file: &Path) -> Result<Vec<Certificate>, ClientError> {
    let wrong = |reason: String| ClientError::Tls(format!("{}: {reason}", file.display()));
    let size = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > CA_FILE_BYTES_MAX {
        return Err(wrong(format!("a file of certificates has at most {CA_FILE_BYTES_MAX} bytes, this one {size}")));
    }
    let pem = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(with_causes(&error)))?;
    if certificates.is_empty() { Err(wrong("there is no certificate (PEM) in it".into())) } else { Ok(certificates) }
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

/// The answer to a submission, if it is about this transaction.
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

fn parse(text: &str) -> Result<Url, ClientError> {
    let wrong = |reason: &str| ClientError::Url { url: text.into(), reason: reason.into() };
    let url: Url = text.trim().parse().map_err(|_| wrong("it does not parse"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are spoken here"));
    }
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must be a scheme, a host and a port"));
    }
    Ok(url)
}

/// Each node once, in the order in which they were named: one that is named twice must not count as two that agree.
fn distinct(mut nodes: Vec<Url>) -> Vec<Url> {
    let mut known = BTreeSet::new();
    // A name and a password are no part of where it is, nor is a slash at the end.
    nodes.retain(|url| known.insert((url.origin().ascii_serialization(), url.path().trim_end_matches('/').to_owned())));
    nodes
}

/// From half as long as a node asked for to half as long again: the bytes of the id spread those who were refused together.
pub(crate) fn spread(retry_after: Duration, id: TxId, turn: usize) -> Duration {
    let byte = id.0.0.get(turn % 32).copied().unwrap_or_default();
    retry_after.mul_f64(0.5 + f64::from(byte) / 255.0)
}

/// Statuses by which a node says that it cannot serve now.
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

/// The node's error, or what can be told of an answer that some proxy made up.
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

/// The whole chain of causes: reqwest's own text does not say "connection refused".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    // The causes of a failed exchange may quote what was received.
    foreign(&text)
}
