//! The faults of a world, drawn from its seed before it begins.
//!
//! A world has two phases. In the *storm* anything goes: any number of validators crash and restart, the network loses messages and splits,
//! disks fail, clocks jump. Then the faults stop, except that a minority which the committee must tolerate (`total - quorum` of the power)
//! keeps its fault for ever: crashed, silent, deaf, badly connected, slow, without its memory, or lying. In the *calm* every other validator
//! must commit (LIVE-1).
//!
//! Each kind of fault is absent from some worlds, so that it cannot mask the others.

use std::{collections::BTreeMap, str::FromStr};

pub use quorate_harness::ClockFault;
use quorate_harness::{network::LinkRules, random::Random, time::Micros};
use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
};

use crate::byzantine::{Lie, collusion::Cabal};

/// How the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// Between two effects.
    Now,
    /// Just before the nth disk write from now on (0 is the next one). That batch is torn, so it is lost.
    AtWrite(usize),
    /// During the sync of the nth synced write from now on, which fails. That batch may survive or not.
    AtSync(usize),
    /// During the nth witness write from now on (0 is the next one), which is torn after so many bytes.
    AtWitness(usize, usize),
    /// The disk is full from the nth write on. The process stops but the machine does not; when the process comes back there is space again.
    Full(usize),
}

/// A fault that begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A validator loses power, and with it its unsynced writes. Power returns after the given time.
    Crash(ValidatorId, PowerCut, Micros),
    /// Nothing passes in these directions.
    Cut(Vec<(ValidatorId, ValidatorId)>),
    /// Ends that cut. Another one may still be in force.
    Heal(Vec<(ValidatorId, ValidatorId)>),
    /// A wall clock goes wrong, until the next restart or the calm.
    Clock(ValidatorId, ClockFault),
}

/// The permanent fault of a minority validator. The first time is when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Crashes for ever.
    Crashed(Micros),
    /// Sends nothing that reaches anyone, but receives everything.
    Silent(Micros),
    /// Receives nothing, but its messages reach everyone.
    Deaf(Micros),
    /// Loses its links in these directions, all of them from it or to it.
    Frayed(Micros, Vec<(ValidatorId, ValidatorId)>),
    /// Becomes a hundred times as slow in both directions.
    Slow(Micros),
    /// At the first time its disk is copied; at the second it crashes and comes back with the copy. Its witness is current, so it must
    /// notice, and it keeps every rule.
    Stale(Micros, Micros),
    /// Crashes and comes back with its key, its witness and an empty disk. It must notice, too.
    Wiped(Micros),
    /// Its whole home is copied, and later restored. It cannot know until it is shown what it has forgotten, so it counts as Byzantine; once
    /// shown, it must sign nothing more (SAFE-6).
    RolledBack(Micros, Micros),
    /// Has a wrong wall clock, but is honest otherwise and has to keep up.
    WrongClock(Micros, ClockFault),
    /// Lies from the beginning.
    Lying(Vec<Lie>),
    /// Is honest, but its operator lies.
    Misruled,
}

impl Fate {
    /// Whether the validator counts as Byzantine, so that no rule binds it.
    #[must_use]
    pub const fn is_byzantine(&self) -> bool {
        match self {
            Self::RolledBack(..) | Self::Lying(_) => true,
            Self::Crashed(_)
            | Self::Silent(_)
            | Self::Deaf(_)
            | Self::Frayed(..)
            | Self::Slow(_)
            | Self::Stale(..)
            | Self::Wiped(_)
            | Self::WrongClock(..)
            | Self::Misruled => false,
        }
    }

    /// Whether the run does not wait for the validator.
    #[must_use]
    pub const fn is_excused(&self) -> bool {
        !matches!(self, Self::WrongClock(..))
    }
}

/// The faults of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// Drawn from the seed.
    #[default]
    Drawn,
    /// As many validators as the committee tolerates tell this lie; there are no other faults.
    Lie(Lie),
    /// Wrong wall clocks, and no other faults.
    Clocks(Clocks),
    /// More validators collude than the committee tolerates: the chain must fork, and the culprits must be named.
    Beyond,
    /// The operator of as many validators as the committee tolerates lies, while the others change the committee (B26).
    Operator,
    /// As many validators as the committee tolerates are silent, and what a validator sends at the end of an epoch is lost.
    LostEnds,
}

/// Which wall clocks are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// One, 290 s ahead for ever.
    OneAhead,
    /// One, ten years ahead for ever.
    OneFarAhead,
    /// One, 290 s behind for ever.
    OneBehind,
    /// One, standing still for ever.
    OneFrozen,
    /// One, jumping an hour ahead and back for ever.
    OneJumping,
    /// All, an hour ahead until the calm.
    AllAhead,
}

