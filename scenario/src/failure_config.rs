//! Imports `FailureConfig`s of 2021: Python literals as the projects wrote them, or JSON.
//!
//! ```text
//! FailureConfig(failures=[Failure(src, dest, msg_type, round, prob, fail_type, val, attr), ...], seed)
//! {'nvalidators': 4, 'nfaulty': 1, 'nclients': 2, 'failure_config': FailureConfig(...)}    or a list of these
//! ```

use std::collections::BTreeMap;

use super::{
    literal::{self, Node, Value},
    model::{Part, Scenario, default_parameters},
    operations::{REQUESTS_MAX, Workload},
    place::{FileError, Place, millionths},
    read::Imported,
    rules::{Fault, Kind, Party, Rounds, Rule},
    spelling::{self, Failing, plain},
};

type Read<T> = Result<T, FileError>;

/// The fields of a `Failure`, in the order of its positional arguments.
const FAILURE_FIELDS: [&str; 8] = ["src", "dest", "msg_type", "round", "prob", "fail_type", "val", "attr"];
/// Requests of each client, unless the file sets them.
const REQUESTS_DEFAULT: u64 = 10;
const CONFIG_FIELDS: [&str; 2] = ["failures", "seed"];

/// Named values.
type Fields<'a> = Vec<(String, &'a Node)>;

/// Reads a file; `case` chooses one of several, from 1.
pub(crate) fn read(text: &str, case: Option<usize>) -> Read<Imported> {
    let nodes = literal::parse(text)?;
    let mut cases = Vec::new();
    for node in &nodes {
        collect(node, &mut cases, 0);
    }
    let number = case.unwrap_or(1);
    if case.is_none() && cases.len() > 1 {
        let what = format!("the file has {} cases", cases.len());
        return Err(FileError::new(Place { line: 1, column: 1 }, what, format!("choose one: --case 1 to --case {}", cases.len())));
    }
    let chosen = number.checked_sub(1).and_then(|index| Some((index, *cases.get(index)?)));
    let Some((index, chosen)) = chosen else {
        let (what, fix) = if cases.is_empty() {
            ("the file has no failures".to_owned(), "write a FailureConfig(...), or a dictionary with a key failure_config".to_owned())
        } else {
            (format!("there is no case {number}"), format!("choose one of 1..={}", cases.len()))
        };
        return Err(FileError::new(Place { line: 1, column: 1 }, what, fix));
    };
    Importer { notes: Vec::new(), parts: BTreeMap::new() }.import(chosen, index, cases.len() > 1)
}

/// Finds the cases: dictionaries and calls that contain failures, and bare failure configurations.
fn collect<'a>(node: &'a Node, cases: &mut Vec<&'a Node>, depth: usize) {
    if depth > 4 {
        return;
    }
    match &node.value {
        Value::Dict(pairs) if pairs.iter().any(|(key, value)| is_failures(key, value)) => cases.push(node),
        Value::Call(name, _) if name.ends_with("FailureConfig") => cases.push(node),
        Value::Dict(pairs) => pairs.iter().for_each(|(_, value)| collect(value, cases, depth.saturating_add(1))),
        Value::List(nodes) => nodes.iter().for_each(|node| collect(node, cases, depth.saturating_add(1))),
        // `Config(nvalidators=4, failure_config=FailureConfig(...))`
        Value::Call(_, arguments) if arguments.iter().any(|(name, _)| name.as_deref().is_some_and(is_failure_key)) => cases.push(node),
        Value::Call(..) | Value::None | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Name(_) => {}
    }
}

fn is_failure_key(key: &str) -> bool {
    matches!(plain(key).as_str(), "failureconfig" | "failures" | "failure" | "rules")
}

fn is_failures(key: &Node, value: &Node) -> bool {
    let named = matches!(&key.value, Value::Text(key) if is_failure_key(key));
    named || matches!(&value.value, Value::Call(name, _) if name.ends_with("FailureConfig"))
}

struct Importer {
    notes: Vec<String>,
    /// Positions of the parts, for errors of the scenario's check.
    parts: BTreeMap<Part, Place>,
}

