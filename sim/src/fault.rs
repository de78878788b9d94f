//! What goes wrong in a world, drawn from the seed before it begins.
//!
//! A world has two phases. In the *storm* anything goes: any number of validators crash and restart, the network loses and splits. Then the
//! faults stop, except that a minority which a committee must bear (`total - quorum` of the power) stays crashed or silent for ever. In the
//! *calm* every other validator must commit (LIVE-1).
//!
//! Each kind of fault is left out in some worlds, so that the others show by themselves.

use std::collections::BTreeMap;

use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
};

use crate::{network::LinkRules, random::Random, time::Micros};

/// How the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// Between two effects.
    Now,
    /// Just before the disk would be written for the nth time from now on (0 is the next one).
    AtWrite(usize),
}

/// Something that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A validator loses power, and with it what its disk had not synced. It gets power back after the time given.
    Crash(ValidatorId, PowerCut, Micros),
    /// Nothing passes in these directions.
    Cut(Vec<(ValidatorId, ValidatorId)>),
    /// Everything passes again.
    Heal,
}

/// What becomes of a validator of the permanent minority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It crashes for ever.
    Crashed(Micros),
    /// From then on none of its messages reaches anybody, while it hears all of theirs.
    Silent(Micros),
}

/// All faults of a world.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// The network in the storm.
    pub storm: LinkRules,
    /// The network in the calm.
    pub calm: LinkRules,
    /// When the storm ends.
    pub storm_end: Micros,
    /// The permanent minority.
    pub fates: BTreeMap<ValidatorId, Fate>,
    /// What happens in the storm.
    pub incidents: Vec<(Micros, Incident)>,
}

/// Longest time without power in the storm.
const DOWN_MAX: Micros = Micros(1_500_000);
/// Longest partition.
const CUT_MAX: Micros = Micros(1_200_000);

impl FaultPlan {
    /// Draws the faults for a committee.
    #[must_use]
    pub fn draw(random: &mut Random, committee: &Committee) -> Self {
        let storm_end = Micros(random.between(800_000, 3_000_000));
        let calm = calm(random);
        let storm = if random.chance(800) { storm(random) } else { calm };
        let ids: Vec<ValidatorId> = committee.ids().collect();
        let fates = if random.chance(600) { fates(random, committee, storm_end) } else { BTreeMap::new() };
        let mut incidents = Vec::new();
        if random.chance(700) {
            crashes(random, &ids, storm_end, &mut incidents);
        }
        if random.chance(200) {
            all_at_once(random, &ids, storm_end, &mut incidents);
        }
        if ids.len() > 1 && random.chance(600) {
            partitions(random, &ids, storm_end, &mut incidents);
        }
        Self { storm, calm, storm_end, fates, incidents }
    }

    /// No faults at all, on a good network.
    #[must_use]
    pub fn none(storm_end: Micros) -> Self {
        let good = LinkRules {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            delay_min: Micros(200),
            delay_max: Micros(2_000),
            late_per_mille: 0,
            late_max: Micros(0),
        };
        Self { storm: good, calm: good, storm_end, fates: BTreeMap::new(), incidents: Vec::new() }
    }
}

fn calm(random: &mut Random) -> LinkRules {
    let delay_min = Micros(random.between(100, 2_000));
    LinkRules {
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        delay_min,
        delay_max: Micros(random.between(delay_min.0, 15_000)),
        late_per_mille: 0,
        late_max: Micros(0),
    }
}

fn storm(random: &mut Random) -> LinkRules {
    let delay_min = Micros(random.between(100, 5_000));
    LinkRules {
        loss_per_mille: if random.chance(700) { random.between(1, 300) } else { 0 },
        duplicate_per_mille: if random.chance(500) { random.between(1, 300) } else { 0 },
        delay_min,
        delay_max: Micros(random.between(delay_min.0, 60_000)),
        late_per_mille: if random.chance(500) { random.between(1, 100) } else { 0 },
        late_max: Micros(random.between(10_000, 800_000)),
    }
}

fn fates(random: &mut Random, committee: &Committee, storm_end: Micros) -> BTreeMap<ValidatorId, Fate> {
    // By power, as quorums count. Where powers differ, this may be half of the validators and more.
    let bearable = committee.total_power().saturating_sub(committee.quorum_power());
    let mut ids: Vec<ValidatorId> = committee.ids().collect();
    random.shuffle(&mut ids);
    let mut chosen = SignerSet::default();
    let mut fates = BTreeMap::new();
    for id in ids {
        let mut more = chosen;
        more.insert(id);
        if committee.power(more) > bearable {
            continue;
        }
        chosen = more;
        let at = if random.chance(300) { Micros(0) } else { Micros(random.below(storm_end.0)) };
        fates.insert(id, if random.chance(500) { Fate::Crashed(at) } else { Fate::Silent(at) });
    }
    fates
}

fn power_cut(random: &mut Random) -> PowerCut {
    if random.chance(500) { PowerCut::Now } else { PowerCut::AtWrite(random.index(8)) }
}

fn crashes(random: &mut Random, ids: &[ValidatorId], storm_end: Micros, incidents: &mut Vec<(Micros, Incident)>) {
    let count = random.between(1, (ids.len() as u64).saturating_mul(2).max(4));
    for _ in 0..count {
        let Some(id) = random.pick(ids).copied() else { continue };
        let down = if random.chance(500) { random.between(1_000, 100_000) } else { random.between(1_000, DOWN_MAX.0) };
        incidents.push((Micros(random.below(storm_end.0)), Incident::Crash(id, power_cut(random), Micros(down))));
    }
}

/// The whole site loses power.
fn all_at_once(random: &mut Random, ids: &[ValidatorId], storm_end: Micros, incidents: &mut Vec<(Micros, Incident)>) {
    let at = Micros(random.below(storm_end.0));
    for id in ids {
        let down = Micros(random.between(1_000, 300_000));
        incidents.push((at, Incident::Crash(*id, PowerCut::Now, down)));
    }
}

fn partitions(random: &mut Random, ids: &[ValidatorId], storm_end: Micros, incidents: &mut Vec<(Micros, Incident)>) {
    for _ in 0..random.between(1, 4) {
        let mut shuffled = ids.to_vec();
        random.shuffle(&mut shuffled);
        let size = usize::try_from(random.between(1, (ids.len() as u64).saturating_sub(1))).unwrap_or(1);
        let (left, right) = shuffled.split_at(size.min(shuffled.len()));
        let one_way = random.chance(400);
        let directions = left
            .iter()
            .flat_map(|a| right.iter().map(move |b| (*a, *b)))
            .flat_map(|(a, b)| if one_way { vec![(a, b)] } else { vec![(a, b), (b, a)] })
            .collect();
        let from = Micros(random.below(storm_end.0));
        incidents.push((from, Incident::Cut(directions)));
        incidents.push((from.after(Micros(random.between(50_000, CUT_MAX.0))), Incident::Heal));
    }
}
