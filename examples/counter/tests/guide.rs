//! docs/service.md is true: its code is that of the example, and its commands are run.

use std::{
    path::Path,
    process::{Command, Stdio},
};

const PAGE: &str = include_str!("../../../docs/service.md");

/// The code blocks of the page: the words after the fence, and the text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut parts = PAGE.split("```");
    let mut blocks = Vec::new();
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        blocks.push(block.split_once('\n').unwrap_or_else(|| panic!("no line ends the fence of {block}")));
    }
    blocks
}

#[test]
fn the_code_of_the_page_is_the_code_of_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut shown = 0;
    for (fence, text) in blocks() {
        let Some(path) = fence.strip_prefix("rust ") else { continue };
        let file = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(text, file, "docs/service.md does not show the current {path}");
        shown += 1;
    }
    assert_eq!(shown, 4);
}

#[test]
fn the_commands_of_the_page_work() {
    // One network of processes at a time.
    let turn = std::fs::OpenOptions::new().create(true).append(true).open(std::env::temp_dir().join("quorate-tests.lock")).unwrap();
    turn.lock().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_counter"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for (fence, text) in blocks() {
        if fence != "sh" {
            continue;
        }
        let directory = std::env::temp_dir().join(format!("quorate-guide-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let run = |script: &str| {
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail", "-c", script]).env("PATH", &path).current_dir(&directory).stdin(Stdio::null());
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUORATE_")) {
                command.env_remove(name);
            }
            command.output().unwrap()
        };
        let ran = run(text);
        drop(run("counter localnet destroy --dir net 2>/dev/null"));
        std::fs::remove_dir_all(&directory).unwrap();
        let (said, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{said}\n{errors}");
        // `invoke 5`, `invoke 0`, `query`; `invoke 7` without the second validator; `1` and `? null` in the session.
        let answers: Vec<&str> = said.lines().filter(|line| line.parse::<u64>().is_ok()).collect();
        assert_eq!(answers, ["5", "5", "5", "12", "13", "13"], "{said}\n{errors}");
    }
}
