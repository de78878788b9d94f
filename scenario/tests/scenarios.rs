//! The scenarios of the course, each with its expected verdict and what must have happened on the way to it.

use std::{collections::BTreeMap, fs, path::Path};

use quorate_harness::random::Random;
use quorate_scenario::{self as scenario, Format, Run, Scenario};

/// What must have happened in a run, so that a scenario cannot pass because its failures no longer occur.
type Seen = (&'static str, fn(&Run) -> bool);

const SEEN: &[Seen] = &[
    ("no-fault", |run| run.report.rounds_given_up == 0 && run.failures.is_empty()),
    ("several-clients", |run| run.report.requests == 20),
    ("proposal-drop-to-two", |run| run.report.rounds_given_up == 1 && injected(run, "MsgLoss") == 2),
    ("proposal-delay-two-faulty", |run| run.report.rounds_given_up >= 2 && injected(run, "Delay") == 12),
    ("proposal-drop-to-all-timeout-delay", |run| run.report.rounds_given_up == 1 && injected(run, "Delay") >= 9),
    ("vote-drop-from-f-plus-one", |run| injected(run, "MsgLoss") >= 2),
    ("set-attr-current-round", |run| run.report.refused > 0),
    ("set-attr-future-round", |run| injected(run, "SetAttr") > 0),
    ("set-attr-highest-vote-round", |run| run.report.accused == [3]),
    ("set-attr-high-qc-round", |run| run.report.refused > 0 && run.report.rounds_given_up > 0),
    ("set-attr-forged-certificate", |run| run.report.refused > 0),
    ("proposal-drop-twice", |run| injected(run, "MsgLoss") == 2),
    ("vote-delay-twice", |run| injected(run, "Delay") >= 4),
    ("probabilistic-drop", |run| run.report.requests == 20 && injected(run, "MsgLoss") > 20),
    ("unavailable-leader", |run| run.report.rounds_given_up == 1 && injected(run, "NoPropose") == 3),
    ("silent-validator", |run| run.report.rounds_given_up > 1),
    ("chain-of-failures", |run| run.report.rounds_given_up == 4),
    ("chain-of-mixed-failures", |run| run.report.rounds_given_up >= 2),
    ("f-plus-one-silent", |run| run.ledgers.iter().all(Vec::is_empty) && run.report.retransmissions > 5),
    ("too-few-validators", |run| run.ledgers.iter().all(Vec::is_empty) && run.report.retransmissions > 5),
    ("stalls-in-the-middle", |run| run.report.accepted > 0),
    ("retransmission", |run| run.report.retransmissions >= 10),
    ("lost-requests-and-answers", |run| run.report.retransmissions > 0),
    ("crash-and-restart", |run| run.report.crashes > 2),
    ("crash-for-ever", |run| run.report.validators.iter().any(|validator| validator.role == "crashed")),
    ("perform900", |run| run.report.requests == 900 && run.report.retransmissions == 0),
    ("stress", |run| run.report.requests == 100 && run.report.crashes == 1 && injected(run, "Delay") > 10),
    ("result-verify", |run| run.report.requests == 103 + 53 + 9),
    ("lying-validator", |run| run.report.injected.len() == 10 && run.report.refused > 0),
    ("equivocating-leader", |run| injected(run, "change_operation") == 5 && logged(run, "fetched: ")),
    ("own-keys", |run| run.report.accepted == 9),
    ("bcr/no-failure", |run| run.report.accepted == 6),
    ("bcr/change-result", |run| run.report.injected.len() == 3 && run.report.refused > 0),
    ("bcr/crash-and-sleep", |run| run.report.crashes == 1 && injected(run, "sleep") + injected(run, "truncate_history") == 2),
    ("bcr/config2", |run| run.report.requests == 18),
    ("bcr/faulty-client", |run| run.report.refused == 4 && run.report.retransmissions >= 1 && run.report.accepted == 8),
    ("bcr/timeouts-with-commits", |run| run.report.rounds_given_up > 0 && run.report.accepted == 8),
    ("bcr/timeouts-without-commits", |run| run.report.rounds_given_up > 5 && run.ledgers.iter().all(Vec::is_empty)),
    ("bcr/votes-lost", |run| injected(run, "MsgLoss") > 10 && run.report.accepted == 20),
    ("bcr/votes-late", |run| injected(run, "Delay") > 10 && run.report.accepted == 20),
    ("bcr/two-faulty-roles", |run| injected(run, "change_operation") == 1 && injected(run, "change_result") == 1),
    ("failure-config/proposal-loss", |run| run.report.rounds_given_up > 0 && run.report.seed == 123_456_789),
    ("failure-config/cases#1", |run| run.failures.is_empty()),
    ("failure-config/cases#2", |run| injected(run, "MsgLoss") > 0),
    ("failure-config/cases#3", |run| injected(run, "Delay") > 0),
    ("failure-config/cases#4", |run| injected(run, "Delay") > 3),
    ("failure-config/cases#5", |run| injected(run, "SetAttr") > 0),
    ("failure-config/spellings#1", |run| injected(run, "MsgLoss") > 0 && run.report.rounds_given_up > 0),
    ("failure-config/spellings#2", |run| injected(run, "MsgLoss") == 3 && injected(run, "Delay") > 0),
    ("failure-config/spellings#3", |run| injected(run, "SetAttr") > 0),
    ("failure-config/set-attr", |run| run.report.accused == [3]),
    ("failure-config/probabilistic", |run| run.failures.len() > 1),
];

fn logged(run: &Run, what: &str) -> bool {
    run.logs.values().flatten().any(|line| line.contains(what))
}

fn injected(run: &Run, name: &str) -> u64 {
    run.report.injected.get(name).copied().unwrap_or_default()
}

/// Every scenario file of the tree by name, with its format.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn all() -> BTreeMap<String, (Format, Scenario)> {
    let root = Path::new("../scenarios");
    let mut found = BTreeMap::new();
    for (dir, format) in [("", Format::Toml), ("bcr", Format::Bcr), ("failure-config", Format::FailureConfig)] {
        for entry in fs::read_dir(root.join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(scenario::detect(&text), format, "{}", path.display());
            let stem = path.file_stem().unwrap().to_string_lossy();
            let name = if dir.is_empty() { stem.into_owned() } else { format!("{dir}/{stem}") };
            match scenario::read(&text, None, None) {
                Ok(imported) => drop(found.insert(name, (format, imported.scenario))),
                Err(error) if error.fix.contains("--case") => {
                    for case in (1..).take_while(|case| scenario::read(&text, None, Some(*case)).is_ok()) {
                        let imported = scenario::read(&text, None, Some(case)).unwrap();
                        found.insert(format!("{name}#{case}"), (format, imported.scenario));
                    }
                }
                Err(error) => panic!("{}:{error}", path.display()),
            }
        }
    }
    found
}

