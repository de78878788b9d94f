//! Clients that wait for a transaction's commit, by transaction.
//!
//! Bounded by [`WAITING_MAX`]. A client that leaves is forgotten; one whose transaction is committed or dropped is answered once.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::ids::TxId;

/// Most tickets waiting at a time.
pub const WAITING_MAX: usize = 10_000;

/// Names a submission in its answer. The caller gives each submission its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// There is no room for another waiting client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{WAITING_MAX} clients are already waiting for commits; submit without waiting, then ask for the transaction's status")]
pub struct TooManyWaiting;

impl TooManyWaiting {
    /// A stable word for programs.
    pub const CODE: &'static str = "too-many-waiting";
}

/// The waiting tickets.
#[derive(Debug, Default)]
pub struct Waiting {
    by_transaction: BTreeMap<TxId, BTreeSet<Ticket>>,
    by_ticket: BTreeMap<Ticket, TxId>,
}

impl Waiting {
    /// Makes a ticket wait for a transaction, and for no other.
    ///
    /// # Errors
    /// [`TooManyWaiting`].
    pub fn add(&mut self, ticket: Ticket, id: TxId) -> Result<(), TooManyWaiting> {
        self.forget(ticket);
        if self.by_ticket.len() >= WAITING_MAX {
            return Err(TooManyWaiting);
        }
        self.by_ticket.insert(ticket, id);
        self.by_transaction.entry(id).or_default().insert(ticket);
        Ok(())
    }

    /// Makes a ticket wait no longer.
    pub fn forget(&mut self, ticket: Ticket) {
        let Some(id) = self.by_ticket.remove(&ticket) else { return };
        if let Some(tickets) = self.by_transaction.get_mut(&id) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.by_transaction.remove(&id);
            }
        }
    }

    /// The transaction is committed: takes the tickets to answer.
    #[must_use]
    pub fn committed(&mut self, id: &TxId) -> Vec<Ticket> {
        self.take(id)
    }

    /// The transaction left the pool without being committed: takes the tickets to answer.
    #[must_use]
    pub fn dropped(&mut self, id: &TxId) -> Vec<Ticket> {
        self.take(id)
    }

    /// Number of waiting tickets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_ticket.len()
    }

    /// Whether no ticket waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_ticket.is_empty()
    }

    fn take(&mut self, id: &TxId) -> Vec<Ticket> {
        let tickets = self.by_transaction.remove(id).unwrap_or_default();
        for ticket in &tickets {
            self.by_ticket.remove(ticket);
        }
        tickets.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::crypto::Hash;

    use super::*;

    fn id(number: u64) -> TxId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TxId(Hash(bytes))
    }

    #[test]
    fn everybody_who_waits_for_a_transaction_is_answered_once() {
        let mut waiting = Waiting::default();
        waiting.add(Ticket(2), id(1)).unwrap();
        waiting.add(Ticket(1), id(1)).unwrap();
        waiting.add(Ticket(3), id(2)).unwrap();
        assert_eq!(waiting.committed(&id(1)), [Ticket(1), Ticket(2)]);
        assert_eq!(waiting.committed(&id(1)), []);
        assert_eq!(waiting.dropped(&id(2)), [Ticket(3)]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_forgotten_ticket_gets_no_answer_and_leaves_nothing_behind() {
        let mut waiting = Waiting::default();
        waiting.add(Ticket(1), id(1)).unwrap();
        waiting.add(Ticket(2), id(1)).unwrap();
        waiting.forget(Ticket(1));
        waiting.forget(Ticket(1));
        assert_eq!(waiting.committed(&id(1)), [Ticket(2)]);
        waiting.add(Ticket(3), id(3)).unwrap();
        waiting.forget(Ticket(3));
        assert!(waiting.is_empty() && waiting.by_transaction.is_empty());
    }

    #[test]
    fn a_ticket_waits_for_its_last_transaction_only() {
        let mut waiting = Waiting::default();
        waiting.add(Ticket(1), id(1)).unwrap();
        waiting.add(Ticket(1), id(2)).unwrap();
        assert_eq!(waiting.committed(&id(1)), []);
        assert_eq!(waiting.committed(&id(2)), [Ticket(1)]);
    }

    #[test]
    fn a_flood_of_waiting_clients_stays_bounded() {
        let mut waiting = Waiting::default();
        for number in 0..WAITING_MAX as u64 {
            waiting.add(Ticket(number), id(number % 7)).unwrap();
        }
        assert_eq!(waiting.add(Ticket(u64::MAX), id(0)), Err(TooManyWaiting));
        assert_eq!(waiting.len(), WAITING_MAX);
        waiting.forget(Ticket(0));
        waiting.add(Ticket(u64::MAX), id(0)).unwrap();
        assert_eq!(waiting.len(), WAITING_MAX);
    }
}
