//! Streams of server-sent events. Each event has a number, and a client that was cut off asks for the numbers after its last one.
//!
//! | Path | Numbers | Source |
//! |---|---|---|
//! | `GET /v1/events?from=HEIGHT&account=ADDRESS` | heights, the same on every node | the store, from the first block on |
//! | `GET /v1/events/node?from=NUMBER` | this node's own | [`crate::feed`], in memory |
//!
//! An event is made when the connection has room for it. So a slow reader misses nothing: it lags, and is cut off if it reads more slowly than
//! any client may ([`super::limits`]). A block is read and encoded once for all streams that need it at about the same time.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Extension, Query, State, rejection::QueryRejection},
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{future::BoxFuture, stream};
use quorate_ledger::CommittedView;
use quorate_types::{
    event::{EVENT_TRANSACTIONS_MAX, NodeEvent, TransactionsEvent},
    ids::Address,
    round::Height,
    rpc::ErrorBody,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use utoipa::IntoParams;

use super::{
    Api,
    error::{ApiError, quoted},
    limits::stopped,
    reads::parse_address,
    seats::{Origin, Streamed},
    waiting::Place,
};
use crate::{chain::Told, feed::Found};

/// How often a stream without events sends a comment, which also finds clients that are gone.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Blocks that are kept encoded: those that were used last.
const TOLD_MAX: usize = 1_024;
/// Bytes of these, which are mostly addresses of senders.
const TOLD_BYTES_MAX: usize = 16 << 20;
/// Blocks that are read from the store at once. One stream reads a block, and the others that need it wait for that.
const READERS: usize = 16;
/// Streams that may read an account's transactions at once; the others wait.
const ACCOUNT_READERS: usize = 4;
/// Blocks without a transaction of the account after which a stream that reads old blocks tells how far it is.
const PROGRESS_EVERY: u32 = 1_000;

/// Blocks as events.
pub(crate) struct ToldBlocks {
    kept: Mutex<Kept>,
    /// One is held while a block is read.
    readers: [tokio::sync::Mutex<()>; READERS],
    /// Permits to read the transactions of an account.
    accounts: Semaphore,
}

#[derive(Default)]
struct Kept {
    blocks: BTreeMap<Height, (Arc<Encoded>, u64)>,
    bytes: usize,
    /// Counts the uses; a block's number is that of its last one.
    uses: u64,
}

/// A block as an event.
struct Encoded {
    height: Height,
    /// The event.
    message: Bytes,
    /// Whose transactions it has, ascending.
    senders: Vec<Address>,
}

impl Encoded {
    fn bytes(&self) -> usize {
        self.message.len().saturating_add(self.senders.len().saturating_mul(size_of::<Address>()))
    }
}

impl ToldBlocks {
    pub(crate) fn new() -> Self {
        Self { kept: Mutex::default(), readers: Default::default(), accounts: Semaphore::new(ACCOUNT_READERS) }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self, height: Height) -> &tokio::sync::Mutex<()> {
        &self.readers[usize::try_from(height.0 % READERS as u64).unwrap_or_default()]
    }

    fn find(&self, height: Height) -> Option<Arc<Encoded>> {
        let mut kept = self.lock();
        kept.uses = kept.uses.saturating_add(1);
        let now = kept.uses;
        let (block, used) = kept.blocks.get_mut(&height)?;
        *used = now;
        Some(Arc::clone(block))
    }

    fn keep(&self, block: &Arc<Encoded>) {
        let mut kept = self.lock();
        kept.uses = kept.uses.saturating_add(1);
        let now = kept.uses;
        kept.bytes = kept.bytes.saturating_add(block.bytes());
        if let Some((before, _)) = kept.blocks.insert(block.height, (Arc::clone(block), now)) {
            kept.bytes = kept.bytes.saturating_sub(before.bytes());
        }
        while kept.blocks.len() > TOLD_MAX || kept.bytes > TOLD_BYTES_MAX {
            let Some(oldest) = kept.blocks.iter().min_by_key(|(_, (_, used))| *used).map(|(height, _)| *height) else { return };
            if let Some((before, _)) = kept.blocks.remove(&oldest) {
                kept.bytes = kept.bytes.saturating_sub(before.bytes());
            }
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChainQuery {
    /// Height of the first block; by default the next one that is committed.
    from: Option<u64>,
    /// Only this account's transactions.
    #[param(value_type = Option<Address>)]
    account: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NodeQuery {
    /// Number of the first event; by default the next one that happens.
    from: Option<u64>,
}

/// Committed blocks, or one account's transactions, as they come.
///
/// A stream of server-sent events without an end. Events `block` hold a `BlockEvent`, events `transactions` a `TransactionsEvent`; their ids are
/// heights, the same on every node. An id without data says how far the node has looked.
#[utoipa::path(
    get,
    path = super::EVENTS,
    operation_id = "events",
    tag = "chain",
    params(ChainQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The last id received: in place of `from`, which is one higher")),
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream", body = String),
        (status = 400, description = "`query`, `address`, `last-event-id`", body = ErrorBody),
    )
)]
pub(super) async fn chain(
    State(api): State<Arc<Api>>,
    Extension(origin): Extension<Origin>,
    query: Result<Query<ChainQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(ChainQuery { from, account }) = query.map_err(|error| ApiError::query(&error, "?from=120&account=ADDRESS"))?;
    let account = account.map(|address| parse_address(&address)).transpose()?;
    let from = first(&headers, from)?;
    let place = place(&api, origin)?;
    let mut views = api.views.clone();
    let newest = views.borrow_and_update().header().height;
    let next = from.map_or(newest.next(), Height);
    if next <= newest {
        // What cannot be read is an answer of its own, as long as it can be one.
        api.told(next).await?;
    }
    let stop = api.stop.clone();
    Ok(answer(Chain { api, views, next, account, part: 0, silent: 0, told_at: Instant::now(), has_failed: false }, place, stop))
}

/// What this node sees, as it happens: rounds, its timeouts, evidence.
///
/// A stream of server-sent events without an end, which hold a `NodeEvent` and are named by its `kind`. Their ids are this node's own, and grow
/// across restarts.
#[utoipa::path(
    get,
    path = super::NODE_EVENTS,
    operation_id = "node_events",
    tag = "operators",
    params(NodeQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The last id received: in place of `from`, which is one higher")),
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream", body = String),
        (status = 400, description = "`query`, `last-event-id`", body = ErrorBody),
    )
)]
pub(super) async fn node(
    State(api): State<Arc<Api>>,
    Extension(origin): Extension<Origin>,
    query: Result<Query<NodeQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(NodeQuery { from }) = query.map_err(|error| ApiError::query(&error, "?from=1790000000000000"))?;
    let from = first(&headers, from)?;
    let place = place(&api, origin)?;
    let mut told = api.feed.follow();
    let next = from.unwrap_or_else(|| *told.borrow_and_update());
    let stop = api.stop.clone();
    Ok(answer(Seen { api, told, next }, place, stop))
}

/// The number to begin with. A browser that was cut off asks the same URL again, and says in a header what it has.
fn first(headers: &HeaderMap, from: Option<u64>) -> Result<Option<u64>, ApiError> {
    let Some(last) = headers.get("last-event-id") else { return Ok(from) };
    let number = last.to_str().ok().and_then(|digits| digits.parse::<u64>().ok()).ok_or_else(|| {
        ApiError::bad_request(
            "last-event-id",
            format!("{} is not the number of an event", quoted(&String::from_utf8_lossy(last.as_bytes()))),
        )
        .with_hint("send the id of the last event received, or leave the header out")
    })?;
    Ok(Some(number.saturating_add(1)))
}

fn place(api: &Api, origin: Origin) -> Result<Place, ApiError> {
    api.waiting.for_events(origin).ok_or_else(|| {
        ApiError::busy("too many streams of events are open here")
            .with_hint("close one, ask another node, or let this one's operator raise api.connections_max")
    })
}

/// Where the pieces of a stream come from.
trait Source: Send + 'static {
    /// Waits for the next piece; `None` ends the stream.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// An open stream.
struct Open<S> {
    /// The next piece, and the source of those that follow. It goes on while the stream is kept alive.
    piece: BoxFuture<'static, (S, Option<Bytes>)>,
    place: Place,
    stop: watch::Receiver<bool>,
}

impl<S: Source> Open<S> {
    fn ask(mut source: S) -> BoxFuture<'static, (S, Option<Bytes>)> {
        Box::pin(async move {
            let piece = source.next().await;
            (source, piece)
        })
    }

    /// The next piece; `None` if the source ends, the node stops, or the place is given to somebody else.
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => None,
            () = self.place.ended() => None,
            (source, piece) = &mut self.piece => {
                self.piece = Self::ask(source);
                piece
            }
            () = sleep(KEEPALIVE) => Some(ALIVE),
        }
    }
}

