//! Changes one field of a message (like `ByzzFuzz` and LOKI). The message stays well-formed, and is signed again or not.

use quorate_types::{
    block::{Block, Proposal},
    crypto::Signature,
    ids::{BlockId, StateId, ValidatorId},
    message::{CatchupRequest, FetchRequest, Message, RecoveryRequest},
    round::{Epoch, Height, Round, UnixMillis},
    timeout::{TimeoutMessage, timeout_digest},
    vote::{QuorumCert, Vote},
};

use super::{Behaviour, Mind, Parcel, voters::invented};

/// See the module.
#[derive(Debug)]
pub(super) struct Mutate;

impl Behaviour for Mutate {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(message) = parcel.honest().cloned() else { return vec![parcel] };
        let mutated = mutate(mind, message);
        let mutated = mind.parcel(parcel.to.clone(), mutated);
        if mind.random.chance(500) { vec![mutated] } else { vec![mutated, parcel] }
    }

    /// Repeats old messages, unchanged or mutated.
    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let old: Vec<_> = mind.memory.messages.iter().cloned().collect();
        let Some(message) = mind.random.pick(&old) else { return Vec::new() };
        let message = if mind.random.chance(500) { (**message).clone() } else { mutate(mind, (**message).clone()) };
        vec![mind.parcel(mind.others(), message)]
    }
}

fn mutate(mind: &mut Mind<'_>, message: Message) -> Message {
    let sign = mind.random.chance(700);
    match message {
        Message::Proposal(proposal) => Message::Proposal(Box::new(mutate_proposal(mind, &proposal, sign))),
        Message::Vote(vote) => Message::Vote(Box::new(mutate_vote(mind, *vote, sign))),
        Message::Timeout(timeout) => Message::Timeout(Box::new(mutate_timeout(mind, *timeout, sign))),
        Message::SyncInfo(mut info) => {
            match mind.random.below(4) {
                0 => info.high_qc = another(mind, &info.high_qc),
                1 => info.high_commit_qc = another(mind, &info.high_commit_qc),
                2 => info.last_round_tc = mind.memory.tcs.front().cloned(),
                _ => std::mem::swap(&mut info.high_qc, &mut info.high_commit_qc),
            }
            Message::SyncInfo(info)
        }
        Message::FetchRequest(request) => Message::FetchRequest(match mind.random.below(2) {
            0 => FetchRequest { block_id: BlockId(invented(mind)), ..request },
            _ => FetchRequest { above: number(mind, request.above), ..request },
        }),
        Message::CatchupRequest(request) => Message::CatchupRequest(CatchupRequest { from: Height(number(mind, Round(request.from.0)).0) }),
        Message::FetchResponse(mut response) => {
            response.block_id = BlockId(invented(mind));
            Message::FetchResponse(response)
        }
        Message::CatchupResponse(mut response) => {
            response.from = Height(number(mind, Round(response.from.0)).0);
            Message::CatchupResponse(response)
        }
        Message::SightingsRequest => Message::SightingsRequest,
        Message::RecoveryRequest(_) => Message::RecoveryRequest(RecoveryRequest { nonce: invented(mind) }),
        Message::RecoveryAnswer(mut answer) => {
            match mind.random.below(3) {
                0 => answer.nonce = invented(mind),
                1 => answer.certificates.high_qc = another(mind, &answer.certificates.high_qc),
                _ => answer.certificates.last_round_tc = mind.memory.tcs.front().cloned(),
            }
            Message::RecoveryAnswer(answer)
        }
        Message::Sightings(mut sightings) => {
            match (mind.random.below(3), &mut sightings.timeout) {
                (0, _) => sightings.of = ValidatorId(u16::try_from(mind.random.below(5)).unwrap_or_default()),
                (1, Some(timeout)) => timeout.round = number(mind, timeout.round),
                (_, _) => sightings.vote = None,
            }
            Message::Sightings(sightings)
        }
    }
}

