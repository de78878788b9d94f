//! EPOCH-1 to EPOCH-4: one committee per epoch, and an end to each.
//!
//! EPOCH-1: validators that enter an epoch enter it after the same result, with the same committee. EPOCH-2: nothing is signed in an epoch once
//! the record of a later one is durable. EPOCH-3: only voters of its committee sign in an epoch, and certificates count in their own epoch.
//! EPOCH-4: the block that changes the committee is the last of its epoch, and the next one is the first of the next.

use std::{collections::BTreeMap, sync::Arc};

use quorate_types::{
    committee::Committee,
    crypto::{Hash, PublicKey},
    header::Header,
    ids::{BlockId, StateId, ValidatorId},
    round::Epoch,
    verify::Verifier,
};

use super::{Invariant, Observation};
use crate::contents;

/// A committed result.
#[derive(Clone, Copy, Debug)]
struct Committed {
    epoch: Epoch,
    epoch_state: Hash,
    ends_epoch: bool,
}

/// Checker of EPOCH-1 to EPOCH-4.
#[derive(Debug)]
pub struct OneCommitteePerEpoch {
    /// What each epoch begins with, and its committee, as first entered.
    epochs: BTreeMap<Epoch, (BlockId, StateId, Arc<Committee>)>,
    results: BTreeMap<StateId, Committed>,
    /// The latest epoch of each validator's durable records.
    recorded: BTreeMap<ValidatorId, u64>,
    /// The validators' keys, by number.
    keys: Vec<PublicKey>,
}

impl OneCommitteePerEpoch {
    /// The rules for a network that begins with this verifier's epoch.
    #[must_use]
    pub fn new(verifier: &Verifier, epoch_state: Hash, keys: Vec<PublicKey>) -> Self {
        let begin = verifier.genesis_qc();
        let first = (begin.block_id(), begin.vote_info.exec_state_id, Arc::clone(verifier.committee()));
        let epoch = verifier.committee().epoch();
        Self {
            results: BTreeMap::from([(first.1, Committed { epoch, epoch_state, ends_epoch: false })]),
            epochs: BTreeMap::from([(epoch, first)]),
            recorded: BTreeMap::new(),
            keys,
        }
    }

    fn entered(&mut self, node: ValidatorId, verifier: &Verifier) -> Result<(), String> {
        let (begin, committee) = (verifier.genesis_qc(), verifier.committee());
        let entered = (begin.block_id(), begin.vote_info.exec_state_id, Arc::clone(committee));
        let (block, state, first) = self.epochs.entry(committee.epoch()).or_insert_with(|| entered.clone());
        let same = (*block, *state) == (entered.0, entered.1) && first.members().eq(committee.members());
        if same {
            Ok(())
        } else {
            Err(format!("validator {node} enters {committee:?} after {}, others enter {first:?} after {state}", entered.1))
        }
    }

    fn committed(&mut self, node: ValidatorId, header: &Header) -> Result<(), String> {
        // Other rules judge a block whose parent nobody has committed.
        let Some(parent) = self.results.get(&header.parent).copied() else { return Ok(()) };
        let expected = if parent.ends_epoch { parent.epoch.next() } else { parent.epoch };
        if header.epoch != expected {
            return Err(format!("validator {node} committed {header:?}, which should be of epoch {expected}"));
        }
        let ends_epoch = header.epoch_state != parent.epoch_state;
        self.results.insert(header.state_id(), Committed { epoch: header.epoch, epoch_state: header.epoch_state, ends_epoch });
        Ok(())
    }
}

impl Invariant for OneCommitteePerEpoch {
    fn id(&self) -> &'static str {
        "EPOCH"
    }

    fn joiners(&mut self, keys: &[PublicKey]) {
        self.keys = keys.to_vec();
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Entered { node, verifier } => self.entered(*node, verifier),
            Observation::Saved { node, record } => {
                let latest = self.recorded.entry(*node).or_default();
                *latest = record.epoch.max(*latest);
                Ok(())
            }
            Observation::Sent { node, message, .. } => {
                let Some(epoch) = message.epoch() else { return Ok(()) };
                let qcs = contents::quorum_certs(message).map(|qc| qc.commit_info.epoch);
                if qcs.chain(contents::timeout_cert(message).map(|tc| tc.epoch)).any(|of| of != epoch) {
                    return Err(format!("validator {node} sent a certificate of another epoch: {message:?}"));
                }
                if contents::statement(message).is_none() {
                    return Ok(());
                }
                if self.recorded.get(node).is_some_and(|recorded| *recorded > epoch.0) {
                    return Err(format!("validator {node} has a record of a later epoch and sent {message:?}"));
                }
                let committee = self.epochs.get(&epoch).map(|(.., committee)| committee);
                let votes = committee.zip(self.keys.get(node.index())).is_some_and(|(committee, key)| {
                    committee.members().any(|(_, member)| member.consensus_key == *key && member.power.0 > 0)
                });
                if votes { Ok(()) } else { Err(format!("validator {node} has no vote in epoch {epoch} and sent {message:?}")) }
            }
            Observation::Committed { node, blocks, .. } => blocks.iter().try_for_each(|(header, _)| self.committed(*node, header)),
            _ => Ok(()),
        }
    }
}
