//! ACCU-1: evidence that a validator gives out convinces anyone who knows the genesis.
//!
//! That each contradiction is noticed is for the puppets to check, who make them.

use std::sync::Arc;

use quorate_types::{
    codec,
    committee::Committee,
    crypto::{Hash, Signature},
    evidence::{Contradiction, Evidence},
    ids::GenesisHash,
    round::Round,
    timeout::timeout_digest,
    verify::Verifier,
};

use super::{Invariant, Observation};

/// See the module.
#[derive(Debug)]
pub struct EvidenceConvinces {
    genesis_hash: GenesisHash,
    committee: Arc<Committee>,
}

impl EvidenceConvinces {
    /// The rule for the network of this verifier.
    #[must_use]
    pub fn new(verifier: &Verifier) -> Self {
        Self { genesis_hash: verifier.genesis_hash(), committee: Arc::clone(verifier.committee()) }
    }

    fn judge(&self, evidence: &Evidence) -> Result<(), &'static str> {
        let (genesis_hash, epoch) = (self.genesis_hash, self.committee.epoch());
        if evidence.genesis_hash != genesis_hash || evidence.epoch != epoch {
            return Err("it is of another network or epoch");
        }
        let key = self.committee.key(evidence.culprit).ok_or("it accuses nobody in the committee")?;
        let (is_whole, statements): (bool, [(Round, Hash, Signature); 2]) = match &evidence.contradiction {
            Contradiction::Votes(votes) => (
                votes.iter().all(|vote| {
                    let signed = &vote.commit_info;
                    signed.vote_info_hash == vote.vote_info.digest() && signed.genesis_hash == genesis_hash && signed.epoch == epoch
                }),
                votes.map(|vote| (vote.vote_info.round, vote.commit_info.digest(), vote.signature)),
            ),
            Contradiction::Timeouts(timeouts) => (
                timeouts.iter().all(|timeout| timeout.epoch == epoch),
                timeouts.map(|timeout| {
                    let digest = timeout_digest(genesis_hash, epoch, timeout.round, timeout.high_qc_round);
                    (timeout.round, digest, timeout.signature)
                }),
            ),
            Contradiction::Proposals(proposals) => (
                proposals.iter().all(|proposal| proposal.head.author == evidence.culprit),
                proposals.map(|proposal| (proposal.head.round, proposal.head.proposal_digest(genesis_hash, epoch), proposal.signature)),
            ),
        };
        let [(round, digest, _), (other_round, other_digest, _)] = statements;
        if !is_whole {
            Err("its statements are not those that were signed")
        } else if round != other_round || digest == other_digest {
            Err("its statements do not contradict each other")
        } else if statements.iter().any(|(_, digest, signature)| key.verify(digest, signature).is_err()) {
            Err("a signature is not the culprit's")
        } else {
            Ok(())
        }
    }
}

impl Invariant for EvidenceConvinces {
    fn id(&self) -> &'static str {
        "ACCU-1"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Accused { node, evidence } = observation else { return Ok(()) };
        let bytes = codec::encode(*evidence);
        let received: Evidence = codec::decode(&bytes, bytes.len()).map_err(|error| format!("validator {node}'s evidence: {error}"))?;
        self.judge(&received).map_err(|reason| format!("validator {node}'s evidence convinces nobody: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{block::Payload, genesis::Parameters, ids::ValidatorId, round::UnixMillis, settings::Settings, vote::QuorumCert};

    use super::*;
    use crate::{committee::Setting, pen::Pen};

    #[test]
    fn catches_evidence_that_convinces_nobody() {
        let setting = Setting::fixed(4, &quorate_builtin::app(), Settings::default(), Parameters::default()).unwrap();
        let mut rule = EvidenceConvinces::new(&setting.verifier);
        let mut judge = |evidence: Evidence| rule.observe(&Observation::Accused { node: ValidatorId(0), evidence: &evidence });
        let pen = Pen::new(&setting);
        let (liar, other) = (ValidatorId(2), ValidatorId(3));
        let genesis: QuorumCert = setting.verifier.genesis_qc().into_inner();
        let block = |time| Pen::block(liar, Round(1), UnixMillis(time), Payload::default(), &genesis);
        let proposal = |time| pen.proposal(block(time), None, &genesis);
        let vote = |by, time| pen.vote(by, &block(time), genesis.vote_info.exec_state_id, &genesis);

        let [votes, proposals] = [Evidence::votes(&vote(liar, 1), &vote(liar, 2)), Evidence::proposals(&proposal(1), &proposal(2))];
        judge(votes).unwrap();
        judge(proposals).unwrap();
        judge(Evidence::votes(&vote(liar, 1), &vote(liar, 1))).unwrap_err();
        judge(Evidence::votes(&vote(liar, 1), &vote(other, 2))).unwrap_err();
        judge(Evidence { culprit: other, ..votes }).unwrap_err();
        judge(Evidence { culprit: other, ..proposals }).unwrap_err();
        judge(Evidence { culprit: ValidatorId(9), ..votes }).unwrap_err();
        judge(Evidence { genesis_hash: GenesisHash::default(), ..votes }).unwrap_err();

        // A block that was not voted for, and a vote in another network.
        let mut exchanged = vote(liar, 2);
        exchanged.vote_info.id = block(3).id();
        judge(Evidence::votes(&vote(liar, 1), &exchanged)).unwrap_err();
        let mut foreign = vote(liar, 2);
        foreign.commit_info.genesis_hash = GenesisHash::default();
        foreign.signature = pen.sign_vote(liar, &foreign.commit_info);
        judge(Evidence::votes(&vote(liar, 1), &foreign)).unwrap_err();

        let timeout = |by, round, high| {
            let mut timeout = pen.timeout(by, Round(round), &genesis, None, &genesis).timeout;
            timeout.high_qc.vote_info.round = Round(high);
            timeout.signature = pen.sign_timeout(by, timeout.epoch, timeout.round, Round(high));
            timeout
        };
        let mut timeouts = |first, second| judge(Evidence::timeouts(setting.genesis_hash(), &first, &second));
        timeouts(timeout(liar, 9, 1), timeout(liar, 9, 2)).unwrap();
        timeouts(timeout(liar, 9, 1), timeout(liar, 9, 1)).unwrap_err();
        timeouts(timeout(liar, 9, 1), timeout(liar, 8, 2)).unwrap_err();
        timeouts(timeout(liar, 9, 1), timeout(other, 9, 2)).unwrap_err();
    }
}