fn answer(source: impl Source, place: Place, stop: watch::Receiver<bool>) -> Response {
    let open = Open { piece: Open::ask(source), place, stop };
    let pieces = stream::unfold(open, async |mut open| Some((Ok::<_, Infallible>(open.next().await?), open)));
    // The connection keeps its place in the table until it ends, so it ends with the stream.
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (CONNECTION, "close")];
    let mut response = (headers, Body::from_stream(pieces)).into_response();
    response.extensions_mut().insert(Streamed);
    response
}

/// An event as text; without a number if the client must not resume after it.
fn message(name: &str, number: Option<u64>, data: &impl Serialize) -> Option<Bytes> {
    let mut text = String::new();
    if let Some(number) = number {
        writeln!(text, "id: {number}").ok()?;
    }
    // JSON has no line breaks.
    writeln!(text, "event: {name}\ndata: {}\n", serde_json::to_string(data).ok()?).ok()?;
    Some(text.into())
}

/// Only a number: the stream has nothing up to there. A browser keeps it to resume after, and calls nobody.
fn position(last: u64) -> Bytes {
    format!("id: {last}\n\n").into()
}

/// The comment that keeps a stream alive.
const ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// Committed blocks.
struct Chain {
    api: Arc<Api>,
    views: watch::Receiver<CommittedView>,
    /// Height of the next block.
    next: Height,
    account: Option<Address>,
    /// Position in the next block from which transactions are still to be told.
    part: u32,
    /// Blocks since the stream last told its position.
    silent: u32,
    /// When the stream last told anything.
    told_at: Instant,
    /// A block could not be read, and the client was told.
    has_failed: bool,
}

