//! Where each setting comes from, and everything that is wrong with them at once.
//!
//! [`Config::load`] stops at the first error, because a node does not start with any; a person who edits the file wants to see all of them. Both
//! refuse the same files.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path};

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::passwords;
use crate::config::{Config, ConfigError, Override, from_environment, line_of, literal, nearest_key, read_text, unknown_keys};

/// Something that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// The setting with its section, if it is about one.
    pub(crate) key: Option<String>,
    /// The line of the configuration file, counted from 1, if it is in the file.
    pub(crate) line: Option<usize>,
    /// What is wrong, and the fix.
    pub(crate) message: String,
}

impl Problem {
    fn of(error: &ConfigError) -> Self {
        Self { key: error.key().map(passwords::of_url), line: None, message: passwords::in_text(&error.to_string()) }
    }

    /// The problem in one line.
    pub(crate) fn say(&self, file: &Path) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: {}", file.display(), self.message),
            None => self.message.clone(),
        }
    }
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// Nothing sets it.
    Default,
    /// The configuration file.
    File {
        /// Counted from 1.
        line: usize,
    },
    /// The environment.
    Environment {
        /// The variable, in words.
        by: String,
    },
    /// The command line.
    CommandLine {
        /// The flag.
        by: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "file, line {line}"),
            Self::Environment { by } => f.write_str(by),
            Self::CommandLine { by } => write!(f, "command line, {by}"),
        }
    }
}

/// What the environment and the command line say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// From the environment.
    environment: Vec<Override>,
    /// From the command line.
    flags: Vec<Override>,
    /// URLs that are added to `network.join`.
    join: Vec<String>,
    /// Variables that can only be misspelled settings.
    problems: Vec<Problem>,
}

impl Overrides {
    /// The settings among these variables, and those of the command line.
    pub(crate) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, flags: Vec<Override>, join: Vec<String>) -> Self {
        let mut overrides = Self { flags, join, ..Self::default() };
        let mut variables: Vec<_> = variables.into_iter().collect();
        // The environment is unordered; the report must not be.
        variables.sort();
        for variable in variables {
            match from_environment([variable]) {
                Ok(found) => overrides.environment.extend(found),
                Err(error) => overrides.problems.push(Problem::of(&error)),
            }
        }
        overrides
    }

    /// The variable that sets this key.
    pub(crate) fn variable(&self, key: &str) -> Option<&str> {
        self.environment.iter().find(|one| one.key == key).map(|one| one.origin.as_str())
    }
}

/// The settings, and where each comes from.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// The settings in force.
    pub(crate) config: Config,
    /// Where those come from that are not defaults.
    origins: BTreeMap<String, Origin>,
    /// What is wrong. The settings that it is about have another value in `config`.
    pub(crate) problems: Vec<Problem>,
}

/// A setting with its origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Setting {
    /// The key with its section.
    pub(crate) key: String,
    /// The value in force, without the passwords of URLs.
    pub(crate) value: toml::Value,
    /// The default.
    pub(crate) default: toml::Value,
    /// Where the value comes from.
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

impl Layers {
    /// Reads the file and applies the overrides.
    pub(crate) fn read(path: &Path, overrides: &Overrides) -> Self {
        let mut layers = Self { config: Config::default(), origins: BTreeMap::new(), problems: Vec::new() };
        match read_text(path) {
            Ok(text) => layers.apply_file(&text),
            Err(error) => layers.problems.push(Problem::of(&error)),
        }
        let Overrides { environment, flags, join, problems } = overrides;
        layers.problems.extend_from_slice(problems);
        for one in environment {
            layers.apply(one, Origin::Environment { by: one.origin.clone() });
        }
        for one in flags {
            // Of `--set key=value`, the value is shown as a value.
            let by = one.origin.split('=').next().unwrap_or_default().to_owned();
            layers.apply(one, Origin::CommandLine { by });
        }
        if !join.is_empty() {
            let urls = layers.config.network.join.iter().chain(join).cloned().map(toml::Value::String).collect();
            let all = Override::flag("--join", "network.join", toml::Value::Array(urls).to_string());
            layers.apply(&all, Origin::CommandLine { by: all.origin.clone() });
        }
        let more: Vec<_> = layers.config.problems().iter().map(|error| layers.locate(error)).collect();
        // Those of the file are told already.
        let more: Vec<_> = more.into_iter().filter(|problem| !layers.problems.contains(problem)).collect();
        layers.problems.extend(more);
        layers
    }

