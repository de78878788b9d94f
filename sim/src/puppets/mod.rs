//! One production validator among puppets: a search with more than f faulty validators.
//!
//! ```text
//!   seed ──> acts ──> puppets (we hold their keys, so every message is properly signed) ──> bytes ──> verify ──> the one Replica
//!                                                                                     invariants <── what it sends, saves, commits
//! ```
//! What a validator must never do does not depend on how many others lie, so here all others may. Round after round the puppets propose,
//! vote, give up, withhold certificates, build on old ones, equivocate, propose invalid blocks, certify wrong results, and cut the
//! validator's power. Most of the time they behave, so that rounds make progress.
//!
//! Besides the invariants of every run (SAFE, TREE, EXEC), four are checked that depend on what the validator was sent:
//!
//! * CERT-2: it is in the round after the highest certificate it has received, and has that certificate; a restart does not take it back
//!   below a round in which it has signed.
//! * BLOCK-1: it does not vote for an invalid block.
//! * ACCU-1: it accuses every validator that contradicts itself in messages to it.
//! * MEM-1: it does not grow with what others send.

mod acts;
mod flood;
mod stage;

use quorate_harness::{invariants::Violation, random::Random};

use self::{acts::Acts, flood::flood, stage::Stage};
use crate::report::Report;

/// Number of validators, including the one under test.
const VALIDATORS: u16 = 4;
/// One seed in this many is a flood, which takes longer.
const FLOODS_EVERY: u64 = 16;

/// The outcome of one seed.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Number of rounds played.
    pub rounds: u64,
    /// The violation, if any.
    pub failure: Option<Report>,
}

/// Plays the acts drawn by a seed.
#[must_use]
pub fn puppets(seed: u64) -> Played {
    let mut random = Random::new(seed).fork("puppets");
    let failed = |violation: Violation| {
        let at_us = violation.at_us;
        Report { seed, validators: VALIDATORS, violation: Some(violation), virtual_ms: at_us / 1_000, ..Report::default() }
    };
    let stage = match Stage::new(&mut random) {
        Ok(stage) => stage,
        Err(violation) => return Played { rounds: 0, failure: Some(failed(violation)) },
    };
    let mut acts = Acts::new(stage, random);
    let result = if seed.checked_rem(FLOODS_EVERY) == Some(FLOODS_EVERY.saturating_sub(1)) { flood(&mut acts) } else { acts.play() };
    Played { rounds: acts.rounds(), failure: result.err().map(|violation| failed(acts.told(violation))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_among_puppets_keeps_its_rules() {
        let mut rounds = 0;
        for seed in 0..200 {
            let played = puppets(seed);
            assert!(played.failure.is_none(), "seed {seed}: {:?}", played.failure);
            rounds += played.rounds;
        }
        assert!(rounds > 2_000, "{rounds}");
    }
}
