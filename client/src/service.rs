//! An account that uses a replicated service: ordered operations, each answered by a proved receipt, and queries without a transaction.
//!
//! ```text
//! invoke_ordered(operation)   number it, sign it, submit it to node after node -> the proved receipt; many at a time, each once
//! read(key)                   a value of the state with its proof, from one node
//! invoke_unordered(query)     the same answer from enough validators that one of them is honest
//! ```
//!
//! Use one [`Service`] per account: it assigns the account's sequence numbers. Two programs that share an account may each find a sequence
//! number taken by the other; nothing is lost, but they slow each other down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use quorate_types::{
    codec,
    committee::Committee,
    crypto::SigningKey,
    failure::Failure,
    ids::{Address, TxId},
    receipt::Outcome,
    round::{Height, Sequence, UnixMillis},
    rpc::QueryView,
    transaction::Transaction,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Mutex as Turns, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    api,
    error::{ClientError, NotCommitted},
    http::Node,
    light::{Certificate, LightError},
    session::{Session, clock, is_final},
};
use quorate_terminal::escape_untrusted;

/// How often the account is read again, and the committee is followed for queries.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// Longest answer of an application, in bytes.
const APPLICATION_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Options of a [`Service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Most operations in flight; further calls wait. Pools bound the transactions of one account. With 1, each operation is sent when the
    /// one before it has ended.
    pub window: usize,
    /// How long a signed transaction is valid. An operation whose transaction is proved to have expired is signed again, until the call
    /// times out.
    pub valid_for: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self { window: 64, valid_for: Duration::from_secs(60) }
    }
}

/// See the [module](self).
pub struct Service {
    session: Session,
    key: SigningKey,
    options: ServiceOptions,
    window: Semaphore,
    /// Held from numbering until a node has accepted the transaction: a refused sequence number would block all later ones.
    turns: Turns<()>,
    numbers: Mutex<Numbers>,
    /// When a query last followed the committee.
    followed: Mutex<Option<Instant>>,
}

/// The account's sequence numbers.
#[derive(Debug, Default)]
struct Numbers {
    /// First one never assigned.
    next: Sequence,
    /// When the account was last read.
    looked: Option<Instant>,
    /// Assigned and returned unused.
    free: BTreeSet<Sequence>,
    /// Transactions of calls that ended with the outcome unknown. Later transactions wait for them, so they are resent.
    abandoned: BTreeMap<Sequence, Transaction>,
}

/// The outcome of an operation, from a proved receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked<T> {
    /// The application's answer, or why the operation had no effect.
    pub result: Result<T, Failure>,
    /// Id of the operation's transaction.
    pub tx_id: TxId,
    /// Certificate of its block.
    pub certificate: Certificate,
}

/// An answer that at least one honest validator gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed<T> {
    /// The answer.
    pub value: T,
    /// Height of the oldest state that an answer is from.
    pub height: Height,
    /// Number of nodes that gave it.
    pub nodes: usize,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// An error of the client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An operation or answer does not match this program's types.
    #[error("type mismatch with the application: {0}; use a program of the network's version")]
    Type(String),
    /// Enough nodes gave the same refusal that one of them is honest. A refusal does not say on which state: lagging nodes may refuse a query
    /// that a newer state answers.
    #[error("{nodes} nodes gave the same refusal: \"{}\" ({})", escape_untrusted(.message), escape_untrusted(.code))]
    Refused {
        /// Code of the refusal, the application's or the node's own.
        code: String,
        /// Message of one of them.
        message: String,
        /// Number of nodes that gave this refusal.
        nodes: usize,
    },
    /// Too few nodes gave the same answer in time.
    #[error("{most} of {asked} nodes gave the same answer, but {needed} are needed: {reason}")]
    NoAgreement {
        /// Most nodes that agreed.
        most: usize,
        /// Number of nodes asked.
        asked: usize,
        /// Number that must agree, so that one of them is honest.
        needed: usize,
        /// Why: too few nodes, or the timeout and the last error.
        reason: String,
    },
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("account", &self.address()).field("options", &self.options).finish_non_exhaustive()
    }
}

/// An assigned sequence number. If it is dropped without [`Self::used`] or [`Self::unused`], its transaction may be in flight.
struct Taken<'a> {
    numbers: &'a Mutex<Numbers>,
    transaction: Option<Transaction>,
}

impl Taken<'_> {
    /// Marks the sequence number as used.
    fn used(mut self) {
        self.transaction = None;
    }

    /// Returns the sequence number for reuse.
    fn unused(mut self) {
        if let Some(tx) = self.transaction.take() {
            lock(self.numbers).free.insert(tx.content().sequence);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.transaction.take() {
            lock(self.numbers).abandoned.insert(tx.content().sequence, tx);
        }
    }
}

fn lock(numbers: &Mutex<Numbers>) -> MutexGuard<'_, Numbers> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// A service for the account with this key.
    #[must_use]
    pub fn new(session: Session, key: SigningKey) -> Self {
        Self::with_options(session, key, ServiceOptions::default())
    }

    /// The same with `options`.
    #[must_use]
    pub fn with_options(session: Session, key: SigningKey, options: ServiceOptions) -> Self {
        let window = Semaphore::new(options.window.max(1));
        Self { session, key, options, window, turns: Turns::new(()), numbers: Mutex::default(), followed: Mutex::default() }
    }

    /// Address of the account.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(&self.key.public())
    }

    /// The underlying session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Executes an operation in chain order, exactly once, and returns its proved result. Calls may run concurrently; they are numbered in the
    /// order in which they get their turn. A call that is dropped or ends with [`ClientError::Unknown`] may still take effect.
    ///
    /// An operation is sent once a node has accepted the one before it, so a refused operation does not block later ones; all then wait for
    /// their commits concurrently. If nodes accept an operation and drop it later, later ones wait until it is resent, or until another call
    /// gets its sequence number.
    ///
    /// # Errors
    /// [`ServiceError`]. After [`ClientError::NotCommitted`] or [`ClientError::Unreachable`] the operation has no effect and never will.
    pub async fn invoke_ordered<O, A>(&self, operation: &O, timeout: Duration) -> Result<Invoked<A>, ServiceError>
    where
        O: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let payload = codec::try_encode(operation).map_err(|error| ServiceError::Type(error.to_string()))?;
        let Invoked { result, tx_id, certificate } = self.invoke_bytes(payload, timeout).await?;
        let result = match result {
            Ok(answer) => Ok(decode(&answer)?),
            Err(failure) => Err(failure),
        };
        Ok(Invoked { result, tx_id, certificate })
    }

    /// The same with encoded bytes.
    ///
    /// # Errors
    /// As above.
    pub async fn invoke_bytes(&self, payload: Vec<u8>, timeout: Duration) -> Result<Invoked<Vec<u8>>, ServiceError> {
        let deadline = Instant::now() + timeout;
        let late = || ClientError::Unreachable { tried: format!("timed out after {timeout:?} before it was sent") };
        let _permit = timeout_at(deadline, self.window.acquire()).await.map_err(|_| late())?;
        loop {
            let turn = timeout_at(deadline, self.turns.lock()).await.map_err(|_| late())?;
            let (taken, tx, earlier) = timeout_at(deadline, self.sign(&payload)).await.map_err(|_| late())??;
            let left = deadline.saturating_duration_since(Instant::now());
            // With a window of 1 no other call waits for the turn, so it is held to the end.
            let mut turn = (self.options.window > 1).then_some(turn);
            // The turn must last until it is settled what becomes of the sequence number: the next call must find it free.
            match self.session.submit_in_turn(&earlier, &tx, left, &mut turn).await {
                Ok(proven) => {
                    taken.used();
                    let (placed, certificate) = proven.into_parts();
                    let result = match placed.receipt.outcome {
                        Outcome::Applied(answer) => Ok(answer),
                        Outcome::Failed(failure) => Err(failure),
                    };
                    return Ok(Invoked { result, tx_id: tx.id(), certificate });
                }
                // No effect, now or later: the sequence number is free or used by another transaction, and the operation can be re-signed.
                Err(ClientError::NotCommitted { why, .. }) if Instant::now() < deadline => match why {
                    NotCommitted::Expired { .. } => taken.unused(),
                    NotCommitted::Replaced { .. } => taken.used(),
                },
                Err(error @ (ClientError::Unreachable { .. } | ClientError::Unknown { refused: true, .. })) => {
                    taken.unused();
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a sequence number and signs a transaction with it. Also returns earlier calls' transactions that it may have to wait for.
    async fn sign(&self, payload: &[u8]) -> Result<(Taken<'_>, Transaction, Vec<Transaction>), ServiceError> {
        if lock(&self.numbers).is_old() {
            let (committed, chain) = match self.session.account_verified(self.address()).await {
                Ok(proven) => (proven.value().sequence(), proven.certificate().header.timestamp),
                // Nothing is committed yet, so no sequence number is used.
                Err(ClientError::Unverified(LightError::NothingCommitted)) => (Sequence(0), UnixMillis(0)),
                Err(error) => return Err(error.into()),
            };
            lock(&self.numbers).settle(committed, chain);
        }
        let chain = self.session.seen().map_or(UnixMillis(0), |seen| seen.timestamp);
        let valid = u64::try_from(self.options.valid_for.as_millis()).unwrap_or(u64::MAX);
        let expires_at = UnixMillis(chain.max(clock()).0.saturating_add(valid));
        let mut numbers = lock(&self.numbers);
        let sequence = numbers.take();
        let earlier = numbers.abandoned.range(..sequence).map(|(_, tx)| tx.clone()).collect();
        let tx = Transaction::sign(self.session.light().genesis_hash(), &self.key, sequence, expires_at, payload.to_vec());
        Ok((Taken { numbers: &self.numbers, transaction: Some(tx.clone()) }, tx, earlier))
    }

    /// A proved value of the state; `None` if the key is missing. An application's `Item`s and `Map`s give their keys. Within a session the
    /// state never goes backwards.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn read<V: DeserializeOwned>(&self, key: &[u8]) -> Result<(Option<V>, Certificate), ServiceError> {
        let (value, certificate) = self.session.state_verified(key).await?.into_parts();
        Ok((value.map(|value| decode(&value)).transpose()?, certificate))
    }

    /// Sends a query to every node until enough of them give the same answer that at least one is honest, which takes more validators than
    /// may be faulty. So the nodes must belong to different validators. The last answer of each node counts, and silent nodes are not waited
    /// for. Answers on a state older than one proved before in the session do not count.
    ///
    /// # Errors
    /// [`ServiceError`]; [`ServiceError::Refused`] if that many nodes give the same refusal.
    pub async fn invoke_unordered<Q, F>(&self, question: &Q, timeout: Duration) -> Result<Agreed<F>, ServiceError>
    where
        Q: Serialize + ?Sized,
        F: DeserializeOwned,
    {
        let question = codec::try_encode(question).map_err(|error| ServiceError::Type(error.to_string()))?;
        let Agreed { value, height, nodes } = self.query_bytes(&question, timeout).await?;
        Ok(Agreed { value: decode(&value)?, height, nodes })
    }

    /// The same with encoded bytes.
    ///
    /// # Errors
    /// As above.
    pub async fn query_bytes(&self, question: &[u8], timeout: Duration) -> Result<Agreed<Vec<u8>>, ServiceError> {
        let deadline = Instant::now() + timeout;
        let needed = || answers_needed(&self.session.light().committee());
        let nodes: Vec<_> = self.session.client().nodes().collect();
        let asked = nodes.len();
        let none = |most, reason| ServiceError::NoAgreement { most, asked, needed: needed(), reason };
        if asked < needed() {
            return Err(none(0, format!("name at least {} nodes of different validators", needed())));
        }
        // No proof comes with an answer, so nothing else would show that another committee has to agree by now.
        let follow = self.is_to_follow();
        // Nodes are polled independently, so a silent one does not hold up the others.
        let session = &self.session;
        let first = |(index, node)| async move {
            if follow {
                // A node that shows nothing may still answer: the others show how the committee has changed.
                drop(session.follow_by(&node, None).await);
            }
            ask(index, node, question, Duration::ZERO).await
        };
        let mut asking: FuturesUnordered<_> = (0..).zip(nodes).map(first).map(FutureExt::boxed).collect();
        let mut words = Words { last: vec![None; asked], most: 0 };
        let mut reason = String::new();
        while let Ok(Some((index, node, answer))) = timeout_at(deadline, asking.next()).await {
            let seen = self.session.seen().map_or(Height(0), |seen| seen.height);
            let word = match answer {
                Ok((_, height)) if height < seen => {
                    reason = format!("; a node is at height {height}, but {seen} was proved before");
                    None
                }
                Ok((value, height)) => Some(Word { said: Ok(value), height, message: String::new() }),
                Err(error) => {
                    reason = format!("; {error}");
                    match error {
                        ClientError::Refused { ref code, ref message, .. } if is_final(&error) => {
                            // A refusal does not carry the node's height.
                            Some(Word { said: Err(code.clone()), height: seen, message: message.clone() })
                        }
                        _ => None,
                    }
                }
            };
            let (nodes, height) = words.add(index, word.clone(), seen);
            if nodes >= needed()
                && let Some(Word { said, message, .. }) = word
            {
                return match said {
                    Ok(value) => Ok(Agreed { value, height, nodes }),
                    Err(code) => Err(ServiceError::Refused { code, message, nodes }),
                };
            }
            asking.push(ask(index, node, question, self.session.pace().pause).boxed());
        }
        Err(none(words.most, format!("timed out after {timeout:?}{reason}")))
    }

    fn is_to_follow(&self) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = followed.is_none_or(|followed| followed.elapsed() > LOOK_AFTER);
        if is_old {
            *followed = Some(Instant::now());
        }
        is_old
    }
}

/// Sends a query to one node after a pause. Returns the node and its index with the answer.
async fn ask<'a>(
    index: usize,
    node: Node<'a>,
    question: &[u8],
    pause: Duration,
) -> (usize, Node<'a>, Result<(Vec<u8>, Height), ClientError>) {
    sleep(pause).await;
    let answer = node.post::<QueryView>(api::QUERY, question.to_vec()).await;
    (index, node, answer.and_then(|view| answered(&view, node.name())))
}

/// A node's response to a query.
#[derive(Clone)]
struct Word {
    /// The answer, or the refusal's code.
    said: Result<Vec<u8>, String>,
    height: Height,
    /// The refusal's message.
    message: String,
}

/// The last response of each node.
struct Words {
    last: Vec<Option<Word>>,
    /// Most nodes that have agreed so far.
    most: usize,
}

impl Words {
    /// Replaces a node's last response. Returns how many nodes agree with it, and the oldest of their heights.
    fn add(&mut self, index: usize, word: Option<Word>, seen: Height) -> (usize, Height) {
        if let Some(last) = self.last.get_mut(index) {
            last.clone_from(&word);
        }
        let Some(word) = word else { return (0, seen) };
        // An answer that was new enough when it arrived may no longer be.
        let alike = self.last.iter().flatten().filter(|last| last.said == word.said && (last.said.is_err() || last.height >= seen));
        let (nodes, height) = alike.fold((0usize, word.height), |(nodes, height), last| (nodes.saturating_add(1), height.min(last.height)));
        self.most = self.most.max(nodes);
        (nodes, height)
    }
}

impl Numbers {
    /// Whether the account must be read before a sequence number is assigned: at first, every [`LOOK_AFTER`], and while there are abandoned
    /// transactions.
    fn is_old(&self) -> bool {
        !self.abandoned.is_empty() || self.looked.is_none_or(|looked| looked.elapsed() > LOOK_AFTER)
    }

    /// Forgets what the chain has settled: used sequence numbers and expired transactions.
    fn settle(&mut self, committed: Sequence, chain: UnixMillis) {
        self.looked = Some(Instant::now());
        self.next = self.next.max(committed);
        self.free.retain(|number| *number >= committed);
        let expired: Vec<_> = self.abandoned.iter().filter(|(_, tx)| tx.content().expires_at <= chain).map(|(number, _)| *number).collect();
        for number in expired {
            self.abandoned.remove(&number);
            if number >= committed {
                self.free.insert(number);
            }
        }
        self.abandoned.retain(|number, _| *number >= committed);
    }

    /// The lowest usable sequence number.
    fn take(&mut self) -> Sequence {
        if let Some(free) = self.free.pop_first() {
            return free;
        }
        let next = self.next;
        self.next = next.next();
        next
    }
}

fn answered(view: &QueryView, node: &str) -> Result<(Vec<u8>, Height), ClientError> {
    let wrong = |reason: String| ClientError::Answer { node: node.to_owned(), reason };
    let bytes = hex::decode(&view.answer).map_err(|error| wrong(error.to_string()))?;
    Ok((bytes, view.height))
}

/// The least number of validators of which one is surely honest: even the weakest that many have more power than may be faulty.
/// Observers count, with no power: nothing bounds how many of them are faulty.
fn answers_needed(committee: &Committee) -> usize {
    let mut powers: Vec<u64> = committee.members().map(|(_, validator)| validator.power.0).collect();
    powers.sort_unstable();
    let total: u128 = powers.iter().map(|power| u128::from(*power)).sum();
    let faulty = total.saturating_sub(1) / 3;
    let mut sum = 0u128;
    let enough = powers.iter().position(|power| {
        sum = sum.saturating_add(u128::from(*power));
        sum > faulty
    });
    enough.map_or(powers.len(), |index| index.saturating_add(1))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    codec::decode(bytes, APPLICATION_ANSWER_BYTES_MAX).map_err(|error| ServiceError::Type(error.to_string()))
}

#[cfg(test)]
mod tests {
    use quorate_types::ids::GenesisHash;

    use super::*;

    fn numbers(next: u64) -> Numbers {
        Numbers { next: Sequence(next), ..Numbers::default() }
    }

    fn tx(sequence: u64, expires_at: u64) -> Transaction {
        let key = SigningKey::from_seed(&[1; 32]);
        Transaction::sign(GenesisHash::default(), &key, Sequence(sequence), UnixMillis(expires_at), vec![])
    }

    #[test]
    fn numbers_are_given_out_once_and_unused_ones_first() {
        let mut numbers = Numbers::default();
        assert!(numbers.is_old());
        numbers.settle(Sequence(5), UnixMillis(0));
        assert!(!numbers.is_old());
        let take = |numbers: &mut Numbers| numbers.take().0;
        assert_eq!([take(&mut numbers), take(&mut numbers), take(&mut numbers)], [5, 6, 7]);
        numbers.free.insert(Sequence(6));
        assert_eq!([take(&mut numbers), take(&mut numbers)], [6, 8]);
        // Another program has used sequence numbers in the meantime.
        numbers.settle(Sequence(20), UnixMillis(0));
        assert_eq!(numbers.take().0, 20);
    }

    #[test]
    fn what_the_chain_has_settled_is_forgotten() {
        let mut numbers = numbers(9);
        numbers.free = BTreeSet::from([Sequence(3), Sequence(6)]);
        for (sequence, expires_at) in [(4, 50), (5, 50), (7, 100), (8, 200)] {
            numbers.abandoned.insert(Sequence(sequence), tx(sequence, expires_at));
        }
        numbers.settle(Sequence(5), UnixMillis(100));
        assert_eq!(numbers.free, BTreeSet::from([Sequence(5), Sequence(6), Sequence(7)]));
        assert_eq!(numbers.abandoned.keys().copied().collect::<Vec<_>>(), [Sequence(8)]);
    }

    #[test]
    fn a_number_goes_where_its_call_ends() {
        let all = Mutex::new(numbers(9));
        let taken = |sequence| Taken { numbers: &all, transaction: Some(tx(sequence, 9)) };
        taken(1).used();
        taken(2).unused();
        drop(taken(3));
        let numbers = all.into_inner().unwrap();
        assert_eq!(numbers.free, BTreeSet::from([Sequence(2)]));
        assert_eq!(numbers.abandoned.keys().copied().collect::<Vec<_>>(), [Sequence(3)]);
    }
}
