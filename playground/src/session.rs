//! A session: lines in, replies out. It logs the commands that change the network; `undo` replays the log without the last ones, which
//! works because everything is deterministic.

use std::{io::Read, path::Path};

use serde::Serialize;

use super::{
    cast::Options,
    flight::{Pick, Seat},
    help::{find, help},
    paint::{Line, Tone, count},
    parse::{Act, Command, Look, Manage, RUN_MAX, Refusal, Span, parse},
    stage::Stage,
};

/// Most commands in the log.
const LOG_MAX: usize = 2_000;
/// First line of every saved script; marks files that `save` may overwrite.
const SCRIPT: &str = "# A script for `quorate playground`.";
/// Longest script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// The reply to a line.
#[derive(Clone, Debug, Serialize)]
pub struct Reply {
    /// The line as typed, trimmed.
    pub command: String,
    /// The output.
    pub lines: Vec<Line>,
    /// Why the line was refused; nothing has changed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// The session is over.
    #[serde(skip)]
    pub quit: bool,
}

/// Why a line was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Reply {
    /// Replaces the remaining non-ASCII characters; trees are already drawn without any.
    fn strip_to_ascii(&mut self) {
        let plain = |text: &mut String| *text = text.replace('→', "->").replace('§', "section ");
        self.lines.iter_mut().for_each(|line| plain(&mut line.text));
        if let Some(error) = &mut self.error {
            plain(&mut error.message);
            error.hint.iter_mut().for_each(plain);
        }
    }

    /// The output and, if the line was refused, the error and its hint.
    #[must_use]
    pub fn all_lines(&self) -> Vec<Line> {
        let mut lines = self.lines.clone();
        if let Some(error) = &self.error {
            lines.push(Line::new(Tone::Bad, format!("error: {}", error.message)));
            lines.extend(error.hint.as_ref().map(|hint| Line::hint(format!(" hint: {hint}"))));
        }
        lines
    }
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    options: Options,
    stage: Stage,
    log: Vec<String>,
    /// Whether `save`, `load` and `checkpoint FILE` may touch files.
    files: bool,
    /// A script is being loaded; it cannot load another.
    loading: bool,
}

impl Session {
    /// A session with a fresh network. `files` allows `save`, `load` and `checkpoint FILE`.
    ///
    /// # Errors
    /// Invalid options; the message says what is allowed.
    pub fn open(options: Options, files: bool) -> Result<Self, String> {
        Ok(Self { stage: Stage::open(&options)?, options, log: Vec::new(), files, loading: false })
    }

