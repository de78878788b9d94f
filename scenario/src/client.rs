//! A client as in the course: it has one request outstanding at a time, sends it to all validators, accepts a result that f+1 different
//! validators agree on, and resends the request to all after a timeout.

use std::collections::BTreeMap;

use quorate_builtin::{GenesisAccount, KvSpace};
use quorate_harness::time::Micros;
use quorate_replica::{Answer, Ticket};
use quorate_types::{
    crypto::SigningKey,
    ids::{Address, GenesisHash, TxId, ValidatorId},
    receipt::Outcome,
    round::{Sequence, UnixMillis},
    transaction::Transaction,
};

use super::operations::Operation;

/// A request whose result the client has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: TxId,
    pub(crate) outcome: Outcome,
    /// Time from signing to acceptance.
    pub(crate) took: Micros,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: u16,
    key: SigningKey,
    pub(crate) address: Address,
    pub(crate) operations: Vec<Operation>,
    space: KvSpace,
    /// The outstanding request.
    pub(crate) request: Option<Request>,
    /// The results of the earlier requests, in order.
    pub(crate) accepted: Vec<Accepted>,
    /// How often a request was resent.
    pub(crate) retransmissions: u64,
    /// Forges its first message's signature, and sends every later message twice.
    pub(crate) faulty: bool,
}

/// An outstanding request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) transaction: Transaction,
    /// Times sent.
    pub(crate) sent: u64,
    since: Micros,
    answers: BTreeMap<ValidatorId, Outcome>,
}

impl Client {
    pub(crate) fn new(number: u16, seed: &[u8; 32], operations: Vec<Operation>, space: KvSpace) -> Self {
        let key = SigningKey::from_seed(seed);
        let address = Address::of(&key.public());
        Self { number, key, address, operations, space, request: None, accepted: Vec::new(), retransmissions: 0, faulty: false }
    }

    /// Its account in the genesis, without a balance: it pays nothing.
    pub(crate) const fn account(&self) -> GenesisAccount {
        GenesisAccount { address: self.address, balance: 0 }
    }

    /// Whether every request is accepted.
    pub(crate) fn is_done(&self) -> bool {
        self.accepted.len() == self.operations.len()
    }

    /// The number of the outstanding request, or else of the next one.
    pub(crate) fn next(&self) -> usize {
        self.accepted.len()
    }

    /// Signs the next request, if there is one.
    pub(crate) fn sign(&mut self, genesis_hash: GenesisHash, now: Micros, expires_at: UnixMillis) -> Option<Transaction> {
        let operation = self.operations.get(self.next())?.transacted(self.space);
        let sequence = Sequence(self.next() as u64);
        let transaction = Transaction::sign(genesis_hash, &self.key, sequence, expires_at, operation.encode());
        self.request = Some(Request { transaction: transaction.clone(), sent: 0, since: now, answers: BTreeMap::new() });
        Some(transaction)
    }

    /// The same request with a bad signature.
    pub(crate) fn forged(request: &Transaction) -> Option<Transaction> {
        let mut raw = request.raw().to_vec();
        raw.last_mut().map(|last| *last = !*last)?;
        Transaction::decode(raw.into()).ok()
    }

    /// The ticket validators answer under. It is that of the client and its request, the same for a resent request.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket((u64::from(self.number) << 32) | (self.next() as u64))
    }

    /// The client and the request that a ticket is for.
    pub(crate) fn of_ticket(ticket: Ticket) -> (usize, usize) {
        let number = |part: u64| usize::try_from(part).unwrap_or(usize::MAX);
        (number(ticket.0 >> 32), number(ticket.0 & 0xffff_ffff))
    }

    /// Takes an answer to the request of that number. Returns the result once `enough` validators agree on it.
    pub(crate) fn on_answer(&mut self, request: usize, from: ValidatorId, answer: &Answer, enough: usize, now: Micros) -> Option<Outcome> {
        if request != self.next() {
            return None;
        }
        let waiting = self.request.as_mut()?;
        // A rejection is not a result: the request will be resent.
        let Answer::Committed { outcome, .. } = answer else { return None };
        // Each validator counts once, with its newest answer.
        waiting.answers.insert(from, outcome.clone());
        if waiting.answers.values().filter(|other| *other == outcome).count() < enough {
            return None;
        }
        let accepted = Accepted { id: waiting.transaction.id(), outcome: outcome.clone(), took: now.since(waiting.since) };
        self.accepted.push(accepted);
        self.request = None;
        Some(outcome.clone())
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::round::Height;

    use super::*;

    fn client() -> Client {
        let mut client = Client::new(3, &[7; 32], vec![Operation::Get("k".into()), Operation::Get("k".into())], KvSpace::Own);
        client.sign(GenesisHash::default(), Micros(5), UnixMillis(9)).unwrap();
        client
    }

    fn applied(value: &[u8]) -> Outcome {
        Outcome::Applied(quorate_builtin::Answer::Value(value.to_vec()).encode())
    }

    fn committed(value: &[u8]) -> Answer {
        Answer::Committed { height: Height(1), index: 0, outcome: applied(value) }
    }

    #[test]
    fn believes_two_validators_but_not_one_that_answers_twice() {
        let mut client = client();
        let mut answer = |from, value: &[u8]| client.on_answer(0, ValidatorId(from), &committed(value), 2, Micros(20));
        assert_eq!(answer(1, b"a"), None);
        assert_eq!(answer(1, b"a"), None);
        assert_eq!(answer(2, b"b"), None);
        assert_eq!(answer(3, b"a"), Some(applied(b"a")));
        assert_eq!((client.accepted[0].took, client.next(), client.is_done()), (Micros(15), 1, false));
    }

    #[test]
    fn refusals_and_answers_to_other_requests_count_for_nothing() {
        let mut client = client();
        let refused = Answer::Rejected { code: "pool-full".into(), reason: String::new() };
        for from in 0..4 {
            assert_eq!(client.on_answer(0, ValidatorId(from), &refused, 2, Micros(9)), None);
            assert_eq!(client.on_answer(1, ValidatorId(from), &committed(b"a"), 2, Micros(9)), None);
        }
        assert_eq!(Client::of_ticket(client.ticket()), (3, 0));
    }
}
