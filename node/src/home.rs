//! The layout of a node's home directory.
//!
//! ```text
//! <home>/config/config.toml     the operator's settings
//! <home>/config/genesis.json    the network; public, the same on every node
//! <home>/keys/validator.key     the validator's secret keys
//! <home>/keys/validator.signed  the witness: how far the consensus key has signed; created with the key, written before every signature
//! <home>/data/                  blocks, state, safety record: owned by the running process alone
//! <home>/data/api.address       listen address of the running process's HTTP API
//! <home>/data/metrics.address   listen address of its health and metrics
//! <home>/data/drops.json        transactions dropped in the last ten minutes
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A node's home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home at this path. Does not touch the disk.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config").join("config.toml")
    }

    /// The genesis file.
    #[must_use]
    pub fn genesis_file(&self) -> PathBuf {
        self.0.join("config").join("genesis.json")
    }

    /// The failures to inject; optional.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn faults_file(&self) -> PathBuf {
        self.0.join("config").join("faults.json")
    }

    /// The validator's key file.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.0.join("keys").join("validator.key")
    }

    /// The witness: how far the validator's key has signed.
    #[must_use]
    pub fn witness_file(&self) -> PathBuf {
        self.0.join("keys").join(quorate_keygen::VALIDATOR_WITNESS_FILE)
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data().join("db")
    }

    /// The file to which a running process writes the address of its HTTP API, such as `127.0.0.1:8080`.
    #[must_use]
    pub fn api_address_file(&self) -> PathBuf {
        self.data().join("api.address")
    }

    /// The same for health and metrics.
    #[must_use]
    pub fn metrics_address_file(&self) -> PathBuf {
        self.data().join("metrics.address")
    }

    /// Creates missing directories, `keys` and `data` accessible to their owner only. When this returns, the new entries survive a power cut:
    /// a home that came back without its `data` would look like one that has never signed.
    ///
    /// # Errors
    /// The system's error, with the directory.
    pub fn create(&self) -> Result<(), (PathBuf, io::Error)> {
        let changed = self.changed_by_create();
        for (directory, is_private) in [("config", false), ("keys", true), ("data", true)] {
            let path = self.0.join(directory);
            create_directory(&path, is_private).map_err(|error| (path, error))?;
        }
        for directory in changed {
            fs::File::open(&directory).and_then(|file| file.sync_all()).map_err(|error| (directory, error))?;
        }
        Ok(())
    }

    /// The directories in which [`Self::create`] may add an entry: the home, and the parent of each missing directory on the path to it.
    fn changed_by_create(&self) -> Vec<PathBuf> {
        let or_here = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.into() };
        let missing = self.0.ancestors().take_while(|path| !or_here(path).exists());
        std::iter::once(self.0.clone()).chain(missing.filter_map(|path| path.parent().map(or_here))).collect()
    }
}

fn create_directory(path: &Path, is_private: bool) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    if is_private {
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_that_gets_a_new_name_is_synced_the_home_always() {
        let directory = tempfile::tempdir().unwrap();
        let above = directory.path().join("a");
        let home = Home::new(above.join("home"));
        assert_eq!(home.changed_by_create(), [home.path(), &above, directory.path()]);
        home.create().unwrap();
        assert_eq!(home.changed_by_create(), [home.path()]);
        home.create().unwrap();
        assert_eq!(Home::new("none-of-this-name").changed_by_create(), [Path::new("none-of-this-name"), Path::new(".")]);
    }
}
