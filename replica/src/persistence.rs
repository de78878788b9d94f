//! What a validator remembers besides its ledger: the safety record and the certificates that lead into its round (docs/protocol.md, D14
//! and D15).
//!
//! ```text
//! column safety   "record"        SafetyRecord (consensus/src/safety)
//!                 "count"         u64 LE: number of ballot records written so far, this one included; absent: none
//!                 "certificates"  SyncInfo: high QC, high commit QC, option of the last round's TC
//!                 "lapse"         Lapse (consensus/src/safety): after a loss of memory, what is not known of the past
//! ```
//! The first three are written in one synced batch before a ballot is signed. The store's log is ordered, so the sync also makes every block
//! stored before durable: the voted block and its chain down to the root. Once the batch is durable, the count is noted beside the key as
//! well (`witness.rs`).

use quorate_consensus::safety::{Lapse, SafetyRecord, SafetyStore, SafetyWrite};
use quorate_ledger::{Batch, Column, Store, StoreError, schema};
use quorate_types::{codec, message::SyncInfo};

use crate::witness::Attestation;

const RECORD: &[u8] = b"record";
const COUNT: &[u8] = b"count";
const CERTIFICATES: &[u8] = b"certificates";
const LAPSE: &[u8] = b"lapse";

/// The safety column of a store, with the certificates to write beside the next record.
pub(crate) struct SafetyColumn<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) witness: &'a mut Attestation,
    pub(crate) certificates: &'a SyncInfo,
}

impl<S: Store> SafetyStore for SafetyColumn<'_, S> {
    type Error = StoreError;

    fn write_sync(&mut self, write: &SafetyWrite<'_>) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Column::Safety, RECORD, write.record.as_slice());
        batch.put(Column::Safety, COUNT, self.witness.next_count().to_le_bytes());
        batch.put(Column::Safety, CERTIFICATES, codec::encode(self.certificates));
        if let Some(block) = write.block {
            schema::put_pending(&mut batch, block);
        }
        self.store.write_sync(batch)
    }

    fn attest(&mut self, write: &SafetyWrite<'_>) -> Result<(), StoreError> {
        self.witness.note(&write.record, write.round)
    }
}

/// The stored record, if any; not decoded.
pub(crate) fn load_record<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Column::Safety, RECORD)
}

/// How many ballot records have been written to the store.
pub(crate) fn load_count<S: Store>(store: &S) -> Result<u64, StoreError> {
    // A malformed count reads as 0, which puts the witness ahead.
    let number = |bytes: Vec<u8>| bytes.as_slice().try_into().map_or(0, u64::from_le_bytes);
    Ok(store.get(Column::Safety, COUNT)?.map_or(0, number))
}

/// The stored certificates, if any; not decoded.
pub(crate) fn load_certificates<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Column::Safety, CERTIFICATES)
}

/// Writes a record that belongs to no ballot, with what belongs to it. The record counts, so that no copy from before it fits the witness.
pub(crate) fn write_record<S: Store>(
    store: &S,
    (record, count): (&[u8], u64),
    certificates: Option<&[u8]>,
    lapse: Option<&Lapse>,
) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(Column::Safety, RECORD, record);
    batch.put(Column::Safety, COUNT, count.to_le_bytes());
    if let Some(certificates) = certificates {
        batch.put(Column::Safety, CERTIFICATES, certificates);
    }
    if let Some(lapse) = lapse {
        batch.put(Column::Safety, LAPSE, codec::encode(lapse));
    }
    store.write_sync(batch)
}

/// The stored lapse, if any; not decoded.
pub(crate) fn load_lapse<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Column::Safety, LAPSE)
}

/// Writes the record of a validator that has signed nothing: from now on, a missing record was lost.
pub(crate) fn write_first_record<S: Store>(store: &S, record: &SafetyRecord) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(Column::Safety, RECORD, codec::encode(record));
    store.write_sync(batch)
}
