//! Signature checks, off the replica's thread: what reaches the replica is `Verified`.
//!
//! ```text
//! network: consensus --> thread "verify-votes"  --waits-----> mailbox
//! network: sync      --> thread "verify-blocks" --waits-----> mailbox
//! network: gossip    --> thread "gossip" (decodes) --+
//! HTTP API           --------------------------------+--> transactions --> threads "verify-tx" (batches) --or refuses--> mailbox
//! ```
//!
//! A validator that sends more than its share waits behind the others (or is dropped and counted), never they behind it. Bad messages are
//! counted by validator and reason.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use quorate_network::{Class, Incoming, IncomingReceivers, Receiver};
use quorate_types::{
    codec,
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, Message, TransactionBatch},
    transaction::Transaction,
    verify::{Verified, Verifier},
};

use crate::{
    event_loop::LoopInput,
    failure::Threads,
    fair::{Fair, Share},
    mailbox::{Lane, Mailbox, Refused, TRANSACTION_WORK_BYTES},
    metrics::Metrics,
    submission::{Claim, NoRoom, Submission},
};

/// What one validator may have waiting to be checked; the network holds as much again.
const MESSAGES_SHARE: Share = Share { items_max: 1_024, bytes_max: 8 << 20 };
/// Gossip of one validator that waits to be checked.
const GOSSIP_SHARE: Share = Share { items_max: 64, bytes_max: 4 << 20 };
/// Submissions of clients that wait to be checked.
const SUBMISSIONS_MAX: usize = 16_384;
/// Their bytes.
const SUBMISSIONS_BYTES_MAX: usize = 32 << 20;
/// Transactions that are checked together, at most (one gossip batch more where gossip comes in large batches).
const BATCH_TRANSACTIONS: usize = 512;
/// How many of them clients get before gossip has its turn.
const CLIENTS_FIRST: usize = 256;
/// Messages that are moved out of the network's queue before one is checked.
const MOVED_MAX: usize = 4_096;

/// What every checking thread has.
#[derive(Clone)]
pub(crate) struct Checks {
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) mailbox: Mailbox<LoopInput>,
    pub(crate) transactions: Arc<TransactionQueue>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the threads. They end when the network has shut down and the queue of transactions is closed.
pub(crate) fn start(checks: &Checks, receivers: IncomingReceivers, count: u16, threads: &mut Threads) -> io::Result<()> {
    let IncomingReceivers { consensus, sync, gossip } = receivers;
    for (name, receiver, class) in [("verify-votes", consensus, Class::Consensus), ("verify-blocks", sync, Class::Sync)] {
        let checks = checks.clone();
        threads.start(name, move || check_messages(&checks, receiver, class))?;
    }
    let gossiped = checks.clone();
    threads.start("gossip", move || decode_gossip(&gossiped, gossip))?;
    for _ in 0..count.max(1) {
        let checks = checks.clone();
        threads.start("verify-tx", move || check_transactions(&checks))?;
    }
    Ok(())
}

fn check_messages(checks: &Checks, mut receiver: Receiver, class: Class) {
    let mut waiting: Fair<ValidatorId, Bytes> = Fair::new(MESSAGES_SHARE);
    loop {
        if waiting.is_empty() {
            let Some(first) = receiver.blocking_recv() else { return };
            sort_in(checks, &mut waiting, first);
        }
        for _ in 0..MOVED_MAX {
            let Some(next) = receiver.try_recv() else { break };
            sort_in(checks, &mut waiting, next);
        }
        let Some((from, bytes)) = waiting.pop() else { continue };
        if !check_message(checks, from, &bytes, class) {
            return;
        }
    }
}

fn sort_in(checks: &Checks, waiting: &mut Fair<ValidatorId, Bytes>, incoming: Incoming) {
    let (Incoming::Frame { from, bytes, .. } | Incoming::Gossip { from, bytes }) = incoming;
    let from = ValidatorId(from.0);
    if waiting.push(from, bytes.len(), bytes).is_err() {
        checks.metrics.refused_message(from, "flood");
    }
}

