//! The way back of a validator that has lost its memory (protocol.md, "A way back"; SAFE-8). It follows and signs nothing until it knows that
//! nothing it may have signed can matter:
//!
//! 1. Others with a quorum of the power, itself not counted, show their certificates, after the loss. If it has signed in round r, a quorum had
//!    signed in round r - 1, and every two quorums share an honest validator, here another one than itself: that one shows a certificate of
//!    round r - 2 or later. So with c, the highest round of their certificates, nothing was signed above c + 2, the *floor*.
//! 2. A block of a round above the floor is committed here, in the same epoch. Then no certificate that ends the epoch existed before the loss,
//!    so nothing was signed in later epochs. If the epoch ends first, both steps begin again in the next one.
//!
//! The nonce shows that an answer was made after the loss. A validator that abstains itself gives none.

use std::{fmt, sync::Arc, time::Duration};

use quorate_types::{
    committee::{Committee, SignerSet},
    crypto::Hash,
    ids::ValidatorId,
    round::{Epoch, Round},
};

/// An abstention in one epoch; see the module docs.
#[derive(Debug)]
pub(crate) struct Abstention {
    nonce: Hash,
    me: ValidatorId,
    committee: Arc<Committee>,
    /// The others that have answered in this epoch.
    answered: SignerSet,
    /// The highest round that may have been signed in, once a quorum has answered.
    floor: Option<Round>,
    pause: Duration,
    /// When to ask next.
    next: Duration,
}

/// How far an abstention has come, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abstaining {
    /// The epoch.
    pub epoch: Epoch,
    /// Voters that have shown their certificates.
    pub answered: usize,
    /// The others have the power of a quorum. Otherwise the abstention cannot end in this epoch.
    pub can_end: bool,
    /// A commit above this round ends the abstention. `None` until enough have answered.
    pub floor: Option<Round>,
}

impl fmt::Display for Abstaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, answered, can_end, floor } = self;
        f.write_str("it has lost its memory (`quorate node recover`) and signs nothing ")?;
        match floor {
            Some(floor) => write!(f, "until a block above round {floor} of epoch {epoch} is committed"),
            None if *can_end => write!(f, "until others with a quorum of the power have shown where they stand; {answered} have"),
            None => write!(
                f,
                "in epoch {epoch}: the others do not have a quorum of the power, so they cannot prove what it has signed. Have the committee replace its key"
            ),
        }
    }
}

impl Abstention {
    pub(crate) fn new(nonce: Hash, me: ValidatorId, committee: Arc<Committee>, pause: Duration) -> Self {
        Self { nonce, me, committee, answered: SignerSet::default(), floor: None, pause, next: Duration::ZERO }
    }

    /// For the next epoch, where everything begins again.
    pub(crate) fn next(&self, me: ValidatorId, committee: Arc<Committee>) -> Self {
        Self::new(self.nonce, me, committee, self.pause)
    }

    pub(crate) const fn nonce(&self) -> Hash {
        self.nonce
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.floor.is_none().then_some(self.next)
    }

    /// The validators to ask now.
    pub(crate) fn on_time(&mut self, now: Duration) -> Vec<ValidatorId> {
        if self.floor.is_some() || now < self.next {
            return Vec::new();
        }
        self.next = now.saturating_add(self.pause);
        self.others().filter(|id| !self.answered.contains(*id)).collect()
    }

    /// A validator in our epoch has shown its certificates, and `round` is the one that these and all others we know lead into.
    pub(crate) fn on_answer(&mut self, from: ValidatorId, nonce: Hash, round: Round) {
        if nonce != self.nonce || self.floor.is_some() || !self.others().any(|id| id == from) {
            return;
        }
        self.answered.insert(from);
        if self.committee.is_quorum(self.answered) {
            self.floor = Some(round.next());
        }
    }

    /// Whether a signature of ours in this round may be one that we have forgotten.
    pub(crate) fn may_have_signed(&self, round: Round) -> bool {
        self.floor.is_none_or(|floor| round <= floor)
    }

    /// The floor, if a committed block of this epoch lies above it: the abstention is over.
    pub(crate) fn over(&self, committed: Round) -> Option<Round> {
        self.floor.filter(|floor| committed > *floor)
    }

    pub(crate) fn status(&self) -> Abstaining {
        Abstaining {
            epoch: self.committee.epoch(),
            answered: self.answered.len(),
            can_end: self.committee.is_quorum(self.others().collect()),
            floor: self.floor,
        }
    }

    /// The voters without us.
    fn others(&self) -> impl Iterator<Item = ValidatorId> {
        self.committee.voters().iter().copied().filter(|id| *id != self.me)
    }
}

#[cfg(test)]
mod tests;
