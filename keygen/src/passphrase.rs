//! Where a passphrase comes from: a file, else the environment, else the terminal. Never the command line, which everybody can read.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    private_file::{is_loose, read_bounded},
};

/// The variable that holds the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "QUORATE_PASSPHRASE";
/// Longest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// A passphrase; wiped when dropped.
pub type Passphrase = Zeroizing<String>;

/// `--passphrase-file FILE`.
#[derive(Clone, Debug, Default, Args)]
pub struct PassphraseArgs {
    /// File whose first line is the passphrase; else `QUORATE_PASSPHRASE`, else it is asked for.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The source that the options ask for.
    #[must_use]
    pub fn source(&self) -> PassphraseSource {
        PassphraseSource::Usual { file: self.passphrase_file.clone() }
    }
}

/// Where a passphrase comes from.
#[derive(Clone, Debug)]
pub enum PassphraseSource {
    /// The file if there is one, else [`PASSPHRASE_VARIABLE`], else the terminal.
    Usual {
        /// Its first line is the passphrase. Refused when it is a regular file that others can read.
        file: Option<PathBuf>,
    },
    /// Known already.
    Given(Passphrase),
}

impl PassphraseSource {
    /// The passphrase of an existing file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_existing(&self, path: &Path) -> Result<Passphrase, KeyError> {
        match self.without_terminal()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(&format!("Passphrase of {}: ", path.display())),
        }
    }

    /// The passphrase of a file to be made; asked for twice at the terminal.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_new(&self, path: &Path) -> Result<Passphrase, KeyError> {
        if let Some(passphrase) = self.without_terminal()? {
            return Ok(passphrase);
        }
        let first = ask(&format!("New passphrase for {}: ", path.display()))?;
        let second = ask("The same again: ")?;
        if first == second { Ok(first) } else { Err(KeyError::PassphrasesDiffer) }
    }

    fn without_terminal(&self) -> Result<Option<Passphrase>, KeyError> {
        let passphrase = match self {
            Self::Given(passphrase) => passphrase.clone(),
            Self::Usual { file: Some(file) } => read_line(file)?,
            Self::Usual { file: None } => match env::var(PASSPHRASE_VARIABLE) {
                Ok(passphrase) => Zeroizing::new(passphrase),
                Err(_) => return Ok(None),
            },
        };
        bounded(passphrase).map(Some)
    }
}

/// Asks for a secret at the terminal, without showing it.
///
/// # Errors
/// [`KeyError::NoPassphrase`] without a terminal, [`KeyError::Terminal`].
pub fn ask(prompt: &str) -> Result<Passphrase, KeyError> {
    if !io::stdin().is_terminal() {
        return Err(KeyError::NoPassphrase);
    }
    bounded(Zeroizing::new(rpassword::prompt_password(prompt).map_err(KeyError::Terminal)?))
}

fn bounded(passphrase: Passphrase) -> Result<Passphrase, KeyError> {
    if (1..=PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) { Ok(passphrase) } else { Err(KeyError::PassphraseLength) }
}

/// The first line. Pipes and descriptors (`/dev/fd/3`) have no mode worth looking at; regular files have.
fn read_line(path: &Path) -> Result<Passphrase, KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    let file = File::open(path).map_err(failed)?;
    if let Some(mode) = is_loose(&file).map_err(failed)? {
        return Err(KeyError::Loose { path: path.into(), mode, wanted: 0o600 });
    }
    let bytes = read_bounded(path, &file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Content {
        path: path.into(),
        what: "passphrase",
        reason: "it is not text".into(),
    })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_file::{Secrecy, create};

    #[test]
    fn the_first_line_of_a_private_file_is_the_passphrase() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("passphrase");
        create(&file, b"correct horse \r\nbattery\n", Secrecy::Private).unwrap();
        let source = PassphraseSource::Usual { file: Some(file.clone()) };
        assert_eq!(source.of_existing(&file).unwrap().as_str(), "correct horse ");
        assert_eq!(source.of_new(&file).unwrap().as_str(), "correct horse ");
    }

    #[test]
    fn a_passphrase_file_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("passphrase");
        create(&file, b"secret", Secrecy::Public).unwrap();
        let error = PassphraseSource::Usual { file: Some(file.clone()) }.of_existing(&file).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn an_empty_passphrase_is_refused() {
        let source = PassphraseSource::Given(Zeroizing::new(String::new()));
        assert!(matches!(source.of_new(Path::new("x")), Err(KeyError::PassphraseLength)));
    }
}
