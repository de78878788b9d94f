//! The simulated network. It loses, delays, reorders and duplicates messages, and can be cut for a while, in one direction or both.
//!
//! It carries bytes between two validators as datagrams. Unlike the real network's streams it keeps no order, which is harder than what the
//! protocol is promised.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::ids::ValidatorId;

use crate::{random::Random, time::Micros};

/// Factor by which a slow validator's links are slower.
const SLOWER: u64 = 100;

/// How a network treats messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRules {
    /// Messages lost, per mille.
    pub loss_per_mille: u64,
    /// Messages that arrive twice, per mille.
    pub duplicate_per_mille: u64,
    /// Shortest delay.
    pub delay_min: Micros,
    /// Longest usual delay. Delays are uniform between the two, so messages overtake each other.
    pub delay_max: Micros,
    /// Messages with a further delay, per mille.
    pub late_per_mille: u64,
    /// Longest further delay.
    pub late_max: Micros,
}

/// The links between all validators.
#[derive(Debug)]
pub struct Network {
    rules: LinkRules,
    /// Blocked directions, with the number of cuts that block each.
    cuts: BTreeMap<(ValidatorId, ValidatorId), usize>,
    /// Directions blocked for ever.
    for_ever: BTreeSet<(ValidatorId, ValidatorId)>,
    /// Validators whose messages reach no one.
    silent: BTreeSet<ValidatorId>,
    /// Validators that receive nothing.
    deaf: BTreeSet<ValidatorId>,
    /// Validators whose links are slow in both directions, by [`SLOWER`].
    slow: BTreeSet<ValidatorId>,
    random: Random,
    mishaps: Mishaps,
}

/// Counts of mistreated messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Copies that never arrive.
    pub lost: u64,
    /// Messages that were duplicated.
    pub doubled: u64,
    /// Copies with a further delay.
    pub late: u64,
}

impl Network {
    /// A network without messages in flight.
    #[must_use]
    pub fn new(rules: LinkRules, random: Random) -> Self {
        let (silent, deaf, slow) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { rules, cuts: BTreeMap::new(), for_ever: BTreeSet::new(), silent, deaf, slow, random, mishaps: Mishaps::default() }
    }

    /// What has happened to messages so far: lost, doubled, late.
    #[must_use]
    pub const fn mishaps(&self) -> Mishaps {
        self.mishaps
    }

    /// Changes the rules of all links from now on.
    pub fn set_rules(&mut self, rules: LinkRules) {
        self.rules = rules;
    }

    /// Cuts these directions. A direction passes messages again once it is healed as often as it was cut.
    pub fn cut(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        for direction in directions {
            let reasons = self.cuts.entry(direction).or_default();
            *reasons = reasons.saturating_add(1);
        }
    }

    /// Cuts these directions for ever.
    pub fn cut_for_ever(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        self.for_ever.extend(directions);
    }

    /// From now on no validator receives what this one sends.
    pub fn silence(&mut self, id: ValidatorId) {
        self.silent.insert(id);
    }

    /// From now on this validator receives nothing.
    pub fn deafen(&mut self, id: ValidatorId) {
        self.deaf.insert(id);
    }

    pub(crate) fn is_silent(&self, id: ValidatorId) -> bool {
        self.silent.contains(&id)
    }

    /// From now on messages from and to this validator take a hundred times as long.
    pub fn slow_down(&mut self, id: ValidatorId) {
        self.slow.insert(id);
    }

    /// Ends a cut. Directions that another cut blocks stay blocked.
    pub fn heal(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        for direction in directions {
            if let Some(reasons) = self.cuts.get_mut(&direction) {
                *reasons = reasons.saturating_sub(1);
            }
        }
        self.cuts.retain(|_, reasons| *reasons > 0);
    }

    /// Ends all temporary cuts.
    pub fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// Whether a message that arrives now gets through. A cut also swallows messages in transit.
    pub(crate) fn passes(&self, from: ValidatorId, to: ValidatorId) -> bool {
        !self.cuts.contains_key(&(from, to)) && !self.for_ever.contains(&(from, to)) && !self.deaf.contains(&to)
    }

