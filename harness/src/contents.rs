//! What a message carries: a statement, blocks, certificates. All code that looks into messages uses these functions, so that nothing in a
//! message is overlooked, and a new kind of message is added here and not in every search.

use quorate_types::{
    block::{Block, Proposal},
    crypto::Signature,
    ids::ValidatorId,
    message::{CatchupResponse, Message},
    round::{Height, Round},
    timeout::{TimeoutCert, TimeoutMessage},
    vote::{QuorumCert, Vote},
};

use crate::disk::DurableRecord;

/// What a sender signs in a round.
#[derive(Clone, Copy, Debug)]
pub enum Statement<'a> {
    /// A leader proposes a block.
    Proposal(&'a Proposal),
    /// A validator votes for a block.
    Vote(&'a Vote),
    /// A validator gives up a round.
    Timeout(&'a TimeoutMessage),
}

/// The statement in a message, if it is one.
#[must_use]
pub fn statement(message: &Message) -> Option<Statement<'_>> {
    match message {
        Message::Proposal(proposal) => Some(Statement::Proposal(proposal)),
        Message::Vote(vote) => Some(Statement::Vote(vote)),
        Message::Timeout(timeout) => Some(Statement::Timeout(timeout)),
        Message::SyncInfo(_)
        | Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::CatchupResponse(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::RecoveryAnswer(_)
        | Message::Sightings(_) => None,
    }
}

/// The blocks of an answer to a request for blocks; `None` for other messages.
#[must_use]
pub fn answered_blocks(message: &Message) -> Option<&[Block]> {
    match message {
        Message::FetchResponse(response) => Some(&response.blocks),
        Message::CatchupResponse(response) => Some(&response.blocks),
        Message::Proposal(_)
        | Message::Vote(_)
        | Message::Timeout(_)
        | Message::SyncInfo(_)
        | Message::FetchRequest(_)
        | Message::CatchupRequest(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::RecoveryAnswer(_)
        | Message::Sightings(_) => None,
    }
}

/// An answer of committed blocks with its blocks removed. Other messages are returned unchanged.
#[must_use]
pub fn without_blocks(message: &Message) -> Message {
    if let Message::CatchupResponse(response) = message { nothing_from(response.from) } else { message.clone() }
}

/// The answer that there are no committed blocks from `height` on.
#[must_use]
pub fn nothing_from(height: Height) -> Message {
    Message::CatchupResponse(Box::new(CatchupResponse::nothing_from(height)))
}

/// The sender's own signature, if the message has one.
pub fn signature_mut(message: &mut Message) -> Option<&mut Signature> {
    match message {
        Message::Proposal(proposal) => Some(&mut proposal.signature),
        Message::Vote(vote) => Some(&mut vote.signature),
        Message::Timeout(timeout) => Some(&mut timeout.timeout.signature),
        Message::SyncInfo(_)
        | Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::CatchupResponse(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::RecoveryAnswer(_)
        | Message::Sightings(_) => None,
    }
}

/// Every block in a message.
pub(crate) fn blocks(message: &Message) -> &[Block] {
    match statement(message) {
        Some(Statement::Proposal(proposal)) => std::slice::from_ref(&proposal.block),
        Some(Statement::Vote(_) | Statement::Timeout(_)) | None => answered_blocks(message).unwrap_or_default(),
    }
}

/// Every quorum certificate in a message: its own, those in its blocks, and the one in its timeout certificate.
pub fn quorum_certs(message: &Message) -> impl Iterator<Item = &QuorumCert> {
    let own = match message {
        Message::Proposal(proposal) => [Some(&proposal.high_commit_qc), None],
        Message::Vote(vote) => [Some(&vote.high_commit_qc), None],
        Message::Timeout(timeout) => [Some(&timeout.timeout.high_qc), Some(&timeout.high_commit_qc)],
        Message::SyncInfo(info) => [Some(&info.high_qc), Some(&info.high_commit_qc)],
        Message::RecoveryAnswer(answer) => [Some(&answer.certificates.high_qc), Some(&answer.certificates.high_commit_qc)],
        Message::CatchupResponse(response) => [response.commit_qc.as_ref(), None],
        Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::SightingsRequest
        | Message::RecoveryRequest(_)
        | Message::Sightings(_) => [None, None],
    };
    let of_tc = timeout_cert(message).map(|tc| &tc.high_qc);
    blocks(message).iter().map(Block::qc).chain(own.into_iter().flatten()).chain(of_tc)
}

/// The timeout certificate in a message.
#[must_use]
pub fn timeout_cert(message: &Message) -> Option<&TimeoutCert> {
    match message {
        Message::Proposal(proposal) => proposal.last_round_tc.as_ref(),
        Message::Timeout(timeout) => timeout.last_round_tc.as_ref(),
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

/// Whether a message proves that validator `of` signed a statement of a later round than its record remembers for that kind.
pub(crate) fn shows_beyond(message: &Message, of: ValidatorId, record: DurableRecord) -> bool {
    // A record of an earlier epoch remembers nothing of this one.
    let record = if message.epoch().is_some_and(|epoch| epoch.0 != record.epoch) { DurableRecord::default() } else { record };
    let (voted, gave_up) = (record.last_vote_round.unwrap_or(0), record.last_timeout_round.unwrap_or(0));
    let in_qcs = quorum_certs(message).any(|qc| qc.signers.contains(of) && qc.round().0 > voted);
    let in_tc = timeout_cert(message).is_some_and(|tc| tc.signers.contains(of) && tc.round.0 > gave_up);
    let said = statement(message).is_some_and(|statement| match statement {
        Statement::Proposal(proposal) => proposal.block.author() == of && proposal.block.round().0 > record.last_proposed_round,
        Statement::Vote(vote) => vote.sender == of && vote.vote_info.round.0 > voted,
        Statement::Timeout(message) => message.timeout.sender == of && message.timeout.round.0 > gave_up,
    });
    let told = matches!(message, Message::Sightings(seen) if seen.of == of
        && (seen.vote.is_some_and(|vote| vote.vote_info.round.0 > voted)
            || seen.timeout.is_some_and(|timeout| timeout.round.0 > gave_up)
            || seen.proposal.is_some_and(|proposal| proposal.head.round.0 > record.last_proposed_round)));
    in_qcs || in_tc || said || told
}

/// The round of a proposal, vote or timeout. Other messages have none.
#[must_use]
pub fn round_of(message: &Message) -> Option<Round> {
    statement(message).map(|statement| match statement {
        Statement::Proposal(proposal) => proposal.block.round(),
        Statement::Vote(vote) => vote.vote_info.round,
        Statement::Timeout(timeout) => timeout.timeout.round,
    })
}

#[cfg(test)]
mod tests {
    use quorate_types::ids::BlockId;

    use super::*;
    use crate::invariants::examples;

    #[test]
    fn no_certificate_of_a_message_is_missed() {
        let rounds = |message: &Message| quorum_certs(message).map(|qc| qc.round().0).collect::<Vec<_>>();
        let (proposal, _) = examples::proposal(1, 9, 6, Some((8, 5)));
        assert_eq!(rounds(&proposal), [6, 0, 5], "of the block, of the last commit, of the timeout certificate");
        assert_eq!(rounds(&examples::timeout(1, 9, 8)), [8, 0]);
        assert_eq!(timeout_cert(&proposal).map(|tc| tc.round), Some(Round(8)));
        assert_eq!((round_of(&proposal), blocks(&proposal).len()), (Some(Round(9)), 1));
    }

    #[test]
    fn what_a_record_does_not_reach_is_told_by_kind() {
        let record = DurableRecord { last_proposed_round: 3, last_vote_round: Some(5), last_timeout_round: Some(4), ..Default::default() };
        let shows = |message: &Message| shows_beyond(message, ValidatorId(1), record);
        for (message, beyond) in [
            (examples::vote(1, 5, 4, BlockId::default()), false),
            (examples::vote(1, 6, 5, BlockId::default()), true),
            (examples::vote(2, 6, 5, BlockId::default()), false),
            (examples::timeout(1, 4, 3), false),
            (examples::timeout(1, 5, 4), true),
            (examples::proposal(1, 3, 2, None).0, false),
            (examples::proposal(1, 4, 3, None).0, true),
        ] {
            assert_eq!(shows(&message), beyond, "{message:?}");
        }
    }
}
