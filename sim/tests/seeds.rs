//! Two thousand worlds: none breaks a rule, and every honest validator is live after the faults stop.

use std::thread::available_parallelism;

use quorate_sim::{Seeds, byzantine::Lie, fault::FAULT_NAMES, run_seeds};

#[test]
fn no_seed_of_two_thousand_breaks_a_rule() {
    let threads = available_parallelism().map_or(2, usize::from);
    let summary = run_seeds(&Seeds { count: 2_000, ..Seeds::default() }, threads, &|_| {});
    for failure in &summary.failures {
        let violation = failure.report.violation.as_ref().unwrap();
        eprintln!("{} after {} us: {}\n    {}", violation.invariant, violation.at_us, violation.what, failure.replay);
    }
    assert_eq!(summary.failed, 0, "seeds failed, see above");
    // A run in which nothing happens would break no rule either.
    assert_eq!(summary.seeds, 2_000);
    assert!(summary.blocks > 50_000 && summary.transactions > 40_000, "{summary:?}");
    assert!(summary.crashes > 4_000 && summary.lost_writes > 500, "{summary:?}");
    for (what, least) in [
        ("proposal after a timeout", 1_000),
        ("timeout after a timeout", 1_000),
        ("blocks fetched", 1_000),
        ("blocks caught up", 1_000),
        ("sync info", 1_000),
        ("blocks caught up", 1_000),
        ("lie: blocks caught up in part", 30),
        ("answer: applied", 10_000),
        ("answer: failed", 1_000),
        ("answer: expired", 100),
        ("answer: sequence-used", 100),
        ("change: voter added", 300),
        ("change: observer added", 100),
        ("change: member removed", 300),
        ("change: keys replaced", 300),
        ("change: power", 300),
        ("change: address", 300),
        ("change: several at once", 100),
        ("change: no voter of the first committee is left", 20),
        ("net: signs again after a lost memory", 50),
        ("ignored: unsafe-vote", 100),
        ("ignored: parent-missing", 100),
        ("ignored: not-signed", 100),
        ("fault: signer away", 100),
    ] {
        assert!(summary.seen.get(what).is_some_and(|count| *count >= least), "too little of {what:?}: {:?}", summary.seen);
    }
    // Every fault and every lie occurs in some world, and every check of bytes and signatures refuses something.
    let names = FAULT_NAMES.into_iter().chain(Lie::ALL.map(Lie::name));
    let never: Vec<&str> = names.filter(|name| !summary.seen.contains_key(*name)).collect();
    assert_eq!(never, Vec::<&str>::new(), "{:?}", summary.seen);
    let refused: Vec<&String> = summary.seen.keys().filter(|word| word.starts_with("refused: ")).collect();
    assert!(refused.len() >= 14, "{refused:?}");
}
