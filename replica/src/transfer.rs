//! What a stopped validator takes along when it moves to another machine: its safety record, and what is stored beside it.
//!
//! ```text
//! export:   witness and store agree               -->  SafetyState, then, once it is kept   `moved` --> witness: this home signs no more
//! import:   witness and store hold no more        -->  store, synced   then   witness, by the caller   then   report
//! ```
//! An import only raises ([`SafetyRecord::check_raise`]). A crash between its two writes leaves a store ahead of its witness, which either
//! counts as a write that was interrupted, or is refused until the import is repeated.

use std::cmp::Ordering;

use quorate_consensus::safety::{Lapse, Lowers, SafetyRecord};
use quorate_ledger::{Store, StoreError};
use quorate_types::{
    codec::{self, DecodeError},
    crypto::{Hash, PublicKey},
    ids::GenesisHash,
    round::{Epoch, Round},
    witness::{History, Mark, SAFETY_RECORD, Witness},
};

use crate::{
    persistence,
    recovery::{KEY_IS_LOST, RecoverError, stored_lapse, stored_record},
    witness::{Attestation, WitnessFile},
};

/// The safety record of a stopped validator with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyState {
    /// The number of records made durable for the key, this one included.
    pub count: u64,
    /// The newest record.
    pub record: SafetyRecord,
    /// The certificates that led into its round, encoded; they are checked when they are used.
    pub certificates: Option<Vec<u8>>,
    /// The epoch, and the last round of it, of which it is not known what was signed, if the memory was lost once.
    pub unknown: Option<(Epoch, Round)>,
}

/// Why a safety record is not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The home itself is not in order.
    #[error(transparent)]
    Home(#[from] RecoverError),
    /// The home has lost its memory.
    #[error(
        "this validator has lost its memory and does not know yet what it has signed (`quorate node recover`). Start it, and let it sign again first"
    )]
    Abstains,
    /// There is nothing to take along.
    #[error("this key has signed nothing yet, so there is no record to export: copy the directory `keys` alone")]
    Unused,
    /// The home has signed more than the imported record.
    #[error(
        "this home remembers {held} signatures of the key, the file only {given}: the file is older. Nothing was changed. Export again from the \
         machine that signed last, after it has stopped"
    )]
    Behind {
        /// The records that the home counts.
        held: u64,
        /// The records that the file counts.
        given: u64,
    },
    /// As many signatures, but not the same: two processes have signed with the key.
    #[error(
        "this home and the file count the same number of signatures ({0}) and remember different ones: the key has run in two places. Nothing was \
         changed. Whatever the cause, {KEY_IS_LOST}"
    )]
    Differs(u64),
    /// The imported record would lower the one held.
    #[error(
        "the file counts more signatures than this home remembers, and yet {0}. Nothing was changed. If another machine signed last, export there; \
         if the key has run in two places, {KEY_IS_LOST}"
    )]
    Lowers(#[from] Lowers),
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Home(error.into())
    }
}

impl SafetyState {
    /// The state with this encoded record.
    ///
    /// # Errors
    /// [`DecodeError`]: it is no record of this program's version.
    pub fn new((count, record): (u64, &[u8]), certificates: Option<Vec<u8>>, unknown: Option<(Epoch, Round)>) -> Result<Self, DecodeError> {
        Ok(Self { count, record: SafetyRecord::decode(record)?, certificates, unknown })
    }

    /// Reads the state of a stopped validator, whose store and witness must agree.
    ///
    /// # Errors
    /// [`TransferError`], which says what to do.
    pub fn export<S: Store>(store: &S, file: Box<dyn WitnessFile>, key: PublicKey, genesis: GenesisHash) -> Result<Self, TransferError> {
        let mut witness = Attestation::open(file, key, genesis)?;
        let unknown = check_lapse(store)?;
        let count = persistence::load_count(store)?;
        let stored = stored_record(store)?;
        witness.check(count, stored.as_ref().map(|(bytes, record)| (&**bytes, record.highest_round())))?;
        let Some((_, record)) = stored.filter(|_| count > 0) else { return Err(TransferError::Unused) };
        check_network(&record, genesis)?;
        Ok(Self { count, record, certificates: persistence::load_certificates(store)?, unknown })
    }

