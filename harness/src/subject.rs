//! The application that the simulator runs, and what its clients send; for the built-in application also a model of its rules.

use std::{fmt, marker::PhantomData, sync::Arc};

use quorate_app::{App, Application};
use quorate_builtin::{BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation};
use quorate_types::{codec, genesis::Genesis, ids::Address, settings::Settings};

use crate::{
    invariants::bank::{Bank, Model},
    panicking::Panicking,
    random::Random,
};

/// An application under test.
pub trait Subject: Send + Sync {
    /// The application.
    fn app(&self) -> App;

    /// The settings of a network whose clients have these accounts.
    fn settings(&self, random: &mut Random, accounts: &[Address]) -> Settings;

    /// The payload of a client's next transaction, which may fail.
    fn payload(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8>;

    /// A payload that every pool accepts, so that the sender's later transactions need not wait for it.
    fn filler(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8>;

    /// Whether a client that is rejected with this code gives the transaction up and sends another one with the same sequence number.
    /// Otherwise it retries later.
    fn is_final(&self, code: &str) -> bool;

    /// An independent model of the application's rules, if there is one.
    fn model(&self, genesis: &Genesis) -> Option<Box<dyn Model>>;

    /// A variant of the application that panics on [`Self::poison`], if there is one.
    fn panicking(&self) -> Option<Shared> {
        None
    }

    /// A payload on which the application panics; `None` if it panics on none.
    fn poison(&self) -> Option<Vec<u8>> {
        None
    }
}

/// The bank and the key-value store.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

/// Balance from which clients can pay a deposit for their state. Either all clients have at least this much, or none has.
const RICH: u64 = 1_001;

impl Subject for BuiltIn {
    fn app(&self) -> App {
        quorate_builtin::app()
    }

    /// If balances are low, one client has no account: its first transactions fail or create the account. In some worlds state costs a
    /// deposit, and in some an account's quota is soon full.
    fn settings(&self, random: &mut Random, accounts: &[Address]) -> Settings {
        // State costs a deposit only if all clients can pay it.
        let least = if random.chance(300) { RICH } else { 1 };
        let account = |address: &Address| {
            let balance = random.between(least, least.saturating_add(RICH).saturating_sub(2));
            GenesisAccount { address: *address, balance }
        };
        let balances: Vec<GenesisAccount> = accounts.iter().skip(usize::from(least == 1)).map(account).collect();
        let settings = quorate_builtin::Settings {
            account_bytes_max: *random.pick(&[1 << 28, 1 << 28, 1_024]).unwrap_or(&1_024),
            deposit_per_byte: u32::from(least == RICH && !balances.is_empty()),
            ..quorate_builtin::Settings::default()
        };
        settings.with_accounts(balances).in_genesis().settings
    }

    fn payload(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8> {
        // Sometimes not a valid operation.
        if random.chance(15) { vec![7; 3] } else { operation(random, accounts).encode() }
    }

    fn filler(&self, random: &mut Random, _: &[Address]) -> Vec<u8> {
        let action = KvAction::Put(random.next().to_le_bytes().to_vec());
        Operation::Kv(KvOperation { space: KvSpace::Own, key: b"refill".to_vec(), action }).encode()
    }

    fn is_final(&self, code: &str) -> bool {
        matches!(code, "insufficient-funds" | "deposit-locked" | "no-account" | "zero-amount" | "malformed-operation")
    }

    fn model(&self, genesis: &Genesis) -> Option<Box<dyn Model>> {
        Bank::of(genesis).map(|bank| Box::new(bank) as Box<dyn Model>)
    }

    fn panicking(&self) -> Option<Shared> {
        Some(Shared(Arc::new(Panicking)))
    }
}

fn operation(random: &mut Random, addresses: &[Address]) -> Operation {
    if random.chance(500) {
        let to = random.pick(addresses).copied().unwrap_or_default();
        // Sometimes zero, sometimes more than the sender has.
        let amount = if random.chance(50) { 0 } else { random.between(1, 400) };
        return Operation::Bank(BankOperation::Transfer { to, amount });
    }
    let space = if random.chance(500) { KvSpace::Own } else { KvSpace::Shared };
    let key = vec![b'a', b'0'.saturating_add(u8::try_from(random.below(3)).unwrap_or(0))];
    let bytes = random.next().to_le_bytes();
    let length = random.index(bytes.len());
    let value = bytes.iter().copied().take(length).collect();
    let action = match random.below(6) {
        0 | 1 => KvAction::Put(value),
        2 => KvAction::Get,
        3 => KvAction::Append(value),
        4 => KvAction::Slice { start: 0, end: u32::try_from(length).unwrap_or(0) },
        _ => KvAction::Delete,
    };
    Operation::Kv(KvOperation { space, key, action })
}

/// Any application, with a function that makes its clients' operations.
pub struct Any<A, F> {
    app: App,
    workload: F,
    application: PhantomData<fn() -> A>,
}

impl<A: Application, F: Fn(&mut Random, &[Address]) -> A::Operation + Send + Sync> Any<A, F> {
    /// An application, with a function that draws an operation for clients that have these accounts.
    pub fn new(application: A, workload: F) -> Self {
        Self { app: App::new(application), workload, application: PhantomData }
    }
}

impl<A: Application, F: Fn(&mut Random, &[Address]) -> A::Operation + Send + Sync> Subject for Any<A, F> {
    fn app(&self) -> App {
        self.app.clone()
    }

    fn settings(&self, _: &mut Random, accounts: &[Address]) -> Settings {
        let accounts: Vec<(Address, u64)> = accounts.iter().map(|address| (*address, 1_000)).collect();
        self.app.trial_settings(&accounts)
    }

    fn payload(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8> {
        codec::try_encode(&(self.workload)(random, accounts)).unwrap_or_default()
    }

    fn filler(&self, random: &mut Random, accounts: &[Address]) -> Vec<u8> {
        self.app.sample(random.below(1_000), accounts)
    }

    /// The listed codes come from the pool and its node and are temporary. Any other code is the application's, or final.
    fn is_final(&self, code: &str) -> bool {
        !matches!(
            code,
            "pool-full"
                | "sender-full"
                | "sequence-too-far"
                | "sequence-taken"
                | "too-many-waiting"
                | "crowded-out"
                | "store-failed"
                | "stopping"
        )
    }

    fn model(&self, _: &Genesis) -> Option<Box<dyn Model>> {
        None
    }
}

/// A subject, shared by all threads of a search.
#[derive(Clone)]
pub struct Shared(pub Arc<dyn Subject>);

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(BuiltIn))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.app().fmt(f)
    }
}
