//! A client together with a light client: ask any node, believe none.
//!
//! ```text
//! account, value     node after node until a proof is good, new enough by what was proved before, and of a recent time
//! transaction        the same signed bytes to node after node, until one proves the receipt
//!                    or an account's proof settles that it never will be committed; else the outcome is unknown
//! ```
//! Refusals, statuses, heights, sequence numbers and texts that come without proof decide nothing here; they are quoted where nothing better
//! is known.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::join_all;
use quorate_types::{
    ids::{Address, TxId},
    round::{Height, Round, Sequence, UnixMillis},
    rpc::{AccountView, ProofView, StateView, TransactionStatus},
    state_key::AccountRecord,
    transaction::Transaction,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    api,
    error::{ClientError, NotCommitted},
    http::{ANSWER_TIMEOUT, Client, Node, Unsubmitted, spread},
    light::{Certificate, LightClient, LightError, PlacedReceipt, Proven},
};
use quorate_terminal::foreign;

/// How many heartbeats of the chain a state may be old by this machine's clock before other nodes are asked for a newer one.
const HEARTBEATS_UNTIL_OLD: u64 = 3;
/// After how many turns in which every node refuses a transaction the wait ends.
const REFUSALS_MAX: u32 = 2;
/// How often all nodes are asked for the proof of a transaction whose number is used, before it is given up.
const USED_MAX: u32 = 3;

/// How long a session waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause between two turns through the nodes.
    pub pause: Duration,
    /// How long one node may take over a transaction before the next one is given it as well; and how long nodes that are behind are given
    /// to catch up with what was proved before.
    pub patience: Duration,
}

impl Pace {
    /// For people and real networks.
    pub const USUAL: Self = Self { pause: Duration::from_millis(250), patience: Duration::from_secs(5) };
}

impl Default for Pace {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The newest block that was proved. A proof of an older one is true and no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its height.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// Its time.
    pub timestamp: UnixMillis,
}

impl From<&Certificate> for Seen {
    fn from(certificate: &Certificate) -> Self {
        let header = &certificate.header;
        Self { height: header.height, round: header.round, timestamp: header.timestamp }
    }
}

/// What can be proved of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the chain.
    Committed(Box<Proven<PlacedReceipt>>),
    /// It is not in the chain, and never will be.
    Never(NotCommitted),
    /// Its number is used, by it or by another transaction; no node proves by which.
    Used {
        /// The sender's next number.
        next: Sequence,
    },
    /// It may still be committed.
    Open {
        /// The sender's next number: it waits for all from this one to its own.
        next: Sequence,
    },
}

/// Asks nodes and checks their answers.
#[derive(Debug)]
pub struct Session {
    client: Client,
    light: LightClient,
    pace: Pace,
    seen: Mutex<Option<Seen>>,
}

/// What goes on while a transaction is followed: what can be told when the time is over.
#[derive(Default)]
struct Followed {
    is_sent: bool,
    /// The last words of a node.
    words: Option<String>,
    /// What its sender's proved account says.
    fate: Option<Fate>,
}

impl Session {
    /// A session with these nodes of the light client's network.
    #[must_use]
    pub const fn new(client: Client, light: LightClient) -> Self {
        Self { client, light, pace: Pace::USUAL, seen: Mutex::new(None) }
    }

    /// The same at another pace.
    #[must_use]
    pub const fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same, which takes no state for the current one that is older than what was proved before.
    #[must_use]
    pub fn remembering(self, seen: Option<Seen>) -> Self {
        self.recall(seen);
        self
    }

    /// Learns what was proved elsewhere meanwhile.
    pub fn recall(&self, seen: Option<Seen>) {
        let mut memory = self.memory();
        *memory = memory.into_iter().chain(seen).max_by_key(|seen| seen.height);
    }

    /// The newest that was proved so far, in this session or before it.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        *self.memory()
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The light client.
    #[must_use]
    pub const fn light(&self) -> &LightClient {
        &self.light
    }

