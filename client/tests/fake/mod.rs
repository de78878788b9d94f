//! A committee of four whose keys the test holds, with a real genesis and real headers, certificates and paths; and the committees after it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by the tests of two crates")]
#![expect(clippy::cast_possible_truncation, reason = "heights are small here")]

use std::{collections::BTreeMap, sync::Arc};

use quorate_builtin::GenesisAccount;
use quorate_types::{
    codec::{self, Bounded},
    committee::{Seat, SignerSet, Validator, VotingPower},
    crypto::{Hash, SigningKey},
    epoch::{EpochChange, EpochState},
    genesis::{Genesis, GenesisValidator, Parameters},
    header::Header,
    ids::{Address, BlockId, ChainId, GenesisHash, StateId, ValidatorId},
    merkle::{self, MerkleProof},
    proof::{CommitProof, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round, UnixMillis},
    state_proof::{StateProof, StateTerminal, state_key_hash, state_leaf_hash, state_value_hash},
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};

const CHAIN: ChainId = ChainId(77);

pub struct Fake {
    pub genesis: Genesis,
    /// What governs the epoch.
    pub epoch: EpochState,
    /// Consensus keys, by seat.
    pub keys: BTreeMap<u16, Arc<SigningKey>>,
}

/// The consensus and the network key of a validator.
fn keys(seed: u8) -> (SigningKey, SigningKey) {
    (SigningKey::from_seed(&[seed; 32]), SigningKey::from_seed(&[seed + 50; 32]))
}

fn validator(name: &str, seed: u8, operator: Option<Address>) -> Validator {
    let (consensus, network) = keys(seed);
    Validator {
        name: name.into(),
        consensus_key: consensus.public(),
        network_key: network.public(),
        address: format!("/ip4/127.0.0.1/tcp/{}", 6180 + u16::from(seed)),
        power: VotingPower(1),
        operator,
    }
}

impl Fake {
    pub fn new(accounts: Vec<GenesisAccount>) -> Self {
        Self::with_operators(accounts, [None; 4])
    }

    /// The same, with these operators of v0 to v3.
    pub fn with_operators(accounts: Vec<GenesisAccount>, operators: [Option<Address>; 4]) -> Self {
        let mut seeds = [1, 2, 3, 4];
        seeds.sort_by_key(|seed| keys(*seed).0.public());
        let pairs = seeds.map(keys);
        let validators = (0..)
            .zip(seeds)
            .zip(operators)
            .map(|((number, seed), operator): ((u8, _), _)| validator(&format!("v{number}"), seed, operator));
        let genesis = Genesis::draft(
            CHAIN,
            "fake",
            UnixMillis(1),
            Parameters::default(),
            quorate_builtin::Settings::default().with_accounts(accounts).in_genesis(),
        );
        let members = validators.zip(&pairs).map(|(validator, (consensus, network))| (validator, consensus, network));
        let genesis = genesis.with_validators(members);
        genesis.check().unwrap();
        let keys = (0..).zip(pairs.map(|(consensus, _)| Arc::new(consensus))).collect();
        Self { epoch: genesis.epoch_state(), genesis, keys }
    }

    /// An entry that both keys of a new validator have signed.
    pub fn entry(&self, name: &str, seed: u8, operator: Option<Address>) -> GenesisValidator {
        let (consensus, network) = keys(seed);
        GenesisValidator::sign(self.genesis.draft_hash(), validator(name, seed, operator), &consensus, &network)
    }

    /// The next epoch, in which a new validator has this seat, and what proves it. The epoch before ends with the block at this height.
    pub fn next(&self, height: u64, seat: u16, name: &str, seed: u8) -> (Self, EpochChange) {
        let (id, mut seats) = (ValidatorId(seat), self.epoch.seats.clone());
        seats.retain(|seat| seat.id != id);
        seats.push(Seat { id, validator: validator(name, seed, None) });
        seats.sort_by_key(|seat| seat.id);
        let next = self.at(seats);
        let change = self.change(height, &next);
        (next, change)
    }

    /// The next epoch with these members.
    pub fn at(&self, seats: Vec<Seat>) -> Self {
        self.of(EpochState { epoch: self.epoch.epoch.next(), seats, ..self.epoch.clone() })
    }

    /// Another epoch, whose members have keys that this file makes.
    pub fn of(&self, epoch: EpochState) -> Self {
        let key = |seat: &Seat| (1..60).map(|seed| keys(seed).0).find(|key| key.public() == seat.validator.consensus_key);
        let keys = epoch.seats.iter().filter_map(|seat| Some((seat.id.0, Arc::new(key(seat)?)))).collect();
        Self { genesis: self.genesis.clone(), epoch, keys }
    }

    /// What proves the next epoch to whoever trusts this one.
    pub fn change(&self, height: u64, next: &Self) -> EpochChange {
        let last = Header { epoch_state: next.epoch.hash(), ..self.header(height, &[], Hash::default()) };
        EpochChange { commit: self.commit(last, &[0, 1, 2]), next: next.epoch.clone() }
    }

    /// The header of a block that does not end the epoch.
    pub fn header(&self, height: u64, receipts: &[Receipt], state_root: Hash) -> Header {
        Header {
            genesis_hash: GenesisHash::default(),
            epoch: self.epoch.epoch,
            height: Height(height),
            round: Round(height + 3),
            block_id: BlockId(Hash([height as u8; 32])),
            parent: StateId(Hash([9; 32])),
            timestamp: UnixMillis(1_000 * height),
            transactions_root: Hash([8; 32]),
            receipts_root: merkle::root(&leaves(receipts)),
            state_root,
            epoch_state: self.epoch.hash(),
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
            epoch: self.epoch.epoch,
            commit_state_id: Some(header.state_id()),
            vote_info_hash: vote_info.digest(),
        };
        let digest = commit_info.digest();
        let signatures: Vec<_> = signers.iter().map(|signer| self.keys[signer].sign(&digest)).collect();
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
            commit: self.commit(self.header(height, receipts, Hash::default()), &[0, 1, 3]),
        }
    }

    /// A proof from a state with this single entry: of its value, or of the absence of any other key.
    pub fn value_proof(&self, height: u64, entry: (&[u8], &[u8])) -> ValueProof {
        let (key_hash, value_hash) = (state_key_hash(entry.0), state_value_hash(entry.1));
        let path = StateProof { siblings: Vec::new(), terminal: StateTerminal::Leaf { key_hash, value_hash } };
        ValueProof { path, commit: self.commit(self.header(height, &[], state_leaf_hash(&key_hash, &value_hash)), &[1, 2, 3]) }
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
