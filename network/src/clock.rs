//! The other validators' clocks: each peer is asked for its wall-clock time when the link comes up, and periodically.
//!
//! ```text
//! question | the opened stream, nothing else                    |
//! answer   | milliseconds since 1970, u64 big-endian (8 bytes)  |   then the stream ends
//! ```
//! This has a stream of its own and is not part of the hello, because clocks can jump while links stay up. An answer is only a claim: its
//! users weigh it by voting power, and no vote depends on it.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    config::PeerIndex,
    peers::{Peer, Shared},
};

/// Name of the stream protocol.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/quorate/clock/1");
/// Interval between two questions to a peer.
const EVERY: Duration = Duration::from_secs(10);
/// Pause after a question without an answer.
const SOON: Duration = Duration::from_secs(1);
/// Timeout of a question and of an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A peer's clock, as the peer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerClock {
    /// Its current time, in milliseconds since 1970: its last answer plus the time elapsed since.
    pub unix_ms: u64,
    /// Possible error of `unix_ms` due to network latency.
    pub uncertainty: Duration,
}

/// An answer, and when it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    unix_ms: u64,
    at: Instant,
    round_trip: Duration,
}

impl Reading {
    pub(crate) fn now(&self, now: Instant) -> PeerClock {
        // The peer read its clock at some point of the round trip: in the middle, plus or minus half.
        let uncertainty = self.round_trip / 2;
        let since = now.saturating_duration_since(self.at).saturating_add(uncertainty);
        PeerClock { unix_ms: self.unix_ms.saturating_add(millis(since)), uncertainty }
    }
}

/// Answers questions, for ever.
pub(crate) async fn answer(shared: Arc<Shared>, mut streams: IncomingStreams) {
    // At most one task per peer: a newer question replaces an older one.
    let mut answering: BTreeMap<PeerIndex, AbortHandle> = BTreeMap::new();
    while let Some((peer_id, stream)) = streams.next().await {
        let Some(seat) = shared.peers().by_id(&peer_id).map(|peer| peer.index) else { continue };
        let task = tokio::spawn(async move {
            // If the peer does not read the eight bytes in time, it can ask again.
            drop(timeout(PATIENCE, tell(stream)).await);
        });
        if let Some(older) = answering.insert(seat, task.abort_handle()) {
            older.abort();
        }
    }
}

async fn tell(mut stream: Stream) -> io::Result<()> {
    stream.write_all(&unix_ms().to_be_bytes()).await?;
    stream.close().await
}

/// Asks `peer` while it is connected, until it leaves.
pub(crate) async fn ask(peer: Arc<Peer>, mut control: Control) {
    let mut connected = peer.connected.subscribe();
    loop {
        if connected.wait_for(|connected| *connected).await.is_err() {
            return;
        }
        connected.mark_unchanged();
        let asked = timeout(PATIENCE, question(&peer, &mut control)).await;
        let pause = match asked {
            Ok(Some(reading)) => {
                peer.record().clock = Some(reading);
                EVERY
            }
            // libp2p-stream drops a stream now and then; a retry succeeds.
            Ok(None) | Err(_) => SOON,
        };
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

async fn question(peer: &Peer, control: &mut Control) -> Option<Reading> {
    let asked = Instant::now();
    let mut stream = control.open_stream(peer.id, PROTOCOL).await.ok()?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.ok()?;
    let at = Instant::now();
    Some(Reading { unix_ms: u64::from_be_bytes(answer), at, round_trip: at.saturating_duration_since(asked) })
}

fn unix_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_goes_on_with_time_and_is_as_uncertain_as_its_way_was_long() {
        let at = Instant::now();
        let reading = Reading { unix_ms: 1_000, at, round_trip: Duration::from_millis(80) };
        let later = reading.now(at + Duration::from_millis(500));
        assert_eq!(later, PeerClock { unix_ms: 1_540, uncertainty: Duration::from_millis(40) });
    }

    #[test]
    fn the_largest_claim_does_not_overflow() {
        let at = Instant::now();
        let reading = Reading { unix_ms: u64::MAX, at, round_trip: Duration::from_millis(80) };
        assert_eq!(reading.now(at + Duration::from_secs(1)).unix_ms, u64::MAX);
    }
}
