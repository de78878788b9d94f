//! EXEC-2: a transaction takes effect at most once, for ever.
//!
//! Follows the committed chain transaction by transaction: no id occurs twice, each sender's sequence numbers have neither gap nor
//! repetition, nothing is committed at or after its expiry, and block times increase. If the application has a [model](super::bank), every
//! receipt is compared with it, and at the end so is every validator's view of the accounts.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    header::Header,
    ids::{Address, TxId},
    receipt::{Outcome, Receipt},
    round::{Height, UnixMillis},
    transaction::{Target, Transaction},
};

use super::bank::Model;
use super::{Invariant, Observation};

/// Checker of EXEC-2.
#[derive(Debug)]
pub struct OnceAndInOrder {
    signed: BTreeMap<TxId, Transaction>,
    committed: BTreeSet<TxId>,
    height: Height,
    timestamp: UnixMillis,
    sequences: BTreeMap<Address, u64>,
    model: Option<Box<dyn Model>>,
}

impl OnceAndInOrder {
    /// `timestamp` is the genesis time, before every block.
    #[must_use]
    pub fn new(model: Option<Box<dyn Model>>, timestamp: UnixMillis) -> Self {
        let (signed, committed, sequences) = Default::default();
        Self { signed, committed, height: Height(0), timestamp, sequences, model }
    }

    fn block(&mut self, header: &Header, receipts: &[Receipt]) -> Result<(), String> {
        if header.timestamp <= self.timestamp {
            return Err(format!("the block at height {} is not later than the one below it", header.height));
        }
        self.height = header.height;
        self.timestamp = header.timestamp;
        for receipt in receipts {
            self.transaction(header, receipt)?;
        }
        let checked = self.model.as_ref().map_or(Ok(()), |model| model.check());
        checked.map_err(|what| format!("{what}, at height {}", header.height))
    }

    fn transaction(&mut self, header: &Header, receipt: &Receipt) -> Result<(), String> {
        let (id, height) = (receipt.tx_id, header.height);
        let Some(transaction) = self.signed.get(&id).cloned() else {
            return Err(format!("no client signed transaction {id} at height {height}"));
        };
        if !self.committed.insert(id) {
            return Err(format!("transaction {id} was committed a second time at height {height}"));
        }
        let content = transaction.content();
        let next = self.sequences.entry(transaction.sender()).or_default();
        if content.sequence.0 != *next {
            return Err(format!("transaction {id} at height {height} has sequence {}, its sender's next is {next}", content.sequence));
        }
        *next = next.saturating_add(1);
        if content.expires_at <= header.timestamp {
            return Err(format!("transaction {id} at height {height} had expired"));
        }
        // What the committee does about itself is not the application's.
        let Some(model) = self.model.as_mut().filter(|_| content.target == Target::Application) else { return Ok(()) };
        let expected = model.execute(&transaction);
        let same = match (&expected, &receipt.outcome) {
            (Ok(answer), Outcome::Applied(output)) => answer == output,
            (Err(expected), Outcome::Failed(failure)) => *expected == failure.code(),
            (Ok(_), Outcome::Failed(_)) | (Err(_), Outcome::Applied(_)) => false,
        };
        if same { Ok(()) } else { Err(format!("transaction {id} at height {height}: expected {expected:?}, got {:?}", receipt.outcome)) }
    }
}

