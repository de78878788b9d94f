//! An account's transactions, each with its proof, oldest first.
//!
//! ```text
//! node's events ──> ids ──> the transaction's bytes: do they hash to the id, is the sender the account, is the number the next one?
//!                       └─> its receipt's proof
//! ```
//! Events prove nothing, but they need not: an account's transactions are numbered without gaps. A node that leaves one out is noticed, and the
//! next node is asked. What a node says of itself moves no other node: each is asked from where it was, or from the last proved transaction. So
//! a node that lies costs its turns, and one honest node is enough.

use std::{collections::VecDeque, time::Duration};

use quorate_types::{
    event::TransactionsEvent,
    ids::{Address, TxId},
    round::{Height, Sequence},
    state_key::AccountRecord,
    transaction::{TRANSACTION_BYTES_MAX, Transaction},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api,
    error::ClientError,
    http::{Events, Node},
    light::{PlacedReceipt, Proven},
    session::Session,
};

/// A turn without a transaction ends after this many times [`crate::Pace::patience`], and the next node is asked.
const TURN: u32 = 6;
/// How long a history that waits goes on while no node answers.
const OUTAGE_MAX: Duration = Duration::from_secs(60);

/// A committed transaction.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What its sender signed.
    pub transaction: Transaction,
    /// What became of it.
    pub receipt: Proven<PlacedReceipt>,
}

/// An account's transactions: [`Session::history`].
#[derive(Debug)]
pub struct History<'a> {
    session: &'a Session,
    account: Address,
    start: Height,
    /// The number of the next transaction; unknown at the beginning of a history that does not begin with the chain.
    next: Option<Sequence>,
    /// A proved state of the account: its height, and the number of the transaction that would be the next one.
    known: (Height, Sequence),
    /// Height of the last transaction returned.
    proved: Height,
    /// One for each node.
    sources: Vec<Source>,
    turn: usize,
}

/// What a node has told.
#[derive(Debug, Default)]
struct Source {
    /// How far it says that it has looked.
    looked: Option<Height>,
    stream: Option<Events>,
    /// Transactions that are to be fetched.
    told: VecDeque<TxId>,
    /// It says that there is no transaction at all.
    denies: bool,
}

impl Session {
    /// An account's transactions in blocks from a height on. `account` is a proved state of the account; a node that has looked further than that and
    /// has not shown all transactions before it is not believed. From height 0 on, no transaction before the last one returned is left out. From
    /// another height on, none after the first one returned; which one is the first is the nodes' word.
    #[must_use]
    pub fn history(&self, address: Address, from: Height, account: &Proven<AccountRecord>) -> History<'_> {
        let sources = std::iter::repeat_with(Source::default).take(self.client().len()).collect();
        History {
            session: self,
            account: address,
            start: from,
            next: (from.0 == 0).then_some(Sequence(0)),
            known: (account.certificate().header.height, account.value().sequence()),
            proved: from,
            sources,
            turn: 0,
        }
    }
}

