//! Settings of the bank and the key-value store, chosen by a network's founders.

use quorate_app::Rules;
use quorate_types::{codec::amount_text, genesis::GenesisApplication, ids::Address};
use serde::{Deserialize, Serialize};

use crate::{account::ACCOUNT_ENTRY_SIZE, app};

/// The settings of [`BuiltIn`](crate::BuiltIn) in a genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The first accounts, sorted by address, each once. Their balances are all the money there will ever be.
    #[serde(default)]
    pub accounts: Vec<GenesisAccount>,
    /// Most bytes of the state that one account may hold, from the size of its own record to the network's `state.bytes_max`.
    #[serde(default = "default_account_bytes_max")]
    pub account_bytes_max: u64,
    /// Balance that an account must keep for each byte that it holds, in the smallest unit, 0..=2^32-1. With 0, holding state is free;
    /// otherwise an account begins with a transfer that covers the deposit for its record.
    #[serde(default)]
    pub deposit_per_byte: u32,
}

/// An account in the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Address of the account.
    pub address: Address,
    /// Initial balance in the smallest unit.
    #[serde(with = "amount_text")]
    pub balance: u64,
}

const fn default_account_bytes_max() -> u64 {
    256 << 20
}

impl Default for Settings {
    fn default() -> Self {
        Self { accounts: Vec::new(), account_bytes_max: default_account_bytes_max(), deposit_per_byte: 0 }
    }
}

impl Settings {
    /// Sets the first accounts, sorting them.
    #[must_use]
    pub fn with_accounts(mut self, mut accounts: Vec<GenesisAccount>) -> Self {
        accounts.sort_by_key(|account| account.address);
        self.accounts = accounts;
        self
    }

    /// The application's part of a genesis with these settings.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "numbers, hexadecimal digits and lists, which settings can hold")]
    pub fn in_genesis(&self) -> GenesisApplication {
        app().in_genesis(quorate_types::settings::Settings::of(self).expect("settings of integers and text"))
    }

    /// The deposit for this many bytes of state; `u64::MAX` if it does not fit.
    #[must_use]
    pub fn deposit(&self, stored: u64) -> u64 {
        stored.saturating_mul(u64::from(self.deposit_per_byte))
    }
}

/// Whether a network can have these settings.
pub(crate) fn check(Rules { settings, limits }: &Rules<'_, Settings>) -> Result<(), String> {
    if !(ACCOUNT_ENTRY_SIZE..=limits.bytes_max).contains(&settings.account_bytes_max) {
        return Err(format!("account_bytes_max must lie in {ACCOUNT_ENTRY_SIZE}..=state.bytes_max, which is {}", limits.bytes_max));
    }
    let deposit = settings.deposit(ACCOUNT_ENTRY_SIZE);
    let mut supply = 0u64;
    let mut last: Option<Address> = None;
    for GenesisAccount { address, balance } in &settings.accounts {
        if last == Some(*address) {
            return Err(format!("account {address} appears twice; keep one entry"));
        }
        if last.is_some_and(|last| last > *address) {
            return Err(format!("accounts must be sorted by address; move {address} up"));
        }
        last = Some(*address);
        if *balance < deposit {
            return Err(format!(
                "account {address} has {balance}, and the deposit for its record is {deposit}; give it at least that much, or leave it out"
            ));
        }
        supply = supply.checked_add(*balance).ok_or("the balances sum to 2^64 or more; lower them")?;
    }
    Ok(())
}
