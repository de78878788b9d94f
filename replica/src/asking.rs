//! The third net under a lost memory (protocol.md, "A lost memory"): after a start the others are asked for the newest statements that carry
//! our signature, and nothing is signed before enough have answered, or one base timeout has passed since anybody was heard. Whoever hears
//! nobody signs nothing: it would be of no use to anybody, and the first who is heard may know better.
//!
//! *Enough* is a quorum, ourselves included. Whatever was built on a certificate with our signature in it, a quorum had that certificate
//! before it voted for what was built; two quorums share somebody honest besides us, who answers with it. Waiting for more would let one
//! crashed validator keep a restarted one silent. An answer with a statement that we do not know stops us as any message would (SAFE-6); the
//! asking goes on after the wait, and a late answer counts as much, as long as it shows more than we have signed since.

use std::{sync::Arc, time::Duration};

use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
};

/// So many times a base timeout is asked again whoever has not answered: links may come up late.
const ASKED_IN_WAIT: u32 = 5;
/// How often is asked again after the wait, each time after twice as long.
const ASKED_LATER_MAX: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Asking {
    committee: Arc<Committee>,
    /// Who has answered, and we.
    answered: SignerSet,
    /// One base timeout.
    patience: Duration,
    /// Until when nothing is signed; `None` before anybody was heard.
    until: Option<Duration>,
    /// When to ask next: at once; `None` when nobody is asked any more.
    next: Option<Duration>,
    asked_later: u32,
    is_over: bool,
}

impl Asking {
    pub(crate) fn new(me: ValidatorId, committee: Arc<Committee>, patience: Duration) -> Self {
        let answered = SignerSet::from_iter([me]);
        let is_over = committee.is_quorum(answered);
        Self { committee, answered, patience, until: None, next: (!is_over).then_some(Duration::ZERO), asked_later: 0, is_over }
    }

    /// Of a validator that asks nobody.
    pub(crate) fn skipped(self) -> Self {
        Self { is_over: true, next: None, ..self }
    }

    /// Whether nothing may be signed yet.
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.is_over
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let end = self.until.filter(|_| self.is_waiting());
        [self.next, end].into_iter().flatten().min()
    }

    /// Who is to be asked now.
    pub(crate) fn on_time(&mut self, now: Duration) -> Vec<ValidatorId> {
        self.is_over |= self.until.is_some_and(|until| until <= now);
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let pause = if self.is_waiting() {
            Some(self.patience.checked_div(ASKED_IN_WAIT).unwrap_or(self.patience))
        } else {
            self.asked_later = self.asked_later.saturating_add(1);
            (self.asked_later < ASKED_LATER_MAX).then(|| self.patience.saturating_mul(1 << self.asked_later.min(ASKED_LATER_MAX)))
        };
        self.next = pause.map(|pause| now.saturating_add(pause));
        self.committee.ids().filter(|id| !self.answered.contains(*id)).collect()
    }

    /// Another validator was heard.
    pub(crate) fn on_heard(&mut self, now: Duration) {
        self.until.get_or_insert_with(|| now.saturating_add(self.patience));
    }

    /// A validator has told us what it has seen of us.
    pub(crate) fn on_answer(&mut self, from: ValidatorId) {
        self.answered.insert(from);
        if self.committee.is_quorum(self.answered) {
            (self.is_over, self.next) = (true, None);
        }
    }
}

#[cfg(test)]
mod tests;
