//! The only entrance to the replica's thread: a bounded queue with a lane for each kind of input.
//!
//! ```text
//! consensus verifier --waits when full-----> | consensus    |
//! status questions   --refused when full---> | questions    |  --take()--> replica's thread
//! sync verifier      --waits when full-----> | sync         |
//! transaction checks --refused when full---> | transactions |
//! ```
//!
//! One turn takes at most a share of each lane, in this order: votes never wait behind clients or behind blocks served to peers, and no lane,
//! however full, starves another.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The kind of an input, which determines its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Proposals, votes, timeouts, certificates.
    Consensus,
    /// Short questions about the replica.
    Questions,
    /// Requests for blocks, and blocks.
    Sync,
    /// Transactions, from clients and gossip.
    Transactions,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Consensus, Self::Questions, Self::Sync, Self::Transactions];

    /// Bounds on waiting inputs: their number, and their bytes (one input always fits). Bytes stand for work as well
    /// ([`TRANSACTION_WORK_BYTES`]).
    const fn waiting_max(self) -> (usize, usize) {
        match self {
            Self::Consensus => (1_024, 32 << 20),
            Self::Questions => (1_024, usize::MAX),
            Self::Sync => (32, 16 << 20),
            Self::Transactions => (8_192, 16 << 20),
        }
    }

    /// One turn's share: the number of inputs, 256 over all lanes, and the bytes after which it takes no more.
    const fn share(self) -> (usize, usize) {
        match self {
            Self::Consensus => (64, 4 << 20),
            Self::Questions => (32, usize::MAX),
            Self::Sync => (8, 2 << 20),
            Self::Transactions => (152, 256 << 10),
        }
    }

    const fn slot(self) -> usize {
        match self {
            Self::Consensus => 0,
            Self::Questions => 1,
            Self::Sync => 2,
            Self::Transactions => 3,
        }
    }
}

/// What a transaction costs the replica's thread besides its bytes, in bytes: the work to look it up, check it against the state and pool it.
/// So a lane of many small transactions is as full as the work it holds.
pub(crate) const TRANSACTION_WORK_BYTES: usize = 1_024;

/// An input that was not queued, handed back.
#[derive(Debug)]
pub(crate) enum Refused<T> {
    /// Its lane is full.
    Full(T),
    /// The node is stopping.
    Closed(T),
}

/// How a [`Mailbox::take`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// With inputs, or by timeout.
    Inputs,
    /// Closed and empty: there will be no more.
    Closed,
}

struct Queue<T> {
    inputs: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Queue<T> {
    fn is_full(&self, lane: Lane) -> bool {
        let (inputs_max, bytes_max) = lane.waiting_max();
        self.inputs.len() >= inputs_max || self.bytes >= bytes_max
    }

    /// Moves one turn's share to the end of `batch`.
    fn drain(&mut self, lane: Lane, batch: &mut VecDeque<T>) {
        let (inputs_max, bytes_max) = lane.share();
        let mut bytes_taken = 0usize;
        for _ in 0..inputs_max {
            if bytes_taken >= bytes_max {
                break;
            }
            let Some((bytes, input)) = self.inputs.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
            bytes_taken = bytes_taken.saturating_add(bytes);
            batch.push_back(input);
        }
    }
}

struct State<T> {
    lanes: [Queue<T>; 4],
    is_waiting: bool,
    is_closed: bool,
}

struct Inner<T> {
    state: Mutex<State<T>>,
    /// An input has arrived.
    arrived: Condvar,
    /// A lane has room again.
    drained: Condvar,
}

/// The queue. Clones share one queue.
pub(crate) struct Mailbox<T>(Arc<Inner<T>>);

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    pub(crate) fn new() -> Self {
        let state = State { lanes: empty(), is_waiting: false, is_closed: false };
        Self(Arc::new(Inner { state: Mutex::new(state), arrived: Condvar::new(), drained: Condvar::new() }))
    }

    /// Queues an input that takes about `bytes` of memory, or hands it back if its lane is full.
    pub(crate) fn offer(&self, lane: Lane, bytes: usize, input: T) -> Result<(), Refused<T>> {
        let state = self.lock();
        if state.is_closed {
            return Err(Refused::Closed(input));
        }
        if is_full(&state, lane) {
            return Err(Refused::Full(input));
        }
        self.put(state, lane, bytes, input);
        Ok(())
    }

