//! Forgeries of what others would have to sign: B8, B9, B10, B11, B12. None may have any effect.

use quorate_harness::contents::{self, Statement};
use quorate_types::{
    committee::{PerSigner, SignerSet},
    crypto::{Hash, Signature, SigningKey},
    ids::{GenesisHash, ValidatorId},
    message::{Message, Purpose, SyncInfo},
    round::{Epoch, Round},
    timeout::{TimeoutCert, timeout_digest},
    vote::QuorumCert,
};

use super::{Behaviour, Mind, Parcel, voters::invented};

/// A forged certificate in a sync info and, if the parcel is a proposal, in a proposal.
fn carriers(mind: &mut Mind<'_>, forged: QuorumCert, parcel: Option<&Parcel>) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    let commit = mind.memory.high_commit_qc().cloned().unwrap_or_else(|| forged.clone());
    let info = SyncInfo { high_qc: forged.clone(), high_commit_qc: commit, last_round_tc: None };
    parcels.push(mind.parcel(mind.others(), Message::SyncInfo(Box::new(info))));
    if let Some(Message::Proposal(proposal)) = parcel.and_then(Parcel::honest) {
        let wrong = mind.propose(proposal, |content| content.qc = forged);
        parcels.push(mind.parcel(mind.others(), Message::Proposal(Box::new(wrong))));
    }
    parcels
}

fn signatures(all: Vec<Signature>) -> PerSigner<Signature> {
    PerSigner::truncated(all)
}

/// B8: forges the signers of a certificate.
#[derive(Debug)]
pub(super) struct ForgeQc;

impl ForgeQc {
    fn forge(mind: &mut Mind<'_>) -> Option<QuorumCert> {
        let mut qc = mind.memory.high_qc()?.clone();
        if qc.signers.is_empty() {
            return None;
        }
        let all: Vec<Signature> = qc.signatures.iter().copied().collect();
        let one = all.first().copied()?;
        let ids: Vec<ValidatorId> = qc.signers.iter().collect();
        match mind.random.below(6) {
            // One signer fewer than the certificate.
            0 => {
                qc.signers = ids.iter().skip(1).copied().collect();
                qc.signatures = signatures(all.into_iter().skip(1).collect());
            }
            // The same signature for every validator.
            1 => {
                qc.signers = mind.committee.ids().collect();
                qc.signatures = signatures(vec![one; qc.signers.len()]);
            }
            // A signer that is not a member.
            2 => {
                qc.signers = ids.iter().skip(1).copied().chain([ValidatorId(127)]).collect();
            }
            // No signers.
            3 => {
                qc.signers = SignerSet::default();
                qc.signatures = PerSigner::default();
            }
            // More signatures than signers.
            4 => qc.signatures = signatures(all.into_iter().chain([one, one]).collect()),
            // A made-up block, with the liar's signature in the name of every signer.
            _ => {
                qc.vote_info.id = quorate_types::ids::BlockId(invented(mind));
                qc.vote_info.round = qc.vote_info.round.next();
                qc.vote_info.parent_round = qc.vote_info.round.previous().unwrap_or_default();
                qc.commit_info.commit_state_id = Some(qc.vote_info.exec_state_id);
                qc.commit_info.vote_info_hash = qc.vote_info.digest();
                let own = mind.key.sign(&qc.commit_info.digest());
                qc.signatures = signatures(vec![own; qc.signers.len()]);
            }
        }
        Some(qc)
    }
}

impl Behaviour for ForgeQc {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let mut parcels = match Self::forge(mind) {
            Some(forged) => carriers(mind, forged, Some(&parcel)),
            None => Vec::new(),
        };
        parcels.push(parcel);
        parcels
    }
}

/// B9: changes one field of what others have signed.
#[derive(Debug)]
pub(super) struct AlterSigned;

