//! Wrong wall clocks and no other fault, on one validator for ever or on all for a while. (`seeds.rs` combines them with every other fault.)

use quorate_sim::{
    Report, SimOptions,
    fault::{Clocks, Faults},
    run_with,
};

/// Shortest first timer of any world (`committee.rs`), in milliseconds.
const TIMEOUT_BASE_MS: u64 = 150;

fn worlds(clocks: Clocks) -> impl Iterator<Item = Report> {
    (0..12).flat_map(|seed| [4, 7].map(|validators| (seed, validators))).map(move |(seed, validators)| {
        let report = run_with(SimOptions { seed, validators, trace: false, directed: None }, Faults::Clocks(clocks));
        assert_eq!(report.violation, None, "{}", report.replay());
        assert!(report.height > 0 && report.transactions > 0, "{}", report.replay());
        report
    })
}

#[test]
fn one_wrong_clock_breaks_no_rule_and_stops_nobody_whichever_way_it_is_wrong() {
    for (clocks, word) in Clocks::ALL {
        let held: u64 = worlds(clocks).map(|report| report.seen.get("proposal held for its time").copied().unwrap_or_default()).sum();
        assert!(held > 0, "{word}: no proposal was held");
    }
}

#[test]
fn a_chain_that_was_an_hour_ahead_commits_within_two_base_timeouts_after_the_clocks_are_set() {
    for report in worlds(Clocks::AllAhead) {
        let after = report.ms_to_commit.unwrap();
        assert!(after <= 2 * TIMEOUT_BASE_MS, "{after} ms: {}", report.replay());
    }
}