impl Importer {
    fn import(mut self, node: &Node, index: usize, several: bool) -> Read<Imported> {
        let mut scenario = Scenario { name: "failure-config".into(), ..Scenario::default() };
        if several {
            scenario.name = format!("case-{}", index.saturating_add(1));
        }
        let (mut faulty, mut clients, mut requests, mut delta) = (None, 1, REQUESTS_DEFAULT, 2_000_000);
        let (mut window, mut exclude, mut rules, mut validators) = (None, None, None, None);
        let mut retry = None;
        for (name, value) in fields(node, &CONFIG_FIELDS)? {
            let mut stands_for = |key: &'static str| self.parts.insert(Part::Key(key), value.place);
            match plain(&name).as_str() {
                "nvalidators" | "numberofvalidators" | "numvalidators" | "novalidators" | "nreplicas" | "noreplicas" | "numreplicas"
                | "numberofreplicas" => {
                    stands_for("validators");
                    validators = Some(small(value, &name)?);
                }
                "nfaulty"
                | "f"
                | "numfaulty"
                | "nofaultyreplicas"
                | "faultyreplicas"
                | "numbyzentinenodes"
                | "numbyzantinenodes"
                | "numberoffaultyvalidators" => {
                    stands_for("faulty");
                    faulty = Some(small(value, &name)?);
                }
                "nclients" | "noclients" | "numberofclients" | "numclients" | "clients" => {
                    stands_for("clients");
                    clients = small(value, &name)?;
                }
                "nclientops" | "nclientreqs" | "noclientrequests" | "nummessages" | "requests" | "numtransactions" => {
                    requests = whole(value, &name, u64::from(REQUESTS_MAX))?;
                }
                "sleeptime" => {
                    stands_for("request_gap_ms");
                    scenario.request_gap_ms = seconds(value, &name)? / 1_000;
                }
                "clienttimeout" | "clienttmo" | "clientretrytimeout" => {
                    stands_for("client_timeout_ms");
                    retry = Some(seconds(value, &name)? / 1_000);
                }
                "delta" => {
                    stands_for("delta_ms");
                    delta = seconds(value, &name)?;
                }
                "windowsize" => {
                    stands_for("window_size");
                    window = Some(whole(value, &name, 256)?);
                }
                "excludesize" => {
                    stands_for("exclude_size");
                    exclude = Some(whole(value, &name, 256)?);
                }
                "seed" if value.value != Value::None => scenario.seed = Some(whole(value, &name, u64::MAX)?),
                "seed" => {}
                "msg" | "name" | "testcasename" | "description" => {
                    if let Value::Text(text) = &value.value {
                        scenario.description.clone_from(text);
                    }
                }
                _ if is_failure_key(&name) || matches!(&value.value, Value::Call(name, _) if name.ends_with("FailureConfig")) => {
                    rules = Some(value);
                }
                _ => self.notes.push(format!("{}: unknown key `{name}` ignored", value.place)),
            }
        }
        scenario.validators = validators.unwrap_or(4);
        let f = scenario.tolerated();
        let faulty = faulty.unwrap_or(f);
        if faulty > scenario.validators {
            let place = self.place(Part::Key("faulty"), node);
            return Err(FileError::new(place, format!("{faulty} of {} validators are faulty", scenario.validators), "lower nfaulty"));
        }
        if u64::from(scenario.validators) < u64::from(faulty).saturating_mul(3).saturating_add(1) {
            let fix = format!(
                "use at least {} validators, or a TOML scenario with beyond_f to test with fewer",
                u64::from(faulty).saturating_mul(3).saturating_add(1)
            );
            let what = format!("{} validators cannot tolerate {faulty} faulty ones (3f+1)", scenario.validators);
            return Err(FileError::new(self.place(Part::Key("faulty"), node), what, fix));
        }
        scenario.faulty = (scenario.validators.saturating_sub(faulty)..scenario.validators).collect();
        let requests = u32::try_from(requests).unwrap_or(REQUESTS_MAX);
        scenario.workloads = vec![Workload::Requests(requests); usize::from(clients)];
        scenario.parameters = default_parameters((delta / 1_000).clamp(3, 1_000_000));
        scenario.network_delay_ms = (1, (delta / 100_000).clamp(1, 50));
        // Clients that resend before a round can end flood the network; the projects used several seconds.
        scenario.client_timeout_ms =
            retry.unwrap_or_else(|| u64::from(scenario.parameters.timeout_base_ms).saturating_mul(4)).clamp(1, 3_600_000);
        scenario.time_limit_s = u64::from(scenario.parameters.timeout_max_ms).saturating_mul(100).saturating_div(1_000).clamp(300, 86_400);
        self.election(&mut scenario, window, exclude);
        if let Some(rules) = rules {
            self.failure_config(rules, &mut scenario, delta)?;
        }
        scenario.check().map_err(|broken| FileError::new(self.place(broken.part, node), broken.what, broken.fix))?;
        Ok(Imported { scenario, notes: self.notes })
    }

