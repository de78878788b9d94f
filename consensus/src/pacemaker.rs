//! §3.5 Pacemaker: which round we are in, how long it may last, and how a quorum gives it up.

use std::collections::BTreeMap;

use quorate_types::{
    committee::Committee,
    genesis::Parameters,
    ids::ValidatorId,
    round::Round,
    timeout::{Timeout, TimeoutCert, TimeoutMessage},
    verify::Verified,
};

use crate::effect::Ignored;

/// Rounds from the newest commit to the current round in normal operation (the 2-chain and the proposal that publishes it).
const NORMAL_COMMIT_GAP: u64 = 3;

/// The effect of a timeout.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(crate) enum TimeoutOutcome {
    /// Recorded; there is nothing to do.
    Counted,
    /// An honest validator gave the round up, so we do too (Bracha amplification, paper p. 14). Returned until we have.
    Amplify,
    /// A quorum gave the round up. Returned once per round.
    Formed(Verified<TimeoutCert>),
    /// The sender's first timeout of this round is another one: the first and this one.
    Equivocation(Box<[Timeout; 2]>),
    /// No effect.
    Ignored(Ignored),
}

/// The current round and its timeouts; see the module docs.
#[derive(Debug)]
pub struct Pacemaker {
    round: Round,
    last_round_tc: Option<Verified<TimeoutCert>>,
    /// The first timeout of each sender in the current round.
    timeouts: BTreeMap<ValidatorId, Verified<TimeoutMessage>>,
    formed: bool,
    /// Our own timeout of the current round, resent until the round ends (E12).
    own: Option<Verified<TimeoutMessage>>,
}

impl Pacemaker {
    /// Starts in round 0; the genesis certificate leads into round 1.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { round: Round(0), last_round_tc: None, timeouts: BTreeMap::new(), formed: false, own: None }
    }

    /// The current round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.round
    }

    /// The timeout certificate that led into the current round, if one did.
    #[must_use]
    pub const fn last_round_tc(&self) -> Option<&Verified<TimeoutCert>> {
        self.last_round_tc.as_ref()
    }

    pub(crate) const fn own_timeout(&self) -> Option<&Verified<TimeoutMessage>> {
        self.own.as_ref()
    }

    pub(crate) fn set_own_timeout(&mut self, timeout: Verified<TimeoutMessage>) {
        if timeout.timeout.round == self.round {
            self.own = Some(timeout);
        }
    }

    /// §3.5 `advance_round`. Returns whether the round has advanced. If both certificates are of the same round, the quorum certificate wins.
    pub(crate) fn advance(&mut self, qc_round: Round, tc: Option<&Verified<TimeoutCert>>) -> bool {
        let before = self.round;
        if qc_round >= self.round {
            self.round = qc_round.next();
            self.last_round_tc = None;
        }
        if let Some(tc) = tc
            && tc.round >= self.round
        {
            self.round = tc.round.next();
            self.last_round_tc = Some(tc.clone());
        }
        if self.round == before {
            return false;
        }
        self.timeouts.clear();
        self.formed = false;
        self.own = None;
        true
    }

    /// §3.5 `process_remote_timeout`, for our own timeouts too. Each signer counts once (E8).
    pub(crate) fn add(&mut self, committee: &Committee, timeout: Verified<TimeoutMessage>) -> TimeoutOutcome {
        if timeout.timeout.round < self.round {
            return TimeoutOutcome::Ignored(Ignored::OldRound);
        }
        if timeout.timeout.round > self.round {
            return TimeoutOutcome::Ignored(Ignored::FarRound);
        }
        match self.timeouts.get(&timeout.timeout.sender) {
            Some(first) if first.timeout.high_qc.round() != timeout.timeout.high_qc.round() => {
                return TimeoutOutcome::Equivocation(Box::new([first.timeout.clone(), timeout.into_inner().timeout]));
            }
            Some(_) => {}
            None => {
                self.timeouts.insert(timeout.timeout.sender, timeout);
            }
        }
        if !self.formed
            && let Some(tc) = Verified::<TimeoutCert>::aggregate(committee, &self.timeouts)
        {
            self.formed = true;
            return TimeoutOutcome::Formed(tc);
        }
        let signers = self.timeouts.keys().copied().collect();
        if self.own.is_none() && committee.holds_honest(signers) { TimeoutOutcome::Amplify } else { TimeoutOutcome::Counted }
    }

    /// How long the current round may last, in milliseconds: the base while commits come, growing by a fixed factor with each further round
    /// without one, up to the maximum.
    #[must_use]
    pub(crate) fn duration_ms(&self, parameters: &Parameters, committed: Round) -> u64 {
        let max = u64::from(parameters.timeout_max_ms);
        let mut duration = u64::from(parameters.timeout_base_ms);
        for _ in 0..self.round.since(committed).saturating_sub(NORMAL_COMMIT_GAP) {
            if duration >= max || parameters.timeout_growth_percent <= 100 {
                break;
            }
            // By at least one: rounding would keep a short base with a small factor from growing.
            let grown = duration.saturating_mul(u64::from(parameters.timeout_growth_percent)) / 100;
            duration = grown.max(duration.saturating_add(1));
        }
        duration.min(max)
    }
}

#[cfg(test)]
mod tests;
