//! The finite space of scenarios: their numbers, and which of them are equal up to renaming.
//!
//! A scenario's number, written in base [`Space::base`], has a digit for each round, round 1 first:
//!
//! ```text
//! digit = (sides for proposals [x sides for the rest]) x validators + leader
//! sides = bit i-1 is set if actor i is not on actor 0's side
//! ```
//! Renaming validators without a twin, or swapping the two copies of one with a twin, does not change a scenario. Of all scenarios equal up
//! to that, the one with the smallest number is canonical, and only that one is run. (This is the usual reduction. Strictly, it requires an
//! executor that ignores names. Here simultaneous messages are delivered in the order of names, and after the scenario's last round leaders
//! are elected by hashes; so two images of a scenario may differ in the order of simultaneous events, but not in who hears whom.)

use quorate_harness::random::Random;
use quorate_types::ids::ValidatorId;

use super::scenario::{Scenario, Step};

/// A space of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    validators: u16,
    twins: u16,
    rounds: u32,
    two_phase: bool,
}

/// Most rounds of a scenario, explored, drawn or from a file.
pub(super) const ROUNDS_MAX: u32 = 64;
/// Largest [`Space::base`] of an explored space; bounds the table of symmetries.
const BASE_MAX: u64 = 1 << 12;

impl Space {
    /// All scenarios of this many rounds for 4 validators with one twin, or 7 with two. With `two_phase`, the sides for a round's proposals
    /// are chosen separately from those for the rest.
    ///
    /// # Errors
    /// Another number of validators, or too many rounds.
    pub fn new(validators: u16, rounds: u32, two_phase: bool) -> Result<Self, String> {
        if !matches!(validators, 4 | 7) {
            return Err(format!(
                "twins are explored for 4 validators with one twin or 7 with two, not for {validators}; use --validators 4 or 7"
            ));
        }
        if !(1..=ROUNDS_MAX).contains(&rounds) {
            return Err(format!("a scenario has 1..={ROUNDS_MAX} rounds, not {rounds}"));
        }
        Ok(Self { validators, twins: validators.saturating_sub(1) / 3, rounds, two_phase })
    }

    /// Number of possible rounds: leaders times sides.
    #[must_use]
    pub const fn base(&self) -> u64 {
        let actors = self.validators.saturating_add(self.twins);
        let sides = 1u64 << actors.saturating_sub(1);
        let phases = if self.two_phase { sides } else { 1 };
        sides.saturating_mul(phases).saturating_mul(self.validators as u64)
    }

    /// Number of scenarios, counting symmetric ones separately; `None` if too many to number.
    #[must_use]
    pub fn labelled(&self) -> Option<u64> {
        self.base().checked_pow(self.rounds)
    }

    /// Like [`Self::labelled`], or why the space cannot be explored exhaustively.
    ///
    /// # Errors
    /// Too many scenarios to number, or too many possible rounds for a table of symmetries.
    pub fn size(&self) -> Result<u64, String> {
        if self.base() > BASE_MAX {
            return Err(format!(
                "a round of {} validators in two phases has too many variants to explore; draw scenarios with --sample",
                self.validators
            ));
        }
        let most = (1..=ROUNDS_MAX).take_while(|rounds| self.base().checked_pow(*rounds).is_some()).last().unwrap_or_default();
        self.labelled().ok_or_else(|| {
            format!(
                "{} rounds give too many scenarios to number; explore at most {most} rounds, or draw scenarios with --sample",
                self.rounds
            )
        })
    }

    /// Number of rounds of a scenario.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Number of validators.
    #[must_use]
    pub const fn validators(&self) -> u16 {
        self.validators
    }

    /// Number of validators with a twin.
    #[must_use]
    pub const fn twins(&self) -> u16 {
        self.twins
    }

    /// Whether proposals have sides of their own.
    #[must_use]
    pub const fn is_two_phase(&self) -> bool {
        self.two_phase
    }

