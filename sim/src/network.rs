//! The simulated network: it loses, delays, reorders and duplicates, and is cut in two, or in one direction only, for a while.
//!
//! It carries bytes between two validators as datagrams. The real one keeps the order of a stream; this one keeps none, which is more than
//! the protocol is promised to stand.

use std::collections::BTreeSet;

use quorate_types::ids::ValidatorId;

use crate::{random::Random, time::Micros};

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
pub(crate) struct Network {
    rules: LinkRules,
    /// The directions in which nothing passes.
    cuts: BTreeSet<(ValidatorId, ValidatorId)>,
    random: Random,
}

impl Network {
    pub(crate) const fn new(rules: LinkRules, random: Random) -> Self {
        Self { rules, cuts: BTreeSet::new(), random }
    }

    pub(crate) fn set_rules(&mut self, rules: LinkRules) {
        self.rules = rules;
    }

    pub(crate) fn cut(&mut self, directions: impl IntoIterator<Item = (ValidatorId, ValidatorId)>) {
        self.cuts.extend(directions);
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Whether a message that arrives now gets through: a cut also swallows what is on its way.
    pub(crate) fn passes(&self, from: ValidatorId, to: ValidatorId) -> bool {
        !self.cuts.contains(&(from, to))
    }

    /// The delays of the copies that arrive: none, one or two.
    pub(crate) fn deliveries(&mut self) -> Vec<Micros> {
        let rules = self.rules;
        let copies = if self.random.chance(rules.duplicate_per_mille) { 2 } else { 1 };
        let mut delays = Vec::with_capacity(copies);
        for _ in 0..copies {
            if self.random.chance(rules.loss_per_mille) {
                continue;
            }
            let mut delay = Micros(self.random.between(rules.delay_min.0, rules.delay_max.0));
            if self.random.chance(rules.late_per_mille) {
                delay = delay.after(Micros(self.random.below(rules.late_max.0)));
            }
            delays.push(delay);
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
            let delays = network.deliveries();
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
            let delays = network.deliveries();
            copies[delays.len()] += 1;
            late += delays.iter().filter(|delay| delay.0 > 200).count();
        }
        assert!(copies[0] > 150 && copies[2] > 80 && late > 300, "{copies:?} {late}");
    }

    #[test]
    fn a_cut_holds_in_its_direction_until_it_heals() {
        let mut network = Network::new(RULES, Random::new(1));
        let (a, b) = (ValidatorId(0), ValidatorId(1));
        network.cut([(a, b)]);
        assert!(!network.passes(a, b) && network.passes(b, a));
        network.heal();
        assert!(network.passes(a, b));
    }
}
