//! Imports the text file of Byzantine Chain Replication (2017), and the later ones with the same rows: `name = value`, comments, any order,
//! extra names allowed.
//!
//! A chain of 2t+1 replicas tolerates t failures there; here it takes 3t+1 validators. What each trigger and failure means in this protocol
//! is in docs/scenarios.md.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::{CLIENTS_MAX, MS_MAX, Scenario, default_parameters},
    operations::{Workload, calls, workload},
    place::{FileError, Place, Places},
    read::Imported,
    triggers::{self, Trigger},
};

type Read<T> = Result<T, FileError>;

/// A row of the file.
struct Row<'a> {
    name: &'a str,
    value: &'a str,
    /// Of the name.
    place: Place,
    /// Where the value begins.
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

/// Reads a file.
pub(crate) fn read(text: &str) -> Read<Imported> {
    let mut importer = Importer { text, notes: Vec::new(), scenario: Scenario { name: "bcr".into(), ..Scenario::default() } };
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let mut given: BTreeMap<u16, Workload> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in rows(text)? {
        if !seen.insert(row.name.replace(' ', "")) {
            return Err(FileError::new(row.place, format!("`{}` stands here a second time", row.name), "keep one of the rows"));
        }
        match row.name.split_once('[') {
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

struct Importer<'a> {
    text: &'a str,
    notes: Vec<String>,
    scenario: Scenario,
}

impl Importer<'_> {
    fn inside(&self, row: &Row<'_>, byte: usize, what: String, fix: String) -> FileError {
        FileError::new(Place::of(self.text, row.at.saturating_add(byte)), what, fix)
    }

    fn left_out(&mut self, row: &Row<'_>) {
        self.notes.push(format!("{}: `{}` is not known and was left out", row.place, row.name));
    }

    fn scalar<'r>(&mut self, row: &Row<'r>, numbers: &mut BTreeMap<&'r str, u64>) -> Read<()> {
        match row.name {
            "test_case_name" => {
                row.value.trim_matches(['\'', '"']).clone_into(&mut self.scenario.name);
            }
            "t" | "num_client" | "client_timeout" | "head_timeout" | "nonhead_timeout" | "checkpt_interval" | "number_of_procs"
            | "client_reqs" | "number_of_clients" | "request_gap" => {
                let number = row.value.parse().ok().filter(|number| *number <= MS_MAX);
                let Some(number) = number else {
                    let fix = format!("write a whole number from 0 to {MS_MAX}");
                    return Err(FileError::new(Place::of(self.text, row.at), format!("{} is no usable number", row.name), fix));
                };
                numbers.insert(row.name, number);
            }
            "hosts" | "client_hosts" | "replica_hosts" => {
                self.notes.push(format!("{}: `{}` places processes on machines; a simulation has one", row.place, row.name));
            }
            "time_out_commit" | "time_out_TC" | "faulty_client" => {
                self.notes.push(format!("{}: `{}` switches a fault class of one project; write it as a failure", row.place, row.name));
            }
            _ => self.left_out(row),
        }
        Ok(())
    }

    fn index(row: &Row<'_>, index: &str) -> Read<u16> {
        let number = index.trim_end().trim_end_matches(']').trim().parse::<u16>().ok().filter(|number| u64::from(*number) < CLIENTS_MAX);
        number.ok_or_else(|| {
            FileError::new(row.place, format!("`{}` has no usable number in its brackets", row.name), "write workload[0] = ...")
        })
    }

    /// `failures[c,r] = trigger,failure(); trigger,failure()`.
    fn failures(&mut self, row: &Row<'_>, index: &str) -> Read<()> {
        let ends = index.trim_end().trim_end_matches(']').split_once(',');
        let ends = ends.and_then(|(c, r)| Some((c.trim().parse::<u16>().ok()?, r.trim().parse::<u16>().ok()?)));
        let Some((configuration, validator)) = ends else {
            let fix = "write failures[configuration,replica] = trigger,failure()";
            return Err(FileError::new(row.place, format!("`{}` has no two numbers in its brackets", row.name), fix));
        };
        let calls = calls(row.value).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
        if configuration > 0 {
            let note = "is of a later configuration; nothing is reconfigured here, so it was left out";
            self.notes.push(format!("{}: `{}` {note}", row.place, row.name));
            return Ok(());
        }
        let mut calls = calls.iter();
        while let Some(first) = calls.next() {
            let (event, client, count) = triggers::event(first).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
            let Some(second) = calls.next() else {
                return Err(self.inside(row, first.at, format!("`{}` has no failure", first.name), "write trigger,failure()".into()));
            };
            let deed = triggers::deed(second).map_err(|(byte, what, fix)| self.inside(row, byte, what, fix))?;
            let trigger = Trigger { line: row.place.line, validator, event, client, count, deed };
            // The failures of a replica are a set.
            if !self.scenario.triggers.contains(&trigger) {
                self.scenario.triggers.push(trigger);
            }
        }
        Ok(())
    }

    fn finish(mut self, numbers: &BTreeMap<&str, u64>, mut given: BTreeMap<u16, Workload>) -> Read<Imported> {
        let start = Place { line: 1, column: 1 };
        let number = |name: &str| numbers.get(name).copied();
        let liars: BTreeSet<u16> =
            self.scenario.triggers.iter().filter(|trigger| !trigger.deed.is_benign()).map(|trigger| trigger.validator).collect();
        let t = number("t").unwrap_or(1).max(liars.len() as u64);
        let validators = number("number_of_procs").unwrap_or_else(|| t.saturating_mul(3).saturating_add(1));
        if number("number_of_procs").is_none() {
            let chain = t.saturating_mul(2).saturating_add(1);
            self.notes.push(format!("a chain of {chain} replicas became a committee of {validators} validators (t = {t})"));
        }
        self.scenario.validators = u16::try_from(validators).unwrap_or(u16::MAX);
        self.scenario.faulty = liars;
        let named = given.keys().max().map_or(0, |last| u64::from(*last).saturating_add(1));
        let clients = number("num_client").or_else(|| number("number_of_clients")).unwrap_or_else(|| named.max(1));
        if clients > CLIENTS_MAX {
            return Err(FileError::new(start, format!("{clients} clients"), format!("choose at most {CLIENTS_MAX}")));
        }
        if named > clients {
            self.notes.push(format!("only the first {clients} clients take part"));
        }
        let count = number("client_reqs").and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
        self.scenario.workloads = (0..u16::try_from(clients).unwrap_or(u16::MAX))
            .map(|client| given.remove(&client).unwrap_or(Workload::Requests(count)))
            .collect();
        // The time after which a replica gives its peers up is what the timer of a round is here.
        let timer = number("nonhead_timeout").or_else(|| number("head_timeout")).unwrap_or(400).clamp(12, 1_000_000);
        self.scenario.parameters = default_parameters(timer / 4);
        self.scenario.client_timeout_ms = number("client_timeout").unwrap_or(5_000).max(1);
        self.scenario.request_gap_ms = number("request_gap").unwrap_or_default();
        if let Some(interval) = number("checkpt_interval") {
            self.notes.push(format!("checkpt_interval {interval}: every commit is a checkpoint here"));
        }
        self.scenario.check().map_err(|broken| FileError::new(start, broken.what, broken.fix))?;
        Ok(Imported { scenario: self.scenario, notes: self.notes })
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
        assert!(notes.iter().any(|note| note.starts_with("3:1: `mine`")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("failures[3,0]")), "{notes:?}");
    }

    #[test]
    fn says_where_a_row_is_wrong() {
        for (text, expected) in [
            ("t = 1\nrubbish", "2:1: a row without `=`"),
            ("t = one", "1:5: t is no usable number"),
            ("t = 1\n t = 2", "2:2: `t` stands here a second time"),
            ("workload[x] = get('k')", "1:1: `workload[x]` has no usable number"),
            ("workload[0] = get('k'); hop()", "1:25: there is no operation `hop`"),
            ("failures[0] = shuttle(0,1),crash()", "1:1: `failures[0]` has no two numbers"),
            ("failures[0,1] = shuttle(0,1)", "1:17: `shuttle` has no failure"),
            ("failures[0,1] = shuttle(0,1),vanish()", "1:30: `vanish` with these arguments is no failure"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
