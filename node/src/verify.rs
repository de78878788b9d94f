//! Signature verification, off the replica's thread: everything that reaches the replica is `Verified`.
//!
//! ```text
//! network: consensus --> thread "verify-votes"  --waits-----> mailbox
//! network: sync      --> thread "verify-blocks" --waits-----> mailbox
//! network: gossip    --> thread "gossip" (decodes) --+
//! HTTP API           --------------------------------+--> transactions --> threads "verify-tx" (batches) --or refuses--> mailbox
//! ```
//!
//! Messages of a validator that exceeds its share wait behind the other validators' (or are dropped and counted), never the reverse. Bad
//! messages are counted by validator and reason.

use std::{io, sync::Arc};

use bytes::Bytes;
use quorate_network::{Class, Incoming, IncomingReceivers, PeerIndex, Receiver};
use quorate_types::{
    codec,
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, Message, TransactionBatch},
    transaction::Transaction,
    verify::Verified,
};

use crate::{
    epochs::Epochs,
    event_loop::LoopInput,
    failure::Threads,
    fair::{Fair, Share},
    helpers::{Helpers, is_helper},
    ingest::{BATCH_TRANSACTIONS, Batch, TransactionQueue},
    mailbox::{Lane, Mailbox, Refused, TRANSACTION_WORK_BYTES},
    metrics::Metrics,
    priority,
    relevance::Relevance,
    submission::{Claim, NoRoom},
};

/// Messages of one validator that may wait for verification; the network holds as much again.
const MESSAGES_SHARE: Share = Share { items_max: 1_024, bytes_max: 8 << 20 };
/// Most messages moved out of the network's queue before one is verified.
const MOVED_MAX: usize = 4_096;

/// What all verifying threads share.
#[derive(Clone)]
pub(crate) struct Checks {
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) mailbox: Mailbox<LoopInput>,
    pub(crate) transactions: Arc<TransactionQueue>,
    pub(crate) relevance: Arc<Relevance>,
    pub(crate) helpers: Arc<Helpers>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the threads. They end once the network has shut down and the transaction queue is closed.
pub(crate) fn start(checks: &Checks, receivers: IncomingReceivers, count: u16, threads: &mut Threads) -> io::Result<()> {
    let IncomingReceivers { consensus, sync, gossip } = receivers;
    for (name, receiver, class) in [("verify-votes", consensus, Class::Consensus), ("verify-blocks", sync, Class::Sync)] {
        let checks = checks.clone();
        threads.start(name, move || check_messages(&checks, receiver, class))?;
    }
    let gossiped = checks.clone();
    threads.start("gossip", move || {
        priority::lower_priority();
        decode_gossip(&gossiped, gossip);
    })?;
    for _ in 0..count.max(1) {
        let checks = checks.clone();
        threads.start("verify-tx", move || {
            priority::lower_priority();
            check_transactions(&checks);
        })?;
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
    let is_sync = matches!(incoming, Incoming::Frame { class: Class::Sync, .. });
    let (Incoming::Frame { from, bytes, .. } | Incoming::Gossip { from, bytes }) = incoming;
    // Of a helper only answers to our requests are read.
    if is_helper(from) && !(is_sync && checks.helpers.is_asked(from)) {
        return;
    }
    let from = ValidatorId(from.0);
    if waiting.push(from, bytes.len(), bytes).is_err() {
        checks.metrics.refused_message(from, "flood", format_args!("its share of the queue is full"));
    }
}

/// Verifies one message and passes it on; false if the node is stopping.
fn check_message(checks: &Checks, from: ValidatorId, bytes: &[u8], class: Class) -> bool {
    if is_helper(PeerIndex(from.0)) {
        return check_help(checks, PeerIndex(from.0), bytes);
    }
    let message = match Message::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            checks.metrics.refused_message(from, "malformed", format_args!("{error}"));
            return true;
        }
    };
    let lane = if message.is_urgent() { Lane::Consensus } else { Lane::Sync };
    if (lane == Lane::Consensus) != (class == Class::Consensus) {
        // Blocks for a lagging validator must not delay votes.
        checks.metrics.refused_message(from, "wrong-class", format_args!("a {} on the {class:?} stream", message.kind()));
        return true;
    }
    let kind = message.kind();
    let now = checks.epochs.now();
    if message.epoch().is_some_and(|epoch| epoch != now.epoch()) {
        // Only its sender claims that, and nothing of it can be checked here.
        let input = LoopInput::OtherEpoch { from, message: Box::new(message), bytes: bytes.len() };
        return checks.mailbox.deliver(lane, bytes.len(), input).is_ok();
    }
    let mut matters = true;
    let verified = now.verifier.message_if(from, message, |proposal| {
        matters = checks.relevance.matters(proposal);
        matters
    });
    match verified {
        Ok(message) => {
            if matters {
                checks.metrics.accepted_message(kind);
            } else {
                checks.metrics.refused_message(from, "pointless-proposal", format_args!("only its certificates were used"));
            }
            checks.mailbox.deliver(lane, bytes.len(), LoopInput::Message { from, message }).is_ok()
        }
        Err(error) => {
            checks.metrics.refused_message(from, error.word(), format_args!("{kind}: {error}"));
            true
        }
    }
}

