//! What a validator remembers besides its ledger: the safety record and the certificates that lead into its round (protocol.md §7).
//!
//! ```text
//! column safety   "record"        SafetyRecord (consensus/src/safety)
//!                 "certificates"  SyncInfo: high QC, high commit QC, option of the last round's TC
//! ```
//! Both are written in one synced batch before a ballot is signed. The log of the store is ordered, so that sync also makes durable every
//! block that was stored before: the voted block and its chain down to the root.

use quorate_consensus::safety::{SafetyRecord, SafetyStore, SafetyWrite};
use quorate_ledger::{Batch, Column, Store, StoreError, schema};
use quorate_types::{codec, message::SyncInfo};

const RECORD: &[u8] = b"record";
const CERTIFICATES: &[u8] = b"certificates";

/// The safety column of a store, with the certificates that are written beside the next record.
pub(crate) struct SafetyColumn<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) certificates: &'a SyncInfo,
}

impl<S: Store> SafetyStore for SafetyColumn<'_, S> {
    type Error = StoreError;

    fn write_sync(&mut self, write: &SafetyWrite<'_>) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Column::Safety, RECORD, write.record.as_slice());
        batch.put(Column::Safety, CERTIFICATES, codec::encode(self.certificates));
        if let Some(block) = write.block {
            schema::put_pending(&mut batch, block);
        }
        self.store.write_sync(batch)
    }
}

/// The stored record, if any; not decoded.
pub(crate) fn load_record<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Column::Safety, RECORD)
}

/// The stored certificates, if any; not decoded.
pub(crate) fn load_certificates<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    store.get(Column::Safety, CERTIFICATES)
}

/// Writes the record of a validator that has signed nothing: from now on a missing record means that it was lost.
pub(crate) fn write_first_record<S: Store>(store: &S, record: &SafetyRecord) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(Column::Safety, RECORD, codec::encode(record));
    store.write_sync(batch)
}
