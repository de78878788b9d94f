//! `quorate`: the program of the application that it ships, with a wallet.

use std::process::ExitCode;

use clap::Subcommand;
use quorate_app::App;
use quorate_terminal::{CommandError, Output};
use quorate_wallet::BankSettings;

use crate::{Extension, Program};

/// What `quorate` does beside what the program of every application does.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Use a network: accounts, transfers, keys and values, each answer proved.
    Wallet(quorate_wallet::Command),
}

impl Extension for WalletCommand {
    async fn run(self, _: &App, out: &Output) -> Result<(), CommandError> {
        let Self::Wallet(command) = self;
        command.run(out).await
    }
}

/// Runs `quorate`.
#[must_use]
pub fn quorate() -> ExitCode {
    Program::<BankSettings, WalletCommand>::new(quorate_builtin::app()).run()
}
