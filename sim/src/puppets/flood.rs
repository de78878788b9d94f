//! MEM-1: a validator does not grow with what others send.
//!
//! A flood of correctly signed messages. Either proposals of round after round whose first ancestor no one serves, so that none can enter the
//! tree; with them their certificates, votes of rounds far ahead, timeouts, and requests for existing and missing blocks. Or a block in every
//! round that is never certified, so that the round is given up. Nothing can be committed. The validator's size is measured as the length of
//! its complete debug output, which includes every queue and map, and as the content of its disk.

use quorate_harness::{Happened, pen::Pen};
use quorate_types::{
    block::Payload,
    committee::SignerSet,
    crypto::Hash,
    ids::{StateId, ValidatorId},
    message::{CatchupRequest, FetchRequest, Message, SyncInfo},
    round::{Height, Round},
    vote::QuorumCert,
};

use super::acts::Acts;

/// Rounds after which the validator is first measured: by then every bounded buffer is full.
const FULL_AFTER: u64 = 40;
/// Rounds of the whole flood.
const ROUNDS: u64 = 120;
/// The same if every round is given up. Once the tree is full, what is kept beside it is pruned every 65 rounds, so the full size is the
/// maximum over these rounds.
const GIVEN_UP_FULL: std::ops::Range<u64> = 330..400;
const GIVEN_UP_ROUNDS: u64 = 470;
/// How much larger it may be at the end: numbers get longer, and a block more or less may be in flight.
const GROWTH_MAX: Size = Size { description: 2_000, disk_keys: 2, disk_bytes: 2_000 };
/// The same if every round is given up: a block that the validator may have voted for stays on disk, and its id in memory, until it can no
/// longer be committed.
const GROWTH_MAX_GIVEN_UP: Size = Size { description: 2_000 + 70 * 150, disk_keys: 72, disk_bytes: 72 * 400 };

/// The size of a validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Length of its debug output.
    pub(super) description: usize,
    pub(super) disk_keys: usize,
    pub(super) disk_bytes: usize,
}

impl Size {
    /// The maximum of two sizes in every dimension.
    fn max(self, other: Self) -> Self {
        Self {
            description: self.description.max(other.description),
            disk_keys: self.disk_keys.max(other.disk_keys),
            disk_bytes: self.disk_bytes.max(other.disk_bytes),
        }
    }

    /// Whether it has grown by at most `growth` in every dimension.
    const fn is_bounded_by(&self, before: &Self, growth: &Self) -> bool {
        self.description <= before.description.saturating_add(growth.description)
            && self.disk_keys <= before.disk_keys.saturating_add(growth.disk_keys)
            && self.disk_bytes <= before.disk_bytes.saturating_add(growth.disk_bytes)
    }
}

pub(super) fn flood(acts: &mut Acts) -> Happened {
    if acts.random.chance(300) { blocks_in_vain(acts) } else { orphans(acts) }
}

/// Floods with blocks that might still be certified, so each is executed and stored, and a few hundred are kept.
fn blocks_in_vain(acts: &mut Acts) -> Happened {
    acts.note("a flood of blocks that are never certified");
    let mut full = Size::default();
    for number in 0..GIVEN_UP_ROUNDS {
        acts.proposed()?;
        acts.given_up()?;
        acts.stage.sent.clear();
        acts.stage.accused.clear();
        if GIVEN_UP_FULL.contains(&number) {
            full = full.max(acts.stage.size()?);
        }
        bounded(acts, (number >= GIVEN_UP_FULL.end).then_some(full), &GROWTH_MAX_GIVEN_UP, number)?;
    }
    Ok(())
}

fn orphans(acts: &mut Acts) -> Happened {
    let puppets: SignerSet = acts.stage.puppets().into_iter().collect();
    acts.note("a flood of orphans, certificates, votes ahead, timeouts and requests");
    let author = acts.stage.puppets().first().copied().unwrap_or_default();
    // The ancestor that no one serves.
    let mut parent = acts.block(author, &acts.high.clone(), None, Payload::default());
    let mut full = None;
    for number in 0..ROUNDS {
        let qc = Pen::new(&acts.stage.setting).qc(&parent, StateId(Hash([5; 32])), puppets);
        acts.round = acts.round.next();
        let leader = acts.stage.leader(acts.round);
        let author = if leader == acts.stage.me { author } else { leader };
        let time = parent.content().timestamp.next();
        let block = acts.block(author, &qc, Some(time), Payload::default());
        let commit = acts.commit.clone();
        let proposal = Pen::new(&acts.stage.setting).proposal(block.clone(), None, &commit);
        acts.stage.tell(author, &Message::Proposal(Box::new(proposal)))?;
        ahead(acts, &qc, number)?;
        beside(acts, author, &qc, number)?;
        acts.stage.sent.clear();
        acts.stage.accused.clear();
        parent = block;
        if number == FULL_AFTER {
            full = Some(acts.stage.size()?);
        }
        bounded(acts, full, &GROWTH_MAX, number)?;
    }
    Ok(())
}

/// Checks that the validator still runs and has not outgrown its full size.
fn bounded(acts: &mut Acts, full: Option<Size>, growth: &Size, number: u64) -> Happened {
    if let Some(why) = acts.stage.stopped.clone() {
        return Err(acts.stage.violation("FATAL", format!("it stops: {why}")));
    }
    let Some(full) = full else { return Ok(()) };
    let size = acts.stage.size()?;
    if size.is_bounded_by(&full, growth) {
        return Ok(());
    }
    let what = format!("its full size was {full:?}; after {number} rounds of a flood it is {size:?}");
    Err(acts.stage.violation("MEM-1", what))
}

/// Sends a vote of a round further and further ahead.
fn ahead(acts: &mut Acts, qc: &QuorumCert, number: u64) -> Happened {
    let before = acts.round;
    let Some(liar) = acts.stage.puppets().last().copied() else { return Ok(()) };
    acts.round = Round(before.0.saturating_add(10).saturating_add(number.saturating_mul(7)));
    let block = acts.block(liar, qc, None, Payload::default());
    acts.round = before;
    let vote = Pen::new(&acts.stage.setting).vote(liar, &block, StateId(Hash([6; 32])), &acts.commit);
    acts.stage.tell(liar, &Message::Vote(Box::new(vote)))
}

/// Sends what comes with every round: its certificate by itself, a timeout, and requests.
fn beside(acts: &mut Acts, from: ValidatorId, qc: &QuorumCert, number: u64) -> Happened {
    let commit = acts.commit.clone();
    let timeout = Pen::new(&acts.stage.setting).timeout(from, acts.round, qc, None, &commit);
    let unknown = FetchRequest { block_id: qc.block_id(), above: Round(0) };
    for message in [
        Message::SyncInfo(Box::new(SyncInfo { high_qc: qc.clone(), high_commit_qc: commit, last_round_tc: None })),
        Message::Timeout(Box::new(timeout)),
        Message::FetchRequest(unknown),
        Message::CatchupRequest(CatchupRequest { from: Height(number) }),
    ] {
        acts.stage.tell(from, &message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_grows_is_seen() {
        let before = Size { description: 9_000, disk_keys: 10, disk_bytes: 1_000 };
        assert!(Size { description: 10_000, disk_keys: 11, disk_bytes: 1_500 }.is_bounded_by(&before, &GROWTH_MAX));
        for grown in [Size { description: 12_000, ..before }, Size { disk_keys: 50, ..before }, Size { disk_bytes: 4_000, ..before }] {
            assert!(!grown.is_bounded_by(&before, &GROWTH_MAX), "{grown:?}");
        }
    }
}
