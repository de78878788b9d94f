//! The HTTP API: submits transactions, reads committed data, reports the node's health. Its types are in [`quorate_types::rpc`].
//!
//! | Path | Answer |
//! |---|---|
//! | `POST /v1/transactions?wait=none\|accepted\|committed&timeout_ms=N` | [`submit`] |
//! | `POST /v1/transactions/batch` | [`submit`] |
//! | `GET /v1/transactions/{id}`, `/v1/transactions/{id}/proof`, `/v1/transactions/{id}/output` | [`reads`] |
//! | `GET /v1/accounts/{address}`, `/v1/state?prefix=KEY&after=KEY`, `/v1/state/{key or path}`; `POST /v1/query` | [`reads`] |
//! | `GET /v1/blocks/{height\|latest}?from=N`, `/v1/status`, `/v1/genesis` | [`reads`] |
//! | `GET /v1/blocks/{height|latest}/raw`, `/v1/blocks/{height|latest}/receipts/raw`, `/v1/blocks/raw`, `/v1/headers/raw` | [`raw`] |
//! | `GET /v1/transactions/{id}/raw`, `/v1/genesis/raw` | [`raw`] |
//! | `GET /v1/openapi.json` | [`openapi`] |
//! | `GET /v1/consensus`, `/v1/drops`, `/v1/evidence`, `/v1/evidence/{id}` | [`explain`] |
//! | `GET /v1/events`, `/v1/events/node` | [`events`] |
//! | `GET /livez`, `/readyz`; at `metrics.listen` also `/metrics` | [`health`] |
//! | `GET /`, `/v1/docs`, and what the pages there need | [`explorer`] |
//!
//! Only signed transactions change anything, so there is no access control. Everything that a client sends is bounded in size and time
//! ([`limits`]); an error is JSON with a stable code ([`error`]). No CORS header is ever sent, and a request must name this host ([`host`]), so
//! pages of other origins cannot read answers.

pub(crate) mod error;
pub(crate) mod events;
mod explain;
mod explorer;
mod health;
pub(crate) mod host;
pub(crate) mod limits;
pub(crate) mod openapi;
mod raw;
mod reads;
pub(crate) mod seats;
mod submit;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header::X_CONTENT_TYPE_OPTIONS},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use quorate_app::Machine;
use quorate_ledger::{CommittedView, LedgerError};
use quorate_network::{Network, PeerStatus};
use quorate_replica::{Dropped, ReplicaStatus};
use quorate_signer::RemoteSigner;
use quorate_types::{genesis::Genesis, ids::GenesisHash, receipt::Outcome, rpc::OutcomeView};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot, watch},
    task::JoinError,
};

use self::{error::ApiError, events::ToldBlocks, waiting::Waiting};
use crate::{
    chain::History,
    clock::Clocks,
    config::ApiConfig,
    diagnosis::Snapshot,
    disk::DiskSpace,
    drops::Drops,
    epochs::Epochs,
    event_loop::{LoopInput, Question, unix_now},
    evidence::Held,
    failure::Failure,
    feed::Feed,
    helpers::is_helper,
    ingest::TransactionQueue,
    links::Links,
    mailbox::{Lane, Mailbox},
    metrics::Metrics,
    submission::Tickets,
};

/// Time after which a replica that has not answered a question counts as stuck.
pub(crate) const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients' questions that may wait for the replica; the rest of the lane is reserved for health checks.
const CLIENT_QUESTIONS_MAX: usize = 896;
/// Concurrent reads of the store; further ones wait.
const READS_MAX: usize = 16;
/// Pages of blocks that may wait to be read; further ones are refused. One may cost as much as a hundred other reads.
const PAGES_WAITING_MAX: usize = 64;

/// State shared by all requests.
pub(crate) struct Api {
    pub(crate) config: ApiConfig,
    pub(crate) machine: Machine,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) genesis_json: Bytes,
    pub(crate) genesis_bytes: Bytes,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) mailbox: Mailbox<LoopInput>,
    pub(crate) transactions: Arc<TransactionQueue>,
    pub(crate) tickets: Tickets,
    pub(crate) views: watch::Receiver<CommittedView>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) network: Network,
    pub(crate) links: Arc<Links>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Failure,
    pub(crate) disk: Arc<DiskSpace>,
    pub(crate) drops: Arc<Drops>,
    pub(crate) evidence: Arc<Held>,
    /// What this node sees.
    pub(crate) feed: Arc<Feed>,
    /// Blocks as events.
    pub(crate) told_blocks: ToldBlocks,
    /// True once the node stops.
    pub(crate) stop: watch::Receiver<bool>,
    /// The signer that holds our consensus key, if one does.
    pub(crate) signer: Option<Arc<RemoteSigner>>,
    /// Bounds on waiting requests.
    pub(crate) waiting: Waiting,
    /// Permits to read the store.
    pub(crate) reads: Arc<Semaphore>,
    /// Reads and encodes pages of blocks, on a single thread with the lowest priority.
    pub(crate) pages: Handle,
    /// Permits to wait for a page.
    pub(crate) pages_waiting: Arc<Semaphore>,
}

