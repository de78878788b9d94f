//! §3.4 Safety: the rules that a vote, a timeout and a proposal must obey, and the only key that signs them.
//!
//! Constant memory: two counters and the last ballots. A rule approves a ballot and hands out its record as [`Unsaved`]; only the
//! [`Saved`] record of a successful synced write can be signed (SAFE-4). This module never sees a message that was not verified.

mod durable;

pub use durable::{SafetyStore, SafetyWrite, Saved, Unsaved, persist};
use quorate_types::{
    block::{Block, Proposal},
    codec::{self, DecodeError},
    crypto::SigningKey,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    round::{Epoch, Round},
    sighting::Statement,
    timeout::{TimeoutCert, TimeoutMessage},
    verify::Verified,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};
use serde::{Deserialize, Serialize};

/// Longest encoding of a [`SafetyRecord`], in bytes.
pub const SAFETY_RECORD_BYTES_MAX: usize = 1 << 20;

/// What a validator must remember for ever, restarts included.
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
    /// SAFE-1: no vote is signed for a round at or below this one, except the very same vote again.
    highest_vote_round: Round,
    /// SAFE-3: the lock. Raised only by voting, asked only when timing out.
    highest_qc_round: Round,
    /// SAFE-5: no proposal is signed for a round at or below this one.
    last_proposed_round: Round,
    last_vote: Option<(VoteInfo, LedgerCommitInfo)>,
    last_timeout: Option<LastTimeout>,
    /// The block of `last_proposed_round`.
    last_proposal: Option<BlockId>,
}

/// The last timeout with its certificates, so that after a restart the same one is sent again and not another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastTimeout {
    round: Round,
    high_qc: QuorumCert,
    last_round_tc: Option<TimeoutCert>,
}

const RECORD_VERSION: u8 = 1;

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

    /// Reads a stored record.
    ///
    /// # Errors
    /// [`DecodeError`]: damaged, or written by another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let record: Self = codec::decode(bytes, SAFETY_RECORD_BYTES_MAX)?;
        if record.version == RECORD_VERSION {
            Ok(record)
        } else {
            Err(DecodeError::Malformed(format!("safety record of version {}, this program knows version {RECORD_VERSION}", record.version)))
        }
    }

    /// The network and the epoch it belongs to.
    #[must_use]
    pub const fn scope(&self) -> (GenesisHash, Epoch) {
        (self.genesis_hash, self.epoch)
    }

    /// SAFE-1's counter.
    #[must_use]
    pub const fn highest_vote_round(&self) -> Round {
        self.highest_vote_round
    }

    /// SAFE-3's counter.
    #[must_use]
    pub const fn highest_qc_round(&self) -> Round {
        self.highest_qc_round
    }

    /// The round and the certificates of the timeout that was signed last: what may be signed again.
    #[must_use]
    pub fn last_timeout(&self) -> Option<(Round, &QuorumCert, Option<&TimeoutCert>)> {
        self.last_timeout.as_ref().map(|last| (last.round, &last.high_qc, last.last_round_tc.as_ref()))
    }

    /// SAFE-5's counter.
    #[must_use]
    pub const fn last_proposed_round(&self) -> Round {
        self.last_proposed_round
    }

    /// The highest round in which anything was signed.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        self.highest_vote_round.max(self.last_proposed_round)
    }

    /// SAFE-6: whether a statement with our signature may be of our own past; if not, somebody else signs with our key, or we have forgotten.
    ///
    /// No false alarm: the record of a statement is made before the statement is persisted, and persisted before it is signed, so at any
    /// moment, after any crash, every statement that we ever signed is at or below what the record holds of its kind. Rounds of one kind only
    /// grow, so the newest one held decides: what is above it is not ours, what is of the same round is ours only if it is the same. What is
    /// below cannot be told any more: memory is constant.
    #[must_use]
    pub fn covers(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Vote(vote_info, commit_info) => {
                self.last_vote.is_some_and(|(last, commit)| vote_info.round < last.round || (*vote_info, *commit_info) == (last, commit))
            }
            // What a timeout signs of its certificate is the round: of two certificates of a round anybody may put either with it.
            Statement::Timeout { round, high_qc_round } => self
                .last_timeout
                .as_ref()
                .is_some_and(|last| *round < last.round || (*round, *high_qc_round) == (last.round, last.high_qc.round())),
            Statement::Proposal { round, id } => *round < self.last_proposed_round || self.last_proposal == Some(*id),
        }
    }
}

