//! The third net under a lost memory (protocol.md, "A lost memory"): after a start we ask the other validators for the newest statements
//! with our signature, and sign nothing until enough have answered, or one base timeout has passed since we first heard from anyone. A
//! validator that hears nobody signs nothing: its signatures would be of no use, and the first peer it hears may know better.
//!
//! *Enough* is a quorum, ourselves included. If anything was built on a certificate with our signature, a quorum had that certificate before
//! it voted for what was built; two quorums share an honest validator besides us, which answers with the certificate. Waiting for more would
//! let one crashed validator silence a restarted one. An answer with a statement that we do not remember stops us as any message would
//! (SAFE-6). We go on asking after the wait, and a late answer still stops us if it shows more than we have signed since.

use std::{sync::Arc, time::Duration};

use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
};

/// How often in one base timeout we ask those that have not answered: links may come up late.
const ASKED_IN_WAIT: u32 = 5;
/// How often we ask again after the wait, doubling the pause each time.
const ASKED_LATER_MAX: u32 = 8;

/// Who has answered, and whether we may sign; see the module docs.
#[derive(Debug)]
pub(crate) struct Asking {
    committee: Arc<Committee>,
    /// The validators that have answered, and ourselves.
    answered: SignerSet,
    /// One base timeout.
    base_timeout: Duration,
    /// When the wait ends; `None` until we hear from anyone.
    until: Option<Duration>,
    /// When to ask next; `None` once we stop asking.
    next: Option<Duration>,
    asked_later: u32,
    /// The validators that claim to be in a later epoch. If one of them is honest, nothing that we sign in this one is of any use, and what
    /// they have seen of us here they no longer tell.
    later: SignerSet,
    is_over: bool,
    /// A quorum has answered, or there is nobody to ask.
    is_settled: bool,
}

impl Asking {
    pub(crate) fn new(me: ValidatorId, committee: Arc<Committee>, base_timeout: Duration) -> Self {
        let answered = SignerSet::from_iter([me]);
        let is_settled = committee.is_quorum(answered);
        // Who has no vote signs nothing, and has nothing to ask; with a vote in the next epoch, it asks then.
        let is_over = is_settled || !committee.is_voter(me);
        Self {
            committee,
            answered,
            base_timeout,
            until: None,
            next: (!is_over).then_some(Duration::ZERO),
            asked_later: 0,
            later: SignerSet::default(),
            is_over,
            is_settled,
        }
    }

    /// For the next epoch. If a quorum has answered in this one, this process has forgotten nothing, and what it signs from now on it remembers.
    /// Otherwise it may have been in the next epoch before, and must ask there again.
    pub(crate) fn next(&self, me: ValidatorId, committee: Arc<Committee>, base_timeout: Duration) -> Self {
        let next = Self::new(me, committee, base_timeout);
        if self.is_settled { next.skipped() } else { next }
    }

    /// For a validator that asks nobody.
    pub(crate) fn skipped(self) -> Self {
        Self { is_over: true, is_settled: true, next: None, ..self }
    }

    /// Whether nothing may be signed yet.
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.is_over
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let end = self.until.filter(|_| self.is_waiting() && !self.committee.holds_honest(self.later));
        [self.next, end].into_iter().flatten().min()
    }

    /// The validators to ask now.
    pub(crate) fn on_time(&mut self, now: Duration) -> Vec<ValidatorId> {
        self.is_over |= self.until.is_some_and(|until| until <= now) && !self.committee.holds_honest(self.later);
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let pause = if self.is_waiting() {
            Some(self.base_timeout.checked_div(ASKED_IN_WAIT).unwrap_or(self.base_timeout))
        } else {
            self.asked_later = self.asked_later.saturating_add(1);
            (self.asked_later < ASKED_LATER_MAX).then(|| self.base_timeout.saturating_mul(1 << self.asked_later.min(ASKED_LATER_MAX)))
        };
        self.next = pause.map(|pause| now.saturating_add(pause));
        self.committee.voters().iter().copied().filter(|id| !self.answered.contains(*id)).collect()
    }

    /// We have heard from another validator.
    pub(crate) fn on_heard(&mut self, now: Duration) {
        self.until.get_or_insert_with(|| now.saturating_add(self.base_timeout));
    }

    /// Another validator claims to be in a later epoch.
    pub(crate) fn on_later_epoch(&mut self, from: ValidatorId) {
        self.later.insert(from);
    }

    /// A validator has told us which statements of ours it has seen.
    pub(crate) fn on_answer(&mut self, from: ValidatorId) {
        self.answered.insert(from);
        if self.committee.is_quorum(self.answered) {
            (self.is_over, self.is_settled, self.next) = (true, true, None);
        }
    }
}

#[cfg(test)]
mod tests;
