//! A state in a map, keys, and blocks on it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Application, BlockContext, BuiltIn, Execution, InvalidBlock, accounts, execute_block, genesis_state};
use quorate_types::{
    crypto::{Hash, SigningKey},
    genesis::{Genesis, GenesisAccount, Parameters},
    ids::{Address, ChainId, GenesisHash, ValidatorId},
    message::PROTOCOL_VERSION,
    operation::{BankOperation, KvAction, KvOperation, KvSpace, Operation},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
};

pub(crate) const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
pub(crate) const NOW: UnixMillis = UnixMillis(1_000);
pub(crate) const LATER: UnixMillis = UnixMillis(2_000);

pub(crate) type Map = BTreeMap<Box<[u8]>, Arc<[u8]>>;

/// A chain in which every block is one call.
pub(crate) struct World<A = BuiltIn> {
    pub(crate) app: A,
    pub(crate) state: Map,
}

pub(crate) fn key(who: u8) -> SigningKey {
    SigningKey::from_seed(&[who; 32])
}

pub(crate) fn address(who: u8) -> Address {
    Address::of(&key(who).public())
}

pub(crate) fn genesis(balances: &[(u8, u64)]) -> Genesis {
    let accounts = balances.iter().map(|(who, balance)| GenesisAccount { address: address(*who), balance: *balance }).collect();
    Genesis {
        protocol_version: PROTOCOL_VERSION,
        chain_id: ChainId(7),
        name: "test".into(),
        timestamp: UnixMillis(0),
        parameters: Parameters::default(),
        validators: Vec::new(),
        accounts,
    }
}

pub(crate) fn context() -> BlockContext {
    BlockContext { genesis_hash: NETWORK, epoch: Epoch(0), height: Height(1), round: Round(1), timestamp: NOW, author: ValidatorId(0) }
}

pub(crate) fn tx(who: u8, sequence: u64, operation: &Operation) -> Transaction {
    Transaction::sign(NETWORK, &key(who), Sequence(sequence), LATER, operation)
}

pub(crate) fn transfer(to: u8, amount: u64) -> Operation {
    Operation::Bank(BankOperation::Transfer { to: address(to), amount })
}

pub(crate) fn kv(space: KvSpace, name: &[u8], action: KvAction) -> Operation {
    Operation::Kv(KvOperation { space, key: name.into(), action })
}

pub(crate) fn ok() -> Outcome {
    Outcome::Applied(b"OK".to_vec())
}

pub(crate) fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Failed(failure) => failure.code(),
    }
}

impl World {
    pub(crate) fn with(balances: &[(u8, u64)]) -> Self {
        Self::of(BuiltIn, balances)
    }
}

impl<A: Application> World<A> {
    pub(crate) fn of(app: A, balances: &[(u8, u64)]) -> Self {
        let state = genesis_state(&app, &genesis(balances)).unwrap().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Self { app, state }
    }

    pub(crate) fn execute(&self, payload: &[Transaction]) -> Result<Execution, InvalidBlock> {
        execute_block(&self.app, &self.state, &context(), payload)
    }

    /// Executes a block and keeps what it writes.
    pub(crate) fn block(&mut self, payload: &[Transaction]) -> Vec<Outcome> {
        let Execution { writes, receipts } = self.execute(payload).unwrap();
        for (key, value) in writes {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        assert!(receipts.iter().map(|receipt| receipt.tx_id).eq(payload.iter().map(Transaction::id)));
        receipts.into_iter().map(|receipt| receipt.outcome).collect()
    }

    /// Executes the sender's next transaction in a block of its own.
    pub(crate) fn send(&mut self, who: u8, operation: &Operation) -> Outcome {
        let sequence = accounts::next_sequence(&self.state, &address(who));
        self.block(&[tx(who, sequence.0, operation)]).remove(0)
    }

    pub(crate) fn balance(&self, who: u8) -> u64 {
        accounts::balance(&self.state, &address(who))
    }

    pub(crate) fn sequence(&self, who: u8) -> u64 {
        accounts::next_sequence(&self.state, &address(who)).0
    }
}