    /// Delays of the copies that arrive: none, one or two.
    pub(crate) fn deliveries(&mut self, from: ValidatorId, to: ValidatorId) -> Vec<Micros> {
        let rules = self.rules;
        let factor = if self.slow.contains(&from) || self.slow.contains(&to) { SLOWER } else { 1 };
        let doubled = self.random.chance(rules.duplicate_per_mille);
        let copies = if doubled { 2 } else { 1 };
        self.mishaps.doubled = self.mishaps.doubled.saturating_add(doubled.into());
        let mut delays = Vec::with_capacity(copies);
        for _ in 0..copies {
            if self.random.chance(rules.loss_per_mille) {
                self.mishaps.lost = self.mishaps.lost.saturating_add(1);
                continue;
            }
            let mut delay = Micros(self.random.between(rules.delay_min.0, rules.delay_max.0));
            if self.random.chance(rules.late_per_mille) {
                self.mishaps.late = self.mishaps.late.saturating_add(1);
                delay = delay.after(Micros(self.random.below(rules.late_max.0)));
            }
            delays.push(Micros(delay.0.saturating_mul(factor)));
        }
        delays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: LinkRules = LinkRules {
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        delay_min: Micros(100),
        delay_max: Micros(200),
        late_per_mille: 0,
        late_max: Micros(0),
    };

    #[test]
    fn delivers_once_and_in_time_where_nothing_is_wrong() {
        let mut network = Network::new(RULES, Random::new(1));
        for _ in 0..200 {
            let delays = network.deliveries(ValidatorId(0), ValidatorId(1));
            assert!(delays.len() == 1 && (100..=200).contains(&delays[0].0));
        }
    }

    #[test]
    fn loses_duplicates_and_delays_where_told_to() {
        let rules = LinkRules { loss_per_mille: 300, duplicate_per_mille: 300, late_per_mille: 500, late_max: Micros(1_000_000), ..RULES };
        let mut network = Network::new(rules, Random::new(1));
        let mut copies = [0; 3];
        let mut late = 0;
        for _ in 0..1_000 {
            let delays = network.deliveries(ValidatorId(0), ValidatorId(1));
            copies[delays.len()] += 1;
            late += delays.iter().filter(|delay| delay.0 > 200).count();
        }
        assert!(copies[0] > 150 && copies[2] > 80 && late > 300, "{copies:?} {late}");
        let arrived = copies[1] + 2 * copies[2];
        let Mishaps { lost, doubled, late } = network.mishaps();
        assert!(doubled > 200 && late > 300, "{doubled} {late}");
        assert_eq!(arrived + lost, 1_000 + doubled);
    }

    #[test]
    fn a_cut_holds_in_its_direction_until_it_heals() {
        let mut network = Network::new(RULES, Random::new(1));
        let (a, b) = (ValidatorId(0), ValidatorId(1));
        network.cut([(a, b)]);
        assert!(!network.passes(a, b) && network.passes(b, a));
        network.cut([(a, b), (b, a)]);
        network.heal([(a, b)]);
        assert!(!network.passes(a, b) && !network.passes(b, a), "the other cut is in force");
        network.heal([(a, b), (b, a)]);
        assert!(network.passes(a, b) && network.passes(b, a));
        network.cut([(a, b)]);
        network.cut_for_ever([(a, b)]);
        network.heal_all();
        assert!(!network.passes(a, b) && network.passes(b, a));
    }

    #[test]
    fn whoever_is_deaf_hears_nobody_and_is_heard() {
        let mut network = Network::new(RULES, Random::new(1));
        let (a, b) = (ValidatorId(0), ValidatorId(1));
        network.deafen(b);
        network.silence(b);
        assert!(!network.passes(a, b) && network.passes(b, a));
        assert!(network.is_silent(b) && !network.is_silent(a));
    }

    #[test]
    fn a_slow_validator_is_slow_in_both_directions_and_nobody_else_is() {
        let mut network = Network::new(RULES, Random::new(1));
        let [a, b, c] = [0, 1, 2].map(ValidatorId);
        network.slow_down(a);
        assert!(network.deliveries(a, b)[0].0 >= 10_000 && network.deliveries(c, a)[0].0 >= 10_000);
        assert!(network.deliveries(b, c)[0].0 <= 200);
    }
}
