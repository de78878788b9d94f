//! The book's commands: those of the quick start, of the way of a request, and of the chapters of docs/operating are run, in their order, as a
//! reader would run them.
//!
//! The blocks fenced as `sh` are one script; those fenced as `sh not-run` are left out. Blocks of output are fenced as `text`, and are not
//! compared: they show times and keys.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use quorate_tests::{kill_group, program, take_turn};

/// Longest run of a chapter, in seconds. Each wait in it is bounded by itself.
const SECONDS_MAX: &str = "240";

/// Run by `examples/counter/tests/guide.rs`, with the program of the example.
const RUN_ELSEWHERE: &str = "service.md";

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

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
    let script = commands(&fs::read_to_string(book().join(name).with_extension("md")).unwrap());
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

/// The fences that begin a block of commands, and commands in a block of output, with the numbers of their lines.
fn command_fences(chapter: &str) -> Vec<(usize, &str)> {
    let mut block = None;
    let mut fences = Vec::new();
    for (number, line) in chapter.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            block = block.is_none().then_some(info);
            if block.is_some() && matches!(info.split(' ').next(), Some("" | "sh" | "bash" | "shell" | "console")) {
                fences.push((number + 1, info));
            }
        } else if block == Some("text") && line.starts_with("quorate ") {
            fences.push((number + 1, line));
        }
    }
    fences
}

/// The pages of the book, by their paths from docs/.
fn pages(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path.strip_prefix(book()).unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn quick_start() {
    run("quick-start", 0);
}

#[test]
fn the_way_of_a_request() {
    run("request", 0);
}

#[test]
fn adding_a_member() {
    run("operating/adding-a-member", 0);
}

#[test]
fn losing_a_disk() {
    run("operating/losing-a-disk", 1);
}

#[test]
fn rotating_a_key() {
    run("operating/rotating-a-key", 0);
}

#[test]
fn upgrading() {
    run("operating/upgrading", 1);
}

#[test]
fn who_may_write() {
    run("operating/who-may-write", 4);
}

#[test]
fn every_command_is_run_or_says_that_it_is_not() {
    let here = include_str!("guide.rs");
    let mut wrong = Vec::new();
    for page in pages(&book()) {
        let is_run = page == RUN_ELSEWHERE || here.contains(&format!("run(\"{}\"", page.trim_end_matches(".md")));
        if page.starts_with("operating/") && !is_run {
            wrong.push(format!("docs/{page} is not run"));
        }
        let text = fs::read_to_string(book().join(&page)).unwrap();
        for (line, fence) in command_fences(&text).into_iter().filter(|(_, fence)| !(*fence == "sh not-run" || is_run && *fence == "sh")) {
            wrong.push(format!("docs/{page}:{line}: {fence}: fence commands as `sh` if a test runs them, otherwise as `sh not-run`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_marked_as_not_run_is_found() {
    let page = "```sh\nquorate version\n```\n```sh not-run\nmake\n```\n```text\n0.1.0\n```\n  ```console\n$ ls\n  ```\n```\nls\n```\n```text\nquorate version\n```\n";
    assert_eq!(command_fences(page), [(1, "sh"), (4, "sh not-run"), (10, "console"), (13, ""), (17, "quorate version")]);
    assert_eq!(commands(page), "quorate version\n");
}
