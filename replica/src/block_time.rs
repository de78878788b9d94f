//! The times of blocks (deviation D8): what our blocks get, what we vote for, and what time it is on the chain.
//!
//! ```text
//!           parent's next ms                our clock         clock + tolerance
//! ─────────────────┼─────────────────────────────┼────────────────────┼──────────────────────> a proposal's time
//!    invalid       │        voted for at once                         │   held: voted for when our clock gets there,
//!                  │                                                  │   unless the round ends first
//! ```
//! On a chain ahead of our clock, "parent's next ms" lies to the right of everything else: the chain goes on in the smallest steps until the
//! clocks have caught up. So no clock stops the chain.
//!
//! There is no lower bound but the parent's time. A slow or frozen clock makes its own leader's blocks early and nobody else's; refusing them
//! would make the chain's liveness depend on the clocks.
//!
//! Our own clock may be wrong too. Nothing here trusts it alone.

use std::time::Duration;

use quorate_types::{
    genesis::Parameters,
    ids::BlockId,
    round::{Round, UnixMillis},
};

use crate::input::Now;

/// Shortest wait before looking at the clock again, so that a frozen one costs little.
const LOOK_AFTER_MS_MIN: u64 = 10;
/// How long our clock stays in doubt, in base timeouts. A clock that is ahead costs one round in that time.
const DOUBT_TIMEOUTS: u64 = 30;

/// Our view of the times of blocks; see the module docs.
#[derive(Debug)]
pub(crate) struct BlockTime {
    tolerance_ms: u64,
    /// How long our clock stays in doubt after a block of ours was lost.
    doubt: Duration,
    /// At most one: the block of the current round.
    held: Option<Held>,
    /// The time of the newest committed block.
    committed: UnixMillis,
    /// When we learned of that block; `None` before the first input.
    committed_at: Option<Duration>,
    /// When the doubt about our clock ends: a block of ours was lost, and no other leader's clock has agreed with ours since.
    doubted: Option<Duration>,
}

/// A block ahead of our clock.
#[derive(Clone, Copy, Debug)]
struct Held {
    round: Round,
    block: BlockId,
    /// What our clock must show before we vote.
    due: UnixMillis,
    /// When to look at the clock next.
    look_at: Duration,
}

/// How long a clock is doubted after a lost round.
fn doubt(parameters: &Parameters) -> Duration {
    Duration::from_millis(u64::from(parameters.timeout_base_ms).saturating_mul(DOUBT_TIMEOUTS))
}

impl BlockTime {
    pub(crate) fn new(parameters: &Parameters, committed: UnixMillis) -> Self {
        let (tolerance_ms, doubt) = (parameters.clock_tolerance_ms(), doubt(parameters));
        Self { tolerance_ms, doubt, held: None, committed, committed_at: None, doubted: None }
    }

    /// Notes the time of the first input. Later calls change nothing.
    pub(crate) fn start(&mut self, now: Now) {
        self.committed_at.get_or_insert(now.elapsed);
    }

    /// A block with this time is committed.
    pub(crate) const fn on_committed(&mut self, time: UnixMillis, now: Now) {
        self.committed = time;
        self.committed_at = Some(now.elapsed);
    }

    /// What time it is on the chain: as far as we know, a transaction that has expired by it cannot get into a block any more. Advances from
    /// the newest committed block as time passes, but not past our clock, and never goes back. So neither a clock that is ahead nor a stalled
    /// chain that is ahead of every clock makes us refuse a transaction.
    pub(crate) fn now(&self, now: Now) -> UnixMillis {
        let passed = self.committed_at.map_or(0, |committed_at| millis(now.elapsed.saturating_sub(committed_at)));
        let estimate = self.committed.0.saturating_add(passed);
        self.committed.max(UnixMillis(estimate.min(now.unix.0)))
    }

    // ---- our own blocks -----------------------------------------------------------------------------------------------------------

    /// The time of our block: our clock's, or the smallest step if the parent is later or our clock is in doubt.
    pub(crate) fn stamp(&self, parent: UnixMillis, now: Now) -> UnixMillis {
        let is_doubted = self.doubted.is_some_and(|until| now.elapsed < until);
        if is_doubted { parent.next() } else { now.unix.max(parent.next()) }
    }