/// Passes a helper's answer on as that of the seat in whose name it was asked. An empty answer is dropped: that there are newer blocks is proved.
fn check_help(checks: &Checks, from: PeerIndex, bytes: &[u8]) -> bool {
    let Ok(message @ Message::CatchupResponse(_)) = Message::decode(bytes) else { return true };
    let now = checks.epochs.now();
    let Some(seat) = checks.helpers.take(from).filter(|_| message.epoch() == Some(now.epoch())) else { return true };
    let kind = message.kind();
    match now.verifier.message(seat, message) {
        Ok(message) => {
            checks.metrics.accepted_message(kind);
            checks.mailbox.deliver(Lane::Sync, bytes.len(), LoopInput::Message { from: seat, message }).is_ok()
        }
        Err(error) => {
            tracing::debug!(place = %from, "a helper's answer is refused: {error}");
            true
        }
    }
}

fn decode_gossip(checks: &Checks, mut receiver: Receiver) {
    while let Some(incoming) = receiver.blocking_recv() {
        let (Incoming::Frame { from, bytes, .. } | Incoming::Gossip { from, bytes }) = incoming;
        if is_helper(from) {
            continue;
        }
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
                checks.metrics.refused_message(from, "malformed", format_args!("gossip: {error}"));
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
        let mut verdicts = checks.epochs.now().verifier.transactions(transactions).into_iter();
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
                Err(error) => checks.metrics.refused_message(from, error.word(), format_args!("gossip: {error}")),
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use quorate_types::{
        ids::GenesisHash,
        message::{CatchupRequest, FetchRequest},
        round::{Height, Round, Sequence},
    };

    use super::*;
    use crate::{
        ingest::tests::{queue, submission},
        metrics::QueueLengths,
        testing::{epochs, in_a_minute, sign_for, transfer},
    };

    const PEER: ValidatorId = ValidatorId(0);

    fn checks() -> Checks {
        let epochs = epochs();
        Checks {
            mailbox: Mailbox::new(),
            transactions: Arc::new(queue()),
            relevance: Arc::default(),
            helpers: Arc::default(),
            metrics: Arc::new(Metrics::new(&epochs, |_| {})),
            epochs,
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
        // Only committee members get this far; any other sender would be counted under its number.
        assert!(check_message(&checks, ValidatorId(9), &request, Class::Sync));
        assert!(taken(&checks).is_empty());

        checks.mailbox.close();
        assert!(!check_message(&checks, PEER, &request, Class::Sync), "the thread ends once the node is stopping");
    }

    #[test]
    fn of_a_helper_nothing_is_read_but_answers_with_blocks_to_our_requests() {
        let checks = checks();
        let helper = PeerIndex(quorate_network::SEATS);
        let waits = |class| {
            let mut waiting = Fair::new(MESSAGES_SHARE);
            sort_in(&checks, &mut waiting, Incoming::Frame { from: helper, class, bytes: Bytes::from_static(b"x") });
            !waiting.is_empty()
        };
        assert!(!waits(Class::Sync), "it was not asked");
        checks.helpers.set(vec![helper]);
        assert_eq!(checks.helpers.route(PEER, |_| true), helper);
        assert!(waits(Class::Sync) && !waits(Class::Consensus));

        let from = ValidatorId(helper.0);
        let request = Message::CatchupRequest(CatchupRequest { from: Height(1) });
        assert!(check_message(&checks, from, &codec::encode(&request), Class::Sync));
        assert!(checks.helpers.is_asked(helper), "a request of its own answers nothing");
        let nothing = Message::CatchupResponse(Box::new(quorate_types::message::CatchupResponse::nothing_from(Height(1))));
        assert!(check_message(&checks, from, &codec::encode(&nothing), Class::Sync));
        assert!(!checks.helpers.is_asked(helper) && taken(&checks).is_empty());
    }

    #[test]
    fn a_bad_signature_costs_its_sender_and_nobody_else_in_the_batch() {
        let checks = checks();
        let other_network = sign_for(GenesisHash::default(), 0, in_a_minute(), vec![]);
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
    fn a_turn_of_the_replica_is_bounded_by_the_work_of_gossip_and_not_by_its_bytes() {
        let checks = checks();
        for _ in 0..4 {
            let verdicts = checks.epochs.now().verifier.transactions(vec![transfer(0); BATCH_TRANSACTIONS]);
            forward_gossip(&checks, verdicts.into_iter().map(Result::unwrap).collect());
        }
        assert_eq!(taken(&checks).len(), 1, "one batch of many small transactions is a turn's work");
    }
}