impl AlterSigned {
    fn alter(mind: &mut Mind<'_>) -> Option<QuorumCert> {
        let mut qc = mind.memory.high_qc()?.clone();
        let hash = invented(mind);
        let fits = mind.random.chance(500);
        match mind.random.below(8) {
            0 => qc.vote_info.round = qc.vote_info.round.next(),
            1 => qc.vote_info.id.0 = hash,
            2 => qc.vote_info.parent_id.0 = hash,
            3 => qc.vote_info.parent_round = qc.vote_info.parent_round.previous().unwrap_or_default(),
            4 => qc.vote_info.exec_state_id.0 = hash,
            5 => qc.commit_info.epoch = Epoch(qc.commit_info.epoch.0.saturating_add(1)),
            6 => qc.commit_info.commit_state_id = qc.commit_info.commit_state_id.is_none().then_some(qc.vote_info.exec_state_id),
            _ => qc.commit_info.genesis_hash = another_network(qc.commit_info.genesis_hash),
        }
        if fits {
            qc.commit_info.vote_info_hash = qc.vote_info.digest();
        }
        Some(qc)
    }
}

impl Behaviour for AlterSigned {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let mut parcels = match Self::alter(mind) {
            Some(altered) => carriers(mind, altered, Some(&parcel)),
            None => Vec::new(),
        };
        parcels.push(parcel);
        parcels
    }

    /// Sends the votes and timeouts of others, altered, in their names or its own.
    fn hears(&mut self, mind: &mut Mind<'_>, _from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        if !mind.random.chance(300) {
            return true;
        }
        match contents::statement(message) {
            Some(Statement::Vote(vote)) => {
                let mut vote = vote.clone();
                vote.vote_info.round = vote.vote_info.round.next();
                if mind.random.chance(500) {
                    vote.sender = mind.me;
                }
                out.push(mind.parcel(mind.others(), Message::Vote(Box::new(vote))));
            }
            Some(Statement::Timeout(timeout)) => {
                let mut timeout = timeout.clone();
                timeout.timeout.round = timeout.timeout.round.next();
                if mind.random.chance(500) {
                    timeout.timeout.sender = mind.me;
                }
                out.push(mind.parcel(mind.others(), Message::Timeout(Box::new(timeout))));
            }
            // Another validator's proposal, unchanged, but sent as its own.
            Some(Statement::Proposal(_)) => out.push(mind.parcel(mind.others(), message.clone())),
            None => {}
        }
        true
    }
}

/// B10: forges timeout certificates with rounds that no validator signed.
#[derive(Debug)]
pub(super) struct ForgeTc;

impl ForgeTc {
    fn forge(mind: &mut Mind<'_>) -> Option<TimeoutCert> {
        let base = mind.memory.tcs.back().cloned();
        let high_qc = mind.memory.high_qc()?.clone();
        let mut tc = base.unwrap_or_else(|| {
            // None seen yet: the liar's signature in the name of every validator.
            let round = high_qc.round().next();
            let own = mind.key.sign(&timeout_digest(mind.genesis_hash, mind.committee.epoch(), round, high_qc.round()));
            let signers: SignerSet = mind.committee.ids().collect();
            TimeoutCert {
                epoch: mind.committee.epoch(),
                round,
                signers,
                high_qc_rounds: PerSigner::truncated(vec![high_qc.round(); signers.len()]),
                signatures: signatures(vec![own; signers.len()]),
                high_qc: high_qc.clone(),
            }
        });
        let rounds: Vec<Round> = tc.high_qc_rounds.iter().copied().collect();
        let highest = tc.high_qc.round();
        match mind.random.below(7) {
            // Inflated: as if a higher certificate existed, so that no next block could get votes.
            0 => tc.high_qc_rounds = PerSigner::truncated(rounds.iter().map(|round| round.next()).collect()),
            // Deflated: hides the lock.
            1 => {
                tc.high_qc_rounds = PerSigner::truncated(rounds.iter().map(|_| Round(1)).collect());
            }
            2 => tc.high_qc = mind.memory.qcs.front()?.clone(),
            3 => tc.round = tc.round.next(),
            4 => tc.epoch = Epoch(tc.epoch.0.saturating_add(1)),
            // One signer fewer.
            5 => {
                tc.signers = tc.signers.iter().skip(1).collect();
                tc.high_qc_rounds = PerSigner::truncated(rounds.into_iter().skip(1).collect());
                tc.signatures = signatures(tc.signatures.iter().skip(1).copied().collect());
            }
            _ => tc.high_qc_rounds = PerSigner::truncated(rounds.into_iter().chain([highest]).collect()),
        }
        Some(tc)
    }
}

