//! The HTTP listener and its limits.
//!
//! | Limit | Against |
//! |---|---|
//! | concurrent connections; at the limit the idlest gives way ([`super::seats`]) | floods of connections |
//! | a head must be complete within `read_timeout` after the connection was opened or became idle | slow senders, idle connections |
//! | [`HEAD_BYTES_MAX`], [`HEADERS_MAX`] | long heads |
//! | a body must be complete within `read_timeout`; its route bounds its length | slow senders, long bodies |
//! | a client must read its answer at [`ANSWER_RATE_MIN`]; it may lag by `write_timeout` | slow readers |
//! | [`BUFFER_BYTES`] of a connection, for requests and for streams of events | clients that do not read a stream |
//! | one budget for the bytes of all answers ([`super::seats`]); [`SOCKET_BYTES`] of each in the socket buffer | many long answers |

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
    seats::{ANSWERS_BYTES_MAX, Notice, Seat, Seating, Seats, Shared, Streamed},
    submit::unknown_submission,
};
use crate::{config::ApiConfig, metrics::Metrics};

/// Longest head of a request, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Time for requests in progress to finish when the node stops.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept, which most likely means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Timeout for sending a refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Most refusals being sent; further clients are disconnected without one.
const REFUSALS_MAX: usize = 64;
/// Minimum rate at which a client must read an answer, in bytes per second.
const ANSWER_RATE_MIN: u32 = 32 << 10;
/// Size of the buffers that a connection has here: without this bound a stream to a client that does not read fills some 400 KB.
const BUFFER_BYTES: usize = 64 << 10;
/// Size of a socket's send buffer. Without this bound, the system buffers megabytes for each connection.
const SOCKET_BYTES: usize = 128 << 10;

/// The response to a client over the connection limit.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 144\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
{\"error\":{\"code\":\"busy\",\"message\":\"the node has reached its connection limit\",\"hint\":\"try again in a moment, or ask another node\"}}             ";

/// Serves until `stop` is true and then until requests in progress are answered, for at most [`DRAIN`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: ApiConfig,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Seats::new(usize::try_from(config.connections_max).unwrap_or(usize::MAX), ANSWERS_BYTES_MAX);
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    // Every served connection holds a clone.
    let (alive, mut ended) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (seat, notice) = match seats.take(address.ip()) {
            Seating::Free(seat, notice) => (seat, notice),
            Seating::Freed(seat, notice) => {
                metrics.closed_idle_connection();
                // Let its socket close before the next connection is accepted.
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
        tracing::info!("closing connections whose requests are still unanswered");
    }
}

/// Waits until the node stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the node.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Sends a refusal: one write into an empty socket buffer, which succeeds at once or not at all.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await
}

/// What a connection needs from its listener.
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
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SOCKET_BYTES) {
            tracing::debug!("cannot shrink the send buffer: {error}");
        }
        metrics.connections().inc();
        let stream = TokioIo::new(MinRateStream::new(stream, config.write_timeout()));
        let (router, counters) = (TowerToHyperService::new(router), Arc::clone(&metrics));
        let service = service_fn(move |request| answer(Arc::clone(&seat), router.clone(), Arc::clone(&counters), request));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(config.read_timeout())
                .max_header_size(HEAD_BYTES_MAX)
                .max_headers(HEADERS_MAX)
                .max_buf_size(BUFFER_BYTES)
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
            // Resolves when its sender is dropped from the table of connections; the sender never sends.
            _ = notice => tracing::debug!("an idle connection made room for another"),
        }
        metrics.connections().dec();
    }
}

/// Answers one request on a connection.
async fn answer(
    seat: Arc<Seat>,
    router: TowerToHyperService<Router>,
    metrics: Arc<Metrics>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    seat.set_our_turn();
    let since = Instant::now();
    let mut request = request.map(|incoming| Body::new(Sent { incoming, seat: Arc::clone(&seat), since }));
    request.extensions_mut().insert(seat.origin());
    let response = router.call(request).await?;
    if response.extensions().get::<Streamed>().is_some() {
        // It stays our turn until the stream and its connection end.
        return Ok(response);
    }
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
    seat.set_client_turn(Instant::now());
    Ok(response)
}

/// The replacement for an answer that exceeds the budget. A submission may have been accepted, so its replacement must not claim otherwise.
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

/// A request body. While we wait for it, it is the client's turn, counted from the arrival of the head.
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
            self.seat.set_client_turn(self.since);
        } else {
            self.seat.set_our_turn();
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

/// A stream that gives up on slow readers. The time that a write waits is charged to the reader, and every byte that it reads pays some of it
/// off; a reader that owes more than `patience` is cut off.
struct MinRateStream {
    stream: TcpStream,
    patience: Duration,
    owed: Duration,
    /// Start of the pending write, if any.
    waiting: Option<Instant>,
    /// Runs while a write is pending.
    deadline: Pin<Box<Sleep>>,
}

impl MinRateStream {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, owed: Duration::ZERO, waiting: None, deadline: Box::pin(sleep(patience)) }
    }

    /// Passes on the result of a write, unless the reader owes too much time.
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
    io::Error::new(io::ErrorKind::TimedOut, "the client reads its answer too slowly")
}

impl AsyncRead for MinRateStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for MinRateStream {
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
        // A TCP stream has no buffer of its own, so this never waits.
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
