//! `quorate playground` on the command line: a script from a file or a pipe, or a person at a terminal.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;
use quorate_terminal::{CommandError, Output};

use super::{
    cast::{Options, VALIDATORS_MAX},
    paint::{Line, Tone},
    session::{Error, Reply, Session, read_bounded, read_script},
    terminal,
};

/// Step through a network of four validators by hand: deliver messages, vote, and lie.
///
/// Without a script, starts an interactive session; `help` lists the commands. A script has one command a line, `# comments`, and
/// `! COMMAND` for a command that must be refused; the first refused line ends it with exit code 1.
#[derive(Clone, Debug, Args)]
pub struct PlaygroundCommand {
    /// Script to run; `-` or a pipe means standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Same as FILE.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    script: Option<PathBuf>,
    /// Number of validators [default: 4].
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=VALIDATORS_MAX as i64))]
    validators: Option<u8>,
    /// Names of the validators, instead of P0, P1, ...
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with = "validators")]
    names: Option<Vec<String>>,
    /// Elect leaders by reputation, as a real network does, instead of in turn.
    #[arg(long)]
    reputation: bool,
    /// Print ASCII only.
    #[arg(long)]
    ascii: bool,
}

impl PlaygroundCommand {
    /// Runs the script or the session.
    ///
    /// # Errors
    /// `script-failed` if a line of the script is refused; the script or the terminal cannot be read.
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
    let failed = |error| CommandError::failure("script", format_args!("cannot read standard input: {error}; send one command a line"));
    read_bounded(std::io::stdin().lock()).map_err(failed)
}

/// Runs a script to its end, to `quit`, or to the first refused line. Returns that line's number and error.
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

/// The echo of a script line, and the reply to it.
pub(super) fn script_lines(reply: &Reply) -> Vec<Line> {
    let echo = match reply.command.as_str() {
        line if line.is_empty() || line.starts_with('#') => Line::new(Tone::Hint, line),
        line => Line::new(Tone::Heading, format!("> {line}")),
    };
    std::iter::once(echo).chain(reply.all_lines()).collect()
}

/// Writes a reply to standard output; the stream strips colours where they are not wanted.
pub(super) fn show(reply: &Reply, lines: &[Line], out: &Output) -> Result<(), CommandError> {
    if lines.is_empty() || (out.is_json() && reply.command.is_empty()) {
        return Ok(());
    }
    out.print(reply, || lines.iter().map(Line::painted).collect::<Vec<String>>().join("\n"))
}