    /// Queues an input, blocking while its lane is full. Only for threads that can afford to block on this lane.
    pub(crate) fn deliver(&self, lane: Lane, bytes: usize, input: T) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        while !state.is_closed && is_full(&state, lane) {
            state = self.0.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return Err(Refused::Closed(input));
        }
        self.put(state, lane, bytes, input);
        Ok(())
    }

    /// Moves one turn's inputs to the end of `batch`, waiting at most `patience` for the first.
    pub(crate) fn take(&self, batch: &mut VecDeque<T>, patience: Duration) -> Taken {
        let mut state = self.lock();
        if state.lanes.iter().all(|queue| queue.inputs.is_empty()) {
            if state.is_closed {
                return Taken::Closed;
            }
            state.is_waiting = true;
            // A spurious wake-up is harmless: the caller looks at its timers and calls again.
            state = self.0.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
            state.is_waiting = false;
        }
        let mut had_full_lane = false;
        for lane in Lane::ALL {
            had_full_lane |= is_full(&state, lane);
            if let Some(queue) = state.lanes.get_mut(lane.slot()) {
                queue.drain(lane, batch);
            }
        }
        drop(state);
        if had_full_lane {
            self.0.drained.notify_all();
        }
        Taken::Inputs
    }

    /// Refuses further inputs; queued ones can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.0.arrived.notify_all();
        self.0.drained.notify_all();
    }

    /// Refuses further inputs and discards queued ones, as there is no taker left.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let lanes = std::mem::replace(&mut state.lanes, empty());
        drop(state);
        drop(lanes);
        self.0.arrived.notify_all();
        self.0.drained.notify_all();
    }

    /// Number of inputs waiting in a lane.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.lock().lanes.get(lane.slot()).map_or(0, |queue| queue.inputs.len())
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, lane: Lane, bytes: usize, input: T) {
        if let Some(queue) = state.lanes.get_mut(lane.slot()) {
            queue.bytes = queue.bytes.saturating_add(bytes);
            queue.inputs.push_back((bytes, input));
        }
        let is_waiting = state.is_waiting;
        drop(state);
        if is_waiting {
            self.0.arrived.notify_one();
        }
    }

    /// The queues are consistent after every statement, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty<T>() -> [Queue<T>; 4] {
    std::array::from_fn(|_| Queue { inputs: VecDeque::new(), bytes: 0 })
}

fn is_full<T>(state: &State<T>, lane: Lane) -> bool {
    state.lanes.get(lane.slot()).is_none_or(|queue| queue.is_full(lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mailbox: &Mailbox<u32>) -> Vec<u32> {
        let mut batch = VecDeque::new();
        mailbox.take(&mut batch, Duration::ZERO);
        batch.into()
    }

    #[test]
    fn votes_overtake_transactions_and_neither_starves_the_other() {
        let mailbox = Mailbox::new();
        for number in 0..1_000 {
            mailbox.offer(Lane::Transactions, 1, number).unwrap();
        }
        for number in 0..1_000 {
            mailbox.offer(Lane::Consensus, 1, 10_000 + number).unwrap();
        }
        let turn = take(&mailbox);
        let expected = (10_000..10_064).chain(0..152);
        assert_eq!(turn, expected.collect::<Vec<_>>());
        assert_eq!(take(&mailbox).first(), Some(&10_064));
    }

    #[test]
    fn a_full_lane_refuses_and_the_others_still_take() {
        let mailbox = Mailbox::new();
        for number in 0..32 {
            mailbox.offer(Lane::Sync, 1, number).unwrap();
        }
        assert!(matches!(mailbox.offer(Lane::Sync, 1, 99), Err(Refused::Full(99))));
        mailbox.offer(Lane::Consensus, 1, 1).unwrap();
        assert_eq!(mailbox.waiting(Lane::Sync), 32);
    }

    #[test]
    fn large_inputs_fill_a_lane_and_a_turn_before_their_number_does() {
        let mailbox = Mailbox::new();
        for number in 0..4 {
            mailbox.offer(Lane::Transactions, 4 << 20, number).unwrap();
        }
        assert!(matches!(mailbox.offer(Lane::Transactions, 1, 9), Err(Refused::Full(9))));
        assert_eq!(take(&mailbox), [0]);
        assert!(mailbox.offer(Lane::Transactions, 1, 9).is_ok());
    }

    #[test]
    fn a_reader_waits_for_room_and_goes_on_when_there_is_some() {
        let mailbox = Mailbox::new();
        for number in 0..32 {
            mailbox.offer(Lane::Sync, 1, number).unwrap();
        }
        let reader = std::thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.deliver(Lane::Sync, 1, 32).is_ok()
        });
        let mut taken = Vec::new();
        while taken.len() < 33 {
            taken.extend(take(&mailbox));
        }
        assert!(reader.join().unwrap());
        assert_eq!(taken, (0..33).collect::<Vec<_>>());
    }

    #[test]
    fn after_closing_what_is_queued_is_taken_and_nothing_is_added() {
        let mailbox = Mailbox::new();
        mailbox.offer(Lane::Consensus, 1, 1).unwrap();
        mailbox.close();
        assert!(matches!(mailbox.offer(Lane::Consensus, 1, 2), Err(Refused::Closed(2))));
        assert!(matches!(mailbox.deliver(Lane::Consensus, 1, 2), Err(Refused::Closed(2))));
        assert_eq!(take(&mailbox), [1]);
        assert_eq!(mailbox.take(&mut VecDeque::new(), Duration::from_secs(3_600)), Taken::Closed);
    }

    #[test]
    fn an_abandoned_mailbox_keeps_nobody_waiting_for_an_answer() {
        let mailbox = Mailbox::new();
        let (reply, answer) = std::sync::mpsc::channel::<()>();
        assert!(mailbox.offer(Lane::Questions, 1, reply).is_ok());
        mailbox.abandon();
        assert!(answer.recv().is_err());
        assert_eq!(mailbox.take(&mut VecDeque::new(), Duration::from_secs(3_600)), Taken::Closed);
    }
}
