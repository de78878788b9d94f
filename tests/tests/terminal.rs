//! The program at a terminal and in a pipe.

#![cfg(target_os = "linux")]

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use quorate_tests::{program, quorate};

/// A shell on a pseudo-terminal, made by `script` of util-linux.
struct Terminal {
    process: Child,
    shown: String,
}

impl Terminal {
    fn run(commands: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["--quiet", "--command", commands, "/dev/null"]).env("SHELL", "/bin/sh").env_remove("NO_COLOR").env("TERM", "xterm");
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("util-linux has `script`");
        Self { process, shown: String::new() }
    }

    /// Reads until this text is shown.
    fn until(&mut self, text: &str) {
        let mut byte = [0];
        let stdout = self.process.stdout.as_mut().unwrap();
        while !self.shown.contains(text) {
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it ended before {text:?}: {}", self.shown);
            self.shown.push(char::from(byte[0]));
        }
    }

    fn type_keys(&mut self, keys: &[u8]) {
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(keys).and_then(|()| stdin.flush()).unwrap();
    }

    /// Reads to the end, and returns everything shown.
    fn finish(mut self) -> String {
        let mut rest = Vec::new();
        self.process.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        self.process.wait().unwrap();
        self.shown + &String::from_utf8_lossy(&rest)
    }
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[test]
fn ctrl_c_at_a_passphrase_prompt_leaves_the_terminal_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let keygen = format!("{} keygen validator --home {}", quoted(&program()), quoted(home.path()));
    let mut terminal = Terminal::run(&format!("{keygen}; echo code=$?; stty -a"));
    terminal.until("New passphrase");
    terminal.type_keys(b"half a pass\x03");
    let shown = terminal.finish();
    assert!(shown.contains("code=130"), "{shown}");
    let settings: Vec<_> = shown.split(|character: char| character.is_whitespace() || character == ';').collect();
    for setting in ["echo", "icanon", "isig"] {
        assert!(settings.contains(&setting), "{setting} is off: {shown}");
    }
    assert!(!shown.contains("half"), "{shown}");
    assert!(!home.path().join("keys/validator.key").exists());
}

#[test]
fn a_passphrase_is_taken_from_the_terminal_with_its_corrections() {
    let home = tempfile::tempdir().unwrap();
    let keygen = format!("{} keygen validator --home {}", quoted(&program()), quoted(home.path()));
    let mut terminal = Terminal::run(&format!("{keygen}; echo code=$?"));
    terminal.until("New passphrase");
    terminal.type_keys("früx\u{7f}h\r".as_bytes());
    terminal.until("Repeat the passphrase");
    terminal.type_keys("früh\r".as_bytes());
    let shown = terminal.finish();
    assert!(shown.contains("code=0"), "{shown}");
    let key = home.path().join("keys/validator.key");
    let source = |passphrase: &str| quorate_keygen::PassphraseSource::Given(passphrase.to_owned().into());
    quorate_keygen::load_validator_key(&key, &source("früh")).unwrap();
}

#[test]
fn the_dashboard_leaves_the_terminal_as_it_was() {
    // Nobody answers at this port, which the dashboard has to say.
    let monitor = format!("{} monitor --node http://127.0.0.1:1", quoted(&program()));
    for (leave, code) in [("q", "code=0"), ("\u{1b}", "code=0"), ("\u{3}", "code=130")] {
        let mut terminal = Terminal::run(&format!("stty rows 24 cols 80; {monitor}; echo code=$?; stty -a"));
        terminal.until("refused");
        terminal.type_keys(leave.as_bytes());
        let shown = terminal.finish();
        let (dashboard, after) = shown.split_once("\u{1b}[?1049l").expect("it leaves the alternate screen");
        assert!(dashboard.contains("\u{1b}[?1049h") && dashboard.ends_with("\u{1b}[?25h"), "{shown}");
        assert!(after.contains(code), "{shown}");
        let settings: Vec<_> = after.split(|character: char| character.is_whitespace() || character == ';').collect();
        for setting in ["echo", "icanon", "isig"] {
            assert!(settings.contains(&setting), "{setting} is off: {shown}");
        }
    }
}

#[test]
fn a_dashboard_that_is_stopped_leaves_the_terminal_as_it_was() {
    let monitor = format!("{} monitor --node http://127.0.0.1:1", quoted(&program()));
    for signal in ["INT", "TERM", "HUP"] {
        let mut terminal =
            Terminal::run(&format!("stty rows 24 cols 80; sh -c 'echo pid=$$.; exec \"$@\"' sh {monitor}; echo code=$?; stty -a"));
        terminal.until("refused");
        let pid = terminal.shown.split_once("pid=").and_then(|(_, rest)| rest.split_once('.')).expect("the shell's number").0.to_owned();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let shown = terminal.finish();
        let after = shown.split_once("\u{1b}[?1049l").expect("it leaves the alternate screen").1;
        assert!(after.contains("code=130") && after.contains(" icanon") && !after.contains("-icanon"), "{signal}: {shown}");
    }
}

#[test]
fn a_monitor_for_programs_ends_with_its_reader() {
    let mut monitor = Command::new(program());
    monitor.args(["monitor", "-o", "json", "--node", "http://127.0.0.1:1"]).stdout(Stdio::piped());
    let mut monitor = monitor.spawn().unwrap();
    drop(monitor.stdout.take());
    assert!(monitor.wait().unwrap().success());
}

#[test]
fn whoever_follows_a_log_ends_with_its_reader() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net");
    let path = path.to_str().unwrap();
    quorate(&["localnet", "create", "-n", "1", "--dir", path]).ok();
    let mut follower = Command::new(program());
    let mut follower = follower.args(["localnet", "logs", "--follow", "--dir", path]).stdout(Stdio::piped()).spawn().unwrap();
    // Nothing is ever written, so only a check of the pipe can notice.
    drop(follower.stdout.take());
    assert!(follower.wait().unwrap().success());
}

#[test]
fn a_log_is_coloured_at_a_terminal_unless_somebody_wants_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net");
    quorate(&["localnet", "create", "-n", "1", "--dir", path.to_str().unwrap()]).ok();
    let run = |environment: &str, option: &str| {
        let node = format!("exec env {environment} {} {option} node run --home {}", quoted(&program()), quoted(&path.join("validator-1")));
        let mut terminal = Terminal::run(&node);
        terminal.until("INFO");
        terminal.type_keys(b"\x03");
        terminal.finish()
    };
    assert!(run("", "").contains('\u{1b}'));
    for (environment, option) in [("NO_COLOR=1", ""), ("", "--color never")] {
        let shown = run(environment, option);
        assert!(!shown.contains('\u{1b}'), "{environment} {option}: {shown}");
    }
}
