//! One simulated validator: the production [`Replica`] on a simulated disk, and what its process would keep around it.

use std::{collections::VecDeque, time::Duration};

use quorate_app::BuiltIn;
use quorate_replica::{Input, Now, Replica};
use quorate_types::{
    ids::ValidatorId,
    round::{Height, UnixMillis},
};

use crate::{
    byzantine::Liar,
    committee::BEGINNING,
    disk::SimStore,
    fault::{ClockFault, PowerCut},
    invariants::jolteon::StateRounds,
    time::Micros,
};

/// Inputs that are taken before the next effect is carried out, as the node's loop does.
const INPUTS_AT_ONCE: usize = 256;

/// See the module.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the machine of its own; any may hold together with any other")]
pub(crate) struct Node {
    pub(crate) id: ValidatorId,
    pub(crate) disk: SimStore,
    /// `None` while the power is off.
    pub(crate) replica: Option<Box<Replica<SimStore, BuiltIn>>>,
    inbox: VecDeque<Input>,
    /// A step is planned.
    pub(crate) busy: bool,
    /// The deadline for which a wake-up is planned.
    pub(crate) wake: Option<Micros>,
    /// How often it has started: what was planned for an earlier life does not reach a later one.
    pub(crate) life: u64,
    /// Where the monotonic clock of this life starts.
    pub(crate) clock_start: Micros,
    /// By how much its calendar is ahead.
    pub(crate) clock_ahead_ms: u64,
    /// What is wrong with its calendar, in this life, and since when.
    pub(crate) clock: Option<(ClockFault, Micros)>,
    /// Nothing it sends arrives.
    pub(crate) silent: bool,
    /// It hears nobody.
    pub(crate) deaf: bool,
    /// It belongs to the permanent minority: nobody waits for it.
    pub(crate) excused: bool,
    /// It counts as Byzantine: no rule binds it.
    pub(crate) faulty: bool,
    /// Who stands between its replica and the network, if it lies.
    pub(crate) liar: Option<Liar>,
    /// An older copy of its disk, with which it will come back.
    pub(crate) old_disk: Option<SimStore>,
    /// Of the state that the invariants were shown last.
    pub(crate) seen_state: Option<StateRounds>,
    /// It never starts again.
    pub(crate) gone: bool,
    /// An armed power cut, and for how long the power will be off.
    pub(crate) armed: Option<(PowerCut, Micros)>,
    /// Up to which height its commits were reported to the invariants.
    pub(crate) reported: Height,
    /// How many effects and outputs it has gone through, over all lives.
    pub(crate) polls: u64,
}

impl Node {
    pub(crate) fn new(id: ValidatorId, clock_ahead_ms: u64) -> Self {
        Self {
            id,
            disk: SimStore::default(),
            replica: None,
            inbox: VecDeque::new(),
            busy: false,
            wake: None,
            life: 0,
            clock_start: Micros(0),
            clock_ahead_ms,
            clock: None,
            silent: false,
            deaf: false,
            excused: false,
            faulty: false,
            liar: None,
            old_disk: None,
            seen_state: None,
            gone: false,
            armed: None,
            reported: Height(0),
            polls: 0,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// The clocks of the machine.
    pub(crate) fn now(&self, at: Micros) -> Now {
        Now { elapsed: Duration::from_micros(self.clock_start.after(at).0), unix: self.unix(at) }
    }

    /// Its calendar.
    pub(crate) fn unix(&self, at: Micros) -> UnixMillis {
        let right = |at: Micros| BEGINNING.0.saturating_add(at.ms()).saturating_add(self.clock_ahead_ms);
        UnixMillis(match self.clock {
            None => right(at),
            Some((ClockFault::Behind(by), _)) => right(at).saturating_sub(by),
            Some((ClockFault::Ahead(by), _)) => right(at).saturating_add(by),
            Some((ClockFault::Frozen, since)) => right(since),
        })
    }

    /// A moment of this life's monotonic clock as virtual time.
    pub(crate) fn virtual_time(&self, elapsed: Duration) -> Micros {
        Micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)).since(self.clock_start)
    }

    pub(crate) fn receive(&mut self, input: Input) {
        self.inbox.push_back(input);
    }

    /// Hands waiting inputs to the replica. Whether there were any.
    pub(crate) fn take_inputs(&mut self, at: Micros) -> bool {
        let now = self.now(at);
        let Some(replica) = &mut self.replica else { return false };
        let mut any = false;
        for _ in 0..INPUTS_AT_ONCE {
            let Some(input) = self.inbox.pop_front() else { break };
            replica.push(now, input);
            any = true;
        }
        any
    }

    /// The process is gone, with everything that was not on disk.
    pub(crate) fn lose_memory(&mut self) {
        self.replica = None;
        self.inbox.clear();
        self.busy = false;
        self.wake = None;
        self.seen_state = None;
        self.armed = None;
        self.life = self.life.saturating_add(1);
    }
}
