//! Watches an account: one proved line per change.

use std::time::Duration;

use quorate_builtin::Account;
use quorate_client::{ClientError, Proven};
use quorate_terminal::{CommandError, Output};
use quorate_types::ids::Address;
use tokio::time::sleep;

use crate::{ask::AccountShown, network::Network};

pub(crate) async fn run(
    network: &Network,
    address: Address,
    count: Option<u64>,
    interval_ms: u64,
    out: &Output,
) -> Result<(), CommandError> {
    let failed = |error| CommandError::failure("signal", format!("cannot listen for Ctrl-C: {error}"));
    tokio::select! {
        done = follow(network, address, count, Duration::from_millis(interval_ms), out) => done,
        signal = tokio::signal::ctrl_c() => Err(signal.map_or_else(failed, |()| CommandError::interrupted())),
    }
}

async fn follow(network: &Network, address: Address, count: Option<u64>, pause: Duration, out: &Output) -> Result<(), CommandError> {
    let mut last = network.account(address).await?;
    show(network, address, &last, out)?;
    let mut changes = 0u64;
    while count.is_none_or(|count| changes < count) {
        sleep(pause).await;
        let next = match network.account(address).await {
            Ok(next) => next,
            Err(error @ ClientError::Genesis(_)) => return Err(error.into()),
            // No proof this time; the next read may have one.
            Err(error) => {
                out.note(format_args!("{error}; trying again"));
                continue;
            }
        };
        let is_new = next.value() != last.value();
        last = next;
        if is_new {
            changes = changes.saturating_add(1);
            show(network, address, &last, out)?;
        }
    }
    Ok(())
}

fn show(network: &Network, address: Address, account: &Proven<Account>, out: &Output) -> Result<(), CommandError> {
    let shown = AccountShown::new(network, address, account)?;
    let height = account.certificate().header.height;
    out.print(&shown, || format!("height {height}  balance {}  sequence {}", account.value().balance, account.value().sequence))
}
