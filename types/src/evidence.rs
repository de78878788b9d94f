//! Evidence: two statements with one validator's signatures, of which an honest validator signs at most one.
//!
//! It holds everything that a check needs beside the genesis, which names the keys, and nothing else: no time, no witness. So all who hold the
//! same two statements hold the same bytes, and anyone can check them without trusting the node that they came from.
//!
//! BCS: genesis hash 32 | epoch u64 | culprit u16 | kind 1 (0 votes, 1 timeouts, 2 proposals) | statement | statement, in the order of the
//! digests that they sign.

use serde::{Deserialize, Serialize};

use crate::{
    block::Proposal,
    codec,
    crypto::{Hash, Tag},
    ids::{EvidenceId, GenesisHash, ValidatorId},
    round::{Epoch, Round},
    sighting::{SeenProposal, SeenTimeout, SeenVote, StatementKind},
    timeout::Timeout,
    vote::Vote,
};

/// Domain of evidence ids.
pub const EVIDENCE: Tag = Tag::new("quorate/evidence");

/// Proof that a validator is malicious, that its key runs twice, or that its state is an old copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The network that both statements were signed for.
    pub genesis_hash: GenesisHash,
    /// The epoch of both.
    pub epoch: Epoch,
    /// The validator that signed both.
    pub culprit: ValidatorId,
    /// The statements.
    pub contradiction: Contradiction,
}

/// Two statements of one kind and one round that differ. The one whose signed digest is lower comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "few are ever made")]
pub enum Contradiction {
    /// Two votes in one round.
    Votes([SeenVote; 2]),
    /// Two timeouts of one round that claim certificates of different rounds.
    Timeouts([SeenTimeout; 2]),
    /// Two proposals in one round.
    Proposals([SeenProposal; 2]),
}

impl Evidence {
    /// Evidence of two votes of one voter in one round.
    #[must_use]
    pub fn votes(first: &Vote, second: &Vote) -> Self {
        Self {
            genesis_hash: first.commit_info.genesis_hash,
            epoch: first.commit_info.epoch,
            culprit: first.sender,
            contradiction: Contradiction::Votes([first.into(), second.into()]),
        }
        .in_order()
    }

    /// Evidence of two timeouts of one validator and one round, on a network.
    #[must_use]
    pub fn timeouts(genesis_hash: GenesisHash, first: &Timeout, second: &Timeout) -> Self {
        Self {
            genesis_hash,
            epoch: first.epoch,
            culprit: first.sender,
            contradiction: Contradiction::Timeouts([first.into(), second.into()]),
        }
        .in_order()
    }

    /// Evidence of two proposals of one author in one round.
    #[must_use]
    pub fn proposals(first: &Proposal, second: &Proposal) -> Self {
        let content = first.block.content();
        Self {
            genesis_hash: content.genesis_hash,
            epoch: content.epoch,
            culprit: content.author,
            contradiction: Contradiction::Proposals([first.into(), second.into()]),
        }
        .in_order()
    }

    fn in_order(mut self) -> Self {
        let [first, second] = self.digests();
        if second < first {
            match &mut self.contradiction {
                Contradiction::Votes(votes) => votes.reverse(),
                Contradiction::Timeouts(timeouts) => timeouts.reverse(),
                Contradiction::Proposals(proposals) => proposals.reverse(),
            }
        }
        self
    }

    /// Its id: the hash of its encoding.
    #[must_use]
    pub fn id(&self) -> EvidenceId {
        EvidenceId(Hash::of(&EVIDENCE, &codec::encode(self)))
    }

    /// What both statements are.
    #[must_use]
    pub const fn kind(&self) -> StatementKind {
        match self.contradiction {
            Contradiction::Votes(_) => StatementKind::Vote,
            Contradiction::Timeouts(_) => StatementKind::Timeout,
            Contradiction::Proposals(_) => StatementKind::Proposal,
        }
    }

    /// The rounds of the statements, which are equal in evidence that verifies.
    #[must_use]
    pub const fn rounds(&self) -> [Round; 2] {
        match &self.contradiction {
            Contradiction::Votes([first, second]) => [first.vote_info.round, second.vote_info.round],
            Contradiction::Timeouts([first, second]) => [first.round, second.round],
            Contradiction::Proposals([first, second]) => [first.head.round, second.head.round],
        }
    }

    /// The round of the contradiction.
    #[must_use]
    pub const fn round(&self) -> Round {
        let [round, _] = self.rounds();
        round
    }

    /// The digests that the statements sign.
    #[must_use]
    pub fn digests(&self) -> [Hash; 2] {
        match &self.contradiction {
            Contradiction::Votes(votes) => votes.map(|vote| vote.digest()),
            Contradiction::Timeouts(timeouts) => timeouts.map(|timeout| timeout.digest(self.genesis_hash)),
            Contradiction::Proposals(proposals) => proposals.map(|proposal| proposal.digest(self.genesis_hash, self.epoch)),
        }
    }
}
