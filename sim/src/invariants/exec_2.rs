//! EXEC-2: a transaction takes effect at most once, for ever.
//!
//! Holds a model of the bank and of the key-value store of its own, as their documentation describes them, feeds it the committed chain
//! transaction by transaction, and compares every receipt. On the way it checks that no id comes twice, that the sequence numbers of every
//! sender have neither gap nor repetition, that nothing is committed at or after its expiry, that block times grow, and that the total
//! supply never changes. What accounts hold of the state is counted anew from the entries, each time somebody writes. At the end the accounts of every validator are compared with the model's.

use std::collections::{BTreeMap, BTreeSet};

use quorate_builtin::{
    Answer, BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, Settings,
    account::ACCOUNT_ENTRY_SIZE,
    keys::{holder_key, kv_key},
};
use quorate_types::{
    header::Header,
    ids::{Address, TxId},
    receipt::{Outcome, Receipt},
    round::{Height, UnixMillis},
    state_key::entry_size,
    transaction::Transaction,
};

use super::{Invariant, Observation};

/// What the model expects of a transaction: the answer, or the code of the failure.
type Expected = Result<Answer, &'static str>;

/// See the module.
#[derive(Debug)]
pub struct OnceAndInOrder {
    signed: BTreeMap<TxId, Transaction>,
    committed: BTreeSet<TxId>,
    height: Height,
    timestamp: UnixMillis,
    balances: BTreeMap<Address, u64>,
    sequences: BTreeMap<Address, u64>,
    values: BTreeMap<(Option<Address>, Vec<u8>), Vec<u8>>,
    /// Who wrote a shared key last, and holds it.
    holders: BTreeMap<Vec<u8>, Address>,
    settings: Settings,
    supply: u128,
}

impl OnceAndInOrder {
    /// The model of a network's first state.
    #[must_use]
    pub fn new(accounts: &[GenesisAccount], timestamp: UnixMillis, settings: Settings) -> Self {
        Self {
            signed: BTreeMap::new(),
            committed: BTreeSet::new(),
            height: Height(0),
            timestamp,
            balances: accounts.iter().map(|account| (account.address, account.balance)).collect(),
            sequences: BTreeMap::new(),
            values: BTreeMap::new(),
            holders: BTreeMap::new(),
            settings,
            supply: accounts.iter().fold(0, |sum, account| sum.saturating_add(u128::from(account.balance))),
        }
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
        let supply = self.balances.values().fold(0u128, |sum, balance| sum.saturating_add(u128::from(*balance)));
        if supply == self.supply {
            Ok(())
        } else {
            Err(format!("the supply is {supply} at height {}, it was {}", header.height, self.supply))
        }
    }

    fn transaction(&mut self, header: &Header, receipt: &Receipt) -> Result<(), String> {
        let (id, height) = (receipt.tx_id, header.height);
        let Some(transaction) = self.signed.get(&id).cloned() else {
            return Err(format!("transaction {id} at height {height} was signed by no client"));
        };
        if !self.committed.insert(id) {
            return Err(format!("transaction {id} is committed a second time, at height {height}"));
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
        let expected = self.execute(&transaction);
        let same = match (&expected, &receipt.outcome) {
            (Ok(answer), Outcome::Applied(output)) => answer.encode() == *output,
            (Err(expected), Outcome::Failed(failure)) => *expected == failure.code(),
            (Ok(_), Outcome::Failed(_)) | (Err(_), Outcome::Applied(_)) => false,
        };
        if same { Ok(()) } else { Err(format!("transaction {id} at height {height}: expected {expected:?}, got {:?}", receipt.outcome)) }
    }

    fn execute(&mut self, transaction: &Transaction) -> Expected {
        match Operation::decode(&transaction.content().payload) {
            Ok(Operation::Bank(BankOperation::Transfer { to, amount })) => self.transfer(transaction.sender(), to, amount),
            Ok(Operation::Kv(operation)) => self.kv(transaction.sender(), operation),
            Err(_) => Err("malformed-operation"),
        }
    }

    fn transfer(&mut self, from: Address, to: Address, amount: u64) -> Expected {
        if amount == 0 {
            return Err("zero-amount");
        }
        let left = self.balances.get(&from).copied().unwrap_or_default().checked_sub(amount).ok_or("insufficient-funds")?;
        if from != to && left < self.settings.deposit(self.held(&from)) {
            return Err("deposit-locked");
        }
        if !self.exists(&to) && amount < self.settings.deposit(ACCOUNT_ENTRY_SIZE) {
            return Err("below-deposit");
        }
        self.balances.insert(from, left);
        let receiver = self.balances.entry(to).or_default();
        *receiver = receiver.checked_add(amount).ok_or("balance-overflow")?;
        Ok(Answer::Done)
    }

    fn kv(&mut self, sender: Address, operation: KvOperation) -> Expected {
        let owner = match operation.space {
            KvSpace::Own => Some(sender),
            KvSpace::Shared => None,
        };
        let key = (owner, operation.key);
        let value = self.values.get(&key).cloned();
        let (value, answer) = match operation.action {
            KvAction::Get => return Ok(Answer::Value(value.unwrap_or_default())),
            KvAction::Put(value) => (value, Answer::Done),
            KvAction::Delete => {
                self.values.remove(&key);
                if key.0.is_none() {
                    self.holders.remove(&key.1);
                }
                return Ok(Answer::Done);
            }
            KvAction::Append(more) => ([value.ok_or("missing-key")?, more].concat(), Answer::Done),
            KvAction::Slice { start, end } => {
                let kept = value.ok_or("missing-key")?.get(start as usize..end as usize).ok_or("bad-range")?.to_vec();
                (kept.clone(), Answer::Value(kept))
            }
        };
        self.write(sender, key, value).map(|()| answer)
    }

    /// The writer holds the entry from now on, if it may hold so much.
    fn write(&mut self, writer: Address, key: (Option<Address>, Vec<u8>), value: Vec<u8>) -> Result<(), &'static str> {
        let before = self.held(&writer);
        let (values, holders) = (self.values.clone(), self.holders.clone());
        if key.0.is_none() {
            self.holders.insert(key.1.clone(), writer);
        }
        self.values.insert(key, value);
        let after = self.held(&writer);
        let refused = if after <= before {
            None
        } else if after > self.settings.account_bytes_max {
            Some("account-state-full")
        } else if self.balances.get(&writer).copied().unwrap_or_default() < self.settings.deposit(after) {
            Some("deposit-not-covered")
        } else {
            None
        };
        let Some(code) = refused else { return Ok(()) };
        (self.values, self.holders) = (values, holders);
        Err(code)
    }

