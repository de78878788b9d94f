//! Follows the committee ahead of the ledger, from nodes that the operator has named.
//!
//! A node finds its peers in the committee of its own epoch. If all of those have left since, it finds nobody, and cannot catch up. So while it is
//! not linked to a quorum, or commits nothing, it asks the nodes in `network.join` how the committee has changed (`GET /v1/epochs`). Each change is proved by the
//! committee before it, so it does not matter who shows it. Members of the newest committee then help the node to catch up ([`crate::helpers`]), at
//! the addresses to which they have moved as far as the same node proves them.
//! A change moves neither ledger nor verifier: those still follow the blocks alone (LINK-1).

use std::{sync::Arc, time::Duration};

use quorate_client::{
    Client, ClientError,
    light::{EPOCH_CHANGE_BYTES_MAX, PROOF_BYTES_MAX},
};
use quorate_network::{Network, PeerIndex};
use quorate_types::{
    codec,
    committee::SignerSet,
    epoch::EpochChange,
    message::{Message, SyncInfo},
    proof::ValueProof,
    round::Epoch,
    rpc::{EPOCH_CHANGES_MAX, EpochsView},
    state_key::ADDRESSES_KEY,
    verify::Verifier,
};
use tokio::sync::watch;

use crate::{
    addresses::{self, Moved},
    api::limits::stopped,
    epochs::{Epochs, InForce},
    event_loop::LoopInput,
    links::Links,
    mailbox::{Lane, Mailbox},
    metrics::Metrics,
};

/// Pause before the first question, in which links to our own committee may come up, and after an answer that led further.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two questions; it doubles with each answer that leads no further.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How many questions without a single link are asked before the log says what may be wrong.
const LONELY_QUESTIONS: u32 = 5;

/// What the task works with.
pub(crate) struct Following {
    /// A client for each node, so that one that answers badly does not keep the others from being asked.
    pub(crate) nodes: Vec<Client>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) links: Arc<Links>,
    pub(crate) network: Network,
    pub(crate) mailbox: Mailbox<LoopInput>,
    pub(crate) metrics: Arc<Metrics>,
    /// The newest version of the protocol that this program speaks.
    pub(crate) speaks: u32,
    /// Time without a commit after which a healthy chain is stalled.
    pub(crate) stalled_after: Duration,
}

/// A client for each of these nodes.
///
/// # Errors
/// [`ClientError`]: one of them is no URL, or this machine has no certificates for https.
pub(crate) fn clients(urls: &[String]) -> Result<Vec<Client>, ClientError> {
    urls.iter().map(|url| Client::new(&[url])).collect()
}

impl Following {
    /// Asks until the node stops, whenever it needs to know.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut newest = Arc::clone(&self.epochs.now().verifier);
        let mut moved = Moved::new();
        let mut pause = PAUSE;
        let mut lonely = 0u32;
        let mut nodes = self.nodes.iter().cycle();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
            let now = self.epochs.now();
            if newest.committee().epoch() < now.epoch() {
                newest = Arc::clone(&now.verifier);
            }
            let linked = self.linked(&now);
            let is_stalled = self.metrics.since_commit() > self.stalled_after;
            if self.links.later().is_none() && now.committee().is_quorum(linked) && !is_stalled {
                (pause, lonely) = (PAUSE, 0);
                continue;
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
            let others = |ids: SignerSet| ids.without(SignerSet::from_iter([now.me]));
            let is_lonely = others(linked).is_empty() && !others(now.committee().ids().collect()).is_empty();
            lonely = if is_lonely { lonely.saturating_add(1) } else { 0 };
            if lonely == LONELY_QUESTIONS {
                say_lonely(now.epoch(), self.nodes.is_empty());
            }
            let Some(node) = nodes.next() else { continue };
            let before = newest.committee().epoch();
            match node.epochs(before).await {
                Ok(answer) => newest = follow(newest, answer, self.speaks).await,
                Err(error) => tracing::debug!("no answer about changes of the committee: {error}"),
            }
            let epoch = newest.committee().epoch();
            if epoch > before {
                tracing::info!(%epoch, members = newest.committee().ids().count(), "a later committee is proved");
                (pause, moved) = (PAUSE, Moved::new());
            }
            if epoch > self.epochs.now().epoch() {
                if let Some(found) = addresses(node, &newest).await {
                    moved = found;
                }
                self.links.set_later(Arc::clone(newest.committee()), moved.clone());
                self.tell(&newest);
            }
        }
    }

    /// The members of our committee that are linked, and ourselves.
    fn linked(&self, now: &InForce) -> SignerSet {
        now.committee().ids().filter(|id| *id == now.me || self.network.is_connected(PeerIndex(id.0))).collect()
    }

    /// Makes the replica ask for blocks, and sign nothing that it has not begun to sign, as if every other member had claimed to be in the
    /// later epoch: it is proved that a quorum of them has been there.
    fn tell(&self, later: &Verifier) {
        let begin = later.genesis_qc().into_inner();
        let now = self.epochs.now();
        for from in now.committee().ids().filter(|id| *id != now.me) {
            let info = SyncInfo { high_qc: begin.clone(), high_commit_qc: begin.clone(), last_round_tc: None };
            let input = LoopInput::OtherEpoch { from, message: Box::new(Message::SyncInfo(Box::new(info))), bytes: 0 };
            if self.mailbox.offer(Lane::Consensus, 0, input).is_err() {
                // It has enough to do. The next answer tells it again.
                return;
            }
        }
    }
}

