//! The accounts of this machine: `NAME.key` and `NAME.pub` in `wallet` of the home directory.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
};

use quorate_keygen::{
    AccountKey, AccountPublic, KeyError, PassphraseSource, Sealing, account::check_name, command::WALLET_DIRECTORY, load_account_key,
    load_account_public, save_account_key,
};
use quorate_terminal::{CommandError, Output, program_word};
use quorate_types::ids::Address;
use serde::Serialize;

/// Somebody, by the name of an account of this wallet or by an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// An account of this wallet.
    Name(String),
    /// Any account.
    Address(Address),
}

impl FromStr for Party {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("0x") {
            return text.parse().map(Self::Address).map_err(|error| format!("an address is 0x and 64 hexadecimal digits: {error}"));
        }
        check_name(text).map_err(|error| error.to_string())?;
        Ok(Self::Name(text.into()))
    }
}

/// The accounts of a home directory.
#[derive(Debug)]
pub(crate) struct Accounts(PathBuf);

#[derive(Serialize)]
struct Listed {
    name: String,
    #[serde(flatten)]
    public: AccountPublic,
}

impl Accounts {
    pub(crate) fn open(home: &Path) -> Self {
        Self(home.join(WALLET_DIRECTORY))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    pub(crate) fn resolve(&self, party: &Party) -> Result<Address, CommandError> {
        match party {
            Party::Address(address) => Ok(*address),
            Party::Name(name) => Ok(self.public(name)?.address),
        }
    }

    pub(crate) fn public(&self, name: &str) -> Result<AccountPublic, CommandError> {
        load_account_public(&self.0, name).map_err(|error| self.explain(name, error))
    }

    pub(crate) fn key(&self, name: &str, source: &PassphraseSource) -> Result<AccountKey, CommandError> {
        load_account_key(&self.0, name, source).map_err(|error| self.explain(name, error))
    }

    /// The sender: as named, else the only account there is.
    pub(crate) fn sender(&self, from: Option<String>) -> Result<String, CommandError> {
        if let Some(name) = from {
            check_name(&name)?;
            return Ok(name);
        }
        match self.names()?.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(CommandError::usage(format!("there is no account in {}", self.0.display()))
                .with_hint(format!("make one: {} keygen account NAME", program_word()))),
            several => {
                Err(CommandError::usage("this wallet has several accounts").with_hint(format!("name one: --from {}", several.join("|"))))
            }
        }
    }

    /// The addresses of all accounts.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, CommandError> {
        self.names()?.iter().map(|name| Ok(self.public(name)?.address)).collect()
    }

    /// The account of this address.
    pub(crate) fn name_of(&self, address: Address) -> Result<String, CommandError> {
        for name in self.names()? {
            if self.public(&name)?.address == address {
                return Ok(name);
            }
        }
        Err(CommandError::failure("no-such-account", format!("there is no account with the address {address} in {}", self.0.display())))
    }

    pub(crate) fn import(&self, name: &str, words: &str, index: u32, sealing: &Sealing, out: &Output) -> Result<(), CommandError> {
        check_name(name)?;
        let key = AccountKey::from_mnemonic(words, index)?;
        let path = save_account_key(&self.0, name, &key, sealing)?;
        out.note(format_args!("wrote {}", path.display()));
        let listed = Listed { name: name.into(), public: key.public() };
        out.print(&listed, || format!("name     {name}\naddress  {}", listed.public.address))
    }

    pub(crate) fn list(&self, out: &Output) -> Result<(), CommandError> {
        let listed = self
            .names()?
            .into_iter()
            .map(|name| Ok(Listed { public: self.public(&name)?, name }))
            .collect::<Result<Vec<_>, CommandError>>()?;
        out.print(&listed, || {
            out.table(&["name", "address"], listed.iter().map(|account| vec![account.name.clone(), account.public.address.to_string()]))
        })
    }

    fn names(&self) -> Result<Vec<String>, CommandError> {
        let failed = |error| CommandError::from(KeyError::Io { path: self.0.clone(), error });
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let file = entry.map_err(failed)?.file_name();
            if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".pub")).filter(|name| check_name(name).is_ok()) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn explain(&self, name: &str, error: KeyError) -> CommandError {
        match &error {
            KeyError::Io { error: cause, .. } if cause.kind() == ErrorKind::NotFound => {
                CommandError::failure("no-such-account", format!("there is no account {name:?} in {}", self.0.display())).with_hint(
                    match self.names().unwrap_or_default().as_slice() {
                        [] => format!("make it: {} keygen account NAME, or name another directory with --home", program_word()),
                        names => format!("there are {}; or name another directory with --home", names.join(", ")),
                    },
                )
            }
            _ => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_terminal::Format;

    use super::*;

    const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    #[test]
    fn imported_accounts_are_listed_by_name_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(home.path());
        let out = Output::new(Format::Json, true);
        let none = accounts.sender(None).unwrap_err();
        assert_eq!(none.exit.code(), 2);
        assert!(none.hint.unwrap().ends_with(" keygen account NAME"), "a command of every program");
        accounts.import("bob", WORDS, 1, &Sealing::InsecurePlaintext, &out).unwrap();
        assert_eq!(accounts.sender(None).unwrap(), "bob");
        accounts.import("alice", WORDS, 0, &Sealing::InsecurePlaintext, &out).unwrap();
        assert_eq!(accounts.names().unwrap(), ["alice", "bob"]);
        accounts.list(&out).unwrap();
        assert_eq!(accounts.sender(None).unwrap_err().hint.unwrap(), "name one: --from alice|bob");
        let alice = accounts.resolve(&"alice".parse().unwrap()).unwrap();
        assert_eq!(alice, AccountKey::from_mnemonic(WORDS, 0).unwrap().public().address);
        assert_eq!(accounts.resolve(&alice.to_string().parse().unwrap()).unwrap(), alice);
        let again = accounts.import("bob", WORDS, 2, &Sealing::InsecurePlaintext, &out).unwrap_err();
        assert_eq!(again.code, "key-exists");
        let missing = accounts.resolve(&Party::Name("eve".into())).unwrap_err();
        assert_eq!(missing.code, "no-such-account");
        assert_eq!(missing.hint.unwrap(), "there are alice, bob; or name another directory with --home");
    }
}
