//! The rule by which a validator that has lost its memory signs again (docs/protocol.md, "A way back"), explored exhaustively.
//!
//! Four validators of equal power: one Byzantine, one that loses its memory up to twice, two honest ones. The model is the paper's rules in
//! plain numbers and calls none of our code. The network is the worst possible one: what was signed can be delivered at any time or never, and
//! any leader may propose anything. The Byzantine validator joins every certificate, and hides what it likes.
//!
//! Rounds are explored in order, not moments: what is signed in a round depends on certificates of earlier rounds alone. Of time, one thing
//! matters: whether something was signed before the memory was lost. So every statement has a *phase*, the number of losses before it, and a
//! certificate exists from the phase on in which two honest validators have signed it. What only forbids more is left out: certificates that
//! show more than they must, and statements that are in no certificate. Two blocks of a round cannot both be certified by three honest validators
//! unless one of them votes twice, which is looked for by itself, so a block is its round and its parent.
//!
//! The rule: with reports of all three others, made after the loss, let c be the highest round with a certificate in them. Nothing is signed in
//! rounds up to c + 2. The worst report is made right after the loss by a validator that knows no more than what it has signed: it has a
//! certificate of the round before its last statement. The program waits for a commit above c + 2 as well, so it does less than the model.

use std::collections::BTreeSet;

/// The honest validators; the first one loses its memory. A quorum is two of them, and the Byzantine one.
const HONEST: usize = 3;
const FORGETFUL: usize = 0;
const LOSSES_MAX: usize = 2;
const PHASES: usize = LOSSES_MAX + 1;

/// A case to explore.
#[derive(Clone, Copy, Debug)]
struct Case {
    rounds: u8,
    losses: u8,
    /// How many rounds above the highest certificate reported are given up: 2 by the rule.
    margin: u8,
    /// The honest validators that report: 2 by the rule, and the Byzantine one.
    reports: usize,
    /// After a loss, its timeouts hide the certificates that have led it into the round.
    hides: bool,
    /// The highest round that a reporting validator has signed in before each loss.
    signed: [u8; LOSSES_MAX],
}

impl Case {
    /// The last round in which the forgetful validator signs nothing after this many losses.
    fn floor(&self, phase: u8) -> u8 {
        let before = |phase: u8| self.signed[usize::from(phase) - 1];
        // A round is entered by a certificate of the one before.
        if phase == 0 { 0 } else { before(phase).max(1) - 1 + self.margin }
    }

    fn phases(&self) -> std::ops::RangeInclusive<u8> {
        0..=self.losses
    }
}

/// A certified block: the round of its parent, and the phase from which on its certificate exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Certified {
    parent: u8,
    since: u8,
}

/// What a validator remembers: the highest certificate that it has seen. The lock is never above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Memory {
    phase: u8,
    high: u8,
}

/// Everything that later rounds depend on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// By round; round 0 is the genesis block.
    certified: Vec<Option<Certified>>,
    /// The timeout certificate of the last round that names the lowest certificate, in each phase.
    timeouts: [Option<u8>; PHASES],
    memories: [Memory; HONEST],
}

/// What a validator signs in a round: a vote for the block with this parent, then a timeout that names a certificate, each with its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Act {
    vote: Option<(u8, u8)>,
    timeout: Option<(u8, u8)>,
    after: Memory,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Broken {
    /// A block is certified above a committed one that it does not descend from.
    Fork,
    /// The forgetful validator has signed two different votes, or two timeouts, or a vote after a timeout, in one round.
    SignedTwice,
}

impl State {
    fn genesis() -> Self {
        Self {
            certified: vec![Some(Certified { parent: 0, since: 0 })],
            timeouts: [None; PHASES],
            memories: [Memory { phase: 0, high: 0 }; HONEST],
        }
    }

    fn qc(&self, round: u8, phase: u8) -> bool {
        self.certified[usize::from(round)].is_some_and(|certified| certified.since <= phase)
    }

