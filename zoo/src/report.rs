//! What a hunt says at its end: a table for people, and the report that releases keep.

use serde::Serialize;

use crate::{bug::Bug, hunt::Hunt, workshop::Simulator};

/// A whole hunt.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was built: the commit, with `+` where files were changed since.
    pub commit: String,
    /// CPU-seconds allowed for each bug, all searches together.
    pub budget_cpu_seconds: u32,
    /// How many bugs were planted.
    pub planted: usize,
    /// How many were found.
    pub found: usize,
    /// What the searches did to the sources without any bug.
    pub unmodified: Unmodified,
    /// The bugs by number.
    pub bugs: Vec<BugReport>,
}

/// The sources as they are.
#[derive(Clone, Debug, Serialize)]
pub struct Unmodified {
    /// The rule that was broken; there should be none.
    pub violation: Option<String>,
    /// The command that shows it.
    pub replay: Option<String>,
    /// What was searched.
    pub searches: Vec<Spent>,
}

/// One search.
#[derive(Clone, Debug, Serialize)]
pub struct Spent {
    /// Which.
    pub search: &'static str,
    /// How many scenarios.
    pub scenarios: u64,
    /// Their CPU-seconds.
    pub cpu_seconds: f64,
}

/// One bug.
#[derive(Clone, Debug, Serialize)]
pub struct BugReport {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// The search that found it.
    pub found_by: Option<&'static str>,
    /// The search of which that was expected.
    pub expected: String,
    /// How many scenarios that search had run.
    pub scenarios: Option<u64>,
    /// CPU-seconds of all searches together until then.
    pub cpu_seconds: f64,
    /// The rule that was broken, and how.
    pub violation: Option<String>,
    /// The command that shows it, for the `quorate-sim` with the bug.
    pub replay: Option<String>,
    /// CPU-seconds of the build.
    pub build_cpu_seconds: f64,
    /// What every search did.
    pub searches: Vec<Spent>,
}

fn spent(hunt: &Hunt) -> Vec<Spent> {
    hunt.spent
        .iter()
        .map(|(search, scenarios, seconds)| Spent { search: search.name, scenarios: *scenarios, cpu_seconds: rounded(*seconds) })
        .collect()
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

impl Unmodified {
    /// From the hunt through the sources as they are.
    #[must_use]
    pub fn new(hunt: &Hunt) -> Self {
        let found = hunt.found.as_ref().map(|(_, finding)| finding);
        Self {
            violation: found.map(|finding| finding.violation.clone()),
            replay: found.map(|finding| finding.replay.clone()),
            searches: spent(hunt),
        }
    }
}

impl BugReport {
    /// From the hunt for it.
    #[must_use]
    pub fn new(bug: &Bug, simulator: &Simulator, hunt: &Hunt) -> Self {
        let found = hunt.found.as_ref();
        Self {
            number: bug.number,
            name: bug.name.clone(),
            found_by: found.map(|(search, _)| search.name),
            expected: bug.expected.clone(),
            scenarios: found.map(|(_, finding)| finding.scenario + 1),
            cpu_seconds: rounded(hunt.cpu_seconds()),
            violation: found.map(|(_, finding)| finding.violation.clone()),
            replay: found.map(|(_, finding)| finding.replay.clone()),
            build_cpu_seconds: rounded(simulator.build_cpu_seconds),
            searches: spent(hunt),
        }
    }

    /// A line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { number, name, cpu_seconds, .. } = self;
        let found_by = self.found_by.unwrap_or("MISSED");
        let scenarios = self.scenarios.map_or_else(|| "-".into(), |scenarios| scenarios.to_string());
        let rule = self.violation.as_deref().and_then(|text| text.split(':').next()).unwrap_or("-");
        format!("{number:>2}  {name:<63}  {found_by:<9}  {scenarios:>9}  {cpu_seconds:>7.2}  {rule}")
    }
}

/// The head of the table.
#[must_use]
pub fn head() -> String {
    format!("{:>2}  {:<63}  {:<9}  {:>9}  {:>7}  {}", "", "bug", "found by", "scenarios", "CPU s", "rule")
}
