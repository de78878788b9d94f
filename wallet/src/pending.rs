//! Sent transactions whose fate is not proved: listed, settled if possible, resent, cancelled.

use std::{collections::BTreeMap, time::Duration};

use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation};
use quorate_client::{ClientError, Fate, NotCommitted, Proven, light::PlacedReceipt};
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    ids::{Address, TxId},
    receipt::Outcome,
    round::{Sequence, UnixMillis},
    transaction::Transaction,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{
    network::Network,
    send::Sender,
    view::{self, Shown},
};

/// Key read by a cancelling operation, which needs no funds and changes nothing.
const CANCELLATION_KEY: &[u8] = b"cancelled";
/// How long a node may take over a resent transaction.
const AGAIN: Duration = Duration::from_secs(2);

/// A saved transaction, and what is proved about it now.
#[derive(Serialize)]
struct Row {
    tx_id: TxId,
    sequence: Sequence,
    expires_at: UnixMillis,
    /// `applied` or `failed` (both in the chain), `never` (will not be in it), `used` (its sequence number is, not proved by which
    /// transaction), `open`, or `not-asked`.
    state: &'static str,
    detail: String,
    #[serde(flatten)]
    shown: Shown,
}

/// Finds out the fate of saved transactions, shows it, and forgets those that are settled.
pub(crate) async fn run(network: &Network, accounts: &[Address], again: bool, out: &Output) -> Result<(), CommandError> {
    let mut rows = Vec::new();
    let mut failure = None;
    for account in accounts {
        let kept = network.memory.pending(*account)?;
        if again {
            network.session.send_again(&kept, AGAIN).await;
        }
        let (settled, error) = settle(network, kept, out).await?;
        failure = failure.or(error);
        rows.extend(settled);
    }
    out.print(&rows, || {
        if rows.is_empty() {
            return "nothing is pending".into();
        }
        let cells =
            |row: &Row| vec![row.tx_id.to_string(), row.sequence.to_string(), row.shown.to_string(), row.state.into(), row.detail.clone()];
        out.table(&["transaction", "number", "what", "state", "detail"], rows.iter().map(cells))
    })?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Finds out the fate of an account's transactions and forgets those that are settled. Also returns the last error, if any.
async fn settle(network: &Network, kept: Vec<Transaction>, out: &Output) -> Result<(Vec<Row>, Option<ClientError>), CommandError> {
    let mut failure = None;
    let mut fates = Vec::new();
    for tx in kept {
        let fate = match network.session.fate(&tx).await {
            Ok(fate) => Some(fate),
            Err(error) => {
                failure = Some(error);
                None
            }
        };
        fates.push((tx, fate));
    }
    // A sequence number is used once: if a transaction with it is proved committed, the others with it never will be.
    let winners: BTreeMap<_, _> =
        fates.iter().filter(|(_, fate)| matches!(fate, Some(Fate::Committed(_)))).map(|(tx, _)| (tx.content().sequence, tx.id())).collect();
    let open = fates.iter().filter(|(_, fate)| matches!(fate, Some(Fate::Open { .. }) | None));
    let numbers: Vec<_> = open.map(|(tx, _)| tx.content().sequence).collect();
    network.remember(out);
    let mut rows = Vec::new();
    for (tx, fate) in &fates {
        let sequence = tx.content().sequence;
        let fate = match (fate, winners.get(&sequence)) {
            (Some(Fate::Used { .. } | Fate::Open { .. }) | None, Some(by)) => {
                Some(Fate::Never(NotCommitted::Replaced { sequence, by: *by }))
            }
            (fate, _) => fate.clone(),
        };
        if matches!(fate, Some(Fate::Committed(_) | Fate::Never(_))) {
            network.memory.forget(tx)?;
        }
        rows.push(row(tx, fate.as_ref(), &numbers));
    }
    Ok((rows, failure))
}

fn row(tx: &Transaction, fate: Option<&Fate>, numbers: &[Sequence]) -> Row {
    let (state, detail) = match fate {
        Some(Fate::Committed(proven)) => {
            let at = format!("verified: {}", proven.certificate());
            match proven.value().receipt.outcome {
                Outcome::Applied(_) => ("applied", at),
                Outcome::Failed(_) => ("failed", at),
            }
        }
        Some(Fate::Never(why)) => ("never", why.to_string()),
        Some(Fate::Used { next }) => (
            "used",
            format!("the account's next sequence number is {next}; ask more nodes, or forget it: quorate wallet cancel {}", tx.id()),
        ),
        Some(Fate::Open { next }) => ("open", waits_for(tx.content().sequence, *next, numbers)),
        None => ("not-asked", "no node proves anything now".into()),
    };
    Row { tx_id: tx.id(), sequence: tx.content().sequence, expires_at: tx.content().expires_at, state, detail, shown: Shown::of(tx) }
}

/// What an open transaction waits for.
fn waits_for(own: Sequence, next: Sequence, numbers: &[Sequence]) -> String {
    match (next.0..own.0).map(Sequence).find(|number| !numbers.contains(number)) {
        Some(missing) => {
            format!("waits for sequence number {missing}, which this wallet has not sent: the account's next transaction will take it")
        }
        None if next < own => format!("waits for sequence number {next}"),
        None => "may be committed at any moment".into(),
    }
}

/// Prevents a transaction from being committed, if it is not yet.
pub(crate) struct Cancellation<'a> {
    pub(crate) network: &'a Network,
    pub(crate) tx: &'a Transaction,
    pub(crate) key: &'a AccountKey,
    pub(crate) timeout: Duration,
}

