//! One production [`Replica`] on its simulated disk, moved by hand: it does nothing until somebody tells it to, and then all that it can
//! do. (A [`crate::node::Node`] of a world moves effect by effect, so that a power cut falls between two of them.)

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use quorate_replica::{Doubles, Fatal, Input, MemoryWitness, Now, Output, PoolLimits, RecoverError, Replica, ReplicaConfig};
use quorate_types::{
    ids::ValidatorId,
    message::Recipients,
    round::{Round, UnixMillis},
};

use crate::{
    committee::{BEGINNING, Setting},
    disk::SimStore,
    invariants::jolteon::{LocalState, StateRounds},
    origin::Origin,
    time::Micros,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Actor {
    /// Whose key it holds. Two actors with one key are twins.
    pub(crate) id: ValidatorId,
    pub(crate) disk: SimStore,
    /// How far the key has signed on this disk; made with the first start.
    witness: Option<MemoryWitness>,
    /// What it does about its own signature where it has not signed. Whoever moves actors by hand makes twins and liars of them.
    pub(crate) doubles: Doubles,
    /// `None` while the power is off.
    pub(crate) replica: Option<Box<Replica<SimStore>>>,
    /// By how much its calendar is ahead.
    ahead_ms: u64,
    seen_state: Option<StateRounds>,
}

impl Actor {
    /// A validator with an empty disk, its power off.
    pub(crate) fn new(id: ValidatorId, ahead_ms: u64) -> Self {
        let (disk, doubles) = (SimStore::default(), Doubles::Play);
        Self { id, disk, witness: None, doubles, replica: None, ahead_ms, seen_state: None }
    }

    /// Another one with its key and a copy of its home, the power off.
    pub(crate) fn twin(&self) -> Self {
        Self { disk: self.disk.snapshot(), witness: self.witness.as_ref().map(MemoryWitness::snapshot), ..Self::new(self.id, 0) }
    }

    /// The process starts on what the disk holds, and does what recovery asks for at once when it next works.
    pub(crate) fn start(&mut self, setting: &Setting, leaders: &Arc<BTreeMap<Round, ValidatorId>>, at: Micros) -> Result<(), String> {
        let config = self.config(setting, leaders)?;
        let replica = Replica::open(config, self.disk.clone(), &setting.app).map_err(|error: RecoverError| error.to_string())?;
        self.begin(replica, at);
        Ok(())
    }

    /// The process starts for the first time, on a disk that holds the genesis and nothing else.
    pub(crate) fn start_at_genesis(
        &mut self,
        setting: &Setting,
        origin: &Origin,
        leaders: &Arc<BTreeMap<Round, ValidatorId>>,
        at: Micros,
    ) -> Result<(), String> {
        let config = self.config(setting, leaders)?;
        let (disk, ledger) = origin.copy();
        self.disk = disk.clone();
        let replica = Replica::resume(config, disk, ledger).map_err(|error: RecoverError| error.to_string())?;
        self.begin(replica, at);
        Ok(())
    }

    fn begin(&mut self, replica: Replica<SimStore>, at: Micros) {
        self.replica = Some(Box::new(replica));
        self.seen_state = None;
        self.give(Input::Tick, at);
    }

    fn config(&mut self, setting: &Setting, leaders: &Arc<BTreeMap<Round, ValidatorId>>) -> Result<ReplicaConfig, String> {
        let key = setting.key(self.id).ok_or_else(|| format!("there is no validator {}", self.id))?;
        let witness = self.witness.get_or_insert_with(|| MemoryWitness::of_new_key(key.public())).clone();
        Ok(ReplicaConfig {
            genesis: Arc::clone(&setting.genesis),
            verifier: Arc::clone(&setting.verifier),
            key,
            // Its time does not move by itself.
            pool: PoolLimits { pause_max: Duration::ZERO, ..PoolLimits::default() },
            fixed_leaders: Arc::clone(leaders),
            witness: Box::new(witness),
            doubles: self.doubles,
        })
    }

    /// Tells it something. It sees the time `at`.
    pub(crate) fn give(&mut self, input: Input, at: Micros) {
        self.give_with_calendar(input, at, at);
    }

    /// The same where its calendar does not show what its clock shows.
    pub(crate) fn give_with_calendar(&mut self, input: Input, at: Micros, calendar: Micros) {
        let unix = BEGINNING.0.saturating_add(calendar.ms()).saturating_add(self.ahead_ms);
        let now = Now { elapsed: Duration::from_micros(at.0), unix: UnixMillis(unix) };
        if let Some(replica) = &mut self.replica {
            replica.push(now, input);
        }
    }

    /// The next thing that it does; `None` when it waits.
    pub(crate) fn work(&mut self) -> Result<Option<Output>, Fatal> {
        let Some(replica) = &mut self.replica else { return Ok(None) };
        match replica.poll()? {
            Some(Output::Serve(job)) => {
                let to = Recipients::One(job.to());
                Ok(Some(Output::Send { to, message: Arc::new(replica.serve(*job)?) }))
            }
            output => Ok(output),
        }
    }

    /// Its state, for the rules, if it is another one than when it was asked last.
    pub(crate) fn new_state(&mut self) -> Option<LocalState<'_>> {
        LocalState::if_new(self.replica.as_ref()?.engine(), &mut self.seen_state)
    }

    /// When it wants to see the time again: from this moment on an [`Input::Tick`] makes a timer run out.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        let elapsed = self.replica.as_ref()?.next_deadline()?;
        Some(Micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)))
    }
}
