//! §3.4 Safety: the rules for votes, timeouts and proposals, and the only way to the key that signs them.
//!
//! Constant memory: three counters and the last ballot of each kind. A rule returns an approved ballot as [`Unsaved`]; only a [`Saved`] one,
//! whose record was written and synced, can be signed (SAFE-4). Unverified messages never reach this module.

mod durable;
mod lapse;

use std::{cmp::Ordering, sync::Arc};

pub use durable::{SafetyStore, SafetyWrite, Saved, Unsaved, persist};
pub use lapse::Lapse;
use quorate_types::{
    block::{Block, Proposal},
    codec::{self, DecodeError},
    committee::Committee,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    round::{Epoch, Round},
    sighting::{Statement, StatementKind},
    signing::Signer,
    timeout::{TimeoutCert, TimeoutMessage},
    verify::Verified,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};
use serde::{Deserialize, Serialize};

/// Longest encoding of a [`SafetyRecord`], in bytes.
pub const SAFETY_RECORD_BYTES_MAX: usize = 1 << 20;

/// What a validator may no longer sign. Durable before every signature, so that restarts do not forget it.
///
/// ```text
/// BCS: version u8 | genesis_hash 32 | epoch u64 | highest_vote_round u64 | highest_qc_round u64 | last_proposed_round u64
///      | last_vote (option: vote info, commit info) | last_timeout (option: round, high QC, option TC) | last_proposal (option: block id)
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyRecord {
    version: u8,
    genesis_hash: GenesisHash,
    epoch: Epoch,
    /// SAFE-1: no vote is signed in a round at or below this one, except the same vote again. Raised by timeouts as well.
    highest_vote_round: Round,
    /// SAFE-3: the lock. Raised only by voting, checked only when timing out.
    highest_qc_round: Round,
    /// SAFE-5: no proposal is signed in a round at or below this one.
    last_proposed_round: Round,
    last_vote: Option<(VoteInfo, LedgerCommitInfo)>,
    last_timeout: Option<LastTimeout>,
    /// The block of `last_proposed_round`.
    last_proposal: Option<BlockId>,
}

/// The last timeout with its certificates, so that a restart resends the same one and never another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastTimeout {
    round: Round,
    high_qc: QuorumCert,
    last_round_tc: Option<TimeoutCert>,
}

const RECORD_VERSION: u8 = 1;

/// Why one record may not replace another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lowers {
    /// They are of different networks.
    #[error("the two records are of different networks")]
    Network,
    /// It contradicts itself.
    #[error("the new record contradicts itself")]
    Inconsistent,
    /// It is of an earlier epoch.
    #[error("it would go back from epoch {held} to epoch {given}")]
    Epoch {
        /// The epoch of the record to replace.
        held: Epoch,
        /// The epoch of the new record.
        given: Epoch,
    },
    /// A counter is lower.
    #[error("it would lower {what} from {held} to {given}")]
    Counter {
        /// What it counts.
        what: &'static str,
        /// Its value in the record to replace.
        held: Round,
        /// Its value in the new record.
        given: Round,
    },
    /// Its last statement of this kind was not signed after what the other one remembers.
    #[error("its last {0} cannot have followed what the held record remembers: the key has run in two places")]
    Content(StatementKind),
}

impl SafetyRecord {
    /// The record of a validator that has signed nothing.
    #[must_use]
    pub const fn new(genesis_hash: GenesisHash, epoch: Epoch) -> Self {
        Self {
            version: RECORD_VERSION,
            genesis_hash,
            epoch,
            highest_vote_round: Round(0),
            highest_qc_round: Round(0),
            last_proposed_round: Round(0),
            last_vote: None,
            last_timeout: None,
            last_proposal: None,
        }
    }