impl Api {
    /// [`READS_MAX`] permits.
    pub(crate) fn reads() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(READS_MAX))
    }

    /// [`PAGES_WAITING_MAX`] permits.
    pub(crate) fn pages_waiting() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(PAGES_WAITING_MAX))
    }

    /// Asks the replica a question for a client.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, ApiError> {
        if self.mailbox.waiting(Lane::Questions) >= CLIENT_QUESTIONS_MAX {
            return Err(ApiError::busy("too many questions are waiting for the replica"));
        }
        self.put_question(question).await
    }

    /// Asks for the replica's status, for health checks: succeeds even while clients' questions are refused.
    pub(crate) async fn status(&self) -> Result<ReplicaStatus, ApiError> {
        self.put_question(Question::Status).await
    }

    /// Asks for the replica's position in the protocol, for health checks.
    pub(crate) async fn standing(&self) -> Result<Snapshot, ApiError> {
        self.put_question(Question::Standing).await
    }

    /// Transactions that have left the pool uncommitted from `position` on, and the position to continue from.
    pub(crate) async fn dropped_since(&self, position: u64) -> Result<(u64, Vec<Dropped>), ApiError> {
        self.put_question(|reply| Question::DroppedSince(position, reply)).await
    }

    async fn put_question<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.mailbox
            .offer(Lane::Questions, 0, LoopInput::Ask(question(reply)))
            .map_err(|_| ApiError::busy("too many questions are waiting for the replica"))?;
        match tokio::time::timeout(QUESTION_TIMEOUT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(ApiError::stopping()),
            Err(_) => Err(ApiError::busy("the replica has not answered in time")),
        }
    }

    /// Compares the clocks of the linked validators and ours; `None` while they are too few.
    pub(crate) fn clocks(&self) -> Option<Clocks> {
        let now = self.epochs.now();
        let tolerance_ms = now.verifier.parameters().clock_tolerance_ms();
        Clocks::compare(now.committee(), (now.me, unix_now()), &self.members(), tolerance_ms)
    }

    /// The links to members of the committee.
    pub(crate) fn members(&self) -> Vec<PeerStatus> {
        self.network.status().into_iter().filter(|peer| !is_helper(peer.index)).collect()
    }

    /// Reads from the store on a thread that may block on the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| ApiError::stopping())?;
        let history = Arc::clone(&self.history);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(history.as_ref())
        });
        self.judge(reading.await)
    }

    /// Reads a page of a block, which costs more: requests for pages wait for each other, and other requests do not wait for them.
    async fn read_page<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let history = Arc::clone(&self.history);
        self.judge(self.in_turn(move || read(history.as_ref())).await?)
    }

    /// Like [`Self::read_page`] for callers that bound how many of them read at once: no place is taken from requests for pages.
    async fn read_in_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let history = Arc::clone(&self.history);
        self.judge(self.pages.spawn_blocking(move || read(history.as_ref())).await)
    }

    /// Runs possibly long work on the page-reading thread: one piece at a time, at the lowest priority.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Result<T, JoinError>, ApiError> {
        let busy = |_| ApiError::busy("too many blocks and queries are waiting to be read");
        let permit = Arc::clone(&self.pages_waiting).try_acquire_owned().map_err(busy)?;
        let working = self.pages.spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        Ok(working.await)
    }

    /// An outcome, with failures explained by the application.
    fn outcome(&self, outcome: &Outcome) -> OutcomeView {
        OutcomeView::new(outcome, |failure| self.machine.app().explain(failure))
    }

    fn judge<T>(&self, read: Result<Result<T, LedgerError>, JoinError>) -> Result<T, ApiError> {
        match read {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_damage() => {
                // The store did not notice damage: a row is missing or does not decode.
                if !matches!(error, LedgerError::Store(_)) {
                    tracing::error!("a part of the history on disk cannot be read: {error}");
                }
                Err(ApiError::damaged())
            }
            Ok(Err(error)) => {
                // A vote may depend on what can no longer be read.
                self.failure.report(&error.to_string());
                Err(ApiError::internal("the disk failed; the node is stopping"))
            }
            Err(_) => Err(ApiError::internal("the read was aborted")),
        }
    }
}

