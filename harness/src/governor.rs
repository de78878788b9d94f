//! The operators: accounts that change the committee while the chain runs, and see to it that every committee the chain may come to can bear
//! its faults.
//!
//! Honest operators propose what they draw here, and approve nothing else. What they have proposed may take effect in any order, any part of it,
//! and at any time later. So a change is proposed only if *every* committee that can come of it and of all that is still open keeps three
//! promises, on which the rules of a world rely:
//!
//! 1. Faulty members have less than a third of the power.
//! 2. *Stayers* have at least a third: members that are sound, have signed in the newest epoch, and stay whatever takes effect. So no epoch ends
//!    without one of them, and each end is known to one of them.
//! 3. Every other sound member knows a stayer that has been in every committee since the epoch in which this member has signed last. Nobody else
//!    need be linked to it (see `links.rs`), and without that it could never learn of the next epoch.
//!
//! The first two are sums over seats, each with the worst that may become of it. A lying operator proposes, withdraws and replaces its own
//! entry as often as it may; it speaks for members that count as faulty.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    committee::{SignerSet, VotingPower},
    crypto::PublicKey,
    epoch::EpochState,
    genesis::ParametersChange,
    governance::{ChainOperation, Change, ProposalId},
    ids::{Address, ValidatorId},
    round::{Epoch, Height, Sequence},
};

use crate::{committee::Setting, random::Random};

/// Most changes that are open at a time.
const OPEN_MAX: usize = 5;
/// Largest power of a member, unless a liar asks for more.
const POWER_MAX: u64 = 3;
/// Most members of a committee.
const MEMBERS_MAX: usize = 12;
/// How often a change is drawn until one keeps the promises.
const ATTEMPTS: usize = 8;

/// What operators know of the chain when they act.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Height of the newest committed state.
    pub(crate) height: Height,
    /// The epoch states that are not known yet, up to the one in force.
    pub(crate) epochs: Vec<EpochState>,
    /// The open proposals.
    pub(crate) open: Vec<(ProposalId, Change)>,
    /// The next sequence number of each operator.
    pub(crate) sequences: BTreeMap<Address, Sequence>,
}

/// How committees change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// In every way, at random.
    Mixed,
    /// The members of the first committee make room for others, one after the other.
    Turnover,
    /// Members get other keys.
    Keys,
    /// Members get other powers and addresses, and the chain other parameters; nobody joins or leaves.
    Powers,
}

impl Course {
    /// Every course.
    pub const ALL: [Self; 4] = [Self::Mixed, Self::Turnover, Self::Keys, Self::Powers];
}

/// A change that an honest operator has signed, and that may still take effect.
#[derive(Debug)]
struct Signed {
    change: Change,
    by: Address,
    sequence: Sequence,
}

/// All that may become of a seat.
#[derive(Debug)]
struct Slot {
    /// `None` for the seat of a member that is not in the committee yet.
    seat: Option<ValidatorId>,
    /// The numbers of those who may sit there; `None` is a key that nobody here has.
    holders: Vec<Option<ValidatorId>>,
    powers: Vec<u64>,
    may_be_empty: bool,
}

impl Slot {
    fn most(&self) -> u64 {
        self.powers.iter().copied().max().unwrap_or_default()
    }

    /// The least power, if the member surely stays.
    fn least(&self) -> u64 {
        self.powers.iter().copied().min().unwrap_or_default()
    }