impl Source for Chain {
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_failed {
            return None;
        }
        let piece = self.piece().await.unwrap_or_else(|error| {
            self.has_failed = true;
            message("error", None, &error.view())
        });
        self.told_at = Instant::now();
        piece
    }
}

impl Chain {
    async fn piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let newest = self.views.borrow_and_update().header().height;
            let is_due = self.silent >= PROGRESS_EVERY || self.told_at.elapsed() >= KEEPALIVE;
            if self.silent > 0 && (self.next > newest || is_due) {
                self.silent = 0;
                return Ok(self.next.0.checked_sub(1).map(position));
            }
            if self.next > newest {
                if self.views.changed().await.is_err() {
                    return Ok(None);
                }
                continue;
            }
            let block = self.api.told(self.next).await?;
            let Some(account) = self.account else {
                self.next = self.next.next();
                return Ok(Some(block.message.clone()));
            };
            if block.senders.binary_search(&account).is_ok() {
                return self.transactions(account).await;
            }
            self.next = self.next.next();
            self.silent = self.silent.saturating_add(1);
        }
    }

    /// The account's next transactions in the next block.
    async fn transactions(&mut self, account: Address) -> Result<Option<Bytes>, ApiError> {
        let (height, part, app) = (self.next, self.part, self.api.machine.app().clone());
        let max = usize::try_from(EVENT_TRANSACTIONS_MAX).unwrap_or(usize::MAX);
        let permit = self.api.told_blocks.accounts.acquire().await.map_err(|_| ApiError::stopping())?;
        let read = self.api.read_in_turn(move |history| history.sent_by(height, &account, part, max, &app)).await;
        drop(permit);
        let sent = read?.ok_or_else(ApiError::damaged)?;
        let event = TransactionsEvent { height, timestamp: sent.timestamp, transactions: sent.transactions };
        let is_last = sent.next.is_none();
        if is_last {
            self.next = height.next();
            self.silent = 0;
        }
        self.part = sent.next.unwrap_or(0);
        Ok(message("transactions", is_last.then_some(height.0), &event))
    }
}

