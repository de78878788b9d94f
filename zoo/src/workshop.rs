//! The scratch workspace: a copy of the simulator's sources, in which bugs are planted and built. Nothing is ever written back.
//!
//! ```text
//! <target>/zoo/src       the crates that quorate-sim needs, with the current bug
//! <target>/zoo/target    their build; dependencies are compiled once for all bugs
//! <target>/zoo/bin/05    the simulator with bug 5, kept for replays; bin/unmodified has no bug
//! ```
//! A file whose text does not change keeps its timestamp, so cargo rebuilds only what a bug touches and its dependents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use toml::{Table, Value};

use crate::{bug::Bug, cpu::CpuTime};

/// Directory of the crate to build.
const SIMULATOR: &str = "sim";

/// See the module.
#[derive(Debug)]
pub struct Workshop {
    /// Root of the real workspace, which is only read.
    root: PathBuf,
    /// `<target>/zoo`.
    scratch: PathBuf,
    /// Directories of the crates to copy.
    crates: BTreeSet<String>,
}

/// A built simulator.
#[derive(Clone, Debug)]
pub struct Simulator {
    /// Path of the executable.
    pub program: PathBuf,
    /// CPU-seconds of its build.
    pub build_cpu_seconds: f64,
}

impl Workshop {
    /// A workshop for the workspace at `root`, in the build directory `target`.
    ///
    /// # Errors
    /// The workspace cannot be read.
    pub fn new(root: &Path, target: &Path) -> Result<Self, String> {
        Ok(Self { root: root.to_owned(), scratch: target.join("zoo"), crates: crates_of(root)? })
    }

    /// Builds the simulator, with a bug or without.
    ///
    /// # Errors
    /// The bug does not apply to the sources, or the result does not compile.
    pub fn build(&self, bug: Option<&Bug>) -> Result<Simulator, String> {
        let changed = bug.map_or_else(|| Ok(BTreeMap::new()), |bug| bug.apply(&self.root))?;
        if let Some(other) = changed.keys().find(|file| !self.holds(file)) {
            return Err(format!("{} is not part of the simulator", other.display()));
        }
        self.lay_out(&changed)?;
        let before = CpuTime::of_children();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--package", "quorate-sim", "--bin", "quorate-sim", "--features", "command"])
            .current_dir(self.scratch.join("src"))
            .env("CARGO_TARGET_DIR", self.scratch.join("target"))
            .output()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        if !output.status.success() {
            let name = bug.map_or_else(|| "the unmodified simulator".into(), |bug| format!("bug {} ({})", bug.number, bug.name));
            return Err(format!("{name} does not compile:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let program = self.scratch.join("bin").join(bug.map_or_else(|| "unmodified".into(), |bug| format!("{:02}", bug.number)));
        make_folder_of(&program)?;
        let built = self.scratch.join("target/release/quorate-sim");
        // A running program cannot be overwritten, but it can be removed and replaced.
        let _none_yet = fs::remove_file(&program).is_err();
        fs::copy(&built, &program).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
        Ok(Simulator { program, build_cpu_seconds: before.seconds_since() })
    }

    fn holds(&self, file: &Path) -> bool {
        let first = file.components().next().and_then(|first| first.as_os_str().to_str());
        first.is_some_and(|first| self.crates.contains(first))
    }

    /// Makes the scratch workspace a copy of the real one with the given changes.
    fn lay_out(&self, changed: &BTreeMap<PathBuf, String>) -> Result<(), String> {
        let source = self.scratch.join("src");
        let mut files = BTreeSet::new();
        for folder in &self.crates {
            list(&self.root, Path::new(folder), &mut files)?;
        }
        for file in &files {
            let bytes = match changed.get(file) {
                Some(text) => text.clone().into_bytes(),
                None => read(&self.root.join(file))?,
            };
            write_if_other(&source.join(file), &bytes)?;
        }
        // Remove what is no longer in the workspace.
        let mut there = BTreeSet::new();
        for folder in &self.crates {
            list(&source, Path::new(folder), &mut there)?;
        }
        for gone in there.difference(&files) {
            let path = source.join(gone);
            fs::remove_file(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        }
        // Cargo drops from the copy what the fewer crates do not need, and keeps all versions.
        if !source.join("Cargo.lock").exists() {
            write_if_other(&source.join("Cargo.lock"), &read(&self.root.join("Cargo.lock"))?)?;
        }
        write_if_other(&source.join("Cargo.toml"), self.manifest()?.as_bytes())
    }

    /// The workspace's manifest with fewer members, and a profile that builds its own crates quickly. Dependencies, where the simulator
    /// spends its time, are optimised as usual.
    fn manifest(&self) -> Result<String, String> {
        let mut manifest = manifest_of(&self.root)?;
        let members = self.crates.iter().cloned().map(Value::String).collect();
        let workspace = manifest.get_mut("workspace").and_then(Value::as_table_mut).ok_or("the root is not a workspace")?;
        workspace.insert("members".into(), Value::Array(members));
        let profile: Table = toml::from_str(
            "[release]\nopt-level = 1\noverflow-checks = true\nincremental = true\ncodegen-units = 16\n\
             [release.package.\"*\"]\nopt-level = 3\ndebug = false\n",
        )
        .map_err(|error| error.to_string())?;
        manifest.insert("profile".into(), Value::Table(profile));
        toml::to_string(&manifest).map_err(|error| error.to_string())
    }
}

/// The directories of the simulator's crate, of all workspace crates it depends on, and of the patches of published crates, which cargo
/// requires even if nothing uses them.
fn crates_of(root: &Path) -> Result<BTreeSet<String>, String> {
    let mut crates = BTreeSet::new();
    let mut open = vec![SIMULATOR.to_owned()];
    while let Some(folder) = open.pop() {
        if !crates.insert(folder.clone()) {
            continue;
        }
        let manifest = manifest_of(&root.join(&folder))?;
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(kind).and_then(Value::as_table).into_iter().flat_map(Table::keys);
            open.extend(names.filter_map(|name| name.strip_prefix("quorate-")).map(str::to_owned));
        }
    }
    let manifest = manifest_of(root)?;
    let patches = manifest.get("patch").and_then(|patch| patch.get("crates-io")).and_then(Value::as_table);
    let folders = patches.into_iter().flat_map(|patches| patches.values().filter_map(|patch| patch.get("path")?.as_str()));
    crates.extend(folders.map(str::to_owned));
    Ok(crates)
}

fn manifest_of(folder: &Path) -> Result<Table, String> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Collects all files below `root/folder`, with paths relative to `root`.
fn list(root: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    let path = root.join(folder);
    if !path.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = folder.join(entry.file_name());
        match entry.file_type().map_err(|error| error.to_string())? {
            kind if kind.is_dir() && entry.file_name() != "target" => list(root, &name, files)?,
            kind if kind.is_file() => {
                files.insert(name);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn make_folder_of(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

fn write_if_other(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    make_folder_of(path)?;
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