    /// The pause between two looks.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    fn memory(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn<T>(&self, proven: &Proven<T>) {
        self.recall(Some(Seen::from(proven.certificate())));
    }

    /// Submits a transaction, waits until it is committed, and checks the proof of its receipt. A failed transaction is a receipt too.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when it was not sent; [`ClientError::NotCommitted`] when it is proved that it never will be in the chain;
    /// [`ClientError::Unknown`] when `timeout` passed first, or every node refuses it, whose word proves nothing.
    pub async fn submit_and_verify(&self, tx: &Transaction, timeout: Duration) -> Result<Proven<PlacedReceipt>, ClientError> {
        self.submit_after(&[], tx, timeout).await
    }

    /// The same for a transaction that waits for these of the same sender, which were sent before: should the nodes have lost them, they
    /// are sent again, unchanged.
    ///
    /// # Errors
    /// As above.
    pub async fn submit_after(
        &self,
        earlier: &[Transaction],
        tx: &Transaction,
        timeout: Duration,
    ) -> Result<Proven<PlacedReceipt>, ClientError> {
        self.submit_in_turn(earlier, tx, timeout, &mut None::<()>).await
    }

    /// The same, for a sender who has more to send: `turn` is dropped as soon as a node has taken the transaction into its pool, so that the
    /// next one never waits in the pools for a number that all nodes refuse.
    pub(crate) async fn submit_in_turn<T: Send>(
        &self,
        earlier: &[Transaction],
        tx: &Transaction,
        timeout: Duration,
        turn: &mut Option<T>,
    ) -> Result<Proven<PlacedReceipt>, ClientError> {
        let mut followed = Followed::default();
        let deadline = Instant::now() + timeout;
        let result = timeout_at(deadline, async {
            if turn.is_some() && self.is_accepted(tx, deadline, &mut followed).await {
                *turn = None;
            }
            self.follow(earlier, tx, deadline, &mut followed).await
        })
        .await;
        result.unwrap_or_else(|_| Err(followed.unknown(tx, &format!("{timeout:?} have passed"), false)))
    }

    /// Gives a transaction to node after node until one has taken it into its pool. That is the node's word, on which nothing hangs but when
    /// the next transaction is sent.
    async fn is_accepted(&self, tx: &Transaction, deadline: Instant, followed: &mut Followed) -> bool {
        // The other half of the time is for those who do not take it.
        let deadline = deadline - deadline.saturating_duration_since(Instant::now()) / 2;
        for (asked, node) in self.client.nodes().enumerate() {
            let wait = self.pace.patience.min(self.part(deadline, asked));
            match node.offer(tx, wait).await {
                Ok(is_accepted) => {
                    followed.is_sent = true;
                    if is_accepted {
                        node.prefer();
                        return true;
                    }
                }
                Err(unsubmitted) => {
                    followed.is_sent |= !unsubmitted.is_unsent;
                    followed.words = Some(unsubmitted.error.to_string());
                }
            }
        }
        false
    }

    /// The part of the time that is left for one of the nodes, so that a silent one does not keep the others from being asked.
    fn part(&self, deadline: Instant, asked: usize) -> Duration {
        let parts = u32::try_from(self.client.len().saturating_sub(asked)).unwrap_or(u32::MAX).max(1);
        deadline.saturating_duration_since(Instant::now()).checked_div(parts).unwrap_or_default()
    }

    async fn follow(
        &self,
        earlier: &[Transaction],
        tx: &Transaction,
        deadline: Instant,
        followed: &mut Followed,
    ) -> Result<Proven<PlacedReceipt>, ClientError> {
        let (mut turn, mut refusals, mut used) = (0usize, 0u32, 0u32);
        loop {
            let mut is_refused_by_all = true;
            // When nodes want to be asked again: `None` from one that is not too busy.
            let mut retry_after = Vec::new();
            let mut tried = Vec::new();
            for (asked, node) in self.client.nodes().enumerate() {
                let part = self.part(deadline, asked);
                let wait = self.pace.patience.min(part / 2);
                match node.submit(tx, wait, wait.saturating_add(ANSWER_TIMEOUT).min(part)).await {
                    Ok(submitted) => {
                        (followed.is_sent, is_refused_by_all) = (true, false);
                        retry_after.push(None);
                        if let Some(proven) = submitted.proof.and_then(|proof| self.light.transaction(tx.id(), &proof).ok()) {
                            self.learn(&proven);
                            node.prefer();
                            return Ok(proven);
                        }
                        followed.words = Some(format!("{} says that it is {}", node.name(), word(&submitted.status)));
                    }
                    Err(unsubmitted) => {
                        followed.is_sent |= !unsubmitted.is_unsent;
                        is_refused_by_all &= is_final(&unsubmitted.error);
                        if let ClientError::Unreachable { tried: reason } = &unsubmitted.error {
                            tried.push(reason.clone());
                        }
                        followed.words = Some(unsubmitted.error.to_string());
                        if unsubmitted.is_unsent {
                            continue;
                        }
                        retry_after.push(unsubmitted.retry_after);
                    }
                }
                if let Ok((proven, _)) = self.receipt_at(&node, tx.id()).await {
                    return Ok(proven);
                }
            }
            if !followed.is_sent {
                return Err(ClientError::Unreachable { tried: tried.join(", ") });
            }
            match self.fate_by_account(tx).await {
                Ok(Fate::Never(why)) => return Err(ClientError::NotCommitted { tx_id: tx.id(), why }),
                Ok(fate) => {
                    used = if matches!(fate, Fate::Used { .. }) { used.saturating_add(1) } else { 0 };
                    followed.fate = Some(fate);
                }
                Err(_) => {}
            }
            refusals = if is_refused_by_all { refusals.saturating_add(1) } else { 0 };
            if used >= USED_MAX || refusals >= REFUSALS_MAX {
                let refused = refusals >= REFUSALS_MAX;
                return Err(followed.unknown(tx, "the nodes will not have it", refused));
            }
            self.send_again(earlier, self.pace.patience.min(deadline.saturating_duration_since(Instant::now()))).await;
            // The first that comes free is enough.
            let first = retry_after.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
            sleep(first.map_or(self.pace.pause, |after| spread(after, tx.id(), turn).max(self.pace.pause))).await;
            turn = turn.saturating_add(1);
        }
    }

    /// Gives transactions to all nodes once more, unchanged, to all nodes at the same time; each has at most `timeout` for each transaction,
    /// and one that has let this pass gets no more of them. What they say does not matter: only a proof will.
    pub async fn send_again(&self, transactions: &[Transaction], timeout: Duration) {
        let timeout = ANSWER_TIMEOUT.min(timeout);
        let all = self.client.nodes().map(|node| send_all(node, transactions, timeout));
        join_all(all).await;
    }

    /// Fetches and checks the proof of a committed transaction, from whichever node has it.
    ///
    /// # Errors
    /// [`ClientError`]: that of the node whose answer says most. That no node has a proof proves nothing.
    pub async fn transaction(&self, id: TxId) -> Result<Proven<PlacedReceipt>, ClientError> {
        Ok(self.transaction_with_proof(id).await?.0)
    }

    /// The same together with the proof as the node gave it, in hexadecimal.
    ///
    /// # Errors
    /// As above.
    pub async fn transaction_with_proof(&self, id: TxId) -> Result<(Proven<PlacedReceipt>, String), ClientError> {
        let mut worst = Worst::default();
        for node in self.client.nodes() {
            match self.receipt_at(&node, id).await {
                Ok(found) => return Ok(found),
                Err(error) => worst.add(error),
            }
        }
        Err(worst.into_error())
    }

    async fn receipt_at(&self, node: &Node<'_>, id: TxId) -> Result<(Proven<PlacedReceipt>, String), ClientError> {
        let view: ProofView = node.get(&api::transaction_proof(id)).await?;
        let proven = self.light.transaction(id, &view.proof)?;
        self.learn(&proven);
        node.prefer();
        Ok((proven, view.proof))
    }

    /// What can be proved of a signed transaction, all nodes being asked.
    ///
    /// # Errors
    /// [`ClientError`]: nothing can be proved now.
    pub async fn fate(&self, tx: &Transaction) -> Result<Fate, ClientError> {
        if let Ok(proven) = self.transaction(tx.id()).await {
            return Ok(Fate::Committed(Box::new(proven)));
        }
        match self.fate_by_account(tx).await? {
            // Committed between the two questions, perhaps.
            used @ Fate::Used { .. } => Ok(self.transaction(tx.id()).await.map_or(used, |proven| Fate::Committed(Box::new(proven)))),
            fate => Ok(fate),
        }
    }

    async fn fate_by_account(&self, tx: &Transaction) -> Result<Fate, ClientError> {
        let account = self.account_verified(tx.sender()).await?;
        Ok(fate_by_account(tx, account.value().sequence(), account.certificate()))
    }

    /// An account, checked.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Old`] when no node shows a state as new as what was proved before.
    pub async fn account_verified(&self, address: Address) -> Result<Proven<AccountRecord>, ClientError> {
        self.state(&api::account(address), false, |view: &AccountView| self.light.account(address, view)).await
    }

    /// The same, as the newest state has it that any of the nodes proves.
    ///
    /// # Errors
    /// As above.
    pub async fn account_newest(&self, address: Address) -> Result<Proven<AccountRecord>, ClientError> {
        self.state(&api::account(address), true, |view: &AccountView| self.light.account(address, view)).await
    }

    /// A value of the state, checked; `None` when the key is proved to be missing. The `Item`s and `Map`s of an application
    /// tell their keys.
    ///
    /// # Errors
    /// As above.
    pub async fn state_verified(&self, key: &[u8]) -> Result<Proven<Option<Vec<u8>>>, ClientError> {
        self.state(&api::state(key), false, |view: &StateView| self.light.state(key, view)).await
    }

    /// The first state of a recent time that a node proves, else (or if `of_all`) the newest of those that all nodes prove.
    async fn state<V: DeserializeOwned, T>(
        &self,
        path: &str,
        of_all: bool,
        check: impl Fn(&V) -> Result<Proven<T>, LightError>,
    ) -> Result<Proven<T>, ClientError> {
        let deadline = Instant::now() + self.pace.patience;
        loop {
            let mut newest: Option<(Proven<T>, Node<'_>)> = None;
            let mut worst = Worst::default();
            for node in self.client.nodes() {
                let proven = match node.get::<V>(path).await.and_then(|view| self.not_old(check(&view))) {
                    Ok(proven) => proven,
                    Err(error) => {
                        worst.add(error);
                        continue;
                    }
                };
                let header = &proven.certificate().header;
                let is_recent = self.is_recent(header.timestamp);
                if newest.as_ref().is_none_or(|(newest, _)| newest.certificate().header.height < header.height) {
                    newest = Some((proven, node));
                }
                if is_recent && !of_all {
                    break;
                }
            }
            if let Some((proven, node)) = newest {
                self.learn(&proven);
                node.prefer();
                return Ok(proven);
            }
            let error = worst.into_error();
            // A node that is a block behind another one will not be for long.
            if !matches!(error, ClientError::Old { .. }) || Instant::now() >= deadline {
                return Err(error);
            }
            sleep(self.pace.pause).await;
        }
    }

    /// Only what is no older than what was proved before. Genesis, which nobody signs, is older than everything.
    fn not_old<T>(&self, checked: Result<Proven<T>, LightError>) -> Result<Proven<T>, ClientError> {
        let shown = match &checked {
            Ok(proven) => proven.certificate().header.height,
            Err(LightError::NothingCommitted) => Height(0),
            Err(_) => return Ok(checked?),
        };
        match self.seen() {
            Some(Seen { height: known, .. }) if shown < known => Err(ClientError::Old { shown, known }),
            Some(_) | None => Ok(checked?),
        }
    }

    /// Whether a chain with a heartbeat can have nothing newer than this, as far as this machine's clock is right.
    fn is_recent(&self, timestamp: UnixMillis) -> bool {
        clock().since(timestamp) <= self.recent_ms()
    }

    /// How old the newest state of a chain that lives may be, in milliseconds.
    #[must_use]
    pub fn recent_ms(&self) -> u64 {
        u64::from(self.light.genesis().parameters.heartbeat_ms).saturating_mul(HEARTBEATS_UNTIL_OLD)
    }
}

