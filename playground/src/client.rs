//! The playground's one client: holds the keys of all accounts, signs the user's orders, and counts the validators' answers.

use std::{collections::BTreeMap, sync::Arc};

use quorate_builtin::{
    Account, BankOperation, KvAction, KvOperation, KvSpace, Operation, explain,
    keys::{KV_OWN, KV_SHARED},
};
use quorate_ledger::CommittedView;
use quorate_replica::{Answer, Ticket};
use quorate_types::{
    crypto::{Hash, SigningKey},
    ids::{Address, GenesisHash, TxId},
    receipt::Outcome,
    round::{Height, Sequence, UnixMillis},
    state_key::{ACCOUNT, AccountRecord},
    transaction::Transaction,
};

use super::{
    cast::{TREASURY, key},
    flight::Seat,
};

/// Most accounts of a playground.
const ACCOUNTS_MAX: usize = 64;
/// Most transactions of a playground.
const TRANSACTIONS_MAX: usize = 2_000;
/// Validity of a transaction: longer than any playground lasts.
const VALIDITY_MS: u64 = 365 * 24 * 3_600 * 1_000;

/// What a `tx` command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// From the treasury to an account.
    Deposit { account: String, amount: u64 },
    /// From an account to the treasury.
    Withdraw { account: String, amount: u64 },
    /// From one account to another.
    Transfer { from: String, to: String, amount: u64 },
    /// On a shared key.
    Kv { account: String, key: String, action: KvAction },
}

impl Order {
    /// The account that signs it.
    fn signer(&self) -> &str {
        match self {
            Self::Deposit { .. } => TREASURY,
            Self::Withdraw { account, .. } | Self::Kv { account, .. } | Self::Transfer { from: account, .. } => account,
        }
    }

    fn accounts(&self) -> Vec<&str> {
        match self {
            Self::Deposit { account, .. } | Self::Withdraw { account, .. } => vec![TREASURY, account],
            Self::Transfer { from, to, .. } => vec![from, to],
            Self::Kv { account, .. } => vec![account],
        }
    }

    fn operation(&self) -> Operation {
        let transfer = |to: &str, amount| Operation::Bank(BankOperation::Transfer { to: address(to), amount });
        match self {
            Self::Deposit { account, amount } => transfer(account, *amount),
            Self::Withdraw { amount, .. } => transfer(TREASURY, *amount),
            Self::Transfer { to, amount, .. } => transfer(to, *amount),
            Self::Kv { key, action, .. } => {
                Operation::Kv(KvOperation { space: KvSpace::Shared, key: key.clone().into_bytes(), action: action.clone() })
            }
        }
    }

    /// The order in words.
    pub(super) fn words(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
        match self {
            Self::Deposit { account, amount } => format!("deposit {amount} to {account}"),
            Self::Withdraw { account, amount } => format!("withdraw {amount} from {account}"),
            Self::Transfer { from, to, amount } => format!("transfer {amount} from {from} to {to}"),
            Self::Kv { key, action, .. } => match action {
                KvAction::Put(value) => format!("put {key} '{}'", text(value)),
                KvAction::Append(value) => format!("append '{}' to {key}", text(value)),
                KvAction::Slice { start, end } => format!("slice {key} {start}..{end}"),
                KvAction::Get => format!("get {key}"),
                KvAction::Delete => format!("delete {key}"),
            },
        }
    }
}

/// A transaction that the client has sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: TxId,
    pub(super) words: String,
    pub(super) answers: BTreeMap<Seat, String>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    genesis_hash: GenesisHash,
    names: BTreeMap<Address, String>,
    sent: Vec<Sent>,
    tickets: BTreeMap<Ticket, (usize, Seat)>,
}

fn account_key(name: &str) -> SigningKey {
    key("account", name)
}

fn address(name: &str) -> Address {
    Address::of(&account_key(name).public())
}

impl Client {
    pub(super) fn new(genesis_hash: GenesisHash) -> Self {
        let names = BTreeMap::from([(address(TREASURY), TREASURY.into())]);
        Self { genesis_hash, names, sent: Vec::new(), tickets: BTreeMap::new() }
    }

    /// The account whose sequence number an order needs.
    pub(super) fn sender(order: &Order) -> Address {
        address(order.signer())
    }