impl Clocks {
    /// Every variant, with its name in commands.
    pub const ALL: [(Self, &str); 6] = [
        (Self::OneAhead, "clock-ahead"),
        (Self::OneFarAhead, "clock-far-ahead"),
        (Self::OneBehind, "clock-behind"),
        (Self::OneFrozen, "clock-frozen"),
        (Self::OneJumping, "clock-jumping"),
        (Self::AllAhead, "all-clocks-ahead"),
    ];

    const fn fault(self) -> ClockFault {
        match self {
            Self::OneAhead => ClockFault::Ahead(290_000),
            Self::OneFarAhead => ClockFault::Ahead(CLOCK_OFF_MS_MAX / 2),
            Self::OneBehind => ClockFault::Behind(290_000),
            Self::OneFrozen => ClockFault::Frozen,
            Self::OneJumping => ClockFault::Jumping(HOUR_MS, Micros(700_000)),
            Self::AllAhead => ClockFault::Ahead(HOUR_MS),
        }
    }
}

impl Faults {
    /// The name in commands.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Drawn => "drawn".into(),
            Self::Beyond => "beyond".into(),
            Self::Operator => "b26-lying-operator".into(),
            Self::LostEnds => "lost-epoch-ends".into(),
            Self::Lie(lie) => lie.word(),
            Self::Clocks(clocks) => Clocks::ALL.iter().find(|(of, _)| *of == clocks).map_or_else(String::new, |(_, word)| (*word).into()),
        }
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let clocks = || Clocks::ALL.map(|(clocks, _)| Self::Clocks(clocks));
        let all = || [Self::Drawn, Self::Beyond, Self::Operator, Self::LostEnds].into_iter().chain(clocks()).chain(Lie::ALL.map(Self::Lie));
        all().find(|faults| faults.word() == word).ok_or_else(|| {
            let words: Vec<String> = all().map(Self::word).collect();
            format!("no such faults; choose one of {}", words.join(", "))
        })
    }
}

/// Keys under which a report counts faults; lies use [`Lie::name`].
pub const FAULT_NAMES: [&str; 27] = [
    "fault: lost message",
    "fault: doubled message",
    "fault: late message",
    "fault: power cut",
    "fault: torn write",
    "fault: failed sync",
    "fault: torn witness",
    "fault: disk full",
    "fault: all down at once",
    "fault: cut in two",
    "fault: cut one way",
    "fault: clock behind",
    "fault: clock ahead",
    "fault: clock frozen",
    "fault: clock jumping",
    "fault: all clocks ahead",
    "fault: clock wrong for ever",
    "fault: crashed for ever",
    "fault: silent for ever",
    "fault: deaf for ever",
    "fault: frayed for ever",
    "fault: slow for ever",
    "fault: stale disk",
    "fault: wiped disk",
    "fault: home rolled back",
    "fault: end of an epoch lost",
    "B26 lying operator",
];

/// All faults of a world.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// Link rules in the storm.
    pub storm: LinkRules,
    /// Link rules in the calm.
    pub calm: LinkRules,
    /// Time at which the storm ends.
    pub storm_end: Micros,
    /// Faults of the permanent minority.
    pub fates: BTreeMap<ValidatorId, Fate>,
    /// Faults of the storm, with their times.
    pub incidents: Vec<(Micros, Incident)>,
    /// More validators than the committee tolerates, which fork the chain on purpose.
    pub(crate) cabal: Option<Cabal>,
}

