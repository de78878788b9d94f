//! Twins: every small world in which one validator exists twice keeps the rules, and the search exercises the protocol.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::thread::available_parallelism;

use quorate_sim::twins::{
    Counters, Lab, Scenario, Space, Step,
    campaign::{Plan, Tally},
    play, play_at_signers, play_guarded,
};
use quorate_types::ids::ValidatorId;

fn threads() -> usize {
    available_parallelism().map_or(2, usize::from)
}

fn run(plan: &Plan) -> Tally {
    let tally = plan.run(Tally::default(), threads(), &|_, _| true).unwrap();
    for broken in &tally.violations {
        eprintln!("{}: {}\n{}\n    {}", broken.invariant, broken.what, broken.steps, broken.replay);
    }
    assert_eq!(tally.violated, 0, "scenarios break a rule, see above");
    tally
}

fn all(validators: u16, rounds: u32, two_phase: bool) -> Plan {
    Plan { space: Space::new(validators, rounds, two_phase).unwrap(), sample: None, part: (1, 1), change: None, signers: false }
}

/// A search in which the validators meet no trouble would find no fault in them.
fn assert_not_idle(counters: &Counters, per_mille: u64) {
    let least = counters.scenarios * per_mille / 1_000;
    for (what, count, least) in [
        ("two proposals of one leader in a round", counters.two_proposals, least),
        ("two votes of a twin in a round", counters.two_votes, least),
        ("timeout certificates", counters.timeout_certificates, least),
        ("pruned forks", counters.forks_pruned, least),
        ("pruned forks that were certified", counters.certified_forks_pruned, 1),
        ("accusations of two votes", counters.accused_of_votes, least),
        ("accusations of two proposals", counters.accused_of_proposals, least),
        ("accusations of two timeouts", counters.accused_of_timeouts, 1),
        ("commits of blocks of the first rounds", counters.early_blocks_committed, least),
        ("fetched blocks", counters.fetched, least),
        ("sides that had to be joined", counters.sides_joined, least),
    ] {
        assert!(count >= least.max(1), "too little of {what}: {count} in {counters:?}");
    }
}

#[test]
fn every_scenario_of_three_rounds_keeps_the_rules() {
    let tally = run(&all(4, 3, false));
    assert_eq!(tally.counters.scenarios, 25_740);
    assert_not_idle(&tally.counters, 100);
}

/// One in nineteen; `make twins-epochs` plays them all.
#[test]
fn scenarios_with_a_change_of_the_committee_in_each_block_keep_the_rules() {
    for change in 1..=3 {
        let plan = Plan { part: (2, 64), change: Some(change), ..all(4, 3, false) };
        let tally = run(&plan);
        assert_eq!(tally.counters.scenarios, plan.scenarios().unwrap());
        assert_eq!(tally.counters.committee_changed, tally.counters.scenarios);
        assert!(tally.counters.changed_early * 4 > tally.counters.scenarios, "{:?}", tally.counters);
        assert_not_idle(&tally.counters, 20);
    }
}

/// In some of these a validator ends up alone on its side of an epoch that the others have left.
#[test]
fn whoever_is_left_behind_in_an_old_epoch_catches_up_after_the_scenario() {
    let tally = run(&Plan { sample: Some((400, 0)), change: Some(2), ..all(4, 4, false) });
    assert_eq!(tally.counters.committee_changed, 400);
}

#[test]
fn scenarios_in_two_phases_keep_the_rules() {
    // One in sixteen; `quorate sim twins --rounds 2 --two-phase` plays them all.
    let plan = Plan { part: (1, 16), ..all(4, 2, true) };
    let tally = run(&plan);
    assert_eq!(tally.counters.scenarios, plan.scenarios().unwrap());
    assert_not_idle(&tally.counters, 20);
}

#[test]
fn the_parts_of_a_campaign_are_the_whole() {
    let plan = all(4, 3, false);
    assert_eq!(plan.scenarios().unwrap(), 25_740);
    assert_eq!((1..=7).map(|part| Plan { part: (part, 7), ..plan }.scenarios().unwrap()).sum::<u64>(), 25_740);
}

#[test]
fn deep_scenarios_and_larger_committees_keep_the_rules() {
    for (validators, rounds, two_phase, count) in [(4, 8, false, 150), (4, 12, true, 100), (7, 4, false, 100), (7, 9, true, 50)] {
        let plan = Plan { sample: Some((count, 7)), ..all(validators, rounds, two_phase) };
        let tally = run(&plan);
        assert_eq!(tally.counters.scenarios, count);
        assert!(tally.counters.two_votes * 2 > count && tally.counters.two_proposals * 2 > count, "{:?}", tally.counters);
    }
}

