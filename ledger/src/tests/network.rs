//! Four validators with real keys, and their blocks and certificates.

use std::{collections::BTreeMap, sync::OnceLock};

use quorate_builtin::{BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, app};
use quorate_types::{
    block::{Block, BlockContent, Payload},
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, Parameters},
    ids::{Address, ChainId, GenesisHash, StateId, ValidatorId},
    round::{Round, Sequence, UnixMillis},
    transaction::Transaction,
    verify::{Verified, Verifier},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

use crate::{Ledger, MemoryStore, Store, genesis_header, genesis_qc};

/// The genesis hash of [`Network::new`].
fn genesis_hash() -> GenesisHash {
    static HASH: OnceLock<GenesisHash> = OnceLock::new();
    *HASH.get_or_init(|| Network::new().genesis.hash())
}

pub(super) struct Network {
    pub(super) genesis: Genesis,
    pub(super) genesis_qc: QuorumCert,
    /// In the order of the committee.
    keys: Vec<SigningKey>,
}

pub(super) fn account_key_of(who: u8) -> SigningKey {
    SigningKey::from_seed(&[100 + who; 32])
}

pub(super) fn address(who: u8) -> Address {
    Address::of(&account_key_of(who).public())
}

pub(super) fn tx(who: u8, sequence: u64, operation: &Operation) -> Transaction {
    Transaction::sign(genesis_hash(), &account_key_of(who), Sequence(sequence), UnixMillis(u64::MAX), operation.encode())
}

pub(super) fn transfer(who: u8, sequence: u64, to: u8, amount: u64) -> Transaction {
    tx(who, sequence, &Operation::Bank(BankOperation::Transfer { to: address(to), amount }))
}

pub(super) fn put(who: u8, sequence: u64, key: &[u8], value: &[u8]) -> Transaction {
    let action = if value.is_empty() { KvAction::Delete } else { KvAction::Put(value.into()) };
    tx(who, sequence, &Operation::Kv(KvOperation { space: KvSpace::Shared, key: key.into(), action }))
}

impl Network {
    pub(super) fn new() -> Self {
        Self::named("test")
    }

    /// Four validators, accounts 1 to 3 with 1,000 each.
    pub(super) fn named(name: &str) -> Self {
        let mut keys: Vec<SigningKey> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        keys.sort_by_key(SigningKey::public);
        let networks: Vec<SigningKey> = (50..54).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        let members = keys.iter().zip(&networks).enumerate().map(|(index, (key, network))| {
            let validator = Validator {
                name: format!("v{index}"),
                consensus_key: key.public(),
                network_key: network.public(),
                address: format!("/ip4/127.0.0.1/tcp/{}", 6_000 + index),
                power: VotingPower(1),
                operator: Some(address(1 + u8::try_from(index).unwrap())),
            };
            (validator, key, network)
        });
        let accounts: Vec<_> = (1..=3).map(|who| GenesisAccount { address: address(who), balance: 1_000 }).collect();
        let genesis = Genesis::draft(
            ChainId(7),
            name,
            UnixMillis(0),
            Parameters { block_transactions_max: 1_000, block_bytes_max: 512 << 10, ..Parameters::default() },
            quorate_builtin::Settings::default().with_accounts(accounts).in_genesis(),
        );
        let genesis = genesis.with_validators(members);
        genesis.check().unwrap();
        let (header, _) = genesis_header(&app(), &genesis).unwrap();
        Self { genesis_qc: genesis_qc(&header), genesis, keys }
    }

    /// A client's verifier, which has seen nothing that the tests made.
    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(self.genesis.committee().unwrap(), self.genesis_qc.clone(), self.genesis.parameters)
    }

    pub(super) fn ledger(&self) -> Ledger<MemoryStore> {
        self.open(MemoryStore::new())
    }

    pub(super) fn open<S: Store>(&self, store: S) -> Ledger<S> {
        Ledger::open(store, &app(), &self.genesis).unwrap()
    }

    /// A block on the block that `qc` certifies.
    #[expect(clippy::unused_self, reason = "tests read better with one subject")]
    pub(super) fn block(&self, qc: &QuorumCert, round: u64, payload: Vec<Transaction>) -> Block {
        Self::block_at(qc, round, 1_000 * round, payload)
    }

    pub(super) fn block_at(qc: &QuorumCert, round: u64, timestamp: u64, payload: Vec<Transaction>) -> Block {
        Block::new(BlockContent {
            genesis_hash: qc.commit_info.genesis_hash,
            epoch: qc.commit_info.epoch,
            author: ValidatorId(u16::try_from(round % 4).unwrap()),
            round: Round(round),
            timestamp: UnixMillis(timestamp),
            payload: Payload::try_from(payload).unwrap(),
            qc: qc.clone(),
        })
    }

    /// The certificate of three of the four validators for a block and its result.
    pub(super) fn certify(&self, block: &Block, state_id: StateId) -> QuorumCert {
        let parent = block.qc().vote_info;
        let vote_info =
            VoteInfo { id: block.id(), round: block.round(), parent_id: parent.id, parent_round: parent.round, exec_state_id: state_id };
        let commit_state_id = vote_info.commits_parent().then_some(parent.exec_state_id);
        let genesis_hash = block.content().genesis_hash;
        let commit_info =
            LedgerCommitInfo { genesis_hash, epoch: block.content().epoch, commit_state_id, vote_info_hash: vote_info.digest() };
        let high_commit_qc = self.verifier().genesis_qc();
        let votes: BTreeMap<ValidatorId, Verified<Vote>> = (0u16..3)
            .map(|id| {
                (
                    ValidatorId(id),
                    Verified::<Vote>::sign(vote_info, commit_info, &high_commit_qc, ValidatorId(id), &self.keys[usize::from(id)]).unwrap(),
                )
            })
            .collect();
        Verified::<QuorumCert>::aggregate(&self.genesis.committee().unwrap(), &votes).unwrap().into_inner()
    }

    /// Adds a block on `qc`'s block to the ledger; returns the block and its certificate.
    pub(super) fn extend<S: Store>(
        &self,
        ledger: &mut Ledger<S>,
        qc: &QuorumCert,
        round: u64,
        payload: Vec<Transaction>,
    ) -> (Block, QuorumCert) {
        let block = self.block(qc, round, payload);
        let state_id = ledger.speculate(&block).unwrap();
        let qc = self.certify(&block, state_id);
        (block, qc)
    }

    /// Adds a chain of blocks in the given rounds, each committed as soon as a certificate commits it. `last` is the block that `from`
    /// certifies, unless that is committed already. Returns the certificate of the last block and the blocks.
    pub(super) fn grow<S: Store>(
        &self,
        ledger: &mut Ledger<S>,
        (from, last): (&QuorumCert, Option<&Block>),
        rounds: impl IntoIterator<Item = u64>,
        mut payload: impl FnMut(u64) -> Vec<Transaction>,
    ) -> (QuorumCert, Vec<Block>) {
        let mut qc = from.clone();
        let mut blocks: Vec<Block> = Vec::new();
        let mut pending: Vec<Block> = last.into_iter().cloned().collect();
        for round in rounds {
            let (block, next) = self.extend(ledger, &qc, round, payload(round));
            qc = next;
            blocks.push(block.clone());
            if qc.commits().is_some() && !pending.is_empty() {
                ledger.commit(&pending.iter().collect::<Vec<_>>(), &qc).unwrap();
                pending.clear();
            }
            pending.push(block);
        }
        (qc, blocks)
    }
}
