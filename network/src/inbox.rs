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
//!
//! A budget belongs to a place, not to its holder, so that the bound holds however often the holder changes. Frames of a peer that has left are
//! not delivered: the consumer would take them for frames of the next holder of the place.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    config::{PLACES, PeerIndex},
    frame::Class,
    peers::Peer,
};

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
        loop {
            if let Some(incoming) = self.frames.recv().await?.open() {
                return Some(incoming);
            }
        }
    }

    /// The next item, if one is waiting.
    pub fn try_recv(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.frames.try_recv().ok()?.open() {
                return Some(incoming);
            }
        }
    }

    /// Blocks until the next item, for threads without a runtime; `None` once the network has shut down. Panics within a tokio runtime.
    pub fn blocking_recv(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.frames.blocking_recv()?.open() {
                return Some(incoming);
            }
        }
    }
}

/// Minimum charge for a frame, so that the budget in bytes also bounds the number of tiny frames.
const CHARGE_BYTES_MIN: usize = 4096;

#[derive(Debug)]
struct Charged {
    incoming: Incoming,
    from: Arc<Peer>,
    /// Returned to the sender's budget when the consumer takes the item.
    _charge: OwnedSemaphorePermit,
}

impl Charged {
    /// `None` if the sender has left meanwhile.
    fn open(self) -> Option<Incoming> {
        (!self.from.has_left()).then_some(self.incoming)
    }
}

/// The sending end, held by the readers.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    frames: mpsc::Sender<Charged>,
    /// One per place.
    budgets: Arc<[Arc<Semaphore>]>,
    budget_bytes: usize,
}

/// Budget reserved for one frame, held while the frame is being read.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

/// An inbox in which each peer may have `budget_bytes` waiting, but at least one frame of `frame_bytes_max`.
pub(crate) fn inbox(budget_bytes: usize, frame_bytes_max: usize) -> (Inbox, Receiver) {
    let budget_bytes = budget_bytes.max(frame_bytes_max).max(CHARGE_BYTES_MIN);
    // Enough slots for all budgets at once, so that only budgets cause waiting.
    let slots = usize::from(PLACES).saturating_mul(budget_bytes / CHARGE_BYTES_MIN);
    let (sender, receiver) = mpsc::channel(slots.min(Semaphore::MAX_PERMITS));
    let budgets = (0..PLACES).map(|_| Arc::new(Semaphore::new(budget_bytes))).collect();
    (Inbox { frames: sender, budgets, budget_bytes }, Receiver { frames: receiver })
}

impl Inbox {
    /// Waits until the peer's budget has room for `length` bytes. `None` if there is no such place.
    pub(crate) async fn reserve(&self, seat: PeerIndex, length: usize) -> Option<Room> {
        let budget = self.budget(seat)?;
        budget.acquire_many_owned(self.charge(length)).await.ok().map(Room)
    }

    /// Room for `length` bytes, if the peer's budget has it now.
    pub(crate) fn try_reserve(&self, seat: PeerIndex, length: usize) -> Option<Room> {
        let budget = self.budget(seat)?;
        budget.try_acquire_many_owned(self.charge(length)).ok().map(Room)
    }

    /// Delivers an item; false if the receiver has been dropped.
    pub(crate) fn deliver(&self, room: Room, from: &Arc<Peer>, incoming: Incoming) -> bool {
        self.frames.try_send(Charged { incoming, from: Arc::clone(from), _charge: room.0 }).is_ok()
    }

    fn budget(&self, seat: PeerIndex) -> Option<Arc<Semaphore>> {
        self.budgets.get(usize::from(seat.0)).cloned()
    }

    fn charge(&self, length: usize) -> u32 {
        let charge = length.clamp(CHARGE_BYTES_MIN, self.budget_bytes);
        u32::try_from(charge).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::peer;

    fn gossip(from: &Peer) -> Incoming {
        Incoming::Gossip { from: from.index, bytes: Bytes::from_static(b"x") }
    }

    fn deliver(inbox: &Inbox, from: &Arc<Peer>) -> bool {
        inbox.try_reserve(from.index, 1).is_some_and(|room| inbox.deliver(room, from, gossip(from)))
    }

    #[test]
    fn a_peer_that_fills_its_budget_leaves_the_budget_of_the_others_alone() {
        let (inbox, mut receiver) = inbox(8 * CHARGE_BYTES_MIN, 1);
        let (greedy, other) = (peer(0), peer(127));
        for _ in 0..8 {
            assert!(deliver(&inbox, &greedy), "within the budget");
        }
        assert!(!deliver(&inbox, &greedy));
        assert!(deliver(&inbox, &other), "the other peer has its own budget");

        assert_eq!(receiver.try_recv(), Some(gossip(&greedy)));
        assert!(deliver(&inbox, &greedy), "taking a frame gives its charge back");
    }

    #[tokio::test]
    async fn frames_of_a_peer_that_has_left_are_charged_to_its_seat_until_the_consumer_skips_them() {
        let (inbox, mut receiver) = inbox(2 * CHARGE_BYTES_MIN, 1);
        let (old, new, other) = (peer(1), peer(1), peer(2));
        assert!(deliver(&inbox, &old) && deliver(&inbox, &old) && deliver(&inbox, &other));
        old.leave();
        assert!(!deliver(&inbox, &new), "the seat's budget is still full");
        assert_eq!(receiver.recv().await, Some(gossip(&other)));
        assert!(deliver(&inbox, &new));
        assert_eq!(receiver.try_recv(), Some(gossip(&new)));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn the_longest_frame_always_fits_an_empty_budget() {
        let (inbox, _receiver) = inbox(1, 1 << 20);
        assert!(inbox.try_reserve(PeerIndex(0), 1 << 20).is_some());
    }
}