/// Something that we are about to sign.
#[derive(Clone, Debug)]
pub enum Ballot {
    /// A vote.
    Vote(VoteInfo, LedgerCommitInfo),
    /// A timeout.
    Timeout {
        /// The round given up.
        round: Round,
        /// Our highest certificate.
        high_qc: Verified<QuorumCert>,
        /// What led into the round, if a timeout certificate did.
        last_round_tc: Option<Verified<TimeoutCert>>,
    },
    /// A proposal.
    Proposal {
        /// Our block.
        block: Verified<Block>,
        /// What led into the round, if a timeout certificate did.
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
    /// SAFE-1.
    #[error("§3.4 SAFE-1: a vote or timeout of round {0} or later was signed before")]
    Voted(Round),
    /// SAFE-2.
    #[error("§3.4 SAFE-2: the block does not extend the certificate of the round before, nor a timeout certificate that allows its parent")]
    DoesNotExtend,
    /// SAFE-3.
    #[error("§3.4 SAFE-3: the highest certificate is older than one that was voted on")]
    HidesQc,
    /// The round is not led into by a certificate.
    #[error("§3.4: no certificate leads into round {0}")]
    NoCertificate(Round),
    /// SAFE-5.
    #[error("SAFE-5: a proposal of round {0} or later was signed before")]
    Proposed(Round),
}

/// The rules, their memory, and the key.
#[derive(Debug)]
pub struct Safety {
    key: SigningKey,
    me: ValidatorId,
    record: SafetyRecord,
}

impl Safety {
    /// Continues from the newest durable record.
    #[must_use]
    pub const fn new(key: SigningKey, me: ValidatorId, record: SafetyRecord) -> Self {
        Self { key, me, record }
    }

    /// What is remembered.
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
        let (qc, round) = (block.qc(), block.round());
        let parent = qc.vote_info;
        let vote_info = VoteInfo { id: block.id(), round, parent_id: parent.id, parent_round: parent.round, exec_state_id };
        // §3.4 commit_state_id_candidate: the parent's certified result, where the rounds follow each other.
        let commit_info = LedgerCommitInfo {
            genesis_hash: self.record.genesis_hash,
            epoch: self.record.epoch,
            commit_state_id: vote_info.commits_parent().then_some(parent.exec_state_id),
            vote_info_hash: vote_info.digest(),
        };
        // S9: the same vote again, never another one, and not after the round was given up.
        let given_up = self.record.last_timeout.as_ref().is_some_and(|last| last.round >= round);
        if !given_up && self.record.last_vote == Some((vote_info, commit_info)) {
            return Ok(Unsaved::new(Ballot::Vote(vote_info, commit_info), self.record.clone()));
        }
        // §3.4 safe_to_vote, first clause: rounds of votes only grow, and a block is later than its parent.
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
        // A certificate of the round before needs no timeout certificate beside it (paper p. 12).
        let last_round_tc = if high_qc.round().next() == round { None } else { last_round_tc };
        let content = LastTimeout { round, high_qc: (**high_qc).clone(), last_round_tc: last_round_tc.map(|tc| (**tc).clone()) };
        let ballot = || Ballot::Timeout { round, high_qc: high_qc.clone(), last_round_tc: last_round_tc.cloned() };
        match &self.record.last_timeout {
            // The same timeout again is harmless; another one of the same round would accuse us (D10).
            Some(last) if last.round == round => {
                return if *last == content { Ok(Unsaved::new(ballot(), self.record.clone())) } else { Err(Unsafe::Voted(round)) };
            }
            Some(_) | None => {}
        }
        // §3.4 safe_to_timeout: respect the lock; a timeout of a round may follow a vote of the same round.
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

    /// A leader proposes once in a round (erratum E4), restarts included.
    ///
    /// # Errors
    /// [`Unsafe::Proposed`].
    pub fn approve_proposal(
        &mut self,
        block: Verified<Block>,
        last_round_tc: Option<Verified<TimeoutCert>>,
    ) -> Result<Unsaved<Ballot>, Unsafe> {
        if block.round() <= self.record.last_proposed_round {
            return Err(Unsafe::Proposed(self.record.last_proposed_round));
        }
        self.record.last_proposed_round = block.round();
        self.record.last_proposal = Some(block.id());
        Ok(Unsaved::new(Ballot::Proposal { block, last_round_tc }, self.record.clone()))
    }

    /// Signs a ballot whose record is durable. Consumes it: one write, one signature.
    #[must_use]
    pub fn sign(&self, saved: Saved<Ballot>, high_commit_qc: &Verified<QuorumCert>) -> Signed {
        match saved.into_ballot() {
            Ballot::Vote(vote_info, commit_info) => {
                Signed::Vote(Verified::<Vote>::sign(vote_info, commit_info, high_commit_qc, self.me, &self.key))
            }
            Ballot::Timeout { round, high_qc, last_round_tc } => Signed::Timeout(Verified::<TimeoutMessage>::sign(
                self.record.genesis_hash,
                self.record.epoch,
                round,
                (&high_qc, last_round_tc.as_ref(), high_commit_qc),
                self.me,
                &self.key,
            )),
            Ballot::Proposal { block, last_round_tc } => {
                Signed::Proposal(Verified::<Proposal>::sign(block, last_round_tc.as_ref(), high_commit_qc, &self.key))
            }
        }
    }
}

/// §3.4 `safe_to_vote`, second clause, and `safe_to_extend`: the block extends the certificate of the round before, or it extends a
/// certificate at least as high as every one that the timeout certificate of the round before reports.
fn safe_to_extend(round: Round, qc: &QuorumCert, tc: Option<&Verified<TimeoutCert>>) -> bool {
    let consecutive = qc.round().next() == round;
    consecutive || tc.is_some_and(|tc| tc.round.next() == round && qc.round() >= tc.highest_qc_round())
}

#[cfg(test)]
mod tests;
