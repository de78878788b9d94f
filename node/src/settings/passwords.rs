//! Hides the passwords of URLs in what is shown. A password that was not encoded as URLs ask for makes a URL that does not parse, or that means
//! something else, so nothing here relies on the parts of a URL.

/// Settings that are paths, in which an `@` is a letter like any other.
const PATHS: [&str; 2] = ["node.passphrase_file", "node.signer"];
/// Schemes that stay visible.
const SCHEMES: [&str; 2] = ["https://", "http://"];
/// In place of what is hidden.
const HIDDEN: &str = "***";

/// The value of a setting, each string in it cut up to its last `@`.
pub(crate) fn of_value(key: &str, value: toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) if PATHS.contains(&key) => toml::Value::String(in_text(&text)),
        toml::Value::String(text) => toml::Value::String(of_url(&text)),
        toml::Value::Array(values) => toml::Value::Array(values.into_iter().map(|value| of_value(key, value)).collect()),
        toml::Value::Table(table) => {
            toml::Value::Table(table.into_iter().map(|(name, value)| (of_url(&name), of_value(key, value))).collect())
        }
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => value,
    }
}

/// The text without what [`of_value`] hides of this value, wherever the text quotes a string of it.
pub(crate) fn hide(text: String, key: &str, value: &toml::Value) -> String {
    match value {
        toml::Value::String(_) if PATHS.contains(&key) => text,
        toml::Value::String(secret) if secret.contains('@') => {
            let quoted = |text: &str| format!("{text:?}").trim_matches('"').to_owned();
            let shown = of_url(secret.trim());
            text.replace(&quoted(secret.trim()), &quoted(&shown)).replace(secret.trim(), &shown)
        }
        toml::Value::Array(values) => values.iter().fold(text, |text, value| hide(text, key, value)),
        toml::Value::Table(table) => table.values().fold(text, |text, value| hide(text, key, value)),
        _ => text,
    }
}

/// What should be a URL, cut up to its last `@`: only the scheme stays of what is before it.
pub(crate) fn of_url(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else { return text.into() };
    let scheme = SCHEMES.into_iter().find(|scheme| before.trim_start().starts_with(scheme)).unwrap_or_default();
    format!("{scheme}{HIDDEN}@{after}")
}

/// A text without the user names and passwords of the URLs in it. A word is taken for a URL if it has an `@`, and a `:` before that.
pub(crate) fn in_text(text: &str) -> String {
    text.split_inclusive(|letter: char| letter.is_whitespace() || letter == '"').map(word).collect()
}

fn word(word: &str) -> String {
    let Some((before, after)) = word.rsplit_once('@').filter(|(before, _)| before.contains(':')) else { return word.into() };
    // What is written before the URL, such as a bracket, stays.
    let start = SCHEMES.into_iter().find_map(|scheme| {
        let end = before.find("://")?.checked_add("://".len())?;
        let head = before.get(..end)?;
        let outside = head.strip_suffix(scheme)?;
        (!outside.contains([':', '@', '/']) && !outside.ends_with(char::is_alphanumeric)).then_some(head)
    });
    format!("{}{HIDDEN}@{after}", start.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_everything_but_the_passwords() {
        for (text, clean) in [
            ("https://node.example.org", "https://node.example.org"),
            ("https://user:secret@node.example.org/x", "https://***@node.example.org/x"),
            ("http://user:se/cret@node.example.org", "http://***@node.example.org"),
            ("http://token@10.0.0.1:8080", "http://***@10.0.0.1:8080"),
            ("[\"http://a:b@c\", \"http://d\"] and (http://e:f@g)", "[\"http://***@c\", \"http://d\"] and (http://***@g)"),
            ("ftp:user:secret@host is wrong", "***@host is wrong"),
            ("{\"url\":\"a:b@c\"}\n{}", "{\"url\":\"***@c\"}\n{}"),
            ("no url, a@b", "no url, a@b"),
        ] {
            assert_eq!(in_text(text), clean);
        }
    }

    #[test]
    fn the_value_of_a_setting_is_cut_and_a_path_is_not() {
        let of = |key: &str, text: &str| of_value(key, toml::Value::String(text.into())).as_str().unwrap().to_owned();
        assert_eq!(of("network.join", "http://us er:se@cr et@host"), "http://***@host");
        assert_eq!(of("network.join", "secret@host"), "***@host");
        assert_eq!(of("node.passphrase_file", "/home/me@example.org/passphrase"), "/home/me@example.org/passphrase");
    }
}