    /// Our block's round was given up, perhaps because other validators hold what our clock says. Until another leader's clock agrees with
    /// ours, our blocks take the smallest step, which is never held. Otherwise a validator whose clock is ahead would lose every round it
    /// leads, and since it votes, reputation would not leave it out.
    ///
    /// The doubt ends by itself. If all leaders have lost a round, as in a bad hour of the network, no block shows a clock that another could
    /// agree with, and the chain's time would stand still for ever.
    pub(crate) const fn on_lost(&mut self, now: Now) {
        self.doubted = Some(now.elapsed.saturating_add(self.doubt));
    }

    /// Another leader's proposal has arrived. It was sent at the time it shows, if that leader's clock is right.
    pub(crate) const fn on_proposal(&mut self, time: UnixMillis, now: Now) {
        if time.0.abs_diff(now.unix.0) <= self.tolerance_ms {
            self.doubted = None;
        }
    }

    // ---- blocks to vote for -------------------------------------------------------------------------------------------------------

    /// Whether we may vote for the block of our round now. Otherwise it is held.
    pub(crate) fn check(&mut self, (round, block): (Round, BlockId), time: UnixMillis, parent: UnixMillis, now: Now) -> bool {
        let is_timely = self.is_timely(time, parent, now);
        let due = self.due_at(time);
        self.held = (!is_timely).then(|| Held { round, block, due, look_at: look_at(due, now) });
        is_timely
    }

    /// Whether we may vote for a block of this time now.
    pub(crate) fn is_timely(&self, time: UnixMillis, parent: UnixMillis, now: Now) -> bool {
        time <= parent.next() || self.due_at(time) <= now.unix
    }

    /// What our clock must show before we vote for a block of this time.
    const fn due_at(&self, time: UnixMillis) -> UnixMillis {
        UnixMillis(time.0.saturating_sub(self.tolerance_ms))
    }

    /// The held block's round is over.
    pub(crate) const fn forget_held(&mut self) {
        self.held = None;
    }

    /// The held block's epoch is over, and another begins with these parameters.
    pub(crate) fn begin_epoch(&mut self, parameters: &Parameters) {
        self.forget_held();
        (self.tolerance_ms, self.doubt) = (parameters.clock_tolerance_ms(), doubt(parameters));
    }

    /// Takes the held block once we may vote for it; `round` is ours. Drops a block of another round.
    pub(crate) fn due(&mut self, round: Round, now: Now) -> Option<BlockId> {
        let mut held = self.held.take().filter(|held| held.round == round)?;
        if held.due <= now.unix {
            return Some(held.block);
        }
        if held.look_at <= now.elapsed {
            held.look_at = look_at(held.due, now);
        }
        self.held = Some(held);
        None
    }

    /// When to call [`Self::due`] next, as [`Now::elapsed`].
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.held.map(|held| held.look_at)
    }
}

