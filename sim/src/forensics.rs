//! B25, forensics: names the culprits of a fork, only from what honest validators have seen.
//!
//! Every signature that reaches an honest validator is recorded as a statement: "I voted for this block of this round, on a parent of that
//! round", "I gave up this round with a certificate of that round". Two statements of one validator convict it if no honest validator makes
//! both; anyone who holds both messages can prove it. If two blocks are committed at one height, any two quorums behind them share more than
//! f validators, and each of these has made two such statements.

use std::collections::BTreeMap;

use quorate_harness::contents::{self, Statement};
use quorate_types::{
    ids::ValidatorId,
    message::Message,
    round::Round,
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};
use serde::Serialize;

/// Two contradictory statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Contradiction {
    /// Two votes in one round.
    Votes {
        /// Round of both votes.
        round: u64,
    },
    /// Two timeouts of one round that name different certificates.
    Timeouts {
        /// Round of both timeouts.
        round: u64,
    },
    /// A vote on a certificate, and a timeout of the same or a later round that names an older certificate: it hides a lock.
    HiddenLock {
        /// Round of the vote.
        voted: u64,
        /// Round of the timeout.
        given_up: u64,
    },
    /// Two blocks proposed in one round.
    Proposals {
        /// Round of both proposals.
        round: u64,
    },
}

/// A validator that has contradicted itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Culprit {
    /// Id of the validator.
    pub validator: u16,
    /// The first contradiction found.
    pub contradiction: Contradiction,
}

#[derive(Debug, Default)]
struct Statements {
    votes: BTreeMap<Round, (VoteInfo, LedgerCommitInfo)>,
    timeouts: BTreeMap<Round, Round>,
    proposals: BTreeMap<Round, quorate_types::ids::BlockId>,
}

/// Statements seen by honest validators, and the culprits they convict.
#[derive(Debug, Default)]
pub struct Forensics {
    statements: BTreeMap<ValidatorId, Statements>,
    culprits: BTreeMap<ValidatorId, Contradiction>,
}

impl Forensics {
    /// Records the statements in a verified message that an honest validator received.
    pub fn saw(&mut self, message: &Message) {
        match contents::statement(message) {
            Some(Statement::Vote(vote)) => self.voted(vote.sender, vote.vote_info, vote.commit_info),
            Some(Statement::Timeout(timeout)) => {
                self.gave_up(timeout.timeout.sender, timeout.timeout.round, timeout.timeout.high_qc.round());
            }
            Some(Statement::Proposal(proposal)) => {
                let (author, round, id) = (proposal.block.author(), proposal.block.round(), proposal.block.id());
                let first = *self.statements.entry(author).or_default().proposals.entry(round).or_insert(id);
                if first != id {
                    self.convict(author, Contradiction::Proposals { round: round.0 });
                }
            }
            None => {}
        }
        if let Some(tc) = contents::timeout_cert(message) {
            for (signer, high_qc) in tc.signers.iter().zip(&tc.high_qc_rounds) {
                self.gave_up(signer, tc.round, *high_qc);
            }
        }
        contents::quorum_certs(message).for_each(|qc| self.quorum_cert(qc));
    }

    /// Records a certificate by which an honest validator committed.
    pub fn quorum_cert(&mut self, qc: &QuorumCert) {
        for signer in qc.signers.iter() {
            self.voted(signer, qc.vote_info, qc.commit_info);
        }
    }

    fn voted(&mut self, who: ValidatorId, vote: VoteInfo, commit: LedgerCommitInfo) {
        let statements = self.statements.entry(who).or_default();
        let first = *statements.votes.entry(vote.round).or_insert((vote, commit));
        let hidden = statements.timeouts.range(vote.round..).find(|(_, high_qc)| **high_qc < vote.parent_round).map(|(round, _)| *round);
        if first != (vote, commit) {
            self.convict(who, Contradiction::Votes { round: vote.round.0 });
        }
        if let Some(given_up) = hidden {
            self.convict(who, Contradiction::HiddenLock { voted: vote.round.0, given_up: given_up.0 });
        }
    }

