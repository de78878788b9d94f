//! The sending side of a direct stream: one task per (peer, class).
//!
//! ```text
//!   wait for a connection -> open a stream -> hello, answer -> take what is queued, write, flush once -> ...
//!            ^                                                                                |
//!            +------------------ pause, longer each time <------- stream ended or stalled ----+
//! ```
//!
//! The tasks are independent: a slow, frozen or dead peer occupies only its own two.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, OpenStreamError};
use tokio::time::{sleep, timeout};

use crate::{
    backoff,
    frame::{self, Class},
    hello::{ANSWER_ACCEPTED, ANSWER_DOUBLED, ANSWER_REFUSED, HELLO_BYTES, Hello},
    metrics::{self, DropReason, Flow, Lane, StreamFault},
    peers::{Peer, Shared},
    status::Refusal,
};

/// Timeout for libp2p to open a stream on an existing connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for the answer to our first hello; doubles up to [`ANSWER_TIMEOUT_MAX`].
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest timeout for an answer.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(2);
/// Initial pause after a stream ended or could not be opened.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest pause before jitter.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A stream that lasted this long resets the backoff.
const GOOD_STREAM: Duration = Duration::from_secs(5);
/// Pause after a refused hello: an operator must change something first.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// If a peer reads not a single byte for this long, the stream is closed.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// Bytes taken from the queue at once. Frames left in the queue can still be superseded.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Frames up to this size are copied together, so that many votes take one write.
const COALESCE_BYTES_MAX: usize = 16 * 1024;

/// Why a stream was not opened.
enum OpenFault {
    /// The two nodes do not belong to the same network.
    Refused(Refusal),
    /// No answer to our hello. libp2p-stream silently drops an inbound stream when two arrive at once, so this is normal now and then at
    /// startup, and an immediate retry is right.
    NoAnswer,
    /// The connection is closing or closed.
    Closed,
}

/// Why an open stream ended.
enum StreamEnd {
    Stalled,
    Closed,
}

impl From<io::Error> for StreamEnd {
    fn from(_: io::Error) -> StreamEnd {
        StreamEnd::Closed
    }
}

