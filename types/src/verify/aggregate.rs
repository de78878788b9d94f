//! Verified values that we make ourselves: by signing, by combining verified parts, and by taking verified values apart.

use std::{borrow::Borrow, collections::BTreeMap};

use super::Verified;
use crate::{
    block::{Block, Proposal},
    committee::{Committee, SignerSet},
    crypto::Hash,
    ids::{GenesisHash, ValidatorId},
    message::{CatchupRequest, CatchupResponse, FetchRequest, FetchResponse, Message, RecoveryRequest, SyncInfo},
    round::{Epoch, Round},
    sighting::Sightings,
    signing::{Signer, Unsigned},
    timeout::{Timeout, TimeoutCert, TimeoutMessage},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

impl Verified<Vote> {
    /// Signs a vote; `None` if the signer does not.
    #[must_use]
    pub fn sign(
        vote_info: VoteInfo,
        commit_info: LedgerCommitInfo,
        high_commit_qc: &Verified<QuorumCert>,
        sender: ValidatorId,
        signer: &dyn Signer,
    ) -> Option<Self> {
        let signature = signer.sign(&Unsigned::Vote(vote_info, commit_info))?;
        Some(Self(Vote { vote_info, commit_info, high_commit_qc: high_commit_qc.0.clone(), sender, signature }))
    }

    /// The certificate that the vote carries.
    #[must_use]
    pub fn high_commit_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_commit_qc.clone())
    }
}

impl Verified<TimeoutMessage> {
    /// Signs a timeout; `None` if the signer does not.
    #[must_use]
    pub fn sign(
        genesis_hash: GenesisHash,
        epoch: Epoch,
        round: Round,
        certificates: (&Verified<QuorumCert>, Option<&Verified<TimeoutCert>>, &Verified<QuorumCert>),
        sender: ValidatorId,
        signer: &dyn Signer,
    ) -> Option<Self> {
        let (high_qc, last_round_tc, high_commit_qc) = certificates;
        let signature = signer.sign(&Unsigned::Timeout { genesis_hash, epoch, round, high_qc_round: high_qc.round() })?;
        Some(Self(TimeoutMessage {
            timeout: Timeout { epoch, round, high_qc: high_qc.0.clone(), sender, signature },
            last_round_tc: last_round_tc.map(|tc| tc.0.clone()),
            high_commit_qc: high_commit_qc.0.clone(),
        }))
    }

    /// The sender's highest certificate.
    #[must_use]
    pub fn high_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.timeout.high_qc.clone())
    }

    /// The sender's newest certificate that commits a block.
    #[must_use]
    pub fn high_commit_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_commit_qc.clone())
    }

    /// The timeout certificate that led into the round, if one did.
    #[must_use]
    pub fn last_round_tc(&self) -> Option<Verified<TimeoutCert>> {
        self.0.last_round_tc.clone().map(Verified)
    }
}

impl Verified<Proposal> {
    /// Signs a proposal of our own block, whose certificate we have verified; `None` if the signer does not.
    #[must_use]
    pub fn sign(
        block: Verified<Block>,
        last_round_tc: Option<&Verified<TimeoutCert>>,
        high_commit_qc: &Verified<QuorumCert>,
        signer: &dyn Signer,
    ) -> Option<Self> {
        let (genesis_hash, epoch) = (block.0.content().genesis_hash, block.0.content().epoch);
        let signature = signer.sign(&Unsigned::Proposal { genesis_hash, epoch, head: *block.0.head() })?;
        Some(Self(Proposal {
            block: block.0,
            last_round_tc: last_round_tc.map(|tc| tc.0.clone()),
            high_commit_qc: high_commit_qc.0.clone(),
            signature,
        }))
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> Verified<Block> {
        Verified(self.0.block.clone())
    }

    /// The sender's newest certificate that commits a block.
    #[must_use]
    pub fn high_commit_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_commit_qc.clone())
    }

    /// The timeout certificate that led into the round, if one did.
    #[must_use]
    pub fn last_round_tc(&self) -> Option<Verified<TimeoutCert>> {
        self.0.last_round_tc.clone().map(Verified)
    }
}

