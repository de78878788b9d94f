//! All searches share one harness: each concern is handled in one place.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::{fs, path::Path};

/// The crates of the simulator.
const CRATES: [&str; 4] = ["harness", "playground", "scenario", "sim"];

/// The simulator's source files whose code, without tests, contains one of these texts.
fn naming(texts: &[&str]) -> Vec<String> {
    fn walk(directory: &Path, texts: &[&str], found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, texts, found);
            } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                if texts.iter().any(|wanted| code.contains(wanted)) {
                    found.push(path.strip_prefix("..").unwrap().display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    for one in CRATES {
        walk(&Path::new("..").join(one).join("src"), texts, &mut found);
    }
    found.sort();
    found
}

#[test]
fn only_a_machine_of_the_harness_opens_feeds_and_polls_a_replica() {
    assert_eq!(
        naming(&["Replica::open(", "Replica::resume(", "replica.poll(", "replica.push(", "ReplicaConfig {"]),
        ["harness/src/machine.rs"]
    );
}

/// These files carry, describe, forge and falsify it. No other code depends on the kind of an answer.
#[test]
fn a_kind_of_message_is_named_where_it_is_told_of_and_where_somebody_makes_one() {
    let expected = [
        "harness/src/contents.rs",
        "harness/src/describe.rs",
        "playground/src/words.rs",
        "sim/src/byzantine/mutator.rs",
        "sim/src/byzantine/syncing.rs",
        "sim/src/forge.rs",
    ];
    assert_eq!(naming(&["CatchupResponse"]), expected);
}
