//! How the committee of a world changes, and who may join it.

use quorate_harness::{committee::Setting, governor::Course, random::Random, time::Micros};
use quorate_types::ids::Address;

use crate::fault::{Clocks, FaultPlan, Faults};

/// Share of worlds, in thousandths, whose committee changes.
const REFORMED_PERMILLE: u64 = 250;

/// Longest time that is added to the storm.
const LONGER_MAX: Micros = Micros(2_500_000);

/// See the module.
#[derive(Debug)]
pub(super) struct Reform {
    pub(super) course: Course,
    /// The number of honest operators. If there is one, what it proposes takes effect at once.
    pub(super) operators: usize,
    /// An operator lies: that of the faulty members.
    pub(super) has_liar: bool,
    /// What a validator sends when an epoch ends is lost.
    pub(super) loses_ends: bool,
    random: Random,
}

impl Reform {
    /// Draws it; `None` if the committee does not change.
    pub(super) fn draw(random: &mut Random, faults: Faults) -> Option<Self> {
        let always = matches!(faults, Faults::Operator | Faults::LostEnds);
        // Where all clocks are ahead, those who join would have the only right ones.
        let never = matches!(faults, Faults::Beyond | Faults::Clocks(Clocks::AllAhead));
        if never || !(random.chance(REFORMED_PERMILLE) || always) {
            return None;
        }
        let course = random.pick(&Course::ALL).copied()?;
        let (has_liar, loses_ends) = match faults {
            Faults::Operator => (true, false),
            Faults::LostEnds => (false, true),
            Faults::Drawn | Faults::Lie(_) | Faults::Clocks(_) | Faults::Beyond => (random.chance(250), random.chance(200)),
        };
        let operators = random.index(3).saturating_add(1);
        Some(Self { course, operators, has_liar, loses_ends, random: random.fork("joiners") })
    }

    /// Makes the storm longer, so that several changes come through, and draws members that may join, and their faults.
    pub(super) fn add_joiners(&mut self, setting: &mut Setting, plan: &mut FaultPlan, operators: &[Address]) {
        plan.storm_end = plan.storm_end.after(Micros(self.random.between(500_000, LONGER_MAX.0)));
        let first = setting.genesis.validators.len() as u64;
        let count = self.random.between(1, first.saturating_add(2).min(8));
        setting.add_joiners(&mut self.random, u16::try_from(count).unwrap_or(1), operators);
        let joiners = setting.numbers().skip(setting.genesis.validators.len()).collect();
        plan.add_joiners(&mut self.random, setting.verifier.committee(), joiners);
    }
}
