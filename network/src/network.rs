//! A node's handle to its network, and the thread behind it.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Instant,
};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::{
    config::{self, Committee, NetworkConfig, NetworkError, Peer, PeerIndex, SEATS},
    frame::Class,
    guard::Guards,
    inbox::{IncomingReceivers, inbox},
    metrics::{DropReason, Lane},
    peers::Shared,
    status::{DropCount, PeerState, PeerStatus},
    swarm::{Inboxes, SwarmLoop},
};

/// Threads that may block in the system's look-ups of peers' names: one for each seat, so that names whose servers do not answer cannot keep the
/// others from being looked up.
const LOOKUP_THREADS_MAX: usize = SEATS as usize;

/// Sends frames to other validators and reports the state of the links. Cheap to clone; every method may be called from any thread, and only
/// [`Network::shutdown`] blocks. The network stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Network {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Connects a node to the validators, of which it need not be one. Returns once the listener is open; peers connect in the background, for
/// ever.
///
/// Everything runs on one thread named `network` with a current-thread tokio runtime: on a machine shared by several nodes, more
/// threads cost up to 60 % more CPU for the same work.
///
/// If a part of the network ends because of a bug, `on_failure` is called with the reason, from any thread. The node should then stop, because
/// the lost links will not come back.
///
/// # Errors
/// [`NetworkError`], one line that names what to change in the configuration.
pub fn start(
    config: NetworkConfig,
    on_failure: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(Network, IncomingReceivers), NetworkError> {
    let committee = Committee::check(&config)?;
    std::mem::drop(config); // wipes the secret

    let limits = committee.limits;
    let (consensus, consensus_receiver) = inbox(limits.consensus.inbox_bytes_max, limits.consensus.frame_bytes_max);
    let (sync, sync_receiver) = inbox(limits.sync.inbox_bytes_max, limits.sync.frame_bytes_max);
    let (gossip, gossip_receiver) = inbox(limits.gossip.inbox_bytes_max, limits.gossip.frame_bytes_max);
    let inboxes = Inboxes { consensus, sync, gossip };

    let shared = Arc::new(Shared::new(&committee));
    let (stop, stopped) = watch::channel(false);
    let (report, started) = mpsc::sync_channel(1);
    let thread_error = |source| NetworkError::Thread { source };
    let guards = Guards::new(Arc::new(on_failure), stopped.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(LOOKUP_THREADS_MAX)
        .build()
        .map_err(thread_error)?;
    let thread = thread::Builder::new()
        .name("network".to_owned())
        .spawn({
            let shared = Arc::clone(&shared);
            move || {
                runtime.block_on(async move {
                    match SwarmLoop::start(committee.keypair, committee.listen, shared, inboxes, guards.clone()).await {
                        Ok(mut event_loop) => {
                            let _guard = guards.watch("the network thread");
                            if report.send(Ok(())).is_ok() {
                                event_loop.run(stopped).await;
                            }
                        }
                        Err(error) => {
                            if let Err(unheard) = report.send(Err(error)) {
                                tracing::error!("the network did not start: {unheard}");
                            }
                        }
                    }
                });
                // A look-up may still be running, which can take long and is no longer needed.
                runtime.shutdown_background();
            }
        })
        .map_err(thread_error)?;
    match started.recv() {
        Ok(result) => result?,
        Err(_) => return Err(thread_error(std::io::Error::other("the thread ended before it was ready"))),
    }
    let inner = Inner { shared, stop, thread: Mutex::new(Some(thread)) };
    let receivers = IncomingReceivers { consensus: consensus_receiver, sync: sync_receiver, gossip: gossip_receiver };
    Ok((Network { inner: Arc::new(inner) }, receivers))
}

impl Network {
    /// Queues a frame of 1 to `frame_bytes_max` bytes for `to`. Frames of one class arrive in order or not at all: when the queue is full, its
    /// oldest frame is dropped and counted; while the peer is disconnected, only a few are kept.
    pub fn send(&self, to: PeerIndex, class: Class, frame: Bytes) {
        let shared = &self.inner.shared;
        let lane = Lane::from(class);
        // Locked until the frame is queued, so that a peer that leaves takes the frame along.
        let peers = shared.peers();
        let Some(peer) = peers.by_index(to) else {
            return shared.metrics.dropped(lane, DropReason::unknown_peer, 1);
        };
        let limit = shared.class_limits(class).frame_bytes_max;
        if frame.is_empty() || frame.len() > limit {
            tracing::error!(?class, "not sent: a frame of {} bytes, the limit is {limit}", frame.len());
            return shared.metrics.dropped(lane, DropReason::bad_length, 1);
        }
        let dropped = peer.queue(class).push(frame);
        shared.metrics.dropped(lane, DropReason::queue_full, dropped);
    }

    /// Queues a frame of 1 to `frame_bytes_max` bytes (a batch of transactions) for every peer that is connected when the frame is sent. The
    /// same bytes again within a few milliseconds are dropped as a duplicate.
    pub fn gossip(&self, frame: Bytes) {
        let shared = &self.inner.shared;
        let limit = shared.limits.gossip.frame_bytes_max;
        if frame.is_empty() || frame.len() > limit {
            tracing::error!("not published: a frame of {} bytes, the limit is {limit}", frame.len());
            return shared.metrics.dropped(Lane::gossip, DropReason::bad_length, 1);
        }
        let dropped = shared.gossip.push(frame);
        shared.metrics.dropped(Lane::gossip, DropReason::queue_full, dropped);
    }

    /// A snapshot of every peer, sorted by index.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        let now = Instant::now();
        self.inner.shared.peers().iter().map(|peer| peer.status(now)).collect()
    }

    /// Whether frames flow to this peer.
    #[must_use]
    pub fn is_connected(&self, peer: PeerIndex) -> bool {
        self.inner.shared.peers().by_index(peer).is_some_and(|peer| peer.record().state() == PeerState::Connected)
    }

    /// Frames dropped, streams closed and peers refused since the start, by reason, including reasons with a count of 0.
    #[must_use]
    pub fn drops(&self) -> Vec<DropCount> {
        self.inner.shared.metrics.drops()
    }

    /// The addresses we listen on, with the port that the system chose if 0 was configured.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<String> {
        self.inner.shared.listen_addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the set of peers: every validator but ourselves, whether we are one or not. The same set again changes nothing.
    ///
    /// - A peer that keeps its seat and its key keeps its link and everything queued. If its address differs, a connection that exists stays,
    ///   and every further dial goes to the new address.
    /// - A peer that is not in the set, with its seat and its key, loses its link and everything queued. It is refused like any stranger, and
    ///   the receivers return no more frames of it. A frame taken before this call may carry a seat that now belongs to another.
    /// - A new peer is dialled and let in; so is a known key at another seat, with a new link.
    ///
    /// # Errors
    /// [`NetworkError`], one line that names what is wrong with the set. Nothing has changed then.
    pub fn set_peers(&self, peers: Vec<Peer>) -> Result<(), NetworkError> {
        let shared = &self.inner.shared;
        shared.set_peers(config::check_peers(shared.my_id, peers)?);
        Ok(())
    }

    /// Adds the metrics `quorate_network_…` to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.inner.shared.metrics.register(registry);
    }

    /// Closes all connections and the listener, and waits until that is done (milliseconds). Queued frames are lost. The receivers then end.
    pub fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the network thread panicked");
        }
    }
}
