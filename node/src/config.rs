//! The operator's settings: `<home>/config/config.toml`.
//!
//! A setting is taken from the first of: command-line flag, environment (`QUORATE__<SECTION>__<KEY>`), file, default. An unknown key is an
//! error in each of them, because a silently ignored setting is worse than none; for the same reason, so are a variable that can only be
//! a misspelled setting and an empty value in the environment or on the command line.
//!
//! The checks here need only the settings themselves; [`crate::machine`] checks them against the machine and the genesis. `quorate node
//! init`, `check` and `run` all do both.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use quorate_client::ClientError;
use quorate_types::ids::GenesisHash;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::{
    api::host,
    logging::{self, LoggingError},
    nearest::nearest,
    settings::passwords,
};

/// Largest configuration file accepted.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Most nodes in `network.join`.
const JOIN_MAX: usize = 16;
/// Variables of this program that are not node settings.
const OTHER_VARIABLES: [&str; 6] =
    ["QUORATE_HOME", "QUORATE_PASSPHRASE", "QUORATE_NODE", "QUORATE_GENESIS", "QUORATE_GENESIS_HASH", "QUORATE_LOCALNET"];
/// Prefix of the environment variables for settings.
pub const ENVIRONMENT_PREFIX: &str = "QUORATE__";

/// The configuration of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The validator.
    pub node: NodeConfig,
    /// The links to other validators.
    pub network: NetworkConfig,
    /// The HTTP API.
    pub api: ApiConfig,
    /// The metrics.
    pub metrics: MetricsConfig,
    /// The database.
    pub store: StoreConfig,
    /// The transaction pool.
    pub pool: PoolConfig,
    /// The log.
    pub log: LogConfig,
}

/// The validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Expected hash of the genesis; empty: not checked.
    pub genesis_hash: String,
    /// A file whose first line is the passphrase of the validator's key; empty: read from the environment or the terminal.
    pub passphrase_file: PathBuf,
    /// The socket of the signer that holds the consensus key; empty: the key is in the key file.
    pub signer: PathBuf,
    /// Threads that verify transaction signatures.
    pub verify_threads: u16,
    /// The last height to commit, for an upgrade of all validators at once; 0: none.
    pub halt_at_height: u64,
}

/// The links to other validators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Listen address, a multiaddress; empty: this validator's address in the genesis.
    pub listen: String,
    /// Dial addresses by validator name, for validators that have moved from their address in the genesis.
    pub peers: BTreeMap<String, String>,
    /// The name server that is asked for the names in addresses; empty: the system's.
    pub resolver: String,
    /// URLs of nodes' APIs, to be asked how the committee has changed while too few of its members are linked.
    pub join: Vec<String>,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Listen address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Threads that serve requests.
    pub threads: u16,
    /// Concurrent connections. At the limit, each new connection closes the idlest.
    pub connections_max: u32,
    /// Transactions waiting to enter the pool. Beyond that, clients are told that the node is busy.
    pub waiting_max: u32,
    /// Longest time for the head of a request to arrive, and for its body.
    pub read_timeout_ms: u32,
    /// Longest time for which a client may read none of a response, or stay below the minimum rate.
    pub write_timeout_ms: u32,
    /// Host names accepted in requests, besides IP addresses and `localhost`; `*` for any name.
    pub hosts: Vec<String>,
}

/// The metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Listen address of `/metrics`, `/livez` and `/readyz`, separate from the API's; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// While less than this is free on the disk that holds `data/`, clients' transactions are refused; 0: never.
    pub free_bytes_min: u64,
}

