//! The four outcomes of a search are told apart: clean, found, out of time, broken. Shell scripts stand in for the simulator.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use quorate_zoo::search::{Finding, Outcome, Search};

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn script(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

// A single test: a script cannot be started while another thread's child still has it open for writing.
#[test]
fn a_search_ends_in_one_of_four_ways() {
    let worlds = Search::named("worlds").unwrap();
    // It gets the stretch to search and answers with a summary.
    let asked = "test \"$*\" = 'run --seed 7 --seeds 5 --until-first --quiet --output json' || exit 99";
    let clean = script("clean", &format!("{asked}\necho '{{\"seeds\":5,\"failures\":[]}}'"));
    let (outcome, seconds) = worlds.run(&clean, 7, 5, 10).unwrap();
    assert_eq!(outcome, Outcome::Clean);
    assert!((0.0..10.0).contains(&seconds));

    let violation = r#"{"invariant":"SAFE-1","what":"twice"}"#;
    let found = script(
        "found",
        &format!(
            "echo '{{\"seeds\":3,\"failures\":[{{\"replay\":\"quorate sim run --seed 9\",\"report\":{{\"violation\":{violation}}}}}]}}'\nexit 1"
        ),
    );
    let (outcome, _) = worlds.run(&found, 7, 5, 10).unwrap();
    let finding = Finding { scenario: 9, violation: "SAFE-1: twice".into(), replay: "quorate sim run --seed 9".into() };
    assert_eq!(outcome, Outcome::Found(finding));

    let busy = script("busy", "while true; do :; done");
    let (outcome, seconds) = worlds.run(&busy, 0, 1, 1).unwrap();
    assert_eq!(outcome, Outcome::OutOfTime);
    assert!(seconds > 0.5, "{seconds}");

    let broken = script("broken", "echo 'no such option' >&2\nexit 2");
    assert!(worlds.run(&broken, 0, 1, 10).unwrap_err().contains("no such option"));
    // A failing exit code without a finding is not a clean search either.
    let silent = script("silent", "echo '{\"seeds\":5,\"failures\":[]}'\nexit 1");
    assert!(worlds.run(&silent, 0, 5, 10).is_err());
}
