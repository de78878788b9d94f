//! A validator's disk, in memory: it keeps nothing that an effect did not write.

use std::{collections::BTreeMap, sync::Arc};

use quorate_consensus::{
    HISTORY_BLOCKS, Recovered, Root, Summary,
    safety::{Ballot, SafetyRecord, SafetyStore, SafetyWrite, Saved, Unsaved, persist},
};
use quorate_types::{
    block::Block,
    codec,
    ids::{BlockId, ValidatorId},
    message::{Message, SyncInfo},
    round::Round,
    verify::{Verified, VerifiedMessage, Verifier},
    vote::QuorumCert,
};

use crate::members::{EPOCH, NETWORK, state_of};

#[derive(Clone, Default)]
pub(crate) struct Disk {
    record: Option<Vec<u8>>,
    certificates: Option<SyncInfo>,
    blocks: BTreeMap<BlockId, Block>,
    pub(crate) committed: Vec<Block>,
    commit_qc: Option<QuorumCert>,
}

struct Column<'a>(&'a mut Disk);

impl SafetyStore for Column<'_> {
    type Error = std::convert::Infallible;

    fn write_sync(&mut self, write: &SafetyWrite<'_>) -> Result<(), Self::Error> {
        self.0.record = Some(write.record.clone());
        if let Some(block) = write.block {
            self.0.store(block);
        }
        Ok(())
    }

    fn attest(&mut self, _write: &SafetyWrite<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Disk {
    pub(crate) fn persist(&mut self, ballot: Unsaved<Ballot>, certificates: SyncInfo) -> Saved<Ballot> {
        self.certificates = Some(certificates);
        persist(&mut Column(self), ballot).unwrap()
    }

    pub(crate) fn store(&mut self, block: &Block) {
        self.blocks.insert(block.id(), block.clone());
    }

    /// A stored block, committed or not.
    pub(crate) fn find(&self, id: &BlockId) -> Option<&Block> {
        self.blocks.get(id).or_else(|| self.committed.iter().find(|block| block.id() == *id))
    }

    pub(crate) fn lose_all_but_the_record(&mut self) {
        *self = Self { record: self.record.take(), ..Self::default() };
    }

    pub(crate) fn commit(&mut self, blocks: &[Arc<Verified<Block>>], qc: &QuorumCert) {
        for block in blocks {
            let parent = self.committed.last().map(Block::id);
            assert!(parent.is_none_or(|parent| parent == block.parent_id()), "TREE-2: oldest first, none left out");
            self.committed.push((***block).clone());
        }
        let root = self.committed.last().unwrap().round();
        self.blocks.retain(|_, block| block.round() > root);
        self.commit_qc = Some(qc.clone());
    }

    pub(crate) fn record(&self) -> SafetyRecord {
        self.record.as_ref().map_or_else(|| SafetyRecord::new(NETWORK, EPOCH), |bytes| SafetyRecord::decode(bytes).unwrap())
    }

    /// What the engine starts from, verified again as at a real start.
    pub(crate) fn recovered(&self, me: ValidatorId, verifier: &Verifier) -> Recovered {
        let genesis = verifier.genesis_qc();
        let record = self.record();
        let last_timeout = record
            .last_timeout()
            .map(|(round, qc, tc)| (round, verifier.quorum_cert(qc).unwrap(), tc.map(|tc| verifier.timeout_cert(tc).unwrap())));
        let root = match self.committed.last() {
            None => Root { id: genesis.block_id(), round: Round(0), state_id: genesis.vote_info.exec_state_id, payload_round: Round(0) },
            Some(block) => Root {
                id: block.id(),
                round: block.round(),
                state_id: state_of(block.id()),
                payload_round: if block.payload().is_empty() { Round(0) } else { block.round() },
            },
        };
        let certificates = self.certificates.clone().map(|info| {
            let bytes = codec::encode(&Message::SyncInfo(Box::new(info)));
            match verifier.message(me, Message::decode(&bytes).unwrap()).unwrap().split() {
                VerifiedMessage::SyncInfo(info) => info,
                other => panic!("{other:?}"),
            }
        });
        let skipped = self.committed.len().saturating_sub(HISTORY_BLOCKS);
        Recovered {
            root,
            root_qc: self.commit_qc.as_ref().map_or(genesis, |qc| verifier.quorum_cert(qc).unwrap()),
            committed: self.committed.iter().skip(skipped).map(Summary::from).collect(),
            record,
            abstains: false,
            last_timeout,
            certificates,
            blocks: self.blocks.values().map(|block| verifier.block(block.clone()).unwrap()).collect(),
        }
    }
}