    fn exists(&self, address: &Address) -> bool {
        self.balances.contains_key(address) || self.sequences.contains_key(address)
    }

    /// What an account holds of the state: its record, its own entries, and the shared ones that it wrote last with what says so.
    fn held(&self, address: &Address) -> u64 {
        let own = self.values.iter().filter(|((owner, _), _)| *owner == Some(*address));
        let own = own.map(|((_, name), value)| entry_size(&kv_key(KvSpace::Own, address, name), value));
        let shared = self.holders.iter().filter(|(_, holder)| *holder == address).map(|(name, _)| {
            let value = self.values.get(&(None, name.clone())).map_or([].as_slice(), Vec::as_slice);
            let entry = entry_size(&kv_key(KvSpace::Shared, address, name), value);
            entry.saturating_add(entry_size(&holder_key(name), address.0.as_bytes()))
        });
        own.chain(shared).fold(if self.exists(address) { ACCOUNT_ENTRY_SIZE } else { 0 }, u64::saturating_add)
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
            // TREE-1 sees to it that every validator commits the same blocks; each needs to be executed once here.
            Observation::Committed { blocks, .. } => {
                for (header, receipts) in *blocks {
                    if header.height.0 == self.height.0.saturating_add(1) {
                        self.block(header, receipts)?;
                    }
                }
                Ok(())
            }
            Observation::Account { node, address, height, balance, sequence } if *height == self.height => {
                let expected =
                    (self.balances.get(address).copied().unwrap_or_default(), self.sequences.get(address).copied().unwrap_or_default());
                if expected == (*balance, *sequence) {
                    Ok(())
                } else {
                    Err(format!("validator {node} has account {address} with {balance} and sequence {sequence}, expected {expected:?}"))
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        crypto::{Hash, SigningKey},
        failure::Code,
        ids::{BlockId, GenesisHash, StateId, ValidatorId},
        round::Sequence,
    };

    use super::*;
    use crate::invariants::examples;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn rule() -> OnceAndInOrder {
        OnceAndInOrder::new(&[GenesisAccount { address: Address::of(&key().public()), balance: 10 }], UnixMillis(0), Settings::default())
    }

    fn transfer(sequence: u64, amount: u64, expires_at: u64) -> Transaction {
        let operation = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount });
        Transaction::sign(GenesisHash(Hash([1; 32])), &key(), Sequence(sequence), UnixMillis(expires_at), operation.encode())
    }

    fn applied() -> Outcome {
        Outcome::Applied(Answer::Done.encode())
    }

    /// Commits one transaction for each height from 1 on.
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
        let account = |balance| Observation::Account { node: ValidatorId(1), address, height: Height(0), balance, sequence: 0 };
        rule.observe(&account(10)).unwrap();
        assert!(rule.observe(&account(11)).is_err());
    }
}