    /// The position of a part of a case, or of the closest enclosing value that has one.
    fn place(&self, part: Part, case: &Node) -> Place {
        let failure = match part {
            Part::Failure(index, _) => self.parts.get(&Part::Failure(index, "")),
            Part::Key(_) | Part::Trigger(..) => None,
        };
        self.parts.get(&part).or(failure).copied().unwrap_or(case.place)
    }

    /// Sets the leader election. The course allows any f up to a third, a committee here has just one, so `exclude_size` may need adjusting.
    fn election(&mut self, scenario: &mut Scenario, window: Option<u64>, exclude: Option<u64>) {
        let f = u64::from(scenario.tolerated());
        if let Some(window) = window {
            scenario.parameters.window_size = u32::try_from(window.max(1)).unwrap_or(1);
        }
        let Some(exclude) = exclude else { return };
        let allowed = exclude.clamp(f, f.saturating_mul(2));
        if allowed != exclude {
            self.notes.push(format!("exclude_size {exclude} became {allowed}: it must be between the committee's f and 2f"));
        }
        scenario.parameters.exclude_size = u32::try_from(allowed).ok();
    }

    fn failure_config(&mut self, node: &Node, scenario: &mut Scenario, delta: u64) -> Read<()> {
        let list = match &node.value {
            Value::List(failures) => failures,
            Value::None => return Ok(()),
            Value::Call(..) | Value::Dict(_) => {
                for (name, value) in fields(node, &CONFIG_FIELDS)? {
                    match plain(&name).as_str() {
                        "failures" | "failure" | "rules" => self.failure_config(value, scenario, delta)?,
                        "seed" if value.value == Value::None => {}
                        "seed" => scenario.seed = Some(whole(value, "seed", u64::MAX)?),
                        _ => self.notes.push(format!("{}: unknown key `{name}` ignored", value.place)),
                    }
                }
                return Ok(());
            }
            other @ (Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Name(_)) => {
                let what = format!("{} where the failures should be", other.kind());
                return Err(FileError::new(node.place, what, "write FailureConfig(failures=[...], seed=...)"));
            }
        };
        for failure in list {
            if let Some(rule) = self.failure(failure, scenario, delta)? {
                scenario.failures.push(rule);
            }
        }
        Ok(())
    }

