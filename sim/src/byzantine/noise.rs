//! Noise: B15, B20, B21.

use quorate_types::{
    block::{Block, Proposal},
    codec,
    ids::{BlockId, ValidatorId},
    message::{BATCH_BYTES_MAX, CatchupRequest, FetchRequest, MESSAGE_BYTES_MAX, Message, Purpose},
    round::{Height, Round},
};

use super::{Behaviour, Content, Mind, Parcel, voters::invented};

/// B15: sends bytes that are not a message, and messages that are truncated, extended, corrupted or too long.
#[derive(Debug)]
pub(super) struct Garbage;

impl Garbage {
    fn spoil(mind: &mut Mind<'_>, mut bytes: Vec<u8>) -> Vec<u8> {
        match mind.random.below(5) {
            0 => bytes.truncate(mind.random.index(bytes.len())),
            1 => bytes.push(0),
            2 => {
                let at = mind.random.index(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte.wrapping_add(1);
                }
            }
            3 => bytes = (0..mind.random.below(200)).map(|_| u8::try_from(mind.random.below(256)).unwrap_or(0)).collect(),
            // The largest possible lengths.
            _ => bytes = [&[u8::try_from(mind.random.below(9)).unwrap_or(0)][..], &[0xff; 40]].concat(),
        }
        bytes
    }
}

impl Behaviour for Garbage {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Content::Message(message) = &parcel.content else { return vec![parcel] };
        let bytes = Self::spoil(mind, codec::encode(&**message));
        let spoilt = mind.bytes(parcel.to.clone(), bytes, false);
        if mind.random.chance(700) { vec![spoilt, parcel] } else { vec![spoilt] }
    }

    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let gossip = mind.random.chance(500);
        let bytes = if mind.random.chance(20) {
            vec![1; if gossip { BATCH_BYTES_MAX } else { MESSAGE_BYTES_MAX }.saturating_add(1)]
        } else {
            Self::spoil(mind, vec![2, 1, 0, 9])
        };
        let to = mind.somebody();
        vec![mind.bytes(to, bytes, gossip)]
    }
}

/// B20: proposes well-formed, properly signed blocks with unknown parents, one for each of the next rounds.
#[derive(Debug)]
pub(super) struct Orphans;

impl Behaviour for Orphans {
    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let Some((qc, commit)) = mind.memory.high_qc().cloned().zip(mind.memory.high_commit_qc().cloned()) else { return Vec::new() };
        let Some(base) = mind.memory.blocks.back().cloned() else { return Vec::new() };
        let mut parcels = Vec::new();
        for step in 1..=mind.random.between(2, 6) {
            let unknown = mind.random.chance(500).then(|| BlockId(invented(mind)));
            let (me, unix) = (mind.me, mind.unix);
            let mut content = base.content().clone();
            content.author = me;
            content.timestamp = unix;
            content.round = Round(qc.round().0.saturating_add(step));
            content.qc = qc.clone();
            if let Some(unknown) = unknown {
                content.qc.vote_info.id = unknown;
                content.qc.commit_info.vote_info_hash = content.qc.vote_info.digest();
            }
            let block = Block::new(content);
            let signature = mind.key.sign(&block.proposal_digest());
            let tc = mind.memory.tcs.back().cloned().filter(|tc| tc.round.next() == block.round());
            let proposal = Proposal { block, last_round_tc: tc, high_commit_qc: commit.clone(), signature };
            parcels.push(mind.parcel(mind.others(), Message::Proposal(Box::new(proposal))));
        }
        parcels
    }
}

/// B21: requests everything, again and again; and drops half of the others' requests before they reach its replica.
#[derive(Debug)]
pub(super) struct Requests;

impl Behaviour for Requests {
    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let known = mind.memory.high_qc().map_or_else(BlockId::default, quorate_types::vote::QuorumCert::block_id);
        let count = mind.random.between(2, 8);
        let to = mind.somebody();
        (0..count)
            .map(|_| {
                let message = match mind.random.below(5) {
                    0 => Message::FetchRequest(FetchRequest { block_id: known, above: Round(0) }),
                    1 => Message::FetchRequest(FetchRequest { block_id: BlockId(invented(mind)), above: Round(u64::MAX) }),
                    2 => Message::CatchupRequest(CatchupRequest { from: Height(mind.random.below(4)) }),
                    3 => Message::SightingsRequest,
                    _ => Message::CatchupRequest(CatchupRequest { from: Height(u64::MAX) }),
                };
                mind.parcel(to.clone(), message)
            })
            .collect()
    }

    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, _out: &mut Vec<Parcel>) -> bool {
        let asked = message.purpose() == Purpose::Ask;
        !(asked && mind.random.chance(500))
    }
}
