//! The transactions of one sender.

use std::collections::BTreeMap;

use quorate_types::{round::Sequence, transaction::Transaction};

use super::Load;

/// One sender's transactions by sequence number.
#[derive(Debug)]
pub(super) struct Sender {
    transactions: BTreeMap<Sequence, Transaction>,
    /// The next sequence number in the committed state, as far as this pool knows; no transaction here is below it.
    next: Sequence,
    /// The first missing number from `next` on: transactions below it are ready, those above are parked.
    ready_end: Sequence,
    /// Bytes of the ready transactions.
    ready_bytes: usize,
    /// The sender's place in the order of block selection; `Some` exactly while the sender is ready.
    turn: Option<u64>,
    /// The part of the pool's ready load that is this sender's.
    pub(super) counted: Load,
    /// A client of ours has submitted a transaction of this sender.
    pub(super) is_client: bool,
}

impl Sender {
    pub(super) fn new(next: Sequence) -> Self {
        Self {
            transactions: BTreeMap::new(),
            next,
            ready_end: next,
            ready_bytes: 0,
            turn: None,
            counted: Load::default(),
            is_client: false,
        }
    }

    pub(super) const fn next(&self) -> Sequence {
        self.next
    }

    pub(super) const fn ready_end(&self) -> Sequence {
        self.ready_end
    }

    pub(super) fn len(&self) -> usize {
        self.transactions.len()
    }

    pub(super) fn get(&self, sequence: Sequence) -> Option<&Transaction> {
        self.transactions.get(&sequence)
    }

    pub(super) fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.values()
    }

    pub(super) fn last(&self) -> Option<&Transaction> {
        self.transactions.values().next_back()
    }

    /// Whether a block could hold the sender's next transaction.
    pub(super) fn is_ready(&self) -> bool {
        self.ready_end > self.next
    }

    /// Whether a transaction waits for a missing one.
    pub(super) fn is_parked(&self) -> bool {
        self.last().is_some_and(|last| last.content().sequence >= self.ready_end)
    }

    pub(super) const fn turn(&self) -> Option<u64> {
        self.turn
    }

    pub(super) const fn give_turn(&mut self, turn: u64) {
        self.turn = Some(turn);
    }

    pub(super) const fn take_turn(&mut self) -> Option<u64> {
        self.turn.take()
    }

    /// The sender's transactions that blocks could hold.
    pub(super) fn ready(&self) -> Load {
        let transactions = usize::try_from(self.ready_end.since(self.next)).unwrap_or(usize::MAX);
        Load { transactions, bytes: self.ready_bytes }
    }

    pub(super) fn insert(&mut self, transaction: Transaction) {
        let sequence = transaction.content().sequence;
        self.transactions.insert(sequence, transaction);
        self.extend_ready();
    }

    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<Transaction> {
        if sequence < self.ready_end && self.transactions.contains_key(&sequence) {
            let lost = bytes(self.transactions.range(sequence..self.ready_end).map(|(_, transaction)| transaction));
            self.ready_bytes = self.ready_bytes.saturating_sub(lost);
            self.ready_end = sequence;
        }
        self.transactions.remove(&sequence)
    }

    /// Raises the next sequence number, never lowers it, and returns the transactions below it.
    pub(super) fn advance(&mut self, next: Sequence) -> impl Iterator<Item = Transaction> + use<> {
        let mut used_up = BTreeMap::new();
        if next > self.next {
            let kept = self.transactions.split_off(&next);
            used_up = std::mem::replace(&mut self.transactions, kept);
            self.next = next;
            if self.ready_end < next {
                (self.ready_end, self.ready_bytes) = (next, 0);
                self.extend_ready();
            } else {
                self.ready_bytes = self.ready_bytes.saturating_sub(bytes(used_up.values()));
            }
        }
        used_up.into_values()
    }

    /// Counts transactions that follow the ready ones without a gap as ready.
    fn extend_ready(&mut self) {
        while let Some(transaction) = self.transactions.get(&self.ready_end) {
            self.ready_bytes = self.ready_bytes.saturating_add(transaction.raw().len());
            self.ready_end = self.ready_end.next();
        }
    }

    /// The first missing number from `sequence` on.
    pub(super) fn contiguous_from(&self, sequence: Sequence) -> Sequence {
        let mut end = sequence;
        for present in self.transactions.range(sequence..).map(|(present, _)| *present) {
            if present != end {
                break;
            }
            end = end.next();
        }
        end
    }
}

fn bytes<'a>(transactions: impl Iterator<Item = &'a Transaction>) -> usize {
    transactions.fold(0, |sum, transaction| sum.saturating_add(transaction.raw().len()))
}