impl Api {
    /// A committed block as an event. One caller reads it; the others that need it wait for that.
    async fn told(&self, height: Height) -> Result<Arc<Encoded>, ApiError> {
        if let Some(told) = self.told_blocks.find(height) {
            return Ok(told);
        }
        let _reading = self.told_blocks.reader(height).lock().await;
        if let Some(told) = self.told_blocks.find(height) {
            return Ok(told);
        }
        let Told { event, senders } = self.read_in_turn(move |history| history.told(height)).await?.ok_or_else(ApiError::damaged)?;
        let message = message("block", Some(height.0), &event).ok_or_else(|| ApiError::internal("the event cannot be written"))?;
        let told = Arc::new(Encoded { height, message, senders });
        self.told_blocks.keep(&told);
        Ok(told)
    }
}

/// What this node sees.
struct Seen {
    api: Arc<Api>,
    told: watch::Receiver<u64>,
    next: u64,
}

impl Source for Seen {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.told.borrow_and_update();
            match self.api.feed.get(self.next) {
                Found::Event(event) => {
                    let number = self.next;
                    self.next = number.saturating_add(1);
                    return message(event.kind(), Some(number), &event);
                }
                Found::Gap(next) => {
                    let asked = std::mem::replace(&mut self.next, next);
                    let event = NodeEvent::Gap { asked, next };
                    return message(event.kind(), None, &event);
                }
                Found::NotYet => self.told.changed().await.ok()?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io::{BufRead, BufReader, Write},
        net::TcpStream,
    };

    use quorate_ledger::MemoryStore;
    use quorate_types::{
        codec::{self, Bounded},
        event::{BlockEvent, LedBy},
        ids::TxId,
        message::TransactionBatch,
        round::Round,
        rpc::{BatchAnswer, BlockView},
        transaction::Transaction,
    };

    use super::*;
    use crate::testing::{Running, address_of, alice, connect, read_reply, transfer};

