//! Logs wrong clocks, blocks that can no longer be read from disk, and a stuck replica thread, which the supervisor is then not told to be alive.
//! [`crate::stall`] logs why the chain is stalled.

use std::{sync::Arc, time::Duration};

use quorate_types::ids::ValidatorId;
use tokio::sync::watch;

use crate::{
    api::{Api, limits::stopped},
    clock::Clocks,
    supervisor,
};

/// Interval between checks.
const EVERY: Duration = Duration::from_secs(10);
/// Checks after which a clock that stays wrong is logged again.
const CLOCKS_EVERY: u32 = 30;

/// Checks the node until it stops.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let mut clocks = WrongClocks::default();
    let mut damaged_reads = 0;
    // Twice within the supervisor's patience, as systemd advises.
    let every = supervisor::patience().map_or(EVERY, |patience| EVERY.min(patience / 2));
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(every) => {}
        }
        if let Some(compared) = api.clocks()
            && clocks.is_news(&compared)
        {
            tracing::warn!("{}", compared.say(api.epochs.now().committee()));
        }
        let damage = api.history.damage();
        if let Some(first) = damage.first.filter(|_| damage.reads > damaged_reads) {
            tracing::error!(reads = damage.reads, "{first}");
        }
        damaged_reads = damage.reads;
        if api.status().await.is_ok() {
            supervisor::alive();
        } else {
            tracing::warn!(
                "the replica's thread has not answered for {} s; is the disk overloaded?",
                crate::api::QUESTION_TIMEOUT.as_secs()
            );
        }
    }
}

/// The clocks last logged as wrong: logged again when the set changes, and every [`CLOCKS_EVERY`] checks.
#[derive(Debug, Default)]
struct WrongClocks {
    whose: (bool, Vec<ValidatorId>),
    looks: u32,
}

impl WrongClocks {
    fn is_news(&mut self, clocks: &Clocks) -> bool {
        let whose = (clocks.ours().is_some(), clocks.others().into_iter().map(|(id, _)| id).collect());
        self.looks = self.looks.saturating_add(1);
        let is_right = whose == (false, Vec::new());
        if whose == self.whose && (is_right || self.looks < CLOCKS_EVERY) {
            return false;
        }
        self.whose = whose;
        self.looks = 0;
        true
    }
}
