//! LIVE-1: after faults stop, a connected quorum commits within the stated number of rounds, and every connected validator catches up.
//!
//! Four bounds, measured from the moment when the faults stop:
//! * the first commit comes at most [`rounds_max`] rounds above the highest round of any connected validator,
//! * and within [`first_commit_max`] of virtual time, because a bound on rounds alone does not bound their length;
//! * every connected validator reaches the greatest height, and
//! * every client transaction is committed or refused for good, both within [`time_max`].
//!
//! And one that holds at all times: no validator waits longer than [`wait_max`] for a round.

use quorate_consensus::Engine;
use quorate_types::{
    genesis::Parameters,
    round::{Epoch, Round},
};

use crate::time::Micros;

/// Rounds allowed before the first commit: 2n + 2 for n validators. With two rounds per leader and a crashed minority, that many consecutive
/// rounds include three with connected leaders and a connected collector (paper, Property 4). The argument assumes leaders that take turns.
/// Leaders elected by reputation are active ones, but the last rounds before the calm may have elected some that are gone; the bound has no
/// allowance for those rounds.
#[must_use]
pub const fn rounds_max(validators: u64) -> u64 {
    validators.saturating_mul(2).saturating_add(2)
}

/// Virtual time allowed: twice the rounds above at their longest, and 20 s for clients that send one transaction after another.
#[must_use]
pub fn time_max(validators: u64, parameters: &Parameters) -> Micros {
    let longest = u64::from(parameters.timeout_max_ms).max(u64::from(parameters.heartbeat_ms));
    Micros::from_ms(rounds_max(validators).saturating_mul(2).saturating_mul(longest).saturating_add(20_000))
}

/// Judges the first commit after the calm began, and returns the rounds it took.
///
/// # Errors
/// More rounds than allowed.
pub fn first_commit(validators: u64, at_calm: Round, certified: Round) -> Result<u64, String> {
    let rounds = certified.since(at_calm);
    let max = rounds_max(validators);
    if rounds <= max {
        Ok(rounds)
    } else {
        Err(format!(
            "the first commit after the faults stopped took {rounds} rounds (from {at_calm} to {certified}); at most {max} are allowed"
        ))
    }
}

/// Explains a validator's timer: its round, and the newest commit it knew when it entered the round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    epoch: Epoch,
    round: Round,
    /// Known when the validator entered the round. A commit learnt later in the round only shortens the timer.
    commit: Round,
    newest: Round,
}

impl Patience {
    /// Updates from a validator's engine. Call it after every step.
    pub fn look(&mut self, engine: &Engine) {
        if engine.epoch() != self.epoch {
            *self = Self { epoch: engine.epoch(), ..Self::default() };
        }
        let certified = engine.tree().high_commit_qc().commits().map_or(Round(0), |(_, round, _)| round);
        let newest = certified.max(engine.tree().root().round);
        if engine.round() != self.round {
            // On its first round a validator starts from what it knows.
            let before = if self.round == Round(0) { newest } else { self.newest };
            (self.round, self.commit) = (engine.round(), before);
        }
        self.newest = newest;
    }

    /// Rounds between that commit and the validator's round.
    #[must_use]
    pub const fn gap(&self) -> u64 {
        self.round.since(self.commit)
    }
}

/// Distance from the newest commit to the current round when nothing is wrong. The timer does not grow within it.
const NORMAL_ROUNDS: u64 = 3;

/// Round timer at `gap` rounds above the newest commit the validator knows: the base while commits come, and for every further round
/// `timeout_growth_percent` of the timer before, at least 1 ms more. It depends on no other round: a timer that grows with the age of the
/// chain would make every crash cost more than the last.
fn timer_ms(parameters: &Parameters, gap: u64) -> u64 {
    let (growth, max) = (u64::from(parameters.timeout_growth_percent), u64::from(parameters.timeout_max_ms));
    let mut timer = u64::from(parameters.timeout_base_ms);
    if growth > 100 {
        for _ in NORMAL_ROUNDS..gap {
            timer = timer.saturating_mul(growth).checked_div(100).unwrap_or(timer).max(timer.saturating_add(1));
            if timer >= max {
                break;
            }
        }
    }
    timer.min(max)
}

/// Longest single wait: the round timer, plus the heartbeat when there is nothing to do (D7).
#[must_use]
pub fn wait_max(parameters: &Parameters, gap: u64) -> Micros {
    Micros::from_ms(timer_ms(parameters, gap).saturating_add(u64::from(parameters.heartbeat_ms)))
}

