//! Where output goes: data to standard output, words for people to standard error.

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

use super::{failure::CommandError, json};

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object per command, or per line where a command goes on.
    Json,
}

/// Whether output is coloured.
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

/// The options that every command has.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct OutputArgs {
    /// How data is written to standard output.
    #[arg(short = 'o', long = "output", value_enum, default_value_t, global = true, value_name = "FORMAT")]
    pub format: Format,
    /// Say nothing on standard error but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to colour output.
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Color,
}

impl OutputArgs {
    /// The output that these options ask for. Sets the colours of the whole process.
    #[must_use]
    pub fn open(self) -> Output {
        match self.color {
            // anstream looks at the terminal, NO_COLOR and CLICOLOR itself.
            Color::Auto => anstream::ColorChoice::Auto.write_global(),
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Output { format: self.format, quiet: self.quiet, kept: None }
    }
}

/// Whether words for people on standard error are coloured: what `--color` and `NO_COLOR` say, and else whether it is a terminal.
#[must_use]
pub fn colors_errors() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Where a command writes to.
#[derive(Clone, Debug, Default)]
pub struct Output {
    format: Format,
    quiet: bool,
    /// Where the output goes instead of to the process's own streams.
    kept: Option<Arc<Mutex<Written>>>,
}

/// What a command has written, where it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Data.
    pub stdout: String,
    /// Words for people, errors included.
    pub stderr: String,
}

/// The two streams of a process.
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

    /// Whether what is written is thrown away. That is also how a stream looks that was closed when the process began: the standard library
    /// opens the null device in its place.
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
    /// An output of this form, for tests and programs of one's own.
    #[must_use]
    pub const fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet, kept: None }
    }

    /// An output that keeps what is written, for tests and programs of one's own.
    #[must_use]
    pub fn kept(format: Format) -> Self {
        Self { format, quiet: false, kept: Some(Arc::default()) }
    }

    /// What was written to an output that keeps it; nothing for any other.
    #[must_use]
    pub fn written(&self) -> Written {
        self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    /// Whether programs read the output.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes data to standard output: `value` as one line of JSON, or the text. A number above 2^53 is a text in JSON. An empty text writes
    /// nothing.
    ///
    /// # Errors
    /// Standard output cannot be written. A reader that has gone away (`| head`) is no error.
    pub fn print<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        match self.write(Stream::Out, &self.rendered(value, text)?) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(Stream::Out, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Shows what is shown this once and kept nowhere: as text to people on standard error, or `value` as one line of JSON on standard output.
    /// Whoever calls this may count on it that somebody had the chance to read it.
    ///
    /// # Errors
    /// It cannot be written, its reader has gone away, or it would go to the null device.
    pub fn reveal<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        let stream = if self.is_json() { Stream::Out } else { Stream::Err };
        let line = self.rendered(value, text)?;
        if self.kept.is_none() && stream.is_null() {
            return Err(CommandError::failure(
                "output",
                format!("{} is closed or thrown away, and this is shown only once", stream.name()),
            )
            .with_hint("run it at a terminal, or send the output to where you can read it"));
        }
        self.write(stream, &line).map_err(|error| unwritten(stream, &error))
    }

    fn rendered<T: Serialize + ?Sized>(&self, value: &T, text: impl FnOnce() -> String) -> Result<String, CommandError> {
        let mut line = match self.format {
            Format::Text => text(),
            Format::Json => json::line(value).map_err(|error| unwritten(Stream::Out, &error))?,
        };
        // A text without a character is nothing at all; an empty line has one.
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

    /// Standard error is the last place to complain at: when it is gone there is nobody to tell.
    fn say(&self, text: std::fmt::Arguments<'_>) {
        drop(self.write(Stream::Err, &format!("{text}\n")));
    }

    /// Says something to people, on standard error.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say(format_args!("{text}"));
        }
    }

    /// Says something to people that `--quiet` does not take away, because it is said only once.
    pub fn always(&self, text: impl Display) {
        self.say(format_args!("{text}"));
    }

    /// Says that something held, on standard error.
    pub fn good(&self, text: impl Display) {
        if !self.quiet {
            self.say(format_args!("{GOOD}{text}{GOOD:#}"));
        }
    }

    /// Says how a command failed, on standard error, in the form that was asked for.
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

    /// A table as text. Cells are never wrapped: hashes and addresses must stay in one piece to be copied.
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
        // Styled here and not by the table, so that every colour of the program goes through the one stream that knows NO_COLOR.
        let mut styled = format!("{HEADING}{head}{HEADING:#}");
        for line in lines {
            styled.push('\n');
            styled.push_str(line);
        }
        styled
    }

    /// A sign that something is going on, while it is going on; only for a person at a terminal.
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

/// Disappears when dropped.
pub struct Progress(ProgressBar);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn unwritten(stream: Stream, error: &dyn Display) -> CommandError {
    CommandError::failure("output", format!("{} cannot be written: {error}", stream.name()))
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
