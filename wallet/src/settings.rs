//! The options of `quorate genesis new` about the bank and the key-value store.

use std::str::FromStr;

use clap::Args;
use quorate_app::App;
use quorate_builtin::{GenesisAccount, Settings};
use quorate_genesis::SettingsArgs;
use quorate_terminal::CommandError;
use quorate_types::{genesis::Parameters, ids::Address};

/// What the founders decide.
#[derive(Clone, Debug, Args)]
pub struct BankSettings {
    /// An account and what it has at the start, in the smallest unit; repeatable.
    #[arg(long = "account", value_name = "ADDRESS=AMOUNT")]
    accounts: Vec<AccountArg>,
    /// Most bytes of the state that one account may hold.
    #[arg(long, value_name = "BYTES")]
    account_bytes_max: Option<u64>,
    /// How many of the smallest unit must stay in an account for each byte of the state that it holds. With 0 anybody, known or not, fills the
    /// state for nothing.
    #[arg(long, value_name = "AMOUNT", default_value_t = DEPOSIT_PER_BYTE)]
    deposit_per_byte: u32,
}

/// The deposit of a network that strangers may reach.
const DEPOSIT_PER_BYTE: u32 = 1;

impl SettingsArgs for BankSettings {
    fn settings(&self, _: &App, parameters: &Parameters) -> Result<quorate_types::settings::Settings, CommandError> {
        let usual = Settings::default().account_bytes_max.min(parameters.state.bytes_max);
        let settings = Settings {
            accounts: Vec::new(),
            account_bytes_max: self.account_bytes_max.unwrap_or(usual),
            deposit_per_byte: self.deposit_per_byte,
        };
        let accounts = self.accounts.iter().map(|account| account.0).collect();
        Ok(settings.with_accounts(accounts).in_genesis().settings)
    }
}

/// `ADDRESS=AMOUNT`.
#[derive(Clone, Copy, Debug)]
struct AccountArg(GenesisAccount);

impl FromStr for AccountArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, balance) = text.split_once('=').ok_or("write ADDRESS=AMOUNT")?;
        let address: Address = address.parse().map_err(|error| format!("an address is 0x and 64 hexadecimal digits: {error}"))?;
        let balance = balance.parse().map_err(|error| format!("an amount is a whole number of the smallest unit: {error}"))?;
        Ok(Self(GenesisAccount { address, balance }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        settings: BankSettings,
    }

    #[test]
    fn accounts_come_sorted_and_a_small_state_has_a_small_quota() {
        let address = |digit: &str| format!("0x{}", digit.repeat(64));
        let (one, two) = (format!("{}=5", address("2")), format!("{}=7", address("1")));
        let program = Program::try_parse_from(["new", "--account", &one, "--account", &two]).unwrap();
        let mut parameters = Parameters::default();
        parameters.state.bytes_max = 1 << 20;
        let settings = program.settings.settings(&quorate_builtin::app(), &parameters).unwrap();
        let expected = format!(
            r#"{{"account_bytes_max":1048576,"accounts":[{{"address":"{}","balance":"7"}},{{"address":"{}","balance":"5"}}],"deposit_per_byte":1}}"#,
            address("1"),
            address("2")
        );
        assert_eq!(settings.text(), expected);
        assert!(Program::try_parse_from(["new", "--account", "0x12=5"]).is_err());
    }
}
