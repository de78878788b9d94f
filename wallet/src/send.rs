//! Sends a transaction: numbers it, signs it, saves it, submits it, and follows it until its fate is proved.
//!
//! ```text
//! under the account's lock   proved account + saved transactions ──> sequence number ──> sign ──> save on disk
//! without it                 submit to node after node ──> proof ──> forget, show
//!                                                     └──> nothing proved ──> stays saved: `wallet pending`
//! ```
//! The sequence number is the account's proved next one, skipping those of transactions saved here. Nothing unproved enters it: with a number
//! that is too high, the transaction would wait until a later one fills the gap, and the user would pay twice.

use std::time::Duration;

use quorate_app::permissions;
use quorate_builtin::{Account, BankOperation, Operation};
use quorate_client::{
    ClientError, Fate, Proven,
    light::{LightError, PlacedReceipt},
    session,
};
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    codec,
    governance::ChainOperation,
    ids::{GenesisHash, TxId},
    round::{Sequence, UnixMillis},
    state_key::AccountRecord,
    transaction::{Target, Transaction},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use crate::{
    expiry::expires_at,
    network::Network,
    validator::committee::Current,
    view::{self, Shown},
};

/// Sends the transactions of one account.
pub(crate) struct Sender<'a> {
    pub(crate) network: &'a Network,
    pub(crate) key: &'a AccountKey,
    /// Validity of a transaction.
    pub(crate) valid_for: Duration,
    /// How long to wait for the commit.
    pub(crate) timeout: Duration,
    /// Whether the same command, run again, follows the saved transaction instead of sending another one.
    pub(crate) is_repeatable: bool,
}

/// What a transaction asks for.
enum Request<'a> {
    Application(&'a Operation),
    Chain(&'a ChainOperation),
}

impl Request<'_> {
    fn sign(&self, genesis_hash: GenesisHash, key: &AccountKey, sequence: Sequence, expires_at: UnixMillis) -> Transaction {
        match self {
            Self::Application(operation) => Transaction::sign(genesis_hash, &key.signing, sequence, expires_at, operation.encode()),
            Self::Chain(operation) => Transaction::sign_chain(genesis_hash, &key.signing, sequence, expires_at, operation),
        }
    }
}

/// Whether a transaction asks the chain for this.
pub(crate) fn asks_for(tx: &Transaction, operation: &ChainOperation) -> bool {
    tx.content().target == Target::Chain && tx.content().payload == codec::encode(operation)
}

/// A saved transaction, and those of the same account that must be committed before it.
struct Prepared {
    tx: Transaction,
    earlier: Vec<Transaction>,
}

