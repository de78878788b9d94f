//! Reads the program's own format: TOML with no unknown keys, and errors with their position. docs/scenarios.md describes the keys.

use std::collections::{BTreeMap, BTreeSet};

use quorate_builtin::operation::KvSpace;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    model::{DELTA_MS, Expect, Leaders, Part, Scenario, default_parameters},
    operations::{Call, REQUESTS_MAX, Workload, Wrong, calls, workload},
    place::{FileError, Place, Places, millionths},
    rules::{Attribute, Fault, Kind, Party, Rounds, Rule},
    spelling::{self, Failing},
    triggers::{self, Trigger},
};

type Read<T> = Result<T, FileError>;
type Node<'a> = &'a Spanned<DeValue<'a>>;

/// Top-level keys.
const KEYS: &[&str] = &[
    "name",
    "description",
    "seed",
    "validators",
    "faulty",
    "beyond_f",
    "clients",
    "requests",
    "faulty_clients",
    "space",
    "expect",
    "rounds_max",
    "time_limit_s",
    "client_timeout_ms",
    "request_gap_ms",
    "network_delay_ms",
    "delta_ms",
    "round_timeout_ms",
    "round_timeout_max_ms",
    "round_timeout_growth_percent",
    "heartbeat_ms",
    "block_transactions_max",
    "window_size",
    "exclude_size",
    "leaders",
    "workload",
    "failures",
    "triggers",
];
const WORKLOAD_KEYS: &[&str] = &["client", "operations"];
const FAILURE_KEYS: &[&str] = &["src", "dest", "msg_type", "round", "prob", "fail_type", "val", "attr"];
const TRIGGER_KEYS: &[&str] = &["validator", "on", "do"];

/// Reads a scenario and checks it.
pub(crate) fn read(text: &str) -> Read<Scenario> {
    let root = DeTable::parse(text).map_err(|error| {
        let place = Place::of(text, error.span().map_or(0, |span| span.start));
        FileError::new(
            place,
            error.message().lines().collect::<Vec<_>>().join(", "),
            "write valid TOML 1.0; `quorate sim scenario new` prints an example",
        )
    })?;
    let mut reader = Reader { text, places: Places::new(text), parts: BTreeMap::new() };
    let scenario = reader.scenario(&Table { node: root.get_ref(), at: root.span().start })?;
    scenario.check().map_err(|broken| {
        let at = reader.parts.get(&broken.part).or_else(|| reader.table_of(broken.part)).copied().unwrap_or_default();
        FileError::new(Place::of(text, at), broken.what, broken.fix)
    })?;
    Ok(scenario)
}

#[derive(Clone, Copy)]
struct Table<'a> {
    node: &'a DeTable<'a>,
    at: usize,
}

struct Reader<'t> {
    text: &'t str,
    places: Places<'t>,
    /// Byte offsets of the parts, for errors of the scenario's check.
    parts: BTreeMap<Part, usize>,
}

