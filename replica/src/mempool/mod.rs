//! §3.6 `MemPool`: transactions waiting for a block.
//!
//! The paper leaves this module abstract (`get_transactions()`); the rules here come from S17 of docs/protocol.md and from the pool bugs of
//! other chains.
//!
//! ```text
//!            add                      select                     committed
//!  client ─────────> sender: next=7 ──────────> block on a ─────────────────> gone
//!  gossip            7 8 9 │ 11 12              pending parent
//!                    ready │ parked (10 is missing)
//! ```
//!
//! A transaction stays in the pool while proposed blocks hold it: [`Mempool::select`] starts from the senders' next sequence numbers in the
//! parent's state. So an abandoned fork gives its transactions back by construction, without bookkeeping that could be forgotten. A
//! transaction leaves on commit, on expiry, when another one with its sequence number is committed, or when it is parked and a full pool
//! needs its place.
//!
//! There are no fees, so there is no replacement by price: of two transactions with the same sequence number, the first stays. There is no
//! small quota per sender either: one busy account may fill blocks by itself, and [`Mempool::select`] shares a block fairly between the
//! senders that have something to send.
//!
//! The pool never loses a transaction without a reason that [`Mempool::dropped`] can tell, and never grows past its [`PoolLimits`].

mod dropped;
mod limits;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_app::permissions::Standing;
use quorate_types::{
    ids::{Address, TxId},
    round::{Sequence, UnixMillis},
    transaction::Transaction,
    verify::Verified,
};

pub use self::limits::{Added, Dropped, Load, PoolLimits, Rejected};
use self::{dropped::DroppedMemory, sender::Sender};

/// How many transactions that do not fit may be skipped before the block counts as full.
const MISFITS_MAX: usize = 16;

/// A bounded pool of verified transactions, ordered by sequence number for each sender.
#[derive(Debug)]
pub struct Mempool {
    limits: PoolLimits,
    /// Senders with at least one transaction here.
    senders: BTreeMap<Address, Sender>,
    /// Sender and sequence number of every transaction here.
    ids: BTreeMap<TxId, (Address, Sequence)>,
    /// Every transaction here, by the time from which no block can hold it.
    expiries: BTreeSet<(UnixMillis, TxId)>,
    /// The ready senders, in the order in which they get into blocks: `select` walks only these.
    turns: BTreeMap<u64, Address>,
    /// Senders with transactions behind a missing one: what a full pool evicts first.
    parked: BTreeSet<Address>,
    turn_next: u64,
    bytes: usize,
    /// What blocks could hold now.
    ready: Load,
    /// The part of `ready` whose senders are clients of ours.
    of_clients: Load,
    dropped: DroppedMemory,
}

