//! MEM-1: what others send does not make a validator grow.
//!
//! Two floods, each of correctly signed messages: proposals of round after round whose first ancestor nobody hands out, so that none can be
//! put into the tree, and votes of rounds that lie far ahead. The size of a validator is measured as the length of its complete
//! description, which has every queue and every map in it, so that no buffer can be forgotten here.

use quorate_types::{block::Payload, committee::SignerSet, crypto::Hash, ids::StateId, message::Message, round::Round, vote::QuorumCert};

use super::{acts::Acts, stage::Happened};
use crate::pen::Pen;

/// Rounds after which the validator is measured for the first time: by then every bounded buffer is full.
const FULL_AFTER: u64 = 40;
/// Rounds of the whole flood.
const ROUNDS: u64 = 120;
/// By how much the description may be longer at the end, in bytes: numbers get longer, and a block more or less is on its way.
const GROWTH_MAX: usize = 2_000;

pub(super) fn flood(acts: &mut Acts) -> Happened {
    let puppets: SignerSet = acts.stage.puppets().into_iter().collect();
    acts.note("a flood of orphans and of votes ahead");
    let author = acts.stage.puppets().first().copied().unwrap_or_default();
    // The one that nobody hands out.
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
        acts.stage.sent.clear();
        acts.stage.accused.clear();
        parent = block;
        if let Some(why) = acts.stage.stopped.clone() {
            return Err(acts.stage.violation("FATAL", format!("it stops: {why}")));
        }
        let size = acts.stage.replica().map_or(0, |replica| format!("{replica:?}").len());
        if number == FULL_AFTER {
            full = Some(size);
        }
        if let Some(full) = full
            && size > full.saturating_add(GROWTH_MAX)
        {
            let what = format!("its description had {full} bytes after {FULL_AFTER} rounds of a flood, and has {size} after {number}");
            return Err(acts.stage.violation("MEM-1", what));
        }
    }
    Ok(())
}

/// A vote of a round further and further ahead.
fn ahead(acts: &mut Acts, qc: &QuorumCert, number: u64) -> Happened {
    let before = acts.round;
    let Some(liar) = acts.stage.puppets().last().copied() else { return Ok(()) };
    acts.round = Round(before.0.saturating_add(10).saturating_add(number.saturating_mul(7)));
    let block = acts.block(liar, qc, None, Payload::default());
    acts.round = before;
    let vote = Pen::new(&acts.stage.setting).vote(liar, &block, StateId(Hash([6; 32])), &acts.commit);
    acts.stage.tell(liar, &Message::Vote(Box::new(vote)))
}