fn look_at(due: UnixMillis, now: Now) -> Duration {
    now.elapsed.saturating_add(Duration::from_millis(due.since(now.unix).max(LOOK_AFTER_MS_MIN)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a correct clock shows at the beginning.
    const START: u64 = 1_700_000_000_000;
    const HOUR: u64 = 3_600_000;
    const BLOCK: (Round, BlockId) = (Round(7), BlockId(quorate_types::crypto::Hash([1; 32])));

    fn time() -> BlockTime {
        BlockTime::new(&Parameters::default(), UnixMillis(START))
    }

    fn at(elapsed_ms: u64, unix: u64) -> Now {
        Now { elapsed: Duration::from_millis(elapsed_ms), unix: UnixMillis(unix) }
    }

    #[test]
    fn a_block_may_be_ahead_of_our_clock_by_a_quarter_of_the_first_timer() {
        let (clock, parent) = (START + 10_000, START);
        for (ahead, allowed) in [(0, true), (250, true), (251, false), (290_000, false), (10 * 365 * 24 * HOUR, false)] {
            let timely = time().check(BLOCK, UnixMillis(clock + ahead), UnixMillis(parent), at(0, clock));
            assert_eq!(timely, allowed, "{ahead} ms ahead");
        }
        assert!(!time().check(BLOCK, UnixMillis(u64::MAX), UnixMillis(parent), at(0, clock)));
    }

    #[test]
    fn the_parents_next_millisecond_is_never_held() {
        let parent = UnixMillis(START + HOUR);
        assert!(time().check(BLOCK, parent.next(), parent, at(0, START)));
        assert!(time().check(BLOCK, parent.next(), parent, at(0, 0)), "a clock that lost its battery");
        assert!(!time().check(BLOCK, parent.next().next(), parent, at(0, START)));
    }

    #[test]
    fn a_held_block_is_due_when_the_clock_has_come_so_far() {
        let mut time = time();
        assert!(!time.check(BLOCK, UnixMillis(START + 1_000), UnixMillis(START - 5), at(0, START)));
        assert_eq!(time.deadline(), Some(Duration::from_millis(750)));
        assert_eq!(time.due(BLOCK.0, at(749, START + 749)), None);
        assert_eq!(time.due(BLOCK.0, at(750, START + 750)), Some(BLOCK.1));
        assert_eq!((time.due(BLOCK.0, at(800, START + 800)), time.deadline()), (None, None), "once");
    }

    #[test]
    fn a_held_block_is_dropped_with_its_round() {
        let mut time = time();
        assert!(!time.check(BLOCK, UnixMillis(START + 1_000), UnixMillis(START - 5), at(0, START)));
        assert_eq!(time.due(BLOCK.0.next(), at(900, START + 900)), None);
        assert_eq!(time.deadline(), None);
    }

    #[test]
    fn a_frozen_clock_is_looked_at_now_and_then() {
        let mut time = time();
        assert!(!time.check(BLOCK, UnixMillis(START + 251), UnixMillis(START - 5), at(0, START)));
        for look in 1..5 {
            let deadline = time.deadline().unwrap();
            assert_eq!(deadline, Duration::from_millis(look * LOOK_AFTER_MS_MIN));
            assert_eq!(time.due(BLOCK.0, Now { elapsed: deadline, unix: UnixMillis(START) }), None);
        }
    }

    #[test]
    fn the_time_of_the_chain_goes_on_from_the_last_commit_and_trusts_no_clock_alone() {
        let mut time = time();
        time.start(at(500, START));
        for (unix, expected, which) in [
            (START + 20_000, START + 20_000, "right"),
            (START + 20_000 + HOUR, START + 20_000, "ahead"),
            (START + 3_000, START + 3_000, "behind"),
            (0, START, "far behind"),
        ] {
            assert_eq!(time.now(at(20_500, unix)), UnixMillis(expected), "{which}");
        }
        time.on_committed(UnixMillis(START + HOUR), at(30_000, START + 30_000));
        assert_eq!(time.now(at(90_000, START + 90_000)), UnixMillis(START + HOUR), "a chain ahead of the clocks");
    }

    #[test]
    fn a_leader_that_lost_its_block_takes_the_smallest_step_until_another_clock_agrees() {
        let mut time = time();
        let (parent, now) = (UnixMillis(START), at(5_000, START + HOUR));
        assert_eq!(time.stamp(parent, now), now.unix);
        time.on_lost(now);
        assert_eq!(time.stamp(parent, now), parent.next());
        time.on_proposal(UnixMillis(START + 5_000), now);
        assert_eq!(time.stamp(parent, now), parent.next(), "other clocks are an hour away");
        time.on_proposal(UnixMillis(START + 5_100), at(5_200, START + 5_200));
        assert_eq!(time.stamp(parent, at(5_300, START + 5_300)), UnixMillis(START + 5_300));
    }

    #[test]
    fn a_doubt_ends_by_itself() {
        let mut time = time();
        let (parent, lost) = (UnixMillis(START), at(5_000, START + 60_000));
        time.on_lost(lost);
        let later = |elapsed: u64| at(elapsed, START + 55_000 + elapsed);
        assert_eq!(time.stamp(parent, later(34_999)), parent.next());
        assert_eq!(time.stamp(parent, later(35_000)), UnixMillis(START + 90_000));
    }

    #[test]
    fn a_block_is_later_than_its_parent_whatever_our_clock_says() {
        let parent = UnixMillis(START + HOUR);
        assert_eq!(time().stamp(parent, at(0, START)), parent.next());
    }
}