/// Sends everything queued for `peer` in `class`, until the peer leaves.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>, class: Class, mut control: Control) {
    let seed = peer.seed ^ u64::from(class == Class::Sync);
    let mut connected = peer.connected.subscribe();
    let mut attempt: u32 = 0;
    loop {
        if connected.wait_for(|connected| *connected).await.is_err() {
            return;
        }
        let mut pause = backoff::pause(PAUSE, PAUSE_MAX, attempt, seed);
        match open(&shared, &peer, class, &mut control, attempt).await {
            Ok(stream) => {
                let opened = Instant::now();
                shared.on_stream(&peer, class, true);
                let end = pump(&shared, &peer, class, stream).await;
                shared.on_stream(&peer, class, false);
                let fault = match end {
                    StreamEnd::Stalled => StreamFault::write_stalled,
                    StreamEnd::Closed => StreamFault::closed,
                };
                shared.metrics.fault(Lane::from(class), fault);
                tracing::debug!(validator = %peer.index, ?class, ?fault, "stream ended");
                if opened.elapsed() >= GOOD_STREAM {
                    attempt = 0;
                    pause = PAUSE;
                }
            }
            Err(OpenFault::Refused(refusal)) => {
                shared.on_refused(&peer, refusal);
                pause = REFUSED_PAUSE;
            }
            Err(OpenFault::NoAnswer) => {
                shared.metrics.fault(Lane::from(class), StreamFault::no_answer);
                pause = Duration::ZERO;
            }
            Err(OpenFault::Closed) => {}
        }
        attempt = attempt.saturating_add(1);
        // Retry at once on a new connection: the peer may have restarted with the right configuration.
        connected.mark_unchanged();
        tokio::select! {
            () = sleep(pause) => {}
            changed = connected.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

async fn open(shared: &Shared, peer: &Peer, class: Class, control: &mut Control, attempt: u32) -> Result<Stream, OpenFault> {
    let protocol = StreamProtocol::new(class.protocol());
    let mut stream = match timeout(OPEN_TIMEOUT, control.open_stream(peer.id, protocol)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(OpenStreamError::UnsupportedProtocol(protocol))) => {
            return Err(OpenFault::Refused(Refusal::UnsupportedProtocol { protocol: protocol.to_string() }));
        }
        Ok(Err(_)) | Err(_) => return Err(OpenFault::Closed),
    };
    let patience = ANSWER_TIMEOUT.saturating_mul(1 << attempt.min(2)).min(ANSWER_TIMEOUT_MAX);
    match timeout(patience, greet(&shared.hello, peer, &mut stream)).await {
        Ok(Ok(None)) => Ok(stream),
        Ok(Ok(Some(refusal))) => Err(OpenFault::Refused(refusal)),
        // A stream dropped on the acceptor's side is either reset at once or never answered: both mean "retry".
        Ok(Err(_)) => Err(OpenFault::Closed),
        Err(_) => Err(OpenFault::NoAnswer),
    }
}

/// Sends our hello and reads the answer. Returns the refusal if the hellos differ.
async fn greet(hello: &Hello, peer: &Peer, stream: &mut Stream) -> io::Result<Option<Refusal>> {
    stream.write_all(&hello.encode()).await?;
    stream.flush().await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    let [answer] = answer;
    match answer {
        ANSWER_ACCEPTED => Ok(None),
        ANSWER_DOUBLED => {
            // Only a hint. What stops us is a signature by our key that we have not made.
            tracing::error!(
                validator = %peer.index,
                "this validator was still linked to a node with our keys when we connected: either we have just restarted, or two processes run \
                 with our keys. If there is another process with them, stop one at once, before the two sign conflicting messages"
            );
            Ok(None)
        }
        ANSWER_REFUSED => {
            let mut theirs = [0; HELLO_BYTES];
            stream.read_exact(&mut theirs).await?;
            let refusal = Hello::decode(&theirs).ok().and_then(|theirs| hello.difference(&theirs));
            Ok(Some(refusal.unwrap_or(Refusal::MalformedHello)))
        }
        _ => Ok(Some(Refusal::MalformedHello)),
    }
}

/// Moves frames from the queue to the stream until the stream ends.
async fn pump(shared: &Shared, peer: &Peer, class: Class, stream: Stream) -> StreamEnd {
    let lane = Lane::from(class);
    let sent = shared.metrics.sent(lane);
    let queue = peer.queue(class);
    let (mut from_peer, mut to_peer) = stream.split();
    let mut batch = Vec::new();
    let mut joined = Vec::with_capacity(COALESCE_BYTES_MAX);
    loop {
        let mut unexpected = [0];
        tokio::select! {
            biased;
            // The acceptor sends nothing after its answer, so any result means that the stream has ended. Without this, the end of an idle
            // stream would be noticed only when its next frame is lost.
            _ = from_peer.read(&mut unexpected) => return StreamEnd::Closed,
            () = queue.filled() => {}
        }
        queue.take_batch(BATCH_BYTES_MAX, &mut batch);
        let frames = metrics::bytes(batch.len());
        if let Err(end) = write_batch(&mut to_peer, &batch, &mut joined, &sent).await {
            // Some of the batch may have arrived, but all of it is counted as lost.
            shared.metrics.dropped(lane, DropReason::stream_lost, frames);
            return end;
        }
        batch.clear();
    }
}

async fn write_batch(to_peer: &mut (impl AsyncWrite + Unpin), batch: &[Bytes], joined: &mut Vec<u8>, sent: &Flow) -> Result<(), StreamEnd> {
    let mut total: u64 = 0;
    joined.clear();
    for frame in batch {
        let Some(prefix) = frame::prefix(frame.len()) else { continue };
        joined.extend_from_slice(&prefix);
        if frame.len() <= COALESCE_BYTES_MAX {
            joined.extend_from_slice(frame);
        }
        if joined.len() >= COALESCE_BYTES_MAX || frame.len() > COALESCE_BYTES_MAX {
            write(to_peer, joined).await?;
            joined.clear();
        }
        if frame.len() > COALESCE_BYTES_MAX {
            write(to_peer, frame).await?;
        }
        total = total.saturating_add(metrics::bytes(frame.len()));
    }
    write(to_peer, joined).await?;
    match timeout(WRITE_STALL, to_peer.flush()).await {
        Ok(flushed) => flushed?,
        Err(_) => return Err(StreamEnd::Stalled),
    }
    sent.count(metrics::bytes(batch.len()), total);
    Ok(())
}

/// Writes all of `bytes`. A slow peer is fine as long as it reads at least one byte per [`WRITE_STALL`].
async fn write(to_peer: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> Result<(), StreamEnd> {
    while !bytes.is_empty() {
        let written = match timeout(WRITE_STALL, to_peer.write(bytes)).await {
            Ok(written) => written?,
            Err(_) => return Err(StreamEnd::Stalled),
        };
        match bytes.get(written..) {
            Some(rest) if written > 0 => bytes = rest,
            _ => return Err(StreamEnd::Closed),
        }
    }
    Ok(())
}
