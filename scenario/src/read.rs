//! Reads a scenario file of any of the three formats.

use super::{
    bcr, failure_config,
    model::Scenario,
    place::{FILE_BYTES_MAX, FileError, Place},
    toml_file,
};

/// The format of a scenario file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// This program's own format.
    Toml,
    /// Byzantine Chain Replication, 2017: rows `name = value`.
    Bcr,
    /// `FailureConfig`, 2021: a Python literal, or JSON.
    FailureConfig,
}

/// An imported scenario, with notes on what the import ignored or assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The scenario.
    pub scenario: Scenario,
    /// What was ignored or assumed, for the user.
    pub notes: Vec<String>,
}

/// Guesses the format of a text by its content.
#[must_use]
pub fn detect(text: &str) -> Format {
    let is_toml = || toml::de::DeTable::parse(text).is_ok();
    let pythonic = text.contains("FailureConfig") || text.contains("Failure(") || text.trim_start().starts_with(['{', '(']);
    let json_list = text.trim_start().starts_with('[') && !text.trim_start().starts_with("[[") && !is_toml();
    if (pythonic && !is_toml()) || json_list {
        Format::FailureConfig
    } else if bcr::looks_like(text) && !is_toml() {
        Format::Bcr
    } else {
        Format::Toml
    }
}

/// Reads a scenario. `case` chooses one of several in a file, from 1.
///
/// # Errors
/// The text is not a valid scenario of the format.
pub fn read(text: &str, format: Option<Format>, case: Option<usize>) -> Result<Imported, FileError> {
    let start = Place { line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(FileError::new(start, format!("the file has {} bytes", text.len()), format!("use at most {FILE_BYTES_MAX}")));
    }
    let guessed = format.is_none();
    let format = format.unwrap_or_else(|| detect(text));
    if let (Some(number), Format::Toml | Format::Bcr) = (case.filter(|number| *number != 1), format) {
        let fix = "omit --case: only FailureConfig files can have several";
        return Err(FileError::new(start, format!("there is no case {number}"), fix));
    }
    match format {
        Format::Toml => toml_file::read(text).map(|scenario| Imported { scenario, notes: Vec::new() }).map_err(|mut error| {
            // Rows with only numbers are valid TOML too.
            if guessed && bcr::looks_like(text) {
                error.fix.push_str("; for a file of 2017, use --format bcr");
            }
            error
        }),
        Format::Bcr => bcr::read(text),
        Format::FailureConfig => failure_config::read(text, case),
    }
}
