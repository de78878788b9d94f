//! Imports text files of Byzantine Chain Replication (2017), and later files with the same rows: `name = value`, comments, in any order, with
//! unknown names allowed.
//!
//! There, a chain of 2t+1 replicas tolerates t failures; here that takes 3t+1 validators. docs/scenarios.md says what each trigger, failure
//! and switch means in this protocol.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::{CLIENTS_MAX, Expect, Leaders, MS_MAX, Part, Scenario, default_parameters},
    operations::{Workload, calls, workload},
    place::{FileError, Place, Places},
    read::Imported,
    rules::{Fault, Kind, Party, Rounds, Rule},
    triggers::{self, Trigger},
};

type Read<T> = Result<T, FileError>;

/// A row of the file.
struct Row<'a> {
    name: &'a str,
    value: &'a str,
    /// Position of the name.
    place: Place,
    /// Byte offset of the value.
    at: usize,
}

fn rows(text: &str) -> Read<Vec<Row<'_>>> {
    let mut rows = Vec::new();
    let mut places = Places::new(text);
    let mut start = 0usize;
    for line in text.split_inclusive('\n') {
        let begin = start;
        start = start.saturating_add(line.len());
        let row = line.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let place = places.of(begin.saturating_add(line.len().saturating_sub(line.trim_start().len())));
        let Some((name, value)) = line.split_once('=') else {
            return Err(FileError::new(place, "a row without `=`", "write `name = value`, or begin a comment with #"));
        };
        let behind = value.len().saturating_sub(value.trim_start().len());
        let at = begin.saturating_add(name.len()).saturating_add(1).saturating_add(behind);
        rows.push(Row { name: name.trim(), value: value.trim(), place, at });
    }
    Ok(rows)
}

/// Whether a text looks like one of these files.
pub(crate) fn looks_like(text: &str) -> bool {
    let known = |row: &Row<'_>| {
        let name = row.name.split('[').next().unwrap_or_default().trim();
        matches!(
            name,
            "test_case_name"
                | "t"
                | "num_client"
                | "head_timeout"
                | "nonhead_timeout"
                | "number_of_procs"
                | "number_of_clients"
                | "client_reqs"
        ) || (row.name.contains('[') && matches!(name, "workload" | "failures"))
    };
    rows(text).is_ok_and(|rows| rows.iter().any(known))
}

/// Reads a file of this format.
pub(crate) fn read(text: &str) -> Read<Imported> {
    let scenario = Scenario { name: "bcr".into(), ..Scenario::default() };
    let mut importer = Importer { text, notes: Vec::new(), scenario, switches: Vec::new(), places: BTreeMap::new() };
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let mut given: BTreeMap<u16, Workload> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in rows(text)? {
        if !seen.insert(row.name.replace(' ', "")) {
            return Err(FileError::new(row.place, format!("duplicate row `{}`", row.name), "keep only one of the rows"));
        }
        match row.name.split_once('[').map(|(name, index)| (name.trim_end(), index)) {
            None => importer.scalar(&row, &mut numbers)?,
            Some(("workload", index)) => {
                let client = Importer::index(&row, index)?;
                let workload = workload(row.value).map_err(|(byte, what, fix)| importer.inside(&row, byte, what, fix))?;
                given.insert(client, workload);
            }
            Some(("failures", index)) => importer.failures(&row, index)?,
            Some(_) => importer.left_out(&row),
        }
    }
    importer.finish(&numbers, given)
}

/// A switch of the later files; each turns on one class of faulty processes of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    /// The proposals and votes of the last f validators are lost, so they only time out.
    TimeOutCommit,
    /// The same for the last f + 1, one more than tolerated.
    TimeOutTc,
    /// The votes of the last f are lost.
    MessageLoss,
    /// The votes of the last f are two seconds late.
    MessageDelay,
    /// The second half of the clients forge their first message and send every later one twice.
    FaultyClient,
}

/// Delay of votes under `message_delay`, in microseconds.
const MESSAGE_DELAY: u64 = 2_000_000;

impl Switch {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "time_out_commit" => Self::TimeOutCommit,
            "time_out_TC" => Self::TimeOutTc,
            "message_loss" => Self::MessageLoss,
            "message_delay" => Self::MessageDelay,
            "faulty_client" => Self::FaultyClient,
            _ => return None,
        })
    }

    /// The faults in its validators' messages.
    fn faults(self) -> &'static [(Kind, Fault)] {
        match self {
            Self::TimeOutCommit | Self::TimeOutTc => &[(Kind::Proposal, Fault::MsgLoss), (Kind::Vote, Fault::MsgLoss)],
            Self::MessageLoss => &[(Kind::Vote, Fault::MsgLoss)],
            Self::MessageDelay => &[(Kind::Vote, Fault::Delay(MESSAGE_DELAY))],
            Self::FaultyClient => &[],
        }
    }
}