/// The transaction pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// Transactions in the pool.
    pub transactions_max: u32,
    /// Total bytes of the transactions in the pool.
    pub bytes_max: u64,
    /// Transactions of one sender in the pool.
    pub sender_transactions_max: u32,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A `tracing` filter directive.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for humans.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { genesis_hash: String::new(), passphrase_file: PathBuf::new(), signer: PathBuf::new(), verify_threads: 1, halt_at_height: 0 }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            threads: 1,
            connections_max: 1_024,
            waiting_max: 10_000,
            read_timeout_ms: 10_000,
            write_timeout_ms: 30_000,
            hosts: Vec::new(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { free_bytes_min: 512 << 20 }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9_101)) }
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { transactions_max: 50_000, bytes_max: 64 << 20, sender_transactions_max: 5_000 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Pretty }
    }
}

impl NetworkConfig {
    /// [`Self::resolver`] as an address, if one is set.
    ///
    /// # Errors
    /// [`ConfigError::Range`].
    pub fn resolver(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.resolver.trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| range("network.resolver", text, "must be an IP address and a port, such as 10.0.0.53:53"))
    }
}

impl ApiConfig {
    /// [`Self::read_timeout_ms`] as a duration.
    #[must_use]
    pub fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms.into())
    }

    /// [`Self::write_timeout_ms`] as a duration.
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms.into())
    }
}

/// Why a configuration is refused. Each message names the place and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}; `quorate node init` writes one", path.display())]
    Read {
        /// The configuration file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{}:{line}: {problem}", path.display())]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file has an unknown key.
    #[error("{}:{line}: there is no setting `{key}`{}", path.display(), did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The configuration file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key with its section.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// An environment variable or a flag names an unknown setting.
    #[error("{origin}: there is no setting `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownOverride {
        /// The variable or the flag.
        origin: String,
        /// The key with its section.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// An environment variable that can only be a misspelled setting.
    #[error("the environment variable {name} is not a setting; did you mean {nearest}?")]
    Variable {
        /// As found in the environment.
        name: String,
        /// The variable that was probably meant.
        nearest: String,
    },
    /// An environment variable or a flag has a value of the wrong type.
    #[error("{origin}: {value:?} is not a valid value for `{key}`: {problem}")]
    Override {
        /// The variable or the flag.
        origin: String,
        /// The key with its section.
        key: String,
        /// As given.
        value: String,
        /// What is wrong with the value.
        problem: String,
    },
    /// A value is out of range.
    #[error("`{key}` = {value} is not allowed: {rule}")]
    Range {
        /// The key with its section.
        key: &'static str,
        /// As given.
        value: String,
        /// What the value must be.
        rule: String,
    },
    /// The log filter does not parse.
    #[error(transparent)]
    Log(#[from] LoggingError),
}

impl ConfigError {
    /// The setting whose value is not allowed.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Range { key, .. } => Some(key),
            Self::Log(_) => Some("log.level"),
            Self::UnknownKey { key, .. } | Self::UnknownOverride { key, .. } | Self::Override { key, .. } => Some(key),
            Self::Read { .. } | Self::Syntax { .. } | Self::Variable { .. } => None,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

/// A setting from the environment or the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The variable or flag, for error messages.
    pub origin: String,
    /// The key with its section, as in `api.listen`.
    pub key: String,
    /// The unparsed value.
    pub value: String,
}

impl Override {
    /// From a flag.
    #[must_use]
    pub fn flag(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Self { origin: flag.into(), key: key.into(), value: value.into() }
    }

    /// From `--set section.key=value`.
    ///
    /// # Errors
    /// The text has no `=`.
    pub fn from_set(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("write it like api.listen=127.0.0.1:8080, not {text:?}"))?;
        Ok(Self { origin: format!("--set {text}"), key: key.trim().into(), value: value.trim().into() })
    }
}

