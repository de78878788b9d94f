//! While nothing is committed, logs why: every operator's first question.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    api::{Api, limits::stopped},
    diagnosis,
};

/// Watches the chain until the node stops. While it is stalled, logs a line per patience period.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let patience = || diagnosis::patience(api.epochs.now().verifier.parameters());
    let mut was_stalled = false;
    let mut wait = patience().saturating_mul(diagnosis::STALLED_PERIODS);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        let patience = patience();
        let stalled_after = patience.saturating_mul(diagnosis::STALLED_PERIODS);
        let since_commit = api.metrics.since_commit();
        if since_commit < stalled_after {
            if was_stalled {
                tracing::info!(height = %api.views.borrow().header().height, "blocks are committed again");
            }
            was_stalled = false;
            wait = stalled_after.saturating_sub(since_commit).max(Duration::from_millis(1));
            continue;
        }
        wait = patience;
        if api.status().await.is_ok_and(|status| status.has_halted) {
            continue;
        }
        // The watchdog reports a replica that does not answer.
        let Ok(snapshot) = api.standing().await else { continue };
        let view = diagnosis::of(&api, &snapshot);
        // A block may have been committed meanwhile.
        let Some(stall) = &view.stall else { continue };
        was_stalled = true;
        tracing::warn!(
            round = %view.round,
            leader = view.leader,
            height = %view.height,
            high_qc_round = %view.high_qc_round,
            "{}",
            stall.summary
        );
    }
}
