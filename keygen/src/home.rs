//! The home directory of a user or node, which holds keys, accounts and configuration.

use std::{env, path::PathBuf};

use clap::Args;

use crate::error::KeyError;

/// Environment variable for the home directory.
pub const HOME_VARIABLE: &str = "QUORATE_HOME";

/// `--home DIR`.
#[derive(Clone, Debug, Default, Args)]
pub struct HomeArgs {
    /// Home directory, for keys, accounts and configuration [default: ~/.quorate].
    #[arg(long, env = HOME_VARIABLE, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

impl HomeArgs {
    /// The home directory: as given, else `~/.quorate`.
    ///
    /// # Errors
    /// [`KeyError::NoHome`].
    pub fn path(&self) -> Result<PathBuf, KeyError> {
        match &self.home {
            Some(home) => Ok(home.clone()),
            None => env::home_dir().filter(|home| !home.as_os_str().is_empty()).map(|home| home.join(".quorate")).ok_or(KeyError::NoHome),
        }
    }
}
