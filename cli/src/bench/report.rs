//! A report: the figures, and all that is needed to judge and to repeat them.

use quorate_terminal::{CommandError, Output};
use quorate_types::genesis::Parameters;
use serde::Serialize;
use serde_json::Value;

use super::{arena::Arena, machine::Machine, machine::filesystem};
use crate::version::COMMIT;

#[derive(Serialize)]
struct Report<F: Serialize> {
    measurement: &'static str,
    command: String,
    version: &'static str,
    commit: &'static str,
    measured_at: u64,
    machine: Machine,
    network: Network,
    figures: F,
}

#[derive(Serialize)]
struct Network {
    /// That run and are measured.
    validators: usize,
    /// The names of those that do not.
    stopped: Vec<String>,
    own: bool,
    filesystem: Option<String>,
    durable_writes: bool,
    parameters: Parameters,
}

/// Prints the figures of a measurement: as one object, or a line for each number.
pub(crate) fn print<F: Serialize>(
    measurement: &'static str,
    machine: Machine,
    arena: &Arena,
    figures: F,
    out: &Output,
) -> Result<(), CommandError> {
    let genesis = quorate_genesis::load(&arena.localnet.genesis_file())?;
    let arguments = std::env::args().skip(1);
    let report = Report {
        measurement,
        command: std::iter::once(arena.program().to_owned()).chain(arguments).collect::<Vec<_>>().join(" "),
        version: env!("CARGO_PKG_VERSION"),
        commit: COMMIT,
        measured_at: crate::localnet::now().0,
        machine,
        network: Network {
            validators: arena.localnet.validators.len(),
            stopped: arena.stopped.clone(),
            own: arena.is_temporary(),
            filesystem: filesystem(&arena.localnet.directory),
            // There is no setting by which a validator would sign before its record is durable.
            durable_writes: true,
            parameters: genesis.parameters,
        },
        figures,
    };
    let value = serde_json::to_value(&report).map_err(|error| CommandError::failure("report", error))?;
    out.print(&value, || {
        let mut lines = Vec::new();
        flatten("", &value, &mut lines);
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
    })
}

/// `{"a":{"b":1},"c":[2,3]}` as `a.b 1`, `c 2, 3`; things in a list are counted from 1.
fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, lines);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in (1..).zip(items) {
                flatten(&format!("{path}.{number}"), item, lines);
            }
        }
        Value::Array(items) => lines.push((path.into(), items.iter().map(plain).collect::<Vec<_>>().join(", "))),
        value => lines.push((path.into(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_line_for_each_number() {
        let mut lines = Vec::new();
        flatten("", &serde_json::json!({"a": {"b": 1, "c": "x"}, "d": [2, 3], "e": [{"f": 4}]}), &mut lines);
        let lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(lines, ["a.b=1", "a.c=x", "d=2, 3", "e.1.f=4"]);
    }
}
