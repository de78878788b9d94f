//! A validator's machine from its first set-up on: its home directory, its disk, and the production [`Replica`] while the power is on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use quorate_replica::{Doubles, Input, Now, PoolLimits, RecoverError, Replica, ReplicaConfig, WitnessFile};
use quorate_types::{
    ids::ValidatorId,
    round::{Height, UnixMillis},
};

use super::{
    disk::{SharedTrap, WatchedStore},
    files::WatchedFiles,
    witness::WatchedWitness,
};
use crate::{
    committee::{BEGINNING, Setting},
    invariants::jolteon::{LocalState, StateRounds},
    random::Random,
    time::Micros,
};

/// Inputs that are taken before the next effect is carried out, as the node's loop does.
const INPUTS_AT_ONCE: usize = 256;
/// Written once, before the first start.
const MADE_ONCE: [&str; 3] = ["validator.key", "validator.pub", "genesis.json"];
/// Written at every start.
const ADDRESS: &str = "api.address";

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) id: ValidatorId,
    pub(super) store: WatchedStore,
    pub(super) files: WatchedFiles,
    /// The file beside its key; made with the first start.
    witness: Option<WatchedWitness>,
    trap: SharedTrap,
    /// `None` while the power is off.
    pub(super) replica: Option<Box<Replica<WatchedStore>>>,
    pub(super) inbox: VecDeque<Input>,
    pub(super) busy: bool,
    pub(super) wake: Option<Micros>,
    /// Of the state that the invariants were shown last.
    seen_state: Option<StateRounds>,
    /// How often the power has failed: what was planned for an earlier life does not reach a later one.
    pub(super) life: u64,
    /// Up to which height its commits were reported to the invariants.
    pub(super) reported: Height,
    /// How many of [`MADE_ONCE`] a writer has called done.
    made: usize,
    /// The lives whose address a writer has begun to write, and the last one that it has called done.
    published: (u64, Option<u64>),
    ahead_ms: u64,
}

impl Machine {
    pub(super) fn new(id: ValidatorId, trap: &SharedTrap, ahead_ms: u64) -> Self {
        Self {
            id,
            store: WatchedStore::new(id, Arc::clone(trap)),
            files: WatchedFiles::new(id, Arc::clone(trap)),
            witness: None,
            trap: Arc::clone(trap),
            replica: None,
            inbox: VecDeque::new(),
            busy: false,
            wake: None,
            seen_state: None,
            life: 0,
            reported: Height(0),
            made: 0,
            published: (0, None),
            ahead_ms,
        }
    }

    /// Makes the files that a first start needs, if they are not there.
    pub(super) fn set_up(&mut self) -> std::io::Result<()> {
        for (number, name) in (1usize..).zip(MADE_ONCE) {
            if self.files.read(name).is_none() {
                self.files.create(name, name.repeat(20).as_bytes())?;
            }
            self.made = self.made.max(number);
        }
        Ok(())
    }

    /// Writes where the process that has just started is reached: another place in every life.
    pub(super) fn publish(&mut self) -> std::io::Result<()> {
        self.published.0 = self.life;
        self.files.replace(ADDRESS, address(self.life).as_bytes())?;
        self.published.1 = Some(self.life);
        Ok(())
    }

    /// FILE-1: every file is absent or whole, and there if its writer was told so.
    pub(super) fn check_files(&self) -> Result<(), String> {
        for (number, name) in (1usize..).zip(MADE_ONCE) {
            match self.files.read(name) {
                Some(content) if content != name.repeat(20).as_bytes() => {
                    return Err(format!("{name} of validator {} has {} bytes of it after a power cut", self.id, content.len()));
                }
                None if number <= self.made => {
                    return Err(format!("{name} of validator {} is lost after its writer was told that it is there", self.id));
                }
                Some(_) | None => {}
            }
        }
        let (begun, done) = self.published;
        let is_allowed = match self.files.read(ADDRESS) {
            None => done.is_none(),
            Some(content) => (done.unwrap_or(0)..=begun).any(|life| content == address(life).as_bytes()),
        };
        if is_allowed { Ok(()) } else { Err(format!("{ADDRESS} of validator {} is neither the old one nor the new one", self.id)) }
    }

    /// The process starts on what the disk holds.
    pub(super) fn open(&mut self, setting: &Setting) -> Result<(), RecoverError> {
        let stranger = || RecoverError::NotAValidator(self.id.to_string());
        let key = setting.key(self.id).ok_or_else(stranger)?;
        let new = || WatchedWitness::of_new_key(self.id, key.public(), &self.trap);
        let witness = self.witness.get_or_insert_with(new).clone();
        let config = config(self.id, setting, witness).ok_or_else(stranger)?;
        self.replica = Some(Box::new(Replica::open(config, self.store.clone(), &setting.app)?));
        Ok(())
    }

    /// Recovery is idempotent: opened again, after a power cut that loses what the first time wrote or after one that keeps it, the disk
    /// gives back the same validator.
    pub(super) fn check_recovery(&self, setting: &Setting) -> Result<(), String> {
        if self.store.is_new() {
            return Ok(());
        }
        let Some(witness) = self.witness.as_ref().map(WatchedWitness::snapshot) else { return Ok(()) };
        let disk = self.store.snapshot();
        let mut first = None;
        for kept in [0, usize::MAX, usize::MAX] {
            let Some(config) = config(self.id, setting, witness.clone()) else { return Ok(()) };
            let replica = Replica::open(config, disk.clone(), &setting.app).map_err(|error| error.to_string())?;
            let found = (replica.status(), replica.ledger().root().clone(), replica.safety_record().clone());
            drop(replica);
            disk.crash(kept);
            match &first {
                None => first = Some(found),
                Some(first) if *first != found => {
                    return Err(format!("validator {} comes back as {first:?}, and then as {found:?}", self.id));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The power fails. How many batches are lost.
    pub(super) fn lose_power(&mut self, random: &mut Random) -> usize {
        self.replica = None;
        self.inbox.clear();
        self.busy = false;
        self.wake = None;
        self.seen_state = None;
        self.life = self.life.saturating_add(1);
        self.files.crash(random);
        self.store.crash(random)
    }

    /// Its state, for the invariants, if it is another one than when it was asked last.
    pub(super) fn new_state(&mut self) -> Option<LocalState<'_>> {
        LocalState::if_new(self.replica.as_ref()?.engine(), &mut self.seen_state)
    }

    fn now(&self, at: Micros) -> Now {
        let unix = BEGINNING.0.saturating_add(at.ms()).saturating_add(self.ahead_ms);
        Now { elapsed: Duration::from_micros(at.0), unix: UnixMillis(unix) }
    }

    /// Hands waiting inputs to the replica. Whether there were any.
    pub(super) fn take_inputs(&mut self, at: Micros) -> bool {
        let now = self.now(at);
        let Some(replica) = &mut self.replica else { return false };
        let count = self.inbox.len().min(INPUTS_AT_ONCE);
        for input in self.inbox.drain(..count) {
            replica.push(now, input);
        }
        count > 0
    }
}

fn address(life: u64) -> String {
    format!("127.0.0.1:{}\n", life.saturating_add(30_000))
}

fn config(id: ValidatorId, setting: &Setting, witness: impl WitnessFile + 'static) -> Option<ReplicaConfig> {
    Some(ReplicaConfig {
        genesis: Arc::clone(&setting.genesis),
        verifier: Arc::clone(&setting.verifier),
        key: setting.key(id)?,
        pool: PoolLimits::default(),
        fixed_leaders: Arc::default(),
        witness: Box::new(witness),
        doubles: Doubles::Stop,
    })
}
