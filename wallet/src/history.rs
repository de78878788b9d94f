//! An account's transactions, each proved, one line for each.

use quorate_client::{Session, history::Sent, light::PlacedReceipt};
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    ids::{Address, TxId},
    receipt::Outcome,
    round::{Height, Sequence, UnixMillis},
    rpc::OutcomeView,
};
use serde::Serialize;

use crate::{
    network::Network,
    view::{Shown, explained},
};

#[derive(Serialize)]
struct Line {
    sequence: Sequence,
    tx_id: TxId,
    height: Height,
    index: u32,
    timestamp: UnixMillis,
    #[serde(flatten)]
    outcome: OutcomeView,
    #[serde(flatten)]
    shown: Shown,
}

/// Shows the transactions that are committed now, and with `follow` those that come.
pub(crate) async fn run(network: &Network, address: Address, from: Height, follow: bool, out: &Output) -> Result<(), CommandError> {
    let failed = |error| CommandError::failure("signal", format!("cannot listen for Ctrl-C: {error}"));
    tokio::select! {
        done = tell(&network.session, address, from, follow, out) => done,
        signal = tokio::signal::ctrl_c() => Err(signal.map_or_else(failed, |()| CommandError::interrupted())),
    }
}

async fn tell(session: &Session, address: Address, from: Height, follow: bool, out: &Output) -> Result<(), CommandError> {
    let account = session.account_newest(address).await?;
    let mut history = session.history(address, from, &account);
    let mut count = 0u64;
    while let Some(Sent { transaction, receipt }) = history.next(follow).await? {
        count = count.saturating_add(1);
        let (PlacedReceipt { receipt, index }, header) = (receipt.value(), &receipt.certificate().header);
        let line = Line {
            sequence: transaction.content().sequence,
            tx_id: receipt.tx_id,
            height: header.height,
            index: *index,
            timestamp: header.timestamp,
            outcome: OutcomeView::new(&receipt.outcome, explained),
            shown: Shown::of(&transaction),
        };
        out.print(&line, || {
            let Line { sequence, tx_id, height, shown, .. } = &line;
            let result = match &receipt.outcome {
                Outcome::Applied(_) => String::new(),
                Outcome::Failed(failure) => format!("  failed: {} ({})", explained(failure), failure.code()),
            };
            format!("{sequence:>6}  height {height:<8}  {tx_id}  {shown}{result}")
        })?;
    }
    let height = account.certificate().header.height;
    if from == Height(0) {
        out.note(format_args!(
            "{count} transactions, proved; none before height {height} is left out, since they are numbered without gaps"
        ));
    } else if count > 0 {
        out.note(format_args!(
            "{count} transactions in blocks {from} to {height}, proved; none after the first one is left out, since they are numbered without gaps"
        ));
    } else {
        out.note(format_args!("all nodes say that there is no transaction in blocks {from} to {height}; nothing proves it"));
    }
    Ok(())
}
