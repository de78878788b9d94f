//! The results of a hunt: a readable table, and the report that releases keep.

use serde::Serialize;

use crate::{bug::Bug, hunt::Hunt, workshop::Simulator};

/// The report on all bugs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Commit of the sources, with `+` if files have changed since.
    pub commit: String,
    /// CPU-seconds allowed for each bug, all searches together.
    pub budget_cpu_seconds: u32,
    /// Number of bugs planted.
    pub planted: usize,
    /// Number of bugs found.
    pub found: usize,
    /// The searches on the unmodified sources.
    pub unmodified: Unmodified,
    /// The bugs, by number.
    pub bugs: Vec<BugReport>,
}

/// The searches on the unmodified sources.
#[derive(Clone, Debug, Serialize)]
pub struct Unmodified {
    /// The violation found; there should be none.
    pub violation: Option<String>,
    /// The command that replays it.
    pub replay: Option<String>,
    /// What each search did.
    pub searches: Vec<Spent>,
}

/// What a search did.
#[derive(Clone, Debug, Serialize)]
pub struct Spent {
    /// Name of the search.
    pub search: &'static str,
    /// Scenarios run.
    pub scenarios: u64,
    /// CPU-seconds used.
    pub cpu_seconds: f64,
}

/// The report on one bug.
#[derive(Clone, Debug, Serialize)]
pub struct BugReport {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// The search that found it, if any did.
    pub found_by: Option<&'static str>,
    /// The search expected to find it first.
    pub expected: String,
    /// Scenarios which that search had run by then.
    pub scenarios: Option<u64>,
    /// CPU-seconds of all searches together by then.
    pub cpu_seconds: f64,
    /// The violated invariant, and how it was violated.
    pub violation: Option<String>,
    /// The command that replays it, for `quorate-sim` with the bug.
    pub replay: Option<String>,
    /// CPU-seconds of the build with the bug.
    pub build_cpu_seconds: f64,
    /// What each search did.
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
    /// From the hunt on the unmodified sources.
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
    /// From the hunt for this bug.
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

    /// This bug's line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { number, name, cpu_seconds, .. } = self;
        let found_by = self.found_by.unwrap_or("MISSED");
        let scenarios = self.scenarios.map_or_else(|| "-".into(), |scenarios| scenarios.to_string());
        let rule = self.violation.as_deref().and_then(|text| text.split(':').next()).unwrap_or("-");
        format!("{number:>2}  {name:<63}  {found_by:<9}  {scenarios:>9}  {cpu_seconds:>7.2}  {rule}")
    }
}

/// The header of the table.
#[must_use]
pub fn head() -> String {
    format!("{:>2}  {:<63}  {:<9}  {:>9}  {:>7}  {}", "", "bug", "found by", "scenarios", "CPU s", "rule")
}
