//! The rules that a real process goes by, as a file of JSON.

use serde::{Deserialize, Serialize};

use crate::rules::{Fault, Rule};

/// Longest plan, in bytes.
pub const PLAN_BYTES_MAX: u64 = 1 << 20;

/// What goes wrong in a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides the dice, together with who throws them.
    pub seed: u64,
    /// The rules, the first that fits counts.
    pub rules: Vec<Rule>,
}

impl Plan {
    /// The first rule that a process cannot obey: it can lose messages and hold them back, nothing else.
    #[must_use]
    pub fn impossible(&self) -> Option<&Rule> {
        self.rules.iter().find(|rule| match rule.fault {
            Fault::MsgLoss | Fault::Delay(_) | Fault::NoPropose => false,
            Fault::SetAttr(..) | Fault::Crash(_) => true,
        })
    }
}

/// `SplitMix64`: the dice of one process.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a plan and a process.
    #[must_use]
    pub const fn new(seed: u64, process: u16) -> Self {
        Self(seed ^ ((process as u64) << 48))
    }

    /// Whether something with this chance, in millionths, happens.
    pub fn chance(&mut self, per_million: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000_000 < per_million
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_are_as_probable_as_they_say_and_each_process_has_its_own() {
        let throw = |process| {
            let mut dice = Dice::new(7, process);
            (0..10_000).map(|_| dice.chance(250_000)).collect::<Vec<_>>()
        };
        let hits = throw(0).iter().filter(|hit| **hit).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1), throw(2));
        assert!(Dice::new(7, 0).chance(1_000_000) && !Dice::new(7, 0).chance(0));
    }
}
