//! Says why, while nothing is committed: the first question of every operator.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    api::{Api, limits::stopped},
    diagnosis,
};

/// Looks at the chain until the node stops. While it stands still there is a line in the log for each patience period.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let patience = diagnosis::patience(&api.genesis.parameters);
    let stalled_after = patience.saturating_mul(diagnosis::STALLED_PERIODS);
    let mut was_stalled = false;
    let mut wait = stalled_after;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
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
        // A replica that does not answer is the watchdog's matter.
        let Ok(snapshot) = api.standing().await else { continue };
        let view = diagnosis::of(&api, &snapshot);
        // Something may have been committed meanwhile.
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
