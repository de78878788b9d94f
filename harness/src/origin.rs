//! The beginning that all validators of a network have in common, made once: whoever starts thousands of them copies it.

use quorate_app::App;
use quorate_ledger::Ledger;
use quorate_types::genesis::Genesis;

use crate::disk::SimStore;

/// A disk that holds the genesis, and the ledger on it.
#[derive(Debug)]
pub struct Origin {
    disk: SimStore,
    ledger: Ledger<SimStore>,
}

impl Origin {
    /// Writes the genesis.
    ///
    /// # Errors
    /// The genesis is refused.
    pub fn new(app: &App, genesis: &Genesis) -> Result<Self, String> {
        let disk = SimStore::default();
        let ledger = Ledger::open(disk.clone(), app, genesis).map_err(|error| error.to_string())?;
        Ok(Self { disk, ledger })
    }

    /// A disk and a ledger of one's own.
    pub(crate) fn copy(&self) -> (SimStore, Ledger<SimStore>) {
        let disk = self.disk.snapshot();
        (disk.clone(), self.ledger.on_copy(disk))
    }
}
