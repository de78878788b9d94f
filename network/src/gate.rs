//! Limits on connections.
//!
//! - Unfinished incoming handshakes are limited. Those with addresses outside the committee may fill only a part of all slots, so that a flood
//!   of half-open connections cannot lock validators out.
//! - The number of connections per validator is limited, and because only members pass the allow list, so is the number of all.
//! - The rate of connections per validator is limited. Each connection leaks a few bytes in libp2p-stream 0.5.0-alpha (`Shared::senders`), so
//!   otherwise a hostile validator could exhaust our memory by reconnecting.
//!
//! libp2p's own `connection_limits` remembers every peer that ever connected, but members come and go.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
        dummy,
    },
};
use thiserror::Error;

/// Most unfinished handshakes of incoming connections.
const PENDING_MAX: usize = 64;
/// Most unfinished handshakes with addresses outside the committee, in total.
pub(crate) const PENDING_FOREIGN_MAX: usize = 32;
/// Connections with one peer: the old one and its replacement.
const CONNECTIONS_PER_PEER_MAX: usize = 2;
/// Connections that a validator may make at once.
const CONNECTIONS_BURST: u32 = 16;
/// Time after which a validator may make one more connection.
const CONNECTION_REFILL: Duration = Duration::from_secs(1);

/// Why a connection was refused. The peer may retry later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Crowded {
    #[error("too many unfinished handshakes")]
    Pending,
    #[error("too many unfinished handshakes from outside the committee")]
    Foreign,
    #[error("too many connections with this peer")]
    TooMany,
    #[error("too many connections in a short time")]
    TooOften,
}

/// The libp2p behaviour. It must come after the allow list and before `libp2p_stream` in the list of protocols.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    members: BTreeMap<PeerId, Member>,
    pending: HashMap<ConnectionId, Origin>,
}

/// Where an unfinished handshake comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// An address of a member. Members may connect from others as well, but then compete with strangers for slots.
    Member,
    Elsewhere,
}

#[derive(Debug)]
struct Member {
    /// As configured, or what its host name last resolved to.
    addresses: Vec<IpAddr>,
    connections: usize,
    allowance: Allowance,
}

/// A token bucket of connections.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    refilled_at: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Allowance {
        Allowance { left: CONNECTIONS_BURST, refilled_at: now }
    }

    fn take(&mut self, now: Instant) -> Result<(), Crowded> {
        while self.left < CONNECTIONS_BURST && now.saturating_duration_since(self.refilled_at) >= CONNECTION_REFILL {
            self.left += 1;
            self.refilled_at += CONNECTION_REFILL;
        }
        if self.left == CONNECTIONS_BURST {
            self.refilled_at = now;
        }
        self.left = self.left.checked_sub(1).ok_or(Crowded::TooOften)?;
        Ok(())
    }
}

impl Gate {
    /// Records the addresses of a member: the configured one, or those that its host name resolves to.
    pub(crate) fn know(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        let addresses = addresses.iter().filter_map(ip).collect();
        match self.members.get_mut(&peer) {
            Some(member) => member.addresses = addresses,
            None => {
                self.members.insert(peer, Member { addresses, connections: 0, allowance: Allowance::full(Instant::now()) });
            }
        }
    }

