//! Getting blocks that we lack: missing ancestors by id, or a long stretch of committed blocks by height.
//!
//! ```text
//! engine --want--> target --by id-----> fetched blocks wait until one of them joins our tree --> engine
//!                    |
//!                    +----by height--> committed blocks that follow our root ------------------> engine
//! ```
//! Nothing that comes is believed: fetched blocks are linked by hash to a block that a verified certificate names, committed blocks, by
//! headers if need be, to the one that a verified certificate commits (checked before they get here). A request waits for the one before
//! it, and nobody is asked twice in a row: who does not answer in time, not usefully, or with a little at a time, holds us up for one turn.
//! When all have had theirs in vain the time allowed doubles, up to a bound; an answer that comes late is taken nevertheless.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use quorate_consensus::Missing;
use quorate_types::{
    block::{Block, payload_bytes},
    committee::{Committee, SignerSet},
    ids::{BlockId, ValidatorId},
    message::{CatchupRequest, CatchupResponse, FetchRequest, FetchResponse, Message},
    round::{Height, Round},
    verify::Verified,
    vote::QuorumCert,
};

/// A validator that is at most this many rounds behind fetches blocks by id; beyond, it catches up by height.
pub const GAP_ROUNDS_FETCHED: u64 = 64;
/// Most fetched blocks that wait for the ones before them, and most bytes of their payloads.
const WAITING_MAX: (usize, usize) = (256, 64 << 20);
/// How many of the blocks that we asked for last are still welcome.
const ASKED_MAX: usize = 16;
/// First time allowed for an answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the time allowed doubles at most. The longest wait stays below the usual timeout of a round (1 s), so that after an outage a
/// validator is not kept from voting for longer by a request that was lost in it.
const DOUBLINGS_MAX: u32 = 2;

/// What we are after.
#[derive(Debug)]
struct Wanted {
    /// The newest block that the engine lacks; after a start there is none, only what the others may have committed.
    missing: Option<Missing>,
    /// Asked for is what follows our root. Otherwise the chain that ends in `missing`.
    by_height: bool,
    /// Whom to ask, one after the other.
    holders: Vec<ValidatorId>,
    /// Whose turn it is among them.
    turn: usize,
    /// How many requests have led to nothing since the last useful answer.
    in_vain: usize,
    /// Who owes us an answer.
    asked: Option<ValidatorId>,
    /// When the next request is due.
    deadline: Duration,
    /// Who has told us that it has nothing that follows our newest committed block.
    nothing_newer: SignerSet,
}

impl Wanted {
    /// Whose turn it is: the next holder, but not the one that we asked last if there is another.
    fn next_holder(&mut self, last: Option<ValidatorId>) -> Option<ValidatorId> {
        let mut turns = self.holders.iter().cycle().skip(self.turn).take(2);
        let (first, second) = (*turns.next()?, *turns.next()?);
        let (to, used) = if Some(first) == last { (second, 2) } else { (first, 1) };
        self.turn = self.turn.saturating_add(used).checked_rem(self.holders.len())?;
        Some(to)
    }

    /// Asks the next holder now; once all have had their turn in vain, only as time allows.
    fn hurry(&mut self, now: Duration) {
        self.asked = None;
        if self.in_vain < self.holders.len() {
            self.deadline = now;
        }
    }
}