impl Sender<'_> {
    pub(crate) async fn send(&self, operation: &Operation, shown: Shown, out: &Output) -> Result<(), CommandError> {
        let proven = self.submit(&Request::Application(operation), out).await?;
        let from = Some(self.key.public().address);
        view::receipt(&proven, self.network.genesis_hash(), &Shown { from, ..shown }, None, out)
    }

    /// Sends an operation on the chain itself. If an interrupted command has sent the same and its fate is not proved yet, its transaction
    /// is followed, and no other one is sent.
    pub(crate) async fn send_to_chain(&self, operation: &ChainOperation, out: &Output) -> Result<Proven<PlacedReceipt>, CommandError> {
        self.submit(&Request::Chain(operation), out).await
    }

    async fn submit(&self, request: &Request<'_>, out: &Output) -> Result<Proven<PlacedReceipt>, CommandError> {
        let deadline = Instant::now() + self.timeout;
        let Prepared { tx, earlier } = {
            let _numbering = self.network.memory.number(self.key.public().address, deadline).await?;
            self.prepare(request, deadline, out).await?
        };
        self.follow(&tx, &earlier, deadline.saturating_duration_since(Instant::now()), out).await
    }

    /// How to find out later what became of a transaction.
    fn look_up(&self, id: TxId) -> String {
        if self.is_repeatable {
            format!("quorate tx {id}; or run the same command again, which sends nothing twice")
        } else {
            format!("quorate wallet tx {id}, or quorate wallet pending")
        }
    }

    /// Follows a saved transaction until its fate is proved, a timeout, or an interrupt.
    pub(crate) async fn follow(
        &self,
        tx: &Transaction,
        earlier: &[Transaction],
        timeout: Duration,
        out: &Output,
    ) -> Result<Proven<PlacedReceipt>, CommandError> {
        let Network { session, memory } = self.network;
        let mut interrupt = signal(SignalKind::interrupt())
            .map_err(|error| CommandError::failure("signal", format!("cannot listen for Ctrl-C: {error}")))?;
        // Noted before it is sent, and named on Ctrl-C from here on: a user who interrupts the wait can look it up later.
        out.note(format_args!("submitting {}", tx.id()));
        let progress = out.progress("waiting for the commit");
        let result = tokio::select! {
            biased;
            result = session.submit_after(earlier, tx, timeout) => result,
            _ = interrupt.recv() => {
                let hint = format!("transaction {} may still be committed; look up its outcome later: {}", tx.id(), self.look_up(tx.id()));
                return Err(CommandError::interrupted().about(tx.id()).with_hint(hint));
            }
        };
        drop(progress);
        self.network.remember(out);
        match result {
            Ok(proven) => {
                memory.forget_number_of(tx)?;
                // Sequence numbers are committed in order, so these can be proved too.
                for tx in earlier {
                    if session.transaction(tx.id()).await.is_ok() {
                        let command = if self.is_repeatable { "quorate tx" } else { "quorate wallet tx" };
                        out.note(format_args!("transaction {}, sent earlier, is committed too: {command} {}", tx.id(), tx.id()));
                        memory.forget_number_of(tx)?;
                    }
                }
                Ok(proven)
            }
            // Proved never to be committed, or never sent.
            Err(error @ (ClientError::NotCommitted { .. } | ClientError::Unreachable { .. })) => {
                memory.forget(tx)?;
                Err(error.into())
            }
            // The transaction is saved, so `wallet tx` and `wallet pending` can find out more later.
            Err(error @ ClientError::Unknown { .. }) => {
                let id = tx.id();
                let warning = if self.is_repeatable { "" } else { "do not repeat the command; " };
                let hint = format!("{warning}look up the outcome later: {}", self.look_up(id));
                Err(CommandError::from(error).with_hint(hint))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn prepare(&self, request: &Request<'_>, deadline: Instant, out: &Output) -> Result<Prepared, CommandError> {
        let Network { session, memory } = self.network;
        let (account, open) = self.account(deadline, out).await?;
        self.check_permission(&account).await?;
        match request {
            Request::Application(operation) => self.check_funds(operation, &account).await?,
            Request::Chain(operation) => {
                if let Some(tx) = self.sent_already(operation).await? {
                    out.note(format_args!("transaction {}, sent earlier, asks for the same; following it, no other one is sent", tx.id()));
                    let earlier = open.into_iter().filter(|other| other.content().sequence < tx.content().sequence).collect();
                    return Ok(Prepared { tx, earlier });
                }
            }
        }
        let taken: Vec<_> = open.iter().map(|tx| tx.content().sequence).collect();
        let sequence =
            (account.value().sequence().0..u64::MAX).map(Sequence).find(|sequence| !taken.contains(sequence)).ok_or_else(|| {
                CommandError::new(Exit::Rejected, "sequence-exhausted", "the account has used all its sequence numbers; nothing was sent")
            })?;
        let (earlier, later): (Vec<_>, Vec<_>) = open.into_iter().partition(|tx| tx.content().sequence < sequence);
        if let Some(first) = earlier.first() {
            out.note(format_args!(
                "transaction {} (sequence number {}) is resent with this one, which must wait for it",
                first.id(),
                first.content().sequence
            ));
        }
        for tx in &later {
            out.always(format_args!(
                "warning: transaction {} ({}) waits for sequence number {sequence}, which this one takes, so it may be committed next",
                tx.id(),
                Shown::of(tx)
            ));
        }
        let chain = account.certificate().header.timestamp;
        let clock = session::clock();
        if clock.since(chain) > session.recent_ms() {
            out.note(format_args!(
                "the newest proved block is {} s old by this machine's clock: the nodes are behind, the chain has stalled, or the clock is wrong",
                clock.since(chain) / 1_000
            ));
        }
        let expires_at = expires_at(chain, clock, session.recent_ms(), self.valid_for);
        let tx = request.sign(session.light().genesis_hash(), self.key, sequence, expires_at);
        memory.keep(&tx)?;
        Ok(Prepared { tx, earlier })
    }

    /// The saved transaction that asks for the same and is, or may still be, committed. Settles the others on the way: what an operator says
    /// of a proposal must not be taken for what it said before.
    async fn sent_already(&self, operation: &ChainOperation) -> Result<Option<Transaction>, CommandError> {
        let Network { session, memory } = self.network;
        let mut same = None;
        for tx in memory.pending(self.key.public().address)? {
            let is_same = asks_for(&tx, operation);
            match session.fate(&tx).await {
                Ok(Fate::Open { .. } | Fate::Committed(_)) if is_same => same = Some(tx),
                Ok(Fate::Committed(_)) => memory.forget_number_of(&tx)?,
                Ok(Fate::Never(_)) => memory.forget(&tx)?,
                Ok(Fate::Open { .. } | Fate::Used { .. }) | Err(_) => {}
            }
        }
        Ok(same)
    }

    /// The proved account, and the saved transactions that may still be committed.
    async fn account(&self, deadline: Instant, out: &Output) -> Result<(Proven<AccountRecord>, Vec<Transaction>), CommandError> {
        let Network { session, memory } = self.network;
        let from = self.key.public().address;
        let half = deadline - deadline.saturating_duration_since(Instant::now()) / 2;
        let most = deadline - deadline.saturating_duration_since(Instant::now()) / 4;
        let mut is_told = false;
        loop {
            // In this order: a process that forgets a transaction has remembered the block that settled it, so the account read here
            // reflects that transaction.
            let pending = memory.pending(from)?;
            session.recall(memory.seen()?);
            let account = match session.account_verified(from).await {
                // A new network commits its first block after a few heartbeats.
                Err(ClientError::Unverified(LightError::NothingCommitted)) if Instant::now() < most => {
                    if !is_told {
                        out.note("the network has committed nothing yet; waiting for its first block");
                        is_told = true;
                    }
                    sleep(session.pace().pause).await;
                    continue;
                }
                account => account?,
            };
            let mut open = Vec::new();
            for tx in pending {
                match session::fate_by_account(&tx, account.value().sequence(), account.certificate()) {
                    Fate::Never(why) => {
                        out.note(format_args!("transaction {}, sent earlier, is not in the chain and never will be: {why}", tx.id()));
                        memory.forget(&tx)?;
                    }
                    Fate::Open { .. } => open.push(tx),
                    // Its sequence number is used. `wallet pending` finds out by which transaction.
                    Fate::Used { .. } | Fate::Committed(_) => {}
                }
            }
            // For one that has expired by the clock, wait for a block that proves it: its sequence number is free then.
            let clock = session::clock();
            if open.iter().any(|tx| tx.content().expires_at <= clock) && Instant::now() < half {
                sleep(session.pace().pause).await;
                continue;
            }
            return Ok((account, open));
        }
    }

    /// Refuses what no block may hold, because the account is proved not to be allowed to send. Asks all nodes, since one may show an older state.
    async fn check_permission(&self, account: &Proven<AccountRecord>) -> Result<(), CommandError> {
        let (session, address) = (&self.network.session, self.key.public().address);
        if account.value().permission().may_send(session.light().parameters().access) {
            return Ok(());
        }
        let newest = session.account_newest(address).await?;
        let epoch = Current::read(session).await?.epoch;
        let Err(failure) = permissions::may_send(newest.value().permission(), &epoch, &address) else { return Ok(()) };
        let message = if newest.value().permission().frozen {
            "the account is frozen; nothing was sent"
        } else {
            "the chain is permissioned, and the account may not send; nothing was sent"
        };
        let hint = format!("`quorate permission list` shows who may grant; proved at {}", newest.certificate());
        Err(CommandError::new(Exit::Rejected, failure.code(), message).with_hint(hint))
    }

    /// Refuses a transfer that the proved balance does not cover. Asks all nodes, since one may show an older state.
    async fn check_funds(&self, operation: &Operation, account: &Proven<AccountRecord>) -> Result<(), CommandError> {
        let Operation::Bank(BankOperation::Transfer { amount, .. }) = operation else { return Ok(()) };
        if Account::of(account.value()).balance >= *amount {
            return Ok(());
        }
        let newest = self.network.session.account_newest(self.key.public().address).await?;
        let balance = Account::of(newest.value()).balance;
        if balance >= *amount {
            return Ok(());
        }
        let message = format!("the account's balance is {balance}, less than {amount}; nothing was sent");
        Err(CommandError::new(Exit::Rejected, "insufficient-funds", message).with_hint(format!("proved at {}", newest.certificate())))
    }
}
