//! The receiving side: one bounded queue per kind of traffic, with a budget per peer.
//!
//! ```text
//!   reader of peer 1 --budget--+
//!   reader of peer 2 --budget--+--> Receiver (consensus)      the same again for sync and for gossip
//!   reader of peer 3 --budget--+
//! ```
//!
//! A frame is charged to its sender's budget from before it is allocated until the consumer takes it. A peer that sends faster than we
//! consume exhausts only its own budget: its stream is no longer read (or, for gossip, its frames are dropped), while other peers' frames
//! keep flowing.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{config::PeerIndex, frame::Class};

/// A frame from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame from a direct stream, in the order in which the peer sent it.
    Frame {
        /// The sender, authenticated by the connection.
        from: PeerIndex,
        /// The class of the stream it arrived on.
        class: Class,
        /// 1 to `frame_bytes_max` bytes.
        bytes: Bytes,
    },
    /// A frame from gossip: unordered, and possibly repeated.
    Gossip {
        /// The publisher, authenticated by the connection.
        from: PeerIndex,
        /// 0 to `frame_bytes_max` bytes.
        bytes: Bytes,
    },
}

/// The three receivers of a node. Consume each independently of the others. Dropping one discards its traffic.
#[derive(Debug)]
pub struct IncomingReceivers {
    /// [`Incoming::Frame`]s of [`Class::Consensus`].
    pub consensus: Receiver,
    /// [`Incoming::Frame`]s of [`Class::Sync`].
    pub sync: Receiver,
    /// [`Incoming::Gossip`].
    pub gossip: Receiver,
}

/// Receives one kind of traffic.
#[derive(Debug)]
pub struct Receiver {
    frames: mpsc::Receiver<Charged>,
}

impl Receiver {
    /// Waits for the next item; `None` once the network has ended: after [`crate::Network::shutdown`], or because of a bug, on which the node
    /// should stop. Cancel safe.
    pub async fn recv(&mut self) -> Option<Incoming> {
        self.frames.recv().await.map(|charged| charged.incoming)
    }

    /// The next item, if one is waiting.
    pub fn try_recv(&mut self) -> Option<Incoming> {
        self.frames.try_recv().ok().map(|charged| charged.incoming)
    }

    /// Blocks until the next item, for threads without a runtime; `None` once the network has shut down. Panics within a tokio runtime.
    pub fn blocking_recv(&mut self) -> Option<Incoming> {
        self.frames.blocking_recv().map(|charged| charged.incoming)
    }
}

/// Minimum charge for a frame, so that the budget in bytes also bounds the number of tiny frames.
const CHARGE_BYTES_MIN: usize = 4096;

#[derive(Debug)]
struct Charged {
    incoming: Incoming,
    /// Returned to the sender's budget when the consumer takes the item.
    _charge: OwnedSemaphorePermit,
}

/// The sending end, held by the readers.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    frames: mpsc::Sender<Charged>,
    /// One per peer, by slot.
    budgets: Vec<Arc<Semaphore>>,
    budget_bytes: usize,
}

/// Budget reserved for one frame, held while the frame is being read.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

/// An inbox in which each of `peers` peers may have `budget_bytes` waiting, but at least one frame of `frame_bytes_max`.
pub(crate) fn inbox(peers: usize, budget_bytes: usize, frame_bytes_max: usize) -> (Inbox, Receiver) {
    let budget_bytes = budget_bytes.max(frame_bytes_max).max(CHARGE_BYTES_MIN);
    // Enough slots for all budgets at once, so that only budgets cause waiting.
    let slots = peers.max(1).saturating_mul(budget_bytes / CHARGE_BYTES_MIN);
    let (sender, receiver) = mpsc::channel(slots.min(Semaphore::MAX_PERMITS));
    let budgets = (0..peers).map(|_| Arc::new(Semaphore::new(budget_bytes))).collect();
    (Inbox { frames: sender, budgets, budget_bytes }, Receiver { frames: receiver })
}

impl Inbox {
    /// Waits until the peer's budget has room for `length` bytes. `None` for an unknown peer.
    pub(crate) async fn reserve(&self, slot: usize, length: usize) -> Option<Room> {
        let budget = Arc::clone(self.budgets.get(slot)?);
        budget.acquire_many_owned(self.charge(length)).await.ok().map(Room)
    }

    /// Room for `length` bytes, if the peer's budget has it now.
    pub(crate) fn try_reserve(&self, slot: usize, length: usize) -> Option<Room> {
        let budget = Arc::clone(self.budgets.get(slot)?);
        budget.try_acquire_many_owned(self.charge(length)).ok().map(Room)
    }

    /// Delivers an item; false if the receiver has been dropped.
    pub(crate) fn deliver(&self, room: Room, incoming: Incoming) -> bool {
        self.frames.try_send(Charged { incoming, _charge: room.0 }).is_ok()
    }

    fn charge(&self, length: usize) -> u32 {
        let charge = length.clamp(CHARGE_BYTES_MIN, self.budget_bytes);
        u32::try_from(charge).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gossip(from: u16) -> Incoming {
        Incoming::Gossip { from: PeerIndex(from), bytes: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_peer_that_fills_its_budget_leaves_the_budget_of_the_others_alone() {
        let (inbox, mut receiver) = inbox(2, 8 * CHARGE_BYTES_MIN, 1);
        for _ in 0..8 {
            let room = inbox.try_reserve(0, 1).expect("within the budget");
            assert!(inbox.deliver(room, gossip(0)));
        }
        assert!(inbox.try_reserve(0, 1).is_none());
        let room = inbox.try_reserve(1, 1).expect("the other peer has its own budget");
        assert!(inbox.deliver(room, gossip(1)));

        assert_eq!(receiver.try_recv(), Some(gossip(0)));
        assert!(inbox.try_reserve(0, 1).is_some(), "taking a frame gives its charge back");
    }

    #[test]
    fn the_longest_frame_always_fits_an_empty_budget() {
        let (inbox, _receiver) = inbox(1, 1, 1 << 20);
        assert!(inbox.try_reserve(0, 1 << 20).is_some());
    }
}
