//! What a message carries: blocks, certificates, a round. One list for all who look into messages, so that nothing in a message is looked
//! at by some and missed by others.

use quorate_types::{block::Block, message::Message, round::Round, timeout::TimeoutCert, vote::QuorumCert};

/// Every block in it.
pub(crate) fn blocks(message: &Message) -> &[Block] {
    match message {
        Message::Proposal(proposal) => std::slice::from_ref(&proposal.block),
        Message::FetchResponse(response) => &response.blocks,
        Message::CatchupResponse(response) => &response.blocks,
        Message::Vote(_) | Message::Timeout(_) | Message::SyncInfo(_) | Message::FetchRequest(_) | Message::CatchupRequest(_) => &[],
    }
}

/// Every quorum certificate in it: those of its own, those in its blocks, and the one in its timeout certificate.
pub(crate) fn quorum_certs(message: &Message) -> impl Iterator<Item = &QuorumCert> {
    let own = match message {
        Message::Proposal(proposal) => [Some(&proposal.high_commit_qc), None],
        Message::Vote(vote) => [Some(&vote.high_commit_qc), None],
        Message::Timeout(timeout) => [Some(&timeout.timeout.high_qc), Some(&timeout.high_commit_qc)],
        Message::SyncInfo(info) => [Some(&info.high_qc), Some(&info.high_commit_qc)],
        Message::CatchupResponse(response) => [response.commit_qc.as_ref(), None],
        Message::FetchRequest(_) | Message::FetchResponse(_) | Message::CatchupRequest(_) => [None, None],
    };
    let of_tc = timeout_cert(message).map(|tc| &tc.high_qc);
    blocks(message).iter().map(Block::qc).chain(own.into_iter().flatten()).chain(of_tc)
}

/// The timeout certificate in it.
pub(crate) fn timeout_cert(message: &Message) -> Option<&TimeoutCert> {
    match message {
        Message::Proposal(proposal) => proposal.last_round_tc.as_ref(),
        Message::Timeout(timeout) => timeout.last_round_tc.as_ref(),
        Message::SyncInfo(info) => info.last_round_tc.as_ref(),
        Message::Vote(_)
        | Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::CatchupResponse(_) => None,
    }
}

/// The round that its sender signs in: of a proposal, a vote or a timeout. Whatever else is sent is of no round.
pub(crate) fn round_of(message: &Message) -> Option<Round> {
    match message {
        Message::Proposal(proposal) => Some(proposal.block.round()),
        Message::Vote(vote) => Some(vote.vote_info.round),
        Message::Timeout(timeout) => Some(timeout.timeout.round),
        Message::SyncInfo(_)
        | Message::FetchRequest(_)
        | Message::FetchResponse(_)
        | Message::CatchupRequest(_)
        | Message::CatchupResponse(_) => None,
    }
}

#[cfg(test)]
mod tests {
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
}
