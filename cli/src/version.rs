//! The program's version.

use serde::Serialize;

/// Version, commit and target in one line.
pub(crate) const LINE: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("QUORATE_BUILT_FROM"), ", ", env!("QUORATE_BUILT_FOR"), ")");
/// Commit that the program was built from, or "unknown".
pub(crate) const COMMIT: &str = env!("QUORATE_BUILT_FROM");

/// The same as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Build {
    version: &'static str,
    commit: &'static str,
    target: &'static str,
    /// The newest version of the protocol that it speaks.
    protocol: u32,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: COMMIT,
            target: env!("QUORATE_BUILT_FOR"),
            protocol: quorate_types::message::PROTOCOL_VERSION_MAX,
        }
    }
}
