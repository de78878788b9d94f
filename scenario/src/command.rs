//! `quorate sim run FILE` and `quorate sim scenario`: reads and runs scenario files and writes the results. Only this module touches files.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use quorate_terminal::{CommandError, Output, shell_word};
use serde::Serialize;

use super::{
    executor::run,
    outcome::{Check, Run, ScenarioReport, ValidatorEnd},
    place::FILE_BYTES_MAX,
    print::{TEMPLATE, toml},
    read::{Format, Imported, read},
};

/// Most attempts to find an unused directory name.
const NAMES_MAX: u32 = 10_000;

/// The formats, as named on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// This program's own format.
    Toml,
    /// The text file of Byzantine Chain Replication, 2017.
    Bcr,
    /// The `FailureConfig` of 2021, as a Python literal or JSON.
    FailureConfig,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Toml => Self::Toml,
            FormatName::Bcr => Self::Bcr,
            FormatName::FailureConfig => Self::FailureConfig,
        }
    }
}

/// How to read a scenario file.
#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    /// Format of the file [default: detected from its content].
    // The field must not be called `format`: the program has a global option of that id, for its output.
    #[arg(long = "format", value_name = "FORMAT", value_enum, requires = "file")]
    file_format: Option<FormatName>,
    /// Which case to use, from 1, if the file has several.
    #[arg(long, value_name = "NUMBER", requires = "file")]
    case: Option<usize>,
}

/// `quorate sim scenario`.
#[derive(Clone, Debug, Subcommand)]
pub enum ScenarioCommand {
    /// Print a commented scenario file to start from.
    New,
    /// Check a scenario file of any format without running it.
    Check {
        /// Scenario file.
        file: PathBuf,
        /// How to read it.
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Print a scenario file of any format as TOML.
    Convert {
        /// Scenario file.
        file: PathBuf,
        /// How to read it.
        #[command(flatten)]
        read: ReadArgs,
    },
}

#[derive(Serialize)]
struct Checked {
    name: String,
    description: String,
    validators: u16,
    clients: usize,
    failures: usize,
    triggers: usize,
    notes: Vec<String>,
}

impl ScenarioCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// The file cannot be read, or is not a valid scenario.
    pub fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::New => out.print(TEMPLATE, || TEMPLATE.into()),
            Self::Check { file, read } => {
                let Imported { scenario, notes } = load(&file, &read, out)?;
                let checked = Checked {
                    name: scenario.name,
                    description: scenario.description,
                    validators: scenario.validators,
                    clients: scenario.workloads.len(),
                    failures: scenario.failures.len(),
                    triggers: scenario.triggers.len(),
                    notes,
                };
                out.print(&checked, || {
                    let counts = format!(
                        "{}: {} validators, {} clients, {} failures, {} triggers",
                        plain(&checked.name),
                        checked.validators,
                        checked.clients,
                        checked.failures,
                        checked.triggers
                    );
                    std::iter::once(counts).chain(about(&checked.description)).collect::<Vec<_>>().join("\n")
                })
            }
            Self::Convert { file, read } => {
                let text = toml(&load(&file, &read, out)?.scenario);
                out.print(&text, || text.clone())
            }
        }
    }
}

/// `quorate sim run FILE`.
///
/// # Errors
/// `bad-scenario`: the file cannot be read or run. `scenario-failed`: a check failed. `output`: the results cannot be written.
pub fn run_file(file: &Path, args: &ReadArgs, seed: Option<u64>, dir: Option<&Path>, out: &Output) -> Result<(), CommandError> {
    let mut scenario = load(file, args, out)?.scenario;
    let seed = seed.or(scenario.seed).unwrap_or_else(|| {
        // 32 bits: easy to type, and exact in every JSON implementation.
        let seed = RandomState::new().hash_one("seed") >> 32;
        out.note(format_args!("the scenario has no seed; using {seed}"));
        seed
    });
    scenario.seed = Some(seed);
    let done = run(&scenario, seed).map_err(|error| CommandError::failure("bad-scenario", format_args!("{}: {error}", file.display())))?;
    let dir = new_dir(dir, &scenario.name)?;
    write(&dir, &toml(&scenario), &done)
        .map_err(|(path, error)| CommandError::failure("output", format_args!("cannot write {}: {error}", path.display())))?;
    let replay = replay(&dir);
    out.print(&done.report, || text(&done.report, &dir, &replay))?;
    if done.report.passed {
        Ok(())
    } else {
        Err(CommandError::failure("scenario-failed", &done.report.verdict).with_hint(format_args!("replay it with `{replay}`")))
    }
}

/// The command that replays a run: its directory holds the scenario with the seed.
fn replay(dir: &Path) -> String {
    format!("quorate sim run {}", shell_word(dir.join("scenario.toml")))
}

/// The `bad-scenario` error of a file.
pub fn bad(file: &Path, error: &dyn std::fmt::Display) -> CommandError {
    CommandError::failure("bad-scenario", format_args!("{}:{error}", file.display()))
}

