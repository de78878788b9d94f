//! Durable before signed, enforced by types (SAFE-4, S10, deviation D14).
//!
//! ```text
//! rule --> Unsaved<Ballot> --persist(store): write_sync and attest returned Ok--> Saved<Ballot> --sign (consumes)--> one signature
//! ```
//! Only the rules make an `Unsaved`, only [`persist`] makes a `Saved`, and neither can be copied, so this is the only way to a signature:
//!
//! ```
//! use quorate_consensus::safety::{Ballot, Safety, SafetyStore, Saved, Signed, Unsaved, persist};
//! use quorate_types::{verify::Verified, vote::QuorumCert};
//! fn way<S: SafetyStore>(safety: &Safety, store: &mut S, unsaved: Unsaved<Ballot>, qc: &Verified<QuorumCert>) -> Result<Option<Signed>, S::Error> {
//!     let saved: Saved<Ballot> = persist(store, unsaved)?;
//!     Ok(safety.sign(saved, qc))
//! }
//! ```
//! A `Saved` cannot be forged (E0451, a private field):
//!
//! ```compile_fail,E0451
//! use quorate_consensus::safety::{Ballot, Saved};
//! fn forge(ballot: Ballot) -> Saved<Ballot> {
//!     Saved { ballot }
//! }
//! ```
//! Nor can an `Unsaved` (E0451):
//!
//! ```compile_fail,E0451
//! use quorate_consensus::safety::{Ballot, SafetyRecord, Unsaved};
//! fn forge(ballot: Ballot, record: SafetyRecord) -> Unsaved<Ballot> {
//!     Unsaved { ballot, record }
//! }
//! ```
//! One write allows one signature (E0599, no `clone`; E0382, use after move):
//!
//! ```compile_fail,E0599
//! use quorate_consensus::safety::{Ballot, Saved};
//! fn twice(saved: Saved<Ballot>) -> (Saved<Ballot>, Saved<Ballot>) {
//!     (saved.clone(), saved)
//! }
//! ```
//! ```compile_fail,E0382
//! use quorate_consensus::safety::{Ballot, Safety, Saved, Signed};
//! use quorate_types::{verify::Verified, vote::QuorumCert};
//! fn twice(safety: &Safety, saved: Saved<Ballot>, qc: &Verified<QuorumCert>) -> (Option<Signed>, Option<Signed>) {
//!     (safety.sign(saved, qc), safety.sign(saved, qc))
//! }
//! ```
//! An `Unsaved` cannot be signed (E0308, wrong type):
//!
//! ```compile_fail,E0308
//! use quorate_consensus::safety::{Ballot, Safety, Unsaved};
//! use quorate_types::{verify::Verified, vote::QuorumCert};
//! fn hasty(safety: &Safety, unsaved: Unsaved<Ballot>, qc: &Verified<QuorumCert>) {
//!     drop(safety.sign(unsaved, qc));
//! }
//! ```

use quorate_types::{block::Block, codec, round::Round, verify::Verified};

use super::{Ballot, SafetyRecord};

/// A ballot that must not be signed yet: its record is not durable.
#[derive(Debug)]
#[must_use = "an approved ballot that is never saved blocks its round"]
pub struct Unsaved<B> {
    ballot: B,
    record: SafetyRecord,
}

/// A ballot whose record is durable.
#[derive(Debug)]
#[must_use]
pub struct Saved<B> {
    ballot: B,
}

/// What must be durable before the signature exists.
#[derive(Debug)]
pub struct SafetyWrite<'a> {
    /// The encoded [`SafetyRecord`].
    pub record: Vec<u8>,
    /// The highest round in which anything is signed under this record.
    pub round: Round,
    /// Our own block, which must not be lost once it is signed.
    pub block: Option<&'a Verified<Block>>,
}

/// Stable storage for safety records.
pub trait SafetyStore {
    /// A failed write. The caller stops the process: a failed write is never retried.
    type Error;

    /// Returns only after this write, and every write before it, is on stable storage.
    ///
    /// # Errors
    /// The write or its sync failed.
    fn write_sync(&mut self, write: &SafetyWrite<'_>) -> Result<(), Self::Error>;

    /// Notes in a second place, which is not lost or rolled back together with the first, that this write is durable. Called after
    /// [`Self::write_sync`]; returns only after the note is on stable storage. So the note is never ahead of the record, and a record behind
    /// its note is stale.
    ///
    /// # Errors
    /// The write or its sync failed.
    fn attest(&mut self, write: &SafetyWrite<'_>) -> Result<(), Self::Error>;
}

impl Unsaved<Ballot> {
    pub(super) const fn new(ballot: Ballot, record: SafetyRecord) -> Self {
        Self { ballot, record }
    }

    /// What may be signed once it is saved.
    #[must_use]
    pub const fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    /// The record that will be written.
    #[must_use]
    pub const fn record(&self) -> &SafetyRecord {
        &self.record
    }
}

impl Saved<Ballot> {
    pub(super) fn into_ballot(self) -> Ballot {
        self.ballot
    }

    /// What may now be signed.
    #[must_use]
    pub const fn ballot(&self) -> &Ballot {
        &self.ballot
    }
}

/// Makes a ballot's record durable: the only way to a [`Saved`].
///
/// # Errors
/// The store's. The ballot is lost, and the process must stop.
pub fn persist<S: SafetyStore>(store: &mut S, unsaved: Unsaved<Ballot>) -> Result<Saved<Ballot>, S::Error> {
    let Unsaved { ballot, record } = unsaved;
    let block = match &ballot {
        Ballot::Proposal { block, .. } => Some(block),
        Ballot::Vote(..) | Ballot::Timeout { .. } => None,
    };
    let write = SafetyWrite { record: codec::encode(&record), round: record.highest_round(), block };
    store.write_sync(&write)?;
    store.attest(&write)?;
    Ok(Saved { ballot })
}