    fn step(&self, digit: u64) -> Step {
        let validators = u64::from(self.validators);
        let (leader, sides) = (digit.checked_rem(validators).unwrap_or(0), digit.checked_div(validators).unwrap_or(0));
        let bits = u32::from(self.validators.saturating_add(self.twins).saturating_sub(1));
        let low = sides & (1u64 << bits).saturating_sub(1);
        let high = if self.two_phase { sides >> bits } else { low };
        let mask = |sides: u64| u16::try_from(sides << 1).unwrap_or(0);
        Step { leader: ValidatorId(u16::try_from(leader).unwrap_or(0)), proposals: mask(high), ballots: mask(low) }
    }

    fn digit(&self, step: Step) -> u64 {
        let bits = u32::from(self.validators.saturating_add(self.twins).saturating_sub(1));
        let all = (1u16 << bits.saturating_add(1)).wrapping_sub(1);
        // The order of the two sides is arbitrary; by convention actor 0's comes first.
        let sides = |mask: u16| u64::from(if mask & 1 == 1 { !mask & all } else { mask } >> 1);
        let both = if self.two_phase { (sides(step.proposals) << bits) | sides(step.ballots) } else { sides(step.ballots) };
        both.saturating_mul(u64::from(self.validators)).saturating_add(u64::from(step.leader.0))
    }

    fn scenario_of(&self, digits: impl Iterator<Item = u64>) -> Scenario {
        Scenario { validators: self.validators, twins: self.twins, steps: digits.map(|digit| self.step(digit)).collect() }
    }

    /// The scenario with this number.
    #[must_use]
    pub fn scenario(&self, number: u64) -> Scenario {
        self.scenario_of(self.digits(number).into_iter())
    }

    fn digits(&self, number: u64) -> Vec<u64> {
        let base = self.base();
        let mut rest = number;
        let mut digits: Vec<u64> = (0..self.rounds)
            .map(|_| {
                let digit = rest.checked_rem(base).unwrap_or(0);
                rest = rest.checked_div(base).unwrap_or(0);
                digit
            })
            .collect();
        digits.reverse();
        digits
    }

    /// The scenario drawn by a seed under this number.
    #[must_use]
    pub fn draw(&self, seed: u64, number: u64) -> Scenario {
        let mut random = Random::new(seed).fork(&format!("scenario {number}"));
        let base = self.base();
        self.scenario_of((0..self.rounds).map(|_| random.below(base)))
    }

    /// The symmetries, each as a table from digit to digit.
    pub(crate) fn symmetries(&self) -> Symmetries {
        let honest: Vec<u16> = (self.twins..self.validators).collect();
        let mut images = Vec::new();
        for order in permutations(&honest) {
            for swapped in 0..1u16 << self.twins {
                images.push((0..self.base()).map(|digit| self.digit(self.renamed(self.step(digit), &order, swapped))).collect());
            }
        }
        Symmetries { images, base: self.base(), rounds: self.rounds }
    }

    /// The step after renaming: `order` holds the new names of the validators without a twin, and bit i of `swapped` swaps the copies of
    /// validator i.
    fn renamed(&self, step: Step, order: &[u16], swapped: u16) -> Step {
        let name = |id: u16| match id.checked_sub(self.twins) {
            Some(position) => order.get(usize::from(position)).copied().unwrap_or(id),
            None => id,
        };
        let actor = |position: u16| {
            let twin = position / 2;
            if twin < self.twins {
                position ^ ((swapped >> twin) & 1)
            } else {
                name(position.saturating_sub(self.twins)).saturating_add(self.twins)
            }
        };
        let sides = |mask: u16| {
            let actors = self.validators.saturating_add(self.twins);
            (0..actors).filter(|position| (mask >> position) & 1 == 1).fold(0u16, |sides, position| sides | 1 << actor(position))
        };
        Step { leader: ValidatorId(name(step.leader.0)), proposals: sides(step.proposals), ballots: sides(step.ballots) }
    }
}

/// All permutations of the elements.
fn permutations(elements: &[u16]) -> Vec<Vec<u16>> {
    let Some((first, rest)) = elements.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for position in 0..=order.len() {
            let mut order = order.clone();
            order.insert(position, *first);
            all.push(order);
        }
    }
    all
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Symmetries {
    images: Vec<Vec<u64>>,
    base: u64,
    rounds: u32,
}

