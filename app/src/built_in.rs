//! The application that every node carries: [`BuiltIn`] sends each operation to the [bank](crate::bank) or the [key-value store](crate::kv).
//!
//! Operations of the committee (`Admin`) and bytes for a service of the user's own (`Opaque`) fail with `unsupported`.

use quorate_types::{
    failure::{Code, Failure},
    genesis::Genesis,
    operation::Operation,
    receipt::Outcome,
    transaction::Transaction,
};

use crate::{
    application::{AppError, Application, BlockContext},
    bank, kv,
    state::{Overlay, StateRead},
};

/// What a transaction that changed something and has nothing else to say answers.
pub(crate) const OK: &[u8] = b"OK";

/// The bank and the key-value store.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Application for BuiltIn {
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), AppError> {
        bank::genesis(genesis, state)
    }

    fn check(&self, state: &dyn StateRead, tx: &Transaction) -> Result<(), Failure> {
        match &operation(tx)? {
            Operation::Bank(operation) => bank::check(state, &tx.sender(), operation),
            Operation::Kv(operation) => kv::check(operation),
            Operation::Admin(_) | Operation::Opaque(_) => Err(unsupported()),
        }
    }

    fn execute(&self, state: &mut Overlay<'_>, _context: &BlockContext, tx: &Transaction) -> Outcome {
        match operation(tx) {
            Ok(Operation::Bank(operation)) => bank::execute(state, &tx.sender(), &operation),
            Ok(Operation::Kv(operation)) => kv::execute(state, &tx.sender(), &operation),
            Ok(Operation::Admin(_) | Operation::Opaque(_)) => Outcome::Failed(unsupported()),
            Err(failure) => Outcome::Failed(failure),
        }
    }
}

fn operation(tx: &Transaction) -> Result<Operation, Failure> {
    // What the decoder says of it depends on its version, so it must not get into a receipt.
    Operation::decode(&tx.content().payload).map_err(|_| Failure::new(Code::new("malformed-operation"), &[]))
}

fn unsupported() -> Failure {
    Failure::new(Code::new("unsupported"), &[])
}