/// Follows the changes in an answer, away from the tasks that must not wait for the signatures. Returns the newest epoch that is proved then.
async fn follow(verifier: Arc<Verifier>, answer: EpochsView, speaks: u32) -> Arc<Verifier> {
    let before = Arc::clone(&verifier);
    let following = tokio::task::spawn_blocking(move || {
        let mut newest = verifier;
        for change in answer.changes.iter().take(EPOCH_CHANGES_MAX) {
            match next(&newest, change, speaks) {
                Ok(next) => newest = Arc::new(next),
                Err(problem) => {
                    tracing::warn!(epoch = %newest.committee().epoch(), "a node in `network.join` shows no change of the committee: {problem}");
                    break;
                }
            }
        }
        newest
    });
    // An error means that the node is stopping.
    following.await.unwrap_or(before)
}

/// The verifier of the epoch after a change.
fn next(verifier: &Verifier, change: &str, speaks: u32) -> Result<Verifier, String> {
    if change.len() / 2 > EPOCH_CHANGE_BYTES_MAX {
        return Err("it is too long".into());
    }
    let bytes = hex::decode(change).map_err(|error| error.to_string())?;
    let change: EpochChange = codec::decode(&bytes, EPOCH_CHANGE_BYTES_MAX).map_err(|error| error.to_string())?;
    let (last, committee) = change.verify(verifier).map_err(|error| error.to_string())?;
    if change.next.protocol_version > speaks {
        let (epoch, version) = (change.next.epoch, change.next.protocol_version);
        return Err(format!("from epoch {epoch} on the chain speaks protocol version {version}, and this program only up to {speaks}"));
    }
    Ok(verifier.next(last.state_id(), committee, change.next.parameters))
}

/// Where the members of the newest committee have moved, if the node proves it by that committee's signatures.
async fn addresses(node: &Client, newest: &Verifier) -> Option<Moved> {
    let view = node.state(ADDRESSES_KEY).await.ok()?;
    let proof: ValueProof = codec::decode(&hex::decode(view.proof).ok()?, PROOF_BYTES_MAX).ok()?;
    let list = view.value.map(hex::decode).transpose().ok()?;
    proof.verify(newest, ADDRESSES_KEY, list.as_deref()).ok()?;
    Some(addresses::decode(list.as_deref()))
}

fn say_lonely(epoch: Epoch, has_no_nodes: bool) {
    let fix = if has_no_nodes {
        "name the API of a node that runs (network.join in config.toml, or --join URL)"
    } else {
        "check that the nodes in network.join run, and that their network is this one"
    };
    tracing::warn!(%epoch, "no member of this epoch's committee is linked. If the committee has changed since, perhaps nobody is left of it: {fix}");
}

#[cfg(test)]
mod tests {
    use quorate_types::message::PROTOCOL_VERSION_MAX;

    use super::*;
    use crate::testing::epochs;

    #[tokio::test]
    async fn what_proves_no_change_leads_nowhere() {
        let verifier = Arc::clone(&epochs().now().verifier);
        let long = "00".repeat(EPOCH_CHANGE_BYTES_MAX + 1);
        for change in ["", "xyz", "0", &"00".repeat(5_000), &long] {
            assert!(next(&verifier, change, PROTOCOL_VERSION_MAX).is_err(), "{}", change.len());
        }
        let answer = EpochsView { epoch: Epoch(1_000), changes: vec!["00".into(); 1_000] };
        assert_eq!(follow(verifier, answer, PROTOCOL_VERSION_MAX).await.committee().epoch(), Epoch(0));
    }
}
