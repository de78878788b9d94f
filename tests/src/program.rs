//! The program under test.

use std::{
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The exit status and output of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one JSON object on standard output.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that the command succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Path of the program: `QUORATE`, or else next to the tests, where cargo puts it.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATE") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test knows where it is");
    let path = test.ancestors().nth(2).expect("target/release/deps/test").join("quorate");
    assert!(path.is_file(), "{} is missing: run `cargo build --release --package quorate-cli`, or set QUORATE", path.display());
    path
}

/// The program with fault injection, next to the regular one; built by `make faults`.
pub fn program_with_faults() -> PathBuf {
    let path = program().with_file_name("quorate-faults");
    assert!(path.is_file(), "{} is missing: run `make faults`", path.display());
    path
}

/// The library that fakes a process's wall clock, from Debian's package libfaketime.
pub(crate) fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("there is a /usr/lib").flatten().map(|entry| entry.path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.expect("libfaketime is missing; the tests of wrong clocks need it: apt-get install libfaketime")
}

/// The program with these arguments, and without the parts of the user's environment that would affect it.
pub(crate) fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUORATE_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end.
pub fn quorate(arguments: &[&str]) -> Ran {
    run(&program(), arguments)
}

/// Like [`quorate`], with these environment variables.
pub fn quorate_with(arguments: &[&str], variables: &[(&str, String)]) -> Ran {
    let mut command = command(&program(), arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    ran(command)
}

/// Runs one of the two programs to its end.
pub fn run(program: &Path, arguments: &[&str]) -> Ran {
    ran(command(program, arguments))
}

/// Like [`run`], with lines on standard input.
pub fn run_with_input(program: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("the input can be written");
    let mut command = command(program, arguments);
    command.stdin(file);
    ran(command)
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().expect("the program can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