/// Reads a scenario file of bounded length.
///
/// # Errors
/// It cannot be read, is too long, or is not UTF-8.
pub fn read_text(file: &Path) -> Result<String, CommandError> {
    let bad = |error: &dyn std::fmt::Display| bad(file, error);
    if file.is_dir() {
        return Err(bad(&" is a directory; name a scenario file in it"));
    }
    let unreadable = |error: std::io::Error| bad(&format!(" {error}; name a file that exists and is readable"));
    let mut bytes = Vec::new();
    // Bounded while reading: pipes and devices do not know their length.
    let bounded = fs::File::open(file).map_err(unreadable)?.take((FILE_BYTES_MAX as u64).saturating_add(1)).read_to_end(&mut bytes);
    if bounded.map_err(unreadable)? > FILE_BYTES_MAX {
        return Err(bad(&format!("1:1: the file is too long; at most {FILE_BYTES_MAX} bytes are read")));
    }
    String::from_utf8(bytes).map_err(|_| bad(&"1:1: the file is not UTF-8 text; save it as UTF-8"))
}

fn load(file: &Path, args: &ReadArgs, out: &Output) -> Result<Imported, CommandError> {
    let text = read_text(file)?;
    let mut imported = read(&text, args.file_format.map(Into::into), args.case).map_err(|error| bad(file, &error))?;
    if matches!(imported.scenario.name.as_str(), "scenario" | "bcr" | "failure-config") {
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        imported.scenario.name = stem.unwrap_or(imported.scenario.name);
    }
    for note in &imported.notes {
        out.note(note);
    }
    Ok(imported)
}

/// Creates a directory that does not exist yet: `wanted`, or one named after the scenario.
fn new_dir(wanted: Option<&Path>, name: &str) -> Result<PathBuf, CommandError> {
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot create the directory {}: {error}", path.display());
        CommandError::failure("output", message).with_hint("choose another one with --out; nothing is ever overwritten")
    };
    if let Some(path) = wanted {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        fs::create_dir(path).map_err(|error| failed(path, &error))?;
        return Ok(path.to_owned());
    }
    let slug: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' }).collect();
    let slug = slug.trim_matches('-').get(..slug.trim_matches('-').len().min(64)).unwrap_or("scenario").to_owned();
    let slug = if slug.is_empty() { "scenario".to_owned() } else { slug };
    for number in 1..=NAMES_MAX {
        let path = PathBuf::from(if number == 1 { slug.clone() } else { format!("{slug}-{number}") });
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    Err(failed(Path::new(&slug), &error))
}

fn write(dir: &Path, scenario: &str, run: &Run) -> Result<(), (PathBuf, std::io::Error)> {
    let make = |path: PathBuf| fs::create_dir(&path).map_err(|error| (path, error));
    let put = |path: PathBuf, text: String| fs::write(&path, text).map_err(|error| (path, error));
    let lines = |lines: &[String]| lines.iter().fold(String::new(), |text, line| text + line + "\n");
    make(dir.join("ledgers"))?;
    make(dir.join("logs"))?;
    for (id, ledger) in run.ledgers.iter().enumerate() {
        put(dir.join("ledgers").join(format!("ledger_{id}.txt")), lines(ledger))?;
    }
    for (name, log) in &run.logs {
        put(dir.join("logs").join(format!("{name}.log")), lines(log))?;
    }
    put(dir.join("failures.log"), lines(&run.failures))?;
    put(dir.join("scenario.toml"), scenario.to_owned())?;
    let report = serde_json::to_string_pretty(&run.report).map_err(|error| (dir.join("report.json"), error.into()))?;
    put(dir.join("report.json"), report + "\n")
}

/// A name or description in one line, without control characters, which could move a terminal's cursor.
fn plain(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The description as an indented line, unless it is empty.
fn about(description: &str) -> Option<String> {
    let line = plain(description);
    (!line.is_empty()).then(|| format!("  {line}"))
}

fn text(report: &ScenarioReport, dir: &Path, replay: &str) -> String {
    let mut lines = vec![format!("{}: {}", plain(&report.scenario), report.verdict)];
    lines.extend(about(&report.description));
    for Check { name, good, detail } in &report.checks {
        lines.push(format!("  {} {name:<18} {detail}", if *good { "ok  " } else { "FAIL" }));
    }
    lines.push(format!("  {:<9} {:<8} {:>7} {:>7} {:>9}", "validator", "role", "height", "round", "requests"));
    for ValidatorEnd { id, role, height, round, requests } in &report.validators {
        lines.push(format!("  {id:<9} {role:<8} {height:>7} {round:>7} {requests:>9}"));
    }
    let injected: Vec<String> = report.injected.iter().map(|(name, count)| format!("{name} {count}")).collect();
    lines.push(format!("injected: {}", if injected.is_empty() { "nothing".into() } else { injected.join(", ") }));
    lines.extend(report.never_struck.iter().map(|cause| format!("never struck: {cause}")));
    if !report.accused.is_empty() {
        lines.push(format!("evidence against validators {:?}", report.accused));
    }
    lines.push(format!(
        "{} rounds, {} of them given up, {} messages, {} refused, {} requests resent, longest wait {} ms, {} virtual ms",
        report.rounds,
        report.rounds_given_up,
        report.messages,
        report.refused,
        report.retransmissions,
        report.wait_ms_max,
        report.virtual_ms
    ));
    lines.push(format!("seed {}; ledgers, logs and failures.log are in {}; replay: `{replay}`", report.seed, dir.display()));
    lines.join("\n")
}
