//! The configuration file that `quorate node init` writes: every setting, what it means, and its default, all commented out, so that the
//! file shows at a glance what an operator has changed and a better default of a later version is not held back.

use crate::config::{Config, ConfigError, Override};

/// Every setting with its meaning and default.
const TEMPLATE: &str = r#"# Configuration of a quorate validator.
#
# Each setting is shown with its default; remove the `#` in front of a line to change it.
# A setting is looked for in this order: command-line flag, environment variable QUORATE__<SECTION>__<KEY>
# (QUORATE__API__LISTEN=127.0.0.1:8081), this file, default. An unknown key is an error, and so is an empty value outside this file.

[node]
# The hash that config/genesis.json must have, as the organisers of the network announced it. Empty: not checked.
#genesis_hash = ""

# A file whose first line is the passphrase of keys/validator.key. Empty: the environment variable QUORATE_PASSPHRASE, or a question on
# the terminal. Relative to the home directory.
#passphrase_file = ""

# Threads that check the signatures of transactions.
#verify_threads = 1

[network]
# Where to listen for the other validators, such as "/ip4/0.0.0.0/tcp/6180".
# Empty: at the address that the genesis gives for this validator.
#listen = ""

# Where to dial validators that are no longer at the address that the genesis gives, by their names, such as
# { validator-2 = "/ip4/203.0.113.7/tcp/6180", validator-3 = "/dns4/node3.example.org/tcp/6180" }
#peers = {}

[api]
# Where the HTTP API listens. It has no access control beyond the signatures of transactions: put a proxy with TLS in front of it before
# strangers reach it. Port 0 lets the system choose; data/api.address says what it chose.
#listen = "127.0.0.1:8080"

# Threads that serve requests.
#threads = 1

# Connections at the same time. Beyond that, the one whose client has kept the node waiting longest is closed for each new one. A quarter of
# them may wait for commits; who comes then is told that its transaction is pending, and asks again.
#connections_max = 1024

# Transactions at the same time that wait for the pool; further ones are told that the node is busy.
#waiting_max = 10000

# How long a request may take to arrive, head and body each, in milliseconds.
#read_timeout_ms = 10000

# How long a client may take no byte of an answer, or fall behind 32 KiB a second, in milliseconds.
#write_timeout_ms = 30000

# Names by which clients may ask for this node, such as ["node.example.org"], besides IP addresses and localhost; ["*"] for any name.
# A request for another name is refused: it may come from a web page that has led a visitor's browser here.
#hosts = []

[metrics]
# Where /metrics, /livez and /readyz are served. However many clients the API has, these answer. Port 0 lets the system choose.
#listen = "127.0.0.1:9101"

[store]
# While less than this is free on the disk of data/, transactions of clients are refused (disk-nearly-full); the validator goes on. 0: never.
#free_bytes_min = 536870912

[pool]
# Transactions that wait for a block at the same time, and their bytes.
#transactions_max = 50000
#bytes_max = 67108864

# Transactions of one sender that wait at the same time, and how far above its next sequence number they may reach.
#sender_transactions_max = 5000

[log]
# What is logged: error, warn, info, debug, trace, or by part: "info,quorate_network=debug".
#level = "info"

# "pretty" for people, "json" for programs: one object per line.
#format = "pretty"
"#;

/// The file, with these settings written out.
///
/// # Errors
/// [`ConfigError`]: a setting does not exist or its value is not possible.
pub fn render(overrides: &[Override]) -> Result<String, ConfigError> {
    let settings = Config::default().with(overrides)?.settings();
    let mut section = String::new();
    let mut text = String::with_capacity(TEMPLATE.len());
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let key = line.strip_prefix('#').and_then(|rest| rest.split_once(" = ")).map(|(key, _)| format!("{section}.{key}"));
        let is_set = |key: &String| overrides.iter().any(|one| one.key == *key);
        let set = key.filter(is_set).and_then(|key| {
            let name = key.rsplit('.').next()?;
            settings.get(&key).map(|value| format!("{name} = {value}"))
        });
        text.push_str(set.as_deref().unwrap_or(line));
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("config.toml"), text).unwrap()
    }

    #[test]
    fn the_template_is_the_defaults_with_and_without_its_comment_signs() {
        assert_eq!(parse(&render(&[]).unwrap()), Config::default());
        let uncomment = |line: &'static str| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
            _ => line,
        };
        let uncommented = TEMPLATE.lines().map(uncomment).collect::<Vec<_>>().join("\n");
        assert_eq!(parse(&uncommented), Config::default());
        let settings: toml::Table = uncommented.parse().unwrap();
        let count: usize = settings.values().map(|section| section.as_table().unwrap().len()).sum();
        assert_eq!(count, Config::default().settings().len(), "every setting is in the template");
    }

    #[test]
    fn settings_given_to_init_stand_in_the_file_and_the_rest_stays_commented_out() {
        let overrides = [
            Override::from_set("api.listen=127.0.0.1:0").unwrap(),
            Override::from_set("log.level=info,quorate_network=debug").unwrap(),
            Override::from_set("node.verify_threads=2").unwrap(),
        ];
        let text = render(&overrides).unwrap();
        assert_eq!(parse(&text), Config::default().with(&overrides).unwrap());
        assert_eq!(text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()).count(), 3);
        assert!(text.contains("\nlisten = \"127.0.0.1:0\"\n") && text.contains("\n#listen = \"\"\n"));
    }
}