/// Longest time without power in the storm.
const DOWN_MAX: Micros = Micros(1_500_000);
/// How far a wall clock may be off after losing its battery or being set wrongly: twenty years.
pub(crate) const CLOCK_OFF_MS_MAX: u64 = 20 * 365 * 24 * 3_600 * 1_000;
const HOUR_MS: u64 = 3_600_000;
/// Number of validator orders tried when choosing a cabal.
const ORDERS_TRIED: usize = 50;
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
        if random.chance(250) {
            clocks(random, committee, storm_end, &mut incidents);
        }
        Self { storm, calm, storm_end, fates, incidents, cabal: None }
    }

    /// As many validators as the committee tolerates tell one lie; there are no other faults.
    #[must_use]
    pub fn lie(random: &mut Random, committee: &Committee, lie: Lie) -> Self {
        let storm_end = Micros(random.between(500_000, 1_500_000));
        let fates = minority(random, committee).into_iter().map(|id| (id, Fate::Lying(vec![lie]))).collect();
        let calm = calm(random);
        Self { storm: calm, calm, fates, ..Self::none(storm_end) }
    }

    /// The operator of as many validators as the committee tolerates lies; there are no other faults.
    #[must_use]
    pub fn misruled(random: &mut Random, committee: &Committee) -> Self {
        Self::alone(random, committee, |_| Fate::Misruled)
    }

    /// As many validators as the committee tolerates fall silent; there are no other faults.
    #[must_use]
    pub fn silent(random: &mut Random, committee: &Committee) -> Self {
        Self::alone(random, committee, Fate::Silent)
    }

    fn alone(random: &mut Random, committee: &Committee, fate: impl Fn(Micros) -> Fate) -> Self {
        let storm_end = Micros(random.between(1_000_000, 3_000_000));
        let fates = minority(random, committee).into_iter().map(|id| (id, fate(Micros(random.below(storm_end.0 / 2))))).collect();
        let calm = calm(random);
        Self { storm: calm, calm, fates, ..Self::none(storm_end) }
    }

    /// Members that may join share the faults of the storm, and some have a fault for ever.
    pub(crate) fn add_joiners(&mut self, random: &mut Random, committee: &Committee, joiners: Vec<ValidatorId>) {
        if self.incidents.is_empty() && self.fates.is_empty() && self.storm == self.calm {
            return;
        }
        for id in &joiners {
            if !self.fates.is_empty() && random.chance(250) {
                self.fates.insert(*id, fate(random, committee, *id, self.storm_end));
            }
        }
        if self.incidents.is_empty() {
            return;
        }
        if random.chance(500) {
            crashes(random, &joiners, self.storm_end, &mut self.incidents);
        }
        let ids: Vec<ValidatorId> = committee.ids().chain(joiners).collect();
        if random.chance(400) {
            partitions(random, &ids, self.storm_end, &mut self.incidents);
        }
    }

    /// Wrong wall clocks alone.
    #[must_use]
    pub fn clocks(random: &mut Random, committee: &Committee, clocks: Clocks) -> Self {
        let storm_end = Micros(random.between(500_000, 3_000_000));
        let fault = clocks.fault();
        let calm = calm(random);
        let plan = Self { storm: calm, calm, ..Self::none(storm_end) };
        let at = |random: &mut Random| if random.chance(500) { Micros(0) } else { Micros(random.below(storm_end.0 / 2)) };
        if clocks == Clocks::AllAhead {
            let incidents = committee.ids().map(|id| (at(random), Incident::Clock(id, fault))).collect();
            return Self { incidents, ..plan };
        }
        let fates = minority(random, committee).into_iter().take(1).map(|id| (id, Fate::WrongClock(at(random), fault))).collect();
        Self { fates, ..plan }
    }

    /// A cabal that the committee cannot tolerate. The storm never ends.
    #[must_use]
    pub fn beyond(random: &mut Random, committee: &Committee) -> Self {
        let mut order: Vec<ValidatorId> = committee.ids().collect();
        // If powers differ, not every order gives two usable halves.
        let cabal = (0..ORDERS_TRIED).find_map(|_| {
            random.shuffle(&mut order);
            Cabal::choose(committee, &order)
        });
        Self { cabal, ..Self::none(Micros(u64::MAX)) }
    }

    /// The validators that count as Byzantine.
    #[must_use]
    pub fn byzantine(&self) -> SignerSet {
        let colluders = self.cabal.iter().flat_map(|cabal| cabal.colluders.iter().copied());
        self.fates.iter().filter(|(_, fate)| fate.is_byzantine()).map(|(id, _)| *id).chain(colluders).collect()
    }

    /// No faults, on a good network.
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
        Self { storm: good, calm: good, storm_end, fates: BTreeMap::new(), incidents: Vec::new(), cabal: None }
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
        duplicate_per_mille: if random.chance(500) { random.between(1, 500) } else { 0 },
        delay_min,
        delay_max: Micros(random.between(delay_min.0, 60_000)),
        late_per_mille: if random.chance(500) { random.between(1, 100) } else { 0 },
        late_max: Micros(random.between(10_000, 800_000)),
    }
}

/// As many validators as the committee tolerates by power. If powers differ, these may be half of the validators or more.
fn minority(random: &mut Random, committee: &Committee) -> Vec<ValidatorId> {
    let bearable = committee.total_power().saturating_sub(committee.quorum_power());
    let mut ids: Vec<ValidatorId> = committee.ids().collect();
    random.shuffle(&mut ids);
    let mut chosen = SignerSet::default();
    ids.retain(|id| {
        let mut more = chosen;
        more.insert(*id);
        let bears = committee.power(more) <= bearable;
        if bears {
            chosen = more;
        }
        bears
    });
    ids
}

