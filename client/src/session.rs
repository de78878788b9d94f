//! A client combined with a light client: ask any node, trust none.
//!
//! ```text
//! account, value     node after node, until a proof verifies, is no older than what was proved before, and is recent
//! later epoch        the node that names it must show how the committee has changed, from the last known epoch on
//! transaction        the same signed bytes to node after node, until one proves the receipt, or an account's proof
//!                    settles that the transaction never will be committed; else the outcome is unknown
//! ```
//! Unproved refusals, statuses, heights, sequence numbers and texts decide nothing here; they are only quoted in errors.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::join_all;
use quorate_types::{
    evidence::Evidence,
    header::Header,
    ids::{Address, TxId},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    rpc::{AccountView, ProofView, StateView, TransactionStatus},
    state_key::AccountRecord,
    transaction::Transaction,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    api,
    error::{ClientError, NotCommitted},
    http::{ANSWER_TIMEOUT, Client, Node, Unsubmitted, spread},
    light::{Certificate, LightClient, LightError, PlacedReceipt, Proven},
};
use quorate_terminal::escape_untrusted;

/// Age of a state, in heartbeats by this machine's clock, from which other nodes are asked for a newer one.
const HEARTBEATS_UNTIL_OLD: u64 = 3;
/// Consecutive rounds of refusals by every node after which the wait for a transaction ends.
const REFUSALS_MAX: u32 = 2;
/// How often all nodes are asked to prove a transaction whose sequence number is used, before giving up.
const USED_MAX: u32 = 3;

/// How long one node may take to show how the committee has changed. What it has shown until then is kept.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(30);

/// Timing of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Pause between two passes over the nodes.
    pub pause: Duration,
    /// How long one node may take over a transaction before the next one gets it too, and how long lagging nodes may take to catch up with
    /// what was proved before.
    pub patience: Duration,
}

impl Pace {
    /// For interactive use on real networks.
    pub const USUAL: Self = Self { pause: Duration::from_millis(250), patience: Duration::from_secs(5) };
}

impl Default for Pace {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The newest proved block. A proof of an older one is still valid, but outdated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The block's epoch.
    #[serde(default)]
    pub epoch: Epoch,
    /// The block's height.
    pub height: Height,
    /// The block's round.
    pub round: Round,
    /// The block's timestamp.
    pub timestamp: UnixMillis,
}

impl From<&Certificate> for Seen {
    fn from(certificate: &Certificate) -> Self {
        Self::from(&certificate.header)
    }
}

impl From<&Header> for Seen {
    fn from(header: &Header) -> Self {
        Self { epoch: header.epoch, height: header.height, round: header.round, timestamp: header.timestamp }
    }
}

/// What is proved about a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the chain.
    Committed(Box<Proven<PlacedReceipt>>),
    /// It is not in the chain, and never will be.
    Never(NotCommitted),
    /// Its sequence number is used, by it or another transaction; no node proves by which.
    Used {
        /// The sender's next sequence number.
        next: Sequence,
    },
    /// It may still be committed.
    Open {
        /// The sender's next sequence number. The transaction waits for every one from this to its own.
        next: Sequence,
    },
}

/// Asks nodes and verifies their answers.
#[derive(Debug)]
pub struct Session {
    client: Client,
    light: LightClient,
    pace: Pace,
    seen: Mutex<Option<Seen>>,
}

/// Progress of a transaction that is being followed, to report on a timeout.
#[derive(Default)]
struct Followed {
    is_sent: bool,
    /// The last message from a node.
    words: Option<String>,
    /// What the sender's proved account says about it.
    fate: Option<Fate>,
}

impl Session {
    /// A session with the client's nodes, checked by the light client.
    #[must_use]
    pub const fn new(client: Client, light: LightClient) -> Self {
        Self { client, light, pace: Pace::USUAL, seen: Mutex::new(None) }
    }

    /// The same with this pace.
    #[must_use]
    pub const fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same, rejecting any state older than `seen`.
    #[must_use]
    pub fn remembering(self, seen: Option<Seen>) -> Self {
        self.recall(seen);
        self
    }

    /// Takes over a block that was proved elsewhere, if it is newer.
    pub fn recall(&self, seen: Option<Seen>) {
        let mut memory = self.memory();
        *memory = memory.into_iter().chain(seen).max_by_key(|seen| (seen.epoch, seen.height));
    }

