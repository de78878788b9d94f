//! One simulated validator: the production [`Replica`] on a simulated disk, and what its process would keep around it.

use std::{collections::VecDeque, time::Duration};

use quorate_replica::{Input, MemoryWitness, Now, Replica};
use quorate_types::{
    ids::ValidatorId,
    round::{Height, UnixMillis},
};

use crate::{
    byzantine::Liar,
    committee::BEGINNING,
    contents,
    disk::SimStore,
    fault::{ClockFault, PowerCut},
    invariants::{jolteon::StateRounds, live_1::Patience},
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
    /// The file beside its key; made with the first start.
    pub(crate) witness: Option<MemoryWitness>,
    /// `None` while the power is off.
    pub(crate) replica: Option<Box<Replica<SimStore>>>,
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
    /// What is wrong with its calendar, and since when.
    pub(crate) clock: Option<(ClockFault, Micros)>,
    /// It stays wrong: neither a restart nor the calm sets it right.
    pub(crate) clock_stays_wrong: bool,
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
    /// An older copy of its disk, and of the file beside its key, with which it will come back.
    pub(crate) old_home: Option<(SimStore, Option<MemoryWitness>)>,
    /// Its disk is empty or an older copy; the file beside its key is not. It may not start, if it has signed since.
    pub(crate) forgetful: bool,
    /// Its whole home is an older copy. Once it was shown its own signature that it does not remember, it signs nothing any more.
    pub(crate) rolled_back: bool,
    /// It was shown that in this life.
    pub(crate) shown: bool,
    /// It has stopped because of that: for ever.
    pub(crate) stopped: bool,
    /// Of the state that the invariants were shown last.
    pub(crate) seen_state: Option<StateRounds>,
    /// What explains its timer.
    pub(crate) patience: Patience,
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
            witness: None,
            replica: None,
            inbox: VecDeque::new(),
            busy: false,
            wake: None,
            life: 0,
            clock_start: Micros(0),
            clock_ahead_ms,
            clock: None,
            clock_stays_wrong: false,
            silent: false,
            deaf: false,
            excused: false,
            faulty: false,
            liar: None,
            old_home: None,
            forgetful: false,
            rolled_back: false,
            shown: false,
            stopped: false,
            seen_state: None,
            patience: Patience::default(),
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
            Some((ClockFault::Jumping(by, every), since)) => {
                let jumps = at.since(since).0.checked_div(every.0).unwrap_or_default();
                if jumps.is_multiple_of(2) { right(at).saturating_add(by) } else { right(at) }
            }
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
            if let (true, Input::Message { message, .. }) = (self.rolled_back, &input) {
                self.shown |= self.disk.durable_record().is_some_and(|record| contents::shows_beyond(message, self.id, record));
            }
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
        self.shown = false;
        self.patience = Patience::default();
        self.armed = None;
        self.life = self.life.saturating_add(1);
    }
}