struct Importer<'a> {
    text: &'a str,
    notes: Vec<String>,
    scenario: Scenario,
    /// The switches turned on, with their lines.
    switches: Vec<(Switch, usize)>,
    /// Positions of the parts, for errors of the scenario's check.
    places: BTreeMap<Part, Place>,
}

impl Importer<'_> {
    fn inside(&self, row: &Row<'_>, byte: usize, what: String, fix: String) -> FileError {
        FileError::new(Place::of(self.text, row.at.saturating_add(byte)), what, fix)
    }

    fn left_out(&mut self, row: &Row<'_>) {
        self.notes.push(format!("{}: unknown row `{}` ignored", row.place, row.name));
    }

    fn scalar<'r>(&mut self, row: &Row<'r>, numbers: &mut BTreeMap<&'r str, u64>) -> Read<()> {
        match row.name {
            "test_case_name" => {
                row.value.trim_matches(['\'', '"']).clone_into(&mut self.scenario.name);
            }
            "t" | "num_client" | "client_timeout" | "head_timeout" | "nonhead_timeout" | "checkpt_interval" | "number_of_procs"
            | "client_reqs" | "number_of_clients" | "request_gap" => {
                // The gap is in seconds, all other times in milliseconds.
                let max = if row.name == "request_gap" { MS_MAX / 1_000 } else { MS_MAX };
                let number = row.value.parse().ok().filter(|number| *number <= max);
                let Some(number) = number else {
                    let fix = format!("write a whole number from 0 to {max}");
                    return Err(FileError::new(Place::of(self.text, row.at), format!("{} is not a valid number", row.name), fix));
                };
                numbers.insert(row.name, number);
                let parts: &[&str] = match row.name {
                    "t" | "number_of_procs" => &["validators", "faulty"],
                    "num_client" | "number_of_clients" => &["clients"],
                    "client_timeout" => &["client_timeout_ms"],
                    "head_timeout" | "nonhead_timeout" => &["delta_ms"],
                    "request_gap" => &["request_gap_ms"],
                    _ => &[],
                };
                self.places.extend(parts.iter().map(|part| (Part::Key(part), row.place)));
            }
            "hosts" | "client_hosts" | "replica_hosts" => {
                self.notes.push(format!("{}: `{}` ignored: a simulation has no hosts", row.place, row.name));
            }
            name => match Switch::of(name) {
                Some(switch) => match row.value.to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" => self.switches.push((switch, row.place.line)),
                    "false" | "0" | "no" | "none" | "" => {}
                    _ => {
                        let fix = "write True or False";
                        return Err(FileError::new(Place::of(self.text, row.at), format!("{name} is neither true nor false"), fix));
                    }
                },
                None => self.left_out(row),
            },
        }
        Ok(())
    }

    fn index(row: &Row<'_>, index: &str) -> Read<u16> {
        let number = index.trim_end().trim_end_matches(']').trim().parse::<u16>().ok().filter(|number| u64::from(*number) < CLIENTS_MAX);
        number.ok_or_else(|| {
            FileError::new(row.place, format!("`{}` needs a valid number in its brackets", row.name), "write workload[0] = ...")
        })
    }

    /// `failures[c,r] = trigger,failure(); trigger,failure()`.
    fn failures(&mut self, row: &Row<'_>, index: &str) -> Read<()> {
        let ends = index.trim_end().trim_end_matches(']').split_once(',');
        let ends = ends.and_then(|(c, r)| Some((c.trim().parse::<u16>().ok()?, r.trim().parse::<u16>().ok()?)));
        let Some((configuration, validator)) = ends else {
            let fix = "write failures[configuration,replica] = trigger,failure()";
            return Err(FileError::new(row.place, format!("`{}` needs two numbers in its brackets", row.name), fix));
        };
        let calls = calls(row.value).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
        if configuration > 0 {
            let note = "ignored: it is for a later configuration, and there is no reconfiguration here";
            self.notes.push(format!("{}: `{}` {note}", row.place, row.name));
            return Ok(());
        }
        let mut calls = calls.iter();
        while let Some(first) = calls.next() {
            let (event, client, count) = triggers::event(first).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
            let Some(second) = calls.next() else {
                return Err(self.inside(
                    row,
                    first.at,
                    format!("trigger `{}` has no failure", first.name),
                    "write trigger,failure()".into(),
                ));
            };
            let deed = triggers::deed(second).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
            let trigger = Trigger { line: row.place.line, validator, event, client, count, deed };
            // A replica's failures are a set: duplicates count once.
            if !self.scenario.triggers.contains(&trigger) {
                let index = self.scenario.triggers.len();
                for (key, at) in [("validator", 0), ("on", first.at), ("do", second.at)] {
                    let place = if key == "validator" { row.place } else { Place::of(self.text, row.at.saturating_add(at)) };
                    self.places.insert(Part::Trigger(index, key), place);
                }
                self.scenario.triggers.push(trigger);
            }
        }
        Ok(())
    }

    fn finish(mut self, numbers: &BTreeMap<&str, u64>, mut given: BTreeMap<u16, Workload>) -> Read<Imported> {
        let number = |name: &str| numbers.get(name).copied();
        let liars: BTreeSet<u16> =
            self.scenario.triggers.iter().filter(|trigger| !trigger.deed.is_benign()).map(|trigger| trigger.validator).collect();
        let t = number("t").unwrap_or(1).max(liars.len() as u64);
        let validators = number("number_of_procs").unwrap_or_else(|| t.saturating_mul(3).saturating_add(1));
        if number("number_of_procs").is_none() {
            let chain = t.saturating_mul(2).saturating_add(1);
            self.notes.push(format!("a chain of {chain} replicas became a committee of {validators} validators (t = {t})"));
        }
        if number("number_of_procs").is_some() {
            // In the programs of the later files, leaders take turns.
            self.scenario.leaders = Leaders::RoundRobin;
        }
        self.scenario.validators = u16::try_from(validators).unwrap_or(u16::MAX);
        self.scenario.faulty = liars;
        let named = given.keys().max().map_or(0, |last| u64::from(*last).saturating_add(1));
        let clients = number("num_client").or_else(|| number("number_of_clients")).unwrap_or_else(|| named.max(1));
        if clients > CLIENTS_MAX {
            let place = self.place(Part::Key("clients"));
            return Err(FileError::new(place, format!("{clients} clients"), format!("choose at most {CLIENTS_MAX}")));
        }
        if named > clients {
            self.notes.push(format!("only the first {clients} clients take part"));
        }
        let count = number("client_reqs").and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        self.scenario.workloads = (0..u16::try_from(clients).unwrap_or(u16::MAX))
            .map(|client| given.remove(&client).unwrap_or(Workload::Requests(count)))
            .collect();
        // The time after which a replica gives up on its peers corresponds to the round timer here.
        let timer = number("nonhead_timeout").or_else(|| number("head_timeout")).unwrap_or(400).clamp(12, 1_000_000);
        self.scenario.parameters = default_parameters(timer / 4);
        self.scenario.client_timeout_ms = number("client_timeout").unwrap_or(5_000).max(1);
        self.scenario.request_gap_ms = number("request_gap").unwrap_or_default().saturating_mul(1_000);
        self.switch_on();
        if let Some(interval) = number("checkpt_interval") {
            self.notes.push(format!("checkpt_interval {interval} ignored: every commit is a checkpoint here"));
        }
        self.scenario.check().map_err(|broken| FileError::new(self.place(broken.part), broken.what, broken.fix))?;
        Ok(Imported { scenario: self.scenario, notes: self.notes })
    }

    /// Turns the switches into failures and marks their validators as faulty.
    fn switch_on(&mut self) {
        let (n, f) = (self.scenario.validators, self.scenario.tolerated());
        let is_on = |wanted: Switch| self.switches.iter().any(|(switch, _)| *switch == wanted);
        // The program checks its switches in this order and uses only the first that is on.
        let first =
            [Switch::TimeOutCommit, Switch::TimeOutTc, Switch::MessageLoss, Switch::MessageDelay].into_iter().find(|one| is_on(*one));
        for (switch, line) in std::mem::take(&mut self.switches) {
            if switch == Switch::FaultyClient {
                let clients = u16::try_from(self.scenario.workloads.len()).unwrap_or(u16::MAX);
                self.scenario.faulty_clients = (clients / 2..clients).collect();
                continue;
            }
            if Some(switch) != first {
                self.notes.push(format!("{line}:1: switch ignored: only one switch for validators takes effect"));
                continue;
            }
            let count = if switch == Switch::TimeOutTc { f.saturating_add(1) } else { f };
            if switch == Switch::TimeOutTc {
                self.scenario.beyond_f = true;
                self.scenario.expect = Expect::Stalled;
            }
            for id in n.saturating_sub(count)..n {
                self.scenario.faulty.insert(id);
                for (kind, fault) in switch.faults() {
                    self.places.insert(Part::Failure(self.scenario.failures.len(), "src"), Place { line, column: 1 });
                    self.scenario.failures.push(Rule {
                        line,
                        src: Party::Validator(id),
                        dest: Party::Any,
                        kind: Some(*kind),
                        rounds: Rounds::Any,
                        per_million: 1_000_000,
                        fault: *fault,
                    });
                }
            }
        }
    }

    /// The position of a part; for one that no row sets, the end of the file.
    fn place(&self, part: Part) -> Place {
        self.places.get(&part).copied().unwrap_or_else(|| Place::of(self.text, self.text.trim_end().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_any_order_and_unknown_ones_are_only_noted() {
        let Imported { scenario, notes } = read(
            "# a comment\nfailures[0,1] = shuttle(0,1),change_result(); shuttle(0,1),change_result()\nmine = 1\nworkload[1] = get('k')\n\
             workload[0] = pseudorandom(1,2)\nnum_client=2\n t = 2\nnonhead_timeout = 800\nfailures[3,0] = checkpoint(1),crash()\n",
        )
        .unwrap();
        assert_eq!((scenario.validators, scenario.workloads.len(), scenario.triggers.len()), (7, 2, 1));
        assert_eq!(scenario.parameters.timeout_base_ms, 800);
        assert_eq!(scenario.faulty, BTreeSet::from([1]));
        assert!(notes.iter().any(|note| note.starts_with("3:1: unknown row `mine`")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("failures[3,0]")), "{notes:?}");
    }

    #[test]
    fn switches_become_failures_of_the_last_validators_and_clients() {
        let base = "number_of_procs = 7\nclient_reqs = 2\nnumber_of_clients = 3\nrequest_gap = 2\n";
        let read = |switch: &str| read(&format!("{base}{switch}")).unwrap().scenario;
        let off = read("time_out_commit=False\ntime_out_TC=0\nfaulty_client=False\nmessage_loss=no");
        assert_eq!((off.request_gap_ms, off.failures.len(), off.faulty.len(), off.faulty_clients.len()), (2_000, 0, 0, 0));
        for (switch, faulty, failures, expect) in [
            ("time_out_commit=True", vec![5, 6], 4, Expect::Committed),
            ("time_out_TC = True", vec![4, 5, 6], 6, Expect::Stalled),
            ("message_loss=True", vec![5, 6], 2, Expect::Committed),
            ("message_delay=1", vec![5, 6], 2, Expect::Committed),
        ] {
            let on = read(switch);
            assert_eq!(
                (on.faulty.iter().copied().collect::<Vec<_>>(), on.failures.len(), on.expect),
                (faulty, failures, expect),
                "{switch}"
            );
            assert!(on.failures.iter().all(|rule| rule.line == 5), "{switch}");
        }
        assert_eq!(read("faulty_client=True").faulty_clients, BTreeSet::from([1, 2]));
        let both = super::read(&format!("{base}message_loss=True\ntime_out_commit=True")).unwrap();
        assert_eq!((both.scenario.failures.len(), both.notes.iter().any(|note| note.starts_with("5:1:"))), (4, true));
    }

    #[test]
    fn says_where_a_row_is_wrong() {
        for (text, expected) in [
            ("t = 1\nrubbish", "2:1: a row without `=`"),
            ("t = one", "1:5: t is not a valid number"),
            ("t = 1\n t = 2", "2:2: duplicate row `t`"),
            ("workload[x] = get('k')", "1:1: `workload[x]` needs a valid number"),
            ("workload[0] = get('k'); hop()", "1:25: there is no operation `hop`"),
            ("failures[0] = shuttle(0,1),crash()", "1:1: `failures[0]` needs two numbers"),
            ("failures[0,1] = shuttle(0,1)", "1:17: trigger `shuttle` has no failure"),
            ("failures[0,1] = shuttle(0,1),vanish()", "1:30: `vanish` is not a failure, or has wrong arguments"),
            ("t = 1\nworkload[0] = get('k')\nfailures[0,7] = shuttle(0,1),crash()", "3:1: there is no validator 7"),
            ("t = 1\nnum_client = 1\nworkload[0] = get('k')\nfailures[0,1] = shuttle(5,1),crash()", "4:17: there is no client 5"),
            ("t = 1\nnum_client = 0\nworkload[0] = get('k')", "2:1: 0 clients"),
            ("t = 1\nnum_client = 2000", "2:1: 2000 clients"),
            ("workload[0] = get('k')\nt = 90", "2:1: 271 validators"),
            ("t = 1\nfaulty_client = maybe", "2:17: faulty_client is neither true nor false"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
