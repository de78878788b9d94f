//! Coming back: everything the engine must know, read from the store and verified again (docs/protocol.md, S9 to S12).

use std::sync::Arc;

use quorate_app::App;
use quorate_consensus::{HISTORY_BLOCKS, Recovered, Root, Summary, safety::SafetyRecord};
use quorate_ledger::{Ledger, LedgerError, Store, StoreError, genesis_header, genesis_qc};
use quorate_types::{
    block::Block,
    codec::{self, DecodeError},
    crypto::PublicKey,
    genesis::Genesis,
    ids::{GenesisHash, ValidatorId},
    message::{MESSAGE_BYTES_MAX, Message, SyncInfo},
    round::{Epoch, Height, Round},
    verify::{Verified, VerifiedMessage, Verifier, VerifyError},
    witness::Stop,
};

use crate::{persistence, witness::Attestation};

/// Why a validator cannot come back from its disk.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SAFE-6: a validator without its memory must not sign.
    #[error(
        "SAFE-1: the data directory holds a ledger of height {0} but no safety record, so it is not known what this validator has signed. \
         Do not run it with this key; restore the whole data directory, or have the committee replace the key"
    )]
    SafetyRecordMissing(Height),
    /// The record is damaged.
    #[error("SAFE-1: the safety record is damaged ({0}). Do not run this validator with its key; have the committee replace the key")]
    SafetyRecordDamaged(DecodeError),
    /// SAFE-6: the store has forgotten what was signed.
    #[error(
        "SAFE-6: this validator has signed up to round {signed}, but the data directory {}. It would contradict what it has signed. Put the data \
         directory back as it was at the last stop if you have it; otherwise {KEY_IS_LOST}",
        forgotten(*stored)
    )]
    DataBehind {
        /// The highest round that the data directory remembers, if it remembers anything.
        stored: Option<Round>,
        /// The highest round signed in.
        signed: Round,
    },
    /// SAFE-6: what the key has signed is not known.
    #[error(
        "SAFE-6: validator.signed, beside the key, is an old copy: it ends at round {witnessed}, the data directory knows more. Put the file back \
         as it was at the last stop if you have it; otherwise {KEY_IS_LOST}"
    )]
    WitnessBehind {
        /// The highest round that it knows.
        witnessed: Round,
    },
    /// SAFE-6: two memories of one past.
    #[error(
        "SAFE-6: the safety record in the data directory is not the one that validator.signed, beside the key, was written for (round {0}): one of \
         them is of another validator, or damaged. Put both back as they were at the last stop; otherwise {KEY_IS_LOST}"
    )]
    RecordsDiffer(Round),
    /// SAFE-6: no slot is whole.
    #[error(
        "SAFE-6: validator.signed, beside the key, is damaged: what the key has signed is not known for certain. Put the file back as it was at the \
         last stop if you have it; otherwise {KEY_IS_LOST}"
    )]
    WitnessDamaged,
    /// The witness of another key.
    #[error(
        "validator.signed, beside the key, belongs to consensus key {found}, the key file holds {ours}: put the two files together that were made \
         together by `quorate keygen validator`"
    )]
    WitnessOfOtherKey {
        /// Whose it is.
        found: PublicKey,
        /// Ours.
        ours: PublicKey,
    },
    /// The witness of another network.
    #[error(
        "validator.signed, beside the key, says that the key signs on the network with genesis {found}, this is the network with genesis {given}: give \
         that network's genesis, or make a new key for this one (move the directory `keys` away, then `quorate keygen validator`)"
    )]
    WitnessOfOtherNetwork {
        /// Where the key has signed.
        found: GenesisHash,
        /// Where it is to sign.
        given: GenesisHash,
    },
    /// SAFE-6, remembered.
    #[error(
        "SAFE-6: this key was stopped for ever: {0} was seen that it has signed and that this validator does not remember. It runs somewhere else as \
         well, or its home was put back from an older copy. Stop the other one if there is one; {KEY_IS_LOST}"
    )]
    Stopped(Stop),
    /// The record of another network or epoch.
    #[error("the safety record is of the network with genesis {0}, epoch {1}; this data directory belongs to another validator or network")]
    OtherScope(GenesisHash, Epoch),
    /// A certificate on disk does not verify.
    #[error("a stored certificate does not verify ({0}): the data directory is damaged; restore it from a backup of this very validator")]
    Certificate(#[from] VerifyError),
    /// A stored value does not decode.
    #[error("a stored certificate is damaged ({0}): restore the data directory from a backup of this very validator")]
    Damaged(DecodeError),
    /// Our key.
    #[error("the consensus key {0} is not in the genesis; use the key that was entered with `quorate genesis add-validator`")]
    NotAValidator(String),
}

