//! Parses a line into a command, or a refusal that says what to type instead.

mod orders;
mod reader;

use quorate_types::round::Round;

use self::reader::Reader;
use super::{
    client::Order,
    flight::{Pick, Seat},
    help::{COMMANDS, Entry, find, nearest},
};

/// Longest line, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1_024;
/// Most events a command may run, and the largest count an argument may give.
pub(super) const RUN_MAX: u64 = 2_000;

/// Why a line is refused, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn usage(entry: &Entry, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(format!("usage: {} {}", entry.name, entry.usage).trim_end().to_owned()) }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// When `run` stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Events(u64),
    Rounds(u64),
}

/// A command that changes the network; only these are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Tx(Order, Option<Seat>),
    Deliver(Option<Pick>),
    Drop(Pick),
    Step(u64),
    Run(Span),
    Vote { seat: Seat, yes: bool, block: Option<String> },
    Voting { manual: bool, seats: Vec<Seat> },
    Timeout(Vec<Seat>),
    Heartbeat(Seat),
    Crash(Vec<Seat>),
    Recover(Vec<Seat>),
    Partition(Vec<Vec<Seat>>),
    Heal,
    Twin(Seat),
    Lie { seat: Seat, to: Vec<Seat>, yes: bool, block: Option<String> },
}

/// A command that only looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Status,
    Data(Option<Seat>),
    Txs,
    Messages,
    Tree(usize),
    Quorum(Option<Round>),
    Explain,
    Log,
    Help(Option<&'static str>),
}

/// A command on the session itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manage {
    Checkpoint(Option<String>),
    Undo(usize),
    Save(String),
    Load(String),
    /// `None` keeps the current names or way of electing leaders.
    Reset {
        names: Option<Vec<String>>,
        reputation: Option<bool>,
    },
    Quit,
}

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Act(Act),
    Look(Look),
    Manage(Manage),
}

/// Parses a line. `names` are those of the validators and their twins.
pub(super) fn parse(line: &str, names: &[String]) -> Result<Command, Refusal> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Refusal::new(format!("the line is longer than {LINE_BYTES_MAX} bytes")));
    }
    let words = split(line)?;
    let Some((name, words)) = words.split_first() else { return Err(Refusal::new("nothing to do")) };
    let name = name.to_lowercase();
    let Some(entry) = find(&name).or_else(|| alias(&name)) else {
        let hint = nearest(&name, COMMANDS.iter().map(|entry| entry.name));
        let hint =
            hint.map_or_else(|| "`help` lists the commands".into(), |near| format!("did you mean `{near}`? `help` lists the commands"));
        return Err(Refusal { message: format!("there is no command {name:?}"), hint: Some(hint) });
    };
    let reader = Reader { entry, names, words };
    match entry.name {
        "tx" => reader.tx(),
        "txs" => reader.alone(Command::Look(Look::Txs)),
        "data" => reader.data(),
        "status" => reader.alone(Command::Look(Look::Status)),
        "messages" => reader.alone(Command::Look(Look::Messages)),
        "deliver" if words.is_empty() => Ok(Command::Act(Act::Deliver(None))),
        "deliver" => Ok(Command::Act(Act::Deliver(Some(reader.pick()?)))),
        "drop" => Ok(Command::Act(Act::Drop(reader.pick()?))),
        "step" => Ok(Command::Act(Act::Step(reader.count(1, RUN_MAX)?))),
        "run" => reader.run(),
        "vote" => reader.vote(),
        "timeout" => Ok(Command::Act(Act::Timeout(reader.seats(words)?))),
        "heartbeat" => Ok(Command::Act(Act::Heartbeat(reader.one_seat()?))),
        "crash" => Ok(Command::Act(Act::Crash(reader.seats(words)?))),
        "recover" => Ok(Command::Act(Act::Recover(reader.seats(words)?))),
        "partition" => reader.partition(),
        "heal" => reader.alone(Command::Act(Act::Heal)),
        "twin" => Ok(Command::Act(Act::Twin(reader.one_seat()?))),
        "lie" => reader.lie(),
        "tree" => reader.tree(),
        "quorum" => reader.quorum(),
        "explain" => reader.alone(Command::Look(Look::Explain)),
        "checkpoint" => Ok(Command::Manage(Manage::Checkpoint(reader.at_most_one()?.cloned()))),
        "undo" => Ok(Command::Manage(Manage::Undo(usize::try_from(reader.count(1, RUN_MAX)?).unwrap_or(usize::MAX)))),
        "log" => reader.alone(Command::Look(Look::Log)),
        "save" => Ok(Command::Manage(Manage::Save(reader.file()?))),
        "load" => Ok(Command::Manage(Manage::Load(reader.file()?))),
        "reset" => reader.reset(),
        "help" => reader.help(),
        _ => reader.alone(Command::Manage(Manage::Quit)),
    }
}

