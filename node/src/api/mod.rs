//! The HTTP API: submit transactions, read what is committed, see how the node is. Its words are [`quorate_types::rpc`].
//!
//! | Path | Answer |
//! |---|---|
//! | `POST /v1/transactions?wait=none\|accepted\|committed&timeout_ms=N` | [`submit`] |
//! | `POST /v1/transactions/batch` | [`submit`] |
//! | `GET /v1/transactions/{id}`, `/v1/transactions/{id}/proof`, `/v1/transactions/{id}/output` | [`reads`] |
//! | `GET /v1/accounts/{address}`, `/v1/state/{key or path}`; `POST /v1/query` | [`reads`] |
//! | `GET /v1/blocks/{height\|latest}?from=N`, `/v1/status`, `/v1/genesis` | [`reads`] |
//! | `GET /v1/consensus`, `/v1/drops` | [`explain`] |
//! | `GET /livez`, `/readyz`; at `metrics.listen` `/metrics`, too | [`health`] |
//!
//! Nothing here changes anything but by a signed transaction, so there is no access control. Whatever a client sends, and however slowly,
//! is bounded ([`limits`]); an error is JSON with a stable word ([`error`]). No CORS header is ever sent, and a request has to name this host
//! ([`host`]): pages of other origins read nothing.

pub(crate) mod error;
mod explain;
mod health;
pub(crate) mod host;
pub(crate) mod limits;
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
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use quorate_app::Machine;
use quorate_ledger::{CommittedView, LedgerError};
use quorate_network::Network;
use quorate_replica::{Dropped, ReplicaStatus};
use quorate_types::{
    committee::Committee,
    genesis::Genesis,
    ids::{GenesisHash, ValidatorId},
    receipt::Outcome,
    rpc::OutcomeView,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot, watch},
    task::JoinError,
};

use self::{error::ApiError, waiting::Waiting};
use crate::{
    chain::History,
    clock::Clocks,
    config::ApiConfig,
    diagnosis::Snapshot,
    disk::DiskSpace,
    drops::Drops,
    event_loop::{LoopInput, Question, unix_now},
    failure::Failure,
    ingest::TransactionQueue,
    mailbox::{Lane, Mailbox},
    metrics::Metrics,
    submission::Tickets,
};

/// How long the replica may take to answer a question before it counts as stuck.
pub(crate) const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions of clients that wait for the replica; the rest of the lane is for those who ask how the node is.
const CLIENT_QUESTIONS_MAX: usize = 896;
/// Reads of the store at the same time; further ones wait.
const READS_MAX: usize = 16;
/// Pages of blocks that wait to be read; further ones are refused. One may cost as much as a hundred other reads.
const PAGES_WAITING_MAX: usize = 64;

/// What every request can reach.
pub(crate) struct Api {
    pub(crate) config: ApiConfig,
    pub(crate) me: ValidatorId,
    pub(crate) machine: Machine,
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) genesis_json: Bytes,
    pub(crate) committee: Arc<Committee>,
    pub(crate) mailbox: Mailbox<LoopInput>,
    pub(crate) transactions: Arc<TransactionQueue>,
    pub(crate) tickets: Tickets,
    pub(crate) views: watch::Receiver<CommittedView>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) failure: Failure,
    pub(crate) disk: Arc<DiskSpace>,
    pub(crate) drops: Arc<Drops>,
    /// Who may wait, and for what.
    pub(crate) waiting: Waiting,
    /// Reads of the store that may still begin.
    pub(crate) reads: Arc<Semaphore>,
    /// Where pages of blocks are read and put into words: on one thread, which lets all others go first.
    pub(crate) pages: Handle,
    /// Pages that may still wait for it.
    pub(crate) pages_waiting: Arc<Semaphore>,
}