    /// The newest proved block, from this session or before it.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        *self.memory()
    }

    /// The HTTP client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The light client.
    #[must_use]
    pub const fn light(&self) -> &LightClient {
        &self.light
    }

    /// The session's timing.
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

    /// Verifies a node's answer. If it is of a later epoch than those known, the node first has to prove the way there.
    async fn verified<T>(&self, node: &Node<'_>, check: impl Fn() -> Result<T, LightError>) -> Result<Result<T, LightError>, ClientError> {
        match check() {
            Err(LightError::LaterEpoch(epoch)) => {
                self.follow_by(node, Some(epoch)).await?;
                Ok(check())
            }
            checked => Ok(checked),
        }
    }

    /// Follows the committee by what one node shows, to an epoch, or else to the node's own.
    pub(crate) async fn follow_by(&self, node: &Node<'_>, wanted: Option<Epoch>) -> Result<(), ClientError> {
        let late = |_| ClientError::Unreachable { tried: format!("{} (too slow to show how the committee has changed)", node.name()) };
        let followed = timeout(FOLLOW_TIMEOUT, async {
            while wanted.is_none_or(|wanted| self.light.epoch() < wanted) {
                let known = self.light.epoch();
                let answer = node.epochs(known).await?;
                let newest = self.light.follow_answer(&answer)?;
                match wanted {
                    // The node names an epoch to which it proves no way. So every request but the last brings an epoch.
                    Some(wanted) if newest == known => return Err(LightError::LaterEpoch(wanted).into()),
                    None if newest == known || newest >= answer.epoch => break,
                    Some(_) | None => {}
                }
            }
            Ok(())
        });
        let followed = followed.await.unwrap_or_else(|elapsed| Err(late(elapsed)));
        self.recall(self.light.begins_after().as_deref().map(Seen::from));
        followed
    }

    /// Verifies evidence. If it is of a later epoch than those known, node after node is asked for the way there. Returns the name of the
    /// validator that it convicts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn evidence(&self, evidence: &Evidence) -> Result<String, ClientError> {
        let mut worst = MostTelling::default();
        if let Err(LightError::LaterEpoch(epoch)) = self.light.evidence(evidence) {
            for node in self.client.nodes() {
                match self.follow_by(&node, Some(epoch)).await {
                    Ok(()) => break,
                    Err(error) => worst.add(error),
                }
            }
        }
        match self.light.evidence(evidence) {
            Err(LightError::LaterEpoch(_)) => Err(worst.into_error()),
            checked => Ok(checked?),
        }
    }

    /// Submits a transaction, waits for its commit, and verifies the proof of its receipt. A failed transaction has a receipt too.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if it was not sent; [`ClientError::NotCommitted`] if it is proved that it never will be in the chain;
    /// [`ClientError::Unknown`] on a timeout, or if every node refuses it, which proves nothing.
    pub async fn submit_and_verify(&self, tx: &Transaction, timeout: Duration) -> Result<Proven<PlacedReceipt>, ClientError> {
        self.submit_after(&[], tx, timeout).await
    }

    /// The same for a transaction that has to wait for `earlier` ones of the same sender. They are resent unchanged, in case the nodes have
    /// lost them.
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

    /// The same, for a sender with more to send: `turn` is dropped as soon as a node has accepted the transaction into its pool, so the next
    /// one never waits in the pools for a sequence number that all nodes refuse.
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
        result.unwrap_or_else(|_| Err(followed.unknown(tx, &format!("timed out after {timeout:?}"), false)))
    }

    /// Submits a transaction to node after node until one claims to have accepted it into its pool. The claim is unproved, and only decides
    /// when the next transaction is sent.
    async fn is_accepted(&self, tx: &Transaction, deadline: Instant, followed: &mut Followed) -> bool {
        // The other half of the time is for following the transaction.
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

    /// One node's share of the remaining time, so that a silent node leaves time for the others.
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
            // The nodes' `Retry-After`: `None` from a node that is not overloaded.
            let mut retry_after = Vec::new();
            let mut tried = Vec::new();
            for (asked, node) in self.client.nodes().enumerate() {
                let part = self.part(deadline, asked);
                let wait = self.pace.patience.min(part / 2);
                match node.submit(tx, wait, wait.saturating_add(ANSWER_TIMEOUT).min(part)).await {
                    Ok(submitted) => {
                        (followed.is_sent, is_refused_by_all) = (true, false);
                        retry_after.push(None);
                        if let Some(proof) = submitted.proof
                            && let Ok(Ok(proven)) = self.verified(&node, || self.light.transaction(tx.id(), &proof)).await
                        {
                            self.learn(&proven);
                            node.prefer();
                            return Ok(proven);
                        }
                        followed.words = Some(format!("{} says it is {}", node.name(), word(&submitted.status)));
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
                return Err(followed.unknown(tx, "no node accepts it or proves its outcome", refused));
            }
            self.send_again(earlier, self.pace.patience.min(deadline.saturating_duration_since(Instant::now()))).await;
            // Retry when the first node may be free.
            let first = retry_after.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
            sleep(first.map_or(self.pace.pause, |after| spread(after, tx.id(), turn).max(self.pace.pause))).await;
            turn = turn.saturating_add(1);
        }
    }

    /// Resends transactions unchanged, to all nodes at the same time. A node has `timeout` for each transaction, and gets no more after a
    /// timeout. The answers are ignored: only a proof counts.
    pub async fn send_again(&self, transactions: &[Transaction], timeout: Duration) {
        let timeout = ANSWER_TIMEOUT.min(timeout);
        let all = self.client.nodes().map(|node| send_all(node, transactions, timeout));
        join_all(all).await;
    }

    /// Fetches and verifies the proof of a committed transaction, from any node that has it.
    ///
    /// # Errors
    /// The most telling [`ClientError`] of all nodes. That no node has a proof proves nothing.
    pub async fn transaction(&self, id: TxId) -> Result<Proven<PlacedReceipt>, ClientError> {
        Ok(self.transaction_with_proof(id).await?.0)
    }

    /// The same with the proof as the node sent it, in hexadecimal.
    ///
    /// # Errors
    /// As above.
    pub async fn transaction_with_proof(&self, id: TxId) -> Result<(Proven<PlacedReceipt>, String), ClientError> {
        let mut worst = MostTelling::default();
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
        let proven = self.verified(node, || self.light.transaction(id, &view.proof)).await??;
        self.learn(&proven);
        node.prefer();
        Ok((proven, view.proof))
    }

    /// What the nodes can prove about a signed transaction.
    ///
    /// # Errors
    /// [`ClientError`], if nothing can be proved now.
    pub async fn fate(&self, tx: &Transaction) -> Result<Fate, ClientError> {
        if let Ok(proven) = self.transaction(tx.id()).await {
            return Ok(Fate::Committed(Box::new(proven)));
        }
        match self.fate_by_account(tx).await? {
            // It may have been committed between the two requests.
            used @ Fate::Used { .. } => Ok(self.transaction(tx.id()).await.map_or(used, |proven| Fate::Committed(Box::new(proven)))),
            fate => Ok(fate),
        }
    }

    async fn fate_by_account(&self, tx: &Transaction) -> Result<Fate, ClientError> {
        let account = self.account_verified(tx.sender()).await?;
        Ok(fate_by_account(tx, account.value().sequence(), account.certificate()))
    }

    /// A proved account.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Old`] if every node's state is older than what was proved before.
    pub async fn account_verified(&self, address: Address) -> Result<Proven<AccountRecord>, ClientError> {
        self.state(&api::account(address), false, |view: &AccountView| self.light.account(address, view)).await
    }

    /// The same, from the newest state that any node proves.
    ///
    /// # Errors
    /// As above.
    pub async fn account_newest(&self, address: Address) -> Result<Proven<AccountRecord>, ClientError> {
        self.state(&api::account(address), true, |view: &AccountView| self.light.account(address, view)).await
    }

    /// A proved value of the state; `None` if the key is proved to be missing. An application's `Item`s and `Map`s give their keys.
    ///
    /// # Errors
    /// As above.
    pub async fn state_verified(&self, key: &[u8]) -> Result<Proven<Option<Vec<u8>>>, ClientError> {
        self.state(&api::state(key), false, |view: &StateView| self.light.state(key, view)).await
    }

    /// The first recent state that a node proves; if none is recent, or if `of_all`, the newest that any node proves.
    async fn state<V: DeserializeOwned, T>(
        &self,
        path: &str,
        of_all: bool,
        check: impl Fn(&V) -> Result<Proven<T>, LightError>,
    ) -> Result<Proven<T>, ClientError> {
        let deadline = Instant::now() + self.pace.patience;
        loop {
            let mut newest: Option<(Proven<T>, Node<'_>)> = None;
            let mut worst = MostTelling::default();
            for node in self.client.nodes() {
                let proven = match self.current(&node, path, &check).await {
                    Ok(proven) => proven,
                    Err(error) => {
                        worst.add(error);
                        continue;
                    }
                };
                let header = &proven.certificate().header;
                let is_recent = self.is_recent(header.timestamp);
                let place = |header: &Header| (header.epoch, header.height);
                if newest.as_ref().is_none_or(|(newest, _)| place(&newest.certificate().header) < place(header)) {
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
            // A node that lags by a block soon catches up.
            if !matches!(error, ClientError::Old { .. }) || Instant::now() >= deadline {
                return Err(error);
            }
            sleep(self.pace.pause).await;
        }
    }

    /// A state that one node proves, if it is no older than what was proved before.
    async fn current<V: DeserializeOwned, T>(
        &self,
        node: &Node<'_>,
        path: &str,
        check: impl Fn(&V) -> Result<Proven<T>, LightError>,
    ) -> Result<Proven<T>, ClientError> {
        let view: V = node.get(path).await?;
        self.not_old(self.verified(node, || check(&view)).await?)
    }

    /// Rejects what is older than what was proved before. Genesis, which nobody signs, is older than everything.
    fn not_old<T>(&self, checked: Result<Proven<T>, LightError>) -> Result<Proven<T>, ClientError> {
        let (epoch, shown) = match &checked {
            Ok(proven) => (proven.certificate().header.epoch, proven.certificate().header.height),
            Err(LightError::NothingCommitted) => (Epoch(0), Height(0)),
            Err(_) => return Ok(checked?),
        };
        match self.seen() {
            Some(Seen { height: known, .. }) if shown < known => Err(ClientError::Old { shown, known }),
            Some(Seen { epoch: newest, height: known, .. }) if epoch < newest => {
                Err(LightError::AfterEpoch { epoch, last: known, height: shown }.into())
            }
            Some(_) | None => Ok(checked?),
        }
    }

    /// Whether a state with this timestamp may be the newest, by this machine's clock and the chain's heartbeat.
    fn is_recent(&self, timestamp: UnixMillis) -> bool {
        clock().since(timestamp) <= self.recent_ms()
    }

    /// How old the newest state of a live chain may be, in milliseconds.
    #[must_use]
    pub fn recent_ms(&self) -> u64 {
        u64::from(self.light.parameters().heartbeat_ms).saturating_mul(HEARTBEATS_UNTIL_OLD)
    }
}

/// This machine's clock, which may be wrong.
#[must_use]
pub fn clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What its sender's proved next sequence number says about a transaction without a proof of its own. A committed transaction has used its
/// sequence number, and no block at or after its expiry can hold it.
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
            Some(Fate::Open { next }) if *next < own => {
                format!("{end}; it waits for sequence number {next} of its sender, and its own is {own}")
            }
            Some(Fate::Used { .. }) => format!("{end}; its sequence number {own} is used, and no node proves by which transaction"),
            _ => end.to_owned(),
        };
        if let Some(words) = &self.words {
            reason = format!("{reason}; {words}");
        }
        ClientError::Unknown { tx_id: tx.id(), reason, refused }
    }
}