fn fates(random: &mut Random, committee: &Committee, storm_end: Micros) -> BTreeMap<ValidatorId, Fate> {
    minority(random, committee).into_iter().map(|id| (id, fate(random, committee, id, storm_end))).collect()
}

fn fate(random: &mut Random, committee: &Committee, id: ValidatorId, storm_end: Micros) -> Fate {
    let at = if random.chance(300) { Micros(0) } else { Micros(random.below(storm_end.0)) };
    match random.below(18) {
        0 | 1 => Fate::Crashed(at),
        2 => Fate::Silent(at),
        3 => Fate::Deaf(at),
        4 => Fate::Frayed(at, frayed(random, committee, id)),
        5 => Fate::Slow(at),
        6 => Fate::Stale(at, at.after(Micros(random.between(1_000, 800_000))).min(storm_end)),
        7 => Fate::Wiped(at),
        8 | 9 => Fate::RolledBack(at, at.after(Micros(random.between(1_000, 800_000))).min(storm_end)),
        10 | 11 => Fate::WrongClock(at, clock_fault(random)),
        _ => {
            let mut lies = Lie::ALL;
            random.shuffle(&mut lies);
            let count = if random.chance(600) { 1 } else { 2 };
            Fate::Lying(lies.into_iter().take(count).collect())
        }
    }
}

/// Some of a validator's links, each in one direction or in both.
fn frayed(random: &mut Random, committee: &Committee, id: ValidatorId) -> Vec<(ValidatorId, ValidatorId)> {
    let mut directions = Vec::new();
    for other in committee.ids().filter(|other| *other != id) {
        if random.chance(400) {
            directions.push((id, other));
        }
        if random.chance(400) {
            directions.push((other, id));
        }
    }
    directions
}

fn clock_fault(random: &mut Random) -> ClockFault {
    let most = if random.chance(500) { 10_000 } else { CLOCK_OFF_MS_MAX };
    let by = random.between(100, most);
    match random.below(4) {
        0 => ClockFault::Frozen,
        1 => ClockFault::Behind(by),
        2 => ClockFault::Ahead(by),
        _ => ClockFault::Jumping(by, Micros(random.between(50_000, 1_000_000))),
    }
}

/// Wrong wall clocks: a few, each with its own fault, or all ahead by the same time.
fn clocks(random: &mut Random, committee: &Committee, storm_end: Micros, incidents: &mut Vec<(Micros, Incident)>) {
    let ids: Vec<ValidatorId> = committee.ids().collect();
    if random.chance(300) {
        let at = Micros(random.below(storm_end.0));
        let fault = ClockFault::Ahead(random.between(1_000, HOUR_MS));
        incidents.extend(ids.iter().map(|id| (at, Incident::Clock(*id, fault))));
        return;
    }
    for _ in 0..random.between(1, 4) {
        let Some(id) = random.pick(&ids).copied() else { continue };
        incidents.push((Micros(random.below(storm_end.0)), Incident::Clock(id, clock_fault(random))));
    }
}

fn power_cut(random: &mut Random) -> PowerCut {
    match random.below(11) {
        0..=4 => PowerCut::Now,
        5..=6 => PowerCut::AtWrite(random.index(8)),
        7..=8 => PowerCut::AtSync(random.index(5)),
        9 => PowerCut::AtWitness(random.index(5), random.index(200)),
        _ => PowerCut::Full(random.index(8)),
    }
}

fn crashes(random: &mut Random, ids: &[ValidatorId], storm_end: Micros, incidents: &mut Vec<(Micros, Incident)>) {
    let count = random.between(1, (ids.len() as u64).saturating_mul(2).max(4));
    for _ in 0..count {
        let Some(id) = random.pick(ids).copied() else { continue };
        let down = if random.chance(500) { random.between(1_000, 100_000) } else { random.between(1_000, DOWN_MAX.0) };
        incidents.push((Micros(random.below(storm_end.0)), Incident::Crash(id, power_cut(random), Micros(down))));
    }
}

/// A power failure of all validators at once.
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
        let directions: Vec<(ValidatorId, ValidatorId)> = left
            .iter()
            .flat_map(|a| right.iter().map(move |b| (*a, *b)))
            .flat_map(|(a, b)| if one_way { vec![(a, b)] } else { vec![(a, b), (b, a)] })
            .collect();
        let from = Micros(random.below(storm_end.0));
        incidents.push((from, Incident::Cut(directions.clone())));
        incidents.push((from.after(Micros(random.between(50_000, CUT_MAX.0))), Incident::Heal(directions)));
    }
}
