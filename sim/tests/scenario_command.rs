//! `quorate sim run FILE` as a user types it: what it writes, what it refuses, and that a run can be replayed.
#![cfg(feature = "command")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use quorate_sim::Command;
use quorate_terminal::{CommandError, OutputArgs};

#[derive(Debug, Parser)]
struct Program {
    /// Included because the real program adds these options to every command, and their names must not clash.
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

fn sim(arguments: &[&str]) -> Result<(), CommandError> {
    let Program { output, command } = Program::parse_from([&["sim", "-o", "json", "-q"], arguments].concat());
    command.run(&output.open())
}

/// An empty directory for this test.
#[expect(clippy::expect_used, reason = "a helper of tests")]
fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Left over from an earlier run, if it exists.
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).expect("a directory for this test");
    dir
}

fn scenario(name: &str) -> String {
    Path::new("../scenarios").join(name).display().to_string()
}

#[test]
fn a_run_leaves_ledgers_logs_failures_and_a_report_and_can_be_played_again() {
    let dir = scratch("scenario-run");
    let (first, second) = (dir.join("first"), dir.join("second"));
    sim(&["run", &scenario("chain-of-failures.toml"), "--out", first.to_str().unwrap()]).unwrap();
    let read = |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let ledger = read(first.join("ledgers/ledger_0.txt"));
    assert!(
        ledger.lines().any(|line| line.contains("author=") && line.contains("client 1 request 3: put('client 1','request 3') -> 'OK'"))
    );
    for id in 1..4 {
        assert_eq!(read(first.join(format!("ledgers/ledger_{id}.txt"))), ledger);
    }
    for name in ["validator_0", "validator_3", "client_0", "client_1"] {
        assert!(read(first.join(format!("logs/{name}.log"))).lines().count() > 5, "{name}");
    }
    let failures = read(first.join("failures.log"));
    assert_eq!(
        failures.lines().filter(|line| line.contains("failure 1 (line 10)") && line.contains("NoPropose")).count(),
        12,
        "{failures}"
    );

    let again = first.join("scenario.toml");
    sim(&["run", again.to_str().unwrap(), "--out", second.to_str().unwrap()]).unwrap();
    assert_eq!(read(first.join("report.json")), read(second.join("report.json")));

    let refused = sim(&["run", again.to_str().unwrap(), "--out", second.to_str().unwrap()]).unwrap_err();
    assert!(refused.message.contains("cannot create") && refused.hint.unwrap().contains("--out"));
}

#[test]
fn a_run_that_does_not_end_as_expected_fails_and_says_how_to_see_it_again() {
    let dir = scratch("scenario-failed");
    let text = fs::read_to_string(scenario("f-plus-one-silent.toml")).unwrap().replace("\"stalled\"", "\"committed\"");
    let file = dir.join("wrong.toml");
    fs::write(&file, text).unwrap();
    let failed = sim(&["run", file.to_str().unwrap(), "--out", dir.join("out").to_str().unwrap()]).unwrap_err();
    assert_eq!(failed.code, "scenario-failed");
    assert!(failed.message.contains("client 0 has 0 of 3 requests accepted"), "{}", failed.message);
    assert!(failed.hint.unwrap().contains("quorate sim run"));
}

#[test]
fn errors_of_files_name_the_file_line_column_and_fix() {
    let dir = scratch("scenario-errors");
    let file = dir.join("bad.toml");
    fs::write(&file, "validators = 4\nfaulti = 1\n").unwrap();
    let error = sim(&["scenario", "check", file.to_str().unwrap()]).unwrap_err().message;
    assert!(error.starts_with(&format!("{}:2:1: the file has no key `faulti`; ", file.display())), "{error}");
    let error = sim(&["run", dir.join("missing.toml").to_str().unwrap()]).unwrap_err().message;
    assert!(error.contains("name a file that exists"), "{error}");
    sim(&["scenario", "new"]).unwrap();
    sim(&["scenario", "convert", &scenario("failure-config/cases.py"), "--case", "5"]).unwrap();
}

#[test]
fn what_is_no_file_is_refused_with_a_word_on_what_to_name() {
    let dir = scratch("scenario-no-file");
    let error = sim(&["run", dir.to_str().unwrap()]).unwrap_err().message;
    assert!(error.contains("is a directory; name a scenario file in it"), "{error}");
    let rows = dir.join("rows.txt");
    fs::write(&rows, "t = 2\nclient_reqs = 3\n").unwrap();
    let error = sim(&["scenario", "check", rows.to_str().unwrap()]).unwrap_err().message;
    assert!(error.contains("for a file of 2017, use --format bcr"), "{error}");
    sim(&["scenario", "check", rows.to_str().unwrap(), "--format", "bcr"]).unwrap();
    // Endless files that report no length.
    let error = sim(&["scenario", "check", "/dev/zero"]).unwrap_err().message;
    assert!(error.contains("at most 1048576 bytes are read"), "{error}");
}

#[test]
fn the_report_says_what_the_scenario_is_for() {
    let dir = scratch("scenario-description").join("out");
    sim(&["run", &scenario("no-fault.toml"), "--out", dir.to_str().unwrap()]).unwrap();
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(dir.join("report.json")).unwrap()).unwrap();
    let described = fs::read_to_string(scenario("no-fault.toml")).unwrap();
    let said = report["description"].as_str().unwrap();
    assert!(!said.is_empty() && described.contains(said), "{said:?}");
}
