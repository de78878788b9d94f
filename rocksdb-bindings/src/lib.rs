//! Stands in for `bindgen` in the build of `RocksDB`.
//!
//! The build script of librocksdb-sys runs bindgen over `RocksDB`'s header, and bindgen needs libclang with its headers: hundreds of megabytes
//! that many machines lack, or have in a form on which bindgen fails. The header is the same everywhere, so the bindings are generated
//! once, by `make bindings`, and `[patch.crates-io]` in the workspace's manifest puts this crate in bindgen's place.
//!
//! It has the methods that this one build script calls, and refuses anything that the bindings were not made for: another version of `RocksDB`,
//! another header, other options, another kind of platform.

#![forbid(unsafe_code)]

use std::{env, fmt, fs, io, path::Path};

/// The bindings, restricted to the names that the crate rocksdb uses.
const BINDINGS: &str = include_str!("../rocksdb-11.8.1.rs");
/// The version of `RocksDB` that the bindings are made from.
const VERSION: [(&str, &str); 3] = [("ROCKSDB_MAJOR", "11"), ("ROCKSDB_MINOR", "8"), ("ROCKSDB_PATCH", "1")];

/// Collects the build script's options.
#[derive(Debug, Default)]
pub struct Builder {
    header: String,
    asked: Vec<String>,
}

/// The options with which the bindings were generated, which the build script must ask for.
const OPTIONS: [&str; 4] = ["derive_debug(false)", "blocklist_type(max_align_t)", "ctypes_prefix(libc)", "size_t_is_usize(true)"];

/// Why there are no bindings.
#[derive(Debug)]
pub struct BindgenError(String);

impl fmt::Display for BindgenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; rocksdb-bindings/README.md says how to generate bindings anew", self.0)
    }
}

impl std::error::Error for BindgenError {}

/// Proof that the bindings fit the request.
#[derive(Debug)]
pub struct Bindings(());

impl Builder {
    /// Path of the header.
    #[must_use]
    pub fn header<T: Into<String>>(self, header: T) -> Self {
        Self { header: header.into(), ..self }
    }

    /// An option, checked by [`Self::generate`].
    #[must_use]
    pub fn derive_debug(self, doit: bool) -> Self {
        self.ask(format!("derive_debug({doit})"))
    }

    /// An option, checked by [`Self::generate`].
    #[must_use]
    pub fn blocklist_type<T: AsRef<str>>(self, arg: T) -> Self {
        self.ask(format!("blocklist_type({})", arg.as_ref()))
    }

    /// An option, checked by [`Self::generate`].
    #[must_use]
    pub fn ctypes_prefix<T: Into<String>>(self, prefix: T) -> Self {
        let prefix = prefix.into();
        self.ask(format!("ctypes_prefix({prefix})"))
    }

    /// An option, checked by [`Self::generate`].
    #[must_use]
    pub fn size_t_is_usize(self, is: bool) -> Self {
        self.ask(format!("size_t_is_usize({is})"))
    }

    fn ask(mut self, option: String) -> Self {
        self.asked.push(option);
        self
    }

    /// Checks that the bindings fit the header, the options and the target platform.
    ///
    /// # Errors
    /// [`BindgenError`]: what does not fit.
    pub fn generate(self) -> Result<Bindings, BindgenError> {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        check_platform(&variable("CARGO_CFG_TARGET_FAMILY"), &variable("CARGO_CFG_TARGET_POINTER_WIDTH"))?;
        if self.asked != OPTIONS {
            return Err(BindgenError(format!(
                "the build of RocksDB asks for {}, but the bindings have {}",
                self.asked.join(" "),
                OPTIONS.join(" ")
            )));
        }
        check_version(Path::new(&self.header))?;
        Ok(Bindings(()))
    }
}

impl Bindings {
    /// Writes the bindings.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_to_file<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        fs::write(path, BINDINGS)
    }
}

/// The bindings name C types by `libc`, and are the same on Linux and macOS, on x86-64 and aarch64: `make bindings` compares them.
fn check_platform(family: &str, pointer_width: &str) -> Result<(), BindgenError> {
    if family.split(',').any(|family| family == "unix") && pointer_width == "64" {
        return Ok(());
    }
    Err(BindgenError(format!("the bindings of RocksDB are for 64-bit Unix, not for {family:?} with {pointer_width:?}")))
}

fn check_version(header: &Path) -> Result<(), BindgenError> {
    let version = header.with_file_name("version.h");
    let text = fs::read_to_string(&version).map_err(|error| BindgenError(format!("{}: {error}", version.display())))?;
    for (name, wanted) in VERSION {
        let found = text.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name)?.strip_prefix(' '));
        if found.map(str::trim) != Some(wanted) {
            let found = found.unwrap_or("missing");
            return Err(BindgenError(format!("the bindings are for RocksDB 11.8.1, but {} says {name} {found}", version.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#pragma once\n#define ROCKSDB_MAJOR 11\n#define ROCKSDB_MINOR 8\n#define ROCKSDB_PATCH 1\n";

    fn version(text: &str) -> Result<(), BindgenError> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("version.h"), text).unwrap();
        check_version(&directory.path().join("c.h"))
    }

    #[test]
    fn another_version_of_rocksdb_is_refused_with_both_versions() {
        version(TEXT).unwrap();
        for (name, other) in [("MAJOR 11", "MAJOR 12"), ("MINOR 8", "MINOR 80"), ("PATCH 1", "PATCH 0"), ("#define ROCKSDB_PATCH 1\n", "")]
        {
            let error = version(&TEXT.replace(name, other)).unwrap_err().to_string();
            assert!(error.contains("11.8.1") && error.contains("README"), "{error}");
        }
        assert!(check_version(Path::new("/nowhere/c.h")).is_err());
    }

    #[test]
    fn another_kind_of_platform_is_refused() {
        check_platform("unix", "64").unwrap();
        for (family, width) in [("windows", "64"), ("unix", "32"), ("wasm", "32"), ("", "")] {
            assert!(check_platform(family, width).is_err(), "{family} {width}");
        }
    }

    #[test]
    fn the_version_that_is_checked_is_that_of_the_bindings_and_of_the_library() {
        let version = VERSION.map(|(_, number)| number).join(".");
        assert!(BINDINGS.contains(&format!("RocksDB {version}")), "the first lines of the bindings");
        let lock = include_str!("../../Cargo.lock");
        let library = lock.split("name = \"librocksdb-sys\"").nth(1).unwrap();
        assert!(library.lines().nth(1).unwrap().ends_with(&format!("+{version}\"")), "{library:.80}");
    }
}
