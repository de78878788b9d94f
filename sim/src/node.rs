//! One simulated validator: the production [`Replica`] on a simulated disk, and what its process would keep around it.

use std::{collections::VecDeque, time::Duration};

use quorate_app::BuiltIn;
use quorate_replica::{Input, Now, Replica};
use quorate_types::{
    ids::ValidatorId,
    round::{Height, UnixMillis},
};

use crate::{committee::BEGINNING, disk::SimStore, fault::PowerCut, time::Micros};

/// Inputs that are taken before the next effect is carried out, as the node's loop does.
const INPUTS_AT_ONCE: usize = 256;

/// See the module.
#[derive(Debug)]
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
    /// By how much its calendar is behind, in this life.
    pub(crate) clock_behind_ms: u64,
    /// Nothing it sends arrives.
    pub(crate) silent: bool,
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
            clock_behind_ms: 0,
            silent: false,
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
        let unix = BEGINNING.0.saturating_add(at.ms()).saturating_add(self.clock_ahead_ms).saturating_sub(self.clock_behind_ms);
        Now { elapsed: Duration::from_micros(self.clock_start.after(at).0), unix: UnixMillis(unix) }
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
        self.armed = None;
        self.life = self.life.saturating_add(1);
    }
}
