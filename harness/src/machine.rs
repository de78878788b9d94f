//! One simulated machine: a home that outlives its process, clocks, and the production [`Replica`] while the power is on. It acts only when
//! driven.
//!
//! Inputs go to the replica at once ([`Machine::push`]), or wait until it has nothing else to do ([`Machine::receive`]), as in the node's
//! loop. Each [`Machine::poll`] is one effect, so a power cut can fall between any two.

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
    message::{PROTOCOL_VERSION_MAX, Recipients},
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
    signer::SimSigner,
    time::Micros,
};

/// Inputs taken before the next effect is carried out, as in the node's loop.
const INPUTS_AT_ONCE: usize = 256;

/// How a machine's replicas are configured, beyond the network's [`Setting`].
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the replica does about its own signature on a statement that it does not remember.
    pub doubles: Doubles,
    pub(crate) pool: PoolLimits,
    /// Predetermined leaders by round.
    pub(crate) leaders: Arc<BTreeMap<Round, ValidatorId>>,
    /// Who signs in place of the key.
    pub signer: Option<Arc<SimSigner>>,
}

impl Setup {
    /// As for a production validator.
    #[must_use]
    pub fn real() -> Self {
        Self { doubles: Doubles::Stop, pool: PoolLimits::default(), leaders: Arc::default(), signer: None }
    }

    /// For a machine whose time moves only by hand, and which may have a twin.
    pub(crate) fn by_hand(leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        let pool = PoolLimits { pause_max: Duration::ZERO, ..PoolLimits::default() };
        Self { doubles: Doubles::Play, pool, leaders: Arc::clone(leaders), signer: None }
    }
}

/// A simulated machine.
pub struct Machine<H: Home = SimHome> {
    /// The number of the member whose key it holds ([`Setting::numbers`]); in a committee that never changes, its seat. Machines with the
    /// same key are twins.
    pub id: ValidatorId,
    /// What survives its process.
    pub home: H,
    /// How its replicas are opened.
    pub setup: Setup,
    /// Its clocks.
    pub clock: Clock,
    /// `None` while the power is off.
    replica: Option<Box<Replica<H::Disk>>>,
    inbox: VecDeque<Input>,
    /// Number of times its process has ended. Events planned for an earlier life do not reach a later one.
    pub life: u64,
    /// Its home is an older copy, so it does not remember all that its key has signed (SAFE-6).
    pub has_forgotten: bool,
    /// In this life it has been shown a signature of its own that it does not remember.
    was_shown: bool,
    /// Height up to which its commits were shown to the rules.
    pub reported: Height,
    /// Rounds of the state last shown to the rules.
    seen_state: Option<StateRounds>,
    /// Explains its timer (LIVE-1).
    patience: Patience,
}

/// Result of a poll.
pub struct Polled {
    /// The output; `None` if the replica is waiting for input.
    pub output: Result<Option<Output>, Fatal>,
    /// The disk's durable safety record, if this poll changed it.
    pub(crate) saved: Option<DurableRecord>,
    /// Number of disk syncs.
    pub synced: u64,
}

impl Polled {
    /// The result for a machine that does not exist.
    pub(crate) const fn nothing() -> Self {
        Self { output: Ok(None), saved: None, synced: 0 }
    }
}

impl<H: Home> Machine<H> {
    /// A machine whose power is off.
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

    /// Starts the process on the disk's content. It needs an input before its first poll; [`Self::start`] gives it the time.
    ///
    /// # Errors
    /// The replica does not start from what the disk holds.
    pub fn open(&mut self, setting: &Setting) -> Result<(), RecoverError> {
        let config = self.config(setting)?;
        self.replica = Some(Box::new(Replica::open(config, self.home.disk().clone(), &setting.app)?));
        Ok(())
    }

