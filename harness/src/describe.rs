//! Messages as the trace shows them.

use quorate_types::{
    governance::{ChainOperation, Change},
    ids::ValidatorId,
    message::{CatchupResponse, Message},
};

/// A one-line description of a message.
pub fn message(message: &Message) -> String {
    match message {
        Message::Proposal(proposal) => {
            let tc = proposal.last_round_tc.as_ref().map_or_else(String::new, |tc| format!(", {tc:?}"));
            format!("proposal: {:?}{tc}", proposal.block)
        }
        Message::Vote(vote) => {
            let commit = if vote.commit_info.commit_state_id.is_some() { ", would commit its parent" } else { "" };
            format!("vote: round {} block {:?} result {:?}{commit}", vote.vote_info.round, vote.vote_info.id, vote.vote_info.exec_state_id)
        }
        Message::Timeout(timeout) => {
            let tc = timeout.last_round_tc.as_ref().map_or_else(String::new, |tc| format!(", {tc:?}"));
            format!("timeout: round {} with {:?}{tc}", timeout.timeout.round, timeout.timeout.high_qc)
        }
        Message::SyncInfo(info) => format!("sync info: {:?}, {:?}, {:?}", info.high_qc, info.high_commit_qc, info.last_round_tc),
        Message::FetchRequest(request) => format!("fetch: block {:?} down to above round {}", request.block_id, request.above),
        Message::FetchResponse(response) => format!("fetched: {} blocks for {:?}", response.blocks.len(), response.block_id),
        Message::CatchupRequest(request) => format!("catch up: from height {}", request.from),
        Message::CatchupResponse(response) => {
            let CatchupResponse { from, blocks, headers, commit_qc } = &**response;
            format!("caught up: {} blocks from height {from}, {} headers, {commit_qc:?}", blocks.len(), headers.len())
        }
        Message::RecoveryRequest(_) => "recovery request".into(),
        Message::RecoveryAnswer(answer) => {
            let info = &answer.certificates;
            format!("recovery answer: {:?}, {:?}, {:?}", info.high_qc, info.high_commit_qc, info.last_round_tc)
        }
        Message::SightingsRequest => "sightings request".into(),
        Message::Sightings(seen) => {
            let vote = seen.vote.map(|vote| vote.vote_info.round.0);
            let timeout = seen.timeout.map(|timeout| timeout.round.0);
            let proposal = seen.proposal.map(|proposal| proposal.head.round.0);
            format!("sightings of {}: vote {vote:?}, timeout {timeout:?}, proposal {proposal:?}", validator(seen.of))
        }
    }
}

/// A validator's name in traces.
#[must_use]
pub fn validator(id: ValidatorId) -> String {
    format!("v{id}")
}

/// The kind of a message, for counting in reports.
#[must_use]
pub fn kind(message: &Message) -> &'static str {
    match message {
        Message::Proposal(proposal) if proposal.last_round_tc.is_some() => "proposal after a timeout",
        Message::Proposal(_) => "proposal",
        Message::Vote(_) => "vote",
        Message::Timeout(timeout) if timeout.last_round_tc.is_some() => "timeout after a timeout",
        Message::Timeout(_) => "timeout",
        Message::SyncInfo(_) => "sync info",
        Message::FetchRequest(_) => "fetch request",
        Message::FetchResponse(response) if response.blocks.is_empty() => "nothing fetched",
        Message::FetchResponse(_) => "blocks fetched",
        Message::CatchupRequest(_) => "catch-up request",
        Message::CatchupResponse(response) if response.blocks.is_empty() => "nothing newer",
        Message::CatchupResponse(response) if response.headers.is_empty() => "blocks caught up",
        Message::CatchupResponse(_) => "blocks caught up in part",
        Message::RecoveryRequest(_) => "recovery request",
        Message::RecoveryAnswer(_) => "recovery answer",
        Message::SightingsRequest => "sightings request",
        Message::Sightings(_) => "sightings",
    }
}

/// A one-line description of what an operator wants.
pub(crate) fn operation(operation: Option<&ChainOperation>) -> String {
    match operation {
        Some(ChainOperation::Propose(change)) => match &**change {
            Change::Power { seat, power } => format!("proposes power {} for seat {seat}", power.0),
            Change::Add(entry) => format!("proposes to add {} with power {}", entry.validator.name, entry.validator.power.0),
            Change::Remove { seat, .. } => format!("proposes to remove seat {seat}"),
            Change::Replace { seat, entry } => format!("proposes {} at {} for seat {seat}", entry.validator.name, entry.validator.address),
            Change::Parameters(change) => format!("proposes {change:?}"),
            Change::Permit { account, change } => format!("proposes {change:?} for {account}"),
            Change::Authority(authority) => format!("proposes {authority:?}"),
            Change::Version(version) => format!("proposes protocol version {version}"),
        },
        Some(ChainOperation::Approve(id)) => format!("approves {id}"),
        Some(ChainOperation::Reject(id)) => format!("rejects {id}"),
        Some(ChainOperation::Withdraw(id)) => format!("withdraws {id}"),
        Some(ChainOperation::Permit { account, change }) => format!("{change:?} for {account}"),
        Some(ChainOperation::Move { seat, address }) => format!("moves seat {seat} to {address}"),
        Some(ChainOperation::Speak(version)) => format!("speaks protocol version {version}"),
        None => "nothing that decodes".into(),
    }
}
