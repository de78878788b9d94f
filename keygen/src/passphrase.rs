//! Passphrase sources: a file, else the environment, else the terminal. Never the command line, which every local user can read.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use quorate_terminal::{Output, shell_word};
use rpassword::{ConfigBuilder, read_password_with_config};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    private_file::{check_given, read_bounded},
};

/// Environment variable for the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "QUORATE_PASSPHRASE";
/// Longest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// A passphrase; wiped when dropped.
pub type Passphrase = Zeroizing<String>;

/// `--passphrase-file FILE`.
#[derive(Clone, Debug, Default, Args)]
pub struct PassphraseArgs {
    /// File whose first line is the passphrase [default: `QUORATE_PASSPHRASE`, else a prompt].
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The source selected by the options.
    #[must_use]
    pub fn source(&self) -> PassphraseSource {
        PassphraseSource::Usual { file: self.passphrase_file.clone() }
    }
}

/// Where to get a passphrase.
#[derive(Clone, Debug)]
pub enum PassphraseSource {
    /// The file if given, else [`PASSPHRASE_VARIABLE`], else the terminal.
    Usual {
        /// Its first line is the passphrase. Refused if other users can write to it, or can read it and it is not owned by root.
        file: Option<PathBuf>,
    },
    /// The same without the terminal: nobody is asked.
    Unattended {
        /// As above.
        file: Option<PathBuf>,
    },
    /// Known already.
    Given(Passphrase),
}

impl PassphraseSource {
    /// The passphrase of an existing key file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_existing(&self, path: &Path) -> Result<Passphrase, KeyError> {
        match (self.without_terminal()?, self) {
            (Some(passphrase), _) => Ok(passphrase),
            (None, Self::Unattended { .. }) => Err(KeyError::NoPassphrase),
            (None, _) => ask(&format!("Passphrase for {}: ", path.display())),
        }
    }

    /// The passphrase for a new key file; the terminal prompts for it twice.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_new(&self, path: &Path) -> Result<Passphrase, KeyError> {
        match (self.without_terminal()?, self) {
            (Some(passphrase), _) => return Ok(passphrase),
            (None, Self::Unattended { .. }) => return Err(KeyError::NoPassphrase),
            (None, _) => {}
        }
        let first = ask(&format!("New passphrase for {}: ", path.display()))?;
        let second = ask("Repeat the passphrase: ")?;
        if first == second { Ok(first) } else { Err(KeyError::PassphrasesDiffer) }
    }

    fn without_terminal(&self) -> Result<Option<Passphrase>, KeyError> {
        let passphrase = match self {
            Self::Given(passphrase) => passphrase.clone(),
            Self::Usual { file: Some(file) } | Self::Unattended { file: Some(file) } => read_line(file)?,
            Self::Usual { file: None } | Self::Unattended { file: None } => match env::var(PASSPHRASE_VARIABLE) {
                Ok(passphrase) => Zeroizing::new(passphrase),
                Err(_) => return Ok(None),
            },
        };
        bounded(passphrase).map(Some)
    }
}

/// Prompts for a secret at the terminal, without echoing it.
///
/// # Errors
/// [`KeyError::NoPassphrase`] without a terminal, [`KeyError::Interrupted`] on Ctrl-C, [`KeyError::Terminal`].
pub fn ask(prompt: &str) -> Result<Passphrase, KeyError> {
    if !io::stdin().is_terminal() {
        return Err(KeyError::NoPassphrase);
    }
    let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL).map_err(KeyError::Terminal)?;
    let keys = Keys { terminal: terminal.try_clone().map_err(KeyError::Terminal)? };
    let hidden = Hidden::start(&terminal).map_err(KeyError::Terminal)?;
    (&terminal).write_all(prompt.as_bytes()).map_err(KeyError::Terminal)?;
    let line = read_password_with_config(ConfigBuilder::new().input_reader(keys).output_discard().build());
    drop(hidden);
    (&terminal).write_all(b"\n").map_err(KeyError::Terminal)?;
    match line {
        Ok(line) => bounded(Zeroizing::new(line)),
        Err(error) if error.kind() == INTERRUPTED => Err(KeyError::Interrupted),
        Err(error) => Err(KeyError::Terminal(error)),
    }
}

/// The process's terminal, even if its output is redirected.
const TERMINAL: &str = "/dev/tty";
const CTRL_C: u8 = 3;
/// How [`Keys`] reports Ctrl-C. No terminal returns this kind; the obvious one, `Interrupted`, would be retried.
const INTERRUPTED: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// A terminal without echo that delivers each key, Ctrl-C included. Dropping this restores the terminal.
///
/// rpassword does the same, but on Ctrl-C signals this process, which then ends before the terminal is restored.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn start(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Now, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Nothing to restore if the terminal has gone away.
        let _is_restored = tcsetattr(self.terminal, OptionalActions::Now, &self.before).is_ok();
    }
}

/// Reads a terminal one key at a time, up to Ctrl-C.
struct Keys {
    terminal: File,
}

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(key) = buffer.get_mut(..1) else { return Ok(0) };
        let read = self.terminal.read(key)?;
        if read == 1 && key == [CTRL_C] { Err(INTERRUPTED.into()) } else { Ok(read) }
    }
}

fn bounded(passphrase: Passphrase) -> Result<Passphrase, KeyError> {
    if (1..=PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) { Ok(passphrase) } else { Err(KeyError::PassphraseLength) }
}

/// The first line.
fn read_line(path: &Path) -> Result<Passphrase, KeyError> {
    let file = File::open(path).map_err(|error| KeyError::Io { path: path.into(), error })?;
    if check_given(path, &file)? {
        Output::default().note(format_args!(
            "warning: every user of this machine can read the passphrase in {0}; run: chmod 440 {0} (in Kubernetes, set defaultMode: 0440)",
            shell_word(path)
        ));
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
    fn a_passphrase_file_that_others_can_read_is_refused_unless_root_gives_it_and_one_that_they_can_change_always() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pass phrase");
        create(&file, b"secret", Secrecy::Public).unwrap();
        let read = || PassphraseSource::Usual { file: Some(file.clone()) }.of_existing(&file);
        match read() {
            Ok(passphrase) => assert!(rustix::process::geteuid().is_root() && passphrase.as_str() == "secret"),
            Err(error) => assert!(error.to_string().contains(&format!("chmod 600 '{}'", file.display())), "{error}"),
        }
        for mode in [0o620, 0o602, 0o666] {
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            assert!(read().unwrap_err().to_string().contains("chmod 600"), "{mode:03o}");
        }
    }

    #[test]
    fn an_empty_passphrase_is_refused() {
        let source = PassphraseSource::Given(Zeroizing::new(String::new()));
        assert!(matches!(source.of_new(Path::new("x")), Err(KeyError::PassphraseLength)));
    }
}
