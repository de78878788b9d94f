//! Identifies the sites of a batch by the columns and keys it touches (ledger/src/schema.rs, replica/src/persistence.rs).

use std::collections::BTreeSet;

use quorate_consensus::safety::SafetyRecord;
use quorate_ledger::{Batch, Column};
use quorate_types::{
    codec,
    message::{MESSAGE_BYTES_MAX, SyncInfo},
};

use super::Site;

/// A block id as encoded in keys.
pub(super) type IdBytes = Vec<u8>;

/// The sites of a batch: none if it is unknown, several if it combines several writes. `fetched` are the blocks that came in answers to this
/// validator's own requests; `recorded` is the epoch of the safety record so far.
pub(super) fn sites(batch: &Batch, fetched: &BTreeSet<IdBytes>, recorded: u64) -> Vec<Site> {
    let put = |column: Column, key: &[u8]| {
        let mut entries = batch.entries().iter().filter(|entry| entry.column == column && *entry.key == *key);
        entries.next_back().and_then(|entry| entry.value.as_deref())
    };
    let pending_ids = |is_put: bool| {
        let entries = batch.entries().iter().filter(move |entry| entry.column == Column::Pending && entry.value.is_some() == is_put);
        // Keys are round, then id.
        entries.filter_map(|entry| entry.key.get(8..)).map(<[u8]>::to_vec)
    };
    let mut sites = Vec::new();
    if put(Column::Meta, b"schema").is_some() {
        return vec![Site::StateSnapshot];
    }
    if let Some(record) = put(Column::Safety, b"record") {
        let Some(certificates) = put(Column::Safety, b"certificates") else { return vec![Site::EpochStart] };
        let Ok(record) = SafetyRecord::decode(record) else { return sites };
        // No vote is signed in a round that was given up, so a timeout in the highest round is the newer ballot.
        let given_up = record.last_timeout().is_some_and(|(round, ..)| round == record.highest_vote_round());
        sites.push(match (pending_ids(true).next(), given_up) {
            (Some(_), _) => Site::OwnProposal,
            (None, true) => Site::Timeout,
            (None, false) => Site::Vote,
        });
        let certificates = codec::decode::<SyncInfo>(certificates, MESSAGE_BYTES_MAX);
        if certificates.is_ok_and(|info| info.last_round_tc.is_some()) {
            sites.push(Site::HighestCertificates);
        }
        if record.scope().1.0 > recorded {
            sites.push(Site::EpochBallot);
        }
        return sites;
    }
    if put(Column::Meta, b"committed").is_some() {
        sites.push(Site::LedgerCommit);
        if batch.entries().iter().any(|entry| entry.column == Column::Epoch) {
            sites.push(Site::EpochEnd);
        }
        let committed: BTreeSet<&[u8]> =
            batch.entries().iter().filter(|entry| entry.column == Column::Height).map(|entry| &*entry.key).collect();
        if pending_ids(false).any(|id| !committed.contains(id.as_slice())) {
            sites.push(Site::Prune);
        }
        return sites;
    }
    if let Some(id) = pending_ids(true).next() {
        return vec![if fetched.contains(&id) { Site::SyncChunk } else { Site::BlockInsert }];
    }
    if pending_ids(false).next().is_some() {
        sites.push(Site::Prune);
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(entries: &[(Column, &[u8], bool)]) -> Batch {
        let mut batch = Batch::new();
        for (column, key, is_put) in entries {
            if *is_put { batch.put(*column, *key, *b"value") } else { batch.delete(*column, *key) }
        }
        batch
    }

    #[test]
    fn a_batch_is_told_by_what_it_touches() {
        let (stored, other): (&[u8], &[u8]) = (b"rrrrrrrrid", b"rrrrrrrrother");
        let fetched = BTreeSet::from([b"id".to_vec()]);
        let tell = |entries: &[(Column, &[u8], bool)]| sites(&batch(entries), &fetched, 0);
        let meta = (Column::Meta, b"committed".as_slice(), true);
        assert_eq!(tell(&[(Column::Meta, b"schema", true), meta]), [Site::StateSnapshot]);
        assert_eq!(tell(&[(Column::Safety, b"record", true)]), [Site::EpochStart]);
        assert_eq!(tell(&[(Column::Pending, stored, true)]), [Site::SyncChunk]);
        assert_eq!(tell(&[(Column::Pending, other, true)]), [Site::BlockInsert]);
        assert_eq!(tell(&[meta, (Column::Height, b"id", true), (Column::Pending, stored, false)]), [Site::LedgerCommit]);
        let abandons = [meta, (Column::Height, b"id", true), (Column::Pending, stored, false), (Column::Pending, other, false)];
        assert_eq!(tell(&abandons), [Site::LedgerCommit, Site::Prune]);
        assert_eq!(tell(&[(Column::Pending, other, false)]), [Site::Prune]);
        assert_eq!(tell(&[meta, (Column::Height, b"id", true), (Column::Epoch, b"1", true)]), [Site::LedgerCommit, Site::EpochEnd]);
        assert_eq!(tell(&[(Column::State, b"key", true)]), []);
    }
}