/// Judges a validator's planned wait at [`Patience::gap`] `gap`.
///
/// # Errors
/// The wait is longer than the genesis and the rounds since the newest commit explain.
pub fn wait(parameters: &Parameters, gap: u64, waits: Micros) -> Result<(), String> {
    let max = wait_max(parameters, gap).after(Micros::from_ms(1));
    if waits <= max {
        Ok(())
    } else {
        Err(format!("waits for {waits} in a round {gap} rounds above the newest commit; at most {max} is allowed"))
    }
}

/// Time a client needs before it submits again: its wait for lost transactions, and its pause.
const CLIENTS: Micros = Micros(600_000);

/// Virtual time allowed for a first commit that took `rounds` rounds, the first of them `gap` rounds above the newest commit: the timer of
/// each round, since any of them may be lost, and the first one's twice, since the last validator to enter that round starts its timer when
/// the others have given the round up.
#[must_use]
pub fn first_commit_max(parameters: &Parameters, gap: u64, rounds: u64) -> Micros {
    let all = (0..=rounds).map(|round| timer_ms(parameters, gap.saturating_add(round)));
    let ms = all.fold(timer_ms(parameters, gap), u64::saturating_add);
    Micros::from_ms(ms).after(CLIENTS)
}

/// Judges the time of the first commit after the calm began, given `(gap, rounds)` as for [`first_commit_max`].
///
/// # Errors
/// Later than allowed.
pub fn first_commit_in_time(parameters: &Parameters, (gap, rounds): (u64, u64), after: Micros) -> Result<(), String> {
    let max = first_commit_max(parameters, gap, rounds);
    if after <= max {
        Ok(())
    } else {
        Err(format!("the first commit after the faults stopped took {after} for {rounds} rounds; at most {max} is allowed"))
    }
}

/// Number of heartbeats for which an idle chain is watched.
pub const QUIET_HEARTBEATS: u64 = 4;

/// Judges the rounds of an idle chain in [`QUIET_HEARTBEATS`] heartbeats. It makes one block per heartbeat and gives up the rounds of leaders
/// that are gone, but it does not spin.
///
/// # Errors
/// More rounds than an idle chain needs.
pub fn quiet(validators: u64, from: Round, to: Round) -> Result<(), String> {
    let (rounds, max) = (to.since(from), rounds_max(validators).saturating_add(QUIET_HEARTBEATS.saturating_mul(3)));
    if rounds <= max {
        Ok(())
    } else {
        Err(format!("the idle chain went through {rounds} rounds in {QUIET_HEARTBEATS} heartbeats; at most {max} are allowed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_late_first_commit() {
        assert_eq!([1, 4, 7].map(rounds_max), [4, 10, 16]);
        assert_eq!(first_commit(4, Round(10), Round(20)), Ok(10));
        assert!(first_commit(4, Round(10), Round(21)).is_err());
    }

    fn parameters() -> Parameters {
        Parameters { timeout_growth_percent: 120, ..Parameters::default() }
    }

    #[test]
    fn the_timer_grows_with_the_rounds_since_the_newest_commit() {
        let timers = [0, 3, 4, 5, 100].map(|gap| timer_ms(&parameters(), gap));
        assert_eq!(timers, [1_000, 1_000, 1_200, 1_440, 10_000]);
        let steady = Parameters { timeout_growth_percent: 100, ..parameters() };
        assert_eq!(timer_ms(&steady, 100), 1_000);
        let slow = Parameters { timeout_base_ms: 10, timeout_growth_percent: 101, ..parameters() };
        assert_eq!(timer_ms(&slow, 5), 12, "at least a millisecond more for each round");
    }

    #[test]
    fn catches_a_first_commit_that_came_in_few_rounds_but_late() {
        // Four rounds of a timer that has grown with every round since genesis.
        let grown = Micros::from_ms(4 * 10_000);
        assert!(first_commit(4, Round(1_000), Round(1_004)).is_ok());
        assert!(first_commit_in_time(&parameters(), (3, 4), grown).is_err());
        // Two of the four rounds timed out.
        assert!(first_commit_in_time(&parameters(), (3, 4), Micros::from_ms(2_500)).is_ok());
    }

    #[test]
    fn catches_a_timer_that_is_longer_than_the_rounds_since_the_newest_commit_explain() {
        assert!(wait(&parameters(), 4, Micros::from_ms(11_200)).is_ok());
        assert!(wait(&parameters(), 4, Micros::from_ms(11_440)).is_err());
    }
}
