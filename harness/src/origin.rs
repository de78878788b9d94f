//! The genesis state that all validators of a network share. It is made once and copied for each validator.

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
    /// Writes the genesis to a new disk.
    ///
    /// # Errors
    /// The genesis is refused.
    pub fn new(app: &App, genesis: &Genesis) -> Result<Self, String> {
        let disk = SimStore::default();
        let ledger = Ledger::open(disk.clone(), app, genesis).map_err(|error| error.to_string())?;
        Ok(Self { disk, ledger })
    }

    /// An independent copy of the disk, and a ledger on it.
    pub(crate) fn copy(&self) -> (SimStore, Ledger<SimStore>) {
        let disk = self.disk.snapshot();
        (disk.clone(), self.ledger.on_copy(disk))
    }
}
