//! One simulated machine: a home that outlives its process, clocks, and the production [`Replica`] while the power is on. It does nothing
//! until somebody tells it to.
//!
//! Inputs either go to the replica at once ([`Machine::push`]) or wait until it has nothing else to do ([`Machine::receive`]), as in the
//! node's loop. Each [`Machine::poll`] is one effect, so that power cuts fall between any two.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use quorate_consensus::Engine;
use quorate_replica::{Doubles, Fatal, Input, Now, Output, PoolLimits, RecoverError, Replica, ReplicaConfig};
use quorate_types::{
    ids::ValidatorId,
    message::Recipients,
    round::{Height, Round},
};

use super::{
    clock::Clock,
    home::{Home, SimHome},
};
use crate::{
    committee::Setting,
    contents,
    disk::DurableRecord,
    invariants::{
        jolteon::{LocalState, StateRounds},
        live_1::Patience,
    },
    origin::Origin,
    time::Micros,
};

/// Inputs that are taken before the next effect is carried out, as the node's loop does.
const INPUTS_AT_ONCE: usize = 256;

/// How the replicas of a machine are made, beside what the network says.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it does about its own signature where it has not signed.
    pub doubles: Doubles,
    pub(crate) pool: PoolLimits,
    /// The leaders that are fixed beforehand.
    pub(crate) leaders: Arc<BTreeMap<Round, ValidatorId>>,
}

impl Setup {
    /// As every real validator's.
    #[must_use]
    pub fn real() -> Self {
        Self { doubles: Doubles::Stop, pool: PoolLimits::default(), leaders: Arc::default() }
    }

    /// Of somebody whose time does not move by itself, and of whom there may be two with one key.
    pub(crate) fn by_hand(leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        let pool = PoolLimits { pause_max: Duration::ZERO, ..PoolLimits::default() };
        Self { doubles: Doubles::Play, pool, leaders: Arc::clone(leaders) }
    }
}

/// See the module.
pub struct Machine<H: Home = SimHome> {
    /// Whose key it holds. Two machines with one key are twins.
    pub id: ValidatorId,
    /// What outlives its process.
    pub home: H,
    /// How its replicas are made.
    pub setup: Setup,
    /// What time it sees.
    pub clock: Clock,
    /// `None` while the power is off.
    replica: Option<Box<Replica<H::Disk>>>,
    inbox: VecDeque<Input>,
    /// How often its process has ended: what was planned for an earlier life does not reach a later one.
    pub life: u64,
    /// Its home is an older copy, so it does not remember all that its key has signed (SAFE-6).
    pub has_forgotten: bool,
    /// It was shown in this life that it has forgotten.
    was_shown: bool,
    /// Up to which height its commits were shown to the rules.
    pub reported: Height,
    /// Of the state that the rules were shown last.
    seen_state: Option<StateRounds>,
    /// What explains its timer.
    patience: Patience,
}

/// What came of a poll.
pub struct Polled {
    /// What it puts out; `None` when it waits.
    pub output: Result<Option<Output>, Fatal>,
    /// The safety record that the disk would give back from now on, if it is another one than before.
    pub(crate) saved: Option<DurableRecord>,
    /// How often the disk was synced.
    pub synced: u64,
}

impl Polled {
    /// Of nobody.
    pub(crate) const fn nothing() -> Self {
        Self { output: Ok(None), saved: None, synced: 0 }
    }
}

impl<H: Home> Machine<H> {
    /// A validator whose power is off.
    pub fn new(id: ValidatorId, home: H, setup: Setup, clock: Clock) -> Self {
        Self {
            id,
            home,
            setup,
            clock,
            replica: None,
            inbox: VecDeque::new(),
            life: 0,
            has_forgotten: false,
            was_shown: false,
            reported: Height(0),
            seen_state: None,
            patience: Patience::default(),
        }
    }

    /// The process starts on what the disk holds. It needs an input before it is polled: [`Self::start`] gives it the time.
    ///
    /// # Errors
    /// Its replica does not start on what the disk holds.
    pub fn open(&mut self, setting: &Setting) -> Result<(), RecoverError> {
        let config = self.config(setting)?;
        self.replica = Some(Box::new(Replica::open(config, self.home.disk().clone(), &setting.app)?));
        Ok(())
    }

    /// As [`Self::open`], and sees the time.
    ///
    /// # Errors
    /// Its replica does not start on what the disk holds.
    pub fn start(&mut self, setting: &Setting, at: Micros) -> Result<(), RecoverError> {
        self.open(setting)?;
        self.push(Input::Tick, at);
        Ok(())
    }