impl History<'_> {
    /// The next transaction. Without `wait`, `None` after the last one before the known state of the account; with `wait`, it waits for those after
    /// that, too.
    ///
    /// # Errors
    /// A node's [`ClientError`], if all nodes in turn were asked and none showed the next transaction; with `wait`, if that lasts for a minute.
    pub async fn next(&mut self, wait: bool) -> Result<Option<Sent>, ClientError> {
        let turn = self.session.pace().patience.saturating_mul(TURN);
        let mut since = Instant::now();
        let mut failures = 0usize;
        loop {
            if !wait && self.is_complete() {
                return Ok(None);
            }
            let looked = self.source().looked;
            let answer = timeout(turn, self.ask(wait)).await;
            let has_progressed = self.source().looked > looked;
            let error = match answer {
                Ok(Ok(Some(sent))) => {
                    self.next = Some(sent.transaction.content().sequence.next());
                    self.proved = sent.receipt.certificate().header.height;
                    return Ok(Some(sent));
                }
                Ok(Err(error)) => Some(error),
                Err(_) if !wait && !has_progressed => Some(self.node().answer("it makes no progress")),
                // It denies, or its turn is over.
                Ok(Ok(None)) | Err(_) => None,
            };
            match error {
                Some(error) => {
                    *self.source() = Source::default();
                    failures = failures.saturating_add(1);
                    if failures >= self.sources.len() {
                        if !wait || since.elapsed() > OUTAGE_MAX {
                            return Err(error);
                        }
                        sleep(self.session.pace().pause).await;
                    }
                }
                None if has_progressed || wait => (failures, since) = (0, Instant::now()),
                None => {}
            }
            self.turn = self.turn.saturating_add(1).checked_rem(self.sources.len()).unwrap_or_default();
        }
    }

    /// Whether all transactions before the known state were returned. In a part of the chain that has none, all nodes must say so.
    fn is_complete(&self) -> bool {
        self.next.map_or_else(|| self.sources.iter().all(|source| source.denies), |next| next >= self.known.1)
    }

    fn node(&self) -> Node<'_> {
        self.session.client().node(self.turn)
    }

    fn source(&mut self) -> &mut Source {
        &mut self.sources[self.turn]
    }

    /// Asks the node whose turn it is for the next transaction; `None` if it says that there is none.
    async fn ask(&mut self, wait: bool) -> Result<Option<Sent>, ClientError> {
        loop {
            // Taken out only when it was fetched: a turn may end in between.
            if let Some(id) = self.source().told.front().copied() {
                let fetched = self.fetch(id).await?;
                self.source().told.pop_front();
                if fetched.is_some() {
                    return Ok(fetched);
                }
                continue;
            }
            let (known, next) = (self.known, self.next);
            if self.source().looked >= Some(known.0) {
                match next {
                    Some(next) if next < known.1 => return Err(self.leaves_out(next)),
                    None if !wait => {
                        self.source().denies = true;
                        return Ok(None);
                    }
                    _ => {}
                }
            }
            self.read().await?;
        }
    }

    /// Reads the node's next event.
    async fn read(&mut self) -> Result<(), ClientError> {
        let proved = self.proved;
        let from = self.source().looked.unwrap_or(proved);
        if self.source().stream.is_none() {
            let opened = self.node().events(&api::account_events(self.account, from)).await?;
            self.source().stream = Some(opened);
        }
        let event = match &mut self.source().stream {
            Some(stream) => stream.next().await?,
            None => None,
        };
        // A node that stops ends its streams.
        let event = event.ok_or_else(|| self.node().answer("it has ended the stream of events"))?;
        if event.name == "transactions" {
            let TransactionsEvent { transactions, .. } =
                serde_json::from_str(&event.data).map_err(|error| self.node().answer(&error.to_string()))?;
            self.source().told.extend(transactions.iter().map(|transaction| transaction.tx_id));
        }
        if let Some(last) = event.id {
            self.source().looked = Some(Height(last));
        }
        Ok(())
    }

    /// The transaction with this id, if it is the next one.
    async fn fetch(&self, id: TxId) -> Result<Option<Sent>, ClientError> {
        let node = self.node();
        let bytes = node.bytes(&api::transaction_raw(id), TRANSACTION_BYTES_MAX).await?;
        let transaction = Transaction::decode(bytes.into()).map_err(|error| node.answer(&error.to_string()))?;
        if transaction.id() != id || transaction.sender() != self.account {
            return Err(node.answer("it sent another transaction than the one asked for"));
        }
        let number = transaction.content().sequence;
        match self.next {
            // Returned already.
            Some(next) if number < next => return Ok(None),
            Some(next) if number > next => return Err(self.leaves_out(next)),
            _ => {}
        }
        let receipt = self.session.transaction(id).await?;
        if receipt.certificate().header.height < self.start {
            return Err(node.answer("it sent a transaction from before the height asked for"));
        }
        Ok(Some(Sent { transaction, receipt }))
    }

    fn leaves_out(&self, number: Sequence) -> ClientError {
        self.node().answer(&format!("it leaves out the account's transaction number {number}"))
    }
}