    /// The names of the validators and their twins.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.stage.names()
    }

    /// The first lines of an interactive session.
    #[must_use]
    pub fn greeting(&self) -> Vec<Line> {
        vec![
            Line::plain(format!(
                "{} validators ({}) run DiemBFT v4, and nothing moves until you say so.",
                self.options.names.len(),
                self.options.names.join(", ")
            )),
            Line::hint(
                "Try: tx deposit alice 100, then step, tree, run, data. `help` lists the commands, `explain` shows what each validator waits for.",
            ),
        ]
    }

    /// Executes a line: a command, a `# comment`, or `! COMMAND` for a command that must be refused.
    pub fn execute(&mut self, line: &str) -> Reply {
        let line = line.trim();
        let mut reply = Reply { command: line.into(), lines: Vec::new(), error: None, quit: false };
        if line.is_empty() || line.starts_with('#') {
            return reply;
        }
        self.perform_line(line, &mut reply);
        if self.options.ascii {
            reply.strip_to_ascii();
        }
        reply
    }

    fn perform_line(&mut self, line: &str, reply: &mut Reply) {
        let (must_fail, command) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
        let result = self.command(command, reply);
        match (result, must_fail) {
            (Ok(()), false) => {}
            (Ok(()), true) => {
                reply.error = Some(Error {
                    message: "this command was expected to be refused, but was not".into(),
                    hint: Some("remove the ! if that is right".into()),
                });
            }
            (Err(refusal), true) => {
                reply.lines.push(Line::new(Tone::Bad, format!("refused, as expected: {}", refusal.message)));
                reply.lines.extend(refusal.hint.map(|hint| Line::hint(format!(" hint: {hint}"))));
            }
            (Err(Refusal { message, hint }), false) => reply.error = Some(Error { message, hint }),
        }
    }

    fn command(&mut self, line: &str, reply: &mut Reply) -> Result<(), Refusal> {
        match parse(line, &self.stage.names())? {
            Command::Act(act) => self.act(line, &act, reply),
            Command::Look(look) => {
                reply.lines = self.look(&look);
                Ok(())
            }
            Command::Manage(manage) => self.manage(manage, reply),
        }
    }

    fn act(&mut self, line: &str, act: &Act, reply: &mut Reply) -> Result<(), Refusal> {
        if self.log.len() >= LOG_MAX {
            return Err(Refusal::new(format!("the session has reached its limit of {LOG_MAX} commands; `save` it and `reset`")));
        }
        match perform(&mut self.stage, act) {
            Ok(lines) => {
                self.stage.notes.clear();
                self.log.push(line.into());
                reply.lines = lines;
                Ok(())
            }
            Err(message) => {
                // A command takes effect as a whole or not at all: `undo` could not return to half of one.
                self.rebuild()?;
                Err(Refusal::new(message))
            }
        }
    }

    /// Replays the log on a fresh network.
    fn rebuild(&mut self) -> Result<(), Refusal> {
        let mut stage = Stage::open(&self.options)?;
        for line in &self.log {
            if let Command::Act(act) = parse(line, &stage.names())? {
                perform(&mut stage, &act)?;
                stage.notes.clear();
            }
        }
        self.stage = stage;
        Ok(())
    }

    fn look(&self, look: &Look) -> Vec<Line> {
        match look {
            Look::Status => self.stage.status(),
            Look::Data(seat) => self.stage.data(*seat),
            Look::Txs => self.stage.transactions(),
            Look::Messages => self.stage.messages(),
            Look::Tree(blocks) => self.stage.tree(*blocks, self.options.ascii),
            Look::Quorum(round) => self.stage.quorum(*round),
            Look::Explain => self.stage.explain(),
            Look::Help(topic) => help(topic.and_then(find)),
            Look::Log if self.log.is_empty() => vec![Line::plain("no commands yet")],
            Look::Log => (1usize..).zip(&self.log).map(|(number, line)| Line::plain(format!("{number:>4}  {line}"))).collect(),
        }
    }

    fn manage(&mut self, manage: Manage, reply: &mut Reply) -> Result<(), Refusal> {
        match manage {
            Manage::Quit => reply.quit = true,
            Manage::Undo(number) => {
                if number > self.log.len() {
                    return Err(Refusal::new(format!("only {} can be taken back; `log` lists them", count(self.log.len(), "command"))));
                }
                let undone = self.log.split_off(self.log.len().saturating_sub(number));
                self.rebuild()?;
                reply.lines = undone.iter().rev().map(|line| Line::plain(format!("  taken back  {line}"))).collect();
                reply.lines.push(self.stage.outline());
            }
            Manage::Reset { names, reputation } => {
                let options = Options {
                    names: names.unwrap_or_else(|| self.options.names.clone()),
                    reputation: reputation.unwrap_or(self.options.reputation),
                    ..self.options.clone()
                };
                self.stage = Stage::open(&options)?;
                self.options = options;
                self.log.clear();
                reply.lines = self.greeting();
            }
            Manage::Checkpoint(file) => {
                reply.lines = self.stage.checkpoint();
                if let Some(file) = file {
                    let text: Vec<&str> = reply.lines.iter().map(|line| line.text.as_str()).collect();
                    self.write(&file, &format!("{}\n", text.join("\n")), |_| false)?;
                    reply.lines.push(Line::plain(format!("saved to {file}")));
                }
            }
            Manage::Save(file) => {
                // The replaying session may have other options.
                let leaders = if self.options.reputation { "reputation" } else { "turn" };
                let mut text = format!("{SCRIPT}\nreset {} leaders={leaders}\n", self.options.names.join(","));
                for line in &self.log {
                    text.push_str(line);
                    text.push('\n');
                }
                self.write(&file, &text, |before| before.starts_with(SCRIPT))?;
                reply.lines.push(Line::plain(format!(
                    "{} saved to {file}; `quorate playground {file}` runs it",
                    count(self.log.len(), "command")
                )));
            }
            Manage::Load(file) => self.load(&file, reply)?,
        }
        Ok(())
    }

    /// Writes a file. An existing file is overwritten only if `may_go` accepts its content.
    fn write(&self, file: &str, text: &str, may_go: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        self.files_allowed()?;
        if Path::new(file).exists() && !std::fs::read_to_string(file).is_ok_and(|before| may_go(&before)) {
            return Err(Refusal::new(format!("{file} already exists and is not overwritten; name another file")));
        }
        let failed = |error| Refusal::new(format!("cannot write {file}: {error}; name a file in a directory you can write to"));
        std::fs::write(file, text).map_err(failed)
    }

    fn files_allowed(&self) -> Result<(), Refusal> {
        if self.files { Ok(()) } else { Err(Refusal::new("files are not available here")) }
    }

    fn load(&mut self, file: &str, reply: &mut Reply) -> Result<(), Refusal> {
        self.files_allowed()?;
        if self.loading {
            return Err(Refusal::new("a loaded script cannot load another one"));
        }
        let text = read_script(Path::new(file))?;
        let mut other = Self::open(self.options.clone(), self.files)?;
        other.loading = true;
        for (number, line) in (1usize..).zip(text.lines()) {
            let said = other.execute(line);
            if !said.command.is_empty() {
                reply.lines.push(Line::new(Tone::Quiet, format!("> {}", said.command)));
            }
            reply.lines.extend(said.lines);
            if let Some(error) = said.error {
                return Err(Refusal { message: format!("{file}, line {number}: {}", error.message), hint: error.hint });
            }
            if said.quit {
                break;
            }
        }
        other.loading = false;
        *self = other;
        Ok(())
    }
}

