//! Votes and timeouts by round, counted from the outside: from messages sent and messages delivered.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{ids::ValidatorId, round::Round};

use super::flight::Seat;

/// Rounds kept below the newest one.
const ROUNDS_MAX: u64 = 64;

/// The votes and timeouts of one round.
#[derive(Debug, Default)]
pub(super) struct RoundTally {
    /// Each process's votes, in order; an honest process casts at most one.
    pub(super) cast: BTreeMap<Seat, Vec<String>>,
    /// By receiver, the first vote of each validator; only that one counts.
    pub(super) heard: BTreeMap<Seat, BTreeMap<ValidatorId, String>>,
    /// Processes that gave up the round.
    pub(super) gave_up: BTreeSet<Seat>,
    /// By receiver, the validators whose timeouts it has.
    pub(super) heard_up: BTreeMap<Seat, BTreeSet<ValidatorId>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rounds: BTreeMap<Round, RoundTally>,
}

impl Tally {
    fn at(&mut self, round: Round) -> &mut RoundTally {
        let newest = self.rounds.last_key_value().map_or(round, |(newest, _)| (*newest).max(round));
        self.rounds.retain(|known, _| newest.since(*known) <= ROUNDS_MAX);
        self.rounds.entry(round).or_default()
    }

    pub(super) fn get(&self, round: Round) -> Option<&RoundTally> {
        self.rounds.get(&round)
    }

    /// Records a vote as sent.
    pub(super) fn cast(&mut self, round: Round, seat: Seat, vote: &str) {
        let votes = self.at(round).cast.entry(seat).or_default();
        if !votes.iter().any(|known| known == vote) {
            votes.push(vote.into());
        }
    }

    /// Records a vote as delivered. Returns how many equal ones the receiver now has.
    pub(super) fn hear(&mut self, round: Round, seat: Seat, from: ValidatorId, vote: &str) -> usize {
        let heard = self.at(round).heard.entry(seat).or_default();
        heard.entry(from).or_insert_with(|| vote.into());
        heard.values().filter(|known| *known == vote).count()
    }

    /// Records that a process gives up a round. Returns whether it is the first time.
    pub(super) fn give_up(&mut self, round: Round, seat: Seat) -> bool {
        self.at(round).gave_up.insert(seat)
    }

    /// Records a timeout as delivered. Returns how many the receiver now has.
    pub(super) fn hear_up(&mut self, round: Round, seat: Seat, from: ValidatorId) -> usize {
        let heard = self.at(round).heard_up.entry(seat).or_default();
        heard.insert(from);
        heard.len()
    }
}