/// The settings among these environment variables.
///
/// # Errors
/// [`ConfigError`] for a variable that can only be a misspelled setting, such as `QUORATE_API_LISTEN` or `quorate__api__listen`. Other
/// variables that begin with `QUORATE_` are ignored: those of other commands, and those that Kubernetes sets for a service named quorate.
pub fn from_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Vec<Override>, ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(setting) = setting_of(&name)? else { continue };
        let origin = format!("environment variable {name}");
        match value.into_string() {
            Ok(value) => ours.push(Override { origin, key: setting, value }),
            Err(value) => {
                let (value, problem) = (value.to_string_lossy().into_owned(), "it is not valid UTF-8".into());
                return Err(ConfigError::Override { origin, key: setting, value, problem });
            }
        }
    }
    // The environment is unordered; which error is reported first must not depend on that.
    ours.sort_by(|one, other| one.origin.cmp(&other.origin));
    Ok(ours)
}

/// The key of the setting that a variable sets, if it sets one.
fn setting_of(name: &str) -> Result<Option<String>, ConfigError> {
    let is_upper = !name.contains(|letter: char| letter.is_ascii_lowercase());
    if let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX).filter(|_| is_upper) {
        return Ok(Some(rest.to_lowercase().replacen("__", ".", 1)));
    }
    let upper = name.to_ascii_uppercase();
    if OTHER_VARIABLES.contains(&name) || !upper.starts_with("QUORATE_") {
        return Ok(None);
    }
    // Compare the words alone, however they are joined.
    let plain = |text: &str| text.replace(['_', '.', '-'], "");
    let known = Config::default().settings();
    let words: Vec<_> = known.keys().map(|key| (plain(key), key)).collect();
    let word = plain(upper.trim_start_matches("QUORATE").to_lowercase().as_str());
    let meant = nearest(&word, words.iter().map(|(word, _)| word.as_str()));
    match meant.and_then(|meant| words.iter().find(|(word, _)| word == meant)) {
        Some((_, key)) => Err(ConfigError::Variable { name: name.into(), nearest: variable_of(key) }),
        None if upper.starts_with(ENVIRONMENT_PREFIX) => {
            Err(ConfigError::Variable { name: name.into(), nearest: format!("one like {}", variable_of("api.listen")) })
        }
        None => Ok(None),
    }
}

