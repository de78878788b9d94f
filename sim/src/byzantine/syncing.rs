//! Lying responses: B19.

use std::ops::Range;

use quorate_types::{
    block::Block,
    codec::Bounded,
    ids::ValidatorId,
    message::{CatchupResponse, FetchResponse, Message, Purpose},
    round::Height,
};

use super::{Behaviour, Mind, Parcel};

/// B19: responds with other blocks than requested, with gaps, in the wrong order, from another height, with another certificate, with
/// nothing, or with less than there is; and sends unsolicited responses.
#[derive(Debug)]
pub(super) struct Poison;

fn altered(mind: &mut Mind<'_>, blocks: &[Block]) -> Vec<Block> {
    let mut blocks = blocks.to_vec();
    match mind.random.below(5) {
        0 => blocks.clear(),
        1 => blocks.reverse(),
        2 => {
            let at = mind.random.index(blocks.len());
            if at < blocks.len() {
                blocks.remove(at);
            }
        }
        3 => blocks.extend(mind.memory.blocks.iter().cloned()),
        _ => {
            let at = mind.random.index(blocks.len());
            if let Some(block) = blocks.get_mut(at) {
                let mut content = block.content().clone();
                content.timestamp = content.timestamp.next();
                *block = Block::new(content);
            }
        }
    }
    blocks
}

/// Some of the blocks of a true response, with the headers that prove them: a valid response.
fn part(mind: &Mind<'_>, answer: &CatchupResponse, blocks: Range<usize>) -> Option<CatchupResponse> {
    let from = Height(answer.from.0.saturating_add(u64::try_from(blocks.start).ok()?));
    let blocks = answer.blocks.get(blocks)?;
    let (committed, ..) = answer.commit_qc.as_ref()?.commits()?;
    let headers = mind.memory.headers_between(blocks.last()?.id(), committed)?;
    let (blocks, headers) = (Bounded::truncated(blocks.to_vec()), Bounded::truncated(headers));
    Some(CatchupResponse { from, blocks, headers, commit_qc: answer.commit_qc.clone() })
}

impl Behaviour for Poison {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let wrong = match parcel.honest() {
            Some(Message::FetchResponse(response)) => {
                let blocks = altered(mind, &response.blocks);
                let block_id = match (mind.random.chance(300), blocks.first()) {
                    (true, Some(first)) => first.id(),
                    (true, None) | (false, _) => response.block_id,
                };
                Message::FetchResponse(Box::new(FetchResponse { block_id, blocks: Bounded::truncated(blocks) }))
            }
            Some(Message::CatchupResponse(response)) => {
                let mut answer = (**response).clone();
                match mind.random.below(7) {
                    // An empty response: a lie about its height.
                    0 => answer = CatchupResponse::nothing_from(answer.from),
                    1 => answer.from = Height(answer.from.0.saturating_add(1)),
                    2 => answer.commit_qc = mind.memory.high_qc().cloned(),
                    3 => answer.commit_qc = None,
                    4 | 5 => {
                        let end = mind.random.index(response.blocks.len().max(2).saturating_sub(1)).saturating_add(1);
                        answer = part(mind, response, 0..end).unwrap_or(answer);
                    }
                    _ => answer.blocks = Bounded::truncated(altered(mind, &response.blocks)),
                }
                Message::CatchupResponse(Box::new(answer))
            }
            _ => return vec![parcel],
        };
        vec![mind.parcel(parcel.to.clone(), wrong)]
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let blocks: Vec<Block> = mind.memory.blocks.iter().rev().cloned().collect();
        let Some(block_id) = blocks.first().map(Block::id) else { return Vec::new() };
        let one = Bounded::truncated(blocks.into_iter().take(1).collect());
        let commit_qc = mind.memory.high_commit_qc().cloned();
        let fetched = Message::FetchResponse(Box::new(FetchResponse { block_id, blocks: one.clone() }));
        let from = Height(mind.random.below(30));
        let blocks = Bounded::truncated(one.into_inner());
        let caught_up = Message::CatchupResponse(Box::new(CatchupResponse { from, blocks, headers: Bounded::default(), commit_qc }));
        let (first, second) = (mind.somebody(), mind.somebody());
        let mut parcels = vec![mind.parcel(first, fetched), mind.parcel(second.clone(), caught_up)];
        // Its last response again, one block at a time.
        let answered = mind.memory.messages.iter().rev().find_map(|message| match &**message {
            Message::CatchupResponse(response) if response.commit_qc.is_some() => Some(response.clone()),
            _ => None,
        });
        if let Some(answered) = answered {
            let parts = (0..answered.blocks.len()).filter_map(|at| part(mind, &answered, at..at.saturating_add(1)));
            let parts: Vec<Message> = parts.map(|part| Message::CatchupResponse(Box::new(part))).collect();
            parcels.extend(parts.into_iter().map(|part| mind.parcel(second.clone(), part)));
        }
        parcels
    }

    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, _out: &mut Vec<Parcel>) -> bool {
        // Sometimes a request gets no response at all.
        let asked = message.purpose() == Purpose::Ask;
        !(asked && mind.random.chance(200))
    }
}
