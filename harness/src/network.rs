//! The simulated network: it loses, delays, reorders and duplicates, and is cut in two, or in one direction only, for a while.
//!
//! It carries bytes between two validators as datagrams. The real one keeps the order of a stream; this one keeps none, which is more than
//! the protocol is promised to stand.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::ids::ValidatorId;

use crate::{random::Random, time::Micros};

/// How much slower a slow validator's links are.
const SLOWER: u64 = 100;

/// How a network treats messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRules {
    /// The share of messages that are lost.
    pub loss_per_mille: u64,
    /// The share of messages that arrive twice.
    pub duplicate_per_mille: u64,
    /// The shortest way.
    pub delay_min: Micros,
    /// The longest usual way; delays between the two are equally likely, so messages overtake each other.
    pub delay_max: Micros,
    /// The share of messages that are delayed further.
    pub late_per_mille: u64,
    /// By how much at most.
    pub late_max: Micros,
}

/// The links between all validators.
#[derive(Debug)]
pub struct Network {
    rules: LinkRules,
    /// The directions in which nothing passes, and how many cuts are the reason.
    cuts: BTreeMap<(ValidatorId, ValidatorId), usize>,
    /// The directions in which nothing ever passes again.
    for_ever: BTreeSet<(ValidatorId, ValidatorId)>,
    /// Whoever is heard by nobody.
    silent: BTreeSet<ValidatorId>,
    /// Whoever hears nobody.
    deaf: BTreeSet<ValidatorId>,
    /// Whoever is slow: everything from it and to it takes a hundred times as long.
    slow: BTreeSet<ValidatorId>,
    random: Random,
    mishaps: Mishaps,
}

/// What has happened to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Copies that never arrive.
    pub lost: u64,
    /// Messages that were sent on twice.
    pub doubled: u64,
    /// Copies that took longer than is usual.
    pub late: u64,
}

impl Network {
    /// A network that nothing was sent over yet.
    #[must_use]
    pub fn new(rules: LinkRules, random: Random) -> Self {
        let (silent, deaf, slow) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { rules, cuts: BTreeMap::new(), for_ever: BTreeSet::new(), silent, deaf, slow, random, mishaps: Mishaps::default() }
    }

    /// What has happened to messages so far.
    #[must_use]
    pub const fn mishaps(&self) -> Mishaps {
        self.mishaps
    }

    /// From now on messages are treated so.
    pub fn set_rules(&mut self, rules: LinkRules) {
        self.rules = rules;
    }

    /// Nothing passes in these directions, until they are healed as often as they were cut.
    pub fn cut(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        for direction in directions {
            let reasons = self.cuts.entry(direction).or_default();
            *reasons = reasons.saturating_add(1);
        }
    }

    /// Nothing ever passes in these directions again.
    pub fn cut_for_ever(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        self.for_ever.extend(directions);
    }

    /// Nobody hears this validator any more.
    pub fn silence(&mut self, id: ValidatorId) {
        self.silent.insert(id);
    }

    /// This validator hears nobody any more.
    pub fn deafen(&mut self, id: ValidatorId) {
        self.deaf.insert(id);
    }

    pub(crate) fn is_silent(&self, id: ValidatorId) -> bool {
        self.silent.contains(&id)
    }

    /// Everything from this validator and to it takes a hundred times as long from now on.
    pub fn slow_down(&mut self, id: ValidatorId) {
        self.slow.insert(id);
    }

    /// A cut is over; where others hold, nothing passes still.
    pub fn heal(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        for direction in directions {
            if let Some(reasons) = self.cuts.get_mut(&direction) {
                *reasons = reasons.saturating_sub(1);
            }
        }
        self.cuts.retain(|_, reasons| *reasons > 0);
    }

    /// Whatever was cut for a while passes again.
    pub fn heal_all(&mut self) {
        self.cuts.clear();
    }

    /// Whether a message that arrives now gets through: a cut also swallows what is on its way.
    pub(crate) fn passes(&self, from: ValidatorId, to: ValidatorId) -> bool {
        !self.cuts.contains_key(&(from, to)) && !self.for_ever.contains(&(from, to)) && !self.deaf.contains(&to)
    }

    /// The delays of the copies that arrive: none, one or two.
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
        assert!(!network.passes(a, b) && !network.passes(b, a), "the other cut holds");
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
