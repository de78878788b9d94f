//! EXEC-4: a transaction on which the application panics stops a validator at most once, restarts included.

use std::collections::BTreeSet;

use quorate_types::ids::{TxId, ValidatorId};

use super::{Invariant, Observation};

/// See the module.
#[derive(Debug, Default)]
pub struct OnePanicEach {
    panicked: BTreeSet<(ValidatorId, TxId)>,
}

impl Invariant for OnePanicEach {
    fn id(&self) -> &'static str {
        "EXEC-4"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Panicked { node, id } if !self.panicked.insert((*node, *id)) => {
                Err(format!("transaction {id} stops validator {node} a second time"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::crypto::Hash;

    use super::*;

    #[test]
    fn catches_a_second_panic_on_one_transaction() {
        let mut rule = OnePanicEach::default();
        let mut panics = |node, id| rule.observe(&Observation::Panicked { node: ValidatorId(node), id: TxId(Hash([id; 32])) });
        for (node, id) in [(0, 1), (1, 1), (0, 2)] {
            panics(node, id).unwrap();
        }
        assert!(panics(0, 1).is_err());
    }
}