    /// Applies the text of a file.
    fn apply_file(&mut self, text: &str) {
        let at = |error: &toml::de::Error| Some(line_of(text, error.span().map_or(0, |span| span.start)));
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // What the rest of such a file means is a guess.
            let broken = errors.iter().map(|error| Problem { key: None, line: at(error), message: error.message().into() });
            self.problems.extend(broken);
            return;
        }
        for (key, offset) in unknown_keys(table.get_ref()) {
            let meant = nearest_key(&key).map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            let key = passwords::of_url(&key);
            let message = format!("there is no setting `{key}`{meant}");
            self.problems.push(Problem { key: Some(key), line: Some(line_of(text, offset)), message });
        }
        let mut values: toml::Table = match toml::from_str(text) {
            Ok(values) => values,
            Err(error) => return self.problems.push(Problem { key: None, line: at(&error), message: error.message().into() }),
        };
        let known = self.config.settings();
        for (section, keys) in table.get_ref() {
            let Some(value) = values.remove(section.get_ref().as_ref()) else { continue };
            match (keys.get_ref(), value) {
                (DeValue::Table(keys), toml::Value::Table(mut values)) => {
                    for name in keys.keys() {
                        let key = format!("{}.{}", section.get_ref(), name.get_ref());
                        let line = line_of(text, name.span().start);
                        if let Some(value) = values.remove(name.get_ref().as_ref()).filter(|_| known.contains_key(&key)) {
                            self.apply_value(key, &value, line);
                        }
                    }
                }
                (_, value) => {
                    // A value in place of a section.
                    let section_name = section.get_ref().to_string();
                    let value = passwords::of_value(&section_name, value);
                    let table = toml::Table::from_iter([(section_name.clone(), value)]);
                    let wrong = table.try_into::<Config>().err();
                    self.problems.extend(wrong.map(|error: toml::de::Error| Problem {
                        key: Some(section_name),
                        line: Some(line_of(text, section.span().start)),
                        message: error.message().into(),
                    }));
                }
            }
        }
        let wrong: Vec<_> = self.config.problems().iter().map(|error| self.locate(error)).collect();
        self.problems.extend(wrong);
        self.problems.sort_by_key(|problem| problem.line);
    }

    /// Applies a value of the file.
    fn apply_value(&mut self, key: String, value: &toml::Value, line: usize) {
        if let Ok(config) = self.config.replace(&key, value.clone()) {
            self.config = config;
            self.origins.insert(key, Origin::File { line });
        } else {
            // The error quotes the value, so it is that of what may be shown of it.
            let shown = passwords::of_value(&key, value.clone());
            let problem = self.config.replace(&key, shown.clone()).err().unwrap_or_else(|| "it has the wrong type".into());
            let message = format!("{shown} is not a valid value for `{key}`: {problem}");
            self.problems.push(Problem { key: Some(key), line: Some(line), message });
        }
    }

    fn apply(&mut self, one: &Override, origin: Origin) {
        match self.config.clone().apply(one) {
            Ok(config) => {
                self.config = config;
                self.origins.insert(one.key.clone(), origin);
            }
            Err(error) => self.problems.push(Problem::of(&told(one, error))),
        }
    }

    /// The problem, with the line or the name of what sets the value.
    fn locate(&self, error: &ConfigError) -> Problem {
        let mut problem = Problem::of(error);
        let value = error.key().and_then(|key| Some((key, self.config.settings().remove(key)?)));
        if let Some((key, value)) = value {
            problem.message = passwords::in_text(&passwords::hide(error.to_string(), key, &value));
        }
        match problem.key.as_ref().and_then(|key| self.origins.get(key)) {
            Some(Origin::File { line }) => Problem { line: Some(*line), ..problem },
            Some(Origin::Environment { by } | Origin::CommandLine { by }) => {
                Problem { message: format!("{by}: {}", problem.message), ..problem }
            }
            Some(Origin::Default) | None => problem,
        }
    }

    /// Every setting, ordered by its key.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut defaults = Config::default().settings();
        let setting = |(key, value): (String, toml::Value)| {
            let default = defaults.remove(&key)?;
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
            Some(Setting { value: passwords::of_value(&key, value), key, default, origin })
        };
        self.config.settings().into_iter().filter_map(setting).collect()
    }

    /// The values in force as TOML, each followed by a comment that `note` makes of it.
    pub(crate) fn to_toml(settings: &[Setting], note: impl Fn(&Setting) -> Option<String>) -> String {
        let mut text = String::new();
        let mut last = "";
        for setting in settings {
            let Some((section, name)) = setting.key.split_once('.') else { continue };
            if section != last {
                text.extend([if last.is_empty() { "[" } else { "\n[" }, section, "]\n"]);
                last = section;
            }
            let comment = note(setting).map_or_else(String::new, |note| format!("  # {note}"));
            text.extend([name, " = ", &setting.value.to_string(), &comment, "\n"]);
        }
        text
    }
}

