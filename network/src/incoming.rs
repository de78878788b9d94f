//! The receiving side of a direct stream: accepts it, compares hellos, reads frames.
//!
//! There is at most one task per (peer, class): a newer stream replaces the older one, so a peer gains nothing by opening many. A reader that
//! waits for our own consumer waits alone; the connection and all other streams go on.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use libp2p::Stream;
use libp2p_stream::IncomingStreams;
use tokio::{task::AbortHandle, time::timeout};

use crate::{
    config::PeerIndex,
    frame::{Class, FrameFault, PREFIX_BYTES, checked_length},
    hello::{ANSWER_ACCEPTED, ANSWER_DOUBLED, ANSWER_REFUSED, HELLO_BYTES, Hello},
    inbox::{Inbox, Incoming},
    metrics::{self, DropReason, Lane, StreamFault},
    peers::{Peer, Shared},
    status::Refusal,
};

/// Timeout of the exchange of hellos.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// Read buffer, which takes many small frames in one read.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Why a stream ended.
enum ReadEnd {
    Fault(FrameFault),
    Closed,
}

impl From<io::Error> for ReadEnd {
    fn from(_: io::Error) -> ReadEnd {
        ReadEnd::Closed
    }
}

/// Accepts streams of `class`, for ever.
pub(crate) async fn run(shared: Arc<Shared>, class: Class, mut streams: IncomingStreams, inbox: Inbox) {
    let mut readers: BTreeMap<PeerIndex, AbortHandle> = BTreeMap::new();
    while let Some((peer_id, stream)) = streams.next().await {
        // The allow list lets only members through, but this one may have left a moment ago.
        let Some(peer) = shared.peers().by_id(&peer_id).cloned() else { continue };
        let seat = peer.index;
        let serving = serve(Arc::clone(&shared), Arc::clone(&peer), class, stream, inbox.clone());
        let reader = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = peer.left() => {}
                () = serving => {}
            }
        });
        if let Some(older) = readers.insert(seat, reader.abort_handle()) {
            older.abort();
        }
    }
}

async fn serve(shared: Arc<Shared>, peer: Arc<Peer>, class: Class, mut stream: Stream, inbox: Inbox) {
    match timeout(HELLO_TIMEOUT, answer(&shared.hello, &peer, &mut stream)).await {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(refusal))) => return shared.on_refused(&peer, refusal),
        Ok(Err(_)) | Err(_) => return,
    }
    let end = read_frames(&shared, &peer, class, stream, &inbox).await;
    let fault = match end {
        ReadEnd::Fault(FrameFault::Empty) => StreamFault::empty_frame,
        ReadEnd::Fault(FrameFault::Oversized { .. }) => StreamFault::oversized_frame,
        ReadEnd::Closed => StreamFault::closed,
    };
    shared.metrics.fault(Lane::from(class), fault);
    match end {
        ReadEnd::Fault(fault) => {
            tracing::debug!(validator = %peer.index, ?class, "closed a stream because of {fault}");
        }
        ReadEnd::Closed => tracing::debug!(validator = %peer.index, ?class, "the peer closed its stream"),
    }
}

/// Reads and answers the opener's hello. Returns the refusal if the hellos differ.
async fn answer(ours: &Hello, peer: &Peer, stream: &mut Stream) -> io::Result<Option<Refusal>> {
    let mut bytes = [0; HELLO_BYTES];
    stream.read_exact(&mut bytes).await?;
    let refusal = match Hello::decode(&bytes) {
        Ok(theirs) => ours.difference(&theirs),
        Err(_) => Some(Refusal::MalformedHello),
    };
    if refusal.is_none() {
        let is_doubled = peer.doubled.swap(false, Ordering::Relaxed);
        stream.write_all(&[if is_doubled { ANSWER_DOUBLED } else { ANSWER_ACCEPTED }]).await?;
        stream.flush().await?;
    } else {
        stream.write_all(&[ANSWER_REFUSED]).await?;
        stream.write_all(&ours.encode()).await?;
        // Close instead of drop, so that the answer arrives before the end of the stream.
        stream.close().await?;
    }
    Ok(refusal)
}

async fn read_frames(shared: &Shared, peer: &Arc<Peer>, class: Class, stream: Stream, inbox: &Inbox) -> ReadEnd {
    let lane = Lane::from(class);
    let received = shared.metrics.received(lane);
    let limit = shared.class_limits(class).frame_bytes_max;
    let mut stream = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
    loop {
        let length = match read_length(&mut stream, limit).await {
            Ok(length) => length,
            Err(end) => return end,
        };
        // Back-pressure: while our consumer lags, only this stream is not read, and the peer's queue drops its oldest frames.
        let Some(room) = inbox.reserve(peer.index, length).await else { return ReadEnd::Closed };
        let mut bytes = vec![0; length];
        if stream.read_exact(&mut bytes).await.is_err() {
            return ReadEnd::Closed;
        }
        received.count(1, metrics::bytes(length));
        let frame = Incoming::Frame { from: peer.index, class, bytes: Bytes::from(bytes) };
        if !inbox.deliver(room, peer, frame) {
            shared.metrics.dropped(lane, DropReason::consumer_gone, 1);
        }
    }
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<usize, ReadEnd> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix).await?;
    checked_length(prefix, limit).map_err(ReadEnd::Fault)
}
