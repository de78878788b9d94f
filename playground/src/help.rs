//! The one list of commands: `help`, completion, suggestions for mistyped commands and the reference in docs/playground.md come from here.

use super::paint::{Line, Tone};

/// A command and its help.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// Arguments after the name.
    pub(super) usage: &'static str,
    /// One line.
    pub(super) summary: &'static str,
    /// Further lines of `help COMMAND`.
    pub(super) more: &'static [&'static str],
}

const fn entry(name: &'static str, usage: &'static str, summary: &'static str, more: &'static [&'static str]) -> Entry {
    Entry { name, usage, summary, more }
}

/// All commands, in the order `help` lists them.
pub(super) const COMMANDS: &[Entry] = &[
    entry(
        "tx",
        "ORDER [at NODE]",
        "a client sends a transaction to all validators, or to one",
        &[
            "tx account=alice,amount=100,operation=deposit    from the treasury to alice; also operation=withdraw",
            "tx deposit alice 100 | tx withdraw alice 30 | tx transfer alice bob 5",
            "tx put KEY VALUE | append KEY TEXT | slice KEY START END | get KEY | delete KEY    on shared keys; [as ACCOUNT]",
            "at NODE: only that validator gets it, and gossips it in messages that you deliver",
        ],
    ),
    entry("txs", "", "transactions the client sent, and the answers", &[]),
    entry("data", "[NODE]", "committed accounts and keys", &[]),
    entry(
        "status",
        "",
        "round, leader, votes, locks, certificates and timers of every validator",
        &[
            "VOTED is the highest round of a vote or timeout (§3.4 highest_vote_round), LOCK the round of the certificate below which no",
            "timeout may go (highest_qc_round), COMMITS the newest committed block, TIMER the time to its next deadline",
        ],
    ),
    entry("messages", "", "messages in flight, by number", &[]),
    entry(
        "deliver",
        "[NUMBER... | all | [from] NODE [to] NODE KIND]",
        "deliver messages; by default the oldest",
        &[
            "deliver 3 5 | deliver P0 P1 | deliver from P0 | deliver to P1 vote | deliver * P1 proposal | deliver vote | deliver all",
            "KIND: proposal, vote, timeout, sync-info, fetch-request, fetch-response, catchup-request, catchup-response, transactions",
            "all: every message in flight now, but not those it causes",
        ],
    ),
    entry("drop", "NUMBER... | all | [from] NODE [to] NODE KIND", "lose messages; select them as in `deliver`", &[]),
    entry("step", "[N]", "deliver the N oldest messages that can arrive [default: 1]", &[]),
    entry(
        "run",
        "[N [events|rounds]]",
        "deliver messages in order until nothing moves or N is reached; prints a summary",
        &[
            "run       until nothing moves",
            "run 10    ten events (deliveries)",
            "run 2 rounds    until some validator is two rounds further",
        ],
    ),
    entry(
        "vote",
        "NODE yes|no [BLOCK] | manual [NODE...] | auto [NODE...]",
        "vote on behalf of a validator, or let it vote by itself",
        &[
            "vote manual        ask you about every proposal before the validator votes; `vote auto` ends it",
            "vote P1 yes        the block goes to P1's safety rules, which may still refuse it (§3.4)",
            "vote P1 no         P1 never sees the block; it keeps the certificates that came with it",
            "A leader votes for its own block without asking.",
        ],
    ),
    entry("timeout", "NODE...", "let timers expire: the validators give up their round, which is this protocol's view change", &[]),
    entry("heartbeat", "NODE", "let an idle leader's heartbeat fire: it proposes an empty block", &[]),
    entry("crash", "NODE...", "stop a process; messages to it are lost", &[]),
    entry("recover", "NODE...", "restart a process on its disk; it asks its peers for what it missed", &[]),
    entry("partition", "A,B | C,D", "cut the network; messages across the cut wait", &[]),
    entry("heal", "", "end the partition", &[]),
    entry("twin", "NODE", "start a second process with the same key: NODE' (equivocation)", &[]),
    entry(
        "lie",
        "NODE to PEER,... yes|no [BLOCK]",
        "send votes signed with NODE's key to chosen peers, whatever its rules say",
        &[
            "yes: a vote for the block. no: a vote for the same block with a made-up result.",
            "Two different votes that reach the same validator are evidence.",
        ],
    ),
    entry(
        "tree",
        "[N | all]",
        "the block tree with certificates, locks and commits",
        &[
            "QC[..] signers of the certificate; high[..] validators whose high QC it is; lock[..] validators locked on it;",
            "commit[..] validators that committed the block. B3 is the first block of round 3, B3b the second.",
        ],
    ),
    entry("quorum", "[ROUND]", "votes and timeouts of a round: x/N and the threshold", &[]),
    entry("explain", "", "what each validator is waiting for, and what would happen next", &[]),
    entry("checkpoint", "[FILE]", "heights, state roots, certificates and data of all validators; optionally to a file", &[]),
    entry("undo", "[N]", "take back the last N commands, by replaying all earlier ones [default: 1]", &[]),
    entry("log", "", "the commands that led to the current state", &[]),
    entry("save", "FILE", "save the log as a script", &[]),
    entry("load", "FILE", "start over and run a script", &[]),
    entry(
        "reset",
        "[N | NAME,NAME...] [leaders=turn | leaders=reputation]",
        "start over, with N validators or the named ones",
        &["leaders=: validators lead in turn, or reputation elects as on a real network; omitted settings stay as they are"],
    ),
    entry("help", "[COMMAND]", "this list, or details of one command", &[]),
    entry("quit", "", "leave the playground", &[]),
];

pub(super) fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// `help` and `help COMMAND`.
pub(super) fn help(topic: Option<&Entry>) -> Vec<Line> {
    if let Some(entry) = topic {
        let usage = Line::new(Tone::Heading, format!("{} {}", entry.name, entry.usage).trim_end().to_owned());
        let more = entry.more.iter().map(|line| Line::plain(format!("  {line}")));
        return [usage, Line::plain(format!("  {}", entry.summary))].into_iter().chain(more).collect();
    }
    let width = COMMANDS.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    let mut lines: Vec<Line> = COMMANDS.iter().map(|entry| Line::plain(format!("{:<width$}  {}", entry.name, entry.summary))).collect();
    lines.push(Line::hint(
        "`help COMMAND` gives details. A script may have `# comments`, and `! COMMAND` for a command that must be refused.",
    ));
    lines
}

/// The known word nearest to a mistyped one, if any is close enough.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        // A prefix beats a typo.
        .map(|word| (typed.len() < 2 || !word.to_lowercase().starts_with(&typed), distance(&typed, &word.to_lowercase()), word))
        .filter(|(other, distance, word)| !other || *distance <= word.len().div_ceil(4))
        .min()
        .map(|(.., word)| word)
}

