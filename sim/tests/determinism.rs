//! DET-1: one seed is one run.

use quorate_sim::{SimOptions, invariants::det_1, run, size_of};

#[test]
fn a_hundred_seeds_run_twice_give_equal_event_hashes() {
    let world = |seed, trace| run(SimOptions { seed, validators: size_of(seed), trace, directed: None });
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 10_000..10_100 {
        // The second run has a trace, which must change nothing.
        let (first, second) = (world(seed, false), world(seed, true));
        det_1::same(&first, &second).unwrap();
        assert!(!second.trace.is_empty());
        hashes.insert(first.event_hash);
    }
    assert_eq!(hashes.len(), 100, "different seeds must give different runs");
}
