//! Which links the network keeps: one to every other member of the committee, at the address in our configuration, else where it has moved, else at
//! that in the committee. Those who are leaving it, and the members of a later one, are linked as well.

use std::collections::BTreeMap;

use quorate_network::{Peer, PeerIndex, check_peer_address};
use quorate_types::{committee::Committee, crypto::PublicKey, ids::ValidatorId};

use crate::{addresses::Moved, helpers};

/// Our network key, and the configured addresses of peers, by name.
#[derive(Clone, Debug)]
pub(crate) struct Peering {
    own: PublicKey,
    addresses: BTreeMap<String, String>,
}

/// A committee, and those of its members who have moved since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members<'a> {
    pub(crate) committee: &'a Committee,
    pub(crate) moved: &'a Moved,
}

impl Peering {
    pub(crate) const fn new(own: PublicKey, addresses: BTreeMap<String, String>) -> Self {
        Self { own, addresses }
    }

    /// The links for a committee. Those who have left the one before keep theirs, so that they hear of it. Members of a `later` one help us to
    /// catch up, at places beyond the seats.
    pub(crate) fn peers(&self, now: Members<'_>, leaving: Option<&Committee>, later: Option<Members<'_>>) -> Vec<Peer> {
        let mut peers = self.members(now, |seat| PeerIndex(seat.0));
        let moved = &Moved::new();
        let before = leaving.map(|committee| self.members(Members { committee, moved }, |seat| PeerIndex(seat.0)));
        let helpers = later.map(|later| self.members(later, helpers::place_of));
        for peer in before.into_iter().chain(helpers).flatten() {
            let taken = |other: &Peer| other.index == peer.index || other.network_key == peer.network_key;
            if !peers.iter().any(taken) {
                peers.push(peer);
            }
        }
        peers
    }

    fn members(&self, Members { committee, moved }: Members<'_>, place: impl Fn(ValidatorId) -> PeerIndex) -> Vec<Peer> {
        // By key, not by seat: who has left, or has another consensus key there, is no peer of itself either.
        let others = committee.members().filter(|(_, validator)| validator.network_key != self.own);
        let peers = others.filter_map(|(id, validator)| {
            let addresses = [self.addresses.get(&validator.name), moved.get(&id), Some(&validator.address)];
            // The chain does not judge addresses.
            let address = addresses.into_iter().flatten().find(|address| is_usable(&validator.name, address))?.clone();
            Some(Peer { index: place(id), network_key: validator.network_key.0, address })
        });
        peers.collect()
    }
}

fn is_usable(name: &str, address: &str) -> bool {
    let checked = check_peer_address(&format!("{name}'s"), address);
    checked.inspect_err(|error| tracing::warn!("{error}; set another one under [network.peers]")).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            peering
                .peers(Members { committee: &committee, moved: &Moved::new() }, None, None)
                .into_iter()
                .map(|peer| peer.address)
                .collect::<Vec<_>>()
        };
        assert_eq!(addresses(1, BTreeMap::new()), ["/ip4/127.0.0.1/tcp/2"]);
        let moved = [("two", "/dns4/two.example/tcp/9"), ("bad", "/ip4/127.0.0.1/tcp/3")].map(|(name, at)| (name.into(), at.into()));
        let mut found = addresses(1, moved.into());
        found.sort();
        assert_eq!(found, ["/dns4/two.example/tcp/9", "/ip4/127.0.0.1/tcp/3"]);
        assert_eq!(addresses(9, BTreeMap::new()).len(), 2, "a node that is no member dials them all");
    }

    #[test]
    fn who_has_moved_is_dialled_there_unless_our_configuration_says_otherwise() {
        let home = "/ip4/127.0.0.1/tcp/1".to_owned();
        let members = [("me", keys(1), home.clone()), ("two", keys(2), home.clone()), ("three", keys(3), home)];
        let committee = genesis_of(&members).committee().unwrap();
        let mut moved: Moved = committee.members().map(|(id, validator)| (id, format!("/dns4/{}.example/tcp/2", validator.name))).collect();
        let configured = [("two".to_owned(), "/ip4/127.0.0.1/tcp/3".to_owned())].into();
        let peering = Peering::new(keys(1).public().network_key, configured);
        let addresses = |moved: &Moved| {
            let peers = peering.peers(Members { committee: &committee, moved }, None, None);
            peers.into_iter().map(|peer| peer.address).collect::<BTreeSet<_>>()
        };
        assert_eq!(addresses(&moved), ["/dns4/three.example/tcp/2", "/ip4/127.0.0.1/tcp/3"].map(str::to_owned).into());
        for address in moved.values_mut() {
            *address = "nowhere".into();
        }
        assert_eq!(addresses(&moved), ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/3"].map(str::to_owned).into());
    }

    #[test]
    fn members_of_a_later_committee_have_places_beyond_the_seats_unless_they_are_linked_already() {
        let at = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
        let committee = |members: &[(&str, u8)]| {
            let members: Vec<_> = members.iter().map(|(name, number)| (*name, keys(*number), at((*number).into()))).collect();
            genesis_of(&members).committee().unwrap()
        };
        let (now, later) =
            (committee(&[("me", 1), ("left", 2), ("stayed", 3)]), committee(&[("me", 1), ("new", 4), ("stayed", 3), ("newer", 5)]));
        let moved = &Moved::new();
        let at_home = |committee| Members { committee, moved };
        let peering = Peering::new(keys(1).public().network_key, BTreeMap::new());
        let mut links: Vec<_> = peering
            .peers(at_home(&now), None, Some(at_home(&later)))
            .into_iter()
            .map(|peer| (peer.address, helpers::is_helper(peer.index)))
            .collect();
        links.sort();
        assert_eq!(links, [(at(2), false), (at(3), false), (at(4), true), (at(5), true)]);
    }
}
