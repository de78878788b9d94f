//! The `quorate-zoo` program: lists and hunts planted bugs.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Parser, ValueEnum};
use quorate_zoo::{
    bug::Bug,
    hunt::{Hunt, hunt},
    report::{BugReport, Report, Unmodified, head},
    search::{Outcome, SEARCHES},
    workshop::{Simulator, Workshop},
};

/// Plants known bugs into a copy of the sources and shows that the simulator finds each of them.
#[derive(Debug, Parser)]
#[command(name = "quorate-zoo")]
enum Program {
    /// Hunt every bug, or the given ones.
    Hunt(HuntCommand),
    /// List the bugs and the searches.
    List,
}

#[derive(Debug, clap::Args)]
struct HuntCommand {
    /// Hunt only this bug; may be repeated.
    #[arg(long = "bug", value_name = "NUMBER")]
    bugs: Vec<u8>,
    /// CPU-seconds to search for each bug, all searches together.
    #[arg(long, value_name = "CPU-SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    budget: u32,
    /// Do not search the unmodified sources first. Findings are still checked against them.
    #[arg(long)]
    skip_unmodified: bool,
    /// Write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    #[default]
    Text,
    /// The report as JSON.
    Json,
}

fn main() -> ExitCode {
    let done = match Program::parse() {
        Program::Hunt(command) => command.run(),
        Program::List => list(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout: as told by cargo, or else the current directory.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), |package| Path::new(&package).join(".."))
}

fn bugs() -> Result<Vec<Bug>, String> {
    Bug::load_all(&root().join("zoo/bugs"))
}

fn list() -> Result<bool, String> {
    for bug in bugs()? {
        println!(
            "{:>2}  {}\n{}\n    Seen in: {}\n    Search expected to find it: {}\n",
            bug.number,
            bug.name,
            indented(&bug.what),
            bug.event,
            bug.expected
        );
    }
    for search in SEARCHES {
        println!("{:<9}  {}", search.name, search.what);
    }
    Ok(true)
}

fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

impl HuntCommand {
    /// Returns whether every bug was found and the unmodified sources violated no invariant.
    fn run(self) -> Result<bool, String> {
        let root = root()
            .canonicalize()
            .map_err(|error| format!("cannot find the sources ({error}); run it with cargo, or from the root of the checkout"))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let bugs = self.wanted()?;
        let commit = commit(&root);
        let workshop = Workshop::new(&root, &target)?;
        eprintln!("building the unmodified simulator; the first time, this compiles its dependencies");
        let unmodified = workshop.build(None)?;
        let plain = if self.skip_unmodified { Hunt::default() } else { hunt(&unmodified, self.budget)? };
        if let Some((search, finding)) = &plain.found {
            eprintln!(
                "the unmodified sources violate an invariant: {} in search {}\n    {}",
                finding.violation, search.name, finding.replay
            );
        }
        let mut reports = Vec::new();
        for bug in &bugs {
            let report = self.one(&workshop, &unmodified, bug)?;
            eprintln!("{}", report.line());
            reports.push(report);
        }
        let found = reports.iter().filter(|report| report.found_by.is_some()).count();
        let report = Report {
            commit,
            budget_cpu_seconds: self.budget,
            planted: reports.len(),
            found,
            unmodified: Unmodified::new(&plain),
            bugs: reports,
        };
        let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        if let Some(file) = &self.report {
            fs::write(file, format!("{json}\n")).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        match self.output {
            Format::Json => println!("{json}"),
            Format::Text => {
                println!("{}", head());
                report.bugs.iter().for_each(|bug| println!("{}", bug.line()));
                println!("{found} of {} bugs found", report.planted);
            }
        }
        Ok(found == report.planted && plain.found.is_none())
    }

    fn wanted(&self) -> Result<Vec<Bug>, String> {
        let all = bugs()?;
        if let Some(unknown) = self.bugs.iter().find(|number| !all.iter().any(|bug| bug.number == **number)) {
            return Err(format!("there is no bug {unknown}; `quorate-zoo list` lists them"));
        }
        Ok(all.into_iter().filter(|bug| self.bugs.is_empty() || self.bugs.contains(&bug.number)).collect())
    }

    fn one(&self, workshop: &Workshop, unmodified: &Simulator, bug: &Bug) -> Result<BugReport, String> {
        let simulator = workshop.build(Some(bug))?;
        let hunt = hunt(&simulator, self.budget)?;
        if let Some((search, finding)) = &hunt.found {
            // The same scenario must pass without the bug; otherwise it is not the bug that was found.
            let (outcome, _) = search.run(&unmodified.program, finding.scenario, 1, 600)?;
            if outcome != Outcome::Clean {
                return Err(format!("scenario {} of search {} fails without the bug too: {outcome:?}", finding.scenario, search.name));
            }
        }
        Ok(BugReport::new(bug, &simulator, &hunt))
    }
}

/// The commit of the sources, with `+` if files have changed since.
fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    git(&["rev-parse", "HEAD"]).map_or_else(|| "unknown".into(), |commit| if changed { format!("{commit}+") } else { commit })
}
