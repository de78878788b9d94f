//! Sending a transaction: number it, sign it, submit it, and check what comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quorate_client::{CommandError, Output, Session};
use quorate_keygen::AccountKey;
use quorate_types::{operation::Operation, round::UnixMillis, transaction::Transaction};

use crate::view::{self, Shown};

/// Sends the transactions of one account.
pub(crate) struct Sender<'a> {
    pub(crate) session: &'a Session,
    pub(crate) key: &'a AccountKey,
    /// In seconds.
    pub(crate) expires_in: u64,
    /// In seconds.
    pub(crate) timeout: u64,
}

impl Sender<'_> {
    pub(crate) async fn send(&self, operation: &Operation, shown: Shown, out: &Output) -> Result<(), CommandError> {
        let from = self.key.public().address;
        // The node's word is enough for the number: a wrong one is refused or waits until it expires, and moves nothing.
        let sequence = self.session.client().account(from).await?.next_sequence;
        let genesis_hash = self.session.light().genesis_hash();
        let tx = Transaction::sign(genesis_hash, &self.key.signing, sequence, expiry(self.expires_in)?, operation);
        // Said before it leaves: whoever interrupts the wait can ask for it later.
        out.note(format_args!("submitting {}", tx.id()));
        let progress = out.progress("waiting for the commit");
        let proven = self.session.submit_and_verify(&tx, Duration::from_secs(self.timeout)).await?;
        drop(progress);
        view::receipt(&proven, self.session.light().genesis().hash(), &Shown { from: Some(from), ..shown }, None, out)
    }
}

fn expiry(seconds: u64) -> Result<UnixMillis, CommandError> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| since.checked_add(Duration::from_secs(seconds)))
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .map(UnixMillis)
        .ok_or_else(|| CommandError::failure("clock", "the clock of this machine cannot be right").with_hint("set it"))
}
