//! Faults, liars, twins and power cuts do not break it. `QUORATE_TRY=thorough` tries 2,000 worlds and all twins scenarios.

use quorate_example_counter::Counter;

#[test]
fn nothing_breaks_the_counter() {
    let survived = quorate_sim::try_to_break(Counter, |random, _| random.between(0, 3)).unwrap_or_else(|broken| panic!("{broken}"));
    assert!(survived.worlds >= 200 && survived.twins >= 500 && survived.crash_points >= 52 && survived.cuts > 0, "{survived:?}");
}
