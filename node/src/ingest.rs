//! The queue of incoming transactions: which are admitted before any signature is verified, and how many are verified together.
//!
//! Verification must not starve the ordering of transactions already verified: beyond what the next blocks can hold, a transaction is refused
//! at the cost of a comparison. And since verifying a signature in a large batch costs a third of verifying it alone, batches linger briefly
//! while there is traffic.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use quorate_replica::{Load, PoolLimits};
use quorate_types::{genesis::Parameters, ids::ValidatorId, transaction::Transaction};

use crate::{
    fair::{Fair, Share},
    submission::{NoRoom, Submission},
};

/// Gossip of one validator that may wait for verification.
pub(crate) const GOSSIP_SHARE: Share = Share { items_max: 64, bytes_max: 4 << 20 };
/// Clients' submissions that may wait for verification.
const SUBMISSIONS_MAX: usize = 16_384;
/// Bytes of the submissions that may wait for verification.
const SUBMISSIONS_BYTES_MAX: usize = 32 << 20;
/// Most transactions verified together (the last gossip batch may exceed it).
pub(crate) const BATCH_TRANSACTIONS: usize = 512;
/// Transactions that clients get of a batch before gossip has its turn.
const CLIENTS_FIRST: usize = 256;
/// Full blocks that may wait, in the pool and on the way to it, before clients are refused. Gossip is dropped once transactions that came by
/// gossip alone fill as many.
const BLOCKS_WAITING_MAX: usize = 3;
/// Full blocks of our own clients' transactions that may always wait: otherwise a validator that gossips without end could lock clients out.
const BLOCKS_OF_CLIENTS: usize = 1;
/// How long a batch waits for more transactions while there is traffic.
const LINGER: Duration = Duration::from_millis(5);
/// A batch of this size does not linger: a larger one would not make signatures cheaper.
const LINGER_TRANSACTIONS_MAX: usize = 128;

/// The pool's load as of the replica's last turn, and its limits.
#[derive(Debug)]
pub(crate) struct Admission {
    /// The pool's own limits, which no number of blocks exceeds.
    pool: Load,
    waiting_max: Published,
    sure_of_clients: Published,
    of_clients: Published,
    of_others: Published,
}

/// A [`Load`] shared between threads. Its two numbers may be from different moments.
#[derive(Debug, Default)]
struct Published {
    transactions: AtomicUsize,
    bytes: AtomicUsize,
}

impl Published {
    fn set(&self, load: Load) {
        self.transactions.store(load.transactions, Ordering::Relaxed);
        self.bytes.store(load.bytes, Ordering::Relaxed);
    }

