//! The signatures in the messages we receive: our own that we do not remember (SAFE-6), and the newest of each validator, for when it asks.
//!
//! Only verified messages get here, so every statement in them was signed by the validator it names. A certificate counts like the votes or
//! timeouts in it: most votes reach only their collector, and everyone else sees them in the certificate.

use std::collections::{BTreeMap, VecDeque};

use quorate_consensus::safety::SafetyRecord;
use quorate_types::{
    block::Block,
    committee::SignerSet,
    ids::{GenesisHash, ValidatorId},
    message::Message,
    round::{Epoch, Round},
    sighting::{SeenProposal, SeenTimeout, SeenVote, Sightings, Statement},
    timeout::TimeoutCert,
    vote::QuorumCert,
};

/// How many recently examined certificates to recognise: all messages of a round carry the same few.
const RECENT_MAX: usize = 8;

/// The first statement in a message that carries our signature, that our record does not cover, and that we have not forgotten.
pub(crate) fn foreign(message: &Message, me: ValidatorId, record: &SafetyRecord, forgotten: impl Fn(Round) -> bool) -> Option<Statement> {
    statements(message, me, record.scope()).into_iter().find(|statement| !forgotten(statement.round()) && !record.covers(statement))
}

/// The statements in a message that a validator has signed.
fn statements(message: &Message, of: ValidatorId, (genesis_hash, epoch): (GenesisHash, Epoch)) -> Vec<Statement> {
    let mut found: Vec<Statement> = quorum_certs(message)
        .filter(|qc| qc.signers.contains(of))
        .map(|qc| Statement::Vote(qc.vote_info, qc.commit_info))
        .chain(timeout_cert(message).and_then(|tc| {
            let position = tc.signers.iter().position(|signer| signer == of)?;
            Some(Statement::Timeout { round: tc.round, high_qc_round: *tc.high_qc_rounds.get(position)? })
        }))
        .collect();
    let proposed = |block: &Block| Statement::Proposal { round: block.round(), id: block.id() };
    match message {
        Message::Proposal(proposal) if proposal.block.author() == of => found.push(proposed(&proposal.block)),
        Message::Vote(vote) if vote.sender == of => found.push(Statement::Vote(vote.vote_info, vote.commit_info)),
        Message::Timeout(message) if message.timeout.sender == of => {
            let timeout = &message.timeout;
            found.push(Statement::Timeout { round: timeout.round, high_qc_round: timeout.high_qc.round() });
        }
        // Honest validators voted for a certified block, and had it with its author's signature. A block is certified if another one follows
        // it; the newest fetched block is only what its sender claims.
        Message::FetchResponse(response) => {
            found.extend(response.blocks.iter().skip(1).filter(|block| block.author() == of).map(proposed));
        }
        Message::CatchupResponse(response) => found.extend(response.blocks.iter().filter(|block| block.author() == of).map(proposed)),
        Message::Sightings(sightings) if sightings.of == of => {
            found.extend(sightings.vote.map(|vote| Statement::Vote(vote.vote_info, vote.commit_info)));
            let timeout = |seen: SeenTimeout| Statement::Timeout { round: seen.round, high_qc_round: seen.high_qc_round };
            found.extend(sightings.timeout.map(timeout));
            let proposal = |seen: SeenProposal| Statement::Proposal { round: seen.head.round, id: seen.head.id(genesis_hash, epoch) };
            found.extend(sightings.proposal.map(proposal));
        }
        Message::Proposal(_)
        | Message::Vote(_)
        | Message::Timeout(_)
        | Message::SyncInfo(_)
        | Message::FetchRequest(_)
        | Message::CatchupRequest(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::RecoveryAnswer(_)
        | Message::Sightings(_) => {}
    }
    found
}

/// Every quorum certificate in a message.
fn quorum_certs(message: &Message) -> impl Iterator<Item = &QuorumCert> {
    let (blocks, own): (&[Block], [Option<&QuorumCert>; 2]) = match message {
        Message::Proposal(proposal) => (std::slice::from_ref(&proposal.block), [Some(&proposal.high_commit_qc), None]),
        Message::Vote(vote) => (&[], [Some(&vote.high_commit_qc), None]),
        Message::Timeout(message) => (&[], [Some(&message.timeout.high_qc), Some(&message.high_commit_qc)]),
        Message::SyncInfo(info) => (&[], [Some(&info.high_qc), Some(&info.high_commit_qc)]),
        Message::FetchResponse(response) => (&response.blocks, [None, None]),
        Message::CatchupResponse(response) => (&response.blocks, [response.commit_qc.as_ref(), None]),
        Message::RecoveryAnswer(answer) => (&[], [Some(&answer.certificates.high_qc), Some(&answer.certificates.high_commit_qc)]),
        Message::FetchRequest(_)
        | Message::CatchupRequest(_)
        | Message::SightingsRequest
        | Message::Sightings(_)
        | Message::RecoveryRequest(_) => (&[], [None, None]),
    };
    let of_tc = timeout_cert(message).map(|tc| &tc.high_qc);
    blocks.iter().map(Block::qc).chain(own.into_iter().flatten()).chain(of_tc)
}

/// The timeout certificate in a message.
fn timeout_cert(message: &Message) -> Option<&TimeoutCert> {
    match message {
        Message::Proposal(proposal) => proposal.last_round_tc.as_ref(),
        Message::Timeout(message) => message.last_round_tc.as_ref(),
        Message::SyncInfo(info) => info.last_round_tc.as_ref(),
        Message::RecoveryAnswer(answer) => answer.certificates.last_round_tc.as_ref(),
        Message::Vote(_)
        | Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::CatchupResponse(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::Sightings(_) => None,
    }
}

/// The newest statements of every validator. Bounded by the committee: one of each kind per member.
#[derive(Debug)]
pub(crate) struct Seen {
    epoch: Epoch,
    newest: BTreeMap<ValidatorId, Sightings>,
    /// The certificates examined last: whether of timeouts, round, signers.
    recent: VecDeque<(bool, Round, SignerSet)>,
}

impl Seen {
    /// Nothing of this epoch has been seen.
    pub(crate) const fn new(epoch: Epoch) -> Self {
        Self { epoch, newest: BTreeMap::new(), recent: VecDeque::new() }
    }

    /// What was seen of a validator.
    pub(crate) fn of(&self, id: ValidatorId) -> Sightings {
        self.newest.get(&id).copied().unwrap_or_else(|| Sightings::none(self.epoch, id))
    }

    /// Notes the statements in a verified message.
    pub(crate) fn note(&mut self, message: &Message) {
        for qc in quorum_certs(message) {
            self.note_qc(qc);
        }
        if let Some(tc) = timeout_cert(message) {
            self.note_tc(tc);
        }
        match message {
            Message::Proposal(proposal) => {
                let seen = SeenProposal::from(proposal.as_ref());
                let newest = &mut self.entry(proposal.block.author()).proposal;
                if newest.is_none_or(|newest| newest.head.round < seen.head.round) {
                    *newest = Some(seen);
                }
            }
            Message::Vote(vote) => {
                self.note_vote(vote.sender, vote.as_ref().into());
            }
            Message::Timeout(message) => {
                self.note_timeout(message.timeout.sender, (&message.timeout).into());
            }
            Message::SyncInfo(_)
            | Message::FetchRequest(_)
            | Message::FetchResponse(_)
            | Message::CatchupRequest(_)
            | Message::CatchupResponse(_)
            | Message::SightingsRequest
            | Message::RecoveryRequest(_)
            | Message::RecoveryAnswer(_)
            // Peers tell what they have seen to the validator it concerns.
            | Message::Sightings(_) => {}
        }
    }

    /// Notes the votes in a verified certificate.
    pub(crate) fn note_qc(&mut self, qc: &QuorumCert) {
        if self.is_news(false, qc.round(), qc.signers) {
            for (signer, signature) in qc.signers.iter().zip(&qc.signatures) {
                self.note_vote(signer, SeenVote { vote_info: qc.vote_info, commit_info: qc.commit_info, signature: *signature });
            }
        }
    }

    /// Notes the timeouts in a verified certificate.
    pub(crate) fn note_tc(&mut self, tc: &TimeoutCert) {
        if self.is_news(true, tc.round, tc.signers) {
            for ((signer, high_qc_round), signature) in tc.signers.iter().zip(&tc.high_qc_rounds).zip(&tc.signatures) {
                let seen = SeenTimeout { epoch: tc.epoch, round: tc.round, high_qc_round: *high_qc_round, signature: *signature };
                self.note_timeout(signer, seen);
            }
        }
    }

    #[expect(clippy::large_types_passed_by_value, reason = "it is kept if it is news")]
    fn note_vote(&mut self, of: ValidatorId, seen: SeenVote) {
        let newest = &mut self.entry(of).vote;
        if newest.is_none_or(|newest| newest.vote_info.round < seen.vote_info.round) {
            *newest = Some(seen);
        }
    }

    fn note_timeout(&mut self, of: ValidatorId, seen: SeenTimeout) {
        let newest = &mut self.entry(of).timeout;
        if newest.is_none_or(|newest| newest.round < seen.round) {
            *newest = Some(seen);
        }
    }

    fn entry(&mut self, of: ValidatorId) -> &mut Sightings {
        self.newest.entry(of).or_insert_with(|| Sightings::none(self.epoch, of))
    }

    fn is_news(&mut self, of_timeouts: bool, round: Round, signers: SignerSet) -> bool {
        let certificate = (of_timeouts, round, signers);
        if self.recent.contains(&certificate) {
            return false;
        }
        self.recent.push_back(certificate);
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests;
