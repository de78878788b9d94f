//! The first net under a lost memory (protocol.md, "A lost memory"): how far the key has signed, kept where it is not lost together with the
//! data directory. The format is in [`quorate_types::witness`].
//!
//! ```text
//! persist:   record and count N+1 --> store, synced      then   count N+1 --> witness, synced      then   signature
//! start:     store N   and witness N, the same record    everything is there
//!            store N+1 and witness N                     the power failed between the writes: nothing was signed; the witness is updated
//!            store behind the witness                    the data directory is empty or old, or its log was cut: refused
//!            store two or more ahead of the witness      the witness is old: refused
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quorate_ledger::StoreError;
use quorate_types::{
    crypto::{Hash, PublicKey},
    ids::GenesisHash,
    round::Round,
    slots::SlotWrite,
    witness::{History, Mark, SAFETY_RECORD, Stop, Witness},
};

use crate::recovery::RecoverError;

/// The file of the witness. It exists before the first start ([`Witness::of_new_key`]), and only this replica writes it.
pub trait WitnessFile: fmt::Debug + Send {
    /// Reads the whole file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self) -> Result<Vec<u8>, StoreError>;

    /// Overwrites bytes at an offset; returns once they are on stable storage. A failed write is never retried.
    ///
    /// # Errors
    /// The write or its sync failed.
    fn write_sync(&self, at: usize, bytes: &[u8]) -> Result<(), StoreError>;
}

/// The witness, open for writing; see the module docs.
#[derive(Debug)]
pub(crate) struct Attestation {
    file: Box<dyn WitnessFile>,
    genesis: GenesisHash,
    counter: u64,
    witness: Witness,
}

impl Attestation {
    /// Reads the file, which must belong to this key and network and must not remember a stop.
    pub(crate) fn open(file: Box<dyn WitnessFile>, key: PublicKey, genesis: GenesisHash) -> Result<Self, RecoverError> {
        let (counter, witness) = Self::read(&file.read()?, key, genesis)?;
        Ok(Self { file, genesis, counter, witness })
    }

    /// The content of a file that belongs to this key and network and does not remember a stop, and its counter.
    pub(crate) fn read(bytes: &[u8], key: PublicKey, genesis: GenesisHash) -> Result<(u64, Witness), RecoverError> {
        let (counter, witness) = Witness::read(bytes).map_err(|_| RecoverError::WitnessDamaged)?;
        if witness.key != key {
            return Err(RecoverError::WitnessOfOtherKey { found: witness.key, ours: key });
        }
        match witness.history {
            History::Stopped(_, stop) => Err(RecoverError::Stopped(stop)),
            History::Signed(mark) | History::Moved(mark) if mark.genesis != genesis => {
                Err(RecoverError::WitnessOfOtherNetwork { found: mark.genesis, given: genesis })
            }
            History::Moved(_) => Err(RecoverError::Moved),
            History::Signed(_) | History::Unused => Ok((counter, witness)),
        }
    }

    /// Compares the store with this file: `count` is the number of ballot records in the store, `record` the newest one with its highest
    /// round.
    pub(crate) fn check(&mut self, count: u64, record: Option<(&[u8], Round)>) -> Result<(), RecoverError> {
        let mark = self.mark();
        let found = record.map(|(record, _)| Hash::of(&SAFETY_RECORD, record));
        if count < mark.count {
            let stored = record.filter(|_| count > 0).map(|(_, round)| round);
            return Err(RecoverError::DataBehind { stored, signed: mark.round });
        }
        if count == mark.count {
            return if count == 0 || found == Some(mark.record) { Ok(()) } else { Err(RecoverError::RecordsDiffer(mark.round)) };
        }
        match record {
            // The power failed between the two writes.
            Some((record, round)) if count == mark.count.saturating_add(1) => Ok(self.note(record, round)?),
            Some(_) | None => Err(RecoverError::WitnessBehind { witnessed: mark.round }),
        }
    }

    /// The number of ballot records, the next one included.
    pub(crate) fn next_count(&self) -> u64 {
        self.mark().count.saturating_add(1)
    }

    /// Notes that the next record is durable.
    pub(crate) fn note(&mut self, record: &[u8], round: Round) -> Result<(), StoreError> {
        let record = Hash::of(&SAFETY_RECORD, record);
        self.write(History::Signed(Mark { genesis: self.genesis, count: self.next_count(), round, record }))
    }

    /// Remembers for ever that this key must not sign any more. Writes both slots, so that neither a torn later write nor a bad sector undoes
    /// the stop.
    pub(crate) fn stop(&mut self, stop: Stop) -> Result<(), StoreError> {
        let stopped = History::Stopped(self.mark(), stop);
        self.write(stopped)?;
        self.write(stopped)
    }

    fn mark(&self) -> Mark {
        let unused = Mark { genesis: self.genesis, count: 0, round: Round(0), record: Hash::default() };
        self.witness.mark().unwrap_or(unused)
    }

    fn write(&mut self, history: History) -> Result<(), StoreError> {
        let witness = Witness { history, ..self.witness };
        let counter = self.counter.saturating_add(1);
        let SlotWrite { at, bytes } = witness.slot(counter);
        self.file.write_sync(at, &bytes)?;
        (self.counter, self.witness) = (counter, witness);
        Ok(())
    }
}

/// A witness in memory, for tests and the simulator. The value is a handle: clones share one file.
#[derive(Clone)]
pub struct MemoryWitness {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Clone)]
struct Inner {
    bytes: Vec<u8>,
    /// How many more writes succeed, and how many bytes of the next one get written.
    fails: Option<(usize, usize)>,
}

impl MemoryWitness {
    /// The file of a new key.
    #[must_use]
    pub fn of_new_key(key: PublicKey) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { bytes: Witness::of_new_key(key), fails: None })) }
    }

    /// A separate file with the same content.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { fails: None, ..self.lock().clone() })) }
    }

    /// Lets the next `count` writes succeed. The one after them writes only its first `bytes` and fails, and so do all later ones, writing
    /// nothing.
    pub fn fail_after(&self, count: usize, bytes: usize) {
        self.lock().fails = Some((count, bytes));
    }

    /// Lets all writes succeed again.
    pub fn repair(&self) {
        self.lock().fails = None;
    }

    /// The file's content.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// Replaces the file's content.
    pub fn set_bytes(&self, bytes: Vec<u8>) {
        self.lock().bytes = bytes;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryWitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryWitness({:?})", Witness::read(&self.lock().bytes))
    }
}

impl WitnessFile for MemoryWitness {
    fn read(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.bytes())
    }

    fn write_sync(&self, at: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let written = match &mut inner.fails {
            None => bytes.len(),
            Some((0, written)) => std::mem::take(written),
            Some((left, _)) => {
                *left = left.saturating_sub(1);
                bytes.len()
            }
        };
        for (old, new) in inner.bytes.iter_mut().skip(at).zip(bytes.iter().take(written)) {
            *old = *new;
        }
        if written == bytes.len() { Ok(()) } else { Err(StoreError::Disk("an injected error of the witness".into())) }
    }
}

#[cfg(test)]
mod tests;
