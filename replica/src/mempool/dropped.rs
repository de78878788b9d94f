//! Why transactions left the pool: the newest [`REMEMBERED_MAX`], so that their senders can ask.

use std::collections::BTreeMap;

use quorate_types::ids::TxId;

use super::{Dropped, Rejected};

/// How many dropped transactions are remembered.
pub(super) const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct DroppedMemory {
    reasons: BTreeMap<TxId, (u64, Rejected)>,
    /// The same transactions, oldest first.
    ages: BTreeMap<u64, TxId>,
    age_next: u64,
}

impl DroppedMemory {
    pub(super) fn remember(&mut self, id: TxId, reason: Rejected) {
        self.forget(&id);
        self.reasons.insert(id, (self.age_next, reason));
        self.ages.insert(self.age_next, id);
        self.age_next = self.age_next.saturating_add(1);
        if self.ages.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.reasons.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, id: &TxId) {
        if let Some((age, _)) = self.reasons.remove(id) {
            self.ages.remove(&age);
        }
    }

    pub(super) fn get(&self, id: &TxId) -> Option<&Rejected> {
        self.reasons.get(id).map(|(_, reason)| reason)
    }

    pub(super) fn since(&self, position: u64, max: usize) -> (u64, Vec<Dropped>) {
        let of = |id: &TxId| Some(Dropped { id: *id, reason: self.get(id)?.clone() });
        let mut newest: Vec<_> = self.ages.range(position..).rev().take(max).filter_map(|(_, id)| of(id)).collect();
        newest.reverse();
        (self.age_next, newest)
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Hash, round::Sequence};

    use super::*;

    fn id(number: u64) -> TxId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TxId(Hash(bytes))
    }

    #[test]
    fn remembers_the_newest_and_stays_bounded() {
        let mut memory = DroppedMemory::default();
        for number in 0..25_000 {
            memory.remember(id(number), Rejected::SequenceUsed { sequence: Sequence(number) });
            assert_eq!(memory.reasons.len(), memory.ages.len());
            assert!(memory.ages.len() <= REMEMBERED_MAX);
        }
        assert!(memory.get(&id(14_999)).is_none());
        assert!(memory.get(&id(15_000)).is_some());
        memory.forget(&id(20_000));
        assert!(memory.get(&id(20_000)).is_none());
        assert_eq!(memory.ages.len(), REMEMBERED_MAX - 1);
    }

    #[test]
    fn whoever_asks_again_and_again_is_told_of_each_once_and_of_the_newest_where_they_are_too_many() {
        let mut memory = DroppedMemory::default();
        let drop_some = |memory: &mut DroppedMemory, numbers: std::ops::Range<u64>| {
            numbers.for_each(|number| memory.remember(id(number), Rejected::SequenceUsed { sequence: Sequence(number) }));
        };
        let ids = |dropped: Vec<Dropped>| dropped.into_iter().map(|dropped| dropped.id).collect::<Vec<_>>();
        drop_some(&mut memory, 0..3);
        let (position, first) = memory.since(0, 10);
        assert_eq!(ids(first), [id(0), id(1), id(2)]);
        drop_some(&mut memory, 3..8);
        let (position, second) = memory.since(position, 2);
        assert_eq!(ids(second), [id(6), id(7)]);
        assert_eq!(memory.since(position, 10), (position, vec![]));
    }
}
