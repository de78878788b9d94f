//! Getting blocks that we lack: a few missing ancestors by id, or a long stretch of committed blocks by height.
//!
//! Nothing that comes is believed: fetched blocks are linked by hash to a block that a verified certificate names, committed blocks to the
//! block that a verified certificate commits (checked before they get here). One request is under way at a time; whoever does not answer
//! in time, or not usefully, loses its turn. When all have had theirs in vain the time allowed doubles, up to a bound: an answer that
//! comes late is taken nevertheless.

use std::time::Duration;

use quorate_consensus::Missing;
use quorate_types::{
    block::Block,
    committee::Committee,
    ids::{BlockId, ValidatorId},
    message::{CatchupRequest, CatchupResponse, FetchRequest, FetchResponse, Message},
    round::Height,
    verify::Verified,
    vote::QuorumCert,
};

/// A validator that is at most this many rounds behind fetches blocks by id; beyond, it catches up by height.
pub const GAP_ROUNDS_FETCHED: u64 = 64;
/// Most fetched blocks that wait for the ones before them.
const BLOCKS_WAITING_MAX: usize = 256;
/// First time allowed for an answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the time allowed doubles at most. The longest wait stays below the timeout of a round, so that after an outage a validator is
/// not kept from voting for longer than that by a request that was lost in it.
const DOUBLINGS_MAX: u32 = 2;

/// What we are after.
#[derive(Debug)]
enum Wanted {
    /// The chain that ends in this block.
    Chain {
        missing: Missing,
        /// What has come of it, the newest first.
        waiting: Vec<Verified<Block>>,
    },
    /// Committed blocks, whatever there is: after a start, or because a chain is too long; then what it should lead to.
    Committed { missing: Option<Missing> },
}

#[derive(Debug)]
struct Under {
    wanted: Wanted,
    holders: Vec<ValidatorId>,
    attempt: u32,
    deadline: Duration,
}

