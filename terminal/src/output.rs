//! Output: data to standard output, messages for people to standard error.

use std::{
    fmt::Display,
    fs,
    io::{self, IsTerminal, Write},
    os::unix::fs::{FileTypeExt, MetadataExt},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{failure::CommandError, json, program::in_this_program};

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object per command, or per line if the command keeps running.
    Json,
}

/// When to colour output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options of every command.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputArgs {
    /// Format of standard output.
    #[arg(short = 'o', long = "output", value_enum, default_value_t, global = true, value_name = "FORMAT")]
    pub format: Format,
    /// Write only errors to standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to colour output.
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Color,
}

impl OutputArgs {
    /// The output selected by these options. Sets the colour choice of the whole process.
    #[must_use]
    pub fn open(self) -> Output {
        match self.color {
            // anstream checks the terminal, NO_COLOR and CLICOLOR itself.
            Color::Auto => anstream::ColorChoice::Auto.write_global(),
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Output { format: self.format, quiet: self.quiet, kept: None }
    }
}

/// Whether standard error is coloured: as `--color` or `NO_COLOR` say, else if it is a terminal.
#[must_use]
pub fn colors_errors() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Whether standard output is coloured: as `--color` or `NO_COLOR` say, else if it is a terminal.
#[must_use]
pub fn colors_output() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Where a command writes.
#[derive(Clone, Debug, Default)]
pub struct Output {
    format: Format,
    quiet: bool,
    /// If set, captures the output instead of the process's streams.
    kept: Option<Arc<Mutex<Written>>>,
}

/// The captured output of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Data on standard output.
    pub stdout: String,
    /// Messages on standard error, errors included.
    pub stderr: String,
}

/// A standard stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::Out => "standard output",
            Self::Err => "standard error",
        }
    }

    /// Whether output is discarded. A stream that was closed when the process started counts too: the standard library opens the null device
    /// in its place.
    fn is_null(self) -> bool {
        let descriptor = match self {
            Self::Out => "/dev/fd/1",
            Self::Err => "/dev/fd/2",
        };
        match (fs::metadata(descriptor), fs::metadata("/dev/null")) {
            (Ok(stream), Ok(null)) => stream.file_type().is_char_device() && stream.rdev() == null.rdev(),
            _ => false,
        }
    }
}

const HEADING: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

