//! Quoting for printed commands that users paste into a shell.

use std::ffi::OsStr;

/// A path or other text as one word of a POSIX shell, quoted if needed: `/tmp/a`, `'/tmp/my network'`.
///
/// Bytes that are not Unicode cannot be printed and become replacement characters.
#[must_use]
pub fn shell_word(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref().to_string_lossy();
    match shlex::try_quote(&text) {
        Ok(word) => word.into_owned(),
        // A NUL byte, which no path or argument can hold.
        Err(_) => text.into_owned(),
    }
}

/// This program as the user called it, as one word of a shell, so that pasted commands find it.
#[must_use]
pub fn program_word() -> String {
    std::env::args_os().next().map_or_else(|| "quorate".into(), shell_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["plain", "/a-b_c/d.e", "two words", "it's", "$HOME `id` \\ \"x\"", "", "a;b&c|d", "*?[x]", "ü 😀", "#x", "~", "-n"]
        {
            let script = format!("printf '%s' {}", shell_word(text));
            // `printf` takes no options after its format, so a word may start with a dash.
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(shell_word("/tmp/localnet"), "/tmp/localnet", "nothing is quoted that need not be");
    }
}
