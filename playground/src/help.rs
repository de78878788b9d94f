//! The commands, once: `help`, completion, the word on a mistyped command and the reference in docs/playground.md come from here.

use super::paint::{Line, Tone};

/// A command.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// What may follow the name.
    pub(super) usage: &'static str,
    /// One line.
    pub(super) summary: &'static str,
    /// The rest, for `help COMMAND`.
    pub(super) more: &'static [&'static str],
}

const fn entry(name: &'static str, usage: &'static str, summary: &'static str, more: &'static [&'static str]) -> Entry {
    Entry { name, usage, summary, more }
}

/// All commands, in the order of `help`.
pub(super) const COMMANDS: &[Entry] = &[
    entry(
        "tx",
        "ORDER [at NODE]",
        "a client sends a transaction to all validators, or to one",
        &[
            "tx account=alice,amount=100,operation=deposit    from the treasury to alice; also operation=withdraw",
            "tx deposit alice 100 | tx withdraw alice 30 | tx transfer alice bob 5",
            "tx put KEY VALUE | append KEY TEXT | slice KEY START END | get KEY | delete KEY    on keys that all share; [as ACCOUNT]",
            "at NODE: only that validator gets it, and passes it on by messages that you deliver",
        ],
    ),
    entry("txs", "", "what the client sent and what it was answered", &[]),
    entry("data", "[NODE]", "committed accounts and keys", &[]),
    entry(
        "status",
        "",
        "round, leader, votes, locks, certificates and timers of every validator",
        &[
            "VOTED is the highest round of a vote or timeout (§3.4 highest_vote_round), LOCK the round of the certificate that no timeout may",
            "go below (highest_qc_round), COMMITS the newest committed block, TIMER how far its clock is from its next deadline",
        ],
    ),
    entry("messages", "", "what is on its way, with numbers", &[]),
    entry(
        "deliver",
        "[NUMBER... | all | [from] NODE [to] NODE KIND]",
        "let messages arrive; the oldest if none is named",
        &[
            "deliver 3 5 | deliver P0 P1 | deliver from P0 | deliver to P1 vote | deliver * P1 proposal | deliver vote | deliver all",
            "KIND: proposal, vote, timeout, sync-info, fetch-request, fetch-response, catchup-request, catchup-response, transactions",
            "all: what is on its way now, not what it causes",
        ],
    ),
    entry("drop", "NUMBER... | all | [from] NODE [to] NODE KIND", "lose messages; named as in `deliver`", &[]),
    entry("step", "[N]", "the next N events: the oldest messages that can arrive", &[]),
    entry(
        "run",
        "[N [events|rounds]]",
        "let messages arrive in their order, until nothing moves or N is reached; tells the outline",
        &[
            "run       until nothing moves",
            "run 10    ten events, that is deliveries",
            "run 2 rounds    until somebody is two rounds further",
        ],
    ),
    entry(
        "vote",
        "NODE yes|no [BLOCK] | manual [NODE...] | auto [NODE...]",
        "vote for a validator, or let it vote by itself",
        &[
            "vote manual        from now on every proposal asks you before the validator votes; `vote auto` ends it",
            "vote P1 yes        the block goes to P1's rules, which may still refuse it (§3.4)",
            "vote P1 no         P1 never sees the block; it keeps the certificates that came with it",
            "A leader votes for its own block by itself: proposing it was its word.",
        ],
    ),
    entry("timeout", "NODE...", "timers run out: validators give their round up, which is what a view change is here", &[]),
    entry("heartbeat", "NODE", "an idle leader's heartbeat comes: it proposes an empty block", &[]),
    entry("crash", "NODE...", "stop a process; messages to it are lost", &[]),
    entry("recover", "NODE...", "start it again on its disk; it asks the others for what it missed", &[]),
    entry("partition", "A,B | C,D", "cut the network; messages across wait", &[]),
    entry("heal", "", "end the cut", &[]),
    entry("twin", "NODE", "start a second process with the same key: NODE' (equivocation)", &[]),
    entry(
        "lie",
        "NODE to PEER,... yes|no [BLOCK]",
        "send votes signed with NODE's key to chosen peers, whatever its rules say",
        &[
            "yes: a vote for the block. no: a vote for the same block with a result that nobody computed.",
            "Two different ones that reach the same validator are evidence.",
        ],
    ),
    entry(
        "tree",
        "[N | all]",
        "the block tree with certificates, locks and commits",
        &[
            "QC[..] who signed the certificate; high[..] whose highest certificate it is; lock[..] who is locked on it;",
            "commit[..] who has committed the block. B3 is the first block of round 3, B3b a second one.",
        ],
    ),
    entry("quorum", "[ROUND]", "votes and timeouts of a round: x/N and the threshold", &[]),
    entry("explain", "", "what everybody waits for, and what would happen next", &[]),
    entry("checkpoint", "[FILE]", "heights, state roots, certificates and data of all; into a file too", &[]),
    entry("undo", "[N]", "take back the last N commands: everything else is done again, and comes out the same", &[]),
    entry("log", "", "the commands that made what is", &[]),
    entry("save", "FILE", "write them as a script", &[]),
    entry("load", "FILE", "begin anew and run a script", &[]),
    entry(
        "reset",
        "[N | NAME,NAME...] [leaders=turn | leaders=reputation]",
        "begin anew, with N validators or these",
        &["leaders=: each leads in its turn, or reputation elects as on a real network; what is not said stays as it is"],
    ),
    entry("help", "[COMMAND]", "this list, or more on one command", &[]),
    entry("quit", "", "leave", &[]),
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
    lines.push(Line::hint("`help COMMAND` says more. A script may have `# comments`, and `! COMMAND` for one that must be refused."));
    lines
}

/// The known word that is nearest to a mistyped one, if any is near.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        // The beginning of a word is nearer than a mistyped one.
        .map(|word| (typed.len() < 2 || !word.to_lowercase().starts_with(&typed), distance(&typed, &word.to_lowercase()), word))
        .filter(|(other, distance, word)| !other || *distance <= word.len().div_ceil(4))
        .min()
        .map(|(.., word)| word)
}

/// How many letters have to be changed, added, left out, or swapped with their neighbours.
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
