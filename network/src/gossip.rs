//! One-hop gossipsub: the publisher sends to every subscribed peer, and no peer forwards.
//!
//! Messages are anonymous, because the connection already authenticates the publisher and a second signature halves the throughput; `from` is
//! therefore the peer at the other end of the connection. Gossipsub silently loses messages to slow peers, so nothing may depend on the
//! delivery of a single message.

use std::{collections::HashSet, time::Duration};

use libp2p::gossipsub::{
    self, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, TopicHash, ValidationMode, WhitelistSubscriptionFilter,
};
use sha2::{Digest, Sha256};

use crate::{
    config::{GossipLimits, NetworkError},
    hello::Hello,
    status::Hex,
};

/// Gossipsub with exactly one topic; peers' subscriptions to others are ignored.
pub(crate) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, SubscriptionFilter>;

type SubscriptionFilter = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;

/// What gossipsub adds to a frame on the wire: topic, field tags, lengths.
const ENVELOPE_BYTES: usize = 1024;
/// Messages queued in gossipsub for one peer; beyond that, and after [`PUBLISH_QUEUE_TIME`], they are lost for that peer.
const PEER_QUEUE_MESSAGES: usize = 512;
/// How long a message may wait for a slow peer.
const PUBLISH_QUEUE_TIME: Duration = Duration::from_secs(2);
/// How long a message's id is remembered. As no peer forwards, this only suppresses bytes published twice. It must be shorter than any
/// pause after which the same bytes are gossiped again on purpose, for peers that were away the first time.
const DUPLICATE_CACHE_TIME: Duration = Duration::from_millis(5);
/// Interval of gossipsub's housekeeping.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Delay of the first housekeeping.
const HEARTBEAT_DELAY: Duration = Duration::from_millis(100);
/// Subscriptions that a peer may send in one message; there is one topic.
const SUBSCRIPTIONS_MAX: usize = 4;

/// The topic of a network. It covers the hello, so that nodes of different networks with the same keys do not hear each other.
pub(crate) fn topic(hello: &Hello) -> IdentTopic {
    let digest = Sha256::digest(hello.encode());
    IdentTopic::new(format!("/quorate/transactions/1/{}", Hex(&digest)))
}

/// Gossipsub, subscribed to `topic`. The event loop adds the peers.
///
/// # Errors
/// [`NetworkError::Setup`] if gossipsub refuses its configuration.
pub(crate) fn behaviour(topic: &IdentTopic, limits: &GossipLimits) -> Result<Gossip, NetworkError> {
    let setup = |problem: String| NetworkError::Setup { part: "gossipsub", problem };
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        // Mandatory in anonymous mode, where the default id is the same for every message. The id covers the whole content, so that no peer
        // can occupy the id of another's message.
        .message_id_fn(|message| MessageId::new(&Sha256::digest(&message.data)))
        .max_transmit_size(limits.frame_bytes_max.saturating_add(ENVELOPE_BYTES))
        // Together with reporting "ignore" for every message, this means: received once, never forwarded.
        .validate_messages()
        .flood_publish(true)
        .connection_handler_queue_len(PEER_QUEUE_MESSAGES)
        .publish_queue_duration(PUBLISH_QUEUE_TIME)
        .duplicate_cache_time(DUPLICATE_CACHE_TIME)
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT_DELAY)
        .build()
        .map_err(|error| setup(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(HashSet::<TopicHash>::from([topic.hash()])),
        max_subscribed_topics: 1,
        max_subscriptions_per_request: SUBSCRIPTIONS_MAX,
    };
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|problem| setup(problem.to_owned()))?;
    gossip.subscribe(topic).map_err(|error| setup(error.to_string()))?;
    Ok(gossip)
}
