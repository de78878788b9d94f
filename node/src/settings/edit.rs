//! Changes a setting in the text of a configuration file, and nothing else in it: comments, order and spacing stay.

use std::path::Path;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::layers::told;
use crate::config::{Config, ConfigError, Override};

/// Why a setting cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// The key or the value is wrong, or the file is with it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file spells the section in a way that cannot be edited.
    #[error("`{key}` cannot be set without changing more of {}; edit the file by hand", path.display())]
    Layout {
        /// The file.
        path: Box<Path>,
        /// The key with its section.
        key: String,
    },
}

/// The text with `key` set to `value`, which is written as on the command line. The result is a valid configuration. `path` is for messages.
///
/// # Errors
/// [`EditError`].
pub(crate) fn set(path: &Path, text: &str, key: &str, value: &str) -> Result<String, EditError> {
    let one = Override { origin: "config set".into(), key: key.into(), value: value.into() };
    let mut wanted = Config::default().apply(&one).map_err(|error| told(&one, error))?.settings();
    let layout = || EditError::Layout { path: path.into(), key: key.into() };
    let ((section, name), value) = key.split_once('.').zip(wanted.remove(key)).ok_or_else(layout)?;
    let Ok(document) = text.parse::<DocumentMut>() else {
        // The error with its line.
        return Err(Config::parse(path, text).err().map_or_else(layout, EditError::from));
    };
    let is_right = |text: &str| Config::parse(path, text).map(|config| config.settings().remove(key).as_ref() == Some(&value));
    if !has(&document, section, name)
        && let Some(text) = uncommented(text, section, name, &value)
        && is_right(&text).is_ok_and(|is_right| is_right)
    {
        return Ok(text);
    }
    let text = inserted(document, section, name, &value).ok_or_else(layout)?;
    if is_right(&text)? { Ok(text) } else { Err(layout()) }
}

fn has(document: &DocumentMut, section: &str, name: &str) -> bool {
    document.get(section).and_then(Item::as_table_like).is_some_and(|keys| keys.contains_key(name))
}

/// The text with the line that shows the setting's default in a comment, as `quorate node init` writes it, turned into the setting.
fn uncommented(text: &str, section: &str, name: &str, value: &toml::Value) -> Option<String> {
    let (header, shown) = (format!("[{section}]"), format!("#{name} ="));
    let mut is_inside = false;
    let mut found = false;
    let edited = text.split_inclusive('\n').map(|line| {
        if line.starts_with('[') {
            is_inside = line.trim_end() == header;
        }
        if is_inside && !found && line.starts_with(&shown) {
            found = true;
            format!("{name} = {value}\n")
        } else {
            line.to_owned()
        }
    });
    let edited: String = edited.collect();
    found.then_some(edited)
}

/// The text with the value replaced, or added at the end of its section.
fn inserted(mut document: DocumentMut, section: &str, name: &str, value: &toml::Value) -> Option<String> {
    let mut value: Value = value.to_string().parse().ok()?;
    let keys: &mut dyn TableLike = document.entry(section).or_insert_with(toml_edit::table).as_table_like_mut()?;
    if let Some(Item::Value(old)) = keys.get_mut(name) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        keys.insert(name, Item::Value(value));
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;

    fn changed(text: &str, key: &str, value: &str) -> String {
        set(Path::new("config.toml"), text, key, value).unwrap_or_else(|error| panic!("{key} = {value}: {error}"))
    }

    fn refusal(text: &str, key: &str, value: &str) -> String {
        set(Path::new("config.toml"), text, key, value).unwrap_err().to_string()
    }

    #[test]
    fn one_line_changes_and_every_comment_stays() {
        let text = "# mine\n[api]\n# why 8081\nlisten = \"127.0.0.1:8081\"   # not 8080\n\n[log]\nlevel = 'warn'\n# end\n";
        assert_eq!(changed(text, "api.listen", "127.0.0.1:9000"), text.replace("8081\"", "9000\""));
        assert_eq!(changed(text, "log.level", "debug"), text.replace("'warn'", "\"debug\""));
        let added = changed(text, "api.threads", "2");
        assert_eq!(added, text.replace("# not 8080\n", "# not 8080\nthreads = 2\n"));
        let section = changed(text, "node.verify_threads", "4");
        let is_old = |line: &&str| !["", "[node]", "verify_threads = 4"].contains(line);
        assert_eq!(section.lines().filter(is_old).collect::<Vec<_>>(), text.lines().filter(is_old).collect::<Vec<_>>());
        assert!(section.contains("\n[node]\nverify_threads = 4\n"), "{section}");
    }

    #[test]
    fn in_the_file_that_init_writes_the_shown_default_becomes_the_setting() {
        let text = template::render(&[]).unwrap();
        for (key, value, line) in [
            ("api.listen", "127.0.0.1:9000", "listen = \"127.0.0.1:9000\""),
            ("metrics.listen", "127.0.0.1:9001", "listen = \"127.0.0.1:9001\""),
            ("network.peers", "{ two = \"/ip4/10.0.0.2/tcp/6180\" }", "peers = { two = \"/ip4/10.0.0.2/tcp/6180\" }"),
            ("pool.bytes_max", "2097152", "bytes_max = 2097152"),
        ] {
            let edited = changed(&text, key, value);
            let differing: Vec<_> = edited.lines().zip(text.lines()).filter(|(new, old)| new != old).collect();
            assert_eq!(differing.iter().map(|(new, _)| *new).collect::<Vec<_>>(), [line], "{key}");
            assert_eq!(edited.lines().count(), text.lines().count(), "{key}");
            assert_eq!(changed(&edited, key, value), edited, "setting it again changes nothing");
        }
    }

    #[test]
    fn other_spellings_of_a_section_are_kept() {
        assert_eq!(changed("api = { threads = 2 }\n", "api.threads", "3"), "api = { threads = 3 }\n");
        assert_eq!(changed("api.threads = 2 # two\n", "api.threads", "3"), "api.threads = 3 # two\n");
    }

    #[test]
    fn a_wrong_key_value_or_file_is_refused_with_the_reason() {
        assert!(refusal("", "api.lisen", "x").contains("did you mean `api.listen`"));
        assert!(refusal("", "api.threads", "0").contains("must lie in 1..=64"));
        assert!(refusal("", "api.threads", "two").contains("whole number"));
        assert!(refusal("", "api.threads", "").contains("empty"));
        assert!(refusal("", "metrics.listen", "127.0.0.1:8080").contains("api.listen"), "it agrees with the other settings");
        assert!(refusal("[api\n", "api.threads", "2").contains("config.toml:1:"));
        assert!(refusal("[pool]\nbytes_max = 1\n", "api.threads", "2").contains("pool.bytes_max"), "the result must be valid");
        // What is wrong may be put right.
        assert_eq!(changed("[pool]\nbytes_max = 1\n", "pool.bytes_max", "1048576"), "[pool]\nbytes_max = 1048576\n");
    }
}
