//! Reads the small JSON files that a node keeps for itself in its data directory, and does not trust.

use std::{fs, io, io::Read, path::Path};

use serde::de::DeserializeOwned;

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// The system's error; it is no regular file, too large, or not this JSON.
pub(crate) fn read<T: DeserializeOwned>(file: &Path, bytes_max: u64) -> io::Result<T> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    fs::File::open(file)?.take(bytes_max.saturating_add(1)).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(serde_json::from_slice(&text)?)
}