impl Mempool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            ids: BTreeMap::new(),
            expiries: BTreeSet::new(),
            turns: BTreeMap::new(),
            parked: BTreeSet::new(),
            turn_next: 0,
            bytes: 0,
            ready: Load::default(),
            of_clients: Load::default(),
            dropped: DroppedMemory::default(),
        }
    }

    /// Adds a transaction. `next` is its sender's next sequence number in the committed state, `now` the time of the chain.
    ///
    /// # Errors
    /// [`Rejected`], which says what the sender can do about it.
    pub fn add(&mut self, transaction: Verified<Transaction>, next: Sequence, now: UnixMillis) -> Result<Added, Rejected> {
        let transaction = transaction.into_inner();
        let (id, address) = (transaction.id(), transaction.sender());
        let (sequence, expires_at) = (transaction.content().sequence, transaction.content().expires_at);
        if self.ids.contains_key(&id) {
            return Ok(Added::AlreadyHere);
        }
        // This pool may have seen newer commits than the caller has read, never the other way round, so the higher number holds.
        let next = self.senders.get(&address).map_or(next, |sender| sender.next().max(next));
        if sequence < next {
            return Err(Rejected::SequenceTooOld { sequence, next });
        }
        // The largest number has no successor, so it would never be used up.
        if sequence.since(next) > self.limits.sequence_gap_max || sequence == Sequence(u64::MAX) {
            return Err(Rejected::SequenceTooFar { sequence, next, max: self.limits.sequence_gap_max });
        }
        if expires_at <= now {
            return Err(Rejected::Expired { expires_at, now });
        }
        if self.senders.get(&address).is_some_and(|sender| sender.next() < next) {
            self.advance(address, next, None);
            self.reindex(address);
        }
        if let Some(sender) = self.senders.get(&address) {
            if let Some(by) = sender.get(sequence) {
                return Err(Rejected::SequenceTaken { sequence, by: by.id() });
            }
            if sender.len() >= self.limits.per_sender_max {
                return Err(Rejected::SenderFull { max: self.limits.per_sender_max });
            }
        }
        let evicted = self.make_room(&transaction, next)?;

        self.bytes = self.bytes.saturating_add(transaction.raw().len());
        self.ids.insert(id, (address, sequence));
        self.expiries.insert((expires_at, id));
        self.dropped.forget(&id);
        self.senders.entry(address).or_insert_with(|| Sender::new(next)).insert(transaction);
        self.reindex(address);
        Ok(Added::New { evicted })
    }

    /// Transactions for a block of time `timestamp`, those of each sender in sequence order, as `standing_of(sender)` allows: what the state
    /// that the block is built on, pending ancestors included, lets the sender send.
    ///
    /// Senders take turns in the order in which they became ready, one transaction each, until `count_max` or `bytes_max` is reached. The
    /// result depends only on the calls made so far. The work grows with the result and the number of ready senders, not with the pool.
    #[must_use]
    pub fn select(
        &self,
        standing_of: impl Fn(&Address) -> Option<Standing>,
        timestamp: UnixMillis,
        count_max: usize,
        bytes_max: usize,
    ) -> Vec<Transaction> {
        let mut selected = Vec::new();
        let mut bytes_left = bytes_max;
        let mut misfits = 0usize;
        let mut fresh = self.turns.values();
        // Senders that have had a turn and may have more to send.
        let mut again: VecDeque<(&Sender, Standing)> = VecDeque::new();
        while selected.len() < count_max && misfits < MISFITS_MAX {
            let (sender, Standing { next: sequence, transactions_max }) = match fresh.next() {
                Some(address) => match self.senders.get(address) {
                    Some(sender) => match standing_of(address) {
                        Some(standing) => (sender, Standing { next: standing.next.max(sender.next()), ..standing }),
                        None => continue,
                    },
                    None => continue,
                },
                None => match again.pop_front() {
                    Some(turn) => turn,
                    None => break,
                },
            };
            let Some(transaction) = sender.get(sequence) else { continue };
            let bytes = transaction.raw().len();
            if transaction.content().expires_at <= timestamp || bytes > bytes_left {
                misfits = misfits.saturating_add(1);
                continue;
            }
            bytes_left = bytes_left.saturating_sub(bytes);
            selected.push(transaction.clone());
            if transactions_max > 1 {
                again.push_back((sender, Standing { next: sequence.next(), transactions_max: transactions_max.saturating_sub(1) }));
            }
        }
        selected
    }

    /// Whether a block on the state that `standing_of` reads could hold a transaction of this pool.
    #[must_use]
    pub fn has_ready(&self, standing_of: impl Fn(&Address) -> Option<Standing>) -> bool {
        let is_ready = |address: &Address| {
            let sender = self.senders.get(address)?;
            sender.get(standing_of(address)?.next.max(sender.next()))
        };
        self.turns.values().any(|address| is_ready(address).is_some())
    }

    /// Drops the transactions of the senders for whom `refusal` has a reason: no block can hold them while that lasts.
    pub fn drop_forbidden(&mut self, refusal: impl Fn(&Address) -> Option<Rejected>) -> Vec<Dropped> {
        let refused: Vec<(Address, Rejected)> = self.senders.keys().filter_map(|address| Some((*address, refusal(address)?))).collect();
        let mut dropped = Vec::new();
        for (address, reason) in refused {
            let Some(sender) = self.senders.get(&address) else { continue };
            let transactions: Vec<_> = sender.transactions().map(|tx| (tx.content().sequence, tx.id())).collect();
            for (sequence, id) in transactions {
                dropped.push(self.drop_one(address, sequence, id, reason.clone()));
            }
            self.reindex(address);
        }
        dropped
    }

    /// A block with these transactions is committed: they leave the pool, and so do all transactions of their senders whose sequence numbers
    /// are now used up. Returns those dropped without being committed.
    pub fn committed(&mut self, transactions: &[Transaction]) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        for transaction in transactions {
            let address = transaction.sender();
            dropped.extend(self.advance(address, transaction.content().sequence.next(), Some(transaction.id())));
        }
        // A served sender goes behind those that wait.
        let served: BTreeSet<Address> = transactions.iter().map(Transaction::sender).collect();
        for address in served {
            if let Some(turn) = self.senders.get_mut(&address).and_then(Sender::take_turn) {
                self.turns.remove(&turn);
            }
            self.reindex(address);
        }
        dropped
    }

    /// Drops what no block from `now` on can hold. If `now` is the time of the last committed block, the drop is final: later blocks have
    /// later times. By a clock it would not be, because a pending block of an earlier time may hold the transaction.
    pub fn expire(&mut self, now: UnixMillis) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        while let Some((expires_at, id)) = self.expiries.first().copied() {
            if expires_at > now {
                break;
            }
            self.expiries.pop_first();
            if let Some((address, sequence)) = self.ids.get(&id).copied() {
                dropped.push(self.drop_one(address, sequence, id, Rejected::Expired { expires_at, now }));
                self.reindex(address);
            }
        }
        dropped
    }

    /// Whether the pool holds a transaction that no block from `now` on can hold. It leaves when a block of that time is committed.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.expiries.first().is_some_and(|(expires_at, _)| *expires_at <= now)
    }

    /// Whether the pool holds a transaction.
    #[must_use]
    pub fn contains(&self, id: &TxId) -> bool {
        self.ids.contains_key(id)
    }

    /// Number of transactions in the pool.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Bytes of transactions in the pool.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &PoolLimits {
        &self.limits
    }

    /// The transactions without a gap before them: blocks on the committed state could hold all of them. Parked transactions are not counted:
    /// they cost their sender nothing, so nobody else should have to wait for them.
    #[must_use]
    pub const fn ready(&self) -> Load {
        self.ready
    }

    /// The part of [`Self::ready`] whose senders are clients of ours.
    #[must_use]
    pub const fn ready_of_clients(&self) -> Load {
        self.of_clients
    }

    /// Notes that a client of ours has submitted a transaction of this sender.
    pub fn note_client(&mut self, address: &Address) {
        if let Some(sender) = self.senders.get_mut(address).filter(|sender| !sender.is_client) {
            sender.is_client = true;
            self.of_clients = self.of_clients.plus(sender.counted);
        }
    }

    /// Whether the pool is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A sender's first free sequence number: from `next`, its next number in the committed state, past what is here without a gap.
    #[must_use]
    pub fn next_sequence(&self, address: &Address, next: Sequence) -> Sequence {
        let Some(sender) = self.senders.get(address) else { return next };
        if next <= sender.ready_end() { sender.ready_end() } else { sender.contiguous_from(next) }
    }

    /// Why a transaction left the pool without being committed, while it is remembered.
    #[must_use]
    pub fn dropped(&self, id: &TxId) -> Option<&Rejected> {
        self.dropped.get(id)
    }

    /// The newest transactions dropped from a position on, at most `max`, oldest first; and the position to continue from. The first position
    /// is 0.
    #[must_use]
    pub fn dropped_since(&self, position: u64, max: usize) -> (u64, Vec<Dropped>) {
        self.dropped.since(position, max)
    }

    /// Makes room for a transaction of a sender whose next sequence number is `next`. Only a parked transaction is evicted, and only for one
    /// that a block could hold now: otherwise transactions with gaps, which cost their sender nothing, would keep others out.
    fn make_room(&mut self, transaction: &Transaction, next: Sequence) -> Result<Option<Dropped>, Rejected> {
        let bytes = transaction.raw().len();
        let fits = |pool: &Self| pool.ids.len() < pool.limits.transactions_max && pool.bytes.saturating_add(bytes) <= pool.limits.bytes_max;
        if fits(self) {
            return Ok(None);
        }
        let full = Rejected::PoolFull { transactions: self.ids.len(), bytes: self.bytes };
        let address = transaction.sender();
        if self.next_sequence(&address, next) != transaction.content().sequence {
            return Err(full);
        }
        // The sender's own parked transactions follow this one, so another sender's must go.
        let victim = self.parked.iter().find(|parked| **parked != address).copied().and_then(|other| {
            let last = self.senders.get(&other)?.last()?;
            Some((other, last.content().sequence, last.id(), last.raw().len()))
        });
        let Some((other, sequence, id, freed)) = victim else { return Err(full) };
        // One out, one in: the pool's work per message stays constant.
        if self.bytes.saturating_sub(freed).saturating_add(bytes) > self.limits.bytes_max {
            return Err(full);
        }
        let dropped = self.drop_one(other, sequence, id, Rejected::CrowdedOut { sequence });
        self.reindex(other);
        Ok(Some(dropped))
    }

    /// Sets a sender's next sequence number to `next`: the numbers below are used up, the last of them by `by`. The caller reindexes.
    fn advance(&mut self, address: Address, next: Sequence, by: Option<TxId>) -> Vec<Dropped> {
        let Some(sender) = self.senders.get_mut(&address) else { return Vec::new() };
        let mut dropped = Vec::new();
        for transaction in sender.advance(next) {
            let id = transaction.id();
            self.ids.remove(&id);
            self.expiries.remove(&(transaction.content().expires_at, id));
            self.bytes = self.bytes.saturating_sub(transaction.raw().len());
            // At the number used up by `by`, any other transaction has lost. Numbers below may have been used up by these very transactions;
            // the pool cannot know, so it reports nothing for them.
            if by.is_some_and(|by| by != id) && transaction.content().sequence.next() == next {
                let reason = Rejected::SequenceUsed { sequence: transaction.content().sequence };
                self.dropped.remember(id, reason.clone());
                dropped.push(Dropped { id, reason });
            }
        }
        dropped
    }

    fn drop_one(&mut self, address: Address, sequence: Sequence, id: TxId, reason: Rejected) -> Dropped {
        if let Some(transaction) = self.senders.get_mut(&address).and_then(|sender| sender.remove(sequence)) {
            self.ids.remove(&id);
            self.expiries.remove(&(transaction.content().expires_at, id));
            self.bytes = self.bytes.saturating_sub(transaction.raw().len());
        }
        self.dropped.remember(id, reason.clone());
        Dropped { id, reason }
    }

    /// Updates the indexes and counts after a change to a sender's transactions.
    fn reindex(&mut self, address: Address) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        if sender.is_parked() {
            self.parked.insert(address);
        } else {
            self.parked.remove(&address);
        }
        if sender.is_ready() {
            if sender.turn().is_none() {
                sender.give_turn(self.turn_next);
                self.turns.insert(self.turn_next, address);
                self.turn_next = self.turn_next.saturating_add(1);
            }
        } else if let Some(turn) = sender.take_turn() {
            self.turns.remove(&turn);
        }
        let ready = sender.ready();
        let before = std::mem::replace(&mut sender.counted, ready);
        self.ready = self.ready.minus(before).plus(ready);
        if sender.is_client {
            self.of_clients = self.of_clients.minus(before).plus(ready);
        }
        if sender.len() == 0 {
            self.senders.remove(&address);
        }
    }
}