/// Edit distance: letters changed, added, left out, or swapped with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().take(32).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut above: Option<char> = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        let mut left: Option<char> = None;
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX);
            let changed = at(&last, j).saturating_add(usize::from(x != y));
            let one = at(&last, j.saturating_add(1)).min(at(&row, j)).saturating_add(1);
            let swapped = match j.checked_sub(1) {
                Some(j) if above == Some(*y) && left == Some(*x) => at(&before, j).saturating_add(1),
                Some(_) | None => usize::MAX,
            };
            row.push(changed.min(one).min(swapped));
            left = Some(*y);
        }
        above = Some(*x);
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_finds_its_neighbour_and_nonsense_finds_none() {
        let names = || COMMANDS.iter().map(|entry| entry.name);
        for (typed, meant) in [("stauts", "status"), ("delive", "deliver"), ("quor", "quorum"), ("crsh", "crash"), ("Tree", "tree")] {
            assert_eq!(nearest(typed, names()), Some(meant), "{typed}");
        }
        assert_eq!(nearest("xyzzy", names()), None);
        assert_eq!(nearest("", names()), None);
    }

    #[test]
    fn every_command_is_listed_once_with_a_word_on_it() {
        for entry in COMMANDS {
            assert_eq!(COMMANDS.iter().filter(|other| other.name == entry.name).count(), 1, "{}", entry.name);
            assert!(!entry.summary.is_empty() && !entry.summary.ends_with('.'), "{}", entry.name);
        }
        assert_eq!(help(None).len(), COMMANDS.len() + 1);
    }
}