impl Output {
    /// An output with this format, for tests and other programs.
    #[must_use]
    pub const fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet, kept: None }
    }

    /// An output that captures what is written, for tests and other programs.
    #[must_use]
    pub fn kept(format: Format) -> Self {
        Self { format, quiet: false, kept: Some(Arc::default()) }
    }

    /// What a capturing output has captured; empty for any other.
    #[must_use]
    pub fn written(&self) -> Written {
        self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Whether the format is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes data to standard output: `value` as one line of JSON, or `text`. In JSON, integers of 2^53 and above are strings. An empty text
    /// writes nothing.
    ///
    /// # Errors
    /// Writing to standard output failed. A reader that has gone away (`| head`) is not an error.
    pub fn print<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        self.put(&self.rendered(value, text)?).map(drop)
    }

    /// Like [`Self::print`], for commands that go on until somebody stops them: `false` if the reader has gone away.
    ///
    /// # Errors
    /// As for [`Self::print`].
    pub fn print_on<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<bool, CommandError> {
        self.put(&self.rendered(value, text)?)
    }

    /// Like [`Self::print`], but the JSON has every integer as it is, because this program, or another one in Rust, will read it back.
    ///
    /// # Errors
    /// As for [`Self::print`].
    pub fn print_exactly<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        let line = match self.format {
            Format::Text => text(),
            Format::Json => serde_json::to_string(value).map_err(|error| unwritten(Stream::Out, &io::Error::from(error)))?,
        };
        self.put(&format!("{line}\n")).map(drop)
    }

    /// Whether there is still a reader.
    fn put(&self, line: &str) -> Result<bool, CommandError> {
        match self.write(Stream::Out, line) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(unwritten(Stream::Out, &error)),
        }
    }

    /// Shows a secret that is shown only once and stored nowhere: as text on standard error, or `value` as one line of JSON on standard output.
    /// On success it was delivered to a reader.
    ///
    /// # Errors
    /// Writing failed, the reader has gone away, or the output is discarded.
    pub fn reveal<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        let stream = if self.is_json() { Stream::Out } else { Stream::Err };
        let line = self.rendered(value, text)?;
        if self.kept.is_none() && stream.is_null() {
            return Err(CommandError::failure(
                "output",
                format!("{} is closed or discarded, but this output is shown only once", stream.name()),
            )
            .with_hint("run it at a terminal, or redirect the output to where you can read it"));
        }
        self.write(stream, &line).map_err(|error| unwritten(stream, &error))
    }

    fn rendered<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<String, CommandError> {
        let mut line = match self.format {
            Format::Text => text(),
            Format::Json => json::line(value).map_err(|error| unwritten(Stream::Out, &error))?,
        };
        // An empty text prints nothing; an empty line is "\n".
        if !line.is_empty() && !line.ends_with('\n') {
            line.push('\n');
        }
        Ok(line)
    }

    fn write(&self, stream: Stream, line: &str) -> io::Result<()> {
        match (&self.kept, stream) {
            (Some(kept), stream) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                match stream {
                    Stream::Out => kept.stdout.push_str(line),
                    Stream::Err => kept.stderr.push_str(line),
                }
                Ok(())
            }
            (None, Stream::Out) => {
                let mut stdout = anstream::stdout();
                stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush())
            }
            (None, Stream::Err) => anstream::stderr().write_all(line.as_bytes()),
        }
    }

    /// Writes a line to standard error. Errors are dropped: there is nowhere left to report them.
    fn say(&self, text: std::fmt::Arguments<'_>) {
        drop(self.write(Stream::Err, &in_this_program(format!("{text}\n"))));
    }

    /// Writes a note to standard error, unless `--quiet`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say(format_args!("{text}"));
        }
    }

    /// Writes a note to standard error even with `--quiet`, because it is written only once.
    pub fn always(&self, text: impl Display) {
        self.say(format_args!("{text}"));
    }

    /// Writes a note of success to standard error, unless `--quiet`.
    pub fn good(&self, text: impl Display) {
        if !self.quiet {
            self.say(format_args!("{GOOD}{text}{GOOD:#}"));
        }
    }

    /// Writes an error to standard error, in the output's format.
    pub fn error(&self, error: &CommandError) {
        match self.format {
            Format::Json => self.say(format_args!("{}", error.to_json())),
            Format::Text => {
                self.say(format_args!("{BAD}error{BAD:#}: {}", error.message));
                if let Some(hint) = &error.hint {
                    self.say(format_args!(" {HINT}hint{HINT:#}: {hint}"));
                }
            }
        }
    }

    /// Formats a table. Cells are never wrapped, so that hashes and addresses can be copied in one piece.
    #[must_use]
    pub fn table(&self, headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(comfy_table::ContentArrangement::Disabled)
            .set_header(headings.iter().map(|heading| heading.to_uppercase()));
        for row in rows {
            table.add_row(row);
        }
        let text = table.to_string();
        let mut lines = text.lines().map(str::trim_end);
        let head = lines.next().unwrap_or_default();
        // Styled here, not by the table library, so that every colour goes through the stream that honours NO_COLOR.
        let mut styled = format!("{HEADING}{head}{HEADING:#}");
        for line in lines {
            styled.push('\n');
            styled.push_str(line);
        }
        styled
    }

    /// Shows a spinner until the result is dropped; only at a terminal.
    #[must_use]
    pub fn progress(&self, text: impl Into<String>) -> Progress {
        if self.quiet || self.is_json() || self.kept.is_some() || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner()).with_message(text.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }
}

/// A spinner, removed when dropped.
pub struct Progress(ProgressBar);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn unwritten(stream: Stream, error: &dyn Display) -> CommandError {
    CommandError::failure("output", format!("cannot write to {}: {error}", stream.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_long_values_in_one_piece() {
        let hash = "ab".repeat(32);
        let table = Output::default().table(&["name", "hash"], [vec!["alice".into(), hash.clone()], vec!["bob".into(), hash.clone()]]);
        assert_eq!(table.lines().count(), 3);
        assert_eq!(table.lines().filter(|line| line.contains(&hash)).count(), 2);
        assert!(table.contains("NAME"));
    }

    #[test]
    fn the_options_parse_and_default_to_text() {
        #[derive(Debug, clap::Parser)]
        struct Command {
            #[command(flatten)]
            output: OutputArgs,
        }
        use clap::{CommandFactory, Parser};
        Command::command().debug_assert();
        assert_eq!(Command::parse_from(["x"]).output.format, Format::Text);
        let json = Command::parse_from(["x", "-o", "json", "-q", "--color", "never"]).output;
        assert_eq!((json.format, json.quiet, json.color), (Format::Json, true, Color::Never));
    }
}