    /// Everything that a validator may sign in a round.
    fn acts(&self, case: &Case, who: usize, round: u8) -> Vec<Act> {
        let now = self.memories[who];
        let mut acts = Vec::new();
        acts.push(Act { vote: None, timeout: None, after: now });
        for first in case.phases().filter(|phase| *phase >= now.phase) {
            let memory = Self::enters(who, now, first);
            for vote in self.votes(case, who, memory, round) {
                acts.push(vote);
                for second in case.phases().filter(|phase| *phase >= first) {
                    // After a loss it does not know that it has voted in this round.
                    let memory = Self::enters(who, vote.after, second);
                    acts.extend(self.timeout(case, who, memory, round).map(|act| Act { vote: vote.vote, ..act }));
                }
            }
            if let Some(timeout) = self.timeout(case, who, memory, round) {
                acts.push(timeout);
                // An honest validator does not vote after its timeout; a forgetful one may.
                for second in case.phases().filter(|phase| *phase > first && who == FORGETFUL) {
                    let memory = Self::enters(who, timeout.after, second);
                    acts.extend(self.votes(case, who, memory, round).into_iter().map(|act| Act { timeout: timeout.timeout, ..act }));
                }
            }
        }
        acts.sort_unstable();
        acts.dedup();
        acts
    }

    fn enters(who: usize, memory: Memory, phase: u8) -> Memory {
        let forgets = who == FORGETFUL && phase > memory.phase;
        Memory { phase, high: if forgets { 0 } else { memory.high } }
    }

    fn may_sign(case: &Case, who: usize, phase: u8, round: u8) -> bool {
        if who == FORGETFUL {
            return round > case.floor(phase);
        }
        // Who reports has signed nothing higher before the loss.
        let reports = who <= case.reports;
        !reports || phase >= case.losses || round <= case.signed[usize::from(phase)]
    }

    fn votes(&self, case: &Case, who: usize, memory: Memory, round: u8) -> Vec<Act> {
        let Memory { phase, high } = memory;
        if !Self::may_sign(case, who, phase, round) {
            return Vec::new();
        }
        let mut votes = Vec::new();
        for parent in (0..round).filter(|parent| self.qc(*parent, phase)) {
            // SAFE-2.
            let shown = match self.timeouts[usize::from(phase)] {
                _ if parent + 1 == round => parent,
                Some(highest) if parent >= highest => parent,
                Some(_) | None => continue,
            };
            let after = Memory { phase, high: high.max(shown) };
            votes.push(Act { vote: Some((parent, phase)), timeout: None, after });
        }
        votes
    }

    /// The timeout that hides the most. A certificate of the round before leads into the round, or timeouts do.
    fn timeout(&self, case: &Case, who: usize, memory: Memory, round: u8) -> Option<Act> {
        let Memory { phase, high } = memory;
        let by_timeouts = self.timeouts[usize::from(phase)].map(|highest| highest.max(high));
        let by_certificate = self.qc(round - 1, phase).then_some(round - 1);
        let high = by_timeouts.or(by_certificate).filter(|_| Self::may_sign(case, who, phase, round))?;
        let named = if case.hides && who == FORGETFUL && phase > 0 { 0 } else { high };
        Some(Act { vote: None, timeout: Some((named, phase)), after: Memory { phase, high } })
    }

    /// The state after a round, unless something is broken. `None`: these acts do no more than fewer would.
    fn after(&self, round: u8, acts: &[Act; HONEST]) -> Option<Result<Self, Broken>> {
        let mut votes = acts.iter().filter_map(|act| act.vote);
        // Two of the honest validators, and the Byzantine one.
        let certified = match (votes.next(), votes.next(), votes.next()) {
            (None, ..) => None,
            (Some((parent, first)), Some((other, second)), None) if parent == other => Some(Certified { parent, since: first.max(second) }),
            _ => return None,
        };
        if acts.iter().filter(|act| act.timeout.is_some()).count() == 1 {
            return None;
        }
        let timeouts = [0, 1, 2].map(|phase| {
            let mut highs: Vec<u8> =
                acts.iter().filter_map(|act| act.timeout.filter(|(_, at)| *at <= phase)).map(|(high, _)| high).collect();
            highs.sort_unstable();
            highs.get(1).copied()
        });
        let mut next = Self { certified: self.certified.clone(), timeouts, memories: acts.map(|act| act.after) };
        next.certified.push(certified);
        Some(if next.is_forked(round) { Err(Broken::Fork) } else { Ok(next) })
    }

