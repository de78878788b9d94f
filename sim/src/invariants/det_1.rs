//! DET-1: one seed is one run, with the same events in the same order at the same times.

use crate::report::Report;

/// Compares two runs of one seed.
///
/// # Errors
/// The runs differ.
pub fn same(first: &Report, second: &Report) -> Result<(), String> {
    let key = |report: &Report| (report.seed, report.validators, report.event_hash.clone(), report.events);
    if key(first) == key(second) {
        Ok(())
    } else {
        Err(format!("two runs of seed {} with {} validators differ: {:?} and {:?}", first.seed, first.validators, key(first), key(second)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_two_runs_that_differ() {
        let first = Report { event_hash: "a".into(), ..Report::default() };
        same(&first, &first.clone()).unwrap();
        assert!(same(&first, &Report { event_hash: "b".into(), ..first.clone() }).is_err());
    }
}
