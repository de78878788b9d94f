//! Says why, when the chain stands still: the first question of every operator. And whose clock is wrong, and when the disk no longer gives
//! back old blocks.

use std::{sync::Arc, time::Duration};

use quorate_types::ids::ValidatorId;
use tokio::sync::watch;

use crate::{
    api::{Api, limits::stopped},
    clock::Clocks,
};

/// How often the chain is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// In every how many looks a clock that stays wrong is named again.
const CLOCKS_EVERY: u32 = 30;

/// Looks at the chain until the node stops.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    // Rounds given up and height at the last look.
    let mut before = None;
    let mut clocks = WrongClocks::default();
    let mut damaged_reads = 0;
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Some(compared) = api.clocks()
            && clocks.is_news(&compared)
        {
            tracing::warn!("{}", compared.say(&api.committee));
        }
        let damage = api.history.damage();
        if let Some(first) = damage.first.filter(|_| damage.reads > damaged_reads) {
            tracing::error!(reads = damage.reads, "{first}");
        }
        damaged_reads = damage.reads;
        let Ok(status) = api.status().await else {
            tracing::warn!(
                "the replica's thread has not answered for {} s; is the disk overloaded?",
                crate::api::QUESTION_TIMEOUT.as_secs()
            );
            continue;
        };
        // An idle chain gives up no rounds: nothing to commit is no trouble.
        let is_stuck = before.is_some_and(|(timeouts, height)| status.counts.timeouts > timeouts && status.height == height);
        before = Some((status.counts.timeouts, status.height));
        if !is_stuck {
            continue;
        }
        let name = |id: ValidatorId| api.committee.get(id).map_or_else(|| id.to_string(), |validator| validator.name.clone());
        let peers = api.network.status();
        let missing: Vec<_> = peers
            .iter()
            .filter(|peer| !peer.is_connected())
            .map(|peer| {
                let why = peer.down_because().unwrap_or_else(|| "up again".into());
                format!("{} at {} ({why})", name(ValidatorId(peer.index.0)), peer.address)
            })
            .collect();
        tracing::warn!(
            round = %status.round,
            leader = name(status.leader),
            height = %status.height,
            high_qc_round = %status.high_qc_round,
            pending_blocks = status.pending_blocks,
            "nothing was committed in the last {} s although rounds were given up; {}",
            EVERY.as_secs(),
            if missing.is_empty() { "all validators are linked".into() } else { format!("no link to: {}", missing.join("; ")) }
        );
    }
}

/// Whose clocks were wrong at the last looks: told when that changes, and now and then.
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
