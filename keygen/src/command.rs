//! `quorate keygen`: makes the keys of validators and accounts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use crate::{
    account::{AccountKey, AccountPublic, account_files, save_account_key},
    error::KeyError,
    home::HomeArgs,
    mnemonic::{self, Words},
    passphrase::PassphraseArgs,
    sealed::Sealing,
    validator::{ValidatorKeys, ValidatorPublic, save_validator_key},
};

/// Name of the directory of a node's keys in its home.
pub const KEYS_DIRECTORY: &str = "keys";
/// Name of the directory of accounts in a home.
pub const WALLET_DIRECTORY: &str = "wallet";

/// Make keys.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make the consensus key and the network key of a validator.
    Validator(ValidatorCommand),
    /// Make the key of an account, and the words from which it can be made again.
    Account(AccountCommand),
}

/// How a new key file is protected.
#[derive(Clone, Debug, Default, Args)]
pub struct SealingArgs {
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Do not encrypt the key file. For local networks, whose keys are worth nothing.
    #[arg(long, conflicts_with = "passphrase_file")]
    insecure_plaintext: bool,
}

impl SealingArgs {
    /// The protection that the options ask for.
    #[must_use]
    pub fn sealing(&self) -> Sealing {
        if self.insecure_plaintext { Sealing::InsecurePlaintext } else { Sealing::Encrypted(self.passphrase.source()) }
    }
}

/// `quorate keygen validator`.
#[derive(Clone, Debug, Args)]
pub struct ValidatorCommand {
    #[command(flatten)]
    home: HomeArgs,
    /// Directory of the key files [default: keys in the home directory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// `quorate keygen account`.
#[derive(Clone, Debug, Args)]
pub struct AccountCommand {
    /// The account's name on this machine.
    name: String,
    #[command(flatten)]
    home: HomeArgs,
    /// Directory of the key files [default: wallet in the home directory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many words the mnemonic has.
    #[arg(long, value_enum, default_value_t)]
    words: Words,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// What a new account is, words included.
#[derive(Serialize)]
struct NewAccount<'a> {
    name: &'a str,
    #[serde(flatten)]
    public: AccountPublic,
    key_file: PathBuf,
    mnemonic: &'a str,
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Validator(command) => command.run(out),
            Self::Account(command) => command.run(out),
        }
    }
}

impl ValidatorCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Made {
            #[serde(flatten)]
            public: ValidatorPublic,
            key_file: PathBuf,
        }
        let directory = directory(self.out, &self.home, KEYS_DIRECTORY)?;
        let keys = ValidatorKeys::generate()?;
        let key_file = save_validator_key(&directory, &keys, &self.sealing.sealing())?;
        out.note(format_args!("wrote {}; keep a copy in a safe place", key_file.display()));
        let made = Made { public: keys.public(), key_file };
        out.print(&made, || {
            format!(
                "consensus key  {}\nnetwork key    {}\nkey file       {}",
                made.public.consensus_key,
                made.public.network_key,
                made.key_file.display()
            )
        })
    }
}

impl AccountCommand {
    fn run(self, out: &Output) -> Result<(), CommandError> {
        let directory = directory(self.out, &self.home, WALLET_DIRECTORY)?;
        create_account(&directory, &self.name, self.words, &self.sealing.sealing(), out)
    }
}

/// Makes an account from a new mnemonic, shows the words once (on standard error, or as a field of the JSON object), and then saves it: a key
/// whose words nobody could read is none.
///
/// # Errors
/// [`CommandError`]; there is no key then.
pub fn create_account(directory: &Path, name: &str, words: Words, sealing: &Sealing, out: &Output) -> Result<(), CommandError> {
    let (key_file, public_file) = account_files(directory, name)?;
    // Before anybody writes words down for nothing.
    if let Some(exists) = [&key_file, &public_file].into_iter().find(|file| file.exists()) {
        return Err(KeyError::Exists(exists.clone()).into());
    }
    let words = mnemonic::generate(words)?;
    let key = AccountKey::from_mnemonic(&words, 0)?;
    let made = NewAccount { name, public: key.public(), key_file, mnemonic: &words };
    out.reveal(&made, || {
        format!(
            "Write these words down, in this order. Whoever has them has the account; without them a lost key file is lost for good.\n\n  {}\n",
            *words
        )
    })?;
    save_account_key(directory, name, &key, sealing).map_err(|error| {
        let error = CommandError::from(error);
        CommandError { message: format!("the account was not made, and its words are worth nothing: {}", error.message), ..error }
    })?;
    if out.is_json() {
        return Ok(());
    }
    out.print(&made, || format!("name      {name}\naddress   {}\nkey file  {}", made.public.address, made.key_file.display()))
}

fn directory(out: Option<PathBuf>, home: &HomeArgs, default: &str) -> Result<PathBuf, KeyError> {
    match out {
        Some(out) => Ok(out),
        None => Ok(home.path()?.join(default)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use quorate_terminal::Format;

    use super::*;
    use crate::{passphrase::PassphraseSource, validator::load_validator_key};

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(arguments: &[&str]) -> Command {
        Program::parse_from([&["keygen"], arguments].concat()).command
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        assert!(Program::try_parse_from(["keygen", "validator", "--passphrase", "x"]).is_err(), "no passphrase on the command line");
        assert!(Program::try_parse_from(["keygen", "validator", "--insecure-plaintext", "--passphrase-file", "x"]).is_err());
    }

    #[test]
    fn makes_the_keys_of_a_validator_once() {
        let home = tempfile::tempdir().unwrap();
        let out = Output::new(Format::Json, true);
        let home_text = home.path().to_str().unwrap();
        parse(&["validator", "--home", home_text, "--insecure-plaintext"]).run(&out).unwrap();
        let key = home.path().join("keys/validator.key");
        load_validator_key(&key, &PassphraseSource::Usual { file: None }).unwrap();
        let error = parse(&["validator", "--home", home_text, "--insecure-plaintext"]).run(&out).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit.code()), ("key-exists", 1));
    }

    #[test]
    fn makes_the_key_of_an_account() {
        let home = tempfile::tempdir().unwrap();
        let out = Output::kept(Format::Json);
        let home_text = home.path().to_str().unwrap();
        parse(&["account", "alice", "--home", home_text, "--words", "12", "--insecure-plaintext"]).run(&out).unwrap();
        crate::load_account_public(&home.path().join("wallet"), "alice").unwrap();
        assert!(out.written().stdout.contains(r#""mnemonic":""#));
        let error = parse(&["account", "../alice", "--home", home_text, "--insecure-plaintext"]).run(&out).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit.code()), ("name", 2));
    }
}