    fn failure(&mut self, node: &Node, scenario: &Scenario, delta: u64) -> Read<Option<Rule>> {
        let mut rule = Rule {
            line: node.place.line,
            src: Party::Any,
            dest: Party::Any,
            kind: None,
            rounds: Rounds::Any,
            per_million: 1_000_000,
            fault: Fault::MsgLoss,
        };
        let (mut fail_type, mut val, mut attr) = (None, None, None);
        let index = scenario.failures.len();
        self.parts.insert(Part::Failure(index, ""), node.place);
        for (name, value) in fields(node, &FAILURE_FIELDS)? {
            let mut stands_for = |key: &'static str| self.parts.insert(Part::Failure(index, key), value.place);
            match plain(&name).as_str() {
                "src" | "source" | "sender" => {
                    stands_for("src");
                    rule.src = party(value, &name)?;
                }
                "dest" | "dst" | "destination" | "receiver" => {
                    stands_for("dest");
                    rule.dest = party(value, &name)?;
                }
                "msgtype" | "messagetype" => {
                    let Some(kind) = message_type(value)? else {
                        self.notes.push(format!("{}: failure ignored: this protocol has no such message", value.place));
                        return Ok(None);
                    };
                    rule.kind = kind;
                }
                "round" => {
                    stands_for("round");
                    rule.rounds = rounds(value)?;
                }
                "prob" | "probability" => rule.per_million = number(value, &name, 1_000_000)?,
                "failtype" | "failuretype" => {
                    stands_for("fail_type");
                    fail_type = Some(value);
                }
                "val" | "value" => val = Some(value).filter(|value| value.value != Value::None),
                "attr" | "attribute" => attr = Some(value).filter(|value| value.value != Value::None),
                _ => {
                    let fix = format!("the fields are {}; upper or lower case, with or without _", FAILURE_FIELDS.join(", "));
                    return Err(FileError::new(value.place, format!("a failure has no field `{name}`"), fix));
                }
            }
        }
        let Some(fail_type) = fail_type else {
            let fix = format!("write fail_type with one of {}", spelling::FAILINGS);
            return Err(FileError::new(node.place, "a failure without fail_type", fix));
        };
        rule.fault = match failing(fail_type)? {
            Failing::MsgLoss => Fault::MsgLoss,
            Failing::Delay => {
                if val.is_none() {
                    self.notes.push(format!("{}: a Delay without val became twice the round timer", fail_type.place));
                }
                Fault::Delay(val.map_or(Ok(delta.saturating_mul(8)), |val| seconds(val, "val"))?)
            }
            Failing::SetAttr => {
                let (Some(val), Some(attr)) = (val, attr) else {
                    return Err(FileError::new(fail_type.place, "SetAttr needs val and attr", "write attr='current_round', val=7"));
                };
                let name = word(attr).unwrap_or_default();
                let Some(attribute) = spelling::attribute(name) else {
                    let fix = format!("choose one of {}", spelling::ATTRIBUTES);
                    return Err(FileError::new(attr.place, format!("there is no attr {name:?}"), fix));
                };
                Fault::SetAttr(attribute, whole(val, "val", u64::MAX >> 4)?)
            }
            Failing::Crash => Fault::Crash(None),
            Failing::NoPropose => {
                rule.kind = Some(Kind::Proposal);
                Fault::NoPropose
            }
        };
        // The course's programs silently ignore `SetAttr` on a validator that is not faulty.
        let honoured = match (rule.fault, rule.src) {
            (Fault::SetAttr(..), Party::Validator(id)) => scenario.faulty.contains(&id),
            (Fault::SetAttr(..), Party::Any | Party::Leader) => !scenario.faulty.is_empty(),
            (Fault::MsgLoss | Fault::Delay(_) | Fault::Crash(_) | Fault::NoPropose, _) => true,
        };
        if !honoured {
            let faulty = &scenario.faulty;
            self.notes.push(format!("{}: SetAttr ignored: it only applies to the faulty validators {faulty:?}", node.place));
        }
        Ok(honoured.then_some(rule))
    }
}

/// The fields of a call or dictionary.
fn fields<'a>(node: &'a Node, positional: &[&str]) -> Read<Fields<'a>> {
    match &node.value {
        Value::Dict(pairs) => pairs
            .iter()
            .map(|(key, value)| match &key.value {
                Value::Text(name) | Value::Name(name) => Ok((name.clone(), value)),
                other => Err(FileError::new(key.place, format!("{} as a key", other.kind()), "write the key as a string")),
            })
            .collect(),
        Value::Call(name, arguments) => {
            let mut order = positional.iter();
            let place = |(keyword, value): &'a (Option<String>, Node)| {
                let known = keyword.clone().or_else(|| order.next().map(|name| (*name).to_owned()));
                known.map(|known| (known, value)).ok_or_else(|| {
                    FileError::new(
                        value.place,
                        format!("{name} has more arguments than fields"),
                        format!("the fields are {}", positional.join(", ")),
                    )
                })
            };
            arguments.iter().map(place).collect()
        }
        // A failure written as a plain tuple.
        Value::List(values) if values.len() == positional.len() => {
            Ok(positional.iter().map(|name| (*name).to_owned()).zip(values).collect())
        }
        other => {
            let what = format!("{} where a dictionary or a call is expected", other.kind());
            Err(FileError::new(node.place, what, format!("give it the fields {}", positional.join(", "))))
        }
    }
}

/// The text of a name, a string or a number.
fn word(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Name(text) | Value::Text(text) | Value::Number(text) => Some(text.trim()),
        Value::None | Value::Bool(_) | Value::List(_) | Value::Dict(_) | Value::Call(..) => None,
    }
}

/// A node, for error messages.
fn shown(node: &Node) -> String {
    word(node).map_or_else(|| node.value.kind().to_owned(), |word| format!("{word:?}"))
}