/// Checks one message and hands it on; false when the node stops.
fn check_message(checks: &Checks, from: ValidatorId, bytes: &[u8], class: Class) -> bool {
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            tracing::debug!(validator = %from, "a message is malformed: {error}");
            checks.metrics.refused_message(from, "malformed");
            return true;
        }
    };
    let lane = if message.is_urgent() { Lane::Consensus } else { Lane::Sync };
    if (lane == Lane::Consensus) != (class == Class::Consensus) {
        // Blocks for somebody who is behind must not make votes wait.
        checks.metrics.refused_message(from, "wrong-class");
        return true;
    }
    let kind = message.kind();
    match checks.verifier.message(from, message) {
        Ok(message) => {
            checks.metrics.accepted_message(kind);
            checks.mailbox.deliver(lane, bytes.len(), LoopInput::Message { from, message }).is_ok()
        }
        Err(error) => {
            tracing::debug!(validator = %from, kind, "a message is refused: {error}");
            checks.metrics.refused_message(from, error.word());
            true
        }
    }
}

fn decode_gossip(checks: &Checks, mut receiver: Receiver) {
    while let Some(incoming) = receiver.blocking_recv() {
        let (Incoming::Frame { from, bytes, .. } | Incoming::Gossip { from, bytes }) = incoming;
        let from = ValidatorId(from.0);
        match codec::decode::<TransactionBatch>(&bytes, BATCH_BYTES_MAX) {
            Ok(batch) => {
                let batch = batch.0.into_inner();
                let count = batch.len();
                if !checks.transactions.gossip(from, bytes.len(), batch) {
                    checks.metrics.dropped_gossip("checks-full", count);
                }
            }
            Err(error) => {
                tracing::debug!(validator = %from, "a gossiped batch is malformed: {error}");
                checks.metrics.refused_message(from, "malformed");
            }
        }
    }
}

fn check_transactions(checks: &Checks) {
    while let Some(Batch { submissions, gossip }) = checks.transactions.collect() {
        let mut transactions: Vec<Transaction> = submissions.iter().map(|submission| submission.transaction.clone()).collect();
        let mut senders = Vec::new();
        for (from, batch) in gossip {
            senders.extend(batch.iter().map(|_| from));
            transactions.extend(batch);
        }
        checks.metrics.verify_batch(transactions.len());
        let mut verdicts = checks.verifier.transactions(transactions).into_iter();
        for (submission, verdict) in submissions.into_iter().zip(&mut verdicts) {
            match verdict {
                Ok(transaction) => submit(checks, submission.claim, transaction),
                Err(error) => {
                    checks.metrics.refused_submission(error.word());
                    submission.claim.reply.refuse(error.word(), error.to_string());
                }
            }
        }
        let mut good = Vec::new();
        for (from, verdict) in senders.into_iter().zip(verdicts) {
            match verdict {
                Ok(transaction) => good.push(transaction),
                Err(error) => checks.metrics.refused_message(from, error.word()),
            }
        }
        forward_gossip(checks, good);
    }
}

fn submit(checks: &Checks, claim: Claim, transaction: Verified<Transaction>) {
    let bytes = transaction.raw().len().saturating_add(TRANSACTION_WORK_BYTES);
    let (NoRoom { code, reason }, input) = match checks.mailbox.offer(Lane::Transactions, bytes, LoopInput::Submit { claim, transaction }) {
        Ok(()) => return,
        Err(Refused::Full(input)) => (NoRoom::BUSY, input),
        Err(Refused::Closed(input)) => (NoRoom::STOPPING, input),
    };
    checks.metrics.refused_submission(code);
    if let LoopInput::Submit { claim, .. } = input {
        claim.reply.refuse(code, reason);
    }
}

fn forward_gossip(checks: &Checks, mut transactions: Vec<Verified<Transaction>>) {
    while !transactions.is_empty() {
        let rest = transactions.split_off(transactions.len().min(BATCH_TRANSACTIONS));
        let count = transactions.len();
        let work = count.saturating_mul(TRANSACTION_WORK_BYTES);
        let bytes = transactions.iter().fold(work, |sum, transaction| sum.saturating_add(transaction.raw().len()));
        if checks.mailbox.offer(Lane::Transactions, bytes, LoopInput::Gossip(transactions)).is_err() {
            checks.metrics.dropped_gossip("replica-full", count);
        }
        transactions = rest;
    }
}

/// What one look at the signatures takes together.
struct Batch {
    submissions: Vec<Submission>,
    gossip: Vec<(ValidatorId, Vec<Transaction>)>,
}

struct Waiting {
    clients: VecDeque<Submission>,
    clients_bytes: usize,
    peers: Fair<ValidatorId, Vec<Transaction>>,
    is_closed: bool,
}

