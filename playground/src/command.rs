//! `quorate playground` on the command line: a script from a file or a pipe, or a person at a terminal.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;
use quorate_client::{CommandError, Output};

use super::{
    cast::{Options, VALIDATORS_MAX},
    paint::{Line, Tone},
    session::{Error, Reply, Session, read_bounded, read_script},
    terminal,
};

/// Step, vote and lie by hand in a network of four validators that waits for you.
///
/// Without a script it is a session at the terminal: `help` lists the commands. A script has a command on each line, `# comments`, and
/// `! COMMAND` for a command that must be refused; it ends at the first line that is refused, with exit code 1.
#[derive(Clone, Debug, Args)]
pub struct PlaygroundCommand {
    /// A script to run; `-` or a pipe is standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same as FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    script: Option<PathBuf>,
    /// How many validators there are [default: 4].
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=VALIDATORS_MAX as i64))]
    validators: Option<u8>,
    /// Their names instead of P0, P1, ...
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with = "validators")]
    names: Option<Vec<String>>,
    /// Elect leaders by reputation, as a real network does, instead of each in its turn.
    #[arg(long)]
    reputation: bool,
    /// Draw trees and arrows with plain letters.
    #[arg(long)]
    ascii: bool,
}

impl PlaygroundCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`CommandError`]: `script-failed` where a line of a script is refused.
    pub fn run(&self, out: &Output) -> Result<(), CommandError> {
        let numbered = Options::numbered(self.validators.map_or(4, usize::from));
        let names = self.names.clone().unwrap_or(numbered.names);
        let options = Options { names, reputation: self.reputation, ascii: self.ascii };
        let mut session = Session::open(options, true).map_err(CommandError::usage)?;
        let file = self.file.as_ref().or(self.script.as_ref()).filter(|file| file.as_os_str() != "-");
        let piped = self.file.is_some() || self.script.is_some() || !std::io::stdin().is_terminal();
        let script = match file {
            Some(file) => read_script(file).map_err(|error| CommandError::failure("script", error))?,
            None if piped => read_pipe()?,
            None => return terminal::converse(&mut session, out),
        };
        let failed = run_script(&mut session, &script, &mut |reply| show(reply, &script_lines(reply), out))?;
        match failed {
            None => Ok(()),
            Some((line, error)) => {
                let failure = CommandError::failure("script-failed", format_args!("line {line} of the script: {}", error.message));
                Err(match error.hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                })
            }
        }
    }
}

fn read_pipe() -> Result<String, CommandError> {
    let failed =
        |error| CommandError::failure("script", format_args!("standard input cannot be read: {error}; send a command on each line"));
    read_bounded(std::io::stdin().lock()).map_err(failed)
}

/// Runs a script to its end, to `quit`, or to the first line that is refused, which it returns.
pub(super) fn run_script(
    session: &mut Session,
    script: &str,
    each: &mut dyn FnMut(&Reply) -> Result<(), CommandError>,
) -> Result<Option<(usize, Error)>, CommandError> {
    for (number, line) in (1usize..).zip(script.lines()) {
        let reply = session.execute(line);
        each(&reply)?;
        if let Some(error) = reply.error {
            return Ok(Some((number, error)));
        }
        if reply.quit {
            break;
        }
    }
    Ok(None)
}

/// A line of a script as it is echoed, and the reply to it.
pub(super) fn script_lines(reply: &Reply) -> Vec<Line> {
    let echo = match reply.command.as_str() {
        line if line.is_empty() || line.starts_with('#') => Line::new(Tone::Hint, line),
        line => Line::new(Tone::Heading, format!("> {line}")),
    };
    std::iter::once(echo).chain(reply.all_lines()).collect()
}

/// Writes a reply to standard output; the stream takes the colours away where they are not wanted.
pub(super) fn show(reply: &Reply, lines: &[Line], out: &Output) -> Result<(), CommandError> {
    if lines.is_empty() || (out.is_json() && reply.command.is_empty()) {
        return Ok(());
    }
    out.print(reply, || lines.iter().map(Line::painted).collect::<Vec<String>>().join("\n"))
}
