//! The playground's scripts print their expected transcripts, and no input line does harm.
//!
//! `UPDATE_TRANSCRIPTS=1` rewrites the expected transcripts; review the difference before you commit it.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use quorate_playground::{Options, Session, transcript};

fn scripts() -> Vec<PathBuf> {
    let files = fs::read_dir("scripts").unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|extension| extension == "play")).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_script_prints_its_transcript() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let scripts = scripts();
    // The four walkthroughs and the seven cases of the superseded demo, and the new scripts.
    assert!(scripts.len() >= 15, "{scripts:?}");
    for script in scripts {
        let (text, failed) = transcript(&fs::read_to_string(&script).unwrap(), Options::default()).unwrap();
        assert_eq!(failed, None, "{} is refused at this line:\n{text}", script.display());
        let expected = script.with_extension("expected");
        if update {
            fs::write(&expected, &text).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        let differs = text.lines().zip(expected.lines()).position(|(ours, theirs)| ours != theirs);
        assert!(
            text == expected,
            "{} differs from its transcript, first at line {:?} of:\n{text}\nUPDATE_TRANSCRIPTS=1 rewrites the expected transcript",
            script.display(),
            differs.map(|line| line + 1),
        );
    }
}

/// The manual with all program output regenerated: the session blocks, with a new session for each section, and the reference.
fn manual_as_it_should_be(manual: &str) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut session = Session::open(Options::default(), false).unwrap();
    let (mut in_block, mut in_reference) = (false, false);
    for line in manual.lines() {
        if line.starts_with("## ") {
            session = Session::open(Options::default(), false).unwrap();
        }
        in_reference &= line != "<!-- end of reference -->";
        in_block &= line != "```";
        if !in_reference && (!in_block || line.starts_with("> ")) {
            text.push(line.to_owned());
        }
        if let Some(command) = line.strip_prefix("> ").filter(|_| in_block) {
            text.extend(session.execute(command).all_lines().into_iter().map(|line| line.text));
        }
        if line == "<!-- reference -->" {
            in_reference = true;
            text.extend([String::new(), "```text".into()]);
            for entry in session.execute("help").lines {
                let name = entry.text.split(' ').next().unwrap_or_default().to_owned();
                text.extend(session.execute(&format!("help {name}")).lines.into_iter().map(|line| line.text));
            }
            text.extend(["```".into(), String::new()]);
        }
        in_block |= line == "```quorate";
    }
    text.join("\n") + "\n"
}

#[test]
fn the_manual_shows_what_the_program_says() {
    let file = "../docs/playground.md";
    let manual = fs::read_to_string(file).unwrap();
    let anew = manual_as_it_should_be(&manual);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(file, &anew).unwrap();
    } else {
        assert!(manual == anew, "docs/playground.md does not match the program's output; UPDATE_TRANSCRIPTS=1 rewrites it");
    }
    assert!(!anew.contains("\nerror: "), "a command of the manual is refused");
    assert!(anew.matches("```quorate").count() >= 10 && anew.contains("\nlie NODE to PEER"));
}

#[test]
fn with_ascii_nothing_else_is_written() {
    let mut session = Session::open(Options { ascii: true, ..Options::default() }, false).unwrap();
    let mut arrows = 0;
    for script in scripts() {
        session.execute("reset 4");
        for line in fs::read_to_string(script).unwrap().lines() {
            for line in session.execute(line).all_lines() {
                assert!(line.text.is_ascii(), "{}", line.text);
                arrows += line.text.matches("->").count();
            }
        }
    }
    assert!(arrows > 20, "{arrows}");
}

