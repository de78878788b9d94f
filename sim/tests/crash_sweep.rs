//! Durable before signed: for 200 seeds, a power cut between any two effects of a round.

use std::sync::atomic::{AtomicU64, Ordering};

use quorate_sim::sweep;

#[test]
fn a_power_cut_between_any_two_effects_of_a_round_never_leads_to_two_signatures() {
    let (next, cuts) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= 200 {
                        return;
                    }
                    let done = sweep(seed, 4);
                    cuts.fetch_add(done.cuts, Ordering::Relaxed);
                    assert!(done.failure.is_none(), "seed {seed}, power cut {}: {:?}", done.cuts, done.failure);
                }
            });
        }
    });
    assert!(cuts.into_inner() > 2_000);
}

#[test]
fn the_same_holds_alone_and_in_committees_of_five_and_seven() {
    let mut cuts = 0;
    for validators in [1, 5, 7] {
        for seed in 0..6 {
            let done = sweep(seed, validators);
            assert!(done.failure.is_none(), "seed {seed}, {validators} validators, power cut {}: {:?}", done.cuts, done.failure);
            cuts += done.cuts;
        }
    }
    assert!(cuts > 150, "{cuts} power cuts");
}