#[test]
fn a_campaign_that_was_stopped_ends_like_one_that_was_not() {
    let plan = Plan { sample: Some((80, 3)), ..all(4, 5, false) };
    let whole = run(&plan);
    let stopped = plan.run(Tally::default(), 2, &|tally, _| tally.pieces < 2).unwrap();
    assert!(stopped.counters.scenarios < 80 && stopped.pieces >= 2);
    assert_eq!(plan.run(stopped, 2, &|_, _| true).unwrap(), whole);
    assert_eq!((whole.first, whole.last), (Some(0), Some(79)));
}

/// With one signer for all copies of a validator there is nothing to accuse anybody of, and no fork, whatever number of validators is doubled.
#[test]
fn validators_that_share_a_signer_with_their_copies_contradict_themselves_nowhere() {
    let space = Space::new(4, 3, false).unwrap();
    let lab = Lab::for_rounds(4, 3).unwrap();
    let mut two_votes = 0;
    for number in (0..space.size().unwrap()).step_by(2_003) {
        let scenario = space.scenario(number);
        let alone = play(&lab, &scenario, false);
        two_votes += alone.counters.two_votes;
        let outcome = play_at_signers(&lab, &scenario, false);
        assert!(outcome.violation.is_none(), "scenario {number}: {:?}", outcome.violation);
        assert_eq!(outcome.counters.two_votes + outcome.counters.two_proposals, 0, "scenario {number}");
    }
    assert!(two_votes > 10, "without the signer the copies contradict each other: {two_votes}");
}

#[test]
fn the_same_scenario_has_the_same_history() {
    let space = Space::new(4, 3, false).unwrap();
    let lab = Lab::for_rounds(4, 3).unwrap();
    let mut histories = Vec::new();
    for number in [0, 4_711, 100_000, 262_143] {
        let scenario = space.scenario(number);
        let first = play(&lab, &scenario, false);
        // Neither the signatures that the lab remembers from other scenarios nor a trace may change anything.
        let again = play(&Lab::for_rounds(4, 3).unwrap(), &scenario, true);
        assert_eq!((first.history, first.counters), (again.history, again.counters));
        assert!(first.trace.is_empty() && again.trace.len() > 50);
        histories.push(first.history);
    }
    histories.sort_unstable();
    histories.dedup();
    assert_eq!(histories.len(), 4);
}

/// A validator is restored from a copy of its home and runs twice. A copy that is shown an unknown signature of its own stops and stays
/// stopped; the other validators continue.
#[test]
fn copies_that_are_shown_each_other_stop_for_ever() {
    let mut stopped = 0;
    for (validators, rounds, two_phase, count) in [(4, 4, false, 300), (4, 8, true, 100), (7, 5, false, 50)] {
        let space = Space::new(validators, rounds, two_phase).unwrap();
        let lab = Lab::for_rounds(validators, rounds).unwrap();
        for number in 0..count {
            let scenario = space.draw(11, number);
            let outcome = play_guarded(&lab, &scenario, false);
            assert_eq!(outcome.violation, None, "scenario {number} of {validators} validators:\n{scenario}");
            stopped += outcome.counters.twins_stopped;
        }
    }
    assert!(stopped > 300, "{stopped} of 450");
}

/// B25: more twins than the protocol tolerates. Each of the two honest validators has a copy of both twins on its side and commits a chain of
/// its own. This cannot be prevented, but the culprits must be found out.
#[test]
fn with_two_twins_of_four_the_chain_forks_and_the_signatures_name_both() {
    // v0 v1 v2 | v0' v1' v3
    let sides = 0b10_1010;
    for leader in [0, 1] {
        let steps = (0..5).map(|_| Step { leader: ValidatorId(leader), proposals: sides, ballots: sides }).collect();
        let scenario = Scenario { validators: 4, twins: 2, steps };
        assert!(scenario.is_beyond());
        let outcome = play(&Lab::for_rounds(4, 5).unwrap(), &scenario, false);
        assert!(outcome.forked, "two honest validators must commit different blocks: {outcome:?}");
        let violation = outcome.violation.as_ref().unwrap();
        assert!(["SAFE-1", "TREE-1", "JOLT-L1"].contains(&violation.invariant.as_str()), "{violation:?}");
        assert_eq!(outcome.culprits, [ValidatorId(0), ValidatorId(1)]);
        assert!(outcome.accused.iter().all(|accused| outcome.culprits.contains(accused)), "{outcome:?}");
    }
}