#[derive(Serialize)]
struct Cancelled {
    cancelled: TxId,
    reason: String,
}

impl Cancellation<'_> {
    /// Signs an operation that changes nothing with the same sequence number, so only one of the two can be committed. The proof of success is
    /// the commit of this one, or the expiry of the other.
    pub(crate) async fn run(self, out: &Output) -> Result<(), CommandError> {
        let Network { session, memory } = self.network;
        let deadline = Instant::now() + self.timeout;
        match session.fate(self.tx).await? {
            Fate::Open { .. } => {}
            fate => return self.end(fate, out),
        }
        let content = self.tx.content();
        let operation = Operation::Kv(KvOperation { space: KvSpace::Own, key: CANCELLATION_KEY.into(), action: KvAction::Get });
        // With the same expiry, so that the wait ends whichever of the two the nodes hold.
        let replacement =
            Transaction::sign(session.light().genesis_hash(), &self.key.signing, content.sequence, content.expires_at, operation.encode());
        if memory.find(replacement.id())?.is_none() {
            memory.keep(&replacement)?;
        }
        out.note(format_args!("sequence number {} goes to an operation that changes nothing", content.sequence));
        let sender =
            Sender { network: self.network, key: self.key, valid_for: Duration::ZERO, timeout: self.timeout, is_repeatable: false };
        let followed = sender.follow(&replacement, &[], self.timeout, out).await;
        match followed {
            Ok(_) => {
                let why = NotCommitted::Replaced { sequence: content.sequence, by: replacement.id() };
                return self.end(Fate::Never(why), out);
            }
            Err(error) if error.exit == Exit::Interrupted => return Err(error),
            // Most likely refused because the nodes already hold the other one, whose commit or expiry then ends the wait.
            Err(_) => {}
        }
        loop {
            match session.fate(self.tx).await {
                Ok(Fate::Open { .. } | Fate::Used { .. }) | Err(_) if Instant::now() < deadline => sleep(session.pace().pause).await,
                Ok(fate @ (Fate::Committed(_) | Fate::Never(_))) => {
                    memory.forget(&replacement)?;
                    return self.end(fate, out);
                }
                Ok(_) | Err(_) => {
                    let message = format!("it is not known yet whether transaction {} will be committed", self.tx.id());
                    return Err(CommandError::new(Exit::TimedOut, "unknown", message)
                        .with_hint("the nodes may hold it; it is settled at its expiry at the latest, see `quorate wallet pending`")
                        .about(self.tx.id()));
                }
            }
        }
    }

    fn end(&self, fate: Fate, out: &Output) -> Result<(), CommandError> {
        self.network.remember(out);
        let reason = match fate {
            Fate::Committed(proven) => {
                self.network.memory.forget_number_of(self.tx)?;
                return self.too_late(&proven, out);
            }
            Fate::Never(why) => why.to_string(),
            Fate::Used { .. } => {
                self.network.memory.forget(self.tx)?;
                let message = format!(
                    "the sequence number of transaction {} is used, and no node proves by which transaction; this one is forgotten here",
                    self.tx.id()
                );
                return Err(CommandError::new(Exit::TimedOut, "used", message)
                    .with_hint(format!("try other nodes: quorate wallet tx {} --node URL", self.tx.id()))
                    .about(self.tx.id()));
            }
            Fate::Open { .. } => String::new(),
        };
        self.network.memory.forget(self.tx)?;
        let cancelled = Cancelled { cancelled: self.tx.id(), reason };
        out.print(&cancelled, || format!("cancelled  {}\nreason     {}", cancelled.cancelled, cancelled.reason))
    }

    fn too_late(&self, proven: &Proven<PlacedReceipt>, out: &Output) -> Result<(), CommandError> {
        // Returns an error if the transaction failed.
        view::receipt(proven, self.network.genesis_hash(), &Shown::of(self.tx), None, out)?;
        Err(CommandError::failure("committed", format!("transaction {} is already in the chain", self.tx.id())).about(self.tx.id()))
    }
}