impl Verified<Block> {
    /// A block of our own.
    #[must_use]
    pub fn own(content: OwnBlock, qc: &Verified<QuorumCert>) -> Self {
        let OwnBlock { genesis_hash, epoch, author, round, timestamp, payload } = content;
        Self(Block::new(crate::block::BlockContent { genesis_hash, epoch, author, round, timestamp, payload, qc: qc.0.clone() }))
    }

    /// The certificate of the parent.
    #[must_use]
    pub fn qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.qc().clone())
    }
}

/// The content of a block of our own, without its certificate.
#[derive(Debug)]
pub struct OwnBlock {
    /// The network.
    pub genesis_hash: GenesisHash,
    /// The epoch.
    pub epoch: Epoch,
    /// This validator.
    pub author: ValidatorId,
    /// The round we lead.
    pub round: Round,
    /// Our time, later than the parent's.
    pub timestamp: crate::round::UnixMillis,
    /// The transactions.
    pub payload: crate::block::Payload,
}

impl Verified<SyncInfo> {
    /// Our own certificates.
    #[must_use]
    pub fn own(
        high_qc: &Verified<QuorumCert>,
        high_commit_qc: &Verified<QuorumCert>,
        last_round_tc: Option<&Verified<TimeoutCert>>,
    ) -> Self {
        Self(SyncInfo {
            high_qc: high_qc.0.clone(),
            high_commit_qc: high_commit_qc.0.clone(),
            last_round_tc: last_round_tc.map(|tc| tc.0.clone()),
        })
    }

    /// The highest certificate.
    #[must_use]
    pub fn high_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_qc.clone())
    }

    /// The sender's newest certificate that commits a block.
    #[must_use]
    pub fn high_commit_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_commit_qc.clone())
    }

    /// The timeout certificate that led into the sender's round, if one did.
    #[must_use]
    pub fn last_round_tc(&self) -> Option<Verified<TimeoutCert>> {
        self.0.last_round_tc.clone().map(Verified)
    }
}

impl Verified<TimeoutCert> {
    /// The quorum certificate in it.
    #[must_use]
    pub fn high_qc(&self) -> Verified<QuorumCert> {
        Verified(self.0.high_qc.clone())
    }

    /// The certificate of these timeouts, if they are from a quorum and of one round.
    #[must_use]
    pub fn aggregate(committee: &Committee, timeouts: &BTreeMap<ValidatorId, Verified<TimeoutMessage>>) -> Option<Self> {
        let mut each = timeouts.iter();
        let first = &each.next()?.1.timeout;
        let (epoch, round) = (first.epoch, first.round);
        if timeouts.iter().any(|(id, m)| *id != m.timeout.sender || (m.timeout.epoch, m.timeout.round) != (epoch, round)) {
            return None;
        }
        let signers: SignerSet = timeouts.keys().copied().collect();
        if !committee.are_voters(signers) || !committee.is_quorum(signers) {
            return None;
        }
        let high_qc = timeouts.values().map(|m| &m.timeout.high_qc).max_by_key(|qc| qc.round())?.clone();
        Some(Self(TimeoutCert {
            epoch,
            round,
            signers,
            high_qc_rounds: timeouts.values().map(|m| m.timeout.high_qc.round()).collect::<Vec<_>>().try_into().ok()?,
            signatures: timeouts.values().map(|m| m.timeout.signature).collect::<Vec<_>>().try_into().ok()?,
            high_qc,
        }))
    }
}

impl Verified<QuorumCert> {
    /// The certificate of these votes, if they are equal and from a quorum.
    #[must_use]
    pub fn aggregate(committee: &Committee, votes: &BTreeMap<ValidatorId, impl Borrow<Verified<Vote>>>) -> Option<Self> {
        let first: &Vote = votes.values().next()?.borrow();
        let (vote_info, commit_info) = (first.vote_info, first.commit_info);
        let is_equal = |id: ValidatorId, v: &Verified<Vote>| v.sender == id && v.vote_info == vote_info && v.commit_info == commit_info;
        if !votes.iter().all(|(id, vote)| is_equal(*id, vote.borrow())) {
            return None;
        }
        let signers: SignerSet = votes.keys().copied().collect();
        if !committee.are_voters(signers) || !committee.is_quorum(signers) {
            return None;
        }
        let signatures = votes.values().map(|vote| vote.borrow().signature).collect::<Vec<_>>().try_into().ok()?;
        Some(Self(QuorumCert { vote_info, commit_info, signers, signatures }))
    }
}

