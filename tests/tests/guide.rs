//! The chapters of docs/operating: every command in them is run, in their order, as an operator would run it.
//!
//! The blocks fenced as `sh` are one script. Blocks of output are fenced as `text`, and are not compared: they show times and keys.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use quorate_tests::{kill_group, program, take_turn};

/// Longest run of a chapter, in seconds. Each wait in it is bounded by itself.
const SECONDS_MAX: &str = "240";

/// The commands of a chapter.
fn commands(chapter: &str) -> String {
    let mut is_command = false;
    let mut script = String::new();
    for line in chapter.lines() {
        if let Some(language) = line.strip_prefix("```") {
            is_command = language == "sh";
        } else if is_command {
            script.extend([line, "\n"]);
        }
    }
    script
}

/// Runs a chapter in an empty directory. `failing` of its commands must fail: the chapter says so, and goes on.
fn run(name: &str, failing: usize) {
    let _turn = take_turn();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating").join(name).with_extension("md");
    let script = commands(&fs::read_to_string(path).unwrap());
    assert!(script.contains("quorate localnet start") && script.contains("quorate localnet destroy"), "{name}");
    let directory = tempfile::tempdir().unwrap();
    let (work, tools) = (directory.path().join("work"), directory.path().join("bin"));
    fs::create_dir(&work).unwrap();
    fs::create_dir(&tools).unwrap();
    symlink(program(), tools.join("quorate")).unwrap();
    let [script_path, log_path] = ["script", "log"].map(|name| directory.path().join(name));
    fs::write(&script_path, script).unwrap();
    let log = File::create(&log_path).unwrap();
    let mut command = Command::new("timeout");
    command.args([SECONDS_MAX, "bash", "-c", "set -euo pipefail; source \"$1\"", "bash"]).arg(&script_path).current_dir(&work);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUORATE")) {
        command.env_remove(name);
    }
    command.env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()));
    let mut child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let status = child.wait().unwrap();
    // What a chapter that failed has left running.
    if work.join("net").exists() {
        drop(Command::new(program()).args(["localnet", "destroy", "--dir"]).arg(work.join("net")).output());
    }
    kill_group(child.id());
    let log = String::from_utf8_lossy(&fs::read(&log_path).unwrap()).into_owned();
    assert!(status.success(), "{name}: {status}\n{log}");
    let failed = log.lines().filter(|line| *line == "refused" || line.starts_with("failed with exit code ")).count();
    assert_eq!(failed, failing, "{name}: commands that must fail\n{log}");
}

#[test]
fn adding_a_member() {
    run("adding-a-member", 0);
}

#[test]
fn losing_a_disk() {
    run("losing-a-disk", 1);
}

#[test]
fn rotating_a_key() {
    run("rotating-a-key", 0);
}

#[test]
fn who_may_write() {
    run("who-may-write", 4);
}

#[test]
fn every_chapter_is_run() {
    let here = include_str!("guide.rs");
    for chapter in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating")).unwrap() {
        let name = chapter.unwrap().path().with_extension("").file_name().unwrap().to_str().unwrap().to_owned();
        assert!(here.contains(&format!("run(\"{name}\"")), "{name}");
    }
}
