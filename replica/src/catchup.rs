//! Getting missing blocks: ancestors by id, or long stretches of committed blocks by height.
//!
//! ```text
//! engine --want--> target --by id-----> fetched blocks wait until one of them joins our tree --> engine
//!                    |
//!                    +----by height--> committed blocks that follow our root ------------------> engine
//! ```
//! No answer is trusted: fetched blocks are linked by hash to a block that a verified certificate names; committed blocks are linked, by
//! headers if need be, to one that a verified certificate commits (checked before they get here). One request is outstanding at a time, and
//! consecutive requests go to different peers, so a peer that is silent, useless or slow costs us one turn. When every peer has had a turn in
//! vain, the timeout doubles, up to a bound; late answers are still taken.

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

/// A validator that lags by at most this many rounds fetches blocks by id; beyond, it catches up by height.
pub const GAP_ROUNDS_FETCHED: u64 = 64;
/// Most fetched blocks whose ancestors are still missing, and most bytes of their payloads.
const WAITING_MAX: (usize, usize) = (256, 64 << 20);
/// How many of our newest requests by id may still be answered.
const ASKED_MAX: usize = 16;
/// The first timeout of a request.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the timeout doubles at most. The longest stays below the usual timeout of a round (1 s), so that a request lost in an outage does
/// not keep a validator from voting for longer after it.
const DOUBLINGS_MAX: u32 = 2;

/// What we want, and whom we ask for it.
#[derive(Debug)]
struct Wanted {
    /// The newest block that the engine is missing; `None` after a start, when we ask for whatever others have committed.
    missing: Option<Missing>,
    /// Whether we ask for what follows our root, and not for the chain that ends in `missing`.
    by_height: bool,
    /// The peers to ask, in turn.
    holders: Vec<ValidatorId>,
    /// Whose turn it is, as an index into `holders`.
    turn: usize,
    /// Consecutive requests without a useful answer.
    fruitless: usize,
    /// The peer whose answer is outstanding.
    asked: Option<ValidatorId>,
    /// When the next request is due.
    deadline: Duration,
    /// Peers that have nothing after our newest committed block.
    nothing_newer: SignerSet,
    /// Peers that claim to be in a later epoch. Each has had the next turn once.
    claimants: SignerSet,
}

impl Wanted {
    /// Takes the next turn: the next holder, but not the one we asked last if there is another.
    fn next_holder(&mut self, last: Option<ValidatorId>) -> Option<ValidatorId> {
        let mut turns = self.holders.iter().cycle().skip(self.turn).take(2);
        let (first, second) = (*turns.next()?, *turns.next()?);
        let (to, used) = if Some(first) == last { (second, 2) } else { (first, 1) };
        self.turn = self.turn.saturating_add(used).checked_rem(self.holders.len())?;
        Some(to)
    }

    /// Gives a peer the next turn.
    fn prefer(&mut self, peer: ValidatorId) {
        if let Some(position) = self.holders.iter().position(|holder| *holder == peer) {
            self.holders.rotate_left(position);
            self.turn = 0;
        }
    }

    /// Asks the next holder at once; when all have had a turn in vain, only at the deadline.
    fn hurry(&mut self, now: Duration) {
        self.asked = None;
        if self.fruitless < self.holders.len() {
            self.deadline = now;
        }
    }
}

/// Blocks for the engine, oldest first, and perhaps a certificate that commits the last of them or a descendant.
pub(crate) type Blocks = (Vec<Verified<Block>>, Option<Verified<QuorumCert>>);

/// The blocks we are missing and the requests for them; see the module docs.
#[derive(Debug)]
pub(crate) struct Catchup {
    me: ValidatorId,
    committee: Arc<Committee>,
    wanted: Option<Wanted>,
    /// The ids in our newest requests: an answer to any of them is taken, even if we want another block by now.
    asked_for: VecDeque<BlockId>,
    /// Fetched blocks whose parents are missing.
    waiting: BTreeMap<BlockId, Verified<Block>>,
    /// The peer we asked last.
    last: Option<ValidatorId>,
    /// How often another block was wanted while a request was outstanding, since the last useful answer.
    changes: u32,
    /// The newest block handed over as committed. It waits in the tree for its commit: for its execution, or for more blocks, since a chain
    /// without a direct commit can be longer than a message.
    newest: Option<(BlockId, Height)>,
    /// Handovers that the engine has not taken yet: it executes earlier blocks first.
    handovers_in_flight: usize,
    /// Enough peers have nothing newer, or a chain was fetched to its end. Until then we count as catching up.
    started: bool,
}

