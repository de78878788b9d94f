//! The form of the TOML in key files: a `format` and a `version`, looked at before anything else.

use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::error::KeyError;

/// The version of all key files so far.
pub(crate) const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

/// Reads the TOML of a file of this `format`.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, what: &'static str, format: &str, text: &str) -> Result<T, KeyError> {
    // The parser's own message shows the line at fault, which may be the secret; only its first line says what is wrong.
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

/// Reads the 64 hexadecimal digits of a seed.
pub(crate) fn seed(path: &Path, what: &'static str, text: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, seed.as_mut_slice()).map_err(|_| KeyError::Content {
        path: path.into(),
        what,
        reason: "a seed is 64 hexadecimal digits".into(),
    })?;
    Ok(seed)
}

/// Secret bytes as digits, wiped when dropped.
pub(crate) fn digits(seed: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(seed))
}
