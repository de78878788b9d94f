//! Validators that lie: each lie by itself, all of them together with every other fault, and more liars than a committee bears.

use std::{collections::BTreeMap, thread::available_parallelism};

use quorate_sim::{
    Report, SimOptions,
    byzantine::Lie,
    fault::{FAULT_NAMES, Faults},
    run_seeds, run_with,
};

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
    // The time of the chain was ahead by four minutes; a transaction in the pool had expired by it, and every leader waited for a heartbeat that
    // came after the timeout.
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
        // Two of four, and both are named.
        let named: Vec<u16> = report.culprits.iter().map(|culprit| culprit.validator).collect();
        assert_eq!(named, report.byzantine, "{}", report.replay());
        assert!(named.len() >= 2);
    }
    // In a larger committee more than a third is named, and nobody else.
    let report = world(0, 7, Faults::Beyond);
    assert_eq!(report.violation, None, "{}", report.replay());
    assert!(report.culprits.len() >= 3 && report.culprits.iter().all(|culprit| report.byzantine.contains(&culprit.validator)));
}

#[test]
fn where_nobody_colludes_nothing_forks_and_the_world_says_so() {
    let violation = world(0, 1, Faults::Beyond).violation.unwrap();
    assert_eq!(violation.invariant, "B25");
}

#[test]
fn every_fault_and_every_lie_happens_in_some_world() {
    let threads = available_parallelism().map_or(2, usize::from);
    let summary = run_seeds(20_000, 400, None, threads, &|_| {});
    assert_eq!(summary.failed, 0, "{:?}", summary.failures.first().map(|failure| &failure.replay));
    let names = FAULT_NAMES.into_iter().chain(Lie::ALL.map(Lie::name));
    let never: Vec<&str> = names.filter(|name| !summary.seen.contains_key(*name)).collect();
    assert_eq!(never, Vec::<&str>::new(), "{:?}", summary.seen);
    // Every check of bytes and signatures has refused something, or lies were not bad enough.
    let refused: BTreeMap<&String, &u64> = summary.seen.iter().filter(|(word, _)| word.starts_with("refused: ")).collect();
    assert!(refused.len() >= 14, "{refused:?}");
}
