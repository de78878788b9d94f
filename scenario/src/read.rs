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

/// The format that a text most likely has, by its content.
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
/// [`FileError`]: where, what and the fix.
pub fn read(text: &str, format: Option<Format>, case: Option<usize>) -> Result<Imported, FileError> {
    let start = Place { line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(FileError::new(start, format!("a file of {} bytes", text.len()), format!("at most {FILE_BYTES_MAX} are read")));
    }
    let guessed = format.is_none();
    let format = format.unwrap_or_else(|| detect(text));
    if let (Some(number), Format::Toml | Format::Bcr) = (case.filter(|number| *number != 1), format) {
        let fix = "leave --case out: only files of FailureConfigs hold several";
        return Err(FileError::new(start, format!("there is no case {number}"), fix));
    }
    match format {
        Format::Toml => toml_file::read(text).map(|scenario| Imported { scenario, notes: Vec::new() }).map_err(|mut error| {
            // Rows of nothing but numbers are TOML as well.
            if guessed && bcr::looks_like(text) {
                error.fix.push_str("; for a file of 2017 say --format bcr");
            }
            error
        }),
        Format::Bcr => bcr::read(text),
        Format::FailureConfig => failure_config::read(text, case),
    }
}
