//! The listener and what it allows: how many connections, how slow, how long a head.
//!
//! | Limit | Against |
//! |---|---|
//! | connections at the same time; beyond them the idlest gives way ([`super::seats`]) | floods of connections |
//! | a head must be whole `read_timeout` after its connection was opened or became idle | slow senders, idle connections |
//! | [`HEAD_BYTES_MAX`], [`HEADERS_MAX`] | long heads |
//! | a body must be whole in `read_timeout`, and is bounded by its route | slow senders, long bodies |
//! | an answer must be taken at [`ANSWER_RATE_MIN`]; a client may fall behind that by `write_timeout` | slow readers |
//! | one budget for the bytes of all answers ([`super::seats`]); [`SOCKET_BYTES`] of each in the system | many long answers |

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::{
    Request,
    body::{Frame, Incoming},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Sleep, sleep, timeout},
};

use super::{
    error::{ApiError, TX_ID_HEADER},
    seats::{ANSWERS_BYTES_MAX, Notice, Seat, Seating, Seats, Shared},
    submit::unknown_submission,
};
use crate::{config::ApiConfig, metrics::Metrics};

/// Longest head of a request, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long requests that are being answered get when the node stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after the system could not accept a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a refused client may take for its refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Refusals under way; further clients are cut off without a word.
const REFUSALS_MAX: usize = 64;
/// How fast a client has to take an answer, in bytes a second.
const ANSWER_RATE_MIN: u32 = 32 << 10;
/// How much of an answer the system takes from us before its client has taken it: without this bound, megabytes for each connection.
const SOCKET_BYTES: usize = 128 << 10;

/// Said to a client that is one too many.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 144\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
{\"error\":{\"code\":\"busy\",\"message\":\"the node has as many connections as it takes\",\"hint\":\"try again in a moment, or ask another node\"}}          ";

/// Serves until `stop` is true and the requests that were being answered are done, or [`DRAIN`] is over.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: ApiConfig,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Seats::new(usize::try_from(config.connections_max).unwrap_or(usize::MAX), ANSWERS_BYTES_MAX);
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    // Every connection holds a clone while it is served.
    let (alive, mut ended) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (seat, notice) = match seats.take(address.ip()) {
            Seating::Free(seat, notice) => (seat, notice),
            Seating::Freed(seat, notice) => {
                metrics.closed_idle_connection();
                // Its socket is closed before the next one is taken.
                tokio::task::yield_now().await;
                (seat, notice)
            }
            Seating::Full => {
                metrics.refused_connection();
                if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                    tokio::spawn(timeout(REFUSAL_TIMEOUT, refuse(stream, permit)));
                }
                continue;
            }
        };
        let server = Server { router: router.clone(), config: config.clone(), metrics: Arc::clone(&metrics), stop: stop.clone() };
        let alive = alive.clone();
        tokio::spawn(async move {
            server.serve(stream, Arc::new(seat), notice).await;
            drop(alive);
        });
    }
    drop((listener, alive));
    if timeout(DRAIN, ended.recv()).await.is_err() {
        tracing::info!("closing connections whose requests are not answered yet");
    }
}

/// Waits until the node stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and so the node.
    drop(stop.wait_for(|stop| *stop).await);
}

/// One write into an empty socket buffer: done at once, or not at all.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await
}

/// What a connection needs of its listener.
struct Server {
    router: Router,
    config: ApiConfig,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
}