    /// The peer is no longer a member.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.members.remove(peer);
    }

    fn on_pending(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), Crowded> {
        let ip = ip(from);
        let is_member = self.members.values().flat_map(|member| &member.addresses).any(|address| Some(*address) == ip);
        let origin = if is_member { Origin::Member } else { Origin::Elsewhere };
        if self.pending.len() >= PENDING_MAX {
            return Err(Crowded::Pending);
        }
        if origin == Origin::Elsewhere && self.pending.values().filter(|pending| **pending == origin).count() >= PENDING_FOREIGN_MAX {
            return Err(Crowded::Foreign);
        }
        self.pending.insert(connection, origin);
        Ok(())
    }

    fn on_incoming(&mut self, connection: ConnectionId, peer: &PeerId, now: Instant) -> Result<(), Crowded> {
        self.pending.remove(&connection);
        self.on_outgoing(peer)?;
        self.members.get_mut(peer).map_or(Ok(()), |member| member.allowance.take(now))
    }

    /// Our own dials are paced by the dialer.
    fn on_outgoing(&self, peer: &PeerId) -> Result<(), Crowded> {
        let is_full = self.members.get(peer).is_some_and(|member| member.connections >= CONNECTIONS_PER_PEER_MAX);
        if is_full { Err(Crowded::TooMany) } else { Ok(()) }
    }

    fn set_connections(&mut self, peer: &PeerId, connections: usize) {
        if let Some(member) = self.members.get_mut(peer) {
            member.connections = connections;
        }
    }
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.on_pending(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.on_incoming(connection, &peer, Instant::now()).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.on_outgoing(&peer).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.pending.remove(&connection_id);
            }
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, other_established, .. }) => {
                self.set_connections(&peer_id, other_established.saturating_add(1));
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, remaining_established, .. }) => {
                self.set_connections(&peer_id, remaining_established);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
impl Gate {
    /// Members and unfinished handshakes in memory.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.members.len(), self.pending.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn foreign_handshakes_fill_only_their_own_slots_and_give_them_back() {
        let (member_from, foreign) = (address("/ip4/10.0.0.1/tcp/55555"), address("/ip4/192.0.2.9/tcp/1"));
        let mut gate = Gate::default();
        let member = PeerId::random();
        gate.know(member, &[address("/ip4/10.0.0.1/tcp/4001")]);
        for number in 0..PENDING_FOREIGN_MAX {
            assert_eq!(gate.on_pending(connection(number), &foreign), Ok(()));
        }
        assert_eq!(gate.on_pending(connection(100), &foreign), Err(Crowded::Foreign));
        for number in PENDING_FOREIGN_MAX..PENDING_MAX {
            assert_eq!(gate.on_pending(connection(number), &member_from), Ok(()));
        }
        assert_eq!(gate.on_pending(connection(100), &member_from), Err(Crowded::Pending));
        assert_eq!(gate.on_incoming(connection(0), &member, Instant::now()), Ok(()));
        assert_eq!(gate.on_pending(connection(100), &foreign), Ok(()));
    }

    #[test]
    fn a_member_is_known_by_its_latest_addresses_until_it_leaves() {
        let mut gate = Gate::default();
        let (member, old, new) = (PeerId::random(), address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.2/tcp/1"));
        let mut number = 0;
        let mut origin = |gate: &mut Gate, address: &Multiaddr| {
            number += 1;
            gate.on_pending(connection(number), address).unwrap();
            gate.pending[&connection(number)]
        };
        gate.know(member, &[address("/dns4/example.org/tcp/1")]);
        assert_eq!(origin(&mut gate, &old), Origin::Elsewhere);
        gate.know(member, std::slice::from_ref(&old));
        assert_eq!(origin(&mut gate, &old), Origin::Member);
        gate.know(member, std::slice::from_ref(&new));
        assert_eq!((origin(&mut gate, &old), origin(&mut gate, &new)), (Origin::Elsewhere, Origin::Member));
        gate.forget(&member);
        assert_eq!(origin(&mut gate, &new), Origin::Elsewhere);
    }

    #[test]
    fn a_validator_that_reconnects_in_a_storm_waits_for_its_allowance() {
        let mut gate = Gate::default();
        let (peer, other) = (PeerId::random(), PeerId::random());
        gate.know(peer, &[]);
        gate.know(other, &[]);
        let start = Instant::now();
        let mut connect = |peer, at| gate.on_incoming(connection(1), peer, at);
        for _ in 0..CONNECTIONS_BURST {
            assert_eq!(connect(&peer, start), Ok(()));
        }
        assert_eq!(connect(&peer, start), Err(Crowded::TooOften));
        assert_eq!(connect(&other, start), Ok(()), "others are not affected");
        assert_eq!(connect(&peer, start + CONNECTION_REFILL), Ok(()));
        assert_eq!(connect(&peer, start + CONNECTION_REFILL), Err(Crowded::TooOften));
    }

    #[test]
    fn a_peer_has_two_connections_at_most_whoever_dials() {
        let mut gate = Gate::default();
        let peer = PeerId::random();
        gate.know(peer, &[]);
        gate.set_connections(&peer, CONNECTIONS_PER_PEER_MAX);
        assert_eq!(gate.on_incoming(connection(1), &peer, Instant::now()), Err(Crowded::TooMany));
        assert_eq!(gate.on_outgoing(&peer), Err(Crowded::TooMany));
        gate.set_connections(&peer, 1);
        assert_eq!(gate.on_incoming(connection(1), &peer, Instant::now()), Ok(()));
        assert_eq!(gate.on_outgoing(&peer), Ok(()));
    }
}
