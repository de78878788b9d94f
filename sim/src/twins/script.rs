//! What a stage plays: its cast, and for each of the first rounds who leads it and who hears whom, for each kind of message.
//!
//! Every [`Scenario`](super::Scenario) of the space is one, in which all hear each other on two sides; files (import.rs) hold others.

use quorate_types::{
    committee::SignerSet,
    ids::ValidatorId,
    message::{Message, Purpose},
};

use super::scenario::Scenario;

/// Most actors of a script: a set of them has a bit for each.
pub(crate) const ACTORS_MAX: usize = 32;

/// Who hears whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Two sides: a set of actors, bit i for actor i, and all others. Those on the same side hear each other; an empty set is everybody.
    Sides(u16),
    /// For each actor the set of those that hear it.
    Each(Vec<u32>),
}

impl Hearing {
    /// All hear each other.
    pub const EVERYBODY: Self = Self::Sides(0);

    /// Those that hear an actor, as a set.
    #[must_use]
    pub fn of(&self, actor: usize) -> u32 {
        match self {
            Self::Sides(side) => {
                let side = u32::from(*side);
                if (side >> actor) & 1 == 1 { side } else { !side }
            }
            Self::Each(sets) => sets.get(actor).copied().unwrap_or_default(),
        }
    }
}

/// What holds in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who leads the round; where it is a twin, both copies do.
    pub leader: ValidatorId,
    /// Who hears the round's proposals.
    pub proposals: Hearing,
    /// Its votes.
    pub votes: Hearing,
    /// Its timeouts.
    pub timeouts: Hearing,
    /// Everything else that is sent by somebody who is in it.
    pub rest: Hearing,
}

impl Act {
    pub(super) const fn hearing(&self, message: &Message) -> &Hearing {
        match message.purpose() {
            Purpose::Propose => &self.proposals,
            Purpose::Vote => &self.votes,
            Purpose::Timeout => &self.timeouts,
            Purpose::Inform | Purpose::Ask | Purpose::Answer => &self.rest,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How many validators the committee has.
    pub validators: u16,
    /// Whose copies the actors are; the copies of a validator stand side by side.
    pub cast: Vec<ValidatorId>,
    /// What holds in round 1, 2, ...
    pub acts: Vec<Act>,
    /// So many of the first timeouts of all are lost, whoever hears them.
    pub timeouts_lost: u64,
}

impl Script {
    /// The validators that have a second copy: to the others they look like liars.
    #[must_use]
    pub fn faulty(&self) -> SignerSet {
        self.cast.windows(2).filter_map(|two| two.first().filter(|first| two.last() == Some(first)).copied()).collect()
    }

    /// Whether there are more of them than the protocol can bear.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.faulty().len() > usize::from(self.validators.saturating_sub(1) / 3)
    }

    /// The names of the actors: a second copy has a dash.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        names(&self.cast)
    }
}

impl From<&Scenario> for Script {
    fn from(scenario: &Scenario) -> Self {
        let act = |step: &super::scenario::Step| Act {
            leader: step.leader,
            proposals: Hearing::Sides(step.proposals),
            votes: Hearing::Sides(step.ballots),
            timeouts: Hearing::Sides(step.ballots),
            rest: Hearing::Sides(step.ballots),
        };
        let acts = scenario.steps.iter().map(act).collect();
        Self { validators: scenario.validators, cast: scenario.cast(), acts, timeouts_lost: 0 }
    }
}

/// The names of a cast.
pub(super) fn names(cast: &[ValidatorId]) -> Vec<String> {
    let mut last = None;
    let name = |id: &ValidatorId| {
        let second = last.replace(*id) == Some(*id);
        format!("v{id}{}", if second { "'" } else { "" })
    };
    cast.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_on_a_side_hear_each_other_and_nobody_else() {
        let sides = Hearing::Sides(0b1_0010);
        assert_eq!((sides.of(1) & 0b1_1111, sides.of(4) & 0b1_1111, sides.of(0) & 0b1_1111), (0b1_0010, 0b1_0010, 0b0_1101));
        assert_eq!(Hearing::EVERYBODY.of(3), u32::MAX);
        let each = Hearing::Each(vec![0b11, 0b10]);
        assert_eq!((each.of(0), each.of(1), each.of(2)), (0b11, 0b10, 0));
    }

    #[test]
    fn twins_stand_side_by_side_and_look_faulty() {
        let cast: Vec<ValidatorId> = [0, 1, 1, 2, 3, 3].map(ValidatorId).into();
        let script = Script { validators: 4, cast, acts: Vec::new(), timeouts_lost: 0 };
        assert_eq!(script.names(), ["v0", "v1", "v1'", "v2", "v3", "v3'"]);
        assert_eq!(script.faulty().iter().collect::<Vec<_>>(), [ValidatorId(1), ValidatorId(3)]);
        assert!(script.is_beyond());
    }
}