    /// Whether the block certified in this round does not descend from a committed one.
    fn is_forked(&self, round: u8) -> bool {
        let parent = |round: u8| self.certified[usize::from(round)].map(|certified| certified.parent);
        if parent(round).is_none() {
            return false;
        }
        // Committed: certified, and its child in the next round as well.
        let committed = (1..round).filter(|one| parent(*one).is_some() && parent(*one + 1) == Some(*one));
        committed.into_iter().any(|one| {
            let mut at = round;
            while at > one {
                at = parent(at).unwrap_or(0);
            }
            at != one
        })
    }
}

/// Explores a case. Returns what can be broken, and the number of states.
fn explore(case: &Case) -> (BTreeSet<Broken>, usize) {
    let mut broken = BTreeSet::new();
    let mut states = BTreeSet::from([State::genesis()]);
    let mut count = 1;
    for round in 1..=case.rounds {
        let mut next = BTreeSet::new();
        for state in &states {
            let [mine, second, third] = [0, 1, 2].map(|who| state.acts(case, who, round));
            for a in &mine {
                // The acts of a round hold at most one vote and one timeout; two of a kind are judged here.
                if signs_twice(state, case, round, *a) {
                    broken.insert(Broken::SignedTwice);
                    continue;
                }
                for b in &second {
                    for c in &third {
                        match state.after(round, &[*a, *b, *c]) {
                            Some(Ok(after)) => drop(next.insert(after)),
                            Some(Err(what)) => drop(broken.insert(what)),
                            None => {}
                        }
                    }
                }
            }
        }
        count += next.len();
        states = next;
    }
    (broken, count)
}

/// Whether the forgetful validator could sign something else in this round, after a loss, than what it has signed before.
fn signs_twice(state: &State, case: &Case, round: u8, act: Act) -> bool {
    let first = [act.vote.map(|(_, phase)| phase), act.timeout.map(|(_, phase)| phase)].into_iter().flatten().min();
    let Some(first) = first else { return false };
    case.phases().filter(|phase| *phase > first).any(|phase| {
        let memory = Memory { phase, high: 0 };
        !state.votes(case, FORGETFUL, memory, round).is_empty() || state.timeout(case, FORGETFUL, memory, round).is_some()
    })
}

/// All cases with these parameters.
fn cases(rounds: u8, losses: u8, margin: u8, reports: usize) -> Vec<Case> {
    let signed = (0..=rounds).flat_map(|first| (first..=rounds).map(move |second| [first, second]));
    let signed = signed.filter(|signed| losses == 2 || signed[1] == rounds);
    signed.map(|signed| Case { rounds, losses, margin, reports, hides: false, signed }).collect()
}

fn all(cases: Vec<Case>) -> (BTreeSet<Broken>, usize) {
    let (mut broken, mut states) = (BTreeSet::new(), 0);
    for case in cases {
        let (found, count) = explore(&case);
        broken.extend(found);
        states += count;
    }
    (broken, states)
}

#[test]
fn a_validator_that_gives_up_two_rounds_above_the_reports_of_all_others_breaks_nothing() {
    let (broken, states) = all(cases(6, 1, 2, 2));
    assert_eq!(broken, BTreeSet::new());
    assert!(states > 1_000, "{states}");
}

#[test]
fn nor_if_it_loses_its_memory_again() {
    let (broken, states) = all(cases(5, 2, 2, 2));
    assert_eq!(broken, BTreeSet::new());
    assert!(states > 1_000, "{states}");
}

#[test]
fn without_a_loss_the_model_breaks_nothing() {
    assert_eq!(all(cases(6, 0, 2, 2)).0, BTreeSet::new());
}

/// The model can see a fork: the certificates that lead into a round stand for the lock that was forgotten.
#[test]
fn if_it_hid_the_certificates_that_lead_it_into_a_round_the_chain_would_fork() {
    let cases = cases(6, 1, 2, 2).into_iter().map(|case| Case { hides: true, ..case });
    assert!(all(cases.collect()).0.contains(&Broken::Fork));
}

/// The model can see what the rule prevents: one round less, and the validator signs twice.
#[test]
fn with_one_round_less_it_signs_twice() {
    assert!(all(cases(4, 1, 1, 2)).0.contains(&Broken::SignedTwice));
}

/// Reports of a quorum that includes the validator itself are not enough: one of the others may lie, and one may know too little.
#[test]
fn with_the_reports_of_two_others_it_signs_twice() {
    assert!(all(cases(5, 1, 2, 1)).0.contains(&Broken::SignedTwice));
}
