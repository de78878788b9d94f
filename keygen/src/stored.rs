//! The TOML in key files. `format` and `version` are checked before anything else.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::error::KeyError;

/// Current version of all key files.
pub(crate) const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Parses the TOML of a file of this `format`.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, what: &'static str, format: &str, text: &str) -> Result<T, KeyError> {
    // The parser's message quotes the faulty line, which may hold the secret; its first line says what is wrong.
    let wrong = |reason: &str| KeyError::Content { path: path.into(), what, reason: reason.lines().next().unwrap_or_default().into() };
    let head: Head = toml::from_str(text).map_err(|error| wrong(error.message()))?;
    if head.format != format {
        return Err(wrong(&format!("its format is {:?}, not {format:?}", head.format)));
    }
    if head.version != VERSION {
        return Err(KeyError::Version { path: path.into(), version: head.version, known: VERSION });
    }
    toml::from_str(text).map_err(|error| wrong(error.message()))
}

/// Decodes the 64 hexadecimal digits of a seed.
pub(crate) fn seed(path: &Path, what: &'static str, text: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, seed.as_mut_slice()).map_err(|_| KeyError::Content {
        path: path.into(),
        what,
        reason: "a seed must be 64 hexadecimal digits".into(),
    })?;
    Ok(seed)
}

/// A seed as hexadecimal digits, wiped when dropped.
pub(crate) fn digits(seed: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(seed))
}