/// This machine's clock, which may be wrong.
#[must_use]
pub fn clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What the next number of its sender's account, proved, says about a transaction of which no proof is to be had. A committed transaction has used its number,
/// and a block at or after its expiry cannot hold it.
#[must_use]
pub fn fate_by_account(tx: &Transaction, next: Sequence, certificate: &Certificate) -> Fate {
    let (content, header) = (tx.content(), &certificate.header);
    if content.sequence < next {
        Fate::Used { next }
    } else if content.expires_at <= header.timestamp {
        let (expires_at, height, timestamp) = (content.expires_at, header.height, header.timestamp);
        Fate::Never(NotCommitted::Expired { expires_at, height, timestamp })
    } else {
        Fate::Open { next }
    }
}

impl Followed {
    fn unknown(&self, tx: &Transaction, end: &str, refused: bool) -> ClientError {
        let own = tx.content().sequence;
        let mut reason = match &self.fate {
            Some(Fate::Open { next }) if *next < own => format!("{end}, and it waits for number {next} of its sender, its own is {own}"),
            Some(Fate::Used { .. }) => format!("{end}, its number {own} is used, and no node proves by which transaction"),
            _ => end.to_owned(),
        };
        if let Some(words) = &self.words {
            reason = format!("{reason}; {words}");
        }
        ClientError::Unknown { tx_id: tx.id(), reason, refused }
    }
}

