//! The configuration file that `quorate node init` writes: every setting with its meaning and default, all commented out, so that the file
//! shows at a glance what the operator has changed and does not pin defaults that a later version improves.

use crate::config::{Config, ConfigError, Override};

/// Every setting with its meaning and default.
const TEMPLATE: &str = r#"# Configuration of a quorate validator.
#
# Each setting is shown with its default; remove the `#` in front of a line to change it.
# A setting is taken from the first of: command-line flag, environment variable QUORATE__<SECTION>__<KEY>
# (QUORATE__API__LISTEN=127.0.0.1:8081), this file, default. An unknown key is an error, and so is an empty value outside this file.

[node]
# Expected hash of config/genesis.json, as announced by the network's organisers. Empty: not checked.
#genesis_hash = ""

# A file whose first line is the passphrase of keys/validator.key, relative to the home directory. Empty: the passphrase is taken from the
# environment variable QUORATE_PASSPHRASE or asked for on the terminal.
#passphrase_file = ""

# The socket of the signer that holds the consensus key (`quorate signer init`), relative to the home directory. Empty: the key is in
# keys/validator.key.
#signer = ""

# Threads that verify transaction signatures.
#verify_threads = 1

# The last height to commit, for an upgrade of all validators at once: the node then signs nothing more and goes on serving. 0: none.
#halt_at_height = 0

[network]
# Listen address for other validators, such as "/ip4/0.0.0.0/tcp/6180". Empty: this validator's address in the genesis.
#listen = ""

# Addresses of validators that have moved from their address in the genesis, by name, such as
# { validator-2 = "/ip4/203.0.113.7/tcp/6180", validator-3 = "/dns4/node3.example.org/tcp/6180" }
#peers = {}

# The name server that is asked for the names in those addresses and in the committee's, such as "10.0.0.53:53". Empty: the system's.
#resolver = ""

# APIs of nodes, such as ["https://node1.example.org"], that are asked how the committee has changed while too few of its members are linked.
# They need not be trusted: the committees themselves prove each change. Needed if everybody that this validator knew may have left.
#join = []

[api]
# Listen address of the HTTP API. Its only access control is transaction signatures: put a TLS proxy in front of it before exposing it to
# strangers. Port 0 lets the system choose; the chosen address is in data/api.address.
#listen = "127.0.0.1:8080"

# Threads that serve requests.
#threads = 1

# Concurrent connections. At the limit, each new connection closes the one whose client has kept the node waiting longest. At most a quarter
# of them may wait for commits; further clients are told that their transaction is pending and ask again.
#connections_max = 1024

# Transactions waiting to enter the pool. Beyond that, clients are told that the node is busy.
#waiting_max = 10000

# Longest time for the head of a request to arrive, and for its body, in milliseconds.
#read_timeout_ms = 10000

# Longest time for which a client may read none of a response, or stay below 32 KiB/s, in milliseconds.
#write_timeout_ms = 30000

# Host names that requests may carry, such as ["node.example.org"], besides IP addresses and localhost; ["*"] for any name.
# Requests for other names are refused: they may come from a web page that has pointed a visitor's browser here (DNS rebinding).
#hosts = []

[metrics]
# Listen address of /metrics, /livez and /readyz, which answer however busy the API is. Port 0 lets the system choose.
#listen = "127.0.0.1:9101"

[store]
# While fewer bytes than this are free on the disk that holds data/, clients' transactions are refused (disk-nearly-full); the validator
# keeps running. 0: never refuse.
#free_bytes_min = 536870912

[pool]
# Transactions in the pool, and their total bytes.
#transactions_max = 50000
#bytes_max = 67108864

# Transactions of one sender in the pool, and how far above its next sequence number they may reach.
#sender_transactions_max = 5000

[log]
# Log filter: off, error, warn, info, debug or trace, also per target: "info,quorate_network=debug".
#level = "info"

# "pretty" for humans, "json" for programs: one object per line.
#format = "pretty"
"#;

/// The template with these settings filled in.
///
/// # Errors
/// [`ConfigError`]: a setting does not exist or its value is not allowed.
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
