//! An account that uses a replicated service: operations in the order of the chain, each answered by a proved receipt, and questions without
//! a transaction.
//!
//! ```text
//! invoke_ordered(operation)   number it, sign it, give it to node after node -> the proved receipt; many at a time, each once
//! read(key)                   a value of the state with its proof, from one node
//! invoke_unordered(question)  the same answer from so many validators that one of them is honest
//! ```
//!
//! One account has one [`Service`]: it gives out the account's numbers. Where two programs share an account, each may find a number taken by
//! the other; nothing is lost by that, but they slow each other down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use quorate_types::{
    codec,
    crypto::SigningKey,
    failure::Failure,
    genesis::Genesis,
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
use quorate_terminal::foreign;

/// After how long the account is looked at again.
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// Longest answer of an application, in bytes.
const APPLICATION_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How a [`Service`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Most operations on their way at a time; further calls wait. A pool holds a bounded number of each account. With 1 each operation is
    /// sent when the one before it has ended.
    pub window: usize,
    /// How long one signed transaction is valid. When it was proved to have expired, the operation is signed again, until its call's time is
    /// over.
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
    /// Who has it may number and send. Held until a node has accepted what was sent: a number that is refused would hold up all after it.
    turns: Turns<()>,
    numbers: Mutex<Numbers>,
}

/// The numbers of the account.
#[derive(Debug, Default)]
struct Numbers {
    /// The first that was never given out.
    next: Sequence,
    /// When the account was looked at last.
    looked: Option<Instant>,
    /// Given out, and not used.
    free: BTreeSet<Sequence>,
    /// Of calls that ended without knowing what became of their transaction. Later ones wait for it, so it is sent again when they wait.
    abandoned: BTreeMap<Sequence, Transaction>,
}

/// What became of an operation, by a proved receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked<T> {
    /// The application's answer, or why the operation had no effect.
    pub result: Result<T, Failure>,
    /// The transaction.
    pub tx_id: TxId,
    /// By whom its block is certified.
    pub certificate: Certificate,
}

/// An answer that at least one honest validator gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed<T> {
    /// The answer.
    pub value: T,
    /// The oldest of the states that the answers were given on.
    pub height: Height,
    /// How many gave it.
    pub nodes: usize,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// See the error.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is sent or came back is not of the types of this program.
    #[error("not of the application's types: {0}; use a program of the network's version")]
    Type(String),
    /// So many validators refuse the question alike that one of them is honest. On which states they do, a refusal does not say: nodes that
    /// are behind may refuse what newer states would answer.
    #[error("{nodes} nodes refuse the question alike: \"{}\" ({})", foreign(.message), foreign(.code))]
    Refused {
        /// The stable word that they gave, the application's own or the node's.
        code: String,
        /// The sentence of one of them.
        message: String,
        /// How many refuse alike.
        nodes: usize,
    },
    /// Too few of the nodes gave the same answer in time.
    #[error("{most} of {asked} nodes gave the same answer, {needed} are needed: {reason}")]
    NoAgreement {
        /// The most that agreed.
        most: usize,
        /// How many were asked.
        asked: usize,
        /// How many have to agree, so that one of them is honest.
        needed: usize,
        /// The last thing that went wrong.
        reason: String,
    },
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("account", &self.address()).field("options", &self.options).finish_non_exhaustive()
    }
}

/// A number that was given out. Dropped without a word, its call was cancelled, and its transaction may be on its way.
struct Taken<'a> {
    numbers: &'a Mutex<Numbers>,
    transaction: Option<Transaction>,
}

