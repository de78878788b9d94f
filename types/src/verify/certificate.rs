//! Checks of quorum and timeout certificates (paper §3.3, "well-formed"; S1, S3, E13).

use super::{Verified, Verifier, VerifyError, lock};
use crate::{
    committee::SignerSet,
    crypto::{BatchItem, Hash, Signature, verify_batch},
    round::Round,
    timeout::{TimeoutCert, timeout_digest},
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};

impl Verifier {
    /// Checks a quorum certificate.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn quorum_cert(&self, qc: &QuorumCert) -> Result<Verified<QuorumCert>, VerifyError> {
        self.check_quorum_cert(qc)?;
        Ok(Verified(qc.clone()))
    }

    /// The same without copying.
    pub(super) fn check_quorum_cert(&self, qc: &QuorumCert) -> Result<(), VerifyError> {
        // S3: round 0 begins the epoch, and it has exactly one certificate.
        if qc.round() == Round(0) {
            return if *qc == self.genesis_qc { Ok(()) } else { Err(VerifyError::Round(Round(0))) };
        }
        // Comparing a certificate costs a tenth of hashing it, and all messages of a round carry the same two or three.
        if lock(&self.recent_qcs).contains(qc) {
            return Ok(());
        }
        let digest = qc.digest();
        if lock(&self.certificates).get(&digest).is_none() {
            self.check_vote_content(&qc.vote_info, &qc.commit_info)?;
            let signed = qc.commit_info.digest();
            self.check_quorum(qc.signers, &qc.signatures, |_| Some(signed))?;
            lock(&self.certificates).insert(digest, ());
        }
        lock(&self.recent_qcs).push(qc);
        Ok(())
    }

    /// Checks a timeout certificate and the quorum certificate in it (S1).
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn timeout_cert(&self, tc: &TimeoutCert) -> Result<Verified<TimeoutCert>, VerifyError> {
        self.check_timeout_cert(tc)?;
        Ok(Verified(tc.clone()))
    }

    /// The same without copying.
    pub(super) fn check_timeout_cert(&self, tc: &TimeoutCert) -> Result<(), VerifyError> {
        if lock(&self.recent_tcs).contains(tc) {
            return Ok(());
        }
        let digest = tc.digest();
        if lock(&self.certificates).get(&digest).is_none() {
            self.check_epoch(tc.epoch)?;
            if tc.round == Round(0) || tc.round >= Round::LIMIT {
                return Err(VerifyError::Round(tc.round));
            }
            if tc.high_qc_rounds.len() != tc.signers.len() {
                return Err(VerifyError::SignerCount);
            }
            if tc.high_qc_rounds.iter().any(|round| *round >= tc.round) {
                return Err(VerifyError::Round(tc.round));
            }
            if tc.high_qc.round() != tc.highest_qc_round() {
                return Err(VerifyError::HighQcMismatch);
            }
            self.check_quorum_cert(&tc.high_qc)?;
            self.check_quorum(tc.signers, &tc.signatures, |position| {
                let high_qc_round = *tc.high_qc_rounds.get(position)?;
                Some(timeout_digest(self.genesis_hash, tc.epoch, tc.round, high_qc_round))
            })?;
            lock(&self.certificates).insert(digest, ());
        }
        lock(&self.recent_tcs).push(tc);
        Ok(())
    }

    /// The rules that votes and certificates share: the vote info is the signed one, the network and the epoch are ours, and the commit
    /// matches the rounds.
    pub(super) fn check_vote_content(&self, vote: &VoteInfo, commit: &LedgerCommitInfo) -> Result<(), VerifyError> {
        self.check_network(commit.genesis_hash)?;
        self.check_epoch(commit.epoch)?;
        // E13: only the hash of the vote info is signed.
        if commit.vote_info_hash != vote.digest() {
            return Err(VerifyError::VoteInfoHash);
        }
        if vote.round <= vote.parent_round || vote.round >= Round::LIMIT {
            return Err(VerifyError::Round(vote.round));
        }
        if commit.commit_state_id.is_some() != vote.commits_parent() {
            return Err(VerifyError::CommitRule);
        }
        Ok(())
    }

    /// Checks that a quorum of the committee signed, each member its own digest. Cheap checks come first.
    fn check_quorum(
        &self,
        signers: SignerSet,
        signatures: &[Signature],
        digest_at: impl Fn(usize) -> Option<Hash>,
    ) -> Result<(), VerifyError> {
        if signatures.len() != signers.len() {
            return Err(VerifyError::SignerCount);
        }
        if let Some(stranger) = signers.iter().find(|id| !self.committee.is_voter(*id)) {
            return Err(VerifyError::NotInCommittee(stranger));
        }
        if !self.committee.is_quorum(signers) {
            return Err(VerifyError::NoQuorum);
        }
        let mut items = Vec::with_capacity(signatures.len());
        for (position, (signer, signature)) in signers.iter().zip(signatures).enumerate() {
            let digest = digest_at(position).ok_or(VerifyError::SignerCount)?;
            let key = self.key(signer)?;
            // If the vote or timeout came before the certificate, its signature has been checked already.
            if !self.signatures.holds(&key.encoded(), &digest, signature) {
                items.push(BatchItem { key, digest, signature: *signature });
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        verify_batch(&items)?;
        for BatchItem { key, digest, signature } in items {
            self.signatures.remember(key.encoded(), digest, signature);
        }
        Ok(())
    }
}