impl Behaviour for ForgeTc {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let Some(message) = parcel.honest().cloned() else { return vec![parcel] };
        let Some(tc) = Self::forge(mind) else { return vec![parcel] };
        let mut parcels = Vec::new();
        match message.purpose() {
            Purpose::Propose | Purpose::Timeout => {
                if let Message::Proposal(mut proposal) = message {
                    proposal.last_round_tc = Some(tc);
                    parcels.push(mind.parcel(parcel.to.clone(), Message::Proposal(proposal)));
                } else if let Message::Timeout(mut timeout) = message {
                    timeout.last_round_tc = Some(tc);
                    parcels.push(mind.parcel(parcel.to.clone(), Message::Timeout(timeout)));
                    parcels.push(parcel);
                }
            }
            Purpose::Vote | Purpose::Inform => {
                if let (Some(high_qc), Some(high_commit_qc)) = (mind.memory.high_qc().cloned(), mind.memory.high_commit_qc().cloned()) {
                    let info = SyncInfo { high_qc, high_commit_qc, last_round_tc: Some(tc) };
                    parcels.push(mind.parcel(mind.others(), Message::SyncInfo(Box::new(info))));
                }
                parcels.push(parcel);
            }
            Purpose::Ask | Purpose::Answer => parcels.push(parcel),
        }
        parcels
    }
}

/// B11, B12: sends the honest message with a wrong signature.
#[derive(Debug)]
pub(super) struct BadSignatures;

impl BadSignatures {
    fn spoil(mind: &mut Mind<'_>, digest: &Hash, right: Signature) -> Signature {
        match mind.random.below(5) {
            0 => Signature([0; 64]),
            1 => SigningKey::from_seed(&[7; 32]).sign(digest),
            // Over another digest.
            2 => mind.key.sign(&Hash::default()),
            // A flipped bit in s, or in R.
            3 => flip(right, 63),
            _ => flip(right, 1),
        }
    }
}

fn flip(mut signature: Signature, at: usize) -> Signature {
    if let Some(byte) = signature.0.get_mut(at) {
        *byte ^= 1;
    }
    signature
}

impl Behaviour for BadSignatures {
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let wrong = match parcel.honest().cloned() {
            Some(Message::Proposal(mut proposal)) => {
                proposal.signature = Self::spoil(mind, &proposal.block.proposal_digest(), proposal.signature);
                Message::Proposal(proposal)
            }
            Some(Message::Vote(mut vote)) => {
                if mind.random.chance(300) {
                    // B12: for another epoch, and properly signed for it.
                    vote.commit_info.epoch = Epoch(vote.commit_info.epoch.0.saturating_add(1));
                    vote.signature = mind.key.sign(&vote.commit_info.digest());
                } else {
                    vote.signature = Self::spoil(mind, &vote.commit_info.digest(), vote.signature);
                }
                Message::Vote(vote)
            }
            Some(Message::Timeout(mut timeout)) => {
                let (round, high) = (timeout.timeout.round, timeout.timeout.high_qc.round());
                let digest = timeout_digest(another_network(mind.genesis_hash), timeout.timeout.epoch, round, high);
                timeout.timeout.signature = Self::spoil(mind, &digest, mind.key.sign(&digest));
                Message::Timeout(timeout)
            }
            _ => return vec![parcel],
        };
        // Sometimes after the right message, which must still count.
        let wrong = mind.parcel(parcel.to.clone(), wrong);
        if mind.random.chance(500) { vec![parcel, wrong] } else { vec![wrong] }
    }
}

/// The genesis hash of some other network.
fn another_network(GenesisHash(mut hash): GenesisHash) -> GenesisHash {
    if let Some(first) = hash.0.first_mut() {
        *first ^= 1;
    }
    GenesisHash(hash)
}