/// The environment variable of a setting.
fn variable_of(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

impl Config {
    /// Reads the file and applies the overrides; later ones win.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path)?)?.with(overrides)
    }

    /// Parses the text of a configuration file; `path` is for error messages.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            path: path.into(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            problem: error.message().into(),
        };
        let table = DeTable::parse(text).map_err(|error| syntax(&error))?;
        if let Some((key, at)) = unknown_keys(table.get_ref()).into_iter().next() {
            return Err(ConfigError::UnknownKey { path: path.into(), line: line_of(text, at), nearest: nearest_key(&key), key });
        }
        let config: Self = toml::from_str(text).map_err(|error| syntax(&error))?;
        config.check()
    }

    /// Applies the overrides to these settings; later ones win.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn with(self, overrides: &[Override]) -> Result<Self, ConfigError> {
        overrides.iter().try_fold(self, Self::apply)?.check()
    }

    /// Applies an override without checking the result.
    pub(crate) fn apply(self, one: &Override) -> Result<Self, ConfigError> {
        let Some(default) = self.settings().remove(&one.key) else {
            let nearest = nearest_key(&one.key);
            return Err(ConfigError::UnknownOverride { origin: one.origin.clone(), key: one.key.clone(), nearest });
        };
        let wrong =
            |problem: String| ConfigError::Override { origin: one.origin.clone(), key: one.key.clone(), value: one.value.clone(), problem };
        if one.value.trim().is_empty() {
            return Err(wrong("it is empty; leave it out to use the default".into()));
        }
        let value = match default {
            toml::Value::Array(_) => literal(&one.value).ok_or_else(|| wrong(r#"write a list like ["one", "two"]"#.into()))?,
            toml::Value::Table(_) => literal(&one.value).ok_or_else(|| wrong(r#"write a table like { one = "value" }"#.into()))?,
            toml::Value::Integer(_) => toml::Value::Integer(one.value.parse().map_err(|_| wrong("expected a whole number".into()))?),
            toml::Value::Boolean(_) => toml::Value::Boolean(one.value.parse().map_err(|_| wrong("expected true or false".into()))?),
            _ => toml::Value::String(one.value.clone()),
        };
        self.replace(&one.key, value).map_err(wrong)
    }

    /// Replaces the value of a setting without checking the result. The error says why the value has the wrong type.
    pub(crate) fn replace(&self, key: &str, value: toml::Value) -> Result<Self, String> {
        let mut settings = self.settings();
        settings.insert(key.into(), value);
        nested(settings).try_into().map_err(|error: toml::de::Error| error.message().into())
    }

    /// Every setting by its full key. Every configuration has the same keys: no setting's type is optional.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, toml::Value> {
        // A configuration is tables of plain values, which TOML can always represent.
        let sections = toml::Table::try_from(self).unwrap_or_default();
        let settings = sections.into_iter().flat_map(|(section, keys)| match keys {
            toml::Value::Table(keys) => keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)).collect(),
            other => vec![(section, other)],
        });
        settings.collect()
    }

    /// The expected hash of the genesis, if one is set.
    ///
    /// # Errors
    /// [`ConfigError::Range`].
    pub fn genesis_hash(&self) -> Result<Option<GenesisHash>, ConfigError> {
        let text = self.node.genesis_hash.trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| range("node.genesis_hash", text, "must be 64 hexadecimal digits, with or without 0x"))
    }

    fn check(self) -> Result<Self, ConfigError> {
        match self.problems().into_iter().next() {
            Some(first) => Err(first),
            None => Ok(self),
        }
    }

    /// Everything that is wrong with the values.
    pub(crate) fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        let mut check = |result: Result<(), ConfigError>| problems.extend(result.err());
        check(self.genesis_hash().map(drop));
        check(logging::check_level(&self.log.level).map(drop).map_err(ConfigError::from));
        let listen = self.network.listen.trim();
        if !listen.is_empty() {
            check(quorate_network::check_listen_address(listen).map_err(|error| range("network.listen", listen, error.to_string())));
        }
        for (name, address) in &self.network.peers {
            check(
                quorate_network::check_peer_address(&format!("{name}'s"), address)
                    .map_err(|error| range("network.peers", format!("{{ {name} = {address:?} }}"), error.to_string())),
            );
        }
        check(self.network.resolver().map(drop));
        if self.network.join.len() > JOIN_MAX {
            check(Err(range("network.join", format!("{} URLs", self.network.join.len()), format!("name at most {JOIN_MAX}"))));
        }
        for url in &self.network.join {
            check(check_url(url).map_err(|reason| range("network.join", format!("[{:?}]", passwords::of_url(url)), reason)));
        }
        for name in &self.api.hosts {
            check(host::check_name(name).map_err(|rule| range("api.hosts", format!("[{name:?}]"), rule)));
        }
        if self.api.listen == self.metrics.listen && self.api.listen.port() != 0 {
            check(Err(range("metrics.listen", self.metrics.listen.to_string(), "the API already listens there (api.listen)")));
        }
        check(within("node.verify_threads", self.node.verify_threads.into(), 1, 64));
        check(within("api.threads", self.api.threads.into(), 1, 64));
        check(within("api.connections_max", self.api.connections_max.into(), 1, 65_536));
        check(within("api.waiting_max", self.api.waiting_max.into(), 1, 1_000_000));
        check(within("api.read_timeout_ms", self.api.read_timeout_ms.into(), 100, 600_000));
        check(within("api.write_timeout_ms", self.api.write_timeout_ms.into(), 100, 600_000));
        check(within("store.free_bytes_min", self.store.free_bytes_min, 0, 1 << 50));
        check(within("pool.transactions_max", self.pool.transactions_max.into(), 1, 10_000_000));
        check(within("pool.sender_transactions_max", self.pool.sender_transactions_max.into(), 1, 10_000_000));
        check(within("pool.bytes_max", self.pool.bytes_max, 1 << 20, 16 << 30));
        problems
    }
}