impl Catchup {
    pub(crate) fn new(me: ValidatorId, committee: Arc<Committee>) -> Self {
        let started = committee.ids().all(|id| id == me);
        let (asked_for, waiting) = (VecDeque::new(), BTreeMap::new());
        Self { me, committee, wanted: None, asked_for, waiting, last: None, changes: 0, newest: None, handovers_in_flight: 0, started }
    }

    /// For the next epoch, which begins where our newest committed block ends the one before.
    pub(crate) fn next(&self, me: ValidatorId, committee: Arc<Committee>) -> Self {
        let new = Self::new(me, committee);
        // Who asked for blocks before may still lag.
        Self { started: new.started || (self.started && !self.is_behind()), ..new }
    }

    /// A peer claims to be in a later epoch. If that is so, it has the block that ends ours, and perhaps nobody else has: it gets the next turn.
    pub(crate) fn on_later_epoch(&mut self, from: ValidatorId, now: Duration) {
        if self.wanted.is_none() {
            self.turn_to(None, true, now);
        }
        let Some(wanted) = &mut self.wanted else { return };
        // Nobody has the blocks of an epoch that is over, but for the committed ones. So who has been asked for one by id is no reason to wait.
        let was_by_id = !std::mem::replace(&mut wanted.by_height, true);
        if !wanted.claimants.contains(from) {
            wanted.claimants.insert(from);
            wanted.prefer(from);
            if was_by_id {
                wanted.fruitless = 0;
                wanted.hurry(now);
            }
        }
    }

    /// The validators that blocks are fetched from, and ourselves.
    pub(crate) fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Whether blocks are being fetched, or we do not know yet after the start whether we lag. A mere claim does not count.
    pub(crate) fn is_behind(&self) -> bool {
        !self.started || self.wanted.as_ref().is_some_and(|wanted| wanted.missing.is_some())
    }

    /// After a start: asks for committed blocks, in case the others went on without us.
    pub(crate) fn start(&mut self, now: Duration) {
        if !self.started && self.wanted.is_none() {
            self.turn_to(None, true, now);
        }
    }