/// Reads a script.
pub(super) fn read_script(file: &Path) -> Result<String, String> {
    let name = file.display();
    let failed = |error: std::io::Error| format!("cannot read {name}: {error}; name a script, a text file with one command a line");
    if file.is_dir() {
        return Err(format!("{name} is a directory; name a script in it"));
    }
    read_bounded(std::fs::File::open(file).map_err(failed)?).map_err(failed)
}

/// Reads a script to its end, bounded while reading: pipes and devices do not know their length.
pub(super) fn read_bounded(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    let read = from.take(SCRIPT_BYTES_MAX.saturating_add(1)).read_to_string(&mut text)?;
    if read as u64 > SCRIPT_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is longer than {SCRIPT_BYTES_MAX} bytes, the limit for a script")));
    }
    // Some editors write a byte order mark at the beginning of a file.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// Performs an act and returns the lines that narrate it.
fn perform(stage: &mut Stage, act: &Act) -> Result<Vec<Line>, String> {
    let each = |stage: &mut Stage, seats: &[Seat], what: fn(&mut Stage, Seat) -> Result<(), String>| -> Result<(), String> {
        seats.iter().try_for_each(|seat| what(stage, *seat))
    };
    let mut after = Vec::new();
    match act {
        Act::Tx(order, at) => stage.submit(order, *at)?,
        Act::Deliver(None) => step(stage, 1).and_then(|done| if done == 0 { Err(stage.comes_next()) } else { Ok(()) })?,
        Act::Deliver(Some(pick)) => after.extend(deliver(stage, pick)?),
        Act::Drop(pick) => after.extend(drop_messages(stage, pick)?),
        Act::Step(events) => {
            let done = step(stage, *events)?;
            if done < *events {
                after.push(Line::hint(stage.comes_next()));
            }
        }
        Act::Run(span) => return run(stage, *span),
        Act::Vote { seat, yes, block } => stage.vote(*seat, *yes, block.as_deref())?,
        Act::Voting { manual, seats } => {
            for seat in seats {
                stage.set_manual(*seat, *manual)?;
            }
            let names: Vec<String> = seats.iter().map(|seat| stage.name(*seat)).collect();
            let who = super::paint::row(&names);
            after.push(Line::plain(if *manual {
                format!("from now on you vote for {who}")
            } else {
                format!("from now on the rules of §3.4 vote for {who}")
            }));
        }
        Act::Timeout(seats) => each(stage, seats, Stage::time_out)?,
        Act::Heartbeat(seat) => stage.heartbeat(*seat)?,
        Act::Crash(seats) => each(stage, seats, Stage::crash)?,
        Act::Recover(seats) => each(stage, seats, Stage::recover)?,
        Act::Partition(groups) => stage.partition(groups),
        Act::Heal => stage.heal()?,
        Act::Twin(seat) => stage.twin(*seat)?,
        Act::Lie { seat, to, yes, block } => stage.lie(*seat, to, *yes, block.as_deref())?,
    }
    let mut lines: Vec<Line> = stage.notes.iter().map(super::narrate::Note::line).collect();
    lines.extend(after);
    Ok(lines)
}