    /// Decodes a stored record.
    ///
    /// # Errors
    /// [`DecodeError`]: damaged, or written by another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let record: Self = codec::decode(bytes, SAFETY_RECORD_BYTES_MAX)?;
        if record.version == RECORD_VERSION {
            Ok(record)
        } else {
            Err(DecodeError::Malformed(format!(
                "safety record has version {}, this program reads version {RECORD_VERSION}",
                record.version
            )))
        }
    }

    /// The network and the epoch it belongs to.
    #[must_use]
    pub const fn scope(&self) -> (GenesisHash, Epoch) {
        (self.genesis_hash, self.epoch)
    }

    /// The counter of SAFE-1: the highest round voted in or given up.
    #[must_use]
    pub const fn highest_vote_round(&self) -> Round {
        self.highest_vote_round
    }

    /// The counter of SAFE-3, the lock: the highest certificate in a block voted for.
    #[must_use]
    pub const fn highest_qc_round(&self) -> Round {
        self.highest_qc_round
    }

    /// The last timeout, which may be signed again: its round and certificates.
    #[must_use]
    pub fn last_timeout(&self) -> Option<(Round, &QuorumCert, Option<&TimeoutCert>)> {
        self.last_timeout.as_ref().map(|last| (last.round, &last.high_qc, last.last_round_tc.as_ref()))
    }

    /// The last vote, which may be signed again.
    #[must_use]
    pub const fn last_vote(&self) -> Option<(VoteInfo, LedgerCommitInfo)> {
        self.last_vote
    }

    /// The last proposal.
    #[must_use]
    pub const fn last_proposal(&self) -> Option<BlockId> {
        self.last_proposal
    }

    /// The counter of SAFE-5: the highest round proposed in.
    #[must_use]
    pub const fn last_proposed_round(&self) -> Round {
        self.last_proposed_round
    }

    /// The highest round in which anything was signed.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        self.highest_vote_round.max(self.last_proposed_round)
    }

    /// This record, with everything forbidden that may have been signed in rounds up to this one, and the repetition of what it remembers as
    /// well: that may have been given up since.
    #[must_use]
    pub fn raised_above(&self, round: Round) -> Self {
        Self {
            // A timeout may follow a vote in the same round, so votes are given up one round further.
            highest_vote_round: self.highest_vote_round.max(round).next(),
            highest_qc_round: self.highest_qc_round.max(round),
            last_proposed_round: self.last_proposed_round.max(round),
            last_vote: None,
            last_timeout: None,
            last_proposal: None,
            ..*self
        }
    }

    /// Whether `later` may replace this record: it forbids everything that this one forbids.
    ///
    /// A record of a later epoch forbids everything in earlier ones. Within an epoch, SAFE-1, SAFE-3 and SAFE-5 forbid what is below a
    /// counter, so no counter may go down. A record allows three things at or below its counters: its last vote again while that round is not
    /// given up (S9), its last timeout again (D10), and a timeout of the round that it has voted in. None of the three may be new.
    ///
    /// # Errors
    /// [`Lowers`]: the first reason against it.
    pub fn check_raise(&self, later: &Self) -> Result<(), Lowers> {
        if self.genesis_hash != later.genesis_hash {
            return Err(Lowers::Network);
        }
        if !later.is_consistent() {
            return Err(Lowers::Inconsistent);
        }
        match later.epoch.cmp(&self.epoch) {
            Ordering::Greater => return Ok(()),
            Ordering::Less => return Err(Lowers::Epoch { held: self.epoch, given: later.epoch }),
            Ordering::Equal => {}
        }
        let timeout = |record: &Self| record.last_timeout.as_ref().map_or(Round(0), |last| last.round);
        for (what, held, given) in [
            ("the highest round voted in", self.highest_vote_round, later.highest_vote_round),
            ("the round of the lock", self.highest_qc_round, later.highest_qc_round),
            ("the highest round proposed in", self.last_proposed_round, later.last_proposed_round),
        ] {
            if given < held {
                return Err(Lowers::Counter { what, held, given });
            }
        }
        let vote_is_sound = later.last_vote.is_none_or(|vote| {
            let still_given_up = timeout(self) < vote.0.round || timeout(later) >= vote.0.round;
            vote.0.round > self.highest_vote_round || (self.last_vote == Some(vote) && still_given_up)
        });
        let timeout_is_sound = match &later.last_timeout {
            None => self.last_timeout.is_none() || later.highest_vote_round > timeout(self),
            // A timeout may follow a vote of the same round; it must not hide the lock that the vote took.
            Some(last) => {
                let is_new =
                    last.round > timeout(self) && last.round >= self.highest_vote_round && last.high_qc.round() >= self.highest_qc_round;
                is_new || self.last_timeout.as_ref() == Some(last)
            }
        };
        let proposal_is_sound = later.last_proposed_round > self.last_proposed_round
            || later.last_proposal.is_none_or(|proposal| self.last_proposal == Some(proposal));
        for (kind, is_sound) in
            [(StatementKind::Vote, vote_is_sound), (StatementKind::Timeout, timeout_is_sound), (StatementKind::Proposal, proposal_is_sound)]
        {
            if !is_sound {
                return Err(Lowers::Content(kind));
            }
        }
        Ok(())
    }

    /// Whether the rules can have made it: they remember nothing above the counters.
    fn is_consistent(&self) -> bool {
        let vote =
            self.last_vote.is_none_or(|(vote, _)| vote.round <= self.highest_vote_round && vote.parent_round <= self.highest_qc_round);
        let timeout =
            self.last_timeout.as_ref().is_none_or(|last| last.round <= self.highest_vote_round && last.high_qc.round() < last.round);
        vote && timeout && self.highest_qc_round <= self.highest_vote_round
    }

    /// SAFE-6: whether a statement with our signature can be ours. If not, someone else signs with our key, or we have forgotten.
    ///
    /// No false alarms: a statement is recorded before it is persisted, and persisted before it is signed. So at any moment, after any crash,
    /// every statement we ever signed is at or below the newest of its kind in the record. Rounds only grow within a kind, so the newest
    /// decides: a statement above it is not ours; one of the same round is ours only if it is the same. One below cannot be judged, because
    /// memory is constant.
    #[must_use]
    pub fn covers(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Vote(vote_info, commit_info) => {
                self.last_vote.is_some_and(|(last, commit)| vote_info.round < last.round || (*vote_info, *commit_info) == (last, commit))
            }
            // A timeout signs only the round of its certificate: anyone can attach another certificate of the same round.
            Statement::Timeout { round, high_qc_round } => self
                .last_timeout
                .as_ref()
                .is_some_and(|last| *round < last.round || (*round, *high_qc_round) == (last.round, last.high_qc.round())),
            Statement::Proposal { round, id } => *round < self.last_proposed_round || self.last_proposal == Some(*id),
        }
    }
}

