//! Which links the network keeps: one to every other member of the committee, at the address in the committee or in our configuration.

use std::collections::BTreeMap;

use quorate_network::{Network, Peer, PeerIndex, check_peer_address};
use quorate_types::{committee::Committee, crypto::PublicKey};

/// Our network key, and the configured addresses of peers, by name.
#[derive(Clone, Debug)]
pub(crate) struct Peering {
    own: PublicKey,
    addresses: BTreeMap<String, String>,
}

impl Peering {
    pub(crate) const fn new(own: PublicKey, addresses: BTreeMap<String, String>) -> Self {
        Self { own, addresses }
    }

    /// The links for a committee.
    pub(crate) fn peers(&self, committee: &Committee) -> Vec<Peer> {
        // By key, not by seat: who has left, or has another consensus key there, is no peer of itself either.
        let others = committee.members().filter(|(_, validator)| validator.network_key != self.own);
        let peers = others.map(|(id, validator)| Peer {
            index: PeerIndex(id.0),
            network_key: validator.network_key.0,
            address: self.addresses.get(&validator.name).unwrap_or(&validator.address).clone(),
        });
        // The chain does not judge addresses. A member with a bad one can still dial us: any address will do for ours to it.
        peers.filter(usable).collect()
    }

    /// Gives the network the members of this committee. Those who have left it keep their links for now, so that they hear of it: until
    /// the next call without `leaving`.
    pub(crate) fn set(&self, network: &Network, committee: &Committee, leaving: Option<&Committee>) {
        let mut peers = self.peers(committee);
        for peer in leaving.into_iter().flat_map(|before| self.peers(before)) {
            let taken = |other: &Peer| other.index == peer.index || other.network_key == peer.network_key;
            if !peers.iter().any(taken) {
                peers.push(peer);
            }
        }
        if let Err(error) = network.set_peers(peers) {
            tracing::error!("the links to the new committee cannot be set up, so the old ones stay: {error}");
        }
    }
}

fn usable(peer: &Peer) -> bool {
    let checked = check_peer_address(&format!("validator {}'s", peer.index), &peer.address);
    checked.inspect_err(|error| tracing::warn!("no link to this validator: {error}; set another one under [network.peers]")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{genesis_of, keys};

    #[test]
    fn every_other_member_has_a_link_at_its_address_or_the_configured_one() {
        let members = [
            ("one", keys(1), "/ip4/127.0.0.1/tcp/1".to_owned()),
            ("two", keys(2), "/ip4/127.0.0.1/tcp/2".to_owned()),
            ("bad", keys(3), "nowhere".to_owned()),
        ];
        let committee = genesis_of(&members).committee().unwrap();
        let addresses = |number, configured| {
            let peering = Peering::new(keys(number).public().network_key, configured);
            peering.peers(&committee).into_iter().map(|peer| peer.address).collect::<Vec<_>>()
        };
        assert_eq!(addresses(1, BTreeMap::new()), ["/ip4/127.0.0.1/tcp/2"]);
        let moved = [("two", "/dns4/two.example/tcp/9"), ("bad", "/ip4/127.0.0.1/tcp/3")].map(|(name, at)| (name.into(), at.into()));
        let mut found = addresses(1, moved.into());
        found.sort();
        assert_eq!(found, ["/dns4/two.example/tcp/9", "/ip4/127.0.0.1/tcp/3"]);
        assert_eq!(addresses(9, BTreeMap::new()).len(), 2, "a node that is no member dials them all");
    }
}