    /// The engine is missing a block. Blocks fetched already are kept: they may be ancestors of this one.
    pub(crate) fn want(&mut self, missing: Missing, now: Duration) {
        let by_height = missing.rounds_behind > GAP_ROUNDS_FETCHED;
        match &mut self.wanted {
            Some(wanted) if wanted.missing.as_ref().is_some_and(|before| before.block_id == missing.block_id) => {
                // A part of the chain has arrived and been handed over.
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
            // The outstanding answer may be lost, so we ask anew for another block. Not for every block: on slow links, answers take longer
            // than rounds. Counted, not timed, because we do not know how short rounds are.
            Some(Wanted { asked: Some(asked), deadline, .. }) => {
                self.changes = self.changes.saturating_add(1);
                if self.changes.saturating_add(1).is_power_of_two() { (None, now) } else { (Some(*asked), *deadline) }
            }
            Some(_) | None => (None, now),
        };
        self.wanted = Some(Wanted {
            missing,
            by_height,
            holders,
            turn: 0,
            fruitless: 0,
            asked,
            deadline,
            nothing_newer: SignerSet::default(),
            claimants: SignerSet::default(),
        });
    }

    /// The engine is missing nothing any more: the chain came another way, or our root has passed it, and perhaps nobody has all of it.
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

    /// The engine has taken a handover: the blocks after it may be asked for.
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

    /// The request that is due: the first, or the next because the last was not answered in time. `root` is the round and height of our newest
    /// committed block; `is_known` tells whether a block is in the tree, or its root.
    pub(crate) fn on_time(
        &mut self,
        now: Duration,
        root: (Round, Height),
        is_known: impl Fn(&BlockId) -> bool,
    ) -> Option<(ValidatorId, Message)> {
        let wanted = self.wanted.as_mut().filter(|wanted| wanted.deadline <= now)?;
        if wanted.by_height && self.handovers_in_flight > 0 {
            // The engine is busy.
            wanted.deadline = now.saturating_add(PATIENCE);
            return None;
        }
        let to = wanted.next_holder(self.last)?;
        // Neither committed nor in the tree: the tree has dropped it.
        if above(root.1, self.newest).is_some_and(|(id, _)| !is_known(&id)) {
            (self.newest, wanted.nothing_newer) = (None, SignerSet::default());
        }
        let newest = above(root.1, self.newest).map_or(root.1, |(_, height)| height);
        let laps = u32::try_from(wanted.fruitless.checked_div(wanted.holders.len())?).unwrap_or(u32::MAX);
        wanted.deadline = now.saturating_add(PATIENCE.saturating_mul(1 << laps.min(DOUBLINGS_MAX)));
        wanted.fruitless = wanted.fruitless.saturating_add(1);
        wanted.asked = Some(to);
        self.last = Some(to);
        let message = match &wanted.missing {
            Some(missing) if !wanted.by_height => {
                // A parent's round is below its child's, so this ends.
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

    /// Takes blocks by id. `root` is the round of our newest committed block; `is_known` tells whether a block is in the tree, or its root.
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
            // Once it has them, the engine says what it is still missing.
            (wanted.asked, wanted.fruitless, wanted.deadline) = (None, 0, now.saturating_add(PATIENCE));
            (self.started, self.changes) = (true, 0);
            self.handovers_in_flight = self.handovers_in_flight.saturating_add(1);
            return Some((joined, None));
        }
        let bytes = self.waiting.values().fold(0usize, |sum, block| sum.saturating_add(payload_bytes(block.payload())));
        if oldest <= root || self.waiting.len() >= WAITING_MAX.0 || bytes >= WAITING_MAX.1 {
            // The chain does not meet ours where it should, or it is long: our root lags behind what the others have committed.
            wanted.by_height = true;
            self.waiting.clear();
        } else {
            wanted.fruitless = 0;
        }
        wanted.hurry(now);
        None
    }

    /// Takes blocks by height. `root` is our newest committed block and its height.
    pub(crate) fn on_committed(
        &mut self,
        from: ValidatorId,
        response: Verified<CatchupResponse>,
        now: Duration,
        root: (BlockId, Height),
    ) -> Option<Blocks> {
        let wanted = self.wanted.as_mut()?;
        let (newest, height) = above(root.1, self.newest).unwrap_or(root);
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
        // Another answer may have taken us further in the meantime.
        let Some(follows) = blocks.iter().position(|block| block.parent_id() == newest) else {
            if wanted.asked == Some(from) {
                wanted.hurry(now);
            }
            return None;
        };
        blocks.drain(..follows);
        self.newest = blocks.last().map(|last| (last.id(), Height(height.0.saturating_add(blocks.len() as u64))));
        (wanted.fruitless, wanted.nothing_newer) = (0, SignerSet::default());
        if wanted.by_height && wanted.asked == Some(from) {
            // There may be more: we ask once the engine has taken these.
            (wanted.asked, wanted.deadline) = (None, now.saturating_add(PATIENCE));
        }
        // Who was asked because of a claim has proved it.
        self.started &= wanted.missing.is_some();
        (self.changes, self.handovers_in_flight) = (0, self.handovers_in_flight.saturating_add(1));
        Some((blocks, commit_qc))
    }

    /// Notes a peer without newer blocks. Once there are enough of them, one is honest.
    fn on_nothing_newer(&mut self, from: ValidatorId, now: Duration) {
        let Some(wanted) = self.wanted.as_mut() else { return };
        wanted.hurry(now);
        wanted.nothing_newer = wanted.nothing_newer.iter().chain([from]).collect();
        if !self.committee.holds_honest(wanted.nothing_newer) {
            return;
        }
        if wanted.missing.is_some() {
            // The missing block is not committed yet.
            wanted.by_height = false;
            wanted.nothing_newer = SignerSet::default();
        } else {
            self.started = true;
            self.forget();
        }
    }
}

/// The newest block handed over, unless our root has reached it.
fn above(root: Height, newest: Option<(BlockId, Height)>) -> Option<(BlockId, Height)> {
    newest.filter(|(_, height)| *height > root)
}

/// Takes the blocks that join our tree, oldest first, and drops those that our root has passed.
fn take_joined(waiting: &mut BTreeMap<BlockId, Verified<Block>>, root: Round, is_known: impl Fn(&BlockId) -> bool) -> Vec<Verified<Block>> {
    let mut blocks: Vec<Verified<Block>> = std::mem::take(waiting).into_values().collect();
    blocks.retain(|block| block.round() > root && !is_known(&block.id()));
    // In order of rounds, so one pass meets parents first.
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
