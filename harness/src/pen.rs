//! Writes any message in any validator's name, with the consensus keys of a whole committee.
//!
//! It builds messages field by field, independently of the code under test. Whether they are valid is up to the caller.

use quorate_types::{
    block::{Block, BlockContent, Payload, Proposal},
    committee::{PerSigner, SignerSet},
    crypto::Signature,
    ids::{StateId, ValidatorId},
    round::{Epoch, Round, UnixMillis},
    timeout::{Timeout, TimeoutCert, TimeoutMessage, timeout_digest},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

use crate::committee::Setting;

/// The only epoch.
pub(crate) const EPOCH: Epoch = Epoch(0);

/// Signs for a whole committee.
#[derive(Debug)]
pub struct Pen<'a> {
    setting: &'a Setting,
}

impl<'a> Pen<'a> {
    /// A pen with the keys of this network.
    #[must_use]
    pub const fn new(setting: &'a Setting) -> Self {
        Self { setting }
    }

    /// A validator's signature under a vote with this commit info.
    #[must_use]
    pub fn sign_vote(&self, signer: ValidatorId, info: &LedgerCommitInfo) -> Signature {
        self.setting.key(signer).map_or(Signature([0; 64]), |key| key.sign(&info.digest()))
    }

    /// A validator's signature under a timeout with a certificate of that round.
    #[must_use]
    pub fn sign_timeout(&self, signer: ValidatorId, epoch: Epoch, round: Round, high_qc_round: Round) -> Signature {
        let digest = timeout_digest(self.setting.genesis_hash(), epoch, round, high_qc_round);
        self.setting.key(signer).map_or(Signature([0; 64]), |key| key.sign(&digest))
    }

    /// A block on the block of a certificate.
    #[must_use]
    pub fn block(author: ValidatorId, round: Round, timestamp: UnixMillis, payload: Payload, qc: &QuorumCert) -> Block {
        let genesis_hash = qc.commit_info.genesis_hash;
        Block::new(BlockContent { genesis_hash, epoch: EPOCH, author, round, timestamp, payload, qc: qc.clone() })
    }

    /// The proposal of a block by its author.
    #[must_use]
    pub fn proposal(&self, block: Block, tc: Option<&TimeoutCert>, high_commit_qc: &QuorumCert) -> Proposal {
        let key = self.setting.key(block.author());
        let signature = key.map_or(Signature([0; 64]), |key| key.sign(&block.proposal_digest()));
        Proposal { block, last_round_tc: tc.cloned(), high_commit_qc: high_commit_qc.clone(), signature }
    }

    /// What a vote for a block with this result signs.
    pub(crate) fn ballot(block: &Block, state: StateId) -> (VoteInfo, LedgerCommitInfo) {
        let parent = &block.qc().vote_info;
        let info =
            VoteInfo { id: block.id(), round: block.round(), parent_id: parent.id, parent_round: parent.round, exec_state_id: state };
        // Def. 2 of the paper: the parent is committed if the rounds are consecutive.
        let follows = info.parent_round.0.checked_add(1) == Some(info.round.0);
        let commit_state_id = follows.then_some(parent.exec_state_id);
        let genesis_hash = block.content().genesis_hash;
        (info, LedgerCommitInfo { genesis_hash, epoch: EPOCH, commit_state_id, vote_info_hash: info.digest() })
    }

    /// A validator's vote for a block with a result.
    #[must_use]
    pub fn vote(&self, sender: ValidatorId, block: &Block, state: StateId, high_commit_qc: &QuorumCert) -> Vote {
        let (vote_info, commit_info) = Self::ballot(block, state);
        let signature = self.sign_vote(sender, &commit_info);
        Vote { vote_info, commit_info, high_commit_qc: high_commit_qc.clone(), sender, signature }
    }

    /// A block's certificate, signed by these signers.
    #[must_use]
    pub fn qc(&self, block: &Block, state: StateId, signers: SignerSet) -> QuorumCert {
        let (vote_info, commit_info) = Self::ballot(block, state);
        self.signed(QuorumCert { vote_info, commit_info, signers, signatures: PerSigner::default() })
    }

    /// Replaces a certificate's signatures by valid ones over its content.
    #[must_use]
    pub fn signed(&self, mut qc: QuorumCert) -> QuorumCert {
        let signatures = qc.signers.iter().map(|signer| self.sign_vote(signer, &qc.commit_info)).collect::<Vec<_>>();
        qc.signatures = signatures.try_into().unwrap_or_default();
        qc
    }

    /// A validator's timeout of a round.
    #[must_use]
    pub fn timeout(
        &self,
        sender: ValidatorId,
        round: Round,
        high_qc: &QuorumCert,
        tc: Option<&TimeoutCert>,
        high_commit_qc: &QuorumCert,
    ) -> TimeoutMessage {
        let signature = self.sign_timeout(sender, EPOCH, round, high_qc.round());
        // A timeout certificate is attached exactly if the quorum certificate is not of the round before.
        let tc = if high_qc.round().next() == round { None } else { tc };
        TimeoutMessage {
            timeout: Timeout { epoch: EPOCH, round, high_qc: high_qc.clone(), sender, signature },
            last_round_tc: tc.cloned(),
            high_commit_qc: high_commit_qc.clone(),
        }
    }

    /// A timeout certificate of these signers, in their order, each with its highest certificate. `None` without signers.
    #[must_use]
    pub fn tc(&self, round: Round, timeouts: &[(ValidatorId, &QuorumCert)]) -> Option<TimeoutCert> {
        let (_, high_qc) = timeouts.iter().max_by_key(|(_, qc)| qc.round())?;
        let signatures: Vec<_> = timeouts.iter().map(|(id, qc)| self.sign_timeout(*id, EPOCH, round, qc.round())).collect();
        Some(TimeoutCert {
            epoch: EPOCH,
            round,
            signers: timeouts.iter().map(|(id, _)| *id).collect(),
            high_qc_rounds: timeouts.iter().map(|(_, qc)| qc.round()).collect::<Vec<_>>().try_into().unwrap_or_default(),
            signatures: signatures.try_into().unwrap_or_default(),
            high_qc: (*high_qc).clone(),
        })
    }
}
