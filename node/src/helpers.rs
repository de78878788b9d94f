//! Members of a later committee, who help a node that lags behind.
//!
//! A node that has slept through changes of the committee may find nobody of its own epoch. Once a later committee is proved
//! ([`crate::following`]), it keeps links to those members as well, at places beyond the seats, and asks them for committed blocks:
//!
//! ```text
//! replica --request to seat s--> route() --> the link of seat s, or a helper's
//! helper's answer --> take() --> verified, and passed on as the answer of seat s
//! ```
//! Nothing else that a helper sends is read. An answer carries its own proof, whoever sends it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use quorate_network::{PeerIndex, SEATS};
use quorate_types::ids::ValidatorId;

/// Whether this is the place of a helper, and not a seat of the committee.
pub(crate) const fn is_helper(place: PeerIndex) -> bool {
    place.0 >= SEATS
}

/// The place of a helper, by its seat in the later committee.
pub(crate) const fn place_of(seat: ValidatorId) -> PeerIndex {
    PeerIndex(SEATS.saturating_add(seat.0))
}

/// The seat in the later committee, by the place of a helper.
pub(crate) const fn seat_of(place: PeerIndex) -> ValidatorId {
    ValidatorId(place.0.saturating_sub(SEATS))
}

/// The helpers, and what they have been asked.
#[derive(Debug, Default)]
pub(crate) struct Helpers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    places: Vec<PeerIndex>,
    /// Whose turn it is, as an index into `places`.
    turn: usize,
    /// The last request went to a helper.
    was_helper: bool,
    /// In whose name each helper was last asked, until it has answered. Bounded by `places`.
    asked: BTreeMap<PeerIndex, ValidatorId>,
}

impl Helpers {
    /// Replaces the helpers. Those that stay may still answer.
    pub(crate) fn set(&self, places: Vec<PeerIndex>) {
        let mut state = self.lock();
        state.asked.retain(|place, _| places.contains(place));
        (state.places, state.turn) = (places, 0);
    }

    /// Where to send a request for committed blocks that is meant for a seat. While its holder and a helper are linked, they take turns: either may
    /// be of no use.
    pub(crate) fn route(&self, to: ValidatorId, is_linked: impl Fn(PeerIndex) -> bool) -> PeerIndex {
        let holder = PeerIndex(to.0);
        let mut state = self.lock();
        if std::mem::take(&mut state.was_helper) && is_linked(holder) {
            return holder;
        }
        let count = state.places.len();
        let turns = state.places.iter().copied().enumerate().cycle().skip(state.turn).take(count);
        let Some((index, helper)) = turns.into_iter().find(|(_, place)| is_linked(*place)) else { return holder };
        (state.turn, state.was_helper) = (index.saturating_add(1), true);
        state.asked.insert(helper, to);
        helper
    }

    /// Whether a helper has been asked, and has not answered.
    pub(crate) fn is_asked(&self, helper: PeerIndex) -> bool {
        self.lock().asked.contains_key(&helper)
    }

    /// Takes a helper's answer: the seat that it answers for. There is one answer to a request.
    pub(crate) fn take(&self, helper: PeerIndex) -> Option<ValidatorId> {
        self.lock().asked.remove(&helper)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDER: ValidatorId = ValidatorId(3);

    fn places(seats: &[u16]) -> Vec<PeerIndex> {
        seats.iter().map(|seat| place_of(ValidatorId(*seat))).collect()
    }

    #[test]
    fn a_request_goes_to_its_seat_unless_a_helper_is_linked() {
        let helpers = Helpers::default();
        assert_eq!(helpers.route(HOLDER, |_| true), PeerIndex(3));
        helpers.set(places(&[0, 7]));
        assert_eq!(helpers.route(HOLDER, |_| false), PeerIndex(3));
        assert_eq!(helpers.route(HOLDER, |place| place == PeerIndex(135)), PeerIndex(135));
        assert!(!is_helper(PeerIndex(127)) && is_helper(PeerIndex(128)) && seat_of(PeerIndex(135)) == ValidatorId(7));
    }

    #[test]
    fn all_linked_helpers_have_their_turn_and_every_other_one_is_the_seats_if_it_is_linked() {
        let helpers = Helpers::default();
        helpers.set(places(&[0, 1, 2]));
        let route = |is_linked: fn(PeerIndex) -> bool| (0..6).map(|_| helpers.route(HOLDER, is_linked).0).collect::<Vec<_>>();
        assert_eq!(route(|_| true), [128, 3, 129, 3, 130, 3]);
        assert_eq!(route(is_helper), [128, 129, 130, 128, 129, 130]);
        assert_eq!(route(|place| is_helper(place) && place.0 != 129), [128, 130, 128, 130, 128, 130]);
    }

    #[test]
    fn a_helper_answers_once_for_the_seat_that_was_meant_and_only_if_asked() {
        let helpers = Helpers::default();
        helpers.set(places(&[0, 1]));
        let helper = helpers.route(HOLDER, is_helper);
        assert!(helpers.is_asked(helper) && !helpers.is_asked(PeerIndex(129)));
        assert_eq!((helpers.take(PeerIndex(129)), helpers.take(helper), helpers.take(helper)), (None, Some(HOLDER), None));
        let helper = helpers.route(HOLDER, is_helper);
        helpers.set(places(&[0]));
        assert_eq!(helpers.take(helper), None, "it is no helper any more");
    }
}