/// Blocks to hand to the engine, the oldest first, and perhaps the certificate that commits the last of them.
pub(crate) type Blocks = (Vec<Verified<Block>>, Option<Verified<QuorumCert>>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Catchup {
    me: ValidatorId,
    others: Vec<ValidatorId>,
    under: Option<Under>,
    /// Who has told us since the start that it has nothing newer.
    up_to_date: Vec<ValidatorId>,
    /// Enough others have said so, or a chain was fetched to its end: until then we count as catching up.
    started: bool,
    answers_needed: usize,
}

impl Catchup {
    pub(crate) fn new(me: ValidatorId, committee: &Committee) -> Self {
        let others: Vec<ValidatorId> = committee.ids().filter(|id| *id != me).collect();
        // One of this many is honest, unless power is spread unevenly; it is a start, not a proof.
        let answers_needed = others.len().div_ceil(3);
        Self { me, started: others.is_empty(), others, under: None, up_to_date: Vec::new(), answers_needed }
    }

    /// Whether blocks are being fetched, or we have not yet asked around after the start.
    pub(crate) const fn is_behind(&self) -> bool {
        !self.started || self.under.is_some()
    }

    /// After a start: ask for committed blocks, in case the others went on without us.
    pub(crate) fn start(&mut self, now: Duration) {
        if !self.started && self.under.is_none() {
            self.under =
                Some(Under { wanted: Wanted::Committed { missing: None }, holders: self.others.clone(), attempt: 0, deadline: now });
        }
    }

    /// The engine lacks a block. Whatever was under way gives way, unless it is the same.
    pub(crate) fn want(&mut self, missing: Missing, now: Duration) {
        let mut holders: Vec<ValidatorId> = missing.holders.iter().copied().filter(|id| *id != self.me).collect();
        holders.extend(self.others.iter().filter(|id| !missing.holders.contains(id)));
        let wanted = if missing.rounds_behind > GAP_ROUNDS_FETCHED {
            Wanted::Committed { missing: Some(missing) }
        } else {
            Wanted::Chain { missing, waiting: Vec::new() }
        };
        self.under = Some(Under { wanted, holders, attempt: 0, deadline: now });
    }

    /// The engine lacks nothing any more: the chain came by another way, or our root has passed it, and then nobody may have it to the end.
    pub(crate) fn unwanted(&mut self, now: Duration) {
        if self.under.as_ref().is_some_and(|under| matches!(under.wanted, Wanted::Chain { .. })) {
            self.under = None;
            self.start(now);
        }
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.under.as_ref().map(|under| under.deadline)
    }

    /// The request that is due: the first one, or the next one because the last was not answered in time.
    pub(crate) fn on_time(&mut self, now: Duration, committed: Height) -> Option<(ValidatorId, Message)> {
        let under = self.under.as_mut().filter(|under| under.deadline <= now)?;
        let holders = u32::try_from(under.holders.len()).ok()?;
        let (turn, laps) = (under.attempt.checked_rem(holders)?, under.attempt.checked_div(holders)?);
        let to = *under.holders.get(usize::try_from(turn).ok()?)?;
        under.deadline = now.saturating_add(PATIENCE.saturating_mul(1u32 << laps.min(DOUBLINGS_MAX)));
        under.attempt = under.attempt.saturating_add(1);
        let message = match &under.wanted {
            Wanted::Chain { missing, waiting } => {
                let block_id = waiting.last().map_or(missing.block_id, |oldest| oldest.parent_id());
                Message::FetchRequest(FetchRequest { block_id, above: missing.above })
            }
            Wanted::Committed { .. } => Message::CatchupRequest(CatchupRequest { from: committed.next() }),
        };
        Some((to, message))
    }

    /// Blocks by id. `is_known`: the block is in the tree, or its root.
    pub(crate) fn on_fetched(
        &mut self,
        response: Verified<FetchResponse>,
        now: Duration,
        is_known: impl Fn(&BlockId) -> bool,
    ) -> Option<Blocks> {
        let under = self.under.as_mut()?;
        let Wanted::Chain { missing, waiting } = &mut under.wanted else { return None };
        let expected = waiting.last().map_or(missing.block_id, |oldest| oldest.parent_id());
        if response.block_id != expected {
            return None;
        }
        if response.blocks.is_empty() {
            // The next holder's turn; once all have had theirs, only as time allows.
            if usize::try_from(under.attempt).is_ok_and(|attempt| attempt < under.holders.len()) {
                under.deadline = now;
            }
            return None;
        }
        under.deadline = now;
        waiting.extend(response.into_blocks());
        let oldest = waiting.last()?;
        if is_known(&oldest.parent_id()) {
            let mut blocks = std::mem::take(waiting);
            blocks.reverse();
            self.under = None;
            self.started = true;
            return Some((blocks, None));
        }
        // The chain does not meet ours where it should, or it is long: our root is behind what the others have committed.
        if oldest.round() <= missing.above || waiting.len() >= BLOCKS_WAITING_MAX {
            under.wanted = Wanted::Committed { missing: Some(missing.clone()) };
        }
        None
    }

    /// Blocks by height. `root` is our newest committed block, at height `committed`.
    pub(crate) fn on_committed(
        &mut self,
        from: ValidatorId,
        response: Verified<CatchupResponse>,
        now: Duration,
        (root, committed): (BlockId, Height),
    ) -> Option<Blocks> {
        let asked = self.under.as_ref().is_some_and(|under| matches!(under.wanted, Wanted::Committed { .. }));
        if !asked || response.from != committed.next() {
            return None;
        }
        let (blocks, commit_qc) = response.into_parts();
        let Some(first) = blocks.first() else {
            self.on_nothing_newer(from, now);
            return None;
        };
        if first.parent_id() != root {
            return None;
        }
        // There may be more: ask again at once, after the engine has taken these, whoever is next.
        self.up_to_date.clear();
        if let Some(under) = self.under.as_mut() {
            under.deadline = now;
            under.attempt = 0;
            let step = usize::from(under.holders.len() > 1);
            under.holders.rotate_left(step);
        }
        Some((blocks, commit_qc))
    }

    fn on_nothing_newer(&mut self, from: ValidatorId, now: Duration) {
        if !self.up_to_date.contains(&from) {
            self.up_to_date.push(from);
        }
        let enough = self.up_to_date.len() >= self.answers_needed;
        let Some(under) = self.under.as_mut() else { return };
        let missing = match &mut under.wanted {
            Wanted::Committed { missing } => missing.take(),
            Wanted::Chain { .. } => None,
        };
        if let Some(missing) = missing {
            // What is missing is not committed yet.
            under.wanted = Wanted::Chain { missing, waiting: Vec::new() };
        } else if enough {
            self.started = true;
            self.up_to_date.clear();
            self.under = None;
        } else {
            under.deadline = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        committee::{Validator, VotingPower},
        crypto::SigningKey,
        round::{Epoch, Round},
    };

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn catchup() -> Catchup {
        let validator = |seed: u8| Validator {
            name: format!("v{seed}"),
            consensus_key: SigningKey::from_seed(&[seed; 32]).public(),
            network_key: SigningKey::from_seed(&[seed + 100; 32]).public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(1),
        };
        let mut validators: Vec<_> = (1..=4).map(validator).collect();
        validators.sort_by_key(|validator| validator.consensus_key);
        Catchup::new(ValidatorId(0), &Committee::new(Epoch(0), validators).unwrap())
    }

    fn missing() -> Missing {
        Missing { block_id: BlockId::default(), above: Round(1), rounds_behind: 2, holders: vec![ValidatorId(1)] }
    }

    #[test]
    fn a_chain_that_is_not_wanted_any_more_is_given_up() {
        let mut catchup = catchup();
        catchup.start(NOW);
        catchup.on_nothing_newer(ValidatorId(2), NOW);
        assert!(!catchup.is_behind());
        catchup.want(missing(), NOW);
        assert!(catchup.is_behind());
        catchup.unwanted(NOW);
        assert!(!catchup.is_behind());
        assert!(catchup.on_time(NOW, Height(1)).is_none());
    }

    #[test]
    fn whoever_does_not_answer_loses_its_turn_and_patience_grows_by_the_lap() {
        let mut catchup = catchup();
        catchup.want(missing(), NOW);
        let mut asked = Vec::new();
        let mut now = NOW;
        for _ in 0..12 {
            let (to, _) = catchup.on_time(now, Height(1)).unwrap();
            assert!(catchup.on_time(now, Height(1)).is_none());
            let next = catchup.deadline().unwrap();
            asked.push((to.0, next.saturating_sub(now).as_millis()));
            now = next;
        }
        let lap = |patience| [(1, patience), (2, patience), (3, patience)];
        assert_eq!(asked, [lap(200), lap(400), lap(800), lap(800)].concat());
    }

    #[test]
    fn after_a_start_it_still_asks_around_when_a_chain_is_given_up() {
        let mut catchup = catchup();
        catchup.want(missing(), NOW);
        catchup.unwanted(NOW);
        assert!(catchup.is_behind());
        let (_, message) = catchup.on_time(NOW, Height(7)).unwrap();
        assert!(matches!(message, Message::CatchupRequest(CatchupRequest { from: Height(8) })), "{message:?}");
    }
}