    fn gave_up(&mut self, who: ValidatorId, round: Round, high_qc: Round) {
        let statements = self.statements.entry(who).or_default();
        let first = *statements.timeouts.entry(round).or_insert(high_qc);
        let hidden = statements.votes.range(..=round).find(|(_, (vote, _))| vote.parent_round > high_qc).map(|(round, _)| *round);
        if first != high_qc {
            self.convict(who, Contradiction::Timeouts { round: round.0 });
        }
        if let Some(voted) = hidden {
            self.convict(who, Contradiction::HiddenLock { voted: voted.0, given_up: round.0 });
        }
    }

    /// Keeps the first contradiction, but replaces two proposals by a later one: only votes and timeouts make forks.
    fn convict(&mut self, who: ValidatorId, contradiction: Contradiction) {
        let known = self.culprits.entry(who).or_insert_with(|| contradiction.clone());
        if matches!(known, Contradiction::Proposals { .. }) {
            *known = contradiction;
        }
    }

    /// Every validator that has contradicted itself.
    #[must_use]
    pub fn culprits(&self) -> Vec<Culprit> {
        let named = |(id, contradiction): (&ValidatorId, &Contradiction)| Culprit { validator: id.0, contradiction: contradiction.clone() };
        self.culprits.iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Hash, ids::BlockId};

    use quorate_harness::invariants::examples;

    use super::*;

    fn id(number: u8) -> BlockId {
        BlockId(Hash([number; 32]))
    }

    fn named(messages: &[Message]) -> Vec<(u16, Contradiction)> {
        let mut forensics = Forensics::default();
        for message in messages {
            forensics.saw(message);
        }
        forensics.culprits().into_iter().map(|culprit| (culprit.validator, culprit.contradiction)).collect()
    }

    #[test]
    fn nobody_is_named_for_what_honest_validators_say() {
        let vote = examples::vote(1, 5, 4, id(5));
        let messages = [
            vote.clone(),
            vote,
            examples::timeout(1, 5, 4),
            examples::timeout(1, 6, 4),
            examples::timeout(1, 6, 4),
            examples::vote(1, 7, 5, id(7)),
        ];
        assert_eq!(named(&messages), []);
    }

    #[test]
    fn the_voters_of_both_certificates_of_a_round_are_named() {
        let certificates = [examples::qc(5, 4, id(5), &[0, 1, 2]), examples::qc(5, 4, id(6), &[1, 2, 3])];
        let messages: Vec<Message> = certificates.into_iter().map(examples::sync_info).collect();
        assert_eq!(named(&messages), [1, 2].map(|who| (who, Contradiction::Votes { round: 5 })));
    }

    #[test]
    fn a_hidden_lock_is_found_in_either_order() {
        // It voted for a block on the certificate of round 4, and later claims to know none above round 3.
        let (vote, timeout) = (examples::vote(1, 5, 4, id(5)), examples::timeout(1, 8, 3));
        let lock = Contradiction::HiddenLock { voted: 5, given_up: 8 };
        assert_eq!(named(&[vote.clone(), timeout.clone()]), [(1, lock.clone())]);
        assert_eq!(named(&[timeout, vote]), [(1, lock)]);
    }

    #[test]
    fn two_timeouts_and_two_proposals_are_found() {
        assert_eq!(named(&[examples::timeout(1, 8, 3), examples::timeout(1, 8, 4)]), [(1, Contradiction::Timeouts { round: 8 })]);
        let proposals = [examples::proposal(2, 8, 7, None).0, examples::proposal(2, 8, 6, Some((7, 6))).0];
        assert_eq!(named(&proposals), [(2, Contradiction::Proposals { round: 8 })]);
    }
}