    fn config(&mut self, setting: &Setting) -> Result<ReplicaConfig, RecoverError> {
        let key = setting.key(self.id).ok_or_else(|| RecoverError::NotAValidator(self.id.to_string()))?;
        Ok(ReplicaConfig {
            genesis: Arc::clone(&setting.genesis),
            verifier: Arc::clone(&setting.verifier),
            pool: self.setup.pool,
            fixed_leaders: Arc::clone(&self.setup.leaders),
            witness: self.home.witness(key.public()),
            doubles: self.setup.doubles,
            key,
        })
    }

    /// The process is gone, with everything that was not on disk.
    pub fn stop(&mut self) {
        self.replica = None;
        self.inbox.clear();
        self.seen_state = None;
        self.was_shown = false;
        self.patience = Patience::default();
        self.life = self.life.saturating_add(1);
    }

    /// Whether the power is on.
    pub const fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// Its replica; `None` while the power is off.
    pub fn replica(&self) -> Option<&Replica<H::Disk>> {
        self.replica.as_deref()
    }

    /// The protocol core of its replica.
    pub fn engine(&self) -> Option<&Engine> {
        self.replica().map(Replica::engine)
    }

    /// Its round; 0 while the power is off.
    pub fn round(&self) -> Round {
        self.engine().map_or(Round(0), Engine::round)
    }

    /// The height of its committed chain; 0 while the power is off.
    pub fn height(&self) -> Height {
        self.replica().map_or(Height(0), |replica| replica.ledger().root().height)
    }

    /// Tells the replica something at once.
    pub fn push(&mut self, input: Input, at: Micros) {
        self.push_now(input, self.clock.now(at));
    }

    /// As [`Self::push`], where the clocks are somebody else's.
    pub fn push_now(&mut self, input: Input, now: Now) {
        if let (true, Input::Message { message, .. }) = (self.has_forgotten, &input) {
            self.was_shown |= self.home.durable().record.is_some_and(|record| contents::shows_beyond(message, self.id, record));
        }
        if let Some(replica) = &mut self.replica {
            replica.push(now, input);
        }
    }

    /// Something for the replica, when it has nothing else to do.
    pub(crate) fn receive(&mut self, input: Input) {
        self.inbox.push_back(input);
    }

    /// Hands the inputs that wait to the replica. Whether there were any.
    pub(crate) fn take_inputs(&mut self, at: Micros) -> bool {
        let count = self.inbox.len().min(INPUTS_AT_ONCE);
        for _ in 0..count {
            let Some(input) = self.inbox.pop_front() else { break };
            self.push(input, at);
        }
        count > 0
    }

    /// The replica does one piece of its work.
    pub(crate) fn poll(&mut self) -> Polled {
        let before = self.home.durable();
        let output = self.replica.as_mut().map_or(Ok(None), |replica| replica.poll());
        let after = self.home.durable();
        let saved = after.record.filter(|_| after.record != before.record);
        Polled { output, saved, synced: after.syncs.saturating_sub(before.syncs) }
    }

    /// As [`Self::poll`], and answers a request for blocks at once.
    pub fn work(&mut self) -> Polled {
        let Polled { output, saved, synced } = self.poll();
        let output = match (output, &mut self.replica) {
            (Ok(Some(Output::Serve(job))), Some(replica)) => {
                let to = Recipients::One(job.to());
                let answer = replica.serve(*job).map_err(Fatal::from);
                answer.map(|message| Some(Output::Send { to, message: Arc::new(message) }))
            }
            (output, _) => output,
        };
        Polled { output, saved, synced }
    }

    /// When it wants to see the time again: from this moment on an [`Input::Tick`] makes a timer run out.
    pub fn deadline(&self) -> Option<Micros> {
        self.replica()?.next_deadline().map(|elapsed| self.clock.virtual_time(elapsed))
    }

    /// Its state, for the rules, if it is another one than when it was asked last.
    pub(crate) fn new_state(&mut self) -> Option<LocalState<'_>> {
        let engine = self.replica.as_ref()?.engine();
        self.patience.look(engine);
        LocalState::if_new(engine, &mut self.seen_state)
    }

    /// How many rounds above the newest commit it stood when it was asked for its state last: what explains its timer.
    pub const fn gap(&self) -> u64 {
        self.patience.gap()
    }

    /// Whether it was shown, in this life, that it has forgotten what its key has signed.
    pub(crate) const fn was_shown(&self) -> bool {
        self.was_shown
    }
}