/// A vote, a timeout or a proposal before it is signed.
#[derive(Clone, Debug)]
pub enum Ballot {
    /// A vote.
    Vote(VoteInfo, LedgerCommitInfo),
    /// A timeout.
    Timeout {
        /// The round given up.
        round: Round,
        /// Our high QC.
        high_qc: Verified<QuorumCert>,
        /// The timeout certificate of the round before, unless the high QC is of that round.
        last_round_tc: Option<Verified<TimeoutCert>>,
    },
    /// A proposal.
    Proposal {
        /// Our block.
        block: Verified<Block>,
        /// The timeout certificate of the round before, unless the block's certificate is of that round.
        last_round_tc: Option<Verified<TimeoutCert>>,
    },
}

/// A signed ballot.
#[derive(Clone, Debug)]
pub enum Signed {
    /// See [`Ballot::Vote`].
    Vote(Verified<Vote>),
    /// See [`Ballot::Timeout`].
    Timeout(Verified<TimeoutMessage>),
    /// See [`Ballot::Proposal`].
    Proposal(Verified<Proposal>),
}

/// The rule that forbids a ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// SAFE-1. The round is the counter's.
    #[error("§3.4 SAFE-1: already signed a vote or timeout of round {0} or later")]
    Voted(Round),
    /// SAFE-2.
    #[error("§3.4 SAFE-2: the block's certificate is neither of the round before nor allowed by a timeout certificate of the round before")]
    DoesNotExtend,
    /// SAFE-3.
    #[error("§3.4 SAFE-3: the high QC is older than the certificate in a block we voted for")]
    HidesQc,
    /// A timeout in a round that its certificates do not lead into.
    #[error("§3.4: no certificate leads into round {0}")]
    NoCertificate(Round),
    /// SAFE-5. The round is the counter's.
    #[error("SAFE-5: already signed a proposal of round {0} or later")]
    Proposed(Round),
    /// SAFE-7.
    #[error("SAFE-7: this validator has no vote in this epoch, so it signs nothing")]
    Observer,
    /// SAFE-8.
    #[error("SAFE-8: this validator does not know yet what it has signed, so it signs nothing")]
    Abstains,
}

