//! A real process's rules, as a JSON file.

use serde::{Deserialize, Serialize};

use crate::rules::{Fault, Kind, Party, Rule};

/// Longest plan, in bytes.
pub const PLAN_BYTES_MAX: u64 = 1 << 20;

/// The faults of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seeds the dice, together with the number of the process.
    pub seed: u64,
    /// The first rule that fits a message decides.
    pub rules: Vec<Rule>,
    /// The newest version of the protocol that the process speaks, if it is to stand in for an older program; never more than it really speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaks: Option<u32>,
}

impl Plan {
    /// The first rule that a process cannot execute, and why.
    #[must_use]
    pub fn impossible(&self) -> Option<(&Rule, &'static str)> {
        self.rules.iter().find_map(|rule| Some((rule, impossible(rule)?)))
    }
}

/// Why a process cannot execute a rule: it can lose or delay what it sends to other validators, nothing else. Accepting a rule that never
/// applies would make an experiment look better than it is.
fn impossible(rule: &Rule) -> Option<&'static str> {
    match (rule.fault, rule.kind) {
        (Fault::SetAttr(..), _) => Some("a process cannot lie about its state"),
        (Fault::Crash(_), _) => Some("a process cannot cut its own power"),
        (_, Some(Kind::Request | Kind::Response)) => Some("messages from and to clients are not affected"),
        (_, Some(Kind::Gossip)) if rule.dest != Party::Any => Some("gossip goes to all or to nobody; leave out dest"),
        (Fault::Delay(_), Some(Kind::Gossip)) => Some("gossip is lost or sent, but never held back"),
        (Fault::MsgLoss | Fault::Delay(_) | Fault::NoPropose, _) => None,
    }
}

/// `SplitMix64`: the dice of one process.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a process under a plan with this seed.
    #[must_use]
    pub const fn new(seed: u64, process: u16) -> Self {
        Self(seed ^ ((process as u64) << 48))
    }

    /// Throws the dice: true with this probability, in millionths.
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
    use crate::rules::{Attribute, Rounds};

    const RULE: Rule =
        Rule { line: 1, src: Party::Any, dest: Party::Any, kind: None, rounds: Rounds::Any, per_million: 1_000_000, fault: Fault::MsgLoss };

    #[test]
    fn a_rule_that_would_never_strike_in_a_process_is_refused_with_the_reason() {
        let to_one = Party::Validator(1);
        for (rule, why) in [
            (RULE, None),
            (Rule { dest: to_one, ..RULE }, None),
            (Rule { kind: Some(Kind::Vote), dest: Party::Leader, fault: Fault::Delay(1), ..RULE }, None),
            (Rule { kind: Some(Kind::Proposal), fault: Fault::NoPropose, ..RULE }, None),
            (Rule { kind: Some(Kind::Gossip), ..RULE }, None),
            (Rule { kind: Some(Kind::Gossip), dest: to_one, ..RULE }, Some("leave out dest")),
            (Rule { kind: Some(Kind::Gossip), dest: Party::Leader, ..RULE }, Some("leave out dest")),
            (Rule { kind: Some(Kind::Gossip), fault: Fault::Delay(1), ..RULE }, Some("never held back")),
            (Rule { kind: Some(Kind::Request), ..RULE }, Some("clients")),
            (Rule { kind: Some(Kind::Response), ..RULE }, Some("clients")),
            (Rule { fault: Fault::Crash(None), ..RULE }, Some("power")),
            (Rule { fault: Fault::SetAttr(Attribute::CurrentRound, 1), ..RULE }, Some("lie")),
        ] {
            let plan = Plan { seed: 1, rules: vec![RULE, rule.clone()], speaks: None };
            match (plan.impossible(), why) {
                (None, None) => {}
                (Some((found, said)), Some(why)) => assert!(*found == rule && said.contains(why), "{rule}: {said}"),
                (found, _) => panic!("{rule}: {found:?}"),
            }
        }
    }

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
