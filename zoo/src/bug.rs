//! A planted bug: a file in `zoo/bugs` that describes a mistake and the text replacements that plant it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Number of bugs; they are numbered from 1.
pub const BUGS: u8 = 49;

/// A mistake that a real system has made, as it would look here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its number, from 1.
    pub number: u8,
    /// What is wrong, in a few words.
    pub name: String,
    /// What is broken and which rule it violates; and what stands for the original mechanism, if that does not exist here.
    pub what: String,
    /// Where it happened: a post-mortem, an issue, a paper.
    pub event: String,
    /// The search that should find it first (see [`crate::search::SEARCHES`]).
    pub expected: String,
    /// The replacements that plant it.
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// One replacement of text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Path of the file from the workspace root.
    pub file: PathBuf,
    /// Text to replace; must occur exactly once.
    pub find: String,
    /// The replacement.
    pub replace: String,
}

impl Bug {
    /// Loads the bugs in a directory, sorted by number.
    ///
    /// # Errors
    /// A file cannot be read or is invalid, or two bugs have the same number.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>, String> {
        let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let mut bugs = BTreeMap::new();
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let broken = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = fs::read_to_string(&path).map_err(|error| broken(&error))?;
            let bug: Self = toml::from_str(&text).map_err(|error| broken(&error))?;
            if let Some(other) = bugs.insert(bug.number, bug) {
                return Err(format!("{}: bug {} ({}) has the same number", path.display(), other.number, other.name));
            }
        }
        Ok(bugs.into_values().collect())
    }

    /// The files that the bug changes, with their new text.
    ///
    /// # Errors
    /// An edit no longer applies to the sources, or changes nothing.
    pub fn apply(&self, root: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut changed: BTreeMap<PathBuf, String> = BTreeMap::new();
        for edit in &self.edits {
            let broken = |what: &str| format!("bug {} ({}), {}: {what}", self.number, self.name, edit.file.display());
            let text = match changed.get(&edit.file) {
                Some(text) => text.clone(),
                None => fs::read_to_string(root.join(&edit.file)).map_err(|error| broken(&error.to_string()))?,
            };
            match text.matches(&edit.find).count() {
                1 => {}
                0 => return Err(broken(&format!("the text to replace is not there; adapt the bug to the source:\n{}", edit.find))),
                many => return Err(broken(&format!("the text to replace occurs {many} times; make it longer:\n{}", edit.find))),
            }
            if edit.find == edit.replace {
                return Err(broken("the replacement changes nothing"));
            }
            changed.insert(edit.file.clone(), text.replacen(&edit.find, &edit.replace, 1));
        }
        if changed.is_empty() { Err(format!("bug {} ({}) changes nothing", self.number, self.name)) } else { Ok(changed) }
    }
}
