//! Checks of protocol messages: everything that needs no replica state is checked here, before it costs the replica anything.

use std::collections::BTreeSet;

use super::{Verified, Verifier, VerifyError};
use crate::{
    block::{Block, Proposal, payload_bytes},
    crypto::{Hash, Signature},
    evidence::{Contradiction, Evidence},
    ids::ValidatorId,
    message::{CatchupResponse, FetchResponse, Message, SyncInfo},
    round::Round,
    sighting::{SeenProposal, SeenTimeout, SeenVote, Sightings},
    timeout::{TimeoutCert, TimeoutMessage, timeout_digest},
    vote::{QuorumCert, Vote},
};

impl Verifier {
    /// Checks a message from `from`.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn message(&self, from: ValidatorId, message: Message) -> Result<Verified<Message>, VerifyError> {
        self.message_if(from, message, |_| true)
    }

    /// Checks a message from `from`, but the transactions of a proposal only if it `matters`, which is called once everything else has been
    /// checked. A proposal that does not matter is reduced to its certificates, as a [`Message::SyncInfo`].
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn message_if(
        &self,
        from: ValidatorId,
        message: Message,
        matters: impl FnOnce(&Proposal) -> bool,
    ) -> Result<Verified<Message>, VerifyError> {
        // Observers may ask and answer.
        self.committee.get(from).ok_or(VerifyError::NotInCommittee(from))?;
        match &message {
            Message::Proposal(proposal) => {
                same_sender(from, proposal.block.author())?;
                self.check_proposal_head(proposal)?;
                if !matters(proposal) {
                    return Ok(Verified(Message::SyncInfo(Box::new(certificates(proposal)))));
                }
                self.check_payload(proposal.block.payload())?;
            }
            Message::Vote(vote) => {
                same_sender(from, vote.sender)?;
                self.check_vote(vote)?;
            }
            Message::Timeout(timeout) => {
                same_sender(from, timeout.timeout.sender)?;
                self.check_timeout(timeout)?;
            }
            Message::SyncInfo(info) => self.check_sync_info(info)?,
            Message::FetchResponse(response) => self.check_fetch_response(response)?,
            Message::CatchupResponse(response) => self.check_catchup_response(response)?,
            Message::Sightings(sightings) => self.check_sightings(sightings)?,
            Message::RecoveryAnswer(answer) => self.check_sync_info(&answer.certificates)?,
            Message::FetchRequest(_) | Message::CatchupRequest(_) | Message::SightingsRequest | Message::RecoveryRequest(_) => {}
        }
        Ok(Verified(message))
    }

    /// Checks a proposal: the block, the certificates, and the signatures of the author and of every transaction.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn proposal(&self, proposal: Proposal) -> Result<Verified<Proposal>, VerifyError> {
        self.check_proposal(&proposal)?;
        Ok(Verified(proposal))
    }

    /// Checks a vote.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn vote(&self, vote: Vote) -> Result<Verified<Vote>, VerifyError> {
        self.check_vote(&vote)?;
        Ok(Verified(vote))
    }

    /// Checks certificates that were kept together.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn sync_info(&self, info: SyncInfo) -> Result<Verified<SyncInfo>, VerifyError> {
        self.check_sync_info(&info)?;
        Ok(Verified(info))
    }

    /// Checks a timeout.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn timeout(&self, timeout: TimeoutMessage) -> Result<Verified<TimeoutMessage>, VerifyError> {
        self.check_timeout(&timeout)?;
        Ok(Verified(timeout))
    }

    /// Checks a block but not its author's signature, which a block named by a certificate comes without.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn block(&self, block: Block) -> Result<Verified<Block>, VerifyError> {
        self.check_block(&block)?;
        Ok(Verified(block))
    }

    /// Checks evidence: both statements are signed by the culprit, of one round, and differ.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn evidence(&self, evidence: Evidence) -> Result<Verified<Evidence>, VerifyError> {
        self.check_network(evidence.genesis_hash)?;
        self.check_epoch(evidence.epoch)?;
        let culprit = evidence.culprit;
        self.key(culprit)?;
        let [round, other_round] = evidence.rounds();
        let [digest, other_digest] = evidence.digests();
        // Only one order of the statements is evidence, so its bytes depend on the two statements alone.
        if round != other_round || digest >= other_digest {
            return Err(VerifyError::NoContradiction);
        }
        match &evidence.contradiction {
            Contradiction::Votes(votes) => votes.iter().try_for_each(|vote| self.check_seen_vote(culprit, vote))?,
            Contradiction::Timeouts(timeouts) => timeouts.iter().try_for_each(|timeout| self.check_seen_timeout(culprit, timeout))?,
            Contradiction::Proposals(proposals) => proposals.iter().try_for_each(|proposal| self.check_seen_proposal(culprit, proposal))?,
        }
        Ok(Verified(evidence))
    }

    fn check_proposal(&self, proposal: &Proposal) -> Result<(), VerifyError> {
        self.check_proposal_head(proposal)?;
        self.check_payload(proposal.block.payload())
    }

    /// Everything but the transactions.
    fn check_proposal_head(&self, proposal: &Proposal) -> Result<(), VerifyError> {
        let block = &proposal.block;
        self.check_signature(block.author(), &block.proposal_digest(), &proposal.signature)?;
        self.check_block(block)?;
        self.check_leads_into(block.round(), block.qc(), proposal.last_round_tc.as_ref())?;
        self.check_high_commit_qc(&proposal.high_commit_qc)
    }

    fn check_block(&self, block: &Block) -> Result<(), VerifyError> {
        let content = block.content();
        self.check_network(content.genesis_hash)?;
        self.check_epoch(content.epoch)?;
        self.key(content.author)?;
        // Round 0 is genesis, which is never accepted from a peer (S3).
        if content.round >= Round::LIMIT || content.round <= content.qc.round() {
            return Err(VerifyError::Round(content.round));
        }
        let fits = |len: usize, max: u32| u32::try_from(len).is_ok_and(|len| len <= max);
        if !fits(content.payload.len(), self.parameters.block_transactions_max)
            || !fits(payload_bytes(&content.payload), self.parameters.block_bytes_max)
        {
            return Err(VerifyError::PayloadSize);
        }
        let mut ids = BTreeSet::new();
        if let Some(twice) = content.payload.iter().find(|tx| !ids.insert(tx.id())) {
            return Err(VerifyError::DuplicateTransaction(twice.id()));
        }
        self.check_quorum_cert(&content.qc)
    }

    fn check_vote(&self, vote: &Vote) -> Result<(), VerifyError> {
        self.check_vote_content(&vote.vote_info, &vote.commit_info)?;
        self.check_signature(vote.sender, &vote.commit_info.digest(), &vote.signature)?;
        self.check_high_commit_qc(&vote.high_commit_qc)?;
        Ok(())
    }

    fn check_timeout(&self, message: &TimeoutMessage) -> Result<(), VerifyError> {
        let timeout = &message.timeout;
        self.check_epoch(timeout.epoch)?;
        // S2: the certificate is older than the round given up, and its round is the signed one.
        if timeout.round >= Round::LIMIT || timeout.round <= timeout.high_qc.round() {
            return Err(VerifyError::Round(timeout.round));
        }
        let digest = timeout_digest(self.genesis_hash, timeout.epoch, timeout.round, timeout.high_qc.round());
        self.check_signature(timeout.sender, &digest, &timeout.signature)?;
        self.check_quorum_cert(&timeout.high_qc)?;
        self.check_leads_into(timeout.round, &timeout.high_qc, message.last_round_tc.as_ref())?;
        self.check_high_commit_qc(&message.high_commit_qc)?;
        Ok(())
    }

    /// Paper p. 12: a message of round r carries a certificate of round r-1, either a QC or a TC, never both.
    fn check_leads_into(&self, round: Round, qc: &QuorumCert, tc: Option<&TimeoutCert>) -> Result<(), VerifyError> {
        let before = round.previous().ok_or(VerifyError::Round(round))?;
        match tc {
            None if qc.round() == before => Ok(()),
            Some(tc) if qc.round() != before && tc.round == before => self.check_timeout_cert(tc),
            None | Some(_) => Err(VerifyError::IllFormed),
        }
    }

    /// This certificate must commit a block: messages carry it as the newest one that does.
    fn check_high_commit_qc(&self, qc: &QuorumCert) -> Result<(), VerifyError> {
        if qc.commits().is_none() {
            return Err(VerifyError::CommitRule);
        }
        self.check_quorum_cert(qc)
    }

    fn check_sync_info(&self, info: &SyncInfo) -> Result<(), VerifyError> {
        if info.high_qc.round() < info.high_commit_qc.round() {
            return Err(VerifyError::IllFormed);
        }
        self.check_quorum_cert(&info.high_qc)?;
        self.check_high_commit_qc(&info.high_commit_qc)?;
        info.last_round_tc.as_ref().map_or(Ok(()), |tc| self.check_timeout_cert(tc))
    }

    fn check_fetch_response(&self, response: &FetchResponse) -> Result<(), VerifyError> {
        let mut expected = response.block_id;
        for block in &response.blocks {
            if block.id() != expected {
                return Err(VerifyError::NotAChain);
            }
            self.check_block(block)?;
            expected = block.parent_id();
        }
        Ok(())
    }

    /// The certificate commits the last block, or a later one whose header leads back to it, and each block names its predecessor: one quorum
    /// of signatures covers them all.
    fn check_catchup_response(&self, response: &CatchupResponse) -> Result<(), VerifyError> {
        let Some(qc) = &response.commit_qc else {
            let nothing = response.blocks.is_empty() && response.headers.is_empty();
            return if nothing { Ok(()) } else { Err(VerifyError::NotAChain) };
        };
        let (mut expected, _, mut result) = self.quorum_cert(qc)?.commits().ok_or(VerifyError::CommitRule)?;
        for header in response.headers.iter().rev() {
            if header.state_id() != result {
                return Err(VerifyError::NotAChain);
            }
            (expected, result) = (header.block_id, header.parent);
        }
        for block in response.blocks.iter().rev() {
            if block.id() != expected {
                return Err(VerifyError::NotAChain);
            }
            expected = block.parent_id();
        }
        if response.blocks.is_empty() { Err(VerifyError::NotAChain) } else { Ok(()) }
    }

    /// Each statement must be signed by the validator that the answer is about; the sender does not matter.
    fn check_sightings(&self, sightings: &Sightings) -> Result<(), VerifyError> {
        let of = sightings.of;
        self.check_epoch(sightings.epoch)?;
        self.key(of)?;
        sightings.vote.iter().try_for_each(|vote| self.check_seen_vote(of, vote))?;
        sightings.timeout.iter().try_for_each(|timeout| self.check_seen_timeout(of, timeout))?;
        sightings.proposal.iter().try_for_each(|proposal| self.check_seen_proposal(of, proposal))
    }

    fn check_seen_vote(&self, of: ValidatorId, vote: &SeenVote) -> Result<(), VerifyError> {
        self.check_vote_content(&vote.vote_info, &vote.commit_info)?;
        self.check_signature(of, &vote.digest(), &vote.signature)
    }

    fn check_seen_timeout(&self, of: ValidatorId, timeout: &SeenTimeout) -> Result<(), VerifyError> {
        self.check_epoch(timeout.epoch)?;
        if timeout.round >= Round::LIMIT || timeout.round <= timeout.high_qc_round {
            return Err(VerifyError::Round(timeout.round));
        }
        self.check_signature(of, &timeout.digest(self.genesis_hash), &timeout.signature)
    }

    fn check_seen_proposal(&self, of: ValidatorId, proposal: &SeenProposal) -> Result<(), VerifyError> {
        let head = &proposal.head;
        same_sender(of, head.author)?;
        if head.round >= Round::LIMIT || head.round == Round(0) {
            return Err(VerifyError::Round(head.round));
        }
        self.check_signature(of, &proposal.digest(self.genesis_hash, self.committee.epoch()), &proposal.signature)
    }

    fn check_signature(&self, signer: ValidatorId, digest: &Hash, signature: &Signature) -> Result<(), VerifyError> {
        let key = self.key(signer)?;
        if !self.signatures.holds(&key.encoded(), digest, signature) {
            key.verify(digest, signature)?;
            self.signatures.remember(key.encoded(), *digest, *signature);
        }
        Ok(())
    }
}

/// The certificates of a proposal.
fn certificates(Proposal { block, last_round_tc, high_commit_qc, .. }: &Proposal) -> SyncInfo {
    let high_qc = if block.qc().round() < high_commit_qc.round() { high_commit_qc } else { block.qc() };
    SyncInfo { high_qc: high_qc.clone(), high_commit_qc: high_commit_qc.clone(), last_round_tc: last_round_tc.clone() }
}

fn same_sender(sender: ValidatorId, author: ValidatorId) -> Result<(), VerifyError> {
    if sender == author { Ok(()) } else { Err(VerifyError::OtherSender { sender, author }) }
}
