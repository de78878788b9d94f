//! A committee of four whose keys the test holds, with a real genesis and real headers, certificates and paths.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by the tests of two crates")]
#![expect(clippy::cast_possible_truncation, reason = "heights are small here")]

use quorate_builtin::GenesisAccount;
use quorate_types::{
    codec::{self, Bounded},
    committee::{SignerSet, Validator, VotingPower},
    crypto::{Hash, SigningKey},
    genesis::{Genesis, Parameters},
    header::Header,
    ids::{Address, BlockId, ChainId, GenesisHash, StateId, ValidatorId},
    merkle::{self, MerkleProof},
    message::PROTOCOL_VERSION,
    proof::{CommitProof, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round, UnixMillis},
    state_proof::{StateProof, StateTerminal, state_key_hash, state_leaf_hash, state_value_hash},
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};

const CHAIN: ChainId = ChainId(77);

pub struct Fake {
    pub genesis: Genesis,
    /// Consensus keys, in committee order.
    keys: Vec<SigningKey>,
}

impl Fake {
    pub fn new(accounts: Vec<GenesisAccount>) -> Self {
        let mut keys: Vec<_> =
            (1..=4u8).map(|seed| (SigningKey::from_seed(&[seed; 32]), SigningKey::from_seed(&[seed + 50; 32]))).collect();
        keys.sort_by_key(|(consensus, _)| consensus.public());
        let members = keys.iter().enumerate().map(|(number, (consensus, network))| {
            let validator = Validator {
                name: format!("v{number}"),
                consensus_key: consensus.public(),
                network_key: network.public(),
                address: format!("/ip4/127.0.0.1/tcp/{}", 6180 + number),
                power: VotingPower(1),
                operator: None,
            };
            (validator, consensus, network)
        });
        let genesis = Genesis {
            protocol_version: PROTOCOL_VERSION,
            chain_id: CHAIN,
            name: "fake".into(),
            timestamp: UnixMillis(1),
            parameters: Parameters::default(),
            validators: Vec::new(),
            application: quorate_builtin::Settings::default().with_accounts(accounts).in_genesis(),
        };
        let genesis = genesis.with_validators(members);
        genesis.check().unwrap();
        Self { genesis, keys: keys.into_iter().map(|(consensus, _)| consensus).collect() }
    }

    pub fn header(height: u64, receipts: &[Receipt], state_root: Hash) -> Header {
        Header {
            genesis_hash: GenesisHash::default(),
            epoch: Epoch(0),
            height: Height(height),
            round: Round(height + 3),
            block_id: BlockId(Hash([height as u8; 32])),
            parent: StateId(Hash([9; 32])),
            timestamp: UnixMillis(1_000 * height),
            transactions_root: Hash([8; 32]),
            receipts_root: merkle::root(&leaves(receipts)),
            state_root,
            epoch_state: Hash([7; 32]),
        }
    }

    /// A certificate for a child of the header's block in the next round, which commits the header's block.
    pub fn certify(&self, header: &Header, signers: &[u16]) -> QuorumCert {
        let vote_info = VoteInfo {
            id: BlockId(Hash([0xcc; 32])),
            round: header.round.next(),
            parent_id: header.block_id,
            parent_round: header.round,
            exec_state_id: StateId(Hash([0xdd; 32])),
        };
        let commit_info = LedgerCommitInfo {
            genesis_hash: self.genesis.hash(),
            epoch: Epoch(0),
            commit_state_id: Some(header.state_id()),
            vote_info_hash: vote_info.digest(),
        };
        let digest = commit_info.digest();
        let signatures: Vec<_> = signers.iter().map(|signer| self.keys[usize::from(*signer)].sign(&digest)).collect();
        let signers: SignerSet = signers.iter().map(|signer| ValidatorId(*signer)).collect();
        QuorumCert { vote_info, commit_info, signers, signatures: signatures.try_into().unwrap() }
    }

    pub fn commit(&self, header: Header, signers: &[u16]) -> CommitProof {
        let qc = self.certify(&header, signers);
        CommitProof { headers: Bounded::try_from(vec![header]).unwrap(), qc }
    }

    /// The proof of receipt `index` in a block with these receipts.
    pub fn transaction_proof(&self, height: u64, receipts: &[Receipt], index: usize) -> TransactionProof {
        TransactionProof {
            receipt: receipts[index].clone(),
            path: MerkleProof::of(&leaves(receipts), index).unwrap(),
            commit: self.commit(Self::header(height, receipts, Hash::default()), &[0, 1, 3]),
        }
    }

    /// A proof from a state with this single entry: of its value, or of the absence of any other key.
    pub fn value_proof(&self, height: u64, entry: (&[u8], &[u8])) -> ValueProof {
        let (key_hash, value_hash) = (state_key_hash(entry.0), state_value_hash(entry.1));
        let path = StateProof { siblings: Vec::new(), terminal: StateTerminal::Leaf { key_hash, value_hash } };
        ValueProof { path, commit: self.commit(Self::header(height, &[], state_leaf_hash(&key_hash, &value_hash)), &[1, 2, 3]) }
    }

    /// A proof from before the first commit, with the genesis certificate that nobody signs.
    pub fn genesis_proof(&self) -> ValueProof {
        let mut proof = self.value_proof(0, (b"x", b"y"));
        let header = Header { round: Round(0), ..proof.commit.headers[0].clone() };
        proof.commit.qc = QuorumCert::genesis(Epoch(0), self.genesis.hash(), header.state_id());
        proof
    }
}

pub fn leaves(receipts: &[Receipt]) -> Vec<Hash> {
    receipts.iter().map(Receipt::leaf).collect()
}

pub fn hexadecimal<T: serde::Serialize>(value: &T) -> String {
    hex::encode(codec::encode(value))
}

pub fn address(byte: u8) -> Address {
    Address(Hash([byte; 32]))
}