/// Transactions that wait for their signatures to be checked.
pub(crate) struct TransactionQueue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl TransactionQueue {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { clients: VecDeque::new(), clients_bytes: 0, peers: Fair::new(GOSSIP_SHARE), is_closed: false };
        Self { waiting: Mutex::new(waiting), arrived: Condvar::new() }
    }

    /// Queues a client's transaction. Without room its reply is dropped.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), NoRoom> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(NoRoom::STOPPING);
        }
        if waiting.clients.len() >= SUBMISSIONS_MAX || waiting.clients_bytes >= SUBMISSIONS_BYTES_MAX {
            return Err(NoRoom::BUSY);
        }
        waiting.clients_bytes = waiting.clients_bytes.saturating_add(submission.transaction.raw().len());
        waiting.clients.push_back(submission);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Queues a validator's batch; false when it has its share waiting already.
    fn gossip(&self, from: ValidatorId, bytes: usize, batch: Vec<Transaction>) -> bool {
        if batch.is_empty() {
            return true;
        }
        let mut waiting = self.lock();
        let is_queued = !waiting.is_closed && waiting.peers.push(from, bytes, batch).is_ok();
        drop(waiting);
        if is_queued {
            self.arrived.notify_one();
        }
        is_queued
    }

    /// How many jobs wait: transactions of clients and batches of validators.
    pub(crate) fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.clients.len().saturating_add(waiting.peers.len())
    }

    /// No more transactions; what is queued is still checked.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// The next batch; waits for one. `None` once the queue is closed and empty.
    fn collect(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        while waiting.clients.is_empty() && waiting.peers.is_empty() {
            if waiting.is_closed {
                return None;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut submissions = Vec::new();
        waiting.take_clients(&mut submissions, CLIENTS_FIRST);
        let mut gossip = Vec::new();
        let mut count = submissions.len();
        while count < BATCH_TRANSACTIONS {
            let Some((from, batch)) = waiting.peers.pop() else { break };
            count = count.saturating_add(batch.len());
            gossip.push((from, batch));
        }
        waiting.take_clients(&mut submissions, BATCH_TRANSACTIONS.saturating_sub(count));
        Some(Batch { submissions, gossip })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take_clients(&mut self, taken: &mut Vec<Submission>, count: usize) {
        for _ in 0..count {
            let Some(submission) = self.clients.pop_front() else { break };
            self.clients_bytes = self.clients_bytes.saturating_sub(submission.transaction.raw().len());
            taken.push(submission);
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_app::BuiltIn;
    use quorate_types::{
        ids::GenesisHash,
        message::{CatchupRequest, FetchRequest},
        operation::Operation,
        round::{Height, Round, Sequence},
        rpc::Wait,
    };
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        metrics::QueueLengths,
        submission::{Reply, Tickets},
        testing::{genesis, in_a_minute, sign_for, transfer},
    };

    const PEER: ValidatorId = ValidatorId(0);

    fn checks() -> Checks {
        let genesis = genesis();
        Checks {
            verifier: quorate_replica::verifier(&genesis, &BuiltIn).unwrap(),
            mailbox: Mailbox::new(),
            transactions: Arc::new(TransactionQueue::new()),
            metrics: Arc::new(Metrics::new(&genesis.committee().unwrap(), |_| {})),
        }
    }

    fn taken(checks: &Checks) -> Vec<LoopInput> {
        let mut batch = VecDeque::new();
        checks.mailbox.take(&mut batch, std::time::Duration::ZERO);
        batch.into()
    }

    fn refused(checks: &Checks, reason: &str) -> bool {
        let text = checks.metrics.encode(None, QueueLengths::default()).unwrap();
        text.contains(&format!("quorate_verify_refused_total{{validator=\"one\",reason=\"{reason}\"}} 1\n"))
    }

    fn forged(sequence: u64) -> Transaction {
        let mut raw = transfer(sequence).raw().to_vec();
        *raw.last_mut().unwrap() ^= 1;
        Transaction::decode(raw.into()).unwrap()
    }

    fn submission(transaction: Transaction) -> (Submission, oneshot::Receiver<quorate_replica::Answer>) {
        let (reply, answer) = oneshot::channel();
        (
            Submission { claim: Claim { ticket: Tickets::default().next(), wait: Wait::Accepted, reply: Reply::One(reply) }, transaction },
            answer,
        )
    }

    #[test]
    fn a_message_goes_on_only_when_it_decodes_fits_its_class_and_verifies() {
        let checks = checks();
        let request = codec::encode(&Message::CatchupRequest(CatchupRequest { from: Height(1) }));
        assert!(check_message(&checks, PEER, &request, Class::Sync));
        assert!(matches!(taken(&checks)[..], [LoopInput::Message { from: PEER, .. }]));

        let fetch = Message::FetchRequest(FetchRequest { block_id: quorate_types::ids::BlockId::default(), above: Round(0) });
        for (from, bytes, class, reason) in
            [(PEER, vec![0xff; 64], Class::Consensus, "malformed"), (PEER, codec::encode(&fetch), Class::Consensus, "wrong-class")]
        {
            assert!(check_message(&checks, from, &bytes, class));
            assert!(refused(&checks, reason), "{reason}");
        }
        // Nobody outside the committee gets this far; if one does, it is counted under its number.
        assert!(check_message(&checks, ValidatorId(9), &request, Class::Sync));
        assert!(taken(&checks).is_empty());

        checks.mailbox.close();
        assert!(!check_message(&checks, PEER, &request, Class::Sync), "the thread ends when the node stops");
    }

    #[test]
    fn a_bad_signature_costs_its_sender_and_nobody_else_in_the_batch() {
        let checks = checks();
        let other_network = sign_for(GenesisHash::default(), 0, in_a_minute(), &Operation::Opaque(vec![]));
        let (good, good_answer) = submission(transfer(0));
        let (bad, bad_answer) = submission(forged(1));
        checks.transactions.submit(good).unwrap();
        checks.transactions.submit(bad).unwrap();
        assert!(checks.transactions.gossip(PEER, 100, vec![transfer(2), forged(3), other_network, transfer(4)]));
        checks.transactions.close();
        check_transactions(&checks);

        let inputs = taken(&checks);
        let [LoopInput::Submit { transaction, .. }, LoopInput::Gossip(gossip)] = &inputs[..] else { panic!("two inputs") };
        assert_eq!(transaction.content().sequence, Sequence(0));
        assert_eq!(gossip.iter().map(|transaction| transaction.content().sequence.0).collect::<Vec<_>>(), [2, 4]);
        assert!(refused(&checks, "signature") && refused(&checks, "other-network"));
        let answer = bad_answer.blocking_recv().unwrap();
        assert!(matches!(answer, quorate_replica::Answer::Rejected { code, .. } if code == "signature"));
        drop(inputs);
        assert!(good_answer.blocking_recv().is_err(), "the good one waits for the replica");
    }

    #[test]
    fn a_validator_that_gossips_without_end_fills_its_own_share_only() {
        let queue = TransactionQueue::new();
        let flood = (0..100_000).take_while(|_| queue.gossip(ValidatorId(1), 1_000, vec![transfer(0)])).count();
        assert_eq!(flood, GOSSIP_SHARE.items_max);
        assert!(queue.gossip(ValidatorId(2), 1_000, vec![transfer(1)]), "the others have theirs");
        let (client, _answer) = submission(transfer(2));
        queue.submit(client).unwrap();
        let Batch { submissions, gossip } = queue.collect().unwrap();
        assert_eq!(submissions.len(), 1);
        let second = gossip.iter().position(|(from, _)| *from == ValidatorId(2)).unwrap();
        assert!(second <= 1, "and their turn");
    }

    #[test]
    fn a_turn_of_the_replica_is_bounded_by_the_work_of_gossip_and_not_by_its_bytes() {
        let checks = checks();
        for _ in 0..4 {
            let verdicts = checks.verifier.transactions(vec![transfer(0); BATCH_TRANSACTIONS]);
            forward_gossip(&checks, verdicts.into_iter().map(Result::unwrap).collect());
        }
        assert_eq!(taken(&checks).len(), 1, "one batch of many small transactions is a turn's work");
    }

    #[test]
    fn clients_find_a_full_or_closed_queue_out_at_once() {
        let queue = TransactionQueue::new();
        let transaction = transfer(0);
        let submit = || queue.submit(submission(transaction.clone()).0);
        let taken = (0..100_000).take_while(|_| submit().is_ok()).count();
        assert_eq!(taken, SUBMISSIONS_MAX);
        assert_eq!(submit(), Err(NoRoom::BUSY));
        assert_eq!(queue.collect().unwrap().submissions.len(), BATCH_TRANSACTIONS);
        assert_eq!(submit(), Ok(()));
        queue.close();
        assert_eq!(submit(), Err(NoRoom::STOPPING));
    }
}
