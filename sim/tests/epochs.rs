//! Committees that change: every kind of change occurs, and the worst that can happen at the end of an epoch by itself.

use quorate_sim::{Report, SimOptions, Summary, fault::Faults, run_with};

fn world(seed: u64, validators: u16, faults: Faults) -> Report {
    run_with(SimOptions { seed, validators, trace: false, directed: None }, faults)
}

fn worlds(faults: Faults) -> Summary {
    let mut summary = Summary::default();
    for seed in 0..3 {
        for validators in [4, 7] {
            let report = world(seed, validators, faults);
            assert_eq!(report.violation, None, "{}", report.replay());
            summary.add(report);
        }
    }
    summary
}

fn count(summary: &Summary, what: &str) -> u64 {
    summary.seen.get(what).copied().unwrap_or_default()
}

#[test]
fn an_operator_that_lies_changes_nothing_for_the_others() {
    let summary = worlds(Faults::Operator);
    // Every world has ended, so every honest client has learnt the outcome of every transaction.
    assert!(count(&summary, "B26 lying operator") > 0 && count(&summary, "answer: applied") > 200, "{:?}", summary.seen);
    assert!(count(&summary, "change: address") > 0, "it has moved: {:?}", summary.seen);
}

#[test]
fn the_lost_certificate_of_the_end_of_an_epoch_holds_nobody_up_while_some_are_silent() {
    let summary = worlds(Faults::LostEnds);
    assert!(count(&summary, "fault: end of an epoch lost") > 50, "{:?}", summary.seen);
    assert!(count(&summary, "fault: silent for ever") > 0);
}
