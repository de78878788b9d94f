//! Which validator loses power in a run, and which one starts late.

use quorate_harness::random::Random;
use quorate_types::{committee::Committee, ids::ValidatorId};

/// The special validators of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    /// Loses power.
    pub(super) victim: ValidatorId,
    /// Starts only when the second point is armed.
    pub(super) late: Option<ValidatorId>,
}

impl Roles {
    /// Draws them so that, if possible, the others are a quorum without them. Otherwise nothing would happen in their absence that they could
    /// fetch later.
    pub(super) fn draw(random: &mut Random, committee: &Committee, starts_late: bool) -> Option<Self> {
        let mut ids: Vec<ValidatorId> = committee.ids().collect();
        random.shuffle(&mut ids);
        let bearable = committee.total_power().saturating_sub(committee.quorum_power());
        // A stable sort: equals stay shuffled.
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