impl Machine {
    /// A validator with an empty disk, moved by hand.
    #[must_use]
    pub fn by_hand(id: ValidatorId, leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        Self::new(id, SimHome::default(), Setup::by_hand(leaders), Clock::default())
    }

    /// The process starts for the first time, on a disk that holds the genesis and nothing else. As after [`Self::open`] it needs an input.
    ///
    /// # Errors
    /// Its replica does not start on what the disk holds.
    pub fn open_at_genesis(&mut self, setting: &Setting, origin: &Origin) -> Result<(), RecoverError> {
        let config = self.config(setting)?;
        let (disk, ledger) = origin.copy();
        self.home.disk = disk.clone();
        self.replica = Some(Box::new(Replica::resume(config, disk, ledger)?));
        Ok(())
    }

    /// As [`Self::open_at_genesis`], and sees the time.
    ///
    /// # Errors
    /// Its replica does not start on what the disk holds.
    pub fn start_at_genesis(&mut self, setting: &Setting, origin: &Origin, at: Micros) -> Result<(), RecoverError> {
        self.open_at_genesis(setting, origin)?;
        self.push(Input::Tick, at);
        Ok(())
    }

    /// Another validator with its key and a copy of its home, the power off.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self::new(self.id, self.home.copy(), self.setup.clone(), self.clock)
    }
}

impl<H: Home> fmt::Debug for Machine<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("id", &self.id).field("home", &self.home).field("replica", &self.replica).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{block::Payload, ids::StateId, message::Message, round::UnixMillis};

    use super::*;
    use crate::{committee::BEGINNING, lab::Lab, pen::Pen};

    fn started(validators: u16) -> (Lab, Machine) {
        let lab = Lab::new(validators, 3).unwrap();
        let mut machine = Machine::by_hand(ValidatorId(0), &Arc::default());
        machine.start_at_genesis(&lab.setting, &lab.origin, Micros(0)).unwrap();
        (lab, machine)
    }

    /// A validator alone proposes and votes by itself while there is work.
    fn work(lab: &Lab, machine: &mut Machine) -> Vec<DurableRecord> {
        machine.push(Input::Gossip(lab.work[0].clone()), Micros(0));
        let mut saved = Vec::new();
        loop {
            let polled = machine.work();
            saved.extend(polled.saved);
            if polled.output.unwrap().is_none() {
                return saved;
            }
        }
    }

    #[test]
    fn what_waits_for_it_goes_with_the_power_and_what_it_has_saved_does_not() {
        let (lab, mut machine) = started(1);
        let saved = work(&lab, &mut machine);
        assert!(saved.len() > 3 && machine.height() >= Height(3), "{saved:?}");
        assert_eq!(machine.home.durable().record.as_ref(), saved.last());
        machine.receive(Input::Tick);
        machine.stop();
        assert!(!machine.is_up() && machine.poll().output.unwrap().is_none());
        assert!(!machine.take_inputs(Micros(0)), "what waited is lost");
        machine.start(&lab.setting, Micros(1)).unwrap();
        assert_eq!((machine.life, machine.home.durable().record.as_ref()), (1, saved.last()));
    }

    #[test]
    fn a_twin_goes_its_own_way_from_what_the_first_had_saved() {
        let (lab, mut first) = started(1);
        let mut twin = first.twin();
        twin.start(&lab.setting, Micros(0)).unwrap();
        assert_eq!((twin.id, twin.home.durable().record), (first.id, first.home.durable().record));
        work(&lab, &mut first);
        assert_ne!(twin.home.durable().record, first.home.durable().record);
    }

    #[test]
    fn only_a_machine_that_may_have_forgotten_notices_that_it_has() {
        let (lab, mut machine) = started(4);
        let genesis = lab.setting.verifier.genesis_qc().into_inner();
        let block = Pen::block(ValidatorId(1), Round(1), UnixMillis(BEGINNING.0 + 1), Payload::default(), &genesis);
        let vote = Pen::new(&lab.setting).vote(machine.id, &block, StateId::default(), &genesis);
        let message = lab.setting.verifier.message(machine.id, Message::Vote(Box::new(vote))).unwrap();
        let show = |machine: &mut Machine| {
            machine.push(Input::Message { from: ValidatorId(1), message: message.clone() }, Micros(0));
            machine.was_shown()
        };
        assert!(!show(&mut machine));
        machine.has_forgotten = true;
        assert!(show(&mut machine));
    }
}
