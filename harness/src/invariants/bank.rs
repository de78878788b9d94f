//! A second implementation of the built-in application's rules: a model of the bank and the key-value store, written from their
//! documentation. After every write, what an account holds of the state is recounted from the entries.

use std::{collections::BTreeMap, fmt::Debug};

use quorate_builtin::{
    Account, Answer, BankOperation, KvAction, KvOperation, KvSpace, Operation, Settings,
    account::ACCOUNT_ENTRY_SIZE,
    keys::{holder_key, kv_key},
};
use quorate_types::{
    genesis::Genesis,
    ids::Address,
    state_key::{AccountRecord, entry_size},
    transaction::Transaction,
};

/// An independent model of an application's rules, fed the committed chain one transaction at a time.
pub trait Model: Debug + Send {
    /// Executes the next transaction and returns its answer.
    ///
    /// # Errors
    /// The code of the failure.
    fn execute(&mut self, transaction: &Transaction) -> Result<Vec<u8>, &'static str>;

    /// Checks what must hold after every block.
    ///
    /// # Errors
    /// A description of the violation.
    fn check(&self) -> Result<(), String>;

    /// Whether an account's record matches the model. The model does not track sequence numbers.
    ///
    /// # Errors
    /// A description of the mismatch.
    fn account(&self, address: &Address, record: &AccountRecord) -> Result<(), String>;
}

/// The model's result for a transaction.
type Expected = Result<Answer, &'static str>;

/// The model of the bank and the key-value store.
#[derive(Debug)]
pub(crate) struct Bank {
    balances: BTreeMap<Address, u64>,
    /// Addresses that have sent a transaction.
    senders: std::collections::BTreeSet<Address>,
    values: BTreeMap<(Option<Address>, Vec<u8>), Vec<u8>>,
    /// The last writer of each shared key, which holds its entry.
    holders: BTreeMap<Vec<u8>, Address>,
    settings: Settings,
    supply: u128,
}

impl Bank {
    /// The model of a network's genesis state, if the network runs the built-in application.
    pub(crate) fn of(genesis: &Genesis) -> Option<Self> {
        let mut settings: Settings = genesis.application.settings.parse().ok()?;
        let accounts = std::mem::take(&mut settings.accounts);
        Some(Self {
            balances: accounts.iter().map(|account| (account.address, account.balance)).collect(),
            senders: std::collections::BTreeSet::new(),
            values: BTreeMap::new(),
            holders: BTreeMap::new(),
            supply: accounts.iter().fold(0, |sum, account| sum.saturating_add(u128::from(account.balance))),
            settings,
        })
    }

    fn run(&mut self, transaction: &Transaction) -> Expected {
        self.senders.insert(transaction.sender());
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

    /// The writer holds the entry from now on, provided its quota and deposit allow it.
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
        self.balances.contains_key(address) || self.senders.contains(address)
    }

    /// Bytes of state that an account holds: its record, its own entries, and each shared entry that it wrote last together with its holder
    /// entry.
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

impl Model for Bank {
    fn execute(&mut self, transaction: &Transaction) -> Result<Vec<u8>, &'static str> {
        self.run(transaction).map(|answer| answer.encode())
    }

    fn check(&self) -> Result<(), String> {
        let supply = self.balances.values().fold(0u128, |sum, balance| sum.saturating_add(u128::from(*balance)));
        if supply == self.supply { Ok(()) } else { Err(format!("the supply is {supply}, expected {}", self.supply)) }
    }

    fn account(&self, address: &Address, record: &AccountRecord) -> Result<(), String> {
        let (balance, expected) = (Account::of(record).balance, self.balances.get(address).copied().unwrap_or_default());
        if balance == expected { Ok(()) } else { Err(format!("account {address} with balance {balance}, expected {expected}")) }
    }
}
