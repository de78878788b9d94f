//! Sending a transaction: number it, sign it, keep it, submit it, and follow it until its fate is proved.
//!
//! ```text
//! under the account's lock   proved account + what is kept here ──> number ──> sign ──> keep on disk
//! without it                 submit to node after node ──> proof ──> forget, show
//!                                                     └──> nothing proved ──> stays kept: `wallet pending`
//! ```
//! The number is the account's next one by proof, counted on over the transactions that are kept here. No node's word has a part in it: by a
//! number that is too high a transaction would wait, and be released by the next one, so that somebody pays twice.

use std::time::Duration;

use quorate_builtin::{Account, BankOperation, Operation};
use quorate_client::{
    ClientError, Fate, Proven,
    light::{LightError, PlacedReceipt},
    session,
};
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{round::Sequence, transaction::Transaction};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use crate::{
    expiry::expires_at,
    network::Network,
    view::{self, Shown},
};

/// Sends the transactions of one account.
pub(crate) struct Sender<'a> {
    pub(crate) network: &'a Network,
    pub(crate) key: &'a AccountKey,
    /// How long a transaction is valid.
    pub(crate) valid_for: Duration,
    /// How long to wait for the commit.
    pub(crate) timeout: Duration,
}

/// A transaction that is kept, and those of the same account that must be committed before it.
struct Prepared {
    tx: Transaction,
    earlier: Vec<Transaction>,
}