/// Parses a message type; `None` for one that this protocol does not have. Numbers are those of the hand-out.
#[expect(clippy::option_option, reason = "a kind, the wildcard, or nothing")]
fn message_type(node: &Node) -> Read<Option<Option<Kind>>> {
    let known = match word(node).unwrap_or_default() {
        "1" => Some(Some(Kind::Proposal)),
        "2" => Some(Some(Kind::QC)),
        "3" => Some(Some(Kind::TimeOut)),
        "4" => Some(Some(Kind::Vote)),
        "5" => Some(None),
        // Sent by clients that are done; there is no such message here.
        name if plain(name).ends_with("done") => return Ok(None),
        name => spelling::kind(name),
    };
    known.map(Some).ok_or_else(|| {
        let fix = format!("use {}; the numbers 1 to 5 mean Proposal, QC, TimeOut, Vote, Wildcard", spelling::KINDS);
        FileError::new(node.place, format!("there is no message type {}", shown(node)), fix)
    })
}

/// Parses a `fail_type`. Numbers are those of the hand-out; projects disagree about higher ones.
fn failing(node: &Node) -> Read<Failing> {
    let known = match word(node).unwrap_or_default() {
        "1" => Some(Failing::MsgLoss),
        "2" => Some(Failing::Delay),
        "3" => Some(Failing::SetAttr),
        name => spelling::failing(name),
    };
    known.ok_or_else(|| {
        let what = format!("the fail_type {} is unknown, or differs between projects", shown(node));
        let fix = format!("use {}; the numbers 1 to 3 mean MsgLoss, Delay, SetAttr", spelling::FAILINGS);
        FileError::new(node.place, what, fix)
    })
}

fn party(node: &Node, key: &str) -> Read<Party> {
    match word(node) {
        Some(name) if spelling::is_any(name) => Ok(Party::Any),
        Some(name) if plain(name) == "leader" => Ok(Party::Leader),
        Some(number) if number.parse::<u16>().is_ok() => Ok(Party::Validator(number.parse().unwrap_or_default())),
        _ => Err(FileError::new(node.place, format!("{key} is not a validator"), "write a number, 'leader' or '_'")),
    }
}

fn rounds(node: &Node) -> Read<Rounds> {
    match word(node) {
        Some(name) if spelling::is_any(name) => Ok(Rounds::Any),
        Some(number) if number.parse::<u64>().is_ok() => {
            let round = number.parse().unwrap_or_default();
            Ok(Rounds::Between(round, round))
        }
        _ => Err(FileError::new(node.place, "round is not a round", "write a number or '_'")),
    }
}

fn number(node: &Node, key: &str, max: u64) -> Read<u64> {
    let read = match &node.value {
        Value::Number(text) | Value::Text(text) => millionths(text),
        Value::None | Value::Bool(_) | Value::Name(_) | Value::List(_) | Value::Dict(_) | Value::Call(..) => None,
    };
    let fix = format!("write a number from 0 to {} with at most six decimals", max / 1_000_000);
    read.filter(|number| *number <= max).ok_or_else(|| FileError::new(node.place, format!("{key} is not a number in range"), fix))
}

/// Parses seconds as microseconds; at most an hour.
fn seconds(node: &Node, key: &str) -> Read<u64> {
    number(node, key, 3_600_000_000)
}

fn whole(node: &Node, key: &str, max: u64) -> Read<u64> {
    let read = match &node.value {
        Value::Number(text) | Value::Text(text) => text.parse::<u64>().ok(),
        Value::None | Value::Bool(_) | Value::Name(_) | Value::List(_) | Value::Dict(_) | Value::Call(..) => None,
    };
    let fix = format!("write a whole number from 0 to {max}");
    read.filter(|number| *number <= max).ok_or_else(|| FileError::new(node.place, format!("{key} is not a whole number in range"), fix))
}

