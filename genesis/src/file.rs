//! The files of a ceremony: bounded, strict JSON. An unknown key is an error that names it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use quorate_keygen::whole_file::{self, SystemFiles};
use quorate_types::{
    genesis::{GENESIS_BYTES_MAX, Genesis},
    settings::Settings,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ceremony::{Draft, Fragment, check, check_version},
    error::CeremonyError,
};

/// Public; the process's umask applies.
const FILE_MODE: u32 = 0o666;

/// Reads a genesis file and checks everything in it, proofs of possession included.
///
/// # Errors
/// [`CeremonyError`], which names what is wrong.
pub fn load(path: &Path) -> Result<Genesis, CeremonyError> {
    parse(path, &read(path)?)
}

/// Parses a genesis, such as a node's answer, and checks everything in it. Errors name `source`.
///
/// # Errors
/// [`CeremonyError`], which names what is wrong.
pub fn parse(source: &Path, bytes: &[u8]) -> Result<Genesis, CeremonyError> {
    let genesis: Genesis = json(source, "genesis", bytes)?;
    check(&genesis)?;
    Ok(genesis)
}

/// Reads a genesis file without checking it, to look at one that may be wrong.
///
/// # Errors
/// [`CeremonyError`].
pub fn load_unchecked(path: &Path) -> Result<Genesis, CeremonyError> {
    json(path, "genesis", &read(path)?)
}

/// Reads an application's settings.
///
/// # Errors
/// [`CeremonyError`].
pub fn load_settings(path: &Path) -> Result<Settings, CeremonyError> {
    json(path, "settings file", &read(path)?)
}

/// Reads a draft, or the draft that a genesis was built from: whoever joins a network signs for the same draft as its founders.
///
/// # Errors
/// [`CeremonyError`].
pub fn load_draft(path: &Path) -> Result<Draft, CeremonyError> {
    #[derive(Deserialize)]
    struct Head {
        draft_version: u32,
    }
    let bytes = read(path)?;
    if let Ok(genesis) = serde_json::from_slice::<Genesis>(&bytes) {
        return Ok(Draft::of(genesis));
    }
    check_version(path, json::<Head>(path, "genesis draft", &bytes)?.draft_version)?;
    json(path, "genesis draft", &bytes)
}

/// Reads a fragment. `build` checks its signatures.
///
/// # Errors
/// [`CeremonyError`].
pub fn load_fragment(path: &Path) -> Result<Fragment, CeremonyError> {
    #[derive(Deserialize)]
    struct Head {
        fragment_version: u32,
    }
    let bytes = read(path)?;
    check_version(path, json::<Head>(path, "genesis fragment", &bytes)?.fragment_version)?;
    json(path, "genesis fragment", &bytes)
}

/// Writes a file that must not exist, atomically. The bytes are a function of the value alone. On return the file is durable.
///
/// # Errors
/// [`CeremonyError::Exists`], [`CeremonyError::TooLarge`], [`CeremonyError::Io`].
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), CeremonyError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => CeremonyError::Exists(path.into()),
        _ => CeremonyError::Io { path: path.into(), error },
    };
    let mut text = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
    text.push('\n');
    if text.len() > GENESIS_BYTES_MAX {
        return Err(CeremonyError::TooLarge(path.into()));
    }
    whole_file::create(&SystemFiles, path, text.as_bytes(), FILE_MODE).map_err(failed)
}

/// Fails early if [`write()`] would find that the file exists.
///
/// # Errors
/// [`CeremonyError::Exists`].
pub fn refuse_existing(path: &Path) -> Result<(), CeremonyError> {
    if path.exists() { Err(CeremonyError::Exists(path.into())) } else { Ok(()) }
}

fn read(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let failed = |error| CeremonyError::Io { path: path.into(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(GENESIS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > GENESIS_BYTES_MAX { Err(CeremonyError::TooLong(path.into())) } else { Ok(bytes) }
}

fn json<T: DeserializeOwned>(path: &Path, what: &'static str, bytes: &[u8]) -> Result<T, CeremonyError> {
    serde_json::from_slice(bytes).map_err(|error| CeremonyError::Form { path: path.into(), what, reason: error.to_string() })
}
