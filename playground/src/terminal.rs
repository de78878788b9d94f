//! The interactive session: a line editor with history and completion.

use quorate_terminal::{CommandError, Output};
use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::{Completer, Pair},
    config::Configurer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::MemHistory,
    validate::Validator,
};

use super::{command::show, flight::KINDS, help::COMMANDS, paint::Line, session::Session};

const PROMPT: &str = "quorate> ";
/// Lines kept in the history.
const HISTORY_MAX: usize = 1_000;

/// Completes commands and their arguments.
struct Words {
    names: Vec<String>,
}

/// Words that may follow a command, besides names of validators.
fn words_after(command: &str) -> &'static [&'static str] {
    match command {
        "vote" => &["manual", "auto", "yes", "no"],
        "lie" => &["to", "yes", "no"],
        "deliver" | "drop" => KINDS,
        "tx" => &["deposit", "withdraw", "transfer", "put", "append", "slice", "get", "delete", "account=", "at", "as"],
        "run" => &["events", "rounds"],
        "tree" => &["all"],
        "reset" => &["leaders=turn", "leaders=reputation"],
        _ => &[],
    }
}

/// Whether names of validators may follow a command.
fn takes_names(command: &str) -> bool {
    COMMANDS.iter().any(|entry| entry.name == command && (entry.usage.contains("NODE") || entry.usage.contains("A,B")))
}

/// Where the last word of a line begins, and its completions.
fn candidates(line: &str, names: &[String]) -> (usize, Vec<String>) {
    let start = line.rfind([' ', ',', '|']).map_or(0, |at| at.saturating_add(1));
    let typed = line.get(start..).unwrap_or_default().to_lowercase();
    let mut before = line.get(..start).unwrap_or_default().split_whitespace();
    let fits = |word: &&str| word.to_lowercase().starts_with(&typed);
    let found: Vec<String> = match before.next() {
        None => COMMANDS.iter().map(|entry| entry.name).filter(fits).map(|name| format!("{name} ")).collect(),
        Some("help") => COMMANDS.iter().map(|entry| entry.name).filter(fits).map(str::to_owned).collect(),
        Some(command) => {
            let names = names.iter().map(String::as_str).filter(|_| takes_names(command));
            words_after(command).iter().copied().chain(names).filter(fits).map(str::to_owned).collect()
        }
    };
    (start, found)
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>), ReadlineError> {
        let (start, found) = candidates(line.get(..at).unwrap_or(line), &self.names);
        Ok((start, found.into_iter().map(|word| Pair { display: word.trim_end().to_owned(), replacement: word }).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

/// Reads and executes lines until the user leaves. A refused line does not end the session.
pub(super) fn converse(session: &mut Session, out: &Output) -> Result<(), CommandError> {
    let failed = |error: ReadlineError| CommandError::failure("terminal", format_args!("cannot use the terminal: {error}"));
    let config = Config::builder().completion_type(CompletionType::List).build();
    let mut editor: Editor<Words, MemHistory> = Editor::with_history(config, MemHistory::new()).map_err(failed)?;
    editor.set_max_history_size(HISTORY_MAX).map_err(failed)?;
    editor.set_helper(Some(Words { names: session.names() }));
    out.always(session.greeting().iter().map(Line::painted).collect::<Vec<String>>().join("\n"));
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    editor.add_history_entry(line.as_str()).map_err(failed)?;
                }
                let reply = session.execute(&line);
                show(&reply, &reply.all_lines(), out)?;
                if reply.quit {
                    return Ok(());
                }
                if let Some(words) = editor.helper_mut() {
                    words.names = session.names();
                }
            }
            // Ctrl-C discards the line, Ctrl-D ends the session.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_commands_names_and_the_words_of_a_command() {
        let names: Vec<String> = ["P0", "P1", "north"].map(String::from).to_vec();
        let found = |line: &str| candidates(line, &names);
        assert_eq!(found("sta"), (0, vec!["status ".into()]));
        assert_eq!(found("crash n"), (6, vec!["north".into()]));
        assert_eq!(found("partition P0,p"), (13, vec!["P0".into(), "P1".into()]));
        assert_eq!(found("vote P1 y"), (8, vec!["yes".into()]));
        assert_eq!(found("deliver P0 P1 pro"), (14, vec!["proposal".into()]));
        assert_eq!(found("help che"), (5, vec!["checkpoint".into()]));
        assert_eq!(found("heal x").1, Vec::<String>::new());
    }
}