    /// Raises a stopped validator's store to this state and returns the new content of its witness, which the caller must write after it.
    /// `witness` is the present content; `None` if there is no such file, as in a home that was made for the move.
    ///
    /// # Errors
    /// [`TransferError`], which says what to do. Nothing was changed, unless it is the store's own failure.
    pub fn import<S: Store>(
        &self,
        store: &S,
        witness: Option<&[u8]>,
        key: PublicKey,
        genesis: GenesisHash,
    ) -> Result<Vec<u8>, TransferError> {
        check_network(&self.record, genesis)?;
        check_lapse(store)?;
        let record = codec::encode(&self.record);
        let hash = Hash::of(&SAFETY_RECORD, &record);
        let compare = |held: u64, same: bool| match held.cmp(&self.count) {
            Ordering::Greater => Err(TransferError::Behind { held, given: self.count }),
            Ordering::Equal if !same => Err(TransferError::Differs(held)),
            Ordering::Equal | Ordering::Less => Ok(()),
        };
        let mark = match witness.map(|bytes| Attestation::read(bytes, key, genesis)).transpose() {
            // The record may come back to where it was exported.
            Err(RecoverError::Moved) => witness.and_then(|bytes| Witness::read(bytes).ok()).and_then(|(_, witness)| witness.mark()),
            read => read?.and_then(|(_, witness)| witness.mark()),
        };
        if let Some(mark) = mark {
            compare(mark.count, mark.record == hash)?;
        }
        let stored = stored_record(store)?;
        compare(persistence::load_count(store)?, stored.as_ref().is_none_or(|(bytes, _)| *bytes == record))?;
        let held = stored.map_or_else(|| SafetyRecord::new(genesis, self.record.scope().1), |(_, record)| record);
        check_network(&held, genesis)?;
        held.check_raise(&self.record)?;
        let lapse = self.unknown.map(|(epoch, round)| Lapse::Closed { epoch, round });
        persistence::write_record(store, (&record, self.count), self.certificates.as_deref(), lapse.as_ref())?;
        let mark = Mark { genesis, count: self.count, round: self.record.highest_round(), record: hash };
        Ok(Witness { key, history: History::Signed(mark) }.whole())
    }
}

/// The new content of a stopped validator's witness once its record was exported: the home signs no more, unless the record is imported again.
///
/// # Errors
/// [`TransferError::Home`]; [`TransferError::Unused`].
pub fn moved(witness: &[u8], key: PublicKey, genesis: GenesisHash) -> Result<Vec<u8>, TransferError> {
    let (_, held) = Attestation::read(witness, key, genesis)?;
    let mark = held.mark().ok_or(TransferError::Unused)?;
    Ok(Witness { key, history: History::Moved(mark) }.whole())
}

/// Begins the way back of a stopped validator that has lost its memory: from now on it signs nothing until it knows enough (protocol.md, "A way
/// back"). Returns the new content of its witness, which the caller must write afterwards; `witness` is the present content, if there is any.
/// `nonce` must be drawn at random now.
///
/// The store forbids signing before the witness allows a start, and no older copy of either fits the other: the count goes up. A crash between
/// the two leaves what does not start, or signs nothing.
///
/// # Errors
/// [`TransferError`]: the home belongs to another key or network, or the store failed.
pub fn forget<S: Store>(
    store: &S,
    witness: Option<&[u8]>,
    key: PublicKey,
    genesis: GenesisHash,
    nonce: Hash,
) -> Result<Vec<u8>, TransferError> {
    let known = match witness.map(|bytes| Attestation::read(bytes, key, genesis)) {
        Some(Err(error @ (RecoverError::WitnessOfOtherKey { .. } | RecoverError::WitnessOfOtherNetwork { .. }))) => {
            return Err(error.into());
        }
        Some(Ok((_, known))) => known.mark(),
        // A stop does not count: it says that the memory was lost. Its mark does.
        Some(Err(_)) => witness.and_then(|bytes| Witness::read(bytes).ok()).and_then(|(_, known)| known.mark()),
        None => None,
    };
    // Whatever the store still remembers is right, and not enough.
    let record = stored_record(store).ok().flatten().map_or_else(|| SafetyRecord::new(genesis, Epoch(0)), |(_, record)| record);
    check_network(&record, genesis)?;
    let record = record.raised_above(record.highest_round());
    let count = known.map_or(0, |mark| mark.count).max(persistence::load_count(store)?).saturating_add(1);
    let round = known.map_or(Round(0), |mark| mark.round).max(record.highest_round());
    let bytes = codec::encode(&record);
    persistence::write_record(store, (&bytes, count), None, Some(&Lapse::Open { nonce }))?;
    let mark = Mark { genesis, count, round, record: Hash::of(&SAFETY_RECORD, &bytes) };
    Ok(Witness { key, history: History::Signed(mark) }.whole())
}

/// The rounds of which it is not known what was signed.
fn check_lapse<S: Store>(store: &S) -> Result<Option<(Epoch, Round)>, TransferError> {
    match stored_lapse(store)? {
        Some(Lapse::Open { .. }) => Err(TransferError::Abstains),
        Some(Lapse::Closed { epoch, round }) => Ok(Some((epoch, round))),
        None => Ok(None),
    }
}

fn check_network(record: &SafetyRecord, genesis: GenesisHash) -> Result<(), RecoverError> {
    let (found, epoch) = record.scope();
    if found == genesis { Ok(()) } else { Err(RecoverError::OtherScope(found, epoch)) }
}