    /// An event as the client reads it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Event {
        id: Option<u64>,
        name: String,
        data: String,
    }

    impl Event {
        fn block(&self) -> BlockEvent {
            assert_eq!(self.name, "block");
            serde_json::from_str(&self.data).unwrap()
        }

        fn node(&self) -> NodeEvent {
            serde_json::from_str(&self.data).unwrap()
        }
    }

    /// An open stream.
    struct Events(BufReader<TcpStream>);

    impl Events {
        fn open(running: &Running, path: &str, headers: &str) -> Self {
            let mut stream = connect(running.node.api_address());
            write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").unwrap();
            let mut events = Self(BufReader::new(stream));
            let head: Vec<String> = std::iter::from_fn(|| Some(events.line()).filter(|line| !line.is_empty())).collect();
            assert_eq!(head[0], "HTTP/1.1 200 OK", "{path}");
            assert!(head.contains(&"content-type: text/event-stream".into()) && head.contains(&"connection: close".into()), "{head:?}");
            events
        }

        fn line(&mut self) -> String {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            line.trim_end().into()
        }

        /// The next event with data; `None` at the end of the stream. A chunk holds one event.
        fn next(&mut self) -> Option<Event> {
            loop {
                let length = usize::from_str_radix(&self.line(), 16).unwrap_or(0);
                if length == 0 {
                    return None;
                }
                let mut event = Event { id: None, name: String::new(), data: String::new() };
                for line in std::iter::repeat_with(|| self.line()).take_while(|line| !line.is_empty()).collect::<Vec<_>>() {
                    match line.split_once(": ") {
                        Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                        Some(("event", name)) => event.name = name.into(),
                        Some(("data", data)) => event.data = data.into(),
                        _ => assert_eq!(line, ":"),
                    }
                }
                assert_eq!(self.line(), "", "the end of the chunk");
                if !event.data.is_empty() || event.id.is_some() {
                    return Some(event);
                }
            }
        }
    }

    #[test]
    fn blocks_come_in_order_from_any_height_and_after_a_reconnection() {
        let running = Running::start();
        let (height, _) = running.commit(&transfer(0));
        let mut all = Events::open(&running, "/v1/events?from=0", "");
        let mut told = Vec::new();
        for expected in 0..=height.0 {
            let event = all.next().unwrap();
            assert_eq!((event.id, event.block().height), (Some(expected), Height(expected)));
            told.push(event);
        }
        assert_eq!(told.last().unwrap().block().transactions_total, 1);
        assert_eq!((told[0].block().author, told[1].block().author.as_deref()), (None, Some("one")));

        // A new stream begins with what is committed next.
        let newest: BlockView = running.get("/v1/blocks/latest");
        let mut new = Events::open(&running, "/v1/events", "");
        let (later, _) = running.commit(&transfer(1));
        let first = new.next().unwrap();
        assert!(first.block().height > newest.height && first.block().height <= later, "{first:?}");
        // Whoever was cut off after a block gets the next ones, whatever the URL says.
        let mut again = Events::open(&running, "/v1/events?from=0", "last-event-id: 0\r\n");
        assert_eq!(again.next().unwrap(), told[1]);
        running.node.stop();
        while again.next().is_some() {}
    }

    #[test]
    fn an_account_gets_all_its_transactions_and_no_others() {
        const COUNT: u64 = 200;
        let running = Running::start();
        let transactions: Vec<_> = (0..COUNT).map(transfer).collect();
        let body = codec::encode(&TransactionBatch(Bounded::truncated(transactions.clone())));
        let answer: BatchAnswer = running.request("POST", "/v1/transactions/batch", &body).json();
        assert_eq!((u64::from(answer.accepted), answer.rejected.len()), (COUNT, 0));
        let mut events = Events::open(&running, &format!("/v1/events?from=0&account={}", address_of(&alice())), "");
        let mut ids: Vec<TxId> = Vec::new();
        let mut blocks = BTreeSet::new();
        while ids.len() < transactions.len() {
            let event = events.next().unwrap();
            if event.data.is_empty() {
                continue;
            }
            assert_eq!(event.name, "transactions");
            let TransactionsEvent { height, transactions, .. } = serde_json::from_str(&event.data).unwrap();
            assert!((1..=EVENT_TRANSACTIONS_MAX as usize).contains(&transactions.len()));
            ids.extend(transactions.iter().map(|transaction| transaction.tx_id));
            // Only the last event of a block has a number to resume after.
            if let Some(id) = event.id {
                assert_eq!(id, height.0);
                assert!(blocks.insert(height), "{height} has ended twice");
            }
        }
        assert_eq!(ids, transactions.iter().map(Transaction::id).collect::<Vec<_>>());

        // Whose account has nothing hears at once how far the node has looked.
        let newest: BlockView = running.get("/v1/blocks/latest");
        let mut nothing = Events::open(&running, &format!("/v1/events?from=0&account={}", Address::default()), "");
        let position = nothing.next().unwrap();
        assert_eq!((position.id, position.data.as_str()), (Some(newest.height.0), ""));
        running.node.stop();
    }

    #[test]
    fn a_node_tells_its_rounds_and_what_is_missing() {
        let running = Running::start();
        running.commit(&transfer(0));
        let mut events = Events::open(&running, "/v1/events/node?from=0", "");
        let gap = events.next().unwrap();
        let NodeEvent::Gap { asked: 0, next } = gap.node() else { panic!("{gap:?}") };
        assert_eq!(gap.id, None, "nothing can be resumed after a gap");
        let first = events.next().unwrap();
        assert_eq!((first.id, first.name.as_str()), (Some(next), "round"));
        let NodeEvent::Round { round, leader, led_by, .. } = first.node() else { panic!("{first:?}") };
        assert_eq!((round, leader.as_str(), led_by), (Round(1), "one", LedBy::Certificate));
        let second = events.next().unwrap();
        let mut resumed = Events::open(&running, "/v1/events/node", &format!("last-event-id: {next}\r\n"));
        assert_eq!(resumed.next().unwrap(), second);
        running.node.stop();
    }

    #[test]
    fn streams_leave_room_for_others_and_return_their_places() {
        let running = Running::with(&["api.connections_max=8"], MemoryStore::new());
        let mut open: Vec<_> = (0..4).map(|_| Events::open(&running, "/v1/events?from=0", "")).collect();
        let refused = running.request("GET", "/v1/events", &[]);
        assert_eq!((refused.status, refused.code().as_str()), (503, "busy"), "{refused:?}");
        assert_eq!(running.request("GET", "/v1/events/node", &[]).status, 503, "they share the places");
        // Idle connections give way to newcomers, streams do not.
        let idle: Vec<_> = (0..20).map(|_| connect(running.node.api_address())).collect();
        running.commit(&transfer(0));
        for events in &mut open {
            assert_eq!(events.next().unwrap().id, Some(0));
            assert_eq!(events.next().unwrap().id, Some(1));
        }
        drop((open, idle));
        // The node notices when it writes, at the latest with the next block or keepalive.
        let mut sequence = 1;
        running.eventually("a place is free", |running| {
            running.commit(&transfer(sequence));
            sequence += 1;
            let mut stream = connect(running.node.api_address());
            stream.write_all(b"GET /v1/events?from=0 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut first = String::new();
            BufReader::new(stream).read_line(&mut first).unwrap();
            first.starts_with("HTTP/1.1 200")
        });
        running.node.stop();
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_hint() {
        let running = Running::start();
        for (path, headers, code) in [
            ("/v1/events?from=-1", "", "query"),
            ("/v1/events?form=1", "", "query"),
            ("/v1/events?account=bob", "", "address"),
            ("/v1/events/node?account=bob", "", "query"),
            ("/v1/events", "last-event-id: x\r\n", "last-event-id"),
        ] {
            let mut stream = connect(running.node.api_address());
            write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").unwrap();
            let reply = read_reply(&mut stream).unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (400, code), "{reply:?}");
        }
        running.node.stop();
    }

    #[test]
    fn a_thousand_subscribers_miss_nothing() {
        // Each takes two files here: ours, and the node's.
        let files = usize::try_from(crate::files::raise()).unwrap();
        let subscribers_max = 1_000.min(files.saturating_sub(400) / 2);
        assert!(subscribers_max >= 100, "raise the limit of open files ({files}) for this test: ulimit -n 4096");
        let running = Running::with(&["api.connections_max=2100"], MemoryStore::new());
        let mut subscribers: Vec<_> = (0..subscribers_max).map(|_| Events::open(&running, "/v1/events?from=1", "")).collect();
        let last = (0..30).map(|sequence| running.commit(&transfer(sequence)).0).last().unwrap();
        let mut first: Vec<Event> = Vec::new();
        for (number, events) in subscribers.iter_mut().enumerate() {
            let told: Vec<_> = (0..last.0).map(|_| events.next().unwrap()).collect();
            assert!(told.iter().map(|event| event.id.unwrap()).eq(1..=last.0), "subscriber {number} misses a block");
            if number == 0 {
                first = told;
            } else {
                assert_eq!(told, first, "subscriber {number}");
            }
        }
        running.node.stop();
    }
}
