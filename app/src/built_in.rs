//! The application that every node carries: [`BuiltIn`] sends each operation to the [bank](crate::bank) or the [key-value store](crate::kv).
//!
//! Operations of the committee (`Admin`) and bytes for a service of the user's own (`Opaque`) fail with `unsupported`.

use quorate_types::{
    genesis::{Genesis, StateLimits},
    operation::Operation,
    receipt::Outcome,
    transaction::Transaction,
};

use crate::{
    application::{AppError, Application, BlockContext, TxRejected},
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

    fn check(&self, state: &dyn StateRead, limits: &StateLimits, tx: &Transaction) -> Result<(), TxRejected> {
        let operation = Operation::decode(&tx.content().payload).map_err(|error| TxRejected::MalformedOperation(error.to_string()))?;
        match &operation {
            Operation::Bank(operation) => bank::check(state, limits, &tx.sender(), operation),
            Operation::Kv(operation) => kv::check(operation),
            Operation::Admin(_) => Err(TxRejected::Unsupported("admin operations")),
            Operation::Opaque(_) => Err(TxRejected::Unsupported("opaque operations")),
        }
    }

    fn execute(&self, state: &mut Overlay<'_>, context: &BlockContext, tx: &Transaction) -> Outcome {
        let operation = match Operation::decode(&tx.content().payload) {
            Ok(operation) => operation,
            Err(error) => return Outcome::failed("malformed-operation", error.to_string()),
        };
        match &operation {
            Operation::Bank(operation) => bank::execute(state, &context.limits, &tx.sender(), operation),
            Operation::Kv(operation) => kv::execute(state, &context.limits, &tx.sender(), operation),
            Operation::Admin(_) => unsupported("admin operations"),
            Operation::Opaque(_) => unsupported("opaque operations"),
        }
    }
}

fn unsupported(what: &'static str) -> Outcome {
    let error = TxRejected::Unsupported(what);
    Outcome::failed(error.code(), error.to_string())
}
