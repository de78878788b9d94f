//! Rewrites a faulty validator's messages and signs them again with its key, so that only the rules of the protocol can reject them.

use quorate_harness::contents::{self, Statement};
use quorate_types::{
    block::{Block, BlockContent, Payload, Proposal},
    codec::Bounded,
    crypto::SigningKey,
    message::{FetchResponse, Message},
    round::{Round, UnixMillis},
    timeout::{TimeoutMessage, timeout_digest},
    vote::{QuorumCert, Vote},
};

/// The message as sent by a validator that believes it is in another round.
pub(crate) fn claim_round(message: &Message, round: Round, key: &SigningKey) -> Message {
    match contents::statement(message) {
        Some(Statement::Proposal(proposal)) => {
            let content = BlockContent { round, ..proposal.block.content().clone() };
            propose(proposal, content, key)
        }
        Some(Statement::Vote(vote)) => {
            let mut vote = vote.clone();
            vote.vote_info.round = round;
            // Recomputed for the claimed round, as the deluded validator would.
            vote.commit_info.commit_state_id = vote.vote_info.commits_parent().then_some(vote.vote_info.exec_state_id);
            Message::Vote(Box::new(sign_vote(vote, key)))
        }
        Some(Statement::Timeout(timeout)) => {
            let mut timeout = timeout.clone();
            timeout.timeout.round = round;
            Message::Timeout(Box::new(sign_timeout(timeout, key)))
        }
        None => message.clone(),
    }
}

/// The message as sent by a validator whose high QC is of another round: a real certificate if one is known, else a forged one.
pub(crate) fn claim_certificate(message: &Message, round: Round, known: Option<&QuorumCert>, key: &SigningKey) -> Message {
    let certificate = |own: &QuorumCert| {
        known.cloned().unwrap_or_else(|| {
            let mut forged = own.clone();
            forged.vote_info.round = round;
            forged
        })
    };
    match contents::statement(message) {
        Some(Statement::Proposal(proposal)) => {
            let content = BlockContent { qc: certificate(proposal.block.qc()), ..proposal.block.content().clone() };
            propose(proposal, content, key)
        }
        Some(Statement::Timeout(timeout)) => {
            let mut timeout = timeout.clone();
            timeout.timeout.high_qc = certificate(&timeout.timeout.high_qc);
            Message::Timeout(Box::new(sign_timeout(timeout, key)))
        }
        Some(Statement::Vote(_)) | None => {
            let mut own = message.clone();
            if let Message::SyncInfo(info) = &mut own {
                info.high_qc = certificate(&info.high_qc);
            }
            own
        }
    }
}

/// The same vote for a made-up result.
pub(crate) fn other_result(vote: &Vote, key: &SigningKey) -> Message {
    let mut vote = vote.clone();
    for byte in &mut vote.vote_info.exec_state_id.0.0 {
        *byte = !*byte;
    }
    Message::Vote(Box::new(sign_vote(vote, key)))
}

/// A second block of the same round.
pub(crate) fn other_block(proposal: &Proposal, key: &SigningKey) -> Message {
    let content = proposal.block.content();
    let timestamp = UnixMillis(content.timestamp.0.saturating_add(1));
    let payload: Payload = Bounded::truncated(Vec::new());
    propose(proposal, BlockContent { timestamp, payload, ..content.clone() }, key)
}

/// The same message with a bad signature.
pub(crate) fn spoil(message: &Message) -> Message {
    let mut spoilt = message.clone();
    if let Some(first) = contents::signature_mut(&mut spoilt).and_then(|signature| signature.0.first_mut()) {
        *first = !*first;
    }
    spoilt
}

/// A truncated response: a fetch response without its last `blocks` blocks, a catch-up response without any.
pub(crate) fn withhold(message: &Message, blocks: u64) -> Message {
    let blocks = usize::try_from(blocks).unwrap_or(usize::MAX);
    if let Message::FetchResponse(response) = message {
        // The requested block comes first; without it the response would be empty. So the oldest ancestors go.
        let kept: Vec<Block> = response.blocks.iter().take(response.blocks.len().saturating_sub(blocks)).cloned().collect();
        Message::FetchResponse(Box::new(FetchResponse { block_id: response.block_id, blocks: Bounded::truncated(kept) }))
    } else {
        // The certificate commits the last block; without that block it proves nothing in the response.
        contents::without_blocks(message)
    }
}

fn propose(old: &Proposal, content: BlockContent, key: &SigningKey) -> Message {
    let block = Block::new(content);
    let signature = key.sign(&block.proposal_digest());
    Message::Proposal(Box::new(Proposal { block, signature, ..old.clone() }))
}

fn sign_vote(mut vote: Vote, key: &SigningKey) -> Vote {
    vote.commit_info.vote_info_hash = vote.vote_info.digest();
    vote.signature = key.sign(&vote.commit_info.digest());
    vote
}

fn sign_timeout(mut message: TimeoutMessage, key: &SigningKey) -> TimeoutMessage {
    let timeout = &mut message.timeout;
    let genesis_hash = timeout.high_qc.commit_info.genesis_hash;
    timeout.signature = key.sign(&timeout_digest(genesis_hash, timeout.epoch, timeout.round, timeout.high_qc.round()));
    message
}
