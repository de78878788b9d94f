//! Recovery: everything the engine must know, read from the store and verified again (docs/protocol.md, S9 to S12).

use std::sync::Arc;

use quorate_app::App;
use quorate_consensus::{
    HISTORY_BLOCKS, Recovered, Root, Summary,
    safety::{Lapse, SafetyRecord},
};
use quorate_ledger::{Ledger, LedgerError, Store, StoreError, genesis_header, genesis_qc};
use quorate_types::{
    block::Block,
    codec::{self, DecodeError},
    crypto::PublicKey,
    epoch::EpochState,
    genesis::Genesis,
    ids::GenesisHash,
    message::{MESSAGE_BYTES_MAX, SyncInfo},
    round::{Epoch, Height, Round},
    timeout::TimeoutCert,
    verify::{Verified, Verifier, VerifyError},
    vote::QuorumCert,
    witness::Stop,
};

use crate::{persistence, witness::Attestation};

/// Why a validator cannot recover from its disk.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain speaks a version of the protocol that this program does not.
    #[error(transparent)]
    LaterVersion(#[from] LaterVersion),
    /// SAFE-6: the store has a ledger and no safety record.
    #[error(
        "SAFE-6: the data directory holds a ledger of height {0} but no safety record, so it is not known what this validator has signed. Restore the \
         data directory as it was at the last stop if you have it; otherwise {MEMORY_IS_LOST}"
    )]
    SafetyRecordMissing(Height),
    /// SAFE-6: the safety record does not decode.
    #[error(
        "SAFE-6: the safety record is damaged ({0}), so it is not known what this validator has signed. Restore the data directory as it was at the last \
         stop if you have it; otherwise {MEMORY_IS_LOST}"
    )]
    SafetyRecordDamaged(DecodeError),
    /// SAFE-6: the store has forgotten what was signed.
    #[error(
        "SAFE-6: this validator has signed up to round {signed}, but the data directory {}. It would contradict what it has signed. Restore the data \
         directory as it was at the last stop if you have it; otherwise {MEMORY_IS_LOST}",
        forgotten(*stored)
    )]
    DataBehind {
        /// The highest round that the data directory remembers, if any.
        stored: Option<Round>,
        /// The highest round signed in.
        signed: Round,
    },
    /// SAFE-6: the witness has forgotten what was signed.
    #[error(
        "SAFE-6: validator.signed, beside the key, is an old copy: it ends at round {witnessed}, and the data directory knows more. Restore the file \
         as it was at the last stop if you have it; otherwise {MEMORY_IS_LOST}"
    )]
    WitnessBehind {
        /// The highest round that the witness knows.
        witnessed: Round,
    },
    /// SAFE-6: store and witness count the same records and remember different ones.
    #[error(
        "SAFE-6: the safety record in the data directory is not the one that validator.signed, beside the key, was written for (round {0}): one of \
         them is damaged or another validator's. Restore both as they were at the last stop; otherwise {MEMORY_IS_LOST}"
    )]
    RecordsDiffer(Round),
    /// SAFE-6: neither slot of the witness is whole.
    #[error(
        "SAFE-6: validator.signed, beside the key, is damaged, so it is not known what the key has signed. Restore the file as it was at the last stop \
         if you have it; otherwise {MEMORY_IS_LOST}"
    )]
    WitnessDamaged,
    /// The witness belongs to another key.
    #[error(
        "validator.signed, beside the key, belongs to consensus key {found}, but the key file holds {ours}; use two files that `quorate keygen \
         validator` made together"
    )]
    WitnessOfOtherKey {
        /// The key in the witness.
        found: PublicKey,
        /// The key in the key file.
        ours: PublicKey,
    },
    /// The witness belongs to another network.
    #[error(
        "validator.signed, beside the key, binds the key to the network with genesis {found}, but this is the network with genesis {given}; use that \
         network's genesis, or make a new key for this one (move the directory `keys` away, then run `quorate keygen validator`)"
    )]
    WitnessOfOtherNetwork {
        /// The network that the key has signed on.
        found: GenesisHash,
        /// The network that it is started on.
        given: GenesisHash,
    },
    /// SAFE-6: the witness remembers a stop.
    #[error(
        "SAFE-6: this key was stopped for ever: it has signed {0}, which this validator does not remember. It runs somewhere else as well, or its home \
         was restored from an older copy. Stop the other one if there is one; {MEMORY_IS_LOST}"
    )]
    Stopped(Stop),
    /// SAFE-6: the record was exported.
    #[error(
        "SAFE-6: the record of this validator was exported, so its key signs on another machine, or will. To go on here after all, import the file here \
         (`quorate node safety import`), if no other machine has, or ever will"
    )]
    Moved,
    /// The safety record is of another network or epoch.
    #[error(
        "the safety record is for the network with genesis {0}, epoch {1}: this data directory belongs to another network. Start with that network's \
         genesis, or move the directory away"
    )]
    OtherScope(GenesisHash, Epoch),
    /// A stored block or certificate does not verify.
    #[error(
        "a stored block or certificate does not verify ({0}): the data directory is damaged. Restore it as it was at the last stop if you have it; \
         otherwise {MEMORY_IS_LOST}"
    )]
    Unverified(#[from] VerifyError),
    /// The stored certificates do not decode.
    #[error(
        "the stored certificates are damaged ({0}). Restore the data directory as it was at the last stop if you have it; otherwise {MEMORY_IS_LOST}"
    )]
    Damaged(DecodeError),
    /// The key is not a validator's.
    #[error("the consensus key {0} is not in the genesis; use the key that was entered with `quorate genesis add-validator`")]
    NotAValidator(String),
}

