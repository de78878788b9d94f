//! The sending side of a direct stream: one task per (peer, class).
//!
//! ```text
//!   wait for a connection -> open a stream -> hello, answer -> take what is queued, write, flush once -> ...
//!            ^                                                                                |
//!            +------------------ pause, longer each time <------- stream ended or stalled ----+
//! ```
//!
//! The tasks know nothing of each other: a peer that is slow, frozen or dead occupies only its own two.

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

/// How long libp2p may take to open a stream on an existing connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the acceptor may take to answer our first hello; doubles up to [`ANSWER_TIMEOUT_MAX`].
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest wait for an answer.
const ANSWER_TIMEOUT_MAX: Duration = Duration::from_secs(2);
/// First pause after a stream ended or could not be opened.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A stream that lasted this long was a good one: the next pause is short again.
const GOOD_STREAM: Duration = Duration::from_secs(5);
/// Pause after a hello was refused: an operator has to change something first.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// A peer that does not take a single byte for this long loses the stream.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// Taken from the queue at once. What stays in the queue can still be superseded.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Frames up to this size are copied together, so that many votes cost one write.
const COALESCE_BYTES_MAX: usize = 16 * 1024;

/// Why a stream was not opened.
enum OpenFault {
    /// The two nodes do not belong together.
    Refused(Refusal),
    /// No answer to our hello. libp2p-stream drops an inbound stream without a word when two arrive at once, so this is
    /// expected now and then at start, and trying again at once is right.
    NoAnswer,
    /// The connection is going or gone.
    Closed,
}

/// Why an open stream came to an end.
enum StreamEnd {
    Stalled,
    Closed,
}

impl From<io::Error> for StreamEnd {
    fn from(_: io::Error) -> StreamEnd {
        StreamEnd::Closed
    }
}

/// Sends everything queued for `peer` in `class`, for ever.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>, class: Class, mut control: Control) {
    let seed = u64::from(shared.me.0) << 24 | u64::from(peer.index.0) << 8 | u64::from(class == Class::Sync);
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
        // A new connection is a new chance: the peer may have restarted with the right configuration.
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
        // A stream that the acceptor's side dropped is reset at once or never answered: both mean "try again".
        Ok(Err(_)) => Err(OpenFault::Closed),
        Err(_) => Err(OpenFault::NoAnswer),
    }
}

/// Sends our hello; the refusal if the acceptor does not agree.
async fn greet(hello: &Hello, peer: &Peer, stream: &mut Stream) -> io::Result<Option<Refusal>> {
    stream.write_all(&hello.encode()).await?;
    stream.flush().await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    let [answer] = answer;
    match answer {
        ANSWER_ACCEPTED => Ok(None),
        ANSWER_DOUBLED => {
            // Only a hint: a signature of ours that we have not made is what stops us.
            tracing::error!(
                validator = %peer.index,
                "this validator was still linked to a node with our keys when we came: either we have just restarted, or our keys run twice. \
                 If there is another process with them, stop one at once, before the two contradict each other"
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
            // The acceptor says nothing after its answer, so whatever comes means that the stream is over. Without this an
            // idle stream would notice the end only when it has lost its next frame.
            _ = from_peer.read(&mut unexpected) => return StreamEnd::Closed,
            () = queue.filled() => {}
        }
        queue.take_batch(BATCH_BYTES_MAX, &mut batch);
        let frames = metrics::bytes(batch.len());
        if let Err(end) = write_batch(&mut to_peer, &batch, &mut joined, &sent).await {
            // Some of the batch may have arrived; it is counted as lost as a whole.
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

/// Writes all of `bytes`; a slow peer is fine as long as it takes something now and then.
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