/// The way out where a key may have signed what nobody remembers.
pub(crate) const KEY_IS_LOST: &str = "never start this key again, but make a new one (`quorate keygen validator`) and have the committee replace it \
     (docs/operate.md, \"Lost or old data\")";

fn forgotten(stored: Option<Round>) -> String {
    stored.map_or_else(|| "is empty".into(), |round| format!("is an old copy or was cut short: it ends at round {round}"))
}

/// The verifier of a network: its committee, and the genesis certificate, which depends on the application's first state.
///
/// # Errors
/// [`RecoverError::Ledger`]: the genesis does not fit the application.
pub fn verifier(genesis: &Genesis, app: &App) -> Result<Arc<Verifier>, RecoverError> {
    let (header, _) = genesis_header(app, genesis)?;
    let committee = genesis.committee().map_err(LedgerError::from)?;
    Ok(Arc::new(Verifier::new(committee, genesis_qc(&header), genesis.parameters)))
}

/// Reads what the engine starts from.
pub(crate) fn recover<S: Store>(
    ledger: &Ledger<S>,
    verifier: &Verifier,
    me: ValidatorId,
    witness: &mut Attestation,
) -> Result<Recovered, RecoverError> {
    let header = ledger.root();
    let reader = ledger.reader();

    let mut committed = Vec::new();
    let mut payload_round = Round(0);
    let first = header.height.0.saturating_sub(HISTORY_BLOCKS as u64).max(1);
    for height in first..=header.height.0 {
        if let Some(block) = reader.block_at(Height(height))?.and_then(|stored| stored.block) {
            committed.push(Summary::from(&block));
            if !block.payload().is_empty() {
                payload_round = block.round();
            }
        }
    }
    let root = Root { id: header.block_id, round: header.round, state_id: header.state_id(), payload_round };

    let record = load_record(ledger, verifier, witness)?;
    let last_timeout = match record.last_timeout() {
        None => None,
        Some((round, high_qc, tc)) => Some((round, verifier.quorum_cert(high_qc)?, tc.map(|tc| verifier.timeout_cert(tc)).transpose()?)),
    };
    let blocks = ledger.load_pending()?.into_iter().map(|block| verifier.block(block)).collect::<Result<Vec<Verified<Block>>, _>>()?;
    Ok(Recovered {
        root,
        root_qc: verifier.quorum_cert(ledger.commit_qc())?,
        committed,
        record,
        last_timeout,
        certificates: load_certificates(ledger, verifier, me)?,
        blocks,
    })
}

fn load_record<S: Store>(ledger: &Ledger<S>, verifier: &Verifier, witness: &mut Attestation) -> Result<SafetyRecord, RecoverError> {
    let scope = (verifier.genesis_hash(), verifier.committee().epoch());
    let stored = persistence::load_record(ledger.store())?;
    let record = stored.as_deref().map(SafetyRecord::decode).transpose().map_err(RecoverError::SafetyRecordDamaged)?;
    if let Some(record) = record.as_ref().filter(|record| record.scope() != scope) {
        return Err(RecoverError::OtherScope(record.scope().0, record.scope().1));
    }
    witness.check(persistence::load_count(ledger.store())?, stored.as_deref().zip(record.as_ref().map(SafetyRecord::highest_round)))?;
    match record {
        Some(record) => Ok(record),
        // A store at genesis has signed nothing, as the witness says too; its first record is written before anything can be signed or
        // committed.
        None if ledger.root().height == Height(0) => {
            let record = SafetyRecord::new(scope.0, scope.1);
            persistence::write_first_record(ledger.store(), &record)?;
            Ok(record)
        }
        None => Err(RecoverError::SafetyRecordMissing(ledger.root().height)),
    }
}

fn load_certificates<S: Store>(
    ledger: &Ledger<S>,
    verifier: &Verifier,
    me: ValidatorId,
) -> Result<Option<Verified<SyncInfo>>, RecoverError> {
    let Some(bytes) = persistence::load_certificates(ledger.store())? else { return Ok(None) };
    let stored: SyncInfo = codec::decode(&bytes, MESSAGE_BYTES_MAX).map_err(RecoverError::Damaged)?;
    let opened = verifier.message(me, Message::SyncInfo(Box::new(stored)))?.split();
    Ok(if let VerifiedMessage::SyncInfo(info) = opened { Some(info) } else { None })
}