/// Gives transactions to one node, until it lets `timeout` pass.
async fn send_all(node: Node<'_>, transactions: &[Transaction], timeout: Duration) {
    for tx in transactions {
        let answer = node.submit(tx, Duration::ZERO, timeout).await;
        if matches!(answer, Err(Unsubmitted { error: ClientError::Unreachable { .. }, .. })) {
            break;
        }
    }
}

/// Whether a node will say the same of the same transaction or question in a moment: it refuses it, and is not merely busy.
pub(crate) fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status: 400..=499, .. })
        && !matches!(error, ClientError::Refused { status: 408 | 425 | 429, .. })
}

fn word(status: &TransactionStatus) -> String {
    match status {
        TransactionStatus::Unknown => "unknown".into(),
        TransactionStatus::Pending => "pending".into(),
        TransactionStatus::Committed { .. } => "committed, without a proof that holds".into(),
        TransactionStatus::Dropped { code, reason } => format!("dropped: \"{}\" ({})", foreign(reason), foreign(code)),
    }
}

/// Of the errors of several nodes the one that says most.
#[derive(Default)]
struct Worst(Option<ClientError>, Vec<String>);

impl Worst {
    fn add(&mut self, error: ClientError) {
        if let ClientError::Unreachable { tried } = error {
            self.1.push(tried);
            return;
        }
        let is_more = match (&self.0, &error) {
            (None, _) => true,
            (Some(ClientError::Old { shown, .. }), ClientError::Old { shown: other, .. }) => other > shown,
            (Some(kept), error) => weight(error) > weight(kept),
        };
        if is_more {
            self.0 = Some(error);
        }
    }

    fn into_error(self) -> ClientError {
        self.0.unwrap_or_else(|| ClientError::Unreachable { tried: self.1.join(", ") })
    }
}

fn weight(error: &ClientError) -> u8 {
    match error {
        // A node that is only behind may have caught up in a moment.
        ClientError::Old { .. } => 4,
        ClientError::Unverified(LightError::NothingCommitted) => 2,
        ClientError::Unverified(_) => 3,
        ClientError::Answer { .. } => 1,
        _ => 0,
    }
}