#[test]
fn every_scenario_ends_as_it_expects() {
    let scenarios = all();
    let known: Vec<&str> = SEEN.iter().map(|(name, _)| *name).collect();
    for name in scenarios.keys() {
        assert!(known.contains(&name.as_str()), "SEEN has no entry for {name}; add what must happen in it");
    }
    let mut failed = Vec::new();
    for (name, seen) in SEEN {
        let (_, wanted) = scenarios.get(*name).unwrap_or_else(|| panic!("no scenario {name}"));
        let run = scenario::run(wanted, wanted.seed.unwrap_or(1)).unwrap();
        println!("{name}: {}", run.report.verdict);
        if !run.report.passed || !seen(&run) || !run.report.never_struck.is_empty() {
            failed.push(format!("{name}: {:#?}\n{}", run.report, run.failures.join("\n")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn the_template_runs_as_it_is() {
    let imported = scenario::read(scenario::TEMPLATE, None, None).unwrap();
    let run = scenario::run(&imported.scenario, 1).unwrap();
    assert!(run.report.passed, "{}", run.report.verdict);
    assert_eq!(injected(&run, "MsgLoss") + injected(&run, "drop_result_stmt"), 2, "{:?}", run.failures);
}

#[test]
fn a_scenario_with_one_seed_is_one_run() {
    let (_, scenario) = all().remove("probabilistic-drop").unwrap();
    let runs: Vec<Run> = [4, 4, 5].map(|seed| scenario::run(&scenario, seed).unwrap()).into();
    assert_eq!((&runs[0].report, &runs[0].logs, &runs[0].failures), (&runs[1].report, &runs[1].logs, &runs[1].failures));
    assert_ne!(runs[0].failures, runs[2].failures);
}

#[test]
fn every_scenario_is_the_same_after_it_was_written_and_read_again() {
    for (name, (_, scenario)) in all() {
        let text = scenario::toml(&scenario);
        let again = scenario::read(&text, None, None).unwrap_or_else(|error| panic!("{name}: {error}\n{text}")).scenario;
        let without_lines = |mut scenario: Scenario| {
            scenario.failures.iter_mut().for_each(|rule| rule.line = 0);
            scenario.triggers.iter_mut().for_each(|trigger| trigger.line = 0);
            scenario
        };
        assert_eq!(without_lines(again), without_lines(scenario), "{name}");
    }
}

#[test]
fn no_text_crashes_a_reader_and_every_error_has_a_place() {
    let root = Path::new("../scenarios");
    let files = [
        "chain-of-failures.toml",
        "lying-validator.toml",
        "bcr/change-result.txt",
        "failure-config/cases.py",
        "failure-config/set-attr.json",
    ];
    let mut texts: Vec<String> = files.iter().map(|file| fs::read_to_string(root.join(file)).unwrap()).collect();
    texts.push(scenario::TEMPLATE.into());
    let snippets = [
        "[",
        "]",
        "{",
        "(",
        ")",
        "'",
        "\"",
        "\\",
        "=",
        ",",
        ";",
        "#",
        "-1",
        "1e9",
        "99999999999999999999",
        "_",
        "\n",
        "\0",
        "ä",
        "𝄞",
        "leader",
        "failures[",
        "Failure(",
    ];
    let formats = [None, Some(Format::Toml), Some(Format::Bcr), Some(Format::FailureConfig)];
    let (mut random, mut refused, mut read) = (Random::new(1), 0, 0);
    for _ in 0..2_000 {
        let mut text: Vec<char> = random.pick(&texts).unwrap().chars().collect();
        for _ in 0..random.between(1, 6) {
            let at = random.index(text.len() + 1);
            let until = (at + random.index(40)).min(text.len());
            match random.below(3) {
                0 => drop(text.drain(at..until)),
                1 => text.truncate(at),
                _ => {
                    let snippet: Vec<char> = random.pick(&snippets).unwrap().chars().collect();
                    text.splice(at..at, snippet);
                }
            }
        }
        let text: String = text.into_iter().collect();
        for format in formats {
            match scenario::read(&text, format, Some(1)) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(
                        error.place.line >= 1 && error.place.column >= 1 && !error.what.is_empty() && !error.fix.is_empty(),
                        "{error}\n{text}"
                    );
                    assert!(error.place.line <= text.lines().count() + 1, "{error}\n{text}");
                }
            }
        }
    }
    assert!(refused > 1_000 && read > 100, "{refused} {read}");
}

/// This would take minutes if each position were counted from the beginning of the file.
#[test]
fn long_files_of_every_format_are_read_in_no_time() {
    let mut rows: Vec<String> = (0..60_000).map(|number| format!("mine{number} = 1")).collect();
    rows.push("client_reqs = 1".into());
    let rows = rows.join("\n");
    let imported = scenario::read(&rows, Some(Format::Bcr), None).unwrap();
    assert!(imported.notes.contains(&"60000:1: unknown row `mine59999` ignored".to_owned()));
    let rule = "[[failures]]\nfail_type=\"MsgLoss\"\n";
    let error = scenario::read(&rule.repeat(30_000), Some(Format::Toml), None).unwrap_err();
    assert!(error.to_string().contains("30000 failures, at most 1000"), "{error}");
    let values = format!("[{}]", vec!["{}"; 190_000].join(","));
    let error = scenario::read(&values, Some(Format::FailureConfig), None).unwrap_err();
    assert!(error.to_string().contains("the file has no failures"), "{error}");
}

/// A power cut may lose commits that clients have already heard of. The run continues until the restarted validator has them again.
#[test]
fn whoever_restarts_at_the_end_of_a_run_gets_back_what_it_lost() {
    let (mut failed, mut lost) = (Vec::new(), 0);
    for (kind, round, seed) in
        ["Vote", "Response", "Gossip"].iter().flat_map(|kind| (1..=14).flat_map(move |round| (1..=4).map(move |seed| (*kind, round, seed))))
    {
        let text = format!("requests = 2\n[[failures]]\nsrc = 1\nmsg_type = \"{kind}\"\nround = {round}\nfail_type = \"Crash\"\nval = 2\n");
        let wanted = scenario::read(&text, None, None).unwrap().scenario;
        let run = scenario::run(&wanted, seed).unwrap();
        lost += run.report.lost_writes;
        if !run.report.passed {
            failed.push(format!("{kind} of round {round}, seed {seed}: {}", run.report.verdict));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(lost > 0, "no power cut lost anything");
}

#[test]
fn a_case_that_there_is_not_is_refused_in_every_format() {
    let case = "FailureConfig([], 0)";
    for (text, format, number) in [
        (case, Format::FailureConfig, 0),
        (case, Format::FailureConfig, 2),
        ("requests = 1\n", Format::Toml, 0),
        ("requests = 1\n", Format::Toml, 2),
        ("client_reqs = 1\n", Format::Bcr, 2),
    ] {
        let error = scenario::read(text, Some(format), Some(number)).unwrap_err().to_string();
        assert!(error.contains(&format!("there is no case {number}; ")), "{format:?}: {error}");
        assert!(scenario::read(text, Some(format), Some(1)).is_ok(), "{format:?}");
    }
}
