//! An account's transactions, each with its proof, oldest first.
//!
//! ```text
//! node's events ──> ids ──> the transaction's bytes: do they hash to the id, is the sender the account, is the number the next one?
//!                       └─> its receipt's proof
//! ```
//! Events prove nothing, but they need not: an account's transactions are numbered without gaps. A node that leaves one out is noticed, and the
//! next node is asked.

use std::{collections::VecDeque, time::Duration};

use quorate_types::{
    event::TransactionsEvent,
    ids::{Address, TxId},
    round::{Height, Sequence},
    state_key::AccountRecord,
    transaction::{TRANSACTION_BYTES_MAX, Transaction},
};
use tokio::time::{sleep, timeout};

use crate::{
    api,
    error::ClientError,
    http::Events,
    light::{PlacedReceipt, Proven},
    session::Session,
};

/// How long a node may send nothing: three times its pause between signs of life.
const SILENCE_MAX: Duration = Duration::from_secs(45);

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
    /// Height from which a node is asked for events.
    from: Height,
    /// The number of the next transaction; unknown at the beginning of a history that does not begin with the chain.
    next: Option<Sequence>,
    /// The node that is asked: an index into the session's nodes.
    turn: usize,
    stream: Option<Events>,
    /// Transactions that the node has told.
    told: VecDeque<TxId>,
    /// A proved state of the account: its height, and the number of the transaction that would be the next one.
    known: (Height, Sequence),
    /// How far the node has looked.
    looked: Option<Height>,
}

impl Session {
    /// An account's transactions in blocks from a height on. `account` is a proved state of the account; a node that has looked further than that and
    /// has not shown all transactions before it is not believed. From height 0 on, no transaction before the last one returned is left out; from
    /// another height on, none after the first one returned.
    #[must_use]
    pub fn history(&self, address: Address, from: Height, account: &Proven<AccountRecord>) -> History<'_> {
        let next = (from.0 == 0).then_some(Sequence(0));
        let known = (account.certificate().header.height, account.value().sequence());
        History { session: self, account: address, from, next, turn: 0, stream: None, told: VecDeque::new(), known, looked: None }
    }
}

impl History<'_> {
    /// The next transaction. Without `wait`, `None` after the last one before the known state of the account; with `wait`, it waits for those after
    /// that, too.
    ///
    /// # Errors
    /// The last node's [`ClientError`], if all nodes in turn were asked and none showed the next transaction.
    pub async fn next(&mut self, wait: bool) -> Result<Option<Sent>, ClientError> {
        let nodes = self.session.client().len();
        // Nodes that failed, and nodes that say that there is nothing.
        let (mut failures, mut denials) = (0usize, 0usize);
        loop {
            let (height, sequence) = self.known;
            if !wait && self.next.is_some_and(|next| next >= sequence) {
                return Ok(None);
            }
            if !wait && self.next.is_none() && self.told.is_empty() && self.looked >= Some(height) {
                // Nothing proves it, so all nodes must agree.
                denials = denials.saturating_add(1);
                if failures.saturating_add(denials) >= nodes {
                    return Ok(None);
                }
                self.leave_node();
            }
            match self.advance().await {
                Ok(Some(sent)) => {
                    self.next = Some(sent.transaction.content().sequence.next());
                    return Ok(Some(sent));
                }
                Ok(None) => {}
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures.saturating_add(denials) >= nodes {
                        return if denials > 0 { Ok(None) } else { Err(error) };
                    }
                    self.leave_node();
                }
            }
        }
    }

    /// Goes on with the next node.
    fn leave_node(&mut self) {
        (self.stream, self.told, self.looked) = (None, VecDeque::new(), None);
        self.turn = self.turn.wrapping_add(1);
    }

    /// Reads what the node tells next.
    async fn advance(&mut self) -> Result<Option<Sent>, ClientError> {
        if let Some(id) = self.told.pop_front() {
            return self.fetch(id).await;
        }
        let client = self.session.client();
        let node = client.node(self.turn);
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(node.events(&api::account_events(self.account, self.from)).await?),
        };
        let event = timeout(SILENCE_MAX, stream.next()).await.map_err(|_| node.answer("it has stopped sending events"))??;
        let Some(event) = event else {
            // A node that stops ends its streams.
            sleep(self.session.pace().pause).await;
            return Err(node.answer("it has ended the stream of events"));
        };
        if event.name == "transactions" {
            let TransactionsEvent { transactions, .. } =
                serde_json::from_str(&event.data).map_err(|error| node.answer(&error.to_string()))?;
            self.told.extend(transactions.iter().map(|transaction| transaction.tx_id));
        }
        if let Some(last) = event.id {
            // If this node fails while its last transactions are fetched, the next one is asked for the block again.
            (self.from, self.looked) = (Height(last), Some(Height(last)));
            let (height, sequence) = self.known;
            if let Some(next) = self.next.filter(|next| last >= height.0 && self.told.is_empty() && *next < sequence) {
                return Err(node.answer(&format!("it leaves out the account's transaction number {next}")));
            }
        }
        Ok(None)
    }

    /// The transaction with this id, if it is the next one.
    async fn fetch(&self, id: TxId) -> Result<Option<Sent>, ClientError> {
        let node = self.session.client().node(self.turn);
        let bytes = node.bytes(&api::transaction_raw(id), TRANSACTION_BYTES_MAX).await?;
        let transaction = Transaction::decode(bytes.into()).map_err(|error| node.answer(&error.to_string()))?;
        if transaction.id() != id || transaction.sender() != self.account {
            return Err(node.answer("it sent another transaction than the one asked for"));
        }
        let number = transaction.content().sequence;
        match self.next {
            // Told already, by a node before.
            Some(next) if number < next => return Ok(None),
            Some(next) if number > next => return Err(node.answer(&format!("it leaves out the account's transaction number {next}"))),
            _ => {}
        }
        let receipt = self.session.transaction(id).await?;
        Ok(Some(Sent { transaction, receipt }))
    }
}
