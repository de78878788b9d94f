//! Limits on incoming connections that libp2p lacks.
//!
//! - Unfinished handshakes with addresses outside the committee may fill only a part of all slots, so that a flood of half-open connections
//!   cannot lock validators out.
//! - The rate of connections per validator is limited. Each connection leaks a few bytes in libp2p-stream 0.5.0-alpha (`Shared::senders`), so
//!   otherwise a hostile validator could exhaust our memory by reconnecting.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
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
        dummy,
    },
};
use thiserror::Error;

/// Most unfinished handshakes with addresses outside the committee, in total.
pub(crate) const PENDING_FOREIGN_MAX: usize = 32;
/// Connections that a validator may make at once.
const CONNECTIONS_BURST: u32 = 16;
/// Time after which a validator may make one more connection.
const CONNECTION_REFILL: Duration = Duration::from_secs(1);

/// Why a connection was refused. The peer may retry later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Crowded {
    #[error("too many unfinished handshakes from outside the committee")]
    Foreign,
    #[error("too many connections in a short time")]
    TooOften,
}

/// The libp2p behaviour. It must come before `libp2p_stream` in the list of protocols.
#[derive(Debug)]
pub(crate) struct Gate {
    /// IP addresses of the committee. Members may connect from others as well, but then compete with strangers for slots.
    known: BTreeSet<IpAddr>,
    /// For members with a host name: the addresses that it last resolved to.
    found: BTreeMap<PeerId, Vec<IpAddr>>,
    pending_foreign: HashSet<ConnectionId>,
    /// Bounded by the committee, because the allow list lets only members through.
    allowances: BTreeMap<PeerId, Allowance>,
}

/// A token bucket of connections.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    refilled_at: Instant,
}

impl Gate {
    pub(crate) fn new<'a>(addresses: impl Iterator<Item = &'a Multiaddr>) -> Gate {
        Gate {
            known: addresses.filter_map(ip).collect(),
            found: BTreeMap::new(),
            pending_foreign: HashSet::new(),
            allowances: BTreeMap::new(),
        }
    }

    /// Records the addresses that a member's host name resolves to.
    pub(crate) fn found(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        self.found.insert(peer, addresses.iter().filter_map(ip).collect());
    }

    fn is_known(&self, ip: &IpAddr) -> bool {
        self.known.contains(ip) || self.found.values().any(|found| found.contains(ip))
    }

    fn on_pending(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), Crowded> {
        if ip(from).is_some_and(|ip| self.is_known(&ip)) {
            return Ok(());
        }
        if self.pending_foreign.len() >= PENDING_FOREIGN_MAX {
            return Err(Crowded::Foreign);
        }
        self.pending_foreign.insert(connection);
        Ok(())
    }

    fn on_established(&mut self, connection: ConnectionId, peer: PeerId, now: Instant) -> Result<(), Crowded> {
        self.pending_foreign.remove(&connection);
        let full = Allowance { left: CONNECTIONS_BURST, refilled_at: now };
        let allowance = self.allowances.entry(peer).or_insert(full);
        while allowance.left < CONNECTIONS_BURST && now.saturating_duration_since(allowance.refilled_at) >= CONNECTION_REFILL {
            allowance.left += 1;
            allowance.refilled_at += CONNECTION_REFILL;
        }
        if allowance.left == CONNECTIONS_BURST {
            allowance.refilled_at = now;
        }
        allowance.left = allowance.left.checked_sub(1).ok_or(Crowded::TooOften)?;
        Ok(())
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
        self.on_established(connection, peer, Instant::now()).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler) // our own dials are paced by the dialer
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.pending_foreign.remove(&connection_id);
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
mod tests {
    use super::*;

    #[test]
    fn foreign_handshakes_fill_only_their_own_slots_and_give_them_back() {
        let member: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let member_from: Multiaddr = "/ip4/10.0.0.1/tcp/55555".parse().unwrap();
        let foreign: Multiaddr = "/ip4/192.0.2.9/tcp/1".parse().unwrap();
        let mut gate = Gate::new([&member].into_iter());
        for number in 0..PENDING_FOREIGN_MAX {
            assert_eq!(gate.on_pending(ConnectionId::new_unchecked(number), &foreign), Ok(()));
        }
        let next = ConnectionId::new_unchecked(1000);
        assert_eq!(gate.on_pending(next, &foreign), Err(Crowded::Foreign));
        assert_eq!(gate.on_pending(next, &member_from), Ok(()));
        gate.found(PeerId::random(), &["/ip4/10.0.0.2/tcp/4001".parse().unwrap()]);
        assert_eq!(gate.on_pending(next, &"/ip4/10.0.0.2/tcp/55555".parse().unwrap()), Ok(()), "a member with a host name");
        let done = ConnectionId::new_unchecked(0);
        assert_eq!(gate.on_established(done, PeerId::random(), Instant::now()), Ok(()));
        assert_eq!(gate.on_pending(next, &foreign), Ok(()));
    }

    #[test]
    fn a_validator_that_reconnects_in_a_storm_waits_for_its_allowance() {
        let mut gate = Gate::new(std::iter::empty());
        let (peer, start) = (PeerId::random(), Instant::now());
        let mut connect = |peer, at| gate.on_established(ConnectionId::new_unchecked(1), peer, at);
        for _ in 0..CONNECTIONS_BURST {
            assert_eq!(connect(peer, start), Ok(()));
        }
        assert_eq!(connect(peer, start), Err(Crowded::TooOften));
        assert_eq!(connect(PeerId::random(), start), Ok(()), "others are not affected");
        assert_eq!(connect(peer, start + CONNECTION_REFILL), Ok(()));
        assert_eq!(connect(peer, start + CONNECTION_REFILL), Err(Crowded::TooOften));
    }
}