fn small(node: &Node, key: &str) -> Read<u16> {
    whole(node, key, 1_000).map(|number| u16::try_from(number).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Attribute;

    #[test]
    fn positions_names_numbers_and_json_say_the_same() {
        let call = "FailureConfig([Failure(3, 'leader', MsgType.Vote, 5, 0.5, FailType.Delay, 2, None)], 7)";
        let named = "FailureConfig(seed=7, failures=[Failure(fail_type=2, val=2, src=3, dest='leader', msg_type=4, round=5, prob=.5)])";
        let json = r#"{"failures": [{"src": 3, "dest": "leader", "msg_type": "Vote", "round": 5, "prob": 0.5, "fail_type": "Delay", "val": 2}], "seed": 7}"#;
        let tuple = "FailureConfig(failures=[(3, 'leader', 4, 5, 0.5, 2, 2, None)], seed=7)";
        let read = |text| read(text, None).unwrap().scenario;
        assert_eq!(read(call).failures.len(), 1);
        for other in [named, json, tuple] {
            assert_eq!(read(other), read(call), "{other}");
        }
    }

    #[test]
    fn set_attr_is_passed_over_where_the_course_passes_over_it() {
        let rule = |src| format!("Failure({src}, '_', MsgType.Wildcard, 3, 1, FailType.SetAttr, 1, 'round')");
        let imported = read(&format!("FailureConfig([{}, {}], 0)", rule(0), rule(3)), None).unwrap();
        assert_eq!(imported.scenario.failures.len(), 1);
        assert_eq!(imported.scenario.failures.first().map(|rule| rule.fault), Some(Fault::SetAttr(Attribute::CurrentRound, 1)));
        assert_eq!(imported.notes.len(), 1, "{:?}", imported.notes);
    }

    #[test]
    fn real_files_spell_one_failure_in_many_ways() {
        let read = |text: &str| read(text, None).unwrap().scenario.failures;
        let plainly =
            "FailureConfig([Failure(src='leader', dest='_', msg_type=MsgType.Vote, round=2, prob=1, fail_type=FailType.MsgLoss)], 0)";
        for other in [
            "FailureConfig([Failure(src='LEADER', dest='*', msg_type=MsgType.VOTE, round=2, prob=1, fail_type=FailType.MSG_LOSS)], 0)",
            "FailureConfig([Failure('leader', '_', 'VoteMsg', 2, 1, 'msg_loss', None, None)], 0)",
            "FailureConfig([Failure(source='Leader', destination='any', msgType=MessageType.vote_message, round=2, failType='MessageLoss')], 0)",
            r#"{"failures": [{"src": "leader", "dest": "_", "MSG_TYPE": "voting", "round": 2, "probability": 1, "failure_type": "drop"}]}"#,
        ] {
            assert_eq!(read(other), read(plainly), "{other}");
        }
        let attributes = |attr: &str| read(&format!("FailureConfig([Failure(src=3, fail_type='SET_ATTR', val=1, attr='{attr}')], 0)"));
        assert_eq!(attributes("pacemaker.current_round"), attributes("currentRound"));
    }

    #[test]
    fn says_where_a_configuration_is_wrong() {
        for (text, expected) in [
            ("[1, 2]", "1:1: the file has no failures"),
            ("[FailureConfig([], 0), FailureConfig([], 1)]", "1:1: the file has 2 cases; choose one: --case 1 to --case 2"),
            ("FailureConfig([\n Failure(src=1, fail_type=1),\n Failure(src=9, fail_type=1)], 0)", "3:14: there is no validator 9"),
            ("{'nvalidators': 4,\n 'nclients': 0, 'failures': []}", "2:14: 0 clients"),
            (
                "FailureConfig([Failure(msg_type=MsgType.PREVOTE, fail_type=1)], 0)",
                "1:33: there is no message type \"MsgType.PREVOTE\"; use",
            ),
            ("FailureConfig(\n  [Failure(src='boss', fail_type=1)], 0)", "2:16: src is not a validator"),
            ("FailureConfig([Failure(src=1)], 0)", "1:16: a failure without fail_type"),
            ("FailureConfig([Failure(fail_type=4)], 0)", "1:34: the fail_type \"4\" is unknown, or differs"),
            ("FailureConfig([Failure(prob=2, fail_type=1)], 0)", "1:29: prob is not a number in range"),
            ("FailureConfig([Failure(when=2, fail_type=1)], 0)", "1:29: a failure has no field `when`"),
            ("{'nvalidators': 3, 'nfaulty': 1, 'failures': []}", "1:31: 3 validators cannot tolerate 1 faulty ones"),
            ("FailureConfig(7, 0)", "1:15: a number where the failures should be"),
        ] {
            let error = read(text, None).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}\n  {error}");
        }
    }
}
