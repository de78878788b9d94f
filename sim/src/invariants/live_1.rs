//! LIVE-1: after faults stop, a connected quorum commits within the stated number of rounds, and everybody connected follows.
//!
//! Three figures, measured from the moment when the faults stop:
//! * the first commit comes at most [`rounds_max`] rounds above the highest round that any connected validator was in;
//! * every connected validator reaches the height of the highest one, and
//! * every transaction of every client is committed or refused for good, both within [`time_max`].

use quorate_types::{genesis::Parameters, round::Round};

use crate::time::Micros;

/// How many rounds may pass before the first commit: 2n + 2. With two rounds for each leader, n validators, and a minority crashed, among so
/// many rounds in a row three have connected leaders and a connected collector (paper, Property 4). That is said of leaders that take turns.
/// Leaders elected by reputation are active ones, and the last rounds before the calm may have elected some that are gone: nothing is added
/// for their rounds.
#[must_use]
pub const fn rounds_max(validators: u64) -> u64 {
    validators.saturating_mul(2).saturating_add(2)
}

/// How much virtual time may pass: the rounds above at their longest, twice, and some seconds for what clients do one after the other.
#[must_use]
pub fn time_max(validators: u64, parameters: &Parameters) -> Micros {
    let longest = u64::from(parameters.timeout_max_ms).max(u64::from(parameters.heartbeat_ms));
    Micros::from_ms(rounds_max(validators).saturating_mul(2).saturating_mul(longest).saturating_add(20_000))
}

/// Judges the first commit after the calm began.
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
            "the first commit after the faults stopped took {rounds} rounds (from {at_calm} to {certified}), at most {max} are allowed"
        ))
    }
}

/// For how many heartbeats an idle chain is watched.
pub const QUIET_HEARTBEATS: u64 = 4;

/// Judges the rounds that an idle chain went through in [`QUIET_HEARTBEATS`] heartbeats: with nothing to commit it makes a block for each
/// heartbeat, and gives up the rounds of leaders that are gone, but it does not spin.
///
/// # Errors
/// More rounds than an idle chain needs.
pub fn quiet(validators: u64, from: Round, to: Round) -> Result<(), String> {
    let (rounds, max) = (to.since(from), rounds_max(validators).saturating_add(QUIET_HEARTBEATS.saturating_mul(3)));
    if rounds <= max {
        Ok(())
    } else {
        Err(format!("the idle chain went through {rounds} rounds in {QUIET_HEARTBEATS} heartbeats, at most {max} are expected"))
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
}
