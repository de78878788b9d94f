//! Messages of the next epoch that arrive before ours has ended, kept until then. A peer that commits the last block first, and leads the first
//! round of the next epoch, would otherwise lose that round.

use std::collections::BTreeMap;

use quorate_types::{ids::ValidatorId, message::Message};

/// Most messages kept of one peer.
const MESSAGES_MAX: usize = 8;
/// Most bytes kept of one peer: a proposal of a full block, and its votes.
const BYTES_MAX: usize = 2 << 20;
/// Most bytes kept of all peers together.
const TOTAL_BYTES_MAX: usize = 64 << 20;

/// Unverified messages of the next epoch; see the module docs.
#[derive(Debug, Default)]
pub(crate) struct Early {
    of_peers: BTreeMap<ValidatorId, Kept>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    messages: Vec<Message>,
    bytes: usize,
}

impl Early {
    /// Keeps a message of this encoded length, unless the peer has used up its share.
    pub(crate) fn keep(&mut self, from: ValidatorId, message: Message, bytes: usize) {
        let kept = self.of_peers.entry(from).or_default();
        let (own, all) = (kept.bytes.saturating_add(bytes), self.bytes.saturating_add(bytes));
        if kept.messages.len() < MESSAGES_MAX && own <= BYTES_MAX && all <= TOTAL_BYTES_MAX {
            kept.messages.push(message);
            (kept.bytes, self.bytes) = (own, all);
        }
    }

    /// Whether messages of this peer are kept.
    pub(crate) fn has(&self, from: ValidatorId) -> bool {
        self.of_peers.contains_key(&from)
    }

    /// Takes all messages, those of one peer in the order of their arrival.
    pub(crate) fn take(&mut self) -> Vec<(ValidatorId, Message)> {
        let kept = std::mem::take(self).of_peers.into_iter();
        kept.flat_map(|(from, kept)| kept.messages.into_iter().map(move |message| (from, message))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(early: &Early, from: u16) -> usize {
        early.of_peers.get(&ValidatorId(from)).map_or(0, |kept| kept.messages.len())
    }

    #[test]
    fn a_peer_fills_its_own_share_only_and_the_epoch_empties_it() {
        let mut early = Early::default();
        for _ in 0..100 {
            early.keep(ValidatorId(1), Message::SightingsRequest, 1);
            early.keep(ValidatorId(2), Message::SightingsRequest, BYTES_MAX / 2);
        }
        early.keep(ValidatorId(3), Message::SightingsRequest, BYTES_MAX + 1);
        early.keep(ValidatorId(4), Message::SightingsRequest, BYTES_MAX);
        assert_eq!([1, 2, 3, 4].map(|from| kept(&early, from)), [MESSAGES_MAX, 2, 0, 1]);
        assert_eq!(early.take().len(), MESSAGES_MAX + 3);
        assert_eq!((early.take().len(), early.bytes), (0, 0));
    }

    #[test]
    fn all_peers_together_are_bounded() {
        let mut early = Early::default();
        for from in 0..128 {
            early.keep(ValidatorId(from), Message::SightingsRequest, BYTES_MAX);
        }
        assert_eq!(early.take().len(), TOTAL_BYTES_MAX / BYTES_MAX);
    }
}
