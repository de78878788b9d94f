//! The HTTP client: several nodes, of which any one will do.
//!
//! It asks the node that answered last, and goes on to the next when that one cannot be reached, is overloaded or breaks off. That is safe
//! for submissions too: a transaction has one id and takes effect once, however often it is sent. Whatever a node sends is bounded here
//! before it is kept.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use quorate_types::{
    block::BLOCK_TRANSACTIONS_MAX,
    codec,
    genesis::GENESIS_BYTES_MAX,
    ids::{Address, TxId},
    message::TransactionBatch,
    operation::KvSpace,
    round::Height,
    rpc::{AccountView, BatchAnswer, BlockView, ErrorBody, ErrorView, KvView, NodeStatus, ProofView, Submitted, TransactionStatus, Wait},
    transaction::Transaction,
};
use reqwest::{Method, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

use crate::{api, error::ClientError};

/// Most nodes that one client knows.
pub const NODES_MAX: usize = 128;
/// Longest answer that is kept, in bytes; a proof with 1,024 headers and 128 signatures fits twice.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Longest part of an answer that is not ours and still shown, in bytes.
const FOREIGN_ANSWER_BYTES_MAX: usize = 200;

/// How long a node may take to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a node is asked to hold a submission at most; after that it is asked for the status.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a node may take to answer, beyond what it was asked to wait.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of several nodes.
#[derive(Debug)]
pub struct Client {
    nodes: Vec<Url>,
    http: reqwest::Client,
    /// The node that answered last.
    preferred: AtomicUsize,
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
    /// Another node may have taken the same request before, without an answer.
    doubtful: bool,
}

/// One node's failure to answer.
struct Silence {
    reason: String,
    /// The request may have arrived nevertheless.
    doubtful: bool,
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
    /// A client of these nodes, such as `http://127.0.0.1:8080`. Asks nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn new<T: AsRef<str>>(nodes: &[T]) -> Result<Self, ClientError> {
        if nodes.is_empty() || nodes.len() > NODES_MAX {
            return Err(ClientError::Url {
                url: String::new(),
                reason: format!("{} nodes are named, 1 to {NODES_MAX} can be", nodes.len()),
            });
        }
        let nodes = nodes.iter().map(|node| parse(node.as_ref())).collect::<Result<Vec<_>, _>>()?;
        // No proxy: a variable of the environment must not send transactions elsewhere. No redirect: a node answers for itself.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Url { url: String::new(), reason: with_causes(&error) })?;
        Ok(Self { nodes, http, preferred: AtomicUsize::new(0) })
    }

    /// Submits a transaction and waits as long as `wait` says, at most `timeout` and at most [`WAIT_MAX`].
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when a node will not have it, [`ClientError::Unknown`] when it was sent and nothing more is known.
    pub async fn submit(&self, tx: &Transaction, wait: Wait, timeout: Duration) -> Result<Submitted, ClientError> {
        let timeout = timeout.min(WAIT_MAX);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let request = Request {
            method: Method::POST,
            path: api::submit(wait, timeout_ms),
            body: tx.raw().to_vec(),
            timeout: timeout.saturating_add(ANSWER_TIMEOUT),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let unknown = |reason: String| ClientError::Unknown { tx_id: tx.id(), reason };
        let answer = match self.exchange(&request).await {
            Ok(answer) => answer,
            Err(nobody) if nobody.doubtful => return Err(unknown(nobody.tried)),
            Err(nobody) => return Err(nobody.into()),
        };
        if answer.status.is_success() {
            // The node has it; an answer that cannot be read does not change that.
            let submitted: Submitted = read(&answer).map_err(|error| unknown(error.to_string()))?;
            if submitted.tx_id != tx.id() {
                return Err(unknown(format!("{} answers about another transaction, {}", answer.node, submitted.tx_id)));
            }
            return Ok(submitted);
        }
        let ErrorView { code, message, hint } = read_error(&answer);
        if answer.doubtful {
            // An earlier node may have brought it into the chain, and this one refuses it for that very reason.
            return match self.transaction(tx.id()).await {
                Ok(status @ (TransactionStatus::Pending | TransactionStatus::Committed { .. })) => {
                    Ok(Submitted { tx_id: tx.id(), status, proof: None })
                }
                Ok(_) | Err(_) => Err(unknown(format!("one node broke off, the next refuses: {message} ({code})"))),
            };
        }
        Err(ClientError::Rejected { code, message, hint })
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

    /// A value of the key-value store, to be checked by a [`crate::LightClient`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn kv(&self, space: KvSpace, owner: Address, key: &[u8]) -> Result<KvView, ClientError> {
        self.get(api::kv(space, owner, key), ANSWER_BYTES_MAX).await
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

    /// A node's genesis as JSON. Worth something only to whoever knows the genesis hash from elsewhere.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn genesis_json(&self) -> Result<Vec<u8>, ClientError> {
        let request = get(api::GENESIS.into(), GENESIS_BYTES_MAX);
        let answer = self.exchange(&request).await?;
        if answer.status.is_success() { Ok(answer.body) } else { Err(refused(&answer)) }
    }

    async fn get<T: DeserializeOwned>(&self, path: String, answer_bytes_max: usize) -> Result<T, ClientError> {
        accept(&self.exchange(&get(path, answer_bytes_max)).await?)
    }

    /// The node that answered last.
    fn preferred_node(&self) -> String {
        self.nodes.get(self.preferred.load(Ordering::Relaxed)).map(Url::to_string).unwrap_or_default()
    }

    /// Asks the next node first from now on.
    pub(crate) fn turn_to_the_next(&self) {
        let next = self.preferred.load(Ordering::Relaxed).saturating_add(1).checked_rem(self.nodes.len());
        self.preferred.store(next.unwrap_or(0), Ordering::Relaxed);
    }

    /// Asks one node after the other until one answers for good.
    async fn exchange(&self, request: &Request) -> Result<Answer, Nobody> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        let mut doubtful = false;
        let mut overloaded = None;
        let count = self.nodes.len();
        for index in (first..count).chain(0..first.min(count)) {
            let Some(node) = self.nodes.get(index) else { continue };
            match self.ask(node, request).await {
                Ok(answer) if may_do_better(answer.status) => {
                    doubtful |= !is_untouched(&answer);
                    overloaded = Some(answer);
                }
                Ok(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(Answer { doubtful, ..answer });
                }
                Err(silence) => {
                    doubtful |= silence.doubtful;
                    tried.push(format!("{node} ({})", silence.reason));
                }
            }
        }
        match overloaded {
            Some(answer) => Ok(Answer { doubtful, ..answer }),
            None => Err(Nobody { tried: tried.join(", "), doubtful }),
        }
    }

    async fn ask(&self, node: &Url, request: &Request) -> Result<Answer, Silence> {
        let silence = |error: reqwest::Error| Silence { doubtful: !error.is_connect(), reason: with_causes(&error) };
        let url = format!("{}{}", node.as_str().trim_end_matches('/'), request.path);
        let mut builder = self.http.request(request.method.clone(), url).timeout(request.timeout);
        if !request.body.is_empty() {
            builder = builder.header(reqwest::header::CONTENT_TYPE, api::BYTES).body(request.body.clone());
        }
        let mut response = builder.send().await.map_err(silence)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            if body.len().saturating_add(chunk.len()) > request.answer_bytes_max {
                let reason = format!("its answer is longer than {} bytes", request.answer_bytes_max);
                return Err(Silence { reason, doubtful: true });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { node: node.to_string(), status: response.status(), body, doubtful: false })
    }
}