impl Sender<'_> {
    pub(crate) async fn send(&self, operation: &Operation, shown: Shown, out: &Output) -> Result<(), CommandError> {
        let from = self.key.public().address;
        let deadline = Instant::now() + self.timeout;
        let Prepared { tx, earlier } = {
            let _numbering = self.network.memory.number(from, deadline).await?;
            self.prepare(operation, deadline, out).await?
        };
        let followed = self.follow(&tx, &earlier, deadline.saturating_duration_since(Instant::now()), out).await;
        view::receipt(&followed?, self.network.genesis_hash(), &Shown { from: Some(from), ..shown }, None, out)
    }

    /// Follows a transaction that is kept until its fate is proved, or the time is over, or the user interrupts.
    pub(crate) async fn follow(
        &self,
        tx: &Transaction,
        earlier: &[Transaction],
        timeout: Duration,
        out: &Output,
    ) -> Result<Proven<PlacedReceipt>, CommandError> {
        let Network { session, memory, .. } = self.network;
        let mut interrupt = signal(SignalKind::interrupt())
            .map_err(|error| CommandError::failure("signal", format!("Ctrl-C cannot be listened for: {error}")))?;
        // Said before it leaves, and from here on Ctrl-C names it too: whoever interrupts the wait can ask for it later.
        out.note(format_args!("submitting {}", tx.id()));
        let progress = out.progress("waiting for the commit");
        let result = tokio::select! {
            biased;
            result = session.submit_after(earlier, tx, timeout) => result,
            _ = interrupt.recv() => {
                let hint = format!("transaction {} may be committed all the same: quorate wallet pending", tx.id());
                return Err(CommandError::interrupted().about(tx.id()).with_hint(hint));
            }
        };
        drop(progress);
        self.network.remember(out);
        match result {
            Ok(proven) => {
                memory.forget_number_of(tx)?;
                // Committed in the order of their numbers, so these have a proof as well.
                for tx in earlier {
                    if session.transaction(tx.id()).await.is_ok() {
                        out.note(format_args!("transaction {}, sent earlier, is committed too: quorate wallet tx {}", tx.id(), tx.id()));
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
            // It is kept here, so the wallet can tell more than the proof of a transaction can.
            Err(error @ ClientError::Unknown { .. }) => {
                let id = tx.id();
                let hint =
                    format!("do not send it again under another number; ask later: quorate wallet tx {id}, or quorate wallet pending");
                Err(CommandError::from(error).with_hint(hint))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn prepare(&self, operation: &Operation, deadline: Instant, out: &Output) -> Result<Prepared, CommandError> {
        let Network { session, memory, .. } = self.network;
        let (account, open) = self.account(deadline, out).await?;
        self.check_funds(operation, &account).await?;
        let taken: Vec<_> = open.iter().map(|tx| tx.content().sequence).collect();
        let sequence =
            (account.value().sequence.0..u64::MAX).map(Sequence).find(|sequence| !taken.contains(sequence)).ok_or_else(|| {
                CommandError::new(Exit::Rejected, "sequence-exhausted", "the account has used all its sequence numbers; nothing was sent")
            })?;
        let (earlier, later): (Vec<_>, Vec<_>) = open.into_iter().partition(|tx| tx.content().sequence < sequence);
        if let Some(first) = earlier.first() {
            out.note(format_args!(
                "transaction {} (number {}) is sent again with this one, which must wait for it",
                first.id(),
                first.content().sequence
            ));
        }
        for tx in &later {
            out.always(format_args!(
                "warning: transaction {} ({}) has waited for number {sequence}, which this one takes: it may be committed after it",
                tx.id(),
                Shown::of(tx)
            ));
        }
        let chain = account.certificate().header.timestamp;
        let clock = session::clock();
        if clock.since(chain) > session.recent_ms() {
            out.note(format_args!(
                "the newest block that is proved is {} s old by this machine's clock: the nodes are behind, the chain stands still, or the clock is wrong",
                clock.since(chain) / 1_000
            ));
        }
        let expires_at = expires_at(chain, clock, session.recent_ms(), self.valid_for);
        let tx = Transaction::sign(session.light().genesis_hash(), &self.key.signing, sequence, expires_at, operation.encode());
        memory.keep(&tx)?;
        Ok(Prepared { tx, earlier })
    }

    /// The account, proved, and the transactions kept here that may still be committed.
    async fn account(&self, deadline: Instant, out: &Output) -> Result<(Proven<Account>, Vec<Transaction>), CommandError> {
        let Network { session, memory, .. } = self.network;
        let from = self.key.public().address;
        let half = deadline - deadline.saturating_duration_since(Instant::now()) / 2;
        let most = deadline - deadline.saturating_duration_since(Instant::now()) / 4;
        let mut is_told = false;
        loop {
            // In this order: whoever forgets a transaction has remembered the block that settled it, and so the account is one that it is
            // part of.
            let pending = memory.pending(from)?;
            session.recall(memory.seen()?);
            let account = match self.network.account(from).await {
                // A new network commits its first block after some heartbeats.
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
                match session::fate_by_account(&tx, account.value().sequence, account.certificate()) {
                    Fate::Never(why) => {
                        out.note(format_args!("transaction {}, sent earlier, is not in the chain: {why}", tx.id()));
                        memory.forget(&tx)?;
                    }
                    Fate::Open { .. } => open.push(tx),
                    // Its number is used. By which transaction, `wallet pending` asks.
                    Fate::Used { .. } | Fate::Committed(_) => {}
                }
            }
            // One that has expired by the clock will be proved to have by the next block: then its number is free, and nothing waits for it.
            let clock = session::clock();
            if open.iter().any(|tx| tx.content().expires_at <= clock) && Instant::now() < half {
                sleep(session.pace().pause).await;
                continue;
            }
            return Ok((account, open));
        }
    }

    /// What the sender proves not to have it cannot send. Asked of all nodes, since one may show an older state.
    async fn check_funds(&self, operation: &Operation, account: &Proven<Account>) -> Result<(), CommandError> {
        let Operation::Bank(BankOperation::Transfer { amount, .. }) = operation else { return Ok(()) };
        if account.value().balance >= *amount {
            return Ok(());
        }
        let newest = self.network.session.account_newest(self.key.public().address).await?;
        let balance = Account::of(newest.value()).balance;
        if balance >= *amount {
            return Ok(());
        }
        let message = format!("the account has {balance}, less than {amount}; nothing was sent");
        Err(CommandError::new(Exit::Rejected, "insufficient-funds", message).with_hint(format!("proved at {}", newest.certificate())))
    }
}