impl Taken<'_> {
    /// The number is used.
    fn used(mut self) {
        self.transaction = None;
    }

    /// The number was not used, and can be given out again.
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
    /// The service of a network for an account.
    #[must_use]
    pub fn new(session: Session, key: SigningKey) -> Self {
        Self::with_options(session, key, ServiceOptions::default())
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(session: Session, key: SigningKey, options: ServiceOptions) -> Self {
        Self { session, key, options, window: Semaphore::new(options.window.max(1)), turns: Turns::new(()), numbers: Mutex::default() }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(&self.key.public())
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Has an operation executed in the order of the chain, once, and returns its proved result. Calls may run at the same time; they are
    /// numbered in the order in which they get their turn. A call that is dropped, and one that ends with [`ClientError::Unknown`], may still
    /// take effect.
    ///
    /// An operation is sent when a node has accepted the one before it, so that one that the nodes refuse holds up none after it; they wait
    /// for their commits together. Where nodes accept an operation and drop it later, those after it wait until it is sent again, or another
    /// call gets its number.
    ///
    /// # Errors
    /// [`ServiceError`]. With [`ClientError::NotCommitted`] and [`ClientError::Unreachable`] the operation has no effect and never will.
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

    /// The same in the bytes of the chain.
    ///
    /// # Errors
    /// As above.
    pub async fn invoke_bytes(&self, payload: Vec<u8>, timeout: Duration) -> Result<Invoked<Vec<u8>>, ServiceError> {
        let deadline = Instant::now() + timeout;
        let late = || ClientError::Unreachable { tried: format!("{timeout:?} have passed before it was sent") };
        let _permit = timeout_at(deadline, self.window.acquire()).await.map_err(|_| late())?;
        loop {
            let turn = timeout_at(deadline, self.turns.lock()).await.map_err(|_| late())?;
            let (taken, tx, earlier) = timeout_at(deadline, self.sign(&payload)).await.map_err(|_| late())??;
            let left = deadline.saturating_duration_since(Instant::now());
            // Where one operation is on its way at a time, nobody waits for the turn.
            let mut turn = (self.options.window > 1).then_some(turn);
            // Not over before it is settled what becomes of the number: the next one to number must find it free.
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
                // It has no effect and never will: its number is free, or somebody else's, and the operation can be signed again.
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

    /// Takes a number and signs for it. With the transactions of earlier calls that it may have to wait for.
    async fn sign(&self, payload: &[u8]) -> Result<(Taken<'_>, Transaction, Vec<Transaction>), ServiceError> {
        if lock(&self.numbers).is_old() {
            let (committed, chain) = match self.session.account_verified(self.address()).await {
                Ok(proven) => (proven.value().sequence(), proven.certificate().header.timestamp),
                // Nobody has signed anything yet, so no number is used.
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

    /// A value of the state, proved, by its key; `None` where there is none. The `Item`s and `Map`s of an application tell their keys.
    /// Within a session the state never gets older.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn read<V: DeserializeOwned>(&self, key: &[u8]) -> Result<(Option<V>, Certificate), ServiceError> {
        let (value, certificate) = self.session.state_verified(key).await?.into_parts();
        Ok((value.map(|value| decode(&value)).transpose()?, certificate))
    }

    /// Puts a question to the application on every node, until so many give the same answer that at least one of them is honest: more than
    /// the validators that may fail. So the nodes have to be of different validators. Of each node the last answer counts, and none is waited
    /// for when the others are enough. Within a session answers on older states than what was proved before do not count.
    ///
    /// # Errors
    /// [`ServiceError`]; [`ServiceError::Refused`] when so many refuse it alike.
    pub async fn invoke_unordered<Q, F>(&self, question: &Q, timeout: Duration) -> Result<Agreed<F>, ServiceError>
    where
        Q: Serialize + ?Sized,
        F: DeserializeOwned,
    {
        let question = codec::try_encode(question).map_err(|error| ServiceError::Type(error.to_string()))?;
        let Agreed { value, height, nodes } = self.query_bytes(&question, timeout).await?;
        Ok(Agreed { value: decode(&value)?, height, nodes })
    }

    /// The same in the application's bytes.
    ///
    /// # Errors
    /// As above.
    pub async fn query_bytes(&self, question: &[u8], timeout: Duration) -> Result<Agreed<Vec<u8>>, ServiceError> {
        let deadline = Instant::now() + timeout;
        let needed = answers_needed(self.session.light().genesis());
        let nodes: Vec<_> = self.session.client().nodes().collect();
        let asked = nodes.len();
        let none = |most, reason| ServiceError::NoAgreement { most, asked, needed, reason };
        if asked < needed {
            return Err(none(0, format!("name {needed} nodes of different validators or more")));
        }
        // Each node is asked again by itself, so that a silent one keeps nobody from it.
        let mut asking: FuturesUnordered<_> = (0..).zip(nodes).map(|(index, node)| ask(index, node, question, Duration::ZERO)).collect();
        let mut words = Words { last: vec![None; asked], most: 0 };
        let mut reason = String::new();
        while let Ok(Some((index, node, answer))) = timeout_at(deadline, asking.next()).await {
            let seen = self.session.seen().map_or(Height(0), |seen| seen.height);
            let word = match answer {
                Ok((_, height)) if height < seen => {
                    reason = format!("; a node is at height {height}, and {seen} was proved before");
                    None
                }
                Ok((value, height)) => Some(Word { said: Ok(value), height, message: String::new() }),
                Err(error) => {
                    reason = format!("; {error}");
                    match error {
                        ClientError::Refused { ref code, ref message, .. } if is_final(&error) => {
                            // Where it stands it does not say.
                            Some(Word { said: Err(code.clone()), height: seen, message: message.clone() })
                        }
                        _ => None,
                    }
                }
            };
            let (nodes, height) = words.add(index, word.clone(), seen);
            if nodes >= needed
                && let Some(Word { said, message, .. }) = word
            {
                return match said {
                    Ok(value) => Ok(Agreed { value, height, nodes }),
                    Err(code) => Err(ServiceError::Refused { code, message, nodes }),
                };
            }
            asking.push(ask(index, node, question, self.session.pace().pause));
        }
        Err(none(words.most, format!("{timeout:?} have passed{reason}")))
    }
}

/// Puts a question to one node after a pause. With the node's number among those who are asked.
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

/// What a node said to a question.
#[derive(Clone)]
struct Word {
    /// The answer, or the code of the refusal.
    said: Result<Vec<u8>, String>,
    height: Height,
    /// The sentence of a refusal.
    message: String,
}

/// What the nodes said last.
struct Words {
    last: Vec<Option<Word>>,
    /// The most that agreed so far.
    most: usize,
}

impl Words {
    /// Takes a node's new word in the place of its last one. How many say the same, and the oldest of their states.
    fn add(&mut self, index: usize, word: Option<Word>, seen: Height) -> (usize, Height) {
        if let Some(last) = self.last.get_mut(index) {
            last.clone_from(&word);
        }
        let Some(word) = word else { return (0, seen) };
        // What was new enough when it came may not be any more.
        let alike = self.last.iter().flatten().filter(|last| last.said == word.said && (last.said.is_err() || last.height >= seen));
        let (nodes, height) = alike.fold((0usize, word.height), |(nodes, height), last| (nodes.saturating_add(1), height.min(last.height)));
        self.most = self.most.max(nodes);
        (nodes, height)
    }
}

impl Numbers {
    /// Whether the account is to be looked at before a number is given out: the first time, now and then, and while nobody knows what became
    /// of a transaction.
    fn is_old(&self) -> bool {
        !self.abandoned.is_empty() || self.looked.is_none_or(|looked| looked.elapsed() > LOOK_AFTER)
    }

    /// Forgets what the chain has settled: numbers that are used, and transactions that have expired.
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

    /// The lowest number that can be used.
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

/// The least number of validators of which one is honest, whichever they are: the weakest ones have more power than may fail.
fn answers_needed(genesis: &Genesis) -> usize {
    let mut powers: Vec<u64> = genesis.validators.iter().map(|entry| entry.validator.power.0).collect();
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
        // Another program has used numbers meanwhile.
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
