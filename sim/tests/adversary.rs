//! Lying validators: each lie by itself, and more liars than a committee tolerates. (`seeds.rs` combines all of them with every other fault.)

use quorate_sim::{Report, SimOptions, byzantine::Lie, fault::Faults, run_with};

fn world(seed: u64, validators: u16, faults: Faults) -> Report {
    run_with(SimOptions { seed, validators, trace: false, directed: None }, faults)
}

#[test]
fn no_lie_of_a_bearable_minority_breaks_a_rule_or_stops_the_chain() {
    for lie in Lie::ALL {
        let mut told = 0;
        for seed in 0..3 {
            for validators in [4, 7] {
                let report = world(seed, validators, Faults::Lie(lie));
                assert_eq!(report.violation, None, "{}", report.replay());
                assert!(!report.byzantine.is_empty() && report.height > 0);
                told += report.seen.get(lie.name()).copied().unwrap_or_default();
            }
        }
        assert!(told > 0, "{lie:?} was never told");
    }
}

#[test]
fn a_block_from_the_future_and_what_expires_by_it_do_not_stop_the_chain() {
    // Regression: the chain's time was four minutes ahead, a transaction in the pool had expired by it, and every leader waited for a
    // heartbeat that came after the timeout.
    for (seed, lie) in [(1, Lie::WrongTime), (11, Lie::Garbage)] {
        let report = world(seed, 4, Faults::Lie(lie));
        assert_eq!(report.violation, None, "{}", report.replay());
    }
}

#[test]
fn more_liars_than_a_committee_bears_fork_the_chain_and_the_evidence_names_them() {
    for seed in 0..10 {
        let report = world(seed, 4, Faults::Beyond);
        assert_eq!(report.violation, None, "{}", report.replay());
        // Two of four lie, and both are named.
        let named: Vec<u16> = report.culprits.iter().map(|culprit| culprit.validator).collect();
        assert_eq!(named, report.byzantine, "{}", report.replay());
        assert!(named.len() >= 2);
    }
    // In a larger committee more than a third is named, and no honest validator.
    let report = world(0, 7, Faults::Beyond);
    assert_eq!(report.violation, None, "{}", report.replay());
    assert!(report.culprits.len() >= 3 && report.culprits.iter().all(|culprit| report.byzantine.contains(&culprit.validator)));
}

#[test]
fn where_nobody_colludes_nothing_forks_and_the_world_says_so() {
    let violation = world(0, 1, Faults::Beyond).violation.unwrap();
    assert_eq!(violation.invariant, "B25");
}