/// Checks the URL of a node. The error tells no password.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    quorate_client::http::check_url(url).map_err(|error| match error {
        ClientError::Url { reason, .. } => format!("{:?} is not the URL of a node: {reason}", passwords::of_url(url)),
        other => passwords::in_text(&other.to_string()),
    })
}

/// The text of a configuration file.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.into(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let length = file.take(CONFIG_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > CONFIG_BYTES_MAX {
        return Err(failed(io::Error::other(format!("it is larger than {CONFIG_BYTES_MAX} bytes"))));
    }
    Ok(text)
}

fn within(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(range(key, value.to_string(), format!("must lie in {min}..={max}"))) }
}

fn range(key: &'static str, value: impl Into<String>, rule: impl Into<String>) -> ConfigError {
    ConfigError::Range { key, value: value.into(), rule: rule.into() }
}

/// Parses a value in TOML syntax.
pub(crate) fn literal(text: &str) -> Option<toml::Value> {
    let mut table: toml::Table = format!("value = {text}").parse().ok()?;
    table.remove("value").filter(|_| table.is_empty())
}

fn nested(settings: BTreeMap<String, toml::Value>) -> toml::Table {
    let mut sections = toml::Table::new();
    for (name, value) in settings {
        let Some((section, key)) = name.split_once('.') else { continue };
        let section = sections.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(keys) = section {
            keys.insert(key.into(), value);
        }
    }
    sections
}

/// The unknown keys and their byte offsets, in the order of the file.
pub(crate) fn unknown_keys(table: &DeTable<'_>) -> Vec<(String, usize)> {
    let known = Config::default().settings();
    let is_section = |name: &str| known.keys().any(|key| key.split_once('.').is_some_and(|(section, _)| section == name));
    let mut unknown = Vec::new();
    for (section, value) in table {
        let name = section.get_ref().as_ref();
        match value.get_ref() {
            _ if !is_section(name) => unknown.push((name.to_owned(), section.span().start)),
            DeValue::Table(keys) => unknown.extend(keys.keys().filter_map(|key| {
                let full = format!("{name}.{}", key.get_ref());
                (!known.contains_key(&full)).then_some((full, key.span().start))
            })),
            // A value in place of a section: serde reports it, with the line.
            _ => {}
        }
    }
    unknown.sort_by_key(|(_, at)| *at);
    unknown
}

