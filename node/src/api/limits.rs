//! The listener and what it allows: how many connections, how slow, how long a head.
//!
//! | Limit | Against |
//! |---|---|
//! | connections at the same time; the next ones are answered 503 and closed | floods of connections |
//! | a head must be whole `read_timeout` after its connection was opened or became idle | slow senders, idle connections |
//! | [`HEAD_BYTES_MAX`], [`HEADERS_MAX`] | long heads |
//! | a body must be whole in `read_timeout`, and is bounded by its route | slow senders, long bodies |
//! | an answer must be taken byte by byte within `write_timeout` | slow readers |

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, Sleep, sleep, timeout},
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

/// Said to a client that is one too many.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 144\r\nconnection: close\r\n\r\n\
{\"error\":{\"code\":\"busy\",\"message\":\"the node has as many connections as it takes\",\"hint\":\"try again in a moment, or ask another node\"}}          ";

/// Serves until `stop` is true and the requests that were being answered are done, or [`DRAIN`] is over.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: ApiConfig,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let max = config.connections_max;
    let connections = Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(permit) = Arc::clone(&connections).try_acquire_owned() {
            tokio::spawn(serve_connection(stream, router.clone(), config.clone(), Arc::clone(&metrics), stop.clone(), permit));
        } else {
            metrics.refused_connection();
            // One write into an empty socket buffer: done at once, or not at all.
            tokio::spawn(timeout(REFUSAL_TIMEOUT, refuse(stream)));
        }
    }
    drop(listener);
    if timeout(DRAIN, connections.acquire_many(max)).await.is_err() {
        tracing::info!("closing connections whose requests are not answered yet");
    }
}

/// Waits until the node stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and so the node.
    drop(stop.wait_for(|stop| *stop).await);
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    config: ApiConfig,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    metrics.connections().inc();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("nodelay was refused: {error}");
    }
    let stream = TokioIo::new(Impatient::new(stream, config.write_timeout()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(config.read_timeout())
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(stream, TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection was closed: {error}");
    }
    metrics.connections().dec();
}

/// A stream that gives up on a reader who takes nothing for too long.
struct Impatient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl Impatient {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, deadline: Box::pin(sleep(patience)), is_waiting: false }
    }

    /// Passes on what a write did, unless it has been waiting for too long.
    fn bound<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let deadline = Instant::now() + self.patience;
            self.deadline.as_mut().reset(deadline);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
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
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bound(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bound(context, closed)
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