    /// The member that sits there whatever takes effect.
    fn stayer(&self) -> Option<ValidatorId> {
        let first = self.holders.first().copied().flatten()?;
        (!self.may_be_empty && self.holders.iter().all(|holder| *holder == Some(first))).then_some(first)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Governor {
    course: Course,
    /// The members that may be faulty, by number.
    faulty: SignerSet,
    /// The operator that lies, if one does.
    liar: Option<Address>,
    /// The newest known state.
    height: Height,
    epoch: EpochState,
    open: Vec<(ProposalId, Change)>,
    /// Consensus keys by number.
    keys: Vec<PublicKey>,
    signed: Vec<Signed>,
    /// The members of each epoch so far, by number.
    members: BTreeMap<Epoch, SignerSet>,
    /// Who has approved what, and in which epoch: a change of the committee may have outdated an approval.
    approved: BTreeSet<(Address, ProposalId, Epoch)>,
    /// How often the liar has moved.
    moves: u64,
}

impl Governor {
    /// The operators of a network at genesis.
    #[must_use]
    pub fn new(setting: &Setting, course: Course, faulty: SignerSet, liar: Option<Address>) -> Self {
        let mut governor = Self {
            course,
            faulty,
            liar,
            height: Height(0),
            epoch: setting.genesis.epoch_state(),
            open: Vec::new(),
            keys: setting.public_keys(),
            signed: Vec::new(),
            members: BTreeMap::new(),
            approved: BTreeSet::new(),
            moves: 0,
        };
        governor.note_members();
        governor
    }

    /// The newest epoch that is known.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch.epoch
    }

    /// The operators of the members.
    pub(crate) fn operators(&self) -> impl Iterator<Item = Address> {
        self.epoch.seats.iter().filter_map(|seat| seat.validator.operator)
    }

    fn number(&self, key: &PublicKey) -> Option<ValidatorId> {
        (0..).map(ValidatorId).zip(&self.keys).find(|(_, known)| *known == key).map(|(number, _)| number)
    }

    fn note_members(&mut self) {
        let numbers = self.epoch.seats.iter().filter_map(|seat| self.number(&seat.validator.consensus_key)).collect();
        self.members.insert(self.epoch.epoch, numbers);
    }

    /// Takes in what a validator has committed. A state older than the newest known one says nothing.
    pub(crate) fn learn(&mut self, facts: Facts) {
        if facts.height < self.height {
            return;
        }
        let Facts { height, epochs, open, sequences } = facts;
        for epoch in epochs {
            self.epoch = epoch;
            self.note_members();
        }
        (self.height, self.open) = (height, open);
        let open = &self.open;
        let is_decided = |signed: &Signed| sequences.get(&signed.by).is_some_and(|next| signed.sequence < *next);
        self.signed.retain(|signed| !is_decided(signed) || open.iter().any(|(_, change)| *change == signed.change));
    }

    /// All that may become of each seat.
    fn slots(&self, one_more: Option<&Change>) -> Vec<Slot> {
        let holder = |key: &PublicKey| vec![self.number(key)];
        let now = self.epoch.seats.iter().map(|seat| Slot {
            seat: Some(seat.id),
            holders: holder(&seat.validator.consensus_key),
            powers: vec![seat.validator.power.0],
            may_be_empty: false,
        });
        let mut slots: Vec<Slot> = now.collect();
        for change in self.signed.iter().map(|signed| &signed.change).chain(one_more) {
            if let Change::Add(entry) = change {
                let (holders, powers) = (holder(&entry.validator.consensus_key), vec![entry.validator.power.0]);
                slots.push(Slot { seat: None, holders, powers, may_be_empty: true });
                continue;
            }
            let Some(slot) = slots.iter_mut().find(|slot| slot.seat == change.seat()) else { continue };
            match change {
                Change::Power { power, .. } => slot.powers.push(power.0),
                Change::Remove { .. } => slot.may_be_empty = true,
                Change::Replace { entry, .. } => slot.holders.extend(holder(&entry.validator.consensus_key)),
                _ => {}
            }
        }
        slots
    }

    /// Whether every committee that can come of the open changes and this one keeps the three promises. `signed_in` is the epoch of each
    /// member's durable safety record, by number.
    fn keeps_promises(&self, change: &Change, signed_in: &[Epoch]) -> bool {
        let slots = self.slots(Some(change));
        let is_faulty = |holder: Option<ValidatorId>| holder.is_none_or(|number| self.faulty.contains(number));
        let (mut faulty, mut sound) = (0u64, 0u64);
        let (mut staying, mut others) = (0u64, 0u64);
        let mut stayers = SignerSet::default();
        let signed = |number: ValidatorId| signed_in.get(number.index()).copied().unwrap_or_default();
        for slot in &slots {
            if slot.holders.iter().any(|holder| is_faulty(*holder)) {
                faulty = faulty.saturating_add(slot.most());
            } else if !slot.may_be_empty {
                sound = sound.saturating_add(slot.least());
            }
            let stayer = slot.stayer().filter(|number| !self.faulty.contains(*number) && signed(*number) == self.epoch.epoch);
            match stayer {
                Some(number) => {
                    stayers.insert(number);
                    staying = staying.saturating_add(slot.least());
                }
                None => others = others.saturating_add(slot.most()),
            }
        }
        let knows_a_stayer = |number: ValidatorId| {
            let mut known = stayers;
            for (_, members) in self.members.range(signed(number)..) {
                known = known.iter().filter(|stayer| members.contains(*stayer)).collect();
            }
            stayers.contains(number) || !known.is_empty()
        };
        let mut holders = slots.iter().flat_map(|slot| &slot.holders).copied();
        faulty.saturating_mul(2) < sound
            && staying.saturating_mul(2) >= others
            && holders.all(|holder| is_faulty(holder) || holder.is_some_and(knows_a_stayer))
    }

    /// An honest operator's next operation, if there is anything to do.
    pub(crate) fn operation(
        &mut self,
        setting: &Setting,
        (by, sequence): (Address, Sequence),
        signed_in: &[Epoch],
        random: &mut Random,
    ) -> Option<ChainOperation> {
        let has_say = self.epoch.voters().any(|seat| seat.validator.operator == Some(by));
        let ours: Vec<ProposalId> =
            self.open.iter().filter(|(_, change)| self.signed.iter().any(|signed| signed.change == *change)).map(|(id, _)| *id).collect();
        if !has_say {
            return None;
        }
        let waiting: Vec<ProposalId> = ours.iter().copied().filter(|id| !self.approved.contains(&(by, *id, self.epoch.epoch))).collect();
        match (random.pick(&waiting).copied(), random.pick(&ours).copied()) {
            (Some(id), _) if random.chance(800) => {
                self.approved.insert((by, id, self.epoch.epoch));
                return Some(ChainOperation::Approve(id));
            }
            (_, Some(id)) if random.chance(60) => {
                return Some(if random.chance(500) { ChainOperation::Reject(id) } else { ChainOperation::Withdraw(id) });
            }
            _ => {}
        }
        if self.signed.len() >= OPEN_MAX {
            return None;
        }
        let change = (0..ATTEMPTS).find_map(|_| self.draw(setting, random).filter(|change| self.keeps_promises(change, signed_in)))?;
        self.signed.push(Signed { change: change.clone(), by, sequence });
        Some(ChainOperation::Propose(Box::new(change)))
    }

    /// Draws a change. It may break a promise.
    fn draw(&self, setting: &Setting, random: &mut Random) -> Option<Change> {
        let slots = self.slots(None);
        // One removal or one other change of a seat at a time: nobody who gets a seat later must inherit what was meant for its last holder.
        let is_free = |slot: &&Slot| !slot.may_be_empty && slot.seat.is_some();
        let is_untouched = |slot: &&Slot| is_free(slot) && slot.powers.len() == 1 && slot.holders.len() == 1;
        let is_in = |number: ValidatorId| slots.iter().any(|slot| slot.holders.contains(&Some(number)));
        let outside: Vec<ValidatorId> = setting.numbers().filter(|number| !is_in(*number)).collect();
        let free: Vec<&Slot> = slots.iter().filter(is_free).collect();
        let seat = |random: &mut Random| random.pick(&free).and_then(|slot| slot.seat);
        let add = |random: &mut Random, power: u64| {
            let joiner = random.pick(&outside).filter(|_| slots.len() < MEMBERS_MAX)?;
            setting.entry(*joiner, |validator| validator.power = VotingPower(power)).map(Change::Add)
        };
        let remove = |random: &mut Random, only_first: bool| {
            let first = setting.genesis.validators.len();
            let is_first = |slot: &Slot| slot.holders.iter().flatten().any(|number| number.index() < first);
            let whom: Vec<&Slot> = slots.iter().filter(is_untouched).filter(|slot| !only_first || is_first(slot)).collect();
            Some(Change::Remove { seat: random.pick(&whom)?.seat?, evidence: None })
        };
        let power = |random: &mut Random| {
            let most = if random.chance(300) { POWER_MAX } else { 1 };
            Some(Change::Power { seat: seat(random)?, power: VotingPower(random.between(0, most)) })
        };
        let keys = |random: &mut Random| {
            let joiner = random.pick(&outside)?;
            Some(Change::Replace { seat: seat(random)?, entry: setting.entry(*joiner, |_| ())? })
        };
        let address = |random: &mut Random| {
            let slot = random.pick(&free)?;
            let number = slot.stayer()?;
            let operator = self.epoch.seats.iter().find(|seat| Some(seat.id) == slot.seat)?.validator.operator;
            let port = random.below(1_000);
            let entry = setting.entry(number, |validator| {
                validator.address = format!("/memory/{port}");
                validator.operator = operator;
            })?;
            Some(Change::Replace { seat: slot.seat?, entry })
        };
        // Not the timers: how long a chain may stand still is judged by those of the genesis.
        let parameters = |random: &mut Random| {
            let number = |drawn: u64| u32::try_from(drawn).ok();
            Some(Change::Parameters(Box::new(ParametersChange {
                block_transactions_max: random.pick(&[1, 3, 100]).copied(),
                account_block_percent: random.pick(&[25, 50, 100]).copied(),
                window_size: number(random.between(1, 12)),
                ..ParametersChange::default()
            })))
        };
        let voter = |random: &mut Random| {
            let power = if random.chance(200) { random.between(1, POWER_MAX) } else { 1 };
            add(random, power)
        };
        match (self.course, random.below(12)) {
            (Course::Turnover, 0..=5) | (Course::Mixed, 0..=1) | (Course::Keys, 8) => voter(random),
            (Course::Turnover, 6..=9) => remove(random, true),
            (Course::Keys, 0..=7) | (Course::Mixed, 2..=4) => keys(random),
            (Course::Powers, 0..=8) | (Course::Mixed, 7..=8 | 10) | (Course::Turnover, 10) => power(random),
            (Course::Mixed, 5..=6) | (Course::Keys, 9) => remove(random, false),
            (Course::Mixed, 9) | (Course::Keys, 10) => add(random, 0),
            (Course::Powers, 9..=10) => parameters(random),
            _ => address(random),
        }
    }

    /// Whether this account is the lying operator's.
    pub(crate) fn lies_for(&self, account: &Address) -> bool {
        self.liar == Some(*account)
    }

    /// The lying operator's next operation.
    pub(crate) fn lie(&mut self, setting: &Setting, random: &mut Random) -> ChainOperation {
        let own: Vec<ValidatorId> =
            self.epoch.seats.iter().filter(|seat| seat.validator.operator == self.liar).map(|seat| seat.id).collect();
        let any: Vec<ValidatorId> = self.epoch.seats.iter().map(|seat| seat.id).collect();
        let pick = |random: &mut Random, of: &[ValidatorId]| random.pick(of).copied().unwrap_or_default();
        let newest = self.open.last().map_or(0, |(id, _)| id.0);
        let some = ProposalId(newest.saturating_add(2).saturating_sub(random.between(0, 4)));
        let propose = |change| ChainOperation::Propose(Box::new(change));
        match random.below(13) {
            0..=4 => {
                self.moves = self.moves.saturating_add(1);
                let seat = pick(random, &own);
                let key = self.epoch.seats.iter().find(|member| member.id == seat).map(|member| member.validator.consensus_key);
                let number = key.and_then(|key| self.number(&key)).unwrap_or_default();
                let (moves, liar) = (self.moves, self.liar);
                let entry = setting.entry(number, |validator| {
                    validator.address = format!("/memory/moved/{moves}");
                    validator.operator = liar;
                });
                entry.map_or(ChainOperation::Withdraw(some), |entry| propose(Change::Replace { seat, entry }))
            }
            5 => propose(Change::Power { seat: pick(random, &own), power: VotingPower(random.between(POWER_MAX, 1 << 40)) }),
            6 => propose(Change::Remove { seat: pick(random, &any), evidence: None }),
            7 => ChainOperation::Approve(some),
            8 => ChainOperation::Reject(some),
            9 => ChainOperation::Move { seat: pick(random, &any), address: format!("/memory/moved/{}", random.below(9)) },
            10 => ChainOperation::Speak(u32::try_from(random.below(4)).unwrap_or_default()),
            11 => propose(Change::Parameters(Box::new(ParametersChange { timeout_base_ms: Some(10), ..ParametersChange::default() }))),
            _ => ChainOperation::Withdraw(some),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::settings::Settings;

    use super::*;

    /// Four equal members and two that may join; the fourth is faulty.
    fn governor() -> (Setting, Governor) {
        let mut setting =
            Setting::draw(&mut Random::new(5), 4, &quorate_builtin::app(), Settings::default(), &[Address::default()]).unwrap();
        setting.add_joiners(&mut Random::new(6), 2, &[Address::default()]);
        let mut governor = Governor::new(&setting, Course::Mixed, [ValidatorId(3)].into_iter().collect(), None);
        governor.epoch.seats.iter_mut().for_each(|seat| seat.validator.power = VotingPower(1));
        (setting, governor)
    }

    fn power(seat: u16, power: u64) -> Change {
        Change::Power { seat: ValidatorId(seat), power: VotingPower(power) }
    }

    fn sign(governor: &mut Governor, change: Change) {
        governor.signed.push(Signed { change, by: Address::default(), sequence: Sequence(0) });
    }

    #[test]
    fn the_faulty_never_get_a_third_whatever_takes_effect() {
        let (setting, mut governor) = governor();
        let signed_in = [Epoch(0); 6];
        assert!(governor.keeps_promises(&power(0, 2), &signed_in));
        assert!(!governor.keeps_promises(&power(3, 2), &signed_in), "two of five");
        assert!(!governor.keeps_promises(&power(0, 0), &signed_in), "one of three");
        assert!(!governor.keeps_promises(&Change::Remove { seat: ValidatorId(0), evidence: None }, &signed_in));
        assert!(governor.keeps_promises(&Change::Remove { seat: ValidatorId(3), evidence: None }, &signed_in));
        // One of four sound members may become an observer once there are four, but the fifth may never come.
        let entry = setting.entry(ValidatorId(4), |_| ()).unwrap();
        sign(&mut governor, Change::Add(entry));
        assert!(!governor.keeps_promises(&power(0, 0), &signed_in));
    }

    #[test]
    fn a_third_of_the_power_stays_and_has_signed_in_the_newest_epoch() {
        let (setting, mut governor) = governor();
        let replace =
            |seat: u16, by: u16| Change::Replace { seat: ValidatorId(seat), entry: setting.entry(ValidatorId(by), |_| ()).unwrap() };
        let signed_in = [Epoch(0); 6];
        assert!(governor.keeps_promises(&replace(0, 4), &signed_in));
        sign(&mut governor, replace(0, 4));
        // One of four stays for certain.
        assert!(!governor.keeps_promises(&replace(1, 5), &signed_in));
        governor.signed.clear();
        governor.epoch.epoch = Epoch(1);
        governor.note_members();
        assert!(!governor.keeps_promises(&power(0, 2), &signed_in), "nobody has signed in the new epoch");
        let some = [1, 1, 0, 0, 0, 0].map(Epoch);
        assert!(governor.keeps_promises(&power(0, 2), &some));
    }

    #[test]
    fn whoever_is_behind_knows_a_stayer_of_all_committees_since() {
        let (setting, mut governor) = governor();
        let entry = setting.entry(ValidatorId(4), |_| ()).unwrap();
        let signed_in = [1, 1, 1, 0, 0, 0].map(Epoch);
        governor.epoch.epoch = Epoch(1);
        governor.note_members();
        assert!(governor.keeps_promises(&Change::Add(entry.clone()), &signed_in));
        // The first committee had none of those that stay.
        governor.members.insert(Epoch(0), [ValidatorId(3)].into_iter().collect());
        assert!(!governor.keeps_promises(&Change::Add(entry), &signed_in));
    }
}