    fn get(&self) -> Load {
        Load { transactions: self.transactions.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

impl Admission {
    pub(crate) fn new(parameters: &Parameters, pool: &PoolLimits) -> Self {
        let admission = Self {
            pool: Load { transactions: pool.transactions_max, bytes: pool.bytes_max },
            waiting_max: Published::default(),
            sure_of_clients: Published::default(),
            of_clients: Published::default(),
            of_others: Published::default(),
        };
        admission.begin_epoch(parameters);
        admission
    }

    /// Goes by the block limits of another epoch.
    pub(crate) fn begin_epoch(&self, parameters: &Parameters) {
        let blocks = |count: usize| {
            let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(count);
            Load {
                transactions: size(parameters.block_transactions_max).min(self.pool.transactions),
                bytes: size(parameters.block_bytes_max).min(self.pool.bytes),
            }
        };
        self.waiting_max.set(blocks(BLOCKS_WAITING_MAX));
        self.sure_of_clients.set(blocks(BLOCKS_OF_CLIENTS));
    }

    /// Publishes the load that could go into blocks now, in the pool or about to enter it: from our clients, and from gossip alone.
    pub(crate) fn publish(&self, of_clients: Load, of_others: Load) {
        self.of_clients.set(of_clients);
        self.of_others.set(of_others);
    }

    /// Whether clients are refused while `queued` of their transactions are on the way to the pool.
    fn is_full_for_clients(&self, queued: Load) -> bool {
        let of_clients = self.of_clients.get().plus(queued);
        of_clients.fills(self.sure_of_clients.get()) && of_clients.plus(self.of_others.get()).fills(self.waiting_max.get())
    }

    fn is_full_for_gossip(&self) -> bool {
        self.of_others.get().fills(self.waiting_max.get())
    }
}

/// Transactions that are verified together.
pub(crate) struct Batch {
    pub(crate) submissions: Vec<Submission>,
    pub(crate) gossip: Vec<(ValidatorId, Vec<Transaction>)>,
}

/// Time and size of the last batch.
#[derive(Clone, Copy)]
struct Taken {
    at: Instant,
    transactions: usize,
}

impl Taken {
    /// How much longer `waiting` transactions linger. If the last batch was a single transaction, there is no traffic and no lingering.
    fn linger(self, waiting: usize, now: Instant) -> Option<Duration> {
        let rest = LINGER.saturating_sub(now.saturating_duration_since(self.at));
        (self.transactions > 1 && waiting < LINGER_TRANSACTIONS_MAX && !rest.is_zero()).then_some(rest)
    }
}

struct Waiting {
    clients: VecDeque<Submission>,
    clients_bytes: usize,
    peers: Fair<ValidatorId, Vec<Transaction>>,
    /// Transactions in `peers`.
    peers_transactions: usize,
    last: Option<Taken>,
    /// A thread is lingering over a batch that is not full.
    is_lingering: bool,
    is_closed: bool,
}

/// Transactions that wait for verification.
pub(crate) struct TransactionQueue {
    admission: Admission,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl TransactionQueue {
    pub(crate) fn new(admission: Admission) -> Self {
        let waiting = Waiting {
            clients: VecDeque::new(),
            clients_bytes: 0,
            peers: Fair::new(GOSSIP_SHARE),
            peers_transactions: 0,
            last: None,
            is_lingering: false,
            is_closed: false,
        };
        Self { admission, waiting: Mutex::new(waiting), arrived: Condvar::new() }
    }

    /// Decides whether transactions are admitted.
    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Whether any client transaction would be refused now, whatever its content.
    pub(crate) fn check_room(&self) -> Result<(), NoRoom> {
        self.check_room_in(&self.lock())
    }

    fn check_room_in(&self, waiting: &Waiting) -> Result<(), NoRoom> {
        if waiting.is_closed {
            return Err(NoRoom::STOPPING);
        }
        if waiting.clients.len() >= SUBMISSIONS_MAX || waiting.clients_bytes >= SUBMISSIONS_BYTES_MAX {
            return Err(NoRoom::BUSY);
        }
        let queued = Load { transactions: waiting.clients.len(), bytes: waiting.clients_bytes };
        if self.admission.is_full_for_clients(queued) {
            return Err(NoRoom::OVERLOADED);
        }
        Ok(())
    }

    /// Queues a client's transaction. If there is no room, its reply channel is dropped.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), NoRoom> {
        let mut waiting = self.lock();
        self.check_room_in(&waiting)?;
        waiting.clients_bytes = waiting.clients_bytes.saturating_add(submission.transaction.raw().len());
        waiting.clients.push_back(submission);
        self.wake(waiting);
        Ok(())
    }

    /// Queues a validator's batch; false if the validator has used up its share or gossip is not admitted now.
    pub(crate) fn gossip(&self, from: ValidatorId, bytes: usize, batch: Vec<Transaction>) -> bool {
        if batch.is_empty() {
            return true;
        }
        let count = batch.len();
        let mut waiting = self.lock();
        if waiting.is_closed || self.admission.is_full_for_gossip() || waiting.peers.push(from, bytes, batch).is_err() {
            return false;
        }
        waiting.peers_transactions = waiting.peers_transactions.saturating_add(count);
        self.wake(waiting);
        true
    }

    /// Number of waiting jobs: clients' transactions and validators' batches.
    pub(crate) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.clients.len().saturating_add(waiting.peers.len())
    }

    /// Refuses further transactions; queued ones are still verified.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// Waits for the next batch. `None` once the queue is closed and empty.
    pub(crate) fn collect(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_empty() {
                if waiting.is_closed {
                    return None;
                }
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            } else if let Some(rest) = waiting.linger() {
                waiting.is_lingering = true;
                waiting = self.arrived.wait_timeout(waiting, rest).unwrap_or_else(PoisonError::into_inner).0;
                waiting.is_lingering = false;
            } else {
                return Some(waiting.take());
            }
        }
    }

    fn wake(&self, waiting: MutexGuard<'_, Waiting>) {
        // A lingering thread wakes up by itself; wake it only if the batch is large enough.
        let is_due = !waiting.is_lingering || waiting.transactions() >= LINGER_TRANSACTIONS_MAX;
        drop(waiting);
        if is_due {
            self.arrived.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.peers.is_empty()
    }

    fn transactions(&self) -> usize {
        self.clients.len().saturating_add(self.peers_transactions)
    }

    fn linger(&self) -> Option<Duration> {
        let last = self.last.filter(|_| !self.is_closed)?;
        last.linger(self.transactions(), Instant::now())
    }

    fn take(&mut self) -> Batch {
        let mut submissions = Vec::new();
        self.take_clients(&mut submissions, CLIENTS_FIRST);
        let mut gossip = Vec::new();
        let mut count = submissions.len();
        while count < BATCH_TRANSACTIONS {
            let Some((from, batch)) = self.peers.pop() else { break };
            self.peers_transactions = self.peers_transactions.saturating_sub(batch.len());
            count = count.saturating_add(batch.len());
            gossip.push((from, batch));
        }
        let more = BATCH_TRANSACTIONS.saturating_sub(count).min(self.clients.len());
        self.take_clients(&mut submissions, more);
        self.last = Some(Taken { at: Instant::now(), transactions: count.saturating_add(more) });
        Batch { submissions, gossip }
    }

    fn take_clients(&mut self, taken: &mut Vec<Submission>, count: usize) {
        for _ in 0..count {
            let Some(submission) = self.clients.pop_front() else { break };
            self.clients_bytes = self.clients_bytes.saturating_sub(submission.transaction.raw().len());
            taken.push(submission);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use quorate_types::rpc::Wait;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        submission::{Claim, Reply, Tickets},
        testing::transfer,
    };

    pub(crate) fn queue() -> TransactionQueue {
        TransactionQueue::new(Admission::new(&Parameters::default(), &PoolLimits::default()))
    }

    pub(crate) fn submission(transaction: Transaction) -> (Submission, oneshot::Receiver<quorate_replica::Answer>) {
        let (reply, answer) = oneshot::channel();
        let claim = Claim { ticket: Tickets::default().next(), wait: Wait::Accepted, reply: Reply::One(reply) };
        (Submission { claim, transaction }, answer)
    }

    #[test]
    fn a_validator_that_gossips_without_end_fills_its_own_share_only() {
        let queue = queue();
        let flood = (0..100_000).take_while(|_| queue.gossip(ValidatorId(1), 1_000, vec![transfer(0)])).count();
        assert_eq!(flood, GOSSIP_SHARE.items_max);
        assert!(queue.gossip(ValidatorId(2), 1_000, vec![transfer(1)]), "other validators have their own share");
        let (client, _answer) = submission(transfer(2));
        queue.submit(client).unwrap();
        let Batch { submissions, gossip } = queue.collect().unwrap();
        assert_eq!(submissions.len(), 1);
        let second = gossip.iter().position(|(from, _)| *from == ValidatorId(2)).unwrap();
        assert!(second <= 1, "and their own turn");
    }

    #[test]
    fn clients_are_refused_once_three_blocks_wait_in_queue_and_pool_together_and_let_in_when_there_is_room() {
        let queue = queue();
        let block = usize::try_from(Parameters::default().block_transactions_max).unwrap();
        let transaction = transfer(0);
        let submit = || queue.submit(submission(transaction.clone()).0);
        let fill = || (0..100_000).take_while(|_| submit().is_ok()).count();
        queue.admission().publish(Load { transactions: 2 * block, bytes: 0 }, Load::default());
        assert_eq!(fill(), block);
        assert_eq!((submit(), queue.check_room()), (Err(NoRoom::OVERLOADED), Err(NoRoom::OVERLOADED)));
        // Transactions that have left the queue count again once they are in the pool.
        let taken = queue.collect().unwrap().submissions.len();
        assert_eq!(taken, BATCH_TRANSACTIONS);
        assert_eq!(queue.check_room(), Ok(()));
        queue.admission().publish(Load { transactions: 2 * block + taken, bytes: 0 }, Load::default());
        assert_eq!(submit(), Err(NoRoom::OVERLOADED));
        // A few large transactions fill blocks as well.
        queue.admission().publish(Load { transactions: 3, bytes: 3 << 20 }, Load::default());
        assert_eq!(submit(), Err(NoRoom::OVERLOADED));
        queue.admission().publish(Load::default(), Load::default());
        assert_eq!(submit(), Ok(()));
        queue.close();
        assert_eq!((submit(), queue.check_room()), (Err(NoRoom::STOPPING), Err(NoRoom::STOPPING)));
    }

    #[test]
    fn neither_gossip_nor_clients_take_the_room_of_the_other() {
        let queue = queue();
        let block = usize::try_from(Parameters::default().block_transactions_max).unwrap();
        let full = Load { transactions: 3 * block, bytes: 0 };
        queue.admission().publish(full, Load::default());
        assert_eq!(queue.check_room(), Err(NoRoom::OVERLOADED));
        assert!(queue.gossip(ValidatorId(1), 200, vec![transfer(0)]), "another validator has admitted it");
        queue.admission().publish(Load::default(), full);
        assert_eq!(queue.check_room(), Ok(()));
        assert!(!queue.gossip(ValidatorId(1), 200, vec![transfer(1)]));
        // Beyond their guaranteed block, clients are refused until there is room overall.
        let a_block = Load { transactions: block, bytes: 0 };
        queue.admission().publish(a_block, Load { transactions: 2 * block - 1, bytes: 0 });
        assert_eq!(queue.check_room(), Ok(()));
        queue.admission().publish(a_block, Load { transactions: 2 * block, bytes: 0 });
        assert_eq!(queue.check_room(), Err(NoRoom::OVERLOADED));
    }

    #[test]
    fn a_pool_smaller_than_three_blocks_is_never_asked_for_more_than_it_holds() {
        let pool = PoolLimits { transactions_max: 100, ..PoolLimits::default() };
        let queue = TransactionQueue::new(Admission::new(&Parameters::default(), &pool));
        queue.admission().publish(Load { transactions: 100, bytes: 0 }, Load::default());
        assert_eq!(queue.check_room(), Err(NoRoom::OVERLOADED));
    }

    #[test]
    fn transactions_linger_only_behind_others_and_only_until_they_are_enough() {
        let at = Instant::now();
        let after = |micros: u64| at + Duration::from_micros(micros);
        let alone = Taken { at, transactions: 1 };
        let traffic = Taken { at, transactions: 2 };
        assert_eq!(alone.linger(1, after(1)), None, "single transactions do not linger");
        assert_eq!(traffic.linger(1, after(1_000)), Some(Duration::from_millis(4)));
        assert_eq!(traffic.linger(LINGER_TRANSACTIONS_MAX, after(1_000)), None);
        assert_eq!(traffic.linger(1, at + LINGER), None, "the traffic is over");
    }

    #[test]
    fn a_closed_queue_gives_out_at_once_what_lingers_in_it() {
        let queue = queue();
        for round in 0..2 {
            for sequence in 0..3 {
                queue.submit(submission(transfer(round * 3 + sequence)).0).unwrap();
            }
            if round == 1 {
                queue.close();
            }
            assert_eq!(queue.collect().unwrap().submissions.len(), 3);
        }
        assert!(queue.collect().is_none());
    }
}