impl Invariant for OnceAndInOrder {
    fn id(&self) -> &'static str {
        "EXEC-2"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Signed { transaction } => {
                self.signed.insert(transaction.id(), (*transaction).clone());
                Ok(())
            }
            // TREE-1 makes every validator commit the same blocks, so each is executed here once.
            Observation::Committed { blocks, .. } => {
                for (header, receipts) in *blocks {
                    if header.height.0 == self.height.0.saturating_add(1) {
                        self.block(header, receipts)?;
                    }
                }
                Ok(())
            }
            Observation::Account { node, address, height, record } if *height == self.height => {
                let (sequence, expected) = (record.sequence().0, self.sequences.get(address).copied().unwrap_or_default());
                if sequence != expected {
                    return Err(format!("validator {node} has account {address} with sequence {sequence}, expected {expected}"));
                }
                let same = self.model.as_ref().map_or(Ok(()), |model| model.account(address, record));
                same.map_err(|what| format!("validator {node} has {what}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_builtin::{Account, Answer, BankOperation, GenesisAccount, Operation, Settings};
    use quorate_types::{
        crypto::{Hash, SigningKey},
        failure::Code,
        genesis::{Genesis, Parameters},
        ids::{BlockId, ChainId, GenesisHash, StateId, ValidatorId},
        round::Sequence,
    };

    use super::*;
    use crate::invariants::{bank::Bank, examples};

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn rule() -> OnceAndInOrder {
        let account = GenesisAccount { address: Address::of(&key().public()), balance: 10 };
        let genesis = Genesis::draft(
            ChainId(1),
            "test",
            UnixMillis(0),
            Parameters::default(),
            Settings::default().with_accounts(vec![account]).in_genesis(),
        );
        OnceAndInOrder::new(Some(Box::new(Bank::of(&genesis).unwrap())), UnixMillis(0))
    }

    fn transfer(sequence: u64, amount: u64, expires_at: u64) -> Transaction {
        let operation = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount });
        Transaction::sign(GenesisHash(Hash([1; 32])), &key(), Sequence(sequence), UnixMillis(expires_at), operation.encode())
    }

    fn applied() -> Outcome {
        Outcome::Applied(Answer::Done.encode())
    }

    /// Commits one transaction per height, from 1 on.
    fn commit(transactions: &[(&Transaction, Outcome)], signed: bool) -> Result<(), String> {
        let mut rule = rule();
        for (height, (transaction, outcome)) in (1..).zip(transactions) {
            if signed {
                rule.observe(&Observation::Signed { transaction })?;
            }
            let header = examples::header(height, height, StateId::default());
            let receipts = [Receipt { tx_id: transaction.id(), outcome: outcome.clone() }];
            let blocks = [(&header, receipts.as_slice())];
            let qc = examples::qc(9, 8, BlockId::default(), &[1]);
            rule.observe(&Observation::Committed { node: ValidatorId(1), blocks: &blocks, qc: &qc })?;
        }
        Ok(())
    }

    #[test]
    fn follows_a_right_chain() {
        let failed = Outcome::failed(Code::new("insufficient-funds"), &[1, 2]);
        commit(&[(&transfer(0, 7, 99), applied()), (&transfer(1, 7, 99), failed), (&transfer(2, 3, 99), applied())], true).unwrap();
    }

    #[test]
    fn catches_repetitions_gaps_expiry_wrong_results_and_strangers() {
        let first = transfer(0, 1, 99);
        assert!(commit(&[(&first, applied()), (&first, applied())], true).unwrap_err().contains("second time"));
        assert!(commit(&[(&transfer(1, 1, 99), applied())], true).unwrap_err().contains("next is 0"));
        assert!(commit(&[(&first, applied()), (&transfer(0, 2, 99), applied())], true).unwrap_err().contains("next is 1"));
        assert!(commit(&[(&transfer(0, 1, 1), applied())], true).unwrap_err().contains("expired"));
        assert!(commit(&[(&transfer(0, 11, 99), applied())], true).unwrap_err().contains("expected"));
        assert!(commit(&[(&first, Outcome::failed(Code::new("odd"), &[]))], true).unwrap_err().contains("expected"));
        assert!(commit(&[(&first, applied())], false).unwrap_err().contains("no client"));
    }

    #[test]
    fn catches_an_account_that_differs() {
        let mut rule = rule();
        let address = Address::of(&key().public());
        let mut has = |balance, sequence| {
            let record = Account { balance, sequence: Sequence(sequence), stored: 326, ..Account::default() }.record();
            rule.observe(&Observation::Account { node: ValidatorId(1), address, height: Height(0), record: &record })
        };
        has(10, 0).unwrap();
        assert!(has(11, 0).unwrap_err().contains("expected 10"));
        assert!(has(10, 1).unwrap_err().contains("sequence 1"));
    }
}