    /// Like [`Self::open`], and gives the replica the time.
    ///
    /// # Errors
    /// The replica does not start from what the disk holds.
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
            speaks: PROTOCOL_VERSION_MAX,
            halt_at: None,
            signer: match &self.setup.signer {
                Some(signer) => Arc::<SimSigner>::clone(signer),
                None => Arc::new(key),
            },
        })
    }

    /// Ends the process. Everything that is not on disk is lost.
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

    /// Its seat in its epoch, or one that nobody has; its number while the power is off.
    pub fn seat(&self) -> ValidatorId {
        self.replica().map_or(self.id, Replica::me)
    }

    /// The engine of its replica.
    pub fn engine(&self) -> Option<&Engine> {
        self.replica().map(Replica::engine)
    }

    /// Current round; 0 while the power is off.
    pub fn round(&self) -> Round {
        self.engine().map_or(Round(0), Engine::round)
    }

    /// Height of the committed chain; 0 while the power is off.
    pub fn height(&self) -> Height {
        self.replica().map_or(Height(0), |replica| replica.ledger().root().height)
    }

    /// Gives the replica an input at once.
    pub fn push(&mut self, input: Input, at: Micros) {
        self.push_now(input, self.clock.now(at));
    }

    /// Like [`Self::push`], with the caller's clock readings.
    pub fn push_now(&mut self, input: Input, now: Now) {
        if let (true, Input::Message { message, .. }) = (self.has_forgotten, &input) {
            let me = self.seat();
            self.was_shown |= self.home.durable().record.is_some_and(|record| contents::shows_beyond(message, me, record));
        }
        if let Some(replica) = &mut self.replica {
            replica.push(now, input);
        }
    }

    /// Queues an input until the replica has nothing else to do.
    pub(crate) fn receive(&mut self, input: Input) {
        self.inbox.push_back(input);
    }

    /// Hands queued inputs to the replica, and returns whether there were any.
    pub(crate) fn take_inputs(&mut self, at: Micros) -> bool {
        let count = self.inbox.len().min(INPUTS_AT_ONCE);
        for _ in 0..count {
            let Some(input) = self.inbox.pop_front() else { break };
            self.push(input, at);
        }
        count > 0
    }

    /// Lets the replica carry out one effect.
    pub(crate) fn poll(&mut self) -> Polled {
        let before = self.home.durable();
        let output = self.replica.as_mut().map_or(Ok(None), |replica| replica.poll());
        let after = self.home.durable();
        let saved = after.record.filter(|_| after.record != before.record);
        Polled { output, saved, synced: after.syncs.saturating_sub(before.syncs) }
    }

    /// Like `poll`, but answers a request for blocks at once.
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

    /// When the replica next needs the time. An [`Input::Tick`] at or after it fires a timer.
    pub fn deadline(&self) -> Option<Micros> {
        self.replica()?.next_deadline().map(|elapsed| self.clock.virtual_time(elapsed))
    }

    /// The validator's state for the rules, if it has changed since the last call.
    pub(crate) fn new_state(&mut self) -> Option<LocalState<'_>> {
        let engine = self.replica.as_ref()?.engine();
        self.patience.look(engine);
        LocalState::if_new(engine, &mut self.seen_state)
    }

    /// `Patience::gap` as of the last call of `new_state`.
    pub const fn gap(&self) -> u64 {
        self.patience.gap()
    }

    /// Whether in this life it has been shown a signature of its own that it does not remember.
    pub(crate) const fn was_shown(&self) -> bool {
        self.was_shown
    }
}

impl Machine {
    /// A machine with an empty disk, driven by hand.
    #[must_use]
    pub fn by_hand(id: ValidatorId, leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        Self::new(id, SimHome::default(), Setup::by_hand(leaders), Clock::default())
    }

    /// Starts the process for the first time, on a disk with the genesis alone. Like [`Self::open`], it needs an input before its first poll.
    ///
    /// # Errors
    /// The replica does not start from what the disk holds.
    pub fn open_at_genesis(&mut self, setting: &Setting, origin: &Origin) -> Result<(), RecoverError> {
        let config = self.config(setting)?;
        let (disk, ledger) = origin.copy();
        self.home.disk = disk.clone();
        self.replica = Some(Box::new(Replica::resume(config, disk, ledger)?));
        Ok(())
    }

    /// Like [`Self::open_at_genesis`], and gives the replica the time.
    ///
    /// # Errors
    /// The replica does not start from what the disk holds.
    pub fn start_at_genesis(&mut self, setting: &Setting, origin: &Origin, at: Micros) -> Result<(), RecoverError> {
        self.open_at_genesis(setting, origin)?;
        self.push(Input::Tick, at);
        Ok(())
    }

    /// A machine with the same key and a copy of the home, powered off.
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

    /// Runs a lone validator, which proposes and votes while there is work, until it waits. Returns the records it saved.
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
        assert!(!machine.take_inputs(Micros(0)), "queued inputs are lost");
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