fn get(path: String, answer_bytes_max: usize) -> Request {
    Request { method: Method::GET, path, body: Vec::new(), timeout: ANSWER_TIMEOUT, answer_bytes_max }
}

fn parse(text: &str) -> Result<Url, ClientError> {
    let wrong = |reason: &str| ClientError::Url { url: text.into(), reason: reason.into() };
    let url: Url = text.trim().parse().map_err(|_| wrong("it does not parse"))?;
    if url.scheme() != "http" {
        // Answers are checked by their proofs, so TLS is not what they rest on; it belongs into the proxy or tunnel in front of a node.
        return Err(wrong("only http is spoken here"));
    }
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must be a scheme, a host and a port"));
    }
    Ok(url)
}

/// Statuses by which a node says that it cannot serve now.
fn may_do_better(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// Whether a node that cannot serve has certainly not taken what it was sent. A node that stops or fails inside may have passed a
/// transaction on before, and a proxy does not know.
fn is_untouched(answer: &Answer) -> bool {
    matches!(read_error(answer).code.as_str(), "busy" | "pool-full" | "too-many-waiting")
}

fn accept<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    if answer.status.is_success() { read(answer) } else { Err(refused(answer)) }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    serde_json::from_slice(&answer.body).map_err(|error| ClientError::Answer { node: answer.node.clone(), reason: error.to_string() })
}

fn refused(answer: &Answer) -> ClientError {
    let ErrorView { code, message, hint } = read_error(answer);
    ClientError::Refused { status: answer.status.as_u16(), code, message, hint }
}

/// The node's error, or what can be told of an answer that some proxy made up.
fn read_error(answer: &Answer) -> ErrorView {
    serde_json::from_slice::<ErrorBody>(&answer.body).map_or_else(
        |_| {
            let start = answer.body.get(..FOREIGN_ANSWER_BYTES_MAX).unwrap_or(&answer.body);
            let text: String = String::from_utf8_lossy(start).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            ErrorView {
                code: format!("http-{}", answer.status.as_u16()),
                message: format!("{} answers {}: {}", answer.node, answer.status, text.trim()),
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
    text
}