fn alias(name: &str) -> Option<&'static Entry> {
    find(match name {
        "exit" | "q" => "quit",
        "?" => "help",
        "s" => "step",
        "view" | "viewchange" | "view-change" => "timeout",
        _ => return None,
    })
}

/// Splits a line at white space; text in double quotes is one word.
fn split(line: &str) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut any) = (false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if quoted {
        return Err(Refusal::new("a double quote is left open; close it"));
    }
    if any {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use quorate_builtin::operation::KvAction;

    use super::*;

    fn read(line: &str) -> Result<Command, Refusal> {
        parse(line, &["P0".into(), "P1".into(), "P2".into(), "P3".into(), "P3'".into()])
    }

    #[test]
    fn commands_are_read_as_people_write_them() {
        let deposit = Act::Tx(Order::Deposit { account: "alice".into(), amount: 100 }, None);
        let like = |from, to, kind| Act::Deliver(Some(Pick::Like { from, to, kind }));
        for (line, act) in [
            ("tx account=alice,amount=100,operation=deposit", deposit.clone()),
            ("TX account=alice, amount=100, operation=deposit", deposit.clone()),
            ("tx deposit alice 100", deposit),
            (
                "tx put greeting \"hello, world\" as bob at p2",
                Act::Tx(
                    Order::Kv { account: "bob".into(), key: "greeting".into(), action: KvAction::Put(b"hello, world".to_vec()) },
                    Some(2),
                ),
            ),
            (
                "tx put formula \"a=b, c\"",
                Act::Tx(Order::Kv { account: "client".into(), key: "formula".into(), action: KvAction::Put(b"a=b, c".to_vec()) }, None),
            ),
            ("deliver", Act::Deliver(None)),
            ("deliver #3 5", Act::Deliver(Some(Pick::Numbers(vec![3, 5])))),
            ("deliver P0 P1 vote", like(Some(0), Some(1), Some("vote"))),
            ("deliver from P0 to P1", like(Some(0), Some(1), None)),
            ("deliver to P1 proposals", like(None, Some(1), Some("proposal"))),
            ("deliver * P1", like(None, Some(1), None)),
            ("drop timeouts", Act::Drop(Pick::Like { from: None, to: None, kind: Some("timeout") })),
            ("run 3 rounds", Act::Run(Span::Rounds(3))),
            ("vote P1 no B3", Act::Vote { seat: 1, yes: false, block: Some("B3".into()) }),
            ("vote manual", Act::Voting { manual: true, seats: vec![0, 1, 2, 3, 4] }),
            ("partition P0,P1 | P2 P3", Act::Partition(vec![vec![0, 1], vec![2, 3]])),
            ("partition P0,P1|P2,P3'", Act::Partition(vec![vec![0, 1], vec![2, 4]])),
            ("lie P3 to P0 yes", Act::Lie { seat: 3, to: vec![0], yes: true, block: None }),
            ("lie P3 P0,P1 no B2", Act::Lie { seat: 3, to: vec![0, 1], yes: false, block: Some("B2".into()) }),
            ("timeout P1 P2,P1", Act::Timeout(vec![1, 2])),
        ] {
            assert_eq!(read(line), Ok(Command::Act(act)), "{line}");
        }
    }

    #[test]
    fn a_refused_line_says_what_to_type_instead() {
        for (line, message, hint) in [
            ("stauts", "no command \"stauts\"", "did you mean `status`"),
            ("crash P9", "no validator \"P9\"", "P0, P1, P2, P3, P3'"),
            ("crash", "name a validator", "usage: crash NODE..."),
            ("vote P1 perhaps", "neither yes nor no", "usage: vote"),
            ("run 0", "not a number from 1 to 2000", "usage: run"),
            ("tx deposit alice", "not a transaction", "help tx` shows how to write deposit"),
            ("tx account=alice,amount=x,operation=deposit", "not an amount", "usage: tx"),
            ("tx account=alice,amount=1,operation=steal", "deposit or withdraw", "usage: tx"),
            ("tx account=alice,amount=1", "all needed", "usage: tx"),
            ("partition P0 | P0,P1", "on two sides", "usage: partition"),
            ("deliver vtoe", "neither a validator nor a kind", "vote"),
            ("reset 4 leaders=lot", "not a way to elect leaders", "leaders=turn"),
            ("reset leaders=turn leaders=reputation", "once", "usage: reset"),
            ("status now", "takes no arguments", "usage: status"),
            ("help stauts", "no command", "help status"),
        ] {
            let refusal = read(line).unwrap_err();
            assert!(refusal.message.contains(message), "{line}: {refusal:?}");
            assert!(refusal.hint.as_ref().is_some_and(|said| said.contains(hint)), "{line}: {refusal:?}");
        }
        assert!(read("tx put \"x").unwrap_err().message.contains("open"));
        assert!(read(&"x".repeat(LINE_BYTES_MAX + 1)).is_err());
    }
}
