//! Whose power fails in a run, and who starts only then.

use quorate_harness::random::Random;
use quorate_types::{committee::Committee, ids::ValidatorId};

/// Who is who.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    /// Whose power fails.
    pub(super) victim: ValidatorId,
    /// Starts only when the second point is armed.
    pub(super) late: Option<ValidatorId>,
}

impl Roles {
    /// The victim, and with it the late one, are such that the others are a quorum without them, wherever that is possible: otherwise nothing
    /// would go on in their absence that they could fetch.
    pub(super) fn draw(random: &mut Random, committee: &Committee, starts_late: bool) -> Option<Self> {
        let mut ids: Vec<ValidatorId> = committee.ids().collect();
        random.shuffle(&mut ids);
        let bearable = committee.total_power().saturating_sub(committee.quorum_power());
        // The order of the shuffle stays among equals.
        ids.sort_by_key(|id| {
            let power = committee.power([*id].into_iter().collect());
            if starts_late { power } else { power.max(bearable) }
        });
        let mut ids = ids.into_iter();
        let victim = ids.next()?;
        let late = if starts_late { ids.next() } else { None };
        Some(Self { victim, late })
    }
}
