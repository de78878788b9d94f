//! Who voted for what and who gave up which round: counted from the outside, from what was sent and what arrived.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{ids::ValidatorId, round::Round};

use super::flight::Seat;

/// Rounds that are remembered below the newest one.
const ROUNDS_MAX: u64 = 64;

/// What happened in one round.
#[derive(Debug, Default)]
pub(super) struct RoundTally {
    /// What each process voted for, in the order of its votes: an honest one has one.
    pub(super) cast: BTreeMap<Seat, Vec<String>>,
    /// What each process has heard of whom: the first vote of each validator, which is the one that counts.
    pub(super) heard: BTreeMap<Seat, BTreeMap<ValidatorId, String>>,
    /// Who gave the round up.
    pub(super) gave_up: BTreeSet<Seat>,
    /// From whom each process has heard it.
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

    /// A process votes.
    pub(super) fn cast(&mut self, round: Round, seat: Seat, vote: &str) {
        let votes = self.at(round).cast.entry(seat).or_default();
        if !votes.iter().any(|known| known == vote) {
            votes.push(vote.into());
        }
    }

    /// A vote reaches a process. How many equal ones it has now.
    pub(super) fn hear(&mut self, round: Round, seat: Seat, from: ValidatorId, vote: &str) -> usize {
        let heard = self.at(round).heard.entry(seat).or_default();
        heard.entry(from).or_insert_with(|| vote.into());
        heard.values().filter(|known| *known == vote).count()
    }

    /// A process gives a round up, for the first time.
    pub(super) fn give_up(&mut self, round: Round, seat: Seat) -> bool {
        self.at(round).gave_up.insert(seat)
    }

    /// A timeout reaches a process. How many it has now.
    pub(super) fn hear_up(&mut self, round: Round, seat: Seat, from: ValidatorId) -> usize {
        let heard = self.at(round).heard_up.entry(seat).or_default();
        heard.insert(from);
        heard.len()
    }
}
