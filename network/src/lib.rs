//! Authenticated links between the validators of a committee.
//!
//! This crate moves bytes and knows nothing of consensus. [`start`] takes the committee (seats, network keys and addresses) and returns a
//! [`Network`] handle for sending and three bounded receivers, one per kind of traffic. The committee may change while the network runs:
//! [`Network::set_peers`].
//!
//! | traffic | carried by | order | on overload |
//! |---|---|---|---|
//! | [`Class::Consensus`] | one long-lived stream per (sender, receiver) | kept | sender drops the oldest frame |
//! | [`Class::Sync`] | a second stream, so that votes never wait behind it | kept | sender drops the oldest frame |
//! | gossip | gossipsub, one hop, content-hash ids | none | dropped and counted |
//!
//! Delivery is best effort: senders must be able to send again or to be asked again.
//!
//! The crate never blocks a caller of [`Network::send`] or [`Network::gossip`], never lets one peer delay another, never allocates by an
//! unchecked length from a peer, never panics on what a peer sends, and never bans a validator for good.
//!
//! Start reading at [`start`], then `swarm.rs` (connections), `outgoing.rs` and `incoming.rs` (streams).
#![forbid(unsafe_code)]

mod backoff;
mod clock;
mod config;
mod dial;
mod frame;
mod gate;
mod gossip;
mod guard;
mod hello;
mod inbox;
mod incoming;
mod lookup;
mod metrics;
mod network;
mod outgoing;
mod peers;
mod queue;
mod reach;
mod resolver;
mod status;
mod swarm;

#[cfg(test)]
mod tests;

pub use clock::PeerClock;
pub use config::{
    ClassLimits, GossipLimits, Limits, NetworkConfig, NetworkError, Peer, PeerIndex, SEATS, check_listen_address, check_peer_address,
    network_public_key, peer_id, try_listen,
};
pub use frame::Class;
pub use hello::{ApplicationId, Hello};
pub use inbox::{Incoming, IncomingReceivers, Receiver};
pub use network::{Network, start};
pub use reach::{Reached, Unreached, reach};
pub use status::{DropCount, PeerState, PeerStatus, Refusal};
