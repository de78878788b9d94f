//! A network of four validators with keys from fixed seeds, and honest values of every kind with real signatures.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use quorate_types::{
    block::{Block, BlockContent, Payload, Proposal},
    codec::Bounded,
    committee::{Committee, PerSigner, SignerSet, Validator, VotingPower},
    crypto::{Hash, Signature, SigningKey},
    genesis::{Genesis, GenesisApplication, Parameters},
    header::Header,
    ids::{BlockId, ChainId, GenesisHash, StateId, ValidatorId},
    message::{CatchupResponse, FetchResponse, SyncInfo},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    settings::Settings,
    sighting::Sightings,
    timeout::{Timeout, TimeoutCert, TimeoutMessage, timeout_digest},
    transaction::Transaction,
    verify::Verifier,
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

use crate::proofs::header;

pub(crate) const CHAIN: ChainId = ChainId(7);
pub(crate) const EPOCH: Epoch = Epoch(0);

/// The genesis hash of [`Fixture::new`].
pub(crate) fn network() -> GenesisHash {
    static HASH: OnceLock<GenesisHash> = OnceLock::new();
    *HASH.get_or_init(|| Fixture::new().genesis.hash())
}

pub(crate) fn hash(byte: u8) -> Hash {
    Hash([byte; 32])
}

pub(crate) fn state(byte: u8) -> StateId {
    StateId(hash(byte))
}

pub(crate) fn block_id(byte: u8) -> BlockId {
    BlockId(hash(byte))
}