impl Verified<FetchResponse> {
    /// The blocks, newest first.
    #[must_use]
    pub fn into_blocks(self) -> Vec<Verified<Block>> {
        self.0.blocks.into_inner().into_iter().map(Verified).collect()
    }
}

impl Verified<CatchupResponse> {
    /// The blocks, oldest first, and the certificate that commits the last one or a later one. The blocks count as verified because what that
    /// certificate commits leads back to the last of them, and each names its predecessor and carries its certificate: a quorum has checked
    /// them all.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Verified<Block>>, Option<Verified<QuorumCert>>) {
        (self.0.blocks.into_inner().into_iter().map(Verified).collect(), self.0.commit_qc.map(Verified))
    }
}

/// A verified message by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifiedMessage {
    /// See [`Message::Proposal`].
    Proposal(Verified<Proposal>),
    /// See [`Message::Vote`].
    Vote(Verified<Vote>),
    /// See [`Message::Timeout`].
    Timeout(Verified<TimeoutMessage>),
    /// See [`Message::SyncInfo`].
    SyncInfo(Verified<SyncInfo>),
    /// See [`Message::FetchRequest`].
    FetchRequest(FetchRequest),
    /// See [`Message::FetchResponse`].
    FetchResponse(Verified<FetchResponse>),
    /// See [`Message::CatchupRequest`].
    CatchupRequest(CatchupRequest),
    /// See [`Message::CatchupResponse`].
    CatchupResponse(Verified<CatchupResponse>),
    /// See [`Message::SightingsRequest`].
    SightingsRequest,
    /// See [`Message::Sightings`].
    Sightings(Verified<Sightings>),
    /// See [`Message::RecoveryRequest`].
    RecoveryRequest(RecoveryRequest),
    /// See [`Message::RecoveryAnswer`]: its nonce and its certificates.
    RecoveryAnswer(Hash, Verified<SyncInfo>),
}

impl Verified<Message> {
    /// The message by its kind.
    #[must_use]
    pub fn split(self) -> VerifiedMessage {
        match self.0 {
            Message::Proposal(inner) => VerifiedMessage::Proposal(Verified(*inner)),
            Message::Vote(inner) => VerifiedMessage::Vote(Verified(*inner)),
            Message::Timeout(inner) => VerifiedMessage::Timeout(Verified(*inner)),
            Message::SyncInfo(inner) => VerifiedMessage::SyncInfo(Verified(*inner)),
            Message::FetchRequest(inner) => VerifiedMessage::FetchRequest(inner),
            Message::FetchResponse(inner) => VerifiedMessage::FetchResponse(Verified(*inner)),
            Message::CatchupRequest(inner) => VerifiedMessage::CatchupRequest(inner),
            Message::CatchupResponse(inner) => VerifiedMessage::CatchupResponse(Verified(*inner)),
            Message::SightingsRequest => VerifiedMessage::SightingsRequest,
            Message::Sightings(inner) => VerifiedMessage::Sightings(Verified(*inner)),
            Message::RecoveryRequest(inner) => VerifiedMessage::RecoveryRequest(inner),
            Message::RecoveryAnswer(inner) => VerifiedMessage::RecoveryAnswer(inner.nonce, Verified(inner.certificates)),
        }
    }
}

impl From<Verified<Proposal>> for Message {
    fn from(inner: Verified<Proposal>) -> Self {
        Self::Proposal(Box::new(inner.0))
    }
}

impl From<Verified<Vote>> for Message {
    fn from(inner: Verified<Vote>) -> Self {
        Self::Vote(Box::new(inner.0))
    }
}

impl From<Verified<TimeoutMessage>> for Message {
    fn from(inner: Verified<TimeoutMessage>) -> Self {
        Self::Timeout(Box::new(inner.0))
    }
}

impl From<Verified<SyncInfo>> for Message {
    fn from(inner: Verified<SyncInfo>) -> Self {
        Self::SyncInfo(Box::new(inner.0))
    }
}