/// The routes of the API.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let hosts: Arc<[String]> = api.config.hosts.clone().into();
    let router = explorer::add(with_health(Router::new()))
        .route(SUBMIT, post(submit::one))
        .route(SUBMIT_BATCH, post(submit::batch))
        .route(TRANSACTION, get(reads::transaction))
        .route(TRANSACTION_PROOF, get(reads::transaction_proof))
        .route(TRANSACTION_OUTPUT, get(reads::transaction_output))
        .route(TRANSACTION_RAW, get(raw::transaction))
        .route(ACCOUNT, get(reads::account))
        .route(KEYS, get(reads::keys))
        .route(STATE, get(reads::state))
        .route(QUERY, post(reads::query))
        .route(BLOCK, get(reads::block))
        .route(BLOCK_RAW, get(raw::block))
        .route(RECEIPTS_RAW, get(raw::receipts))
        .route(BLOCKS_RAW, get(raw::blocks))
        .route(HEADERS_RAW, get(raw::headers))
        .route(STATUS, get(reads::status))
        .route(EPOCHS, get(reads::epochs))
        .route(PERMISSIONS, get(reads::permissions))
        .route(GENESIS, get(reads::genesis))
        .route(GENESIS_RAW, get(raw::genesis))
        .route(OPENAPI, get(openapi::description))
        .route(CONSENSUS, get(explain::consensus))
        .route(DROPS, get(explain::drops))
        .route(EVIDENCE_LIST, get(explain::evidence_list))
        .route(EVIDENCE, get(explain::evidence))
        .route(EVENTS, get(events::chain))
        .route(NODE_EVENTS, get(events::node))
        .layer(middleware::from_fn_with_state(hosts, host::check));
    finish(router, api)
}

/// The routes for operators.
pub(crate) fn operator_router(api: Arc<Api>) -> Router {
    finish(with_health(Router::new()).route(METRICS, get(health::metrics)), api)
}

fn with_health(router: Router<Arc<Api>>) -> Router<Arc<Api>> {
    router.route(LIVEZ, get(health::livez)).route(READYZ, get(health::readyz))
}

fn finish(router: Router<Arc<Api>>, api: Arc<Api>) -> Router {
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), count))
        .with_state(api)
}

/// Counts answers by route pattern: a path that a client made up must not become a label. A browser takes an answer for what its content
/// type says, and for nothing else.
async fn count(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_page = matched.is_some_and(explorer::has);
    let route = if is_page { EXPLORER } else { ROUTES.into_iter().find(|route| matched == Some(route)).unwrap_or(OTHER) };
    let mut response = next.run(request).await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    api.metrics.served(route, response.status());
    response
}

/// All routes, of the API and for operators: the labels by which answers are counted.
pub(crate) const ROUTES: [&str; 32] = [
    SUBMIT,
    SUBMIT_BATCH,
    TRANSACTION,
    TRANSACTION_PROOF,
    TRANSACTION_OUTPUT,
    TRANSACTION_RAW,
    ACCOUNT,
    KEYS,
    STATE,
    QUERY,
    BLOCK,
    BLOCK_RAW,
    RECEIPTS_RAW,
    BLOCKS_RAW,
    HEADERS_RAW,
    STATUS,
    EPOCHS,
    PERMISSIONS,
    GENESIS,
    GENESIS_RAW,
    OPENAPI,
    CONSENSUS,
    DROPS,
    EVIDENCE_LIST,
    EVIDENCE,
    EVENTS,
    NODE_EVENTS,
    LIVEZ,
    READYZ,
    METRICS,
    EXPLORER,
    OTHER,
];
const SUBMIT: &str = "/v1/transactions";
const SUBMIT_BATCH: &str = "/v1/transactions/batch";
const TRANSACTION: &str = "/v1/transactions/{id}";
const TRANSACTION_PROOF: &str = "/v1/transactions/{id}/proof";
const TRANSACTION_OUTPUT: &str = "/v1/transactions/{id}/output";
const TRANSACTION_RAW: &str = "/v1/transactions/{id}/raw";
const ACCOUNT: &str = "/v1/accounts/{address}";
const KEYS: &str = "/v1/state";
const STATE: &str = "/v1/state/{*path}";
const QUERY: &str = "/v1/query";
const BLOCK: &str = "/v1/blocks/{height}";
const BLOCK_RAW: &str = "/v1/blocks/{height}/raw";
const RECEIPTS_RAW: &str = "/v1/blocks/{height}/receipts/raw";
const BLOCKS_RAW: &str = "/v1/blocks/raw";
const HEADERS_RAW: &str = "/v1/headers/raw";
const STATUS: &str = "/v1/status";
const EPOCHS: &str = "/v1/epochs";
const PERMISSIONS: &str = "/v1/permissions";
const GENESIS: &str = "/v1/genesis";
const GENESIS_RAW: &str = "/v1/genesis/raw";
const OPENAPI: &str = "/v1/openapi.json";
const CONSENSUS: &str = "/v1/consensus";
const DROPS: &str = "/v1/drops";
const EVIDENCE_LIST: &str = "/v1/evidence";
const EVIDENCE: &str = "/v1/evidence/{id}";
const EVENTS: &str = "/v1/events";
const NODE_EVENTS: &str = "/v1/events/node";
const LIVEZ: &str = "/livez";
const READYZ: &str = "/readyz";
const METRICS: &str = "/metrics";
/// The pages, and all of their files.
const EXPLORER: &str = "/";
/// Every path that matches no route.
const OTHER: &str = "other";
