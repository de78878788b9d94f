//! Writes a scenario of the space as a file that import.rs reads back as the same script.

use serde::Serialize;

use super::scenario::Scenario;

/// The file format.
#[derive(Serialize)]
struct Exported {
    number_of_nodes: u16,
    number_of_twins: u16,
    leaders: Vec<u16>,
    partitions: Vec<Vec<Vec<usize>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal_partitions: Option<Vec<Vec<Vec<usize>>>>,
}

/// A scenario as JSON that [`super::read`] reads back as the same script.
///
/// # Errors
/// None in practice: numbers and lists always serialize.
pub fn export(scenario: &Scenario) -> Result<String, serde_json::Error> {
    let cast = scenario.cast();
    // A second copy is written as n + its validator's number, since the first validators are those with twins.
    let name = |actor: usize| {
        let id = cast.get(actor).copied().unwrap_or_default();
        let second = actor.checked_sub(1).and_then(|before| cast.get(before)) == Some(&id);
        usize::from(id.0).saturating_add(if second { usize::from(scenario.validators) } else { 0 })
    };
    let groups = |side: u16| -> Vec<Vec<usize>> {
        let group = |on: u16| (0..cast.len()).filter(|actor| (side >> actor) & 1 == on).map(name).collect::<Vec<_>>();
        [group(0), group(1)].into_iter().filter(|group| !group.is_empty()).collect()
    };
    let two_phase = scenario.steps.iter().any(|step| step.proposals != step.ballots);
    serde_json::to_string_pretty(&Exported {
        number_of_nodes: scenario.validators,
        number_of_twins: scenario.twins,
        leaders: scenario.steps.iter().map(|step| step.leader.0).collect(),
        partitions: scenario.steps.iter().map(|step| groups(step.ballots)).collect(),
        proposal_partitions: two_phase.then(|| scenario.steps.iter().map(|step| groups(step.proposals)).collect()),
    })
}
