//! The simulator finds both mistakes, and names the transaction and the key that show them.

use quorate_example_broken_counter::{BrokenCounter, Increment, Mistake};
use quorate_sim::{Broken, try_to_break};

fn tried(mistake: Mistake) -> String {
    let broken = try_to_break(BrokenCounter(mistake), |random, _| Increment { name: format!("n{}", random.below(8)), by: 1 });
    match broken {
        Err(Broken::Different(different)) => different.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_is_caught_by_the_key_that_it_got_into() {
    let error = tried(Mistake::Clock);
    assert!(error.contains("key 0x74 (t)") && error.contains("\"by\":1") && error.contains("transaction 0"), "{error}");
}

#[test]
fn the_order_of_a_hash_map_is_caught_by_the_key_that_it_got_into() {
    let error = tried(Mistake::HashMap);
    assert!(error.contains("key 0x6c (l)") && error.contains("\"name\""), "{error}");
}
