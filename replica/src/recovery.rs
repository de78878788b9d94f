//! Coming back: everything the engine must know, read from the store and verified again (protocol.md §9, S9-S12).

use std::sync::Arc;

use quorate_app::Application;
use quorate_consensus::{HISTORY_BLOCKS, Recovered, Root, Summary, safety::SafetyRecord};
use quorate_ledger::{Ledger, LedgerError, Store, StoreError, genesis_header, genesis_qc};
use quorate_types::{
    block::Block,
    codec::{self, DecodeError},
    genesis::Genesis,
    ids::{GenesisHash, ValidatorId},
    message::{MESSAGE_BYTES_MAX, Message, SyncInfo},
    round::{Epoch, Height, Round},
    verify::{Verified, VerifiedMessage, Verifier, VerifyError},
};

use crate::persistence;

/// Why a validator cannot come back from its disk.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// P8: a validator without its memory must not sign.
    #[error(
        "SAFE-1: the data directory holds a ledger of height {0} but no safety record, so it is not known what this validator has signed. \
         Do not run it with this key; restore the whole data directory, or have the committee replace the key"
    )]
    SafetyRecordMissing(Height),
    /// The record is damaged.
    #[error("SAFE-1: the safety record is damaged ({0}). Do not run this validator with its key; have the committee replace the key")]
    SafetyRecordDamaged(DecodeError),
    /// The record of another network or epoch.
    #[error("the safety record is of chain {0} and epoch {1}; this data directory belongs to another validator or network")]
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

/// The verifier of a network: its committee, and the genesis certificate, which depends on the application's first state.
///
/// # Errors
/// [`RecoverError::Ledger`]: the genesis does not fit the application.
pub fn verifier<A: Application>(genesis: &Genesis, app: &A) -> Result<Arc<Verifier>, RecoverError> {
    let (header, _) = genesis_header(app, genesis)?;
    let committee = genesis.committee().map_err(LedgerError::from)?;
    Ok(Arc::new(Verifier::new(committee, genesis_qc(&header), genesis.parameters)))
}

/// Reads what the engine starts from.
pub(crate) fn recover<S: Store, A: Application>(
    ledger: &Ledger<S, A>,
    verifier: &Verifier,
    me: ValidatorId,
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

    let record = load_record(ledger, verifier)?;
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

fn load_record<S: Store, A: Application>(ledger: &Ledger<S, A>, verifier: &Verifier) -> Result<SafetyRecord, RecoverError> {
    let scope = (verifier.genesis_hash(), verifier.committee().epoch());
    match persistence::load_record(ledger.store())? {
        Some(bytes) => {
            let record = SafetyRecord::decode(&bytes).map_err(RecoverError::SafetyRecordDamaged)?;
            if record.scope() == scope { Ok(record) } else { Err(RecoverError::OtherScope(record.scope().0, record.scope().1)) }
        }
        // A store at genesis has signed nothing; its first record is written before anything can be signed or committed.
        None if ledger.root().height == Height(0) => {
            let record = SafetyRecord::new(scope.0, scope.1);
            persistence::write_first_record(ledger.store(), &record)?;
            Ok(record)
        }
        None => Err(RecoverError::SafetyRecordMissing(ledger.root().height)),
    }
}

fn load_certificates<S: Store, A: Application>(
    ledger: &Ledger<S, A>,
    verifier: &Verifier,
    me: ValidatorId,
) -> Result<Option<Verified<SyncInfo>>, RecoverError> {
    let Some(bytes) = persistence::load_certificates(ledger.store())? else { return Ok(None) };
    let stored: SyncInfo = codec::decode(&bytes, MESSAGE_BYTES_MAX).map_err(RecoverError::Damaged)?;
    match verifier.message(me, Message::SyncInfo(Box::new(stored)))?.split() {
        VerifiedMessage::SyncInfo(info) => Ok(Some(info)),
        VerifiedMessage::Proposal(_)
        | VerifiedMessage::Vote(_)
        | VerifiedMessage::Timeout(_)
        | VerifiedMessage::FetchRequest(_)
        | VerifiedMessage::FetchResponse(_)
        | VerifiedMessage::CatchupRequest(_)
        | VerifiedMessage::CatchupResponse(_) => Ok(None),
    }
}