impl Server {
    async fn serve(self, stream: TcpStream, seat: Arc<Seat>, notice: Notice) {
        let Self { router, config, metrics, mut stop } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("nodelay was refused: {error}");
        }
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SOCKET_BYTES) {
            tracing::debug!("a smaller buffer was refused: {error}");
        }
        metrics.connections().inc();
        let stream = TokioIo::new(Impatient::new(stream, config.write_timeout()));
        let (router, counters) = (TowerToHyperService::new(router), Arc::clone(&metrics));
        let service = service_fn(move |request| answer(Arc::clone(&seat), router.clone(), Arc::clone(&counters), request));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(config.read_timeout())
                .max_header_size(HEAD_BYTES_MAX)
                .max_headers(HEADERS_MAX)
                .serve_connection(stream, service)
        );
        let served = async {
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        tokio::select! {
            ended = served => {
                if let Err(error) = ended {
                    tracing::debug!("a connection was closed: {error}");
                }
            }
            // The sender is in the table of connections and never sends.
            _ = notice => tracing::debug!("an idle connection made room for another"),
        }
        metrics.connections().dec();
    }
}

/// Answers one request of a connection.
async fn answer(
    seat: Arc<Seat>,
    router: TowerToHyperService<Router>,
    metrics: Arc<Metrics>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    seat.is_ours();
    let since = Instant::now();
    let mut request = request.map(|incoming| Body::new(Sent { incoming, seat: Arc::clone(&seat), since }));
    request.extensions_mut().insert(seat.origin());
    let response = router.call(request).await?;
    let response = if response.extensions().get::<Shared>().is_some() {
        response
    } else {
        let (parts, body) = response.into_parts();
        match seat.answer(body).await {
            Ok(body) => Response::from_parts(parts, body),
            Err(error) => {
                metrics.refused_answer();
                without_room(&parts, error)
            }
        }
    };
    seat.is_theirs(Instant::now());
    Ok(response)
}

/// What is said in the place of an answer that has no room. What was submitted may have been taken: then nothing else is claimed.
fn without_room(answer: &axum::http::response::Parts, error: ApiError) -> Response {
    match answer.headers.get(TX_ID_HEADER) {
        Some(id) if answer.status.is_success() => {
            let mut response = unknown_submission(id).into_response();
            response.headers_mut().insert(TX_ID_HEADER, id.clone());
            response
        }
        _ => error.into_response(),
    }
}

/// The body of a request: while we wait for it, the client has the word, and has had it since its head came.
struct Sent {
    incoming: Incoming,
    seat: Arc<Seat>,
    since: Instant,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        if frame.is_pending() {
            self.seat.is_theirs(self.since);
        } else {
            self.seat.is_ours();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.incoming.size_hint()
    }
}

/// A stream that gives up on a reader who takes too little. Time in which a write waits is owed by the reader, and every byte that it takes
/// pays for some of it; a reader who owes more than `patience` has gone.
struct Impatient {
    stream: TcpStream,
    patience: Duration,
    owed: Duration,
    /// Since when a write waits.
    waiting: Option<Instant>,
    /// Runs while a write waits.
    deadline: Pin<Box<Sleep>>,
}

impl Impatient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, owed: Duration::ZERO, waiting: None, deadline: Box::pin(sleep(patience)) }
    }

    /// Passes on what a write did, unless its reader owes too much time.
    fn bound(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match written {
            Poll::Ready(written) => {
                if let Some(since) = self.waiting.take() {
                    self.owed = self.owed.saturating_add(now.duration_since(since));
                }
                let bytes = written.as_ref().map_or(0, |bytes| u32::try_from(*bytes).unwrap_or(u32::MAX));
                self.owed = self.owed.saturating_sub(Duration::from_secs(1).saturating_mul(bytes) / ANSWER_RATE_MIN);
                if self.owed > self.patience { Poll::Ready(Err(too_slow())) } else { Poll::Ready(written) }
            }
            Poll::Pending => {
                if self.waiting.is_none() {
                    self.waiting = Some(now);
                    self.deadline.as_mut().reset((now + self.patience.saturating_sub(self.owed)).into());
                }
                self.deadline.as_mut().poll(context).map(|()| Err(too_slow()))
            }
        }
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client takes too little of its answer")
}

impl AsyncRead for Impatient {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The system takes all that it was given; there is nothing to wait for.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_of_a_connection_is_as_long_as_it_says() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let error: quorate_types::rpc::ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(error.error.code, "busy");
    }
}