/// What to do about a key that may have signed what this home does not remember.
pub(crate) const MEMORY_IS_LOST: &str = "bring it back by `quorate node recover`, or make a new key (`quorate keygen validator`) and have the committee \
     replace this one (docs/operate.md, \"Lost or old data\")";

/// What to do about a key that has run in two places.
pub(crate) const KEY_IS_LOST: &str = "never start this key again: make a new one (`quorate keygen validator`) and have the committee replace it \
     (docs/operate.md, \"Lost or old data\")";

fn forgotten(stored: Option<Round>) -> String {
    stored.map_or_else(|| "is empty".into(), |round| format!("is an old copy or was cut short: it ends at round {round}"))
}

/// The verifier of a network: its committee, and the genesis certificate, which depends on the application's initial state.
///
/// # Errors
/// [`RecoverError::Ledger`]: the genesis does not fit the application.
pub fn verifier(genesis: &Genesis, app: &App) -> Result<Arc<Verifier>, RecoverError> {
    let (header, _) = genesis_header(app, genesis)?;
    let committee = genesis.committee().map_err(LedgerError::from)?;
    Ok(Arc::new(Verifier::new(committee, genesis_qc(&header), genesis.parameters)))
}

/// The chain goes over to a version of the protocol that this program does not speak. Nothing is signed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "from epoch {epoch} on the chain speaks protocol version {version}, and this program only up to {speaks}: install a release that speaks {version} \
     (`quorate version -o json` shows its `protocol`) and start it on the same data"
)]
pub struct LaterVersion {
    /// The first epoch of the version.
    pub epoch: Epoch,
    /// The version.
    pub version: u32,
    /// The newest version that this program speaks.
    pub speaks: u32,
}

impl LaterVersion {
    pub(crate) const fn check(epoch: &EpochState, speaks: u32) -> Result<(), Self> {
        if epoch.protocol_version > speaks {
            return Err(Self { epoch: epoch.epoch, version: epoch.protocol_version, speaks });
        }
        Ok(())
    }
}

/// The verifier of the epoch that a ledger is in, from that of the first.
pub(crate) fn of_epoch<S: Store>(first: &Arc<Verifier>, ledger: &Ledger<S>) -> Result<Arc<Verifier>, RecoverError> {
    let epoch = ledger.epoch();
    if epoch.epoch == first.committee().epoch() {
        return Ok(Arc::clone(first));
    }
    let last = ledger.reader().last_before(epoch.epoch)?.state_id();
    let committee = epoch.committee().map_err(LedgerError::from)?;
    Ok(Arc::new(first.next(last, committee, epoch.parameters)))
}

/// What is not known about the past of the key, if it was lost once.
pub(crate) fn stored_lapse<S: Store>(store: &S) -> Result<Option<Lapse>, RecoverError> {
    persistence::load_lapse(store)?.map(|bytes| Lapse::decode(&bytes)).transpose().map_err(RecoverError::SafetyRecordDamaged)
}

/// What the engine starts an epoch from, at the block that ends the one before. The stored record is of an earlier epoch, unless this validator
/// has moved here and its ledger is still behind.
pub(crate) fn at_start<S: Store>(ledger: &Ledger<S>, verifier: &Verifier, abstains: bool) -> Result<Recovered, RecoverError> {
    let (id, round) = ledger.tip();
    let scope = (verifier.genesis_hash(), verifier.committee().epoch());
    let stored = stored_record(ledger.store())?.map(|(_, record)| record);
    let record = stored.filter(|record| record.scope().1 >= scope.1).unwrap_or_else(|| SafetyRecord::new(scope.0, scope.1));
    let (last_timeout, certificates) = load_signed(ledger, verifier, &record)?;
    Ok(Recovered {
        root: Root { id, round, state_id: ledger.root().state_id(), payload_round: round },
        root_qc: verifier.genesis_qc(),
        committed: Vec::new(),
        record,
        abstains,
        last_timeout,
        certificates,
        blocks: Vec::new(),
    })
}