/// What a session shows of its network.
fn views(session: &mut Session) -> String {
    let mut text = String::new();
    for line in ["status", "messages", "tree all", "quorum", "txs", "explain", "checkpoint"] {
        for line in session.execute(line).all_lines() {
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    text
}

fn after(lines: &[&str]) -> Session {
    let mut session = Session::open(Options::default(), false).unwrap();
    for line in lines {
        let reply = session.execute(line);
        assert_eq!(reply.error, None, "{line}");
    }
    session
}

#[test]
fn going_back_is_being_where_one_was() {
    let lines = ["tx deposit alice 100", "run 7", "twin P2", "timeout P1", "crash P0", "run"];
    for undone in 1..=lines.len() {
        let mut back = after(&lines);
        back.execute(&format!("undo {undone}"));
        assert_eq!(views(&mut back), views(&mut after(&lines[..lines.len() - undone])), "undo {undone}");
    }
}

#[test]
fn a_refused_command_changes_nothing() {
    let lines = ["tx deposit alice 100", "run 7", "crash P3", "partition P0,P1 | P2,P3"];
    for refused in [
        // Each of these would do something before it reaches the impossible part.
        "timeout P1 P3",
        "crash P1 P3",
        "recover P3 P1",
        "deliver 7 99",
        "lie P1 to P0,P3 yes",
        "lie P1 to P3 no",
        "lie P1 to P1 no",
        "vote manual P0 P9",
        "drop 7 99",
        "undo 5",
        "twin P3",
        "tx deposit bob 1 at P3",
    ] {
        let mut session = after(&lines);
        assert!(session.execute(refused).error.is_some(), "{refused}");
        assert_eq!(views(&mut session), views(&mut after(&lines)), "{refused}");
    }
}

#[test]
fn what_is_saved_comes_back_when_it_is_loaded() {
    let folder = std::env::temp_dir().join(format!("quorate-playground-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("saved.play");
    let file = file.to_str().unwrap();
    let mut session =
        Session::open(Options { names: ["north", "south", "east", "west"].map(String::from).to_vec(), ..Options::default() }, true)
            .unwrap();
    for line in ["tx put greeting \"hello, world\"", "run 5", "vote manual east", "run", "timeout north"] {
        assert_eq!(session.execute(line).error, None, "{line}");
    }
    assert_eq!(session.execute(&format!("save \"{file}\"")).error, None);
    let mut other = Session::open(Options::default(), true).unwrap();
    assert_eq!(other.execute(&format!("load \"{file}\"")).error, None);
    assert_eq!(views(&mut other), views(&mut session));

    fs::write(file, "status\ncrash P9\n").unwrap();
    let error = other.execute(&format!("load \"{file}\"")).error.unwrap();
    assert!(error.message.contains("line 2"), "{error:?}");
    assert_eq!(views(&mut other), views(&mut session), "a script that fails leaves everything as it was");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn no_file_is_overwritten_that_the_playground_has_not_written() {
    let folder = std::env::temp_dir().join(format!("quorate-playground-keep-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("precious.txt"), "precious").unwrap();
    let mut session = Session::open(Options::default(), true).unwrap();
    for (command, refused) in [
        (format!("save {}", path("precious.txt")), true),
        (format!("checkpoint {}", path("precious.txt")), true),
        (format!("save {}", path("mine.play")), false),
        (format!("save {}", path("mine.play")), false),
        (format!("checkpoint {}", path("mine.play")), true),
        (format!("checkpoint {}", path("state.txt")), false),
        (format!("checkpoint {}", path("state.txt")), true),
    ] {
        let error = session.execute(&command).error;
        assert_eq!(error.is_some_and(|error| error.message.contains("name another file")), refused, "{command}");
    }
    assert_eq!(fs::read_to_string(folder.join("precious.txt")).unwrap(), "precious");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_checkpoint_tells_of_a_fork_also_when_everybody_has_stopped() {
    let mut session = Session::open(Options::default(), false).unwrap();
    let mut last = |commands: &[&str]| {
        let mut said = String::new();
        for command in commands {
            let reply = session.execute(command);
            assert_eq!(reply.error, None, "{command}");
            said = reply.lines.last().map(|line| line.text.clone()).unwrap_or_default();
        }
        said
    };
    assert!(last(&["tx deposit alice 100", "run", "checkpoint"]).contains("agreement"));
    assert!(last(&["crash P0", "crash P1", "crash P2", "crash P3", "checkpoint"]).contains("no validator is running"));
    // Two of four are twins, so each side has three keys.
    last(&["reset", "twin P0", "twin P1", "partition P0,P1,P2 | P0',P1',P3", "tx deposit alice 100", "run", "tx deposit bob 5"]);
    for _ in 0..2 {
        last(&["timeout P3", "timeout P0'", "timeout P1'", "run"]);
    }
    let fork = last(&["timeout P2", "timeout P0", "timeout P1", "run", "checkpoint"]);
    assert!(fork.contains("more than f validators lie"), "{fork}");
    let stopped = last(&["heal", "run", "checkpoint"]);
    assert!(stopped.contains("more than f validators lie"), "{stopped}");
}

#[test]
fn what_is_saved_names_how_leaders_are_elected() {
    let folder = std::env::temp_dir().join(format!("quorate-playground-leaders-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("saved.play");
    let file = file.to_str().unwrap();
    for reputation in [false, true] {
        let mut session = Session::open(Options { reputation, ..Options::default() }, true).unwrap();
        for line in ["tx deposit alice 100", "run", &format!("save {file}")] {
            assert_eq!(session.execute(line).error, None, "{line}");
        }
        // Once by running the lines and once by loading the file, with the option and without.
        let script = fs::read_to_string(file).unwrap();
        for option in [false, true] {
            let open = || Session::open(Options { reputation: option, ..Options::default() }, true).unwrap();
            let (mut run, mut loaded) = (open(), open());
            for line in script.lines() {
                assert_eq!(run.execute(line).error, None, "{line}");
            }
            assert_eq!(loaded.execute(&format!("load {file}")).error, None);
            for other in [&mut run, &mut loaded] {
                assert_eq!(views(other), views(&mut session), "reputation {reputation}, replayed with {option}");
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_script_that_quits_is_loaded_up_to_there() {
    let folder = std::env::temp_dir().join(format!("quorate-playground-quit-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("quits.play");
    fs::write(&file, "\u{feff}crash P1\nquit\ncrash P9\n").unwrap();
    let mut session = Session::open(Options::default(), true).unwrap();
    let reply = session.execute(&format!("load \"{}\"", file.display()));
    assert_eq!((reply.error, reply.quit), (None, false));
    assert_eq!(views(&mut session), views(&mut after(&["crash P1"])));
    let refused = session.execute(&format!("load \"{}\"", folder.display())).error.unwrap();
    assert!(refused.message.contains("is a directory; name a script"), "{refused:?}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_account_too_many_is_refused_and_the_others_go_on() {
    let mut session = Session::open(Options::default(), false).unwrap();
    // 64 accounts, including the treasury.
    for number in 1..64 {
        let line = format!("tx deposit a{number} 1");
        assert_eq!(session.execute(&line).error, None, "{line}");
    }
    for refused in ["tx deposit b1 1", "tx transfer b1 b2 1", "tx transfer a1 b1 1", "tx put k v as b1"] {
        let error = session.execute(refused).error.unwrap();
        assert!(error.message.contains("at most 64 accounts"), "{refused}: {error:?}");
    }
    assert_eq!(session.execute("tx transfer a1 a63 1").error, None);
}

#[test]
fn a_script_ends_at_the_first_line_that_is_refused_unless_it_must_be() {
    let run = |script: &str| transcript(script, Options::default()).unwrap();
    assert_eq!(run("status\ncrash P9\nstatus\n").1, Some(2));
    assert_eq!(run("! crash P9\nstatus\n").1, None);
    assert_eq!(run("! status\n").1, Some(1));
    assert!(run("# said\nquit\nstatus\n").0.starts_with("# said\n> quit\n"));
    assert!(!run("quit\nstatus\n").0.contains("VALIDATOR"));
}

#[test]
fn f_liars_change_nothing_and_more_make_an_honest_validator_stop_for_good() {
    let lies = |liars: &[&str]| -> String {
        let mut session = after(&["tx deposit alice 100", "deliver P0 P1 proposal", "drop vote"]);
        let mut told = String::new();
        for liar in liars {
            for line in [format!("lie {liar} to P1 no"), format!("deliver {liar} P1 vote")] {
                let reply = session.execute(&line);
                assert_eq!(reply.error, None, "{line}");
                told.extend(reply.lines.into_iter().map(|line| line.text + "\n"));
            }
        }
        told
    };
    assert!(!lies(&["P3"]).contains("QC(B1)"));
    assert!(!lies(&["P3", "P2"]).contains("QC(B1)"));
    // Three of four certify a result that P1 knows to be false, because it executed the block itself.
    let told = lies(&["P3", "P2", "P0"]);
    assert!(told.contains("P1 stops for good: EXEC-1"), "{told}");
}

#[test]
fn every_size_commits() {
    for validators in 1..=16 {
        let mut session = Session::open(Options::numbered(validators), false).unwrap();
        for line in ["tx deposit alice 100", "run"] {
            assert_eq!(session.execute(line).error, None, "{line} with {validators}");
        }
        let told = session.execute("txs").all_lines();
        assert!(told.iter().any(|line| line.text.contains(&format!("{validators}/{validators}"))), "{validators}: {told:?}");
    }
}

#[test]
fn leaders_can_be_elected_by_reputation() {
    let options = Options { reputation: true, ..Options::default() };
    let (text, failed) = transcript("tx deposit alice 100\nrun\nstatus\n", options).unwrap();
    assert_eq!(failed, None);
    // The fallback of §3.7 gives each validator two rounds in a row, and round 1 is P0's second.
    assert!(text.contains("P0 proposes B1") && text.contains("P1 proposes B2") && text.contains("P1 proposes B3"), "{text}");
}

/// A line that could be a command, often with valid words.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => prop::sample::select(vec!["P0", "P1", "P2", "P3", "P0'", "P2'"]),
        2 => prop::sample::select(vec!["yes", "no", "all", "to", "from", "*", "|", "manual", "auto", "at", "as", "rounds", "B1", "B2", "1", "2", "7", "40"]),
        1 => prop::sample::select(vec!["proposal", "vote", "timeout", "sync-info", "deposit", "withdraw", "alice", "put", "k", "v", "append"]),
        1 => prop::sample::select(vec!["0", "-1", "99999999999999999999", "é", "\"", "#", "!", "=", "account=a,amount=1,operation=deposit"]),
    ];
    let command = prop::sample::select(vec![
        "tx",
        "txs",
        "data",
        "status",
        "messages",
        "deliver",
        "drop",
        "step",
        "run",
        "vote",
        "timeout",
        "heartbeat",
        "crash",
        "recover",
        "partition",
        "heal",
        "twin",
        "lie",
        "tree",
        "quorum",
        "explain",
        "checkpoint",
        "undo",
        "log",
        "help",
        "nonsense",
        "save",
        "load",
    ]);
    let likely = prop::sample::select(vec![
        "tx deposit alice 100",
        "tx withdraw alice 30",
        "tx put k v at P1",
        "run",
        "run 3",
        "step 4",
        "deliver all",
        "timeout P1 P2 P3",
        "timeout P0",
        "vote manual",
        "vote P1 yes",
        "vote P2 no",
        "vote auto",
        "crash P3",
        "recover P3",
        "twin P0",
        "twin P2",
        "heal",
        "partition P0,P1 | P2,P3",
        "lie P3 to P0,P1 yes",
        "lie P3 to P0 no",
        "lie P2 to P1 no",
        "lie P1 to P2 no",
        "drop vote",
        "undo",
        "heartbeat P0",
        "heartbeat P0'",
        "reset 5",
        "tree",
        "status",
        "explain",
        "quorum",
    ]);
    prop_oneof![
        3 => likely.prop_map(str::to_owned),
        2 => (command, prop::collection::vec(word, 0..5)).prop_map(|(command, words)| format!("{command} {}", words.join(" "))),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_line_does_harm_and_everything_can_be_done_again(lines in prop::collection::vec(line(), 1..24)) {
        let mut session = Session::open(Options::default(), false).unwrap();
        for line in &lines {
            session.execute(line);
        }
        let shown = views(&mut session);
        // The log reproduces the network.
        let numbered = |line: &str| line.trim_start().split_once("  ").filter(|(number, _)| number.parse::<u64>().is_ok()).map(|(_, line)| line.to_owned());
        let log: Vec<String> = session.execute("log").lines.iter().filter_map(|line| numbered(&line.text)).collect();
        let names: Vec<String> = session.names().into_iter().filter(|name| !name.ends_with('\'')).collect();
        let mut again = Session::open(Options { names, ..Options::default() }, false).unwrap();
        for line in &log {
            prop_assert_eq!(again.execute(line).error, None, "{}", line);
        }
        prop_assert_eq!(views(&mut again), shown);
    }
}
