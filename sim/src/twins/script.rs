//! What a stage plays: its actors, and for each of the first rounds its leader and, for each kind of message, the connectivity.
//!
//! Every [`Scenario`](super::Scenario) of the space is a script with two sides in each round; files (import.rs) allow more.

use quorate_types::{
    committee::SignerSet,
    ids::ValidatorId,
    message::{Message, Purpose},
};

use super::scenario::Scenario;

/// Most actors of a script: sets of actors are 32-bit masks.
pub(crate) const ACTORS_MAX: usize = 32;

/// Who hears whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Two sides: a set of actors, bit i for actor i, and the others. Actors on the same side hear each other; with an empty set all do.
    Sides(u16),
    /// For each actor, the set of actors that hear it.
    Each(Vec<u32>),
}

impl Hearing {
    /// All actors hear each other.
    pub const EVERYBODY: Self = Self::Sides(0);

    /// The set of actors that hear an actor.
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

/// Leader and connectivity of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The leader; if it has a twin, both copies lead.
    pub leader: ValidatorId,
    /// Connectivity for the round's proposals.
    pub proposals: Hearing,
    /// For its votes.
    pub votes: Hearing,
    /// For its timeouts.
    pub timeouts: Hearing,
    /// For all other messages of senders in the round.
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
    /// Number of validators.
    pub validators: u16,
    /// The validator of each actor; the copies of a validator are adjacent.
    pub cast: Vec<ValidatorId>,
    /// The acts of rounds 1, 2, ...
    pub acts: Vec<Act>,
    /// How many of the run's first timeouts are lost, regardless of connectivity.
    pub timeouts_lost: u64,
}

impl Script {
    /// Validators with a second copy: to the others they look like liars.
    #[must_use]
    pub fn faulty(&self) -> SignerSet {
        self.cast.windows(2).filter_map(|two| two.first().filter(|first| two.last() == Some(first)).copied()).collect()
    }

    /// Whether there are more of them than the protocol tolerates.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.faulty().len() > usize::from(self.validators.saturating_sub(1) / 3)
    }

    /// The names of the actors; a second copy's has a prime.
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
