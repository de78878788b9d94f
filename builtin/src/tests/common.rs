//! A state in a map, keys, and blocks on it.

use std::{collections::BTreeMap, sync::Arc};

use quorate_app::{App, BlockContext, Execution, Machine, Unexecuted, accounts, execute_block};
use quorate_types::{
    crypto::{Hash, SigningKey},
    genesis::{Genesis, Parameters, StateLimits},
    ids::{Address, BlockId, ChainId, GenesisHash, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
};

use crate::{Answer, BankOperation, BuiltIn, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, Settings, account};

pub(crate) const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
pub(crate) const NOW: UnixMillis = UnixMillis(1_000);
pub(crate) const LATER: UnixMillis = UnixMillis(2_000);

pub(crate) type Entries = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// A chain on which each call executes a block.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) state: Entries,
}

pub(crate) fn key(who: u8) -> SigningKey {
    SigningKey::from_seed(&[who; 32])
}

pub(crate) fn address(who: u8) -> Address {
    Address::of(&key(who).public())
}

pub(crate) fn settings(balances: &[(u8, u64)]) -> Settings {
    let account = |(who, balance): &(u8, u64)| GenesisAccount { address: address(*who), balance: *balance };
    Settings::default().with_accounts(balances.iter().map(account).collect())
}

pub(crate) fn genesis(settings: &Settings) -> Genesis {
    Genesis::draft(ChainId(7), "test", UnixMillis(0), Parameters::default(), settings.in_genesis())
}

pub(crate) fn context() -> BlockContext {
    BlockContext {
        genesis_hash: NETWORK,
        epoch: Epoch(0),
        height: Height(1),
        round: Round(1),
        id: BlockId::default(),
        timestamp: NOW,
        author: ValidatorId(0),
        limits: StateLimits::default(),
    }
}

pub(crate) fn tx(who: u8, sequence: u64, operation: &Operation) -> Transaction {
    Transaction::sign(NETWORK, &key(who), Sequence(sequence), LATER, operation.encode())
}

pub(crate) fn transfer(to: u8, amount: u64) -> Operation {
    Operation::Bank(BankOperation::Transfer { to: address(to), amount })
}

pub(crate) fn kv(space: KvSpace, name: &[u8], action: KvAction) -> Operation {
    Operation::Kv(KvOperation { space, key: name.into(), action })
}

pub(crate) fn ok() -> Outcome {
    Outcome::Applied(Answer::Done.encode())
}

pub(crate) fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Failed(failure) => failure.code(),
    }
}

impl World {
    pub(crate) fn with(balances: &[(u8, u64)]) -> Self {
        let settings = settings(balances);
        let machine = App::new(BuiltIn).open(&genesis(&settings)).unwrap();
        let state = machine.genesis_state().unwrap().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Self { settings, state }
    }

    /// The application with the current settings.
    pub(crate) fn machine(&self) -> Machine {
        App::new(BuiltIn).open(&genesis(&Settings { accounts: Vec::new(), ..self.settings.clone() })).unwrap()
    }

    pub(crate) fn execute(&self, payload: &[Transaction]) -> Result<Execution, Unexecuted> {
        {
            let machine = self.machine();
            execute_block(&machine, &self.state, &context(), machine.first_epoch(), payload)
        }
    }

    /// Executes a block and keeps its writes.
    pub(crate) fn block(&mut self, payload: &[Transaction]) -> Vec<Outcome> {
        let Execution { writes, receipts, .. } = self.execute(payload).unwrap();
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
        account::balance(&self.state, &address(who))
    }

    pub(crate) fn sequence(&self, who: u8) -> u64 {
        accounts::next_sequence(&self.state, &address(who)).0
    }
}
