//! For tests: a committee with known keys, and everything its members can sign. Also used by `tests/protocol`.
#![allow(dead_code, reason = "each test crate that includes this file uses a different part of it")]

use std::{collections::BTreeMap, sync::Arc};

use quorate_types::{
    block::{Block, Payload, Proposal},
    committee::{Committee, SignerSet, Validator, VotingPower},
    crypto::{Hash, PublicKey, SigningKey, Tag},
    genesis::Parameters,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    round::{Epoch, Round, Sequence, UnixMillis},
    timeout::{TimeoutCert, TimeoutMessage},
    transaction::Transaction,
    verify::{OwnBlock, Verified, Verifier},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

pub(crate) const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
pub(crate) const EPOCH: Epoch = Epoch(0);
const STATE: Tag = Tag::new("quorate/test-state");

pub(crate) struct Members {
    pub(crate) committee: Arc<Committee>,
    pub(crate) parameters: Parameters,
    pub(crate) verifier: Arc<Verifier>,
    seeds: Vec<[u8; 32]>,
}

/// The result of executing a block correctly.
pub(crate) fn state_of(id: BlockId) -> StateId {
    StateId(Hash::of(&STATE, &id.0.0))
}

/// The result of a validator that executes incorrectly.
pub(crate) fn wrong_state_of(id: BlockId) -> StateId {
    StateId(Hash::of(&STATE, b"wrong").min(id.0))
}

impl Members {
    pub(crate) fn new(powers: &[u64]) -> Self {
        let seed = |i: usize, network: u8| {
            let mut seed = [network; 32];
            seed[0] = u8::try_from(i).unwrap();
            seed
        };
        let mut seeds: Vec<[u8; 32]> = (0..powers.len()).map(|i| seed(i, 1)).collect();
        seeds.sort_by_key(|seed| SigningKey::from_seed(seed).public());
        let validators = seeds.iter().zip(powers).enumerate().map(|(i, (consensus, power))| Validator {
            name: format!("v{i}"),
            consensus_key: SigningKey::from_seed(consensus).public(),
            network_key: SigningKey::from_seed(&seed(i, 2)).public(),
            address: format!("/ip4/127.0.0.1/tcp/{i}"),
            power: VotingPower(*power),
            operator: None,
        });
        let committee = Committee::new(EPOCH, validators.collect()).unwrap();
        let parameters = Parameters::default();
        let genesis_qc = QuorumCert::genesis(EPOCH, NETWORK, StateId(NETWORK.0));
        let verifier = Arc::new(Verifier::new(Arc::clone(&committee), genesis_qc, parameters));
        Self { committee, parameters, verifier, seeds }
    }

    pub(crate) fn equal(n: usize) -> Self {
        Self::new(&vec![1; n])
    }

    pub(crate) fn ids(&self) -> Vec<ValidatorId> {
        self.committee.ids().collect()
    }

    pub(crate) fn key(&self, id: ValidatorId) -> SigningKey {
        SigningKey::from_seed(&self.seeds[id.index()])
    }

    pub(crate) fn public(&self, id: ValidatorId) -> PublicKey {
        self.key(id).public()
    }

    pub(crate) fn genesis_qc(&self) -> Verified<QuorumCert> {
        self.verifier.genesis_qc()
    }

    /// The shortest prefix of the committee that is a quorum.
    pub(crate) fn quorum(&self) -> Vec<ValidatorId> {
        let mut quorum = Vec::new();
        for id in self.ids() {
            if self.committee.is_quorum(quorum.iter().copied().collect::<SignerSet>()) {
                break;
            }
            quorum.push(id);
        }
        quorum
    }

    pub(crate) fn payload(transactions: u64, salt: u64) -> Payload {
        let key = SigningKey::from_seed(&[9; 32]);
        let sign = |i| Transaction::sign(NETWORK, &key, Sequence(salt * 1_000 + i), UnixMillis(u64::MAX), vec![1]);
        Payload::truncated((0..transactions).map(sign).collect())
    }

    pub(crate) fn block(author: ValidatorId, round: Round, transactions: u64, qc: &Verified<QuorumCert>) -> Verified<Block> {
        let payload = Self::payload(transactions, round.0);
        let content = OwnBlock { genesis_hash: NETWORK, epoch: EPOCH, author, round, timestamp: UnixMillis(round.0), payload };
        Verified::<Block>::own(content, qc)
    }

    pub(crate) fn vote(&self, sender: ValidatorId, block: &Block, state: StateId, high_commit_qc: &Verified<QuorumCert>) -> Verified<Vote> {
        let parent = block.qc().vote_info;
        let vote_info =
            VoteInfo { id: block.id(), round: block.round(), parent_id: parent.id, parent_round: parent.round, exec_state_id: state };
        let commit_info = LedgerCommitInfo {
            genesis_hash: NETWORK,
            epoch: EPOCH,
            commit_state_id: vote_info.commits_parent().then_some(parent.exec_state_id),
            vote_info_hash: vote_info.digest(),
        };
        Verified::<Vote>::sign(vote_info, commit_info, high_commit_qc, sender, &self.key(sender)).unwrap()
    }

    pub(crate) fn qc_of(&self, block: &Block, state: StateId, signers: &[ValidatorId]) -> Verified<QuorumCert> {
        let genesis = self.genesis_qc();
        let votes: BTreeMap<_, _> = signers.iter().map(|id| (*id, self.vote(*id, block, state, &genesis))).collect();
        Verified::<QuorumCert>::aggregate(&self.committee, &votes).unwrap()
    }

    /// The certificate of a block, signed by [`Self::quorum`].
    pub(crate) fn qc(&self, block: &Block) -> Verified<QuorumCert> {
        self.qc_of(block, state_of(block.id()), &self.quorum())
    }

    pub(crate) fn proposal(
        &self,
        block: &Verified<Block>,
        tc: Option<&Verified<TimeoutCert>>,
        high_commit_qc: &Verified<QuorumCert>,
    ) -> Verified<Proposal> {
        Verified::<Proposal>::sign(block.clone(), tc, high_commit_qc, &self.key(block.author())).unwrap()
    }

    pub(crate) fn timeout(
        &self,
        sender: ValidatorId,
        round: Round,
        (high_qc, tc, high_commit_qc): (&Verified<QuorumCert>, Option<&Verified<TimeoutCert>>, &Verified<QuorumCert>),
    ) -> Verified<TimeoutMessage> {
        Verified::<TimeoutMessage>::sign(NETWORK, EPOCH, round, (high_qc, tc, high_commit_qc), sender, &self.key(sender)).unwrap()
    }

    /// A timeout certificate; each signer reports the certificate beside its id.
    pub(crate) fn tc(&self, round: Round, signers: &[(ValidatorId, &Verified<QuorumCert>)]) -> Verified<TimeoutCert> {
        let genesis = self.genesis_qc();
        let timeouts: BTreeMap<_, _> = signers.iter().map(|(id, qc)| (*id, self.timeout(*id, round, (*qc, None, &genesis)))).collect();
        Verified::<TimeoutCert>::aggregate(&self.committee, &timeouts).unwrap()
    }
}