impl Reader<'_> {
    fn wrong<T>(&self, at: usize, what: impl Into<String>, fix: impl Into<String>) -> Read<T> {
        Err(FileError::new(Place::of(self.text, at), what, fix))
    }

    /// The first part of the same failure or trigger, for one without a position of its own.
    fn table_of(&self, part: Part) -> Option<&usize> {
        self.parts.iter().find_map(|(known, at)| match (known, part) {
            (Part::Failure(one, _), Part::Failure(other, _)) | (Part::Trigger(one, _), Part::Trigger(other, _)) if *one == other => {
                Some(at)
            }
            _ => None,
        })
    }

    fn scenario(&mut self, root: &Table<'_>) -> Read<Scenario> {
        self.keys(root, KEYS, "the file")?;
        for key in KEYS {
            if let Some(value) = root.node.get(*key) {
                self.parts.insert(Part::Key(key), value.span().start);
            }
        }
        let base = Scenario::default();
        let validators = u16::try_from(self.number(root, "validators", 0..=u64::from(u16::MAX))?.unwrap_or(4)).unwrap_or(u16::MAX);
        let delta = self.number(root, "delta_ms", 3..=1_000_000)?.unwrap_or(DELTA_MS);
        let scenario = Scenario {
            name: self.text_of(root, "name")?.unwrap_or(base.name),
            description: self.text_of(root, "description")?.unwrap_or_default(),
            seed: self.number(root, "seed", 0..=u64::MAX)?,
            validators,
            faulty: self.faulty(root, validators)?,
            beyond_f: self.boolean(root, "beyond_f")?.unwrap_or(false),
            workloads: self.workloads(root)?,
            faulty_clients: self.faulty_clients(root)?,
            space: self.choice(root, "space", &[("shared", KvSpace::Shared), ("own", KvSpace::Own)])?.unwrap_or(KvSpace::Shared),
            expect: self
                .choice(root, "expect", &[("committed", Expect::Committed), ("stalled", Expect::Stalled)])?
                .unwrap_or(Expect::Committed),
            rounds_max: self.number(root, "rounds_max", 1..=u64::MAX)?,
            time_limit_s: self.number(root, "time_limit_s", 0..=u64::MAX)?.unwrap_or(base.time_limit_s),
            client_timeout_ms: self.number(root, "client_timeout_ms", 0..=u64::MAX)?.unwrap_or(base.client_timeout_ms),
            request_gap_ms: self.number(root, "request_gap_ms", 0..=u64::MAX)?.unwrap_or(base.request_gap_ms),
            network_delay_ms: self.delays(root)?.unwrap_or(base.network_delay_ms),
            parameters: self.parameters(root, delta)?,
            leaders: self.leaders(root)?,
            failures: self.each(root, "failures", Self::failure)?,
            triggers: self.each(root, "triggers", Self::trigger)?,
        };
        Ok(scenario)
    }

    fn parameters(&self, root: &Table<'_>, delta: u64) -> Read<quorate_types::genesis::Parameters> {
        let mut parameters = default_parameters(delta);
        let small = 0..=u64::from(u32::MAX);
        let set = |key: &str, place: &mut u32| -> Read<bool> {
            let number = self.number(root, key, small.clone())?;
            if let Some(number) = number {
                *place = u32::try_from(number).unwrap_or(u32::MAX);
            }
            Ok(number.is_some())
        };
        if set("round_timeout_ms", &mut parameters.timeout_base_ms)? {
            parameters.timeout_max_ms = parameters.timeout_base_ms.saturating_mul(4);
            parameters.heartbeat_ms = parameters.timeout_max_ms;
        }
        set("round_timeout_max_ms", &mut parameters.timeout_max_ms)?;
        set("round_timeout_growth_percent", &mut parameters.timeout_growth_percent)?;
        set("heartbeat_ms", &mut parameters.heartbeat_ms)?;
        set("block_transactions_max", &mut parameters.block_transactions_max)?;
        set("window_size", &mut parameters.window_size)?;
        if let Some(number) = self.number(root, "exclude_size", small.clone())? {
            parameters.exclude_size = u32::try_from(number).ok();
        }
        Ok(parameters)
    }

    /// Reads a number of validators, meaning the last ones as in the course, or a list.
    fn faulty(&self, root: &Table<'_>, validators: u16) -> Read<BTreeSet<u16>> {
        let Some(value) = root.node.get("faulty") else { return Ok(BTreeSet::new()) };
        if let DeValue::Array(elements) = value.get_ref() {
            return elements.iter().map(|element| self.id(element)).collect();
        }
        let count = self.number_in(value, "faulty", 0..=u64::from(u16::MAX))?;
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        if count > validators {
            return self.wrong(value.span().start, format!("{count} of {validators} validators are faulty"), "choose fewer");
        }
        Ok((validators.saturating_sub(count)..validators).collect())
    }

    fn faulty_clients(&self, root: &Table<'_>) -> Read<BTreeSet<u16>> {
        let Some(value) = root.node.get("faulty_clients") else { return Ok(BTreeSet::new()) };
        match value.get_ref() {
            DeValue::Array(elements) => elements.iter().map(|element| self.id(element)).collect(),
            _ => self.wrong(value.span().start, "faulty_clients is not a list", "write the numbers of the clients, such as [0, 2]"),
        }
    }

    fn workloads(&mut self, root: &Table<'_>) -> Read<Vec<Workload>> {
        let clients = self.number(root, "clients", 0..=u64::from(u16::MAX))?;
        let requests = self.number(root, "requests", 0..=u64::from(REQUESTS_MAX))?;
        let given = self.each(root, "workload", |reader, _, table| reader.workload(table))?;
        let count = clients.unwrap_or_else(|| {
            let named = given.iter().map(|(client, ..)| client.saturating_add(1)).max();
            named.map_or(1, u64::from)
        });
        let default = match requests {
            Some(requests) => u32::try_from(requests).unwrap_or(REQUESTS_MAX),
            None if given.is_empty() => 1,
            None => 0,
        };
        let mut workloads = vec![Workload::Requests(default); usize::try_from(count).unwrap_or(usize::MAX)];
        let mut seen = BTreeSet::new();
        for (client, at, workload) in given {
            if !seen.insert(client) {
                return self.wrong(at, format!("client {client} has two workloads"), "join them with `;`");
            }
            match workloads.get_mut(usize::from(client)) {
                Some(place) => *place = workload,
                None => return self.wrong(at, format!("there is no client {client}"), "raise `clients`, or use a lower number"),
            }
        }
        Ok(workloads)
    }

    fn workload(&self, table: &Table<'_>) -> Read<(u16, usize, Workload)> {
        self.keys(table, WORKLOAD_KEYS, "a workload")?;
        let (client, operations) = (self.need(table, "client")?, self.need(table, "operations")?);
        let text = self.string(operations, "operations")?;
        let read = workload(text).map_err(|wrong| self.inside(operations, wrong))?;
        Ok((self.id(client)?, client.span().start, read))
    }

    fn delays(&self, root: &Table<'_>) -> Read<Option<(u64, u64)>> {
        let Some(value) = root.node.get("network_delay_ms") else { return Ok(None) };
        if let DeValue::Array(ends) = value.get_ref() {
            let ends = ends.iter().map(|end| self.number_in(end, "network_delay_ms", 0..=u64::MAX)).collect::<Read<Vec<_>>>()?;
            return match ends.as_slice() {
                [min, max] => Ok(Some((*min, *max))),
                _ => self.wrong(value.span().start, "network_delay_ms needs two ends", "write [shortest, longest] or one number"),
            };
        }
        let delay = self.number_in(value, "network_delay_ms", 0..=u64::MAX)?;
        Ok(Some((delay, delay)))
    }

    fn leaders(&self, root: &Table<'_>) -> Read<Leaders> {
        let Some(value) = root.node.get("leaders") else { return Ok(Leaders::Reputation) };
        if let DeValue::Array(ids) = value.get_ref() {
            return ids.iter().map(|id| self.id(id)).collect::<Read<_>>().map(Leaders::Fixed);
        }
        let named = self.choice(root, "leaders", &[("reputation", Leaders::Reputation), ("round-robin", Leaders::RoundRobin)])?;
        Ok(named.unwrap_or(Leaders::Reputation))
    }

    fn failure(&mut self, index: usize, table: &Table<'_>) -> Read<Rule> {
        self.keys(table, FAILURE_KEYS, "a failure")?;
        for key in FAILURE_KEYS {
            if let Some(value) = table.node.get(*key) {
                self.parts.insert(Part::Failure(index, key), value.span().start);
            }
        }
        let named = self.need(table, "fail_type")?;
        let fault = self.fault(table, named)?;
        let kind = match table.node.get("msg_type") {
            None if fault == Fault::NoPropose => Some(Kind::Proposal),
            None => None,
            Some(value) => self.kind(value)?,
        };
        if fault == Fault::NoPropose && kind != Some(Kind::Proposal) {
            return self.wrong(
                named.span().start,
                "NoPropose only applies to proposals",
                "write msg_type = \"Proposal\", or remove msg_type",
            );
        }
        let per_million = match table.node.get("prob") {
            None => 1_000_000,
            Some(value) => self.millionths(value, "prob")?,
        };
        Ok(Rule {
            line: self.places.line(table.at),
            src: self.party(table, "src")?,
            dest: self.party(table, "dest")?,
            kind,
            rounds: self.rounds(table)?,
            per_million,
            fault,
        })
    }

    fn fault(&self, table: &Table<'_>, named: Node<'_>) -> Read<Fault> {
        let name = self.string(named, "fail_type")?;
        let at = named.span().start;
        let Some(failing) = spelling::failing(name) else {
            return self.wrong(at, format!("there is no fail_type {name:?}"), format!("choose one of {}", spelling::FAILINGS));
        };
        let (val, attr) = (table.node.get("val"), table.node.get("attr"));
        if let Some(attr) = attr.filter(|_| failing != Failing::SetAttr) {
            return self.wrong(attr.span().start, format!("{name} takes no attr"), "remove it; only SetAttr takes one");
        }
        if let Some(val) = val.filter(|_| matches!(failing, Failing::MsgLoss | Failing::NoPropose)) {
            return self.wrong(val.span().start, format!("{name} takes no val"), "remove it");
        }
        match failing {
            Failing::MsgLoss => Ok(Fault::MsgLoss),
            Failing::NoPropose => Ok(Fault::NoPropose),
            Failing::Crash => val.map(|val| self.millionths(val, "val")).transpose().map(Fault::Crash),
            Failing::Delay => match val {
                Some(val) => self.millionths(val, "val").map(Fault::Delay),
                None => self.wrong(at, "a Delay without val", "give the seconds, as in val = 1.5"),
            },
            Failing::SetAttr => {
                let (Some(val), Some(attr)) = (val, attr) else {
                    return self.wrong(at, "SetAttr needs attr and val", "write attr = \"current_round\" and val = 7");
                };
                let attribute = self.attribute(attr)?;
                Ok(Fault::SetAttr(attribute, self.number_in(val, "val", 0..=u64::MAX >> 4)?))
            }
        }
    }

    fn attribute(&self, value: Node<'_>) -> Read<Attribute> {
        let name = self.string(value, "attr")?;
        spelling::attribute(name).map_or_else(
            || self.wrong(value.span().start, format!("there is no attr {name:?}"), format!("choose one of {}", spelling::ATTRIBUTES)),
            Ok,
        )
    }

    fn kind(&self, value: Node<'_>) -> Read<Option<Kind>> {
        let name = self.string(value, "msg_type")?;
        spelling::kind(name).map_or_else(
            || self.wrong(value.span().start, format!("there is no msg_type {name:?}"), format!("choose one of {}", spelling::KINDS)),
            Ok,
        )
    }

    fn party(&self, table: &Table<'_>, key: &str) -> Read<Party> {
        let Some(value) = table.node.get(key) else { return Ok(Party::Any) };
        match value.get_ref() {
            DeValue::String(name) if name == "_" => Ok(Party::Any),
            DeValue::String(name) if name == "leader" => Ok(Party::Leader),
            DeValue::Integer(_) => self.id(value).map(Party::Validator),
            _ => self.wrong(value.span().start, format!("{key} is not a validator"), "write a number, \"leader\" or \"_\" for any"),
        }
    }

    fn rounds(&self, table: &Table<'_>) -> Read<Rounds> {
        let Some(value) = table.node.get("round") else { return Ok(Rounds::Any) };
        let fix = "write a number, a range such as \"3..=9\", or \"_\" for any";
        match value.get_ref() {
            DeValue::Integer(_) => self.number_in(value, "round", 0..=u64::MAX).map(|round| Rounds::Between(round, round)),
            DeValue::String(text) => {
                rounds(text).map_or_else(|| self.wrong(value.span().start, format!("{text:?} is not a round"), fix), Ok)
            }
            _ => self.wrong(value.span().start, "round is not a round", fix),
        }
    }

    fn trigger(&mut self, index: usize, table: &Table<'_>) -> Read<Trigger> {
        self.keys(table, TRIGGER_KEYS, "a trigger")?;
        for key in TRIGGER_KEYS {
            if let Some(value) = table.node.get(*key) {
                self.parts.insert(Part::Trigger(index, key), value.span().start);
            }
        }
        let validator = self.id(self.need(table, "validator")?)?;
        let (on, deed) = (self.need(table, "on")?, self.need(table, "do")?);
        let (event, client, count) = triggers::event(&self.call(on, "on")?).map_err(|wrong| self.inside(on, wrong))?;
        let deed = triggers::deed(&self.call(deed, "do")?).map_err(|wrong| self.inside(deed, wrong))?;
        Ok(Trigger { line: self.places.line(table.at), validator, event, client, count, deed })
    }

    fn call(&self, value: Node<'_>, key: &str) -> Read<Call> {
        let mut found = calls(self.string(value, key)?).map_err(|wrong| self.inside(value, wrong))?;
        match (found.pop(), found.is_empty()) {
            (Some(call), true) => Ok(call),
            _ => self.wrong(
                value.span().start,
                format!("{key} takes exactly one call"),
                "write one, such as on = \"shuttle(0,2)\" or do = \"crash()\"",
            ),
        }
    }

    // ---- values ---------------------------------------------------------------------------------------------------------------------

    fn keys(&self, table: &Table<'_>, known: &[&str], whose: &str) -> Read<()> {
        for (key, _) in table.node {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let near = known.iter().find(|known| known.contains(name) || name.contains(**known));
                let hint = near.map_or_else(|| format!("the keys are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
                return self.wrong(key.span().start, format!("{whose} has no key `{name}`"), hint);
            }
        }
        Ok(())
    }

    /// Reads each table of an array with a function.
    fn each<T>(&mut self, root: &Table<'_>, key: &str, mut read: impl FnMut(&mut Self, usize, &Table<'_>) -> Read<T>) -> Read<Vec<T>> {
        let Some(value) = root.node.get(key) else { return Ok(Vec::new()) };
        let fix = format!("write each one as a table [[{key}]]");
        let DeValue::Array(elements) = value.get_ref() else {
            return self.wrong(value.span().start, format!("{key} must be a list of tables"), fix);
        };
        let mut all = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let DeValue::Table(table) = element.get_ref() else {
                return self.wrong(element.span().start, format!("{key} must be a list of tables"), fix);
            };
            all.push(read(self, index, &Table { node: table, at: element.span().start })?);
        }
        Ok(all)
    }

    fn need<'a>(&self, table: &Table<'a>, key: &str) -> Read<Node<'a>> {
        table.node.get(key).map_or_else(|| self.wrong(table.at, format!("`{key}` is missing"), format!("add {key} = ...")), Ok)
    }

    fn string<'a>(&self, value: Node<'a>, key: &str) -> Read<&'a str> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => self.wrong(value.span().start, format!("{key} must be a string"), "write it in quotes"),
        }
    }

    fn text_of(&self, table: &Table<'_>, key: &str) -> Read<Option<String>> {
        table.node.get(key).map(|value| self.string(value, key).map(str::to_owned)).transpose()
    }

    fn boolean(&self, table: &Table<'_>, key: &str) -> Read<Option<bool>> {
        let Some(value) = table.node.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Boolean(yes) => Ok(Some(*yes)),
            _ => self.wrong(value.span().start, format!("{key} is neither true nor false"), "write true or false"),
        }
    }

    fn choice<T: Clone>(&self, table: &Table<'_>, key: &str, choices: &[(&str, T)]) -> Read<Option<T>> {
        let Some(value) = table.node.get(key) else { return Ok(None) };
        let names = || choices.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            _ => return self.wrong(value.span().start, format!("{key} must be a string"), format!("write {}", names())),
        };
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, choice)) => Ok(Some(choice.clone())),
            None => self.wrong(value.span().start, format!("{text:?} is not a value of {key}"), format!("write {}", names())),
        }
    }

    fn number(&self, table: &Table<'_>, key: &str, range: std::ops::RangeInclusive<u64>) -> Read<Option<u64>> {
        table.node.get(key).map(|value| self.number_in(value, key, range)).transpose()
    }

    fn number_in(&self, value: Node<'_>, key: &str, range: std::ops::RangeInclusive<u64>) -> Read<u64> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number.filter(|number| range.contains(number)).map_or_else(
            || {
                let fix = format!("write a whole number in {}..={}", range.start(), range.end());
                self.wrong(value.span().start, format!("{key} is not a whole number in range"), fix)
            },
            Ok,
        )
    }

    fn id(&self, value: Node<'_>) -> Read<u16> {
        self.number_in(value, "the number of a validator or client", 0..=u64::from(u16::MAX))
            .map(|id| u16::try_from(id).unwrap_or(u16::MAX))
    }

    fn millionths(&self, value: Node<'_>, key: &str) -> Read<u64> {
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        match millionths(text).filter(|number| *number <= SECONDS_MAX) {
            Some(number) => Ok(number),
            None => self.wrong(
                value.span().start,
                format!("{key} is not a number in range"),
                "write a decimal from 0 to 86400 with at most six decimals",
            ),
        }
    }

    /// An error inside a string. If the string has escapes, offsets in it do not match the file, so the error points at its beginning.
    fn inside(&self, value: Node<'_>, (byte, what, fix): Wrong) -> FileError {
        let span = value.span();
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let plain = matches!(value.get_ref(), DeValue::String(text) if raw.len() == text.len().saturating_add(2));
        let at = if plain { span.start.saturating_add(1).saturating_add(byte) } else { span.start };
        FileError::new(Place::of(self.text, at), what, fix)
    }
}

/// Longest delay, in microseconds: a day.
const SECONDS_MAX: u64 = 86_400_000_000;

/// Parses rounds written as a string.
pub(crate) fn rounds(text: &str) -> Option<Rounds> {
    if text == "_" {
        return Some(Rounds::Any);
    }
    let (from, to) = text.split_once("..=").unwrap_or((text, text));
    Some(Rounds::Between(from.trim().parse().ok()?, to.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
