//! [`BuiltIn`]: dispatches each operation to the [bank](crate::bank) or the [key-value store](crate::kv).

use quorate_app::{Application, Call, Nothing, Rules, State, StateRead};
use quorate_types::{
    codec::{self, DecodeError, bytes_text},
    failure::{Code, Failure},
    ids::Address,
    permission::Permission,
    round::Sequence,
    state_key::{ACCOUNT, AccountRecord, account_key},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    account::{ACCOUNT_ENTRY_SIZE, Account},
    bank,
    keys::{KV_OWN, KV_SHARED, kv_key},
    kv,
    operation::{BankOperation, KV_KEY_BYTES_MAX, KvSpace, Operation},
    settings::{self, GenesisAccount, Settings},
};

/// Amount granted to an account of a measurement: it pays for as many transfers of 1.
const GRANT: u64 = 1_000_000;

/// The bank and the key-value store.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

/// Answer to a transaction that took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done, with nothing to return.
    Done,
    /// The value read.
    Value(#[serde(with = "bytes_text")] Vec<u8>),
}

impl Answer {
    /// Decodes the answer in a receipt.
    ///
    /// # Errors
    /// [`DecodeError`]: not an answer of this application.
    pub fn decode(answer: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(answer, quorate_app::ANSWER_BYTES_MAX)
    }

    /// Encodes the answer for a receipt.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl Application for BuiltIn {
    const NAME: &'static str = "quorate";
    const VERSION: u32 = 1;

    type Settings = Settings;
    type Operation = Operation;
    type Answer = Answer;
    type Query = Nothing;
    type Found = Nothing;

    fn check_settings(&self, rules: &Rules<'_, Settings>) -> Result<(), String> {
        settings::check(rules)
    }

    fn genesis(&self, rules: &Rules<'_, Settings>, state: &mut State<'_>) {
        bank::genesis(rules.settings, state);
    }

    fn new_account(&self, rules: &Rules<'_, Settings>) -> Result<Vec<u8>, Failure> {
        if rules.settings.deposit_per_byte > 0 {
            let deposit = rules.settings.deposit(ACCOUNT_ENTRY_SIZE);
            return Err(Failure::new(Code::new("no-account"), &[deposit]));
        }
        Ok(Account { stored: ACCOUNT_ENTRY_SIZE, ..Account::default() }.application().into())
    }

    fn check(&self, rules: &Rules<'_, Settings>, state: &dyn StateRead, sender: &Address, operation: &Operation) -> Result<(), Failure> {
        match operation {
            Operation::Bank(operation) => bank::check(state, rules.settings, sender, operation),
            Operation::Kv(operation) => kv::check(operation),
        }
    }

    fn execute(&self, call: &Call<'_, Settings>, state: &mut State<'_>, operation: Operation) -> Result<Answer, Failure> {
        let settings = call.rules.settings;
        match operation {
            Operation::Bank(operation) => bank::execute(state, settings, &call.sender, &operation),
            Operation::Kv(operation) => kv::execute(state, settings, &call.sender, &operation),
        }
    }

    /// | Path | State key |
    /// |---|---|
    /// | `accounts/ADDRESS` | the record of an account |
    /// | `kv/own/ADDRESS/KEY` | an account's own key, KEY in hexadecimal |
    /// | `kv/shared/KEY` | a shared key, KEY in hexadecimal |
    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String> {
        let key = match path {
            ["accounts", address] => account_key(&address_of(address)?).into(),
            ["kv", "own", owner, key] => kv_key(KvSpace::Own, &address_of(owner)?, &name_of(key)?),
            ["kv", "shared", key] => kv_key(KvSpace::Shared, &Address::default(), &name_of(key)?),
            _ => return Ok(None),
        };
        Ok(Some(key.into()))
    }

    fn show(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value> {
        match key.first() {
            Some(&ACCOUNT) => {
                let Account { balance, stored, .. } = Account::of(&AccountRecord::new(Sequence(0), Permission::default(), value));
                Some(json!({ "balance": balance.to_string(), "stored": stored }))
            }
            Some(&KV_OWN | &KV_SHARED) => std::str::from_utf8(value).ok().map(Into::into),
            _ => None,
        }
    }

    /// Transfers of 1.
    fn sample(&self, number: u64, accounts: &[Address]) -> Operation {
        let index = number.checked_rem(accounts.len() as u64).and_then(|index| usize::try_from(index).ok()).unwrap_or_default();
        Operation::Bank(BankOperation::Transfer { to: accounts.get(index).copied().unwrap_or_default(), amount: 1 })
    }

    fn trial_settings(&self, accounts: &[(Address, u64)]) -> Settings {
        let account = |(address, balance): &(Address, u64)| GenesisAccount { address: *address, balance: *balance };
        Settings::default().with_accounts(accounts.iter().map(account).collect())
    }

    fn grant(&self, to: &Address) -> Option<Operation> {
        Some(Operation::Bank(BankOperation::Transfer { to: *to, amount: GRANT }))
    }

    fn explain(&self, failure: &Failure) -> Option<String> {
        explain(failure)
    }
}

fn address_of(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address; enter 64 hexadecimal digits, with or without 0x"))
}

fn name_of(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() > 2 * KV_KEY_BYTES_MAX {
        return Err(format!("a key has at most {KV_KEY_BYTES_MAX} bytes"));
    }
    hex::decode(digits).map_err(|_| format!("{text:?} is not a key; enter its bytes in hexadecimal digits"))
}

/// A sentence for people about a failure of this application.
#[must_use]
pub fn explain(failure: &Failure) -> Option<String> {
    Some(match (failure.code(), failure.numbers()) {
        ("zero-amount", _) => "a transfer needs an amount above zero".into(),
        ("insufficient-funds", [balance, amount]) => format!("the sender has {balance}, less than {amount}"),
        ("balance-overflow", _) => "the receiver's balance would exceed 2^64 - 1".into(),
        ("account-state-full", [stored, max]) => {
            format!("the account would hold {stored} bytes of the state, but may hold at most {max}; delete keys, or use another account")
        }
        ("deposit-not-covered", [balance, deposit]) => format!(
            "the account has {balance}, but the deposit for the state that it would hold is {deposit}; delete keys, or send it more"
        ),
        ("deposit-locked", [left, deposit]) => format!(
            "the transfer would leave {left}, but the deposit for the state that the account holds is {deposit}; send less, or delete keys"
        ),
        ("below-deposit", [amount, deposit]) => {
            format!("the receiver has no account, and a new one needs a deposit of {deposit}; {amount} is less, send at least that much")
        }
        ("no-account", [deposit]) => {
            format!("the sender has no account; ask someone to send it at least {deposit}, the deposit for a new one")
        }
        ("key-too-large", [len, max]) => format!("the key has {len} bytes; at most {max} are allowed"),
        ("value-too-large", [len, max]) => format!("the value would have {len} bytes; at most {max} are allowed"),
        ("missing-key", _) => "the key does not exist; `put` it first".into(),
        ("bad-range", [start, end, len]) => format!("{start}..{end} is not a valid range of a value of {len} bytes"),
        _ => return None,
    })
}