/// The rules, their memory, and the key or who holds it.
#[derive(Debug)]
pub struct Safety {
    signer: Arc<dyn Signer>,
    me: ValidatorId,
    /// We have a vote in this epoch.
    is_voter: bool,
    /// The record does not hold all that we have signed.
    abstains: bool,
    record: SafetyRecord,
}

impl Safety {
    /// Continues from the newest durable record.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>, me: ValidatorId, committee: &Committee, record: SafetyRecord) -> Self {
        let is_voter = committee.epoch() == record.epoch && committee.is_voter(me);
        Self { signer, me, is_voter, abstains: false, record }
    }

    /// Signs nothing until [`Self::resume`].
    #[must_use]
    pub fn abstaining(self) -> Self {
        Self { abstains: true, ..self }
    }

    /// Nothing was signed above this round before the abstention: from now on the raised record decides, which must be durable.
    pub fn resume(&mut self, round: Round) {
        self.record = self.record.raised_above(round);
        self.abstains = false;
    }

    fn check_signs(&self) -> Result<(), Unsafe> {
        if !self.is_voter {
            Err(Unsafe::Observer)
        } else if self.abstains {
            Err(Unsafe::Abstains)
        } else {
            Ok(())
        }
    }

    /// The record of all approved ballots, durable or not.
    #[must_use]
    pub const fn record(&self) -> &SafetyRecord {
        &self.record
    }

    /// §3.4 `make_vote`. `tc` is the timeout certificate of the proposal, `exec_state_id` our result of executing the block.
    ///
    /// # Errors
    /// [`Unsafe`]: the rule that forbids the vote.
    pub fn approve_vote(
        &mut self,
        block: &Verified<Block>,
        tc: Option<&Verified<TimeoutCert>>,
        exec_state_id: StateId,
    ) -> Result<Unsaved<Ballot>, Unsafe> {
        self.check_signs()?;
        let (qc, round) = (block.qc(), block.round());
        let parent = qc.vote_info;
        let vote_info = VoteInfo { id: block.id(), round, parent_id: parent.id, parent_round: parent.round, exec_state_id };
        // §3.4 commit_state_id_candidate: the parent's certified result, if the rounds are consecutive.
        let commit_info = LedgerCommitInfo {
            genesis_hash: self.record.genesis_hash,
            epoch: self.record.epoch,
            commit_state_id: vote_info.commits_parent().then_some(parent.exec_state_id),
            vote_info_hash: vote_info.digest(),
        };
        // S9: the same vote again, never another, and not after giving up the round.
        let given_up = self.record.last_timeout.as_ref().is_some_and(|last| last.round >= round);
        if !given_up && self.record.last_vote == Some((vote_info, commit_info)) {
            return Ok(Unsaved::new(Ballot::Vote(vote_info, commit_info), self.record.clone()));
        }
        // §3.4 safe_to_vote, first clause: the rounds of votes only grow, and a block's round is above its parent's.
        if round <= self.record.highest_vote_round || round <= qc.round() {
            return Err(Unsafe::Voted(self.record.highest_vote_round));
        }
        if !safe_to_extend(round, &qc, tc) {
            return Err(Unsafe::DoesNotExtend);
        }
        self.record.highest_qc_round = self.record.highest_qc_round.max(qc.round());
        self.record.highest_vote_round = round;
        self.record.last_vote = Some((vote_info, commit_info));
        Ok(Unsaved::new(Ballot::Vote(vote_info, commit_info), self.record.clone()))
    }

    /// §3.4 `make_timeout`.
    ///
    /// # Errors
    /// [`Unsafe`]: the rule that forbids the timeout.
    pub fn approve_timeout(
        &mut self,
        round: Round,
        high_qc: &Verified<QuorumCert>,
        last_round_tc: Option<&Verified<TimeoutCert>>,
    ) -> Result<Unsaved<Ballot>, Unsafe> {
        self.check_signs()?;
        // A certificate of the round before needs no timeout certificate beside it (paper p. 12).
        let last_round_tc = if high_qc.round().next() == round { None } else { last_round_tc };
        let content = LastTimeout { round, high_qc: (**high_qc).clone(), last_round_tc: last_round_tc.map(|tc| (**tc).clone()) };
        let ballot = || Ballot::Timeout { round, high_qc: high_qc.clone(), last_round_tc: last_round_tc.cloned() };
        match &self.record.last_timeout {
            // The same timeout again is harmless; another one in the same round would be evidence against us (D10).
            Some(last) if last.round == round => {
                return if *last == content { Ok(Unsaved::new(ballot(), self.record.clone())) } else { Err(Unsafe::Voted(round)) };
            }
            Some(_) | None => {}
        }
        // §3.4 safe_to_timeout: respect the lock. A timeout may follow a vote in the same round.
        if high_qc.round() < self.record.highest_qc_round {
            return Err(Unsafe::HidesQc);
        }
        if round <= high_qc.round() || round < self.record.highest_vote_round {
            return Err(Unsafe::Voted(self.record.highest_vote_round));
        }
        if high_qc.round().next() != round && last_round_tc.is_none_or(|tc| tc.round.next() != round) {
            return Err(Unsafe::NoCertificate(round));
        }
        // Stop voting in this round.
        self.record.highest_vote_round = round;
        self.record.last_timeout = Some(content);
        Ok(Unsaved::new(ballot(), self.record.clone()))
    }

    /// A leader proposes at most once in a round (erratum E4), restarts included.
    ///
    /// # Errors
    /// [`Unsafe::Proposed`], [`Unsafe::Observer`].
    pub fn approve_proposal(
        &mut self,
        block: Verified<Block>,
        last_round_tc: Option<Verified<TimeoutCert>>,
    ) -> Result<Unsaved<Ballot>, Unsafe> {
        self.check_signs()?;
        if block.round() <= self.record.last_proposed_round {
            return Err(Unsafe::Proposed(self.record.last_proposed_round));
        }
        self.record.last_proposed_round = block.round();
        self.record.last_proposal = Some(block.id());
        Ok(Unsaved::new(Ballot::Proposal { block, last_round_tc }, self.record.clone()))
    }

    /// Signs a ballot whose record is durable. Consumes it: one write, one signature, or none if the signer does not sign.
    #[must_use]
    pub fn sign(&self, saved: Saved<Ballot>, high_commit_qc: &Verified<QuorumCert>) -> Option<Signed> {
        let signer = self.signer.as_ref();
        match saved.into_ballot() {
            Ballot::Vote(vote_info, commit_info) => {
                Verified::<Vote>::sign(vote_info, commit_info, high_commit_qc, self.me, signer).map(Signed::Vote)
            }
            Ballot::Timeout { round, high_qc, last_round_tc } => {
                let certificates = (&high_qc, last_round_tc.as_ref(), high_commit_qc);
                Verified::<TimeoutMessage>::sign(self.record.genesis_hash, self.record.epoch, round, certificates, self.me, signer)
                    .map(Signed::Timeout)
            }
            Ballot::Proposal { block, last_round_tc } => {
                Verified::<Proposal>::sign(block, last_round_tc.as_ref(), high_commit_qc, signer).map(Signed::Proposal)
            }
        }
    }
}

/// §3.4 `safe_to_vote`, second clause, and `safe_to_extend`: the block extends the certificate of the round before, or one at least as
/// high as every certificate reported in the timeout certificate of the round before.
fn safe_to_extend(round: Round, qc: &QuorumCert, tc: Option<&Verified<TimeoutCert>>) -> bool {
    let consecutive = qc.round().next() == round;
    consecutive || tc.is_some_and(|tc| tc.round.next() == round && qc.round() >= tc.highest_qc_round())
}

#[cfg(test)]
mod tests;