impl Symmetries {
    /// The first canonical number in `number..end`. If the first rounds alone show that a number is not canonical, all numbers with the same
    /// first rounds are skipped.
    pub(crate) fn next_canonical(&self, mut number: u64, end: u64) -> Option<u64> {
        while number < end {
            match self.larger_from(number) {
                None => return Some(number),
                Some(round) => {
                    let below = self.base.checked_pow(self.rounds.saturating_sub(1).saturating_sub(round))?;
                    number = number.checked_div(below)?.checked_add(1)?.checked_mul(below)?;
                }
            }
        }
        None
    }

    /// The earliest round, from 0, in which an image of the number becomes smaller than it; `None` if no image is smaller.
    fn larger_from(&self, number: u64) -> Option<u32> {
        let mut first = None;
        'images: for image in &self.images {
            let mut weight = self.base.checked_pow(self.rounds.saturating_sub(1))?;
            for round in 0..self.rounds {
                let digit = number.checked_div(weight)?.checked_rem(self.base)?;
                let other = image.get(usize::try_from(digit).ok()?).copied()?;
                if other > digit {
                    continue 'images;
                }
                if other < digit {
                    first = Some(first.map_or(round, |first: u32| first.min(round)));
                    continue 'images;
                }
                weight = weight.checked_div(self.base)?;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(space: Space) -> u64 {
        let (symmetries, end) = (space.symmetries(), space.size().unwrap());
        let (mut count, mut next) = (0, 0);
        while let Some(number) = symmetries.next_canonical(next, end) {
            (count, next) = (count + 1, number + 1);
        }
        count
    }

    /// Burnside's lemma: the average number of scenarios that a symmetry leaves fixed.
    fn burnside(space: Space) -> u64 {
        let images = space.symmetries().images;
        let fixed = |image: &Vec<u64>| (0u64..).zip(image).filter(|(digit, other)| digit == *other).count() as u64;
        images.iter().map(|image| fixed(image).pow(space.rounds())).sum::<u64>() / images.len() as u64
    }

    #[test]
    fn the_counts_are_those_of_the_formula() {
        for (rounds, two_phase, expected) in [(3, false, 25_740), (4, false, 1_502_936), (2, true, 97_240)] {
            let space = Space::new(4, rounds, two_phase).unwrap();
            assert_eq!(burnside(space), expected);
            assert_eq!(canonical(space), expected);
        }
        assert_eq!(burnside(Space::new(4, 5, false).unwrap()), 92_545_200);
        assert_eq!(burnside(Space::new(4, 3, true).unwrap()), 91_409_760);
        assert_eq!(Space::new(4, 3, false).unwrap().labelled(), Some(262_144));
        assert_eq!(Space::new(7, 2, false).unwrap().labelled(), Some(3_211_264));
    }

    #[test]
    fn every_scenario_has_one_canonical_image() {
        let space = Space::new(4, 2, false).unwrap();
        let (symmetries, size) = (space.symmetries(), space.size().unwrap());
        assert_eq!(symmetries.images.len(), 12);
        let images = |number: u64| -> Vec<u64> {
            let digits = space.digits(number);
            symmetries
                .images
                .iter()
                .map(|image| digits.iter().fold(0, |sum, digit| sum * 64 + image[usize::try_from(*digit).unwrap()]))
                .collect()
        };
        for number in 0..size {
            let canonical: Vec<u64> = images(number).into_iter().filter(|image| symmetries.larger_from(*image).is_none()).collect();
            assert_eq!(canonical.first(), images(number).iter().min());
            assert!(canonical.iter().all(|image| Some(image) == canonical.first()));
        }
    }

    #[test]
    fn a_number_and_its_scenario_say_the_same() {
        for (validators, two_phase) in [(4, false), (4, true), (7, false), (7, true)] {
            let space = Space::new(validators, 3, two_phase).unwrap();
            for number in [0, 1, 63, 64, 12_345, 262_143] {
                let steps = space.scenario(number).steps;
                assert_eq!(steps.iter().fold(0, |sum, step| sum * space.base() + space.digit(*step)), number);
            }
        }
        assert!(Space::new(5, 3, false).is_err());
        assert!(Space::new(7, 2, true).unwrap().size().is_err());
        assert!(Space::new(4, 12, false).unwrap().size().is_err());
        assert!(Space::new(4, 0, false).is_err());
    }
}
