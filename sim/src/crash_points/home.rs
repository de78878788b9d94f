//! A validator's home under watch, from its first set-up on: its disk, its witness and its home directory, with a [`Trap`](super::trap::Trap)
//! at every write.

use std::sync::Arc;

use quorate_harness::{Clock, Home, Machine, Setup, committee::Setting, disk::Durable, random::Random};
use quorate_ledger::MemoryStore;
use quorate_replica::{MemoryWitness, WitnessFile};
use quorate_types::{crypto::PublicKey, ids::ValidatorId};

use super::{
    disk::{SharedTrap, WatchedStore},
    files::WatchedFiles,
    witness::WatchedWitness,
};

/// Files written once, before the first start.
const MADE_ONCE: [&str; 3] = ["validator.key", "validator.pub", "genesis.json"];
/// File written at every start.
const ADDRESS: &str = "api.address";

/// A validator's disk, witness and files.
#[derive(Debug)]
pub(super) struct WatchedHome {
    whose: ValidatorId,
    pub(super) store: WatchedStore,
    files: WatchedFiles,
    /// Created at the first start.
    witness: Option<WatchedWitness>,
    trap: SharedTrap,
    /// How many of [`MADE_ONCE`] have been reported as done.
    made: usize,
    /// Newest life whose address write has begun, and newest one whose address write was reported as done.
    published: (u64, Option<u64>),
}

impl WatchedHome {
    pub(super) fn new(whose: ValidatorId, trap: &SharedTrap) -> Self {
        Self {
            whose,
            store: WatchedStore::new(whose, Arc::clone(trap)),
            files: WatchedFiles::new(whose, Arc::clone(trap)),
            witness: None,
            trap: Arc::clone(trap),
            made: 0,
            published: (0, None),
        }
    }

    /// Creates the files that a first start needs, if they are missing.
    pub(super) fn set_up(&mut self) -> std::io::Result<()> {
        for (number, name) in (1usize..).zip(MADE_ONCE) {
            if self.files.read(name).is_none() {
                self.files.create(name, name.repeat(20).as_bytes())?;
            }
            self.made = self.made.max(number);
        }
        Ok(())
    }

    /// Writes the address of a started process, which differs in every life.
    pub(super) fn publish(&mut self, life: u64) -> std::io::Result<()> {
        self.published.0 = life;
        self.files.replace(ADDRESS, address(life).as_bytes())?;
        self.published.1 = Some(life);
        Ok(())
    }

    /// FILE-1: every file is absent or whole, and present if its writer was told so.
    pub(super) fn check_files(&self) -> Result<(), String> {
        for (number, name) in (1usize..).zip(MADE_ONCE) {
            match self.files.read(name) {
                Some(content) if content != name.repeat(20).as_bytes() => {
                    return Err(format!("{name} of validator {} is incomplete after a power cut: {} bytes", self.whose, content.len()));
                }
                None if number <= self.made => {
                    return Err(format!("{name} of validator {} is missing after its writer was told that it was there", self.whose));
                }
                Some(_) | None => {}
            }
        }
        let (begun, done) = self.published;
        let is_allowed = match self.files.read(ADDRESS) {
            None => done.is_none(),
            Some(content) => (done.unwrap_or(0)..=begun).any(|life| content == address(life).as_bytes()),
        };
        if is_allowed { Ok(()) } else { Err(format!("{ADDRESS} of validator {} is neither an old nor the new one", self.whose)) }
    }

    /// Recovery is idempotent: the disk gives back the same validator when opened again, after a power cut that loses the first recovery's
    /// writes or one that keeps them.
    pub(super) fn check_recovery(&self, setting: &Setting) -> Result<(), String> {
        let Some(witness) = self.witness.as_ref().filter(|_| !self.store.is_new()).map(WatchedWitness::snapshot) else { return Ok(()) };
        let disk = self.store.snapshot();
        let mut first = None;
        for kept in [0, usize::MAX, usize::MAX] {
            let home = Unwatched { disk: disk.clone(), witness: witness.clone() };
            let mut machine = Machine::new(self.whose, home, Setup::real(), Clock::default());
            machine.open(setting).map_err(|error| error.to_string())?;
            let found =
                machine.replica().map(|replica| (replica.status(), replica.ledger().root().clone(), replica.safety_record().clone()));
            drop(machine);
            disk.crash(kept);
            match &first {
                None => first = Some(found),
                Some(first) if *first != found => {
                    return Err(format!("validator {} recovered as {first:?} first, then as {found:?}", self.whose));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Cuts the power, and returns the number of batches lost.
    pub(super) fn crash(&mut self, random: &mut Random) -> usize {
        self.files.crash(random);
        self.store.crash(random)
    }
}

impl Home for WatchedHome {
    type Disk = WatchedStore;

    fn disk(&self) -> &WatchedStore {
        &self.store
    }

    fn witness(&mut self, key: PublicKey) -> Box<dyn WitnessFile> {
        Box::new(self.witness.get_or_insert_with(|| WatchedWitness::of_new_key(self.whose, key, &self.trap)).clone())
    }

    fn durable(&self) -> Durable {
        self.store.durable()
    }
}

/// An unwatched copy of a home.
#[derive(Debug)]
struct Unwatched {
    disk: MemoryStore,
    witness: MemoryWitness,
}

impl Home for Unwatched {
    type Disk = MemoryStore;

    fn disk(&self) -> &MemoryStore {
        &self.disk
    }

    fn witness(&mut self, _key: PublicKey) -> Box<dyn WitnessFile> {
        Box::new(self.witness.clone())
    }

    fn durable(&self) -> Durable {
        Durable::default()
    }
}

fn address(life: u64) -> String {
    format!("127.0.0.1:{}\n", life.saturating_add(30_000))
}