/// A number near this one, or at an end of the range.
fn number(mind: &mut Mind<'_>, round: Round) -> Round {
    let near = [0, 1, u64::MAX, round.0.saturating_add(1), round.0.saturating_sub(1), round.0.saturating_add(2), round.0 ^ (1 << 40)];
    Round(mind.random.pick(&near).copied().unwrap_or_default())
}

/// Another certificate seen earlier, or this one with a changed round.
fn another(mind: &mut Mind<'_>, qc: &QuorumCert) -> QuorumCert {
    let known: Vec<QuorumCert> = mind.memory.qcs.iter().cloned().collect();
    if let (true, Some(other)) = (mind.random.chance(700), mind.random.pick(&known)) {
        return other.clone();
    }
    let mut qc = qc.clone();
    qc.vote_info.round = number(mind, qc.vote_info.round);
    qc
}

fn mutate_proposal(mind: &mut Mind<'_>, proposal: &Proposal, sign: bool) -> Proposal {
    let mut content = proposal.block.content().clone();
    let mut changed = proposal.clone();
    match mind.random.below(9) {
        0 => content.round = number(mind, content.round),
        1 => content.timestamp = UnixMillis(number(mind, Round(content.timestamp.0)).0),
        2 => content.author = ValidatorId(u16::try_from(mind.random.below(12)).unwrap_or(0)),
        3 => content.epoch = Epoch(content.epoch.0.saturating_add(1)),
        4 => content.qc = another(mind, &content.qc),
        5 => {
            let twice: Vec<_> = content.payload.iter().cloned().chain(content.payload.iter().cloned()).collect();
            content.payload = quorate_types::codec::Bounded::truncated(twice);
        }
        6 => {
            changed.last_round_tc = match changed.last_round_tc {
                Some(_) => None,
                None => mind.memory.tcs.back().cloned(),
            }
        }
        7 => changed.high_commit_qc = another(mind, &changed.high_commit_qc),
        _ => changed.signature = Signature([3; 64]),
    }
    changed.block = Block::new(content);
    if sign {
        changed.signature = mind.key.sign(&changed.block.proposal_digest());
    }
    changed
}

fn mutate_vote(mind: &mut Mind<'_>, mut vote: Vote, sign: bool) -> Vote {
    match mind.random.below(8) {
        0 => vote.vote_info.round = number(mind, vote.vote_info.round),
        1 => vote.vote_info.id = BlockId(invented(mind)),
        2 => vote.vote_info.parent_id = BlockId(invented(mind)),
        3 => vote.vote_info.parent_round = number(mind, vote.vote_info.parent_round),
        4 => vote.vote_info.exec_state_id = StateId(invented(mind)),
        5 => vote.commit_info.commit_state_id = vote.commit_info.commit_state_id.map_or(Some(vote.vote_info.exec_state_id), |_| None),
        6 => vote.high_commit_qc = another(mind, &vote.high_commit_qc),
        _ => vote.sender = ValidatorId(u16::try_from(mind.random.below(12)).unwrap_or(0)),
    }
    if sign {
        vote.commit_info.vote_info_hash = vote.vote_info.digest();
        vote.signature = mind.key.sign(&vote.commit_info.digest());
    }
    vote
}

fn mutate_timeout(mind: &mut Mind<'_>, mut message: TimeoutMessage, sign: bool) -> TimeoutMessage {
    let timeout = &mut message.timeout;
    match mind.random.below(6) {
        0 => timeout.round = number(mind, timeout.round),
        1 => timeout.high_qc = another(mind, &timeout.high_qc),
        2 => timeout.epoch = Epoch(timeout.epoch.0.saturating_add(1)),
        3 => timeout.sender = ValidatorId(u16::try_from(mind.random.below(12)).unwrap_or(0)),
        4 => message.last_round_tc = mind.memory.tcs.back().cloned(),
        _ => message.high_commit_qc = another(mind, &message.high_commit_qc),
    }
    if sign {
        let timeout = &mut message.timeout;
        timeout.signature = mind.key.sign(&timeout_digest(mind.genesis_hash, timeout.epoch, timeout.round, timeout.high_qc.round()));
    }
    message
}
