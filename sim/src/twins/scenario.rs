//! A scenario: the leader and the connectivity of each of the first rounds.

use std::fmt;

use quorate_types::ids::ValidatorId;

use super::script::names;

/// Leader and connectivity of one round. A side is a set of actors, bit i for actor i; the actors not in it are the other side. Two actors
/// hear each other if they are on the same side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The leader; if it has a twin, both copies lead.
    pub leader: ValidatorId,
    /// The sides for the round's proposals.
    pub proposals: u16,
    /// The sides for everything else in the round: votes, timeouts, and other messages of senders in it.
    pub ballots: u16,
}

/// See the module. Actors are numbered by validator, a second copy right after the first: with four validators and one twin they are
/// v0, v0', v1, v2, v3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Number of validators.
    pub validators: u16,
    /// How many of them, from the first on, have a second copy.
    pub twins: u16,
    /// The steps of rounds 1, 2, ...
    pub steps: Vec<Step>,
}

impl Scenario {
    /// The validator of each actor, in actor order.
    #[must_use]
    pub fn cast(&self) -> Vec<ValidatorId> {
        (0..self.validators).flat_map(|id| std::iter::repeat_n(ValidatorId(id), if id < self.twins { 2 } else { 1 })).collect()
    }

    /// Whether there are more twins than the protocol tolerates.
    #[must_use]
    pub const fn is_beyond(&self) -> bool {
        self.twins > self.validators.saturating_sub(1) / 3
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = names(&self.cast());
        let side = |mask: u16, second: bool| -> String {
            let on = |position: usize| (mask >> position) & 1 == u16::from(second);
            names.iter().enumerate().filter(|(position, _)| on(*position)).map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let sides = |mask: u16| match mask {
            0 => String::from("all together"),
            _ => format!("{} | {}", side(mask, false), side(mask, true)),
        };
        for (round, step) in (1u64..).zip(&self.steps) {
            if round > 1 {
                writeln!(f)?;
            }
            write!(f, "round {round}, led by v{}: {}", step.leader, sides(step.proposals))?;
            if step.ballots != step.proposals {
                write!(f, " for proposals, {} for the rest", sides(step.ballots))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_table() {
        let scenario = Scenario {
            validators: 4,
            twins: 1,
            steps: vec![
                Step { leader: ValidatorId(0), proposals: 0b1_0010, ballots: 0b1_0010 },
                Step { leader: ValidatorId(3), proposals: 0, ballots: 0b0_0100 },
            ],
        };
        let text = "round 1, led by v0: v0 v1 v2 | v0' v3\nround 2, led by v3: all together for proposals, v0 v0' v2 v3 | v1 for the rest";
        assert_eq!(scenario.to_string(), text);
    }
}
