//! Which machines are linked, and in which seats they see each other: as a node keeps its links, by the committee of its own epoch.
//!
//! A machine knows another by the network key in its committee, and for as long as it has committed nothing in its epoch, in the committee
//! before: who has left is told of it. Two machines are linked if each knows the other. A machine that joins knows the committee that it has
//! followed so far, so it can be reached by those of whom that committee still knows.

use std::sync::Arc;

use quorate_types::{committee::Committee, crypto::PublicKey, ids::ValidatorId, message::Recipients};

/// Whom a machine knows.
#[derive(Debug)]
pub(crate) struct Links {
    committee: Arc<Committee>,
    leaving: Option<Arc<Committee>>,
    /// By number: the seat in which the machine knows a member.
    seats: Vec<Option<ValidatorId>>,
}

impl Links {
    /// The links of a machine that starts in the epoch of this committee; `keys` are the network keys of all members by number.
    pub(crate) fn new(me: ValidatorId, committee: &Arc<Committee>, keys: &[PublicKey]) -> Self {
        let mut links = Self { committee: Arc::clone(committee), leaving: None, seats: Vec::new() };
        links.find(me, keys);
        links
    }

    /// The machine has entered the epoch of this committee.
    pub(crate) fn enter(&mut self, me: ValidatorId, committee: &Arc<Committee>, keys: &[PublicKey]) {
        self.leaving = Some(std::mem::replace(&mut self.committee, Arc::clone(committee)));
        self.find(me, keys);
    }

    /// The machine has committed a block of its epoch.
    pub(crate) fn settle(&mut self, me: ValidatorId, keys: &[PublicKey]) {
        if self.leaving.take().is_some() {
            self.find(me, keys);
        }
    }

    fn find(&mut self, me: ValidatorId, keys: &[PublicKey]) {
        let seat_in = |committee: &Committee, key: &PublicKey| {
            committee.members().find(|(_, validator)| validator.network_key == *key).map(|(seat, _)| seat)
        };
        let seat = |(number, key): (u16, &PublicKey)| {
            if ValidatorId(number) == me {
                return None;
            }
            let before =
                || self.leaving.as_ref().and_then(|before| seat_in(before, key)).filter(|seat| self.committee.get(*seat).is_none());
            seat_in(&self.committee, key).or_else(before)
        };
        self.seats = (0..).zip(keys).map(seat).collect();
    }

    /// The seat in which the machine knows a member.
    pub(crate) fn seat(&self, number: ValidatorId) -> Option<ValidatorId> {
        self.seats.get(number.index()).copied().flatten()
    }

    /// The numbers of those to whom a message goes.
    pub(crate) fn numbers(&self, to: Recipients) -> Vec<ValidatorId> {
        let known = (0..).map(ValidatorId).zip(&self.seats).filter_map(|(number, seat)| Some((number, (*seat)?)));
        known.filter(|(_, seat)| !matches!(to, Recipients::One(one) if one != *seat)).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        committee::{Seat, VotingPower},
        round::Epoch,
    };

    use super::*;
    use crate::lab::Lab;

    #[test]
    fn who_has_left_is_known_until_the_epoch_has_a_block_and_its_seat_is_taken() {
        let lab = Lab::new(4, 0).unwrap();
        let first = lab.setting.verifier.committee();
        let keys: Vec<PublicKey> = first.members().map(|(_, validator)| validator.network_key).collect();
        let members: Vec<Seat> = first.members().map(|(id, validator)| Seat { id, validator: validator.clone() }).collect();
        let after = |seats: &[Seat]| Committee::of_seats(Epoch(1), seats).unwrap();
        let (me, two, three) = (ValidatorId(0), ValidatorId(2), ValidatorId(3));

        let mut links = Links::new(me, first, &keys);
        assert_eq!((links.seat(me), links.seat(three)), (None, Some(three)));
        assert_eq!(links.numbers(Recipients::Others).len(), 3);
        links.enter(me, &after(&members[..3]), &keys);
        assert_eq!(links.seat(three), Some(three), "it may not know that it has left");
        links.settle(me, &keys);
        assert_eq!((links.seat(three), links.numbers(Recipients::Others).len()), (None, 2));

        // The third member sits in the second seat now.
        let mut moved = members[..3].to_vec();
        moved[2] = Seat { id: two, validator: members[3].validator.clone() };
        moved[2].validator.power = VotingPower(2);
        let mut links = Links::new(me, first, &keys);
        links.enter(me, &after(&moved), &keys);
        assert_eq!((links.seat(two), links.seat(three)), (None, Some(two)), "its seat is taken");
        assert_eq!(links.numbers(Recipients::One(two)), [three]);
    }
}