/// Reads what the engine starts from.
pub(crate) fn recover<S: Store>(
    ledger: &Ledger<S>,
    verifier: &Verifier,
    witness: &mut Attestation,
    abstains: bool,
) -> Result<Recovered, RecoverError> {
    let header = ledger.root();
    let epoch = verifier.committee().epoch();
    let reader = ledger.reader();

    let mut committed = Vec::new();
    let mut payload_round = Round(0);
    let first = header.height.0.saturating_sub(HISTORY_BLOCKS as u64).max(1);
    for height in first..=header.height.0 {
        let block = reader.block_at(Height(height))?.and_then(|stored| stored.block);
        // Elections look back on their own epoch.
        if let Some(block) = block.filter(|block| block.content().epoch == epoch) {
            committed.push(Summary::from(&block));
            if !block.payload().is_empty() {
                payload_round = block.round();
            }
        }
    }
    let (id, round) = ledger.tip();
    let root = Root { id, round, state_id: header.state_id(), payload_round };
    let root_qc = if header.epoch == epoch { verifier.quorum_cert(ledger.commit_qc())? } else { verifier.genesis_qc() };

    let record = load_record(ledger, verifier, witness)?;
    let (last_timeout, certificates) = load_signed(ledger, verifier, &record)?;
    let blocks = ledger.load_pending()?.into_iter().map(|block| verifier.block(block)).collect::<Result<Vec<Verified<Block>>, _>>()?;
    Ok(Recovered { root, root_qc, committed, record, abstains, last_timeout, certificates, blocks })
}

/// The stored record, encoded and decoded.
pub(crate) fn stored_record<S: Store>(store: &S) -> Result<Option<(Vec<u8>, SafetyRecord)>, RecoverError> {
    let Some(bytes) = persistence::load_record(store)? else { return Ok(None) };
    let record = SafetyRecord::decode(&bytes).map_err(RecoverError::SafetyRecordDamaged)?;
    Ok(Some((bytes, record)))
}

/// The record of our epoch. If this validator has moved here and the ledger is behind, the record is of a later one: until then nothing is signed.
fn load_record<S: Store>(ledger: &Ledger<S>, verifier: &Verifier, witness: &mut Attestation) -> Result<SafetyRecord, RecoverError> {
    let scope = (verifier.genesis_hash(), verifier.committee().epoch());
    let stored = stored_record(ledger.store())?;
    if let Some((_, record)) = stored.as_ref().filter(|(_, record)| record.scope().0 != scope.0) {
        return Err(RecoverError::OtherScope(record.scope().0, record.scope().1));
    }
    witness.check(persistence::load_count(ledger.store())?, stored.as_ref().map(|(bytes, record)| (&**bytes, record.highest_round())))?;
    match stored {
        Some((_, record)) if record.scope().1 >= scope.1 => Ok(record),
        // The witness agrees that this is the last record, so nothing has been signed since: nothing in our epoch.
        Some(_) => Ok(SafetyRecord::new(scope.0, scope.1)),
        // Nothing has been signed: the store is at genesis, and the witness agrees. The first record is written before anything can be signed
        // or committed.
        None if ledger.root().height == Height(0) => {
            let record = SafetyRecord::new(scope.0, scope.1);
            persistence::write_first_record(ledger.store(), &record)?;
            Ok(record)
        }
        None => Err(RecoverError::SafetyRecordMissing(ledger.root().height)),
    }
}

/// A timeout that may be sent again: its round and certificates.
type SignedTimeout = (Round, Verified<QuorumCert>, Option<Verified<TimeoutCert>>);

/// What is stored beside the record, if the stored record is of our epoch: its last timeout, and the certificates that lead into its round.
fn load_signed<S: Store>(
    ledger: &Ledger<S>,
    verifier: &Verifier,
    record: &SafetyRecord,
) -> Result<(Option<SignedTimeout>, Option<Verified<SyncInfo>>), RecoverError> {
    let is_of_epoch = |record: &SafetyRecord| record.scope().1 == verifier.committee().epoch();
    if !is_of_epoch(record) || !stored_record(ledger.store())?.is_some_and(|(_, stored)| is_of_epoch(&stored)) {
        return Ok((None, None));
    }
    let last_timeout = match record.last_timeout() {
        None => None,
        Some((round, high_qc, tc)) => Some((round, verifier.quorum_cert(high_qc)?, tc.map(|tc| verifier.timeout_cert(tc)).transpose()?)),
    };
    let Some(bytes) = persistence::load_certificates(ledger.store())? else { return Ok((last_timeout, None)) };
    let certificates: SyncInfo = codec::decode(&bytes, MESSAGE_BYTES_MAX).map_err(RecoverError::Damaged)?;
    Ok((last_timeout, Some(verifier.sync_info(certificates)?)))
}