/// A key by number; consensus keys are 0.., network keys 100.., accounts 200...
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) struct Fixture {
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) genesis: Genesis,
    pub(crate) committee: Arc<Committee>,
    /// Consensus keys in the order of the committee.
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) genesis_qc: QuorumCert,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(CHAIN, &[1; 4])
    }

    /// Validators with these powers, in the order of the committee.
    pub(crate) fn with(chain_id: ChainId, powers: &[u64]) -> Self {
        let mut pairs: Vec<_> = (0..u8::try_from(powers.len()).unwrap()).map(|n| (key(n), key(100 + n))).collect();
        pairs.sort_by_key(|(consensus, _)| consensus.public());
        let members = pairs.iter().zip(powers).enumerate().map(|(n, ((consensus, network), power))| {
            let validator = Validator {
                name: format!("validator-{n}"),
                consensus_key: consensus.public(),
                network_key: network.public(),
                address: format!("/ip4/127.0.0.1/tcp/{}", 6180 + n),
                power: VotingPower(*power),
                operator: None,
            };
            (validator, consensus, network)
        });
        let genesis = Genesis::draft(
            chain_id,
            "fixture",
            UnixMillis(1_700_000_000_000),
            Parameters { block_transactions_max: 1_000, block_bytes_max: 512 << 10, ..Parameters::default() },
            GenesisApplication {
                name: "fixture-app".into(),
                version: 3,
                settings: Settings::from_json(r#"{"limit": 7, "names": ["b", "a"]}"#).unwrap(),
            },
        );
        let genesis = genesis.with_validators(members);
        let genesis_hash = genesis.hash();
        let committee = genesis.committee().unwrap();
        let genesis_qc = QuorumCert::genesis(EPOCH, genesis_hash, state(0x60));
        Self { genesis_hash, genesis, committee, keys: pairs.into_iter().map(|(consensus, _)| consensus).collect(), genesis_qc }
    }

    /// A verifier that has seen nothing.
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.committee.clone(), self.genesis_qc.clone(), self.genesis.parameters)
    }

    pub(crate) fn signature(&self, id: u16, digest: &Hash) -> Signature {
        self.keys[usize::from(id)].sign(digest)
    }

    pub(crate) fn signatures<'a>(&self, signers: impl IntoIterator<Item = &'a u16>, digest: &Hash) -> PerSigner<Signature> {
        signers.into_iter().map(|id| self.signature(*id, digest)).collect::<Vec<_>>().try_into().unwrap()
    }

    /// Genuine signatures over these infos, whatever they say.
    pub(crate) fn certify(&self, vote_info: VoteInfo, commit_info: LedgerCommitInfo, signers: &[u16]) -> QuorumCert {
        QuorumCert { vote_info, commit_info, signers: set(signers), signatures: self.signatures(signers, &commit_info.digest()) }
    }

    pub(crate) fn commit_info(&self, vote_info: &VoteInfo) -> LedgerCommitInfo {
        LedgerCommitInfo {
            genesis_hash: self.genesis_hash,
            epoch: EPOCH,
            commit_state_id: vote_info.commits_parent().then(|| state(0x50)),
            vote_info_hash: vote_info.digest(),
        }
    }

    /// The certificate of `block` by these signers.
    pub(crate) fn qc_of(&self, block: &Block, signers: &[u16]) -> QuorumCert {
        let vote_info = vote_info(block);
        self.certify(vote_info, self.commit_info(&vote_info), signers)
    }

    /// A certificate of some block of `round` on a parent of `parent_round`.
    pub(crate) fn qc(&self, round: u64, parent_round: u64) -> QuorumCert {
        let vote_info = VoteInfo {
            id: block_id(0xb0),
            round: Round(round),
            parent_id: block_id(0xb1),
            parent_round: Round(parent_round),
            exec_state_id: state(0x51),
        };
        self.certify(vote_info, self.commit_info(&vote_info), &[0, 1, 2])
    }

    /// A timeout certificate of `round` in which signer `n` claims the round `claims[n]`; it carries the certificate of the highest claim.
    pub(crate) fn tc(&self, round: u64, claims: &[(u16, u64)]) -> TimeoutCert {
        let highest = claims.iter().map(|(_, claim)| *claim).max().unwrap_or(0);
        let high_qc = if highest == 0 { self.genesis_qc.clone() } else { self.qc(highest, highest - 1) };
        self.tc_with(EPOCH, round, claims, high_qc)
    }

    pub(crate) fn tc_with(&self, epoch: Epoch, round: u64, claims: &[(u16, u64)], high_qc: QuorumCert) -> TimeoutCert {
        let sign = |(id, claim): &(u16, u64)| self.signature(*id, &timeout_digest(self.genesis_hash, epoch, Round(round), Round(*claim)));
        TimeoutCert {
            epoch,
            round: Round(round),
            signers: claims.iter().map(|(id, _)| ValidatorId(*id)).collect(),
            high_qc_rounds: claims.iter().map(|(_, claim)| Round(*claim)).collect::<Vec<_>>().try_into().unwrap(),
            signatures: claims.iter().map(sign).collect::<Vec<_>>().try_into().unwrap(),
            high_qc,
        }
    }

    pub(crate) fn block(&self, author: u16, round: u64, qc: QuorumCert, payload: Vec<Transaction>) -> Block {
        Block::new(BlockContent {
            genesis_hash: self.genesis_hash,
            epoch: EPOCH,
            author: ValidatorId(author),
            round: Round(round),
            timestamp: UnixMillis(round.saturating_add(1_700_000_000_000)),
            payload: payload.try_into().unwrap(),
            qc,
        })
    }

    pub(crate) fn propose(&self, block: Block, last_round_tc: Option<TimeoutCert>, high_commit_qc: QuorumCert) -> Proposal {
        let signature = self.signature(block.author().0, &block.proposal_digest());
        Proposal { block, last_round_tc, high_commit_qc, signature }
    }

    /// A proposal of round 6 by validator 1, with transactions, after a timeout of round 5.
    pub(crate) fn proposal(&self) -> Proposal {
        let block = self.block(1, 6, self.qc(4, 3), vec![self.transfer(0), self.put(1)]);
        self.propose(block, Some(self.tc(5, &[(0, 3), (2, 4), (3, 2)])), self.qc(4, 3))
    }

    /// A vote of validator 2 for round 5, which would commit round 4.
    pub(crate) fn vote(&self) -> Vote {
        let vote_info =
            VoteInfo { id: block_id(0xb2), round: Round(5), parent_id: block_id(0xb0), parent_round: Round(4), exec_state_id: state(0x52) };
        self.vote_of(2, vote_info, self.commit_info(&vote_info))
    }

    pub(crate) fn vote_of(&self, sender: u16, vote_info: VoteInfo, commit_info: LedgerCommitInfo) -> Vote {
        let signature = self.signature(sender, &commit_info.digest());
        Vote { vote_info, commit_info, high_commit_qc: self.qc(4, 3), sender: ValidatorId(sender), signature }
    }

    /// A timeout of round 6 by validator 3, after a timeout of round 5.
    pub(crate) fn timeout(&self) -> TimeoutMessage {
        self.timeout_of(3, 6, self.qc(4, 3), Some(self.tc(5, &[(0, 3), (2, 4), (3, 2)])))
    }

    pub(crate) fn timeout_of(&self, sender: u16, round: u64, high_qc: QuorumCert, last_round_tc: Option<TimeoutCert>) -> TimeoutMessage {
        let signature = self.signature(sender, &timeout_digest(self.genesis_hash, EPOCH, Round(round), high_qc.round()));
        TimeoutMessage {
            timeout: Timeout { epoch: EPOCH, round: Round(round), high_qc, sender: ValidatorId(sender), signature },
            last_round_tc,
            high_commit_qc: self.qc(4, 3),
        }
    }

    pub(crate) fn sync_info(&self) -> SyncInfo {
        SyncInfo { high_qc: self.qc(8, 6), high_commit_qc: self.qc(4, 3), last_round_tc: Some(self.tc(9, &[(0, 8), (1, 8), (3, 2)])) }
    }

    /// What validator 2 has signed in rounds 5 and 6.
    pub(crate) fn sightings(&self) -> Sightings {
        let (vote, timeout) = (self.vote(), self.timeout_of(2, 6, self.qc(4, 3), None).timeout);
        let proposal = self.propose(self.block(2, 6, self.qc(4, 3), vec![self.transfer(0)]), None, self.qc(4, 3));
        Sightings {
            epoch: Epoch(0),
            of: ValidatorId(2),
            vote: Some((&vote).into()),
            timeout: Some((&timeout).into()),
            proposal: Some((&proposal).into()),
        }
    }

    /// Blocks of rounds 1.. on genesis, each certified by the next, and the certificate of the last.
    pub(crate) fn chain(&self, length: u64) -> (Vec<Block>, QuorumCert) {
        let (mut blocks, mut qc): (Vec<Block>, _) = (Vec::new(), self.genesis_qc.clone());
        for round in 1..=length {
            let block = self.block(u16::try_from(round % 4).unwrap(), round, qc, vec![self.transfer(round)]);
            qc = self.qc_of(&block, &[0, 1, 3]);
            blocks.push(block);
        }
        (blocks, qc)
    }

    /// A response with five blocks, newest first.
    pub(crate) fn fetch_response(&self) -> FetchResponse {
        let (mut blocks, _) = self.chain(5);
        blocks.reverse();
        FetchResponse { block_id: blocks[0].id(), blocks: blocks.try_into().unwrap() }
    }

    /// A response with four blocks; the certificate of a fifth commits the last of them.
    pub(crate) fn catchup_response(&self) -> CatchupResponse {
        let (mut blocks, qc) = self.chain(5);
        blocks.pop();
        CatchupResponse { from: Height(1), blocks: blocks.try_into().unwrap(), headers: Bounded::default(), commit_qc: Some(qc) }
    }

    /// A response with the first two of four blocks, of which only the fourth is committed directly; the headers lead to it.
    pub(crate) fn part_of_a_stretch(&self) -> CatchupResponse {
        let (mut blocks, mut headers): (Vec<Block>, Vec<Header>) = (Vec::new(), Vec::new());
        let mut qc = self.genesis_qc.clone();
        for round in [1, 3, 5, 7, 8] {
            let block = self.block(0, round, qc, vec![self.transfer(round)]);
            let parent = headers.last().map_or(state(0x50), Header::state_id);
            let header = Header { block_id: block.id(), parent, ..header(u8::try_from(round).unwrap()) };
            let vote_info = VoteInfo { exec_state_id: header.state_id(), ..vote_info(&block) };
            let commit_state_id = vote_info.commits_parent().then_some(parent);
            let commit_info = LedgerCommitInfo { commit_state_id, ..self.commit_info(&vote_info) };
            qc = self.certify(vote_info, commit_info, &[0, 1, 3]);
            blocks.push(block);
            headers.push(header);
        }
        let (blocks, headers) = (blocks[..2].to_vec(), headers[1..4].to_vec());
        CatchupResponse { from: Height(1), blocks: blocks.try_into().unwrap(), headers: headers.try_into().unwrap(), commit_qc: Some(qc) }
    }

    pub(crate) fn transfer(&self, sequence: u64) -> Transaction {
        self.transaction(sequence, b"five to the second account".to_vec())
    }

    pub(crate) fn put(&self, sequence: u64) -> Transaction {
        self.transaction(sequence, b"colour=green".to_vec())
    }

    pub(crate) fn transaction(&self, sequence: u64, payload: Vec<u8>) -> Transaction {
        Transaction::sign(self.genesis_hash, &key(200), Sequence(sequence), UnixMillis(1_700_000_100_000), payload)
    }
}

pub(crate) fn set(signers: &[u16]) -> SignerSet {
    signers.iter().copied().map(ValidatorId).collect()
}

pub(crate) fn vote_info(block: &Block) -> VoteInfo {
    VoteInfo {
        id: block.id(),
        round: block.round(),
        parent_id: block.parent_id(),
        parent_round: block.qc().round(),
        exec_state_id: state(0x53),
    }
}

/// The same block with its content changed.
pub(crate) fn changed(block: &Block, change: impl FnOnce(&mut BlockContent)) -> Block {
    let mut content = block.content().clone();
    change(&mut content);
    Block::new(content)
}

pub(crate) fn payload(transactions: Vec<Transaction>) -> Payload {
    transactions.try_into().unwrap()
}

/// Entries by validator, as the `aggregate` constructors expect them.
pub(crate) fn by_id<T>(entries: impl IntoIterator<Item = (u16, T)>) -> BTreeMap<ValidatorId, T> {
    entries.into_iter().map(|(id, entry)| (ValidatorId(id), entry)).collect()
}