pub(crate) fn nearest_key(key: &str) -> Option<String> {
    let known = Config::default().settings();
    let name = |key: &str| key.rsplit_once('.').map_or(key, |(_, name)| name).to_owned();
    if !key.contains('.') {
        let sections: Vec<_> = known.keys().filter_map(|known| known.split_once('.').map(|(section, _)| section)).collect();
        if let Some(section) = nearest(key, sections.iter().copied()) {
            return Some(section.to_owned());
        }
    }
    nearest(key, known.keys().map(String::as_str))
        .map(str::to_owned)
        .or_else(|| known.keys().find(|known| name(known) == name(key)).cloned())
}

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("home/config/config.toml"), text)
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_the_nearest_known_one() {
        let cases = [
            ("[api]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n", "config.toml:3: there is no setting `api.lisen`; did you mean `api.listen`?"),
            ("\n[apii]\nlisten = \"127.0.0.1:1\"\n", "config.toml:2: there is no setting `apii`; did you mean `api`?"),
            ("[node]\nformat = \"json\"\n", "config.toml:2: there is no setting `node.format`; did you mean `log.format`?"),
            ("[node]\nxyzzyplugh = 1\n", "config.toml:2: there is no setting `node.xyzzyplugh`"),
            ("listen = 1\n", "config.toml:1: there is no setting `listen`; did you mean `api.listen`?"),
            ("[api]\nb_unknown = 1\na_unknown = 2\n", "config.toml:2: there is no setting `api.b_unknown`"),
        ];
        for (text, expected) in cases {
            let message = refusal(text);
            assert!(message.ends_with(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_with_its_line() {
        for (text, line, word) in [
            ("[api]\n\nlisten = 7\n", ":3:", "invalid type"),
            ("[api]\nlisten = \"8080\"\n", ":2:", "address"),
            ("[log]\nformat = \"xml\"\n", ":2:", "`pretty` or `json`"),
            ("[metrics]\nlisten = \"9101\"\n", ":2:", "address"),
            ("[node]\nverify_threads = -1\n", ":2:", "-1"),
            ("api = 3\n", ":1:", "invalid type"),
            ("[api\n", ":1:", ""),
        ] {
            let message = refusal(text);
            assert!(message.contains(line) && message.contains(word), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_value_outside_its_range_is_named_with_the_rule() {
        for (text, key) in [
            ("[node]\nverify_threads = 0", "node.verify_threads"),
            ("[node]\ngenesis_hash = \"0x12\"", "node.genesis_hash"),
            ("[api]\nconnections_max = 0", "api.connections_max"),
            ("[store]\nfree_bytes_min = 9000000000000000", "store.free_bytes_min"),
            ("[pool]\nbytes_max = 1", "pool.bytes_max"),
            ("[log]\nlevel = \"quorate=loud\"", "log.level"),
        ] {
            let message = refusal(text);
            assert!(message.contains(key), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
        let file = parse("[api]\nlisten = \"127.0.0.1:1\"\nthreads = 2\n[log]\nlevel = \"warn\"\n").unwrap();
        let environment = [("QUORATE__API__LISTEN", "127.0.0.1:2"), ("QUORATE__API__THREADS", "3"), ("PATH", "/bin")];
        let mut overrides = from_environment(environment.map(|(name, value)| (name.into(), value.into()))).unwrap();
        overrides.push(Override::flag("--api-listen", "api.listen", "127.0.0.1:3"));
        let config = file.with(&overrides).unwrap();
        assert_eq!(config.api.listen.port(), 3, "flag");
        assert_eq!(config.api.threads, 3, "environment");
        assert_eq!(config.log.level, "warn", "file");
        assert_eq!(config.api.connections_max, 1_024, "default");
    }

    #[test]
    fn an_override_is_checked_like_the_file_and_its_origin_is_named() {
        let refusal = |name: &str, value: &str| {
            Config::default().with(&from_environment([(name.into(), value.into())]).unwrap()).unwrap_err().to_string()
        };
        let unknown = refusal("QUORATE__API__LISEN", "x");
        assert!(unknown.contains("QUORATE__API__LISEN") && unknown.contains("did you mean `api.listen`"), "{unknown}");
        let kind = refusal("QUORATE__API__THREADS", "two");
        assert!(kind.contains("QUORATE__API__THREADS") && kind.contains("whole number"), "{kind}");
        let address = refusal("QUORATE__API__LISTEN", "here");
        assert!(address.contains("QUORATE__API__LISTEN") && address.contains("address"), "{address}");
        let range = refusal("QUORATE__NODE__VERIFY_THREADS", "0");
        assert!(range.contains("node.verify_threads"), "{range}");
        assert!(Override::from_set("api.listen").is_err());
    }

    /// A setting, some valid values, and some invalid values, each with a word of its error.
    type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

    /// One case per setting.
    const CASES: &[Case] = &[
        ("api.connections_max", &["1", "65536"], &[("0", "must lie in"), ("65537", "must lie in"), ("many", "whole number")]),
        (
            "api.hosts",
            &["[]", "[\"node.example.org\"]", "[\"*\"]"],
            &[
                ("node.example.org", "list"),
                ("[\"\"]", "name"),
                ("[\"a b\"]", "name"),
                ("[\"host:80\"]", "name"),
                ("[\"http://host\"]", "name"),
                ("[1]", "invalid type"),
            ],
        ),
        ("api.listen", &["127.0.0.1:0", "[::1]:8081"], &[("8080", "address"), ("localhost:8080", "address"), ("127.0.0.1", "address")]),
        ("api.read_timeout_ms", &["100"], &[("99", "must lie in"), ("1s", "whole number")]),
        ("api.threads", &["1", "64"], &[("0", "must lie in"), ("65", "must lie in"), ("1.5", "whole number")]),
        ("api.waiting_max", &["1"], &[("0", "must lie in"), ("-1", "expected u32")]),
        ("api.write_timeout_ms", &["600000"], &[("600001", "must lie in"), ("", "empty")]),
        ("log.format", &["pretty", "json"], &[("xml", "pretty"), ("JSON", "json")]),
        (
            "log.level",
            &["info", "warn,quorate_network=debug", "off"],
            &[
                ("inf", "did you mean info"),
                ("verbose", "not a level"),
                ("", "empty"),
                ("info,", "missing"),
                ("quorate_nod=info", "did you mean quorate_node"),
            ],
        ),
        ("metrics.listen", &["127.0.0.1:0", "0.0.0.0:9101"], &[("9101", "address"), ("127.0.0.1:8080", "api.listen"), ("", "empty")]),
        (
            "network.join",
            &["[]", "[\"http://10.0.0.1:8080\", \"https://node.example.org\"]"],
            &[("http://10.0.0.1:8080", "list"), ("[\"10.0.0.1:8080\"]", "URL"), ("[\"ftp://host\"]", "http")],
        ),
        (
            "network.listen",
            &["/ip4/0.0.0.0/tcp/6180", "/ip6/::/tcp/0"],
            &[
                ("0.0.0.0:6180", "multiaddr"),
                ("/dns4/node.example.org/tcp/6180", "not at a name"),
                ("/ip4/0.0.0.0", "/tcp/<port>"),
                ("", "empty"),
            ],
        ),
        (
            "network.peers",
            &["{}", "{ two = \"/ip4/10.0.0.2/tcp/6180\" }", "{ two = \"/dns4/node.example.org/tcp/6180\" }"],
            &[("/ip4/10.0.0.2/tcp/6180", "table"), ("{ two = \"10.0.0.2:6180\" }", "two"), ("{ two = 6180 }", "invalid type")],
        ),
        (
            "network.resolver",
            &["10.0.0.53:53", "[::1]:5353"],
            &[("10.0.0.53", "a port"), ("dns.example.org:53", "IP address"), ("", "empty")],
        ),
        (
            "node.genesis_hash",
            &["0x1111111111111111111111111111111111111111111111111111111111111111"],
            &[("0x12", "64 hexadecimal digits"), ("", "empty")],
        ),
        ("node.halt_at_height", &["0", "250000"], &[("soon", "whole number")]),
        ("node.passphrase_file", &["secrets/passphrase"], &[("", "empty")]),
        ("node.signer", &["/run/quorate-signer/signer.sock"], &[("", "empty")]),
        ("node.verify_threads", &["1", "64"], &[("0", "must lie in"), ("65", "must lie in"), ("70000", "expected u16")]),
        ("pool.bytes_max", &["1048576"], &[("1", "must lie in"), ("64 MiB", "whole number")]),
        ("pool.sender_transactions_max", &["1"], &[("0", "must lie in"), ("x", "whole number")]),
        ("pool.transactions_max", &["1"], &[("0", "must lie in"), ("", "empty")]),
        ("store.free_bytes_min", &["0", "536870912"], &[("-1", "expected u64"), ("512 MiB", "whole number")]),
    ];

    #[test]
    fn every_setting_takes_what_is_possible_and_refuses_the_rest_by_name_wherever_it_stands() {
        let known: Vec<_> = Config::default().settings().into_keys().collect();
        assert_eq!(CASES.iter().map(|(key, ..)| (*key).to_owned()).collect::<Vec<_>>(), known, "a case for each");
        for (key, possible, impossible) in CASES.iter().copied() {
            let variable = |value: &str| from_environment([(variable_of(key).into(), value.into())]).unwrap();
            let set = |value: &str| [Override::from_set(&format!("{key}={value}")).unwrap()];
            let (section, name) = key.split_once('.').unwrap();
            let is_text = matches!(Config::default().settings()[key], toml::Value::String(_));
            let file = |value: &str| {
                let value = if is_text { format!("{value:?}") } else { value.to_owned() };
                parse(&format!("[{section}]\n{name} = {value}\n"))
            };
            for value in possible {
                let by_variable = Config::default().with(&variable(value)).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
                assert_eq!(Config::default().with(&set(value)).unwrap(), by_variable, "{key} = {value}");
                assert_eq!(file(value).unwrap_or_else(|error| panic!("{key} = {value}: {error}")), by_variable, "{key} = {value}");
            }
            for (value, word) in impossible {
                for refused in [Config::default().with(&variable(value)), Config::default().with(&set(value))] {
                    let message = refused.err().unwrap_or_else(|| panic!("{key} = {value} is accepted")).to_string();
                    assert!(message.contains(key) && message.contains(word), "{key} = {value}: {message}");
                }
                // In a file, an empty string is how some defaults are written.
                assert!(file(value).is_err() || *word == "empty", "{key} = {value} in a file");
            }
        }
        assert!(parse("[log]\nlevel = \"\"\n").is_err(), "an empty log.level is not a default");
    }

    #[test]
    fn a_variable_that_can_only_be_meant_as_a_setting_is_refused_and_others_are_left_alone() {
        let refusal = |name: &str| from_environment([(name.into(), "x".into())]).err().map(|error| error.to_string());
        for (name, meant) in [
            ("QUORATE_API_LISTEN", "QUORATE__API__LISTEN"),
            ("QUORATE__API_LISTEN", "QUORATE__API__LISTEN"),
            ("QUORATE_API__LISTEN", "QUORATE__API__LISTEN"),
            ("QUORATE_API_LISEN", "QUORATE__API__LISTEN"),
            ("quorate__api__listen", "QUORATE__API__LISTEN"),
            ("Quorate__Api__Listen", "QUORATE__API__LISTEN"),
            ("QUORATE__log__level", "QUORATE__LOG__LEVEL"),
            ("QUORATE_LOG_LEVEL", "QUORATE__LOG__LEVEL"),
            ("QUORATE_NODE_PASSPHRASE_FILE", "QUORATE__NODE__PASSPHRASE_FILE"),
            ("quorate__x", "QUORATE__API__LISTEN"),
        ] {
            // A wrong word with its underscores in the right places is refused only when the override is applied.
            let message = refusal(name).unwrap_or_else(|| {
                let overrides = from_environment([(name.into(), "x".into())]).unwrap();
                Config::default().with(&overrides).unwrap_err().to_string().replace("api.listen", "QUORATE__API__LISTEN")
            });
            assert!(message.contains(name) && message.contains(meant), "{name}: {message}");
        }
        for name in
            OTHER_VARIABLES.into_iter().chain(["QUORATE", "PATH", "QUORATE_SERVICE_HOST", "QUORATE_PORT_8080_TCP_ADDR", "QUORATE_COMMIT"])
        {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let error = from_environment([("QUORATE__LOG__LEVEL".into(), value)]).unwrap_err().to_string();
        assert!(error.contains("QUORATE__LOG__LEVEL") && error.contains("UTF-8"), "{error}");
    }

    #[test]
    fn every_setting_has_its_place_in_the_table_of_settings() {
        let keys: Vec<_> = Config::default().settings().into_keys().collect();
        assert!(keys.iter().all(|key| key.split('.').count() == 2), "{keys:?}");
        assert!(keys.contains(&"node.genesis_hash".to_owned()) && keys.contains(&"log.format".to_owned()));
    }
}
