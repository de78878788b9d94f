//! Votes and quorum certificates (paper §3.3, p. 10).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    committee::{PerSigner, SignerSet},
    crypto::{Hash, Signature, Tag},
    epoch::epoch_block_id,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    round::{Epoch, Round},
};

/// Domain of vote signatures.
pub const VOTE: Tag = Tag::new("quorate/vote");
/// Domain of [`VoteInfo`] hashes.
pub const VOTE_INFO: Tag = Tag::new("quorate/vote-info");
/// Domain of the genesis block's id.
pub const GENESIS_BLOCK: Tag = Tag::new("quorate/genesis-block");
/// Domain of quorum certificate digests, which identify certificates in caches and which block ids cover.
pub const CERTIFICATE: Tag = Tag::new("quorate/certificate");

/// The block a vote is for, its parent, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VoteInfo {
    /// The block.
    pub id: BlockId,
    /// The block's round.
    pub round: Round,
    /// The block's parent.
    pub parent_id: BlockId,
    /// The parent's round, which lets a certificate show without any block whether it commits.
    pub parent_round: Round,
    /// The result of executing the block (paper: `exec_state_id`).
    pub exec_state_id: StateId,
}

impl VoteInfo {
    /// Its hash.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&VOTE_INFO, &codec::encode(self))
    }

    /// Whether a certificate of this vote directly commits the parent: the two rounds are consecutive (the 2-chain rule, paper Def. 2).
    #[must_use]
    pub fn commits_parent(&self) -> bool {
        self.parent_round.next() == self.round
    }
}

/// The signed part of a vote: the result that is committed if this vote is certified, and the hash of the vote info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerCommitInfo {
    /// The network. Erratum E14: the paper signs neither network nor epoch.
    pub genesis_hash: GenesisHash,
    /// The epoch.
    pub epoch: Epoch,
    /// The parent's result if certifying this vote commits the parent, otherwise `None`.
    pub commit_state_id: Option<StateId>,
    /// The hash of the vote info.
    pub vote_info_hash: Hash,
}

impl LedgerCommitInfo {
    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&VOTE, &codec::encode(self))
    }
}

/// A vote for a block, with the voter's newest certificate that commits a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The block.
    pub vote_info: VoteInfo,
    /// The signed part.
    pub commit_info: LedgerCommitInfo,
    /// The voter's newest certificate that commits a block.
    pub high_commit_qc: QuorumCert,
    /// The voter.
    pub sender: ValidatorId,
    /// The voter's, over `commit_info`.
    pub signature: Signature,
}

/// A quorum of equal votes. It certifies the block and, if the rounds are consecutive, the commit of its parent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumCert {
    /// The block.
    pub vote_info: VoteInfo,
    /// The signed part of the votes.
    pub commit_info: LedgerCommitInfo,
    /// The voters.
    pub signers: SignerSet,
    /// Their signatures, in the order of signers.
    pub signatures: PerSigner<Signature>,
}

impl QuorumCert {
    /// The certificate of genesis: round 0, its own parent, commits itself, signed by nobody (S3).
    #[must_use]
    pub fn genesis(epoch: Epoch, genesis_hash: GenesisHash, state_id: StateId) -> Self {
        Self::unsigned(genesis_block_id(genesis_hash), epoch, genesis_hash, state_id)
    }

    /// The certificate that an epoch after the first begins with: like that of genesis, for the last result of the epoch before. It proves
    /// nothing to anyone who does not know that this result is committed.
    #[must_use]
    pub fn of_epoch(epoch: Epoch, genesis_hash: GenesisHash, last: StateId) -> Self {
        Self::unsigned(epoch_block_id(epoch, last), epoch, genesis_hash, last)
    }

    fn unsigned(id: BlockId, epoch: Epoch, genesis_hash: GenesisHash, state_id: StateId) -> Self {
        let vote_info = VoteInfo { id, round: Round(0), parent_id: id, parent_round: Round(0), exec_state_id: state_id };
        let commit_info = LedgerCommitInfo { genesis_hash, epoch, commit_state_id: Some(state_id), vote_info_hash: vote_info.digest() };
        Self { vote_info, commit_info, signers: SignerSet::default(), signatures: PerSigner::default() }
    }

    /// The round it certifies.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.vote_info.round
    }

    /// The block it certifies.
    #[must_use]
    pub const fn block_id(&self) -> BlockId {
        self.vote_info.id
    }

    /// The block it commits, if any, with that block's round and result.
    #[must_use]
    pub fn commits(&self) -> Option<(BlockId, Round, StateId)> {
        self.commit_info.commit_state_id.map(|state| (self.vote_info.parent_id, self.vote_info.parent_round, state))
    }

    /// The hash of the whole certificate, signatures included.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&CERTIFICATE, &codec::encode(self))
    }
}

impl fmt::Debug for QuorumCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.vote_info;
        write!(f, "QC({} {:?}", info.round, info.id)?;
        if self.commit_info.commit_state_id.is_some() {
            write!(f, " commits {} {:?}", info.parent_round, info.parent_id)?;
        }
        write!(f, ")")
    }
}

/// The id of the genesis block.
#[must_use]
pub fn genesis_block_id(genesis: GenesisHash) -> BlockId {
    BlockId(Hash::of(&GENESIS_BLOCK, &genesis.0.0))
}