/// Delivers the oldest deliverable messages, at most `events`. Returns how many.
fn step(stage: &mut Stage, events: u64) -> Result<u64, String> {
    let mut done = 0u64;
    while done < events {
        let Some(number) = stage.flight.next() else { break };
        stage.deliver(number)?;
        done = done.saturating_add(1);
    }
    Ok(done)
}

fn deliver(stage: &mut Stage, pick: &Pick) -> Result<Option<Line>, String> {
    if let Pick::Numbers(numbers) = pick {
        for number in numbers {
            stage.deliver(*number)?;
        }
        return Ok(None);
    }
    match stage.deliver_picked(pick)? {
        (0, 0) => Err("no such message is in flight; `messages` lists them".into()),
        (0, held) => Err(format!("{} cannot cross the partition; `heal` first", count(held, "message"))),
        (_, 0) => Ok(None),
        (_, held) => Ok(Some(Line::hint(format!("{} held back by the partition", count(held, "message"))))),
    }
}

fn drop_messages(stage: &mut Stage, pick: &Pick) -> Result<Option<Line>, String> {
    let numbers = stage.flight.pick(pick);
    if let Pick::Numbers(wanted) = pick
        && let Some(missing) = wanted.iter().find(|number| !numbers.contains(number))
    {
        return Err(format!("no message #{missing} is in flight; `messages` lists them"));
    }
    if numbers.is_empty() {
        return Err("no such message is in flight; `messages` lists them".into());
    }
    for number in numbers {
        if let Some(letter) = stage.flight.take(number) {
            let what = stage.describe(&letter);
            stage.note(super::narrate::Note::bad("lost", format!("#{number} {what}")));
        }
    }
    Ok(None)
}

/// Delivers messages in order and returns a summary.
fn run(stage: &mut Stage, span: Span) -> Result<Vec<Line>, String> {
    let first = stage.highest_round();
    let events_max = match span {
        Span::Events(events) => events,
        Span::Rounds(_) => RUN_MAX,
    };
    let mut done = 0u64;
    while done < events_max {
        if let Span::Rounds(rounds) = span
            && stage.highest_round().since(first) >= rounds
        {
            break;
        }
        if step(stage, 1)? == 0 {
            break;
        }
        done = done.saturating_add(1);
    }
    let mut lines: Vec<Line> = stage.notes.iter().filter(|note| note.is_mark).map(super::narrate::Note::line).collect();
    let still = stage.flight.letters().count();
    let rest = if still == 0 { "none in flight".into() } else { format!("{} in flight", count(still, "message")) };
    lines.push(Line::plain(format!("{} delivered, {rest}", count(usize::try_from(done).unwrap_or(usize::MAX), "message"))));
    lines.push(stage.outline());
    Ok(lines)
}
