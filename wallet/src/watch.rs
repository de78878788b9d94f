//! Watching an account: a line each time it changes, each one proved.

use std::time::Duration;

use quorate_client::{
    ClientError, CommandError, Output, Session,
    session::{CheckedAccount, Source},
};
use quorate_types::{ids::Address, round::Height};
use tokio::time::sleep;

use crate::ask::AccountShown;

pub(crate) async fn run(
    session: &Session,
    address: Address,
    count: Option<u64>,
    interval_ms: u64,
    out: &Output,
) -> Result<(), CommandError> {
    let failed = |error| CommandError::failure("signal", format!("Ctrl-C cannot be listened for: {error}"));
    tokio::select! {
        done = follow(session, address, count, Duration::from_millis(interval_ms), out) => done,
        signal = tokio::signal::ctrl_c() => Err(signal.map_or_else(failed, |()| CommandError::interrupted())),
    }
}

async fn follow(session: &Session, address: Address, count: Option<u64>, pause: Duration, out: &Output) -> Result<(), CommandError> {
    let mut last = session.account_verified(address).await?;
    show(session, address, &last, out)?;
    let mut changes = 0u64;
    while count.is_none_or(|count| changes < count) {
        sleep(pause).await;
        let next = match session.account_verified(address).await {
            Ok(next) => next,
            Err(error @ (ClientError::Unreachable { .. } | ClientError::Refused { .. })) => {
                out.note(format_args!("{error}; trying again"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // Another node may be behind the one that answered before: what was shown once is not taken back.
        if height(&next) <= height(&last) {
            continue;
        }
        let is_new = next.account != last.account;
        last = next;
        if is_new {
            changes = changes.saturating_add(1);
            show(session, address, &last, out)?;
        }
    }
    Ok(())
}

fn height(checked: &CheckedAccount) -> Height {
    match &checked.source {
        Source::Certificate(certificate) => certificate.header.height,
        Source::Genesis => Height(0),
    }
}

fn show(session: &Session, address: Address, checked: &CheckedAccount, out: &Output) -> Result<(), CommandError> {
    let shown = AccountShown::new(session, address, checked);
    out.print(&shown, || format!("height {}  balance {}  sequence {}", height(checked), checked.account.balance, checked.account.sequence))
}
