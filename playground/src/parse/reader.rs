//! Parses a command's arguments: validators, numbers, messages, yes and no.

use quorate_types::round::Round;

use super::{Act, Command, Look, Manage, RUN_MAX, Refusal, Span, alias};
use crate::{
    cast::VALIDATORS_MAX,
    flight::{KINDS, Pick, Seat},
    help::{COMMANDS, Entry, find, nearest},
    tree::{BLOCKS_DRAWN, BLOCKS_DRAWN_MAX},
};

/// Prefix of the argument that says how leaders are elected. No name can contain `=`.
const LEADERS: &str = "leaders=";

/// Parses the arguments of one command.
pub(super) struct Reader<'a> {
    pub(super) entry: &'static Entry,
    pub(super) names: &'a [String],
    pub(super) words: &'a [String],
}

impl Reader<'_> {
    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal::usage(self.entry, message))
    }

    pub(super) fn alone(&self, command: Command) -> Result<Command, Refusal> {
        if self.words.is_empty() { Ok(command) } else { self.wrong(format!("`{}` takes no arguments", self.entry.name)) }
    }

    pub(super) fn at_most_one(&self) -> Result<Option<&String>, Refusal> {
        if self.words.len() > 1 {
            return self.wrong(format!("`{}` takes at most one argument", self.entry.name));
        }
        Ok(self.words.first())
    }

    pub(super) fn seat(&self, word: &str) -> Result<Seat, Refusal> {
        if let Some(seat) = self.names.iter().position(|name| name.eq_ignore_ascii_case(word)) {
            return Ok(seat);
        }
        let near = nearest(word, self.names.iter().map(String::as_str)).map_or_else(String::new, |near| format!("did you mean {near}? "));
        Err(Refusal {
            message: format!("there is no validator {word:?}"),
            hint: Some(format!("{near}the validators are {}", self.names.join(", "))),
        })
    }

    pub(super) fn seats(&self, words: &[String]) -> Result<Vec<Seat>, Refusal> {
        let mut seats = Vec::new();
        for word in words.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty()) {
            let seat = self.seat(word)?;
            if !seats.contains(&seat) {
                seats.push(seat);
            }
        }
        if seats.is_empty() { self.wrong("name a validator") } else { Ok(seats) }
    }

    pub(super) fn one_seat(&self) -> Result<Seat, Refusal> {
        match self.at_most_one()? {
            Some(word) => self.seat(word),
            None => self.wrong("name a validator"),
        }
    }

    pub(super) fn number(&self, word: &str, max: u64) -> Result<u64, Refusal> {
        match word.parse::<u64>() {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => self.wrong(format!("{word:?} is not a number from 1 to {max}")),
        }
    }

    pub(super) fn count(&self, default: u64, max: u64) -> Result<u64, Refusal> {
        self.at_most_one()?.map_or(Ok(default), |word| self.number(word, max))
    }

    pub(super) fn file(&self) -> Result<String, Refusal> {
        match self.at_most_one()? {
            Some(file) if !file.is_empty() => Ok(file.clone()),
            _ => self.wrong("name a file"),
        }
    }

    pub(super) fn data(&self) -> Result<Command, Refusal> {
        let seat = self.at_most_one()?.map(|word| self.seat(word)).transpose()?;
        Ok(Command::Look(Look::Data(seat)))
    }

    pub(super) fn run(&self) -> Result<Command, Refusal> {
        let span = match self.words {
            [] => Span::Events(RUN_MAX),
            [number] => Span::Events(self.number(number, RUN_MAX)?),
            [number, unit] if matches!(unit.as_str(), "events" | "event") => Span::Events(self.number(number, RUN_MAX)?),
            [number, unit] if matches!(unit.as_str(), "rounds" | "round") => Span::Rounds(self.number(number, RUN_MAX)?),
            _ => return self.wrong("give `run` a number of events or rounds"),
        };
        Ok(Command::Act(Act::Run(span)))
    }

    pub(super) fn yes(&self, word: &str) -> Result<bool, Refusal> {
        match word {
            "yes" | "y" => Ok(true),
            "no" | "n" => Ok(false),
            _ => self.wrong(format!("{word:?} is neither yes nor no")),
        }
    }

    pub(super) fn vote(&self) -> Result<Command, Refusal> {
        match self.words {
            [mode, rest @ ..] if matches!(mode.as_str(), "manual" | "auto") => {
                let seats = if rest.is_empty() { (0..self.names.len()).collect() } else { self.seats(rest)? };
                Ok(Command::Act(Act::Voting { manual: mode == "manual", seats }))
            }
            [node, word, rest @ ..] if rest.len() <= 1 => {
                Ok(Command::Act(Act::Vote { seat: self.seat(node)?, yes: self.yes(word)?, block: rest.first().cloned() }))
            }
            _ => self.wrong("say which validator votes, and yes or no"),
        }
    }

    pub(super) fn lie(&self) -> Result<Command, Refusal> {
        let words: Vec<&String> =
            self.words.iter().enumerate().filter(|(at, word)| !(*at == 1 && *word == "to")).map(|(_, word)| word).collect();
        let yes_at = words.iter().position(|word| matches!(word.as_str(), "yes" | "no" | "y" | "n"));
        let (Some(liar), Some(yes_at)) = (words.first(), yes_at) else {
            return self.wrong("say which validator lies, to whom, and yes or no");
        };
        let to: Vec<String> = words.iter().take(yes_at).skip(1).map(|word| (*word).clone()).collect();
        let mut rest = words.iter().skip(yes_at);
        let yes = rest.next().map_or(Ok(true), |word| self.yes(word))?;
        let block = rest.next().map(|word| (*word).clone());
        if rest.next().is_some() {
            return self.wrong("name at most one block");
        }
        Ok(Command::Act(Act::Lie { seat: self.seat(liar)?, to: self.seats(&to)?, yes, block }))
    }

    pub(super) fn partition(&self) -> Result<Command, Refusal> {
        let line = self.words.join(" ");
        let mut groups: Vec<Vec<Seat>> = Vec::new();
        for part in line.split('|').filter(|part| !part.trim().is_empty()) {
            let words: Vec<String> = part.split_whitespace().map(str::to_owned).collect();
            let group = self.seats(&words)?;
            if let Some(twice) = group.iter().find(|seat| groups.iter().any(|other| other.contains(seat))) {
                let name = self.names.get(*twice).cloned().unwrap_or_default();
                return self.wrong(format!("{name} is on two sides"));
            }
            groups.push(group);
        }
        if groups.is_empty() {
            return self.wrong("name the sides");
        }
        Ok(Command::Act(Act::Partition(groups)))
    }

    pub(super) fn pick(&self) -> Result<Pick, Refusal> {
        if let [word] = self.words
            && word == "all"
        {
            return Ok(Pick::All);
        }
        let numbered = |word: &String| word.trim_start_matches('#').parse::<u64>();
        if self.words.first().is_some_and(|word| numbered(word).is_ok()) {
            let numbers: Result<Vec<u64>, _> = self.words.iter().map(numbered).collect();
            return numbers.map_or_else(|_| self.wrong("give numbers only, or names and kinds only"), |numbers| Ok(Pick::Numbers(numbers)));
        }
        let (mut from, mut to, mut kind) = (None, None, None);
        // Whether the next name is the receiver's.
        let mut receiver = false;
        for word in self.words {
            match word.as_str() {
                "from" => receiver = false,
                "to" => receiver = true,
                "*" if !receiver => receiver = true,
                "*" => {}
                word => {
                    if let Some(known) = Self::kind(word) {
                        kind = Some(known);
                    } else if receiver {
                        to = Some(self.seat_or_kind(word)?);
                    } else {
                        from = Some(self.seat_or_kind(word)?);
                        receiver = true;
                    }
                }
            }
        }
        if (from, to, kind) == (None, None, None) {
            return self.wrong("say which messages");
        }
        Ok(Pick::Like { from, to, kind })
    }

    /// A kind of message by its name or plural; `sync` is short for `sync-info`.
    pub(super) fn kind(word: &str) -> Option<&'static str> {
        let singular = word.strip_suffix('s').unwrap_or(word);
        KINDS.iter().copied().find(|kind| *kind == word || *kind == singular || (word == "sync" && *kind == "sync-info"))
    }

    pub(super) fn seat_or_kind(&self, word: &str) -> Result<Seat, Refusal> {
        self.seat(word).map_err(|refusal| match nearest(word, KINDS.iter().copied()) {
            Some(kind) => Refusal {
                message: format!("{word:?} is neither a validator nor a kind of message"),
                hint: Some(format!("did you mean {kind}?")),
            },
            None => refusal,
        })
    }

    pub(super) fn tree(&self) -> Result<Command, Refusal> {
        let blocks = match self.at_most_one()?.map(String::as_str) {
            None => BLOCKS_DRAWN,
            Some("all") => BLOCKS_DRAWN_MAX,
            Some(word) => usize::try_from(self.number(word, BLOCKS_DRAWN_MAX as u64)?).unwrap_or(BLOCKS_DRAWN_MAX),
        };
        Ok(Command::Look(Look::Tree(blocks)))
    }

    pub(super) fn quorum(&self) -> Result<Command, Refusal> {
        let round = self.at_most_one()?.map(|word| self.number(word, 1_000_000)).transpose()?;
        Ok(Command::Look(Look::Quorum(round.map(Round))))
    }

    pub(super) fn reset(&self) -> Result<Command, Refusal> {
        let (modes, words): (Vec<&String>, Vec<&String>) = self.words.iter().partition(|word| word.starts_with(LEADERS));
        let reputation = match modes.as_slice() {
            [] => None,
            [mode] => match mode.strip_prefix(LEADERS) {
                Some("reputation") => Some(true),
                Some("turn") => Some(false),
                _ => return self.wrong(format!("{mode:?} is not a way to elect leaders")),
            },
            _ => return self.wrong("give leaders= only once"),
        };
        let names = match words.as_slice() {
            [] => None,
            [number] if number.parse::<u64>().is_ok() => {
                let number = self.number(number, VALIDATORS_MAX as u64)?;
                Some((0..number).map(|number| format!("P{number}")).collect())
            }
            names => Some(names.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        };
        Ok(Command::Manage(Manage::Reset { names, reputation }))
    }

    pub(super) fn help(&self) -> Result<Command, Refusal> {
        let Some(word) = self.at_most_one()? else { return Ok(Command::Look(Look::Help(None))) };
        if let Some(entry) = find(&word.to_lowercase()).or_else(|| alias(word)) {
            return Ok(Command::Look(Look::Help(Some(entry.name))));
        }
        let near = nearest(word, COMMANDS.iter().map(|entry| entry.name));
        let hint = near.map_or_else(|| "`help` lists the commands".into(), |near| format!("did you mean `help {near}`?"));
        Err(Refusal { message: format!("there is no command {word:?}"), hint: Some(hint) })
    }
}
