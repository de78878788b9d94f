//! Commands that are printed to be pasted.

use std::ffi::OsStr;

/// A path or another text as one word of a POSIX shell, quoted where it must be: `/tmp/a`, `'/tmp/my network'`.
///
/// What is not Unicode cannot be printed, and is shown as everywhere else, with a replacement character.
#[must_use]
pub fn shell_word(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref().to_string_lossy();
    match shlex::try_quote(&text) {
        Ok(word) => word.into_owned(),
        // A zero byte, which no path and no argument can hold.
        Err(_) => text.into_owned(),
    }
}

/// This program as the user called it, as one word of a shell, so that a printed command finds it too.
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
            // `printf` takes no options after its format, so a word may begin with a dash.
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(shell_word("/tmp/localnet"), "/tmp/localnet", "nothing is quoted that need not be");
    }
}
