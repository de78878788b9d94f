//! Writes a scenario in the program's own format, and the commented file to start from.

use std::fmt::Write;

use quorate_builtin::operation::KvSpace;

use super::{
    model::{Leaders, Scenario},
    operations::Workload,
    rules::{Fault, Kind, Party, Rounds},
};

/// A commented scenario that shows the keys and runs as it is.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The scenario as TOML. Reading it gives the same scenario, except for the line numbers of failures and triggers.
#[must_use]
pub fn toml(scenario: &Scenario) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _: Result<(), std::fmt::Error> = write_scenario(scenario, &mut text);
    text
}

fn write_scenario(scenario: &Scenario, to: &mut String) -> Result<(), std::fmt::Error> {
    let parameters = &scenario.parameters;
    writeln!(to, "name = {}", text(&scenario.name))?;
    if !scenario.description.is_empty() {
        writeln!(to, "description = {}", text(&scenario.description))?;
    }
    if let Some(seed) = scenario.seed {
        writeln!(to, "seed = {seed}")?;
    }
    writeln!(to, "expect = {}\n", text(scenario.expect.name()))?;
    writeln!(to, "validators = {}", scenario.validators)?;
    writeln!(to, "faulty = {}", list(scenario.faulty.iter().copied()))?;
    if scenario.beyond_f {
        writeln!(to, "beyond_f = true")?;
    }
    match &scenario.leaders {
        Leaders::Reputation => writeln!(to, "leaders = \"reputation\"")?,
        Leaders::RoundRobin => writeln!(to, "leaders = \"round-robin\"")?,
        Leaders::Fixed(ids) => writeln!(to, "leaders = {}", list(ids.iter().copied()))?,
    }
    writeln!(to, "window_size = {}", parameters.window_size)?;
    if let Some(exclude) = parameters.exclude_size {
        writeln!(to, "exclude_size = {exclude}")?;
    }
    writeln!(to, "block_transactions_max = {}\n", parameters.block_transactions_max)?;
    writeln!(to, "round_timeout_ms = {}", parameters.timeout_base_ms)?;
    writeln!(to, "round_timeout_growth_percent = {}", parameters.timeout_growth_percent)?;
    writeln!(to, "round_timeout_max_ms = {}", parameters.timeout_max_ms)?;
    writeln!(to, "heartbeat_ms = {}", parameters.heartbeat_ms)?;
    writeln!(to, "network_delay_ms = [{}, {}]", scenario.network_delay_ms.0, scenario.network_delay_ms.1)?;
    writeln!(to, "time_limit_s = {}", scenario.time_limit_s)?;
    if let Some(rounds) = scenario.rounds_max {
        writeln!(to, "rounds_max = {rounds}")?;
    }
    writeln!(to, "\nclients = {}", scenario.workloads.len())?;
    if !scenario.faulty_clients.is_empty() {
        writeln!(to, "faulty_clients = {}", list(scenario.faulty_clients.iter().copied()))?;
    }
    writeln!(to, "client_timeout_ms = {}", scenario.client_timeout_ms)?;
    writeln!(to, "request_gap_ms = {}", scenario.request_gap_ms)?;
    writeln!(to, "space = {}", text(if scenario.space == KvSpace::Own { "own" } else { "shared" }))?;
    write_workloads(scenario, to)?;
    for rule in &scenario.failures {
        writeln!(to, "\n[[failures]]")?;
        writeln!(to, "src = {}", party(rule.src))?;
        writeln!(to, "dest = {}", party(rule.dest))?;
        writeln!(to, "msg_type = {}", text(rule.kind.map_or("Wildcard", Kind::name)))?;
        match rule.rounds {
            Rounds::Between(from, to_round) if from == to_round => writeln!(to, "round = {from}")?,
            rounds => writeln!(to, "round = {}", text(&rounds.to_string()))?,
        }
        writeln!(to, "prob = {}", super::place::decimal(rule.per_million))?;
        writeln!(to, "fail_type = {}", text(rule.fault.name()))?;
        if let Fault::SetAttr(attribute, _) = rule.fault {
            writeln!(to, "attr = {}", text(attribute.name()))?;
        }
        if let Some(value) = rule.fault.value() {
            writeln!(to, "val = {value}")?;
        }
    }
    for trigger in &scenario.triggers {
        writeln!(
            to,
            "\n[[triggers]]\nvalidator = {}\non = {}\ndo = {}",
            trigger.validator,
            text(&trigger.on()),
            text(&trigger.deed.to_string())
        )?;
    }
    Ok(())
}

/// Writes `requests` if all generated workloads have the same size, and a table for every other workload.
fn write_workloads(scenario: &Scenario, to: &mut String) -> Result<(), std::fmt::Error> {
    let counts: Vec<u32> = scenario
        .workloads
        .iter()
        .filter_map(|workload| match workload {
            Workload::Requests(count) => Some(*count),
            Workload::Explicit(_) | Workload::Pseudorandom { .. } => None,
        })
        .collect();
    let common = counts.first().copied().filter(|first| counts.iter().all(|count| count == first));
    writeln!(to, "requests = {}", common.unwrap_or_default())?;
    for (client, workload) in scenario.workloads.iter().enumerate() {
        let operations = match workload {
            Workload::Requests(count) if Some(*count) == common => continue,
            Workload::Requests(_) => {
                let client = u16::try_from(client).unwrap_or(u16::MAX);
                Workload::Explicit(workload.operations(client)).to_string()
            }
            Workload::Explicit(_) | Workload::Pseudorandom { .. } => workload.to_string(),
        };
        writeln!(to, "\n[[workload]]\nclient = {client}\noperations = {}", text(&operations))?;
    }
    Ok(())
}

fn party(party: Party) -> String {
    match party {
        Party::Validator(id) => id.to_string(),
        Party::Any | Party::Leader => text(&party.to_string()),
    }
}

fn list(ids: impl Iterator<Item = u16>) -> String {
    format!("[{}]", ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", "))
}

fn text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(letter)).chars()),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
