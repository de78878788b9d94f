//! An application scripted by its operations, and blocks on its state.

use std::{collections::BTreeMap, sync::Arc};

use quorate_types::{
    crypto::{Hash, SigningKey},
    epoch::EpochState,
    failure::{Code, Failure},
    genesis::{Genesis, Parameters, StateLimits},
    ids::{Address, BlockId, ChainId, GenesisHash, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    settings::Settings,
    transaction::Transaction,
};
use serde::{Deserialize, Serialize};

use crate::{
    App, Application, BlockContext, Call, Execution, Machine, Rules, State, StateRead, Unexecuted, accounts, execute_block, governance,
};

pub(crate) const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
pub(crate) const NOW: UnixMillis = UnixMillis(1_000);
pub(crate) const LATER: UnixMillis = UnixMillis(2_000);

pub(crate) type Entries = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// Executes each step of an operation.
pub(crate) struct Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// Keeps this many bytes in the sender's record.
    Keep(usize),
    Answer(usize),
    Fail,
    Panic,
    /// Answers a floating-point number, which has no encoding.
    Float,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScriptSettings {
    pub(crate) first: Vec<Step>,
    pub(crate) account_bytes: usize,
    pub(crate) closed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Bytes(Vec<u8>),
    Float(f64),
}

fn run(steps: &[Step], state: &mut State<'_>, sender: &Address) -> Result<Said, Failure> {
    let mut answer = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, value) => state.put(key.as_slice(), value.as_slice()),
            Step::Delete(key) => state.delete(key.as_slice()),
            Step::Keep(bytes) => accounts::set(state, sender, &vec![9; *bytes]),
            Step::Answer(bytes) => answer = vec![7; *bytes],
            Step::Fail => return Err(Failure::new(Code::new("no"), &[])),
            Step::Panic => panic!("no such luck"),
            Step::Float => return Ok(Said::Float(0.5)),
        }
    }
    Ok(Said::Bytes(answer))
}

impl Application for Script {
    const NAME: &'static str = "script";
    const VERSION: u32 = 2;
    type Settings = ScriptSettings;
    type Operation = Vec<Step>;
    type Answer = Said;
    type Query = Vec<Step>;
    type Found = Said;

    fn check_settings(&self, rules: &Rules<'_, ScriptSettings>) -> Result<(), String> {
        if rules.settings.account_bytes < 10_000 { Ok(()) } else { Err("account_bytes must be below 10000".into()) }
    }

    fn genesis(&self, rules: &Rules<'_, ScriptSettings>, state: &mut State<'_>) {
        let _ = run(&rules.settings.first, state, &Address::default());
    }

    fn new_account(&self, rules: &Rules<'_, ScriptSettings>) -> Result<Vec<u8>, Failure> {
        if rules.settings.closed { Err(Failure::new(Code::new("closed"), &[])) } else { Ok(vec![1; rules.settings.account_bytes]) }
    }

    fn check(&self, _: &Rules<'_, ScriptSettings>, _: &dyn StateRead, _: &Address, steps: &Vec<Step>) -> Result<(), Failure> {
        assert!(steps.first() != Some(&Step::Panic), "no such luck");
        if steps.first() == Some(&Step::Fail) { Err(Failure::new(Code::new("no"), &[])) } else { Ok(()) }
    }

    fn execute(&self, call: &Call<'_, ScriptSettings>, state: &mut State<'_>, steps: Vec<Step>) -> Result<Said, Failure> {
        run(&steps, state, &call.sender)
    }

    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String> {
        panic!("no such luck with {path:?}")
    }

    fn show(&self, key: &[u8], _: &[u8]) -> Option<serde_json::Value> {
        panic!("no such luck with {key:?}")
    }

    fn explain(&self, failure: &Failure) -> Option<String> {
        panic!("no such luck with {failure:?}")
    }

    fn sample(&self, number: u64, _: &[Address]) -> Vec<Step> {
        vec![Step::Put(b"sample".to_vec(), number.to_le_bytes().to_vec())]
    }

    fn query(&self, _: &Rules<'_, ScriptSettings>, state: &dyn StateRead, steps: Vec<Step>) -> Result<Said, Failure> {
        match steps.as_slice() {
            [Step::Put(key, _)] => Ok(Said::Bytes(state.get(key).unwrap_or_default().to_vec())),
            steps => run(steps, &mut State::new(state), &Address::default()),
        }
    }
}

/// A chain on which each call executes a block.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) state: Entries,
}

pub(crate) fn key(who: u8) -> SigningKey {
    SigningKey::from_seed(&[who; 32])
}

pub(crate) fn address(who: u8) -> Address {
    Address::of(&key(who).public())
}

pub(crate) fn genesis(settings: &ScriptSettings) -> Genesis {
    Genesis::draft(ChainId(7), "test", UnixMillis(0), Parameters::default(), App::new(Script).in_genesis(Settings::of(settings).unwrap()))
}

pub(crate) fn context() -> BlockContext {
    BlockContext {
        genesis_hash: NETWORK,
        epoch: Epoch(0),
        height: Height(1),
        round: Round(1),
        id: BlockId(Hash([9; 32])),
        timestamp: NOW,
        author: ValidatorId(0),
        limits: StateLimits::default(),
    }
}

pub(crate) fn tx(who: u8, sequence: u64, steps: &[Step]) -> Transaction {
    Transaction::sign(NETWORK, &key(who), Sequence(sequence), LATER, quorate_types::codec::encode(steps))
}

pub(crate) fn put(key: &[u8], value: &[u8]) -> Step {
    Step::Put(key.into(), value.into())
}

pub(crate) fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Failed(failure) => failure.code(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&ScriptSettings::default())
    }

    pub(crate) fn with(settings: &ScriptSettings) -> Self {
        Self::of(&genesis(settings))
    }

    pub(crate) fn of(genesis: &Genesis) -> Self {
        let machine = App::new(Script).open(genesis).unwrap();
        let state = machine.genesis_state().unwrap().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Self { machine, state }
    }

    /// What governs the next block.
    pub(crate) fn epoch(&self) -> EpochState {
        governance::epoch_state(&self.state).unwrap()
    }

    pub(crate) fn execute(&self, payload: &[Transaction]) -> Result<Execution, Unexecuted> {
        execute_block(&self.machine, &self.state, &context(), &self.epoch(), payload)
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
    pub(crate) fn send(&mut self, who: u8, steps: &[Step]) -> Outcome {
        let sequence = self.sequence(who);
        self.block(&[tx(who, sequence, steps)]).remove(0)
    }

    pub(crate) fn sequence(&self, who: u8) -> u64 {
        accounts::next_sequence(&self.state, &address(who)).0
    }
}
