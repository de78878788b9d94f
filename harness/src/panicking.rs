//! The built-in application with a bug: it panics on one operation.

use std::panic::resume_unwind;

use quorate_app::{App, Application, Call, Rules, State, StateRead};
use quorate_builtin::{Answer, BuiltIn, KvAction, KvOperation, KvSpace, Operation, Settings as BuiltInSettings};
use quorate_types::{failure::Failure, genesis::Genesis, ids::Address, settings::Settings};

use crate::{
    invariants::bank::Model,
    random::Random,
    subject::{self, Subject},
};

/// The operation that panics.
fn poison() -> Operation {
    Operation::Kv(KvOperation { space: KvSpace::Own, key: b"poison".to_vec(), action: KvAction::Get })
}

struct Faulty;

impl Application for Faulty {
    const NAME: &'static str = BuiltIn::NAME;
    const VERSION: u32 = BuiltIn::VERSION;

    type Settings = BuiltInSettings;
    type Operation = Operation;
    type Answer = Answer;
    type Query = <BuiltIn as Application>::Query;
    type Found = <BuiltIn as Application>::Found;

    fn check_settings(&self, rules: &Rules<'_, BuiltInSettings>) -> Result<(), String> {
        BuiltIn.check_settings(rules)
    }

    fn genesis(&self, rules: &Rules<'_, BuiltInSettings>, state: &mut State<'_>) {
        BuiltIn.genesis(rules, state);
    }

    fn new_account(&self, rules: &Rules<'_, BuiltInSettings>) -> Result<Vec<u8>, Failure> {
        BuiltIn.new_account(rules)
    }

    fn check(
        &self,
        rules: &Rules<'_, BuiltInSettings>,
        state: &dyn StateRead,
        sender: &Address,
        operation: &Operation,
    ) -> Result<(), Failure> {
        BuiltIn.check(rules, state, sender, operation)
    }

    fn execute(&self, call: &Call<'_, BuiltInSettings>, state: &mut State<'_>, operation: Operation) -> Result<Answer, Failure> {
        if operation == poison() {
            // Unwinds without the panic hook, which would print a report for each of thousands.
            resume_unwind(Box::new("the operation that panics"));
        }
        BuiltIn.execute(call, state, operation)
    }

    fn sample(&self, number: u64, accounts: &[Address]) -> Operation {
        BuiltIn.sample(number, accounts)
    }
}

/// See the module.
pub(crate) struct Panicking;

impl Subject for Panicking {
    fn app(&self) -> App {
        App::new(Faulty)
    }

    fn settings(&self, random: &mut Random, accounts: &[Address]) -> Settings {
        subject::BuiltIn.settings(random, accounts)
    }

    fn payload(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8> {
        subject::BuiltIn.payload(random, accounts)
    }

    fn filler(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8> {
        subject::BuiltIn.filler(random, accounts)
    }

    fn is_final(&self, code: &str) -> bool {
        code == "panicked" || subject::BuiltIn.is_final(code)
    }

    fn model(&self, genesis: &Genesis) -> Option<Box<dyn Model>> {
        subject::BuiltIn.model(genesis)
    }

    fn poison(&self) -> Option<Vec<u8>> {
        Some(poison().encode())
    }
}