    /// Signs an order.
    pub(super) fn sign(&mut self, order: &Order, sequence: Sequence, now: UnixMillis) -> Result<Transaction, String> {
        if self.sent.len() >= TRANSACTIONS_MAX {
            return Err(format!("a playground takes at most {TRANSACTIONS_MAX} transactions; `reset` starts a new one"));
        }
        // Counted first: a refused order must not use up a name.
        let named: BTreeMap<Address, &str> = order.accounts().into_iter().map(|name| (address(name), name)).collect();
        let new = named.keys().filter(|address| !self.names.contains_key(*address)).count();
        if self.names.len().saturating_add(new) > ACCOUNTS_MAX {
            return Err(format!("a playground has at most {ACCOUNTS_MAX} accounts; use an existing one"));
        }
        for (address, name) in named {
            self.names.entry(address).or_insert_with(|| name.to_owned());
        }
        let expires_at = UnixMillis(now.0.saturating_add(VALIDITY_MS));
        let transaction =
            Transaction::sign(self.genesis_hash, &account_key(order.signer()), sequence, expires_at, order.operation().encode());
        self.sent.push(Sent { id: transaction.id(), words: order.words(), answers: BTreeMap::new() });
        Ok(transaction)
    }

    /// A ticket for a validator's answer to the newest transaction.
    pub(super) fn ticket(&mut self, seat: Seat) -> Ticket {
        let ticket = Ticket(self.tickets.len() as u64);
        self.tickets.insert(ticket, (self.sent.len().saturating_sub(1), seat));
        ticket
    }

    pub(super) fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// What a transaction does, in words.
    pub(super) fn words(&self, id: &TxId) -> String {
        self.sent.iter().find(|sent| sent.id == *id).map_or_else(|| "an unknown transaction".into(), |sent| sent.words.clone())
    }

    /// Records an answer. Returns the transaction and the answer in words, and the processes that gave the same answer.
    pub(super) fn on_answer(&mut self, ticket: Ticket, answer: &Answer) -> Option<(String, String, Vec<Seat>)> {
        let (index, seat) = self.tickets.get(&ticket).copied()?;
        let transaction = self.sent.get_mut(index)?;
        let text = match answer {
            Answer::Accepted => return None,
            Answer::Rejected { code, reason } => format!("rejected, {code}: {reason}"),
            Answer::Committed { height, outcome, .. } => format!("{} (height {height})", outcome_words(outcome)),
        };
        transaction.answers.insert(seat, text.clone());
        let equal = transaction.answers.iter().filter(|(_, other)| **other == text).map(|(seat, _)| *seat).collect();
        Some((transaction.words.clone(), text, equal))
    }

    /// The name of an account.
    fn name(&self, address: &[u8]) -> String {
        self.names.iter().find(|(known, _)| known.0.as_bytes() == address).map_or_else(|| hex(address), |(_, name)| name.clone())
    }

    /// The accounts and keys of a committed state with their values, sorted.
    pub(super) fn data(&self, view: &CommittedView) -> Vec<(String, String)> {
        let mut data: Vec<(u8, String, String)> = view
            .state()
            .iter()
            .filter_map(|(key, value)| {
                let (kind, rest) = key.split_first()?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
                match *kind {
                    ACCOUNT => {
                        let balance = Account::of(&AccountRecord::decode(Arc::clone(value))?).balance;
                        Some((0, format!("account {}", self.name(rest)), balance.to_string()))
                    }
                    KV_SHARED => Some((1, format!("key {}", text(rest)), format!("\"{}\"", text(value)))),
                    KV_OWN => Some((2, format!("own key {}", hex(rest)), format!("\"{}\"", text(value)))),
                    _ => None,
                }
            })
            .collect();
        data.sort();
        data.into_iter().map(|(_, what, value)| (what, value)).collect()
    }
}

/// The first hex digits of an address or key without a name.
fn hex(bytes: &[u8]) -> String {
    let mut short = [0; 32];
    for (to, from) in short.iter_mut().zip(bytes) {
        *to = *from;
    }
    Hash(short).short()
}

/// The outcome of a transaction in words.
pub(super) fn outcome_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(answer) => match quorate_builtin::Answer::decode(answer) {
            Ok(quorate_builtin::Answer::Value(value)) => format!("applied, answer \"{}\"", String::from_utf8_lossy(&value).escape_debug()),
            Ok(quorate_builtin::Answer::Done) | Err(_) => "applied".into(),
        },
        Outcome::Failed(failure) => {
            format!("failed, {}: {}", failure.code(), explain(failure).unwrap_or_else(|| failure.to_string()))
        }
    }
}

/// Height and abbreviated state root of a committed state.
pub(super) fn state_of(view: &CommittedView) -> (Height, String) {
    (view.header().height, view.header().state_root.short())
}