/// The error of an override, with what may be shown of its value in place of the value.
pub(crate) fn told(one: &Override, error: ConfigError) -> ConfigError {
    let value = match literal(&one.value) {
        Some(value @ (toml::Value::Array(_) | toml::Value::Table(_))) => passwords::of_value(&one.key, value).to_string(),
        _ => passwords::of_url(&one.value),
    };
    // The origin of `--set key=value` ends with the value.
    let origin = one.origin.split('=').next().unwrap_or_default().to_owned();
    let shown = Override { origin: passwords::in_text(&origin), key: passwords::of_url(&one.key), value };
    match (Config::default().apply(&shown), error) {
        (Ok(_), ConfigError::Override { .. }) => {
            let Override { origin, key, value } = shown;
            ConfigError::Override { origin, key, value, problem: "it has the wrong type".into() }
        }
        (Err(error), _) | (Ok(_), error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, overrides: &Overrides) -> Layers {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Layers::read(&path, overrides)
    }

    fn overrides(variables: &[(&str, &str)], flags: &[&str]) -> Overrides {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Overrides::new(variables, flags.iter().map(|flag| Override::from_set(flag).unwrap()).collect(), Vec::new())
    }

    #[test]
    fn something_is_wrong_exactly_where_a_node_would_not_start() {
        let texts = [
            "",
            "[api]\nthreads = 2",
            "[api]\nthreads = 0",
            "[api\n",
            "[api]\nthreads = 1\nthreads = 2\n",
            "api = 3",
            "[api]\nlisten = 7",
            "[apii]",
            "[api]\nlisten = \"127.0.0.1:9101\"",
            "[api]\nlisten = \"127.0.0.1:9101\"\n[metrics]\nlisten = \"127.0.0.1:9102\"",
            "[network]\njoin = [\"ftp://host\"]",
            "[network.peers]\ntwo = \"nowhere\"",
            "network.peers.two = \"/ip4/10.0.0.2/tcp/6180\"",
            "[log]\nlevel = \"inf\"",
            "[node]\ngenesis_hash = \"0x12\"",
        ];
        let flags: [&[&str]; 5] = [&[], &["api.threads=3"], &["api.threads=0"], &["metrics.listen=127.0.0.1:8080"], &["api.x=1"]];
        for text in texts {
            for flags in flags {
                let overrides = overrides(&[], flags);
                let layers = read(text, &overrides);
                let started = Config::parse(Path::new("config.toml"), text).and_then(|config| config.with(&overrides.flags));
                assert_eq!(layers.problems.is_empty(), started.is_ok(), "{text:?} {flags:?}: {:?} {started:?}", layers.problems);
                if let Ok(config) = started {
                    assert_eq!(layers.config, config, "{text:?} {flags:?}");
                }
            }
        }
    }

    #[test]
    fn each_value_comes_from_the_layer_that_wins() {
        let text = "[api]\nthreads = 2\nwaiting_max = 5\n\n[pool]\nbytes_max = 2097152\n";
        let layers = read(text, &overrides(&[("QUORATE__API__THREADS", "3"), ("QUORATE__LOG__LEVEL", "warn")], &["log.level=debug"]));
        assert!(layers.problems.is_empty(), "{:?}", layers.problems);
        let settings = layers.settings();
        let of = |key: &str| settings.iter().find(|setting| setting.key == key).map(|one| (one.value.to_string(), one.origin.to_string()));
        let says = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
        assert_eq!(of("api.threads"), says("3", "environment variable QUORATE__API__THREADS"));
        assert_eq!(of("api.waiting_max"), says("5", "file, line 3"));
        assert_eq!(of("pool.bytes_max"), says("2097152", "file, line 6"));
        assert_eq!(of("log.level"), says("\"debug\"", "command line, --set log.level"));
        assert_eq!(of("api.read_timeout_ms"), says("10000", "default"));
    }

    #[test]
    fn what_overrides_a_bad_value_does_not_hide_it_and_a_bad_override_is_named() {
        let layers = read("[api]\nthreads = 0\n", &overrides(&[("QUORATE__API__THREADS", "65"), ("QUORATE_API_LISTEN", "x")], &[]));
        let said: Vec<_> = layers.problems.iter().map(|problem| problem.say(Path::new("c"))).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("c:2: `api.threads` = 0")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("QUORATE__API__THREADS: `api.threads` = 65")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("QUORATE_API_LISTEN is not a setting")), "{said:?}");
    }

    #[test]
    fn every_error_of_syntax_has_its_line() {
        let layers = read("[api]\nthreads = \n\n[log]\nlevel = \"info\nformat = \"json\"\n", &Overrides::default());
        let lines: Vec<_> = layers.problems.iter().filter_map(|problem| problem.line).collect();
        assert!(lines.contains(&2) && lines.contains(&5), "{:?}", layers.problems);
    }

    #[test]
    fn the_passwords_of_urls_are_not_shown() {
        let layers = read("[network]\njoin = [\"https://user:secret@node.example.org\"]\n", &Overrides::default());
        assert!(layers.problems.is_empty() && !format!("{:?}", layers.settings()).contains("secret"));
        assert_eq!(layers.config.network.join, ["https://user:secret@node.example.org"], "the node uses it");
        for join in ["[\"ftp://user:secret@host\"]", "[\"https://user:secret@host\"]", "ftp://user:secret@host"] {
            let layers = read("", &overrides(&[], &[&format!("network.join={join}")]));
            let told = format!("{:?} {:?}", layers.problems, layers.settings());
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