/// Submits transactions to one node, up to the first timeout.
async fn send_all(node: Node<'_>, transactions: &[Transaction], timeout: Duration) {
    for tx in transactions {
        let answer = node.submit(tx, Duration::ZERO, timeout).await;
        if matches!(answer, Err(Unsubmitted { error: ClientError::Unreachable { .. }, .. })) {
            break;
        }
    }
}

/// Whether a retry is pointless: the node refused the transaction or query, and is not merely busy.
pub(crate) fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status: 400..=499, .. })
        && !matches!(error, ClientError::Refused { status: 408 | 425 | 429, .. })
}

fn word(status: &TransactionStatus) -> String {
    match status {
        TransactionStatus::Unknown => "unknown".into(),
        TransactionStatus::Pending => "pending".into(),
        TransactionStatus::Committed { .. } => "committed, without a valid proof".into(),
        TransactionStatus::Dropped { code, reason } => format!("dropped: \"{}\" ({})", escape_untrusted(reason), escape_untrusted(code)),
    }
}

/// The most telling of several nodes' errors.
#[derive(Default)]
struct MostTelling(Option<ClientError>, Vec<String>);

impl MostTelling {
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
        // A node that merely lags may soon catch up, so this one is worth a retry.
        ClientError::Old { .. } => 4,
        ClientError::Unverified(LightError::NothingCommitted) => 2,
        ClientError::Unverified(_) => 3,
        ClientError::Answer { .. } => 1,
        _ => 0,
    }
}