/// Blocks to hand to the engine, the oldest first, and perhaps a certificate that commits the last of them or one that follows.
pub(crate) type Blocks = (Vec<Verified<Block>>, Option<Verified<QuorumCert>>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Catchup {
    me: ValidatorId,
    committee: Arc<Committee>,
    wanted: Option<Wanted>,
    /// The ids in the newest requests: an answer to any of them is welcome, also where we have turned to another block since.
    asked_for: VecDeque<BlockId>,
    /// Fetched blocks whose parents have not come yet.
    waiting: BTreeMap<BlockId, Verified<Block>>,
    /// Whom we asked last.
    last: Option<ValidatorId>,
    /// How often another block was wanted while a request was under way, since the last useful answer.
    changes: u32,
    /// The newest block that was handed over as committed. It waits in the tree for its commit: for its execution, or for more blocks, as a
    /// chain without a direct commit can be longer than a message.
    newest: Option<(BlockId, Height)>,
    /// How often blocks were handed over that the engine has not taken yet: it executes the ones before them first.
    handovers_in_flight: usize,
    /// Enough others have said that they have nothing newer, or a chain was fetched to its end: until then we count as catching up.
    started: bool,
}

impl Catchup {
    pub(crate) fn new(me: ValidatorId, committee: Arc<Committee>) -> Self {
        let started = committee.len() == 1;
        let (asked_for, waiting) = (VecDeque::new(), BTreeMap::new());
        Self { me, committee, wanted: None, asked_for, waiting, last: None, changes: 0, newest: None, handovers_in_flight: 0, started }
    }

    /// Of whom blocks are fetched.
    pub(crate) fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Whether blocks are being fetched, or we have not yet asked around after the start.
    pub(crate) const fn is_behind(&self) -> bool {
        !self.started || self.wanted.is_some()
    }

    /// After a start: ask for committed blocks, in case the others went on without us.
    pub(crate) fn start(&mut self, now: Duration) {
        if !self.started && self.wanted.is_none() {
            self.turn_to(None, true, now);
        }
    }

    /// The engine lacks a block. What has been fetched already is kept: it may be on the way to this one.
    pub(crate) fn want(&mut self, missing: Missing, now: Duration) {
        let by_height = missing.rounds_behind > GAP_ROUNDS_FETCHED;
        match &mut self.wanted {
            Some(wanted) if wanted.missing.as_ref().is_some_and(|before| before.block_id == missing.block_id) => {
                // Part of it has come, and been handed over.
                if wanted.asked.is_none() {
                    (wanted.by_height, wanted.deadline) = (by_height, now);
                }
            }
            _ => self.turn_to(Some(missing), by_height, now),
        }
    }

    fn turn_to(&mut self, missing: Option<Missing>, by_height: bool, now: Duration) {
        let others = self.committee.ids().filter(|id| *id != self.me);
        let mut holders: Vec<ValidatorId> =
            missing.iter().flat_map(|missing| &missing.holders).copied().filter(|id| *id != self.me).collect();
        let rest: Vec<ValidatorId> = others.filter(|id| !holders.contains(id)).collect();
        holders.extend(rest);
        let (asked, deadline) = match &self.wanted {
            // The answer that is on its way may be lost, so for another block we ask anew. Not for every one: where links are slow, rounds are
            // shorter than answers take. Counted, not timed: nobody knows how short rounds are.
            Some(Wanted { asked: Some(asked), deadline, .. }) => {
                self.changes = self.changes.saturating_add(1);
                if self.changes.saturating_add(1).is_power_of_two() { (None, now) } else { (Some(*asked), *deadline) }
            }
            Some(_) | None => (None, now),
        };
        self.wanted =
            Some(Wanted { missing, by_height, holders, turn: 0, in_vain: 0, asked, deadline, nothing_newer: SignerSet::default() });
    }

    /// The engine lacks nothing any more: the chain came by another way, or our root has passed it, and then nobody may have it to the end.
    pub(crate) fn unwanted(&mut self, now: Duration) {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.missing.is_some()) {
            self.forget();
            self.start(now);
        }
    }

    fn forget(&mut self) {
        self.wanted = None;
        self.waiting.clear();
        self.asked_for.clear();
        (self.newest, self.changes) = (None, 0);
    }

    /// The engine has taken what was handed over: what follows it can be asked for.
    pub(crate) fn handed_over(&mut self, now: Duration) {
        self.handovers_in_flight = self.handovers_in_flight.saturating_sub(1);
        if let Some(wanted) = self.wanted.as_mut().filter(|wanted| wanted.by_height && wanted.asked.is_none()) {
            wanted.deadline = now;
        }
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.wanted.as_ref().map(|wanted| wanted.deadline)
    }

    /// The request that is due: the first one, or the next one because the last was not answered in time. `root` is our newest committed
    /// block; `is_known`: the block is in the tree, or its root.
    pub(crate) fn on_time(
        &mut self,
        now: Duration,
        root: (Round, Height),
        is_known: impl Fn(&BlockId) -> bool,
    ) -> Option<(ValidatorId, Message)> {
        let wanted = self.wanted.as_mut().filter(|wanted| wanted.deadline <= now)?;
        if wanted.by_height && self.handovers_in_flight > 0 {
            // The engine has enough to do.
            wanted.deadline = now.saturating_add(PATIENCE);
            return None;
        }
        let to = wanted.next_holder(self.last)?;
        // Neither committed nor in the tree: dropped by it.
        if self.newest.is_some_and(|(id, height)| height > root.1 && !is_known(&id)) {
            (self.newest, wanted.nothing_newer) = (None, SignerSet::default());
        }
        let newest = self.newest.map_or(root.1, |(_, height)| height.max(root.1));
        let laps = u32::try_from(wanted.in_vain.checked_div(wanted.holders.len())?).unwrap_or(u32::MAX);
        wanted.deadline = now.saturating_add(PATIENCE.saturating_mul(1 << laps.min(DOUBLINGS_MAX)));
        wanted.in_vain = wanted.in_vain.saturating_add(1);
        wanted.asked = Some(to);
        self.last = Some(to);
        let message = match &wanted.missing {
            Some(missing) if !wanted.by_height => {
                // Rounds fall from a block to its parent, so this ends.
                let mut block_id = missing.block_id;
                while let Some(block) = self.waiting.get(&block_id) {
                    block_id = block.parent_id();
                }
                self.asked_for.retain(|asked| *asked != block_id);
                self.asked_for.push_back(block_id);
                if self.asked_for.len() > ASKED_MAX {
                    self.asked_for.pop_front();
                }
                Message::FetchRequest(FetchRequest { block_id, above: root.0 })
            }
            Some(_) | None => Message::CatchupRequest(CatchupRequest { from: newest.next() }),
        };
        Some((to, message))
    }

    /// Blocks by id. `root` is the round of our newest committed block; `is_known`: the block is in the tree, or its root.
    pub(crate) fn on_fetched(
        &mut self,
        from: ValidatorId,
        response: Verified<FetchResponse>,
        now: Duration,
        root: Round,
        is_known: impl Fn(&BlockId) -> bool,
    ) -> Option<Blocks> {
        let wanted = self.wanted.as_mut()?;
        let position = self.asked_for.iter().position(|asked| *asked == response.block_id)?;
        if response.blocks.is_empty() {
            if wanted.asked == Some(from) {
                wanted.hurry(now);
            }
            return None;
        }
        self.asked_for.remove(position);
        let blocks = response.into_blocks();
        let oldest = blocks.last().map_or(Round(0), |block| block.round());
        self.waiting.extend(blocks.into_iter().map(|block| (block.id(), block)));
        let joined = take_joined(&mut self.waiting, root, is_known);
        if !joined.is_empty() {
            // The engine says what it still lacks when it has them.
            (wanted.asked, wanted.in_vain, wanted.deadline) = (None, 0, now.saturating_add(PATIENCE));
            (self.started, self.changes) = (true, 0);
            self.handovers_in_flight = self.handovers_in_flight.saturating_add(1);
            return Some((joined, None));
        }
        let bytes = self.waiting.values().fold(0usize, |sum, block| sum.saturating_add(payload_bytes(block.payload())));
        if oldest <= root || self.waiting.len() >= WAITING_MAX.0 || bytes >= WAITING_MAX.1 {
            // The chain does not meet ours where it should, or it is long: our root is behind what the others have committed.
            wanted.by_height = true;
            self.waiting.clear();
        } else {
            wanted.in_vain = 0;
        }
        wanted.hurry(now);
        None
    }

    /// Blocks by height. `root` is our newest committed block and its height.
    pub(crate) fn on_committed(
        &mut self,
        from: ValidatorId,
        response: Verified<CatchupResponse>,
        now: Duration,
        root: (BlockId, Height),
    ) -> Option<Blocks> {
        let wanted = self.wanted.as_mut()?;
        let (newest, height) = self.newest.filter(|(_, height)| *height > root.1).unwrap_or(root);
        if response.blocks.is_empty() {
            if wanted.by_height && wanted.asked == Some(from) && response.from == height.next() {
                self.on_nothing_newer(from, now);
            }
            return None;
        }
        if self.handovers_in_flight > 0 {
            return None;
        }
        let (mut blocks, commit_qc) = response.into_parts();
        // Another answer may have brought us further in the meantime.
        let Some(follows) = blocks.iter().position(|block| block.parent_id() == newest) else {
            if wanted.asked == Some(from) {
                wanted.hurry(now);
            }
            return None;
        };
        blocks.drain(..follows);
        self.newest = blocks.last().map(|last| (last.id(), Height(height.0.saturating_add(blocks.len() as u64))));
        (wanted.in_vain, wanted.nothing_newer) = (0, SignerSet::default());
        if wanted.by_height && wanted.asked == Some(from) {
            // There may be more: asked for when the engine has taken these.
            (wanted.asked, wanted.deadline) = (None, now.saturating_add(PATIENCE));
        }
        (self.changes, self.handovers_in_flight) = (0, self.handovers_in_flight.saturating_add(1));
        Some((blocks, commit_qc))
    }

    /// One of those who say so is honest, when they are enough.
    fn on_nothing_newer(&mut self, from: ValidatorId, now: Duration) {
        let Some(wanted) = self.wanted.as_mut() else { return };
        wanted.hurry(now);
        wanted.nothing_newer = wanted.nothing_newer.iter().chain([from]).collect();
        if !self.committee.holds_honest(wanted.nothing_newer) {
            return;
        }
        if wanted.missing.is_some() {
            // What is missing is not committed yet.
            wanted.by_height = false;
            wanted.nothing_newer = SignerSet::default();
        } else {
            self.started = true;
            self.forget();
        }
    }
}

/// Takes the blocks that join our tree, the oldest first, and drops those that our root has passed.
fn take_joined(waiting: &mut BTreeMap<BlockId, Verified<Block>>, root: Round, is_known: impl Fn(&BlockId) -> bool) -> Vec<Verified<Block>> {
    let mut blocks: Vec<Verified<Block>> = std::mem::take(waiting).into_values().collect();
    blocks.retain(|block| block.round() > root && !is_known(&block.id()));
    // By rising round, so one pass meets parents first.
    blocks.sort_by_key(|block| block.round());
    let mut ids = BTreeSet::new();
    let mut joined = Vec::new();
    for block in blocks {
        if is_known(&block.parent_id()) || ids.contains(&block.parent_id()) {
            ids.insert(block.id());
            joined.push(block);
        } else {
            waiting.insert(block.id(), block);
        }
    }
    joined
}

#[cfg(test)]
mod tests;
