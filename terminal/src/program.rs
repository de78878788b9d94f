//! The name of this program. Crates below it write "quorate keygen validator"; the program of a service has the same commands under its own name.

use std::sync::OnceLock;

static NAME: OnceLock<&str> = OnceLock::new();

/// The name under which quorate's own crates mention commands.
const WRITTEN: &str = "quorate";
/// The commands that every program has.
const COMMANDS: [&str; 12] =
    ["bench", "config", "debug", "doctor", "genesis", "keygen", "localnet", "monitor", "node", "playground", "sim", "tx"];

/// Sets the name, once per process.
pub(crate) fn set(name: &'static str) {
    NAME.get_or_init(|| name);
}

/// The text with this program's name in every command that it mentions. The name is `quorate` unless [`crate::parse`] was given another.
/// Errors and notes are renamed by themselves.
#[must_use]
pub fn in_this_program(text: String) -> String {
    match NAME.get() {
        Some(name) if *name != WRITTEN => renamed(&text, name),
        _ => text,
    }
}

fn renamed(text: &str, name: &str) -> String {
    let mut parts = text.split("quorate ");
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_command =
            COMMANDS.iter().any(|command| part.strip_prefix(command).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)));
        renamed.push_str(if is_command { name } else { WRITTEN });
        renamed.push(' ');
        renamed.push_str(part);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_renamed_and_nothing_else() {
        for (text, expected) in [
            ("make one (`quorate keygen validator`)", "make one (`counter keygen validator`)"),
            ("quorate node", "counter node"),
            ("are these quorate nodes? quorate tx ID", "are these quorate nodes? counter tx ID"),
            ("a network of quorate", "a network of quorate"),
        ] {
            assert_eq!(renamed(text, "counter"), expected);
        }
    }
}
