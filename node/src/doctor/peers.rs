//! The other validators' addresses: whether their names are known, and whether something answers there. All are tried at once.

use std::{net::SocketAddr, time::Duration};

use quorate_network::{Reached, Unreached, reach};
use quorate_terminal::escape_untrusted;
use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
    rpc::PeerView,
};
use tokio::task::JoinSet;

use super::finding::Finding;

/// Longest look-up of a name, and longest wait for a connection.
const PEER_PATIENCE: Duration = Duration::from_secs(3);
/// Most addresses that are tried: those of the largest committee.
const PEERS_MAX: usize = 128;

/// The link to a peer, as the running node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    /// No node runs.
    Unknown,
    Up,
    Down(String),
}

/// An address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    name: String,
    address: String,
    link: Link,
    /// The seat, where the committee is known.
    seat: Option<ValidatorId>,
}

impl Target {
    /// An address that peers dial, without a link.
    pub(super) fn new(name: &str, address: &str, seat: ValidatorId) -> Self {
        Self { name: name.into(), address: address.into(), link: Link::Unknown, seat: Some(seat) }
    }

    /// A peer of the running node.
    pub(super) fn of(peer: &PeerView) -> Self {
        let link = if peer.connected {
            Link::Up
        } else {
            Link::Down(peer.reason.as_deref().map_or_else(|| "reason unknown".into(), escape_untrusted))
        };
        Self { name: escape_untrusted(&peer.name), address: escape_untrusted(&peer.address), link, seat: None }
    }
}

/// The answer of an address.
pub(super) type Tried = (Target, Result<Reached, Unreached>);

/// Tries all addresses at once. The order stays.
pub(super) async fn try_all(targets: Vec<Target>, resolver: Option<SocketAddr>) -> Vec<Tried> {
    let mut tasks = JoinSet::new();
    for (index, target) in targets.into_iter().take(PEERS_MAX).enumerate() {
        tasks.spawn(async move {
            let reached = reach(&target.address, resolver, PEER_PATIENCE).await;
            (index, (target, reached))
        });
    }
    let mut tried = tasks.join_all().await;
    tried.sort_by_key(|(index, _)| *index);
    tried.into_iter().map(|(_, tried)| tried).collect()
}

/// The finding on a peer. One peer that is away is no fault of this validator.
pub(super) fn judge((target, reached): &Tried) -> Finding {
    let Target { name, address, link, .. } = target;
    let finding_name = format!("peer {name}");
    match (reached, link) {
        (Ok(reached), Link::Unknown) => Finding::ok(finding_name, format!("{address} {}", connects(reached))),
        (Ok(reached), Link::Up) => Finding::ok(finding_name, format!("{address} {}; the link is up", connects(reached))),
        (Ok(reached), Link::Down(reason)) => Finding::warning(
            finding_name,
            format!("{address} {}, and the link is down: {reason}", connects(reached)),
            "compare genesis hash, keys and version with its operator: something else may listen there",
        ),
        (Err(error), Link::Up) => Finding::warning(
            finding_name,
            format!("{address}: {error}; the link is up, because it has dialled this validator"),
            "have its operator correct its address (`quorate validator move`) or firewall: after a break only it can restore the link",
        ),
        (Err(Unreached::Name(error)), Link::Unknown | Link::Down(_)) => Finding::warning(
            finding_name,
            format!("{address}: its name cannot be resolved: {error}"),
            "correct its entry in the DNS, name another server in network.resolver, or its address in network.peers",
        ),
        (Err(error), Link::Unknown | Link::Down(_)) => Finding::warning(
            finding_name,
            format!("{address}: {error}"),
            "ask its operator whether it runs, and open the firewalls between here and there; if it has moved, name its address in network.peers",
        ),
    }
}

/// Whether this validator's own address, at which others dial it, answers while it runs.
pub(super) fn judge_own((target, reached): &Tried) -> Finding {
    let Target { name, address, .. } = target;
    match reached {
        Ok(reached) => Finding::ok("address", format!("others dial {name} at {address}, which {}", connects(reached))),
        Err(error) => Finding::warning(
            "address",
            format!("others dial {name} at {address}, and from here that does not answer: {error}"),
            "if it does not from elsewhere either: forward the port to network.listen, or change the address (`quorate validator move`)",
        ),
    }
}

fn connects(reached: &Reached) -> String {
    let ms = reached.connected.as_millis();
    match reached.looked_up {
        Some(looked_up) => format!("connects in {ms} ms, its name resolves in {} ms", looked_up.as_millis()),
        None => format!("connects in {ms} ms"),
    }
}

/// Whether a stopped validator would find a quorum.
pub(super) fn quorum(committee: &Committee, me: Option<ValidatorId>, tried: &[Tried]) -> Finding {
    let answering: SignerSet =
        tried.iter().filter(|(_, reached)| reached.is_ok()).filter_map(|(target, _)| target.seat).chain(me).collect();
    let seen = format!(
        "addresses with {} of {} voting power answer, this validator's included; a quorum is {}",
        committee.power(answering),
        committee.total_power(),
        committee.quorum_power()
    );
    if committee.is_quorum(answering) {
        Finding::ok("quorum", seen)
    } else {
        Finding::fault("quorum", seen, "nothing is committed until more validators run: see the findings on peers")
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::doctor::finding::State;

    fn judged(reached: Result<(), Unreached>, connected: bool) -> Finding {
        let peer = PeerView {
            name: "two".into(),
            address: "/ip4/10.0.0.2/tcp/6180".into(),
            connected,
            reason: (!connected).then(|| "wrong\ngenesis".into()),
        };
        let reached = reached.map(|()| Reached { looked_up: Some(Duration::from_millis(3)), connected: Duration::from_millis(5) });
        judge(&(Target::of(&peer), reached))
    }

    #[test]
    fn address_and_link_together_say_what_is_wrong() {
        let refused = || Err(Unreached::Connect(io::ErrorKind::ConnectionRefused.into()));
        let up = judged(Ok(()), true);
        assert!(up.state == State::Ok && up.seen.contains("connects in 5 ms, its name resolves in 3 ms; the link is up"), "{up:?}");
        for (reached, connected, seen, fix) in [
            (Ok(()), false, "the link is down: wrong", "genesis hash"),
            (refused(), true, "it has dialled this validator", "validator move"),
            (refused(), false, "no connection can be opened", "firewalls"),
            (Err(Unreached::Name(io::ErrorKind::NotFound.into())), false, "cannot be resolved", "network.resolver"),
        ] {
            let finding = judged(reached, connected);
            assert!(finding.state == State::Warning && finding.seen.contains(seen) && !finding.seen.contains('\n'), "{finding:?}");
            assert!(finding.fix.as_ref().unwrap().contains(fix), "{finding:?}");
        }
    }
}
