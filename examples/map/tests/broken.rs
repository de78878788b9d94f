//! Faults, liars, twins and power cuts do not break it. `QUORATE_TRY=thorough` tries 2,000 worlds and all twins scenarios.

use quorate_example_map::{Operation, TextMap};
use quorate_sim::Random;

fn operation(random: &mut Random) -> Operation {
    let key = format!("key {}", random.below(20));
    match random.below(4) {
        0 => Operation::Get(key),
        1 => Operation::Remove(key),
        _ => Operation::Insert(key, random.next().to_string()),
    }
}

#[test]
fn nothing_breaks_the_map() {
    let survived = quorate_sim::try_to_break(TextMap, |random, _| operation(random)).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(survived.worlds >= 200 && survived.twins >= 500 && survived.crash_points >= 52 && survived.cuts > 0, "{survived:?}");
}