impl Api {
    /// Room for this many reads of the store.
    pub(crate) fn reads() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(READS_MAX))
    }

    /// Room for this many pages that wait.
    pub(crate) fn pages_waiting() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(PAGES_WAITING_MAX))
    }

    /// Asks the replica something for a client.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, ApiError> {
        if self.mailbox.waiting(Lane::Questions) >= CLIENT_QUESTIONS_MAX {
            return Err(ApiError::busy("too many questions to the replica wait"));
        }
        self.put_question(question).await
    }

    /// Asks the replica how it is, for whoever watches the node: also while clients have more questions than are taken.
    pub(crate) async fn status(&self) -> Result<ReplicaStatus, ApiError> {
        self.put_question(Question::Status).await
    }

    /// Asks the replica where it stands, for whoever watches the node.
    pub(crate) async fn standing(&self) -> Result<Snapshot, ApiError> {
        self.put_question(Question::Standing).await
    }

    /// What has left the pool uncommitted from a position on, and the position to go on from.
    pub(crate) async fn dropped_since(&self, position: u64) -> Result<(u64, Vec<Dropped>), ApiError> {
        self.put_question(|reply| Question::DroppedSince(position, reply)).await
    }

    async fn put_question<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.mailbox
            .offer(Lane::Questions, 0, LoopInput::Ask(question(reply)))
            .map_err(|_| ApiError::busy("too many questions to the replica wait"))?;
        match tokio::time::timeout(QUESTION_TIMEOUT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(ApiError::stopping()),
            Err(_) => Err(ApiError::busy("the replica has not answered in time")),
        }
    }

    /// The clocks of the linked validators and ours; `None` while they are too few.
    pub(crate) fn clocks(&self) -> Option<Clocks> {
        let tolerance_ms = self.genesis.parameters.clock_tolerance_ms();
        Clocks::compare(&self.committee, (self.me, unix_now()), &self.network.status(), tolerance_ms)
    }

    /// Reads from the store on a thread that may wait for the disk.
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

    /// The same for a page of a block, which costs more: whoever asks for many of them waits behind himself, and nobody else does.
    async fn read_page<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let history = Arc::clone(&self.history);
        self.judge(self.in_turn(move || read(history.as_ref())).await?)
    }

    /// Does what may take long where pages are read: one after the other, after everything else.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<Result<T, JoinError>, ApiError> {
        let busy = |_| ApiError::busy("as many blocks and questions wait to be read for clients as may");
        let permit = Arc::clone(&self.pages_waiting).try_acquire_owned().map_err(busy)?;
        let working = self.pages.spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        Ok(working.await)
    }

    /// A result in the application's words.
    fn outcome(&self, outcome: &Outcome) -> OutcomeView {
        OutcomeView::new(outcome, |failure| self.machine.app().explain(failure))
    }

    fn judge<T>(&self, read: Result<Result<T, LedgerError>, JoinError>) -> Result<T, ApiError> {
        match read {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_damage() => {
                // Where the store did not notice: a row that is gone, or does not mean anything.
                if !matches!(error, LedgerError::Store(_)) {
                    tracing::error!("a part of the history on disk cannot be read: {error}");
                }
                Err(ApiError::damaged())
            }
            Ok(Err(error)) => {
                // What the disk no longer gives back, a vote may rest on.
                self.failure.report(&error.to_string());
                Err(ApiError::internal("the disk failed; the node stops"))
            }
            Err(_) => Err(ApiError::internal("the read was broken off")),
        }
    }
}

/// The routes of the API.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let hosts: Arc<[String]> = api.config.hosts.clone().into();
    let router = with_health(Router::new())
        .route(SUBMIT, post(submit::one))
        .route(SUBMIT_BATCH, post(submit::batch))
        .route(TRANSACTION, get(reads::transaction))
        .route(TRANSACTION_PROOF, get(reads::transaction_proof))
        .route(TRANSACTION_OUTPUT, get(reads::transaction_output))
        .route(ACCOUNT, get(reads::account))
        .route(STATE, get(reads::state))
        .route(QUERY, post(reads::query))
        .route(BLOCK, get(reads::block))
        .route(STATUS, get(reads::status))
        .route(GENESIS, get(reads::genesis))
        .route(CONSENSUS, get(explain::consensus))
        .route(DROPS, get(explain::drops))
        .layer(middleware::from_fn_with_state(hosts, host::check));
    finish(router, api)
}

/// The routes for operators alone.
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

/// Counts answers by route, as the router knows it: a path that a client made up must not become a label.
async fn count(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = ROUTES.into_iter().find(|route| matched.is_some_and(|path| path.as_str() == *route)).unwrap_or(OTHER);
    let response = next.run(request).await;
    api.metrics.served(route, response.status());
    response
}

/// All routes, of the API and of operators, by which answers are counted.
pub(crate) const ROUTES: [&str; 17] = [
    SUBMIT,
    SUBMIT_BATCH,
    TRANSACTION,
    TRANSACTION_PROOF,
    TRANSACTION_OUTPUT,
    ACCOUNT,
    STATE,
    QUERY,
    BLOCK,
    STATUS,
    GENESIS,
    CONSENSUS,
    DROPS,
    LIVEZ,
    READYZ,
    METRICS,
    OTHER,
];
const SUBMIT: &str = "/v1/transactions";
const SUBMIT_BATCH: &str = "/v1/transactions/batch";
const TRANSACTION: &str = "/v1/transactions/{id}";
const TRANSACTION_PROOF: &str = "/v1/transactions/{id}/proof";
const TRANSACTION_OUTPUT: &str = "/v1/transactions/{id}/output";
const ACCOUNT: &str = "/v1/accounts/{address}";
const STATE: &str = "/v1/state/{*path}";
const QUERY: &str = "/v1/query";
const BLOCK: &str = "/v1/blocks/{height}";
const STATUS: &str = "/v1/status";
const GENESIS: &str = "/v1/genesis";
const CONSENSUS: &str = "/v1/consensus";
const DROPS: &str = "/v1/drops";
const LIVEZ: &str = "/livez";
const READYZ: &str = "/readyz";
const METRICS: &str = "/metrics";
/// Whatever is no route.
const OTHER: &str = "other";
